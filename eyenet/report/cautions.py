"""Reasons to doubt the figures of an evaluation, in words, for the report and the model card."""

from eyenet.data.names import FITTED
from eyenet.model.decision import BALANCED
from eyenet.report.chosen import chosen_on, chosen_on_validation, is_recalibrated, uses
from eyenet.report.subgroup_tables import worse_groups
from eyenet.report.words import (
    cell,
    cell_text,
    decimal,
    defined,
    main_unit,
    no_better_than_chance,
    percent,
    plural,
)
from eyenet.score.metrics import METRIC_NAMES

FEW = 50  # patients of a class; with fewer, one patient changes a figure by more than 2 percentage points
WIDE = 0.2  # an interval of more than 20 percentage points does not distinguish a good network from a poor one


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
    (unit, noun), splits = main_unit(asked), metrics["splits"].keys()
    found = unknown_patients(metrics)
    if metrics["known_patients"]:
        known = f"{metrics['known_patients']:,} of the {plural(unit['count'], noun)}"
        same = "people" if noun == "patient" else "photographs"
        found.append(
            f"The network has seen {known} in {uses(metrics)}, so these figures are too high: in the 2017 protocol "
            "rows are split at random, and copies of one photograph and both eyes of one patient fall into different "
            "splits."
            if metrics["source"] == "array"
            else f"{known} have the same name as a {noun} that the network has seen in {uses(metrics)}; if they are "
            f"the same {same}, these figures are too high."
        )
    if alike := metrics.get("alike_patients"):  # older files do not tell
        found.append(
            f"{alike:,} of the {plural(unit['count'], noun)} may also be among the patients seen in "
            f"{uses(metrics)}, where another set uses the same ID; if so, these figures are too high."
        )
    if is_recalibrated(asked):
        found.append(
            f"Calibration and thresholds are not those of validation: recalibrate.py chose them on {chosen_on(asked)}."
        )
    if splits <= set(FITTED):
        found.append(f"These are validation patients: {chosen_on_validation(metrics)} on them, so these are too high.")
    unmet = _missed_targets(asked) + worse_groups(metrics, question) + _worse_calibration(asked)
    return found + _small_set(unit, noun) + _wide_intervals(unit) + unmet + _no_better(asked)


def unknown_patients(metrics):
    """Say what does not hold where patients are unknown; list of str, empty if all are known."""
    unknown = metrics.get("unknown_patients")
    if not unknown:
        return []
    which = "the patients" if unknown == metrics["photographs"] else f"the patients of {plural(unknown, 'photograph')}"
    each = "each photograph counts as a patient of its own, intervals may be too narrow, and no figure is per patient"
    if metrics["source"] != "array":
        return [f"It is not known who {which} are: {each}."]
    first = f"Photographs, not patients, were split, since it is not known who {which} are"
    return [f"{first}: those of one patient may be in training and test, and figures may be too high; {each}."]


def _small_set(unit, noun):
    diseased, healthy = unit["diseased"], unit["count"] - unit["diseased"]
    if not diseased or not healthy:
        everyone = plural(unit["count"], noun)
        return [f"All {everyone} are of one class: figures that need both, such as the ROC AUC, are not defined."]
    few = [
        f"{count:,} {'has' if count == 1 else 'have'} {what} disease, so that one {noun} changes the {figure} by "
        f"{100 / count:.0f} percentage points"
        for count, what, figure in ((diseased, "the", "sensitivity"), (healthy, "no", "specificity"))
        if count < FEW
    ]
    return [f"The set is small: of {plural(unit['count'], noun)}, {'; '.join(few)}."] if few else []


def _wide_intervals(unit):
    found = []
    for figure in ("sensitivity", "specificity"):
        f = unit[figure]
        if defined(f["low"]) and defined(f["high"]) and f["high"] - f["low"] > WIDE:
            found.append(
                f"The {figure} is uncertain: its interval spans {100 * (f['high'] - f['low']):.0f} percentage points."
            )
    if no_better_than_chance(unit["auc"]):
        found.append("The interval of the ROC AUC includes 0.5: the network may be no better than chance.")
    return found


def _missed_targets(asked):
    """List the operating points whose aim, which they reached for photographs where chosen, is not reached here."""
    missed = []
    for name, point in asked["eye"]["operating_points"].items():
        rate, _, aim = name.rpartition("_")
        if name != BALANCED and defined(point[rate]["value"]) and point[rate]["value"] < float(aim):
            missed.append(f"{rate} of {percent(float(aim), 0)}: {cell_text(cell(point[rate]))}")
    told = f"Aims that were reached on {chosen_on(asked)} are missed on these photographs: {'; '.join(missed)}."
    return [told] if missed else []


def _worse_calibration(asked):
    """Say where the calibration made the probabilities worse."""
    worse = []
    for unit, name in (("patient", "per patient"), ("eye", "per photograph")):
        if asked[unit] is None:
            continue
        for key in ("ece", "brier"):
            before, after = (asked[unit]["calibration"][when][key]["value"] for when in ("before", "after"))
            if defined(before) and defined(after) and decimal(after) > decimal(before):
                worse.append(f"{METRIC_NAMES[key][0]} {name} {decimal(before)} before and {decimal(after)} after")
    if not worse:
        return []
    return [f"The calibration, fitted on {chosen_on(asked)}, made the probabilities worse here: {'; '.join(worse)}."]


def _no_better(asked):
    """List the baselines that reach the network's figures per photograph."""
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
