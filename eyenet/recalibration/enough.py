"""How many patients a recalibration needs, and whether a set has them."""

import functools
import math

import numpy as np

from eyenet.data.tasks import GRADES, LEAST_GRADE, QUESTIONS
from eyenet.model.decision import BALANCED, least_share
from eyenet.run.errors import StageError
from eyenet.score.intervals import count_patients

FOLDS = 10  # of the cross-fitting: the decision is chosen on nine tenths of the patients, and measured on the rest
EACH = 10  # patients of a class for each number that is fitted (Peduzzi et al. 1996)
NUMBERS = 2  # numbers that a calibration fits: temperature and shift


@functools.cache
def least_patients(aim):
    """Compute how many patients of a class an operating point with an aim needs.

    Without those of one fold there must still be enough for `eyenet.model.decision.least_share`.

    Returns
    -------
    int
        26 for an aim of 0.85, 40 for 0.9, and 80 for 0.95.
    """
    patients = 1
    while least_share(aim, patients - math.ceil(patients / FOLDS)) is None:
        patients += 1
    return patients


def needed(point):
    """Compute how many patients with and without disease a recalibration at an operating point needs.

    A calibration needs ten patients of each class for each number that is fitted [1]_.

    Parameters
    ----------
    point : str
        Such as ``sensitivity_0.9``.

    Returns
    -------
    dict
        The numbers of patients `with` and `without` disease.

    References
    ----------
    .. [1] P. Peduzzi et al., "A simulation study of the number of events per variable in logistic regression
       analysis", Journal of Clinical Epidemiology, 1996.
    """
    found = {"with": EACH * NUMBERS, "without": EACH * NUMBERS}
    if point != BALANCED:
        kind, _, aim = point.rpartition("_")
        side = "with" if kind == "sensitivity" else "without"
        found[side] = max(found[side], least_patients(float(aim)))
    return found


def count_sides(patients, levels, question):
    """Count the patients with a photograph with disease, and those with one without; dict as from `needed`."""
    truth = np.asarray(levels) >= LEAST_GRADE[question]
    return {"with": count_patients(patients, truth), "without": count_patients(patients, ~truth)}


def require_patients(patients, levels, questions, point, noun="patient"):
    """Refuse a set that is too small for a recalibration.

    Parameters
    ----------
    patients : array of str, shape (n,)
    levels : ndarray of int, shape (n,)
    questions : sequence of str
    point : str
        Operating point.
    noun : str
        What is counted: photographs, if patients are unknown.

    Raises
    ------
    StageError
        Its message gives the numbers needed and those of the set.
    """
    least, short = needed(point), []
    for question in questions:
        there = count_sides(patients, levels, question)
        sides = [f"{there[side]:,} {side} it, {least[side]} needed" for side in least if there[side] < least[side]]
        short += [f"{QUESTIONS[question]}: {', '.join(sides)}"] if sides else []
    if short:
        raise StageError(
            f"the set has too few gradable {noun}s to recalibrate at the operating point {point.replace('_', ' ')}: "
            f"{'; '.join(short)}; add {noun}s{_other_aims(point)}"
        )


def _other_aims(point):
    kind, _, aim = point.rpartition("_")
    if kind != "sensitivity" or float(aim) <= 0.85:
        return ""
    return f", or ask for a lower --sensitivity: 0.85 takes {needed('sensitivity_0.85')['with']} with disease"


def has_all_grades(patients, levels):
    """Tell whether there are enough patients with a photograph of each grade to choose the cuts between grades."""
    return all(count_patients(patients, np.asarray(levels) == grade) >= EACH for grade in GRADES)
