"""Fit the circle of the retina at full resolution, slowly and independently of EyeNet: the reference of circle.py.

1. On a copy of about 400 px, edge points vote for circles (RANSAC over triples): an edge counts where the light falls
   outwards, and a candidate is scored by the length of its edge, not by contrast: neither glow nor shade counts.
2. At full size, the light is read along 1,440 rays through the rim. The steepest fall near the circle is the rim's
   place, to a fraction of a pixel, and a circle is fitted by Tukey's biweight [1]_, in bands that become narrower.

References
----------
.. [1] P. J. Huber and E. M. Ronchetti, "Robust Statistics", 2009.
"""

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

RAYS = 1440
COARSE = 400  # px, longest side of the copy on which edges vote
DRAWS = 4000  # triples of edge points


def reference_circle(path):
    """Fit the circle of the retina in a photograph.

    Returns
    -------
    circle : tuple of float
        x, y and radius in pixels of the upright photograph; pixel centres are at half-integers.
    rms : float
        Of the distances of the rim's points from the circle, in pixels.
    share : float
        Of the rays through the frame on which the rim lies within 0.5 % of the radius from the circle.
    """
    with Image.open(path) as image:
        light = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).max(axis=2).astype(np.float32)
    circle = _vote(light)
    for band in (0.08, 0.04, 0.02, 0.01, 0.01):
        angle, place = _rim(light, circle, band)
        circle, distance = _fit(circle, angle, place)
    near = np.abs(distance) < 0.005 * circle[2]
    return circle, float(np.sqrt((distance[near] ** 2).mean())), float(near.mean())


def _vote(light):
    """Find a circle in a small copy of the light; x, y, radius in pixels of `light`."""
    step = max(1, -(-max(light.shape) // COARSE))
    height, width = (side // step for side in light.shape)
    small = light[: height * step, : width * step].reshape(height, step, width, step).mean(axis=(1, 3))
    smooth = ndimage.gaussian_filter(np.log(small + 8), 1.5)  # the logarithm: a shaded rim counts as a bright one
    down, right = ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)
    steep = np.hypot(down, right)
    inner = np.zeros_like(steep, bool)
    inner[3:-3, 3:-3] = True
    edges = inner & (steep > np.quantile(steep[inner], 0.9))
    edges &= steep >= ndimage.maximum_filter(steep, 3) * 0.9
    y, x = np.nonzero(edges)
    u, v = -right[edges] / steep[edges], -down[edges] / steep[edges]  # the direction in which the light falls
    rng = np.random.default_rng(0)
    best, found = -1.0, None
    for triple in rng.integers(0, len(x), (DRAWS, 3)):
        circle = _through(x[triple], y[triple])
        if circle is None or not 0.2 * min(small.shape) < circle[2] < 0.9 * max(small.shape):
            continue
        dx, dy = x - circle[0], y - circle[1]
        distance = np.hypot(dx, dy)
        on = (np.abs(distance - circle[2]) < 1.2) & (dx * u + dy * v > 0.9 * distance)
        bins = np.unique((np.arctan2(dy[on], dx[on]) * 180 / np.pi // 2).astype(int))
        score = len(bins) / 180 * circle[2] ** 0.25  # the length of the arc; of two equal ones the larger circle
        if score > best:
            best, found = score, circle
    if found is None:
        raise ValueError("no circle found")
    return (found[0] + 0.5) * step, (found[1] + 0.5) * step, found[2] * step


def _through(x, y):
    """Compute the circle through three points; None if they lie on a line."""
    matrix = np.stack([2 * x, 2 * y, np.ones(3)], axis=1).astype(float)
    if abs(np.linalg.det(matrix)) < 1:
        return None
    a, b, c = np.linalg.solve(matrix, (x * x + y * y).astype(float))
    return a, b, np.sqrt(max(0.0, c + a * a + b * b))


def _rim(light, circle, band):
    """Find the steepest fall of light on each ray, within +-band of the radius: angle, and distance from the centre."""
    x, y, radius = circle
    angle = np.arange(RAYS) * 2 * np.pi / RAYS
    sigma = max(1.0, 0.0015 * radius)  # of the smoothing along the ray, in px
    reach = np.arange(-band * radius - 4 * sigma, band * radius + 4 * sigma, 0.5) + radius
    rows = y - 0.5 + reach * np.sin(angle)[:, None]
    columns = x - 0.5 + reach * np.cos(angle)[:, None]
    profile = ndimage.map_coordinates(light, [rows, columns], order=1, mode="nearest")
    profile = ndimage.gaussian_filter1d(profile, 2, axis=0, mode="wrap")  # 0.5 degrees along the rim
    fall = -ndimage.gaussian_filter1d(profile, 2 * sigma, axis=1, order=1)
    inside = (rows > 2) & (rows < light.shape[0] - 3) & (columns > 2) & (columns < light.shape[1] - 3)
    allowed = inside & (np.abs(reach - radius) <= band * radius)
    fall = np.where(allowed, fall, -np.inf)
    at = fall.argmax(axis=1).clip(1, len(reach) - 2)
    before, here, after = (fall[np.arange(RAYS), at + k] for k in (-1, 0, 1))
    with np.errstate(invalid="ignore"):
        bend = before - 2 * here + after
        shift = np.where(bend < 0, (before - after) / (2 * bend), 0)
    peak = np.isfinite(before + here + after) & (here > 0) & (bend < 0)
    seen = peak & (allowed.sum(axis=1) > 0.6 * (np.abs(reach - radius) <= band * radius).sum())
    return angle[seen], (reach[at] + 0.5 * shift)[seen]


def _fit(circle, angle, place):
    """Fit a circle to points in polar coordinates around `circle` by Tukey's biweight; also their distances from it."""
    px, py = circle[0] + place * np.cos(angle), circle[1] + place * np.sin(angle)
    x, y, radius = circle
    for number in range(40):
        dx, dy = px - x, py - y
        distance = np.hypot(dx, dy)
        off = distance - radius
        scale = max(0.3, 1.4826 * np.median(np.abs(off - np.median(off))))
        offset = off - np.median(off) if number == 0 else off
        weight = np.clip(1 - (offset / (4.685 * scale)) ** 2, 0, None) ** 2
        system = np.stack([dx / distance, dy / distance, np.ones_like(dx)], axis=1)
        step = np.linalg.lstsq(system * np.sqrt(weight)[:, None], off * np.sqrt(weight), rcond=None)[0]
        x, y, radius = x + step[0], y + step[1], radius + step[2]
        if np.abs(step).max() < 1e-3:
            break
    return (float(x), float(y), float(radius)), np.hypot(px - x, py - y) - radius
