#!/usr/bin/env python3
"""Step 3: drop all-black photographs, judge the others' quality, join the labels, split the patients.

Reads   data/resized/*.png, labels/trainLabels.csv (image,level; optionally patient,eye)
Writes  data/preprocessed/<name>.png      the photographs that are kept (hard links where possible)
        data/preprocessed/dropped.csv     what was left out on purpose: black, without a label, without a photograph
        data/preprocessed/quality.csv     of each photograph whether it can be graded, and if not, why
        data/preprocessed/rejected.csv    images that could not be read
        labels/preprocessed.csv           image,patient,eye,level,split,quality,gradable
        figures/class_balance_*.png       photographs by grade; DR against no DR before and after copying

    python preprocess_images.py
    python preprocess_images.py --quality drop       leave out what cannot be graded; keep: do not judge

A patient's split is a hash of the patient and --seed: both eyes stay together, and patients added later move
nobody. `quality` is the probability that a grader would reject the photograph (eyenet/photo/quality.py). Kaggle's
35,126 photographs take two minutes on two cores, half a minute without judging.
"""

import json
import os
from collections import Counter

import pandas as pd

from eyenet.data.names import SPLITS, split_of
from eyenet.data.tables import GRADES, count_by_grade, read_labels, require_match, write_table
from eyenet.photo.colours import BLACK, brightness
from eyenet.photo.png import read_crop, read_geometry
from eyenet.photo.quality import SMALLEST, WEIGHTS, judge
from eyenet.photo.retina import inside_circle
from eyenet.run.errors import PhotoError, StageError, log
from eyenet.run.files import Paths, is_current, place, read_json, refuse_same_file, sha256, write_rows, write_whole
from eyenet.run.folder import finish, list_files, output_folder, remove_stale
from eyenet.run.options import fitting_next, fraction, local_path, parser, seed
from eyenet.run.script import run_main
from eyenet.run.workers import crew, for_each
from eyenet.score.charts import draw_class_balance

NOTES = ".quality"  # what was judged so far, a line a photograph: a run that is stopped and run again judges the rest


def keep(source, target, note, quality):
    """Place a photograph in the output unless it is to be left out.

    Parameters
    ----------
    source, target : path-like
    note : dict or None
        What an earlier run noted of this photograph.
    quality : {'drop', 'keep', 'mark'}

    Returns
    -------
    reason : str or None
        Why it is left out.
    note : dict or None
        Its quality, where that is asked for and it is not black.
    """
    time = os.stat(source).st_mtime_ns
    note = note if note and note["time"] == time else None
    current = is_current(target, source)
    if note is None and not (current and quality == "keep"):
        crop = read_crop(source)
        light = brightness(crop, inside_circle(len(crop)))
        if light <= BLACK:
            return f"all black: 99 % of its pixels are at or below {light:.0f} of 255", None
        if quality != "keep":
            found = judge(crop, read_geometry(source))
            note = {"image": source.stem, "time": time, "quality": round(found.score, 3)}
            note |= {"gradable": int(found.gradable), "reasons": list(found.reasons)}
    if quality == "drop" and not note["gradable"]:
        return f"cannot be graded: {', '.join(note['reasons'])}", note
    if not current:
        place(source, target)
    return None, note


def read_notes(path):
    """Read what earlier runs noted by the same weights, by image."""
    try:
        weights, *lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # a killed run leaves half a line
        notes = [json.loads(line) for line in lines]
    except (FileNotFoundError, ValueError):
        return {}
    return {note["image"]: note for note in notes} if weights == sha256(WEIGHTS) else {}


def write_notes(path, notes):
    """Write the notes whole, in the order of the images."""
    lines = [sha256(WEIGHTS), *(json.dumps(notes[image]) for image in sorted(notes))]
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def sort_out(sources, output, quality, workers):
    """Place or leave out every photograph.

    Returns
    -------
    dropped, rejected : list of (str, str)
        Name and reason of what is left out on purpose, and of what cannot be read.
    kept : set of str
    notes : dict of str to dict
        The quality of each photograph; empty if it is not asked for.
    """
    path = output / NOTES
    known = {} if quality == "keep" else read_notes(path)
    dropped, rejected, kept, notes = [], [], set(), {}
    write_notes(path, known)

    folder = sources.folder

    def work(item):
        name, note = item
        return keep(folder / name, output / name, note, quality)

    noted = [(name, known.get(os.path.splitext(name)[0])) for name in sources.names]
    with open(path, "a", encoding="utf-8") as file:
        for (name, before), result in for_each(work, noted, workers, "preprocess"):
            source = folder / name
            if isinstance(result, PhotoError):
                rejected.append((source.name, str(result)))
                continue
            reason, note = result
            if note:
                notes[source.stem] = note
                if note != before:
                    print(json.dumps(note), file=file, flush=True)
            if reason:
                dropped.append((source.stem, reason))
            else:
                kept.add(source.stem)
    write_notes(path, notes)
    return dropped, rejected, kept, notes


def write_quality(output, notes):
    """Write quality.csv for the user, and say how many photographs cannot be graded, and why."""
    if not notes:
        (output / NOTES).unlink()
        (output / "quality.csv").unlink(missing_ok=True)
        return
    columns = ["image", "quality", "gradable"]
    rows = [[*(note[key] for key in columns), ", ".join(note["reasons"])] for note in notes.values()]
    write_rows(output / "quality.csv", [*columns, "reasons"], sorted(rows))
    poor = [note["reasons"] for note in notes.values() if not note["gradable"]]
    why = Counter(reason for reasons in poor for reason in reasons).most_common()
    words = ": " + ", ".join(f"{reason} {count:,}" for reason, count in why) if why else ""
    log(f"{len(poor):,} of {len(notes):,} photographs cannot be graded{words} ({output}/quality.csv)")


def join(sources, labels, photographs, table):
    """Match photographs and labels.

    Returns
    -------
    labels : DataFrame
        The rows whose photograph is there.
    dropped : list of (str, str)
        Name and reason of each photograph without a label and label without a photograph.
    """
    there, known = {p.stem for p in sources}, set(labels["image"])
    require_match(there, labels, photographs, table)
    dropped = [(name, "photograph without a label") for name in sorted(there - known)]
    dropped += [(name, "label without a photograph") for name in sorted(known - there)]
    return labels[labels["image"].isin(there)], dropped


def class_table(before, after, splits):
    """Format the photographs of each grade: all, kept, and kept by split."""
    columns = {"labelled": count_by_grade(before), "kept": count_by_grade(after["level"])}
    for split in splits:
        columns[split] = count_by_grade(after.loc[after["split"] == split, "level"])
    table = pd.DataFrame(columns, index=[f"{grade} {name}" for grade, name in GRADES.items()])
    table.loc["all"] = table.sum()
    return table.to_string()


def command_line():
    """Describe the options."""
    options = parser(
        __doc__,
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
        help="what cannot be graded: leave it out, do not judge, or tell in two columns",
    )
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may fail")
    return options


def main():
    options = command_line()
    args = options.parse_args()
    if args.val + args.test >= 1:
        options.error("--val and --test leave no patient for training")
    refuse_same_file(args.labels, args.labels_out, "--labels-out")

    sources = list_files(args.input, [".png"], "resize_images.py")
    labels, dropped = join(sources, read_labels(args.labels), args.input, args.labels)
    labelled = set(labels["image"])
    size = ((read_json(args.input / "stage.json") or {}).get("settings") or {}).get("size", SMALLEST)
    if size < SMALLEST and args.quality != "keep":
        if args.quality == "drop":
            raise StageError(f"the quality of crops of {size} px cannot be judged; it takes {SMALLEST} px")
        log(f"note: crops of {size} px are too small to judge their quality, which takes {SMALLEST} px")
        args.quality = "keep"
    split = {"seed": args.seed, "val": args.val, "test": args.test}
    settings = {"black": BLACK}
    if args.quality == "drop":  # else the images do not depend on it
        settings["quality"] = {"ungradable": "dropped", "weights": sha256(WEIGHTS)}
    with output_folder(args.output, "preprocess_images.py", settings, args.input, split=split) as output:
        candidates = Paths(args.input, [p.name for p in sources if p.stem in labelled])
        with crew(args, candidates[:1], output) as workers:
            left_out, rejected, kept, notes = sort_out(candidates, output, args.quality, workers)
        dropped += left_out
        remove_stale(output, kept)
        write_rows(output / "dropped.csv", ["image", "reason"], dropped)
        write_quality(output, notes)
        code = finish(rejected, len(candidates), args.max_rejected, output)
        if not kept:
            raise StageError(f"no photograph is left; the reasons are in {output / 'dropped.csv'}")

        table = labels[labels["image"].isin(kept)].sort_values("image").reset_index(drop=True)
        table["split"] = [split_of(patient, **split) for patient in table["patient"]]
        for column in ("quality", "gradable") if notes else ():
            table[column] = [notes[image][column] for image in table["image"]]
        write_table(args.labels_out, table)
    draw_class_balance(table, labels["level"], args.figures)

    print(class_table(labels["level"], table, SPLITS))
    for reason, count in Counter(reason.split(":")[0] for _, reason in dropped).items():
        names = [name for name, why in dropped if why.startswith(reason)]
        log(f"dropped {count:,}, {reason}: {', '.join(names[:8])}{' ...' if count > 8 else ''} ({output}/dropped.csv)")
    print(
        f"kept {len(table):,} of {len(sources):,} photographs of {table['patient'].nunique():,} patients in "
        f"{args.output}, table in {args.labels_out}"
    )
    print(f"next: python rotate_images.py{fitting_next(options, args, output='input', labels_out='labels')}")
    return code


if __name__ == "__main__":
    run_main(main)
