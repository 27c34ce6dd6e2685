"""The evaluation of one unit, the eye or the patient: every figure, each with its interval, and the curves."""

from typing import NamedTuple

import numpy as np

from eyenet.data.tables import GRADES
from eyenet.model.decision import BALANCED, LEVELS
from eyenet.model.probabilities import log_odds
from eyenet.run.errors import StageError
from eyenet.score.bootstrap import bootstrap, count_pairs, count_patients, count_trials
from eyenet.score.metrics import (
    area_of,
    at_threshold,
    bin_of,
    brier,
    calibration_error,
    confusion,
    precision_of,
    reached,
    reliability_bins,
    roc_auc,
    roc_corners,
    share_called_by_grade,
)

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # of the photographs or patients that a person decides
POINTS = 200  # of a curve, at most
BINS = 10  # of calibration
RATES = ("accuracy", "precision", "sensitivity", "specificity", "npv")
REST = ("accuracy", "sensitivity", "specificity", "auc")  # of what is not referred
WAYS = {"sensitivity_at_specificity": "specificity", "specificity_at_sensitivity": "sensitivity"}


class Rows(NamedTuple):
    """What is known of each row; arrays of shape (n,), the most likely diseased first."""

    truth: np.ndarray
    levels: np.ndarray
    raw: np.ndarray
    calibrated: np.ndarray
    patients: np.ndarray


def evaluate_unit(truth, levels, raw, calibrated, patients, operating_points, draws=2000, seed=0):
    """Evaluate predictions of one unit, the eye or the patient.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    levels : ndarray of int, shape (n,)
        Grades, of a patient the worse eye's.
    raw, calibrated : ndarray of float, shape (n,)
        Probability of disease, as predicted and calibrated; all but "before" is of the calibrated one.
    patients : sequence, shape (n,)
        Whose each row is: for the unit patient, each once.
    operating_points : dict of str to float
        Thresholds on the calibrated probability, chosen on validation; "balanced" is among them.
    draws, seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        A unit of metrics.json. Figures that the rows do not define are None, as is all of them without rows.

    Raises
    ------
    StageError
        If a probability is not a number from 0 to 1.
    """
    for probability in (raw, calibrated):
        require_probabilities(probability)
    order = np.argsort(-np.asarray(calibrated, float), kind="stable")  # sorted here once, and not for each draw
    rows = Rows(*(np.asarray(of)[order] for of in (np.asarray(truth, bool), levels, raw, calibrated, patients)))
    trials = trials_of(rows, operating_points)
    figures = bootstrap(lambda w: figures_of(rows, operating_points, w), rows.patients, draws, seed, trials=trials)

    return lay_out(rows, operating_points, figures)


def lay_out(rows, operating_points, figures):
    """Lay the figures of `figures_of`, with their intervals, out as metrics.json has them."""
    return {
        "count": len(rows.truth),
        "diseased": int(rows.truth.sum()),
        **{name: figures[name] for name in ("auc", "average_precision")},
        **{rate: figures["operating_points", BALANCED, rate] for rate in RATES},
        "confusion": confusion(rows.truth, rows.calibrated >= operating_points[BALANCED]),
        "operating_points": {
            name: {"threshold": float(threshold)} | {rate: figures["operating_points", name, rate] for rate in RATES}
            for name, threshold in operating_points.items()
        },
        "roc": {way: {str(level): figures[way, level] for level in LEVELS} for way in WAYS},
        "by_grade": [
            {"grade": grade, "count": int((rows.levels == grade).sum()), "called": figures["by_grade", grade]}
            for grade in GRADES
        ],
        "calibration": {
            **{when: {name: figures[when, name] for name in ("ece", "brier")} for when in ("before", "after")},
            "bins": bins_of(rows, figures),
        },
        "referral": [
            {"referred": share} | {name: figures["referral", share, name] for name in REST} for share in SHARES
        ],
        "curves": curves_of(rows),
    }


def require_probabilities(probability):
    """Raise a StageError if a probability is not a number from 0 to 1."""
    wrong = ~(abs(np.asarray(probability, float) - 0.5) <= 0.5 + 1e-6)  # sums of float32 may pass 1 by a little
    if wrong.any():
        raise StageError(
            f"{wrong.sum():,} of {len(wrong):,} predicted probabilities are no numbers from 0 to 1, so the network is "
            "damaged or its training failed; train it again"
        )


def figures_of(rows, operating_points, weights):
    """Compute every figure of a unit for draws of its rows; dict of name or tuple to ndarray, shape (draws,)."""
    truth, calibrated = rows.truth, rows.calibrated
    corners = roc_corners(truth, calibrated, weights)
    figures = {"auc": area_of(*corners), "average_precision": precision_of(*corners)}
    for way, given in WAYS.items():
        figures |= {(way, level): reached(*corners, **{given: level}) for level in LEVELS}
    for name, threshold in operating_points.items():
        rates = at_threshold(truth, calibrated >= threshold, weights)
        figures |= {("operating_points", name, rate): value for rate, value in rates.items()}
    called = share_called_by_grade(rows.levels, calibrated >= operating_points[BALANCED], weights, len(GRADES))
    figures |= {("by_grade", grade): called[:, grade] for grade in GRADES}
    for when, probability in (("before", rows.raw), ("after", calibrated)):
        bins = reliability_bins(truth, probability, weights, BINS)
        figures[when, "ece"] = calibration_error(*bins)
        figures[when, "brier"] = brier(truth, probability, weights)
    figures |= {("observed", i): bins[2][:, i] for i in range(BINS)}  # of the calibrated ones, which came last
    rests = referral(truth, calibrated, operating_points[BALANCED], weights, SHARES)
    return figures | {("referral", share, name): rest[name] for share, rest in zip(SHARES, rests) for name in REST}


def trials_of(rows, operating_points):
    """Count the independent patients behind each share of `figures_of`, for the intervals of shares of 0 and 1."""
    truth, patients = rows.truth, rows.patients
    pairs = count_pairs(patients, truth, ~truth)
    # A threshold that this set's own curve gives depends on both classes: the smaller one limits what it can show.
    trials = {"auc": pairs} | {(way, level): pairs for way in WAYS for level in LEVELS}
    for name, threshold in operating_points.items():
        rates = count_trials(patients, truth, rows.calibrated >= threshold)
        trials |= {("operating_points", name, rate): count for rate, count in rates.items()}
    trials |= {("by_grade", grade): count_patients(patients, rows.levels == grade) for grade in GRADES}
    bins = bin_of(rows.calibrated, BINS)
    trials |= {("observed", i): count_patients(patients, bins == i) for i in range(BINS)}
    threshold, plain = operating_points[BALANCED], np.ones((1, len(truth)))
    for share, kept in zip(SHARES, keep_certain(rows.calibrated, threshold, plain, SHARES)):
        left = kept[0] > 0
        rates = count_trials(patients[left], truth[left], rows.calibrated[left] >= threshold)
        rates["auc"] = count_pairs(patients, left & truth, left & ~truth)
        trials |= {("referral", share, name): rates[name] for name in REST}
    return trials


def bins_of(rows, figures):
    """List the bins of calibration that hold rows."""
    count, predicted, _ = reliability_bins(rows.truth, rows.calibrated, np.ones((1, len(rows.truth))), BINS)
    return [
        {"count": int(count[0, i]), "predicted": float(predicted[0, i]), "observed": figures["observed", i]}
        for i in np.flatnonzero(count[0])
    ]


def curves_of(rows):
    """Draw the ROC and the precision-recall curve; empty where a class is missing."""
    diseased, healthy = (c[0] for c in roc_corners(rows.truth, rows.calibrated, np.ones((1, len(rows.truth)))))
    if not (diseased[-1] and healthy[-1]):
        return {"roc": [], "precision_recall": []}
    sensitivity = diseased / diseased[-1]
    precision = np.append(1, diseased[1:] / (diseased + healthy)[1:])
    return {"roc": thin(healthy / healthy[-1], sensitivity), "precision_recall": thin(sensitivity, precision)}


def thin(x, y):
    """Keep at most `POINTS` points of a curve, evenly along its length, so that steep parts keep their shape."""
    length = np.append(0, np.cumsum(abs(np.diff(x)) + abs(np.diff(y))))
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)))
    return np.stack([x, y], axis=1)[kept].round(6).tolist()


def keep_certain(probability, threshold, weights, shares):
    """Take away the least certain share of each draw's weight, for a person to decide [1]_.

    Certainty is the distance of probability and threshold in log-odds. Of rows that are equally certain where the
    share ends each gives the same fraction, so that their order does not count and the share is exact.

    Parameters
    ----------
    probability : ndarray of float, shape (n,)
    threshold : float
    weights : ndarray of float, shape (draws, n)
    shares : sequence of float
        From 0 to below 1.

    Yields
    ------
    ndarray of float, shape (draws, n)
        The weights that are left, one array a share.

    References
    ----------
    .. [1] C. Leibig et al., "Leveraging uncertainty information from deep neural networks for disease detection",
       Scientific Reports, 2017.
    """
    certainty = abs(log_odds(probability) - log_odds(threshold))
    group = np.unique(certainty, return_inverse=True)[1]
    if not len(group):
        yield from [weights] * len(shares)
        return
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(group[order], append=-1))
    below = np.zeros((len(weights), len(ends) + 1))  # of each group, and the total
    below[:, 1:] = np.take(np.cumsum(np.take(weights, order, axis=1), axis=1), ends, axis=1)
    referred = np.round(np.outer(below[:, -1], shares), 9)  # 0.1 of 70 is 7, not 7.000000000000001
    draw, group = np.arange(len(weights)), group.astype(float)
    last = np.stack([np.searchsorted(b, r, side="right") for b, r in zip(below, referred)]) - 1
    for i in range(len(shares)):
        at = last[:, i]  # the group in which the share ends keeps a fraction, those below nothing, those above all
        left = (below[draw, at + 1] - referred[:, i]) / (below[draw, at + 1] - below[draw, at])
        fraction = group - (at - left)[:, None]
        yield np.multiply(weights, fraction.clip(0, 1, out=fraction), out=fraction)


def referral(truth, probability, threshold, weights, shares):
    """Score what is left when the least certain shares go to a person, as `keep_certain` takes them.

    Returns
    -------
    list of dict of str to ndarray of float, shape (draws,)
        One a share: accuracy, sensitivity and specificity at the threshold, and auc.
    """
    called = np.asarray(probability, float) >= threshold
    figures = []
    for kept in keep_certain(probability, threshold, weights, shares):
        rest = at_threshold(truth, called, kept)
        rest = {name: rest[name] for name in ("accuracy", "sensitivity", "specificity")}
        # Rounded: fractions of a row add up inexactly, and a perfect order is to stay 1.
        figures.append(rest | {"auc": roc_auc(truth, probability, kept).round(12)})
    return figures
