"""Copies by class: the transforms of a photograph, how they are applied, and the table of all images."""

import numpy as np
from PIL import Image

from eyenet.data.names import copy_name
from eyenet.photo.retina import black_outside
from eyenet.run.errors import StageError

NO_DR = ("original", "mirror")
ANY_DR = ("original", "mirror", "rot90", "rot120", "rot180", "rot270")
LOSSLESS = {
    "mirror": Image.Transpose.FLIP_LEFT_RIGHT,
    "rot90": Image.Transpose.ROTATE_90,
    "rot180": Image.Transpose.ROTATE_180,
    "rot270": Image.Transpose.ROTATE_270,
}


def transforms_of(level):
    """Return the transforms of a photograph of this grade."""
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
        C-contiguous.
    """
    if name == "original":
        return pixels
    image = Image.fromarray(pixels)
    if name in LOSSLESS:  # five times as fast as a contiguous copy of NumPy's turned view
        return np.asarray(image.transpose(LOSSLESS[name]))
    # Bicubic keeps more detail than bilinear: the network should not recognise a copy by its blur.
    return black_outside(np.asarray(image.rotate(int(name.removeprefix("rot")), Image.Resampling.BICUBIC)))


def list_transforms(photographs, only_train):
    """Return the transforms of each row of the table of photographs; list of tuple."""
    rows = zip(photographs["level"], photographs["split"])
    return [transforms_of(level) if split == "train" or not only_train else ("original",) for level, split in rows]


def copies_table(photographs, only_train):
    """Expand the table of photographs to one row per image, with its transform and `photograph`.

    Raises
    ------
    StageError
        If a copy would have the name of another photograph.
    """
    transforms = list_transforms(photographs, only_train)
    repeated = np.repeat(np.arange(len(photographs)), [len(names) for names in transforms])
    table = photographs.iloc[repeated].reset_index(drop=True)
    table["transform"] = [name for names in transforms for name in names]
    table["photograph"] = table["image"]
    table["image"] = [copy_name(image, name) for image, name in zip(table["photograph"], table["transform"])]
    duplicates = table.loc[table["image"].duplicated(), "image"]
    if len(duplicates):
        raise StageError(
            f"the name {duplicates.iloc[0]!r} would be both a photograph and a copy of another; rename the photograph"
        )
    return table
