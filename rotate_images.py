#!/usr/bin/env python3
"""Step 4: mirror and rotate the photographs by class, to balance photographs with and without DR.

Reads   data/preprocessed/*.png, labels/preprocessed.csv
Writes  data/rotated/<name>.png           each original (a hard link where possible)
        data/rotated/<name>_mir.png       its mirror image
        data/rotated/<name>_90.png ...    with DR, also rotated by 90, 120, 180 and 270 degrees
        data/rotated/rejected.csv         images that could not be read, with the reason
        labels/rotated.csv                image,patient,eye,level,split,transform

    python rotate_images.py

No DR: the mirror image. Any DR: the mirror image and four rotations. `a` photographs without and `b` with DR become
2a + 6b images: Kaggle's 25,810 and 9,316 become at most 107,516, in 6 GB and 6 minutes on two cores. A copy stays in
the split of its patient; validation and test use originals only. Mirroring and rotations by multiples of 90 degrees are
lossless; the rotation by 120 degrees interpolates.
"""

import functools
import os

from eyenet.data.copies import copies_table, list_transforms, transform
from eyenet.data.names import copy_name
from eyenet.data.tables import read_table, write_table
from eyenet.photo.png import encode_png, read_crop, read_geometry
from eyenet.run.errors import plural
from eyenet.run.files import is_placed, is_unchanged, place, refuse_same_file, sha256, write_whole
from eyenet.run.folder import list_files, report_unlisted
from eyenet.run.options import fitting_next, fraction, parser, print_next
from eyenet.run.script import run_main
from eyenet.run.stage import image_stage


def is_copied(target, source, digest, since):
    """Return whether a mirrored or rotated image was made from the present `source`; `digest()` is its SHA-256."""
    if not target.exists():
        return False
    known = read_geometry(target)
    if "sha256" not in known:
        return False
    time = os.stat(target).st_mtime_ns
    return is_unchanged(source, known["bytes"], time, known["sha256"], since, digest)


def copy_photograph(source, targets, since=None):
    """Write the missing images of one photograph; `targets` maps transform to path.

    The text chunk of a copy records size and SHA-256 of its source, by which a replaced one is recognised.
    """
    digest = functools.cache(lambda: sha256(source))  # read once for all copies
    missing = {
        name: path
        for name, path in targets.items()
        if not (is_placed(path, source, since) if name == "original" else is_copied(path, source, digest, since))
    }
    if not missing:
        return
    pixels = read_crop(source)  # even if only the original is missing, so that a damaged file is found here
    for name, path in missing.items():
        if name == "original":
            place(source, path)
        else:
            origin = {"bytes": os.stat(source).st_size, "sha256": digest()}
            write_whole(path, encode_png(transform(pixels, name), origin), source)


def copy_all(stage, source, photographs, only_train):
    """Write the images of all photographs; return the names of those that could not be read."""
    output, since = stage.folder, stage.since

    def work(item):
        image, transforms = item
        targets = {name: output / f"{copy_name(image, name)}.png" for name in transforms}
        copy_photograph(source / f"{image}.png", targets, since)

    items = list(zip(photographs["image"], list_transforms(photographs, only_train)))
    for _ in stage.each(work, items, "rotate", name=lambda item: item[0]):
        pass
    return [image for image, _ in stage.rejected]


def command_line():
    """Describe the options."""
    options = parser(
        __doc__,
        input="data/preprocessed",
        output="data/rotated",
        labels="labels/preprocessed.csv",
        labels_out="labels/rotated.csv",
        workers=None,
        scheduler=None,
    )
    options.add_argument("--only-train", action="store_true", help="copy training photographs only: less disk")
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may be rejected")
    return options


def main():
    options = command_line()
    args = options.parse_args()
    refuse_same_file(args.labels, args.labels_out, "--labels-out")

    files = list_files(args.input, [".png"], "preprocess_images.py")
    photographs = read_table(args.labels, ["image", "patient", "eye", "level", "split"], "preprocess_images.py")
    report_unlisted(files, photographs, args.labels)
    table = copies_table(photographs, args.only_train)
    workers = {"reads": files[:1], "threads": args.workers, "scheduler": args.scheduler}
    with image_stage("rotate_images.py", args.output, {}, args.input, **workers) as stage:
        rejected = copy_all(stage, args.input, photographs, args.only_train)
        table = table[~table["photograph"].isin(rejected)]
        code = stage.finish(len(photographs), args.max_rejected, set(table["image"]))
        write_table(args.labels_out, table.drop(columns="photograph"))

    levels = photographs.loc[~photographs["image"].isin(rejected), "level"]
    disease = "referable DR" if "question" in table and (table["question"] == "referable").all() else "DR"
    healthy = plural((levels == 0).sum(), "photograph")
    print(
        f"made {plural(len(table), 'image')} in {args.output} from {healthy} without and {(levels > 0).sum():,} with "
        f"{disease}, table in {args.labels_out}"
    )
    print_next(f"python image_to_array.py{fitting_next(options, args, output='input', labels_out='labels')}")
    return code


if __name__ == "__main__":
    run_main(main)
