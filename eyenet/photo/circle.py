"""Find the circle of the retina in a photograph: a first circle by a threshold, refined where the rim is seen."""

import functools
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from eyenet.photo.colours import BLACK
from eyenet.photo.rim import refine
from eyenet.run.errors import NoRetina

SAMPLES = 128  # short side of the image in which a first circle is sought
# Least short side of the image in which the rim is refined. A JPEG is decoded at about this scale; larger images are
# reduced to it, since the rim of a photograph out of focus, or enlarged, is too wide to be seen in all its pixels.
SHORT = 500
# A circle whose rim is not sharp is accepted if at least this share of the frame is dark: a disc that touches all sides
# of a square leaves 0.21, a retina that fills the picture almost nothing.
SURROUND = 0.15


@dataclass(frozen=True)
class Circle:
    """Circle of the retina in pixels of the upright photograph; pixel centres are at half-integers.

    `found` is False for a black frame; the circle is then the largest that fits the frame. `field` is 'frame' for the
    circle through the corners of a frame that the retina fills (`eyenet.photo.field`).
    """

    x: float
    y: float
    radius: float
    found: bool = True
    field: str = "circle"

    def scaled(self, factor):
        """Scale the circle to an image `factor` times as large."""
        return replace(self, x=self.x * factor, y=self.y * factor, radius=self.radius * factor)


def find_retina(image):
    """Find the circle of the retina, even if it is cut off, off-centre, small or dark.

    The outermost lit pixels of each row and column lie on the rim, unless they are on the frame's border. A circle is
    fitted to them by linear least squares [1]_, with outliers (notch, flare, dust) removed in a few rounds.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB, any size.

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
    if (factor := min(image.size) // SHORT) > 1:
        return find_retina(image.reduce(factor)).scaled(factor)
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
    unsure = None
    for threshold in (max(6, 0.12 * span), max(4, 0.04 * span), max(6, 0.12 * (top - low)), 0.3 * span, 0.45 * span):
        lit = light > low + max(4, threshold)
        points = _rim_points(lit)
        circle = _fit_circle(points) if len(points) >= 20 else None
        if circle is not None and _plausible(circle, lit, points):
            x, y, radius = circle
            rim = refine(image, (x + 0.5) * step, (y + 0.5) * step, radius * step)
            if rim is not None and rim.certain:
                return Circle(rim.x, rim.y, rim.radius)
            if unsure is None and threshold <= max(6, 0.12 * span) and (~lit).mean() >= SURROUND:
                unsure = Circle((x + 0.5) * step, (y + 0.5) * step, radius * step)
    if unsure:
        return unsure
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
