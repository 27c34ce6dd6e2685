"""The resize stage against the floor of JPEG decoding, the recipe of 2017 and OpenCV; and its fidelity.

    python benchmarks/resize.py --data FOLDER      FOLDER/train/*.jpeg, whole camera photographs

CPU time per photograph. Each way lives in a process of its own, as the stage does; all are asked in turn for each
photograph, --repeat times, and the median of the ratios of neighbours counts.
The floor is `djpeg -scale 1/8` of libjpeg-turbo: whatever is done with a JPEG, its entropy code must be decoded.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median

import numpy as np
import record

from eyenet.crops import read_geometry
from eyenet.photo import inside_circle, open_photograph, photograph_to_input
from resize_images import resize


def floor(path, folder):
    """Decode at an eighth with libjpeg-turbo's own program; CPU seconds of the process."""
    process = subprocess.Popen(["djpeg", "-scale", "1/8", "-outfile", "/dev/null", path])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, path
    return usage.ru_utime + usage.ru_stime


def cpu_seconds(function, path, folder):
    """Run a way of making the crop and give its CPU seconds; called in that way's own process."""
    if function is floor:
        return floor(path, folder)
    begun = time.process_time()
    function(path, folder)
    return time.process_time() - begun


def ours(path, folder):
    """Run the stage's own function, file to file."""
    target = folder / "ours.png"
    target.unlink(missing_ok=True)
    resize(path, target, 256)


def recipe_of_2017(path, folder):
    """Do as the EyeNet of 2017: read all, cut 1800 px out of the middle, resize with the defaults, save."""
    from skimage import io, transform, util

    image = io.imread(path)
    top, left = max(0, image.shape[0] // 2 - 900), max(0, image.shape[1] // 2 - 900)
    small = transform.resize(image[top : top + 1800, left : left + 1800], (256, 256))
    io.imsave(folder / "2017.jpeg", util.img_as_ubyte(small), check_contrast=False)


def opencv(path, folder):
    """Decode in full, cut the same square, average by area, save as PNG, all with OpenCV."""
    import cv2

    image = cv2.imread(str(path))
    geometry = read_geometry(folder / "ours.png")
    x, y, r = (round(geometry[k]) for k in ("center_x", "center_y", "radius"))
    pad = max(0, r - x, r - y, x + r - image.shape[1], y + r - image.shape[0])
    image = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    square = image[y - r + pad : y + r + pad, x - r + pad : x + r + pad]
    cv2.imwrite(str(folder / "cv.png"), cv2.resize(square, (256, 256), interpolation=cv2.INTER_AREA))


def area_weights(begin, width, pixels, size):
    """Weights (size, pixels) of an exact area average of [begin, begin + width) into `size` cells."""
    edges = begin + width * np.arange(size + 1) / size
    cell = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], cell + 1) - np.maximum(edges[:-1, None], cell)
    return np.maximum(overlap, 0) * size / width


def psnr(path):
    """Compare with a full decode and an exact area average of the same circle; dB over the pixels inside it."""
    crop, geometry = photograph_to_input(path)
    image, _, _ = open_photograph(path)
    x, y, r = (geometry[k] for k in ("center_x", "center_y", "radius"))
    pixels = np.asarray(image, np.float32)
    rows, columns = area_weights(y - r, 2 * r, len(pixels), 256), area_weights(x - r, 2 * r, pixels.shape[1], 256)
    exact = np.einsum("ih,hwc,jw->ijc", rows, pixels, columns, optimize=True)
    error = (exact - crop)[inside_circle(256)]
    return 10 * np.log10(255**2 / (error**2).mean())


def stage_seconds(folder, workers, count, output):
    """Run the stage on `count` photographs (under new names) in a process of its own; wall seconds and peak MB."""
    source = output / f"source{count}"
    if not source.exists():
        source.mkdir()
        photographs = sorted(folder.glob("*.jpeg"))
        for i in range(count):
            shutil.copy(photographs[i % len(photographs)], source / f"{i}_left.jpeg")
    target = output / "resized"
    shutil.rmtree(target, ignore_errors=True)
    script = [sys.executable, str(record.REPO / "resize_images.py"), "--input", source, "--output", target]
    begun = time.perf_counter()
    process = subprocess.Popen([*script, "--workers", str(workers)], stdout=subprocess.DEVNULL)
    peak = record.watch(process)
    assert process.returncode == 0
    return time.perf_counter() - begun, peak


def main():
    args = record.parse(__doc__).parse_args()
    folder = args.data / "train"
    paths = sorted(folder.glob("*.jpeg"))
    ways = {"djpeg": floor, "ours": ours, "OpenCV": opencv, "2017": recipe_of_2017}
    with tempfile.TemporaryDirectory() as name:
        output = Path(name)
        times = {way: [] for way in ways}
        pools = {way: ProcessPoolExecutor(1, get_context("spawn")) for way in ways}
        for path in paths[:1] + args.repeat * paths:  # the first, cold, does not count
            for way, function in ways.items():
                times[way].append(pools[way].submit(cpu_seconds, function, path, output).result())
        times = {way: taken[1:] for way, taken in times.items()}
        for pool in pools.values():
            pool.shutdown()
        ratios = {way: median(a / b for a, b in zip(times[way], times["djpeg"])) for way in ways}
        fidelity = [psnr(path) for path in paths]
        speedups = []
        for _ in range(args.repeat):
            one, two = (stage_seconds(folder, workers, 400, output)[0] for workers in (1, 2))
            speedups.append(one / two)
        memory = [stage_seconds(folder, 2, count, output)[1] for count in (40, 160, 640)]
    rows = [(f"{way}: CPU per photograph, median", f"{median(times[way]) * 1e3:.1f}", "ms", "") for way in ways]
    rows += [
        ("ours / djpeg -scale 1/8", f"{ratios['ours']:.2f}", "ratio", "<= 1.6"),
        ("OpenCV / djpeg -scale 1/8", f"{ratios['OpenCV']:.2f}", "ratio", ""),
        ("2017 / ours", f"{median(a / b for a, b in zip(times['2017'], times['ours'])):.1f}", "ratio", ">= 15"),
        ("PSNR against full decode and exact area average, mean", f"{mean(fidelity):.1f}", "dB", ">= 50"),
        ("PSNR against full decode and exact area average, least", f"{min(fidelity):.1f}", "dB", ">= 50"),
        ("2 workers / 1 worker, rate of the whole stage, median", f"{median(speedups):.2f}", "ratio", ">= 1.8"),
    ]
    rows += [
        (f"peak memory, {n} photographs, 2 workers", f"{m:.0f}", "MB", "flat") for n, m in zip((40, 160, 640), memory)
    ]
    record.write("resize", rows)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=UserWarning)
    main()
