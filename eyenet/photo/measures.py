"""Measures of a photograph's quality: light, glare, colour, focus and vessel contrast.

All are measured on the crop at 256 px, where a pixel is 1/256 of the retina's diameter whatever the camera's
resolution. Structure is measured on the green channel after equalisation, which relates the vessels' contrast to that
of the whole retina: the result depends on neither exposure nor camera, nor on whether the photograph was already
equalised.
"""

import numpy as np
from PIL import Image, ImageFilter

from eyenet.photo.colours import equalize, find_visible
from eyenet.photo.retina import black_outside, inside_circle

SIDE = 256
CELL = 16  # px, side of a cell: an optic disc is about two cells wide, a large vessel a quarter of one
CELLS = SIDE // CELL
RIM = 8  # px inside the rim that are excluded from the structure, since the rim itself is an edge
NONE = float(np.log(1e-3))  # log of no structure at all
FLAT = 0.12  # EyePACS: all 484 natural photographs are at 0.22 or more, 99 % of equalised ones at 0.05 or less
COARSE = 6  # px, distance at which the coarse structure is measured: 1/43 of the diameter, wider than a large vessel
# Half of a line, as (down, right) in px: 12 px long in eight directions. A vessel reaches that far, a lesion does not.
ALONG = ((0, 6), (6, 0), (4, 4), (4, -4), (6, 2), (2, 6), (6, -2), (2, -6))
REACH = 10  # px from a pixel to the last one that is compared: along, across and the average of 3 x 3
SEEN = 0.1  # share of the range of levels; a cell with dark lines of this amplitude shows a vessel
GLARE = 250  # green level of a saturated pixel; the red channel also saturates in good photographs


def measure(crop, geometry):
    """Measure the quality of a photograph.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
        In the photograph's own colours, as returned by `eyenet.photo.retina.crop_photograph`.
    geometry : dict
        As returned by `eyenet.photo.retina.crop_photograph`; only `visible`, 1 if missing, and `field` are used.

    Returns
    -------
    dict of str to float
        Logarithms are natural. `equalized`: 1 for a histogram-equalised photograph, whose light and colour carry no
        information; `visible`: visible share of the circle; `light`: log of the median red level; `shade`: log of the
        ratio of its 10th percentile to the median; `glare`: share of saturated pixels; `clipped`: largest share of
        pixels at one level, where detail was lost; `red_green`, `green_blue`: log ratios; `contrast`: log amplitude of
        the fine structure where it is clearest; `vessels`: the same after equalisation; `dark_lines`: asymmetry of the
        fine structure, positive for dark lines on a lighter background; `colour`: the largest mean difference of two
        equalised channels, 0 for a grey photograph of any tint. An equalised photograph also has `coarse`: as
        `vessels`, of coarser structure; and `lines`: share of the retina in which vessels are seen. A black frame has
        only the first three.
    """
    crop = _at_side(crop)
    inside = inside_circle(SIDE)
    seen = find_visible(crop, inside)
    share = min(geometry.get("visible", 1.0), seen.sum() / inside.sum())  # without a black letterbox in the frame
    if geometry.get("field") == "frame":
        share = 1.0  # the retina fills the picture: nothing of a circle is missing
    found = {"equalized": 0.0, "visible": share, "light": 0.0}
    if seen.any():
        even = equalize(crop, inside)
        found["equalized"] = float(flatness(crop, seen) <= FLAT)
        found |= _light(crop, seen) | _structure(crop[..., 1], even[..., 1], seen, found["equalized"])
        found["colour"] = _colour(even, seen)
    return {name: round(float(value), 4) for name, value in found.items()}


def flatness(crop, seen):
    """Kolmogorov distance of the levels from a uniform distribution, median of the three channels.

    The uniform distribution starts at the 2nd percentile: equalising a whole frame assigns the lowest levels to the
    black background.
    """
    counts = np.array(Image.fromarray(crop).histogram(mask=_mask(seen))).reshape(3, 256)
    share, level = counts.cumsum(axis=1) / seen.sum(), np.arange(256)
    lowest = (share < 0.02).sum(axis=1, keepdims=True)
    even = ((level - lowest) / np.maximum(256 - lowest, 1)).clip(0, 1)
    return float(np.median(np.abs(share - even).max(axis=1)))


def _at_side(crop):
    """Resample a crop to 256 px."""
    if len(crop) == SIDE:
        return crop
    way = Image.Resampling.HAMMING if len(crop) > SIDE else Image.Resampling.BICUBIC
    return black_outside(np.asarray(Image.fromarray(crop).resize((SIDE, SIDE), way)))


def _mask(seen):
    return Image.fromarray(seen.view(np.uint8) * 255)


def _cell_means(image, seen):
    """Average each channel over the visible pixels of the cells that show enough; shape (3, cells)."""
    weight = seen.astype(np.float32)
    share = _averages(weight)
    shown = share > 0.5 * min(1, share.max())
    return np.stack([_averages(image[..., k] * weight)[shown] / share[shown] for k in range(3)])


def _light(crop, seen):
    """Measure light and colour on the means of the cells, and glare on the pixels."""
    red, green, blue = np.log(_cell_means(crop, seen) + 4)  # + 4 levels: less colour of noise in dark photographs
    dark, middle = np.quantile(red, (0.1, 0.5))
    return {
        "light": middle,
        "shade": dark - middle,  # not weighted any more: cameras differ in it; benchmarks/quality.py --before needs it
        "glare": (crop[..., 1][seen] >= GLARE).mean(),
        "red_green": np.median(red - green),
        "green_blue": np.median(green - blue),
    }


def _colour(even, seen):
    """Measure how much the equalised channels differ, on the means of the cells, which suppress noise; 0 to 1."""
    red, green, blue = _cell_means(even, seen)
    return max(np.abs(a - b).mean() for a, b in ((red, green), (green, blue), (red, blue))) / 255


def _structure(green, even, seen, equalized):
    """Measure structure at 1/100 of the diameter in the green channel, natural and equalised.

    Only the gate for equalised photographs uses `coarse` and `lines`, which take as long as all the others.
    """
    levels = np.array(Image.fromarray(even).histogram(mask=_mask(seen))) / seen.sum()
    found = {"clipped": np.convolve(levels, np.ones(6), "valid").max()}  # 6 levels: JPEG compression spreads one level
    inner = np.asarray(_mask(seen).filter(ImageFilter.BoxBlur(RIM))) >= 254
    share = _averages(inner.astype(np.float32))
    shown = share > 0.5
    if not shown.any():
        return found | {"contrast": NONE, "vessels": NONE, "coarse": NONE, "lines": 0.0, "dark_lines": 0.0}
    bent = _bend(np.log(green.astype(np.float32) + 16)) * inner
    found["contrast"] = _clearest(bent, share, shown)
    if equalized:
        found["coarse"] = _clearest(_bend(even.astype(np.float32) / 255, COARSE) * inner, share, shown)
        found["lines"] = _share_with_lines(even, inner, share, shown)
    bent = _bend(even.astype(np.float32) / 255) * inner
    found["vessels"] = _clearest(bent, share, shown)
    light, middle, dark = np.quantile(bent[::2, ::2][inner[::2, ::2]], (0.05, 0.5, 0.95))
    # By the third moment, bright hard exudates would make a diseased retina look out of focus.
    found["dark_lines"] = (light + dark - 2 * middle) / (dark - light + 1e-4)
    return found


def _bend(level, lag=2):
    """Laplacian at a distance of `lag` pixels: positive where a pixel is darker than its surroundings."""
    bent = np.zeros_like(level)
    k = slice(lag, -lag)
    bent[k, k] = level[2 * lag :, k] + level[: -2 * lag, k] + level[k, 2 * lag :] + level[k, : -2 * lag]
    bent[k, k] -= 4 * level[k, k]
    return bent


def _share_with_lines(even, inner, share, shown):
    """Share of the cells that show a dark line: a vessel.

    A pixel belongs to one if it, and the pixels at both ends of a line through it, are darker than the two sides. Spots
    and textures of all kinds are not: haemorrhages, exudates, scars of laser treatment, noise.
    """
    level = np.pad(even.astype(np.int16), REACH)
    rows = level[:-2] + level[1:-1] + level[2:]
    level = np.pad(rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:], 1)  # sums of 3 x 3

    def at(image, down, right, margin):
        return image[margin + down : len(image) - margin + down, margin + right : len(image) - margin + right]

    most = np.zeros(even.shape, np.int16)
    for down, right in ALONG:
        across = (-right // 2, down // 2)
        bent = at(level, *across, 3) + at(level, -across[0], -across[1], 3) - 2 * at(level, 0, 0, 3)
        rest = REACH - 3
        ends = np.minimum(at(bent, down, right, rest), at(bent, -down, -right, rest))
        np.maximum(most, np.minimum(ends, at(bent, 0, 0, rest)), out=most)
    power = _averages((most * inner).astype(np.float64) ** 2)[shown] / share[shown]
    return (power > (SEEN * 9 * 255) ** 2).mean()


def _clearest(bent, share, shown):
    """Log of the 90th percentile over cells of the structure's root mean square."""
    cells = np.sqrt(_averages(bent * bent)[shown] / share[shown])
    return float(np.log(np.quantile(cells, 0.9) + 1e-3))


def _averages(values):
    """Average a square array of floats to 16 x 16 cells."""
    return values.reshape(CELLS, CELL, CELLS, CELL).mean(axis=(1, 3))
