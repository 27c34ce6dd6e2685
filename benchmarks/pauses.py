"""The pauses between epochs on TensorFlow: batches as Keras feeds them itself, and as eyenet.feeding does.

    python benchmarks/pauses.py                 two minutes on two cores

Trains the three layers on random images of 64 px, in turn with either feed; what a training's first epoch takes does
not count. The automatic tuning of Keras's own feed wakes up after 10 ms, then after twice as long each time, up to a
minute. When it misses the end of an epoch, the next one waits until it wakes up: an epoch of 3 seconds then takes 5.1.
"""

import time

import numpy as np
import record

from eyenet import backend


def main():
    options = record.parse(__doc__)
    options.add_argument("--images", type=int, nargs="+", default=[1600, 2400, 3200], help="of an epoch")
    options.add_argument("--epochs", type=int, default=4, help="in a row that are measured")
    options.set_defaults(repeat=1)
    args = options.parse_args()
    backend.start("float32", seed=0)
    results = []
    for count in args.images:
        taken = {"Keras's own": [], "ours": []}
        for _ in range(args.repeat):
            for way, seconds in train_both(count, args.epochs).items():
                taken[way].extend(seconds)
        for way, seconds in taken.items():
            results.append((f"an epoch of {count} images, mean, {way}", f"{np.mean(seconds):.2f}", "s", ""))
        ratio = np.mean(taken["Keras's own"]) / np.mean(taken["ours"])
        results.append((f"an epoch of {count} images, Keras's own / ours", f"{ratio:.2f}", "ratio", ""))
    record.write("pauses", results)


def train_both(count, epochs):
    """Train with either feed; give the seconds of each epoch but the first."""
    import keras
    from feeds import build_three_layers

    from eyenet.feeding import Batches, untuned

    images = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    feed, taken = Batches(images, np.arange(count) % 2, np.arange(count), 32, seed=0), {}
    for way, fed in (("Keras's own", feed), ("ours", untuned(feed))):
        trainer, ends = build_three_layers(64, steps=len(feed) * epochs), []
        end = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, ends=ends: ends.append(time.perf_counter())
        )
        trainer.fit(fed, epochs=epochs + 1, shuffle=False, verbose=0, callbacks=[end])
        taken[way] = np.diff(ends)
    return taken


if __name__ == "__main__":
    main()
