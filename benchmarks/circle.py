"""Compare the circle of the retina with a fit at full resolution, beside retinalysis-fundusprep.

    python benchmarks/circle.py --data FOLDER FOLDER --cache FOLDER --peer PYTHON --sheet FILE.png

Each --data is a folder of photographs, or one that holds such a folder (train/*.jpeg). The error of a circle is the
worse one of centre and radius, in % of the radius. The reference is benchmarks/reference.py, which takes seconds per
photograph; --cache keeps its circles, and those of the peer. --peer is a Python in which `pip install
retinalysis-fundusprep` was run, since it needs another version of Pillow. For the times, peer and EyeNet take turns on
every --step-th photograph, from file to circle; medians of CPU times are reported. --sheet draws the largest
disagreements with the reference.

Where photographs come with a table circles.csv (image, center_x, center_y, radius), reference and EyeNet are compared
with it too. Also measured: drawings with a known circle (stress.py); windows cut out of the photographs, which have the
circle's rim in their corners or nowhere, with `--field auto`; and the fidelity of the crops against an exact area
average.
"""

import csv
import json
import subprocess
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import Counter
from pathlib import Path

import numpy as np
import record
import resize
import stress
from PIL import Image, ImageDraw
from reference import reference_circle

from eyenet.photo.circle import find_retina
from eyenet.photo.decode import open_photograph
from eyenet.photo.field import find_field
from eyenet.photo.retina import DETAIL
from eyenet.photo.rim import refine
from eyenet.run.errors import NoRetina, PhotoError

LEAST = int(256 * DETAIL)  # px, of the short side of what the resize stage decodes
SHARES, ASPECTS = (0.9, 0.8, 0.72, 0.66, 0.6), (1, 4 / 3)  # of the windows
SHOWN, TILE = 30, 400
PEER = """
import json, sys, time, numpy
from PIL import Image, ImageOps
from rtnls_fundusprep.mask_extraction import get_cfi_bounds
for line in sys.stdin:
    begun = time.process_time()
    image = numpy.asarray(ImageOps.exif_transpose(Image.open(line.strip())).convert("RGB"))
    found = get_cfi_bounds(image)
    seconds = time.process_time() - begun
    print(json.dumps([float(found.cx), float(found.cy), float(found.radius), seconds]), flush=True)
"""


class Peer:
    """retinalysis-fundusprep in a process of its own."""

    def __init__(self, python):
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([python, "-c", PEER], text=True, env=environment, **pipes)

    def find(self, path):
        """Find a circle; x, y, radius in pixels with centres at half-integers, and CPU seconds."""
        print(path, file=self.process.stdin, flush=True)
        x, y, radius, seconds = json.loads(self.process.stdout.readline())
        return (x + 0.5, y + 0.5, radius), seconds  # its pixel centres are at integers


def photographs(folder):
    """List the photographs of a folder, or of the only folder in it."""
    return sorted(path for pattern in ("*.jp*g", "*/*.jp*g") for path in folder.glob(pattern))


def kept(file, paths, find):
    """Map each path to its circle (x, y, radius): as the table `file` has it, or by `find`, which is slow."""
    known = {}
    if file.exists():
        with open(file, newline="", encoding="utf-8") as opened:
            known = {row["image"]: tuple(float(row[k]) for k in ("x", "y", "radius")) for row in csv.DictReader(opened)}
    for path in paths:
        if path.stem not in known:
            known[path.stem] = find(path)
    with open(file, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("image", "x", "y", "radius"), *((name, *known[name]) for name in sorted(known))])
    return {path: known[path.stem] for path in paths}


def ours(path):
    """Find the circle as the resize stage does; x, y, radius in pixels of the photograph, and CPU seconds.

    The seconds are those from file to circle, and of refining the circle once.
    """
    begun = time.process_time()
    image, factor, _ = open_photograph(path, LEAST)
    try:
        circle = find_retina(image)
    except NoRetina:
        return None, time.process_time() - begun, np.nan
    ended = time.process_time()
    refine(image, circle.x, circle.y, circle.radius)
    refining = time.process_time() - ended
    return (circle.x * factor, circle.y * factor, circle.radius * factor), ended - begun, refining


def error(found, true):
    """Worse error of centre and radius, in % of the radius; infinite if nothing was found."""
    return 100 * max(abs(a - b) for a, b in zip(found, true)) / true[2] if found else np.inf


def summarize(name, errors):
    """Yield the rows of a table: quantiles of the errors, and how many are large."""
    for share in (50, 95, 99, 100):
        label = {50: "median", 100: "worst"}.get(share, f"{share} %")
        yield f"{name}: error, {label}", f"{np.percentile(errors, share, method='lower'):.3f}", "% of the radius", ""
    for limit in (1, 2):
        yield f"{name}: over {limit} %", int((np.array(errors) > limit).sum()), f"of {len(errors)}", ""


def published(folder, name, circles):
    """Compare circles by path with circles.csv of a folder, if it has one; yields a row."""
    table = folder / "circles.csv"
    if table.exists():
        with open(table, newline="", encoding="utf-8") as opened:
            rows = {row["image"]: row for row in csv.DictReader(opened)}
        keys = ("center_x", "center_y", "radius")
        known = {path: rows[path.stem] for path in circles if path.stem in rows}
        worst = max(error(circles[path], tuple(float(row[key]) for key in keys)) for path, row in known.items())
        yield f"{name} against circles.csv: worst error", f"{worst:.3f}", "% of the radius", "<= 0.35"


def compare(folder, cache, peer, step):
    """Measure a folder; return the rows, and the photographs with their circles: path, true, ours, peer's."""
    name, paths = folder.resolve().name, photographs(folder)
    true = kept(cache / f"{name}.csv", paths, lambda path: reference_circle(path)[0])
    mine = {path: ours(path)[0] for path in paths}
    rows = [*summarize(f"{name}, EyeNet", [error(mine[path], true[path]) for path in paths])]
    rows += [*published(folder, f"{name}, EyeNet", mine), *published(folder, f"{name}, reference", true)]
    theirs = dict.fromkeys(paths)
    if peer:
        theirs = kept(cache / f"{name}-peer.csv", paths, lambda path: peer.find(path)[0])
        rows += summarize(f"{name}, peer", [error(theirs[path], true[path]) for path in paths])
    times = [(*ours(path)[1:], peer.find(path)[1] if peer else np.nan) for path in paths[::step]]
    first, refining, peers = (1e3 * float(np.nanmedian(taken)) for taken in zip(*times))
    rows.append((f"{name}, EyeNet: CPU from file to circle, median", f"{first:.1f}", "ms", ""))
    if peer:
        rows.append((f"{name}, peer: CPU from file to circle, median", f"{peers:.1f}", "ms", ""))
    rows.append((f"{name}, EyeNet: CPU of refining a circle, median", f"{refining:.2f}", "ms", "<= 2"))
    return rows, [(path, true[path], mine[path], theirs[path]) for path in paths]


def cut(found, step):
    """Cut windows out of every `step`-th photograph, and find their field; yields rows."""
    name = found[0][0].parent.parent.name
    for share in SHARES:
        for aspect in ASPECTS:
            fields, errors = Counter(), [0.0]
            for path, true, _, _ in found[::step]:
                image, factor, _ = open_photograph(path, LEAST)
                true = tuple(value / factor for value in true)
                window, (left, upper) = stress.windows(image, true, share, aspect)
                try:
                    circle = find_field(window, "auto")
                except NoRetina:
                    fields["none"] += 1
                    continue
                fields[circle.field if circle.found else "none"] += 1
                if circle.field == "circle" and circle.found:
                    errors.append(error((circle.x + left, circle.y + upper, circle.radius), true))
            label = f"{name}, window of {100 * share:.0f} % of the diameter, {'4:3' if aspect > 1 else 'square'}"
            counted = " / ".join(str(fields[field]) for field in ("circle", "frame", "none"))
            yield label, counted, "circle / whole frame / neither", ""
            yield f"{label}: worst error of a circle", f"{max(errors):.2f}", "% of the radius", ""


def drawings():
    """Find the circle of drawings under stress; yields rows."""
    for condition in stress.CONDITIONS:
        errors = []
        for seed in range(5):
            circle = find_retina(stress.stressed(condition, seed))
            errors.append(error((circle.x, circle.y, circle.radius), stress.CIRCLE))
        yield f"drawing, {condition.__name__}: worst error", f"{max(errors):.3f}", "% of the radius", ""


def fidelity(found, step):
    """Compare crops with an exact area average; yields rows."""
    name, decibels = found[0][0].parent.parent.name, []
    for path, *_ in found[::step]:
        try:
            decibels.append(resize.psnr(path)[0])
        except PhotoError:
            continue
    yield f"{name}: PSNR against an exact area average, mean", f"{np.mean(decibels):.1f}", "dB", ""
    yield f"{name}: PSNR against an exact area average, least", f"{min(decibels):.1f}", "dB", ">= 50"


def draw_sheet(found, target):
    """Draw the photographs whose circle disagrees most with the reference: reference green, EyeNet red, peer blue."""
    worst = sorted(found, key=lambda row: -error(row[2], row[1]))[:SHOWN]
    sheet = Image.new("RGB", (6 * TILE, -(-len(worst) // 6) * TILE))
    for number, (path, true, mine, theirs) in enumerate(worst):
        image, _, (width, _) = open_photograph(path, LEAST)
        image.thumbnail((TILE, TILE))
        tile = image.point([round(255 * (level / 255) ** 0.5) for level in range(256)] * 3)
        pen, scale = ImageDraw.Draw(tile), tile.width / width
        for circle, colour in ((theirs, "deepskyblue"), (true, "lime"), (mine, "red")):
            if circle:
                x, y, radius = (scale * value for value in circle)
                pen.ellipse([x - radius, y - radius, x + radius, y + radius], outline=colour)
        pen.text((4, 4), f"{path.stem}  {error(mine, true):.2f} %, peer {error(theirs, true):.2f} %", fill="white")
        sheet.paste(tile, (number % 6 * TILE, number // 6 * TILE))
    sheet.save(target)


def main():
    options = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, nargs="+", required=True, help="folders of photographs")
    options.add_argument("--cache", type=Path, required=True, help="folder of the reference circles")
    options.add_argument("--peer", help="Python with retinalysis-fundusprep")
    options.add_argument("--sheet", type=Path, help="PNG of the largest disagreements")
    options.add_argument(
        "--step", type=int, default=8, help="times, windows and fidelity: only every so many photographs"
    )
    args = options.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    peer = Peer(args.peer) if args.peer else record.left_out("the peer", "no --peer")
    rows, seen = [], []
    for folder in args.data:
        step = args.step if len(photographs(folder)) >= 4 * args.step else 1
        measured, found = compare(folder, args.cache, peer, step)
        rows += [*measured, *fidelity(found, step), *cut(found, step)]
        seen += found
    if args.sheet:
        draw_sheet(seen, args.sheet)
    record.write("circle", [*rows, *drawings()])


if __name__ == "__main__":
    main()
