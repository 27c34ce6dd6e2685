#!/usr/bin/env python3
"""Grade new photographs: can each be graded, does it show retinopathy, and where is the evidence.

Reads   photographs or folders of them (JPEG, PNG, TIFF; DICOM after pip install -r requirements-dicom.txt)
        models/latest/                    model.tflite and config.json; no other file of it, and no Keras
Writes  a table to the terminal, or with --json one object a line
        --csv FILE                        the same as a table, whole or not at all
        --heatmap DIR                     a PNG for each gradable photograph: beside it, where the evidence lies

    python predict.py 10_left.jpeg 10_right.jpeg
    python predict.py clinic/ --csv today.csv --heatmap maps
    python predict.py clinic/ --sensitivity 0.9 --json > today.jsonl

A photograph that is too poor is not graded: 'photograph again' is its result. Files named <patient>_<left|right>, and
DICOM files by their headers, are joined to patients: both eyes of one in the same folder give the patient's result,
after the photographs. With one eye gradable a patient is called by that eye, or to be photographed again.
A folder is read with all folders in it, in the order of the names; hidden files are left out.
Exit code 3: a file could not be read; all others are answered. One photograph takes 0.4 s from a cold start, a folder
35 photographs/s a core.
"""

import contextlib
import csv
import json
import os
import sys
from pathlib import Path

from eyenet.data.names import parse_name
from eyenet.data.tasks import QUESTIONS
from eyenet.model.disclaimers import INTENDED_USE, NOT_A_DEVICE
from eyenet.model.folder import LITE
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
    """List the photographs in files and folders, each once; a folder's in the order of their names.

    Parameters
    ----------
    places : list of Path
        A file is taken whatever its name; it need not exist, which is an answer of its own.
    left_out : Path or None
        A folder, the heat maps', whose files are no photographs.

    Raises
    ------
    StageError
        If there is none.
    """
    found, others = [], set()
    for place in places:
        if not place.is_dir():
            found.append(place)
            continue
        for folder, inner, names in os.walk(place, onerror=stop):
            here = Path(folder)
            inner[:] = sorted(d for d in inner if not d.startswith(".") and (here / d).resolve() != left_out)
            files = [here / name for name in sorted(names) if not name.startswith(".")]
            taken = [path for path in files if is_photograph(path)]
            found, others = found + taken, others | (set(files) - set(taken))
    if not found:
        where = ", ".join(map(str, places))
        endings = "/".join(PHOTOGRAPHS + ENDINGS)
        raise StageError(
            f"there is no photograph ({endings}) in {where}" + (f", but {len(others)} other files" * bool(others))
        )
    if others:
        log(f"note: {len(others):,} other files in the folders are left out")
    return list(dict.fromkeys(found))


def stop(error):
    """Raise the error of a folder that cannot be read: its patients would be missing without a word."""
    raise error


def is_photograph(path):
    """Tell by its ending whether a file in a folder is to be read; one with another ending may be DICOM."""
    return path.suffix.lower() in PHOTOGRAPHS + ENDINGS or is_dicom(path)


def names_of(path):
    """Find whose eye a photograph shows, by its header or its name.

    Returns
    -------
    patient : str or None
    eye : {'left', 'right', None}
    where : Path or None
        The folder in which the patient's name holds: a header's everywhere, a file's among its neighbours.
    """
    patient = eye = None
    with contextlib.suppress(PhotoError):  # which will be its result
        patient, eye = read_names(path) if is_dicom(path) else (None, None)
    where = None if patient else path.parent
    with contextlib.suppress(ValueError):
        name = parse_name(path.stem)
        if name.transform == "original":
            patient, eye = patient or name.patient, eye or name.eye
    return patient, eye, where


def plain(text):
    """Make a name fit for a terminal and a table: printable, in Unicode."""
    text = os.fsencode(str(text)).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def name_targets(paths, folder):
    """Name the heat map of each photograph, no two alike; None for all without a folder.

    Raises
    ------
    StageError
        If the folder holds one of the photographs: they would be overwritten, or the maps read as photographs.
    """
    if folder is None:
        return dict.fromkeys(paths)
    if folder.resolve() in {path.resolve().parent for path in paths}:
        raise StageError(f"--heatmap {folder} holds the photographs; give a folder of its own")
    targets, taken = {}, set()
    for path in paths:
        names = [path.stem, path.name, *(f"{path.stem}-{number}" for number in range(2, len(paths) + 2))]
        name = next(name for name in names if name.lower() not in taken)
        taken.add(name.lower())
        targets[path] = folder / f"{name}.png"
    return targets


def results(screener, paths, targets, workers):
    """Give the rows of all photographs, in their order, then those of the patients of whom both eyes were there."""
    patients, here = {}, Path.cwd()  # a worker of a cluster is in another folder
    shared = {"model": screener.name, "operating_point": screener.point}

    def work(item):
        path, target = item
        patient, eye, where = names_of(here / path)
        try:
            row = screener.look(here / path, target and here / target)
        except PhotoError as error:
            row = {"result": UNREAD, "reasons": [str(error)]}
        if "heatmap" in row:
            row["heatmap"] = str(target)
        whose = {"patient": patient and plain(patient), "eye": eye}
        return where and path.parent, {"unit": "photograph", "photograph": plain(path)} | whose | row

    # On a terminal the rows themselves show how far it is.
    items = [(path, targets[path]) for path in paths]
    for _, (where, row) in for_each(work, items, workers, None if sys.stdout.isatty() else "predict"):
        if row["patient"] and row["eye"]:
            kept = {key: row[key] for key in ("result", "questions", "grade") if key in row}
            patients.setdefault((where, row["patient"]), {}).setdefault(row["eye"], []).append(kept)
        yield row | shared
    for (_, patient), eyes in patients.items():
        if len(eyes) == 2:
            row = {"unit": "patient", "photograph": None, "patient": patient, "eye": "both"}
            yield row | screener.join(eyes) | shared


class Table:
    """The table on the terminal, a line as soon as its row is there."""

    def __init__(self, paths, questions, graded):
        self.questions, self.graded, self.unit = questions, graded, None
        self.width = min(60, max([len("photograph"), *(len(plain(path)) for path in paths)]))

    def print(self, row):
        """Print a row, and before the first of its unit the header."""
        if row["unit"] != self.unit:
            titles = [QUESTIONS[question].split(" (")[0] for question in self.questions]
            titles += ["grade"] * self.graded
            print(("\n" if self.unit else "") + self.line(row["unit"], titles, "result"))
            self.unit = row["unit"]
        answers = [row.get("questions", {}).get(question, {}).get("probability") for question in self.questions]
        cells = ["-" if answer is None else f"{answer:.3f}" for answer in answers]
        cells += [str(row.get("grade", "-"))] * self.graded
        result = ": ".join([row["result"], *([", ".join(row["reasons"])] if row["reasons"] else [])])
        print(self.line(row["photograph"] or row["patient"], cells, result), flush=True)

    def line(self, first, cells, last):
        widths = [len(QUESTIONS[question].split(" (")[0]) for question in self.questions] + [5] * self.graded
        return "  ".join([first.ljust(self.width), *(cell.rjust(w) for cell, w in zip(cells, widths)), last])


def columns_of(questions, graded):
    """Name the columns of --csv."""
    first = ["unit", "photograph", "patient", "eye", "result", "reasons", "quality"]
    each = [f"{question}_{part}" for question in questions for part in ("probability", "threshold", "disease")]
    return first + each + ["expected_grade", "grade"] * graded + ["heatmap", "operating_point", "model"]


def flat(row):
    """Flatten a row for --csv: answers to columns, true and false to 1 and 0, what is not known to nothing."""
    parts = {f"{q}_{part}": value for q, answer in row.get("questions", {}).items() for part, value in answer.items()}
    row = row | {"reasons": "; ".join(row["reasons"])} | parts
    return {key: int(value) if isinstance(value, bool) else value for key, value in row.items() if value is not None}


def summarize(counts, patients):
    """Say in one line what came out; `counts` by result."""
    total = sum(counts.values())
    said = "; ".join(f"{result} {count:,}" for result, count in sorted(counts.items()))
    joined = f" and {patients:,} patient{'s' * (patients != 1)} with both eyes" if patients else ""
    return f"{total:,} photograph{'s' * (total != 1)}{joined}: {said}"


def main():
    options = parser(__doc__, workers=None, scheduler=None)
    options.add_argument("photographs", type=local_path, nargs="+", metavar="PHOTO|FOLDER", help="what to grade")
    options.add_argument("--model", type=local_path, default="models/latest", help="folder of the model")
    point = options.add_mutually_exclusive_group()
    point.add_argument("--sensitivity", type=fraction, help="reached on validation; default: the model's own threshold")
    point.add_argument("--specificity", type=fraction, help="reached on validation, instead")
    options.add_argument("--csv", type=local_path, help="table to write")
    options.add_argument("--json", action="store_true", help="one JSON object a line instead of the table")
    options.add_argument("--heatmap", type=local_path, metavar="DIR", help="folder for the heat maps")
    args = options.parse_args()

    sys.stdout.reconfigure(errors="replace")  # a terminal or a file may not hold every name
    screener = Screener(args.model, args.sensitivity, args.specificity)
    paths = find_photographs(args.photographs, args.heatmap and args.heatmap.resolve())
    log(f"{NOT_A_DEVICE} {INTENDED_USE}")
    if args.heatmap is not None:
        args.heatmap.mkdir(parents=True, exist_ok=True)
    questions, graded = screener.task.questions, "grade" in screener.decision
    table, counts, patients = Table(paths, questions, graded), {}, 0
    with contextlib.ExitStack() as files:
        if args.csv is not None:
            temporary = files.enter_context(whole_file(args.csv, alone=True))
            file = files.enter_context(open(temporary, "w", newline="", encoding="utf-8"))
            writer = csv.DictWriter(file, columns_of(questions, graded), extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
        targets = name_targets(paths, args.heatmap)
        seen = [path.absolute() for path in (args.model / LITE, *paths[:1]) if path.exists()]
        workers = files.enter_context(crew(args, seen, args.heatmap and args.heatmap.absolute()))
        for row in results(screener, paths, targets, workers):
            if args.csv is not None:
                writer.writerow(flat(row))
            print(json.dumps(row), flush=True) if args.json else table.print(row)
            if row["unit"] == "patient":
                patients += 1
            else:
                counts[row["result"]] = counts.get(row["result"], 0) + 1
    print(summarize(counts, patients), file=sys.stderr if args.json else sys.stdout)
    if counts.get(UNREAD):
        log(f"error: {counts[UNREAD]:,} of {len(paths):,} files could not be read; the reasons stand in their rows")
    return EXIT_REJECTED if counts.get(UNREAD) else 0


if __name__ == "__main__":
    run_main(main)
