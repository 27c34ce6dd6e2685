"""Intervals of figures: a bootstrap over patients, whose photographs are drawn together."""

from contextlib import nullcontext

import numpy as np
from threadpoolctl import threadpool_limits

from eyenet.run.workers import cores, for_each

CHUNK = 4 * 2**20  # bytes of weights that are worked on at a time; they should stay in the cache


def draw_patients(patients, draws, seed):
    """Draw as many patients as there are, with replacement; all rows of a patient come along [1]_.

    Parameters
    ----------
    patients : sequence, shape (n,)
        Whose each row is.
    draws : range
        Numbers of the draws. Each has its own random numbers: what it holds depends on its number and the seed only.
    seed : int

    Returns
    -------
    ndarray of float, shape (len(draws), n)
        How often each draw holds each row.

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
    """Give figures with the percentile intervals of a bootstrap over patients [1]_.

    Every draw repeats a share of exactly 0 or 1, and [1, 1] would claim a certainty that six patients cannot give: the
    interval of such a share reaches at least as far as the exact binomial one of its `trials` [2]_. Draws in which a
    figure is not defined are left out; if there are more of them than both tails of the interval hold, what they might
    be could fill a tail, and there is no interval.

    Parameters
    ----------
    statistics : callable
        Takes weights, float of shape (draws, n), and gives a dict of name to ndarray of float, shape (draws,), NaN
        where not defined. Called from several threads.
    patients : sequence, shape (n,)
        Whose each row is.
    draws, seed : int
    level : float
        Share of such intervals that hold the truth.
    trials : dict of name to int, optional
        Of how many independent patients a figure is a share, as `count_trials` and `count_pairs` count them. A figure
        that is not named has no interval where every draw repeats 0 or 1.

    Returns
    -------
    dict of name to dict
        `value`, `low` and `high`, each a float, or None where the data does not define it.

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
        # Threads work on chunks; were the matrix products to start more of their own, they would be in the way.
        with threadpool_limits(1, "blas") if len(chunks) > 1 else nullcontext():
            work = for_each(lambda c: statistics(draw_patients(patients, c, seed)), chunks, min(cores(), 8), None)
            drawn = [figures for _, figures in work]
    return {
        name: _interval(value[0], [figures[name] for figures in drawn], 1 - level, (trials or {}).get(name))
        for name, value in values.items()
    }


def count_patients(patients, rows):
    """Count the patients who have one of some rows: the trials of a share of these rows."""
    return len(np.unique(np.asarray(patients)[rows]))


def count_trials(patients, truth, called):
    """Count the patients behind each rate of `metrics.at_threshold`: the trials of `bootstrap`, by name."""
    of = {"accuracy": np.ones_like(truth), "precision": called, "npv": ~called}
    of |= {"sensitivity": truth, "specificity": ~truth}
    return {rate: count_patients(patients, rows) for rate, rows in of.items()}


def count_pairs(patients, one, other):
    """Count disjoint pairs of patients, of whom the first has one of some rows, the second one of the others.

    They are the trials of an AUC, the probability that such a pair is in the right order.
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
    if value in (0, 1):
        if trials:  # with no failure, or nothing but failures, Clopper's and Pearson's interval has a closed form
            ends.append(abs(1 - value - (tails / 2) ** (1 / trials)))
        elif len(set(ends)) < 2:
            ends = []
    # Draws of a figure that is biased in few rows, as the calibration error is, may all lie on one side of it.
    low, high = (min(*ends, value), max(*ends, value)) if ends else (None, None)
    return {"value": float(value), "low": low, "high": high}
