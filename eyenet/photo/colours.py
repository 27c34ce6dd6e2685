"""The colours of a crop: natural, as from the camera, or equalised, which removes differences between cameras."""

import functools

import numpy as np
from PIL import Image

COLOURS = ("natural", "equalized")
BLACK = 24  # a frame whose 99th percentile is at or below this is black
NOISE = 6  # grey levels; the background of three quarters of 172 EyePACS photographs at 256 px is at or below it
# Share of the brightest level. In EyePACS only 1 row in 200 lies between 0.04 and 0.1: letterbox below, retina above.
SHADE = 0.08
LIT = 0.25  # minimum lit share of a row of retina inside the circle; vessels and shade may darken the rest


def light_of(crop):
    """Maximum of the channels at each pixel of a crop, uint8 (size, size, 3)."""
    return functools.reduce(np.maximum, (crop[..., channel] for channel in range(3)))


def brightness(crop, inside):
    """Brightness of a crop: the 99th percentile of max(R, G, B) inside the circle, 0-255."""
    return brightest(light_of(crop), inside)


def brightest(light, inside):
    """99th percentile of the light inside the circle, 0-255."""
    return float(np.percentile(light[inside], 99))


def find_visible(crop, inside):
    """Mask of the visible retina: the circle without black letterbox rows and columns.

    Whole rows and columns are judged, not pixels: a dark pixel among lit ones is a vessel, a haemorrhage or the fovea.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
    inside : ndarray of bool, shape (size, size)
        Pixels in the circle.

    Returns
    -------
    ndarray of bool, shape (size, size)
        All False for a black frame, with or without a reflection in it.
    """
    light = light_of(crop)
    most = brightest(light, inside)
    if most <= BLACK:
        return np.zeros_like(inside)
    lit, visible = inside & (light > max(NOISE, SHADE * most)), inside.copy()
    for axis in (0, 1):
        shown = np.flatnonzero(lit.sum(axis=axis) > LIT * inside.sum(axis=axis))
        if not len(shown):
            return np.zeros_like(inside)
        place = np.expand_dims(np.arange(len(crop)), axis)
        visible &= (place >= shown[0]) & (place <= shown[-1])
    return visible


def equalize(crop, inside):
    """Equalise the histogram of each channel over the visible retina, and blacken the rest.

    Each level becomes the mean rank of its pixels, so equalising twice changes nothing but rounding, and an equalised
    photograph gives the same result as the natural one. Other tools such as OpenCV and scikit-image take the upper
    rank, the share of pixels at or below the level: on 40 EyePACS crops of 256 px they are brighter by 2.5 grey levels
    on average (1.0 to 4.9), and by more where more pixels share a level. Pillow's `equalize` rounds its steps down,
    which leaves 5 % of a crop of 64 px white.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
    inside : ndarray of bool, shape (size, size)
        Pixels in the circle; the crop is black outside.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
        The unchanged crop if no retina is visible, so that the noise of a black frame is not amplified.
    """
    visible = find_visible(crop, inside)
    if not visible.any():
        return crop
    image = Image.fromarray(crop)
    counts = np.array(image.histogram(mask=Image.fromarray(visible))).reshape(3, 256)
    ranks = (counts.cumsum(axis=1) - counts / 2) / visible.sum()
    levels = np.round(255 * ranks).astype(int).ravel().tolist()
    return np.asarray(image.point(levels)) * visible[..., None].view(np.uint8)
