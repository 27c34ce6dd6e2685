"""Measure the search for copies: false alarms among real photographs, copies found, and its cost at Kaggle's size.

    python benchmarks/copies.py ../shared/data/eyepacs-256eq ../shared/data/eyepacs-1024

Each folder holds train/*.jpeg. Their crops are compared with each other. Then 35,126 images are written: copies of 150
of the crops in each of the ways of `CHANGES`, these crops, and, since there are fewer photographs than that, discs of
half the diameter from five places of each crop, which are no copies of each other. The search must find the copies
among them, and preprocess_images.py must take at most two minutes longer than without it. Needs 4 GB of disk.
"""

import argparse
import sys
import tempfile
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
from eyenet.run.files import write_rows
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


def write_images(crops, folder):
    """Write the images; return their names and the row of the original of each copy, by kind."""
    chosen = np.random.default_rng(0).choice(len(crops), EACH * len(CHANGES), replace=False)
    jobs = [(f"{row}-whole", row, lambda x: x) for row in chosen]
    planted = {}
    for number, (kind, change) in enumerate(CHANGES.items()):
        for i in range(EACH * number, EACH * (number + 1)):
            planted.setdefault(kind, []).append((i, len(jobs)))
            jobs.append((f"{chosen[i]}-copy", chosen[i], change))
    for place in PLACES:
        jobs += [(f"{row}-{place[0]}-{place[1]}", row, lambda x, at=place: disc(x, at)) for row in range(len(crops))]

    def work(job):
        name, row, change = job
        pixels = np.ascontiguousarray(change(crops[row]))
        (folder / f"{name}.png").write_bytes(encode_png(pixels, {"visible": 1.0}))

    jobs = jobs[:TOTAL]
    for _ in for_each(work, jobs, cores(), "write"):
        pass
    return [name for name, *_ in jobs], planted


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


def search_figures(folder, names, planted):
    """List the cost of the search at true size and the copies that it finds; also return the pairs that are none."""
    begun, cpu = time.perf_counter(), time.process_time()
    found = {(i, j) for i, j, _ in find_pairs(Crops(folder, names))}
    cpu, wall = time.process_time() - cpu, time.perf_counter() - begun
    rows = [
        (f"search of {len(names):,} images: wall", round(wall), "s", "at most 120 on two cores"),
        (f"search of {len(names):,} images: CPU", round(cpu), "s", ""),
    ]
    for kind, pairs in planted.items():
        rows.append((f"copies found, {kind}", round(np.mean([pair in found for pair in pairs]), 3), f"of {EACH}", ""))
    others = found - {pair for pairs in planted.values() for pair in pairs}
    rows.append(("pairs found that are no copies", len(others), "", ""))
    return rows, others


def stage_figures(folder, names):
    """List the cost of the whole step, first and again."""
    labels = folder / "labels.csv"
    write_rows(labels, ["image", "level", "patient", "eye"], [(name, 0, name, "left") for name in names])
    where = ["--input", folder / "images", "--output", folder / "out", "--labels", labels]
    where += ["--labels-out", folder / "out.csv", "--figures", folder]
    rows = []
    for what in ("first run", "second run"):
        spent = record.spend(*record.script("preprocess_images.py", *where))
        rows.append((f"preprocess_images.py, {what}: wall", round(spent.wall), "s", ""))
        rows.append((f"preprocess_images.py, {what}: CPU", round(spent.cpu), "s", ""))
        rows.append((f"preprocess_images.py, {what}: peak memory", round(spent.memory), "MB", ""))
    return rows


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", type=Path, nargs="+", help="folders with train/*.jpeg")
    options.add_argument("--place", type=Path, help="folder for the images; default: the system's temporary one")
    args = options.parse_args()
    crops = crop_all(args.folders)
    results = real_figures(crops)
    with tempfile.TemporaryDirectory(dir=args.place) as place:
        folder = Path(place)
        (folder / "images").mkdir()
        names, planted = write_images(crops, folder / "images")
        rows, others = search_figures(folder / "images", names, planted)
        for i, j in sorted(others):
            print(f"no copies: {names[i]} and {names[j]}", file=sys.stderr)
        results += rows + stage_figures(folder, names)
    record.write("copies", results)


if __name__ == "__main__":
    main()
