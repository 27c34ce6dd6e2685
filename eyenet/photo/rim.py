"""Refine the circle of the retina where the rim is seen: the steepest fall of light along rays through it."""

import functools
from typing import NamedTuple

import numpy as np
from PIL import Image

SECTORS = 20
SAMPLES = 48  # along each ray
RAYS = {True: 5, False: 9}  # rays per sector, of the wide and the narrow pass
WIDE, NARROW = 0.12, 0.03  # share of the radius, on both sides, that is searched
LEAST_BAND = 6  # px
REACH = 3  # samples on each side of a place that are compared
NEAR = 0.005  # share of the radius within which a ray's rim agrees with the circle
# Shares of the radius: rays farther from the circle hardly count in the fit. From coarse to fine, so that a first
# circle that is off does not decide which rays are believed.
SCALES = {True: np.array([0.5, 0.25, 0.12, 0.07]), False: np.array([0.4, 0.2, 0.1, 0.07, 0.07])}
SHADE = 0.25  # of the median light inside the rim, below which a ray that shows no rim is not counted (black bars)
LEAST_SHARE, MORE = 0.5, 5  # of the rays that must agree, and so many more; by chance a share of 0.17 does
LEAST_RAYS = {True: 9, False: 18}  # 36 degrees of the rim
MOST_ERROR = 0.005  # standard error of centre and radius, as a share of the radius


class Rim(NamedTuple):
    """A refined circle, with the number of rays that agree with it, of those judged, and the standard error (share of the radius)."""

    x: float
    y: float
    radius: float
    rays: int
    judged: int
    error: float

    @property
    def certain(self):
        """Whether the circle lies on a rim that is seen."""
        enough = self.rays >= max(LEAST_RAYS[False], LEAST_SHARE * self.judged + MORE)
        return enough and self.error <= MOST_ERROR


def refine(image, x, y, radius):
    """Fit a circle to the rim near a first circle.

    Glow beyond the rim and a shaded side move a threshold, but not the place where the light falls most steeply. Two
    passes: in a wide band, and in a narrow one around the result. The points are weighted by their distance from the
    circle (Geman-McClure [1]_, with a scale that is reduced in steps).

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    x, y, radius : float
        The first circle, in pixels; pixel centres are at half-integers.

    Returns
    -------
    Rim or None
        None if the rays are almost all outside the frame.

    References
    ----------
    .. [1] M. J. Black and A. Rangarajan, "On the unification of line processes, outlier rejection, and robust statistics
       with applications in early vision", International Journal of Computer Vision, 1996.
    """
    for wide in (True, False):
        band = WIDE if wide else max(NARROW, LEAST_BAND / radius)
        direction, place, lit = _steepest(image, x, y, radius, band, wide)
        if len(place) < LEAST_RAYS[wide]:
            return None
        fitted, weight = _fit(direction, place, band * SCALES[wide])
        off = np.abs(place - direction @ fitted)
        x, y, radius = x + fitted[0] * radius, y + fitted[1] * radius, (1 + fitted[2]) * radius
    near = off < max(NEAR, 1 / radius)
    judged = (lit >= SHADE * np.median(lit)) | near
    spread = np.linalg.eigvalsh(direction[near].T @ direction[near])[0] if near.any() else 0.0
    noise = np.sqrt((off[near] ** 2).mean()) if near.any() else 1.0
    error = noise / np.sqrt(max(spread, 1e-9))
    return Rim(float(x), float(y), float(radius), int(near.sum()), int(judged.sum()), float(error))


@functools.cache
def _rays(per_sector):
    """Unit vectors at the sectors' edges (SECTORS + 1, 2); the rays' directions and lengths (rays, 2), (rays,)."""
    angle = np.arange(SECTORS + 1) * 2 * np.pi / SECTORS
    edges = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    share = ((np.arange(per_sector) + 0.5) / per_sector)[:, None]
    chord = ((1 - share) * edges[:-1, None] + share * edges[1:, None]).reshape(-1, 2)
    length = np.hypot(chord[:, 0], chord[:, 1])
    middle = (length.min() + length.max()) / 2
    return edges / middle, chord / length[:, None], length / middle


def _steepest(image, x, y, radius, band, wide):
    """Find the steepest fall of light on each ray: directions (n, 3), places as shares of the radius, and the light inside."""
    edges, unit, length = _rays(RAYS[wide])
    reach = 1 - band + 2 * band * (np.arange(SAMPLES) + 0.5) / SAMPLES
    light = _light(image, x, y, radius, band, edges, RAYS[wide])
    side = REACH if wide else max(REACH, round(1.5 * SAMPLES / (2 * band * radius)))
    total = np.zeros((len(light), SAMPLES + 1), np.float32)
    np.cumsum(light, axis=1, out=total[:, 1:])
    fall = 2 * total[:, side:-side] - total[:, : -2 * side] - total[:, 2 * side :]  # at the edges between samples
    if wide:
        scale = total[:, 2 * side :] - total[:, : -2 * side]
        fall = fall / np.sqrt(scale + 1000)
    # A ray is searched as far as it is inside the frame.
    last = (_inside(unit, x, y, image.size) / (radius * length))[:, None]
    whole = reach[2 * side - 1 :] < last
    fall = np.where(whole, fall, -np.inf)
    at = fall[:, 1:-1].argmax(axis=1) + 1
    index = np.arange(len(fall))
    before, here, after = fall[index, at - 1], fall[index, at], fall[index, at + 1]
    valid = np.isfinite(after) & (here > 0) & whole[:, SAMPLES // 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.where(valid, (after - before) / (2 * (2 * here - before - after)), 0).clip(-1, 1)
    place = length * (1 - band + 2 * band * (at + side + np.nan_to_num(shift)) / SAMPLES) - 1
    lit = total[:, SAMPLES // 2 - side] - total[:, SAMPLES // 2 - 4 * side]
    return np.column_stack([unit, np.ones(len(unit))])[valid], place[valid], lit[valid]


def _inside(unit, x, y, frame):
    """Length of each ray inside the frame, without its outermost pixels; 0 for a centre outside."""
    ends = [np.where(unit[:, k] > 0, side - 2 - o, 2 - o) for k, (o, side) in enumerate(zip((x, y), frame))]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nanmin([end / unit[:, k] for k, end in enumerate(ends)], axis=0).clip(0)


def _light(image, x, y, radius, band, edges, per_sector):
    """Read the maximum of the channels along the rays; (rays, SAMPLES).

    Pillow reads each sector as a quadrangle, whose rows are rays: the image is never converted as a whole, which would
    take longer than all the rest.
    """
    inner = (np.array([x, y]) + (1 - band) * radius * edges).tolist()
    outer = (np.array([x, y]) + (1 + band) * radius * edges).tolist()
    quads = [
        ((0, k * per_sector, SAMPLES, (k + 1) * per_sector), (*inner[k], *inner[k + 1], *outer[k + 1], *outer[k]))
        for k in range(SECTORS)
    ]
    size = (SAMPLES, SECTORS * per_sector)
    return np.asarray(image.transform(size, Image.Transform.MESH, quads, Image.Resampling.BILINEAR)).max(axis=2).astype(np.float32)


def _fit(direction, place, scales):
    """Fit place = direction @ (dx, dy, dr) robustly; also the weights."""
    fitted = np.zeros(3)
    for scale in scales:
        weight = (1 + ((place - direction @ fitted) / scale) ** 2) ** -2
        weighted = direction * weight[:, None]
        fitted = np.linalg.lstsq(weighted.T @ direction, weighted.T @ place, rcond=None)[0]
    return fitted, weight
