"""The photographs that exported networks are asked about, with what Keras says of them."""

from typing import NamedTuple

import numpy as np

from eyenet.data.array import open_array, rows_by_split
from eyenet.model.folder import colours_of, split_hash
from eyenet.photo.decode import PHOTOGRAPHS
from eyenet.photo.retina import photograph_to_input
from eyenet.run.errors import PhotoError, StageError, log
from eyenet.run.folder import list_files
from eyenet.run.workers import cores, for_each

CALIBRATION = 100  # training photographs on which int8 measures its ranges
BATCH = 32


class Exam(NamedTuple):
    """What exports are asked about: `photographs` of uint8 (n, size, size, 3), and `expected`, what Keras says.

    `what` says in words which they are; `levels` are their grades, None where nobody graded them; `calibration` are
    other photographs, of training patients, None without an array.
    """

    what: str
    photographs: np.ndarray
    levels: np.ndarray | None
    expected: np.ndarray
    calibration: np.ndarray | None

    def take(self, count):
        """Give at most `count` of the photographs, evenly from all."""
        rows = spread(np.arange(len(self.photographs)), count)
        levels = None if self.levels is None else self.levels[rows]
        return self._replace(photographs=self.photographs[rows], levels=levels, expected=self.expected[rows])


def spread(rows, count):
    """Take at most `count` of the rows, evenly from all."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(int)]


def exam_from_array(folder, model, config, network, most):
    """Choose test photographs of the array that a model was trained on, and ask Keras.

    Parameters
    ----------
    folder, model : path-like
        Of the array and of the model.
    config : dict
        Of the model.
    network : keras.Model
    most : int
        Photographs.

    Returns
    -------
    Exam

    Raises
    ------
    StageError
        If the array is not the model's own, or has no test photograph.
    """
    from eyenet.model.predictions import require_colours  # imports Keras, which must have been started

    images, table, sidecar = open_array(folder)
    if images.shape[1] != config["size"]:
        raise StageError(f"the images in {folder} have {images.shape[1]} px, and {model} takes {config['size']} px")
    require_colours(sidecar["settings"], config["settings"]["images"], folder, model)
    if split_hash(table) != config["settings"]["split"]:
        raise StageError(
            f"{model} was not trained on {folder}, so its patients may not be unseen; give the array that it was "
            "trained on with --input"
        )
    rows = rows_by_split(table, sidecar["settings"])
    if not len(rows["test"]):
        raise StageError(
            f"{folder} has no test photograph to prove an export on; preprocess_images.py makes the splits"
        )
    test, train = spread(rows["test"], most), spread(rows["train"], CALIBRATION)
    log(f"asking Keras about {len(test):,} test photographs")
    expected = _ask(network, images[test], table["image"].iloc[test])
    return Exam("unseen test photographs", images[test], table["level"].to_numpy()[test], expected, images[train])


def exam_from_photographs(folder, config, network, most):
    """Prepare photographs of a folder as the network wants them, and ask Keras.

    Returns
    -------
    Exam

    Raises
    ------
    StageError
        If none can be read.
    """
    files = spread(np.array(list_files(folder, PHOTOGRAPHS, "a camera")), most)
    colours = colours_of(config["settings"]["images"])
    done = list(for_each(lambda p: photograph_to_input(p, config["size"], colours)[0], files, cores(), "prepare"))
    for path, failed in ((path, crop) for path, crop in done if isinstance(crop, PhotoError)):
        log(f"left out {path}: {failed}")
    read = [(path.name, crop) for path, crop in done if not isinstance(crop, PhotoError)]
    if not read:
        raise StageError(f"none of the photographs in {folder} can be read; the reasons are above")
    crops = np.stack([crop for _, crop in read])
    log(f"asking Keras about {len(crops):,} photographs")
    return Exam("photographs without grades", crops, None, _ask(network, crops, [name for name, _ in read]), None)


def _ask(network, photographs, names):
    """Ask Keras for the probabilities of photographs; float64, shape (n, classes)."""
    from eyenet.model.batches import Batches, predict
    from eyenet.model.predictions import require_numbers

    expected = predict(network, Batches(photographs, None, np.arange(len(photographs)), BATCH))
    require_numbers(expected, names)
    return expected
