"""The pauses between epochs on TensorFlow, as Keras feeds batches itself and as eyenet.feeding does.

    python benchmarks/pauses.py                 five minutes, nearly all of them spent waiting

A model that costs nothing is fed with batches of which each takes a tenth of a second, in epochs of 5.2 to 8 seconds.
What an epoch takes beyond its batches is its pause. (The automatic tuning wakes up after 10 ms, then after twice as
long each time, up to a minute; a pause is the rest of such a time, so it can be as long as the epoch was.)
"""

import time

import numpy as np
import record

from eyenet import backend

EACH = 0.1  # seconds a batch


def epochs(lengths, wrap):
    """Train an epoch of each number of batches; give the seconds that each took beyond its batches."""
    import keras

    class Slow(keras.utils.PyDataset):
        def __init__(self, length):
            super().__init__()
            self.length = length

        def __len__(self):
            return self.length

        def __getitem__(self, index):
            time.sleep(EACH)
            return np.zeros((8, 4), np.float32), np.zeros(8)

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(wrap(Slow(1)), verbose=0)
    pauses = []
    for length in lengths:
        begun = time.perf_counter()
        model.fit(wrap(Slow(length)), verbose=0)
        pauses.append(time.perf_counter() - begun - EACH * (length + 1))  # Keras takes the first batch twice
    return pauses


def main():
    options = record.parse(__doc__)
    options.set_defaults(repeat=20)
    args = options.parse_args()
    backend.start("float32", seed=0)
    from eyenet.feeding import untuned

    lengths, results = np.linspace(52, 80, args.repeat).astype(int), []
    of = f"{args.repeat} epochs of {EACH * lengths[0]:.1f}-{EACH * lengths[-1]:.1f} s"
    for way, wrap in {"Keras's own": lambda batches: batches, "ours": untuned}.items():
        pauses = np.array(epochs(lengths, wrap))
        asked = "0" if way == "ours" else ""
        results.append((f"epochs that pause for more than half a second, {way}", int((pauses > 0.5).sum()), of, asked))
        results.append((f"mean pause, {way}", f"{pauses.mean():.2f}", "s", ""))
        results.append((f"longest pause, {way}", f"{pauses.max():.2f}", "s", ""))
    record.write("pauses", results)


if __name__ == "__main__":
    main()
