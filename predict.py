#!/usr/bin/env python3
"""Grade new photographs: is each gradable, does it show retinopathy, and where is the evidence?

Reads   photographs or folders of them (JPEG, PNG, TIFF and others, by content; DICOM after
        pip install -r requirements-dicom.txt, HEIC after pip install pillow-heif)
        a model                           only model.tflite and config.json; Keras is not needed
Writes  a table to the terminal, or one JSON object per line with --json
        --csv FILE                        the same rows as a table
        --heatmap DIR                     a PNG for each graded photograph: the crop and its heat maps

    python predict.py 10_left.jpeg 10_right.jpeg
    python predict.py clinic/ --csv today.csv --heatmap maps
    python predict.py clinic/ --sensitivity 0.9 --json > today.jsonl
    python predict.py clinic/ --unsure 0.05 --csv today.csv

The network that ships answers (pretrained/README.md), unless models/latest was trained on real photographs.

A poor photograph, such as a blurred one, is marked by `gradable`, with the reasons. The network grades it anyway,
since severe disease can look like poor quality: above a threshold it refers, and should be taken again if possible;
below, the result is 'photograph again' without a probability, never negative. A picture that is not a colour photograph
of a retina gets the same result, and the network does not see it.

Photographs are grouped by patient and visit, and each visit gets a row after the photographs. Patient and eye are read
from DICOM headers, from names such as 7_left, 8-OD or 9 L, or from the folder (7/left). A patient is referred if one
eye is. An eye gets the highest probability among its photographs. If an eye is poor or missing, and nothing refers, the
result is 'photograph again', and after two poor photographs of an eye 'refer: not gradable'. A patient is also
photographed again if one file is given as both eyes or for two patients, or if header, name and folder disagree about
the eye. The rows give the reason. Photographs are not grouped by placeholders such as ANONYMOUS, nor by IDs that cannot
be one person; equal IDs in different folders are different people unless --one-clinic is given.

With --unsure RATE the result may also be 'unsure: a grader must look', where the network can neither rule out nor
report disease with this error rate: of new patients with disease at most this share is called negative, and of those
without at most this share is called diseased. This holds for patients like those of validation (after recalibrate.py:
of its set), for each question by itself, and on average over such sets; for others it may not (docs/screening.md). A
sure answer also agrees with the threshold. A patient is unsure if the answer to a question is, unless referable DR is
sure; `by_threshold` is the result without --unsure. A poor photograph is unsure only above a threshold: below, it is
photographed again.

The table of --csv grows row by row. After a stop, the same command continues it, with the same model, thresholds and
version only: photographs that it holds are not graded again, unless their files have changed.

Each page of a TIFF or frame of a DICOM is a photograph, such as scan.tiff[2]; thumbnails are not.
Folders are searched recursively in the order of file names, without hidden files; linked folders too, each once. Files
that are not photographs get the result 'left out' with the reason, in --csv and --json.

A grade is the network's own; it is left out where the answers do not allow it (docs/screening.md).

Exit code 3: some files could not be read; all others are graded.
"""

import os
import sys
from functools import partial
from pathlib import Path

# For a fast start. NumPy's threads for linear algebra, which grading does not need, would spin when they start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from eyenet.run.script import run_main, without_collection

with without_collection():
    from eyenet.data.identity import group_photographs
    from eyenet.grading.answering import look_at, patient_row
    from eyenet.grading.options import add_model_options
    from eyenet.grading.photographs import find_doubts, name_heat_maps
    from eyenet.grading.rows import LEFT_OUT, NoTable, Output, Worklist, columns_of, from_csv, left_out_row
    from eyenet.model.disclaimers import INTENDED_USE, NOT_A_DEVICE, SYNTHETIC_MODEL
    from eyenet.model.folder import LITE_NETWORK
    from eyenet.model.pretrained import default_model
    from eyenet.model.screener import Screener
    from eyenet.photo.field import FIELDS
    from eyenet.photo.kinds import find_photographs
    from eyenet.run.errors import EXIT_REJECTED, log
    from eyenet.run.files import plain
    from eyenet.run.options import local_path, parser
    from eyenet.run.workers import crew, for_each
    from eyenet.sets.identify import identify

KEPT = ("photograph", "result", "gradable", "reasons", "questions", "grade")  # of a row, until the patients are joined


def grade(screener, paths, targets, doubts, workers, who):
    """Yield the row of each photograph in order, with its path and identity."""
    here = Path.cwd()  # Dask workers run in another folder

    def work(item):
        path, target = item
        identity = who(here / path)
        why = [*([identity.doubt] if identity.doubt else []), *doubts.get(path, [])]
        row = look_at(screener, here / path, why, target and here / target)
        if "heatmap" in row:
            row["heatmap"] = str(target)
        elif target is not None:
            (here / target).unlink(missing_ok=True)  # that of an earlier photograph of this name
        patient = identity.patient and plain(identity.patient)
        return identity, {
            "unit": "photograph",
            "photograph": plain(path),
            "patient": patient,
            "eye": identity.eye,
        } | row

    # On a terminal the rows themselves show the progress.
    items = [(path, targets[path]) for path in paths]
    for (path, _), (identity, row) in for_each(work, items, workers, None if sys.stdout.isatty() else "predict"):
        yield path, identity, row


def join_patients(screener, identities, rows):
    """Yield a row for each visit of a patient, and log which photographs have no known patient or eye.

    Parameters
    ----------
    screener : Screener
    identities : list of Identity
    rows : list of dict
        The rows of the photographs, of which KEPT is used.
    """
    groups, warnings = group_photographs(identities)
    for warning in warnings:
        log(f"warning: {plain(warning)}")
    unknown = [row["photograph"] for one, row in zip(identities, rows) if not (one.patient and one.eye)]
    if unknown:
        few = ", ".join(unknown[:3]) + ", ..." * (len(unknown) > 3)
        told, it = ("photograph does", "it") if len(unknown) == 1 else ("photographs do", "them")
        log(f"note: {len(unknown):,} {told} not identify patient and eye, so no patient row counts {it}: {few}")
    for patient, eyes in groups:
        yield patient_row(screener, patient, {eye: [rows[i] for i in members] for eye, members in eyes.items()})


def parse():
    """Parse the options."""
    options = parser(__doc__, workers=None, scheduler=None)
    options.add_argument("photographs", type=local_path, nargs="+", metavar="PHOTO|FOLDER", help="what to grade")
    add_model_options(options)
    options.add_argument("--field", choices=FIELDS, help="what a crop shows; default: as the model was trained")
    options.add_argument("--one-clinic", action="store_true", help="equal IDs are one person in all folders")
    options.add_argument("--csv", type=local_path, metavar="FILE", help="table to write")
    options.add_argument("--json", action="store_true", help="print one JSON object per line instead of the table")
    options.add_argument("--heatmap", type=local_path, metavar="DIR", help="folder to write heat maps to")
    return options.parse_args()


def main():
    args = parse()
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="replace")  # the terminal's encoding may lack a character of a name
    args.model = args.model or default_model()
    screener = Screener(args.model, args.sensitivity, args.specificity, args.field, args.unsure)
    paths, left_out = find_photographs(args.photographs, {path.resolve() for path in (args.heatmap, args.csv) if path})
    targets = name_heat_maps(paths, args.heatmap)
    log(f"{NOT_A_DEVICE} {INTENDED_USE}")
    log(screener.describe())
    if args.heatmap is not None:
        args.heatmap.mkdir(parents=True, exist_ok=True)
    questions, graded = screener.task.questions, "grade" in screener.decision
    shared = {"model": screener.name, "trained_on": screener.trained_on}
    shared |= {"operating_point": screener.point, "rules": screener.rules(), "asked_field": screener.field}
    if screener.unsure:
        shared["unsure"] = float(screener.unsure)
    if screener.synthetic:
        shared["caution"] = SYNTHETIC_MODEL
    output = Output(paths, questions, graded, args.json, shared, goes_on=args.csv is not None)
    folders = [Path(os.path.abspath(place)) for place in args.photographs if place.is_dir()]
    who = partial(identify, places=folders, one_clinic=args.one_clinic)
    needed = [path.absolute() for path in (args.model / LITE_NETWORK, *paths[:1]) if path.exists()]
    doubts = find_doubts(paths, who)
    columns = columns_of(questions, graded, unsure=bool(screener.unsure))
    with Worklist(args.csv, columns, shared, targets, doubts) if args.csv else NoTable() as worklist:
        rest = [path for path in paths if path not in worklist.known]
        others = [left_out_row(path, reason) for path, reason in left_out.items()]
        worklist.begin(others, more=bool(rest))
        for row in others:
            output.write(row)
        identities = [who(Path.cwd() / path) for path in worklist.known]
        rows = [from_csv(row, questions) for row in worklist.known.values()]
        output.count(rows)
        with crew(args.workers, args.scheduler, needed, args.heatmap and args.heatmap.absolute()) as workers:
            for path, identity, row in grade(screener, rest, targets, doubts, workers, who):
                worklist.write(row, path)
                output.write(row)
                if row["result"] != LEFT_OUT:
                    identities.append(identity)
                    rows.append({key: row[key] for key in KEPT if key in row})
        patients = list(join_patients(screener, identities, rows))
        worklist.finish(patients)
        for row in patients:
            output.write(row)
    unread = output.end(len(patients))
    return EXIT_REJECTED if unread else 0


if __name__ == "__main__":
    run_main(main)
