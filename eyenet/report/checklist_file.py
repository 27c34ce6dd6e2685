"""The file of `evaluate.py --checklist`: the reporting checklists as Markdown or CSV."""

from pathlib import Path

from eyenet.report.checklists import counts_table, fill_checklists
from eyenet.report.words import SPACE
from eyenet.run.files import write_rows, write_whole
from eyenet.run.pages import environment, markdown_text


def write_checklists(path, metrics, config):
    """Write the checklists, whole or not at all: as CSV if the name ends in .csv, else as Markdown.

    Parameters
    ----------
    path : path-like
        In a folder that exists.
    metrics, config : dict
        Contents of metrics.json and of the model's config.json.
    """
    checklists = fill_checklists(metrics, config)
    if Path(path).suffix.lower() == ".csv":
        rows = [(one.name, *map(plain_spaces, item)) for one in checklists for item in one.items]
        write_rows(path, ["checklist", "item", "section", "topic", "status", "answer", "left to the author"], rows)
        return
    env = environment(__file__, autoescape=False)  # Markdown is escaped by its own filter
    env.filters["md"] = lambda text: markdown_text(plain_spaces(text))
    page = env.get_template("checklists.md.jinja").render(
        checklists=checklists, counts=counts_table(checklists), metrics=metrics
    )
    write_whole(path, page.encode("utf-8", "replace"))


def plain_spaces(text):
    """Replace spaces at which no line breaks, so that a search for `82.4 %` finds it."""
    return text.replace(SPACE, " ")
