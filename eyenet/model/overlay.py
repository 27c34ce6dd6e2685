"""Draw the evidence in a network's cells as a heat map over the photograph, without Keras."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from eyenet.photo.colours import find_visible
from eyenet.photo.png import encode_png
from eyenet.photo.retina import crop_photograph, inside_circle
from eyenet.run.files import write_whole

OPACITY = 0.75  # where the heat is greatest, so that the photograph shows through
# Blue-green to yellow-green stands out on an orange retina, where red would look like blood, and stays ordered for the
# colour-blind: matplotlib's viridis from 0.35 to 0.95, interpolated between nine colours (error at most 5 of 255).
_PLACES = ("2f6c8e", "277e8e", "21908c", "1fa287", "2fb47c", "50c46a", "7ad251", "abdc32", "dfe318")
_PLACES = np.array([list(bytes.fromhex(place)) for place in _PLACES])
HEAT_COLOURS = np.stack([np.interp(np.linspace(0, 8, 256), np.arange(9), c) for c in _PLACES.T], axis=1).astype(
    np.float32
)


SHOWN, LINE = 512, 32  # side of a photograph and height of its caption on a page, in pixels


class Grid(NamedTuple):
    """Receptive-field centres of a feature map: cell i is centred on pixel `start` + `step` * i."""

    start: float
    step: float


def draw_heat(evidence, log_odds, threshold, images, grid):
    """Draw the evidence for disease as heat maps, scaled so that the maximum is the probability of disease.

    Parameters
    ----------
    evidence : ndarray of float32, shape (n, cells, cells)
        Not negative.
    log_odds : ndarray of float, shape (n,)
        Log-odds of disease, uncalibrated.
    threshold : float, or ndarray of float, shape (n,)
        Uncalibrated probability from which a photograph is called diseased; it maps to one half.
    images : array of uint8, shape (n, size, size, 3)
        The photographs.
    grid : Grid

    Returns
    -------
    ndarray of float32, shape (n, size, size)
        0 to 1; 0 outside the visible retina.
    """
    evidence = enlarge(evidence, images.shape[1], grid) * [retina_of(crop) for crop in images]
    greatest = evidence.max(axis=(1, 2))
    strength = 1 / (1 + np.exp(np.log(threshold / (1 - threshold)) - log_odds))
    return evidence * (strength / np.maximum(greatest, 1e-12)).astype(np.float32)[:, None, None]


def retina_of(crop):
    """Mark the pixels of a crop that show the retina; the whole circle for a black photograph."""
    circle = inside_circle(len(crop))
    visible = find_visible(crop, circle)
    return visible if visible.any() else circle


def enlarge(cells, size, grid):
    """Interpolate maps (n, cells, cells) linearly to (n, size, size), each cell at its receptive-field centre."""
    last = cells.shape[1] - 1
    place = ((np.arange(size) - grid.start) / grid.step).clip(0, last)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(last + 1))).astype(np.float32)
    return weights @ cells @ weights.T


def overlay(image, heat):
    """Blend a heat map over its photograph, which is unchanged outside the retina and where there is no heat.

    Parameters
    ----------
    image : ndarray of uint8, shape (size, size, 3)
    heat : ndarray of float, shape (size, size)
        0 to 1.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
    """
    heat = np.where(inside_circle(len(image)), heat, 0).clip(0, 1)
    opacity = (OPACITY * heat**0.6)[..., None]  # the root keeps medium heat visible
    colour = HEAT_COLOURS[np.rint(255 * heat).astype(int)]
    return np.rint(image * (1 - opacity) + colour * opacity).astype(np.uint8)


def is_page(path):
    """Tell whether a file is a PNG of the size that `draw_page` writes."""
    with open(path, "rb") as file:
        head = file.read(24)
    width, height = (int.from_bytes(head[first : first + 4], "big") for first in (16, 20))
    return head[:4] == b"\x89PNG" and height == SHOWN + LINE and width > SHOWN and width % SHOWN == 0


def draw_page(path, target, panels, field="circle"):
    """Write a PNG with a photograph and, beside it, its heat maps.

    Parameters
    ----------
    path : path-like
        The photograph.
    target : path-like
    panels : list of (str, ndarray of float, shape (size, size))
        Heat maps with their captions.
    field : {'circle', 'auto', 'frame'}
        As the network saw the photograph.
    """
    from PIL import ImageDraw, ImageFont  # slow, and not needed for an answer

    crop, _ = crop_photograph(path, SHOWN, field)
    shown = [(target.stem, crop)]
    for line, heat in panels:
        large = Image.fromarray(heat.astype(np.float32)).resize((SHOWN, SHOWN), Image.Resampling.BILINEAR)
        shown.append((line, overlay(crop, np.asarray(large))))
    page = Image.new("RGB", (SHOWN * len(shown), SHOWN + LINE))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(LINE // 2)
    for i, (line, picture) in enumerate(shown):
        page.paste(Image.fromarray(picture), (SHOWN * i, LINE))
        draw.text((SHOWN * i + LINE // 2, LINE // 4), line, fill="white", font=font)
    write_whole(target, encode_png(np.asarray(page)))
