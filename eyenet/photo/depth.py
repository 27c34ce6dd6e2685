"""Convert pixels of any depth to 8 bits, and alpha to black.

Cameras store 10, 12 or 14 bits in files of 16, and scientific programs floats. The scale is what the file declares, or
the range that its pixels fill. Of colour images of 16 bits, Pillow keeps the high bytes; read in the other byte order,
the low ones.
"""

import sys

import numpy as np
from PIL import Image

from eyenet.photo.metadata import significant_bits

# Tags of TIFF
BITS, PHOTOMETRIC, LARGEST, PLANES, SAMPLE_FORMAT, FLOAT_LARGEST = 258, 262, 281, 284, 339, 341
SIGNED = 2  # value of SAMPLE_FORMAT
OVERSHOOT = 2.0  # floats up to here are 0-1, with what sharpening or interpolation added
UNDERSHOOT = -0.05  # of the largest; down to here, negative floats are 0 with what such a filter added


def bits_of(largest, declared=None):
    """Number of bits that the levels of an image fill.

    Parameters
    ----------
    largest : int
        Largest level.
    declared : int, optional
        Bits that the file declares; not used if `largest` exceeds them, as in a PNG whose levels were stretched.

    Returns
    -------
    int
        At least 8.
    """
    held = max(8, int(largest).bit_length())
    return declared if declared and declared >= held else held


def to_bytes(values, declared=None):
    """Convert levels to 8 bits by dropping the lowest bits; ndarray of ints to uint8."""
    return (values.clip(0, None) >> (bits_of(values.max(), declared) - 8)).astype(np.uint8)


def floats_to_bytes(values, largest=None):
    """Convert floats to 8 bits by their range: 0-1, or 0 to the next 2^k - 1, or from a negative value to the largest.

    Parameters
    ----------
    values : ndarray of float
    largest : float, optional
        Largest level that the file declares.
    """
    values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
    low, high = float(values.min()), max(float(values.max()), largest or 0)
    if low < UNDERSHOOT * high:
        return ((values - low) * (255 / (high - low))).round().astype(np.uint8)
    top = 1 if high <= OVERSHOOT else 2 ** bits_of(int(np.ceil(high))) - 1
    return (values * (255 / top)).clip(0, 255).round().astype(np.uint8)


def load_8_bits(image, source, page=None):
    """Load an open Pillow image, and convert it to 8 bits per channel.

    Parameters
    ----------
    image : PIL.Image.Image
        Turned to its page, not loaded yet.
    source : path-like or file
        From which Pillow opened it.
    page : int, optional
        Number of the page, from 1.

    Returns
    -------
    PIL.Image.Image
        The same image if it has 8 bits, or 16 that reach the upper half.
    """
    tags = getattr(image, "tag_v2", {})
    deep = image.mode.startswith("RGB") and (16 in _several(tags.get(BITS)) or ";16" in _rawmode(image))
    mixed = "RGBa" in _rawmode(image)  # already multiplied by alpha, which is laying it over black
    if deep or mixed:
        _read_as(image, lambda mode: mode.replace("RGBa", "RGBA"), tags)
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode == "F":
            small = floats_to_bytes(values, max(_several(tags.get(FLOAT_LARGEST)), default=None))
        else:
            if 32 in _several(tags.get(BITS)) and SIGNED not in _several(tags.get(SAMPLE_FORMAT)):
                values = values.view(np.uint32)
            small = to_bytes(values, declared_bits(image, source))
        return Image.fromarray(255 - small if tags.get(PHOTOMETRIC) == 0 else small)
    if deep and max(high for _, high in image.getextrema()[:3]) < 128:
        image = _shallow(image, source, page or 1, tags)
    return image.convert("RGB") if mixed else image


def _shallow(image, source, page, tags):
    """Scale a colour image of 16 bits that does not reach the upper half; Pillow has read its high bytes only."""
    with Image.open(source) as again:
        again.seek(page - 1)
        if tags.get(PLANES, 1) == 2 and again.tile[0][0] == "libtiff":
            raise Image.UnidentifiedImageError  # here Pillow fixes the order of the bytes; tifffile reads it
        grey = "LA;" in _rawmode(again)  # of a PNG
        _read_as(again, lambda mode: "RGBA" if grey else _other_order(mode.replace("RGBa", "RGBA")), tags)
        again.load()
        low = np.asarray(again)[..., [1, 1, 1, 3] if grey else slice(None)]
    values = np.asarray(image).astype(np.uint16) << 8 | low
    small = to_bytes(values[..., :3], declared_bits(image, source))
    if values.shape[2] == 4:
        small = np.dstack([small, to_bytes(values[..., 3])])
    return Image.fromarray(small)


def _rawmode(image):
    """How Pillow will read the pixels of an open image, such as RGB;16B."""
    tiles = getattr(image, "tile", ())
    args = tiles[0][3] if tiles else ""
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _read_as(image, change, tags):
    """Change how Pillow will read the pixels; a TIFF of separate planes has one mode for each."""
    order = ";16L" if tags and tags.prefix == b"II" else ";16B"
    tiles = []
    for tile in image.tile:
        args = tile[3]
        mode = args if isinstance(args, str) else args[0]
        # Pillow forgets the depth of a plane.
        mode = change(mode + order if len(mode) == 1 and 16 in _several(tags.get(BITS)) else mode)
        tiles.append(tile._replace(args=mode if isinstance(args, str) else (mode, *args[1:])))
    image.tile = tiles


def _other_order(mode):
    """Name the mode in which Pillow reads the low bytes of 16 bits instead of the high ones."""
    name, _, order = mode.partition(";16")
    big = order == "B" or (order == "N" and sys.byteorder == "big")
    return f"{name};16{'L' if big else 'B'}"


def declared_bits(image, source):
    """Read how many bits a PNG or a TIFF says its levels have; None if it says nothing."""
    if image.format == "PNG":
        return significant_bits(source)
    tags = getattr(image, "tag_v2", {})
    if largest := max(_several(tags.get(LARGEST)), default=0):
        return int(largest).bit_length()
    bits = max(_several(tags.get(BITS)), default=0)
    return bits if 8 < bits < 16 else None


def _several(value):
    """The numbers of a tag of TIFF as a tuple, empty if it is missing or holds something else."""
    values = value if isinstance(value, tuple) else (value,)
    return tuple(number for number in values if isinstance(number, int | float))


def over_black(image):
    """Lay an image with transparency over black; an alpha channel of zeros is none."""
    if image.mode not in ("RGBA", "LA", "PA", "La") and "transparency" not in image.info:
        return image
    if image.mode in ("La",):
        image = image.convert("LA")
    image = image.convert("RGBA")
    if image.getextrema()[3][1] == 0:
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
