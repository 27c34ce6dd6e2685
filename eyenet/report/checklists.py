"""Reporting checklists, answered as far as metrics.json and config.json can: STARD-AI, TRIPOD+AI and CLAIM.

checklists.csv has one row for each item: its number, section and topic, the facts that answer it (functions of
`facts_of_data`, `facts_of_model` and `facts_of_results`), what is left to the author, or why it does not apply. Numbers
and order are those of the published checklists, the topics a few words of our own.
"""

import csv
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from eyenet.report import facts_of_data, facts_of_model, facts_of_results
from eyenet.report.tables import Table, count

FACTS = {fact.__name__: fact for room in (facts_of_data, facts_of_model, facts_of_results) for fact in room.FACTS}
SOURCES = {
    "STARD-AI": (
        "Studies of the diagnostic accuracy of an AI test. V. Sounderajah et al., Nature Medicine 31:3283-3289, 2025, "
        "doi 10.1038/s41591-025-03953-8. Licence: see the paper."
    ),
    "TRIPOD+AI": (
        "Studies that develop or evaluate a prediction model. G. S. Collins et al., BMJ 385:e078378, 2024, "
        "doi 10.1136/bmj-2023-078378. Licence: CC BY 4.0."
    ),
    "CLAIM": (
        "Studies of AI in medical imaging, update of 2024. A. S. Tejani et al., Radiology: Artificial Intelligence "
        "6(4):e240300, 2024, doi 10.1148/ryai.240300. Copyright: RSNA, free to read."
    ),
}
ANSWERED, IN_PART, AUTHOR, NOT_APPLICABLE = STATUSES = ("answered", "in part", "for the author", "not applicable")
UNRECORDED = "the rest, which this run has not recorded"


class Item(NamedTuple):
    """An item of a checklist: where it stands, its `status`, the `answer`, and what is `left` to the author."""

    number: str
    section: str
    topic: str
    status: str
    answer: str
    left: str


class Checklist(NamedTuple):
    """A checklist: its name, its source, and its items in order."""

    name: str
    source: str
    items: list

    def number_of(self, status):
        """Count the items of a status."""
        return Counter(item.status for item in self.items)[status]

    def sections(self):
        """List the sections in order, each with its items."""
        return [(name, list(items)) for name, items in groupby(self.items, lambda item: item.section)]


def fill_checklists(metrics, config):
    """Answer the items of all checklists as far as the facts are known.

    Parameters
    ----------
    metrics, config : dict
        Contents of metrics.json and of the model's config.json.

    Returns
    -------
    list of Checklist
        An item without a known fact is for the author, and one of whose facts some are not known is answered in part.
    """
    known = {name: fact(metrics, config) for name, fact in FACTS.items()}
    rows = read_rows()
    return [
        Checklist(name, source, [fill_item(row, known) for row in rows if row["checklist"] == name])
        for name, source in SOURCES.items()
    ]


def read_rows():
    """Read checklists.csv as a list of dicts."""
    with open(Path(__file__).with_name("checklists.csv"), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fill_item(row, known):
    """Answer an item, a row of checklists.csv, with the facts that are `known`, a dict of name to text."""
    told = [known[name] for name in row["facts"].split()]
    answer, left = " ".join(filter(None, told)), row["left"]
    if row["not_applicable"]:
        status, answer = NOT_APPLICABLE, f"{row['not_applicable']}.".capitalize()
    elif not answer:
        status, left = AUTHOR, ""
    elif left or not all(told):
        status, left = IN_PART, left or UNRECORDED
    else:
        status = ANSWERED
    return Item(row["item"], row["section"], row["topic"], status, answer, left)


def counts_table(checklists):
    """Tabulate how many items of each checklist have each status."""
    rows = [(one.name, [count(len(one.items)), *(count(one.number_of(s)) for s in STATUSES)]) for one in checklists]
    return Table("Items of the checklists", ["checklist", "items", *STATUSES], rows)
