"""Write the tables of measured figures into the documentation, from benchmarks/results/.

    python docs/tables.py            write the tables between their markers
    python docs/tables.py --check    change nothing; exit with 1 if a table differs from the results

A page marks the place of a table by `<!-- table NAME, written by docs/tables.py -->` and `<!-- end of table -->`.
The tables of experiments are computed here; docs/tables.toml defines the others and explains how.
"""

import csv
import operator
import re
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "benchmarks"))

import experiments  # noqa: E402
import summary  # noqa: E402

PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted(REPO.glob("docs/*.md")))]
PLACE = re.compile(r"(<!-- table (\w+), written by docs/tables\.py -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)

FIGURE = re.compile(r"{(.*?)}")  # in a cell of docs/tables.toml
SIGNS = {
    "<": ("under", operator.lt),
    "<=": ("at most", operator.le),
    ">": ("above", operator.gt),
    ">=": ("at least", operator.ge),
    "": ("", operator.eq),
}

NO_BREAK = "\u2011"  # a hyphen at which no line is broken, for intervals
CROPPED, NATURAL = "eyepacs-256eq", "eyepacs-1024"  # the two sets of photographs, see docs/results.md


class Experiments:
    """The experiments of benchmarks/results/experiments.csv, summarised over their seeds."""

    def __init__(self):
        self.rows = experiments.read()
        self.table = summary.summarize(self.rows)

    def auc(self, experiment, split="test", question="any", photographs=CROPPED, seeds=False):
        """Format the mean ROC AUC and its 95 % interval; with `seeds` also the range over the seeds."""
        key = (experiment, photographs, split, question)
        if key not in self.table.index:
            return ""
        row = self.table.loc[key]
        spread = f", {row.least:.3f}-{row.most:.3f}" if seeds else ""
        return f"{row['mean']:.3f}{spread} ({row.low:.3f}-{row.high:.3f})"

    def minutes(self, experiment):
        """Format the range of the training times."""
        minutes = [round(float(row["minutes"])) for row in self.rows if row["experiment"] == experiment]
        return f"{min(minutes)}-{max(minutes)} min"


def read():
    """Read the result files: each row by `FILE: NAME`, and, as a name may occur twice, by `FILE: NAME, UNIT`."""
    rows = {}
    for path in sorted((REPO / "benchmarks" / "results").glob("*.csv")):
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                if "ratio" in row and "better" in row:  # of suite.py
                    row = {"measured": row["name"], "value": row["ratio"], "unit": "ratio", "asked": ""}
                if "measured" in row:
                    name = f"{path.stem}: {row['measured']}"
                    rows.setdefault(name, row)
                    rows[f"{name}, {row['unit']}"] = row
    return rows


def digits(text):
    """Write the numbers in a text with three digits, and whole ones in full."""

    def write(found):
        number = Decimal(found[0])
        if 0 < number < Decimal("0.0001"):
            return f"{number:e}"
        return f"{number:.3g}" if number < 100 else f"{number:,.0f}"

    return re.sub(r"\d+(\.\d+)?(e-\d+)?", write, text)


def figure(row):
    """Write the figure of a row, and what its unit adds: an interval, or of how many."""
    value, unit = row["value"], row["unit"]
    if interval := re.match(r"95 %: ([^,]+)", unit):
        return digits(f"{value} ({interval[1]})")
    return digits(f"{value} {unit}" if value and unit.startswith("of ") else value or unit)


def asked(row):
    """Write what was asked of a row, and tell whether it was met."""
    sign, _, bound = row["asked"].rpartition(" ")
    words, holds = SIGNS[sign]
    unit = row["unit"].replace("ratio", "x") if sign and not re.search(r"\d", row["unit"]) else ""
    number = re.fullmatch(r"-?\d[\d.e-]*", bound)
    return f"{words} {digits(bound)} {unit}".strip(), not number or holds(Decimal(row["value"]), Decimal(bound))


def required(rows):
    """Write what was asked of some rows, and how many of them missed it."""
    met = {}
    for words, holds in map(asked, rows):
        met.setdefault(words, []).append(holds)
    texts = []
    for words, each in met.items():
        missed = each.count(False)
        share = f" by {missed} of {len(each)}" if missed < len(each) else ""
        texts.append(f"{words}: **missed**{share}" if missed else words)
    return ", ".join(filter(None, texts))


def measured(name):
    """Fill in a table of docs/tables.toml."""
    results = read()
    with open(REPO / "docs" / "tables.toml", "rb") as file:
        plan = tomllib.load(file)[name]

    def fill(row, column):
        start, ways = sorted((row, column), key=lambda text: "{" in text)
        for way in ways.split(" | "):
            names = [start + name for name in FIGURE.findall(way)]
            if all(name in results for name in names):
                return FIGURE.sub(lambda found: figure(results[start + found[1]]), way), [results[n] for n in names]
        sys.exit(f"docs/tables.toml, table {name}: benchmarks/results/ has no row {start!r} followed by {ways!r}")

    lines = []
    for title, row in plan["rows"].items():
        wanted = plan["columns"].items()
        cells = {head: fill(row, column) for head, column in wanted if not head.startswith("required")}
        texts = {head: text for head, (text, _) in cells.items()}
        for head, columns in wanted:
            if head not in cells:
                texts[head] = required([row for name in cells if columns in ("", name) for row in cells[name][1]])
        lines.append((title, *(texts[head] for head in plan["columns"])))
    return table((plan["title"], *plan["columns"]), lines)


def shipped(*sets):
    """The figures of the network that ships, one seed: the ROC AUC of both questions on each set, per photograph."""
    results, cells = read(), []
    for name in (f"{photographs}, {question} DR" for photographs in sets for question in ("any", "referable")):
        row = results[f"pretrained: {name}, AUC per photograph"]
        cells.append("{} ({}-{})".format(row["value"], *re.findall(r"0\.\d+|1\.0+", row["unit"])))
    return cells


def front():
    """The table of the README: each network on patients who were in no training."""
    found = Experiments()
    ships = ("the network that ships (EfficientNet-Lite0 at 384 px, distilled; one seed)", *shipped("test"))
    rows = (
        ("EfficientNet-Lite0, from ImageNet", "lite0-grade", "3.4 million"),
        ("three layers, from scratch (the default)", "three-layers-grade", "24,000"),
        ("network of 2017, split by patient (any DR only)", "protocol-honest", "3.7 million"),
    )
    return table(
        ("network", "AUC, any DR", "AUC, referable DR", "parameters", "training, 1-2 cores"),
        [(*ships, "3.4 million", "-")]
        + [
            (
                title,
                found.auc(name, "test"),
                found.auc(name, "test", "referable") or "-",
                size,
                found.minutes(name),
            )
            for title, name, size in rows
        ],
    )


def networks():
    """The table of docs/results.md: each network on both sets of photographs, with the range over the seeds."""
    found = Experiments()
    rows = (
        ("EfficientNet-Lite0, from ImageNet", "lite0-grade"),
        ("three layers", "three-layers-grade"),
        ("three layers of 2017, task `any`", "protocol-honest"),
    )
    return table(
        ("network", "any DR", "referable DR", "any DR, other 484", "referable DR, other 484", "training, 1-2 cores"),
        [("the network that ships (one seed)", *shipped("test", NATURAL), "-")]
        + [
            (
                title,
                *(
                    found.auc(name, split, question, photographs, seeds=True)
                    for photographs, split in ((CROPPED, "test"), (NATURAL, "all"))
                    for question in ("any", "referable")
                ),
                found.minutes(name),
            )
            for title, name in rows
        ],
    )


def protocols():
    """The table of docs/history.md: what the protocol of 2017 claims, and what unseen patients show."""
    found, sample = Experiments(), read()

    def drawn(figure, protocol):
        name = next(name for name in sample if name.startswith(f"protocols-sample: {figure}, {protocol}"))
        ends = (sample[f"{name}, {end} end of 95 %"] for end in ("lower", "upper"))
        value, low, high = (float(row["value"]) for row in (sample[name], *ends))
        return f"{value:.3f} ({low:.3f}-{high:.3f})"

    places = ("protocol of 2017, on its own test", "protocol of 2017, on unseen", "this protocol, on the same unseen")
    return table(
        ("", "ROC AUC, 6,496 Kaggle photographs", "ROC AUC, sample", "accuracy, sample"),
        (
            (title, found.auc(name, split, seeds=True), drawn("AUC", place), drawn("accuracy", place))
            for (title, name, split), place in zip(
                (
                    ("protocol of 2017: its claim, on its own test rows", "protocol-2017", "test"),
                    ("protocol of 2017: the same network on unseen patients", "protocol-2017", "unseen"),
                    ("this project's protocol, on the same unseen patients", "protocol-honest", "test"),
                ),
                places,
            )
        ),
    )


def circles():
    """The table of docs/results.md: the three layers retrained before and after the new circle, means of the seeds."""
    with open(REPO / "benchmarks" / "results" / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))

    def mean(trial, scored_on, column):
        values = [float(row[column]) for row in rows if (row["trial"], row["scored_on"]) == (trial, scored_on)]
        return f"{sum(values) / len(values):.3f}, {min(values):.3f}-{max(values):.3f}"

    sets = {"validation": "validation", "test": "976 test photographs", NATURAL: "other 484"}
    questions = {"any_auc": "any DR", "referable_auc": "referable DR"}
    return table(
        ("photographs", *(f"{words}, {when}" for words in questions.values() for when in ("before", "after"))),
        [
            (title, *(mean(f"three-layers-circle-{when}", name, q) for q in questions for when in ("before", "after")))
            for name, title in sets.items()
        ],
    )


TABLES = {"front": front, "networks": networks, "protocols": protocols, "circles": circles}


def table(head, rows):
    """Format a Markdown table."""
    lines = (f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))
    return re.sub(r"(?<=\d)-(?=\d)", NO_BREAK, "".join(lines))


def build(name):
    """Make a table."""
    return TABLES[name]() if name in TABLES else measured(name)


def main():
    differ = []
    for page in PAGES:
        path = REPO / page
        text = path.read_text()
        new = PLACE.sub(lambda place: place[1] + build(place[2]) + place[4], text)
        if new != text:
            differ.append(page)
            if "--check" not in sys.argv[1:]:
                path.write_text(new)
    if differ:
        print("tables that differ from benchmarks/results:", *differ)
    return int("--check" in sys.argv[1:] and bool(differ))


if __name__ == "__main__":
    sys.exit(main())
