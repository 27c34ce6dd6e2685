"""Calibrate a network's probabilities.

SciPy is imported in the function that needs it, because it is slow to import and predict.py does not use it.
"""

import numpy as np

LEAST_PROBABILITY = 2.0**-25  # half the float32 spacing below 1: log-odds of 17 instead of infinity


def fit_calibration(truth, probability):
    """Fit temperature [1]_ and shift by maximum likelihood on validation rows.

    The temperature corrects overconfidence, the shift the class balance of training, which gives both classes equal
    weight. Together they are Platt scaling [2]_. Its smoothed targets, short of 0 and 1, make the optimum unique and
    finite even when the classes are separable.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)

    Returns
    -------
    temperature : float
        From 0.1 to 10; above 1 for an overconfident network. 1 if the rows lack a class.
    shift : float
        Added to the log-odds, from -10 to 10. 0 if the rows lack a class.

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
    """Invert `calibrate`: find the network's own probability; ndarray of float, shape (n,)."""
    return expit((log_odds(probability) - shift) * temperature)


def log_odds(probability):
    """Compute log(p / (1 - p)), kept finite by clipping probabilities of 0 and 1."""
    certain = np.clip(np.asarray(probability, float), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(certain) - np.log1p(-certain)


def expit(odds):
    """Convert log-odds to probabilities: 1 / (1 + exp(-odds)), without overflow."""
    return np.exp(-np.logaddexp(0, -np.asarray(odds, float)))
