"""Write a packed array block by block, in bounded memory."""

import os
import shutil

import numpy as np

from eyenet.data.array import checksum
from eyenet.data.shards import shard_files
from eyenet.data.tables import write_table
from eyenet.photo.png import read_crop
from eyenet.run.errors import PhotoError, StageError, log, plural
from eyenet.run.files import sha256, whole_file, write_json


def write_at(file, data, offset):
    """Write all of `data` at `offset`; a single call to pwrite may write less."""
    data = memoryview(data).cast("B")
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


def reserve(path, shape, keep):
    """Create a .npy file with its header and allocate all its disk space; return descriptor and offset of the data.

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
    if hasattr(os, "posix_fallocate"):  # a full disk fails now, not half-way
        os.posix_fallocate(file, 0, offset + need)
    return file, offset


def remove_images(folder, keep=()):
    """Remove the files of an earlier array, except those named in `keep`, to make room."""
    for path in [folder / "X.npy", *folder.glob("X-*.npy")]:
        if path.name not in keep:
            path.unlink(missing_ok=True)


def require_space(folder, shape, have=0):
    """Raise a StageError if images of a shape do not fit on the disk; `have` bytes of them are there already."""
    need = int(np.prod(shape))
    have += shutil.disk_usage(folder).free
    log(f"{plural(shape[0], 'image needs', 'images need')} {need / 1e9:.2f} GB; {have / 1e9:.2f} GB are free")
    if need > have:
        raise StageError(
            f"the array needs {need / 1e9:.2f} GB and {folder} has {have / 1e9:.2f} GB free; make room, or "
            "give an --output on another disk"
        )


def write_images(path, shape, blocks):
    """Write a .npy file sequentially, whole or not at all; return the checksum of each block.

    Parameters
    ----------
    path : Path
    shape : sequence of int
    blocks : iterable of ndarray of uint8
        The images in order; with a generator, one block is in memory at a time.
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
    """Return the shape of the first image that can be read."""
    for path in paths:
        try:
            return read_crop(path).shape
        except PhotoError:
            continue
    raise StageError("none of the images in the table can be read; run rotate_images.py again")


def write_sidecar(folder, table, shape, settings, checksums, shard_size=None):
    """Write labels.csv, and last X.json with the checksums, without which `open_array` refuses an array.

    Parameters
    ----------
    folder : Path
        Holds the finished X.npy or shards.
    table : DataFrame
        Row i describes image i.
    shape : sequence of int
        Shape of the array.
    settings : dict
        Settings of the stages that made the images.
    checksums : list of str
        One for each block of images.
    shard_size : int, optional
        Number of images in each shard but the last; by default there is one X.npy.
    """
    write_table(folder / "labels.csv", table)
    labels = sha256(folder / "labels.csv")
    sidecar = {"shape": list(shape), "settings": settings, "labels": labels, "checksums": checksums}
    if shard_size is not None:
        sidecar |= {"shard_size": shard_size, "shards": [name for name, *_ in shard_files(shape[0], shard_size)]}
    write_json(folder / "X.json", sidecar)
