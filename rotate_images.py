#!/usr/bin/env python3
"""Step 4: mirror or rotate the photographs by class, so that both classes are about as many.

Reads   data/preprocessed/*.png, labels/preprocessed.csv
Writes  data/rotated/<name>.png           each photograph itself (a hard link where possible)
        data/rotated/<name>_mir.png       its mirror image
        data/rotated/<name>_90.png ...    with DR also turned by 90, 120, 180 and 270 degrees
        labels/rotated.csv                image,patient,eye,level,split,transform

    python rotate_images.py

No DR: the mirror image. Any DR: the mirror image and four turns. So `a` photographs without and `b` with DR
become 2a + 6b images: Kaggle's 25,488 and 9,235 become 106,386, 6 GB, 6 minutes on two cores. A copy keeps the
split of its patient; validation and test use originals only. The mirror image and the quarter turns move pixels
and change none; the turn by 120 degrees interpolates.
"""

import numpy as np

from eyenet.data.copies import copies_table, list_transforms, transform
from eyenet.data.names import copy_name
from eyenet.data.tables import read_table, write_table
from eyenet.photo.png import encode_png, read_crop
from eyenet.run.errors import PhotoError
from eyenet.run.files import is_current, place, refuse_same_file, write_whole
from eyenet.run.folder import finish, list_files, output_folder, remove_stale, report_unlisted
from eyenet.run.options import fitting_next, fraction, parser
from eyenet.run.script import run_main
from eyenet.run.workers import crew, for_each


def copy_photograph(source, targets):
    """Write the images of one photograph that are missing; `targets` maps transform to path."""
    missing = {name: path for name, path in targets.items() if not is_current(path, source)}
    if not missing:
        return
    pixels = read_crop(source)  # the original too is read, so that a damaged one is found here
    for name, path in missing.items():
        if name == "original":
            place(source, path)
        else:
            write_whole(path, encode_png(np.ascontiguousarray(transform(pixels, name))), source)


def main():
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
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may fail")
    args = options.parse_args()

    made_by = "preprocess_images.py"
    refuse_same_file(args.labels, args.labels_out, "--labels-out")
    files = list_files(args.input, [".png"], made_by)
    photographs = read_table(args.labels, ["image", "patient", "eye", "level", "split"], made_by)
    report_unlisted(files, photographs, args.labels)
    table = copies_table(photographs, args.only_train)
    with output_folder(args.output, "rotate_images.py", {}, args.input) as output:
        folder = args.input

        def work(item):
            image, transforms = item
            targets = {name: output / f"{copy_name(image, name)}.png" for name in transforms}
            copy_photograph(folder / f"{image}.png", targets)

        items = list(zip(photographs["image"], list_transforms(photographs, args.only_train)))
        with crew(args, files[:1], output) as workers:
            results = for_each(work, items, workers, "rotate")
            rejected = [(image, str(result)) for (image, _), result in results if isinstance(result, PhotoError)]
        table = table[~table["source"].isin([source for source, _ in rejected])]
        remove_stale(output, set(table["image"]))
        code = finish(rejected, len(photographs), args.max_rejected, output)
        write_table(args.labels_out, table.drop(columns="source"))

    made = photographs[~photographs["image"].isin([source for source, _ in rejected])]
    without = int((made["level"] == 0).sum())
    print(
        f"made {len(table):,} images in {args.output} of {without:,} photographs without and "
        f"{len(made) - without:,} with DR, table in {args.labels_out}"
    )
    print(f"next: python image_to_array.py{fitting_next(options, args, output='input', labels_out='labels')}")
    return code


if __name__ == "__main__":
    run_main(main)
