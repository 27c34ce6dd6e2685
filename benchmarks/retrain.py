"""Retrain on real photographs: which batches are promoted, which are refused, and at which step.

    python benchmarks/retrain.py --data ../shared/data/eyepacs-256eq --work work/retrain -- --task grade --epochs 6

FOLDER has train/*.jpeg and trainLabels.csv; the options after -- are passed to cnn.py. A model is trained on half of
the patients. Then it is retrained in turn on half of the others with shuffled grades, blurred copies of 400 photographs
of the others, copies of 100 known photographs (rotated, mirrored and compressed again), and all of the others. Rows go
to benchmarks/results/retrain.csv.
"""

import argparse
import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import degraded
import numpy as np
import record
from PIL import Image, ImageOps

from eyenet.data.names import parse_name
from eyenet.data.tasks import QUESTIONS
from eyenet.retraining.promotion import read_decisions
from eyenet.run.files import place, write_rows


def part_of(image):
    """Assign a photograph's patient to a half, and to a half of that half: two numbers, 0 or 1."""
    digest = hashlib.sha256(f"half {parse_name(image).patient}".encode()).digest()
    return digest[0] % 2, digest[1] % 2


def make_batch(folder, rows, source, change=None):
    """Create a folder of photographs with their table; `change` transforms each picture."""
    (folder / "train").mkdir(parents=True, exist_ok=True)
    for name, _, original in rows:
        photograph, target = source / "train" / f"{original}.jpeg", folder / "train" / f"{name}.jpeg"
        if change is None:
            place(photograph, target)
        else:
            change(Image.open(photograph).convert("RGB")).save(target, quality=85)
    write_rows(folder / "trainLabels.csv", ["image", "level"], [row[:2] for row in rows])
    return folder


def retrain(work, batch):
    """Run retrain.py on a batch; return its row of the history."""
    options = ["--photos", batch / "train", "--labels", batch / "trainLabels.csv", "--work", work, "--run", batch.name]
    done = subprocess.run([sys.executable, record.REPO / "retrain.py", *options], check=False)
    assert done.returncode in (0, 3), done.returncode
    return next(row for row in reversed(read_decisions(work / "models")) if row["new"] == batch.name)


def rows_of(what, row):
    """Convert a row of the history into rows of the results."""
    expected = {"all of the others": "promoted"}.get(what, "refused")
    words = f"{row['accepted']} accepted, {row['rejected']} rejected"
    yield f"{what}: {row['action']}", "", words if row["patients"] else f"{words}; {row['why']}", expected
    for question in QUESTIONS:
        if row[f"{question}_difference"]:
            interval = f"95 %: {row[f'{question}_low']} to {row[f'{question}_high']}, {row['patients']} patients"
            yield f"{what}, {question} DR: AUC of the model in use", row[f"{question}_old"], "", ""
            yield f"{what}, {question} DR: AUC of the new model", row[f"{question}_new"], "", ""
            yield f"{what}, {question} DR: difference", row[f"{question}_difference"], interval, ""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="folder with train/ and trainLabels.csv")
    options.add_argument("--work", type=Path, required=True, help="folder for all output")
    options.add_argument("--colours", default="equalized", help="--colours of resize_images.py")
    args, further = record.split_words(options)
    with open(args.data / "trainLabels.csv", newline="", encoding="utf-8") as file:
        table = [(row["image"], row["level"], row["image"]) for row in csv.DictReader(file)]
    halves = [[row for row in table if part_of(row[0])[0] == half] for half in (0, 1)]
    args.work.mkdir(parents=True, exist_ok=True)
    first = make_batch(args.work / "photographs" / "first-half", halves[0], args.data)
    pipeline = ["bash", record.REPO / "run_pipeline.sh", "--data", first, "--work", args.work]
    subprocess.run([*pipeline, "--colours", args.colours, "--", *further], check=True)

    quarter = [row for row in halves[1] if part_of(row[0])[1]]
    levels = np.random.default_rng(0).permutation([level for _, level, _ in quarter])
    shuffled = [(name, level, original) for (name, _, original), level in zip(quarter, levels)]
    blurred = [(f"b{name}", level, original) for name, level, original in halves[1][:400]]
    copied = [(f"c{name}", level, original) for name, level, original in halves[0][:100]]
    batches = {
        "a quarter with shuffled grades": ("shuffled", shuffled, None),
        "blurred copies": ("blurred", blurred, lambda image: degraded.blur(image, 0.02)),
        "copies of known photographs": ("copies", copied, lambda image: ImageOps.mirror(image.rotate(90))),
        "all of the others": ("second-half", halves[1], None),
    }
    results = []
    for what, (name, rows, change) in batches.items():
        batch = make_batch(args.work / "photographs" / name, rows, args.data, change)
        results += rows_of(what, retrain(args.work, batch))
    record.write("retrain", results)


if __name__ == "__main__":
    main()
