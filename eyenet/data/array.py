"""The packed array: X.npy or its shards, labels.csv, and the sidecar X.json that proves them whole."""

import hashlib
import math
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from eyenet.data.names import SPLITS, UNSEEN
from eyenet.data.shards import IMAGES_PER_BLOCK, Shards, shard_files
from eyenet.data.shuffling import own_rows
from eyenet.data.tables import read_table
from eyenet.run.errors import StageError
from eyenet.run.files import read_json, sha256
from eyenet.run.workers import cores, for_each

COLUMNS = ["image", "patient", "eye", "level", "split", "transform"]


def checksum(images):
    """Compute the CRC-32 of an array's bytes, as eight hexadecimal digits."""
    return f"{zlib.crc32(np.ascontiguousarray(images)):08x}"


def content_hash(sidecar):
    """Hash what an array holds, images and table: equal for equal arrays, in one file or in shards."""
    return hashlib.sha256("".join([sidecar["labels"], *sidecar["checksums"]]).encode()).hexdigest()


def open_array(folder, part=(0, 1)):
    """Open a packed array, without loading it, after checking every byte against its sidecar.

    Parameters
    ----------
    folder : path-like
        Holds X.npy or its shards, labels.csv and X.json.
    part : (int, int)
        Number of this host and number of hosts: of several, each checks only the blocks of its own rows for training
        (`eyenet.data.shuffling.own_rows`), the first those of the other splits too, and needs only the shards that they
        are in. An array in one file is checked whole.

    Returns
    -------
    images : numpy.memmap, or eyenet.data.shards.Shards, of uint8, shape (n, size, size, 3)
        Read-only.
    table : DataFrame
        Row i describes image i; columns image, patient, eye, level, split, transform.
    sidecar : dict
        `settings` are those of all the stages that made the images.

    Raises
    ------
    StageError
        If a file is missing, half-written, damaged, or does not belong to the others.
    """
    folder = Path(folder)
    again = f"run image_to_array.py --output {folder} again"
    if not folder.is_dir():
        raise StageError(f"there is no folder {folder}; image_to_array.py makes it")
    sidecar = read_json(folder / "X.json")
    if sidecar is None or not sidecar.keys() >= {"shape", "settings", "labels", "checksums"}:
        raise StageError(f"{folder} has no whole X.json, so its array is not finished; {again}")
    table = read_table(folder / "labels.csv", COLUMNS, "image_to_array.py")
    if sha256(folder / "labels.csv") != sidecar["labels"] or [len(table)] != sidecar["shape"][:1]:
        raise StageError(f"{folder / 'labels.csv'} is not the table that the array was packed with; {again}")
    blocks = np.arange(math.ceil(len(table) / IMAGES_PER_BLOCK))
    if len(sidecar["checksums"]) != len(blocks):
        raise StageError(f"{folder / 'X.json'} is damaged; {again}")
    if part != (0, 1) and "shard_size" in sidecar:
        rows = rows_by_split(table, sidecar["settings"])
        others = [of_split for split, of_split in rows.items() if split != "train" and part[0] == 0]
        blocks = np.unique(np.concatenate([own_rows(rows["train"], part), *others]) // IMAGES_PER_BLOCK)
    files = shard_files(len(table), sidecar.get("shard_size"))
    for name, first, last in files:
        if ((blocks * IMAGES_PER_BLOCK >= first) & (blocks * IMAGES_PER_BLOCK < last)).any():
            _check_file(folder / name, [last - first, *sidecar["shape"][1:]], again)
    images = map_images(folder, sidecar)
    starts = [int(block) * IMAGES_PER_BLOCK for block in blocks]
    with ThreadPoolExecutor(cores()) as pool:  # about a second per gigabyte and core once the file is cached
        sums = pool.map(lambda start: checksum(images[start : start + IMAGES_PER_BLOCK]), starts)
        for start, found in zip(starts, sums):
            if found != sidecar["checksums"][start // IMAGES_PER_BLOCK]:
                damaged = next(name for name, first, last in files if first <= start < last)
                raise StageError(f"{folder / damaged} is damaged: its checksum is not the one in X.json; {again}")
    return images, table, sidecar


def map_images(folder, sidecar):
    """Map the images of an array, as `open_array` gives them, without any check."""
    if "shard_size" not in sidecar:
        return np.load(Path(folder) / "X.npy", mmap_mode="r")
    count, *shape = sidecar["shape"]
    files = shard_files(count, sidecar["shard_size"])
    return Shards([Path(folder) / name for name, *_ in files], [last - first for _, first, last in files], shape)


def _check_file(path, shape, again):
    """Raise a StageError unless a file of an array is of its shape."""
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise StageError(f"{path.parent} has no {path.name}; {again}") from None
    except (ValueError, EOFError) as error:
        raise StageError(f"{path} is damaged or half-written ({error}); {again}") from None
    if list(images.shape) != shape or images.dtype != np.uint8:
        raise StageError(f"{path} has shape {images.shape}, not {shape} of uint8; {again}")


def map_blocks(function, images, rows, what):
    """Apply a function to the images of some rows, 64 at a time on all cores.

    Parameters
    ----------
    function : callable
        Takes images (m, size, size, 3) and gives an array of m rows.
    images : array of uint8, shape (n, size, size, 3)
        May be a memory map.
    rows : ndarray of int
        At least one.
    what : str or None
        Word for the progress line, as in `eyenet.run.workers.for_each`.

    Returns
    -------
    ndarray
        The function's rows, one for each of `rows`.
    """
    blocks = [rows[first : first + IMAGES_PER_BLOCK] for first in range(0, len(rows), IMAGES_PER_BLOCK)]
    work = for_each(lambda block: function(images[block]), blocks, cores(), what, f"x{IMAGES_PER_BLOCK} img")
    return np.concatenate([found for _, found in work])


def rows_by_split(table, settings):
    """Choose the rows of each split that are used: all images to train on, originals only to validate and test.

    An array that was built by the protocol of 2017 is used as that protocol did: every row, whatever its copies.

    Parameters
    ----------
    table : DataFrame
        As `open_array` gives it.
    settings : dict
        Of the array's sidecar.

    Returns
    -------
    dict of str to ndarray of int
        Ascending rows of `train`, `val`, `test`, and `unseen` where the table has it.
    """
    used = (table["transform"] == "original") | (table["split"] == "train") | (settings.get("protocol") == "2017")
    splits = [*SPLITS, *({UNSEEN} & set(table["split"]))]
    return {split: np.flatnonzero((table["split"] == split) & used) for split in splits}
