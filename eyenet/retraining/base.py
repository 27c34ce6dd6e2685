"""Open what a retraining starts from: the model in use, and the array that it was trained on."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from eyenet.data.array import COLUMNS, content_hash, open_array
from eyenet.data.shards import Shards
from eyenet.model import pretrained
from eyenet.model.folder import name_latest, open_model
from eyenet.photo.quality import SMALLEST
from eyenet.retraining.promotion import current_model, first_model
from eyenet.run.errors import StageError, log
from eyenet.run.files import LATEST, read_json, whole_file

CONFIG, RESULTS = "config.json", ("metrics.json", "MODEL_CARD.md")  # the results are evaluate.py's
KEPT_SETTINGS = ("network", "task", "batch", "precision")  # as the model in use was trained


class Base(NamedTuple):
    """The model in use, and the array that it was trained on: None and empty for the network that ships."""

    folder: Path
    config: dict
    array: Path | None
    images: np.ndarray | Shards
    table: pd.DataFrame
    sidecar: dict
    split: dict


def adopt_shipped(models):
    """Copy the network that ships into a folder without models, and let `latest` name it.

    Its folder there may hold what evaluate.py and export_model.py made of it. That stays: its own figures and card too.
    """
    models, shipped = Path(models), pretrained.folder()
    others = [path for path in models.glob("*/config.json") if path.parent.name != shipped.name]
    if os.path.lexists(models / LATEST) or others or not shipped.is_dir():
        return
    copied = models / shipped.name
    copied.mkdir(exist_ok=True)
    missing = [path for path in shipped.iterdir() if not (path.name in RESULTS and (copied / path.name).exists())]
    if not (copied / CONFIG).exists():
        for path in sorted(missing, key=lambda path: path.name == CONFIG):  # the last one: with it, the model is whole
            with whole_file(copied / path.name) as temporary:
                shutil.copyfile(path, temporary)
    name_latest(copied)
    log(f"note: there was no model in {models}, so the network that ships, {shipped.name}, is now in use there")


def open_base(work, models):
    """Open the model in use and the array that it was trained on, from the pipeline or an earlier retraining.

    Raises
    ------
    StageError
        If the model is missing or cannot be retrained, or its array is missing.
    """
    folder = current_model(models)
    config = open_model(folder)
    if config["size"] < SMALLEST:
        raise StageError(
            f"{folder} takes images of {config['size']} px, too small to judge their quality; train a model at "
            f"{SMALLEST} px or more"
        )
    if missing := {*KEPT_SETTINGS, "learning_rate"} - config["settings"].keys():
        raise StageError(f"{folder} is from an older version that did not record {min(missing)}; train a new model")
    for array in (work / "data" / "array", *sorted((work / "data" / "retrain").glob("*/array"))):
        sidecar = read_json(array / "X.json")
        if sidecar is not None and content_hash(sidecar) == config["settings"]["array"]:
            return Base(folder, config, array, *open_array(array), split_of(work, models, folder))
    if "trained" in config:  # the network that ships
        images = np.empty((0, config["size"], config["size"], 3), np.uint8)
        settings = {"settings": config["settings"]["images"]}
        return Base(folder, config, None, images, pd.DataFrame(columns=COLUMNS), settings, config["trained"]["split"])
    raise StageError(f"the array that {folder} was trained on is not in {work / 'data'}; run image_to_array.py")


def split_of(work, models, folder):
    """Return how patients are split: the seed, and the shares of validation and test, as dict.

    Raises
    ------
    StageError
        If neither the pipeline in the work folder nor the first model of the chain tells it.
    """
    made = read_json(work / "data" / "preprocessed" / "stage.json") or {}
    first = read_json(first_model(models, folder) / "config.json") or {}
    split = made.get("split") or first.get("trained", {}).get("split")
    if split is None:
        raise StageError(f"{work} is not the work folder of a finished pipeline: no data/preprocessed/stage.json")
    return split
