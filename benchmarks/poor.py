"""Measure what the network says about poor photographs: how many it refers, and what strong compression does to it.

    python benchmarks/poor.py --data ../shared/data/eyepacs-1024

Uses the network that ships, which has seen none of these photographs, on equalised crops. A threshold is not taken from
them: the figures say how many poor photographs are referred where a given share of the gradable ones without referable
DR is. Takes five minutes on two cores.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import degraded
import numpy as np
import record
from PIL import Image
from quality_data import crop_file, path_of, read_labels
from quality_figures import is_rejected

from eyenet.model import pretrained
from eyenet.model.folder import open_model
from eyenet.model.loading import load_network
from eyenet.photo import quality
from eyenet.photo.colours import equalize
from eyenet.photo.retina import inside_circle
from eyenet.run.workers import cores, for_each
from eyenet.score.difference import auc_difference
from eyenet.score.intervals import LEVEL, auc_with_interval

QUESTIONS = {"any DR": 1, "referable DR": 2}
REFERRED = (0.05, 0.1, 0.2)  # share of gradable photographs without referable DR


def to_input(crop):
    """Equalise a crop, as the network was trained."""
    return equalize(crop, inside_circle(len(crop)))


def look(folder, image):
    """Return the verdict on a photograph, and the inputs of the network from it and from a JPEG of quality 10."""
    found, place = crop_file(path_of(folder, image)), record.REPO / "benchmarks" / f".{image}.png"
    if found is None:
        return None
    degraded.compress(Image.open(path_of(folder, image)).convert("RGB"), 10).save(place, compress_level=1)
    coarse = crop_file(place)
    place.unlink()
    return quality.judge(*found), quality.judge(*coarse), to_input(found[0]), to_input(coarse[0])


def referred(levels, poor, probability):
    """List how many poor photographs are above the thresholds that a share of the gradable healthy ones reach."""
    healthy, rows = levels < 2, []
    for part in REFERRED:
        called = probability >= np.quantile(probability[~poor & healthy], 1 - part)
        name = f"referable DR, where {part:.0%} of the gradable of grade 0-1 are referred: "
        for who, these in (("of grade 0-1", healthy), ("of grade 2-4", ~healthy), ("of grade 4", levels == 4)):
            share = round(float(called[poor & these].mean()), 3)
            rows.append((f"{name}poor {who}", share, f"of {(poor & these).sum()}", ""))
        rows.append((f"{name}gradable of grade 2-4", round(float(called[~poor & ~healthy].mean()), 3), "", ""))
    return rows


def compressed(levels, patients, plain, coarse):
    """List the AUC on photographs, on JPEGs of quality 10 of them, and the difference."""
    rows = []
    for question, least in QUESTIONS.items():
        truth = levels >= least
        scores = [found[:, least:].sum(axis=1) for found in (plain, coarse)]
        difference = auc_difference(truth, *scores, patients, LEVEL)
        figures = {
            "AUC": auc_with_interval(truth, scores[0], patients),
            "AUC, JPEG of quality 10": auc_with_interval(truth, scores[1], patients),
            "JPEG of quality 10, difference": difference | {"value": difference["difference"]},
        }
        for what, found in figures.items():
            limits = f"95 %: {found['low']:.3f} to {found['high']:.3f}"
            rows.append((f"{question}, {what}", round(found["value"], 3), limits, ""))
    return rows


def main():
    args = record.parse(__doc__).parse_args()
    table = read_labels(args.data)
    seen = [one for _, one in for_each(lambda image: look(args.data, image), table["image"].tolist(), cores(), "crop")]
    table = table[[one is not None for one in seen]]
    verdicts, coarse, plain_inputs, coarse_inputs = zip(*(one for one in seen if one is not None))
    folder = pretrained.folder()
    network = load_network(folder, open_model(folder))
    plain, small = (
        network.predict(np.stack(inputs), batch_size=16, verbose=0) for inputs in (plain_inputs, coarse_inputs)
    )
    levels, poor = table["level"].to_numpy(), is_rejected(verdicts)
    results = referred(levels, poor, plain[:, 2:].sum(axis=1))
    results += compressed(levels, table["patient"].to_numpy(), plain, small)
    stopped = is_rejected(coarse)[~poor]
    results.append(
        (
            "gradable photographs that are stopped as JPEG of quality 10",
            round(stopped.mean(), 3),
            f"of {len(stopped)}",
            "",
        )
    )
    record.write("poor", results)


if __name__ == "__main__":
    main()
