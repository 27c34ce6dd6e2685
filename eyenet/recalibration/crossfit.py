"""Cross-fitting: apply a decision to patients on whom it was not chosen."""

import numpy as np
import pandas as pd

from eyenet.data.tasks import QUESTIONS
from eyenet.model.decision import choose_decision, raw_and_calibrated
from eyenet.recalibration.enough import FOLDS
from eyenet.run.errors import StageError
from eyenet.run.files import sha256_text


def folds_of(patients, levels):
    """Assign photographs to folds: all of a patient to one fold, and each grade evenly to all folds.

    The folds depend on the names and the worst grades of the patients only.

    Parameters
    ----------
    patients : array of str, shape (n,)
    levels : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of int, shape (n,)
        From 0 to `FOLDS` - 1. The numbers of patients above any grade differ by at most one between folds.
    """
    worst = pd.Series(levels).groupby(np.asarray(patients)).max()
    order = sorted(worst.index, key=lambda patient: (worst[patient], sha256_text(patient)))
    number = {patient: place % FOLDS for place, patient in enumerate(order)}
    return np.array([number[patient] for patient in patients])


def cross_fit(patients, levels, probabilities, task, questions, point):
    """Choose a decision on the patients of all folds but one, and apply it to those of that fold.

    Parameters
    ----------
    patients : array of str, shape (n,)
    levels : ndarray of int, shape (n,)
    probabilities : ndarray of float, shape (n, classes)
    task : str
    questions : sequence of str
    point : str
        The operating point that every fold must have.

    Returns
    -------
    dict of str to tuple
        By question: calibrated probability (n,), and a dict of operating point to predictions, bool (n,). Points that
        a fold does not support are missing.

    Raises
    ------
    StageError
        If a fold does not support `point`.
    """
    folds = folds_of(patients, levels)
    parts = [
        (folds == fold, choose_decision(*(a[folds != fold] for a in (patients, levels, probabilities)), task))
        for fold in range(FOLDS)
    ]
    found = {}
    for question in questions:
        offered = [set(decision[question]["eye"]["operating_points"]) for _, decision in parts]
        if not all(point in points for points in offered):
            raise StageError(why_unsupported(question, point))
        count = len(folds)
        calibrated, called = np.zeros(count), {name: np.zeros(count, bool) for name in set.intersection(*offered)}
        for rows, decision in parts:
            calibrated[rows] = raw_and_calibrated(decision, probabilities[rows], task, question)[1]
            for name, predictions in called.items():
                predictions[rows] = calibrated[rows] >= decision[question]["eye"]["operating_points"][name]
        found[question] = calibrated, called
    return found


def why_unsupported(question, point):
    """Say why a set with enough patients has no such operating point."""
    other, disease = ("without", "called") if point.startswith("sensitivity") else ("with", "missed")
    return (
        f"no threshold reaches the operating point {point.replace('_', ' ')} for {QUESTIONS[question]} with its lower "
        f"limit: all photographs {other} disease would be {disease}, since the network separates them too poorly here"
    )


def apply(decision, probabilities, task, question, point):
    """Return the calibrated probability (n,) and the predictions of a decision at an operating point, bool (n,)."""
    probability = raw_and_calibrated(decision, probabilities, task, question)[1]
    return probability, probability >= decision[question]["eye"]["operating_points"][point]
