"""Score the photographs of a packed array with a network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from eyenet.data.array import map_blocks, open_array, rows_by_split
from eyenet.data.names import FITTED, SPLIT_NAMES, original_name
from eyenet.data.tables import patient_known
from eyenet.data.tasks import require_answers
from eyenet.model.batches import Batches, predict
from eyenet.model.patients import alike_patients, fitted_patients, known_patients, split_hash
from eyenet.model.settings import colours_of, setting
from eyenet.run.errors import StageError, log, plural
from eyenet.run.files import from_cell
from eyenet.score.not_retina import border_features, geometry_features

CHUNK = 512  # crops in memory at a time: 100 MB at 256 px


@dataclass
class Scored:
    """Photographs with grades and predictions.

    `table` has the columns image, patient, eye, level, split (and Usage, quality, gradable, question, patient_known).
    Its rows match those of `probabilities` (n, classes) and of `features` (n, k), which describe file, geometry and rim
    but not the retina. `crops(rows)` reads photographs, uint8 (n, size, size, 3). `what` describes the set in words.
    `known` counts the patients that the network was trained or tuned on, and `alike` those who may be, since the array
    was made of other sets. Of a folder of photographs, `found` counts all
    of them, `left_out` has the reason of each that is not scored, and `without` counts labels without a photograph.
    """

    table: pd.DataFrame
    probabilities: np.ndarray
    features: np.ndarray
    crops: Callable
    what: str
    synthetic: bool
    known: int
    found: int = 0
    left_out: tuple = ()
    without: int = 0
    alike: int = 0

    def take(self, rows):
        """Return the subset of photographs in some rows, an ndarray of int."""
        return replace(
            self,
            table=self.table.iloc[rows].reset_index(drop=True),
            probabilities=self.probabilities[rows],
            features=self.features[rows],
            crops=lambda i: self.crops(rows[i]),
        )


def require_numbers(probabilities, images):
    """Raise a StageError that names the first photograph for which the network predicts NaN or infinity."""
    wrong = ~np.isfinite(probabilities).all(axis=1)
    if wrong.any():
        name = np.asarray(images)[wrong][0]
        raise StageError(
            f"the network predicts NaN or infinity for {plural(wrong.sum(), 'photograph')}, such as {name}; "
            "its weights are damaged; train it again"
        )


def require_unseen(table, model, split, protocol, own=False):
    """Refuse photographs of patients that the model was trained or tuned on, except under the protocol of 2017.

    Parameters
    ----------
    table : DataFrame
        Of the split.
    model : path-like
    split : str
    protocol : str or None
        Setting of the array.
    own : bool
        Whether the array is that of the network's training, whose IDs are not those of a clinic with other patients.

    Returns
    -------
    int
        Number of such patients.
    """
    again = known_patients(table, model, _counted(split), other_sources=not own)
    if again and protocol != "2017":
        raise StageError(
            f"{model} was trained or tuned on {len(again):,} of the patients to score, such as {again[0]}; use the "
            "array that it was trained on, or one of other patients"
        )
    return len(again)


def _counted(split):
    """Name the splits of a model whose patients must not be in a split that is evaluated."""
    return ("train",) if split == "val" else FITTED


def warn_of_alike(table, model, split):
    """Count the patients who may be of another set of the training, as in `alike_patients`, and log a warning."""
    alike = alike_patients(table, fitted_patients(model, _counted(split)))
    if alike:
        log(
            f"WARNING: {plural(len(alike), 'patient')}, such as {alike[0]}, may also be among the patients on whom "
            f"{model} was trained or tuned, where another set uses the same ID; if so, these figures are too high"
        )
    return len(alike)


def require_same_images(size, settings, config, folder, model):
    """Refuse an array whose images differ in size or colours from those that the model was trained on."""
    if size != config["size"]:
        raise StageError(f"the images in {folder} have {size} px, and {model} takes {config['size']} px")
    colours, known = colours_of(settings), colours_of(config["settings"]["images"])
    if colours != known:
        raise StageError(
            f"the images in {folder} have {colours} colours, and {model} was trained on {known} ones; make them again "
            f"with resize_images.py --colours {known}, or give the photographs themselves with --photos"
        )


def name_set(table, split, known):
    """Describe a split in words; `known` is the number of its patients that are also in training."""
    if known:
        return f"{split} rows drawn at random, the protocol of 2017: {known:,} of their patients were trained on"
    name = SPLIT_NAMES[split]
    return name if patient_known(table).all() else name.replace("patients", "photographs")


def score_array(folder, split, model, config, network, photographs, batch):
    """Score the splits of a packed array.

    Parameters
    ----------
    folder, model : path-like
    split : {'val', 'test', 'unseen'}
        The split to evaluate; training and validation are scored too if the model was trained on this array.
    config : dict
        Of the model.
    network : keras.Model
    photographs : path-like
        Table of the photographs' geometry, from resize_images.py; the file may be missing.
    batch : int

    Returns
    -------
    scored : dict of str to Scored
        By split.

    Raises
    ------
    StageError
        If size or colours of the array differ from the model's, the split is empty, or the model was trained on its
        patients.
    """
    images, table, sidecar = open_array(folder)
    settings, rows = sidecar["settings"], rows_by_split(table, sidecar["settings"])
    require_same_images(images.shape[1], settings, config, folder, model)
    if not len(rows.get(split, ())):
        raise StageError(f"{folder} has no photograph in the split '{split}'; preprocess_images.py makes the splits")
    evaluated = table.iloc[rows[split]]
    require_answers(evaluated, config["task"], folder)
    own = split_hash(table) == config["settings"]["split"]
    known = require_unseen(evaluated, model, split, setting(settings, "protocol"), own)
    alike = 0 if own else warn_of_alike(evaluated, model, split)
    what, geometry = name_set(evaluated, split, known), read_geometries(photographs, table)
    wanted = (*FITTED, split)
    if not own:
        log(f"note: {model} was not trained on {folder}; only its split '{split}' is scored")
        wanted = (split,)
    if not known:  # training is scored on originals, as validation and test are
        rows["train"] = rows["train"][(table["transform"].iloc[rows["train"]] == "original").to_numpy()]

    def score(name):
        chosen = rows[name]
        log(f"scoring {plural(len(chosen), 'photograph')} of the split '{name}'")
        probabilities = predict(network, Batches(images, None, chosen, batch))
        require_numbers(probabilities, table["image"].iloc[chosen])
        features = np.concatenate([map_blocks(border_features, images, chosen, None), geometry[chosen]], axis=1)
        of_name = table.iloc[chosen].drop(columns="transform").reset_index(drop=True)
        synthetic = bool(setting(settings, "synthetic"))
        found = Scored(of_name, probabilities, features, lambda i: images[chosen[i]], what, synthetic, known)
        return replace(found, alike=alike)

    return {name: score(name) for name in dict.fromkeys(wanted) if len(rows[name])}


def read_geometries(path, table):
    """Read size and circle of each photograph of a table; no columns if the file is missing or incomplete."""
    if not Path(path).is_file():
        log(f"note: there is no {path}; the shortcut baseline will not use file and photograph size")
        return np.zeros((len(table), 0))
    try:
        known = pd.read_csv(path, dtype={"image": str})
        known = known.assign(image=known["image"].map(from_cell)).drop_duplicates("image").set_index("image")
        features = pd.DataFrame(geometry_features(known.reset_index()), index=known.index)
    except (ValueError, KeyError, ZeroDivisionError):  # pandas' own errors are ValueErrors
        features = pd.DataFrame([[np.nan]])
    if not np.isfinite(features.to_numpy()).all():
        raise StageError(f"{path} is damaged; run resize_images.py again")
    source = pd.Index([original_name(*row) for row in zip(table["image"], table["transform"])])
    if not source.isin(features.index).all():
        log(f"note: {path} is not used: {(~source.isin(features.index)).sum():,} of the photographs are not in it")
        return np.zeros((len(table), 0))
    return features.loc[source].to_numpy()
