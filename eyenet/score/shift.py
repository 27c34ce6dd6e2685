"""Tests of whether photographs differ from others in one measure; the patient is the unit.

Photographs of one patient are alike, so a test that counts them one by one finds differences that are not there. Here a
patient counts once, with the mean over the photographs. `screen.py` uses the tests for its alarm.

Every function returns p values that are valid for one comparison; the caller corrects for the number of comparisons.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

EYES = 2  # photographs assumed per patient of a summary, which does not hold the number of patients


class Difference(NamedTuple):
    """A comparison of two groups in one measure.

    Attributes
    ----------
    p : float
        1 where nothing can be compared.
    direction : int
        1 if the values are higher than those of the others, -1 if they are lower, 0 if only their distribution differs.
    here, others : float
        The median of the values, or the share.
    """

    p: float
    direction: int
    here: float
    others: float


NOTHING = Difference(1.0, 0, np.nan, np.nan)


def patient_means(values, patients):
    """Average a measure over the photographs of each patient; values that are not finite are left out.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    patients : ndarray, shape (n,)

    Returns
    -------
    ndarray of float, shape (patients with a value,)
    """
    known = np.isfinite(values)
    _, number = np.unique(np.asarray(patients)[known], return_inverse=True)
    return np.bincount(number, values[known]) / np.maximum(np.bincount(number), 1)


def compare_values(here, others):
    """Compare two groups of patients by the Mann-Whitney U test and the two-sample Kolmogorov-Smirnov test.

    The first finds that the values are higher or lower, the second any other change of their distribution. The smaller
    p value is doubled, since there are two.

    Parameters
    ----------
    here, others : ndarray of float, shape (patients,)
        As from `patient_means`.

    Returns
    -------
    Difference
    """
    if not len(here) or not len(others):
        return NOTHING
    moved, changed = 1.0, stats.ks_2samp(here, others).pvalue
    if np.ptp(np.concatenate([here, others])) > 0:
        moved = stats.mannwhitneyu(here, others, method="asymptotic").pvalue
    middle = float(np.median(here)), float(np.median(others))
    direction = int(np.sign(_advantage(here, others))) if moved <= changed or middle[0] != middle[1] else 0
    return Difference(float(min(1, 2 * min(moved, changed))), direction, *middle)


def _advantage(here, others):
    """Compute the share of pairs in which the value is higher, minus the share in which it is lower."""
    ordered = np.sort(others)
    above, below = np.searchsorted(ordered, here), len(ordered) - np.searchsorted(ordered, here, "right")
    return (above - below).mean()


def compare_with_quantiles(values, patients, quantiles, photographs):
    """Compare photographs with the quantiles of others, by the Kolmogorov-Smirnov test.

    The two distribution functions are compared at the known quantiles only, so their largest difference may be
    underestimated, never overestimated. Each patient's photographs share the weight of one patient. Patient means vary
    less than photographs, so the p value is conservative. The summary counts one patient per `EYES` photographs.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    patients : ndarray, shape (n,)
    quantiles : dict of str to float
        By level, as from `eyenet.model.reference.quantiles`.
    photographs : int
        From which the quantiles were computed.

    Returns
    -------
    Difference
    """
    known = np.isfinite(values)
    values, patients = values[known], np.asarray(patients)[known]
    if not len(values) or not quantiles:
        return NOTHING
    levels, at = np.array([*map(float, quantiles)]), np.array([*quantiles.values()])
    below = np.array([patient_means(values < limit, patients).mean() for limit in at]) - levels
    above = levels - np.array([patient_means(values <= limit, patients).mean() for limit in at])
    count, reference = len(np.unique(patients)), max(1, photographs // EYES)
    worst = max(below.max(), above.max(), 0.0)
    p = stats.kstwo.sf(worst, max(1, round(count * reference / (count + reference))))
    direction = 1 if above.max() > below.max() else -1
    middle = float(np.median(patient_means(values, patients))), float(np.interp(0.5, levels, at))
    return Difference(float(p), direction, *middle)


def compare_shares(hits, count, others, other_count):
    """Compare two shares by Fisher's exact test.

    Parameters
    ----------
    hits, others : float
        Patients who have something, in the two groups; half a patient for one of two photographs. They are rounded.
    count, other_count : int
        All patients of the two groups.

    Returns
    -------
    Difference
    """
    if not count or not other_count:
        return NOTHING
    hits, others = round(hits), round(others)
    p = stats.fisher_exact([[hits, count - hits], [others, other_count - others]]).pvalue
    here, there = hits / count, others / other_count
    return Difference(float(min(1.0, p)), int(np.sign(here - there)), here, there)
