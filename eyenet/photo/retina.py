"""Turn a photograph into the network's input: decode, find the circle of the retina, crop, average to 256 px.

Training, prediction and retraining share this code. `PREPROCESSING` is its version: a model stores it, and is refused
by code that does not prepare photographs as it was trained. Version 2 converts colour profiles to sRGB, scales 10- to
14-bit levels and floats by their range, ignores an alpha channel of zeros, and refines the circle of the retina where
its rim is seen: by 0.2 % of the radius in the median, by 3 % in 1 of 100 photographs with glow or shade. A model of
version 1 still grades: its own crops were less exact by as much.
"""

import functools
import math

import numpy as np
from PIL import Image

from eyenet.photo.circle import Circle
from eyenet.photo.colours import COLOURS, equalize
from eyenet.photo.decode import open_photograph
from eyenet.photo.field import find_field
from eyenet.photo.pages import split_page
from eyenet.photo.png import read_stamp
from eyenet.run.errors import NoRetina, PhotoError

PREPROCESSING = 2
ACCEPTED = (1, 2)  # versions of models that this one can grade with
MIN_DIAMETER = 128  # of the retina in the photograph, in pixels: half the default output size
# Minimum ratio of the decoded retina's diameter to the result's. Slightly below 2, so that photographs of 2592 x 1944,
# common in EyePACS, are decoded at 1/4 instead of 1/2 (51.8 dB instead of 54.9, in two thirds of the time).
DETAIL = 1.9


@functools.lru_cache(maxsize=8)
def inside_circle(size):
    """Mask of the pixels of a crop whose centres lie in the retina's circle; bool (size, size)."""
    offset = np.arange(size) + 0.5 - size / 2
    mask = offset[:, None] ** 2 + offset**2 <= (size / 2) ** 2
    mask.flags.writeable = False
    return mask


def crop_retina(image, circle, size):
    """Crop the square around the circle, average it to size x size, and blacken the outside of the circle.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    circle : Circle
        In pixels of `image`; it may extend beyond the frame.
    size : int

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
    """
    left, upper = circle.x - circle.radius, circle.y - circle.radius
    right, lower = left + 2 * circle.radius, upper + 2 * circle.radius
    if left < 0 or upper < 0 or right > image.width or lower > image.height:
        x0, y0 = math.floor(left), math.floor(upper)
        image = image.crop((x0, y0, math.ceil(right), math.ceil(lower)))  # black beyond the frame
        left, upper, right, lower = left - x0, upper - y0, right - x0, lower - y0
    # At ratios near 2, Pillow's HAMMING is 14 dB closer to an exact area average than BOX (benchmarks/).
    small = image.resize((size, size), Image.Resampling.HAMMING, box=(left, upper, right, lower))
    return black_outside(np.asarray(small))


def black_outside(crop):
    """Blacken the outside of a crop's circle, uint8 (size, size, 3)."""
    return crop & _colour_mask(len(crop))


@functools.lru_cache(maxsize=8)
def _colour_mask(size):
    """255 inside the circle and 0 outside, for each channel: uint8 (size, size, 3).

    A mask of the same shape is applied 30 times as fast as one that NumPy must repeat for each channel.
    """
    return np.repeat(inside_circle(size)[..., None].astype(np.uint8) * 255, 3, axis=2)


def photograph_to_input(path, size=256, colours="natural", field="circle"):
    """Convert a photograph to the network's input.

    Parameters
    ----------
    path : path-like
        A crop that EyeNet made of this size, in these colours and by this version passes through unchanged.
    size : int
        Side of the result, and diameter of the retina in it, in pixels.
    colours : {'natural', 'equalized'}
        As in the network's training set.
    field : {'circle', 'auto', 'frame'}
        As in the network's training set; see `eyenet.photo.field.find_field`.

    Returns
    -------
    crop : ndarray of uint8, shape (size, size, 3)
    geometry : dict
        `bytes`, `width`, `height` of the photograph; `center_x`, `center_y`, `radius` of the circle in its pixels;
        `visible`, the share of the circle inside the frame, 1 for a whole frame; `found`; and `field`, which is
        'circle' or 'frame'. For a crop that EyeNet made also its `colours`.

    Raises
    ------
    PhotoError
        If the photograph is unreadable, or shows no retina or too small a one.
    """
    crop, geometry = crop_photograph(path, size, field)
    return in_colours(crop, colours, geometry), geometry


def in_colours(crop, colours, geometry=None):
    """Convert a crop of `crop_photograph` to the colours of a network's training set.

    Raises
    ------
    PhotoError
        If it was equalised by EyeNet, and natural colours are asked for.
    """
    if colours not in COLOURS:
        raise ValueError(f"colours are {' or '.join(COLOURS)}, not {colours!r}")
    made = (geometry or {}).get("colours", "natural")
    if made == colours:
        return crop
    if made == "equalized":
        raise PhotoError("is a crop whose colours resize_images.py has equalised; use the photograph itself")
    return equalize(crop, inside_circle(len(crop)))


def crop_photograph(path, size, field="circle"):
    """Crop as `photograph_to_input`, but keep the photograph's colours, which the quality gate needs."""
    least = int(DETAIL * size)
    image, factor, frame = open_photograph(path, least)
    known = read_stamp(path)
    if made := is_crop(known, image, field):
        circle = Circle(image.width / 2, image.height / 2, image.width / 2, known["found"], known["field"])
    else:
        circle = find_field(image, field)
    while factor > 1 and 2 * circle.radius < least:  # a small retina in a large frame: decode at a larger scale
        image, smaller, frame = open_photograph(path, min(image.size) + 1)
        circle, factor = circle.scaled(factor / smaller), smaller
    whole = circle.scaled(factor)
    if 2 * whole.radius < MIN_DIAMETER:
        raise NoRetina(f"the retina is {2 * whole.radius:.0f} pixels across; at least {MIN_DIAMETER} are needed")
    geometry = {
        "bytes": split_page(path)[0].stat().st_size,
        "width": frame[0],
        "height": frame[1],
        "center_x": round(whole.x, 1),
        "center_y": round(whole.y, 1),
        "radius": round(whole.radius, 1),
        "visible": 1.0 if circle.field == "frame" else round(_visible(circle, image.size), 3),
        "found": circle.found,
        "field": circle.field,
    }
    if made:
        geometry |= {key: known[key] for key in ("visible", "colours")}
        if image.width == size:
            return np.asarray(image), geometry
    return crop_retina(image, circle, size), geometry


def is_crop(known, image, field):
    """Tell whether an image is a crop that EyeNet made by this version, of a field that is wanted.

    Its circle is then known: it fills the square. Searched again, it would move by half a pixel. A crop of an older
    version, whose circle was less exact, is searched like a photograph, and so is one that was edited.

    Parameters
    ----------
    known : dict
        What the file tells, from `eyenet.photo.png.read_stamp`.
    image : PIL.Image.Image
    field : {'circle', 'auto', 'frame'}
    """
    wanted = {"found", "visible", "colours"} <= known.keys() and known.get("field") in ("circle", "frame")
    if known.get("preprocessing") != PREPROCESSING or not wanted or field not in ("auto", known["field"]):
        return False
    return image.width == image.height and not np.asarray(image)[~inside_circle(image.width)].any()


def _visible(circle, frame):
    """Estimate the share of the circle's area inside the frame, on a grid of 200 x 200."""
    x, y, r = circle.x, circle.y, circle.radius
    if r <= x <= frame[0] - r and r <= y <= frame[1] - r:
        return 1.0
    grid = (np.arange(200) + 0.5) / 100 - 1
    disc = grid[:, None] ** 2 + grid**2 <= 1
    columns, rows = x + r * grid, y + r * grid
    shown = ((rows >= 0) & (rows <= frame[1]))[:, None] & ((columns >= 0) & (columns <= frame[0]))
    return float((disc & shown).sum() / disc.sum())
