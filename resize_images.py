#!/usr/bin/env python3
"""Step 2: find the retina in each photograph, crop it and resize it to 256 x 256.

Reads   data/download/train/*.jpeg (also .jpg .png .tif), of any size
Writes  data/resized/<name>.png           the retina fills the square; black outside its circle
        data/resized/photographs.csv      size of each photograph and circle of its retina, in its pixels
        data/resized/rejected.csv         photographs that could not be used, with the reason
        data/resized/stage.json           what made the folder

    python resize_images.py
    python resize_images.py --colours equalized      each channel's histogram equalised: alike from every camera

A JPEG is decoded at the smallest of 1/1, 1/2, 1/4, 1/8 at which the retina is still about twice as wide as the
result, the circle of the retina is fitted on that, and the square around it is averaged down. PNG keeps what
follows lossless. Expect about 40 photographs/s a core: Kaggle's 35,126 take 8 minutes on two cores and become
2.6 GB. It can be stopped and run again; it does what is missing.
"""

import os

from eyenet.photo.colours import COLOURS
from eyenet.photo.decode import PHOTOGRAPHS, is_synthetic
from eyenet.photo.png import encode_png, read_geometry
from eyenet.photo.retina import PREPROCESSING, photograph_to_input
from eyenet.run.errors import PhotoError, log
from eyenet.run.files import Paths, has_ending, is_current, write_rows, write_whole
from eyenet.run.folder import finish, list_files, output_folder, remove_stale
from eyenet.run.options import fitting_next, fraction, parser, side
from eyenet.run.script import run_main
from eyenet.run.workers import crew, for_each

GEOMETRY = ("bytes", "width", "height", "center_x", "center_y", "radius", "visible", "found")


def resize(source, target, size, colours="natural"):
    """Write the crop of one photograph, unless it is there and current; return its geometry."""
    if is_current(target, source):
        geometry = read_geometry(target)
        if geometry.keys() >= set(GEOMETRY):
            return geometry
    crop, geometry = photograph_to_input(source, size, colours)
    write_whole(target, encode_png(crop, geometry), source)
    return geometry


def unique_names(sources):
    """Separate photographs by name: the first of each name, and those that would overwrite it."""
    first, doubled = {}, []
    for source in sources:
        if source.stem in first:
            doubled.append((source.name, f"has the same name as {first[source.stem]}; rename one of them"))
        else:
            first[source.stem] = source.name
    return Paths(sources.folder, list(first.values())), doubled


def main():
    options = parser(__doc__, input="data/download/train", output="data/resized", workers=None, scheduler=None)
    options.add_argument("--size", type=side, default=256, help="side of the result in pixels")
    options.add_argument("--colours", choices=COLOURS, default="natural", help="equalized: alike from every camera")
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may fail")
    args = options.parse_args()

    sources = list_files(args.input, PHOTOGRAPHS, "download_images.sh")
    there = (name for name in os.listdir(args.input) if not name.startswith("."))
    others = sorted(name for name in there if not has_ending(name, PHOTOGRAPHS))
    if others:
        log(f"{len(others):,} other files in {args.input} are left out: {', '.join(others[:8])}")
    settings = {"size": args.size, "preprocessing": PREPROCESSING}
    if args.colours != "natural":  # folders that were made before there was a choice do not say so
        settings["colours"] = args.colours
    if any(map(is_synthetic, sources[:10])):  # every report on them will say so
        settings["synthetic"] = True
    with output_folder(args.output, "resize_images.py", settings) as output:
        kept, rejected = unique_names(sources)
        size, colours = args.size, args.colours

        def work(source):
            return resize(source, output / f"{source.stem}.png", size, colours)

        resized = set()

        def rows(workers):  # written as they come: a million of them would take 600 MB
            for source, result in for_each(work, kept, workers, "resize"):
                if isinstance(result, PhotoError):
                    rejected.append((source.name, str(result)))
                else:
                    resized.add(source.stem)
                    yield [source.stem, *(result[key] for key in GEOMETRY)]

        with crew(args, kept[:1], output) as workers:
            write_rows(output / "photographs.csv", ["image", *GEOMETRY], rows(workers))
        remove_stale(output, resized)
        code = finish(rejected, len(sources), args.max_rejected, output)
    print(f"resized {len(resized):,} of {len(sources):,} photographs to {args.output}, {len(rejected)} rejected")
    print(f"next: python preprocess_images.py{fitting_next(options, args, output='input')}")
    return code


if __name__ == "__main__":
    run_main(main)
