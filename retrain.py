#!/usr/bin/env python3
"""Retrain the model in use with new photographs, and promote the new model only if it is not worse.

Reads   a folder of new photographs, and a table of their grades (labels/README.md says which are read)
        WORK/models/latest                the model in use; if there is none, the network that ships
        WORK/data                         the array that it was trained on; none for the network that ships
Writes  WORK/data/retrain/<run>/photographs.csv   each new photograph: accepted, or rejected and why
        WORK/data/retrain/<run>/array/    the old and the accepted photographs
        WORK/models/candidates/<run>/     the new model; moved to WORK/models/<run> when promoted
        WORK/models/latest                link to the model in use; updated on promotion
        WORK/models/history.csv           one row per decision: the models, test patients, AUCs and outcome

    python retrain.py --photos new/ --labels new.csv
    python retrain.py --photos new/           its table, or its folders named by grades (labels/README.md)
    python retrain.py --rollback              return to the previous model

1. Reject photographs that are unreadable or ungradable (eyenet/photo/quality.py), duplicates of known ones (also
   rotated, mirrored, resized or recompressed), and those whose name is already taken.
2. Split the rest by patient, as the pipeline does; a known patient keeps the split, and a new one who shares a
   photograph with a known one gets the same split.
3. Fine-tune the network on all training patients, old and new.
4. Compare both models on the test patients of the old array only, so that a batch cannot choose its own test set. New
   test patients count from the next retraining on. Without an old array, the new test patients decide.
5. Promote the new model if it is non-inferior: for each question, the 96 % interval of the AUC difference must lie
   above -MARGIN, from the model in use and from the first of its chain, so that repeated promotions lose no more.
   With fewer than --least-patients test patients nothing is trained.

Exit code 0: promoted; 4: refused, and the model in use stays; 1: it could not be done. An interrupted run continues
when run again; a decision is made only once.
Cropping and judging take about 20 ms per photograph and core, fine-tuning as long per epoch as cnn.py.
"""

import os
import re
import shutil
from collections import Counter

import numpy as np
import pandas as pd

from eyenet.data.array import COLUMNS, open_array, rows_by_split
from eyenet.data.tables import read_table
from eyenet.data.tasks import require_answers
from eyenet.model.folder import NETWORK, open_model
from eyenet.model.loading import load_network
from eyenet.photo.field import FIELDS
from eyenet.photo.pages import split_page
from eyenet.retraining.base import KEPT_SETTINGS, adopt_shipped, open_base
from eyenet.retraining.intake import MISSING, accept, merge, run_step
from eyenet.retraining.promotion import (
    CANDIDATES,
    LEAST_PATIENTS,
    PROMOTED,
    REFUSED,
    ROLLED_BACK,
    add_decision,
    compare,
    current_model,
    decide,
    figure_columns,
    first_model,
    read_decisions,
    require_patients,
    roll_back,
    settle,
)
from eyenet.run.errors import EXIT_FINDING, StageError, log, plural
from eyenet.run.files import read_json, sha256, sha256_text
from eyenet.run.folder import locked, output_folder
from eyenet.run.options import fraction, local_path, parser, plain_name, positive, rate, seed
from eyenet.run.script import run_main
from eyenet.sets.columns import COLUMNS_HELP, parse_columns
from eyenet.sets.folders import find_table, list_sets
from eyenet.sets.labelled import check_labels

EPOCHS = 3
SLOWDOWN = 3  # the first retraining divides the learning rate by this: the network is already near its optimum


def hash_batch(photos, labels, columns=None):
    """Hash the names and content of the new photographs, and the table of their grades; return the grades too."""
    if not photos.is_dir():
        raise StageError(f"there is no folder {photos}")
    if not labels.exists():
        raise StageError(f"there is no table {labels}")
    photographs, refused, _ = list_sets([photos])
    graded = check_labels(photographs, refused, [labels], [columns] if columns else [], photos)
    table = find_table(labels) if labels.is_dir() else labels
    files = {split_page(one.path)[0].relative_to(photos).as_posix() for one in photographs}
    files |= {entry.name for entry in os.scandir(photos) if entry.is_file()}
    listing = sorted((file, sha256(photos / file)) for file in files)
    told = repr(listing) + (sha256(table) if table else "") + (str(columns) if columns else "")
    return sha256_text(told), graded


def default_run_name(photos, batch):
    """Name the new model after the folder of photographs and the batch's hash."""
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', photos.resolve().name).strip('-') or 'photographs'}-{batch[:8]}"


def find_decision(models, run, batch):
    """Find the decision already made on a batch of photographs; None if there is none.

    Raises
    ------
    StageError
        If the run name belongs to another model or batch, or a later decision has replaced this one.
    """
    decisions = read_decisions(models)
    row = next((row for row in reversed(decisions) if row["new"] == run and row["action"] != ROLLED_BACK), None)
    if row is None and (models / run).exists():
        raise StageError(f"the model {models / run} already exists; choose another --run")
    if row is not None and row["batch"] != batch:
        raise StageError(f"{run} was made from other photographs or grades; choose another --run")
    if row is not None and row is not decisions[-1]:
        raise StageError(f"{run} was {row['action']} on {row['date']}, before later decisions; choose another --run")
    return row


def take_in(photos, labels, base, folder, workers, field=None, columns=None):
    """Sort the new photographs, and write the array of the old and the accepted ones; return photographs.csv."""
    merged = folder / "array"
    if not (read_json(merged / "stage.json") or {}).get("finished"):
        accept(photos, labels, base, folder, workers, field, columns)
        if (folder / "packed").exists() and base.array is None:
            os.replace(folder / "packed", merged)
        elif (folder / "packed").exists():
            merge(base, folder / "packed", merged, folder.name)
    for intermediate in ("rotated", "packed"):  # their images are in the array now
        shutil.rmtree(folder / intermediate, ignore_errors=True)
    photographs = pd.read_csv(folder / "photographs.csv", keep_default_na=False)
    report_rejected(photographs, folder)
    return photographs


def report_rejected(photographs, folder):
    """Log how many photographs were accepted, and the others by reason."""
    missing, rejected = (photographs[photographs["result"] == result] for result in (MISSING, "rejected"))
    if len(missing):
        labels = plural(len(missing), "label has", "labels have")
        log(f"note: {labels} no photograph, such as {missing['image'].iloc[0]}")
    kinds = Counter(re.split(r"[:(]|(?<=duplicate) of ", reason)[0].strip() for reason in rejected["reason"])
    count = len(photographs) - len(missing)
    log(f"accepted {count - len(rejected):,} of {plural(count, 'photograph')}")
    for kind, count in kinds.most_common():
        log(f"  rejected {count:,}: {kind}")
    if len(rejected):
        log(f"  the reason for each is in {folder / 'photographs.csv'}")


def reason_not_to_train(base, array):
    """Say why there is nothing to train on; None if there is."""
    if not array.exists():
        return "no photograph is both new and gradable"
    table = read_table(array / "labels.csv", COLUMNS, "retrain.py")
    if not (table["split"][len(base.table) :] == "train").any():
        return "no new photograph belongs to a training patient"
    return None


def fine_tune(base, array, work, models, run, training):
    """Train the network in use further with cnn.py; return the folder of the new model."""
    settings = base.config["settings"]
    # bfloat16, in which the network that ships was trained on a GPU, is slow on most CPUs
    kept = {name: settings[name] for name in KEPT_SETTINGS if base.array or name != "precision"}
    learning_rate = training["learning_rate"]
    if learning_rate is None:  # a retrained model ("start") has been slowed down already
        learning_rate = settings["learning_rate"] / (1 if "start" in settings else SLOWDOWN)
    places = {"input": array, "models": models / CANDIDATES, "logs": work / "logs", "run": run, "start": base.folder}
    run_step("cnn.py", **places, **kept, **training | {"learning_rate": learning_rate})
    return models / CANDIDATES / run


def predict_test(images, folders, rows):
    """Predict rows of an array with several models.

    Returns
    -------
    list of ndarray of float, shape (n, classes)

    Raises
    ------
    StageError
        If a prediction is not finite.
    """
    from eyenet.model import backend

    backend.start("float32", 0)
    from eyenet.model.batches import Batches, predict  # imports Keras, so only after backend.start

    feed = Batches(images, None, rows, 64)
    predicted = [predict(load_network(folder, open_model(folder)), feed) for folder in folders]
    if not np.isfinite(predicted).all():
        raise StageError("a network predicts values that are not finite")
    return predicted


def retrain(base, array, work, models, run, training, margin, least):
    """Train a candidate and compare it with the models in use and first in the chain; return the decision's columns."""
    images, rows, tested = test_set(base, array)
    table = tested[["image", "patient", "level"]].to_csv()
    row = {"test": sha256_text(table)[:16], "margin": margin}
    if why := reason_not_to_train(base, array):
        return row | {"action": REFUSED, "why": why}
    require_patients(tested["patient"].nunique(), least)
    first = first_model(models, base.folder)
    candidate = fine_tune(base, array, work, models, run, training)
    others = [base.folder] if first == base.folder else [base.folder, first]
    new, *old = predict_test(images, [candidate, *others], rows)
    compared = [compare(predicted, new, tested, base.config["task"]) for predicted in old]
    action, why = decide(compared[0], margin, *compared[1:])
    row |= {"patients": tested["patient"].nunique(), "photographs": len(tested), "first": first.name}
    return row | {"action": action, "why": why} | figure_columns(compared[0], margin, *compared[1:])


def test_set(base, array):
    """Find the photographs that decide: those of the base's array, or the new ones if it has none.

    Returns
    -------
    images : ndarray, shape (n, size, size, 3)
    rows : ndarray of int
        The test rows.
    tested : DataFrame
        Their rows of the table.
    """
    images, table, sidecar = base.images, base.table, base.sidecar
    if base.array is None and array.exists():
        images, table, sidecar = open_array(array)
    rows = rows_by_split(table, sidecar["settings"])["test"]
    return images, rows, table.iloc[rows]


def conclude(work, models, row):
    """Print the decision and the model in use; return the exit code."""
    run, promoted = row["new"], row["action"] == PROMOTED
    array = work / "data" / "retrain" / run / "array"
    if not promoted:
        shutil.rmtree(array, ignore_errors=True)  # large, and no model in use needs it
    print(f"{row['action']}: {run} over {row['old']}: {row['why']}")
    print(f"in use: {models / 'latest'} -> {current_model(models).name}; see {models / 'history.csv'}")
    if promoted:
        print(f"next: python evaluate.py --model {models / run} --input {array}")
    return 0 if promoted else EXIT_FINDING


def parse():
    """Parse the options."""
    options = parser(__doc__, workers=None)
    options.add_argument("--photos", type=local_path, help="folder of new photographs")
    options.add_argument("--labels", type=local_path, help="table of their grades; default: found in --photos")
    options.add_argument("--columns", type=parse_columns, metavar="KEY=COLUMN,...", help=COLUMNS_HELP)
    options.add_argument("--field", choices=FIELDS, help="what their crops show; default: as the model was trained")
    options.add_argument("--work", type=local_path, default=".", help="work folder of the pipeline, which holds data/")
    options.add_argument("--models", type=local_path, help="folder of the models; default: WORK/models")
    options.add_argument("--run", type=plain_name, help="name of the new model; default: from the photographs")
    options.add_argument("--margin", type=fraction, default=0.01, help="non-inferiority margin of the AUC")
    options.add_argument(
        "--least-patients", type=positive, default=LEAST_PATIENTS, help="with fewer test patients, nothing is compared"
    )
    options.add_argument("--epochs", type=positive, default=EPOCHS, help="epochs of fine-tuning")
    options.add_argument("--learning-rate", type=rate, help="default: a third of that of the first training")
    options.add_argument("--seed", type=seed, default=0, help="seed of shuffling and augmentation")
    options.add_argument("--rollback", action="store_true", help="return to the previous model")
    args = options.parse_args()
    args.models = args.models or args.work / "models"
    args.labels = args.labels or args.photos
    if args.rollback == (args.photos is not None) or (args.photos is None) != (args.labels is None):
        options.error("give --photos, with --labels if the grades are elsewhere, or --rollback alone")
    return args


def main():
    args = parse()
    models = args.models
    if args.rollback:  # a wrong path ends here, before anything is written
        current_model(models)
    else:
        batch, table = hash_batch(args.photos, args.labels, args.columns)
    with locked(models):
        adopt_shipped(models)
        settle(models)  # a previous run may have been stopped between its decision and this
        if args.rollback:
            restored, replaced = roll_back(models)
            print(f"rolled back: {models / 'latest'} -> {restored}, the model before {replaced}")
            return 0
        run = args.run or default_run_name(args.photos, batch)
        row = find_decision(models, run, batch)
        if row is None:
            base, folder = open_base(args.work, models), args.work / "data" / "retrain" / run
            require_answers(table, base.config["task"], args.labels, training=True)
            if base.array is not None:  # reported before hours of work
                require_patients(test_set(base, None)[2]["patient"].nunique(), args.least_patients)
            training = {"epochs": args.epochs, "learning_rate": args.learning_rate, "seed": args.seed}
            inputs = {"photographs": batch, "model": sha256(base.folder / NETWORK)}
            if args.field:
                inputs["field"] = args.field
            with output_folder(folder, "retrain.py", training | inputs):
                given = args.workers, args.field, args.columns
                counts = Counter(take_in(args.photos, args.labels, base, folder, *given)["result"])
                row = {"old": base.folder.name, "new": run, "batch": batch, "least_patients": args.least_patients}
                row |= {result: counts[result] for result in ("accepted", "rejected")}
                limits = args.margin, args.least_patients
                row |= retrain(base, folder / "array", args.work, models, run, training, *limits)
            add_decision(models, **row)
            settle(models)
        return conclude(args.work, models, row)


if __name__ == "__main__":
    run_main(main)
