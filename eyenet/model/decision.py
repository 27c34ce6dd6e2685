"""Turn probabilities into decisions: chosen on validation, stored with the model, used by every script that grades.

For each question: a temperature and a shift for calibration, thresholds on the calibrated probability of an eye and of
a patient, and the rule that fuses the photographs of a patient into one probability.
"""

import numpy as np

from eyenet.data.tasks import GRADES, LEAST_GRADE, TASKS, disease_probability, first_disease
from eyenet.model.probabilities import calibrate, fit_calibration, fuse
from eyenet.score.metrics import choose_threshold

RULES = ("mean", "max", "noisy_or")
LEVELS = (0.85, 0.9, 0.95)
BALANCED = "balanced"  # the operating point that is used unless another is asked for


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


def operating_points(truth, probability):
    """Choose the thresholds of all operating points; without both classes only `balanced`, at 0.5.

    Returns
    -------
    dict of str to float
        `balanced` (Youden's index), `sensitivity_0.85` ... `specificity_0.95`.
    """
    points = {BALANCED: choose_threshold(truth, probability)}
    if truth.all() or not truth.any():
        return points
    for kind in ("sensitivity", "specificity"):
        points |= {f"{kind}_{level:g}": threshold_for(truth, probability, **{kind: level}) for level in LEVELS}
    return points


def by_patient(patients, truth, probability, rule):
    """Fuse the photographs of each patient; a patient is diseased if either eye is."""
    ids, fused = fuse(patients, probability, rule)
    _, diseased = fuse(patients, np.asarray(truth, float), "max")
    return ids, diseased > 0, fused


def choose_decision(patients, levels, probabilities, task):
    """Choose calibration, thresholds and fusion rule for every question of a task.

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
        Maps each question to `temperature`, `shift`, `eye` and `patient`, as config.json stores it. For the task
        `grade` also `grade`, the cuts of the expected grade.
    """
    from sklearn.metrics import roc_auc_score  # slow to import, and not needed by predict.py

    chosen = {}
    for question in TASKS[task].questions:
        truth = np.asarray(levels) >= LEAST_GRADE[question]
        raw = disease_probability(probabilities, first_disease(task, question))
        both = truth.any() and not truth.all()
        temperature, shift = fit_calibration(truth, raw)
        probability = calibrate(raw, temperature, shift)
        fused = {rule: by_patient(patients, truth, probability, rule)[1:] for rule in RULES}
        defined = both and not next(iter(fused.values()))[0].all()
        rule = max(RULES, key=lambda r: roc_auc_score(*fused[r])) if defined else RULES[0]
        chosen[question] = {
            "temperature": temperature,
            "shift": shift,
            "eye": {"operating_points": operating_points(truth, probability)},
            "patient": {"fusion": rule, "operating_points": operating_points(*fused[rule])},
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
