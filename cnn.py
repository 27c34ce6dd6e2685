#!/usr/bin/env python3
"""Step 6: train the network to tell photographs with diabetic retinopathy from those without.

Reads   data/array/X.npy, labels.csv, X.json
Writes  models/<run>/model.keras          the network at its best validation AUC
        models/<run>/config.json          options, versions, commit, hash of the split, preprocessing
        models/<run>/history.csv          one row an epoch
        models/<run>/metrics.json         accuracy, precision, recall, AUC on train, val and test originals
        models/<run>/training_curves.png
        models/<run>/checkpoint-<epoch>/  what a stopped training goes on from
        models/latest                     link to the run that finished last
        logs/<run>/                       TensorBoard: tensorboard --logdir logs

    python cnn.py                              on the CPU about 70 images/s on two cores
    KERAS_BACKEND=jax python cnn.py            or torch; TensorFlow is the default

Three convolutions of 32 filters, each followed by 2 x 2 max pooling, then a dense layer of 128, dropout and a
softmax over no DR / DR. Every training image, whatever its class, is flipped and turned at random. Validation and
test photographs are used as originals only; the epoch is chosen on validation and the test is only scored. Run
again after a stop, it goes on from the last whole epoch to the same end.
"""

import hashlib
import importlib
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np

from eyenet import backend
from eyenet.arrays import content_hash, open_array
from eyenet.charts import draw_training_curves
from eyenet.files import output_folder, read_json, write_json
from eyenet.metrics import choose_threshold, score
from eyenet.options import parser, plain_name, positive, rate, seed
from eyenet.stage import StageError, log, run_main

CLASSES = 2
LEAST_SIZE = 22  # three convolutions and poolings leave one pixel of it


def build_network(keras, size):
    """Build the network: uint8 photograph (size, size, 3) in, probabilities of no DR and DR out."""
    layers = keras.layers
    blocks = []
    for _ in range(3):
        blocks += [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2)]
    return keras.Sequential(
        [
            keras.Input((size, size, 3), dtype="uint8", name="photograph"),
            layers.Rescaling(1 / 255),
            *blocks,
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(CLASSES, activation="softmax", dtype="float32", name="probability"),
        ],
        name="three_layers",
    )


def build_augmentation(keras, size):
    """Flip and turn at random by any angle, for every class alike, so that orientation says nothing of the label."""
    return keras.Sequential(
        [
            keras.Input((size, size, 3), dtype="uint8"),
            keras.layers.RandomFlip(dtype="float32"),
            keras.layers.RandomRotation(0.5, fill_mode="constant", dtype="float32"),
        ],
        name="augmentation",
    )


def rows_of(table):
    """Choose the rows of each split: all images for training, originals only for validation and test."""
    original = table["transform"] == "original"
    rows = {
        "train": np.flatnonzero(table["split"] == "train"),
        "val": np.flatnonzero((table["split"] == "val") & original),
        "test": np.flatnonzero((table["split"] == "test") & original),
    }
    if not len(rows["train"]):
        raise StageError("the table has no training photograph; run preprocess_images.py with more patients")
    return rows


def class_weights(labels):
    """Weigh the classes so that each counts the same in the loss.

    Raises
    ------
    StageError
        If the training photographs are all of one class.
    """
    counts = np.bincount(labels, minlength=CLASSES)
    if not counts.all():
        raise StageError(f"all {len(labels)} training images are of one class; nothing can be learned from them")
    return {c: len(labels) / (CLASSES * n) for c, n in enumerate(counts)}


def split_hash(table):
    """Hash which patient is in which split: two models with the same hash were tested on the same patients."""
    pairs = sorted(set(zip(table["patient"], table["split"])))
    return hashlib.sha256(repr(pairs).encode()).hexdigest()


def provenance():
    """Record what made the model: versions, machine and commit."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        commit = subprocess.run(git, check=False, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git on this machine
        commit = ""
    packages = [importlib.import_module(name) for name in ("keras", "numpy", os.environ["KERAS_BACKEND"])]
    return {
        "commit": commit or None,
        "versions": {"python": platform.python_version(), **{p.__name__: p.__version__ for p in packages}},
        "machine": platform.platform(),
    }


def build_trainer(keras, network, augment, args):
    """Put the augmentation before the network and compile the two."""
    from eyenet.training import of_disease

    trainer = keras.Sequential([keras.Input(network.input_shape[1:], dtype="uint8"), augment, network])
    metrics = [
        "accuracy",
        of_disease(keras.metrics.AUC, name="auc"),
        of_disease(keras.metrics.Precision, name="precision"),
        of_disease(keras.metrics.Recall, name="recall"),
    ]
    trainer.compile(
        optimizer=keras.optimizers.Adam(args.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=metrics,
        jit_compile=backend.jit_compile(args.xla),
    )
    trainer.optimizer.build(trainer.trainable_variables)  # so that a checkpoint finds its variables
    return trainer


def train(keras, args, images, labels, rows, folder):
    """Train, or go on with a training that was stopped; return the best network and the training's state."""
    from eyenet.training import Batches, Keeper, Sheets, load_whole

    size = images.shape[1]
    network, augment = build_network(keras, size), build_augmentation(keras, size)
    trainer = build_trainer(keras, network, augment, args)
    feed = Batches(images, labels, rows["train"], args.batch, seed=args.seed)
    keeper = Keeper(network, folder, feed, Batches(images, labels, rows["val"], args.batch), args.patience, args.seed)
    done = keeper.restore(trainer)
    if done < args.epochs and not keeper.stopped:
        logs = args.logs / args.run
        if done:
            log(f"going on after epoch {done} of {args.epochs}")
        else:  # what a run of this name left whose model was deleted
            for part in ("train", "validation", "images"):
                shutil.rmtree(logs / part, ignore_errors=True)
        logs.mkdir(parents=True, exist_ok=True)
        last = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: keeper.save())
        with backend.one_sentence(logs):
            trainer.fit(
                feed,
                initial_epoch=done,
                epochs=args.epochs,
                shuffle=False,  # Batches shuffles
                class_weight=class_weights(labels[rows["train"]]),
                callbacks=[keeper, Sheets(keeper, augment, logs), keras.callbacks.TensorBoard(logs), last],
                verbose=0,
            )
    network = load_whole(lambda path: keras.models.load_model(path, compile=False), folder / "model.keras")
    return network, keeper.state


def results_table(scores):
    """Format accuracy, precision, recall and AUC of each split as text."""
    lines = [f"{'':<22}{'photographs':>12}{'with DR':>9}{'accuracy':>10}{'precision':>11}{'recall':>8}{'AUC':>7}"]
    names = {"train": "training patients", "val": "validation patients", "test": "unseen test patients"}
    for split, name in names.items():
        s = scores[split]
        figures = ["-" if s[k] is None else f"{s[k]:.3f}" for k in ("accuracy", "precision", "recall", "auc")]
        line = f"{name:<22}{s['photographs']:>12,}{s['diseased']:>9,}"
        lines.append(line + "".join(f"{f:>{w}}" for f, w in zip(figures, (10, 11, 8, 7))))
    return "\n".join(lines)


def score_splits(network, images, labels, rows, table, batch):
    """Score the network on the originals of each split, at a threshold chosen on validation.

    Returns
    -------
    scores : dict of str to dict
        By split, as `eyenet.metrics.score` gives them.
    threshold : float
    """
    from eyenet.training import Batches, predict_disease

    original = (table["transform"] == "original").to_numpy()
    truth, probability = {}, {}
    for split, of_split in rows.items():
        chosen = of_split[original[of_split]]
        truth[split] = labels[chosen] > 0
        probability[split] = predict_disease(network, Batches(images, labels, chosen, batch))
        if np.isnan(probability[split]).any():
            raise StageError(f"the network predicts values that are no numbers on {split}; train it again")
    threshold = choose_threshold(truth["val"], probability["val"])
    return {split: score(truth[split], probability[split], threshold) for split in rows}, threshold


def link_latest(folder):
    """Point models/latest to this run, in one step."""
    temporary = folder.parent / ".tmp-latest"
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(folder.name)
        temporary.replace(folder.parent / "latest")
    except OSError as error:  # a folder of that name, or a file system without links
        temporary.unlink(missing_ok=True)
        log(f"note: {folder.parent / 'latest'} could not be made a link to {folder.name} ({error.strerror})")


def main():
    options = parser(__doc__, input="data/array")
    options.add_argument("--models", type=Path, default="models", help="folder of the trained models")
    options.add_argument("--logs", type=Path, default="logs", help="folder for TensorBoard")
    options.add_argument("--run", type=plain_name, default="cnn", help="name of this training")
    options.add_argument("--epochs", type=positive, default=30, help="at most so many")
    options.add_argument("--patience", type=positive, default=8, help="epochs without a better validation AUC")
    options.add_argument("--batch", type=positive, default=32, help="images a step")
    options.add_argument("--learning-rate", type=rate, default=3e-4, help="of Adam")
    options.add_argument("--precision", choices=list(backend.POLICIES), default="float32", help="of the arithmetic")
    options.add_argument("--xla", action="store_true", help="compile with XLA: faster on GPUs, slower on CPUs")
    options.add_argument("--seed", type=seed, default=0, help="of weights, order, augmentation")
    args = options.parse_args()

    images, table, sidecar = open_array(args.input)
    if images.shape[1] < LEAST_SIZE:
        raise StageError(f"images of {images.shape[1]} px are too small for the network; use at least {LEAST_SIZE}")
    rows = rows_of(table)
    labels = (table["level"].to_numpy() > 0).astype(np.int64)
    class_weights(labels[rows["train"]])  # raises before the slow import
    for split in ("val", "test"):
        if len(set(labels[rows[split]])) < CLASSES:
            log(f"note: the {split} patients are too few to hold both classes; their AUC is not defined")
    keras = backend.start(args.precision, args.seed)

    compared = ("batch", "learning_rate", "patience", "precision", "xla", "seed")
    settings = {key: getattr(args, key) for key in compared} | {
        "network": "three_layers",
        "backend": os.environ["KERAS_BACKEND"],
        "array": content_hash(sidecar),
        "split": split_hash(table),
        "images": sidecar["settings"],
    }
    notes = provenance() | {"threshold": None, "classes": ["no DR", "DR"], "size": images.shape[1]}
    notes["options"] = {key: str(value) for key, value in vars(args).items()}
    model = output_folder(args.models / args.run, "cnn.py", settings, record="config.json", keep_notes=True, **notes)
    with model as folder:
        network, state = train(keras, args, images, labels, rows, folder)
        scores, threshold = score_splits(network, images, labels, rows, table, args.batch)
        write_json(folder / "metrics.json", scores)
        write_json(folder / "config.json", read_json(folder / "config.json") | {"threshold": threshold})
        draw_training_curves(state["history"], state["best_epoch"], folder / "training_curves.png")
    link_latest(folder)
    print(results_table(scores))
    why = (
        "validation lacks a class"
        if scores["val"]["auc"] is None
        else "there validation has the best balance (Youden's index)"
    )
    print(f"called DR from a probability of {threshold:.3f}: {why}")
    print(f"trained {state['epoch']} epochs, kept epoch {state['best_epoch']} in {folder / 'model.keras'}")
    print(f"next: python -m tensorboard.main --logdir {shlex.quote(str(args.logs))}")


if __name__ == "__main__":
    run_main(main)
