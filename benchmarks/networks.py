"""Measure the cost of each network: parameters, multiply-adds, and rates of training and prediction on this machine.

    python benchmarks/networks.py            3 minutes on two cores

Trains and predicts one batch of random images of 256 px repeatedly, with augmentation as in cnn.py; medians. Networks
that start from ImageNet weights keep their normalisation statistics, as in cnn.py. The figures of `cnn.py --help` come
from this benchmark.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import record

import cnn
from eyenet.model import backend
from eyenet.model.networks import NETWORKS, build_features, count_multiply_adds
from eyenet.training.distribution import Distribution

SIZE, BATCH = 256, 32


def rate(repeat, work, *batch):
    """Measure how many photographs per second `work` processes; the first run is not counted."""
    seconds = []
    for _ in range(repeat + 1):
        begun = time.perf_counter()
        work(*batch)
        seconds.append(time.perf_counter() - begun)
    return BATCH / median(seconds[1:])


def main():
    args = record.parse(__doc__).parse_args()
    keras = backend.start("float32", seed=0)
    from eyenet.training.cache import first_layers

    photographs = np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 3), dtype=np.uint8)
    labels, rows = np.arange(BATCH) % 2, []
    for name, network in NETWORKS.items():
        weights = network.recipe.weights
        with tempfile.TemporaryDirectory() as folder:
            if weights != "none":  # the rates do not depend on the weights
                weights = str(Path(folder) / "random.weights.h5")
                build_features(name, SIZE).save_weights(weights)
            model = cnn.build_network(name, SIZE, 2, weights)
        layers = [*first_layers(model, None), cnn.build_augmentation(SIZE)]
        trainer = cnn.build_trainer(model, layers, Distribution(), 1e-5, steps=100)
        training = rate(args.repeat, trainer.train_on_batch, photographs, labels)
        predicting = rate(args.repeat, model.predict_on_batch, photographs)
        rows += [
            (f"{name}, parameters", f"{model.count_params() / 1e6:.2f}", "million", ""),
            (f"{name}, multiply-adds", f"{count_multiply_adds(model) / 1e6:.0f}", "million", ""),
            (f"{name}, training", f"{training:.1f}", "images/s", ""),
            (f"{name}, predicting", f"{predicting:.1f}", "images/s", ""),
        ]
        keras.backend.clear_session()
    record.write("networks", rows)


if __name__ == "__main__":
    main()
