"""The packed array: X.npy or its shards, labels.csv, and the sidecar X.json with their checksums."""

import math
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from eyenet.data.names import SPLITS, UNSEEN
from eyenet.data.shards import IMAGES_PER_BLOCK, Shards, shard_files
from eyenet.data.tables import read_table
from eyenet.run.errors import StageError
from eyenet.run.files import read_json, sha256, sha256_text
from eyenet.run.workers import cores, for_each

COLUMNS = ["image", "patient", "eye", "level", "split", "transform"]


def checksum(images):
    """Return the CRC-32 of an array's bytes as eight hexadecimal digits."""
    return f"{zlib.crc32(np.ascontiguousarray(images)):08x}"


def content_hash(sidecar):
    """Hash the images and the table of an array; the same for one file and for shards."""
    return sha256_text("".join([sidecar["labels"], *sidecar["checksums"]]))


def open_array(folder, needed_rows=None):
    """Open a packed array without loading it into memory, after verifying its checksums.

    Parameters
    ----------
    folder : path-like
        Holds X.npy or its shards, labels.csv and X.json.
    needed_rows : callable, optional
        From the result of `rows_by_split`, returns the rows that will be read. If given, only the shards that hold them
        must be there, and only their blocks are verified. An array in one file is verified completely.

    Returns
    -------
    images : numpy.memmap, or eyenet.data.shards.Shards, of uint8, shape (n, size, size, 3)
        Read-only.
    table : DataFrame
        Row i describes image i; columns image, patient, eye, level, split, transform.
    sidecar : dict
        X.json; `settings` are those of all stages that made the images.

    Raises
    ------
    StageError
        If a file is missing, incomplete, damaged, or does not belong to the others.
    """
    folder = Path(folder)
    again = f"run image_to_array.py --output {folder} again"
    if not folder.is_dir():
        raise StageError(f"there is no folder {folder}; run image_to_array.py first")
    sidecar = read_json(folder / "X.json")
    if sidecar is None or not sidecar.keys() >= {"shape", "settings", "labels", "checksums"}:
        raise StageError(f"{folder} has no complete X.json, so its array is not finished; {again}")
    table = read_table(folder / "labels.csv", COLUMNS, "image_to_array.py")
    if sha256(folder / "labels.csv") != sidecar["labels"] or [len(table)] != sidecar["shape"][:1]:
        raise StageError(f"{folder / 'labels.csv'} is not the table that the array was packed with; {again}")
    blocks = np.arange(math.ceil(len(table) / IMAGES_PER_BLOCK))
    if len(sidecar["checksums"]) != len(blocks):
        raise StageError(f"{folder / 'X.json'} is damaged; {again}")
    if needed_rows is not None and "shard_size" in sidecar:
        blocks = np.unique(needed_rows(rows_by_split(table, sidecar["settings"])) // IMAGES_PER_BLOCK)
    files = shard_files(len(table), sidecar.get("shard_size"))
    for name, first, last in files:
        if ((blocks * IMAGES_PER_BLOCK >= first) & (blocks * IMAGES_PER_BLOCK < last)).any():
            _check_file(folder / name, [last - first, *sidecar["shape"][1:]], again)
    images = map_images(folder, sidecar)
    _verify_checksums(folder, images, sidecar["checksums"], blocks, files, again)
    return images, table, sidecar


def _verify_checksums(folder, images, checksums, blocks, files, again):
    """Raise a StageError that names the file of the first block whose checksum is wrong."""
    starts = [int(block) * IMAGES_PER_BLOCK for block in blocks]
    with ThreadPoolExecutor(cores()) as pool:  # about 1 s per GB and core once the file is cached
        sums = pool.map(lambda start: checksum(images[start : start + IMAGES_PER_BLOCK]), starts)
        for start, found in zip(starts, sums):
            if found != checksums[start // IMAGES_PER_BLOCK]:
                damaged = next(name for name, first, last in files if first <= start < last)
                raise StageError(f"{folder / damaged} is damaged: its checksum is not the one in X.json; {again}")


def map_images(folder, sidecar):
    """Return the images of an array as `open_array` does, without verifying them."""
    if "shard_size" not in sidecar:
        return np.load(Path(folder) / "X.npy", mmap_mode="r")
    count, *shape = sidecar["shape"]
    files = shard_files(count, sidecar["shard_size"])
    return Shards([Path(folder) / name for name, *_ in files], [last - first for _, first, last in files], shape)


def _check_file(path, shape, again):
    """Raise a StageError unless a file of an array can be read and has the expected shape."""
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise StageError(f"{path.parent} has no {path.name}; {again}") from None
    except (ValueError, EOFError):  # NumPy's advice is to load it unsafely
        raise StageError(f"{path} is damaged or incomplete; {again}") from None
    if list(images.shape) != shape or images.dtype != np.uint8:
        raise StageError(f"{path} has shape {images.shape}, not {shape} of uint8; {again}")


def map_blocks(function, images, rows, what):
    """Apply a function to the images of some rows, in blocks of 64 on all cores.

    Parameters
    ----------
    function : callable
        Takes images of shape (m, size, size, 3) and returns an array of m rows.
    images : array of uint8, shape (n, size, size, 3)
        May be a memory map.
    rows : ndarray of int
        At least one.
    what : str or None
        Name of the work in the progress line; see `eyenet.run.workers.for_each`.

    Returns
    -------
    ndarray
        The rows that the function returned, one for each of `rows`.
    """
    blocks = [rows[first : first + IMAGES_PER_BLOCK] for first in range(0, len(rows), IMAGES_PER_BLOCK)]
    work = for_each(lambda block: function(images[block]), blocks, cores(), what, f"x{IMAGES_PER_BLOCK} img")
    return np.concatenate([found for _, found in work])


def rows_by_split(table, settings, training="all"):
    """Select the rows of each split that are used: all images for training, originals for validation and test.

    In an array of the 2017 protocol every row is used, as that protocol did.

    Parameters
    ----------
    table : DataFrame
        The array's table, as from `open_array`.
    settings : dict
        Settings of the array's sidecar.
    training : {'all', 'originals'}
        Rows for training: with the copies, or without.

    Returns
    -------
    dict of str to ndarray of int
        Ascending rows of `train`, `val`, `test`, and of `unseen` if the table has it.
    """
    copies = (table["split"] == "train") & (training == "all")
    used = (table["transform"] == "original") | copies | (settings.get("protocol") == "2017")
    splits = [*SPLITS, *({UNSEEN} & set(table["split"]))]
    return {split: np.flatnonzero((table["split"] == split) & used) for split in splits}
