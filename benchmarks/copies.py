"""Measure the search for copies: false alarms among real photographs, copies found, and its cost at Kaggle's size.

    python benchmarks/copies.py ../shared/data/eyepacs-256eq ../shared/data/eyepacs-1024

Each folder holds train/*.jpeg. Their crops are compared with each other. Then the search runs on 35,126 images: 150
of the crops for each of the ways of `CHANGES`, the copies of them, and, since there are fewer photographs than that,
discs of half the diameter from five places of each crop, which are no copies of each other. They are made when they are
read, and this time is not counted; that of reading crops from PNG files is measured on 1,000 of them and added. CPU
seconds of all threads are given, since other work disturbs the clock: two cores take half of them.
"""

import argparse
import sys
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import record
from PIL import Image

from eyenet.data.copies import transform
from eyenet.data.duplicates import CANDIDATE, SAME_PHOTOGRAPH, describe, find_pairs, match, verify
from eyenet.photo.png import Crops, encode_png
from eyenet.photo.retina import black_outside, photograph_to_input
from eyenet.run.errors import PhotoError
from eyenet.run.workers import cores, for_each

TOTAL, EACH, SIZE = 35126, 150, 256
PLACES = ((0, 0), (-0.4, 0), (0.4, 0), (0, -0.4), (0, 0.4))  # centres of the discs, in radii
HALF = 0.5  # radius of a disc


def jpeg(pixels, quality):
    """Compress a crop and read it again."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file))


def scaled(pixels, factor):
    """Enlarge a crop about its centre, as another circle of the retina would."""
    side = round(SIZE / factor)
    first = (SIZE - side) // 2
    part = Image.fromarray(pixels).crop((first, first, first + side, first + side))
    return np.asarray(part.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def smaller(pixels, side):
    """Reduce a crop and enlarge it again."""
    small = Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


CHANGES = {
    "rotated by 120 degrees": lambda x: transform(x, "rot120"),
    "mirrored": lambda x: x[:, ::-1],
    "JPEG of quality 50": lambda x: jpeg(x, 50),
    "scaled by 3 %": lambda x: scaled(x, 1.03),
    "reduced to 96 px": lambda x: smaller(x, 96),
    "brightened by 20 %": lambda x: (x * 1.2).clip(0, 255).astype(np.uint8),
    "mirrored, rotated, JPEG of quality 60": lambda x: jpeg(transform(x[:, ::-1], "rot120"), 60),
}


def crop_all(folders):
    """Crop the photographs of some folders; uint8 (n, size, size, 3)."""
    paths = [path for folder in folders for path in sorted((folder / "train").glob("*.jpeg"))]

    def work(path):
        return photograph_to_input(path, SIZE)[0]

    found = [crop for _, crop in for_each(work, paths, cores(), "crop")]
    return np.stack([crop for crop in found if not isinstance(crop, PhotoError)])


def disc(crop, place):
    """Cut the disc at a place of a crop."""
    x, y = (int((1 + middle - HALF) * SIZE / 2) for middle in place)
    side = int(HALF * SIZE)
    image = Image.fromarray(crop).crop((x, y, x + side, y + side))
    return black_outside(np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)))


class Made:
    """Images that are made when they are read; `seconds` is the CPU time that this took."""

    def __init__(self, crops, jobs):
        self.crops, self.jobs, self.seconds, self.lock = crops, jobs, 0.0, threading.Lock()

    def __len__(self):
        return len(self.jobs)

    def __getitem__(self, rows):
        begun = time.thread_time()
        made = [self.jobs[row][1](self.crops[self.jobs[row][0]]) for row in rows]
        with self.lock:
            self.seconds += time.thread_time() - begun
        return made


def plan(count):
    """List the images as (row of the crop, change), and the pairs that are copies, by kind."""
    chosen = np.random.default_rng(0).choice(count, EACH * len(CHANGES), replace=False)
    jobs, planted = [(row, lambda x: x) for row in chosen], {}
    for number, (kind, change) in enumerate(CHANGES.items()):
        for i in range(EACH * number, EACH * (number + 1)):
            planted.setdefault(kind, []).append((i, len(jobs)))
            jobs.append((chosen[i], change))
    for place in PLACES:
        jobs += [(row, lambda x, at=place: disc(x, at)) for row in range(count)]
    return jobs[:TOTAL], planted


def real_figures(crops):
    """List what the search finds among real photographs."""
    described = describe(crops)
    candidates = match(described)
    similar = sorted((s for *_, s in verify(crops, crops, candidates, 0)), reverse=True)
    name = "real photographs"
    return [
        (f"{name}", len(crops), "", ""),
        (f"{name}: pairs compared", len(crops) * (len(crops) - 1) // 2, "", ""),
        (f"{name}: pairs with descriptors of at least {CANDIDATE}", len(candidates), "", ""),
        (f"{name}: pairs found, {SAME_PHOTOGRAPH} or more", sum(s >= SAME_PHOTOGRAPH for s in similar), "", ""),
        *((f"{name}: similarity, number {i} from the top", round(s, 3), "", "") for i, s in enumerate(similar[:5], 1)),
    ]


def reading_seconds(crops):
    """Return the CPU seconds of reading a crop from its file."""
    with tempfile.TemporaryDirectory() as place:
        names = [str(row) for row in range(min(1000, len(crops)))]
        for name in names:
            Path(place, f"{name}.png").write_bytes(encode_png(crops[int(name)], {"visible": 1.0}))
        return record.cpu_seconds(Crops(Path(place), names).__getitem__, np.arange(len(names))) / len(names)


def search_figures(crops):
    """List the cost of the search at true size, and the share of the copies that it finds."""
    jobs, planted = plan(len(crops))
    images, name = Made(crops, jobs), f"search of {len(jobs):,} images"
    begun = time.process_time()
    found = {(i, j) for i, j, _ in find_pairs(images)}
    alone = time.process_time() - begun - images.seconds
    reading = reading_seconds(crops)
    others = sorted(found - {pair for pairs in planted.values() for pair in pairs})
    for i, j in others:
        print(f"no copies: images {i} and {j}, of crops {jobs[i][0]} and {jobs[j][0]}", file=sys.stderr)
    rows = [
        (f"{name}: CPU", round(alone + reading * len(jobs)), "s", "<= 240"),
        (f"{name}: of this, reading the crops", round(reading * len(jobs)), "s", ""),
        (f"{name}: pairs found that are no copies", len(others), "", ""),
    ]
    for kind, pairs in planted.items():
        rows.append((f"copies found, {kind}", round(np.mean([pair in found for pair in pairs]), 3), f"of {EACH}", ""))
    return rows


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", type=Path, nargs="+", help="folders with train/*.jpeg")
    args = options.parse_args()
    crops = crop_all(args.folders)
    record.write("copies", real_figures(crops) + search_figures(crops))


if __name__ == "__main__":
    main()
