#!/usr/bin/env python3
"""Step 3: drop all-black photographs, join the labels, split the patients into train, val and test.

Reads   data/resized/*.png, labels/trainLabels.csv (image,level; optionally patient,eye)
Writes  data/preprocessed/<name>.png      the photographs that are kept (hard links where possible)
        data/preprocessed/dropped.csv     what was left out on purpose: black, without a label, without a photograph
        data/preprocessed/rejected.csv    images that could not be read
        labels/preprocessed.csv           image,patient,eye,level,split
        figures/class_balance_*.png       photographs by grade; DR against no DR before and after copying

    python preprocess_images.py

A patient's split is a hash of the patient and --seed: both eyes stay together, and patients added later move
nobody. Kaggle's 35,126 photographs take two minutes.
"""

from collections import Counter
from pathlib import Path

import pandas as pd

from eyenet.charts import draw_class_balance
from eyenet.colours import BLACK, brightness
from eyenet.crops import read_crop
from eyenet.files import (
    finish,
    is_current,
    list_files,
    output_folder,
    place,
    refuse_same_file,
    remove_stale,
    write_rows,
)
from eyenet.names import SPLITS, split_of
from eyenet.options import fitting_next, fraction, parser, seed
from eyenet.photo import inside_circle
from eyenet.stage import PhotoError, StageError, for_each, log, run_main
from eyenet.tables import GRADES, count_by_grade, read_labels, require_match, write_table


def keep(source, target):
    """Place a photograph in the output unless it is black; return the reason it is left out, or None."""
    if is_current(target, source):
        return None
    crop = read_crop(source)
    light = brightness(crop, inside_circle(len(crop)))
    if light <= BLACK:
        return f"all black: 99 % of its pixels are at or below {light:.0f} of 255"
    place(source, target)
    return None


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


def main():
    options = parser(
        __doc__,
        input="data/resized",
        output="data/preprocessed",
        labels="labels/trainLabels.csv",
        labels_out="labels/preprocessed.csv",
        workers=None,
    )
    options.add_argument("--figures", type=Path, default="figures", help="folder for the charts")
    options.add_argument("--seed", type=seed, default=0, help="seed of the split")
    options.add_argument("--val", type=fraction, default=0.15, help="fraction of the patients for validation")
    options.add_argument("--test", type=fraction, default=0.15, help="fraction of the patients for the test")
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may fail")
    args = options.parse_args()
    if args.val + args.test >= 1:
        options.error("--val and --test leave no patient for training")
    refuse_same_file(args.labels, args.labels_out, "--labels-out")

    sources = list_files(args.input, [".png"], "resize_images.py")
    labels, dropped = join(sources, read_labels(args.labels), args.input, args.labels)
    labelled = set(labels["image"])
    split = {"seed": args.seed, "val": args.val, "test": args.test}
    with output_folder(args.output, "preprocess_images.py", {"black": BLACK}, args.input, split=split) as output:
        rejected, kept = [], set()
        candidates = [p for p in sources if p.stem in labelled]
        for source, result in for_each(lambda p: keep(p, output / p.name), candidates, args.workers, "preprocess"):
            if isinstance(result, PhotoError):
                rejected.append((source.name, str(result)))
            elif result:
                dropped.append((source.stem, result))
            else:
                kept.add(source.stem)
        remove_stale(output, {f"{image}.png" for image in kept})
        write_rows(output / "dropped.csv", ["image", "reason"], dropped)
        code = finish(rejected, len(candidates), args.max_rejected, output)
        if not kept:
            raise StageError(f"no photograph is left; the reasons are in {output / 'dropped.csv'}")

        table = labels[labels["image"].isin(kept)].sort_values("image").reset_index(drop=True)
        table["split"] = [split_of(patient, **split) for patient in table["patient"]]
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
