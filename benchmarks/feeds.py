"""What the benchmarks of training share. To be imported after Keras was started."""

import time
from types import SimpleNamespace

import keras

from eyenet.model.networks import build_network
from eyenet.training.distribution import Distribution
from eyenet.training.training import build_trainer, make_augmentation


class Again(keras.utils.PyDataset):
    """The pace to reach: one batch, given `times` times an epoch."""

    def __init__(self, batch, times):
        super().__init__()
        self.batch, self.times = batch, times

    def __len__(self):
        return self.times

    def __getitem__(self, index):
        return self.batch


def build_three_layers(size, steps, augmentation="turn", xla=False, resident=None):
    """Build the three layers with what goes before them, compiled, as cnn.py does."""
    network = build_network(keras, "three_layers", size, 2, "none")
    options = SimpleNamespace(learning_rate=1e-4, xla=xla, augmentation=augmentation)
    augment = make_augmentation(options, network)
    return build_trainer(Distribution(keras), network, augment, options, steps, resident)


def gather(feed):
    """Gather all batches of an epoch; give the images a second."""
    begun = time.perf_counter()
    for index in range(len(feed)):
        feed[index]
    return len(feed.order) / (time.perf_counter() - begun)
