"""What metrics.json says about accuracy, errors and their uncertainty, for the checklists.

Each function takes metrics.json and config.json, as dicts, and returns sentences; empty text if the files do not tell.
"""

from eyenet.report import words
from eyenet.report.cautions import cautions
from eyenet.report.chosen import uses
from eyenet.report.facts_of_data import on_validation, overlap
from eyenet.report.subgroup_tables import all_sentences, unit_of
from eyenet.report.tables import UNITS
from eyenet.report.words import cell, cell_text, defined, format_of, main_unit, percent, plural
from eyenet.report.workload import workload_sentences
from eyenet.score.metrics import METRIC_NAMES

ACCURACY = ("sensitivity", "specificity", "auc")
LIMITS = (
    "Intervals cover the choice of patients only, not other cameras, clinics, graders or populations; predictive "
    "values hold for this frequency of disease only."
)


def _by_question(metrics, tell):
    """Join what `tell` says of each question's main unit, with the unit and the disease before it."""
    told = []
    for asked in metrics["questions"].values():
        unit, noun = main_unit(asked)
        if said := tell(unit, noun):
            told.append(f"Per {noun}, {asked['disease']}: {said}.")
    return " ".join(told)


def _figures(unit, keys):
    """Format the figures of a unit that are defined, with their intervals."""
    named = ((METRIC_NAMES[key][0], cell(unit[key], format_of(key))) for key in keys if defined(unit[key]["value"]))
    return ", ".join(f"{name} {cell_text(shown)}" for name, shown in named)


def accuracy(metrics, config):
    """Tell sensitivity, specificity and ROC AUC, with a warning if the network may have seen the patients."""
    told = _by_question(metrics, lambda unit, _: _figures(unit, ACCURACY))
    if not told or not (on_validation(metrics) or metrics["known_patients"]):
        return told
    return f"{told} Caution: {overlap(metrics, config)}"


def predictive_values(metrics, config):
    """Tell the predictive values."""
    return _by_question(metrics, lambda unit, _: _figures(unit, ("precision", "npv")))


def cross_table(metrics, config):
    """Count true and false positives and negatives."""

    def tell(unit, _):
        (healthy, false_positives), (missed, found) = unit["confusion"]
        with_disease, without = missed + found, healthy + false_positives
        return (
            f"{found:,} of {with_disease:,} with disease are predicted positive, and {false_positives:,} of "
            f"{without:,} without"
        )

    return _by_question(metrics, tell)


def errors(metrics, config):
    """Count the errors, by grade where grades are known."""

    def tell(unit, noun):
        (_, false_positives), (missed, _) = unit["confusion"]
        said = f"{plural(missed, noun)} with disease predicted negative"
        said += f", and {false_positives:,} without disease predicted positive"
        rows = [row for row in unit["by_grade"] if row["called"] and defined(row["called"]["value"])]
        called = ", ".join(f"grade {row['grade']} {cell_text(cell(row['called']))}" for row in rows)
        return f"{said}; predicted positive by grade: {called}" if called else said

    return _by_question(metrics, tell)


def examples(metrics, config):
    """Say where the most confident errors are shown."""
    return "The report shows the most confident wrong predictions with their heat maps, if there are any."


def calibration(metrics, config):
    """Tell the calibration slope, intercept and Brier score."""
    keys = ("slope", "intercept", "brier")
    return _by_question(metrics, lambda unit, _: _figures(unit["calibration"]["after"], keys))


def clinical_utility(metrics, config):
    """Tell the workload and the net benefit."""
    asked = [asked for asked in metrics["questions"].values() if main_unit(asked)[0].get("decision_curve")]
    told = [f"For {one['disease']}: {' '.join(said)}" for one in asked if (said := workload_sentences(one))]
    return " ".join(told)


def measures(metrics, config):
    """List the measures and plots."""
    return (
        "Sensitivity, specificity, predictive values, accuracy, ROC AUC and curve, average precision, calibration "
        "slope, intercept, Brier score and reliability curve, per photograph and, if patients are known, per patient; "
        "also the decision curve, the workload of 1,000, and the gain from referring the least certain."
    )


def interval_methods(metrics, config):
    """Name the method of each interval."""
    level, methods = percent(metrics["bootstrap"]["level"], 0), metrics["intervals"]
    if not methods:
        return ""
    named = "; ".join(f"{figures}: {method}" for figures, method in methods.items())
    tested = "Differences between groups are tested, corrected by Holm's method"
    tests = tested if metrics.get("subgroups") else "No hypothesis is tested"
    return f"{level} intervals over patients, whose photographs come together. {named}. {tests}."


def baselines(metrics, config):
    """Compare the ROC AUC with the classifier that does not see the retina, and the accuracy with the majority."""
    told = []
    for asked in metrics["questions"].values():
        eye, (majority, other) = asked["eye"], (asked["baselines"][name] for name in ("majority", "not_retina"))
        pairs = [("accuracy", eye["accuracy"], "always the majority class", majority["accuracy"])]
        pairs += [("ROC AUC", eye["auc"], "a classifier that sees no retina", other["auc"])] if other else []
        told += [
            f"Per photograph, {asked['disease']}: {name} {cell_text(cell(own, show))}; {what}: "
            f"{cell_text(cell(theirs, show))}."
            for name, own, what, theirs in pairs
            if defined(own["value"]) and defined(theirs["value"])
            for show in [format_of("auc" if name == "ROC AUC" else "accuracy")]
        ]
    return " ".join(told)


def points(metrics, config):
    """Tell how far sensitivity and specificity go over the operating points that were chosen before."""

    def tell(unit, _):
        chosen, ranges = list(unit["operating_points"].values()), []
        for key in ("sensitivity", "specificity"):
            values = [point[key]["value"] for point in chosen if defined(point[key]["value"])]
            ends = dict.fromkeys(percent(end) for end in (min(values), max(values))) if len(values) > 1 else ()
            ranges += [f"{key} {' to '.join(ends)}"] if ends else []
        return f"over {len(chosen)} operating points, {' and '.join(ranges)}" if ranges else ""

    told = _by_question(metrics, tell)
    return f"{told} The report's tables have the interval of each." if told else ""


def groups(metrics, config):
    """Say what the comparison of groups of photographs shows."""
    found = metrics.get("subgroups")
    if not found:
        return ""
    *said, corrected = all_sentences(metrics)
    compared = f"Groups of photographs were compared with the rest of the set, by {', '.join(found['columns'])}"
    return " ".join([f"{compared}; {corrected}.", *said])


def sources(metrics, config):
    """Tell the accuracy on each of several sets that were evaluated together."""
    told = []
    for name, part in ((metrics.get("subgroups") or {}).get("columns", {}).get("source", {})).items():
        for question, asked in metrics["questions"].items():
            unit = unit_of(part, question)
            if shown := _figures(part["questions"][question][unit], ACCURACY):
                told.append(f"{name}, {UNITS[unit]}, {asked['disease']}: {shown}.")
    return f"By source: {' '.join(told)}" if told else ""


def reservations(metrics, config):
    """List the reasons to doubt the figures: first those that hold for all questions."""
    found = {asked["disease"]: cautions(metrics, question) for question, asked in metrics["questions"].items()}
    shared = [reason for reason in next(iter(found.values())) if all(reason in reasons for reasons in found.values())]
    own = {disease: [reason for reason in reasons if reason not in shared] for disease, reasons in found.items()}
    return " ".join([*shared, *(f"For {disease}: {' '.join(said)}" for disease, said in own.items() if said), LIMITS])


def internal(metrics, config):
    """Say that patients kept back from training were tested; empty for other photographs and for validation."""
    if "train" not in metrics["splits"] or on_validation(metrics) or metrics["known_patients"]:
        return ""
    kept_from = uses(metrics, "and")
    return f"Internal test on photographs that were kept back from {kept_from}: {words.counted(metrics)}."


def other_photographs(metrics, config):
    """Say that a folder of photographs was tested; empty for the packed array."""
    if metrics["source"] != "photographs":
        return ""
    return f"Tested on a folder of photographs: {metrics['set']}, {words.counted(metrics)}."


FACTS = (
    accuracy,
    predictive_values,
    cross_table,
    errors,
    examples,
    calibration,
    clinical_utility,
    measures,
    interval_methods,
    baselines,
    points,
    groups,
    sources,
    reservations,
    internal,
    other_photographs,
)
