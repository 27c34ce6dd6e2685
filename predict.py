#!/usr/bin/env python3
"""Grade new photographs: is each gradable, does it show retinopathy, and where is the evidence?

Reads   photographs or folders of them (JPEG, PNG, TIFF; DICOM after pip install -r requirements-dicom.txt)
        models/latest/                    only model.tflite and config.json; Keras is not needed
Writes  a table to the terminal, or one JSON object per line with --json
        --csv FILE                        the same rows as a table
        --heatmap DIR                     a PNG for each gradable photograph: the crop and its heat maps

    python predict.py 10_left.jpeg 10_right.jpeg
    python predict.py clinic/ --csv today.csv --heatmap maps
    python predict.py clinic/ --sensitivity 0.9 --json > today.jsonl

An ungradable photograph gets the result 'photograph again' and no probability. Photographs are grouped by patient and
visit, and each visit gets a row after the photographs. Patient and eye are read from DICOM headers, from names such as
7_left, 8-OD or 9 L, or from the folder (7/left). A patient is referred if one eye is. An eye counts by its worst
photograph, which the row names. If an eye is poor or missing, and the other one is not referred, the result is
'photograph again'. Placeholders such as ANONYMOUS, and IDs that cannot be one person, join nobody; equal IDs in
different folders are different people unless --one-clinic is given.
Folders are searched recursively in the order of file names, without hidden files.
Exit code 3: some files could not be read; all others are graded. One photograph takes 0.4 s from a cold start, a folder
35 photographs/s per core.
"""

import contextlib
import csv
import json
import os
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from eyenet.data.identity import Identity, group_photographs, is_placeholder, read_name
from eyenet.data.tasks import QUESTIONS
from eyenet.model.disclaimers import INTENDED_USE, NOT_A_DEVICE
from eyenet.model.folder import LITE_NETWORK
from eyenet.model.screener import Screener
from eyenet.photo.decode import PHOTOGRAPHS
from eyenet.photo.dicom import ENDINGS, is_dicom, read_names
from eyenet.run.errors import EXIT_REJECTED, PhotoError, StageError, log
from eyenet.run.files import whole_file
from eyenet.run.options import fraction, local_path, parser
from eyenet.run.script import run_main
from eyenet.run.workers import crew, for_each

UNREAD = "not read"


def find_photographs(places, left_out):
    """List the photographs among files and folders, each once, those of a folder sorted by name.

    Parameters
    ----------
    places : list of Path
        Files are included whatever their names, even if they do not exist: they get a row that says so.
    left_out : Path or None
        Folder to skip: that of the heat maps.

    Raises
    ------
    StageError
        If there are no photographs, or a folder cannot be read.
    """
    found, others = [], set()
    for place in places:
        if not place.is_dir():
            found.append(place)
            continue
        for folder, inner, names in os.walk(place, onerror=reraise):
            here = Path(folder)
            inner[:] = sorted(d for d in inner if not d.startswith(".") and (here / d).resolve() != left_out)
            files = [here / name for name in sorted(names) if not name.startswith(".")]
            taken = [path for path in files if is_photograph(path)]
            found, others = found + taken, others | (set(files) - set(taken))
    if not found:
        endings, where = "/".join(PHOTOGRAPHS + ENDINGS), ", ".join(map(str, places))
        raise StageError(f"no photograph ({endings}) in {where}" + f", but {len(others)} other files" * bool(others))
    if others:
        log(f"note: skipped {len(others):,} other files in the folders")
    return list(dict.fromkeys(found))


def reraise(error):
    """Raise the error of an unreadable folder, which `os.walk` would skip silently."""
    raise error


def is_photograph(path):
    """Tell whether a file in a folder is a photograph, by its extension or as DICOM by its first bytes."""
    return path.suffix.lower() in PHOTOGRAPHS + ENDINGS or is_dicom(path)


def identify(path, places, one_clinic):
    """Find which patient and eye a photograph shows, from the DICOM header or the names of file and folder.

    A patient ID holds within an input folder, and a name within the photograph's folder; in one clinic, everywhere.

    Returns
    -------
    Identity
    """
    header = None
    with contextlib.suppress(PhotoError):  # grading reports it
        header = read_names(path) if is_dicom(path) else None
    patient, eye = read_name(path.stem, path.parent.name)
    folder = path.parent.parent if patient == path.stem else path.parent  # `left/16` belongs to `right/16`
    place = "" if one_clinic else f"name {folder}"
    if header is None:
        return Identity(patient, eye, place=place)
    eye = header.eye or eye
    if header.patient is None or is_placeholder(header.patient):
        return Identity(patient, eye, header.study, header.date, place=place, placeholder=header.patient)
    scope = next((folder for folder in places if folder in path.parents), path.parent)
    place = "" if one_clinic else f"header {scope}"
    return Identity(header.patient, eye, header.study, header.date, named=patient, place=place)


def plain(text):
    """Replace the unprintable characters of a name."""
    text = os.fsencode(str(text)).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def name_heat_maps(paths, folder):
    """Choose a unique heat-map file for each photograph; None for all without a folder.

    Raises
    ------
    StageError
        If the folder contains one of the photographs: a heat map could overwrite it, or be graded in the next run.
    """
    if folder is None:
        return dict.fromkeys(paths)
    if folder.resolve() in {path.resolve().parent for path in paths}:
        raise StageError(f"--heatmap {folder} contains the photographs; choose another folder")
    targets, taken = {}, set()
    for path in paths:
        names = [path.stem, path.name, *(f"{path.stem}-{number}" for number in range(2, len(paths) + 2))]
        name = next(name for name in names if name.lower() not in taken)
        taken.add(name.lower())
        targets[path] = folder / f"{name}.png"
    return targets


def grade(screener, paths, targets, workers, who):
    """Yield a row for each photograph, in order, then one for each visit of a patient.

    `who` identifies a photograph.
    """
    identities, kept, here = [], [], Path.cwd()  # Dask workers run in another folder
    shared = {"model": screener.name, "operating_point": screener.point}

    def work(item):
        path, target = item
        identity = who(here / path)
        try:
            row = screener.look(here / path, target and here / target)
        except PhotoError as error:
            row = {"result": UNREAD, "reasons": [str(error)]}
        if "heatmap" in row:
            row["heatmap"] = str(target)
        patient = identity.patient and plain(identity.patient)
        return identity, {
            "unit": "photograph",
            "photograph": plain(path),
            "patient": patient,
            "eye": identity.eye,
        } | row

    # On a terminal the rows themselves show the progress.
    items = [(path, targets[path]) for path in paths]
    for _, (identity, row) in for_each(work, items, workers, None if sys.stdout.isatty() else "predict"):
        identities.append(identity)
        kept.append({key: row[key] for key in ("photograph", "result", "questions", "grade") if key in row})
        yield row | shared
    groups, warnings = group_photographs(identities)
    tell_identity(identities, kept, warnings)
    for patient, eyes in groups:
        joined = screener.join({eye: [kept[i] for i in members] for eye, members in eyes.items()})
        eye = "both" if len(eyes) == 2 else next(iter(eyes))
        yield {"unit": "patient", "photograph": None, "patient": plain(patient), "eye": eye} | joined | shared


def tell_identity(identities, kept, warnings):
    """Log which photographs belong to no patient, and why."""
    for warning in warnings:
        log(f"warning: {plain(warning)}")
    unknown = [row["photograph"] for one, row in zip(identities, kept) if not (one.patient and one.eye)]
    if unknown:
        few = ", ".join(unknown[:3]) + ", ..." * (len(unknown) > 3)
        log(f"note: {len(unknown):,} photographs do not tell patient and eye, and belong to no patient row: {few}")


class Table:
    """The table on the terminal, printed row by row."""

    def __init__(self, paths, questions, graded):
        self.questions, self.graded, self.unit = questions, graded, None
        self.titles = [QUESTIONS[question].split(" (")[0] for question in questions] + ["grade"] * graded
        self.width = min(60, max([len("photograph"), *(len(plain(path)) for path in paths)]))

    def print(self, row):
        """Print a row, after a header if it is the first of its unit."""
        if row["unit"] != self.unit:
            print(("\n" if self.unit else "") + self.line(row["unit"], self.titles, "result"))
            self.unit = row["unit"]
        answers = [row.get("questions", {}).get(question, {}).get("probability") for question in self.questions]
        cells = ["-" if answer is None else f"{answer:.3f}" for answer in answers]
        cells += [str(row.get("grade", "-"))] * self.graded
        result = ": ".join([row["result"], *([", ".join(row["reasons"])] if row["reasons"] else [])])
        print(self.line(row["photograph"] or row["patient"], cells, result), flush=True)

    def line(self, first, cells, last):
        cells = (cell.rjust(len(title)) for cell, title in zip(cells, self.titles))
        return "  ".join([first.ljust(self.width), *cells, last])


def columns_of(questions, graded):
    """Name the columns of --csv."""
    first = ["unit", "photograph", "patient", "eye", "result", "reasons", "decided_by", "quality"]
    each = [f"{question}_{part}" for question in questions for part in ("probability", "threshold", "disease")]
    return first + each + ["expected_grade", "grade"] * graded + ["heatmap", "operating_point", "model"]


def to_csv(row):
    """Flatten a row for --csv: one column per answer, booleans as 1 and 0, unknown values left empty."""
    parts = {f"{q}_{part}": value for q, answer in row.get("questions", {}).items() for part, value in answer.items()}
    row = row | {"reasons": "; ".join(row["reasons"])} | parts
    return {key: int(value) if isinstance(value, bool) else value for key, value in row.items() if value is not None}


@contextlib.contextmanager
def csv_writer(path, columns):
    """Write --csv FILE, complete or not at all; give a function that writes a row, which does nothing without FILE."""
    if path is None:
        yield lambda row: None
        return
    with whole_file(path, alone=True) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        yield lambda row: writer.writerow(to_csv(row))


def summarize(counts, patients):
    """Summarize in one line: `counts` maps results to photographs, `patients` counts their rows."""
    total = sum(counts.values())
    results = "; ".join(f"{result} {count:,}" for result, count in sorted(counts.items()))
    joined = f" and {patients:,} patient{'s' * (patients != 1)}" if patients else ""
    return f"{total:,} photograph{'s' * (total != 1)}{joined}: {results}"


def parse():
    """Parse the options."""
    options = parser(__doc__, workers=None, scheduler=None)
    options.add_argument("photographs", type=local_path, nargs="+", metavar="PHOTO|FOLDER", help="what to grade")
    options.add_argument("--model", type=local_path, default="models/latest", help="folder of the model")
    point = options.add_mutually_exclusive_group()
    point.add_argument("--sensitivity", type=fraction, help="on validation; default: the model's own operating point")
    point.add_argument("--specificity", type=fraction, help="on validation, instead of --sensitivity")
    options.add_argument("--one-clinic", action="store_true", help="equal IDs are one person in all folders")
    options.add_argument("--csv", type=local_path, metavar="FILE", help="table to write")
    options.add_argument("--json", action="store_true", help="print one JSON object per line instead of the table")
    options.add_argument("--heatmap", type=local_path, metavar="DIR", help="folder to write heat maps to")
    return options.parse_args()


def main():
    args = parse()
    sys.stdout.reconfigure(errors="replace")  # the terminal's encoding may lack a character of a name
    screener = Screener(args.model, args.sensitivity, args.specificity)
    paths = find_photographs(args.photographs, args.heatmap and args.heatmap.resolve())
    targets = name_heat_maps(paths, args.heatmap)
    log(f"{NOT_A_DEVICE} {INTENDED_USE}")
    if args.heatmap is not None:
        args.heatmap.mkdir(parents=True, exist_ok=True)
    questions, graded = screener.task.questions, "grade" in screener.decision
    table, counts = Table(paths, questions, graded), Counter()
    folders = [place.resolve() for place in args.photographs if place.is_dir()]
    who = partial(identify, places=folders, one_clinic=args.one_clinic)
    needed = [path.absolute() for path in (args.model / LITE_NETWORK, *paths[:1]) if path.exists()]
    with (
        csv_writer(args.csv, columns_of(questions, graded)) as write_row,
        crew(args.workers, args.scheduler, needed, args.heatmap and args.heatmap.absolute()) as workers,
    ):
        for row in grade(screener, paths, targets, workers, who):
            write_row(row)
            print(json.dumps(row), flush=True) if args.json else table.print(row)
            counts[row["unit"], row["result"]] += 1
    results = {result: count for (unit, result), count in counts.items() if unit == "photograph"}
    patients = counts.total() - len(paths)
    print(summarize(results, patients), file=sys.stderr if args.json else sys.stdout)
    unread = results.get(UNREAD, 0)
    if unread:
        log(f"error: {unread:,} of {len(paths):,} files could not be read; their rows give the reasons")
    return EXIT_REJECTED if unread else 0


if __name__ == "__main__":
    run_main(main)
