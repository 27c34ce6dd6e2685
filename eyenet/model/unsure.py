"""Limits for the answer "unsure: a grader must look": class-conditional conformal prediction, with patients as units.

Chosen with the thresholds (`eyenet.model.decision`), on validation or by recalibrate.py, and used by predict.py, the
page and the report.
"""

import math
import shlex

import numpy as np

from eyenet.data.tasks import TASKS
from eyenet.model.settings import patients_of_choice
from eyenet.run.errors import StageError

RATES = tuple(f"{percent / 100:g}" for percent in range(1, 21))  # error rates that have limits, as text for config.json
DECIMALS = 6  # of a limit; 0.000001 is far below what a network can tell
TOLERANCE = 1e-9  # 0.07 of 100 patients is 7, not 7.000000000000001


def choose_limits(patients, truth, probability):
    """Choose the limits below which disease is ruled out, and from which on it is reported, for each error rate.

    For a rate of 0.05, a new patient with disease is below `low` with a probability of at most 0.05, and a new patient
    without disease is at `high` or above it with a probability of at most 0.05. Both are order statistics of the
    validation patients of one class: number k = floor(rate (n + 1)) of n, counted from the lowest and from the highest.
    This holds for any network and any number of patients, provided that new patients and validation patients are
    exchangeable, and on average over sets of validation patients; it is split conformal prediction, conditional on the
    class [1]_, [2]_.

    Parameters
    ----------
    patients : sequence, shape (n,)
        Patient of each photograph.
    truth : ndarray of bool, shape (n,)
        A patient has the disease if one of the photographs shows it.
    probability : ndarray of float, shape (n,)
        Calibrated. A patient has the highest of the photographs.

    Returns
    -------
    dict
        The numbers of `diseased` and `healthy` patients, and `limits`, which maps each rate of `RATES` to [low, high].
        A rate takes 1 / rate - 1 patients of each class, and is missing if there are fewer. `low` may be above `high`.

    References
    ----------
    .. [1] V. Vovk, "Conditional validity of inductive conformal predictors", Machine Learning 92, 2013.
    .. [2] A. N. Angelopoulos and S. Bates, "Conformal prediction: a gentle introduction", Foundations and Trends in
       Machine Learning 16, 2023.
    """
    number = np.unique(np.asarray(patients), return_inverse=True)[1]
    worst, ill = np.zeros(number.max(initial=-1) + 1), np.zeros(number.max(initial=-1) + 1, bool)
    np.maximum.at(worst, number, probability)
    np.logical_or.at(ill, number, truth)
    lowest, highest = np.sort(worst[ill]), np.sort(worst[~ill])[::-1]
    limits = {}
    for rate in RATES:
        i, j = (math.floor(float(rate) * (len(group) + 1) + TOLERANCE) - 1 for group in (lowest, highest))
        if min(i, j) >= 0:
            limits[rate] = [_round_down(lowest[i]), _round_up(highest[j])]
    return {"diseased": len(lowest), "healthy": len(highest), "limits": limits}


def _round_down(value):
    """Round down to `DECIMALS`, so that no more patients are below the limit."""
    rounded = round(float(value), DECIMALS)
    return rounded if rounded <= value else round(rounded - 10**-DECIMALS, DECIMALS)


def _round_up(value):
    """Round up to above a value, since a patient at the limit is reported, and patients may have equal values."""
    rounded = round(float(value), DECIMALS)
    return rounded if rounded > value else round(rounded + 10**-DECIMALS, DECIMALS)


def band(limits, threshold):
    """Return the probabilities, from the first up to below the second, for which the answer is unsure.

    An answer is sure if both limits and the threshold of the operating point agree about it, also where `low` is above
    `high`; so none contradicts the threshold that is shown with it, and the errors stay below the rate.
    """
    return min(*limits, threshold), max(*limits, threshold)


def drop_limits(decision):
    """Remove the limits of a decision that was chosen where patients are unknown: they hold for patients only."""
    for chosen in decision.values():
        if "unsure" in chosen:
            chosen["unsure"] = {"diseased": 0, "healthy": 0, "limits": {}}


def limits_of(config):
    """Map each question to what `choose_limits` found for it; None if an older version trained the model."""
    found = {question: config["decision"][question].get("unsure") for question in TASKS[config["task"]].questions}
    return None if None in found.values() else found


def add_to_parent(made):
    """Say how a recalibrated model gets limits; `made` is what config.json has under `recalibrated`."""
    return (
        f"add them to its parent, {made['parent']['name']} (python -m eyenet.model.add_limits), and then run "
        "recalibrate.py again, from there"
    )


def limits_at(config, rate, folder):
    """Map each question to its limits at an error rate.

    Parameters
    ----------
    config : dict
        config.json of the model.
    rate : str
        Of `RATES`.
    folder : path-like
        Of the model, for the message.

    Raises
    ------
    StageError
        If the model has no limits, or they were chosen on too few patients for this rate.
    """
    found, made = limits_of(config), config.get("recalibrated")
    if found is None and made:
        raise StageError(f"{folder} has no limits for --unsure; {add_to_parent(made)}")
    if found is None:
        raise StageError(
            f"{folder} has no limits for --unsure, since an older version trained it; "
            f"python -m eyenet.model.add_limits {shlex.quote(str(folder))} adds them"
        )
    for question, chosen in found.items():
        if rate not in chosen["limits"]:
            least = math.ceil(1 / float(rate) - 1 - TOLERANCE)
            raise StageError(
                f"--unsure {rate} takes {least} known {patients_of_choice(config, question)} with {question} DR and "
                f"{least} without, and {folder} had {chosen['diseased']} and {chosen['healthy']}; use a higher rate or "
                "more patients"
            )
    return {question: tuple(chosen["limits"][rate]) for question, chosen in found.items()}
