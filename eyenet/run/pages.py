"""The Jinja environment that renders every page and Markdown file of EyeNet."""

import re
from pathlib import Path

import jinja2


def environment(beside, **options):
    """Make the jinja2 environment for the templates in a module's folder; an undefined name is an error.

    Parameters
    ----------
    beside : str
        `__file__` of the module.
    **options
        Options of `jinja2.Environment`.

    Returns
    -------
    jinja2.Environment
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(beside).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )


def markdown_text(text):
    """Escape text for use within a line or a table cell of Markdown."""
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", " ".join(str(text).split()))
