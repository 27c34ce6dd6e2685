#!/usr/bin/env python3
"""Audit an array or label tables for leaks between training, validation and test.

Reads   data/array/X.npy, labels.csv, X.json      any folder with X.npy and labels.csv (image,split); or, with
                                                  --labels, tables alone: image,split, or train.csv val.csv test.csv
Writes  nothing by default; --json FILE: all figures; --report FILE.csv: every case

    python audit_leakage.py
    python audit_leakage.py --labels train.csv val.csv test.csv

Eleven checks, one line each with its figure and verdict: photographs, patients and pixels of one split that occur in
another (rotated, mirrored or compressed again), the rule "a rotated copy has DR", and two classifiers that see
everything but the retina. Names are compared without folder and ending, patient numbers as numbers (011 equals 11.0).
Exit code 0: no leak found, and the photograph and patient of every row were compared; 4: a leak; 3: no leak found, but
the patient of a row is unknown ("could not tell"); 1: the audit could not be done. Checks that need pixels or grades
may be skipped. In an array of this pipeline (with X.json), only originals count in validation and test, as in cnn.py.
A table alone does not say which rows a training uses, so every row counts. For labels/rotated.csv give
--originals; better, audit data/array. 16,000 images take two or three minutes on two cores.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from eyenet.audit.checks import Audited, audit, complete, conclude, results_table, used_rows
from eyenet.data.array import open_array
from eyenet.data.names import SPLITS
from eyenet.data.tables import read_table
from eyenet.run.errors import StageError, plural
from eyenet.run.files import read_json, write_json, write_rows
from eyenet.run.options import fraction, local_path, parser, seed
from eyenet.run.script import run_main

# On real photographs that are split by patient, border and corners tell the grade with an AUC of 0.58 [0.54, 0.63],
# traces of compression with 0.52 [0.48, 0.57] (976 of EyePACS in the test); in arrays of the 2017 protocol both reach
# 0.87 [0.82, 0.91] and more.
LIMIT = 0.65
ARRAY = Path("data/array")
PACKERS = {"image_to_array.py", "protocols.py"}  # an array of these scripts is unfinished without X.json
SPLITTER = "the tool that split the photographs"


def read_split_table(path, split=None):
    """Read a table of images and their split, with the other columns that the audit can use.

    Parameters
    ----------
    path : path-like
    split : str, optional
        The split of all rows; by default the table has a column `split`.

    Returns
    -------
    DataFrame
        See `eyenet.audit.checks.complete`.
    """
    table = read_table(path, ["image"], SPLITTER)
    columns = [c for c in ("patient", "patient_known", "level", "transform") if c in table.columns]
    table = read_table(path, ["image", *columns, *([] if split else ["split"])], SPLITTER)
    if split:
        table["split"] = split
    return table[["image", "split", *columns]]


def read_tables(paths):
    """Read tables that have a column `split` or are named after their split.

    Raises
    ------
    StageError
        If a table has neither, or the tables differ in their columns.
    """
    tables = []
    for path in paths:
        has_split = "split" in read_table(path, ["image"], SPLITTER).columns
        if not has_split and path.stem not in SPLITS:
            raise StageError(
                f"{path} has no column split, and its name is not train.csv, val.csv or test.csv; add the column"
            )
        tables.append(read_split_table(path, None if has_split else path.stem))
    for path, table in zip(paths, tables):
        if set(table.columns) != set(tables[0].columns):
            different = ", ".join(sorted(set(table.columns) ^ set(tables[0].columns)))
            raise StageError(f"{paths[0]} and {path} differ in their columns ({different}); give both the same columns")
    return pd.concat(tables, ignore_index=True)


def read_foreign_array(folder):
    """Open an X.npy and a labels.csv that this pipeline did not make.

    Raises
    ------
    StageError
        If they are missing, damaged, of another shape or type, or do not belong together.
    """
    if not folder.is_dir():
        raise StageError(f"there is no folder {folder}; run image_to_array.py first, or give --input")
    try:
        images = np.load(folder / "X.npy", mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise StageError(f"{folder} has no X.npy; give --input a folder with an array, or --labels tables") from None
    except (ValueError, EOFError):  # NumPy's advice is to load it unsafely
        raise StageError(f"{folder / 'X.npy'} is damaged, incomplete or no array; pack it again") from None
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
            f"{folder / 'labels.csv'} has {plural(len(table), 'row')} and X.npy {plural(len(images), 'image')}; row i "
            "must describe image i"
        )
    return images, table


def read_audited(folder, labels=None, originals=False):
    """Read what is to be audited: tables, an array of this pipeline, or another array.

    Parameters
    ----------
    folder : Path
        Folder of an array; ignored if there are `labels`.
    labels : list of Path, optional
        Tables to audit.
    originals : bool
        Copies of images are not used for validation and test; only for tables and arrays without X.json.
    """
    settings = {} if originals else None
    if labels:
        images, table = None, read_tables(labels)
    elif (folder / "X.json").exists() or (read_json(folder / "stage.json") or {}).get("script") in PACKERS:
        if originals:
            raise StageError(f"the X.json of {folder} says which rows are used; leave out --originals")
        images, table, sidecar = open_array(folder)
        settings = sidecar["settings"]
    else:
        images, table = read_foreign_array(folder)
    table = complete(table)
    audited = Audited(table, used_rows(table, settings), images, assumed=settings is None)
    for split in ("train", "test"):
        if not len(audited.rows[split]):
            raise StageError(f"no row of the table is in the split {split!r}, so there is nothing to compare")
    return audited


def require_writable(outputs, inputs):
    """Raise a StageError, before the audit, if a result cannot be written or would overwrite an input.

    Parameters
    ----------
    outputs : dict of str to Path or None
        Option and file.
    inputs : list of Path
    """
    taken = list(inputs)
    for option, path in outputs.items():
        if path is None:
            continue
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise StageError(f"{option} {path}: there is no writable folder {path.parent}; make it first")
        if path.is_symlink() or (path.exists() and not path.is_file()):  # renaming would replace a device
            raise StageError(f"{option} {path} exists and is not a regular file; choose another name")
        if path.resolve() in [other.resolve() for other in taken]:
            raise StageError(f"{option} {path} would overwrite a file of this audit; choose another name")
        taken.append(path)


def write_results(findings, verdict, json, report):
    """Write the figures and the cases to the files that were asked for."""
    if json:
        checks = {f.check: {"found": f.found, "verdict": f.verdict, "figures": f.figures} for f in findings}
        write_json(json, {"verdict": verdict, "checks": checks})
    if report:
        rows = [(f.check, *(case if isinstance(case, tuple) else (case, "", ""))) for f in findings for case in f.cases]
        write_rows(report, ["check", "image", "same_as", "similarity"], rows)


def main():
    options = parser(__doc__)
    options.add_argument("--input", type=local_path, help=f"folder of an array; default: {ARRAY}")
    options.add_argument("--labels", type=local_path, nargs="+", help="tables to audit instead of an array")
    options.add_argument(
        "--originals",
        action="store_true",
        help="validation and test use originals only; for tables and arrays without X.json",
    )
    options.add_argument(
        "--limit", type=fraction, default=LIMIT, help="largest AUC without the retina that is not a leak"
    )
    options.add_argument("--json", type=local_path, help="file for the figures")
    options.add_argument("--report", type=local_path, help="CSV file for every case")
    options.add_argument("--seed", type=seed, default=0, help="seed of the classifiers")
    args = options.parse_args()
    if args.input and args.labels:
        options.error("an audit reads --input or --labels, not both")

    folder = args.input or ARRAY
    files = [folder / name for name in ("X.npy", "labels.csv", "X.json", "stage.json")]
    inputs = args.labels or [*files, *folder.glob("X-*.npy")]
    require_writable({"--json": args.json, "--report": args.report}, inputs)
    audited = read_audited(folder, args.labels, args.originals)
    findings = audit(audited, args.limit, args.seed)
    print("rows used: " + ", ".join(f"{split} {len(audited.rows[split]):,}" for split in SPLITS))
    print(results_table(findings))
    verdict, why, code = conclude(findings)
    write_results(findings, verdict, args.json, args.report)
    print(f"verdict: {verdict}{why}")
    return code


if __name__ == "__main__":
    run_main(main)
