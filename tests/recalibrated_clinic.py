"""A clinic of drawn photographs, and a model recalibrated on it, in this process."""

import sys

import pytest
from conftest import read_csv, write_csv

import recalibrate
from eyenet.model import screener
from eyenet.photo.quality import Quality
from eyenet.recalibration import enough


def write_labels(dataset, folder):
    """Write the labels of a clinic: 12 patients with other numbers than those of the training."""
    rows = [(r["image"], r["level"], f"c{r['image'].split('_')[0]}") for r in read_csv(dataset / "trainLabels.csv")]
    rows = [(*row, row[0].split("_")[1]) for row in rows]
    return write_csv(folder / "grades.csv", [("image", "level", "patient", "eye"), *rows])


def call_gradable(patch):
    """Let the quality gate accept everything: drawings are out of focus."""
    patch.setattr(screener, "judge", lambda *_: Quality(True, True, 0.0, (), {}))


def recalibrate_here(dataset, labels, model, output, *words, each=3):
    """Run recalibrate.py with six patients of each class instead of twenty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enough, "EACH", each)
        call_gradable(patch)
        places = ["--photos", dataset / "train", "--labels", labels, "--model", model, "--output", output]
        patch.setattr(sys, "argv", ["recalibrate.py", *map(str, places), *map(str, words)])
        return recalibrate.main()
