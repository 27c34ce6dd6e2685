"""Decode a photograph to upright 8-bit RGB, a JPEG at the smallest sufficient scale."""

import errno
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from eyenet.photo.dicom import is_dicom, open_dicom
from eyenet.run.errors import PhotoError

PHOTOGRAPHS = (".jpeg", ".jpg", ".png", ".tif", ".tiff")
MAX_PIXELS = 100_000_000  # about twice the largest fundus camera; 400 MB while decoding
ORIENTATION = 0x0112  # EXIF tag
Image.MAX_IMAGE_PIXELS = None  # `open_photograph` has its own limit and message


def open_photograph(path, least=None):
    """Decode a photograph to upright RGB, a JPEG at the smallest sufficient scale of 1, 1/2, 1/4 and 1/8.

    Inverting a JPEG's cosine transform at a reduced scale averages the pixels, and costs little more than reading the
    file.

    Parameters
    ----------
    path : path-like
    least : int, optional
        Minimum short side of the decoded image, in pixels. Default: full size.

    Returns
    -------
    image : PIL.Image.Image
        Mode RGB, EXIF orientation applied.
    factor : int
        Pixels of the photograph per pixel of `image`: 1, 2, 4 or 8.
    frame : (int, int)
        Width and height of the upright photograph.

    Raises
    ------
    PhotoError
        If the file is unreadable, damaged, not an image, or larger than `MAX_PIXELS`.
    """
    source = open_dicom(path, MAX_PIXELS) if is_dicom(path) else path
    try:
        with source if isinstance(source, Image.Image) else Image.open(source) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise PhotoError(f"{width} x {height} pixels exceed the limit of {MAX_PIXELS // 10**6} million")
            factor = 1
            if least is not None and image.format == "JPEG":
                factor = next((k for k in (8, 4, 2) if min(width, height) // k >= least), 1)
                image.draft(None, (width // factor, height // factor))
            image.load()
            if image.getexif().get(ORIENTATION, 1) != 1:  # otherwise Pillow would copy the whole image
                turned = image.getexif()[ORIENTATION] in (5, 6, 7, 8)
                width, height = (height, width) if turned else (width, height)
                return _to_rgb(ImageOps.exif_transpose(image)), factor, (width, height)
            return _to_rgb(image), factor, (width, height)
    except PhotoError:
        raise
    except IsADirectoryError:
        raise PhotoError("is a folder, not a photograph") from None
    except MemoryError:
        raise  # not the photograph's fault
    except Exception as error:  # damaged files make Pillow raise OSError, SyntaxError, struct.error and others
        if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise  # nor here
        raise PhotoError(_reason(path, error)) from None


def is_synthetic(path):
    """Tell by the file's comment whether a photograph was made by make_sample.py."""
    try:
        with Image.open(path) as image:
            return image.info.get("comment", b"").startswith(b"EyeNet synthetic")
    except Exception:  # as in `open_photograph`, which reports it
        return False


def _reason(path, error):
    """Describe in plain words why Pillow could not read a file."""
    try:
        if Path(path).stat().st_size == 0:
            return "the file is empty"
    except OSError as gone:
        return f"cannot be read: {gone.strerror}"
    if isinstance(error, Image.UnidentifiedImageError):
        return "is not an image in a supported format (JPEG, PNG, TIFF, DICOM)"
    if "truncated" in str(error) or "Truncated" in str(error):
        return "the file is truncated: its end is missing"
    return f"the image data is damaged ({type(error).__name__}: {error})"


def _to_rgb(image):
    """Convert any Pillow mode to 8-bit RGB: the high byte of 16 bits, floats scaled from 0-1, alpha over black."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        deep = image.mode.startswith("I;16") or values.max() > 255
        image = Image.fromarray((values >> 8 if deep else values).clip(0, 255).astype(np.uint8))
    elif image.mode == "F":
        values = np.asarray(image)
        image = Image.fromarray((values * (255 if values.max() <= 1 else 1)).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image if image.mode == "RGB" else image.convert("RGB")
