"""Writing a packed array block by block, so that memory does not grow with it."""

import os
import shutil

import numpy as np

from eyenet.data.array import checksum
from eyenet.data.shards import shard_files
from eyenet.data.tables import write_table
from eyenet.photo.png import read_crop
from eyenet.run.errors import PhotoError, StageError, log
from eyenet.run.files import sha256, whole_file, write_json


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
    remove_images(path.parent)
    need = int(np.prod(shape))
    require_space(path.parent, shape, have=path.stat().st_blocks * 512 if path.exists() else 0)
    if not keep:
        np.lib.format.open_memmap(path, "w+", np.uint8, shape).flush()
    offset = np.load(path, mmap_mode="r").offset
    file = os.open(path, os.O_RDWR)
    if hasattr(os, "posix_fallocate"):  # a full disk shows now and not in the middle
        os.posix_fallocate(file, 0, offset + need)
    return file, offset


def remove_images(folder, keep=()):
    """Remove the images of another array, but for some names: their space is needed."""
    for path in [folder / "X.npy", *folder.glob("X-*.npy")]:
        if path.name not in keep:
            path.unlink(missing_ok=True)


def require_space(folder, shape, have=0):
    """Raise a StageError if the disk lacks the space for images of a shape, of which it has so many bytes already."""
    need = int(np.prod(shape))
    have += shutil.disk_usage(folder).free
    log(f"{shape[0]:,} images need {need / 1e9:.2f} GB; {have / 1e9:.2f} GB are free")
    if need > have:
        raise StageError(
            f"the array needs {need / 1e9:.2f} GB and {folder} has {have / 1e9:.2f} GB free; make room, or "
            "give an --output on another disk"
        )


def write_images(path, shape, blocks):
    """Write a .npy file from one end to the other, whole or not at all; return the checksum of each block.

    Parameters
    ----------
    path : Path
    shape : sequence of int
    blocks : iterable of ndarray of uint8
        One after the other; a generator keeps memory at one block.
    """
    checksums = []
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(memoryview(np.ascontiguousarray(block)).cast("B"))
            checksums.append(checksum(block))
    return checksums


def first_shape(paths):
    """Take the shape of the first image that can be read."""
    for path in paths:
        try:
            return read_crop(path).shape
        except PhotoError:
            continue
    raise StageError("none of the images in the table can be read; run rotate_images.py again")


def write_sidecar(folder, table, shape, settings, checksums, shard_size=None):
    """Write what proves an array whole: labels.csv, and X.json last, without which `open_array` refuses it.

    Parameters
    ----------
    folder : Path
        Holds the finished X.npy or shards.
    table : DataFrame
        Row i describes image i.
    shape : sequence of int
        Of the array.
    settings : dict
        Of the stages that made the images.
    checksums : list of str
        Of each block of images.
    shard_size : int, optional
        Images of each shard but the last; default: there is one X.npy.
    """
    write_table(folder / "labels.csv", table)
    labels = sha256(folder / "labels.csv")
    sidecar = {"shape": list(shape), "settings": settings, "labels": labels, "checksums": checksums}
    if shard_size is not None:
        sidecar |= {"shard_size": shard_size, "shards": [name for name, *_ in shard_files(shape[0], shard_size)]}
    write_json(folder / "X.json", sidecar)
