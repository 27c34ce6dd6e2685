"""Confidence intervals from a bootstrap over patients, whose photographs are drawn together."""

from contextlib import nullcontext

import numpy as np
from threadpoolctl import threadpool_limits

from eyenet.run.workers import cores, for_each

CHUNK = 4 * 2**20  # bytes of weights processed at a time, to stay in the processor's cache


def draw_patients(patients, draws, seed):
    """Draw patients with replacement, each with all of its rows (cluster bootstrap) [1]_.

    Parameters
    ----------
    patients : sequence, shape (n,)
        Patient of each row.
    draws : range
        Numbers of the draws. A draw depends only on its number and the seed.
    seed : int

    Returns
    -------
    ndarray of float, shape (len(draws), n)
        How often each draw contains each row.

    References
    ----------
    .. [1] C. A. Field and A. H. Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B,
       2007.
    """
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    counts = np.empty((len(draws), len(names)))
    for row, draw in enumerate(draws):
        chosen = np.random.default_rng([seed, draw]).integers(len(names), size=len(names))
        counts[row] = np.bincount(chosen, minlength=len(names))
    return np.take(counts, index, axis=1)


def bootstrap(statistics, patients, draws=2000, seed=0, level=0.95, trials=None):
    """Compute statistics with percentile intervals from a bootstrap over patients [1]_.

    The bootstrap interval collapses where every draw repeats one value. For a proportion of 0 or 1, it is then extended
    to the Clopper-Pearson interval for the number of `trials` [2]_. Any other statistic, such as a kappa or a
    difference, has no interval then, whatever its value. Draws in which a statistic is undefined are left out. If their
    fraction exceeds 1 - `level`, the two tails together, there is no interval.

    Parameters
    ----------
    statistics : callable
        Takes weights, float of shape (draws, n), and returns a dict of name to ndarray of float, shape (draws,), NaN
        where undefined. Called from several threads.
    patients : sequence, shape (n,)
        Patient of each row.
    draws, seed : int
    level : float
        Confidence level.
    trials : dict of name to int, optional
        Number of independent patients behind each proportion, as counted by `count_trials` and `count_pairs`. A
        statistic without an entry is not taken for a proportion.

    Returns
    -------
    dict of name to dict
        `value`, `low` and `high`, each a float, or None if undefined.

    References
    ----------
    .. [1] B. Efron and R. J. Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
    .. [2] C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
       binomial", Biometrika, 1934.
    """
    patients = np.unique(np.asarray(patients), return_inverse=True)[1]  # numbers are faster than names
    values = statistics(np.ones((1, len(patients))))
    each = max(1, CHUNK // (8 * max(1, len(patients))))
    chunks = [range(first, min(first + each, draws)) for first in range(0, draws, each)]
    drawn = []
    if len(set(patients)) > 1:  # else every draw is the same
        # The chunks run in threads, so BLAS must not start threads of its own.
        with threadpool_limits(1, "blas") if len(chunks) > 1 else nullcontext():
            work = for_each(lambda c: statistics(draw_patients(patients, c, seed)), chunks, min(cores(), 8), None)
            drawn = [figures for _, figures in work]
    return {
        name: _interval(value[0], [figures[name] for figures in drawn], 1 - level, (trials or {}).get(name))
        for name, value in values.items()
    }


def count_patients(patients, rows):
    """Count the patients with at least one of some rows: the trials of a proportion of these rows."""
    return len(np.unique(np.asarray(patients)[rows]))


def count_trials(patients, truth, called):
    """Count the patients in the denominator of each rate of `metrics.at_threshold`: `bootstrap`'s trials, by name."""
    denominators = {"accuracy": np.ones_like(truth), "precision": called, "npv": ~called}
    denominators |= {"sensitivity": truth, "specificity": ~truth}
    return {rate: count_patients(patients, rows) for rate, rows in denominators.items()}


def count_pairs(patients, one, other):
    """Count disjoint pairs of patients, the first with a row in `one`, the second with a row in `other`.

    They are the trials of an AUC, which is the probability that such a pair is ranked correctly.
    """
    first, second, either = (count_patients(patients, rows) for rows in (one, other, one | other))
    return min(first, second, either // 2)


def _interval(value, drawn, tails, trials):
    if np.isnan(value):
        return {"value": None, "low": None, "high": None}
    ends = []
    drawn = np.concatenate(drawn) if drawn else np.zeros(0)
    defined = drawn[~np.isnan(drawn)]
    if len(drawn) and len(defined) >= (1 - tails) * len(drawn):
        ends += np.quantile(defined, [tails / 2, 1 - tails / 2]).tolist()
    if trials and value in (0, 1):  # for 0 or 1 the Clopper-Pearson interval has a closed form
        ends.append(abs(1 - value - (tails / 2) ** (1 / trials)))
    elif not trials and ends and ends[0] == ends[1] == value:
        ends = []
    # Draws of a statistic biased on few rows, such as the calibration error, may all lie on one side of it.
    low, high = (min(*ends, value), max(*ends, value)) if ends else (None, None)
    return {"value": float(value), "low": low, "high": high}
