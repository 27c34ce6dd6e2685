#!/usr/bin/env python3
"""Step 2: find the retina in each photograph, crop it and resize it to 256 x 256.

Reads   data/download/train/*.jpeg (also .jpg .png .tif), of any size
Writes  data/resized/<name>.png           the retina fills the square; black outside its circle
        data/resized/photographs.csv      size of each photograph and the circle of its retina, in pixels
        data/resized/rejected.csv         photographs that could not be used, with the reason
        data/resized/stage.json           the settings that made the folder

    python resize_images.py
    python resize_images.py --colours equalized      equalise each channel's histogram: cameras look alike

A JPEG is decoded at the smallest scale (1/1, 1/2, 1/4 or 1/8) at which the retina is still about twice as wide as the
result. The circle of the retina is fitted at that scale, and the square around it is averaged down. PNG is lossless,
so later steps lose nothing. Expect about 40 photographs/s per core: Kaggle's 35,126 take 8 minutes on two cores and
become 2.6 GB. The script can be stopped and run again: it makes only what is missing.
"""

import contextlib
import os

from eyenet.photo.colours import COLOURS
from eyenet.photo.decode import PHOTOGRAPHS, is_synthetic
from eyenet.photo.png import encode_png, read_geometry
from eyenet.photo.retina import PREPROCESSING, photograph_to_input
from eyenet.run.errors import log
from eyenet.run.files import Paths, has_ending, is_unchanged, sha256, write_rows, write_whole
from eyenet.run.folder import list_files
from eyenet.run.options import fitting_next, fraction, parser, side
from eyenet.run.script import run_main
from eyenet.run.stage import image_stage

GEOMETRY = ("bytes", "width", "height", "center_x", "center_y", "radius", "visible", "found")


def resize(source, target, size, colours="natural", since=None):
    """Write the crop of one photograph unless it is up to date; return the geometry.

    The crop's text chunk also records the photograph's size and SHA-256, by which a replaced one is recognised, and
    whether it was drawn.
    """
    if target.exists():
        known = read_geometry(target)
        recorded = known.keys() >= {*GEOMETRY, "sha256", "synthetic"}
        if recorded and is_unchanged(source, known["bytes"], os.stat(target).st_mtime_ns, known["sha256"], since):
            return known
    origin = {}
    with contextlib.suppress(OSError):  # decoding reports it
        origin = {"sha256": sha256(source), "synthetic": is_synthetic(source)}
    crop, geometry = photograph_to_input(source, size, colours)
    geometry |= origin
    write_whole(target, encode_png(crop, geometry), source)
    return geometry


def resize_all(stage, sources, size, colours):
    """Resize all photographs and write photographs.csv; return the names of the crops, and of those of drawings."""
    folder, since, resized, drawn = stage.folder, stage.since, set(), set()

    def work(source):
        return resize(source, folder / f"{source.stem}.png", size, colours, since)

    def rows():  # a generator: a list of a million rows would take 600 MB
        for source, geometry in stage.each(work, sources, "resize"):
            resized.add(source.stem)
            if geometry.get("synthetic"):
                drawn.add(source.stem)
            yield [source.stem, *(geometry[key] for key in GEOMETRY)]

    write_rows(folder / "photographs.csv", ["image", *GEOMETRY], rows())
    return resized, drawn


def unique_names(sources):
    """Split photographs into the first of each name and those that would overwrite it, with the reason."""
    first, duplicates = {}, []
    for source in sources:
        if source.stem in first:
            duplicates.append((source.name, f"has the same name as {first[source.stem]}; rename one of them"))
        else:
            first[source.stem] = source.name
    return Paths(sources.folder, list(first.values())), duplicates


def report_other_files(folder):
    """Report the files of a folder that are not photographs."""
    visible = (name for name in os.listdir(folder) if not name.startswith("."))
    others = sorted(name for name in visible if not has_ending(name, PHOTOGRAPHS))
    if others:
        log(f"{len(others):,} other files in {folder} are left out: {', '.join(others[:8])}")


def main():
    options = parser(__doc__, input="data/download/train", output="data/resized", workers=None, scheduler=None)
    options.add_argument("--size", type=side, default=256, help="width and height of the result in pixels")
    options.add_argument("--colours", choices=COLOURS, default="natural", help="equalized: cameras look alike")
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may be rejected")
    args = options.parse_args()

    sources = list_files(args.input, PHOTOGRAPHS, "download_images.sh")
    report_other_files(args.input)
    settings = {"size": args.size, "preprocessing": PREPROCESSING}
    if args.colours != "natural":  # absent by default, as in folders made before the option existed
        settings["colours"] = args.colours
    found = {"synthetic": None}  # every report on these images will say so
    first, duplicates = unique_names(sources)
    workers = {"reads": first[:1], "threads": args.workers, "scheduler": args.scheduler}
    with image_stage("resize_images.py", args.output, settings, found=found, **workers) as stage:
        stage.rejected.extend(duplicates)
        resized, drawn = resize_all(stage, first, args.size, args.colours)
        if drawn:
            found["synthetic"] = True
        if 0 < len(drawn) < len(resized):
            log(f"note: {len(drawn):,} of {len(resized):,} photographs are synthetic, such as {min(drawn)}")
        code = stage.finish(len(sources), args.max_rejected, resized)
    print(f"resized {len(resized):,} of {len(sources):,} photographs to {args.output}, {len(stage.rejected)} rejected")
    print(f"next: python preprocess_images.py{fitting_next(options, args, output='input')}")
    return code


if __name__ == "__main__":
    run_main(main)
