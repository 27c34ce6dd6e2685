"""Writing a packed array at its places in the file, so that memory does not grow with it."""

import os
import shutil

import numpy as np

from eyenet.arrays import file_hash
from eyenet.crops import read_crop
from eyenet.files import write_json
from eyenet.stage import PhotoError, StageError, log
from eyenet.tables import write_table


def write_at(file, data, offset):
    """Write all of `data` at `offset`; one call to pwrite may write less."""
    data = memoryview(data).cast("B")
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


def reserve(path, shape, keep):
    """Make the file with its .npy header and all of its disk space; return its descriptor and where data begins.

    Raises
    ------
    StageError
        If the disk lacks the space.
    """
    if not keep:
        path.unlink(missing_ok=True)
    (path.parent / "X.npy").unlink(missing_ok=True)  # of other images; its space is needed
    need = int(np.prod(shape))
    have = shutil.disk_usage(path.parent).free + (path.stat().st_blocks * 512 if path.exists() else 0)
    log(f"{shape[0]:,} images need {need / 1e9:.2f} GB; {have / 1e9:.2f} GB are free")
    if need > have:
        raise StageError(
            f"the array needs {need / 1e9:.2f} GB and {path.parent} has {have / 1e9:.2f} GB free; make room, or "
            "give an --output on another disk"
        )
    if not keep:
        np.lib.format.open_memmap(path, "w+", np.uint8, shape).flush()
    offset = np.load(path, mmap_mode="r").offset
    file = os.open(path, os.O_RDWR)
    if hasattr(os, "posix_fallocate"):  # a full disk shows now and not in the middle
        os.posix_fallocate(file, 0, offset + need)
    return file, offset


def first_shape(paths):
    """Take the shape of the first image that can be read."""
    for path in paths:
        try:
            return read_crop(path).shape
        except PhotoError:
            continue
    raise StageError("none of the images in the table can be read; run rotate_images.py again")


def write_sidecar(folder, table, shape, settings, checksums):
    """Write what proves an array whole: labels.csv, and X.json last, without which `open_array` refuses it.

    Parameters
    ----------
    folder : Path
        Holds the finished X.npy.
    table : DataFrame
        Row i describes image i.
    shape : sequence of int
        Of X.npy.
    settings : dict
        Of the stages that made the images.
    checksums : list of str
        Of each block of images.
    """
    write_table(folder / "labels.csv", table)
    labels = file_hash(folder / "labels.csv")
    sidecar = {"shape": list(shape), "settings": settings, "labels": labels, "checksums": checksums}
    write_json(folder / "X.json", sidecar)
