"""Read and check the folder of a trained model."""

import hashlib
import importlib
import math
import os
import platform
import shlex
import subprocess
from pathlib import Path

from eyenet.data.tasks import TASKS
from eyenet.model.decision import BALANCED, RULES
from eyenet.photo.colours import COLOURS
from eyenet.photo.retina import ACCEPTED, PREPROCESSING
from eyenet.run.errors import StageError, log
from eyenet.run.files import read_json, sha256

FORMAT = 2  # of config.json: 2 since decisions are in it
NETWORK, LITE_NETWORK = "model.keras", "model.tflite"  # for Keras, and for LiteRT


def split_hash(table):
    """Hash the assignment of patients to splits: models with the same hash were tested on the same patients."""
    pairs = sorted(set(zip(table["patient"], table["split"])))
    return hashlib.sha256(repr(pairs).encode()).hexdigest()


def provenance():
    """Record the versions, machine and commit that train the model."""
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
    folder = Path(folder)
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
    made = setting(config["settings"]["images"], "preprocessing")
    if made not in (None, *ACCEPTED):
        raise StageError(
            f"{folder} was trained on photographs prepared by version {made} of the preprocessing, and this is version "
            f"{PREPROCESSING}; train again"
        )
    if made not in (None, PREPROCESSING):
        log(
            f"note: {folder} was trained with version {made} of the preprocessing; this version, {PREPROCESSING}, "
            "differs only for photographs with a colour profile, more than 8 bits or transparency"
        )
    colours = colours_of(config["settings"]["images"])
    if colours not in COLOURS:
        raise StageError(
            f"{folder} was trained on photographs with {colours} colours, and this version knows only "
            f"{' and '.join(COLOURS)} ones; train again"
        )
    if not (folder / NETWORK).is_file() and file == NETWORK:
        raise StageError(f"{folder} has no {NETWORK}; train again")
    require_unchanged(folder, config, file)
    return config


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
    """Tell whether a decision is complete for its task, with finite numbers and known fusion rules."""
    try:
        task, decision = TASKS[config["task"]], config["decision"]
        for question in task.questions:
            chosen = decision[question]
            points = [chosen[unit]["operating_points"] for unit in ("eye", "patient")]
            numbers = [chosen["shift"], *(threshold for unit in points for threshold in unit.values())]
            sound = all(map(math.isfinite, numbers)) and 0 < chosen["temperature"] < math.inf
            if not sound or any(BALANCED not in unit for unit in points) or chosen["patient"]["fusion"] not in RULES:
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
    network = load_whole(lambda p: keras.models.load_model(p, compile=False), path)
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


def load_whole(load, path):
    """Call `load(path)`; raise a StageError if the file is damaged or missing."""
    try:
        return load(path)
    except (OSError, ValueError, KeyError, TypeError) as error:  # may say "not found" of a file that is cut off
        if "safe_mode" in str(error):
            raise StageError(
                f"{path} holds program code (a Lambda layer), which EyeNet never runs; train again"
            ) from None
        state = "damaged" if Path(path).is_file() else "missing"
        raise StageError(f"{path} is {state}; delete this run's folder to train anew") from None


def read_patients(folder):
    """Read the patients of each split of a model; DataFrame with patient, split."""
    from eyenet.data.tables import read_table  # imports pandas, which is slow and not needed by predict.py

    return read_table(Path(folder) / "patients.csv", ["patient", "split"], "cnn.py")


def copy_weights(network, trained):
    """Copy weights, and which layers are trainable, from a trained network to one of the same architecture."""
    from eyenet.model.networks import leaves

    for layer, known in zip(leaves(network), leaves(trained), strict=True):
        layer.set_weights(known.get_weights())
        layer.trainable = known.trainable


def link_latest(folder):
    """Link `latest`, beside a model's folder, to the folder, atomically.

    Raises
    ------
    OSError
        If `latest` is not a link, or the file system has no links.
    """
    temporary = folder.parent / ".tmp-latest"
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(folder.name)
        temporary.replace(folder.parent / "latest")
    finally:
        temporary.unlink(missing_ok=True)
