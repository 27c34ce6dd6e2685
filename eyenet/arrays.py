"""The packed array: X.npy, labels.csv and the sidecar X.json that proves them whole."""

import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from eyenet.files import read_json
from eyenet.names import SPLITS, UNSEEN
from eyenet.stage import StageError, cores, for_each
from eyenet.tables import read_table

BLOCK = 64  # images that are read, checksummed and written at a time: 12.6 MB at 256 px
COLUMNS = ["image", "patient", "eye", "level", "split", "transform"]


def checksum(images):
    """Compute the CRC-32 of an array's bytes, as eight hexadecimal digits."""
    return f"{zlib.crc32(np.ascontiguousarray(images)):08x}"


def content_hash(sidecar):
    """Hash what an array holds, images and table: equal for equal arrays, wherever and whenever they were packed."""
    return hashlib.sha256("".join([sidecar["labels"], *sidecar["checksums"]]).encode()).hexdigest()


def file_hash(path):
    """Compute the SHA-256 of a small file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def open_array(folder):
    """Open a packed array, without loading it, after checking every byte against its sidecar.

    Parameters
    ----------
    folder : path-like
        Holds X.npy, labels.csv and X.json.

    Returns
    -------
    images : numpy.memmap of uint8, shape (n, size, size, 3)
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
    try:
        images = np.load(folder / "X.npy", mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise StageError(f"{folder} has no X.npy; {again}") from None
    except (ValueError, EOFError) as error:
        raise StageError(f"{folder / 'X.npy'} is damaged or half-written ({error}); {again}") from None
    table = read_table(folder / "labels.csv", COLUMNS, "image_to_array.py")
    if file_hash(folder / "labels.csv") != sidecar["labels"] or len(table) != len(images):
        raise StageError(f"{folder / 'labels.csv'} is not the table that X.npy was packed with; {again}")
    if list(images.shape) != sidecar["shape"] or images.dtype != np.uint8:
        raise StageError(f"{folder / 'X.npy'} has shape {images.shape}, not {sidecar['shape']} of uint8; {again}")
    starts = range(0, len(images), BLOCK)
    with ThreadPoolExecutor(cores()) as pool:  # about a second per gigabyte and core once the file is cached
        sums = list(pool.map(lambda i: checksum(images[i : i + BLOCK]), starts))
    if sums != sidecar["checksums"]:
        raise StageError(f"{folder / 'X.npy'} is damaged: its checksum is not the one in X.json; {again}")
    return images, table, sidecar


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
        Word for the progress line, as in `eyenet.stage.for_each`.

    Returns
    -------
    ndarray
        The function's rows, one for each of `rows`.
    """
    blocks = [rows[first : first + BLOCK] for first in range(0, len(rows), BLOCK)]
    work = for_each(lambda block: function(images[block]), blocks, cores(), what, f"x{BLOCK} img")
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
