"""Compare packing images into an array with the method of 2017 and with writing the same number of bytes.

    python benchmarks/pack.py

Makes --images PNG files of 256 px in a temporary folder (a few drawings under many names), packs them with
image_to_array.py in a separate process, and measures wall time and peak memory. The method of 2017 read all images into
a Python list, converted it to one array and saved that. `dd` writes the same number of zeros.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import record

from benchmarks.materials import make_images
from eyenet.run.workers import cores

WAY_OF_2017 = """
import sys, pandas as pd, numpy as np
from skimage import io
folder, table, target = sys.argv[1:]
images = [io.imread(f"{folder}/{name}.png") for name in pd.read_csv(table)["image"]]
np.save(target, np.array(images))
"""


def pack(work, table, workers):
    """Pack the images of a table, made by `make_images`; return the cost."""
    output = work / "array"
    shutil.rmtree(output, ignore_errors=True)
    where = ["--input", table.with_suffix(""), "--labels", table, "--output", output]
    return record.spend(*record.script("image_to_array.py", *where, "--workers", workers))


def pack_as_2017(work, table):
    """Pack them as in 2017."""
    target = work / "2017.npy"
    spent = record.spend(sys.executable, "-c", WAY_OF_2017, table.with_suffix(""), table, target)
    target.unlink()
    return spent


def write_zeros(work, images):
    """Write the same number of bytes with dd."""
    return record.spend("dd", "if=/dev/zero", f"of={work / 'dd'}", f"bs={256 * 256 * 3}", f"count={images}")


def time_ways(work, table, images, repeat, quick=False):
    """Pack in every way in turn; lists of `record.Spent` by way. `quick` omits the ways that wait for the disk."""
    ways = {
        "ours, 1 worker": lambda: pack(work, table, 1),
        "2017": lambda: pack_as_2017(work, table),
        "ours": lambda: pack(work, table, cores()),
        "dd": lambda: write_zeros(work, images),
    }
    if shutil.which("dd") is None and not quick:
        record.left_out("pack, dd", "it is not installed")
    asked = list(ways)[:2] if quick else [way for way in ways if way != "dd" or shutil.which("dd")]
    taken = {way: [] for way in asked}
    for _ in range(repeat):
        for way in asked:
            taken[way].append(ways[way]())
    return taken


def ratios(taken):
    """Yield the ratios of our method to the others: CPU time if they do the same work, else wall time."""

    def beside(a, b, part):
        return record.beside(*([getattr(spent, part) for spent in taken[way]] for way in (a, b)))

    one = "ours, 1 worker"
    yield record.Ratio("pack: the way of 2017 / ours, CPU", beside("2017", one, "cpu"), "more")
    yield record.Ratio("pack: the way of 2017 / ours, peak memory", beside("2017", one, "memory"), "more")
    if "ours" in taken:
        yield record.Ratio("pack: the way of 2017 / ours with all cores, time", beside("2017", "ours", "wall"), "more")
    if "dd" in taken:
        yield record.Ratio("pack: ours with all cores / dd, time", beside("ours", "dd", "wall"), "less")


def main():
    options = record.parse(__doc__)
    options.add_argument("--images", type=int, default=4000, help="number for the comparison of times")
    options.add_argument("--many", type=int, default=20_000, help="number for the peak memory")
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        taken = time_ways(work, make_images(work / "few", args.images), args.images, args.repeat)
        most = pack(work, make_images(work / "many", args.many), cores()).memory
    rows = [
        (f"{way}: {args.images:,} images", f"{median(s.wall for s in costs):.2f}", "s", "")
        for way, costs in taken.items()
    ]
    rows += [(name, f"{value:.2f}", "ratio", "") for name, value, _ in ratios(taken)]
    rows += [
        (f"{way}: peak memory, {args.images:,} images", f"{max(s.memory for s in costs):.0f}", "MB", "")
        for way, costs in taken.items()
    ]
    rows.append((f"ours: peak memory, {args.many:,} images", f"{most:.0f}", "MB", "< 1000"))
    record.write("pack", rows)


if __name__ == "__main__":
    main()
