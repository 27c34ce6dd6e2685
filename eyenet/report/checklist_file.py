"""The file of `evaluate.py --checklist`: the reporting checklists as Markdown or CSV."""

from pathlib import Path

from eyenet.report.checklists import counts_table, fill_checklists
from eyenet.report.chosen import with_places
from eyenet.report.terminal import explain_bound
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
    metrics = with_places(metrics)
    checklists = fill_checklists(metrics, config)
    explained = explain_bound([item.answer for one in checklists for item in one.items])
    if Path(path).suffix.lower() == ".csv":
        rows = [(one.name, *map(plain_spaces, explain(item))) for one in checklists for item in one.items]
        write_rows(path, ["checklist", "item", "section", "topic", "status", "answer", "left to the author"], rows)
        return
    env = environment(__file__, autoescape=False)  # Markdown is escaped by its own filter
    env.filters["md"] = lambda text: markdown_text(plain_spaces(text))
    page = env.get_template("checklists.md.jinja").render(
        checklists=checklists, counts=counts_table(checklists), metrics=metrics, explained=explained
    )
    write_whole(path, page.encode("utf-8", "replace"))


def explain(item):
    """Explain the † in the answer of an item, since a row of a table may be read alone."""
    return item._replace(answer=" ".join([item.answer, *(f"({line})" for line in explain_bound([item.answer]))]))


def plain_spaces(text):
    """Replace spaces at which no line breaks, so that a search for `82.4 %` finds it."""
    return text.replace(SPACE, " ")
