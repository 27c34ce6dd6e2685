"""Batches of an array, in an order of their own each epoch."""

import math
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from eyenet.data.shards import IMAGES_PER_BLOCK, read_ahead
from eyenet.data.shuffling import PARTS, shuffle_blocks


class Batches(keras.utils.PyDataset):
    """Feed batches of an array; each epoch in an order of its own.

    Parameters
    ----------
    images : array of uint8, shape (n, size, size, 3)
        Usually a memory map or shards, which stay on disk: a batch is gathered row by row, in the order of the disk. Or
        what `eyenet.training.cache` made of them; a batch of `Resident` holds the places of images.
    labels : ndarray of int, shape (n,), or None
        Class of each image; None for batches of images alone.
    rows : ndarray of int
        Rows to use, ascending: each batch is given in ascending order.
    batch : int
    seed : int, optional
        Of the order; None keeps the rows as given.
    shuffle : {'full', 'blocks'}
        Any row at any time, or as `eyenet.data.shuffling` says: blocks are then read ahead in the background, each once
        an epoch.
    share : callable, optional
        Chooses, from the rows of a batch, those of which this process gives the images, and those of which it gives
        the labels: `eyenet.training.distribution.Distribution.share`.
    """

    def __init__(self, images, labels, rows, batch, seed=None, shuffle="full", share=lambda rows: (rows, rows)):
        super().__init__()
        self.images, self.labels, self.batch, self.seed, self.share = images, labels, batch, seed, share
        self.rows = self.order = np.asarray(rows)
        self.blocks, self.asked, self.reader = seed is not None and shuffle == "blocks", (0, set()), None
        if self.blocks:
            self.set_epoch(0)  # a little shorter than the rows

    def set_epoch(self, epoch):
        """Shuffle for an epoch; the order depends on seed and epoch only, so a resumed training repeats it."""
        if self.blocks:
            self.order, self.asked = shuffle_blocks(self.rows, [self.seed, epoch]), (0, set())
        elif self.seed is not None:
            self.order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)

    def read_ahead(self, last):
        """Have the blocks read that come up before a place in the epoch's order, in another thread."""
        first, known = self.asked
        self.asked = max(first, last), known
        self.reader = self.reader or ThreadPoolExecutor(1)
        images, _ = self.share(np.sort(self.order[first:last]))
        for block in [block for block in dict.fromkeys(images // IMAGES_PER_BLOCK) if block not in known]:
            known.add(block)
            ends = np.searchsorted(self.rows, [block * IMAGES_PER_BLOCK, (block + 1) * IMAGES_PER_BLOCK])
            self.reader.submit(read_ahead, self.images, self.rows[slice(*ends)])

    def __len__(self):
        return math.ceil(len(self.order) / self.batch)

    def __getitem__(self, index):
        # Rows of one batch may be read in any order, and ascending ones read the disk forwards.
        images, labels = self.share(np.sort(self.order[index * self.batch : (index + 1) * self.batch]))
        if self.blocks:
            self.read_ahead((index + 1) * self.batch + PARTS * IMAGES_PER_BLOCK)
        photographs = np.take(self.images, images, axis=0)
        return (photographs,) if self.labels is None else (photographs, self.labels[labels])


def untuned(batches):
    """Give Keras batches in the form that its backend takes up without a pause.

    On TensorFlow that is a dataset without automatic tuning, which Keras would switch on: the tuning's thread often
    misses the end of the data, and the next epoch waits until it wakes up, after as long as the last one took, at most
    a minute (TensorFlow 2.21; benchmarks/pauses.py). There is nothing to tune: two batches are gathered ahead.
    """
    if keras.config.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    of_one = [tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in batches[0]]
    dataset = tf.data.Dataset.from_generator(
        lambda: map(batches.__getitem__, range(len(batches))), output_signature=tuple(of_one)
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2).with_options(options)


def predict(network, batches):
    """Predict the probability of each class; float64, shape (n, classes)."""
    if not len(batches.rows):
        return np.zeros((0, network.output_shape[-1]))
    return network.predict(untuned(batches), verbose=0).astype(np.float64)
