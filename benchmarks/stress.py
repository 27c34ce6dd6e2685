"""Drawings of a retina under conditions that mislead the search for its circle, with the true circle.

Used by circle.py and tests/test_circle.py. Centre and radius are in pixels, pixel centres at half-integers.
"""

import io

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 900, 640
CIRCLE = (447.3, 322.8, 286.4)  # x, y, radius


def draw(rng, circle=CIRCLE, width=WIDTH, height=HEIGHT):
    """Draw an orange disc with a bright optic disc, dark vessels and a blurred rim; float (height, width, 3)."""
    x, y, radius = circle
    column, row = np.arange(width) + 0.5 - x, np.arange(height)[:, None] + 0.5 - y
    away = np.hypot(column, row)
    light = np.clip((radius - away) / 2 + 0.5, 0, 1)[..., None]  # the rim is 2 px wide
    level = np.array([190.0, 95.0, 40.0]) * (1 - 0.25 * (away / radius)[..., None] ** 2)
    disc = np.hypot(column + 0.6 * radius, row - 0.05 * radius) < 0.13 * radius
    level[disc] = (250, 190, 120)
    for angle in rng.uniform(0, 2 * np.pi, 9):  # vessels, straight across the retina
        across = np.abs(column * np.cos(angle) + row * np.sin(angle) - rng.uniform(-0.6, 0.6) * radius)
        level *= np.where(across < 0.008 * radius, 0.65, 1)[..., None]
    return level * light


def glow(picture, rng):
    """Reflected light beyond the rim, on one side."""
    return picture + _beyond(side=0.6) * np.array([70, 60, 55])


def halo(picture, rng):
    """A halo of scattered light all around."""
    return picture + _beyond(side=0.0) * np.array([55, 40, 30])


def _beyond(side):
    """Light that fades with the distance beyond the rim; stronger on the left by `side`, 0 to 1."""
    x, y, radius = CIRCLE
    column, row = np.arange(WIDTH) + 0.5 - x, np.arange(HEIGHT)[:, None] + 0.5 - y
    away = np.hypot(column, row)
    fade = np.exp(-np.maximum(away - radius, 0) / (0.12 * radius)) * (away > radius)
    return (fade * (1 - side * (1 + column / away) / 2))[..., None]


def shade(picture, rng):
    """The right side is dark."""
    return picture * (0.06 + 0.94 / (1 + np.exp((np.arange(WIDTH) - 560) / 60)))[:, None]


def notch(picture, rng):
    """A tab on the rim, as some cameras have."""
    picture[60:110, 620:700] = (150, 75, 32)
    return picture


def dust(picture, rng):
    """Bright specks, inside and outside."""
    for x, y, size in zip(rng.integers(0, WIDTH, 60), rng.integers(0, HEIGHT, 60), rng.integers(2, 9, 60)):
        picture[y : y + size, x : x + size] = rng.integers(60, 220)
    return picture


def noise(picture, rng):
    """Noise of a standard deviation of 12 levels."""
    return picture + rng.normal(0, 12, picture.shape)


def dark(picture, rng):
    """An underexposed photograph."""
    return picture * 0.2


def jpeg(picture, rng):
    """Compressed by JPEG of quality 20."""
    buffer = io.BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=20)
    return np.asarray(Image.open(buffer)).astype(float)


def equalised(picture, rng):
    """Histogram-equalised: a bright retina, and speckles where the noise of the dark surround turned grey."""
    x, y, radius = CIRCLE
    dark = np.hypot(np.arange(WIDTH) + 0.5 - x, np.arange(HEIGHT)[:, None] + 0.5 - y) > radius + 1
    bright = np.where(dark[..., None], 0, 100 + 0.6 * picture)
    speckled = dark & (rng.random(dark.shape) < 0.4)
    bright[speckled] = rng.integers(0, 90, (speckled.sum(), 3))
    return bright


def plain(picture, rng):
    """Nothing else."""
    return picture


CONDITIONS = (plain, glow, halo, shade, notch, dust, noise, dark, jpeg, equalised)


def stressed(condition, seed=0):
    """Draw a photograph under one of `CONDITIONS`; PIL.Image.Image."""
    rng = np.random.default_rng(seed)
    picture = condition(draw(rng), rng)
    return Image.fromarray((picture + rng.normal(0, 1.5, picture.shape)).clip(0, 255).astype(np.uint8))


def windows(photograph, circle, share, aspect=1.0):
    """Cut a window around the circle, as sets do that cut the disc on all sides.

    Parameters
    ----------
    photograph : PIL.Image.Image
    circle : tuple of float
        x, y and radius.
    share : float
        Height of the window as a share of the diameter.
    aspect : float
        Width by height.

    Returns
    -------
    window : PIL.Image.Image
    corner : (int, int)
        Its upper left corner in the photograph.
    """
    x, y, radius = circle
    left, upper = max(0, round(x - share * aspect * radius)), max(0, round(y - share * radius))
    right = min(photograph.width, round(x + share * aspect * radius))
    lower = min(photograph.height, round(y + share * radius))
    return photograph.crop((left, upper, right, lower)), (left, upper)
