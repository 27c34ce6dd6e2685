#!/usr/bin/env python3
"""Audit an array or tables for leaks between training and test; build the array of the protocol of 2017.

Reads   data/array/X.npy, labels.csv, X.json      any folder with an X.npy and a labels.csv (image,split), or, with
                                                  --labels, tables alone: image,split, or train.csv val.csv test.csv
Writes  nothing, unless asked: --json FILE        all figures; --report FILE.csv every case
Or, with --protocol 2017:
Reads   data/preprocessed/*.png, labels/preprocessed.csv
Writes  data/array-2017/X.npy, labels.csv, X.json, rejected.csv

    python audit_leakage.py --input data/array
    python audit_leakage.py --protocol 2017 && python audit_leakage.py --input data/array-2017

Eleven checks, one line each with its figure and verdict: photographs, patients and pixels of one split in another
(over any turn and reflection, also compressed again), the rule "a rotated copy is DR", and two classifiers that see no
retina. Names are compared without folder and ending, numbers of patients as numbers (011 and 11.0 are 11).
Exit code 0: no leak found, and photograph and patient of every row were compared; 1: a leak, or a row of unknown
patient ("could not tell"). Checks that need pixels or grades may be missing. Of an array of this pipeline (X.json
proves it) only originals count in validation and test, as in cnn.py. Tables alone cannot say which rows are used, and
so every row counts: of labels/rotated.csv give --originals, or rather audit data/array. 16,000 images take two or
three minutes on two cores.

The protocol of 2017: a square from the inside of each retina, compressed as JPEG of quality 75; then the copies, each
compressed again, the one of 120 degrees with black corners; only then rows are drawn at random into train, val and
test. The test patients of labels/preprocessed.csv are kept out of it: their originals are its split `unseen`, which
says what a network so trained is worth. 5 ms an image; stopped and run again, it begins anew.
"""

import io
import os
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.model_selection import train_test_split

from eyenet.audit.checks import Evidence, audit, complete, conclude, results_table, used_rows
from eyenet.data.array import COLUMNS, IMAGES_PER_BLOCK, checksum, open_array
from eyenet.data.copies import copies_table, transform
from eyenet.data.names import SPLITS, UNSEEN
from eyenet.data.packing import first_shape, reserve, write_at, write_sidecar
from eyenet.data.tables import read_table
from eyenet.photo.png import read_crop
from eyenet.run.errors import PhotoError, StageError
from eyenet.run.files import read_json, write_json, write_rows
from eyenet.run.folder import finish, list_files, output_folder, report_unlisted
from eyenet.run.options import fraction, local_path, parser, seed
from eyenet.run.script import run_main
from eyenet.run.workers import for_each

# On real photographs, split by patient, the rim tells the grade with an AUC of 0.58 [0.54, 0.63], compression with 0.52
# [0.48, 0.57] (976 of EyePACS in the test); in arrays of the protocol of 2017 both reach 0.87 [0.82, 0.91] and more.
LIMIT = 0.65
QUALITY = 75  # of Pillow and of the skimage of 2017, unless told otherwise
TEST, VALIDATION = 0.2, 0.2  # of all rows, and of the rest
PACKERS = {"image_to_array.py", "audit_leakage.py"}  # scripts whose array is unfinished without an X.json


def read_split_table(path, split=None):
    """Read a table of images and their split, and whatever else the audit can use.

    Parameters
    ----------
    path : path-like
    split : str, optional
        Of all rows; default: the table has a column `split`.

    Returns
    -------
    DataFrame
        See `eyenet.audit.checks.complete`.
    """
    table = read_table(path, ["image"], "whoever split the photographs")
    columns = [c for c in ("patient", "level", "transform") if c in table.columns]
    table = read_table(path, ["image", *columns, *([] if split else ["split"])], "whoever split the photographs")
    if split:
        table["split"] = split
    return table[["image", "split", *columns]]


def read_tables(paths):
    """Read tables with a column `split`, or whose file is named after their split.

    Raises
    ------
    StageError
        If a table says neither, or the tables do not say the same things.
    """
    tables = []
    for path in paths:
        own = "split" in read_table(path, ["image"], "whoever split the photographs").columns
        if not own and path.stem not in SPLITS:
            raise StageError(
                f"{path} has no column split, and its name is not train.csv, val.csv or test.csv; add the column"
            )
        tables.append(read_split_table(path, None if own else path.stem))
    for path, table in zip(paths, tables):
        if set(table.columns) != set(tables[0].columns):
            odd = sorted(set(table.columns) ^ set(tables[0].columns))
            raise StageError(f"{paths[0]} and {path} have not the same columns ({', '.join(odd)}); make them alike")
    return pd.concat(tables, ignore_index=True)


def read_foreign_array(folder):
    """Open an X.npy and a labels.csv that this pipeline did not make.

    Raises
    ------
    StageError
        If they are missing, damaged, of another form, or do not belong together.
    """
    if not folder.is_dir():
        raise StageError(f"there is no folder {folder}; image_to_array.py makes it, or give --input")
    try:
        images = np.load(folder / "X.npy", mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise StageError(f"{folder} has no X.npy; give --input a folder with an array, or --labels tables") from None
    except (ValueError, EOFError) as error:
        raise StageError(f"{folder / 'X.npy'} cannot be read as an array ({error}); pack it again") from None
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
        raise StageError(
            f"{folder / 'X.npy'} is {images.dtype} of shape {images.shape}; the audit needs uint8 of shape "
            "(images, size, size, 3)"
        )
    if images.shape[1] < 32:
        raise StageError(f"the images in {folder} are {images.shape[1]} pixels wide; the audit needs 32 or more")
    table = read_split_table(folder / "labels.csv")
    if len(table) != len(images):
        raise StageError(
            f"{folder / 'labels.csv'} has {len(table):,} rows and X.npy {len(images):,} images; row i must describe "
            "image i"
        )
    return images, table


def read_evidence(args):
    """Read what is to be audited: tables, an array of this pipeline, or another."""
    folder, settings = args.input or Path("data/array"), {} if args.originals else None
    if args.labels:
        images, table = None, read_tables(args.labels)
    elif (folder / "X.json").exists() or (read_json(folder / "stage.json") or {}).get("script") in PACKERS:
        if args.originals:
            raise StageError(f"the X.json of {folder} says which rows are used; leave out --originals")
        images, table, sidecar = open_array(folder)
        settings = sidecar["settings"]
    else:
        images, table = read_foreign_array(folder)
    table = complete(table)
    evidence = Evidence(table, used_rows(table, settings), images, assumed=settings is None)
    for split in ("train", "test"):
        if not len(evidence.rows[split]):
            raise StageError(f"no row of the table is in the split {split!r}, so there is nothing to compare")
    return evidence


def check_targets(args):
    """Refuse, before the audit, files that its figures and cases cannot or must not be written to."""
    folder = args.input or Path("data/array")
    own = [folder / name for name in ("X.npy", "labels.csv", "X.json", "stage.json")]
    taken = list(args.labels or [*own, *folder.glob("X-*.npy")])
    for option, path in (("--json", args.json), ("--report", args.report)):
        if path is None:
            continue
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise StageError(f"{option} {path}: there is no folder {path.parent} that can be written to; make it first")
        if path.is_symlink() or (path.exists() and not path.is_file()):  # renaming over a device would replace it
            raise StageError(f"{option} {path} exists and is not a regular file; choose another name")
        if path.resolve() in [other.resolve() for other in taken]:
            raise StageError(f"{option} {path} would overwrite a file of this audit; choose another name")
        taken.append(path)


def run_audit(args):
    """Audit, print and write the findings; return the exit code."""
    check_targets(args)
    evidence = read_evidence(args)
    findings = audit(evidence, args.limit, args.seed)
    print("rows used: " + ", ".join(f"{split} {len(evidence.rows[split]):,}" for split in SPLITS))
    print(results_table(findings))
    verdict, why, code = conclude(findings)
    if args.json:
        checks = {f.check: {"found": f.found, "verdict": f.verdict, "figures": f.figures} for f in findings}
        write_json(args.json, {"verdict": verdict, "checks": checks})
    if args.report:
        rows = [(f.check, *(case if isinstance(case, tuple) else (case, "", ""))) for f in findings for case in f.cases]
        write_rows(args.report, ["check", "image", "same_as", "similarity"], rows)
    print(f"verdict: {verdict}{why}")
    return code


def cut_square(crop):
    """Cut the square out of the retina's circle and enlarge it to the size of the crop, as a JPEG would be read."""
    size = len(crop)
    edge = size / 2 * (1 - 0.5**0.5)
    inside = (edge, edge, size - edge, size - edge)
    return compress(np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.BICUBIC, box=inside)))


def compress(pixels):
    """Write an image as JPEG and read it again."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file))


def copy_of_2017(square, name):
    """Mirror or rotate a square as 2017 did: 120 degrees linearly, within the frame, black where nothing comes from."""
    if name == "original":
        return square
    if name == "rot120":
        return compress(np.asarray(Image.fromarray(square).rotate(120, Image.Resampling.BILINEAR)))
    return compress(transform(square, name))


def rows_of_2017(photographs, seed):
    """List the rows of the array: copies first, then a random split of rows; the test patients' originals at the end.

    Parameters
    ----------
    photographs : DataFrame
        Columns image, patient, eye, level, split.
    seed : int

    Returns
    -------
    DataFrame
        The columns of labels.csv and `source`.
    """
    test = photographs["split"] == "test"
    known = copies_table(photographs[~test], only_train=False) if not test.all() else photographs[~test]
    if len(known) < 10:
        raise StageError(f"{len(known)} images are too few to be split; run preprocess_images.py on more photographs")
    rest, tested = train_test_split(np.arange(len(known)), test_size=TEST, random_state=seed)
    trained, validated = train_test_split(rest, test_size=VALIDATION, random_state=seed)
    for split, rows in (("train", trained), ("val", validated), ("test", tested)):
        known.iloc[rows, known.columns.get_loc("split")] = split
    unseen = photographs[test].assign(split=UNSEEN, transform="original", source=photographs["image"])
    return pd.concat([known, unseen], ignore_index=True)


def pack_2017(folder, table, output, workers):
    """Write the images of the rows to X.npy, block by block.

    Returns
    -------
    shape : tuple of int
    checksums : list of str
    """
    paths = [folder / f"{source}.png" for source in table["source"]]
    shape = (len(table), *first_shape(paths))
    file, begin = reserve(output / "X.npy.partial", shape, keep=False)

    def pack_block(first):
        images = np.zeros((len(paths[first : first + IMAGES_PER_BLOCK]), *shape[1:]), np.uint8)
        squares = {path: cut_square(read_crop(path)) for path in set(paths[first : first + IMAGES_PER_BLOCK])}
        for image, row in zip(images, range(first, first + IMAGES_PER_BLOCK)):
            image[:] = copy_of_2017(squares[paths[row]], table["transform"][row])
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
    """List the photographs of a table whose crop cannot be read, or has another size than the first; with reasons."""
    paths = [folder / f"{image}.png" for image in photographs["image"]]
    shape = first_shape(paths)

    def check(path):
        if read_crop(path).shape != shape:
            raise PhotoError(f"is not {shape[1]} x {shape[0]} pixels as the others")

    return [(p.stem, str(r)) for p, r in for_each(check, paths, workers, "read") if isinstance(r, PhotoError)]


def build_2017(options, args):
    """Build the array of the protocol of 2017; return the exit code."""
    source, output = args.input or Path("data/preprocessed"), args.output or Path("data/array-2017")
    if args.labels and len(args.labels) > 1:
        options.error("--protocol takes one table")
    labels = args.labels[0] if args.labels else Path("labels/preprocessed.csv")
    files = list_files(source, [".png"], "preprocess_images.py")
    photographs = read_table(labels, ["image", "patient", "eye", "level", "split"], "preprocess_images.py")
    report_unlisted(files, photographs, labels)
    settings = {"protocol": args.protocol, "seed": args.seed}
    with output_folder(output, "audit_leakage.py", settings, source) as folder:
        (folder / "X.json").unlink(missing_ok=True)
        rejected = unreadable(source, photographs, args.workers)
        kept = photographs[~photographs["image"].isin([name for name, _ in rejected])]
        table = rows_of_2017(kept.reset_index(drop=True), args.seed)
        shape, checksums = pack_2017(source, table, folder, args.workers)
        made = read_json(folder / "stage.json")["settings"]
        write_sidecar(folder, table[COLUMNS], shape, made, checksums)
        code = finish([(f"{name}.png", why) for name, why in rejected], len(photographs), args.max_rejected, folder)
    counts = table["split"].value_counts()
    print(
        f"packed {len(table):,} images in {output / 'X.npy'}: "
        + ", ".join(f"{split} {counts.get(split, 0):,}" for split in (*SPLITS, UNSEEN))
    )
    print(f"next: python cnn.py --input {shlex.quote(str(output))} --run protocol-2017")
    return code


def main():
    options = parser(__doc__, workers=None)
    options.add_argument("--input", type=local_path, help="data/array; with --protocol data/preprocessed")
    options.add_argument(
        "--labels", type=local_path, nargs="+", help="tables to audit; with --protocol the one to read"
    )
    options.add_argument(
        "--originals", action="store_true", help="of tables and foreign arrays: no copies are validated and tested on"
    )
    options.add_argument("--limit", type=fraction, default=LIMIT, help="AUC that is no leak without a retina")
    options.add_argument("--json", type=local_path, help="file for the figures")
    options.add_argument("--report", type=local_path, help="CSV file for every case")
    options.add_argument("--protocol", choices=("2017",), help="build its array instead of auditing one")
    options.add_argument("--output", type=local_path, help="with --protocol; data/array-2017")
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="with --protocol: fraction that may fail")
    options.add_argument("--seed", type=seed, default=0, help="of the random rows, and of the classifiers")
    args = options.parse_args()
    if args.protocol:
        if args.json or args.report or args.originals:
            options.error("--json, --report and --originals belong to an audit; build first, then audit")
        return build_2017(options, args)
    if args.output:
        options.error("--output belongs to --protocol; an audit writes --json and --report")
    if args.input and args.labels:
        options.error("an audit reads --input or --labels, not both")
    return run_audit(args)


if __name__ == "__main__":
    run_main(main)
