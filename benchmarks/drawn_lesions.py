"""Draw the lesions of the synthetic sample on real crops: where they are is known, and disease is no poor quality."""

from unittest.mock import patch

import numpy as np
import record  # noqa: F401, which finds eyenet
from PIL import Image, ImageFilter

from eyenet.photo.retina import black_outside
from eyenet.sample.eye import draw_look, make_anatomy
from eyenet.sample.lesions import draw_lesions
from eyenet.sample.shapes import CANVAS, EDGE, compose

LEVELS = (2, 3, 4)
RETINA = (0.68, 0.38, 0.21)  # reflectance of a retina of medium pigment, as in eyenet/sample/eye.py
DIFFERS = 12  # of 255, by which a lesion changes a pixel
LIGHT = 0.1  # of the canvas, standard deviation of the blur that leaves only the light


def draw_on(crop, level, seed):
    """Draw the lesions of a grade on the crop of a healthy retina.

    The places are those of an anatomy drawn at random, not of the photograph's own: a lesion may lie on its vessels.
    The lesions are lit as the retina around them, so they are dim in shade, and keep the photograph's colour cast.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
    level : int
        Grade, 1 to 4.
    seed : int

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
    """
    rng, layers, size = np.random.default_rng(seed), {}, len(crop)
    draw_lesions(layers, rng, make_anatomy(rng, draw_look(rng)), level)
    side = round(CANVAS / EDGE)
    image = Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC)
    margin = (CANVAS - side) // 2
    frame = Image.new("RGB", (CANVAS, CANVAS))
    frame.paste(image, (margin, margin))
    shown = Image.fromarray((np.asarray(frame).max(axis=2) > 0).view(np.uint8) * 255)
    blurred = [np.asarray(i.filter(ImageFilter.GaussianBlur(LIGHT * CANVAS)), np.float32) for i in (frame, shown)]
    light = blurred[0] / np.maximum(blurred[1], 8)[..., None] * 255 / RETINA
    light = light.transpose(2, 0, 1)
    lesions = compose(np.asarray(frame, np.float32).transpose(2, 0, 1) / np.maximum(light, 1e-3), layers) * light
    drawn = Image.fromarray(np.rint(lesions.transpose(1, 2, 0)).clip(0, 255).astype(np.uint8))
    drawn = drawn.crop((margin, margin, margin + side, margin + side)).resize((size, size), Image.Resampling.HAMMING)
    return black_outside(np.array(drawn))


def lesions_on(crop, level, seed):
    """Draw on a crop as `draw_on`, and tell where.

    Returns
    -------
    drawn : ndarray of uint8, shape (size, size, 3)
    lesion : ndarray of bool, shape (size, size)
    """
    drawn = draw_on(crop, level, seed)
    with patch(f"{__name__}.draw_lesions", lambda *_: None):
        without = draw_on(crop, level, seed)
    return drawn, np.abs(drawn.astype(int) - without).max(axis=2) > DIFFERS
