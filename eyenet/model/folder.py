"""Read and check the folder of a trained model."""

import itertools
import math
import shlex
from pathlib import Path

from eyenet.data.tasks import TASKS
from eyenet.model.decision import BALANCED, own_point
from eyenet.model.settings import colours_of, field_of, setting
from eyenet.photo.colours import COLOURS
from eyenet.photo.field import FIELDS
from eyenet.photo.retina import ACCEPTED, PREPROCESSING
from eyenet.run.errors import StageError, log
from eyenet.run.files import LATEST, follow, read_json, sha256

FORMAT = 2  # of config.json: 2 since decisions are in it
NETWORK, LITE_NETWORK = "model.keras", "model.tflite"  # for Keras, and for LiteRT
RECALIBRATION = "recalibration.json"  # the cross-fitted figures of a model that recalibrate.py made


def open_model(folder, file=NETWORK):
    """Read config.json of a model folder, after checking that the folder is complete and of this version.

    Parameters
    ----------
    folder : path-like
    file : str
        The network that will be read: `NETWORK` or `LITE_NETWORK`.

    Returns
    -------
    dict
        config.json; a prediction needs `task`, `classes`, `size` and `decision`.

    Raises
    ------
    StageError
        If the folder or a part of it is missing or damaged, if the network's file is not the one that training wrote,
        or if another version made it.
    """
    folder = follow(folder)
    if not folder.is_dir():
        raise StageError(f"there is no model folder {folder}; run cnn.py first")
    config = read_json(folder / "config.json")
    if config is None:
        raise StageError(f"{folder} has no complete config.json, so it is no model of cnn.py; train again")
    if config.get("format") != FORMAT:
        raise StageError(
            f"{folder} was made by another version of EyeNet (its format is {config.get('format', 1)}, this one reads "
            f"{FORMAT}); train again with this version"
        )
    if not config.get("finished") or not config.get("decision"):
        raise StageError(f"the training in {folder} is not finished; run cnn.py again to continue")
    settings = config.get("settings")
    described = isinstance(settings, dict) and {"images", "split"} <= settings.keys()
    described = described and isinstance(config.get("files", {}), dict)
    if not described or not {"task", "classes", "size"} <= config.keys() or not _decides(config):
        raise StageError(f"{folder / 'config.json'} is damaged: its settings or decision are incomplete; train again")
    for question in TASKS[config["task"]].questions:
        config["decision"][question].pop("patient", None)  # rules of older versions: a patient has now the worst eye's
    require_preprocessing(folder, config["settings"]["images"])
    if not (folder / NETWORK).is_file() and file == NETWORK:
        raise StageError(f"{folder} has no {NETWORK}; train again")
    require_unchanged(folder, config, file)
    return config


def require_preprocessing(folder, images):
    """Refuse a model whose photographs were prepared in a way that this version does not know; `images` as in config.

    Raises
    ------
    StageError
    """
    made = setting(images, "preprocessing")
    if made not in (None, *ACCEPTED):
        raise StageError(
            f"{folder} was trained on photographs prepared by version {made} of the preprocessing, and this is version "
            f"{PREPROCESSING}; train again"
        )
    if made not in (None, PREPROCESSING):
        log(
            f"note: {folder} was trained with version {made} of the preprocessing; this version, {PREPROCESSING}, "
            "finds the circle of the retina more exactly, and differs for photographs with a colour profile, more than "
            "8 bits or transparency"
        )
    if (field := field_of(images)) not in FIELDS:
        raise StageError(f"{folder} was trained on a field '{field}' that this version does not know; train again")
    colours = colours_of(images)
    if colours not in COLOURS:
        raise StageError(
            f"{folder} was trained on photographs with {colours} colours, and this version knows only "
            f"{' and '.join(COLOURS)} ones; train again"
        )


def require_unchanged(folder, config, name):
    """Refuse a network's file whose checksum differs from the one in config.json.

    A folder from before checksums has none for its `NETWORK`, which is then read as it is, and no `LITE_NETWORK`.

    Raises
    ------
    StageError
    """
    path, files = Path(folder) / name, config.get("files", {})
    if name == LITE_NETWORK and (not path.is_file() or name not in files or "evidence" not in config):
        lacks = "is missing" if name in files else "was not yet written by the version of EyeNet that trained it"
        raise StageError(f"{path} {lacks}; run python -m eyenet.model.lite {shlex.quote(str(folder))} first")
    if name in files and sha256(path) != files[name]:
        raise StageError(
            f"{path} is not the file that training wrote: its checksum differs from that in config.json; copy the "
            "whole folder again, or train again"
        )


def _decides(config):
    """Tell whether a decision is complete for its task, with finite numbers."""
    try:
        task, decision = TASKS[config["task"]], config["decision"]
        for question in task.questions:
            chosen = decision[question]
            points = chosen["eye"]["operating_points"]
            numbers = [chosen["shift"], *points.values()]
            sound = all(map(math.isfinite, numbers)) and 0 < chosen["temperature"] < math.inf
            if not sound or not {BALANCED, own_point(config)} <= points.keys():
                return False
        return config["task"] != "grade" or len(decision["grade"]["cuts"]) == len(task.classes) - 1
    except (KeyError, TypeError, AttributeError):  # a part is missing or of the wrong type
        return False


def name_latest(folder):
    """Make `latest`, beside a model's folder, name the folder: a link, or a text file on a disk without links.

    It changes in one step. A folder or another file of that name, such as a copy from a disk without links, keeps its
    content under another name: otherwise the next step would read an old model.

    Raises
    ------
    OSError
        If `latest` cannot be written.
    """
    latest, temporary = folder.parent / LATEST, folder.parent / f".tmp-{LATEST}"
    if not latest.is_symlink() and latest.exists() and follow(latest) == latest:
        number = next(k for k in itertools.count(1) if not latest.with_name(f"{LATEST}-{k}").exists())
        latest.rename(latest.with_name(f"{LATEST}-{number}"))
        log(f"note: {latest} was no link to a model; it is now {latest.name}-{number}")
    try:
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(folder.name)
        except OSError:
            temporary.write_text(f"{folder.name}\n")
        temporary.replace(latest)
    finally:
        temporary.unlink(missing_ok=True)


def read_measured(folder):
    """Read what the operating points of an eye reached on the test patients.

    Of a recalibrated model the cross-fitted figures of its own clinic count.

    Parameters
    ----------
    folder : Path
        Of the model.

    Returns
    -------
    dict or None
        For JSON: the `set` of patients, and `questions`, which maps question and operating point to `sensitivity` and
        `specificity` (`value`, and the interval from `low` to `high`). None if evaluate.py has not measured them.
    """
    metrics = read_json(folder / RECALIBRATION) or read_json(folder / "metrics.json") or {}
    questions = {}
    for question, figures in metrics.get("questions", {}).items():
        points = figures.get("eye", {}).get("operating_points", {})
        questions[question] = {point: _complete(found) for point, found in points.items()}
    return {"set": metrics.get("set"), "questions": questions} if questions else None


def _complete(found):
    """Keep sensitivity and specificity where they and their interval are defined."""
    figures = {name: found.get(name) for name in ("sensitivity", "specificity")}
    return {name: figure for name, figure in figures.items() if figure and None not in figure.values()}
