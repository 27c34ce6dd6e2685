"""Take new photographs in: crop, judge the quality, reject duplicates, and append the rest to the array."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from eyenet.data.array import COLUMNS, IMAGES_PER_BLOCK, content_hash, open_array
from eyenet.data.duplicates import find_duplicates, find_pairs
from eyenet.data.links import decide, group
from eyenet.data.names import canonical
from eyenet.data.packing import remove_images, require_space, write_images, write_sidecar
from eyenet.data.shards import shard_files
from eyenet.data.tables import read_table, write_table
from eyenet.model.patients import read_patients
from eyenet.model.settings import colours_of, field_of
from eyenet.photo.field import describe_fields
from eyenet.photo.png import Crops
from eyenet.run.errors import StageError, log, plural
from eyenet.run.files import from_cell, sha256, write_rows
from eyenet.run.folder import output_folder
from eyenet.run.script import PARENT
from eyenet.sets.folders import PHOTOGRAPHS, path_in_set
from eyenet.sets.labelled import NO_PHOTOGRAPH

SCRIPTS = Path(__file__).resolve().parents[2]

MISSING = "missing"  # the result of a label without a photograph, which is none that was rejected


def run_step(script, **options):
    """Run a script of the pipeline, which ends with this process; show its stderr and hide its stdout.

    Raises
    ------
    StageError
        If it fails.
    """
    words = []
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    command = [sys.executable, str(SCRIPTS / script), *words]
    environment = os.environ | {PARENT: str(os.getpid())}
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=environment)
    if done.returncode:
        raise StageError(f"{script} failed, see above; fix that and run the same command again")


def crop_and_judge(photos, labels, base, folder, workers, field=None, columns=None):
    """Crop the new photographs, report how many of each field, and judge their quality.

    Returns
    -------
    DataFrame
        The gradable photographs that have a label: image, patient, eye, level, split, quality, gradable;
        the split is by the hash.
    rejected : dict of str to str
        Name of each other photograph to the reason.
    """
    crops, kept, joined = folder / "resized", folder / "preprocessed", folder / "labels" / "preprocessed.csv"
    common, images = {"workers": workers, "max_rejected": 1}, base.config["settings"]["images"]
    looks = {"size": base.config["size"], "colours": colours_of(images), "field": field or field_of(images)}
    run_step("resize_images.py", input=photos, output=crops, **looks, **common)
    log_fields(crops)
    split = {name: base.split[name] for name in ("seed", "val", "test")}
    places = {"input": crops, "output": kept, "labels": labels, "labels_out": joined}
    places |= {"columns": columns} if columns else {}
    run_step("preprocess_images.py", **places, figures=folder / "figures", **split, **common)
    table = read_table(joined, [*COLUMNS[:-1], "gradable"], "preprocess_images.py")
    return table[table["gradable"] == "1"].reset_index(drop=True), read_rejected(crops, kept)


def log_fields(crops):
    """Report how many crops show the circle of the retina and how many the whole frame."""
    fields = pd.read_csv(crops / PHOTOGRAPHS, usecols=["field"])["field"]
    frames = int((fields == "frame").sum())
    log(f"cropped {plural(len(fields), 'photograph')}: {describe_fields(len(fields) - frames, frames)}")


def read_rejected(crops, kept):
    """Read which photographs the two stages rejected or found ungradable; dict of name to reason."""
    rejected = {}
    for path in (crops / "rejected.csv", kept / "dropped.csv", kept / "rejected.csv"):
        for row in pd.read_csv(path, dtype=str, keep_default_na=False).itertuples():
            image = from_cell(row.image)
            if path.name == "rejected.csv":
                image = path_in_set(image)
            rejected.setdefault(image, from_cell(row.reason))
    judged = pd.read_csv(kept / "quality.csv", dtype=str, keep_default_na=False)
    for row in judged[judged["gradable"] == "0"].itertuples():
        rejected[from_cell(row.image)] = f"ungradable by the quality gate: {row.reasons}"
    return rejected


def match_batch(table, crops, base):
    """Find the copies among new photographs, and between them and the photographs of the array.

    Returns
    -------
    of_known, of_new : list of (int, int, float)
        Row of `table`, row of the base's table, or of `table` again, and similarity.
    """
    images, originals = Crops(crops, table["image"]), base.table.index[base.table["transform"] == "original"]
    known = find_duplicates(images, base.images, None, originals.to_numpy()) if len(originals) else []
    return known, find_pairs(images)


def find_known(table, base, of_known, of_new):
    """List new photographs that are duplicates, or whose name is taken; dict of name to reason."""
    reasons = {}
    for i, row, similarity in of_known:
        image, level, new_level = base.table["image"][row], base.table["level"][row], table["level"][i]
        graded = "" if level == new_level else f", graded {level} there and {new_level} here"
        reasons.setdefault(table["image"][i], f"duplicate of {image} (similarity {similarity:.2f}){graded}")
    duplicates = set(reasons)
    for name in set(base.table["image"][base.table["transform"] == "original"]) & set(table["image"]):
        reasons.setdefault(name, "another photograph with this name is already known; rename it")
    # Of each group of new duplicates, one is kept: preferably one that is not rejected yet, and none if one of them
    # duplicates a known photograph.
    images = list(table["image"])
    groups, first = zip(images, group(images, [(images[i], images[j]) for i, j, _ in of_new])), {}
    for name, number in sorted(groups, key=lambda pair: (pair[0] not in duplicates, pair[0] in reasons)):
        if first.setdefault(number, name) != name:
            reasons.setdefault(name, f"duplicate of {first[number]}, which is also new")
    return reasons


def join_splits(table, base, of_known, of_new):
    """Return the split of each row: a known patient keeps it, and who shares a photograph with one joins it.

    An ID that an earlier model of the chain knows, such as the network that ships, keeps its split too. It may be that
    of another person, who is then in this split instead of a random one; but no photograph that a network was trained
    on tests it.
    """
    seen = read_patients(base.folder)
    new, old = list(table["patient"].map(canonical)), list(base.table["patient"].map(canonical))
    known = dict(zip(seen["patient"].map(canonical), seen["split"]))
    known |= dict(zip(old, base.table["split"]))  # a recalibration may call a patient of the table val
    links = [(new[i], old[row]) for i, row, _ in of_known] + [(new[i], new[j]) for i, j, _ in of_new]
    decider = decide({*new, *(patient for _, patient in links)}, links, {patient: patient for patient in known})
    splits = dict(zip(new, table["split"])) | known
    return [known.get(patient, splits[decider[patient]]) for patient in new]


def accept(photos, labels, base, folder, workers, field=None, columns=None):
    """Sort new photographs into accepted and rejected, and pack the accepted ones.

    Parameters
    ----------
    photos, labels : Path
        Folder of the photographs, and table of their grades.
    base : Base
    folder : Path
        Receives photographs.csv (each photograph, accepted or rejected, with the reason, and each label whose
        photograph is missing) and, if any is accepted, their array, `packed`.
    workers : int
    field : {'auto', 'circle', 'frame'}, optional
        What the crops show. Default: as the model in use was trained.
    columns : eyenet.sets.columns.Columns, optional
        What columns of the table mean.

    Raises
    ------
    StageError
        If the labels are damaged, or no photograph can be read.
    """
    table, rejected = crop_and_judge(photos, labels, base, folder, workers, field, columns)
    if len(table):
        copies = match_batch(table, folder / "preprocessed", base)
        table["split"] = join_splits(table, base, *copies)
        rejected |= find_known(table, base, *copies)
    accepted = table[~table["image"].isin(list(rejected))]
    rows = [(name, MISSING if reason == NO_PHOTOGRAPH else "rejected", reason) for name, reason in rejected.items()]
    rows += [(name, "accepted", "") for name in accepted["image"]]
    write_rows(folder / "photographs.csv", ["image", "result", "reason"], sorted(rows))
    if not len(accepted):
        return
    tables = {name: folder / "labels" / f"{name}.csv" for name in ("accepted", "rotated")}
    write_table(tables["accepted"], accepted)
    rotated, common = folder / "rotated", {"workers": workers}
    places = {"input": folder / "preprocessed", "labels": tables["accepted"]}
    run_step("rotate_images.py", **places, output=rotated, labels_out=tables["rotated"], only_train=True, **common)
    run_step("image_to_array.py", input=rotated, labels=tables["rotated"], output=folder / "packed", **common)


def merge(base, new, output, source):
    """Write an array of the base's images followed by the new ones, in shards if the base is in shards.

    If the base is of several sets, the new ones are a further set, called `source`.
    """
    images, table, _ = open_array(new)
    usual = {"question": "", "patient_known": "1", "source": source}
    usual = {name: value for name, value in usual.items() if name in {*base.table, *table}}  # of a table that lacks it
    tables = [pd.DataFrame(usual, own.index).assign(**own) for own in (base.table, table)]
    columns = [column for column in tables[0] if column in tables[1]]
    both, first_new = pd.concat([own[columns] for own in tables], ignore_index=True), len(base.images)
    shape, shard_size = (len(both), *images.shape[1:]), base.sidecar.get("shard_size")

    def block(first):
        last = min(first + IMAGES_PER_BLOCK, len(both))
        new_images = images[max(0, first - first_new) : max(0, last - first_new)]
        return np.concatenate([base.images[first:last], new_images])

    with output_folder(output, "retrain.py", {"base": content_hash(base.sidecar), "new": sha256(new / "X.json")}):
        remove_images(output)
        require_space(output, shape)
        sums = []
        for name, first, last in shard_files(len(both), shard_size):
            blocks = map(block, range(first, last, IMAGES_PER_BLOCK))
            sums += write_images(output / name, (last - first, *shape[1:]), blocks)
        write_sidecar(output, both, shape, base.sidecar["settings"], sums, shard_size)
