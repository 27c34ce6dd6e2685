"""oneDNN on this processor: training and prediction with TensorFlow's own kernels, and with those of oneDNN.

    python benchmarks/onednn.py                 three minutes on two cores

TensorFlow leaves oneDNN off on AMD processors. Each measurement is a fresh process, since TensorFlow reads the setting
once; the two settings alternate, and the medians count.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median

import numpy as np
import record


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3, help="processes for each setting")
    options.add_argument("--size", type=int, default=256, help="side of the images in pixels")
    options.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.measure:
        print(json.dumps(measure(args.size)))
        return
    rates = {setting: [] for setting in "01"}
    for _ in range(args.rounds):
        for setting, found in rates.items():
            found.append(measure_apart(setting, args.size))
    results = []
    for number, what in enumerate(("training", "prediction")):
        off, on = (median(found[number] for found in rates[setting]) for setting in "01")
        results.append((f"{what} without oneDNN", f"{off:.1f}", "images/s", ""))
        results.append((f"{what} with oneDNN", f"{on:.1f}", "images/s", ""))
        results.append((f"{what}, with / without", f"{on / off:.2f}", "ratio", ""))
    record.write("onednn", results)


def measure_apart(setting, size):
    """Measure in a fresh process with oneDNN switched off ("0") or on ("1")."""
    command = [sys.executable, __file__, "--measure", "--size", str(size)]
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": setting, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(size, count=256, batch=32):
    """Return the images per second of training the three layers, and of predicting with them."""
    from feeds import build_three_layers

    from eyenet.model import backend
    from eyenet.model.batches import Batches, untuned

    backend.start("float32", seed=0)
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    feed = Batches(images, np.arange(count) % 2, np.arange(count), batch, seed=0)
    trainer = build_three_layers(size, steps=2 * len(feed))
    train = {"x": untuned(feed), "shuffle": False, "verbose": 0}
    trainer.fit(**train)  # compiles
    seconds = [time_call(lambda: trainer.fit(**train))]
    trainer.predict(images, batch, verbose=0)
    seconds.append(time_call(lambda: trainer.predict(images, batch, verbose=0)))
    return [count / each for each in seconds]


def time_call(function):
    """Return the seconds that a call takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
