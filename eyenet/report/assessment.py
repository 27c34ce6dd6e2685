"""Compute all figures of a set of photographs: by question, by eye and patient, and those of trivial baselines."""

import numpy as np
import pandas as pd

from eyenet.data.tables import GRADES, count_by_grade, patient_known
from eyenet.data.tasks import LEAST_GRADE, QUESTIONS, answerable
from eyenet.model.answers import consistent_grade
from eyenet.model.decision import own_point, predict_grade, raw_and_calibrated, thresholds_at
from eyenet.model.settings import chosen_on
from eyenet.report.coverage import coverages, sure_probability
from eyenet.report.units import evaluate_unit, sort_rows
from eyenet.report.workload import workload
from eyenet.score.bootstrap import bootstrap
from eyenet.score.intervals import auc_with_interval, rates_with_intervals, share_with_interval
from eyenet.score.metrics import average_precision, quadratic_kappa
from eyenet.score.not_retina import cross_validated, shortcut_probability
from eyenet.score.patients import worst_of_patients

NOT_RETINA = "a random forest on file size, photograph size, circle and rim, which sees no retina"


def answer(scored, config, question):
    """Return the truth (bool), raw and calibrated probability of a question for each photograph; all of shape (n,)."""
    truth = (scored.table["level"] >= LEAST_GRADE[question]).to_numpy()
    return truth, *raw_and_calibrated(config["decision"], scored.probabilities, config["task"], question)


def assess(scored, train, config, draws, seed):
    """Assess a set of photographs for every question of the task that its labels answer.

    Parameters
    ----------
    scored : eyenet.model.predictions.Scored
    train : eyenet.model.predictions.Scored or None
        Training data of the baseline that sees no retina; None: `scored` itself, cross-validated by patient.
    config : dict
        config.json of the model: its task, its decision and its operating point.
    draws, seed : int
        Of the bootstrap over patients.

    Returns
    -------
    dict
        `questions`, `grade`, `photographs`, `patients`, `unknown_patients`, `ungradable` and `by_grade`: parts of
        metrics.json. If a patient is unknown, there are no figures per patient; if labels are binary, none by grade; if
        the photographs were not judged, no share of ungradable ones.
    """
    levels, unknown = scored.table["level"].to_numpy(), int((~patient_known(scored.table)).sum())
    graded, decision, own, questions = not is_binary(scored.table), config["decision"], own_point(config), {}
    patients = scored.table["patient"]
    poor = poor_photographs(scored.table)
    for question in answerable(scored.table, config["task"]):
        truth, raw, probability = answer(scored, config, question)
        eyes = pd.DataFrame({"truth": truth, "level": levels, "raw": raw, "calibrated": probability})
        eyes = eyes if graded else eyes.drop(columns="level")
        how = (decision[question]["eye"]["operating_points"], own, draws, seed)
        joined = None if unknown else _patients(eyes, scored.table, poor)
        questions[question] = {
            "disease": QUESTIONS[question],
            "temperature": decision[question]["temperature"],
            "shift": decision[question]["shift"],
            "operating_point": own,
            "chosen_on": chosen_on(config, question),
            "eye": _unit(eyes, patients, poor, *how),
            "patient": joined and _unit(*joined, *how),
            "unsure": {} if unknown else coverages(*as_answered(scored, config, question), config, question),
            "baselines": _baselines(scored, train, question, truth, draws, seed),
        }
    return {
        "photographs": len(levels),
        "patients": None if unknown else int(scored.table["patient"].nunique()),
        "unknown_patients": unknown,
        "by_grade": count_by_grade(scored.table["level"]) if graded else None,
        "ungradable": None if poor is None else share_with_interval(poor.to_numpy(), patients.to_numpy()),
        "questions": questions,
        "grade": assess_grade(scored, config, draws, seed) if config["task"] == "grade" and graded else None,
    }


def is_binary(table):
    """Tell whether some labels of a table say only whether there is disease."""
    return "question" in table and (table["question"] != "").any()


def worst(eyes, table, poor):
    """Join the photographs of each patient as predict.py does: truth, grade and probability are those of the worst.

    Returns
    -------
    tuple
        `eyes`, patients and `poor` of patients: poor if an eye has no gradable photograph, None if that is not known.
    """
    patients, eye = table["patient"], table["eye"].where(table["eye"] != "", table["image"])  # an unknown eye is alone
    joined = worst_of_patients(eyes, patients)
    return joined, joined.index, None if poor is None else poor.groupby([patients, eye]).min().groupby(level=0).max()


def _patients(eyes, table, poor):
    """Join the photographs of each patient as `worst`, where a missing eye is as a poor one."""
    joined, patients, poor = worst(eyes, table, poor)
    lacking = lacks_eye(table).loc[patients]
    return joined, patients, lacking if poor is None else poor | lacking


def lacks_eye(table):
    """Tell which patients have photographs of one eye at most; Series of bool by patient.

    A photograph of an unknown eye may show the other eye, but shows one only.
    """
    eye = table["eye"].where(table["eye"] != "", table["image"])
    return eye.groupby(table["patient"]).nunique() < 2


def as_answered(scored, config, question):
    """Join the photographs of each patient as predict.py does for the answer to a question.

    Returns
    -------
    truth : ndarray of bool, shape (patients,)
    probability : ndarray of float, shape (patients,)
        Calibrated, of the worst photograph; a poor one says nothing below the threshold.
    again : ndarray of bool, shape (patients,)
        Who has an eye that is missing or, if that is known, has no gradable photograph.
    """
    truth, _, probability = answer(scored, config, question)
    poor = poor_photographs(scored.table)
    if poor is not None:
        probability = sure_probability(probability, poor, thresholds_at(config)[question])
    joined, _, again = _patients(pd.DataFrame({"truth": truth, "calibrated": probability}), scored.table, poor)
    return joined["truth"].to_numpy(bool), joined["calibrated"].to_numpy(), again.to_numpy(bool)


def poor_photographs(table):
    """Tell which photographs of a table are ungradable; Series of bool, None if they were not judged."""
    return table["gradable"].astype(int) == 0 if "gradable" in table else None


def _unit(eyes, patients, poor, points, own, draws, seed):
    """Evaluate the eyes or the patients: all figures, and the workload."""
    patients = np.unique(patients, return_inverse=True)[1]  # faster than names
    truth, called = eyes["truth"].to_numpy(), (eyes["calibrated"] >= points[own]).to_numpy()
    levels, poor = (None if column is None else column.to_numpy() for column in (eyes.get("level"), poor))
    return evaluate_unit(sort_rows(**eyes, patients=patients), points, own, draws, seed) | {
        "workload": workload(truth, called, patients, poor, levels)
    }


def _baselines(scored, train, question, truth, draws, seed):
    """Score two baselines that see no retina: the majority class, and a classifier of file, geometry and rim."""
    patients = scored.table["patient"].to_numpy()
    reference = scored if train is None else train
    majority = bool((reference.table["level"] >= LEAST_GRADE[question]).mean() >= 0.5)

    always = "diseased" if majority else "healthy"
    where = "these photographs" if train is None else "training"
    baselines = {
        "majority": {
            "what": f"calls every photograph {always}, the more frequent class in {where}",
            "accuracy": share_with_interval(truth == majority, patients),
            "auc": {"value": 0.5, "low": 0.5, "high": 0.5},
        },
        "not_retina": None,
    }
    if train is None:
        probability = cross_validated(scored.features, truth, patients)
    else:
        known = (train.table["level"] >= LEAST_GRADE[question]).to_numpy()
        probability = shortcut_probability(train.features, known, scored.features)
    if probability is not None:
        baselines["not_retina"] = {
            "what": NOT_RETINA,
            "accuracy": share_with_interval(truth == (probability >= 0.5), patients),
            "auc": auc_with_interval(truth, probability, patients),
            **bootstrap(
                lambda w: {"average_precision": average_precision(truth, probability, w)}, patients, draws, seed
            ),
        }
    return baselines


def assess_grade(scored, config, draws, seed):
    """Score the grade of the network for all photographs, and for those for which predict.py shows it.

    Returns
    -------
    dict
        `kappa` and `accuracy` of all photographs; in `shown` the same and `confusion` of those with a shown grade, and
        their `share`.
    """
    levels, patients = scored.table["level"].to_numpy(), scored.table["patient"].to_numpy()
    predicted = predict_grade(scored.probabilities, config["decision"]["grade"]["cuts"])
    is_shown = shows_grade(scored, config, predicted)
    figures = [
        {
            "kappa": kappa_with_interval(levels[rows], predicted[rows], patients[rows], draws, seed),
            "accuracy": share_with_interval(predicted[rows] == levels[rows], patients[rows]),
        }
        for rows in (np.ones(len(levels), bool), is_shown)
    ]
    matrix = np.zeros((len(GRADES), len(GRADES)), int)  # scikit-learn's refuses a set without a shown grade
    np.add.at(matrix, (levels[is_shown], predicted[is_shown]), 1)
    share = share_with_interval(is_shown, patients)
    return figures[0] | {"shown": figures[1] | {"share": share, "confusion": matrix.tolist()}}


def shows_grade(scored, config, predicted):
    """Tell for which photographs predict.py shows the network's grade, `predicted`; ndarray of bool, shape (n,).

    These are the gradable ones whose answers allow it (`eyenet.model.answers.consistent_grade`).
    """
    called = {q: answer(scored, config, q)[2] >= threshold for q, threshold in thresholds_at(config).items()}
    allowed = [
        consistent_grade(int(grade), {question: {"disease": called[question][row]} for question in called}) is not None
        for row, grade in enumerate(predicted)
    ]
    poor = poor_photographs(scored.table)
    return np.array(allowed, bool) if poor is None else np.array(allowed, bool) & ~poor.to_numpy()


def kappa_with_interval(levels, predicted, patients, draws, seed):
    """Compute the quadratic weighted kappa of predicted grades (n,) with its interval over patients."""
    return bootstrap(lambda w: {"": quadratic_kappa(levels, predicted, w)}, patients, draws, seed)[""]


def assess_split(scored, config):
    """Score a split by accuracy, precision, recall and AUC of the first question that its labels answer."""
    question = answerable(scored.table, config["task"])[0]
    truth, _, probability = answer(scored, config, question)
    called = probability >= thresholds_at(config)[question]
    patients = scored.table["patient"].to_numpy()
    rates = rates_with_intervals(truth, called, patients)
    return {
        "photographs": len(truth),
        "diseased": int(truth.sum()),
        "accuracy": rates["accuracy"],
        "precision": rates["precision"],
        "recall": rates["sensitivity"],
        "auc": auc_with_interval(truth, probability, patients),
    }
