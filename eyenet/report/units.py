"""Evaluate one unit (eye or patient): all figures with their intervals, and the curves."""

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

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # of photographs or patients that are referred to a person
POINTS = 200  # maximum per curve
BINS = 10  # of the calibration curve
RATES = ("accuracy", "precision", "sensitivity", "specificity", "npv")
REST = ("accuracy", "sensitivity", "specificity", "auc")  # figures of the rows that are not referred
WAYS = {"sensitivity_at_specificity": "specificity", "specificity_at_sensitivity": "sensitivity"}


class Rows(NamedTuple):
    """The data of each row; arrays of shape (n,), sorted from the highest to the lowest calibrated probability."""

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
        Grades; for a patient, the grade of the worse eye.
    raw, calibrated : ndarray of float, shape (n,)
        Probability of disease, as predicted and after calibration; only the figures "before" use `raw`.
    patients : sequence, shape (n,)
        Patient of each row; if the unit is the patient, each occurs once.
    operating_points : dict of str to float
        Thresholds on the calibrated probability, chosen on validation; "balanced" is among them.
    draws, seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        A unit of metrics.json. Undefined figures are None; without rows, all are.

    Raises
    ------
    StageError
        If a probability is not a number from 0 to 1.
    """
    for probability in (raw, calibrated):
        require_probabilities(probability)
    order = np.argsort(-np.asarray(calibrated, float), kind="stable")  # sorted once, not for each draw
    rows = Rows(*(np.asarray(values)[order] for values in (np.asarray(truth, bool), levels, raw, calibrated, patients)))
    trials = trials_of(rows, operating_points)
    figures = bootstrap(lambda w: figures_of(rows, operating_points, w), rows.patients, draws, seed, trials=trials)

    return lay_out(rows, operating_points, figures)


def lay_out(rows, operating_points, figures):
    """Arrange the figures of `figures_of` and their intervals as in metrics.json."""
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
    wrong = ~(abs(np.asarray(probability, float) - 0.5) <= 0.5 + 1e-6)  # sums of float32 may slightly exceed 1
    if wrong.any():
        raise StageError(
            f"{wrong.sum():,} of {len(wrong):,} predicted probabilities are not numbers from 0 to 1, so the network "
            "is damaged or its training failed; train it again"
        )


def figures_of(rows, operating_points, weights):
    """Compute all figures of a unit for each bootstrap draw; dict of name or tuple to ndarray, shape (draws,)."""
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
    figures |= {("observed", i): bins[2][:, i] for i in range(BINS)}  # calibrated, from the last iteration
    rests = referral(truth, calibrated, operating_points[BALANCED], weights, SHARES)
    return figures | {("referral", share, name): rest[name] for share, rest in zip(SHARES, rests) for name in REST}


def trials_of(rows, operating_points):
    """Count the independent patients behind each proportion of `figures_of`, for intervals of proportions 0 and 1."""
    truth, patients = rows.truth, rows.patients
    pairs = count_pairs(patients, truth, ~truth)
    # These thresholds are read from this set's own ROC curve and depend on both classes, so the smaller class counts.
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
    """List the calibration bins that are not empty."""
    count, predicted, _ = reliability_bins(rows.truth, rows.calibrated, np.ones((1, len(rows.truth))), BINS)
    return [
        {"count": int(count[0, i]), "predicted": float(predicted[0, i]), "observed": figures["observed", i]}
        for i in np.flatnonzero(count[0])
    ]


def curves_of(rows):
    """Compute the ROC and the precision-recall curve; both are empty if a class is missing."""
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
    """Remove the least certain share of each draw's weight, which is referred to a person [1]_.

    Certainty is the distance between probability and threshold in log-odds. Rows that tie at the end of the share all
    lose the same fraction, so the share is exact and does not depend on their order.

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
        The remaining weights, one array per share.

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
    below = np.zeros((len(weights), len(ends) + 1))  # weight below each group, and the total
    below[:, 1:] = np.take(np.cumsum(np.take(weights, order, axis=1), axis=1), ends, axis=1)
    referred = np.round(np.outer(below[:, -1], shares), 9)  # 0.1 of 70 is 7, not 7.000000000000001
    draw, group = np.arange(len(weights)), group.astype(float)
    last = np.stack([np.searchsorted(b, r, side="right") for b, r in zip(below, referred)]) - 1
    for i in range(len(shares)):
        at = last[:, i]  # the group at the end of the share keeps a fraction, groups below nothing, groups above all
        left = (below[draw, at + 1] - referred[:, i]) / (below[draw, at + 1] - below[draw, at])
        fraction = group - (at - left)[:, None]
        yield np.multiply(weights, fraction.clip(0, 1, out=fraction), out=fraction)


def referral(truth, probability, threshold, weights, shares):
    """Score the rows that are left when `keep_certain` has removed the least certain share.

    Returns
    -------
    list of dict of str to ndarray of float, shape (draws,)
        One per share: accuracy, sensitivity and specificity at the threshold, and auc.
    """
    called = np.asarray(probability, float) >= threshold
    figures = []
    for kept in keep_certain(probability, threshold, weights, shares):
        rest = at_threshold(truth, called, kept)
        rest = {name: rest[name] for name in ("accuracy", "sensitivity", "specificity")}
        # Rounded: fractions of a row add up inexactly, and the AUC of a perfect order must stay 1.
        figures.append(rest | {"auc": roc_auc(truth, probability, kept).round(12)})
    return figures
