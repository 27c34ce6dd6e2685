"""Texts of the report and the model card: formatted figures with intervals, and the summary."""

import math
from typing import NamedTuple

from eyenet.model.decision import BALANCED
from eyenet.model.settings import setting
from eyenet.report.chosen import chosen_on
from eyenet.run import errors
from eyenet.score.metrics import METRIC_NAMES

DASH = "–"
SPACE = "\N{NO-BREAK SPACE}"
BOUND = "†"
BOUND_NOTE = (
    f"{BOUND} The figure is 0 or 1 in this set, so the number of patients alone decides the other end of its interval: "
    "the exact Clopper-Pearson limit for a ROC AUC and points of its curve, Wilson's limit for a share."
)
BOUND_LINE = f"{BOUND} 0 or 1 in this set: the number of patients alone decides the other end of the interval"
SHOWN_GRADE = (
    "predict.py shows the network's own grade where the photograph is gradable and its answer allows the grade: 2 to 4 "
    "for referable DR, 1 for DR that is not referable, 0 for no DR. Elsewhere it shows none, since grade and answer "
    "would contradict each other."
)
LIMITED_GRADE = (
    "The version that made these figures changed the grade that predict.py shows until it agreed with the answer: 0 "
    "without DR, 1 with DR that is not referable, and otherwise 2 to 4."
)
HEALTHY = {"any": "no DR", "referable": "no referable DR"}
DECIMALS = (
    "auc",
    "average_precision",
    "ece",
    "brier",
    "slope",
    "intercept",
    "kappa",
)  # metrics that are not percentages

METHODS = {  # the interval of each kind of figure; in metrics.json, the report and the card
    "ROC AUC": "logit interval of DeLong's variance for clustered data (Obuchowski 1997), Clopper-Pearson for 0 and 1",
    "sensitivity, specificity, precision, NPV, accuracy and other shares": (
        "Wilson's interval at the effective number of rows, which a design effect of the patients reduces"
    ),
    "Brier score": "logit interval with the variance over patients and Student's t",
    "calibration slope and intercept": "Wald interval with the variance over patients and Student's t",
    "average precision, kappa, points of the ROC curve": "percentile bootstrap over patients",
    "difference of a group from the rest": (
        "the limits of both joined (Newcombe 1998, Zou and Donner 2008), with the correlation through patients in both"
    ),
    "band of the ROC curve": (
        "percentile bootstrap over patients, pointwise: for the sensitivity at each false positive rate, not for the "
        "whole curve at once"
    ),
    "expected calibration error": "none: it is biased upwards, and a bootstrap would resample the bias",
}


class Cell(NamedTuple):
    """A table cell: a figure as text, with its interval or the reason why it is undefined."""

    text: str
    interval: str = ""
    why: str = ""


def is_own_grade(grade):
    """Tell whether the shown grade of metrics.json is the network's own; older versions changed it for the answer."""
    return "share" in grade["shown"]


def rule_of_grade(grade):
    """Say when predict.py shows a grade; `grade` is that part of metrics.json, also of an older version."""
    return SHOWN_GRADE if is_own_grade(grade) else LIMITED_GRADE


def why_no_kappa(grade):
    """Say why the shown grade has no kappa; older versions showed a grade for every photograph."""
    return "no grade is shown, or all are of one class" if is_own_grade(grade) else "one class only"


def defined(value):
    """Return whether a value is a finite number."""
    return value is not None and math.isfinite(value)


def percent(share, digits=1):
    """Format a fraction: 0.8235 becomes 82.4 %."""
    return f"{100 * share:.{digits}f}{SPACE}%"


def decimal(value):
    """Format a metric that is not a percentage, such as an AUC, with three decimals."""
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def format_of(key):
    """Return the function that formats a metric, `decimal` or `percent`."""
    return decimal if key in DECIMALS else percent


def interval_text(figure, show=percent):
    """Format the interval of a figure; empty if it has none."""
    if not (defined(figure["low"]) and defined(figure["high"])):
        return ""
    low, high = show(figure["low"]), show(figure["high"])
    return f"{low.removesuffix(SPACE + '%')} to {high}"


def is_bound(figure):
    """Tell whether an interval is that of a figure of 0 or 1, which the number of patients alone decides."""
    return figure["value"] in (0, 1) and defined(figure["low"]) and defined(figure["high"])


def cell(figure, show=percent, why="not defined for these photographs"):
    """Format a figure and its interval as a `Cell`; an undefined figure becomes a dash and the reason.

    Parameters
    ----------
    figure : dict or None
        `value`, `low`, `high`; each may be None.
    show : callable
        Function that formats a number.
    why : str
        Shown if the value is undefined.

    Returns
    -------
    Cell
    """
    if figure is None or not defined(figure["value"]):
        return Cell(DASH, why=why)
    mark = SPACE + BOUND if is_bound(figure) else ""
    return Cell(show(figure["value"]), (interval_text(figure, show) or "no interval") + mark)


def cell_text(shown):
    """Format a `Cell` as text, with its interval in brackets."""
    return f"{shown.text} ({shown.interval})" if shown.interval else shown.text


def why_undefined(name, counted):
    """Explain why a figure is undefined.

    Parameters
    ----------
    name : str
        Key of the figure in metrics.json, such as ``precision``.
    counted : dict
        `count` (or `photographs`) and `diseased`.
    """
    count = counted["count"] if "count" in counted else counted["photographs"]
    if not count:
        return "no photographs"
    if not 0 < counted["diseased"] < count:
        return "one class only"
    reasons = {
        "precision": "no positive prediction",
        "npv": "no negative prediction",
        "slope": "one probability separates the classes",
    }
    return reasons.get(name, "not defined for these photographs")


def plural(count, noun):
    """Format a count with its noun, 1 patient or 2,000 patients, with a space at which no line breaks."""
    return errors.plural(count, noun).replace(" ", SPACE, 1)


def point_name(name):
    """Name an operating point by its aim: ``sensitivity_0.9`` is sensitivity of 90 %."""
    if name == BALANCED:
        return BALANCED
    what, _, share = name.rpartition("_")
    return f"{what} of {percent(float(share), 0)}"


def main_unit(asked):
    """Return the figures that count most, and their noun: those of patients, or of photographs if patients are unknown.

    Parameters
    ----------
    asked : dict
        A question of metrics.json.

    Returns
    -------
    dict, str
    """
    return (asked["patient"], "patient") if asked["patient"] else (asked["eye"], "photograph")


def counted(metrics):
    """Say how many photographs, of how many patients, were scored."""
    photographs = plural(metrics["photographs"], "photograph")
    unknown = metrics.get("unknown_patients")
    if not unknown:
        return f"{photographs} of {plural(metrics['patients'], 'patient')}"
    return photographs + (" of unknown patients" if unknown == metrics["photographs"] else ", some of unknown patients")


class Hundred(NamedTuple):
    """Of 100 people of a class, the number predicted as diseased, and its interval as text."""

    called: int
    interval: str


def of_hundred(figure, called_share=lambda share: share):
    """Convert a sensitivity (or, with `called_share`, a specificity) to people out of 100; None if undefined."""
    if not defined(figure["value"]):
        return None
    text = ""
    if interval_text(figure):
        low, high = sorted(round(100 * called_share(figure[end])) for end in ("low", "high"))
        text = f"{low} to {high}" + (SPACE + BOUND if is_bound(figure) else "")
    return Hundred(round(100 * called_share(figure["value"])), text)


def true_and_false_positives(unit):
    """Return the true positives of 100 people with the disease and the false positives of 100 without it."""
    return of_hundred(unit["sensitivity"]), of_hundred(unit["specificity"], lambda share: 1 - share)


def headline(asked):
    """Summarise a question in one sentence, per patient, or per photograph if patients are unknown."""
    unit, noun = main_unit(asked)
    found, false_positives = true_and_false_positives(unit)
    if not found or not false_positives:
        return f"Sensitivity and specificity cannot both be measured: all {noun}s are of one class."
    if no_better_than_chance(unit["auc"]):
        return "These figures do not distinguish the network from chance."
    return (
        f"It detects {found.called} of 100 {noun}s with disease; of 100 without disease, "
        f"{false_positives.called} {'is a false positive' if false_positives.called == 1 else 'are false positives'}."
    )


def no_better_than_chance(auc):
    """Tell whether the interval of an AUC includes 0.5."""
    return defined(auc["low"]) and auc["low"] <= 0.5


def sentences(metrics, question):
    """Summarise a question for a clinician.

    Returns
    -------
    list of str
    """
    asked = metrics["questions"][question]
    unit, noun = main_unit(asked)
    verb = ("has" if unit["diseased"] == 1 else "have") if noun == "patient" else "show" + "s" * (unit["diseased"] == 1)
    scored = (
        f"{counted(metrics)} ({metrics['set']}) were scored for {asked['disease']}; "
        f"{unit['diseased']:,} of the {plural(unit['count'], noun)} {verb} it."
    )
    level = percent(metrics["bootstrap"]["level"], 0)
    parts = [
        f"{METRIC_NAMES[key][0]} {shown.text} ({level} interval {shown.interval})"
        for key in ("sensitivity", "specificity", "auc")
        if (shown := cell(unit[key], format_of(key))).text != DASH
    ]
    said = [scored]
    if parts:
        said.append(
            f"Per {noun}, at the model's operating point ({point_name(asked['operating_point'])}), chosen on "
            f"{chosen_on(asked)}: {', '.join(parts)}."
        )
    return said + _next_to_baselines(asked)


def _next_to_baselines(asked):
    """Compare the network's figures per photograph with those of the two baselines."""
    eye, majority, other = asked["eye"], asked["baselines"]["majority"], asked["baselines"]["not_retina"]
    said = []
    if defined(majority["accuracy"]["value"]) and defined(eye["accuracy"]["value"]):
        said.append(
            f"Per photograph, its accuracy is {percent(eye['accuracy']['value'])}; always predicting the majority "
            f"class reaches {percent(majority['accuracy']['value'])}."
        )
    if other and defined(other["auc"]["value"]) and defined(eye["auc"]["value"]):
        said.append(
            f"Per photograph, its ROC AUC is {_with_interval(eye['auc'])}; that of the shortcut baseline, a classifier "
            f"that does not see the retina, is {_with_interval(other['auc'])}."
        )
    return said


def _with_interval(figure):
    interval = interval_text(figure, decimal)
    mark = SPACE + BOUND if is_bound(figure) else ""
    return decimal(figure["value"]) + (f" ({interval}{mark})" if interval else "")


def of_2017(config):
    """Return whether a model was trained on an array of the 2017 protocol."""
    return setting((config.get("settings") or {}).get("images"), "protocol") == "2017"
