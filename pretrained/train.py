#!/usr/bin/env python3
"""Train the network that ships: teachers, and the student that learns from them, on one GPU in five minutes.

Reads   WORK/labels/preprocessed.csv      of test rows only patient and split, for the hash of the split
        WORK/data/preprocessed/*.png      crops of 256 px in equalized colours: the originals of training and validation
        weights/<network>.weights.h5      ImageNet weights of EfficientNet-Lite0 and Lite2, which port_weights.py makes
Writes  weights.npz                       {path of a variable of cnn.build_network: array}, kernels in float16; 7 MB
        weights.json                      recipe, seeds, AUC on validation, versions, device, commit, hashes

    python port_weights.py efficientnet_lite0 efficientnet_lite2
    python pretrained/train.py weights.npz --work WORK     WORK: the work folder of a pipeline
    python pretrained/train.py ... --teachers 4            no better: lite0-384-distilled-refined in trials.csv

Network, augmentation, loss and learning rate are those of cnn.py --task grade, written once more in PyTorch
(network_torch.py, training_torch.py). Crops are turned and enlarged in one interpolation. The student's targets are
half labels, half the mean of the teachers' probabilities over eight views of each training photograph. Of a network's
last and averaged weights, those with the better AUC on validation are kept.

Why PyTorch: with autotuning XLA had not compiled the training step of Lite0 at 384 px after 77 s; without, it trained
49-63 images/s, and uncompiled PyTorch 2,336 (rows lite0-384-jax-autotuned and lite0-384-jax of trials.csv, which is in
benchmarks/results/). torch.compile took two minutes for a slower step (lite0-384-compiled). TensorFlow is not needed.
A stopped run begins again.
"""

import datetime
import math
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

try:
    import torch
except ImportError:
    sys.exit(
        "train.py: error: PyTorch is not installed; pytorch.org says how to install torch>=2.10,<2.14 for your GPU"
    )

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import network_torch
from training_torch import BATCH, LEARNING_RATE, VIEWS, Recipe, Training, predict

import cnn
from eyenet.data.tables import read_table
from eyenet.data.tasks import GRADES, LEAST_GRADE
from eyenet.model import backend
from eyenet.model.patients import split_hash
from eyenet.model.provenance import provenance
from eyenet.model.settings import colours_of, field_of, setting
from eyenet.model.weights import hash_weights
from eyenet.run.errors import StageError, log
from eyenet.run.files import read_json, sha256, sha256_text, whole_file, write_json
from eyenet.run.options import between, local_path, parser, seed
from eyenet.run.script import run_main
from eyenet.score.metrics import roc_auc

SOFT = 0.5  # share of the teachers in the student's targets
WEIGHTS = "imagenet"  # initial ones, as in cnn.py --weights
SOURCE = "Kaggle's 2015 competition (EyePACS)"  # whose photographs WORK holds

# Named as in benchmarks/results/trials.csv, where -refined marks the crops of PREPROCESSING 2.
TEACHERS = (
    Recipe("lite0-384", "efficientnet_lite0", 384, 20, 0),
    Recipe("lite0-384-strong", "efficientnet_lite0", 384, 30, 0, mixup=0.2, degraded=True),
    Recipe("lite2-384-strong", "efficientnet_lite2", 384, 25, 1, mixup=0.2, degraded=True),
    Recipe("lite0-512", "efficientnet_lite0", 512, 20, 2, degraded=True),
)
STUDENT = Recipe("lite0-384-distilled", "efficientnet_lite0", 384, 30, 0, degraded=True)
HOW = (
    "EfficientNet-Lite0 from ImageNet weights; photographs enlarged to 384 px, turned, mirrored and brightened at "
    "random, and degraded (blur, JPEG, noise); natural sampling; the targets are half the labels, and half the mean "
    "answer of {} networks to eight turns and mirrors of the photograph"
)  # for the model card


class Data(NamedTuple):
    """Crops of the training and validation patients, uint8 (n, side, side, 3); grades (n,); the rows of each split."""

    images: np.ndarray
    levels: np.ndarray
    rows: dict


def read_data(work):
    """Read the crops of the training and validation patients, and say for weights.json what they are.

    Returns
    -------
    data : Data
    about : dict
        `photographs` is the number of those that are trained on.

    Raises
    ------
    StageError
        If the folder is not what preprocess_images.py makes, or a crop cannot be read.
    """
    folder, path = work / "data" / "preprocessed", work / "labels" / "preprocessed.csv"
    made = read_json(folder / "stage.json") or {}
    if not made.get("finished"):
        raise StageError(f"{folder} is missing or not finished; run preprocess_images.py first")
    whole = read_table(path, ["image", "patient", "eye", "level", "split"], "preprocess_images.py")
    table = whole[whole["split"].isin(("train", "val"))]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(read_crop, [folder / f"{image}.png" for image in table["image"]]))
    if len({image.shape for image in images}) != 1:
        raise StageError(f"the crops in {folder} differ in size; run resize_images.py again")
    rows = {split: np.flatnonzero(table["split"] == split) for split in ("train", "val")}
    settings, pairs = made["settings"], sorted(zip(table["image"], map(int, table["level"])))
    about = {
        "rows": "originals",
        "photographs": len(rows["train"]),
        "validation_photographs": len(rows["val"]),
        "crops": {name: setting(settings, name) for name in ("preprocessing", "size")}
        | {"colours": colours_of(settings), "field": field_of(settings)},
        "split": made.get("split"),
        "hashes": {"split": split_hash(whole), "labels": sha256_text(repr(pairs))},
    }
    return Data(np.stack(images), table["level"].to_numpy(), rows), about


def read_crop(path):
    """Read a crop; uint8 (side, side, 3)."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError):
        raise StageError(f"{path} is missing or damaged; run preprocess_images.py again") from None


def initial_weights(network, size):
    """Build a network of cnn.py with its ImageNet weights; {path of the variable: array}."""
    import keras

    built = cnn.build_network(network, size, len(GRADES), WEIGHTS)
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in built.weights}


def measure(views, levels):
    """Compute the AUC of any and of referable DR from the first view and from the mean of all; dict of dict."""
    views, ones = views.astype(float), np.ones((1, len(levels)))
    return {
        what: {q: float(roc_auc(levels >= k, 1 - p[:, :k].sum(axis=1), ones)[0]) for q, k in LEAST_GRADE.items()}
        for what, p in (("1 view", views[0]), (f"{VIEWS} views", views.mean(axis=0)))
    }


def train(recipe, data, images, targets):
    """Train a network; return it, the better ones of its weights, and what weights.json says of it.

    Raises
    ------
    StageError
        If the loss is not finite.
    """
    began, curve = time.time(), []
    training = Training(recipe, initial_weights(recipe.network, recipe.size))
    for number in range(recipe.epochs):
        curve.append(training.epoch(number, images, targets, data.rows["train"]))
        log(f"{recipe.name}: epoch {number + 1} of {recipe.epochs}, loss {curve[-1]:.4f}, {time.time() - began:.0f} s")
        if not math.isfinite(curve[-1]):
            raise StageError(f"the loss of {recipe.name} became {curve[-1]}; try another --seed")
    rows, figures, candidates = data.rows["val"], {}, training.candidates()
    for kind, weights in candidates.items():
        figures[kind] = measure(predict(training.network, weights, images, rows, recipe.size), data.levels[rows])
    kept = max(figures, key=lambda kind: sum(figures[kind][f"{VIEWS} views"].values()))
    reached = ", ".join(f"{question} {auc:.4f}" for question, auc in figures[kept]["1 view"].items())
    log(f"{recipe.name}: kept the {kept} weights; AUC on validation: {reached}")
    about = recipe._asdict() | {"seconds": round(time.time() - began, 1), "loss": [curve[0], curve[-1]]}
    return training.network, candidates[kept], about | {"kept": kept, "validation": figures}


def train_all(data, recipes, extra):
    """Train teachers by their recipes, and then the student; `extra` is added to their seeds.

    Returns
    -------
    weights : dict of str to ndarray
        The student's, float32.
    about : dict
        What weights.json says of the trainings.
    """
    images = torch.tensor(data.images, device=network_torch.DEVICE)
    labels = np.eye(len(GRADES), dtype=np.float32)[data.levels]
    rows, answers, teachers = data.rows["train"], [], []
    for recipe in recipes:
        recipe = recipe._replace(seed=recipe.seed + extra)
        network, weights, about = train(recipe, data, images, torch.tensor(labels, device=images.device))
        answers.append(predict(network, weights, images, rows, recipe.size).mean(axis=0))
        teachers.append(about)
    targets, recipe = labels.copy(), STUDENT._replace(seed=STUDENT.seed + extra)
    targets[rows] = SOFT * np.mean(answers, axis=0) + (1 - SOFT) * labels[rows]
    network, weights, about = train(recipe, data, images, torch.tensor(targets, device=images.device))
    return network.arrays(weights), {"student": about, "teachers": teachers}


def describe(recipes, extra):
    """Say for weights.json what does not depend on the data; pretrained/build.py reads the first keys."""
    cuda, networks = network_torch.DEVICE == "cuda", sorted({recipe.network for recipe in (*recipes, STUDENT)})
    return {
        "script": "pretrained/train.py",
        "network": f"{STUDENT.network}_{STUDENT.size}",
        "task": "grade",
        "weights": WEIGHTS,
        "epochs": STUDENT.epochs,
        "batch": BATCH,
        "learning_rate": LEARNING_RATE,
        "precision": str(network_torch.PRECISION).removeprefix("torch."),
        "seed": STUDENT.seed + extra,
        "backend": "torch",
        "source": SOURCE,
        "trial": STUDENT.name,
        "how": HOW.format(len(recipes)),
        "initial_weights": {network: hash_weights(network, WEIGHTS) for network in networks},
        "device": torch.cuda.get_device_name() if cuda else "CPU",
        "date": datetime.date.today().isoformat(),
        **provenance(),
    }


def main():
    options = parser(__doc__)
    options.add_argument("weights", type=local_path, metavar="weights.npz", help="file to write")
    options.add_argument("--work", type=local_path, default=".", help="work folder of the pipeline")
    options.add_argument("--teachers", type=between(1, len(TEACHERS)), default=2, help="use the first ones")
    options.add_argument("--seed", type=seed, default=0, help="added to the seeds of the recipes")
    args = options.parse_args()
    if args.weights.suffix != ".npz":
        options.error(f"{args.weights} must end in .npz")
    os.environ["KERAS_BACKEND"] = "torch"
    with backend.no_settings():
        import keras  # noqa: F401
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    if network_torch.DEVICE == "cpu":
        log("note: PyTorch sees no GPU; on CPUs this training takes days")
    recipes = TEACHERS[: args.teachers]
    made = describe(recipes, args.seed)
    data, about = read_data(args.work)
    weights, trained = train_all(data, recipes, args.seed)
    args.weights.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(args.weights) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{path: a.astype(np.float16) if a.ndim > 1 else a for path, a in weights.items()})
    write_json(args.weights.with_suffix(".json"), made | about | trained | {"sha256": sha256(args.weights)})
    print(f"trained {STUDENT.name} on {about['photographs']:,} photographs; its weights are in {args.weights}")


if __name__ == "__main__":
    run_main(main)
