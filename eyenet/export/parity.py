"""Does an exported network say what Keras says? Measured on test photographs, before anybody gets the file."""

from typing import NamedTuple

import numpy as np

from eyenet.data.tasks import LEAST_GRADE, TASKS, disease_probability, first_disease
from eyenet.model.decision import BALANCED
from eyenet.model.probabilities import calibrate
from eyenet.run.errors import StageError


class Limit(NamedTuple):
    """What an export may differ by.

    A class's probability, the share of decisions that change, how far from the threshold they may lie, and the AUC
    that is lost.
    """

    probability: float
    decisions: float
    farthest: float
    auc: float


# Those of float32, and of a probability in float16, were asked for; the others were set after three layers and
# EfficientNet-Lite0 had been measured on the test patients (benchmarks/results/export-*.csv), so they guard against a
# broken export and prove no more. In float16 no decision may change but of a photograph on the threshold, which the
# least rounding moves to either side: not further from it than half of what a probability may differ by, and one in 100
# at most: of Core ML's 100 photographs a trained EfficientNet-Lite0 changed one. In eight bits were measured: 0.07
# (dynamic) and 0.17 (int8), up to 2 % and 3.5 % of decisions.
LIMITS = {
    "float32": Limit(1e-4, 0, 0, 1e-3),
    "float16": Limit(1e-2, 0.01, 5e-3, 1e-2),
    "dynamic": Limit(0.1, 0.05, 1, 0.02),
    "int8": Limit(0.2, 0.1, 1, 0.02),
}


def compare(exam, found, config):
    """Compare the probabilities of an exported network with those of Keras.

    Parameters
    ----------
    exam : eyenet.export.exam.Exam
    found : ndarray of float, shape (n, classes)
        What the exported network says of its photographs.
    config : dict
        config.json of the model.

    Returns
    -------
    dict
        `photographs`, `what` they are, `largest` difference of a probability (NaN if there is no number), and by
        question `decisions` that changed at the model's own threshold, `farthest` that Keras's probability was from it
        in one of them (0 if there is none), and `auc` of Keras and of the export, None where a class or the grades are
        missing.
    """
    expected, levels = exam.expected, exam.levels
    figures = {"photographs": len(expected), "what": exam.what, "largest": float(np.abs(expected - found).max())}
    figures["questions"] = {}
    for question in TASKS[config["task"]].questions:
        before, after = (_calibrated(of, question, config) for of in (expected, found))
        threshold = config["decision"][question]["eye"]["operating_points"][BALANCED]
        changed = (before >= threshold) != (after >= threshold)
        diseased = None if levels is None else np.asarray(levels) >= LEAST_GRADE[question]
        figures["questions"][question] = {
            "decisions": int(changed.sum()),
            "farthest": float(np.abs(before - threshold)[changed].max(initial=0)),
            "auc": [_auc(diseased, of) for of in (before, after)],
        }
    return figures


def _calibrated(probabilities, question, config):
    own = disease_probability(probabilities, first_disease(config["task"], question))
    return calibrate(own, config["decision"][question]["temperature"], config["decision"][question]["shift"])


def _auc(diseased, probability):
    """Compute the area under the ROC curve; None without grades, both classes or numbers."""
    from sklearn.metrics import roc_auc_score

    if diseased is None or diseased.all() or not diseased.any() or not np.isfinite(probability).all():
        return None
    return float(roc_auc_score(diseased, probability))


def require_parity(figures, precision, path):
    """Refuse an export that differs from Keras by more than its precision may.

    Raises
    ------
    StageError
        It says by how much.
    """
    limit, wrong = LIMITS[precision], []
    if not figures["largest"] <= limit.probability:  # NaN too
        wrong.append(f"a probability by {figures['largest']:.2g}, where {limit.probability:g} is allowed")
    for question, of in figures["questions"].items():
        allowed = int(limit.decisions * figures["photographs"])
        if of["decisions"] > allowed:
            wrong.append(f"{of['decisions']} decisions on {question} DR, where {allowed} are allowed")
        elif of["farthest"] > limit.farthest:
            far = f"{of['farthest']:.2g} from the threshold, where {limit.farthest:g} is allowed"
            wrong.append(f"a decision on {question} DR, {far}")
        before, after = of["auc"]
        if before is not None and (after is None or before - after > limit.auc):
            lost = "it has none" if after is None else f"{before:.3f} became {after:.3f}"
            wrong.append(f"the AUC of {question} DR: {lost}, where a loss of {limit.auc:g} is allowed")
    if wrong:
        raise StageError(
            f"{path} in {precision} is not the network that was trained; on {figures['photographs']:,} photographs it "
            f"differs in {'; '.join(wrong)}"
        )


def line(figures):
    """Say the figures in one line."""
    parts = [f"largest difference of a probability {figures['largest']:.1e}"]
    for question, of in figures["questions"].items():
        known = "" if of["auc"][0] is None else f", AUC {of['auc'][0]:.4f} -> {of['auc'][1]:.4f}"
        near = f", at most {of['farthest']:.4f} from the threshold" if of["decisions"] else ""
        parts.append(f"{question} DR: decisions changed {of['decisions']}{near}{known}")
    return f"{figures['photographs']:,} {figures['what']}: {'; '.join(parts)}"
