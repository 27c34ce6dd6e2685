"""Turn a photograph into the network's input: decode, find the circle of the retina, crop, average to 256 px.

Training, prediction and retraining share this code. `PREPROCESSING` is its version: a model stores it, and is refused
by code that does not prepare photographs as it was trained. Version 2 converts colour profiles to sRGB, scales 10- to
14-bit levels and floats by their range, and ignores an alpha channel of zeros; the pixels of all other photographs are
those of version 1, whose models it therefore grades as before.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from eyenet.photo.colours import BLACK, COLOURS, equalize
from eyenet.photo.decode import open_photograph
from eyenet.photo.pages import split_page
from eyenet.run.errors import NoRetina

PREPROCESSING = 2
ACCEPTED = (1, 2)  # versions of models that this one can grade with
MIN_DIAMETER = 128  # of the retina in the photograph, in pixels: half the default output size
SAMPLES = 128  # short side of the image in which the circle is sought; more pixels do not improve the fit
# Minimum ratio of the decoded retina's diameter to the result's. Slightly below 2, so that photographs of 2592 x 1944,
# common in EyePACS, are decoded at 1/4 instead of 1/2 (51.8 dB instead of 54.9, in two thirds of the time).
DETAIL = 1.9


@dataclass(frozen=True)
class Circle:
    """Circle of the retina in pixels of the upright photograph; pixel centres are at half-integers.

    `found` is False for a black frame; the circle is then the largest that fits the frame.
    """

    x: float
    y: float
    radius: float
    found: bool = True

    def scaled(self, factor):
        """Scale the circle to an image `factor` times as large."""
        return Circle(self.x * factor, self.y * factor, self.radius * factor, self.found)


def find_retina(image):
    """Find the circle of the retina, even if it is cut off, off-centre, small or dark.

    The outermost lit pixels of each row and column lie on the rim, unless they are on the frame's border. A circle is
    fitted to them by linear least squares [1]_, with outliers (notch, flare, dust) removed in a few rounds.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB, any size; about 500 px are enough.

    Returns
    -------
    Circle
        In pixels of `image`. `found` is False for a black frame.

    Raises
    ------
    NoRetina
        If there is no round, lit field on a dark background.

    References
    ----------
    .. [1] I. Kasa, "A circle fitting procedure and its error analysis", IEEE Transactions on
       Instrumentation and Measurement, 1976.
    """
    step = max(1, min(image.size) // SAMPLES)
    sampled = (image.width // step, image.height // step)
    # Pillow takes the pixel at the middle of each step x step block.
    sample = image.resize(sampled, Image.Resampling.NEAREST, box=(0, 0, sampled[0] * step, sampled[1] * step))
    light = functools.reduce(np.maximum, [np.asarray(channel) for channel in sample.split()])
    cumulative = np.bincount(light.ravel(), minlength=256).cumsum()
    low, high, top = np.searchsorted(cumulative, np.array([0.01, 0.95, 0.99]) * light.size)  # percentiles
    # The first threshold is robust against glow and noise; the second finds a retina half in shade, the third one that
    # fills less than 5 % of the frame, and the last two one on a speckled background, as in histogram-equalised
    # photographs.
    span = high - low
    for threshold in (max(6, 0.12 * span), max(4, 0.04 * span), max(6, 0.12 * (top - low)), 0.3 * span, 0.45 * span):
        lit = light > low + max(4, threshold)
        points = _rim_points(lit)
        circle = _fit_circle(points) if len(points) >= 20 else None
        if circle is not None and _plausible(circle, lit, points):
            x, y, radius = circle
            return Circle((x + 0.5) * step, (y + 0.5) * step, radius * step)
    if top <= BLACK:
        return Circle(image.width / 2, image.height / 2, min(image.size) / 2, found=False)
    raise NoRetina("no retina found: there is no round, lit field against a dark surround")


def _rim_points(lit):
    """List (x, y) of the first and last lit pixel of each row and column, except those on the border."""
    height, width = lit.shape
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    first, last = lit[rows].argmax(axis=1), width - 1 - lit[rows, ::-1].argmax(axis=1)
    top, bottom = lit[:, columns].argmax(axis=0), height - 1 - lit[::-1, columns].argmax(axis=0)
    # The rim lies between the last dark and the first lit pixel, half a pixel outside the lit one.
    x = np.concatenate([first - 0.5, last + 0.5, columns, columns])
    y = np.concatenate([rows, rows, top - 0.5, bottom + 0.5])
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    return np.stack([x[inside], y[inside]], axis=1)


def _fit_circle(points):
    """Fit (x, y, radius) to points (n, 2) in up to six rounds, each to the points nearest the previous circle."""
    near = np.ones(len(points), bool)
    for _ in range(6):
        middle = points[near].mean(axis=0)
        u, v = (points[near] - middle).T
        squares = u * u + v * v
        uu, uv, vv = u @ u, u @ v, v @ v
        if uu * vv - uv * uv < 1:
            return None  # the points lie on a line
        shift_x = (vv * (u @ squares) - uv * (v @ squares)) / (2 * (uu * vv - uv * uv))
        shift_y = (uu * (v @ squares) - uv * (u @ squares)) / (2 * (uu * vv - uv * uv))
        x, y = middle[0] + shift_x, middle[1] + shift_y
        radius = (squares.mean() + shift_x**2 + shift_y**2) ** 0.5
        distance = np.abs(np.hypot(points[:, 0] - x, points[:, 1] - y) - radius)
        # Keep at least the nearer half, and all within 1.5 % of the radius.
        nearer = distance <= max(np.median(distance), 0.015 * radius)
        if (nearer == near).all():
            break
        near = nearer
    return x, y, radius


def _plausible(circle, lit, points):
    """Check that most rim points lie on the circle, most of its inside is lit, and little outside is."""
    x, y, radius = circle
    height, width = lit.shape
    if not (0.15 * min(lit.shape) < radius < max(lit.shape) and 0 < x < width and 0 < y < height):
        return False
    on_rim = np.abs(np.hypot(points[:, 0] - x, points[:, 1] - y) - radius) < 0.03 * radius
    rows, columns = np.ogrid[:height, :width]
    inside = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
    outside_lit = (lit & ~inside).sum() / max(1, lit.sum())
    return on_rim.mean() >= 0.5 and outside_lit < 0.05 and lit[inside].mean() > 0.5


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
    return crop * inside_circle(len(crop))[..., None].view(np.uint8)


def photograph_to_input(path, size=256, colours="natural"):
    """Convert a photograph to the network's input.

    Parameters
    ----------
    path : path-like
    size : int
        Side of the result, and diameter of the retina in it, in pixels.
    colours : {'natural', 'equalized'}
        As in the network's training set.

    Returns
    -------
    crop : ndarray of uint8, shape (size, size, 3)
    geometry : dict
        `bytes`, `width`, `height` of the photograph; `center_x`, `center_y`, `radius` of the circle in its pixels;
        `visible`, the share of the circle inside the frame; and `found`.

    Raises
    ------
    PhotoError
        If the photograph is unreadable, or shows no retina or too small a one.
    """
    crop, geometry = crop_photograph(path, size)
    return in_colours(crop, colours), geometry


def in_colours(crop, colours):
    """Convert a crop of `crop_photograph` to the colours of a network's training set."""
    if colours not in COLOURS:
        raise ValueError(f"colours are {' or '.join(COLOURS)}, not {colours!r}")
    return equalize(crop, inside_circle(len(crop))) if colours == "equalized" else crop


def crop_photograph(path, size):
    """Crop as `photograph_to_input`, but keep the photograph's colours, which the quality gate needs."""
    least = int(DETAIL * size)
    image, factor, frame = open_photograph(path, least)
    circle = find_retina(image)
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
        "visible": round(_visible(circle, image.size), 3),
        "found": circle.found,
    }
    return crop_retina(image, circle, size), geometry


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
