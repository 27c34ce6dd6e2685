"""Read and check the folder of a trained model."""

import hashlib
import importlib
import itertools
import math
import os
import shlex
from pathlib import Path

from eyenet.data.names import canonical
from eyenet.data.tasks import TASKS
from eyenet.model.decision import BALANCED, own_point
from eyenet.photo.colours import COLOURS
from eyenet.photo.field import FIELDS
from eyenet.photo.retina import ACCEPTED, PREPROCESSING
from eyenet.run.errors import StageError, log
from eyenet.run.files import LATEST, follow, read_json, sha256

FORMAT = 2  # of config.json: 2 since decisions are in it
NETWORK, LITE_NETWORK = "model.keras", "model.tflite"  # for Keras, and for LiteRT


def split_hash(table):
    """Hash the assignment of patients to splits: models with the same hash were tested on the same patients."""
    pairs = sorted(set(zip(table["patient"], table["split"])))
    return hashlib.sha256(repr(pairs).encode()).hexdigest()


def provenance():
    """Record the versions, machine and commit that train the model."""
    import platform  # slow, and not needed by predict.py
    import subprocess

    here = Path(__file__).parent
    git = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        commit = subprocess.run(git, check=False, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git on this machine
        commit = ""
    packages = [importlib.import_module(name) for name in ("keras", "numpy", os.environ["KERAS_BACKEND"])]
    return {
        "commit": commit or None,
        "versions": {"python": platform.python_version(), **{p.__name__: p.__version__ for p in packages}},
        "machine": platform.platform(),
    }


def setting(settings, name):
    """Find a setting of the stages that made the images; None if no stage has it."""
    while isinstance(settings, dict):
        if name in settings:
            return settings[name]
        settings = settings.get("input")
    return None


def colours_of(settings):
    """Find the colours of images in the settings of the stages that made them; natural by default."""
    return setting(settings, "colours") or "natural"


def field_of(settings):
    """Find what the images show by the settings of the stages that made them; the circle by default."""
    return setting(settings, "field") or "circle"


def what_it_has_seen(config):
    """Say in a few words which photographs a model was trained on; `config` as in config.json."""
    trained = config.get("trained", {})
    images = "synthetic drawings" if setting(config["settings"]["images"], "synthetic") else "photographs"
    count = f"{trained['photographs']:,} " if "photographs" in trained else ""
    return f"{count}{images}{' of ' + trained['source'] if 'source' in trained else ''}"


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
        raise StageError(f"there is no model folder {folder}; cnn.py makes it")
    config = read_json(folder / "config.json")
    if config is None:
        raise StageError(f"{folder} has no whole config.json, so it is no model of cnn.py; train again")
    if config.get("format") != FORMAT:
        raise StageError(
            f"{folder} was made by another version of EyeNet (its format is {config.get('format', 1)}, this one reads "
            f"{FORMAT}); train again with this version"
        )
    if not config.get("finished") or not config.get("decision"):
        raise StageError(f"the training in {folder} is not finished; run cnn.py again to go on")
    settings = config.get("settings")
    described = isinstance(settings, dict) and {"images", "split"} <= settings.keys()
    described = described and isinstance(config.get("files", {}), dict)
    if not described or not {"task", "classes", "size"} <= config.keys() or not _decides(config):
        raise StageError(f"{folder / 'config.json'} is damaged: its settings or its decision is not whole; train again")
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
        raise StageError(f"{path} {lacks}; python -m eyenet.model.lite {shlex.quote(str(folder))} makes it")
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


def load_network(folder, config):
    """Load the network of a model folder in float32; the Keras backend must have been started.

    Raises
    ------
    StageError
        If the file is damaged, or does not match config.json.
    """
    import keras

    path = Path(folder) / NETWORK
    network = load_whole(lambda p: keras.models.load_model(p, compile=False), path, config)
    size, classes = config["size"], len(config["classes"])
    if network.input_shape[1:] != (size, size, 3) or network.output_shape[1:] != (classes,):
        raise StageError(
            f"{path} takes {network.input_shape[1:]} and gives {network.output_shape[1:]}, not the {size} px and "
            f"{classes} classes of config.json; the folder is a mixture, train again"
        )
    compute_exactly(network)
    return network


def compute_exactly(network):
    """Make a network, with its nested models, compute in float32 whatever precision it was trained in."""
    network.dtype_policy = "float32"
    for layer in network.layers:
        layer.dtype_policy = "float32"
        if hasattr(layer, "layers"):
            compute_exactly(layer)


def load_whole(load, path, config):
    """Call `load(path)`, which reads a file with Keras.

    Raises
    ------
    StageError
        If it cannot be read: it is missing or damaged, or another version of Keras wrote it. The sentence says which,
        as far as config.json tells.
    """
    try:
        return load(path)
    except MemoryError:
        raise
    except Exception as error:  # Keras and HDF5 raise anything, and say "not found" of a file that is cut off
        if "safe_mode" in str(error):
            raise StageError(
                f"{path} holds program code (a Lambda layer), which EyeNet never runs; train again"
            ) from None
        raise StageError(why_unreadable(path and Path(path), config, error)) from None


def why_unreadable(path, config, error):
    """Say in a sentence why Keras cannot read a file of a model, and how to go on."""
    said = " ".join(str(error).split())[:160] or type(error).__name__
    if path is None:  # a host of a distributed training
        return f"the checkpoint that process 0 sent cannot be read ({said})"
    if not path.is_file():
        return f"{path} is missing; copy the whole folder again, or train anew with another --run"
    made, here = (config.get("versions") or {}), loaded_versions()
    other = {name: made[name] for name in here if made.get(name, here[name]) != here[name]}
    recorded = (config.get("files") or {}).get(path.name)
    whole = recorded is not None and sha256(path) == recorded
    state = f"{path} is whole, but Keras cannot read it" if whole else f"{path} cannot be read; it may be damaged"
    state += f" ({said})"
    if not other:
        return f"{state}; " + ("" if whole else "copy the whole folder again, or ") + "train anew with another --run"
    then, now = (", ".join(f"{name} {versions[name]}" for name in other) for versions in (made, here))
    install = " ".join(f"{name}=={version}" for name, version in other.items())
    return f"{state}; it was made with {then}, this is {now}: pip install {install}, or train anew with another --run"


def loaded_versions():
    """Return the versions of Keras and its backend, by package."""
    packages = [importlib.import_module(name) for name in ("keras", os.environ.get("KERAS_BACKEND", "tensorflow"))]
    return {package.__name__: package.__version__ for package in packages}


def read_patients(folder):
    """Read the patients of each split of a model; DataFrame with patient, split, and patient_known if some are not."""
    from eyenet.data.tables import read_table  # imports pandas, which is slow and not needed by predict.py

    return read_table(Path(folder) / "patients.csv", ["patient", "split"], "cnn.py")


def known_patients(table, folder, splits=("train", "val")):
    """List the patients of a table on whom a model was trained, or its epoch and thresholds chosen.

    Photographs whose patients are unknown are compared by name, and only with others of that kind.

    Parameters
    ----------
    table : DataFrame
    folder : path-like
        Of the model.
    splits : sequence of str
        Splits of the model whose patients count.

    Returns
    -------
    list of str
    """
    from eyenet.data.tables import patient_known

    theirs, found = read_patients(folder), set()
    theirs = theirs[theirs["split"].isin(splits)]
    ours, others = patient_known(table), patient_known(theirs)
    for kind in (True, False):
        before = set(theirs.loc[others == kind, "patient"].map(canonical))
        found |= {patient for patient in table.loc[ours == kind, "patient"] if canonical(patient) in before}
    return sorted(found)


def copy_weights(network, trained):
    """Copy weights, and which layers are trainable, from a trained network to one of the same architecture."""
    from eyenet.model.networks import leaves

    for layer, known in zip(leaves(network), leaves(trained), strict=True):
        layer.set_weights(known.get_weights())
        layer.trainable = known.trainable


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
    metrics = read_json(folder / "metrics.json") or {}
    questions = {}
    for question, figures in metrics.get("questions", {}).items():
        points = figures.get("eye", {}).get("operating_points", {})
        questions[question] = {point: _complete(found) for point, found in points.items()}
    return {"set": metrics.get("set"), "questions": questions} if questions else None


def _complete(found):
    """Keep sensitivity and specificity where they and their interval are defined."""
    figures = {name: found.get(name) for name in ("sensitivity", "specificity")}
    return {name: figure for name, figure in figures.items() if figure and None not in figure.values()}
