"""Packing images into an array: our way, the way of 2017, and writing the same bytes.

    python benchmarks/pack.py

Makes --images PNG files of 256 px in a temporary folder (they hold the same few drawings under many names), packs
them with image_to_array.py in a process of its own, and measures wall time and the most memory that was held. The
way of 2017 read every image into a Python list, made one array of it and saved that. `dd` writes as many zeros.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import record

from eyenet.crops import encode_png
from eyenet.files import write_rows

WAY_OF_2017 = """
import sys, pandas as pd, numpy as np
from skimage import io
folder, table, target = sys.argv[1:]
images = [io.imread(f"{folder}/{name}.png") for name in pd.read_csv(table)["image"]]
np.save(target, np.array(images))
"""


def drawing(seed):
    """Draw smooth blobs with a little noise: compresses like a retina, to about 75 kB."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :256] / 256
    waves = sum(
        np.sin(rng.uniform(5, 40) * x + rng.uniform(5, 40) * y)[..., None] * rng.uniform(0, 30, 3) for _ in "123"
    )
    return (120 + waves + rng.normal(0, 1.5, (256, 256, 3))).clip(0, 255).astype(np.uint8)


def make_images(folder, count):
    """Write `count` images, 64 of them different, and their table; give the table's path."""
    folder.mkdir()
    rows = []
    for i in range(count):
        name = f"{i}_left"
        if i < 64:
            (folder / f"{name}.png").write_bytes(encode_png(drawing(i)))
        else:
            os.link(folder / f"{i % 64}_left.png", folder / f"{name}.png")
        rows.append([name, i, "left", 0, "train", "original"])
    table = folder.with_suffix(".csv")
    write_rows(table, ["image", "patient", "eye", "level", "split", "transform"], rows)
    return table


def seconds(command):
    """Run a command; give wall seconds and peak memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = record.watch(process)
    assert process.returncode == 0, command
    return time.perf_counter() - begun, peak


def main():
    options = record.parse(__doc__)
    options.add_argument("--images", type=int, default=4000, help="number for the comparison of times")
    options.add_argument("--many", type=int, default=20_000, help="number for the peak memory")
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)

        def ours(folder, table, workers):
            subprocess.run(["rm", "-rf", work / "array"], check=True)
            script = [sys.executable, record.REPO / "image_to_array.py", "--workers", str(workers)]
            return seconds([*script, "--input", folder, "--labels", table, "--output", work / "array"])

        table = make_images(work / "few", args.images)
        size = args.images * 256 * 256 * 3
        ways = {
            "ours, 2 workers": lambda: ours(work / "few", table, 2),
            "ours, 1 worker": lambda: ours(work / "few", table, 1),
            "2017": lambda: seconds([sys.executable, "-c", WAY_OF_2017, work / "few", table, work / "2017.npy"]),
            "dd": lambda: seconds(
                ["dd", "if=/dev/zero", f"of={work / 'dd'}", "bs=12582912", f"count={size // 12582912}"]
            ),
        }
        taken = {way: [] for way in ways}
        for _ in range(args.repeat):
            for way, function in ways.items():
                taken[way].append(function())
        wall = {way: median(t for t, _ in runs) for way, runs in taken.items()}
        peak = {way: max(m for _, m in runs) for way, runs in taken.items()}
        (work / "2017.npy").unlink()
        many = make_images(work / "many", args.many)
        _, most = ours(work / "many", many, 2)
    rows = [(f"{way}: {args.images:,} images", f"{t:.2f}", "s", "") for way, t in wall.items()]
    rows += [
        ("2017 / ours with 2 workers, time", f"{wall['2017'] / wall['ours, 2 workers']:.1f}", "ratio", ""),
        ("ours with 2 workers / dd, time", f"{wall['ours, 2 workers'] / wall['dd']:.1f}", "ratio", ""),
        (f"2017: peak memory, {args.images:,} images", f"{peak['2017']:.0f}", "MB", ""),
        (f"ours: peak memory, {args.images:,} images", f"{peak['ours, 2 workers']:.0f}", "MB", ""),
        (f"ours: peak memory, {args.many:,} images", f"{most:.0f}", "MB", "< 1000"),
    ]
    record.write("pack", rows)


if __name__ == "__main__":
    main()
