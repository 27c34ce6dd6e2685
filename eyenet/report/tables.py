"""The tables of the report and the model card, made of metrics.json."""

from typing import NamedTuple

from eyenet.data.tables import GRADES
from eyenet.report.words import DASH, Cell, cell, decimal, defined, percent, point_name, why_undefined

SPLIT_NAMES = {"train": "training patients", "val": "validation patients"}  # others are named by metrics.json
UNITS = {"patient": "per patient", "eye": "per eye"}
SHOWN = {  # figures of metrics.json: name, how a number is shown
    "auc": ("area under the ROC curve", decimal),
    "average_precision": ("average precision", decimal),
    "sensitivity": ("sensitivity (recall)", percent),
    "specificity": ("specificity", percent),
    "precision": ("precision (PPV)", percent),
    "npv": ("negative predictive value", percent),
    "accuracy": ("accuracy", percent),
}


class Table(NamedTuple):
    """A table: its caption, the head of each column, and rows of a name and cells."""

    caption: str
    columns: list
    rows: list


def count(number):
    """Show a count as a `Cell`."""
    return Cell(f"{number:,}")


def figure_cell(counted, key, show=None):
    """Show one figure of a unit, or the dash and the reason."""
    return cell(counted[key], show or SHOWN[key][1], why_undefined(key, counted))


def splits_table(metrics):
    """The story's own table: accuracy, precision and recall of each split."""
    disease = next(iter(metrics["questions"].values()))["disease"]
    rows = [
        (
            SPLIT_NAMES.get(split, metrics["set"]),
            [count(of["photographs"]), count(of["diseased"])]
            + [
                cell(of[key], decimal if key == "auc" else percent, why_undefined(key, of))
                for key in ("accuracy", "precision", "recall", "auc")
            ],
        )
        for split, of in metrics["splits"].items()
    ]
    columns = ["patients", "photographs", "diseased", "accuracy", "precision", "recall", "AUC"]
    return Table(f"Each split, per eye: {disease}", columns, rows)


def figures_table(asked):
    """Every figure of a question at its default operating point, per patient and per eye."""
    rows = [
        ("examined", [count(asked[unit]["count"]) for unit in UNITS]),
        ("of them diseased", [count(asked[unit]["diseased"]) for unit in UNITS]),
    ]
    rows += [(name, [figure_cell(asked[unit], key) for unit in UNITS]) for key, (name, _) in SHOWN.items()]
    return Table("At the default operating point", ["figure", *UNITS.values()], rows)


def baselines_table(asked):
    """The network next to the two trivial baselines, per eye."""
    eye, baselines = asked["eye"], asked["baselines"]
    rows = [("this network", [figure_cell(eye, key) for key in ("accuracy", "auc", "average_precision")])]
    for name, baseline in (
        ("always the commoner answer", baselines["majority"]),
        ("only what is not retina", baselines["not_retina"]),
    ):
        if baseline:
            cells = [
                cell(baseline[key], SHOWN[key][1], why_undefined(key, eye)) if key in baseline else _not_asked()
                for key in ("accuracy", "auc", "average_precision")
            ]
        else:
            cells = [Cell(DASH, why="not measured")] * 3
        rows.append((name, cells))
    return Table("Next to two trivial baselines, per eye", ["", "accuracy", "AUC", "average precision"], rows)


def _not_asked():
    return Cell(DASH, why="gives no ranking")


def points_table(unit, unit_name):
    """Figures at each operating point; the thresholds were chosen on validation."""
    keys = ("sensitivity", "specificity", "precision", "npv", "accuracy")
    rows = []
    for name, point in unit["operating_points"].items():
        threshold = point["threshold"]
        shown = Cell(f"{threshold:.4g}") if defined(threshold) else Cell(DASH, why="not reached on validation")
        rows.append((point_name(name), [shown] + [cell(point[k], percent, why_undefined(k, unit)) for k in keys]))
    columns = ["aimed at on validation", "threshold", "sensitivity", "specificity", "precision", "NPV", "accuracy"]
    return Table(f"Operating points, {unit_name}", columns, rows)


def roc_table(asked):
    """What the set's own ROC curve offers at a given specificity or sensitivity."""
    rows = []
    for key, wanted, given in (
        ("sensitivity_at_specificity", "sensitivity", "specificity"),
        ("specificity_at_sensitivity", "specificity", "sensitivity"),
    ):
        for share in asked["patient"]["roc"][key]:
            cells = [cell(asked[u]["roc"][key][share], percent, why_undefined(key, asked[u])) for u in UNITS]
            rows.append((f"{wanted} at {percent(float(share), 0)} {given}", cells))
    return Table("Read off this set's own ROC curve", ["figure", *UNITS.values()], rows)


def calibration_table(asked):
    """Errors of the probabilities before and after calibration."""
    rows = []
    for key, name in (("ece", "expected calibration error"), ("brier", "Brier score")):
        for when in ("before", "after"):
            cells = [cell(asked[u]["calibration"][when][key], decimal, why_undefined(key, asked[u])) for u in UNITS]
            rows.append((f"{name}, {when}", cells))
    caption = f"Calibration by a temperature of {asked['temperature']:.3g} and a shift of {asked['shift']:.3g}"
    return Table(caption, ["figure", *UNITS.values()], rows)


def bins_table(unit, unit_name):
    """The reliability curve in figures."""
    rows = [
        (decimal(b["predicted"]), [count(b["count"]), cell(b["observed"], percent)])
        for b in unit["calibration"]["bins"]
    ]
    return Table(f"Reliability, {unit_name}", ["mean probability", "count", "diseased"], rows)


def by_grade_table(asked):
    """The share of each grade that is called diseased."""
    grades = list(dict.fromkeys(row["grade"] for unit in UNITS for row in asked[unit]["by_grade"]))
    rows = []
    for grade in sorted(grades):
        cells = []
        for unit in UNITS:
            found = [row for row in asked[unit]["by_grade"] if row["grade"] == grade]
            row = found[0] if found else {"count": 0, "called": None}
            cells += [count(row["count"]), cell(row["called"], percent, "none of this grade")]
        rows.append((f"{grade} {GRADES[grade]}", cells))
    columns = ["grade", "patients", "called diseased", "eyes", "called diseased"]
    return Table("Called diseased, by grade (a patient's is that of the worse eye)", columns, rows)


def referral_table(unit, unit_name):
    """Figures of the rest when the least certain share goes to a person."""
    keys = ("accuracy", "sensitivity", "specificity", "auc")
    rows = [
        (
            percent(step["referred"], 0),
            [cell(step[k], decimal if k == "auc" else percent, "one class left") for k in keys],
        )
        for step in unit["referral"]
    ]
    return Table(
        f"Figures of the rest, {unit_name}",
        ["sent to a person", "accuracy", "sensitivity", "specificity", "AUC"],
        rows,
    )


def subsets_table(metrics, question):
    """The set and its parts, such as Kaggle's Public and Private."""
    rows = []
    for of in (metrics, *metrics["subsets"].values()):
        asked = of["questions"][question]
        cells = [count(of["photographs"]), count(of["patients"]), count(asked["patient"]["diseased"])]
        cells += [figure_cell(asked["eye"], "auc")]
        cells += [figure_cell(asked["patient"], key) for key in ("auc", "sensitivity", "specificity")]
        if of["grade"]:
            cells.append(cell(of["grade"]["kappa"], decimal, "one class only"))
        rows.append((of["set"], cells))
    columns = ["set", "photographs", "patients", "diseased", "AUC per eye", "AUC", "sensitivity", "specificity"]
    columns += ["kappa"] if metrics["grade"] else []
    return Table("The set and its parts, per patient where nothing else is said", columns, rows)


def balance_table(balance, what):
    """Photographs of each grade in each split; `what` names the one that was evaluated."""
    rows = [
        (SPLIT_NAMES.get(split, what), [*map(count, counts), count(sum(counts))]) for split, counts in balance.items()
    ]
    columns = ["patients", *(f"{grade} {name}" for grade, name in GRADES.items()), "all"]
    return Table("Photographs by grade and split", columns, rows)


class Confusion(NamedTuple):
    """A confusion matrix: its caption, the names of the classes, and rows of (class, [(count, share of the row)])."""

    caption: str
    classes: list
    rows: list


def confusion(counts, classes, caption):
    """Lay out a confusion matrix, truth downwards, with each cell's share of its row."""
    rows = [(name, [(n, n / sum(row) if sum(row) else 0.0) for n in row]) for name, row in zip(classes, counts)]
    return Confusion(caption, classes, rows)
