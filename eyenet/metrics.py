"""The figures by which a network is judged."""

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve


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
        Midway to the next lower probability, so that rounding moves nobody; 0.5 where `truth` lacks a class.

    References
    ----------
    .. [1] W. J. Youden, "Index for rating diagnostic tests", Cancer, 1950.
    """
    truth, probability = np.asarray(truth, bool), np.asarray(probability, float)
    if truth.all() or not truth.any():
        return 0.5
    false_positive, true_positive, thresholds = roc_curve(truth, probability)
    best = thresholds[np.argmax(true_positive - false_positive)]
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
    confusion = [[int((called[truth == t] == c).sum()) for c in (False, True)] for t in (False, True)]
    (_, false_positive), (false_negative, true_positive) = confusion
    both = truth.any() and not truth.all()
    return {
        "photographs": len(truth),
        "diseased": int(truth.sum()),
        "accuracy": _ratio((called == truth).sum(), len(truth)),
        "precision": _ratio(true_positive, true_positive + false_positive),
        "recall": _ratio(true_positive, true_positive + false_negative),
        "auc": float(roc_auc_score(truth, probability)) if both else None,
        "confusion": confusion,
    }


def _ratio(part, whole):
    return float(part / whole) if whole else None
