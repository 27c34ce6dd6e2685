"""The words of the report and the model card: figures with their intervals, the verdict, and what to be careful of."""

import math
from typing import NamedTuple

from eyenet.model.decision import BALANCED
from eyenet.model.folder import setting

DASH = "–"
SPACE = "\N{NO-BREAK SPACE}"
FEW = 50  # patients of a class; of fewer, each one moves a figure by more than 2 points
WIDE = 0.2  # an interval of 20 points leaves open whether a network is good or poor
HEALTHY = {"any": "no DR", "referable": "no referable DR"}
FUSION = {
    "mean": "the mean of the eyes' probabilities",
    "max": "the higher of the eyes' probabilities",
    "noisy_or": "the probability that at least one eye is diseased, as if the eyes were independent",
}
NO_DEVICE = (
    "This is software for learning and research. Nobody may be diagnosed, treated or reassured on the ground of its "
    "output."
)
SYNTHETIC = "They are drawings, so that everything can be tried without any patient's data."


class Cell(NamedTuple):
    """What a table shows in one place: a figure as text, its interval, or why there is none."""

    text: str
    interval: str = ""
    why: str = ""


def defined(value):
    """Tell whether a number is there and finite."""
    return value is not None and math.isfinite(value)


def percent(share, digits=1):
    """Format a share: 0.8235 is 82.4 %."""
    return f"{100 * share:.{digits}f}{SPACE}%"


def decimal(value):
    """Format a figure that is no share, such as an AUC, with three digits."""
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def interval_text(figure, show=percent):
    """Format a figure's interval; empty where it has none."""
    if not (defined(figure["low"]) and defined(figure["high"])):
        return ""
    low, high = show(figure["low"]), show(figure["high"])
    return f"{low.removesuffix(SPACE + '%')} to {high}"


def cell(figure, show=percent, why="not defined by these photographs"):
    """Turn a figure with interval into a `Cell`; a figure that is not defined becomes a dash and the reason.

    Parameters
    ----------
    figure : dict or None
        `value`, `low`, `high`; each may be None.
    show : callable
        Formats a number.
    why : str
        Shown where the value is not defined.

    Returns
    -------
    Cell
    """
    if figure is None or not defined(figure["value"]):
        return Cell(DASH, why=why)
    return Cell(show(figure["value"]), interval_text(figure, show) or "no interval")


def why_undefined(name, counted):
    """Say why a figure is not defined.

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
    return {"precision": "none called diseased", "npv": "all called diseased"}.get(
        name, "not defined by these photographs"
    )


def plural(count, noun):
    """Format a count with its noun: 1 patient, 2,000 patients."""
    return f"{count:,}{SPACE}{noun}{'' if count == 1 else 's'}"


def point_name(name):
    """Say what an operating point aims at: ``sensitivity_0.9`` is sensitivity 90 %."""
    if name == BALANCED:
        return "balanced (default)"
    what, _, share = name.rpartition("_")
    return f"{what} at least {percent(float(share), 0)}"


class Hundred(NamedTuple):
    """Of 100 people of a class, how many are called diseased, and the interval of that in words."""

    called: int
    interval: str


def of_hundred(figure, called_share=lambda share: share):
    """Turn a sensitivity (or, with `called_share`, a specificity) into people of 100; None where it is not defined."""
    if not defined(figure["value"]):
        return None
    text = ""
    if interval_text(figure):
        low, high = sorted(round(100 * called_share(figure[end])) for end in ("low", "high"))
        text = f"{low} to {high}"
    return Hundred(round(100 * called_share(figure["value"])), text)


def found_and_vain(unit):
    """Count, of 100 with the disease, those who are found, and of 100 without it, those sent on in vain."""
    return of_hundred(unit["sensitivity"]), of_hundred(unit["specificity"], lambda share: 1 - share)


def headline(asked):
    """Say in one sentence what a question's figures come to, per patient."""
    patient = asked["patient"]
    found, vain = found_and_vain(patient)
    if not found or not vain:
        return "These figures cannot be judged: all patients are of one class."
    if _chance(patient["auc"]):
        return "These figures do not tell the network from guessing."
    return f"Of 100 patients with disease it finds {found.called}; of 100 without, it sends {vain.called} on in vain."


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
        f"{patient['diseased']:,} of the {plural(patient['count'], 'patient')} have it."
    )
    level = percent(metrics["bootstrap"]["level"], 0)
    parts = [
        f"{label} {shown.text} ({level} interval {shown.interval})"
        for label, key, show in (
            ("sensitivity", "sensitivity", percent),
            ("specificity", "specificity", percent),
            ("area under the ROC curve", "auc", decimal),
        )
        if (shown := cell(patient[key], show)).text != DASH
    ]
    said = [scored]
    if parts:
        said.append(f"Per patient, at the default operating point chosen on validation: {', '.join(parts)}.")
    return said + _next_to_baselines(asked)


def _next_to_baselines(asked):
    """Set the network's figures per eye next to those of the two trivial baselines."""
    eye, majority, other = asked["eye"], asked["baselines"]["majority"], asked["baselines"]["not_retina"]
    said = []
    if defined(majority["accuracy"]["value"]) and defined(eye["accuracy"]["value"]):
        said.append(
            f"Per eye it is right in {percent(eye['accuracy']['value'])}; always giving the commoner answer is right "
            f"in {percent(majority['accuracy']['value'])}."
        )
    if other and defined(other["auc"]["value"]) and defined(eye["auc"]["value"]):
        said.append(
            f"Per eye its area under the curve is {_with_interval(eye['auc'])}; that of a classifier which sees only "
            f"what is not retina is {_with_interval(other['auc'])}."
        )
    return said


def _with_interval(figure):
    interval = interval_text(figure, decimal)
    return decimal(figure["value"]) + (f" ({interval})" if interval else "")


def of_2017(config):
    """Tell whether a model was trained on an array that `audit_leakage.py --protocol 2017` made."""
    return setting((config.get("settings") or {}).get("images"), "protocol") == "2017"


def cautions(metrics, question):
    """List what a reader must know before trusting a question's figures.

    Parameters
    ----------
    metrics : dict
    question : str

    Returns
    -------
    list of str
        Empty where nothing speaks against them.
    """
    asked = metrics["questions"][question]
    patient, splits = asked["patient"], metrics["splits"].keys()
    found = []
    if metrics["known_patients"]:
        known = f"{metrics['known_patients']:,} of the {plural(metrics['patients'], 'patient')}"
        found.append(
            f"The network was trained or tuned on {known}, which flatters: these rows were drawn at random, the "
            "protocol of 2017, and copies of one photograph and both eyes of one patient are on both sides."
            if metrics["source"] == "array"
            else f"{known} have the name of one that the network was trained or tuned on; if they are the same people, "
            "these figures flatter."
        )
    if splits <= {"train", "val"}:
        found.append("These are validation patients: the epoch and the thresholds were chosen on them, which flatters.")
    return found + _small_set(patient) + _wide_intervals(patient) + _no_better(asked)


def _small_set(patient):
    diseased, healthy = patient["diseased"], patient["count"] - patient["diseased"]
    if not diseased or not healthy:
        everyone = plural(patient["count"], "patient")
        return [f"All {everyone} are of one class: what needs both, such as the area under the curve, is not defined."]
    few = [
        f"{count:,} {'has' if count == 1 else 'have'} {what} disease, and each one moves the {figure} by "
        f"{100 / count:.0f} points"
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
                f"The {figure} is known only roughly: the interval spans {100 * (f['high'] - f['low']):.0f} points."
            )
    if _chance(patient["auc"]):
        found.append(
            "The interval of the area under the ROC curve includes 0.5: the network may be no better than guessing."
        )
    return found


def _no_better(asked):
    """Say where a trivial baseline is as good as the network; both are judged per eye."""
    eye, baselines = asked["eye"], asked["baselines"]
    majority, other = baselines["majority"]["accuracy"]["value"], baselines["not_retina"]
    found = []
    if defined(eye["accuracy"]["value"]) and defined(majority) and eye["accuracy"]["value"] <= majority:
        found.append("Its accuracy is no better than that of always giving the commoner answer.")
    if other is None:
        found.append("It was not compared with a classifier that sees only what is not retina.")
    elif defined(other["auc"]["value"]) and defined(eye["auc"]["value"]):
        if other["auc"]["value"] >= eye["auc"]["value"]:
            found.append(
                "A classifier that sees only what is not retina is as good: this network may tell cameras apart, not "
                "eyes."
            )
        elif defined(eye["auc"]["low"]) and other["auc"]["value"] >= eye["auc"]["low"]:
            found.append(
                "A classifier that sees only what is not retina comes within the network's interval: part of the "
                "figures may tell cameras apart, not eyes."
            )
    return found
