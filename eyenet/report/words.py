"""Texts of the report and the model card: formatted figures with intervals, the summary and the cautions."""

import math
from typing import NamedTuple

from eyenet.model.decision import BALANCED
from eyenet.model.folder import setting
from eyenet.score.metrics import METRIC_NAMES

DASH = "–"
SPACE = "\N{NO-BREAK SPACE}"
FEW = 50  # patients of a class; with fewer, one patient changes a figure by more than 2 percentage points
WIDE = 0.2  # an interval of more than 20 percentage points does not distinguish a good network from a poor one
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
    "expected calibration error": "none: it is biased upwards, and a bootstrap would resample the bias",
}


class Cell(NamedTuple):
    """A table cell: a figure as text, with its interval or the reason why it is undefined."""

    text: str
    interval: str = ""
    why: str = ""


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
    return Cell(show(figure["value"]), interval_text(figure, show) or "no interval")


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
    """Format a count with its noun: 1 patient, 2,000 patients."""
    return f"{count:,}{SPACE}{noun}{'' if count == 1 else 's'}"


def point_name(name):
    """Name an operating point by its aim on validation: ``sensitivity_0.9`` is sensitivity of 90 %."""
    if name == BALANCED:
        return BALANCED
    what, _, share = name.rpartition("_")
    return f"{what} of {percent(float(share), 0)}"


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
        text = f"{low} to {high}"
    return Hundred(round(100 * called_share(figure["value"])), text)


def true_and_false_positives(unit):
    """Return the true positives of 100 people with the disease and the false positives of 100 without it."""
    return of_hundred(unit["sensitivity"]), of_hundred(unit["specificity"], lambda share: 1 - share)


def headline(asked):
    """Summarise a question in one sentence, per patient."""
    patient = asked["patient"]
    found, false_positives = true_and_false_positives(patient)
    if not found or not false_positives:
        return "Sensitivity and specificity cannot both be measured: all patients are of one class."
    if _chance(patient["auc"]):
        return "These figures do not distinguish the network from chance."
    return (
        f"It detects {found.called} of 100 patients with disease; of 100 without disease, "
        f"{false_positives.called} {'is a false positive' if false_positives.called == 1 else 'are false positives'}."
    )


def _chance(auc):
    return defined(auc["low"]) and auc["low"] <= 0.5


def sentences(metrics, question):
    """Summarise a question for a clinician.

    Returns
    -------
    list of str
    """
    asked = metrics["questions"][question]
    patient = asked["patient"]
    scored = (
        f"{plural(metrics['photographs'], 'photograph')} of {plural(metrics['patients'], 'patient')} "
        f"({metrics['set']}) were scored for {asked['disease']}; "
        f"{patient['diseased']:,} of the {plural(patient['count'], 'patient')} "
        f"{'has' if patient['diseased'] == 1 else 'have'} it."
    )
    level = percent(metrics["bootstrap"]["level"], 0)
    parts = [
        f"{METRIC_NAMES[key][0]} {shown.text} ({level} interval {shown.interval})"
        for key in ("sensitivity", "specificity", "auc")
        if (shown := cell(patient[key], format_of(key))).text != DASH
    ]
    said = [scored]
    if parts:
        said.append(
            f"Per patient, at the model's operating point ({point_name(asked['operating_point'])}), chosen on "
            f"validation: {', '.join(parts)}."
        )
    return said + _next_to_baselines(asked)


def _next_to_baselines(asked):
    """Compare the network's figures per eye with those of the two baselines."""
    eye, majority, other = asked["eye"], asked["baselines"]["majority"], asked["baselines"]["not_retina"]
    said = []
    if defined(majority["accuracy"]["value"]) and defined(eye["accuracy"]["value"]):
        said.append(
            f"Per eye, its accuracy is {percent(eye['accuracy']['value'])}; always predicting the majority class "
            f"reaches {percent(majority['accuracy']['value'])}."
        )
    if other and defined(other["auc"]["value"]) and defined(eye["auc"]["value"]):
        said.append(
            f"Per eye, its ROC AUC is {_with_interval(eye['auc'])}; that of the shortcut baseline, a classifier that "
            f"does not see the retina, is {_with_interval(other['auc'])}."
        )
    return said


def _with_interval(figure):
    interval = interval_text(figure, decimal)
    return decimal(figure["value"]) + (f" ({interval})" if interval else "")


def of_2017(config):
    """Return whether a model was trained on an array of the 2017 protocol."""
    return setting((config.get("settings") or {}).get("images"), "protocol") == "2017"


def cautions(metrics, question):
    """List the reasons to doubt a question's figures.

    Parameters
    ----------
    metrics : dict
    question : str

    Returns
    -------
    list of str
        Empty if there is none.
    """
    asked = metrics["questions"][question]
    patient, splits = asked["patient"], metrics["splits"].keys()
    found = []
    if metrics["known_patients"]:
        known = f"{metrics['known_patients']:,} of the {plural(metrics['patients'], 'patient')}"
        found.append(
            f"The network was trained or tuned on {known}, so these figures are too high: in the 2017 protocol rows "
            "are split at random, and copies of one photograph and both eyes of one patient fall into different splits."
            if metrics["source"] == "array"
            else f"{known} have the same name as a patient on whom the network was trained or tuned; if they are the "
            "same people, these figures are too high."
        )
    if splits <= {"train", "val"}:
        found.append(
            "These are validation patients: the epoch and the thresholds were chosen on them, so these are too high."
        )
    unmet = _missed_targets(asked) + _worse_calibration(asked)
    return found + _small_set(patient) + _wide_intervals(patient) + unmet + _no_better(asked)


def _small_set(patient):
    diseased, healthy = patient["diseased"], patient["count"] - patient["diseased"]
    if not diseased or not healthy:
        everyone = plural(patient["count"], "patient")
        return [f"All {everyone} are of one class: figures that need both, such as the ROC AUC, are not defined."]
    few = [
        f"{count:,} {'has' if count == 1 else 'have'} {what} disease, so that one patient changes the {figure} by "
        f"{100 / count:.0f} percentage points"
        for count, what, figure in ((diseased, "the", "sensitivity"), (healthy, "no", "specificity"))
        if count < FEW
    ]
    return [f"The set is small: of {plural(patient['count'], 'patient')}, {'; '.join(few)}."] if few else []


def _wide_intervals(patient):
    found = []
    for figure in ("sensitivity", "specificity"):
        f = patient[figure]
        if defined(f["low"]) and defined(f["high"]) and f["high"] - f["low"] > WIDE:
            found.append(
                f"The {figure} is uncertain: its interval spans {100 * (f['high'] - f['low']):.0f} percentage points."
            )
    if _chance(patient["auc"]):
        found.append("The interval of the ROC AUC includes 0.5: the network may be no better than chance.")
    return found


def _missed_targets(asked):
    """List the operating points whose aim, which they reached on validation, is not reached here; aims are for eyes."""
    missed = []
    for name, point in asked["eye"]["operating_points"].items():
        rate, _, aim = name.rpartition("_")
        if name != BALANCED and defined(point[rate]["value"]) and point[rate]["value"] < float(aim):
            missed.append(f"{rate} of {percent(float(aim), 0)}: {cell_text(cell(point[rate]))}")
    return [f"Aims that were reached on validation are missed on these eyes: {'; '.join(missed)}."] if missed else []


def cell_text(shown):
    """Format a `Cell` as text, with its interval in brackets."""
    return f"{shown.text} ({shown.interval})" if shown.interval else shown.text


def _worse_calibration(asked):
    """Say where the calibration, which was fitted on validation, made the probabilities worse."""
    worse = []
    for unit, name in (("patient", "per patient"), ("eye", "per eye")):
        for key in ("ece", "brier"):
            before, after = (asked[unit]["calibration"][when][key]["value"] for when in ("before", "after"))
            if defined(before) and defined(after) and decimal(after) > decimal(before):
                worse.append(f"{METRIC_NAMES[key][0]} {name} {decimal(before)} before and {decimal(after)} after")
    if not worse:
        return []
    return [f"The calibration, fitted on validation, made the probabilities worse here: {'; '.join(worse)}."]


def _no_better(asked):
    """List the baselines that reach the network's figures per eye."""
    eye, baselines = asked["eye"], asked["baselines"]
    majority, other = baselines["majority"]["accuracy"]["value"], baselines["not_retina"]
    found = []
    if defined(eye["accuracy"]["value"]) and defined(majority) and eye["accuracy"]["value"] <= majority:
        found.append("Its accuracy is no better than that of always predicting the majority class.")
    if other is None:
        found.append("It was not compared with the shortcut baseline, a classifier that does not see the retina.")
    elif defined(other["auc"]["value"]) and defined(eye["auc"]["value"]):
        if other["auc"]["value"] >= eye["auc"]["value"]:
            found.append(
                "The shortcut baseline, a classifier that does not see the retina, is as good: the network may "
                "recognise cameras instead of disease."
            )
        elif defined(eye["auc"]["low"]) and other["auc"]["value"] >= eye["auc"]["low"]:
            found.append(
                "The ROC AUC of the shortcut baseline, a classifier that does not see the retina, lies within the "
                "network's interval: part of the performance may come from recognising cameras."
            )
    return found
