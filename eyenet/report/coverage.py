"""How often the answers of predict.py --unsure are wrong, and how often they are unsure, for the patients of a set."""

import numpy as np

from eyenet.model.decision import thresholds_at
from eyenet.model.unsure import band, limits_of
from eyenet.report.tables import Table
from eyenet.report.words import cell, percent
from eyenet.score.intervals import share_with_interval

SHOWN = ("0.02", "0.05", "0.1")  # error rates of the table


def coverage(truth, probability, limits, threshold=None, again=None):
    """Compute the shares of patients who are called negative, or diseased, wrongly, and of those who are unsure.

    Nothing rules out disease in a poor or missing eye: a patient with one is never called negative. After the second
    poor photograph of an eye predict.py refers the patient as not gradable; here such patients count in `again` or
    `unsure`.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
        Of each patient.
    probability : ndarray of float, shape (n,)
        Calibrated, of the worst photograph.
    limits : tuple of two floats
        As from `eyenet.model.unsure.limits_at`.
    threshold : float, optional
        Of the operating point, with which a sure answer must agree, as in predict.py; None for the limits alone.
    again : ndarray of bool, shape (n,), optional
        Who must be photographed again, for a poor or missing eye, where nothing else is answered.

    Returns
    -------
    dict
        `missed`, of the patients with disease those called negative; `reported`, of those without it those called
        diseased; `unsure`, of all; and if it is known who must be photographed again, `again`, of all, and
        `again_diseased`, of those with disease. Figures with intervals.
    """
    low, high = (min(limits), max(limits)) if threshold is None else band(limits, threshold)
    patients, negative = np.arange(len(truth)), probability < low
    poor = np.zeros(len(truth), bool) if again is None else again
    found = {}
    if again is not None:
        found["again"] = share_with_interval(negative & poor, patients)
        found["again_diseased"] = share_with_interval(negative & poor, patients, truth)
    return {
        "missed": share_with_interval(negative & ~poor, patients, truth),
        "reported": share_with_interval(probability >= high, patients, ~truth),
        "unsure": share_with_interval((low <= probability) & (probability < high), patients),
        **found,
    }


def sure_probability(probability, poor, threshold):
    """Leave out what a poor photograph says below the threshold, as `eyenet.model.answers.only_disease`; shape (n,)."""
    return np.where(np.asarray(poor, bool) & (probability < threshold), 0.0, probability)


def coverages(truth, probability, again, config, question):
    """Compute `coverage` as predict.py answers, at each rate of `SHOWN` for which a model has limits.

    Parameters
    ----------
    truth, probability, again : ndarray, shape (n,)
        Of patients, as from `eyenet.report.assessment.as_answered`.
    config : dict
        config.json of the model.
    question : str

    Returns
    -------
    dict of str to dict
    """
    found, threshold = limits_of(config), thresholds_at(config)[question]
    limits = found[question]["limits"] if found else {}
    return {rate: coverage(truth, probability, limits[rate], threshold, again) for rate in SHOWN if rate in limits}


def coverage_table(asked):
    """Tabulate the coverage of a question; None if the model has no limits, or the patients are unknown."""
    titles = {
        "missed": "with disease, called negative",
        "reported": "without disease, called diseased",
        "unsure": "unsure, of all",
        "again": "photographed again, of all",
        "again_diseased": "with disease, photographed again",
    }
    told = asked.get("unsure", {})
    titles = {name: title for name, title in titles.items() if any(name in found for found in told.values())}
    rows = [
        (percent(float(rate), 0), [cell(found[name], percent, "no such patient") for name in titles])
        for rate, found in told.items()
    ]
    caption = "Where the answer may be unsure (predict.py --unsure), per patient, at the model's operating point"
    return Table(caption, ["error rate", *titles.values()], rows) if rows else None
