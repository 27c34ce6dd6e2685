"""Draw the marks of the experts of DIARETDB1 [1]_ and find the lesions on which at least two of four agree.

The shapes of each expert are drawn, filled, on the square around the retina. A pixel belongs to a lesion where at least
two experts have marked it, each with any kind of the group that is asked about: for one kind both must have named that
kind. The level of confidence that an expert noted is not used. Ellipses are drawn upright, as the table has no angle.

References
----------
.. [1] T. Kauppi et al., "The DIARETDB1 diabetic retinopathy database and evaluation protocol", BMVC, 2007.
"""

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion, distance_transform_edt

KINDS = ("Red_small_dots", "Haemorrhages", "Hard_exudates", "Soft_exudates", "IRMA", "Neovascularisation")
LARGER = "all but red small dots"
GROUPS = {
    LARGER: KINDS[1:],
    "haemorrhages": KINDS[1:2],
    "hard exudates": KINDS[2:3],
    "soft exudates": KINDS[3:4],
    "IRMA or neovascularisation": KINDS[4:],
    "red small dots": KINDS[:1],
}
EXPERTS, AGREEING = 4, 2
SQUARE = 768  # of the square, in pixels; the smallest marks are 5 pixels across on it
TILE, PENS = 480, ("yellow", "cyan", "magenta", "orange")


def read_marks(folder):
    """Read lesions.csv; DataFrame with a row for each mark."""
    table = pd.read_csv(folder / "lesions.csv", dtype={"polygon": str})
    return table[table["kind"].isin(KINDS)]


def draw_marks(marks, geometry):
    """Draw the marks on a photograph.

    Parameters
    ----------
    marks : DataFrame
        Rows of `read_marks` of this photograph.
    geometry : dict
        Circle of the retina, as from `eyenet.photo.retina.crop_photograph`.

    Returns
    -------
    ndarray of bool, shape (experts, kinds, SQUARE, SQUARE)
    """
    scale = SQUARE / (2 * geometry["radius"])
    left, upper = (geometry[f"center_{axis}"] - geometry["radius"] for axis in "xy")
    drawn = np.zeros((EXPERTS, len(KINDS), SQUARE, SQUARE), bool)
    for (expert, kind), rows in marks.groupby(["expert", "kind"]):
        image = Image.new("1", (SQUARE, SQUARE))
        pen = ImageDraw.Draw(image)
        for row in rows.itertuples():
            if row.shape == "polygon":
                points = [[float(value) for value in point.split(":")] for point in row.polygon.split()]
                pen.polygon([((x - left) * scale, (y - upper) * scale) for x, y in points], fill=1, outline=1)
            else:
                x, y, wide, high = row.x - left, row.y - upper, row.radius_x, row.radius_y
                pen.ellipse([scale * edge for edge in (x - wide, y - high, x + wide, y + high)], fill=1)
        drawn[expert - 1, KINDS.index(kind)] = np.asarray(image)
    return drawn


def of_experts(drawn, group):
    """Join the kinds of a group; bool (experts, SQUARE, SQUARE)."""
    return drawn[:, [KINDS.index(kind) for kind in GROUPS[group]]].any(axis=1)


def agreed(drawn, group):
    """Find the pixels that at least two experts have marked with a kind of the group; bool (SQUARE, SQUARE)."""
    return of_experts(drawn, group).sum(axis=0) >= AGREEING


def widened(mask, reach):
    """Add the pixels within `reach` diameters of the retina."""
    return distance_transform_edt(~mask) <= reach * len(mask) if mask.any() else mask.copy()


def draw_tile(crop, drawn, near, spot, said):
    """Draw the marks of each expert in a colour, the border of what counts in white, and the hottest spot.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
    drawn : ndarray of bool, shape (experts, kinds, SQUARE, SQUARE)
    near : ndarray of bool, shape (SQUARE, SQUARE)
        Where a spot is a hit.
    spot : tuple of int
        Row and column in the crop.
    said : str

    Returns
    -------
    PIL.Image.Image
    """
    tile = Image.fromarray(crop).resize((SQUARE, SQUARE), Image.Resampling.BICUBIC)
    for mask, colour in zip((*of_experts(drawn, LARGER), near), (*PENS, "white")):
        tile.paste(colour, mask=Image.fromarray(mask & ~binary_erosion(mask, iterations=2)))
    pen, scale = ImageDraw.Draw(tile), SQUARE / len(crop)
    y, x = ((place + 0.5) * scale for place in spot)
    hit = near[int(y), int(x)]
    pen.ellipse([x - 12, y - 12, x + 12, y + 12], outline="lime" if hit else "red", width=4)
    tile = tile.resize((TILE, TILE))
    ImageDraw.Draw(tile).text((4, 4), said, fill="white")
    return tile
