"""The copies by class: which ones a photograph gets, how they are made, and the table that lists them."""

import numpy as np
import pandas as pd
from PIL import Image

from eyenet.names import copy_name
from eyenet.photo import black_outside
from eyenet.stage import StageError

NO_DR = ("original", "mirror")
ANY_DR = ("original", "mirror", "rot90", "rot120", "rot180", "rot270")


def transforms_of(level):
    """List the transforms of a photograph of this grade."""
    return NO_DR if level == 0 else ANY_DR


def transform(pixels, name):
    """Mirror or rotate an image, counter-clockwise about its centre.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, n, 3)
    name : {'original', 'mirror', 'rot90', 'rot120', 'rot180', 'rot270'}

    Returns
    -------
    ndarray of uint8, shape (n, n, 3)
    """
    if name == "original":
        return pixels
    if name == "mirror":
        return pixels[:, ::-1]
    degrees = int(name.removeprefix("rot"))
    if degrees % 90 == 0:
        return np.rot90(pixels, degrees // 90)
    # Bicubic keeps more of the detail than bilinear: a copy should not be recognisable by its blur.
    return black_outside(np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC)))


def copies_table(photographs, only_train):
    """Expand the table of photographs to one row an image, with its transform and its `source`.

    Raises
    ------
    StageError
        If a copy would have the name of another photograph.
    """
    rows = []
    for row in photographs.to_dict("records"):
        copied = row["split"] == "train" or not only_train
        for name in transforms_of(row["level"]) if copied else ["original"]:
            rows.append({**row, "image": copy_name(row["image"], name), "transform": name, "source": row["image"]})
    table = pd.DataFrame(rows)
    doubled = table.loc[table["image"].duplicated(), "image"]
    if len(doubled):
        raise StageError(
            f"the name {doubled.iloc[0]!r} would be both a photograph and a copy of another; rename the photograph"
        )
    return table
