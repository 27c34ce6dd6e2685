"""Build a large collection from few photographs, some damaged, and check where the pipeline puts each of them."""

import csv
import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from benchmarks import damage
from eyenet.data.copies import transforms_of
from eyenet.data.names import copy_name
from eyenet.data.tables import read_table
from eyenet.photo.colours import BLACK, brightness
from eyenet.photo.retina import inside_circle, photograph_to_input
from eyenet.run.errors import PhotoError
from eyenet.run.files import write_rows
from eyenet.run.workers import for_each
from eyenet.sets.labels import read_labels
from make_sample import EYES

DAMAGED = 0.02
PLAIN = "plain"
# In addition to the faults and formats of `damage`: a black frame, a second file of the same name, a photograph without
# a label, a label without a photograph, a name with spaces and non-Latin letters, bytes overwritten in the middle.
OTHERS = ("black", "doubled", "unlabelled", "no photograph", "foreign name", "overwritten")
KINDS = (*damage.FAULTS, *damage.FORMATS, *OTHERS)
SPOILED = ("resized", "preprocessed", "rotated")  # outputs in which a few images are damaged before the next step


class Photograph(NamedTuple):
    """One photograph of the collection: file name, image name, grade, and the kind of damage."""

    file: str
    image: str
    level: int
    kind: str


def usable_pairs(folders, size, workers):
    """List the two eyes of each patient that the pipeline keeps, as ((path, grade), (path, grade)).

    Parameters
    ----------
    folders : list of Path
        Each holds train/*.jpeg and trainLabels.csv.
    size, workers : int
    """
    files = []
    for folder in folders:
        labels = read_labels(folder / "trainLabels.csv").pivot(index="patient", columns="eye", values="level")
        names = {path.stem: path for path in (folder / "train").iterdir()}
        for patient, levels in labels.dropna().astype(int).iterrows():
            pair = [(names.get(f"{patient}_{eye}"), int(levels[eye])) for eye in EYES]
            files += [pair] if all(path for path, _ in pair) else []

    def good(pair):
        for path, _ in pair:
            crop, _ = photograph_to_input(path, size)
            if brightness(crop, inside_circle(size)) <= BLACK:
                raise PhotoError("black")

    return [pair for pair, bad in for_each(good, files, workers, "sources") if not isinstance(bad, PhotoError)]


def make(folder, pairs, count, seed):
    """Make a collection, by hard links where nothing is damaged.

    Parameters
    ----------
    folder : Path
        Receives train/ and trainLabels.csv.
    pairs : list
        From `usable_pairs`; repeated under the names of new patients.
    count : int
    seed : int

    Returns
    -------
    list of Photograph
    """
    (folder / "train").mkdir(parents=True)
    (folder / "sources").mkdir()
    kept = [  # copies, because a stage that writes in place would destroy linked files of the user
        [(copy_file(path, folder / "sources" / f"{i}-{eye}.jpeg"), level) for eye, (path, level) in zip(EYES, pair)]
        for i, pair in enumerate(pairs[: (count + 1) // 2])
    ]
    places = random.Random(seed).sample(
        range(1, count, 2), round(DAMAGED * count)
    )  # right eyes; the patient's left eye is undamaged
    kinds = {place: KINDS[i % len(KINDS)] for i, place in enumerate(places)}
    collection = []
    for i in range(count):
        source, level = kept[i // 2 % len(kept)][i % 2]
        kind = kinds.get(i, PLAIN)
        photograph = named(i // 2, EYES[i % 2], level, kind)
        put(source, folder / "train" / photograph.file, kind)
        collection.append(photograph)
    rows = [(p.image, p.level) for p in collection if p.kind not in ("doubled", "unlabelled")]
    write_rows(folder / "trainLabels.csv", ["image", "level"], rows)
    return collection


def copy_file(source, target):
    """Copy a file's bytes; return the copy's path."""
    target.write_bytes(source.read_bytes())
    return target


def named(patient, eye, level, kind):
    """Name a photograph; the kind `doubled` takes the name of the other eye, with another ending."""
    patient = f"k é 眼 {patient:07d}" if kind == "foreign name" else f"k{patient:07d}"
    image = f"{patient}_{'left' if kind == 'doubled' else eye}"
    ending = {"doubled": ".jpg"}.get(kind) or (Path(kind).suffix or ".jpeg")
    return Photograph(image + ending, image, level, kind)


def put(source, path, kind):
    """Write a source photograph to a path, with its kind of damage."""
    if kind in damage.FAULTS:
        damage.write_fault(path, kind, source.read_bytes())
    elif kind in damage.FORMATS:
        with Image.open(source) as image:
            path.write_bytes(damage.in_format(image.convert("RGB"), kind))
    elif kind == "black":
        path.write_bytes(damage.encode(Image.new("RGB", (200, 150), (3, 2, 2))))
    elif kind == "overwritten":
        data = bytearray(source.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 40] = random.Random(path.name).randbytes(40)
        path.write_bytes(data)
    elif kind != "no photograph":
        os.link(source, path)


def to_spoil(collection, output, seed):
    """Choose images of a stage's output to damage: one in 5,000 photographs, at least two; return their names."""
    plain = [p for p in collection if p.kind == PLAIN]
    share = len(SPOILED) * max(2, len(collection) // 5000)
    dice = random.Random(seed)
    chosen = dice.sample(plain, share)[SPOILED.index(output) :: len(SPOILED)]
    if output != "rotated":
        return [p.image for p in chosen]
    return [copy_name(p.image, dice.choice(transforms_of(p.level))) for p in chosen]


def spoil(folder, images):
    """Truncate the PNG of each image, without changing other hard links to the file."""
    for image in images:
        path = folder / f"{image}.png"
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[: 2 * len(data) // 3])


def found(work):
    """List where each image of a finished pipeline is.

    Returns
    -------
    dict of str to list of (str, str)
        Place and reason, by image, or by file if the file was rejected; the place is `array` for packed images.
    """
    places = {}
    array = read_table(work / "array" / "labels.csv", ["image"], "image_to_array.py")
    for image in array["image"]:
        places.setdefault(image, []).append(("array", ""))
    for place in ("resized/rejected", "preprocessed/dropped", "preprocessed/rejected", "rotated/rejected"):
        for image, reason in read_reasons(work / f"{place}.csv"):
            image = image.removesuffix(".png") if place == "preprocessed/rejected" else image
            places.setdefault(image, []).append((place, reason))
    if (left_out := work / "resized" / "left_out.csv").exists():
        for file, reason in read_reasons(left_out, "file"):
            places.setdefault(file, []).append(("resized/left_out", reason))
    for image, reason in read_reasons(work / "array" / "rejected.csv"):
        places.setdefault(image.removesuffix(".png"), []).append(("array/rejected", reason))
    return places


def read_reasons(path, name="image"):
    """Read a list of (image, reason), or of another column and the reason."""
    with open(path, newline="", encoding="utf-8") as file:
        return [(row[name], row["reason"]) for row in csv.DictReader(file)]


def wanted(photograph, spoiled):
    """Return where a photograph must be: {name in `found`: [(place, pattern of the reason), ...]}."""
    file, image, level, kind = photograph
    unmatched = ("preprocessed/dropped", "label without a photograph")
    if kind == "folder.jpeg":
        return {file: [("resized/left_out", "an empty folder")], image: [unmatched]}
    if kind in damage.FAULTS:
        return {file: [("resized/rejected", damage.FAULTS[kind])], image: [unmatched]}
    if kind == "doubled":
        return {file: [("resized/rejected", "same name")]}
    if kind == "no photograph":
        return {image: [unmatched]}
    if kind == "black":
        return {image: [("preprocessed/dropped", "all black")]}
    if kind == "unlabelled":
        return {image: [("preprocessed/dropped", "photograph without a label")]}
    if image in spoiled["resized"]:
        return {image: [("preprocessed/rejected", "truncated")]}
    if image in spoiled["preprocessed"]:
        return {image: [("rotated/rejected", "truncated")]}
    copies = [copy_name(image, name) for name in transforms_of(level)]
    return {c: [("array/rejected", "truncated") if c in spoiled["rotated"] else ("array", "")] for c in copies}


def account(collection, work, spoiled):
    """Compare where the photographs are with where they should be.

    Returns
    -------
    complaints : list of str
        Empty if each photograph and each of its copies is in the right place once, and there are no other images.
    counts : Counter
        Number of images by place.
    """
    places, complaints = found(work), []
    counts = Counter(place for there in places.values() for place, _ in there)
    for photograph in collection:
        expected = wanted(photograph, spoiled)
        if photograph.kind == "overwritten" and photograph.file in places:  # the decoder may notice, or not
            expected = {photograph.file: [("resized/rejected", "damaged|truncated|no retina")]}
            expected[photograph.image] = [("preprocessed/dropped", "label without a photograph")]
        for name, there in expected.items():
            is_there = places.pop(name, [])
            fits = len(is_there) == len(there) and all(
                place == expected_place and re.search(pattern, reason)
                for (place, reason), (expected_place, pattern) in zip(is_there, there)
            )
            if not fits:
                complaints.append(f"{name} ({photograph.kind}): {is_there}, not {there}")
    return complaints + [f"{name}: {there}, unexpected" for name, there in places.items()], counts
