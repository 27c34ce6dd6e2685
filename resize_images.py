#!/usr/bin/env python3
"""Step 2: find the retina in each photograph, crop it and resize it to 256 x 256.

Reads   data/download/train/**            JPEG, PNG, TIFF, DICOM and others, by content, of any size, also in subfolders
Writes  data/resized/<name>.png           the retina fills the square; black outside its circle
        data/resized/photographs.csv      size of each photograph and the circle of its retina, in pixels; of a set
                                          with subfolders, pages or DICOM also file, patient and eye
        data/resized/rejected.csv         photographs that could not be used, with the reason
        data/resized/left_out.csv         other files in the input, if there are any
        data/resized/stage.json           the settings that made the folder

    python resize_images.py
    python resize_images.py --input one two          several sets; photographs of the second one are two~<name>
    python resize_images.py --colours equalized      equalise each channel's histogram: cameras look alike
    python resize_images.py --field frame            keep whole frames: the retina fills the pictures

A name is that of the file, or the path where several files have it: `16~left` for 16/left.jpeg. Each page of a TIFF and
each frame of a DICOM is a photograph, such as scan[2].
A JPEG is decoded at the smallest scale (1/1, 1/2, 1/4 or 1/8) at which the retina is still about twice as wide as the
result. The circle of the retina is fitted at that scale, and the square around it is averaged down. PNG is lossless,
so later steps lose nothing. Expect about 40 photographs/s per core: Kaggle's 35,126 take 8 minutes on two cores and
become 2.6 GB. The script can be stopped and run again: it makes only what is missing.
"""

import contextlib
import os

from eyenet.photo.colours import COLOURS
from eyenet.photo.decode import is_synthetic
from eyenet.photo.field import FIELDS, describe_fields
from eyenet.photo.pages import split_page
from eyenet.photo.png import encode_png, read_geometry
from eyenet.photo.retina import PREPROCESSING, photograph_to_input
from eyenet.run.errors import log, plural
from eyenet.run.files import is_unchanged, sha256, write_rows, write_whole
from eyenet.run.options import fitting_next, fraction, local_path, parser, print_next, side
from eyenet.run.script import run_main
from eyenet.run.stage import image_stage
from eyenet.sets.columns import parse_columns
from eyenet.sets.folders import ORIGIN, PHOTOGRAPHS, list_sets
from eyenet.sets.identify import identify_all
from eyenet.sets.labelled import check_labels

GEOMETRY = ("bytes", "width", "height", "center_x", "center_y", "radius", "visible", "found", "field")


def resize(source, target, size, colours="natural", since=None, field="circle"):
    """Write the crop of one photograph unless it is up to date; return the geometry.

    The crop's text chunk also records the photograph's size and SHA-256, by which a replaced one is recognised, whether
    it was drawn, and the colours and the version of the preprocessing, by which EyeNet recognises its own crop.
    """
    file, _ = split_page(source)
    if target.exists():
        known = read_geometry(target)
        recorded = known.keys() >= {*GEOMETRY, "sha256", "synthetic", "colours", "preprocessing"}
        if recorded and is_unchanged(file, known["bytes"], os.stat(target).st_mtime_ns, known["sha256"], since):
            return known
    origin = {}
    with contextlib.suppress(OSError):  # decoding reports it
        origin = {"sha256": sha256(file), "synthetic": is_synthetic(source)}
    crop, geometry = photograph_to_input(source, size, colours, field)
    geometry |= origin | {"colours": colours, "preprocessing": PREPROCESSING}
    write_whole(target, encode_png(crop, geometry), file)
    return geometry


def resize_all(stage, photographs, told, size, colours, field):
    """Resize all photographs and write photographs.csv, with patient and eye from `eyenet.sets.identify.identify_all`.

    Returns
    -------
    resized, drawn : set of str
        The names of the crops, and of those of drawings.
    frames : int
        How many crops show the whole frame.
    """
    folder, since, resized, drawn, frames = stage.folder, stage.since, set(), set(), 0
    columns = [*ORIGIN, *["source"] * (len(photographs.sources) > 1)] if told else []
    origin = dict(zip(photographs.images, told or ()))

    def work(photograph):
        return resize(photograph.path, folder / f"{photograph.image}.png", size, colours, since, field)

    def rows():  # a generator: a list of a million rows would take 600 MB
        nonlocal frames
        for photograph, geometry in stage.each(work, photographs, "resize"):
            image = photograph.image
            resized.add(image)
            frames += geometry["field"] == "frame"
            if geometry.get("synthetic"):
                drawn.add(image)
            more = (photograph.file, *origin[image], photograph.source)[: len(columns)] if told else ()
            yield [image, *more, *(geometry[key] for key in GEOMETRY)]

    write_rows(folder / PHOTOGRAPHS, ["image", *columns, *GEOMETRY], rows())
    return resized, drawn, frames


def list_left_out(output, left_out):
    """Write left_out.csv, what is no photograph in the input, and report it."""
    if not left_out:
        (output / "left_out.csv").unlink(missing_ok=True)
        return
    write_rows(output / "left_out.csv", ["file", "reason"], left_out)
    names = ", ".join(name for name, _ in left_out[:8])
    others = plural(len(left_out), "other file or folder", "other files and folders")
    log(f"left out {others}: {names} ({output}/left_out.csv gives the reasons)")


def main():
    places = {"input": "data/download/train", "output": "data/resized"}
    options = parser(__doc__, several=["input"], **places, workers=None, scheduler=None)
    options.add_argument("--size", type=side, default=256, help="width and height of the result in pixels")
    options.add_argument("--colours", choices=COLOURS, default="natural", help="equalized: cameras look alike")
    options.add_argument("--field", choices=FIELDS, default="auto", help="what a crop shows: retina's circle or all")
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may be rejected")
    named = {"type": parse_columns, "nargs": "+", "default": [], "metavar": "KEY=COLUMN,..."}
    options.add_argument("--labels", type=local_path, nargs="+", help="label tables to check before any work is done")
    options.add_argument("--columns", **named, help="as for preprocess_images.py")
    args = options.parse_args()

    photographs, refused, left_out = list_sets(args.input, "download_images.sh")
    told = identify_all(photographs)
    if args.labels:
        check_labels(photographs, refused, args.labels, args.columns, args.input[0], told)
    settings = {"size": args.size, "preprocessing": PREPROCESSING}
    if args.colours != "natural":  # absent by default, as in folders made before the option existed
        settings["colours"] = args.colours
    if args.field != "circle":  # likewise: folders made before show the circle
        settings["field"] = args.field
    found = {"synthetic": None}  # every report on these images will say so
    reads = {photograph.path.parent: photograph.path for photograph in photographs}
    workers = {"reads": list(reads.values()), "threads": args.workers, "scheduler": args.scheduler}
    notes = {"sources": photographs.sources} if len(photographs.sources) > 1 else {}
    with image_stage("resize_images.py", args.output, settings, found=found, **workers, **notes) as stage:
        stage.rejected.extend(refused)
        list_left_out(stage.folder, left_out)
        resized, drawn, frames = resize_all(stage, photographs, told, args.size, args.colours, args.field)
        if drawn:
            found["synthetic"] = True
        if 0 < len(drawn) < len(resized):
            log(f"note: synthetic: {len(drawn):,} of {plural(len(resized), 'photograph')}, such as {min(drawn)}")
        total = len(photographs) + len(refused)
        code = stage.finish(total, args.max_rejected, resized)
    fields = describe_fields(len(resized) - frames, frames)
    count = f"{len(resized):,} of {plural(total, 'photograph')}"
    print(f"resized {count} to {args.output} ({fields}), {len(stage.rejected)} rejected")
    print_next(f"python preprocess_images.py{fitting_next(options, args, output='input', labels='labels')}")
    return code


if __name__ == "__main__":
    run_main(main)
