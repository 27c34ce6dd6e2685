"""Evaluate one unit (eye or patient): all figures with their intervals, and the curves."""

from typing import NamedTuple

import numpy as np

from eyenet.data.tables import GRADES
from eyenet.model.decision import LEVELS
from eyenet.model.probabilities import log_odds
from eyenet.run.errors import StageError
from eyenet.score.bootstrap import bootstrap
from eyenet.score.calibration import calibration_figures, reliability_bins
from eyenet.score.intervals import (
    auc_with_interval,
    count_pairs,
    rates_with_intervals,
    share_with_interval,
)
from eyenet.score.metrics import confusion, precision_of, reached, roc_corners
from eyenet.score.net_benefit import decision_curve

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # of photographs or patients that are referred to a person
POINTS = 200  # maximum per curve
BAND = (np.linspace(0, 1, 41)[:-1] ** 2).tolist()  # false positive rates of the band, denser where the curve is steep
WAYS = {"sensitivity_at_specificity": "specificity", "specificity_at_sensitivity": "sensitivity"}


class Rows(NamedTuple):
    """The data of each eye or patient; arrays of shape (n,), sorted by falling calibrated probability.

    `truth` is bool. `levels` are grades; of a patient, that of the worse eye. `raw` and `calibrated` are probabilities
    of disease, as predicted and after calibration; only the figures "before" use `raw`. `patients` are numbers; if the
    unit is the patient, each occurs once.
    """

    truth: np.ndarray
    levels: np.ndarray
    raw: np.ndarray
    calibrated: np.ndarray
    patients: np.ndarray


def sort_rows(truth, raw, calibrated, patients, level=None):
    """Make the `Rows` of a unit from sequences of shape (n,) in any order; without `level` if labels are binary.

    Raises
    ------
    StageError
        If a probability is not a number from 0 to 1.
    """
    for probability in (raw, calibrated):
        require_probabilities(probability)
    order = np.argsort(-np.asarray(calibrated, float), kind="stable")  # sorted once, not for each draw
    numbers = np.unique(np.asarray(patients), return_inverse=True)[1]  # faster than names
    columns = (np.asarray(truth, bool), level, raw, calibrated, numbers)
    return Rows(*(None if column is None else np.asarray(column)[order] for column in columns))


def evaluate_unit(rows, operating_points, own, draws=2000, seed=0):
    """Evaluate predictions of one unit, the eye or the patient.

    Parameters
    ----------
    rows : Rows
    operating_points : dict of str to float
        Thresholds on the calibrated probability, chosen before the evaluation.
    own : str
        The operating point at which the model answers; figures at no other point are those of this one.
    draws, seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        A unit of metrics.json. Undefined figures are None; without rows, all are; without grades, none is by grade.
    """
    threshold, drawn = operating_points[own], from_draws(rows, draws, seed)
    called = rows.calibrated >= threshold
    points = {name: at_point(rows, least) for name, least in own_first(operating_points, own).items()}
    return {
        "count": len(rows.truth),
        "diseased": int(rows.truth.sum()),
        "auc": auc_with_interval(rows.truth, rows.calibrated, rows.patients),
        "average_precision": drawn["average_precision"],
        **{name: figure for name, figure in points[own].items() if name != "threshold"},
        "confusion": confusion(rows.truth, called),
        "operating_points": points,
        "roc": {way: {str(level): drawn[way, level] for level in LEVELS} for way in WAYS},
        "by_grade": [called_of_grade(rows, called, grade) for grade in GRADES if rows.levels is not None],
        "calibration": {
            "before": calibration_of(rows, rows.raw),
            "after": calibration_of(rows, rows.calibrated),
            "bins": bins_of(rows),
        },
        "referral": referral(rows.truth, rows.calibrated, threshold, rows.patients, SHARES),
        "curves": curves_of(rows) | {"roc_band": band_of(drawn)},
        "decision_curve": decision_curve(rows.truth, rows.calibrated, rows.patients),
    }


def own_first(operating_points, own):
    """Put the model's own operating point before the others."""
    return {own: operating_points[own]} | operating_points


def at_point(rows, threshold):
    """Compute the rates at an operating point."""
    rates = rates_with_intervals(rows.truth, rows.calibrated >= threshold, rows.patients)
    return {"threshold": float(threshold)} | rates


def called_of_grade(rows, called, grade):
    """Compute the share of a grade that is predicted as diseased."""
    graded = rows.levels == grade
    called = share_with_interval(called, rows.patients, graded)
    return {"grade": grade, "count": int(graded.sum()), "called": called}


def require_probabilities(probability):
    """Raise a StageError if a probability is not a number from 0 to 1."""
    wrong = ~(abs(np.asarray(probability, float) - 0.5) <= 0.5 + 1e-6)  # sums of float32 may slightly exceed 1
    if wrong.any():
        raise StageError(
            f"{wrong.sum():,} of {len(wrong):,} predicted probabilities are not numbers from 0 to 1, so the network "
            "is damaged or its training failed; train it again"
        )


def from_draws(rows, draws, seed):
    """Compute the figures that have no interval in closed form; dict of name, or of way and level, to figure."""

    def statistics(weights):
        corners = roc_corners(rows.truth, rows.calibrated, weights)
        figures = {(way, level): reached(*corners, **{given: level}) for way, given in WAYS.items() for level in LEVELS}
        figures |= {("band", rate): reached(*corners, specificity=1 - rate) for rate in BAND}
        return figures | {"average_precision": precision_of(*corners)}

    pairs = count_pairs(rows.patients, rows.truth, ~rows.truth)
    # These thresholds are read from this set's own ROC curve and depend on both classes, so the smaller class counts.
    trials = {(way, level): pairs for way in WAYS for level in LEVELS} | {("band", rate): pairs for rate in BAND}
    return bootstrap(statistics, rows.patients, draws, seed, trials=trials)


def calibration_of(rows, probability):
    """Compute the figures of the calibration of probabilities, before or after it."""
    return calibration_figures(rows.truth, probability, log_odds(probability), rows.patients)


def bins_of(rows):
    """List the calibration bins that are not empty."""
    return [
        {
            "count": int(inside.sum()),
            "predicted": float(rows.calibrated[inside].mean()),
            "observed": share_with_interval(rows.truth, rows.patients, inside),
        }
        for inside in reliability_bins(rows.calibrated)
        if inside.any()
    ]


def band_of(drawn):
    """List the band of the ROC curve: false positive rate, and the interval of the sensitivity there; may be empty.

    The band is pointwise: each interval holds for its own false positive rate.
    """
    drawn = [(rate, drawn["band", rate]) for rate in BAND]
    band = [[rate, found["low"], found["high"]] for rate, found in drawn if found["low"] is not None]
    return [*band, [1.0, 1.0, 1.0]] if band else []


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


def keep_certain(probability, threshold, shares):
    """Remove the least certain share of the rows, which is referred to a person [1]_.

    Certainty is the distance between probability and threshold in log-odds. Rows that tie at the end of the share all
    lose the same fraction, so the share is exact and does not depend on their order.

    Parameters
    ----------
    probability : ndarray of float, shape (n,)
    threshold : float
    shares : sequence of float
        From 0 to below 1.

    Yields
    ------
    ndarray of float, shape (n,)
        The part of each row that is left, from 0 to 1; one array per share.

    References
    ----------
    .. [1] C. Leibig et al., "Leveraging uncertainty information from deep neural networks for disease detection",
       Scientific Reports, 2017.
    """
    certainty = abs(log_odds(probability) - log_odds(threshold))
    _, group, counts = np.unique(certainty, return_inverse=True, return_counts=True)
    for share in shares:
        referred = round(share * len(certainty), 9)  # 0.1 of 70 is 7, not 7.000000000000001
        yield ((np.cumsum(counts) - referred) / counts).clip(0, 1)[group]


def referral(truth, probability, threshold, patients, shares):
    """Score the rows that are left when `keep_certain` has removed the least certain share.

    Returns
    -------
    list of dict
        One per share: `referred`, accuracy, sensitivity and specificity at the threshold, and auc.
    """
    called = np.asarray(probability, float) >= threshold
    steps = []
    for share, kept in zip(shares, keep_certain(probability, threshold, shares)):
        rates = rates_with_intervals(truth, called, patients, kept)
        rest = {name: rates[name] for name in ("accuracy", "sensitivity", "specificity")}
        steps.append({"referred": share} | rest | {"auc": auc_with_interval(truth, probability, patients, kept)})
    return steps
