"""Confidence intervals in closed form for figures of photographs. Patients are sampled, and their rows come together.

Each kind of figure has one method; benchmarks/coverage.py measures how often its intervals contain the true value.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit

LEVEL = 0.95
DIGITS = 12  # of a figure: fractions of a row add up inexactly, and a perfect figure must stay 1


def figure(value, low=np.nan, high=np.nan):
    """Make a figure of metrics.json: `value`, `low` and `high`, each a float, or None where it is NaN."""
    return {
        name: None if np.isnan(number) else float(number)
        for name, number in (("value", value), ("low", low), ("high", high))
    }


class Estimate(NamedTuple):
    """A figure, with all that is needed for its interval at any level and its covariance with another figure.

    `value` and `variance` are floats, NaN where they are not defined; `influence` is that of each row on the value, of
    shape (n,); `limits` takes a confidence level and returns the lower and the upper limit.
    """

    value: float
    variance: float
    influence: np.ndarray
    limits: Callable

    def figure(self, level=LEVEL):
        """Return the `figure` with the interval of a level."""
        return figure(self.value, *self.limits(level))


def count_patients(patients, rows):
    """Count the patients with at least one of some rows."""
    return len(np.unique(np.asarray(patients)[rows]))


def count_pairs(patients, one, other):
    """Count disjoint pairs of patients, the first with a row in `one`, the second with a row in `other`.

    An AUC is the probability that such a pair is ranked correctly, so an AUC of 1 is a success in each of them.
    """
    first, second, either = (count_patients(patients, rows) for rows in (one, other, one | other))
    return min(first, second, either // 2)


def perfect_limit(trials, level=LEVEL):
    """Compute the lower Clopper-Pearson limit of a share of 1 in independent trials."""
    return ((1 - level) / 2) ** (1 / trials)


def auc_with_interval(truth, score, patients, weights=None, level=LEVEL):
    """Compute the ROC AUC with the logit interval of DeLong's variance for clustered data [1]_, [2]_.

    An AUC of 1 has the Clopper-Pearson limit for the number of disjoint pairs of patients, `count_pairs`. No lower
    limit of these patients is above it: DeLong's variance nearly vanishes when few pairs are misplaced, and a network
    that misplaces one would otherwise have a better limit than a network without an error. Of two imperfect networks,
    the worse may still have a slightly higher limit, if its errors are spread more evenly over the patients. The same
    holds for the upper limit and an AUC of 0.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    score : ndarray of float, shape (n,)
        The higher, the more likely diseased.
    patients : sequence, shape (n,)
        Patient of each row.
    weights : ndarray of float, shape (n,), optional
        Part of each row that counts, from 0 to 1; 1 by default.
    level : float
        Confidence level.

    Returns
    -------
    dict
        A `figure`, without an interval if a class has fewer than two patients and the AUC is not 0 or 1, or if DeLong's
        variance is 0, as with constant scores.

    References
    ----------
    .. [1] N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics, 1997.
    .. [2] M. S. Pepe, "The statistical evaluation of medical tests for classification and prediction", 2003, chapter 5:
       the interval on the logit scale.
    """
    truth = np.asarray(truth, bool)
    return auc_estimate(truth, score, patients, weights).figure(level)


def auc_estimate(truth, score, patients, weights=None):
    """Estimate the ROC AUC; the parameters and the method are those of `auc_with_interval`. Returns an `Estimate`."""
    truth = np.asarray(truth, bool)
    value, influence = auc_influence(truth, score, weights)
    counted = np.ones(len(truth), bool) if weights is None else weights > 0
    pairs = count_pairs(patients, truth & counted, ~truth & counted)
    if np.isnan(value) or not pairs:
        return Estimate(value, np.nan, influence, lambda level: (np.nan, np.nan))
    variance = auc_covariance([influence], truth, patients, counted)[0, 0]

    def limits(level):
        limit = perfect_limit(pairs, level)
        if value in (0, 1):
            return (0, 1 - limit) if value == 0 else (limit, 1)
        if not variance > 0:
            return np.nan, np.nan
        low, high = _logit_interval(value, np.sqrt(variance), ndtri((1 + level) / 2))
        return min(low, limit), max(high, 1 - limit)

    return Estimate(value, variance, influence, limits)


def auc_influence(truth, score, weights=None):
    """Compute the ROC AUC, ties counting half, and the influence of each row on it.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    score, weights : ndarray of float, shape (n,)

    Returns
    -------
    value : float
        NaN if a class is missing.
    influence : ndarray of float, shape (n,)
        The row's placement, the share of the other class on its right side, less the AUC; times the row's share of its
        own class. It sums to 0 over each class.
    """
    weights = np.ones(len(truth)) if weights is None else weights
    group = np.unique(score, return_inverse=True)[1]
    diseased, healthy = (np.bincount(group, weights * rows) for rows in (truth, ~truth))
    total = np.where(truth, diseased.sum(), healthy.sum())
    if not len(total) or not (diseased.sum() and healthy.sum()):
        return np.nan, np.full(len(truth), np.nan)
    below = (np.cumsum(healthy) - healthy / 2) / healthy.sum()
    above = 1 - (np.cumsum(diseased) - diseased / 2) / diseased.sum()
    placement, share = np.where(truth, below[group], above[group]), weights / total
    value = np.round(share[truth] @ placement[truth], DIGITS)
    return value, share * (placement - value)


def auc_covariance(influences, truth, patients, counted=None):
    """Compute the covariances of AUCs from the influences of their rows, summed over each patient's [1]_.

    Parameters
    ----------
    influences : sequence of ndarray of float, shape (k, n)
        From `auc_influence`, of k networks on the same rows.
    truth, counted : ndarray of bool, shape (n,)
        Rows that are not counted have no weight; all count by default.
    patients : sequence, shape (n,)

    Returns
    -------
    ndarray of float, shape (k, k)
        NaN if a class has fewer than two patients.

    References
    ----------
    .. [1] N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics, 1997, section 2.
    """
    counted = np.ones(len(truth), bool) if counted is None else counted
    patients = np.unique(np.asarray(patients), return_inverse=True)[1]
    clusters = [count_patients(patients, rows & counted) for rows in (truth, ~truth, truth | True)]
    if min(clusters) < 2:
        return np.full((len(influences), len(influences)), np.nan)
    a, b = (np.stack([np.bincount(patients, i * rows) for i in influences]) for rows in (truth, ~truth))
    diseased, healthy, both = (count / (count - 1) for count in clusters)
    return diseased * a @ a.T + healthy * b @ b.T + both * (a @ b.T + b @ a.T)


def share_with_interval(hits, patients, weights=None, level=LEVEL):
    """Compute the share of rows that are hits with Wilson's interval [1]_ at the effective number of rows [2]_.

    The effective number is the number of rows divided by the design effect, the ratio of the variance over patients to
    that of independent rows; a design effect below 1 counts as 1. Where it cannot be estimated, for a share of 0 or 1
    or a single patient, it is the number of patients. No lower limit is above that of a share of 1 of these patients,
    and no upper limit below that of 0, so that an error never improves them.

    Parameters
    ----------
    hits : ndarray of bool, shape (n,)
    patients : sequence, shape (n,)
    weights : ndarray, shape (n,), optional
        Part of each row that counts, from 0 to 1 (bool or float); 1 by default.
    level : float

    Returns
    -------
    dict
        A `figure`; None throughout if no row counts.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
       American Statistical Association, 1927.
    .. [2] E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected number of positive
       counts estimated from survey data", Survey Methodology, 1998.
    """
    return share_estimate(hits, patients, weights).figure(level)


def share_estimate(hits, patients, weights=None):
    """Estimate a share; the parameters and the method are those of `share_with_interval`. Returns an `Estimate`."""
    weights = np.ones(len(hits)) if weights is None else np.asarray(weights, float)
    rows = weights > 0
    if not rows.any():
        return Estimate(np.nan, np.nan, weights, lambda level: (np.nan, np.nan))
    total, clusters = weights.sum(), count_patients(patients, rows)
    value = np.round(weights @ np.asarray(hits, float) / total, DIGITS)
    number = clusters
    if 0 < value < 1 and clusters > 1:
        variance = mean_variance(hits[rows] - value, np.asarray(patients)[rows], weights[rows])
        number = total / max(1, variance * (total - 1) / (value * (1 - value)))

    def limits(level):
        low, high = wilson(value, number, level)
        return min(low, wilson(1, clusters, level)[0]), max(high, wilson(0, clusters, level)[1])

    return Estimate(value, value * (1 - value) / number, weights * (hits - value) / total, limits)


def rates_with_intervals(truth, called, patients, weights=None):
    """Compute accuracy, precision, sensitivity, specificity and npv with intervals; dict of name to `figure`.

    The parameters are those of `share_with_interval`; `called` are the positive predictions.
    """
    weights = np.ones(len(truth)) if weights is None else weights
    shares = {
        "accuracy": (truth == called, weights),
        "precision": (truth, weights * called),
        "sensitivity": (called, weights * truth),
        "specificity": (~called, weights * ~truth),
        "npv": (~truth, weights * ~called),
    }
    return {name: share_with_interval(hits, patients, rows) for name, (hits, rows) in shares.items()}


def mean_with_interval(values, patients, level=LEVEL):
    """Compute the mean of values from 0 to 1, such as a Brier score, with a logit interval over patients.

    Its quantile is that of Student's t.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    patients : sequence, shape (n,)
    level : float

    Returns
    -------
    dict
        A `figure`, without an interval if there is one patient or all values agree.
    """
    if not len(values):
        return figure(np.nan)
    value, clusters = float(np.mean(values)), len(np.unique(patients))
    variance = mean_variance(values - value, patients, np.ones(len(values))) if clusters > 1 else 0
    if not variance or value in (0, 1):
        return figure(value)
    return figure(value, *_logit_interval(value, np.sqrt(variance), stdtrit(clusters - 1, (1 + level) / 2)))


def mean_variance(deviations, patients, weights):
    """Compute the variance of a weighted mean from the deviations of its rows, summed over each patient's."""
    patients = np.unique(np.asarray(patients), return_inverse=True)[1]
    sums = np.bincount(patients, weights * deviations) / weights.sum()
    return len(sums) / (len(sums) - 1) * (sums @ sums)


def _logit_interval(value, error, quantile):
    spread = quantile * error / (value * (1 - value))
    return expit(logit(value) - spread), expit(logit(value) + spread)


def wilson(share, number, level):
    """Compute Wilson's limits of a share of `number` independent trials, which need not be whole."""
    z = ndtri((1 + level) / 2)
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2)) / (1 + z**2 / number)
    return max(0.0, middle - half) if share else 0.0, min(1.0, middle + half) if share < 1 else 1.0
