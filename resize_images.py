#!/usr/bin/env python3
"""Step 2: find the retina in each photograph, crop it and resize it to 256 x 256.

Reads   data/download/train/*.jpeg (also PNG, TIFF and others, by content), of any size
Writes  data/resized/<name>.png           the retina fills the square; black outside its circle
        data/resized/photographs.csv      size of each photograph and the circle of its retina, in pixels
        data/resized/rejected.csv         photographs that could not be used, with the reason
        data/resized/left_out.csv         other files in the input, if there are any
        data/resized/stage.json           the settings that made the folder

    python resize_images.py
    python resize_images.py --colours equalized      equalise each channel's histogram: cameras look alike
    python resize_images.py --field frame            keep whole frames: the retina fills the pictures

A JPEG is decoded at the smallest scale (1/1, 1/2, 1/4 or 1/8) at which the retina is still about twice as wide as the
result. The circle of the retina is fitted at that scale, and the square around it is averaged down. PNG is lossless,
so later steps lose nothing. Expect about 40 photographs/s per core: Kaggle's 35,126 take 8 minutes on two cores and
become 2.6 GB. The script can be stopped and run again: it makes only what is missing.
"""

import contextlib
import os

from eyenet.photo.colours import COLOURS
from eyenet.photo.decode import is_synthetic
from eyenet.photo.field import FIELDS
from eyenet.photo.kinds import list_photographs
from eyenet.photo.png import encode_png, read_geometry
from eyenet.photo.retina import PREPROCESSING, photograph_to_input
from eyenet.run.errors import log
from eyenet.run.files import Paths, is_unchanged, sha256, write_rows, write_whole
from eyenet.run.options import fitting_next, fraction, parser, side
from eyenet.run.script import run_main
from eyenet.run.stage import image_stage

GEOMETRY = ("bytes", "width", "height", "center_x", "center_y", "radius", "visible", "found", "field")


def resize(source, target, size, colours="natural", since=None, field="circle"):
    """Write the crop of one photograph unless it is up to date; return the geometry.

    The crop's text chunk also records the photograph's size and SHA-256, by which a replaced one is recognised, whether
    it was drawn, and the colours and the version of the preprocessing, by which EyeNet recognises its own crop.
    """
    if target.exists():
        known = read_geometry(target)
        recorded = known.keys() >= {*GEOMETRY, "sha256", "synthetic", "colours", "preprocessing"}
        if recorded and is_unchanged(source, known["bytes"], os.stat(target).st_mtime_ns, known["sha256"], since):
            return known
    origin = {}
    with contextlib.suppress(OSError):  # decoding reports it
        origin = {"sha256": sha256(source), "synthetic": is_synthetic(source)}
    crop, geometry = photograph_to_input(source, size, colours, field)
    geometry |= origin | {"colours": colours, "preprocessing": PREPROCESSING}
    write_whole(target, encode_png(crop, geometry), source)
    return geometry


def resize_all(stage, sources, size, colours, field):
    """Resize all photographs and write photographs.csv.

    Returns
    -------
    resized, drawn : set of str
        The names of the crops, and of those of drawings.
    frames : int
        How many crops show the whole frame.
    """
    folder, since, resized, drawn, frames = stage.folder, stage.since, set(), set(), 0

    def work(source):
        return resize(source, folder / f"{source.stem}.png", size, colours, since, field)

    def rows():  # a generator: a list of a million rows would take 600 MB
        nonlocal frames
        for source, geometry in stage.each(work, sources, "resize"):
            resized.add(source.stem)
            frames += geometry["field"] == "frame"
            if geometry.get("synthetic"):
                drawn.add(source.stem)
            yield [source.stem, *(geometry[key] for key in GEOMETRY)]

    write_rows(folder / "photographs.csv", ["image", *GEOMETRY], rows())
    return resized, drawn, frames


def usable_names(sources):
    """Split photographs into those with a usable name and the others, with the reason.

    A name is not usable if an earlier photograph has it, since one crop would overwrite the other, or if it is not
    UTF-8, since no table could hold it.
    """
    first, refused = {}, []
    for source in sources:
        if any("\ud800" <= letter <= "\udfff" for letter in source.name):
            refused.append((source.name, "its name is not UTF-8; rename it"))
        elif source.stem in first:
            refused.append((source.name, f"has the same name as {first[source.stem]}; rename one of them"))
        else:
            first[source.stem] = source.name
    return Paths(sources.folder, list(first.values())), refused


def list_left_out(output, left_out):
    """Write left_out.csv, what is no photograph in the input, and report it."""
    if not left_out:
        (output / "left_out.csv").unlink(missing_ok=True)
        return
    write_rows(output / "left_out.csv", ["file", "reason"], left_out)
    names = ", ".join(name for name, _ in left_out[:8])
    log(f"{len(left_out):,} other files and folders are left out: {names} ({output}/left_out.csv gives the reasons)")


def main():
    options = parser(__doc__, input="data/download/train", output="data/resized", workers=None, scheduler=None)
    options.add_argument("--size", type=side, default=256, help="width and height of the result in pixels")
    options.add_argument("--colours", choices=COLOURS, default="natural", help="equalized: cameras look alike")
    options.add_argument("--field", choices=FIELDS, default="auto", help="what a crop shows: retina's circle or all")
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may be rejected")
    args = options.parse_args()

    sources, left_out = list_photographs(args.input, "download_images.sh")
    settings = {"size": args.size, "preprocessing": PREPROCESSING}
    if args.colours != "natural":  # absent by default, as in folders made before the option existed
        settings["colours"] = args.colours
    if args.field != "circle":  # likewise: folders made before show the circle
        settings["field"] = args.field
    found = {"synthetic": None}  # every report on these images will say so
    first, refused = usable_names(sources)
    workers = {"reads": first[:1], "threads": args.workers, "scheduler": args.scheduler}
    with image_stage("resize_images.py", args.output, settings, found=found, **workers) as stage:
        stage.rejected.extend(refused)
        list_left_out(stage.folder, left_out)
        resized, drawn, frames = resize_all(stage, first, args.size, args.colours, args.field)
        if drawn:
            found["synthetic"] = True
        if 0 < len(drawn) < len(resized):
            log(f"note: {len(drawn):,} of {len(resized):,} photographs are synthetic, such as {min(drawn)}")
        code = stage.finish(len(sources), args.max_rejected, resized)
    fields = f"{len(resized) - frames:,} by the circle of the retina, {frames:,} as whole frames"
    print(
        f"resized {len(resized):,} of {len(sources):,} photographs to {args.output} ({fields}), "
        f"{len(stage.rejected)} rejected"
    )
    print(f"next: python preprocess_images.py{fitting_next(options, args, output='input')}")
    return code


if __name__ == "__main__":
    run_main(main)
