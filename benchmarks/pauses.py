"""Measure the pauses between epochs on TensorFlow, with the batches of Keras and with those of eyenet.model.batches.

    python benchmarks/pauses.py                 two minutes on two cores

Trains the three-layer network on random images of 64 px, alternately with both feeds; the first epoch of a training is
not counted. The automatic tuning of Keras's own feed wakes up after 10 ms, then after twice as long each time, up to a
minute. If it misses the end of an epoch, the next epoch waits until it wakes up: an epoch of 3 s then takes 5.1 s.
"""

import argparse
import time

import numpy as np
import record

from eyenet.model import backend


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, nargs="+", default=[1600, 2400, 3200], help="images per epoch")
    options.add_argument("--epochs", type=int, default=4, help="number of epochs to measure")
    args = options.parse_args()
    backend.start("float32", seed=0)
    results = []
    for count in args.images:
        own, ours = train_both(count, args.epochs)
        results.append((f"an epoch of {count} images, mean, Keras's own", f"{own:.2f}", "s", ""))
        results.append((f"an epoch of {count} images, mean, ours", f"{ours:.2f}", "s", ""))
        results.append((f"an epoch of {count} images, Keras's own / ours", f"{own / ours:.2f}", "ratio", ""))
    record.write("pauses", results)


def train_both(count, epochs):
    """Train with Keras's own feed, then with ours; return the mean seconds per epoch of each, without the first."""
    import keras
    from feeds import build_three_layers

    from eyenet.model.batches import Batches, untuned

    images = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    feed, taken = Batches(images, np.arange(count) % 2, np.arange(count), 32, seed=0), []
    for fed in (feed, untuned(feed)):
        trainer, ends = build_three_layers(64, steps=len(feed) * epochs), []
        end = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, ends=ends: ends.append(time.perf_counter())
        )
        trainer.fit(fed, epochs=epochs + 1, shuffle=False, verbose=0, callbacks=[end])
        taken.append(np.diff(ends).mean())
    return taken


if __name__ == "__main__":
    main()
