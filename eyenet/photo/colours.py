"""The colours of a crop: natural, as the camera gave them, or equalised, which are alike from every camera."""

import functools

import numpy as np
from PIL import Image

COLOURS = ("natural", "equalized")
BLACK = 24  # a frame whose brightest hundredth is darker than this shows nothing
NOISE = 6  # grey levels; of the surround of 172 of EyePACS's, averaged to 256 px, three quarters are at or below it
SHADE = 0.08  # of the brightest: of EyePACS's rows, 1 in 200 has between 0.04 and 0.1, the letter-box less, retina more
LIT = 0.25  # share of a row in the circle that is lit where there is retina: it may be vessel and shade for the rest


def light_of(crop):
    """Give the brightest channel of each pixel of a crop, uint8 (size, size, 3)."""
    return functools.reduce(np.maximum, (crop[..., channel] for channel in range(3)))


def brightness(crop, inside):
    """Measure the light in a crop: the 99th percentile of max(R, G, B) inside the circle, 0-255."""
    return brightest(light_of(crop), inside)


def brightest(light, inside):
    """Give the 99th percentile of the light inside the circle, 0-255."""
    return float(np.percentile(light[inside], 99))


def find_visible(crop, inside):
    """Mark the part of the circle that shows the retina, without the letter-box where the frame cuts it off.

    The letter-box is whole rows or columns, so rows and columns are judged, not pixels: a dark pixel between lit ones
    is a vessel, a haemorrhage or the fovea.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
    inside : ndarray of bool, shape (size, size)
        Pixels in the circle.

    Returns
    -------
    ndarray of bool, shape (size, size)
        Empty where nothing is to be seen: a black frame, with or without a reflex in it.
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
    """Equalise the histogram of each channel over the retina that is to be seen, and blacken the rest.

    A level becomes the mean rank of its pixels, so that equalising again changes nothing but by rounding, and a
    photograph that somebody has equalised gives what the natural one gives. Pillow's own function rounds its steps
    down, which leaves a twentieth of a crop of 64 px white.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
    inside : ndarray of bool, shape (size, size)
        Pixels in the circle; the crop is black outside.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
        The crop as it is where nothing is to be seen: the noise of a black frame is not to become a picture.
    """
    visible = find_visible(crop, inside)
    if not visible.any():
        return crop
    image = Image.fromarray(crop)
    counts = np.array(image.histogram(mask=Image.fromarray(visible))).reshape(3, 256)
    ranks = (counts.cumsum(axis=1) - counts / 2) / visible.sum()
    levels = np.round(255 * ranks).astype(int).ravel().tolist()
    return np.asarray(image.point(levels)) * visible[..., None].view(np.uint8)
