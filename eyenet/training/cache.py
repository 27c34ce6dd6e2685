"""Where the images of a training lie while it runs: on the disk, in the host's memory, or in the device's.

A small network on a large GPU takes images faster than a host gathers them and sends them over the bus
(benchmarks/results/gpu-jax.csv). The 74,000 training images of Kaggle's set are 14.6 GB of bytes at 256 px, which such
a device has to spare: then a batch is asked for by its places alone, and gathered where it is used.
"""

import keras
import numpy as np

from eyenet.model import backend
from eyenet.run.errors import StageError, log

SHARE = 0.5  # of the free memory that the images may take: networks and their feature maps need the rest


def places(held, rows):
    """Find rows among those that are held, ascending; IndexError if one is not."""
    found = np.searchsorted(held, rows)
    if len(found) and not np.array_equal(np.take(held, found, mode="clip"), rows):
        raise IndexError("not all of these rows are held")
    return found


class Held:
    """Some rows of an array in the host's memory; `take` asks for them by their numbers in the array.

    Parameters
    ----------
    images : array of uint8, shape (n, size, size, 3)
        Such as a memory map.
    rows : ndarray of int
        Ascending.
    """

    def __init__(self, images, rows):
        self.rows, self.images = rows, np.take(images, rows, axis=0)

    def take(self, rows, axis=0, out=None, mode="raise"):
        """Gather rows along the first axis, as `np.take` does, which calls this."""
        return np.take(self.images, places(self.rows, rows), axis=0)


class Resident(keras.layers.Layer):
    """Some rows of an array in the device's memory: the first layer of a model that is fed with their places.

    `take` gives the places, uint8 photographs come out of the layer. The images are no part of a checkpoint.

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
        """Give the places of rows, int32, shape (n, 1); `np.take` calls this."""
        return places(self.rows, rows).astype(np.int32)[:, None]

    def call(self, asked):
        return keras.ops.take(self.images, asked[:, 0], axis=0)

    def compute_output_spec(self, asked):
        return keras.KerasTensor((asked.shape[0], *self.images.shape[1:]), "uint8")

    def get_config(self):  # TensorBoard draws the model from it; it is not made anew
        return {"name": self.name}

    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


def choose_place(wanted, train, val, spread):
    """Choose where the images lie.

    Parameters
    ----------
    wanted : {'auto', 'device', 'host', 'none'}
        'auto' is 'device' on a GPU that has room (and whose backend can tell so: JAX, PyTorch), else 'host' if that
        has, else 'none'; without a GPU it is 'none', since the system keeps files that it has read in memory anyway.
    train, val : int
        Bytes of the images of each split. On their way to the device they are in the host's memory too.
    spread : eyenet.training.distribution.Distribution

    Raises
    ------
    StageError
        If they shall lie where there is no room, or several hosts train, each of which reads its own part.
    """
    if spread.processes > 1:
        if wanted not in ("auto", "none"):
            raise StageError(f"--cache {wanted} is for one host; of several, each reads its part of the array")
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


def cache(wanted, spread, images, rows):
    """Bring the images that a training uses to where they shall lie.

    Parameters
    ----------
    wanted : str
        As of `choose_place`.
    spread : eyenet.training.distribution.Distribution
    images : array of uint8, shape (n, size, size, 3)
    rows : dict of str to ndarray of int
        As `eyenet.data.array.rows_by_split` gives them.

    Returns
    -------
    train, val : array-like
        What `eyenet.model.batches.Batches` of each split are made of.
    resident : Resident or None
        The layer that the training model begins with if `train` is on the device.
    """
    needed = {split: len(rows[split]) * images[0].nbytes for split in ("train", "val")}
    place = choose_place(wanted, **needed, spread=spread)
    if place == "none":
        return images, images, None
    log(f"reading {len(rows['train']):,} training images, {needed['train'] / 1e9:.1f} GB, to the memory of the {place}")
    train = Resident(images, rows["train"]) if place == "device" else Held(images, rows["train"])
    return train, Held(images, rows["val"]), train if place == "device" else None
