"""Confidence intervals from a bootstrap over patients, whose photographs are drawn together.

For figures without a closed form (`eyenet.score.intervals`): average precision, kappa, points of the ROC curve.
"""

from contextlib import nullcontext

import numpy as np
from threadpoolctl import threadpool_limits

from eyenet.run.workers import cores, for_each
from eyenet.score.intervals import LEVEL, figure, perfect_limit

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


def bootstrap(statistics, patients, draws=2000, seed=0, level=LEVEL, trials=None):
    """Compute statistics with percentile intervals from a bootstrap over patients [1]_.

    The bootstrap interval collapses where every draw repeats one value. A proportion is given a number of `trials`: its
    interval is extended to the Clopper-Pearson limits of 0 and 1 in these trials [2]_, so that no error improves a
    limit. Any other statistic, such as a kappa, has no interval then. Draws in which a statistic is undefined are left
    out. If their fraction exceeds 1 - `level`, the two tails together, there is no interval.

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
        Number of independent patients behind each proportion, such as `eyenet.score.intervals.count_pairs`. A
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


def _interval(value, drawn, tails, trials):
    if np.isnan(value):
        return figure(value)
    drawn = np.concatenate(drawn) if drawn else np.zeros(0)
    defined = drawn[~np.isnan(drawn)]
    low = high = np.nan
    if len(drawn) and len(defined) >= (1 - tails) * len(drawn):
        low, high = np.quantile(defined, [tails / 2, 1 - tails / 2])
        low, high = min(low, value), max(high, value)  # draws of a biased statistic may all lie on one side of it
    elif trials and value in (0, 1):
        low = high = value
    if trials:
        limit = perfect_limit(trials, 1 - tails)
        low, high = np.minimum(low, limit), np.maximum(high, 1 - limit)  # NaN where there is no interval
    elif low == high:
        low = high = np.nan
    return figure(value, low, high)
