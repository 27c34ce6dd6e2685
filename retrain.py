#!/usr/bin/env python3
"""Retrain with new photographs, if they make the network no worse: gate, duplicates, fine-tuning, comparison.

Reads   a folder of new photographs, a table of their grades (image,level; optionally patient,eye)
        WORK/models/latest                the model in use, and the array that it was trained on, in WORK/data
Writes  WORK/data/retrain/<run>/photographs.csv   of each new photograph: accepted, or why not
        WORK/data/retrain/<run>/array/    old and new photographs, for training
        WORK/models/candidates/<run>/     the new model; promoted, it moves to WORK/models/<run>
        WORK/models/latest                points to the new model if it is promoted
        WORK/models/history.csv           what was compared with what, on whom, and what was decided

    python retrain.py --photos new/ --labels new.csv
    python retrain.py --rollback              back to the model before

Left out, each with its reason: what cannot be read or graded (eyenet/photo/quality.py), what is known already, also
turned, mirrored, scaled or compressed again, and a name that another photograph has. A patient keeps the split, old or
new.
The network is trained further, on old and new training patients together. Both models are then asked about the test
patients of the old array alone, so that no one brings his own exam: new photographs of test patients count from the
next time on. The new model is promoted if it is no worse: the 95 % interval of the difference between the AUCs, by a
paired bootstrap over patients, must lie above -MARGIN for each question of the task.
Exit code 0: promoted; 3: not promoted. Stopped and run again, it goes on; what was decided once stays so.
"""

import hashlib
import os
import re
import shutil
from collections import Counter

import numpy as np
import pandas as pd

from eyenet.data.array import COLUMNS, content_hash, open_array, rows_by_split
from eyenet.data.tables import read_labels, read_table
from eyenet.model.folder import NETWORK, load_network, open_model
from eyenet.photo.quality import SMALLEST
from eyenet.retraining.intake import Base, accept, merge, step
from eyenet.retraining.promotion import (
    CANDIDATES,
    PROMOTED,
    REFUSED,
    ROLLED_BACK,
    add_history,
    compare,
    current_model,
    decide,
    flat,
    read_history,
    roll_back,
    settle,
)
from eyenet.run.errors import EXIT_REJECTED, StageError, log
from eyenet.run.files import read_json, sha256
from eyenet.run.folder import locked, output_folder
from eyenet.run.options import fraction, local_path, parser, plain_name, positive, rate, seed
from eyenet.run.script import run_main

EPOCHS = 3
SLOWER = 3  # times slower than the model learned at first: it is near its end already


def open_base(work, models):
    """Find the model in use and its array: that of the pipeline, or of an earlier retraining.

    Raises
    ------
    StageError
        If there is no model, or none of the arrays is its own.
    """
    folder = current_model(models)
    config = open_model(folder)
    if config["size"] < SMALLEST:
        raise StageError(
            f"{folder} takes photographs of {config['size']} px, whose quality cannot be judged; train one of "
            f"{SMALLEST} px or more"
        )
    if old := {"network", "task", "batch", "augmentation", "precision", "learning_rate"} - config["settings"].keys():
        raise StageError(f"{folder} was trained by an older version, which kept no {min(old)}; train a new one first")
    made = read_json(work / "data" / "preprocessed" / "stage.json") or {}
    if "split" not in made:
        raise StageError(
            f"{work} is not the work folder of a finished pipeline: it has no data/preprocessed/stage.json"
        )
    places = [work / "data" / "array", *sorted((work / "data" / "retrain").glob("*/array"))]
    for array in places:
        sidecar = read_json(array / "X.json")
        if sidecar is not None and content_hash(sidecar) == config["settings"]["array"]:
            return Base(folder, config, array, *open_array(array), made["split"])
    raise StageError(f"the array that {folder} was trained on is not in {work / 'data'}; image_to_array.py makes it")


def hash_batch(photos, labels):
    """Hash a batch of photographs: their names and sizes, and the table of grades."""
    if not photos.is_dir():
        raise StageError(f"there is no folder {photos}")
    if not labels.is_file():
        raise StageError(f"there is no table {labels}")
    read_labels(labels, "whoever graded the photographs")  # what is wrong there is said before anything is begun
    listing = sorted((entry.name, entry.stat().st_size) for entry in os.scandir(photos) if entry.is_file())
    return hashlib.sha256((repr(listing) + sha256(labels)).encode()).hexdigest()


def name_of(photos, batch):
    """Name a new model after the folder of its photographs and their hash."""
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', photos.resolve().name).strip('-') or 'photographs'}-{batch[:8]}"


def hash_tested(tested):
    """Hash which photographs of which patients, by their table, the models are compared on."""
    return hashlib.sha256(tested[["image", "patient", "level"]].to_csv().encode()).hexdigest()[:16]


def train_further(args, base, run, array):
    """Train the network of the model in use on the old and the new photographs; return the new model's folder."""
    known = base.config["settings"]
    same = {name: known[name] for name in ("network", "task", "batch", "augmentation", "precision")}
    slower = known["learning_rate"] / (1 if "start" in known else SLOWER)  # it was slowed when first retrained
    slower = slower if args.learning_rate is None else args.learning_rate
    places = {"input": array, "models": args.models / CANDIDATES, "logs": args.work / "logs", "run": run}
    step("cnn.py", start=base.folder, epochs=args.epochs, learning_rate=slower, seed=args.seed, **same, **places)
    return args.models / CANDIDATES / run


def ask_both(base, candidate, rows):
    """Ask both models about the photographs in some rows of the base's array.

    Returns
    -------
    old, new : ndarray of float, shape (n, classes)

    Raises
    ------
    StageError
        If there are none.
    """
    from eyenet.model import backend

    if not len(rows):
        raise StageError(f"{base.array} has no test patients to compare the models on")
    backend.start("float32", 0)
    from eyenet.model.batches import Batches, predict  # imports Keras, which must have been started

    feed = Batches(base.images, None, rows, 64)
    models = ((base.folder, base.config), (candidate, open_model(candidate)))
    old, new = (predict(load_network(folder, config), feed) for folder, config in models)
    if not np.isfinite([old, new]).all():
        raise StageError("a network predicts values that are no numbers")
    return old, new


def retrain(args, run, batch):
    """Do all that is not done yet for a batch of photographs; return the row of the history that decides on it."""
    base, folder = open_base(args.work, args.models), args.work / "data" / "retrain" / run
    rows = rows_by_split(base.table, base.sidecar["settings"])["test"]
    tested = base.table.iloc[rows]
    settings = {name: getattr(args, name) for name in ("epochs", "learning_rate", "seed")}
    settings |= {"photographs": batch, "model": sha256(base.folder / NETWORK)}
    with output_folder(folder, "retrain.py", settings):
        merged = folder / "array"
        if not (read_json(merged / "stage.json") or {}).get("finished"):
            accept(args.photos, args.labels, base, folder, args.workers)
            if (folder / "packed").exists():
                merge(base, folder / "packed", merged)
        for done in ("rotated", "packed"):  # they are in the array
            shutil.rmtree(folder / done, ignore_errors=True)
        photographs = pd.read_csv(folder / "photographs.csv", keep_default_na=False)
        report(photographs, folder)
        counts = Counter(photographs["result"])
        row = {"old": base.folder.name, "new": run, "batch": batch, "margin": args.margin}
        row |= {"test": hash_tested(tested)} | {what: counts[what] for what in ("accepted", "rejected")}
        if not merged.exists():
            return row | {"action": REFUSED, "why": "no photograph is new and can be graded"}
        table = read_table(merged / "labels.csv", COLUMNS, "retrain.py")
        if not (table["split"][len(base.table) :] == "train").any():
            return row | {"action": REFUSED, "why": "no new photograph is of a patient for training"}
        candidate = train_further(args, base, run, merged)
        compared = compare(*ask_both(base, candidate, rows), tested, base.config["task"])
        action, why = decide(compared, args.margin)
        row |= {"patients": tested["patient"].nunique(), "photographs": len(tested)}
        return row | {"action": action, "why": why} | flat(compared)


def report(photographs, folder):
    """Say how many photographs are accepted, and why the others are not."""
    rejected = photographs[photographs["result"] == "rejected"]
    kinds = Counter(re.split(r"[:(]| as ", reason)[0].strip() for reason in rejected["reason"])
    log(f"{len(photographs) - len(rejected):,} of {len(photographs):,} photographs are accepted")
    for kind, count in kinds.most_common():
        log(f"  {count:,} are not: {kind}")
    if len(rejected):
        log(f"  each with its reason in {folder / 'photographs.csv'}")


def decided(models, run, batch):
    """Find what was decided on a batch of photographs; None if nothing was yet.

    Raises
    ------
    StageError
        If the name of the run is another's, or if the decision has been overtaken.
    """
    history = read_history(models)
    row = next((row for row in reversed(history) if row["new"] == run and row["action"] != ROLLED_BACK), None)
    if row is None and (models / run).exists():
        raise StageError(f"there is a model {models / run} already; give another --run")
    if row is not None and row["batch"] != batch:
        raise StageError(f"{run} was of other photographs or grades; give another --run")
    if row is not None and row is not history[-1]:
        raise StageError(f"{run} was {row['action']} on {row['date']}, and more has happened since; give another --run")
    return row


def conclude(args, row):
    """Tell the decision; return the exit code."""
    run, promoted = row["new"], row["action"] == PROMOTED
    array = args.work / "data" / "retrain" / run / "array"
    if not promoted:
        shutil.rmtree(array, ignore_errors=True)  # it is large, and of no model in use
    print(f"{row['action']}: {run} over {row['old']}: {row['why']}")
    print(f"in use: {args.models / 'latest'} -> {current_model(args.models).name}; see {args.models / 'history.csv'}")
    if promoted:
        print(f"next: python evaluate.py --model {args.models / run} --input {array}")
    return 0 if promoted else EXIT_REJECTED


def main():
    options = parser(__doc__, workers=None)
    options.add_argument("--photos", type=local_path, help="folder of new photographs")
    options.add_argument("--labels", type=local_path, help="table of their grades")
    options.add_argument("--work", type=local_path, default=".", help="work folder of the pipeline, with data/")
    options.add_argument("--models", type=local_path, help="folder of the models; default: WORK/models")
    options.add_argument("--run", type=plain_name, help="name of the new model; default: from the photographs")
    options.add_argument("--margin", type=fraction, default=0.01, help="AUC by which the new model may be worse")
    options.add_argument("--epochs", type=positive, default=EPOCHS, help="of training further")
    options.add_argument("--learning-rate", type=rate, help="default: a third of what the model learned with")
    options.add_argument("--seed", type=seed, default=0, help="of order and augmentation")
    options.add_argument("--rollback", action="store_true", help="go back to the model before the one in use")
    args = options.parse_args()
    args.models = args.models or args.work / "models"
    if args.rollback == (args.photos is not None) or (args.photos is None) != (args.labels is None):
        options.error("give --photos and --labels, or --rollback alone")
    current_model(args.models)
    with locked(args.models):
        settle(args.models)  # an earlier run may have been stopped before it
        if args.rollback:
            now, before = roll_back(args.models)
            print(f"rolled back: {args.models / 'latest'} -> {now}, which {before} had been promoted over")
            return 0
        batch = hash_batch(args.photos, args.labels)
        run = args.run or name_of(args.photos, batch)
        row = decided(args.models, run, batch)
        if row is None:
            row = retrain(args, run, batch)
            add_history(args.models, **row)
            settle(args.models)
        return conclude(args, row)


if __name__ == "__main__":
    run_main(main)
