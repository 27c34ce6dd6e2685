"""What is made of a network's probabilities: they are calibrated, and those of a patient's photographs fused.

SciPy is imported where it is used: predict.py does not need it, and would wait for it.
"""

import numpy as np

LEAST_PROBABILITY = 2.0**-25  # half of what float32 can tell from 1: log-odds of 17 instead of infinity


def fit_calibration(truth, probability):
    """Fit the temperature [1]_ and the shift that make probabilities of validation rows the most likely.

    The temperature corrects how sure a network is, the shift how much disease it has been shown: training weighs the
    classes alike, so the network takes disease to be as common as health. Both together are Platt's scaling [2]_, and
    the targets are his: short of 0 and 1 by what so few rows leave open, so that there is always one best fit.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)

    Returns
    -------
    temperature : float
        From 0.1 to 10; above 1 the network was too sure of itself. 1 where the rows lack a class.
    shift : float
        Of the log-odds, from -10 to 10. 0 where the rows lack a class.

    References
    ----------
    .. [1] C. Guo et al., "On calibration of modern neural networks", ICML, 2017.
    .. [2] J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood
       methods", Advances in Large Margin Classifiers, 1999.
    """
    from scipy.optimize import minimize

    truth, odds = np.asarray(truth, bool), log_odds(probability)
    if truth.all() or not truth.any():
        return 1.0, 0.0
    target = np.where(truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2))

    def loss(parameters):  # convex in sharpness and shift
        fitted = parameters[0] * odds + parameters[1]
        error = expit(fitted) - target
        return (np.logaddexp(0, fitted) - target * fitted).mean(), np.array([(error * odds).mean(), error.mean()])

    found = minimize(loss, [1.0, 0.0], jac=True, bounds=[(0.1, 10), (-10, 10)], method="L-BFGS-B", tol=1e-12)
    sharpness, shift = found.x
    return float(1 / sharpness), float(shift)


def calibrate(probability, temperature, shift=0.0):
    """Divide log-odds by a temperature and shift them; ndarray of float, shape (n,)."""
    return expit(log_odds(probability) / temperature + shift)


def uncalibrate(probability, temperature, shift=0.0):
    """Find the network's own probability that `calibrate` makes into this one; ndarray of float, shape (n,)."""
    return expit((log_odds(probability) - shift) * temperature)


def fuse(patients, values, rule):
    """Fuse what the photographs of each patient say into one value.

    Parameters
    ----------
    patients : sequence, shape (n,)
    values : ndarray of float, shape (n,)
        Probabilities; with "max" also grades, of which the worse eye's is the patient's.
    rule : {"mean", "max", "noisy_or"}
        "noisy_or" is the probability that at least one is diseased, were they independent.

    Returns
    -------
    patients : ndarray, shape (p,)
        Each once, sorted.
    fused : ndarray, shape (p,)
    """
    values = np.asarray(values)
    unique, index, count = np.unique(np.asarray(patients), return_inverse=True, return_counts=True)
    values, starts = values[np.argsort(index, kind="stable")], np.cumsum(count) - count
    if not len(values):
        return unique, values
    if rule == "max":
        return unique, np.maximum.reduceat(values, starts)
    if rule == "mean":
        return unique, np.add.reduceat(values, starts) / count
    return unique, 1 - np.multiply.reduceat(1 - values, starts)


def log_odds(probability):
    """Compute log(p / (1 - p)), kept finite: certain probabilities are taken as not quite certain."""
    certain = np.clip(np.asarray(probability, float), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(certain) - np.log1p(-certain)


def expit(odds):
    """Turn log-odds back into probabilities: 1 / (1 + exp(-odds)), which does not overflow."""
    return np.exp(-np.logaddexp(0, -np.asarray(odds, float)))
