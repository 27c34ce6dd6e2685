"""What evaluate.py prints: all figures of a set as aligned text, and a summary of a few lines."""

import shlex

from eyenet.data.names import SPLIT_NAMES
from eyenet.model.decision import BALANCED
from eyenet.model.disclaimers import INTENDED_USE, NOT_A_DEVICE, SYNTHETIC_FIGURES
from eyenet.model.settings import what_it_has_seen
from eyenet.report.cautions import unknown_patients
from eyenet.report.chosen import places
from eyenet.report.subgroup_tables import all_sentences, group_rows
from eyenet.report.tables import SHOWN
from eyenet.report.words import BOUND, BOUND_LINE, SPACE, interval_text, is_bound, is_own_grade, main_unit, percent
from eyenet.run.errors import plural
from eyenet.score.metrics import CALIBRATION, METRIC_NAMES


def show(figure):
    """Format a figure with its interval, such as `0.930 (0.850-0.985)`; a † marks that of 0 or 1."""
    if figure["value"] is None:
        return "-"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    to = " to " if figure["low"] < 0 else "-"  # two minus signs in a row would be hard to read
    mark = f" {BOUND}" if is_bound(figure) else ""
    return f"{figure['value']:.3f} ({figure['low']:.3f}{to}{figure['high']:.3f}{mark})"


def explain_bound(lines):
    """Explain the † if lines have one; list of one line, or of none."""
    return [BOUND_LINE] if any(BOUND in line for line in lines) else []


def align_columns(rows):
    """Format rows of text as lines: the first column aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
        for row in rows
    ]


def splits_lines(splits, what):
    """Format accuracy, precision, recall and AUC of each split; `what` names the set that was evaluated."""
    keys = ("accuracy", "precision", "recall", "auc")
    rows = [["", "photographs", "diseased", *(METRIC_NAMES[key][1] for key in keys)]]
    for split, figures in splits.items():
        name = SPLIT_NAMES[split] if split in ("train", "val") else what.split(":")[0]
        counts = [f"{figures['photographs']:,}", f"{figures['diseased']:,}"]
        rows.append([name, *counts, *(show(figures[key]) for key in keys)])
    return align_columns(rows)


def balanced_rows(question):
    """List sensitivity and specificity at the balanced point, unless the figures above are those of this point."""
    if question["operating_point"] == BALANCED:
        return []
    points = [question[unit]["operating_points"][BALANCED] for unit in ("eye", "patient") if question[unit]]
    return [
        [f"{rate} at the balanced threshold", *(show(point[rate]) for point in points)]
        for rate in ("sensitivity", "specificity")
    ]


def curve_rows(units):
    """List sensitivity at each specificity and the reverse: on this set's ROC curve, and at the model's threshold."""
    rows, rates = [], ("specificity", "sensitivity")
    for target, other in (rates, rates[::-1]):
        key = f"{other}_at_{target}"
        for level in units[0]["roc"][key]:
            shown = [show(unit["roc"][key][level]) for unit in units]
            rows.append([f"{other} at {float(level):.0%} {target}, on this set's ROC curve", *shown])
            points = [unit["operating_points"].get(f"{target}_{level}") for unit in units]
            for rate in rates if None not in points else ():
                rows.append([f"  {rate} at the model's threshold for this aim", *(show(p[rate]) for p in points)])
    return rows


def question_lines(question):
    """Format the figures of one question, per photograph and per patient, and those of the baselines."""
    eye, patient = question["eye"], question["patient"]
    units = [eye, patient] if patient else [eye]  # without patients, if they are unknown
    counts = [plural(eye["count"], "photograph")]
    counts += [f"{plural(patient['count'], 'patient')}, by the worst photograph"] if patient else []
    rows = [
        [question["disease"], *counts],
        ["operating point of this model", *[question["operating_point"].replace("_", " ")] * len(units)],
        *([METRIC_NAMES[key][0], *(show(unit[key]) for unit in units)] for key in SHOWN),
        *balanced_rows(question),
        *curve_rows(units),
    ]
    for key in CALIBRATION:
        rows.append([METRIC_NAMES[key][0], *(show(unit["calibration"]["after"][key]) for unit in units)])
    for parts in zip(*(unit["by_grade"] for unit in units)):
        rows.append([f"predicted diseased, grade {parts[0]['grade']}", *(show(part["called"]) for part in parts)])
    for parts in zip(*(unit["referral"] for unit in units)):
        if parts[0]["referred"] in (0.1, 0.3, 0.5):
            title = f"accuracy after referral of the least certain {parts[0]['referred']:.0%}"
            rows.append([title, *(show(part["accuracy"]) for part in parts)])
    majority, shortcut = question["baselines"]["majority"], question["baselines"]["not_retina"]
    rows.append(["majority class: accuracy", show(majority["accuracy"])])
    rows.append(["shortcut baseline: ROC AUC", show(shortcut["auc"]) if shortcut else "-"])
    return align_columns([[*row, ""][: len(units) + 1] for row in rows])


def splits_text(metrics):
    """Format accuracy, precision, recall and AUC of each split, and what does not hold if patients are unknown."""
    lines = splits_lines(metrics["splits"], metrics["set"])
    noted = explain_bound([*lines, *_found_lines(metrics)])
    return "\n".join([*lines, *noted, *unknown_patients(metrics)])


def group_lines(metrics):
    """Format the figures of the groups of photographs, and what their comparison shows."""
    if not metrics["subgroups"]:
        return []
    tables = [rows for question in metrics["questions"] for rows in group_rows(metrics, question, show)]
    return [line for rows in tables for line in ["", *align_columns(rows)]] + ["", *all_sentences(metrics)]


def figures_text(metrics):
    """Format the figures of all splits, questions and groups."""
    lines = splits_lines(metrics["splits"], metrics["set"])
    for question in metrics["questions"].values():
        lines += ["", *question_lines(question)]
    if metrics["grade"] is not None:
        shown = metrics["grade"]["shown"]
        some = f", for {show(shown['share'])} of the photographs" if is_own_grade(metrics["grade"]) else ""
        text = f"of the grade that predict.py shows  {show(shown['kappa'])}{some}"
        lines.append(f"{METRIC_NAMES['kappa'][0]} of the grade  {show(metrics['grade']['kappa'])}, {text}")
    lines += group_lines(metrics)
    noted = explain_bound([*lines, *_found_lines(metrics)])
    lines += ["\nin brackets: 95 % interval over patients; metrics.json and the report name the methods", *noted]
    lines += unknown_patients(metrics)
    lines.append(f"thresholds were chosen on {places(metrics)}, except for the figures on this set's ROC curve")
    return "\n".join(lines)


def network_text(metrics, config):
    """Say which network was evaluated, and what it has seen."""
    return f"network {metrics['model']}, trained on {what_it_has_seen(config)}"


def summary_text(metrics, output):
    """Summarise an evaluation in five lines: found, false alarms, the warning, the report, where more is.

    Parameters
    ----------
    metrics : dict
        Contents of metrics.json.
    output : path-like
        The folder of report and metrics.json.

    Returns
    -------
    str
    """
    found, alarms = _found_lines(metrics)
    rows = {
        "found": found,
        "false alarms": alarms,
        "warning": SYNTHETIC_FIGURES if metrics["synthetic"] else f"{NOT_A_DEVICE} {INTENDED_USE}",
        "report": shlex.quote(str(output / "report.html")),
        "more": shlex.quote(str(output / "metrics.json")),
    }
    return "\n".join(f"{name:14}{said}" for name, said in rows.items())


def _found_lines(metrics):
    """Say how many of those with disease are found, and how many of the others are false alarms, for all questions."""
    told = [_found(asked) for asked in metrics["questions"].values()]
    return ["; ".join(said) for said in zip(*told)]


def _found(asked):
    """Say both of one question, with intervals."""
    unit, noun = main_unit(asked)
    (right, alarms), (missed, found) = unit["confusion"]
    sensitivity, specificity, disease = unit["sensitivity"], unit["specificity"], asked["disease"].split(" (")[0]
    alarm = {"value": _one_minus(specificity["value"]), "low": _one_minus(specificity["high"])}
    alarm["high"] = _one_minus(specificity["low"])
    return [
        f"{hits:,} of {plural(count, noun)} {kind} {disease}{_rate(share) if count else ''}"
        for hits, count, kind, share in (
            (found, found + missed, "with", sensitivity),
            (alarms, alarms + right, "without", alarm),
        )
    ]


def _rate(share):
    mark = SPACE + BOUND if is_bound(share) else ""
    return f": {percent(share['value'])}, 95 % interval {interval_text(share)}{mark}"


def _one_minus(value):
    return None if value is None else 1 - value
