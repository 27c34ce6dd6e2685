"""New photographs on their way into the array: cropped, judged, compared with what is known, packed behind it."""

import ctypes
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from eyenet.data.array import COLUMNS, IMAGES_PER_BLOCK, content_hash, open_array
from eyenet.data.duplicates import find_duplicates
from eyenet.data.packing import remove_images, require_space, write_images, write_sidecar
from eyenet.data.shards import Shards, shard_files
from eyenet.data.tables import read_table, write_table
from eyenet.model.folder import colours_of
from eyenet.photo.png import read_crop
from eyenet.run.errors import StageError
from eyenet.run.files import sha256, write_rows
from eyenet.run.folder import output_folder

SCRIPTS = Path(__file__).resolve().parents[2]


class Base(NamedTuple):
    """The model in use, and the array that it was trained on."""

    folder: Path
    config: dict
    array: Path
    images: np.ndarray | Shards
    table: pd.DataFrame
    sidecar: dict
    split: dict


class Crops:
    """Crops in a folder, read as rows of an array are."""

    def __init__(self, folder, names):
        self.paths = np.array([str(folder / f"{name}.png") for name in names])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, rows):
        return np.stack([read_crop(path) for path in self.paths[rows]])


def die_with_parent():
    """Ask Linux to end this process when its parent is killed: nobody else may go on writing then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def step(script, **options):
    """Run a script of the pipeline; what it logs is shown, what it prints is not.

    Raises
    ------
    StageError
        If it fails.
    """
    words = []
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    command = [sys.executable, str(SCRIPTS / script), *words]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    if done.returncode:
        raise StageError(f"{script} could not do its part, see above; run the same command again when that is mended")


def crop_and_judge(photos, labels, base, folder, workers):
    """Crop the new photographs and judge their quality.

    Returns
    -------
    DataFrame
        Those that were cropped and have a label: image, patient, eye, level, split, quality, gradable.
    rejected : dict of str to str
        Why the others were left out.
    """
    crops, kept, joined = folder / "resized", folder / "preprocessed", folder / "labels" / "preprocessed.csv"
    common, colours = {"workers": workers, "max_rejected": 1}, colours_of(base.config["settings"]["images"])
    step("resize_images.py", input=photos, output=crops, size=base.config["size"], colours=colours, **common)
    split = {name: base.split[name] for name in ("seed", "val", "test")}
    places = {"input": crops, "output": kept, "labels": labels, "labels_out": joined}
    step("preprocess_images.py", **places, figures=folder / "figures", **split, **common)
    table = read_table(joined, [*COLUMNS[:-1], "gradable"], "preprocess_images.py")
    known = dict(zip(base.table["patient"], base.table["split"]))  # who is known keeps the split, whatever made it
    table["split"] = [known.get(patient, split) for patient, split in zip(table["patient"], table["split"])]
    rejected = {}
    for path in (crops / "rejected.csv", kept / "dropped.csv", kept / "rejected.csv"):
        for row in pd.read_csv(path, dtype=str, keep_default_na=False).itertuples():
            rejected.setdefault(Path(row.image).stem if path.name == "rejected.csv" else row.image, row.reason)
    judged = pd.read_csv(kept / "quality.csv", dtype=str, keep_default_na=False)
    for row in judged[judged["gradable"] == "0"].itertuples():
        rejected[row.image] = f"cannot be graded: {row.reasons}"
    return table[table["gradable"] == "1"].reset_index(drop=True), rejected


def find_known(table, crops, base):
    """Find the new photographs that are known already, among themselves too; dict of name to reason."""
    known = base.table[base.table["transform"] == "original"]
    images, known_names, reasons = Crops(crops, table["image"]), set(known["image"]), {}

    def same(other, level, similarity, i):
        graded = "" if level == table["level"][i] else f", which is graded {level}, and here {table['level'][i]}"
        return f"the same photograph as {other} (similarity {similarity:.2f}){graded}"

    for i, row, similarity in find_duplicates(images, base.images, None, known.index.to_numpy()):
        reasons.setdefault(table["image"][i], same(base.table["image"][row], base.table["level"][row], similarity, i))
    seen = set(reasons)
    for name in table["image"]:
        if name in known_names:
            reasons.setdefault(name, "another photograph of this name is known; give it a name of its own")
    # Among themselves: of those that are joined by pairs the first with a name of its own is kept, if none was seen.
    pairs = np.array([(i, j) for i, j, _ in find_duplicates(images, images)], int).reshape(-1, 2)
    joined = sparse.coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(table),) * 2)
    first = {}
    groups = zip(table["image"], sparse.csgraph.connected_components(joined, directed=False)[1])
    for name, group in sorted(groups, key=lambda of: (of[0] not in seen, of[0] in reasons)):
        if first.setdefault(group, name) != name:
            reasons.setdefault(name, f"the same photograph as {first[group]}, which is new too")
    return reasons


def accept(photos, labels, base, folder, workers):
    """Sort out new photographs, and pack those that are accepted.

    Parameters
    ----------
    photos, labels : Path
        Folder of the photographs, and table of their grades.
    base : Base
    folder : Path
        Gets photographs.csv, which says of each whether it is accepted, and `packed`, their array, if there is one.
    workers : int

    Raises
    ------
    StageError
        If the labels are damaged, or none of the photographs can be read.
    """
    table, rejected = crop_and_judge(photos, labels, base, folder, workers)
    if len(table):
        rejected |= find_known(table, folder / "preprocessed", base)
    accepted = table[~table["image"].isin(list(rejected))]
    rows = [(name, "rejected", reason) for name, reason in rejected.items()]
    rows += [(name, "accepted", "") for name in accepted["image"]]
    write_rows(folder / "photographs.csv", ["image", "result", "reason"], sorted(rows))
    if not len(accepted):
        return
    tables = {name: folder / "labels" / f"{name}.csv" for name in ("accepted", "rotated")}
    write_table(tables["accepted"], accepted)
    rotated, common = folder / "rotated", {"workers": workers}
    places = {"input": folder / "preprocessed", "labels": tables["accepted"]}
    step("rotate_images.py", **places, output=rotated, labels_out=tables["rotated"], only_train=True, **common)
    step("image_to_array.py", input=rotated, labels=tables["rotated"], output=folder / "packed", **common)


def merge(base, new, output):
    """Write an array of the base's images and the new ones behind them, in shards if the base is."""
    images, table, _ = open_array(new)
    columns = [column for column in base.table if column in table]
    both, first_new = pd.concat([base.table[columns], table[columns]], ignore_index=True), len(base.images)
    shape, shard_size = (len(both), *images.shape[1:]), base.sidecar.get("shard_size")

    def block(first):
        last = min(first + IMAGES_PER_BLOCK, len(both))
        behind = images[max(0, first - first_new) : max(0, last - first_new)]
        return np.concatenate([base.images[first:last], behind])

    with output_folder(output, "retrain.py", {"base": content_hash(base.sidecar), "new": sha256(new / "X.json")}):
        remove_images(output)
        require_space(output, shape)
        sums = []
        for name, first, last in shard_files(len(both), shard_size):
            sums += write_images(
                output / name, (last - first, *shape[1:]), map(block, range(first, last, IMAGES_PER_BLOCK))
            )
        write_sidecar(output, both, shape, base.sidecar["settings"], sums, shard_size)
