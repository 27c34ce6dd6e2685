"""Write and read the crops that stages exchange: lossless PNG with the photograph's geometry in a text chunk."""

import json
import struct
import zlib

import numpy as np
from PIL import Image

from eyenet.photo.decode import open_photograph
from eyenet.photo.pages import split_page
from eyenet.run.errors import PhotoError

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode_png(pixels, geometry=None):
    """Encode an image as PNG with a fixed filter and run-length compression.

    Hand-written because Pillow tries every filter on every row: 2.6 times as slow, a tenth of the resize stage, for a
    file 5 % smaller.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
    geometry : dict, optional
        Stored in the file's text chunk `eyenet`.

    Returns
    -------
    bytes

    References
    ----------
    .. [1] ISO/IEC 15948, Portable Network Graphics.
    """
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, 3 * width)
    filtered = np.full((height, 3 * width + 1), 2, np.uint8)  # each row starts with its filter; 2: minus the row above
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]  # 8 bits, RGB
    if geometry is not None:
        chunks.append((b"tEXt", b"eyenet\0" + json.dumps(geometry).encode("ascii")))
    chunks += [(b"IDAT", packer.compress(filtered) + packer.flush()), (b"IEND", b"")]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def read_crop(path):
    """Read an image written by a stage.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)

    Raises
    ------
    PhotoError
        If the file is damaged.
    """
    return np.asarray(open_photograph(path)[0])


def read_stamp(path):
    """Read what resize_images.py stored in a PNG, if a file is one; an empty dict for every other file."""
    file, page = split_page(path)
    try:
        with open(file, "rb") as opened:
            is_png = opened.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return {}
    known = read_geometry(file) if is_png and page is None else {}
    return known if isinstance(known, dict) else {}


def read_geometry(path):
    """Read the geometry stored by `encode_png`; an empty dict if there is none or the file is damaged."""
    try:
        with Image.open(path) as image:
            return json.loads(image.info.get("eyenet", "{}"))
    except (OSError, SyntaxError, ValueError):
        return {}


class Crops:
    """The crops in a folder, read by rows like an array; a damaged crop is read as a black one."""

    def __init__(self, folder, names):
        self.paths = np.array([str(folder / f"{name}.png") for name in names])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, rows):
        return [_crop_or_black(path) for path in self.paths[rows]]


def _crop_or_black(path):
    try:
        return read_crop(path)
    except PhotoError:
        return np.zeros((64, 64, 3), np.uint8)
