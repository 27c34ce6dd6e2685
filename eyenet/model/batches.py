"""Batches of an array, shuffled for each epoch, and in the form that Keras reads without pauses."""

import math
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from eyenet.data.shards import IMAGES_PER_BLOCK, read_ahead
from eyenet.data.shuffling import PARTS, shuffle_blocks


class Batches(keras.utils.PyDataset):
    """Serve batches of an array, in a new order each epoch.

    Parameters
    ----------
    images : array of uint8, shape (n, size, size, 3)
        Usually a memory map or shards, which stay on disk: the rows of a batch are read in ascending order. Or the
        result of `eyenet.training.cache.cache`; batches of its `Resident` hold indices instead of images.
    labels : ndarray of int, shape (n,), or None
        Class of each image; None for batches of images without labels.
    rows : ndarray of int
        Rows to use, ascending. Each batch is sorted too.
    batch : int
    seed : int, optional
        Seed of the order; None does not shuffle.
    shuffle : {'full', 'blocks'}
        Shuffle all rows, or blocks of them as `eyenet.data.shuffling` describes; each block is then read once per
        epoch, ahead of its use, in a background thread.
    share : callable, optional
        From the rows of a batch, returns the rows whose images and the rows whose labels this process provides, as
        `eyenet.training.distribution.Distribution.share` does.
    """

    def __init__(self, images, labels, rows, batch, seed=None, shuffle="full", share=lambda rows: (rows, rows)):
        super().__init__()
        self.images, self.labels, self.batch, self.seed, self.share = images, labels, batch, seed, share
        self.rows = self.order = np.asarray(rows)
        self.blocks, self.asked, self.reader = seed is not None and shuffle == "blocks", (0, set()), None
        if self.blocks:
            self.set_epoch(0)  # up to seven rows are left out, see shuffle_blocks

    def set_epoch(self, epoch):
        """Shuffle for an epoch, when it begins (`eyenet.training.checkpoint.Checkpoint` calls this).

        The order depends only on seed and epoch, so a resumed training uses the same.
        """
        if self.blocks:
            self.order, self.asked = shuffle_blocks(self.rows, [self.seed, epoch]), (0, set())
        elif self.seed is not None:
            self.order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)

    def read_ahead(self, last):
        """Read the blocks that are needed before a position of the epoch's order, in a background thread."""
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
        # The order within a batch does not matter, and sorted rows are read sequentially from the disk.
        images, labels = self.share(np.sort(self.order[index * self.batch : (index + 1) * self.batch]))
        if self.blocks:
            self.read_ahead((index + 1) * self.batch + PARTS * IMAGES_PER_BLOCK)
        photographs = np.take(self.images, images, axis=0)
        return (photographs,) if self.labels is None else (photographs, self.labels[labels])


def untuned(batches):
    """Convert batches to what `fit` and `predict` should read: on TensorFlow, a tf.data dataset without autotuning.

    Keras would make a dataset with autotuning, which stalls between epochs: the tuning thread often misses the end of
    the data, and the next epoch waits until it wakes up, for as long as the last epoch took, at most a minute
    (TensorFlow 2.21; benchmarks/pauses.py). Nothing needs tuning: two batches are prefetched. Other backends read the
    batches themselves.
    """
    if keras.config.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    signature = tuple(tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in batches[0])
    dataset = tf.data.Dataset.from_generator(
        lambda: map(batches.__getitem__, range(len(batches))), output_signature=signature
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2).with_options(options)


def predict(network, batches):
    """Predict the probability of each class; float64, shape (n, classes)."""
    if not len(batches.rows):
        return np.zeros((0, network.output_shape[-1]))
    return network.predict(untuned(batches), verbose=0).astype(np.float64)
