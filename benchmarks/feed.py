"""Feeding: the rate of training from the array on disk against the same step on one batch in memory.

    python benchmarks/feed.py [--array data/array] [--precision bfloat16]

Alternates epochs over --images shuffled rows of the array with epochs over one batch that is given again and
again, both through the same compiled step with augmentation; the median of the ratios of neighbours counts.
"""

import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import record

from cnn import build_trainer
from eyenet import backend
from eyenet.distribution import Distribution
from eyenet.networks import build_network


def main():
    options = record.parse(__doc__)
    options.add_argument("--array", type=Path, default=record.REPO / "data" / "array", help="folder with X.npy")
    options.add_argument("--images", type=int, default=640, help="images an epoch")
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--precision", choices=list(backend.POLICIES), default="float32")
    args = options.parse_args()
    keras = backend.start(args.precision, seed=0)
    from eyenet.augmentation import build_augmentation
    from eyenet.training import Batches

    class Resident(keras.utils.PyDataset):
        """One batch, given again and again."""

        def __init__(self, batch, times):
            super().__init__()
            self.batch, self.times = batch, times

        def __len__(self):
            return self.times

        def __getitem__(self, index):
            return self.batch

    images = np.load(args.array / "X.npy", mmap_mode="r")
    rows = np.random.default_rng(0).permutation(len(images))[: args.images // args.batch * args.batch]
    labels = np.arange(len(images)) % 2
    size = images.shape[1]
    network = build_network(keras, "three_layers", size, 2, "none")
    options = SimpleNamespace(learning_rate=1e-4, xla=False)
    spread, steps = Distribution(keras), len(rows) // args.batch
    trainer = build_trainer(spread, network, build_augmentation(size), options, steps=steps)
    disk = Batches(images, labels, rows, args.batch, seed=0)
    resident = Resident(disk[0], len(disk))
    rates = {"disk": [], "resident": []}
    for epoch in range(args.repeat + 1):
        for name, feed in (("disk", disk), ("resident", resident)):
            disk.set_epoch(epoch)
            begun = time.perf_counter()
            trainer.fit(feed, verbose=0, shuffle=False)
            rates[name].append(len(rows) / (time.perf_counter() - begun))
    report(args, disk, rates)


def report(args, disk, rates):
    """Write the rates, their ratio, and how fast batches are gathered when nothing is trained."""
    ratio = median(a / b for a, b in zip(rates["disk"][1:], rates["resident"][1:]))
    begun = time.perf_counter()
    for index in range(len(disk)):
        disk[index]
    alone = len(disk.rows) / (time.perf_counter() - begun)
    record.write(
        f"feed-{args.precision}",
        [
            (
                f"training from the array, {args.precision}, batch {args.batch}",
                f"{median(rates['disk'][1:]):.0f}",
                "images/s",
                "",
            ),
            ("the same step on one resident batch", f"{median(rates['resident'][1:]):.0f}", "images/s", ""),
            ("array / resident, median of neighbours", f"{ratio:.3f}", "ratio", ">= 0.95"),
            ("gathering batches alone", f"{alone:.0f}", "images/s", ""),
        ],
    )


if __name__ == "__main__":
    main()
