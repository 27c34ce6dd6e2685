"""Functions shared by the benchmarks of training. Import this after starting Keras."""

import time

import keras

import cnn
from eyenet.training.cache import first_layers
from eyenet.training.distribution import Distribution


class Again(keras.utils.PyDataset):
    """The reference for feeding: one batch, repeated `times` times per epoch."""

    def __init__(self, batch, times):
        super().__init__()
        self.batch, self.times = batch, times

    def __len__(self):
        return self.times

    def __getitem__(self, index):
        return self.batch


def build_three_layers(size, steps, augmented=True, resident=None):
    """Build the three-layer network with its augmentation, compiled, as cnn.py does."""
    network = cnn.build_network("three_layers", size, 2, "none")
    layers = [*first_layers(network, resident), cnn.build_augmentation(size, augmented)]
    return cnn.build_trainer(network, layers, Distribution(), 1e-4, steps)


def gather(feed):
    """Gather all batches of an epoch; return images per second."""
    begun = time.perf_counter()
    for index in range(len(feed)):
        feed[index]
    return len(feed.order) / (time.perf_counter() - begun)
