"""Compare the rotate stage's function with reading and writing alone, OpenCV and the method of 2017; for suite.py.

Measures CPU time for one photograph with retinopathy: the mirror image and four rotations. All ways run in turn in this
process.
"""

import shutil
from importlib.util import find_spec

import numpy as np
import record

from benchmarks.materials import drawing
from eyenet.data.copies import ANY_DR
from eyenet.photo.png import encode_png, read_crop
from rotate_images import copy_photograph

COPIES = ANY_DR[1:]


def ours(source, folder):
    """Run the stage's own function, file to files."""
    copy_photograph(source, {name: folder / f"{name}.png" for name in ANY_DR})


def files_alone(source, folder):
    """Read the photograph and write it once per copy, without rotation."""
    pixels = read_crop(source)
    for name in COPIES:
        (folder / f"{name}.png").write_bytes(encode_png(pixels))


def opencv(source, folder):
    """Do the same with OpenCV, with its fastest PNG compression."""
    import cv2

    image = cv2.imread(str(source))
    middle = (127.5, 127.5)
    turned = [
        cv2.flip(image, 1),
        cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
        cv2.warpAffine(image, cv2.getRotationMatrix2D(middle, 120, 1), (256, 256), flags=cv2.INTER_CUBIC),
        cv2.rotate(image, cv2.ROTATE_180),
        cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    ]
    for name, copy in zip(COPIES, turned):
        cv2.imwrite(str(folder / f"{name}.png"), copy, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def way_of_2017(source, folder):
    """Make copies as the EyeNet of 2017: each with scikit-image, from the file, saved as JPEG."""
    from skimage import io, transform, util

    for name in COPIES:
        image = io.imread(source)
        turned = image[:, ::-1] if name == "mirror" else transform.rotate(image, int(name.removeprefix("rot")))
        io.imsave(folder / f"{name}.jpeg", util.img_as_ubyte(turned), check_contrast=False)


def stage(work, table, workers):
    """Run the stage on the images of a table, made by `make_images`; return the cost."""
    output = work / "rotated"
    shutil.rmtree(output, ignore_errors=True)
    where = [
        "--input",
        table.with_suffix(""),
        "--labels",
        table,
        "--output",
        output,
        "--labels-out",
        work / "rotated.csv",
    ]
    return record.spend(*record.script("rotate_images.py", *where, "--workers", workers))


def ratios(repeat, work, quick=False):
    """Yield the ratios of our function and the others, over eight drawings."""
    ways = {"ours": ours, "files": files_alone, "2017": way_of_2017, "OpenCV": opencv}
    if quick or not find_spec("cv2"):
        del ways["OpenCV"]
        if not quick:
            record.left_out("rotate, OpenCV", "pip install -r requirements-bench.txt")
    sources = [work / f"drawing{i}.png" for i in range(8)]
    for i, source in enumerate(sources):
        source.write_bytes(encode_png(drawing(i)))
    taken = {way: [] for way in ways}
    for source in sources[:1] + repeat * sources:  # the first, cold run is not counted
        for way, function in ways.items():
            folder = work / "copies"
            folder.mkdir()
            taken[way].append(record.cpu_seconds(function, source, folder))
            shutil.rmtree(folder)
    taken = {way: np.array(seconds[1:]) for way, seconds in taken.items()}
    yield record.Ratio(
        "rotate: ours / reading and writing alone, CPU", record.beside(taken["ours"], taken["files"]), "less"
    )
    yield record.Ratio("rotate: the way of 2017 / ours, CPU", record.beside(taken["2017"], taken["ours"]), "more")
    if "OpenCV" in taken:
        yield record.Ratio("rotate: OpenCV / ours, CPU", record.beside(taken["OpenCV"], taken["ours"]), "more")
