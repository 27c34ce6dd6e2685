"""The figures of a set before and after a recalibration, for recalibration.json."""

import pandas as pd

from eyenet.data.tables import patient_known
from eyenet.data.tasks import LEAST_GRADE, QUESTIONS
from eyenet.model.decision import own_point
from eyenet.model.probabilities import log_odds
from eyenet.recalibration.crossfit import apply, cross_fit
from eyenet.score.calibration import calibration_figures
from eyenet.score.intervals import rates_with_intervals, share_with_interval
from eyenet.score.patients import worst_of_patients


def compare(table, probabilities, config, questions, point):
    """Compute the figures before and after, by question and unit.

    Parameters
    ----------
    table : DataFrame
        patient and level of the photographs, and patient_known if some are not.
    probabilities : ndarray of float, shape (n, classes)
    config : dict
        config.json of the parent.
    questions : sequence of str
        Those that the labels answer.
    point : str
        The operating point of the new model; those after are cross-fitted.

    Returns
    -------
    dict
        `questions` of recalibration.json.
    """
    patients, levels, task = table["patient"].to_numpy(), table["level"].to_numpy(), config["task"]
    after, found = cross_fit(patients, levels, probabilities, task, questions, point), {}
    for question in questions:
        known = config["decision"][question]["eye"]["operating_points"]
        old = point if point in known else own_point(config)
        calibrated, called = after[question]
        parts = {
            "before": (old, *apply(config["decision"], probabilities, task, question, old)),
            "after": (point, calibrated, called[point]),
        }
        found[question] = {"disease": QUESTIONS[question]} | {
            name: {"operating_point": at} | units(table, question, *answers) for name, (at, *answers) in parts.items()
        }
        truth = levels >= LEAST_GRADE[question]
        reached = {at: rates_with_intervals(truth, answers, patients) for at, answers in called.items()}
        rates = ("sensitivity", "specificity")
        found[question]["eye"] = {
            "operating_points": {at: {name: figures[name] for name in rates} for at, figures in sorted(reached.items())}
        }
    return found


def measure(truth, probability, called, patients):
    """Compute the figures of calibrated probabilities and predictions, with intervals over patients.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float, shape (n,)
    called : ndarray of bool, shape (n,)
    patients : array of str, shape (n,)

    Returns
    -------
    dict of str to dict
        A `figure` each: those of `calibration_figures`, `sensitivity`, `specificity` and `referred`, the share that is
        predicted as diseased.
    """
    rates = rates_with_intervals(truth, called, patients)
    return {
        **calibration_figures(truth, probability, log_odds(probability), patients),
        "sensitivity": rates["sensitivity"],
        "specificity": rates["specificity"],
        "referred": share_with_interval(called, patients),
    }


def units(table, question, probability, called):
    """Measure the photographs, and the patients by their worst photograph if all are known."""
    truth = table["level"].to_numpy() >= LEAST_GRADE[question]
    eyes = pd.DataFrame({"truth": truth, "probability": probability, "called": called})
    patients, found = table["patient"].to_numpy(), {"patient": None}
    joined = {"photograph": (eyes, patients)}
    if patient_known(table).all():
        worst = worst_of_patients(eyes, patients)
        joined["patient"] = worst, worst.index.to_numpy()
    for unit, (rows, of_rows) in joined.items():
        found[unit] = measure(*(rows[name].to_numpy() for name in ("truth", "probability", "called")), of_rows)
    return found
