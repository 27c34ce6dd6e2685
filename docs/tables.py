"""Write the README's table of results, between its markers, from benchmarks/results/experiments.csv.

python docs/tables.py            write the table
python docs/tables.py --check    exit with 1 if it differs from the results
"""

import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "benchmarks"))

import experiments  # noqa: E402
import summary  # noqa: E402

BEGIN, END = "<!-- results: written by docs/tables.py -->\n", "<!-- end of results -->"
ROWS = (
    ("EfficientNet-Lite0, from ImageNet", "lite0-grade", "test", "3.4 million"),
    ("three layers (the default)", "three-layers-grade", "test", "24 thousand"),
    ("three layers of 2017", "protocol-honest", "test", "3.7 million"),
    ("the same, with the data split of 2017", "protocol-2017", "unseen", "3.7 million"),
)


def results():
    """Format the table: ROC AUC per photograph, mean of the seeds, with the 95 % interval over patients."""
    table = summary.summarize(experiments.read())
    lines = ["| network | any DR | referable DR | parameters | training |", "|---|---|---|---|---|"]
    for title, experiment, split, size in ROWS:
        keys = [(experiment, "eyepacs-256eq", split, question) for question in ("any", "referable")]
        found = [table.loc[key] if key in table.index else None for key in keys]
        cells = ["" if row is None else f"{row['mean']:.3f} ({row.low:.3f}-{row.high:.3f})" for row in found]
        lines.append(f"| {title} | {cells[0]} | {cells[1]} | {size} | {found[0].minutes:.0f} min |")
    return "\n".join(lines) + "\n"


def main():
    path = REPO / "README.md"
    text = path.read_text()
    before, rest = text.split(BEGIN)
    new = before + BEGIN + results() + END + rest.split(END)[1]
    if "--check" in sys.argv[1:]:
        return int(new != text)
    path.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
