"""The figures by which a network is judged, each for many draws of a bootstrap at once.

scikit-learn is imported where it is used: predict.py does not need it, and would wait for it.
"""

import numpy as np

ROUNDING = 1e-9  # of shares: 1 - 0.9 is a little less than 0.1, and 9 of 10 still reach 0.9


def choose_threshold(truth, probability):
    """Choose the threshold with the largest sensitivity + specificity, Youden's index [1]_.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)
        Of validation photographs: a threshold chosen on the test would flatter it.

    Returns
    -------
    float
        Midway to the next lower probability, so that rounding moves nobody; above all of them where calling nobody is
        best; 0.5 where `truth` lacks a class.

    References
    ----------
    .. [1] W. J. Youden, "Index for rating diagnostic tests", Cancer, 1950.
    """
    from sklearn.metrics import roc_curve

    truth, probability = np.asarray(truth, bool), np.asarray(probability, float)
    if truth.all() or not truth.any():
        return 0.5
    false_positive, true_positive, thresholds = roc_curve(truth, probability)
    best = thresholds[np.argmax(true_positive - false_positive)]
    if np.isinf(best):  # to call nobody is best: the order is the wrong way round
        return float((probability.max() + 1) / 2)
    lower = probability[probability < best]
    return float((best + lower.max()) / 2) if len(lower) else float(best)


def score(truth, probability, threshold=0.5):
    """Score probabilities of disease against the truth.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)
    threshold : float
        At or above it the prediction is disease.

    Returns
    -------
    dict
        `photographs`, `diseased` (counts), `accuracy`, `precision`, `recall`, `auc` and `confusion`
        ([[true negative, false positive], [false negative, true positive]]). A figure that the data does not
        define (precision without a positive prediction, AUC of one class) is None.
    """
    truth, called = np.asarray(truth, bool), np.asarray(probability) >= threshold
    plain = np.ones((1, len(truth)))
    rates = at_threshold(truth, called, plain)
    figures = {"accuracy": rates["accuracy"], "precision": rates["precision"], "recall": rates["sensitivity"]}
    figures["auc"] = roc_auc(truth, probability, plain)
    return {
        "photographs": len(truth),
        "diseased": int(truth.sum()),
        **{name: None if np.isnan(value[0]) else float(value[0]) for name, value in figures.items()},
        "confusion": confusion(truth, called),
    }


def confusion(truth, called):
    """Count [[true negative, false positive], [false negative, true positive]] of two bool arrays, shape (n,)."""
    return [[int((called[truth == t] == c).sum()) for c in (False, True)] for t in (False, True)]


def roc_corners(truth, score, weights):
    """Count the diseased and the healthy at or above each score, from none to all: the corners of the ROC curve.

    Equal scores make one step. Of neighbouring scores that only healthy rows have, the lowest alone is kept: the
    others lie on a straight piece of the ROC curve, add nothing to the average precision, and are the most.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    score : ndarray of float, shape (n,)
        The higher, the more likely diseased.
    weights : ndarray of float, shape (draws, n)
        How often each draw of a bootstrap holds each row; ``np.ones((1, n))`` for the rows as they are.

    Returns
    -------
    diseased, healthy : ndarray of float, shape (draws, corners)
        Non-decreasing along a row; the first column is 0, the last holds all.
    """
    truth, score = np.asarray(truth, bool), np.asarray(score, float)
    if (score[1:] > score[:-1]).any():
        order = np.argsort(-score, kind="stable")
        truth, score, weights = truth[order], score[order], np.take(weights, order, axis=1)
    ends = np.flatnonzero(np.diff(score, append=-np.inf))  # the last row of each score
    any_diseased = np.diff(np.cumsum(truth)[ends], prepend=0) > 0
    ends = ends[any_diseased | np.append(any_diseased[1:], True)[: len(ends)]]
    counts = []
    for rows in (truth, ~truth):
        above = np.zeros((len(weights), np.count_nonzero(rows) + 1))
        np.cumsum(weights[:, rows], axis=1, out=above[:, 1:])
        counts.append(np.take(above, np.append(0, np.cumsum(rows)[ends]), axis=1))
    return counts


def roc_auc(truth, score, weights):
    """Compute the area under the ROC curve, ties counting half.

    Parameters are those of `roc_corners`, here and wherever they have these names. Returns an ndarray of float, shape
    (draws,), NaN where a draw lacks a class, as do all the functions below where a figure is not defined.
    """
    return area_of(*roc_corners(truth, score, weights))


def area_of(diseased, healthy):
    """Compute the area under the ROC curve from its corners."""
    area = np.einsum("ij,ij->i", np.diff(healthy), diseased[:, 1:] + diseased[:, :-1]) / 2
    return _divide(area, diseased[:, -1] * healthy[:, -1])


def average_precision(truth, score, weights):
    """Compute the average precision, the sum of precision times gain in recall over all distinct scores [1]_.

    As scikit-learn's, without interpolation; NaN where a draw lacks a class.

    References
    ----------
    .. [1] T. Saito and M. Rehmsmeier, "The precision-recall plot is more informative than the ROC plot when evaluating
       binary classifiers on imbalanced datasets", PLoS ONE, 2015.
    """
    return precision_of(*roc_corners(truth, score, weights))


def precision_of(diseased, healthy):
    """Compute the average precision from the corners of the ROC curve."""
    above = diseased[:, 1:] + healthy[:, 1:]
    precision = np.divide(diseased[:, 1:], above, out=above, where=above > 0)  # where none is above, recall gains none
    total = np.einsum("ij,ij->i", np.diff(diseased), precision)
    return _divide(total, diseased[:, -1] * (healthy[:, -1] > 0))


def sensitivity_at_specificity(truth, score, weights, specificity):
    """Find the largest sensitivity of the thresholds that reach a specificity; nothing is interpolated."""
    return reached(*roc_corners(truth, score, weights), specificity=specificity)


def specificity_at_sensitivity(truth, score, weights, sensitivity):
    """Find the largest specificity of the thresholds that reach a sensitivity; nothing is interpolated."""
    return reached(*roc_corners(truth, score, weights), sensitivity=sensitivity)


def reached(diseased, healthy, specificity=None, sensitivity=None):
    """Find, from the corners of the ROC curve, the best of the one figure where the other is at least as given."""
    both = (diseased[:, -1] > 0) & (healthy[:, -1] > 0)
    if specificity is not None:
        most = (1 - specificity + ROUNDING) * healthy[:, -1:]
        corner = (healthy <= most).sum(axis=1) - 1
        return _divide(diseased[np.arange(len(corner)), corner], diseased[:, -1] * both)
    least = (sensitivity - ROUNDING) * diseased[:, -1:]
    corner = (diseased < least).sum(axis=1)
    return 1 - _divide(healthy[np.arange(len(corner)), corner], healthy[:, -1] * both)


def at_threshold(truth, called, weights):
    """Compute accuracy, precision, sensitivity, specificity and npv (negative predictive value) of calls.

    Parameters
    ----------
    truth, called : ndarray of bool, shape (n,)
    weights : ndarray of float, shape (draws, n)

    Returns
    -------
    dict of str to ndarray of float, shape (draws,)
    """
    truth, called = np.asarray(truth, bool), np.asarray(called, bool)
    cells = np.stack([~truth & ~called, ~truth & called, truth & ~called, truth & called], axis=1)
    right_healthy, false_alarm, missed, found = (weights @ cells.astype(float)).T
    return {
        "accuracy": _divide(right_healthy + found, right_healthy + false_alarm + missed + found),
        "precision": _divide(found, found + false_alarm),
        "sensitivity": _divide(found, found + missed),
        "specificity": _divide(right_healthy, right_healthy + false_alarm),
        "npv": _divide(right_healthy, right_healthy + missed),
    }


def brier(truth, probability, weights):
    """Compute the Brier score, the mean squared distance of probability and truth."""
    squared = (np.asarray(probability, float) - np.asarray(truth, bool)) ** 2
    return _divide(weights @ squared, weights.sum(axis=1))


def reliability_bins(truth, probability, weights, bins=10):
    """Sort rows by probability into bins of equal width, each with its lower end.

    Returns
    -------
    count, predicted, observed : ndarray of float, shape (draws, bins)
        Weight, mean probability and share of diseased; the last two NaN in empty bins.
    """
    truth, probability = np.asarray(truth, bool), np.asarray(probability, float)
    inside = bin_of(probability, bins)[:, None] == np.arange(bins)
    count, predicted, observed = (weights @ (inside * of[:, None]) for of in (np.ones(len(truth)), probability, truth))
    return count, _divide(predicted, count), _divide(observed, count)


def bin_of(probability, bins):
    """Find the bin of each probability; the last holds 1 too."""
    return np.minimum((probability * bins).astype(int), bins - 1)


def expected_calibration_error(truth, probability, weights, bins=10):
    """Compute the mean distance of predicted and observed over bins of equal width, weighted by count [1]_.

    It is biased upwards: of finitely many rows even perfect probabilities have some, and draws of them have more.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
       binning", AAAI, 2015.
    """
    return calibration_error(*reliability_bins(truth, probability, weights, bins))


def calibration_error(count, predicted, observed):
    """Compute the expected calibration error from the bins."""
    return _divide(np.nansum(count * abs(observed - predicted), axis=1), count.sum(axis=1))


def quadratic_kappa(grade, predicted, weights, grades=5):
    """Compute Cohen's kappa with quadratic weights [1]_; NaN where one grade is all there is.

    Parameters
    ----------
    grade, predicted : ndarray of int, shape (n,)
        From 0 to below `grades`.
    weights : ndarray of float, shape (draws, n)
    grades : int

    Returns
    -------
    ndarray of float, shape (draws,)

    References
    ----------
    .. [1] J. Cohen, "Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial
       credit", Psychological Bulletin, 1968.
    """
    pair = np.asarray(grade, int) * grades + np.asarray(predicted, int)
    table = (weights @ (pair[:, None] == np.arange(grades**2)).astype(float)).reshape(-1, grades, grades)
    distance = np.subtract.outer(np.arange(grades), np.arange(grades)) ** 2
    chance = np.einsum("dg,dp,gp->d", table.sum(axis=2), table.sum(axis=1), distance)
    return 1 - _divide((table * distance).sum(axis=(1, 2)) * table.sum(axis=(1, 2)), chance)


def share_called_by_grade(grade, called, weights, grades=5):
    """Compute the share of each grade that is called diseased; ndarray of float, shape (draws, grades)."""
    of_grade = (np.asarray(grade, int)[:, None] == np.arange(grades)).astype(float)
    return _divide(weights @ (of_grade * np.asarray(called, bool)[:, None]), weights @ of_grade)


def _divide(part, whole):
    """Divide; NaN where the whole is nothing."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)
