"""Calibration: whether 30 of 100 cases with a predicted probability of 30 % have the disease."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, stdtrit

from eyenet.score.intervals import LEVEL, count_patients, figure, mean_with_interval


def calibration_figures(truth, probability, log_odds, patients):
    """Compute all figures of the calibration of probabilities.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)
    log_odds : ndarray of float, shape (n,)
        Of `probability`, finite.
    patients : sequence, shape (n,)

    Returns
    -------
    dict of str to dict
        A `figure` each: `ece`, which has no interval (see `calibration_error`), `brier`, `slope` and `intercept`.
    """
    return {
        "ece": figure(calibration_error(truth, probability)),
        "brier": mean_with_interval((truth - np.asarray(probability, float)) ** 2, patients),
        **recalibration(truth, log_odds, patients),
    }


def recalibration(truth, log_odds, patients, level=LEVEL):
    """Fit how the observed frequency of disease follows the predicted log-odds: calibration slope and intercept [1]_.

    The slope is that of a logistic regression of the truth on the log-odds: 1 is perfect, below 1 the probabilities are
    too extreme. The intercept is fitted with a slope of 1: 0 is perfect, below 0 the probabilities are too high. The
    intervals are Wald intervals with the variance over patients [2]_ and the quantile of Student's t with the patients
    of the smaller class less one as degrees of freedom.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    log_odds : ndarray of float, shape (n,)
        Finite.
    patients : sequence, shape (n,)
    level : float
        Confidence level.

    Returns
    -------
    dict of str to dict
        `slope` and `intercept`, each a `figure`. Both are undefined without both classes, the slope also where one
        log-odds separates the classes. Without two patients of each class there is no interval.

    References
    ----------
    .. [1] B. Van Calster et al., "Calibration: the Achilles heel of predictive analytics", BMC Medicine, 2019.
    .. [2] K.-Y. Liang and S. L. Zeger, "Longitudinal data analysis using generalized linear models", Biometrika, 1986.
    """
    truth, log_odds = np.asarray(truth, bool), np.asarray(log_odds, float)
    fitted = {"slope": figure(np.nan), "intercept": figure(np.nan)}
    if truth.all() or not truth.any():
        return fitted
    smaller = min(count_patients(patients, truth), count_patients(patients, ~truth))
    quantile = stdtrit(smaller - 1, (1 + level) / 2) if smaller > 1 else np.nan
    ones = np.ones((len(truth), 1))
    fitted["intercept"] = _fit(truth, ones, log_odds, patients, quantile)
    if not _separated(truth, log_odds):
        fitted["slope"] = _fit(truth, np.column_stack([log_odds, ones]), np.zeros(len(truth)), patients, quantile)
    return fitted


def _separated(truth, log_odds):
    """Tell whether one value separates the classes, in either order, so that no slope is the most likely."""
    diseased, healthy = log_odds[truth], log_odds[~truth]
    return diseased.min() >= healthy.max() or healthy.min() >= diseased.max()


def _fit(truth, columns, offset, patients, quantile):
    """Fit a logistic regression by maximum likelihood; return the first coefficient as a `figure`."""

    def odds(coefficients):
        return offset + columns @ coefficients

    def loss(coefficients):
        return np.logaddexp(0, odds(coefficients)).mean() - (truth * odds(coefficients)).mean()

    def gradient(coefficients):
        return columns.T @ (expit(odds(coefficients)) - truth) / len(truth)

    def information(coefficients):
        fitted = expit(odds(coefficients))
        return (columns.T * (fitted * (1 - fitted))) @ columns / len(truth)

    start = np.zeros(columns.shape[1])
    found = minimize(loss, start, jac=gradient, hess=information, method="trust-exact", options={"gtol": 1e-9}).x
    inverse = np.linalg.pinv(information(found))
    patients = np.unique(np.asarray(patients), return_inverse=True)[1]
    residuals = (expit(odds(found)) - truth) / len(truth)
    scores = np.column_stack([np.bincount(patients, residuals * column) for column in columns.T])
    variance = inverse @ (scores.T @ scores) @ inverse * len(scores) / max(1, len(scores) - 1)
    half = quantile * np.sqrt(variance[0, 0])
    return figure(found[0], found[0] - half, found[0] + half)


def reliability_bins(probability, bins=10):
    """Assign rows to probability bins of equal width, each including its lower edge, the last also 1.

    Returns
    -------
    list of ndarray of bool, shape (n,)
        The rows of each bin.
    """
    inside = np.minimum((np.asarray(probability, float) * bins).astype(int), bins - 1)
    return [inside == i for i in range(bins)]


def calibration_error(truth, probability, bins=10):
    """Compute the mean absolute difference of predicted and observed over the bins, weighted by count (ECE) [1]_.

    It has no interval: it is biased upwards, perfect probabilities have a positive error on finitely many rows, and
    bootstrap draws of these rows have a larger one, so that a bootstrap interval would resample the bias.

    Returns
    -------
    float
        NaN without rows.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
       binning", AAAI, 2015.
    """
    if not len(truth):
        return np.nan
    difference = np.asarray(truth, float) - probability
    return sum(abs(difference[rows].sum()) for rows in reliability_bins(probability, bins)) / len(truth)
