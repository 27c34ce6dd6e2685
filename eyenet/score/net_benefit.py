"""Decision curves: whether referring by a network does more good than referring everybody or nobody."""

import numpy as np
from scipy.special import stdtrit

from eyenet.score.intervals import LEVEL, figure, mean_variance, share_with_interval

THRESHOLDS = tuple(percent / 100 for percent in range(2, 62, 2))


def net_benefit(truth, called, patients, threshold, level=LEVEL):
    """Compute the net benefit of referring the rows that are called [1]_.

    A true positive counts 1, and a false positive counts against it by threshold / (1 - threshold): a clinic that
    refers from a probability of 0.2 on accepts four false positives for a true one. Referring nobody has a net benefit
    of 0.

    Parameters
    ----------
    truth, called : ndarray of bool, shape (n,)
    patients : sequence, shape (n,)
    threshold : float
        Probability of disease from which the clinic wants a referral; above 0 and below 1.
    level : float
        Confidence level.

    Returns
    -------
    dict
        A `figure`, per row, with a Wald interval with the variance over patients and Student's t; without an interval
        if there is one patient, and None throughout without rows.

    References
    ----------
    .. [1] A. J. Vickers and E. B. Elkin, "Decision curve analysis: a novel method for evaluating prediction models",
       Medical Decision Making, 2006.
    """
    if not len(truth):
        return figure(np.nan)
    values = np.asarray(called) * np.where(truth, 1.0, -threshold / (1 - threshold))
    value, clusters = float(values.mean()), len(np.unique(patients))
    if clusters < 2:
        return figure(value)
    error = np.sqrt(mean_variance(values - value, patients, np.ones(len(values))))
    half = stdtrit(clusters - 1, (1 + level) / 2) * error
    return figure(value, value - half, value + half)


def decision_curve(truth, probability, patients):
    """Compare referring from each of `THRESHOLDS` on with referring everybody and nobody.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)
        Calibrated.
    patients : sequence, shape (n,)

    Returns
    -------
    list of dict
        `threshold`; the net benefits `network` and `everybody`; and the shares with disease of those `referred` and
        `not_referred`. The network is better than referring nobody if the first share is above the threshold, and
        better than referring everybody if the second is below it: their intervals, unlike that of a net benefit, hold
        where few are referred or nearly all are.
    """
    curve, everybody = [], np.ones(len(truth), bool)
    for threshold in THRESHOLDS:
        called = np.asarray(probability) >= threshold
        curve.append(
            {
                "threshold": threshold,
                "network": net_benefit(truth, called, patients, threshold),
                "everybody": net_benefit(truth, everybody, patients, threshold),
                "referred": share_with_interval(truth, patients, called),
                "not_referred": share_with_interval(truth, patients, ~called),
            }
        )
    return curve
