"""The figures by which a network is judged."""

import numpy as np
from sklearn.metrics import roc_auc_score


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
