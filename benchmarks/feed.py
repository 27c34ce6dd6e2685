"""Compare the rate of training from the array on disk with the same step on one batch in memory.

    python benchmarks/feed.py [--array data/array] [--precision bfloat16]

Alternates epochs over --images shuffled rows of the array with epochs over one repeated batch, both through the same
compiled step with augmentation; the median of the pairwise ratios is reported.
"""

import time
from pathlib import Path
from statistics import median

import numpy as np
import record

from eyenet.data.array import map_images
from eyenet.model import backend
from eyenet.run.files import read_json


def measure(images, count, batch, repeat):
    """Train alternately from an array and from one batch of it.

    Returns
    -------
    disk : eyenet.model.batches.Batches
        The batches from the array.
    rates : dict of list of float
        Images per second of each epoch, for the feeds "disk" and "resident"; the first, cold epoch is left out.
    """
    from feeds import Again, build_three_layers

    from eyenet.model.batches import Batches, untuned

    rows = np.random.default_rng(0).permutation(len(images))[: count // batch * batch]
    labels = np.arange(len(images)) % 2
    trainer = build_three_layers(images.shape[1], steps=len(rows) // batch)
    disk = Batches(images, labels, rows, batch, seed=0)
    resident = Again(disk[0], len(disk))
    rates = {"disk": [], "resident": []}
    for epoch in range(repeat + 1):
        for name, feed in (("disk", disk), ("resident", resident)):
            disk.set_epoch(epoch)
            begun = time.perf_counter()
            trainer.fit(untuned(feed), verbose=0, shuffle=False)
            rates[name].append(len(rows) / (time.perf_counter() - begun))
    return disk, {name: taken[1:] for name, taken in rates.items()}


def ratios(repeat, array, count=320):
    """Yield the ratio of the training rate from an array to that from one batch."""
    backend.start("float32", seed=0)
    _, rates = measure(map_images(array, read_json(array / "X.json")), count, 32, repeat)
    yield record.Ratio(
        "feeding: training from the array / from one batch, rate", record.beside(*rates.values()), "more"
    )


def main():
    options = record.parse(__doc__)
    options.add_argument("--array", type=Path, default=record.REPO / "data" / "array", help="folder of the array")
    options.add_argument("--images", type=int, default=640, help="images per epoch")
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--precision", choices=list(backend.POLICIES), default="float32")
    args = options.parse_args()
    backend.start(args.precision, seed=0)
    images = map_images(args.array, read_json(args.array / "X.json"))
    report(args, *measure(images, args.images, args.batch, args.repeat))


def report(args, disk, rates):
    """Write the rates, their ratio, and the rate of gathering batches without training."""
    from feeds import gather

    ratio = record.beside(*rates.values())
    record.write(
        f"feed-{args.precision}",
        [
            (
                f"training from the array, {args.precision}, batch {args.batch}",
                f"{median(rates['disk']):.0f}",
                "images/s",
                "",
            ),
            ("the same step on one resident batch", f"{median(rates['resident']):.0f}", "images/s", ""),
            ("array / resident, median of neighbours", f"{ratio:.3f}", "ratio", ">= 0.95"),
            ("gathering batches alone", f"{gather(disk):.0f}", "images/s", ""),
        ],
    )


if __name__ == "__main__":
    main()
