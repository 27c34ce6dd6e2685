"""Read the TIFFs of scientific programs that Pillow does not know, such as colours in floats, with tifffile.

tifffile comes with scikit-image (requirements.txt); requirements-predict.txt does not need it.
"""

import numpy as np
from PIL import Image

from eyenet.photo.depth import floats_to_bytes, to_bytes
from eyenet.photo.pages import choose_page
from eyenet.run.errors import PhotoError

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # first bytes


def is_tiff(path):
    """Tell by its first bytes whether a file is a TIFF."""
    with open(path, "rb") as file:
        return file.read(4) in TIFF


def open_with_tifffile(path, page, most):
    """Read a page of a TIFF as an 8-bit image.

    Parameters
    ----------
    path : Path
    page : int or None
        From 1; None for the only one.
    most : int
        Maximum number of pixels.

    Returns
    -------
    PIL.Image.Image
        Mode RGB or L.

    Raises
    ------
    PhotoError
        If tifffile is not installed or cannot read it, or its pixels are not those of a photograph.
    """
    try:
        from tifffile import TiffFile
    except ImportError:
        raise PhotoError("is a TIFF that is damaged, or of a kind that needs tifffile: pip install tifffile") from None
    with TiffFile(path) as file:
        chosen = file.pages[choose_page(page, lambda: range(1, len(file.pages) + 1), len(file.pages)) - 1]
        if chosen.imagewidth * chosen.imagelength > most:
            raise PhotoError(
                f"{chosen.imagewidth} x {chosen.imagelength} pixels exceed the limit of {most // 10**6} million"
            )
        values = chosen.asarray()
        planes, light = chosen.planarconfig == 2, chosen.photometric.name
    if values.ndim == 3 and planes:
        values = np.moveaxis(values, 0, -1)
    if values.ndim not in (2, 3) or light not in ("RGB", "MINISBLACK", "MINISWHITE") or values.dtype.kind not in "uif":
        raise PhotoError(f"is a TIFF of {light.lower()} pixels, which are not those of a photograph")
    if values.ndim == 3:
        values = values[..., :3] if values.shape[2] >= 3 else values[..., 0]
    small = floats_to_bytes(values) if values.dtype.kind == "f" else to_bytes(values)
    return Image.fromarray(255 - small if light == "MINISWHITE" else small)
