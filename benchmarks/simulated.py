"""Simulated eyes: two of each patient, whose grades and scores are correlated, with a known truth."""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

PREVALENCE = 0.3  # of disease, per eye
SAME_DISEASE = 0.8  # correlation of the two eyes: of the normal variable that decides the disease
SAME_SCORE = 0.6  # and of the score, given the disease


class Eyes(NamedTuple):
    """Patient, truth and scores (one array for each network) of each eye; arrays of shape (2 * patients,)."""

    patients: np.ndarray
    truth: np.ndarray
    scores: list


def correlated(random, patients, correlation):
    """Draw standard normal variables of two eyes each."""
    common, own = random.normal(size=patients), random.normal(size=2 * patients)
    return np.sqrt(correlation) * np.repeat(common, 2) + np.sqrt(1 - correlation) * own


def separation(auc):
    """Compute the distance of the two classes, in standard deviations of the score, that has an AUC."""
    return np.sqrt(2) * norm.ppf(auc)


def draw_eyes(random, patients, distances, correlation=1.0):
    """Draw eyes and their scores by one or two networks.

    Parameters
    ----------
    random : numpy.random.Generator
    patients : int
    distances : sequence of one or two floats
        Of the classes, by network, see `separation`.
    correlation : float
        Of the scores of the two networks, given the disease.

    Returns
    -------
    Eyes
        With both classes.
    """
    while True:
        truth = correlated(random, patients, SAME_DISEASE) > norm.ppf(1 - PREVALENCE)
        noise = [correlated(random, patients, SAME_SCORE)]
        if len(distances) > 1:
            other = correlated(random, patients, SAME_SCORE)
            noise.append(correlation * noise[0] + np.sqrt(1 - correlation**2) * other)
        if truth.any() and not truth.all():
            return Eyes(np.repeat(np.arange(patients), 2), truth, [d * truth + n for d, n in zip(distances, noise)])
