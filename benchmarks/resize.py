"""Compare the resize stage with JPEG decoding alone, the recipe of 2017, OpenCV and pyvips, and measure its fidelity.

    python benchmarks/resize.py --data FOLDER      FOLDER/train/*.jpeg, whole camera photographs

Measures CPU time per photograph. Each way runs in a separate process, as the stage does; all run in turn on each
photograph, --repeat times, and the median of the pairwise ratios is reported.
The lower bound is `djpeg -scale 1/8` of libjpeg-turbo, because the entropy code of a JPEG must always be decoded.
Memory and workers are in growth.py.
"""

import os
import shutil
import subprocess
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median

import numpy as np
import record
from PIL import Image

from eyenet.photo.decode import open_photograph
from eyenet.photo.png import read_geometry
from eyenet.photo.retina import inside_circle, photograph_to_input
from resize_images import resize


def djpeg(path, folder):
    """Decode at 1/8 scale with libjpeg-turbo's djpeg; CPU seconds of the process."""
    process = subprocess.Popen(["djpeg", "-scale", "1/8", "-outfile", "/dev/null", path])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, path
    return usage.ru_utime + usage.ru_stime


def cpu_seconds(function, path, folder):
    """Make the crop in one way and return the CPU seconds; called in a process for this way."""
    return djpeg(path, folder) if function is djpeg else record.cpu_seconds(function, path, folder)


def decode_alone(path, folder):
    """Decode at 1/8 scale with Pillow."""
    with Image.open(path) as image:
        image.draft("RGB", (image.width // 8, image.height // 8))
        image.load()


def ours(path, folder):
    """Run the stage's own function, file to file."""
    target = folder / "ours.png"
    target.unlink(missing_ok=True)
    resize(path, target, 256)


def recipe_of_2017(path, folder):
    """Process a photograph as the EyeNet of 2017: read, crop the central 1800 px, resize with the defaults, save."""
    from skimage import io, transform, util

    image = io.imread(path)
    top, left = max(0, image.shape[0] // 2 - 900), max(0, image.shape[1] // 2 - 900)
    small = transform.resize(image[top : top + 1800, left : left + 1800], (256, 256))
    io.imsave(folder / "2017.jpeg", util.img_as_ubyte(small), check_contrast=False)


def square(folder):
    """Return centre and radius of the circle that our stage found, in whole pixels of the photograph."""
    geometry = read_geometry(folder / "ours.png")
    return (round(geometry[k]) for k in ("center_x", "center_y", "radius"))


def opencv(path, folder):
    """Decode in full, crop the same square, average by area, save as PNG, all with OpenCV."""
    import cv2

    image = cv2.imread(str(path))
    x, y, r = square(folder)
    pad = max(0, r - x, r - y, x + r - image.shape[1], y + r - image.shape[0])
    image = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    cut = image[y - r + pad : y + r + pad, x - r + pad : x + r + pad]
    cv2.imwrite(str(folder / "cv.png"), cv2.resize(cut, (256, 256), interpolation=cv2.INTER_AREA))


def vips(path, folder):
    """Decode at the scale that libvips chooses, crop the same square, save as PNG, all with libvips."""
    import pyvips

    pyvips.cache_set_max(0)  # otherwise the photograph is cached
    x, y, r = square(folder)
    width = pyvips.Image.new_from_file(str(path)).width
    small = pyvips.Image.thumbnail(str(path), round(width * 128 / r), height=10_000_000)
    scale = small.width / width
    small = small.embed(256, 256, small.width + 512, small.height + 512)  # black where the circle is cut off
    cut = small.crop(round((x - r) * scale) + 256, round((y - r) * scale) + 256, 256, 256)
    cut.write_to_file(str(folder / "vips.png"), compression=1)


WAYS = {
    "decoding alone": decode_alone,
    "djpeg": djpeg,
    "ours": ours,
    "2017": recipe_of_2017,
    "OpenCV": opencv,
    "pyvips": vips,
}
PEERS = ("djpeg", "OpenCV", "pyvips")
RIM = 0.02  # of the radius: the outermost pixels of a crop, whose fidelity is reported apart


def area_weights(begin, width, pixels, size):
    """Weights (size, pixels) of an exact area average of [begin, begin + width) into `size` cells."""
    edges = begin + width * np.arange(size + 1) / size
    cell = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], cell + 1) - np.maximum(edges[:-1, None], cell)
    return np.maximum(overlap, 0) * size / width


def psnr(path):
    """Compare with a full decode and an exact area average of the same circle.

    Returns
    -------
    inside, rim : float
        dB over the pixels inside the circle, and over those in the outermost RIM of its radius.
    """
    crop, geometry = photograph_to_input(path)
    image, _, _ = open_photograph(path)
    x, y, r = (geometry[k] for k in ("center_x", "center_y", "radius"))
    pixels = np.asarray(image, np.float32)
    rows, columns = area_weights(y - r, 2 * r, len(pixels), 256), area_weights(x - r, 2 * r, pixels.shape[1], 256)
    exact = np.einsum("ih,hwc,jw->ijc", rows, pixels, columns, optimize=True)
    offset = np.arange(256) + 0.5 - 128
    rim = inside_circle(256) & (offset[:, None] ** 2 + offset**2 > (128 * (1 - RIM)) ** 2)
    return tuple(10 * np.log10(255**2 / ((exact - crop)[where] ** 2).mean()) for where in (inside_circle(256), rim))


def time_ways(paths, work, repeat, peers=True):
    """Make the crop of every photograph in every way; return CPU seconds by way, in the same order.

    Parameters
    ----------
    paths : list of Path
    work : Path
        Folder for the output of the ways.
    repeat : int
    peers : bool
        Also run the peers that are not in requirements.txt; those that are not installed are left out.
    """
    missing = {way: why for way, why in missing_peers().items() if why}
    for way, why in missing.items() if peers else ():
        record.left_out(f"resize, {way}", why)
    ways = {way: make for way, make in WAYS.items() if way not in missing and (peers or way not in PEERS)}
    times = {way: [] for way in ways}
    pools = {way: record.one_process(quiet) for way in ways}
    try:
        for path in paths[:1] + repeat * paths:  # the first, cold run is not counted
            for way, function in ways.items():
                times[way].append(pools[way].submit(cpu_seconds, function, path, work).result())
    finally:
        for pool in pools.values():
            pool.shutdown()
    return {way: taken[1:] for way, taken in times.items()}


def missing_peers():
    """Map each peer that cannot run to the reason."""
    pip = "pip install -r requirements-bench.txt"
    return {
        "djpeg": None if shutil.which("djpeg") else "install libjpeg-turbo-progs",
        "OpenCV": None if find_spec("cv2") else pip,
        "pyvips": None if find_spec("pyvips") else pip,
    }


def quiet():
    """Suppress scikit-image's warnings."""
    warnings.filterwarnings("ignore", category=UserWarning)


def ratios(times):
    """Yield the ratios of our stage to the lower bounds, and of the peers to our stage; medians of pairwise ratios."""
    for floor in ("decoding alone", "djpeg"):
        if floor in times:
            name = "djpeg -scale 1/8" if floor == "djpeg" else "Pillow, decoding at 1/8 alone"
            yield record.Ratio(f"resize: ours / {name}, CPU", record.beside(times["ours"], times[floor]), "less")
    for peer, name in (("2017", "the recipe of 2017"), ("OpenCV", "OpenCV"), ("pyvips", "pyvips")):
        if peer in times:
            yield record.Ratio(f"resize: {name} / ours, CPU", record.beside(times[peer], times["ours"]), "more")


def main():
    args = record.parse(__doc__).parse_args()
    paths = sorted((args.data / "train").glob("*.jpeg"))
    with tempfile.TemporaryDirectory() as name:
        times = time_ways(paths, Path(name), args.repeat)
    fidelity, rim = zip(*[psnr(path) for path in paths])
    rows = [
        (f"{way}: CPU per photograph, median", f"{median(taken) * 1e3:.1f}", "ms", "") for way, taken in times.items()
    ]
    asked = {"resize: ours / djpeg -scale 1/8, CPU": "<= 1.5", "resize: the recipe of 2017 / ours, CPU": ">= 15"}
    rows += [(name, f"{value:.2f}", "ratio", asked.get(name, "")) for name, value, _ in ratios(times)]
    rows += [
        ("PSNR against full decode and exact area average, mean", f"{mean(fidelity):.1f}", "dB", ">= 50"),
        ("PSNR against full decode and exact area average, least", f"{min(fidelity):.1f}", "dB", ">= 50"),
        (f"the same, outermost {100 * RIM:g} % of the radius, least", f"{min(rim):.1f}", "dB", ">= 50"),
    ]
    record.write("resize", rows, ("opencv-python-headless", "pyvips"))


if __name__ == "__main__":
    main()
