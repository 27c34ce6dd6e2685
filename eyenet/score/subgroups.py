"""How the figures of a group differ from those of the rest of a set: differences with intervals and p values.

benchmarks/subgroups.py measures how often the intervals contain the true value, and how often a difference is found
where there is none.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from eyenet.score.intervals import LEVEL, auc_estimate, count_patients, figure, share_estimate

LEAST = 10  # patients that a figure needs in the group and in the rest; with fewer, nothing is compared
POWER = 0.8  # power for the detectable difference
LEAST_P = 1e-9  # smaller p values are reported as this one


def compare_group(truth, called, probability, patients, inside):
    """Compute the figures of a group, and compare them with those of the rest.

    Rows of one patient may lie in the group and in the rest: the intervals take this into account.

    Parameters
    ----------
    truth, called : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)
    patients : sequence, shape (n,)
    inside : ndarray of bool, shape (n,)
        Rows of the group; the others are the rest.

    Returns
    -------
    dict
        `count` and `diseased` of the group; `patients`, the number of its patients `with_disease` and `without`; and
        the figures `sensitivity`, `specificity` and `auc`, each with `difference`, see `difference`. It is None where
        the group or the rest has fewer than `LEAST` patients with disease, or without, that the figure needs.
    """
    patients = np.unique(np.asarray(patients), return_inverse=True)[1]
    sides, ill, well = [], [], []
    for rows in (inside, ~inside):
        weights = rows.astype(float)
        estimates = {
            "sensitivity": share_estimate(called, patients, weights * truth),
            "specificity": share_estimate(~called, patients, weights * ~truth),
            "auc": auc_estimate(truth, probability, patients, weights),
        }
        sides.append(estimates)
        ill.append(count_patients(patients, rows & truth))
        well.append(count_patients(patients, rows & ~truth))
    needed = {"sensitivity": ill, "specificity": well, "auc": ill + well}
    counts = {"with_disease": ill[0], "without": well[0]}
    return {"count": int(inside.sum()), "diseased": int(truth[inside].sum()), "patients": counts} | {
        name: _compared(one, sides[1][name], patients, min(needed[name])) for name, one in sides[0].items()
    }


def compare_shares(hits, patients, inside):
    """Compute the share of hits in a group, with its `difference` from the rest, as `compare_group`."""
    patients = np.unique(np.asarray(patients), return_inverse=True)[1]
    one, other = (share_estimate(hits, patients, rows) for rows in (inside, ~inside))
    return _compared(one, other, patients, min(count_patients(patients, rows) for rows in (inside, ~inside)))


def _compared(one, other, patients, fewest):
    told = difference(one, other, patients) if fewest >= LEAST else None
    return one.figure() | {"difference": told}


def difference(one, other, patients, level=LEVEL):
    """Compute the difference of a figure between two parts of a set.

    The interval is made of the limits of both parts, by the method of variance estimates recovery [1]_ [2]_, with the
    correlation that patients with rows in both parts cause. It is corrected towards 0 as for paired shares [3]_: eyes
    that always agree in a small set do not prove that they always agree.

    Parameters
    ----------
    one, other : Estimate
    patients : ndarray of int, shape (n,)
    level : float

    Returns
    -------
    dict or None
        A `figure`, one less other; `p`, the level at which the interval would end at 0; `detectable`, the
        difference that sets of this size detect with power `POWER`, without correction for other comparisons. None if a
        part has no interval.

    References
    ----------
    .. [1] R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
       methods", Statistics in Medicine, 1998.
    .. [2] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach",
       Statistics in Medicine, 2008.
    .. [3] R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based on
       paired data", Statistics in Medicine, 1998.
    """
    shared = _correlation(one, other, patients)

    def limits(of_level):
        (low, high), (least, most) = one.limits(of_level), other.limits(of_level)
        below, above = (one.value - low, most - other.value), (high - one.value, other.value - least)
        return value - _joined(*below, shared), value + _joined(*above, shared)

    value = one.value - other.value
    low, high = limits(level)
    if np.isnan(low + high):
        return None
    half = max(high - value, value - low)
    detectable = half * (1 + ndtri(POWER) / ndtri((1 + level) / 2))
    return figure(value, low, high) | {"p": _p_value(value, limits), "detectable": float(detectable)}


def _joined(one, other, shared):
    """Join the distances of two limits from their values."""
    return np.sqrt(max(0.0, one**2 + other**2 - 2 * shared * one * other))


def _correlation(one, other, patients):
    """Estimate the correlation of two figures through patients with rows in both; 0 where it cannot be known."""
    sums = [np.bincount(patients, np.nan_to_num(part.influence)) for part in (one, other)]
    together, variance = sums[0] @ sums[1], one.variance * other.variance
    if not variance > 0:
        return 0.0
    if together > 0:
        rows = np.prod([np.count_nonzero(part.influence) for part in (one, other)])
        together = max(0.0, together - 1 / (2 * rows))
    return float(np.clip(together / np.sqrt(variance), -1, 1))


def _p_value(value, limits):
    """Find the largest p at which an interval of the level 1 - p does not contain 0."""
    if value == 0:
        return 1.0

    def excess(log_p):
        low, high = limits(1 - np.exp(log_p))
        return low if value > 0 else -high

    least, most = np.log(LEAST_P), np.log(1 - 1e-6)
    if excess(most) <= 0:
        return 1.0
    return LEAST_P if excess(least) > 0 else float(np.exp(brentq(excess, least, most)))


def holm(p_values):
    """Correct p values for their number by Holm's step-down method, which holds for comparisons that depend too [1]_.

    Parameters
    ----------
    p_values : sequence of float

    Returns
    -------
    ndarray of float
        In the same order; with each below 0.05 a difference, at least one is wrong in at most 5 % of the sets without
        any.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics, 1979.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return corrected
