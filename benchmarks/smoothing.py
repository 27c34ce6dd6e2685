"""Measure whether the interpolation of the 120-degree copies reveals the class in augmented training batches.

    python benchmarks/smoothing.py --input data/array

Only photographs with DR are copied with a rotation by 120 degrees, which interpolates; the augmentation of cnn.py then
interpolates every image once more. A random forest sees only the audit's traces of compression and resampling
(eyenet/score/not_retina.py) and is cross-validated over patients. Three AUCs before and after the augmentation: that of
"is a 120-degree copy" among the images with DR, where the content is the same, and those of "has DR" with and without
these copies, where only a difference would support the smoothing, because lesions leave traces too.
"""

import argparse

import numpy as np
import record

from cnn import build_augmentation
from eyenet.data.array import map_blocks, open_array, rows_by_split
from eyenet.model import backend
from eyenet.run.options import local_path
from eyenet.run.script import run_main
from eyenet.score.intervals import auc_with_interval
from eyenet.score.not_retina import compression_features, cross_validated

BATCH = 32


def measure(features, truth, patients):
    """Return the AUC of a forest on the features, with its interval over patients."""
    probability = cross_validated(features, truth, patients)
    return auc_with_interval(truth, probability, patients)


def augmented_features(images, rows, size):
    """Measure the images as the network sees them in training."""
    augmentation = build_augmentation(size)

    def features(block):
        parts = [block[first : first + BATCH] for first in range(0, len(block), BATCH)]
        changed = [np.asarray(augmentation(part, training=True)).round().astype(np.uint8) for part in parts]
        return compression_features(np.concatenate(changed))

    return map_blocks(features, images, rows, "augment")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--input", type=local_path, default="data/array", help="array of image_to_array.py")
    options.add_argument("--name", default="sample", help="name of the photographs in the results")
    args = options.parse_args()
    images, table, sidecar = open_array(args.input)
    rows = rows_by_split(table, sidecar["settings"])["train"]
    backend.start("float32", 0)
    table = table.iloc[rows].reset_index(drop=True)
    diseased, turned = (table["level"] > 0).to_numpy(), (table["transform"] == "rot120").to_numpy()
    patients, found = table["patient"].to_numpy(), []
    measured = {
        "as packed": map_blocks(compression_features, images, rows, "measure"),
        "augmented": augmented_features(images, rows, images.shape[1]),
    }
    for when, features in measured.items():
        for what, chosen, truth in (
            ("120-degree copy, among DR", diseased, turned),
            ("DR, all images", np.ones(len(rows), bool), diseased),
            ("DR, without 120-degree copies", ~turned, diseased),
        ):
            figure = measure(features[chosen], truth[chosen], patients[chosen])
            found.append((when, what, int(chosen.sum()), *(f"{figure[key]:.3f}" for key in ("value", "low", "high"))))
            print(*found[-1])
    columns = ("images", "question", "count", "auc", "low", "high")
    record.write(f"smoothing-{args.name}", found, columns=columns)


if __name__ == "__main__":
    run_main(main)
