"""On which photographs calibration and thresholds were chosen, in words: on validation, or on a clinic's photographs.

All sentences of report, card and checklists about it take the place from here.
"""

from eyenet.model.settings import VALIDATION, uses_of_patients


def chosen_on(asked):
    """Say where calibration and thresholds of a question of metrics.json were chosen."""
    return asked.get("chosen_on", VALIDATION)  # older files do not tell: there was no other place


def with_places(metrics):
    """Complete a metrics.json of an older version, which had one place for all questions; others stay as they are."""
    if "chosen_on" not in metrics:
        return metrics
    place = {"chosen_on": metrics["chosen_on"]}
    return metrics | {"questions": {question: place | asked for question, asked in metrics["questions"].items()}}


def is_recalibrated(asked):
    """Tell whether recalibrate.py chose calibration and thresholds of a question again."""
    return chosen_on(asked) != VALIDATION


def any_recalibrated(metrics):
    """Tell whether recalibrate.py chose calibration and thresholds of a question of metrics.json again."""
    return any(map(is_recalibrated, metrics["questions"].values()))


def places(metrics, validation=VALIDATION):
    """Say where calibration and thresholds of all questions were chosen.

    Parameters
    ----------
    metrics : dict
    validation : str
        What to call validation in this sentence.

    Returns
    -------
    str
        One place, or such as ``validation for any DR and 240 graded photographs in a/b for referable DR``.
    """
    found = {
        asked["disease"]: chosen_on(asked) if is_recalibrated(asked) else validation
        for asked in metrics["questions"].values()
    }
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return " and ".join(f"{place} for {disease}" for disease, place in found.items())


def use_of_validation(metrics):
    """Name what was chosen on validation: the epoch, and the thresholds that were not chosen again."""
    kept = [asked["disease"] for asked in metrics["questions"].values() if not is_recalibrated(asked)]
    if not kept:
        return "the epoch"
    return "the epoch and the thresholds" + (f" for {' and '.join(kept)}" if any_recalibrated(metrics) else "")


def chosen_on_validation(metrics):
    """Say what `use_of_validation` names, with the verb."""
    chosen = use_of_validation(metrics)
    return f"{chosen} {'was' if chosen == 'the epoch' else 'were'} chosen"


def uses(metrics, joint="or"):
    """Name in what the network of metrics.json has seen patients, as `uses_of_patients`."""
    return uses_of_patients(any_recalibrated(metrics), joint)
