"""Refine the circle of the retina where its rim is seen: at the steepest fall of light along rays through it."""

import functools
import math
from typing import NamedTuple

import numpy as np
from PIL import Image

SECTORS = 15  # in which the rays are read
SAMPLES = 48  # along each ray


class Pass(NamedTuple):
    """One search along the rays; lengths are shares of the radius."""

    rays: int  # per sector
    band: float  # searched on both sides of the circle
    scales: tuple  # shares of the band: in each round of the fit, points farther away hardly count
    least: int  # rays that must show a rim


WIDE = Pass(6, 0.12, (0.5, 0.25, 0.12, 0.07), 9)
NARROW = Pass(12, 0.03, (0.4, 0.2, 0.1, 0.07, 0.07), 18)  # 36 degrees of the rim
LEAST_BAND = 6  # px, of the narrow pass
EACH_SIDE, SHARPEST = 3, 1.5  # samples that are compared on each side of a place; px that they span at least
# The wide pass divides the fall by the root of the light, so that a shaded rim counts beside a bright one; this is
# added to the sum of the samples, so that the noise of the dark does not count.
DARK = 1000
NEAR, NEAR_PX = 0.005, 1  # share of the radius, and px, within which the rim on a ray agrees with the circle
SHADE = 0.25  # of the median light inside the rim, below which a ray without a rim is not judged: a black bar
SHARE, MORE = 0.5, 5  # of the judged rays that must agree, and so many rays more; by chance 0.17 agree
CLEAR = 0.95  # of the judged rays: if so many agree after a narrow pass alone, the first circle was right
MOST_ERROR = 0.005  # standard error of centre and radius together, as a share of the radius


class Rim(NamedTuple):
    """A refined circle in pixels, the rays that agree with it, of those judged, and its standard error.

    The error is a share of the radius. It is large for a short arc.
    """

    x: float
    y: float
    radius: float
    rays: int
    judged: int
    error: float

    @property
    def certain(self):
        """Whether the circle lies on a rim that is seen."""
        return self.rays >= max(NARROW.least, SHARE * self.judged + MORE) and self.error <= MOST_ERROR


def refine(image, x, y, radius):
    """Fit a circle to the rim near a first circle.

    Glow beyond the rim and a shaded side move a threshold, but not the place where the light falls most steeply. A pass
    in a narrow band gives its exact place; unless nearly all rays agree, a pass in a wide band goes before it. The
    points are weighted by their distance from the circle (Geman-McClure [1]_), on a scale that is reduced in rounds.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    x, y, radius : float
        The first circle, in pixels; pixel centres are at half-integers.

    Returns
    -------
    Rim or None
        None if too few rays show a rim inside the frame.

    References
    ----------
    .. [1] M. J. Black and A. Rangarajan, "On the unification of line processes, outlier rejection, and robust
       statistics with applications in early vision", International Journal of Computer Vision, 1996.
    """
    narrow = NARROW._replace(band=max(NARROW.band, LEAST_BAND / radius))
    rim = _follow(image, x, y, radius, (narrow,))
    if rim is not None and rim.certain and rim.rays >= CLEAR * rim.judged:
        return rim
    return _follow(image, x, y, radius, (WIDE, narrow))


def _follow(image, x, y, radius, searches):
    """Refine a circle in one or two passes; a Rim, or None."""
    for search in searches:
        direction, place, light = _steepest(image, x, y, radius, search)
        if len(place) < search.least:
            return None
        shift = _fit(direction, place, search)
        x, y, radius = x + shift[0] * radius, y + shift[1] * radius, (1 + shift[2]) * radius
    off = np.abs(place - direction @ shift)
    near = off < max(NEAR, NEAR_PX / radius)
    judged = near | (light >= SHADE * np.median(light))
    error = np.inf
    if near.sum() >= NARROW.least:
        spread = np.linalg.inv(direction[near].T @ direction[near])
        error = np.sqrt((off[near] ** 2).mean() * np.trace(spread))
    return Rim(float(x), float(y), float(radius), int(near.sum()), int(judged.sum()), float(error))


@functools.cache
def _rays(per_sector):
    """Directions of the rays.

    The samples of a sector lie between the chords of an inner and an outer arc, so they are nearer to the centre in the
    middle of the sector than at its edges.

    Returns
    -------
    edges : ndarray, shape (SECTORS + 1, 2)
        Directions of the sectors' edges, scaled so that half of the samples are farther than asked for.
    unit : ndarray, shape (rays, 2)
    length : ndarray, shape (rays,)
        How far the samples of a ray are, relative to what was asked for.
    """
    angle = np.arange(SECTORS + 1) * 2 * np.pi / SECTORS
    edges = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    share = ((np.arange(per_sector) + 0.5) / per_sector)[:, None]
    chord = ((1 - share) * edges[:-1, None] + share * edges[1:, None]).reshape(-1, 2)
    length = np.hypot(chord[:, 0], chord[:, 1])
    middle = (length.min() + length.max()) / 2
    return edges / middle, chord / length[:, None], length / middle


def _steepest(image, x, y, radius, search):
    """Find the steepest fall of light on each ray, as far as the ray is inside the frame.

    Returns
    -------
    direction : ndarray, shape (n, 3)
        How far the rim moves outwards on each ray when the circle's x, y and radius grow by 1.
    place : ndarray, shape (n,)
        Of the fall, beyond the circle, as a share of the radius.
    light : ndarray, shape (n,)
        Mean level inside the circle, 0-255.
    """
    edges, unit, length = _rays(search.rays)
    step = 2 * search.band / SAMPLES
    side = max(EACH_SIDE, math.ceil(SHARPEST / (step * radius))) if search is not WIDE else EACH_SIDE
    total = np.zeros((len(unit), SAMPLES + 1))
    np.cumsum(_read(image, x, y, radius, search, edges), axis=1, out=total[:, 1:])
    fall = 2 * total[:, side:-side] - total[:, : -2 * side] - total[:, 2 * side :]
    if search is WIDE:
        fall /= np.sqrt(total[:, 2 * side :] - total[:, : -2 * side] + DARK)
    last = _inside(unit, x, y, image.size) / (radius * length)
    ends = 1 - search.band + step * (np.arange(2 * side, SAMPLES + 1) - 0.5)  # the outermost sample of each place
    whole = ends < last[:, None]
    fall = np.where(whole, fall, -np.inf)
    ray, at = np.arange(len(fall)), fall[:, 1:-1].argmax(axis=1) + 1
    before, here, after = fall[ray, at - 1], fall[ray, at], fall[ray, at + 1]
    valid = (here > 0) & np.isfinite(after) & whole[:, SAMPLES // 2]
    before, here, after, at, unit, length = (values[valid] for values in (before, here, after, at, unit, length))
    bend = 2 * here - before - after
    peak = np.divide((after - before) / 2, bend, out=np.zeros_like(bend), where=bend > 0).clip(-1, 1)  # of a parabola
    place = length * (1 - search.band + step * (at + side + peak)) - 1
    inner = SAMPLES // 2 - EACH_SIDE
    light = (total[valid, inner] - total[valid, inner - 3 * EACH_SIDE]) / (3 * EACH_SIDE)
    return np.column_stack([unit, np.ones(len(unit))]), place, light


def _inside(unit, x, y, frame):
    """Length of each ray inside the frame, without the two outermost pixels; at least 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [
            np.where(unit[:, k] > 0, side - 2 - at, 2 - at) / unit[:, k]
            for k, (at, side) in enumerate(zip((x, y), frame))
        ]
    return np.fmin(*ends).clip(0)


def _read(image, x, y, radius, search, edges):
    """Read the largest channel along the rays; uint8 (rays, SAMPLES).

    Pillow reads each sector as a quadrangle whose rows are the rays. Converting the whole image would take longer.
    """
    inner, outer = (((x, y) + share * radius * edges).tolist() for share in (1 - search.band, 1 + search.band))
    quads = [
        ((0, k * search.rays, SAMPLES, (k + 1) * search.rays), (*inner[k], *inner[k + 1], *outer[k + 1], *outer[k]))
        for k in range(SECTORS)
    ]
    size = (SAMPLES, SECTORS * search.rays)
    read = np.asarray(image.transform(size, Image.Transform.MESH, quads, Image.Resampling.BILINEAR))
    return np.maximum(np.maximum(read[..., 0], read[..., 1]), read[..., 2])


def _fit(direction, place, search):
    """Fit the shift (dx, dy, dr) of the circle, place = direction @ shift, as shares of the radius."""
    shift = np.zeros(3)
    for scale in search.scales:
        weight = (1 + ((place - direction @ shift) / (scale * search.band)) ** 2) ** -2
        weighted = direction * weight[:, None]
        shift = np.linalg.solve(weighted.T @ direction + 1e-9 * np.eye(3), weighted.T @ place)
    return shift
