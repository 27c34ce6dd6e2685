"""The Jinja environment that renders every page and Markdown file of EyeNet."""

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
