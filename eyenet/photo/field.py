"""The field of a photograph: the circle of the retina, or the whole frame where the retina fills the picture."""

import numpy as np
from PIL import Image

from eyenet.photo.circle import Circle, find_retina
from eyenet.photo.colours import BLACK
from eyenet.run.errors import NoRetina, plural

FIELDS = ("auto", "circle", "frame")
CELLS = 32  # per side, of the coarse picture that `fills_picture` looks at
LIT = 0.15  # of the bright level, above which a cell is lit
SHARE = 0.85  # minimum lit share of the picture, and of the middle half of each side
REDDER, BLUEST = 1.1, 1.1  # least red/green and most blue/green of a retina; medians of the lit cells


def find_field(image, field="circle"):
    """Find what the crop shows: the circle of the retina, or the whole frame.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    field : {'circle', 'auto', 'frame'}
        'circle' needs a rim that is seen. 'auto' takes the whole frame where none is and the retina fills the picture,
        as in published sets that cut the disc on all sides. 'frame' always takes the whole frame.

    Returns
    -------
    Circle
        For a whole frame the circle through its corners, so that nothing is cut off.

    Raises
    ------
    NoRetina
        If there is neither.
    ValueError
        If `field` is none of these.
    """
    if field not in FIELDS:
        raise ValueError(f"the field is {', '.join(FIELDS[:-1])} or {FIELDS[-1]}, not {field!r}")
    if field == "frame":
        return whole_frame(image)
    try:
        return find_retina(image)
    except NoRetina:
        if field == "auto" and fills_picture(image):
            return whole_frame(image)
        raise


def whole_frame(image):
    """Circle through the corners of a frame; `found` is False for a black one."""
    light = np.asarray(image.resize((CELLS, CELLS), Image.Resampling.NEAREST)).max(axis=2)
    found = bool(np.percentile(light, 99) > BLACK)
    return Circle(image.width / 2, image.height / 2, float(np.hypot(*image.size)) / 2, found, "frame")


def fills_picture(image):
    """Tell whether a picture could be a retina that fills it: lit on all four sides, and in the colours of a retina.

    Whether it is one, the quality gate decides, as for every photograph. Equalised colours are no longer those of a
    retina; such pictures need `field='frame'`.
    """
    coarse = np.asarray(image.resize((CELLS, CELLS), Image.Resampling.BOX)).astype(float)
    light = coarse.max(axis=2)
    lit = light > max(BLACK, LIT * np.percentile(light, 95))
    middle = slice(CELLS // 4, -CELLS // 4)
    sides = (lit[:2, middle], lit[-2:, middle], lit[middle, :2], lit[middle, -2:])
    if lit.mean() < SHARE or min(side.mean() for side in sides) < SHARE:
        return False
    red, green, blue = np.median(coarse[lit], axis=0)
    return bool(red >= REDDER * green and blue <= BLUEST * green)


def describe_fields(circles, frames):
    """Say how many photographs show the circle of the retina, and how many the whole frame."""
    return f"{circles:,} by the circle of the retina, {plural(frames, 'as a whole frame', 'as whole frames')}"
