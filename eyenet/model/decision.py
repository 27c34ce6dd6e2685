"""Turn probabilities into decisions: chosen on graded photographs, stored with the model, used where it grades.

For each question: a temperature and a shift for calibration, and thresholds on the calibrated probability of an eye. A
patient has the probability of the worst eye, and the same thresholds.
"""

import numpy as np

from eyenet.data.tasks import GRADES, LEAST_GRADE, TASKS, disease_probability, first_disease
from eyenet.model.probabilities import calibrate, fit_calibration
from eyenet.model.unsure import choose_limits
from eyenet.score.metrics import choose_threshold

LEVELS = (0.85, 0.9, 0.95)
BALANCED = "balanced"  # the operating point of a model that names no other as its own


def threshold_for(truth, probability, sensitivity=None, specificity=None):
    """Choose the threshold that reaches a sensitivity with the highest specificity, or the reverse.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
        With both classes.
    probability : ndarray of float, shape (n,)
    sensitivity, specificity : float
        Target; give one of the two.

    Returns
    -------
    float
        Midway between two observed probabilities, so that rounding changes no decision.
    """
    every = np.concatenate([[0.0], np.unique(probability), [1.0]])
    between = (every[1:] + every[:-1]) / 2
    group = np.sort(probability[truth if sensitivity is not None else ~truth])
    below = np.searchsorted(group, between) / len(group)  # share of the group below each threshold
    if sensitivity is not None:
        return float(between[1 - below >= sensitivity - 1e-12].max(initial=0.0))
    return float(between[below >= specificity - 1e-12].min(initial=1.0))


def least_share(aim, trials, level=0.95):
    """Find the smallest share of some trials whose Clopper-Pearson interval starts at an aim or above.

    A threshold that this share of the validation rows reaches, reaches the aim on new ones in 39 of 40 cases: it is
    the tolerance limit of Wilks [1]_.

    Returns
    -------
    float or None
        None if the trials are too few: an aim of 0.85 takes 23, 0.9 takes 36, and 0.95 takes 72.

    References
    ----------
    .. [1] S. S. Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical
       Statistics, 1941.
    """
    from scipy.special import betaincinv  # slow to import, and not needed by predict.py

    hits = np.arange(1, trials + 1)
    reached = hits[betaincinv(hits, trials - hits + 1, (1 - level) / 2) >= aim]
    return float(reached[0] / trials) if len(reached) else None


def operating_points(patients, truth, probability):
    """Choose the thresholds of the operating points that validation can support.

    A point has an aim, such as a sensitivity of 0.9. It is offered if the lower limit of the 95 % interval of its
    sensitivity reaches the aim, and its specificity is above 0. The interval counts the patients, since the eyes of
    one are not independent.

    Returns
    -------
    dict of str to float
        `balanced` (Youden's index; 0.5 without both classes), and those that are offered of `sensitivity_0.85` ...
        `specificity_0.95`.
    """
    from eyenet.score.intervals import count_patients  # imports what predict.py does not need

    points = {BALANCED: choose_threshold(truth, probability)}
    for kind, counted in (("sensitivity", truth), ("specificity", ~truth)):
        trials = count_patients(patients, counted)
        for aim in LEVELS:
            if (share := least_share(aim, trials)) is None:
                continue
            threshold = threshold_for(truth, probability, **{kind: share})
            called = probability[~counted] >= threshold
            if (kind == "sensitivity" and not called.all()) or (kind == "specificity" and called.any()):
                points[f"{kind}_{aim:g}"] = threshold
    return points


def own_point(config):
    """Name the operating point of a model that answers unless another is asked for; `config` as in config.json."""
    return config.get("operating_point", BALANCED)


def thresholds_at(config, point=None):
    """Map each question of a model to its threshold at an operating point, by default the model's own.

    The thresholds apply to the calibrated probability of an eye; `config` as in config.json.
    """
    point = point or own_point(config)
    questions = TASKS[config["task"]].questions
    return {question: config["decision"][question]["eye"]["operating_points"][point] for question in questions}


def raw_and_calibrated(decision, probabilities, task, question):
    """Answer a question by a decision.

    Parameters
    ----------
    decision : dict
        As in config.json.
    probabilities : ndarray of float, shape (n, classes)
    task : str
    question : str

    Returns
    -------
    raw, calibrated : ndarray of float, shape (n,)
        The probability of disease before and after calibration.
    """
    chosen, raw = decision[question], disease_probability(probabilities, first_disease(task, question))
    return raw, calibrate(raw, chosen["temperature"], chosen["shift"])


def choose_decision(patients, levels, probabilities, task):
    """Choose calibration and thresholds for every question of a task.

    Parameters
    ----------
    patients : array of str, shape (n,)
        Patients of the validation photographs; nothing is chosen on the test split.
    levels : ndarray of int, shape (n,)
    probabilities : ndarray of float, shape (n, classes)
    task : str

    Returns
    -------
    dict
        Maps each question to `temperature`, `shift`, `eye`, and `unsure`, the limits of predict.py --unsure, as
        config.json stores it. For the task `grade` also `grade`, the cuts of the expected grade.
    """
    chosen = {}
    for question in TASKS[task].questions:
        truth = np.asarray(levels) >= LEAST_GRADE[question]
        raw = disease_probability(probabilities, first_disease(task, question))
        temperature, shift = fit_calibration(truth, raw)
        probability = calibrate(raw, temperature, shift)
        chosen[question] = {
            "temperature": temperature,
            "shift": shift,
            "eye": {"operating_points": operating_points(patients, truth, probability)},
            "unsure": choose_limits(patients, truth, probability),
        }
    if task == "grade":
        chosen["grade"] = {"cuts": choose_cuts(np.asarray(levels), expected_grade(probabilities))}
    return chosen


def expected_grade(probabilities):
    """Compute the expected grade from probabilities (n, 5) of grades 0-4; float64, shape (n,)."""
    return np.asarray(probabilities, np.float64) @ np.arange(len(GRADES))


def choose_cuts(levels, expected):
    """Choose cuts of the expected grade that reproduce the frequency of each grade on validation.

    The most probable class would overcall rare grades, since training gives all classes equal weight.

    Returns
    -------
    list of four floats
    """
    if not len(levels):
        return [grade - 0.5 for grade in list(GRADES)[1:]]
    shares = [float((levels < grade).mean()) for grade in list(GRADES)[1:]]
    return [float(np.quantile(expected, share)) if share < 1 else float(len(GRADES)) for share in shares]


def predict_grade(probabilities, cuts):
    """Turn probabilities (n, 5) into grades 0-4; int, shape (n,)."""
    return np.searchsorted(cuts, expected_grade(probabilities), side="right")
