"""Tables of the report and the model card, built from metrics.json."""

from typing import NamedTuple

from eyenet.data.names import FITTED, SPLIT_NAMES
from eyenet.data.tables import GRADES
from eyenet.report.chosen import chosen_on
from eyenet.report.words import (
    DASH,
    Cell,
    cell,
    decimal,
    defined,
    format_of,
    is_own_grade,
    percent,
    point_name,
    why_no_kappa,
    why_undefined,
)
from eyenet.score.metrics import CALIBRATION, METRIC_NAMES

UNITS = {"patient": "per patient", "eye": "per photograph"}
SHOWN = ("auc", "average_precision", "sensitivity", "specificity", "precision", "npv", "accuracy")


class Table(NamedTuple):
    """A table: caption, column headings, and rows of a name and cells."""

    caption: str
    columns: list
    rows: list


def units_of(asked):
    """Return the units of which a question has figures, with their names: without `patient` if patients are unknown."""
    return {unit: name for unit, name in UNITS.items() if asked[unit] is not None}


def count(number):
    """Format a count as a `Cell`."""
    return Cell(f"{number:,}")


def figure_cell(counted, key):
    """Format one figure of a unit as a `Cell`."""
    return cell(counted[key], format_of(key), why_undefined(key, counted))


def headings(keys):
    """Return the column headings of metrics."""
    return [METRIC_NAMES[key][1] for key in keys]


def split_name(split, evaluated):
    """Name a split; one that is neither training nor validation is the set that was evaluated."""
    return SPLIT_NAMES[split] if split in FITTED else evaluated


def splits_table(metrics):
    """Tabulate accuracy, precision, recall and AUC of each split."""
    disease = next(iter(metrics["questions"].values()))["disease"]
    keys = ("accuracy", "precision", "recall", "auc")
    rows = [
        (
            split_name(split, metrics["set"]),
            [count(figures["photographs"]), count(figures["diseased"])] + [figure_cell(figures, key) for key in keys],
        )
        for split, figures in metrics["splits"].items()
    ]
    columns = ["set", "photographs", "diseased", *headings(keys)]
    return Table(f"Each split, per photograph: {disease}", columns, rows)


def figures_table(asked):
    """Tabulate all figures of a question at the model's operating point, per patient and per photograph."""
    units = units_of(asked)
    rows = [
        ("photographs or patients" if len(units) > 1 else "photographs", [count(asked[u]["count"]) for u in units]),
        ("with disease", [count(asked[unit]["diseased"]) for unit in units]),
    ]
    rows += [(METRIC_NAMES[key][0], [figure_cell(asked[unit], key) for unit in units]) for key in SHOWN]
    caption = f"At the model's operating point: {point_name(asked['operating_point'])}"
    return Table(caption, ["figure", *units.values()], rows)


def baselines_table(asked):
    """Compare the network with the two baselines, per photograph."""
    eye, baselines = asked["eye"], asked["baselines"]
    keys = ("accuracy", "auc", "average_precision")
    rows = [("this network", [figure_cell(eye, key) for key in keys])]
    for name, baseline in (("majority class", baselines["majority"]), ("shortcut baseline", baselines["not_retina"])):
        if baseline:
            no_ranking = Cell(DASH, why="no ranking")
            cells = [
                cell(baseline[key], format_of(key), why_undefined(key, eye)) if key in baseline else no_ranking
                for key in keys
            ]
        else:
            cells = [Cell(DASH, why="not measured")] * 3
        rows.append((name, cells))
    return Table("Comparison with two baselines, per photograph", ["", *headings(keys)], rows)


def points_table(asked, unit_name):
    """Tabulate what each operating point reaches here; the thresholds were chosen before, for photographs."""
    unit, own = asked[unit_name], asked["operating_point"]
    keys = ("sensitivity", "specificity", "precision", "npv", "accuracy")
    rows = []
    for name, point in unit["operating_points"].items():
        threshold = point["threshold"]
        shown = Cell(f"{threshold:.4g}") if defined(threshold) else Cell(DASH, why=f"not reached on {chosen_on(asked)}")
        cells = [cell(point[key], percent, f"not measured: {why_undefined(key, unit)}") for key in keys]
        rows.append((point_name(name) + " (the model's own)" * (name == own), [shown, *cells]))
    columns = ["aim for photographs", "threshold", *headings(keys)]
    return Table(
        f"What the operating points, chosen on {chosen_on(asked)}, reach here, {UNITS[unit_name]}", columns, rows
    )


def roc_table(asked):
    """Tabulate the ROC curve of this set at given specificities and sensitivities."""
    rows, units = [], units_of(asked)
    for key, wanted, given in (
        ("sensitivity_at_specificity", "sensitivity", "specificity"),
        ("specificity_at_sensitivity", "specificity", "sensitivity"),
    ):
        for share in asked["eye"]["roc"][key]:
            cells = [cell(asked[u]["roc"][key][share], percent, why_undefined(key, asked[u])) for u in units]
            rows.append((f"{wanted} at {percent(float(share), 0)} {given}", cells))
    return Table("From the ROC curve of this set", ["figure", *units.values()], rows)


def calibration_table(asked):
    """Tabulate slope, intercept, Brier score and calibration error before and after calibration."""
    rows, units = [], units_of(asked)
    for key in CALIBRATION:
        for when in ("before", "after"):
            figures = [asked[unit]["calibration"][when][key] for unit in units]
            cells = [cell(found, decimal, why_undefined(key, asked[u])) for u, found in zip(units, figures)]
            rows.append((f"{METRIC_NAMES[key][0]}, {when}", cells))
    caption = f"Calibration with temperature {asked['temperature']:.3g} and shift {asked['shift']:.3g}"
    return Table(caption, ["figure", *units.values()], rows)


def bins_table(unit, unit_name):
    """Tabulate the reliability curve."""
    rows = [
        (decimal(b["predicted"]), [count(b["count"]), cell(b["observed"], percent)])
        for b in unit["calibration"]["bins"]
    ]
    return Table(f"Reliability, {unit_name}", ["mean probability", "count", "with disease"], rows)


def by_grade_table(asked):
    """Tabulate the fraction of each grade predicted as disease."""
    units = units_of(asked)
    grades = list(dict.fromkeys(row["grade"] for unit in units for row in asked[unit]["by_grade"]))
    rows = []
    for grade in sorted(grades):
        cells = []
        for unit in units:
            found = [row for row in asked[unit]["by_grade"] if row["grade"] == grade]
            row = found[0] if found else {"count": 0, "called": None}
            cells += [count(row["count"]), cell(row["called"], percent, "no such grade")]
        rows.append((f"{grade} {GRADES[grade]}", cells))
    columns = ["grade", *(["patients", "positive"] if "patient" in units else []), "photographs", "positive"]
    caption = "Positive predictions by grade" + " (a patient has the worst grade)" * ("patient" in units)
    return Table(caption, columns, rows)


def referral_table(unit, unit_name):
    """Tabulate the figures of the remainder when the least certain cases are graded by a person."""
    keys = ("accuracy", "sensitivity", "specificity", "auc")
    rows = [
        (percent(step["referred"], 0), [cell(step[k], format_of(k), "one class left") for k in keys])
        for step in unit["referral"]
    ]
    return Table(f"Figures of the remainder, {unit_name}", ["graded by a person", *headings(keys)], rows)


def grade_table(grade):
    """Tabulate how well grades agree: those that predict.py shows, and the network's for all photographs."""
    is_own = is_own_grade(grade)
    shown = "grade that predict.py shows" if is_own else "grade in predict.py, limited by its answers"
    rows = [
        (name, [cell(figures["kappa"], decimal, why_no_kappa(grade)), cell(figures["accuracy"]), *[share] * is_own])
        for name, figures, share in (
            (shown, grade["shown"], cell(grade["shown"].get("share"))),
            ("grade of the network", grade, Cell("all")),
        )
    ]
    columns = ["", METRIC_NAMES["kappa"][0], "accuracy of the grade", *["of the photographs"] * is_own]
    return Table("Agreement with the grade, per photograph", columns, rows)


def balance_table(balance, evaluated):
    """Tabulate the photographs of each grade in each split; `evaluated` names the set that was evaluated."""
    rows = [
        (split_name(split, evaluated), [*map(count, counts), count(sum(counts))]) for split, counts in balance.items()
    ]
    columns = ["set", *(f"{grade} {name}" for grade, name in GRADES.items()), "all"]
    return Table("Photographs by grade and split", columns, rows)


class Confusion(NamedTuple):
    """A confusion matrix: caption, class names, and rows of (class, [(count, fraction of the row)])."""

    caption: str
    classes: list
    rows: list


def confusion(counts, classes, caption):
    """Build a confusion matrix, true classes in rows, with each cell's fraction of its row."""
    rows = [(name, [(n, n / sum(row) if sum(row) else 0.0) for n in row]) for name, row in zip(classes, counts)]
    return Confusion(caption, classes, rows)
