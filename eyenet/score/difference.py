"""The difference between the ROC AUCs of two networks on the same photographs, with its interval."""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, stdtrit

from eyenet.score.intervals import auc_covariance, auc_influence, count_pairs, count_patients, perfect_limit


class NetworkError(NamedTuple):
    """What `_lowest` needs of a network: 1 - AUC, and the variance of the AUC."""

    error: float
    variance: float


def auc_difference(truth, old, new, patients, level):
    """Compare two networks on the same photographs.

    The interval is that of DeLong's test [1]_ with the variance for clustered data [2]_ and the quantile of Student's t
    with the patients of the smaller class less one as degrees of freedom. That interval alone is too narrow near an AUC
    of 1: a set that by chance holds few errors of the worse network also has a small variance. So each limit is the
    wider one of two: that of the difference of the AUCs, and that of the ratio of the errors, 1 - AUC, on the scale of
    the logarithm, where the variance grows with the error that is tested. benchmarks/promotion.py measures the result.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    old, new : ndarray of float, shape (n,)
        Scores of the networks; the higher, the more likely diseased.
    patients : sequence, shape (n,)
    level : float
        Confidence level.

    Returns
    -------
    dict
        `old` and `new`, the AUCs; `difference`, new minus old; `low` and `high`, its interval, NaN where a class has
        fewer than two patients; `error`, the standard error. Where no order of a pair differs, `error` is 0. Two
        networks without an error then have the Clopper-Pearson limit for the number of disjoint pairs of patients, and
        so has any network that is compared with one without an error, if it is wider.

    References
    ----------
    .. [1] E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more correlated
       receiver operating characteristic curves", Biometrics, 1988.
    .. [2] N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics, 1997.
    """
    (first, one), (second, other) = (auc_influence(truth, score) for score in (old, new))
    patients = np.unique(np.asarray(patients), return_inverse=True)[1]
    covariance = auc_covariance([one, other], truth, patients)
    found = {"old": float(first), "new": float(second), "difference": float(second - first)}
    if np.isnan(covariance).any():
        return found | dict.fromkeys(("low", "high", "error"), np.nan)
    smaller = min(count_patients(patients, truth), count_patients(patients, ~truth))
    quantile = stdtrit(smaller - 1, (1 + level) / 2)
    networks = [
        NetworkError(float(1 - auc), float(variance)) for auc, variance in zip((first, second), covariance.diagonal())
    ]
    shared = float(covariance[0, 1])
    low, high = _lowest(*networks, shared, quantile), -_lowest(*networks[::-1], shared, quantile)
    if not np.array_equal(old, new):
        limit = 1 - perfect_limit(count_pairs(patients, truth, ~truth), level)
        low, high = (min(low, -limit) if first == 1 else low), (max(high, limit) if second == 1 else high)
    return found | {"low": low, "high": high, "error": _error(*networks, shared)}


def _error(old, new, covariance):
    return math.sqrt(max(0.0, old.variance + new.variance - 2 * covariance))


def _lowest(old, new, covariance, quantile):
    """Find the lower limit of the difference: the wider one of the two scales."""
    spread = quantile * _error(old, new, covariance)
    least = old.error - 1  # where the new network has an AUC of 0
    plain = old.error - new.error - spread
    if not (spread and new.error and old.error):
        return max(least, plain)

    def excess(error):
        """Compute how far the old network's error plus a loss lies above the new one's, minus the quantile."""
        scaled = (NetworkError(n.error, n.variance / e**2) for n, e in ((old, error), (new, new.error)))
        return math.log(error / new.error) - quantile * _error(*scaled, covariance / (error * new.error))

    if new.error >= 1 or excess(1.0) < 0:
        return least
    return max(least, min(plain, old.error - brentq(excess, new.error, 1.0)))


def power(found, margin):
    """Compute how often a network that is as good as the old one would have a lower limit above -`margin`.

    It is compared on as many patients, and differs from the old network as much as the new one does: its difference is
    taken to be normal with the standard error that was found.

    Parameters
    ----------
    found : dict
        From `auc_difference`, with an interval.
    margin : float

    Returns
    -------
    float
    """
    width = found["difference"] - found["low"]
    if not found["error"]:
        return float(width < margin)
    return float(ndtr((margin - width) / found["error"]))
