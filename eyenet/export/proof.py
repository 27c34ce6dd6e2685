"""Compare an exported network with Keras on test photographs, before the file is released."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage

from eyenet.data.array import open_array, rows_by_split
from eyenet.data.tasks import LEAST_GRADE
from eyenet.model.decision import raw_and_calibrated, thresholds_at
from eyenet.model.patients import split_hash
from eyenet.model.settings import colours_of, field_of
from eyenet.photo.kinds import list_photographs
from eyenet.photo.retina import photograph_to_input
from eyenet.run.errors import PhotoError, StageError, log, plural
from eyenet.run.workers import cores, for_each

RETINA = Path(skimage.__file__).parent / "data" / "retina.jpg"  # a healthy eye, in the public domain
CALIBRATION = 100  # training photographs on which int8 ranges are measured
BATCH = 32


class Exam(NamedTuple):
    """The photographs of the comparison, uint8 (n, size, size, 3), with the probabilities `expected` by Keras.

    `what` describes the photographs; `levels` are their grades, None if they have none; `calibration` are photographs
    of training patients, None without an array.
    """

    what: str
    photographs: np.ndarray
    levels: np.ndarray | None
    expected: np.ndarray
    calibration: np.ndarray | None

    def take(self, count):
        """Take at most `count` of the photographs, evenly spaced."""
        rows = spread(np.arange(len(self.photographs)), count)
        levels = None if self.levels is None else self.levels[rows]
        return self._replace(photographs=self.photographs[rows], levels=levels, expected=self.expected[rows])


def spread(rows, count):
    """Take at most `count` of the rows, evenly spaced."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(int)]


def exam_from_array(folder, model, config, network, most):
    """Choose test photographs of the array that a model was trained on, and predict them with Keras.

    Parameters
    ----------
    folder, model : path-like
        Of the array and of the model.
    config : dict
        Of the model.
    network : keras.Model
    most : int
        Maximum number of photographs.

    Returns
    -------
    Exam

    Raises
    ------
    StageError
        If the array is not the model's own, or has no test photograph.
    """
    from eyenet.model.predictions import require_same_images  # imports Keras, which must have been started

    images, table, sidecar = open_array(folder)
    require_same_images(images.shape[1], sidecar["settings"], config, folder, model)
    if split_hash(table) != config["settings"]["split"]:
        raise StageError(
            f"{model} was not trained on {folder}, so its patients may not be unseen; give the array that it was "
            "trained on with --input"
        )
    rows = rows_by_split(table, sidecar["settings"])
    if not len(rows["test"]):
        raise StageError(
            f"{folder} has no test photograph to compare an export on; preprocess_images.py makes the splits"
        )
    test, train = spread(rows["test"], most), spread(rows["train"], CALIBRATION)
    log(f"predicting {plural(len(test), 'test photograph')} with Keras")
    expected = _ask(network, images[test], table["image"].iloc[test])
    return Exam("unseen test photographs", images[test], table["level"].to_numpy()[test], expected, images[train])


def exam_from_photographs(folder, config, network, most):
    """Prepare the photographs of a folder for the network, and predict them with Keras.

    Returns
    -------
    Exam

    Raises
    ------
    StageError
        If none can be read.
    """
    files = spread(np.array(list_photographs(folder)[0]), most)
    images = config["settings"]["images"]
    colours, field = colours_of(images), field_of(images)

    def prepare(path):
        return photograph_to_input(path, config["size"], colours, field)[0]

    done = list(for_each(prepare, files, cores(), "prepare"))
    for path, failed in ((path, crop) for path, crop in done if isinstance(crop, PhotoError)):
        log(f"left out {path}: {failed}")
    read = [(path.name, crop) for path, crop in done if not isinstance(crop, PhotoError)]
    if not read:
        raise StageError(f"none of the photographs in {folder} can be read; the reasons are above")
    crops = np.stack([crop for _, crop in read])
    log(f"predicting {plural(len(crops), 'photograph')} with Keras")
    return Exam("photographs without grades", crops, None, _ask(network, crops, [name for name, _ in read]), None)


def exam_from_retina(config, network):
    """Prepare the retina of scikit-image in eight turns and mirrors, and predict them with Keras.

    It is in the public domain and comes with a package that EyeNet needs, so this works with no data at all.

    Returns
    -------
    Exam
    """
    images = config["settings"]["images"]
    crop, _ = photograph_to_input(RETINA, config["size"], colours_of(images), field_of(images))
    crops = np.stack([np.rot90(seen, turns) for seen in (crop, crop[:, ::-1]) for turns in range(4)])
    expected = _ask(network, crops, [f"{RETINA.name}, view {view}" for view in range(1, 9)])
    return Exam(f"views of {RETINA.name}", crops, None, expected, None)


def _ask(network, photographs, names):
    """Predict the probabilities of photographs with Keras; float64, shape (n, classes)."""
    from eyenet.model.batches import Batches, predict
    from eyenet.model.predictions import require_numbers

    expected = predict(network, Batches(photographs, None, np.arange(len(photographs)), BATCH))
    require_numbers(expected, names)
    return expected


class Limit(NamedTuple):
    """The largest allowed differences of an export.

    Difference of a class's probability, share of changed decisions, their distance from the threshold, and loss of AUC.
    """

    probability: float
    decisions: float
    farthest: float
    auc: float


# The limits of float32, and of a probability in float16, were set in advance. The others were set after measuring the
# three-layer network and EfficientNet-Lite0 on the test patients (benchmarks/results/export-*.csv), so they only detect
# a broken export. In float16, a decision may change only close to the threshold, where rounding moves a probability to
# the other side: within half the allowed difference of a probability, and for at most one photograph in 100 (with Core
# ML, a trained EfficientNet-Lite0 changed one of 100). Measured with eight bits: differences of 0.07 (dynamic) and 0.17
# (int8), and up to 2 % and 3.5 % changed decisions.
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
    exam : Exam
    found : ndarray of float, shape (n, classes)
        Probabilities of the exported network for its photographs.
    config : dict
        config.json of the model.

    Returns
    -------
    dict
        Number of `photographs`, `what` they are, `largest` difference of a probability (may be NaN), and by question:
        number of `decisions` that changed at the model's threshold, `farthest` distance of Keras's probability from it
        among these (0 if there are none), and `auc` of Keras and of the export, None if a class or the grades are
        missing.
    """
    expected, levels = exam.expected, exam.levels
    figures = {"photographs": len(expected), "what": exam.what, "largest": float(np.abs(expected - found).max())}
    figures["questions"] = {}
    for question, threshold in thresholds_at(config).items():
        before, after = (
            raw_and_calibrated(config["decision"], x, config["task"], question)[1] for x in (expected, found)
        )
        changed = (before >= threshold) != (after >= threshold)
        diseased = None if levels is None else np.asarray(levels) >= LEAST_GRADE[question]
        figures["questions"][question] = {
            "decisions": int(changed.sum()),
            "farthest": float(np.abs(before - threshold)[changed].max(initial=0)),
            "auc": [_auc(diseased, x) for x in (before, after)],
        }
    return figures


def _auc(diseased, probability):
    """Compute the area under the ROC curve; None without grades, without both classes, or with NaN or infinity."""
    from sklearn.metrics import roc_auc_score

    if diseased is None or diseased.all() or not diseased.any() or not np.isfinite(probability).all():
        return None
    return float(roc_auc_score(diseased, probability))


def require_parity(figures, precision, path):
    """Refuse an export that differs from Keras by more than its precision allows.

    Raises
    ------
    StageError
        The message gives the differences.
    """
    limit, wrong = LIMITS[precision], []
    if not figures["largest"] <= limit.probability:  # NaN too
        wrong.append(f"a probability by {figures['largest']:.2g}, where {limit.probability:g} is allowed")
    for question, answers in figures["questions"].items():
        allowed = int(limit.decisions * figures["photographs"])
        if answers["decisions"] > allowed:
            wrong.append(f"{plural(answers['decisions'], 'decision')} on {question} DR, where {allowed} are allowed")
        elif answers["farthest"] > limit.farthest:
            far = f"{answers['farthest']:.2g} from the threshold, where {limit.farthest:g} is allowed"
            wrong.append(f"a decision on {question} DR, {far}")
        before, after = answers["auc"]
        if before is not None and (after is None or before - after > limit.auc):
            lost = "it has none" if after is None else f"{before:.3f} became {after:.3f}"
            wrong.append(f"the AUC of {question} DR: {lost}, where a loss of {limit.auc:g} is allowed")
    if wrong:
        raise StageError(
            f"{path} in {precision} differs from the trained network on "
            f"{plural(figures['photographs'], 'photograph')}: {'; '.join(wrong)}"
        )


def line(figures):
    """Format the figures as one line."""
    parts = [f"largest difference of a probability {figures['largest']:.1e}"]
    for question, answers in figures["questions"].items():
        known = "" if answers["auc"][0] is None else f", AUC {answers['auc'][0]:.4f} -> {answers['auc'][1]:.4f}"
        near = f", at most {answers['farthest']:.4f} from the threshold" if answers["decisions"] else ""
        parts.append(f"{question} DR: decisions changed {answers['decisions']}{near}{known}")
    what = figures["what"] if figures["photographs"] != 1 else figures["what"].replace("photographs", "photograph")
    return f"{figures['photographs']:,} {what}: {'; '.join(parts)}"
