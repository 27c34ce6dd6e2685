"""Compare the protocol of 2017 with this project's: the reported performance, and that on unseen patients.

    python benchmarks/protocols.py --work . --name sample                (after bash run_pipeline.sh)
    python benchmarks/protocols.py --work work/kaggle --name kaggle
    python benchmarks/protocols.py --work . --array-only                 only build data/array-2017

Reads   data/preprocessed/*.png, labels/preprocessed.csv, data/array in the work folder
Writes  data/array-2017/X.npy, labels.csv, X.json, rejected.csv; models/protocol-*; benchmarks/results

Builds the array of 2017 from the photographs of a finished pipeline, trains the network of 2017 on it, and evaluates
it twice: on its own test rows, and on unseen patients. Then trains the same network by this project's protocol and
evaluates it on the same patients. Finished work is not repeated. 10 minutes for the sample on two cores.

The protocol of 2017: cut the square inside each retina and compress it as JPEG; make the copies and compress each
again, with black corners at 120 degrees; only then assign rows at random to train, val and test. Test patients of
labels/preprocessed.csv are excluded; their originals are the split `unseen`, which shows the real performance. Packing
takes 5 ms per image; after an interruption, it starts again from the first image.
"""

import argparse
import io
import json
import os
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import record
from PIL import Image
from sklearn.model_selection import train_test_split

from eyenet.data.array import COLUMNS, checksum
from eyenet.data.copies import copies_table, transform
from eyenet.data.names import SPLITS, UNSEEN
from eyenet.data.packing import first_shape, reserve, write_at, write_sidecar
from eyenet.data.shards import IMAGES_PER_BLOCK
from eyenet.data.tables import read_table
from eyenet.photo.png import read_crop
from eyenet.run.errors import PhotoError, StageError
from eyenet.run.files import read_json
from eyenet.run.folder import finish, list_files, output_folder, report_unlisted
from eyenet.run.script import run_main
from eyenet.run.workers import cores, for_each

RUN, HONEST = "protocol-2017", "protocol-honest"
NETWORK = ("--network", "three_layers_2017")
QUALITY = 75  # the default of Pillow, and of the skimage of 2017
TEST, VALIDATION = 0.2, 0.2  # fraction of all rows, and of the remaining ones
MAX_REJECTED = 0.05


def cut_square(crop):
    """Cut out the square inside the retina's circle, enlarge it to the size of the crop, and compress it."""
    size = len(crop)
    edge = size / 2 * (1 - 0.5**0.5)
    inside = (edge, edge, size - edge, size - edge)
    return compress(np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.BICUBIC, box=inside)))


def compress(pixels):
    """Write an image as JPEG and read it again."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file))


def copy_square(square, name):
    """Mirror or rotate a square as 2017 did: 120 degrees bilinearly, within the frame, with black corners."""
    if name == "original":
        return square
    if name == "rot120":
        return compress(np.asarray(Image.fromarray(square).rotate(120, Image.Resampling.BILINEAR)))
    return compress(transform(square, name))


def list_rows(photographs, seed):
    """List the rows of the array: a random split of originals and copies, then the test patients' originals.

    Parameters
    ----------
    photographs : DataFrame
        Columns image, patient, eye, level, split.
    seed : int

    Returns
    -------
    DataFrame
        The columns of labels.csv, and `photograph`, that of each image.
    """
    test = photographs["split"] == "test"
    known = copies_table(photographs[~test], only_train=False) if not test.all() else photographs[~test]
    if len(known) < 10:
        raise StageError(f"{len(known)} images are too few to split; run preprocess_images.py on more photographs")
    rest, tested = train_test_split(np.arange(len(known)), test_size=TEST, random_state=seed)
    trained, validated = train_test_split(rest, test_size=VALIDATION, random_state=seed)
    for split, rows in (("train", trained), ("val", validated), ("test", tested)):
        known.iloc[rows, known.columns.get_loc("split")] = split
    unseen = photographs[test].assign(split=UNSEEN, transform="original", photograph=photographs["image"])
    return pd.concat([known, unseen], ignore_index=True)


def pack_rows(folder, table, output, workers):
    """Write the images of the rows to X.npy, block by block.

    Returns
    -------
    shape : tuple of int
    checksums : list of str
    """
    paths = [folder / f"{image}.png" for image in table["photograph"]]
    shape = (len(table), *first_shape(paths))
    file, begin = reserve(output / "X.npy.partial", shape, keep=False)

    def pack_block(first):
        images = np.zeros((len(paths[first : first + IMAGES_PER_BLOCK]), *shape[1:]), np.uint8)
        squares = {path: cut_square(read_crop(path)) for path in set(paths[first : first + IMAGES_PER_BLOCK])}
        for image, row in zip(images, range(first, first + IMAGES_PER_BLOCK)):
            image[:] = copy_square(squares[paths[row]], table["transform"][row])
        write_at(file, images, begin + first * int(np.prod(shape[1:])))
        return checksum(images)

    try:
        blocks = range(0, len(paths), IMAGES_PER_BLOCK)
        checksums = [crc for _, crc in for_each(pack_block, blocks, workers, "pack", f"x{IMAGES_PER_BLOCK} img")]
    finally:
        os.close(file)
    os.replace(output / "X.npy.partial", output / "X.npy")
    return shape, checksums


def unreadable(folder, photographs, workers):
    """List the crops that cannot be read or differ from the first in size, as (name, reason)."""
    paths = [folder / f"{image}.png" for image in photographs["image"]]
    shape = first_shape(paths)

    def check(path):
        if read_crop(path).shape != shape:
            raise PhotoError(f"is not {shape[1]} x {shape[0]} pixels as the others")

    return [(p.stem, str(r)) for p, r in for_each(check, paths, workers, "read") if isinstance(r, PhotoError)]


def build_array(source, labels, output, seed, threads):
    """Build the array of 2017; return the exit code.

    Parameters
    ----------
    source : Path
        Folder of preprocess_images.py.
    labels : Path
        Its table.
    output : Path
    seed : int
        Seed of the random split.
    threads : int
    """
    files = list_files(source, [".png"], "preprocess_images.py")
    photographs = read_table(labels, ["image", "patient", "eye", "level", "split"], "preprocess_images.py")
    report_unlisted(files, photographs, labels)
    with output_folder(output, "protocols.py", {"protocol": "2017", "seed": seed}, source) as folder:
        (folder / "X.json").unlink(missing_ok=True)
        rejected = unreadable(source, photographs, threads)
        kept = photographs[~photographs["image"].isin([name for name, _ in rejected])]
        table = list_rows(kept.reset_index(drop=True), seed)
        shape, checksums = pack_rows(source, table, folder, threads)
        settings = read_json(folder / "stage.json")["settings"]
        write_sidecar(folder, table[COLUMNS], shape, settings, checksums)
        code = finish([(f"{name}.png", why) for name, why in rejected], len(photographs), MAX_REJECTED, folder)
    counts = table["split"].value_counts()
    splits = ", ".join(f"{split} {counts.get(split, 0):,}" for split in (*SPLITS, UNSEEN))
    print(f"packed {len(table):,} images in {output / 'X.npy'}: {splits}")
    return code


def result_rows(metrics, who):
    """Return the figures of a metrics.json as rows of the result table, each with the ends of its interval."""
    asked = metrics["questions"]["any"]
    eye, baselines = asked["eye"], asked["baselines"]
    figures = {
        "AUC": eye["auc"],
        "accuracy": eye["accuracy"],
        "precision": eye["precision"],
        "recall": eye["sensitivity"],
        "accuracy of the majority": baselines["majority"]["accuracy"],
        "AUC without a retina": (baselines["not_retina"] or {"auc": {"value": None}})["auc"],
    }
    return [
        (f"{title}, {who} ({eye['count']} photographs){end}", round(value, 3), "", "")
        for title, figure in figures.items()
        for end, value in zip(("", ", lower end of 95 %", ", upper end of 95 %"), figure.values())
        if value is not None
    ]


def compare(work, name, epochs):
    """Train and evaluate under both protocols, and record the results."""
    data, models = work / "data", work / "models"
    options = [*NETWORK, "--models", models, "--logs", work / "logs", "--epochs", epochs]
    # cnn.py trains without augmentation on an array of the 2017 protocol.
    record.run("cnn.py", "--input", data / "array-2017", "--run", RUN, *options)
    record.run("cnn.py", "--input", data / "array", "--run", HONEST, *options)
    geometry = ["--photographs", data / "resized" / "photographs.csv"]
    for model, array, split in ((RUN, "array-2017", "test"), (RUN, "array-2017", "unseen"), (HONEST, "array", "test")):
        record.run("evaluate.py", "--model", models / model, "--input", data / array, "--split", split, *geometry)
    metrics = [
        ("protocol of 2017, on its own test rows", models / RUN / "metrics.json"),
        ("protocol of 2017, on unseen patients", models / RUN / "unseen" / "metrics.json"),
        ("this protocol, on the same unseen patients", models / HONEST / "metrics.json"),
    ]
    record.write(
        f"protocols-{name}", [row for who, path in metrics for row in result_rows(json.loads(path.read_text()), who)]
    )


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--work", type=Path, default=record.REPO, help="work folder of a finished pipeline")
    options.add_argument("--name", help="name of the photographs, for the file of results")
    options.add_argument("--epochs", type=int, default=30, help="epochs of both networks")
    options.add_argument("--array-only", action="store_true", help="build the array of 2017 and stop")
    options.add_argument("--seed", type=int, default=0, help="seed of the random split of 2017")
    args = options.parse_args()
    if not args.name and not args.array_only:
        options.error("--name is needed for the file of results")

    data, output = args.work / "data", args.work / "data" / "array-2017"
    code = build_array(data / "preprocessed", args.work / "labels" / "preprocessed.csv", output, args.seed, cores())
    if args.array_only:
        print(f"next: python cnn.py --input {shlex.quote(str(output))} --run {RUN} {' '.join(NETWORK)}")
    else:
        compare(args.work, args.name, args.epochs)
    return code


if __name__ == "__main__":
    run_main(main)
