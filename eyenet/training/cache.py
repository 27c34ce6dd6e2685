"""Where the training images are held: on disk, in the host's memory, or in the device's.

A small network on a large GPU consumes images faster than a host gathers and transfers them
(benchmarks/results/gpu-jax.csv). The 74,000 training images of the Kaggle data take 14.6 GB at 256 px, which such a
device can hold: batches are then lists of indices, and the device gathers the images.
"""

import keras
import numpy as np

from eyenet.data.names import FITTED
from eyenet.model import backend
from eyenet.run.errors import StageError, log, plural

SHARE = 0.5  # of the free memory that images may take; the network and its feature maps need the rest


def places(held, rows):
    """Find rows among the held ones (ascending); IndexError if one is not held."""
    found = np.searchsorted(held, rows)
    if len(found) and not np.array_equal(np.take(held, found, mode="clip"), rows):
        raise IndexError("not all of these rows are held")
    return found


class Held:
    """Some rows of an array in the host's memory, addressed by their row numbers in the array.

    Parameters
    ----------
    images : array of uint8, shape (n, size, size, 3)
        For example a memory map.
    rows : ndarray of int
        Ascending.
    """

    def __init__(self, images, rows):
        self.rows, self.images = rows, np.take(images, rows, axis=0)

    def take(self, rows, axis=0, out=None, mode="raise"):
        """Gather rows along the first axis; called by `np.take`."""
        return np.take(self.images, places(self.rows, rows), axis=0)


class Resident(keras.layers.Layer):
    """Some rows of an array in the device's memory: the first layer of a model whose input are indices.

    `take` gives the indices; the layer's output are uint8 photographs. Checkpoints do not contain the images.

    Parameters
    ----------
    images, rows
        As of `Held`.
    """

    def __init__(self, images, rows):
        super().__init__(name="resident", dtype="uint8", trainable=False)
        self.rows = rows
        shape = (len(rows), *images.shape[1:])
        self.images = self.add_weight(
            shape=shape,
            dtype="uint8",
            initializer=lambda shape, dtype: keras.ops.convert_to_tensor(np.take(images, rows, axis=0), dtype),
            trainable=False,
            name="images",
        )

    def take(self, rows, axis=0, out=None, mode="raise"):
        """Return the indices of rows, int32, shape (n, 1); called by `np.take`."""
        return places(self.rows, rows).astype(np.int32)[:, None]

    def call(self, asked):
        return keras.ops.take(self.images, asked[:, 0], axis=0)

    def compute_output_spec(self, asked):
        return keras.KerasTensor((asked.shape[0], *self.images.shape[1:]), "uint8")

    def get_config(self):  # TensorBoard draws the model from it; the layer is not rebuilt
        return {"name": self.name}

    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


def choose_place(wanted, train, val, distribution):
    """Choose where the images are held.

    Parameters
    ----------
    wanted : {'auto', 'device', 'host', 'none'}
        'auto' is 'device' on a GPU with enough free memory (as JAX and PyTorch report it), else 'host' if that has
        enough, else 'none'. Without a GPU it is 'none': the system caches the files that it has read.
    train, val : int
        Bytes of the images of each split. They pass through the host's memory on their way to the device.
    distribution : eyenet.training.distribution.Distribution

    Raises
    ------
    StageError
        If there is not enough memory, or if several hosts train, each of which reads its own part.
    """
    if distribution.processes > 1:
        if wanted not in ("auto", "none"):
            raise StageError(f"--cache {wanted} is for a single host; with several, each reads its part of the array")
        return "none"
    host, device = backend.host_memory(), backend.device_memory()
    if wanted == "auto":
        if not backend.has_gpu() or train + val > SHARE * (host or 0):
            return "none"
        return "device" if train <= SHARE * (device or 0) else "host"
    needs = {
        "device": [("device", device, train), ("host", host, train + val)],
        "host": [("host", host, train + val)],
        "none": [],
    }
    for whose, free, needed in needs[wanted]:
        if free is not None and needed > free:
            raise StageError(
                f"--cache {wanted} needs {needed / 1e9:.1f} GB of the {whose}'s memory, and {free / 1e9:.1f} GB are "
                "free; leave the option out, or use --cache none"
            )
    return wanted


def cache(wanted, distribution, images, rows):
    """Load the images of a training to where they are held.

    Parameters
    ----------
    wanted : str
        As of `choose_place`.
    distribution : eyenet.training.distribution.Distribution
    images : array of uint8, shape (n, size, size, 3)
    rows : dict of str to ndarray of int
        As `eyenet.data.array.rows_by_split` gives them.

    Returns
    -------
    train_images, val_images : array-like
        Images for `eyenet.model.batches.Batches`; `images` itself unless they are held in memory.
    on_device : Resident or None
        First layer of the training model if the training images are on the device.
    """
    needed = {split: len(rows[split]) * images[0].nbytes for split in FITTED}
    place = choose_place(wanted, **needed, distribution=distribution)
    if place == "none":
        return images, images, None
    count = plural(len(rows["train"]), "training image")
    log(f"reading {count}, {needed['train'] / 1e9:.1f} GB, to the memory of the {place}")
    val = Held(images, rows["val"])
    if place == "host":
        return Held(images, rows["train"]), val, None
    with distribution.scope():
        train = Resident(images, rows["train"])
    return train, val, train


def first_layers(network, on_device):
    """Return the layers that turn the input into photographs: an input, and the images on the device if there are any.

    `on_device` is from `cache`.
    """
    if on_device is None:
        return [keras.Input(network.input_shape[1:], dtype="uint8")]
    return [keras.Input((1,), dtype="int32"), on_device]
