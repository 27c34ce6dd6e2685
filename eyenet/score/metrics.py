"""The metrics of a network, each computed for many bootstrap draws at once, and their display names.

scikit-learn is imported inside the function that needs it, because predict.py does not need it and its import is slow.
"""

import numpy as np

ROUNDING = 1e-9  # tolerance for fractions: 1 - 0.9 is slightly less than 0.1, and 9 of 10 must still reach 0.9
METRIC_NAMES = {  # key in metrics.json: name in full, name in a column heading
    "auc": ("ROC AUC", "AUC"),
    "average_precision": ("average precision", "average precision"),
    "sensitivity": ("sensitivity (recall)", "sensitivity"),
    "specificity": ("specificity", "specificity"),
    "precision": ("precision (PPV)", "precision"),
    "npv": ("negative predictive value (NPV)", "NPV"),
    "accuracy": ("accuracy", "accuracy"),
    "recall": ("recall (sensitivity)", "recall"),
    "ece": ("expected calibration error (ECE)", "ECE"),
    "brier": ("Brier score", "Brier score"),
    "slope": ("calibration slope", "slope"),
    "intercept": ("calibration intercept", "intercept"),
    "kappa": ("quadratic weighted kappa", "kappa"),
}

CALIBRATION = ("slope", "intercept", "brier", "ece")  # keys of the figures of the calibration, as they are listed


def choose_threshold(truth, probability):
    """Choose the threshold with the largest sensitivity + specificity, Youden's index [1]_.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)
        Of validation photographs; a threshold chosen on the test set would bias its figures upwards.

    Returns
    -------
    float
        The midpoint to the next lower probability, so that rounding changes no prediction; above every probability if
        predicting no disease at all is best; 0.5 if `truth` lacks a class.

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
    if np.isinf(best):  # the ranking is worse than random: predict no disease
        return float((probability.max() + 1) / 2)
    lower = probability[probability < best]
    return float((best + lower.max()) / 2) if len(lower) else float(best)


def score(truth, probability, threshold=0.5):
    """Score probabilities of disease against the true classes.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)
    threshold : float
        A probability at or above it is a positive prediction.

    Returns
    -------
    dict
        `photographs`, `diseased` (counts), `accuracy`, `precision`, `recall`, `auc` and `confusion`
        ([[true negative, false positive], [false negative, true positive]]). An undefined metric (precision without
        a positive prediction, AUC of one class) is None.
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

    Equal scores make one step. Of consecutive scores that only healthy rows have, the lowest is kept: the others, most
    of all scores, lie on a straight segment of the ROC curve and do not change the average precision.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    score : ndarray of float, shape (n,)
        The higher, the more likely diseased.
    weights : ndarray of float, shape (draws, n)
        How often each bootstrap draw contains each row; ``np.ones((1, n))`` for the rows themselves.

    Returns
    -------
    diseased, healthy : ndarray of float, shape (draws, corners)
        Non-decreasing along each row; the first column is 0, the last is the total.
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

    The parameters are those of `roc_corners`. Returns an ndarray of float, shape (draws,), NaN where a draw lacks a
    class. The functions below share these parameters, and return NaN where a metric is undefined.
    """
    return area_of(*roc_corners(truth, score, weights))


def area_of(diseased, healthy):
    """Compute the area under the ROC curve from its corners."""
    area = np.einsum("ij,ij->i", np.diff(healthy), diseased[:, 1:] + diseased[:, :-1]) / 2
    return _divide(area, diseased[:, -1] * healthy[:, -1])


def average_precision(truth, score, weights):
    """Compute the average precision, the sum of precision times gain in recall over all distinct scores [1]_.

    Equal to scikit-learn's, without interpolation; NaN where a draw lacks a class.

    References
    ----------
    .. [1] T. Saito and M. Rehmsmeier, "The precision-recall plot is more informative than the ROC plot when evaluating
       binary classifiers on imbalanced datasets", PLoS ONE, 2015.
    """
    return precision_of(*roc_corners(truth, score, weights))


def precision_of(diseased, healthy):
    """Compute the average precision from the corners of the ROC curve."""
    above = diseased[:, 1:] + healthy[:, 1:]
    precision = np.divide(diseased[:, 1:], above, out=above, where=above > 0)  # an empty draw gains no recall
    total = np.einsum("ij,ij->i", np.diff(diseased), precision)
    return _divide(total, diseased[:, -1] * (healthy[:, -1] > 0))


def reached(diseased, healthy, specificity=None, sensitivity=None):
    """Find the best sensitivity at a given specificity, or the reverse, from the corners; without interpolation."""
    both = (diseased[:, -1] > 0) & (healthy[:, -1] > 0)
    if specificity is not None:
        most = (1 - specificity + ROUNDING) * healthy[:, -1:]
        corner = (healthy <= most).sum(axis=1) - 1
        return _divide(diseased[np.arange(len(corner)), corner], diseased[:, -1] * both)
    least = (sensitivity - ROUNDING) * diseased[:, -1:]
    corner = (diseased < least).sum(axis=1)
    return 1 - _divide(healthy[np.arange(len(corner)), corner], healthy[:, -1] * both)


def at_threshold(truth, called, weights):
    """Compute accuracy, precision, sensitivity, specificity and npv (negative predictive value) of predictions.

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
    tn, fp, fn, tp = (weights @ cells.astype(float)).T
    return {
        "accuracy": _divide(tn + tp, tn + fp + fn + tp),
        "precision": _divide(tp, tp + fp),
        "sensitivity": _divide(tp, tp + fn),
        "specificity": _divide(tn, tn + fp),
        "npv": _divide(tn, tn + fn),
    }


def quadratic_kappa(grade, predicted, weights, grades=5):
    """Compute Cohen's kappa with quadratic weights [1]_; NaN if there is only one grade.

    Parameters
    ----------
    grade, predicted : ndarray of int, shape (n,)
        From 0 to `grades` - 1.
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


def _divide(part, whole):
    """Divide; NaN where the denominator is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)
