#!/usr/bin/env python3
"""Step 3: drop all-black photographs, judge the others, join the labels, find copies, split the patients.

Reads   data/resized/*.png, labels/trainLabels.csv (image,level; labels/README.md says which other tables are read)
Writes  data/preprocessed/<name>.png      the photographs that are kept (hard links where possible)
        data/preprocessed/dropped.csv     what was left out on purpose: black, without a label, without a photograph
        data/preprocessed/quality.csv     whether each photograph is gradable, and if not, why
        data/preprocessed/rejected.csv    images that could not be read, and black ones if they are more than 5 %
        data/preprocessed/copies.csv      pairs of files that show the same photograph, and what they contradict
        labels/preprocessed.csv           image,patient,eye,level,split,quality,gradable (more: labels/README.md)
        figures/class_balance_*.png       photographs by grade; DR and no DR before and after copying

    python preprocess_images.py
    python preprocess_images.py --labels train.csv --columns image=photo,grade=stage
    python preprocess_images.py --labels set         the only table in this folder, else folders named by grades
    python preprocess_images.py --quality drop       leave out ungradable photographs; keep: do not judge
    python preprocess_images.py --copies drop        leave out photographs with two grades, or filed as both eyes

The split of a patient is a hash of the patient and --seed: both eyes are in the same split, and adding patients moves
no other. Patients who share a photograph, perhaps rotated, mirrored or compressed again, are in one split: that of the
one who was in the table --labels-out before, else of the first; then the column `split_as` names the patient whose hash
counts. `quality` is the probability that a grader would reject the photograph (eyenet/photo/quality.py). Kaggle's
35,126 photographs take three minutes on two cores. The script can be stopped and run again: it does only what is
missing, and compares all photographs again.
"""

import json
import os
from collections import Counter
from pathlib import Path

import pandas as pd

from eyenet.data.links import drop_contradictory, find_copies, read_deciders, split_patients
from eyenet.data.names import SPLITS
from eyenet.data.tables import count_labels, patient_known, write_table
from eyenet.photo.colours import BLACK, brightness
from eyenet.photo.png import read_crop, read_geometry
from eyenet.photo.quality import SMALLEST, judge, weights
from eyenet.photo.retina import inside_circle
from eyenet.run.errors import StageError, log, plural
from eyenet.run.files import (
    Paths,
    is_placed,
    is_unchanged,
    place,
    read_json,
    refuse_same_file,
    sha256,
    sha256_text,
    write_rows,
    write_whole,
)
from eyenet.run.folder import list_files
from eyenet.run.options import fitting_next, fraction, local_path, parser, print_next, seed
from eyenet.run.script import run_main
from eyenet.run.stage import image_stage
from eyenet.score.charts import draw_class_balance
from eyenet.sets.columns import COLUMNS_HELP, parse_columns
from eyenet.sets.labelled import label_photographs, read_crops

ALL_BLACK = "all black"  # kind of a reason, before its colon
BLACK_SHARE = 0.05  # of black frames; more are failures, of a camera or in reading its files
NOTES = ".quality"  # the qualities found so far, one line per photograph, so that an interrupted run can continue


def keep(source, target, note, quality, since):
    """Place a photograph in the output unless it is to be left out.

    Parameters
    ----------
    source, target : path-like
    note : dict or None
        The quality that an earlier run found.
    quality : {'drop', 'keep', 'mark'}
    since : int or None
        As in `eyenet.run.files.is_unchanged`.

    Returns
    -------
    reason : str or None
        Why it is left out.
    note : dict or None
        Its quality; None if it is black or not judged.
    """
    status = os.stat(source)
    if note and not is_unchanged(source, note["bytes"], note["time"], note["sha256"], since):
        note = None
    current = is_placed(target, source, since)
    if note is None and not (current and quality == "keep"):
        crop = read_crop(source)
        light = brightness(crop, inside_circle(len(crop)))
        if light <= BLACK:
            return f"{ALL_BLACK}: 99 % of its pixels are at or below {light:.0f} of 255", None
        if quality != "keep":
            found = judge(crop, read_geometry(source))
            note = {"image": source.stem, "time": status.st_mtime_ns, "bytes": status.st_size}
            note |= {"sha256": sha256(source), "quality": round(found.score, 3)}
            note |= {"gradable": int(found.gradable), "reasons": list(found.reasons)}
    if quality == "drop" and not note["gradable"]:
        return f"ungradable by the quality gate: {', '.join(note['reasons'])}", note
    if not current:
        place(source, target)
    return None, note


def hash_gate():
    """Identify the weights of the quality gate, not what else stands in their file."""
    return sha256_text(json.dumps(weights(), sort_keys=True))


def read_notes(path):
    """Read the qualities that earlier runs found with the same weights; dict of image to note."""
    try:
        made_with, *lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # a killed run leaves half a line
        notes = [json.loads(line) for line in lines]
    except (FileNotFoundError, ValueError):
        return {}
    if made_with != hash_gate() or any("sha256" not in note for note in notes):  # or of an older version
        return {}
    return {note["image"]: note for note in notes}


def write_notes(path, notes):
    """Write all notes, sorted by image."""
    lines = [hash_gate(), *(json.dumps(notes[image]) for image in sorted(notes))]
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def sort_out(stage, sources, quality):
    """Place or leave out every photograph.

    Returns
    -------
    dropped : list of (str, str)
        Name and reason of each photograph that is left out on purpose.
    kept : set of str
    notes : dict of str to dict
        The quality of each photograph; empty if not judged.
    """
    folder, output, path, since = sources.folder, stage.folder, stage.folder / NOTES, stage.since
    known = {} if quality == "keep" else read_notes(path)
    dropped, kept, notes = [], set(), {}
    write_notes(path, known)

    def work(item):
        name, note = item
        return keep(folder / name, output / name, note, quality, since)

    items = [(name, known.get(os.path.splitext(name)[0])) for name in sources.names]
    with open(path, "a", encoding="utf-8") as file:
        for (name, before), (reason, note) in stage.each(work, items, "preprocess", name=lambda item: item[0]):
            image = os.path.splitext(name)[0]
            if note:
                notes[image] = note
                if note != before:
                    print(json.dumps(note), file=file, flush=True)
            if reason:
                dropped.append((image, reason))
            else:
                kept.add(image)
    write_notes(path, notes)
    return dropped, kept, notes


def count_black(stage, left_out, total):
    """Count the black photographs as rejected if they are more than BLACK_SHARE of all."""
    black = [(name, reason) for name, reason in left_out if reason.split(":")[0] == ALL_BLACK]
    if len(black) > BLACK_SHARE * total:
        stage.rejected.extend(black)
        share = f"{len(black):,} of {plural(total, 'photograph')}, more than {BLACK_SHARE:.0%}"
        log(f"all black: {share}; they count towards --max-rejected")


def write_quality(output, notes):
    """Write quality.csv and report how many photographs are ungradable, and why."""
    if not notes:
        (output / NOTES).unlink()
        (output / "quality.csv").unlink(missing_ok=True)
        return
    columns = ["image", "quality", "gradable"]
    rows = [[*(note[key] for key in columns), ", ".join(note["reasons"])] for note in notes.values()]
    write_rows(output / "quality.csv", [*columns, "reasons"], sorted(rows))
    poor = [note["reasons"] for note in notes.values() if not note["gradable"]]
    counts = Counter(reason for reasons in poor for reason in reasons).most_common()
    why = ": " + ", ".join(f"{reason} {count:,}" for reason, count in counts) if counts else ""
    log(f"found {len(poor):,} ungradable among {plural(len(notes), 'photograph')}{why} ({output}/quality.csv)")


def possible_quality(quality, source):
    """Return --quality, or `keep` if the crops are too small to be judged; raise a StageError if it is `drop`."""
    size = ((read_json(Path(source) / "stage.json") or {}).get("settings") or {}).get("size", SMALLEST)
    if size >= SMALLEST or quality == "keep":
        return quality
    if quality == "drop":
        raise StageError(f"the quality of crops of {size} px cannot be judged; {SMALLEST} px are needed")
    log(f"note: crops of {size} px are too small to judge their quality; {SMALLEST} px are needed")
    return "keep"


def class_table(before, after, splits):
    """Format the number of photographs of each grade or class: labelled, kept, and kept by split."""
    columns = {"labelled": count_labels(before), "kept": count_labels(after)}
    for split in splits:
        columns[split] = count_labels(after[after["split"] == split])
    table = pd.DataFrame(columns, index=list(columns["labelled"])).fillna(0).astype(int)
    table.loc["all"] = table.sum()
    return table.to_string()


def of_patients(table):
    """Describe how many patients the photographs show, as far as that is known."""
    known = patient_known(table)
    if not known.any():
        return " (photographs, not patients, were split)"
    unknown = f" and {(~known).sum():,} whose patient is not known" if not known.all() else ""
    return f" of {plural(table['patient'][known].nunique(), 'patient')}{unknown}"


def report_dropped(dropped, output):
    """Report how many photographs were left out for each reason, with the names of the first ones."""
    for reason, count in Counter(reason.split(":")[0] for _, reason in dropped).items():
        names = [name for name, why in dropped if why.startswith(reason)]
        log(f"dropped {count:,}, {reason}: {', '.join(names[:8])}{' ...' if count > 8 else ''} ({output}/dropped.csv)")


def command_line():
    """Describe the options."""
    options = parser(
        __doc__,
        several=["labels"],
        input="data/resized",
        output="data/preprocessed",
        labels="labels/trainLabels.csv",
        labels_out="labels/preprocessed.csv",
        workers=None,
        scheduler=None,
    )
    options.add_argument("--figures", type=local_path, default="figures", help="folder for the charts")
    options.add_argument("--seed", type=seed, default=0, help="seed of the split")
    options.add_argument("--val", type=fraction, default=0.15, help="fraction of the patients for validation")
    options.add_argument("--test", type=fraction, default=0.15, help="fraction of the patients for the test")
    options.add_argument(
        "--quality",
        choices=("drop", "keep", "mark"),
        default="mark",
        help="ungradable photographs: leave them out, do not judge, or mark them in two columns",
    )
    options.add_argument(
        "--copies",
        choices=("drop", "ignore", "keep"),
        default="keep",
        help="copies with two grades, or filed as both eyes of a patient: leave them out, or list them only; ignore: "
        "do not look for copies",
    )
    named = {"type": parse_columns, "nargs": "+", "default": [], "metavar": "KEY=COLUMN,..."}
    options.add_argument("--columns", **named, help=COLUMNS_HELP)
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may be rejected")
    return options


def image_settings(quality, copies):
    """Return the settings on which the images depend, as dict."""
    settings = {"black": BLACK}
    if quality == "drop":
        settings["quality"] = {"ungradable": "dropped", "weights": hash_gate()}
    if copies == "drop":
        settings["copies"] = "contradictory ones dropped"
    return settings


def main():
    options = command_line()
    args = options.parse_args()
    if args.val + args.test >= 1:
        options.error("--val and --test leave no patient for training")
    for table in args.labels:
        refuse_same_file(table, args.labels_out, "--labels-out")

    sources = list_files(args.input, [".png"], "resize_images.py")
    crops = read_crops(args.input, [p.stem for p in sources])
    labels, dropped = label_photographs(*crops, args.labels, args.input, args.columns)
    labelled = set(labels["image"])
    candidates = Paths(args.input, [p.name for p in sources if p.stem in labelled])
    quality = possible_quality(args.quality, args.input)
    settings = image_settings(quality, args.copies)
    split = {"seed": args.seed, "val": args.val, "test": args.test}
    workers = {"reads": candidates[:1], "threads": args.workers, "scheduler": args.scheduler}
    with image_stage("preprocess_images.py", args.output, settings, args.input, split=split, **workers) as stage:
        left_out, kept, notes = sort_out(stage, candidates, quality)
        table = labels[labels["image"].isin(kept)].sort_values("image").reset_index(drop=True)
        copies = find_copies(table, stage.folder, search=args.copies != "ignore")
        wrong = drop_contradictory(copies, stage.folder) if args.copies == "drop" else []
        table = table[~table["image"].isin([image for image, _ in wrong])].reset_index(drop=True)
        dropped += left_out + wrong
        write_rows(stage.folder / "dropped.csv", ["image", "reason"], dropped)
        write_quality(stage.folder, notes)
        count_black(stage, left_out, len(candidates))
        code = stage.finish(len(candidates), args.max_rejected, set(table["image"]))
        if table.empty:
            raise StageError(f"no photograph is left; the reasons are in {stage.folder / 'dropped.csv'}")
        split_patients(table, copies, read_deciders(args.labels_out), split)
        for column in ("quality", "gradable") if notes else ():
            table[column] = [notes[image][column] for image in table["image"]]
        write_table(args.labels_out, table)
    draw_class_balance(table, labels, args.figures)

    print(class_table(labels, table, SPLITS))
    report_dropped(dropped, args.output)
    print(f"kept {len(table):,} of {plural(len(sources), 'photograph')}{of_patients(table)} in {args.output}, ", end="")
    print(f"table in {args.labels_out}")
    print_next(f"python rotate_images.py{fitting_next(options, args, output='input', labels_out='labels')}")
    return code


if __name__ == "__main__":
    run_main(main)
