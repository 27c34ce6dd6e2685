"""What can be measured of a photograph's quality: light, its evenness, glare, colour, focus, contrast of the vessels.

All is measured on the crop at 256 px, where one pixel is 1/256 of the retina's diameter in every photograph: the
pixels of the camera do not count. Structure is measured on the green channel after equalisation, which sets the
vessels' contrast against that of the whole retina, so that neither exposure nor camera matters to it; and it makes a
photograph that somebody has equalised like any other.
"""

import numpy as np
from PIL import Image, ImageFilter

from eyenet.photo.colours import equalize, find_visible
from eyenet.photo.retina import black_outside, inside_circle

SIDE = 256
CELL = 16  # pixels of a cell's side: an optic disc is about two cells wide, a large vessel a quarter
CELLS = SIDE // CELL
RIM = 8  # pixels within the rim that are left out of the structure: the rim itself is an edge
NONE = float(np.log(1e-3))  # no structure at all
FLAT = 0.12  # of EyePACS's, 484 of 484 natural ones are at 0.22 or more, 99 in 100 equalised ones at 0.05 or less
GLARE = 250  # green level from which nothing but light is to be seen; red alone saturates in good photographs


def measure(crop, geometry):
    """Measure the quality of a photograph.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
        In the photograph's own colours, as `eyenet.photo.retina.crop_retina` gives it.
    geometry : dict
        As `eyenet.photo.retina.photograph_to_input` gives it; of it `visible` counts, and may be missing.

    Returns
    -------
    dict of str to float
        Logarithms are natural. `equalized`: 1 where somebody has equalised the photograph, so that its light and
        colour say nothing; `visible`: share of the circle that is to be seen; `light`: log of the median red level;
        `shade`: log of the darkest tenth over the median; `glare`: share of pixels without anything but light;
        `clipped`: share of pixels that are at one level, where detail was lost; `red_green`, `green_blue`: log ratios;
        `contrast`: log of the fine structure's where it is clearest; `vessels`: the same after equalisation;
        `dark_lines`: asymmetry of the fine structure, positive where it is dark lines on a lighter ground.
        Of a black frame only the first three.
    """
    crop = _at_side(crop)
    inside = inside_circle(SIDE)
    seen = find_visible(crop, inside)
    share = min(geometry.get("visible", 1.0), seen.sum() / inside.sum())  # the frame may hold a black letter-box
    found = {"equalized": 0.0, "visible": share, "light": 0.0}
    if seen.any():
        even = equalize(crop, inside)
        found["equalized"] = float(flatness(crop, seen) <= FLAT)
        found |= _light(crop, seen) | _structure(crop[..., 1], even[..., 1], seen)
    return {name: round(float(value), 4) for name, value in found.items()}


def flatness(crop, seen):
    """Give the largest distance (Kolmogorov's) of the levels' distribution from an even one, the median of three.

    Even from the level that a fiftieth of the pixels lie below up to white: whoever equalises the whole frame gives the
    lowest levels to the black surround.
    """
    counts = np.array(Image.fromarray(crop).histogram(mask=_mask(seen))).reshape(3, 256)
    share, level = counts.cumsum(axis=1) / seen.sum(), np.arange(256)
    lowest = (share < 0.02).sum(axis=1, keepdims=True)
    even = ((level - lowest) / np.maximum(256 - lowest, 1)).clip(0, 1)
    return float(np.median(np.abs(share - even).max(axis=1)))


def _at_side(crop):
    """Bring a crop to 256 px."""
    if len(crop) == SIDE:
        return crop
    way = Image.Resampling.HAMMING if len(crop) > SIDE else Image.Resampling.BICUBIC
    return black_outside(np.asarray(Image.fromarray(crop).resize((SIDE, SIDE), way)))


def _mask(seen):
    return Image.fromarray(seen.view(np.uint8) * 255)


def _light(crop, seen):
    """Measure light, evenness, glare and colour from the means of the cells."""
    weight = seen.astype(np.float32)
    share = _averages(weight)
    shown = share > 0.5 * min(1, share.max())
    means = [_averages(crop[..., k] * weight)[shown] / share[shown] for k in range(3)]
    red, green, blue = np.log(np.stack(means) + 4)  # 4 grey levels: the noise of a dark photograph has no colour
    dark, middle = np.quantile(red, (0.1, 0.5))
    return {
        "light": middle,
        "shade": dark - middle,
        "glare": (crop[..., 1][seen] >= GLARE).mean(),
        "red_green": np.median(red - green),
        "green_blue": np.median(green - blue),
    }


def _structure(green, even, seen):
    """Measure structure of a hundredth of the diameter in the green channel, natural and equalised."""
    levels = np.array(Image.fromarray(even).histogram(mask=_mask(seen))) / seen.sum()
    found = {"clipped": np.convolve(levels, np.ones(6), "valid").max()}  # 6 levels: a JPEG makes one level several
    inner = np.asarray(_mask(seen).filter(ImageFilter.BoxBlur(RIM))) >= 254
    share = _averages(inner.astype(np.float32))
    shown = share > 0.5
    if not shown.any():
        return found | {"contrast": NONE, "vessels": NONE, "dark_lines": 0.0}
    bent = _bend(np.log(green.astype(np.float32) + 16)) * inner
    found["contrast"] = _clearest(bent, share, shown)
    bent = _bend(even.astype(np.float32) / 255) * inner
    found["vessels"] = _clearest(bent, share, shown)
    light, middle, dark = np.quantile(bent[::2, ::2][inner[::2, ::2]], (0.05, 0.5, 0.95))
    # Quantiles, not the third moment: hard exudates are bright, and a diseased retina would look out of focus.
    found["dark_lines"] = (light + dark - 2 * middle) / (dark - light + 1e-4)
    return found


def _bend(level, lag=2):
    """Take the Laplacian at a distance of `lag` pixels: positive where it is darker than round about."""
    bent = np.zeros_like(level)
    k = slice(lag, -lag)
    bent[k, k] = level[2 * lag :, k] + level[: -2 * lag, k] + level[k, 2 * lag :] + level[k, : -2 * lag]
    bent[k, k] -= 4 * level[k, k]
    return bent


def _clearest(bent, share, shown):
    """Give the log of the structure's root mean square that a tenth of the cells exceed."""
    cells = np.sqrt(_averages(bent * bent)[shown] / share[shown])
    return float(np.log(np.quantile(cells, 0.9) + 1e-3))


def _averages(values):
    """Average a square of floats to 16 x 16 cells."""
    return values.reshape(CELLS, CELL, CELLS, CELL).mean(axis=(1, 3))
