"""Which camera took a photograph: maker and model, as the file tells, and the size of the picture."""

import contextlib

from eyenet.photo.decode import open_image
from eyenet.photo.dicom import is_dicom, read_header
from eyenet.photo.pages import split_page
from eyenet.run.files import plain

LONGEST = 64  # characters of a maker or a model; DICOM allows as many
TAGS = {"maker": 0x010F, "model": 0x0110}  # EXIF
KEYWORDS = {"maker": "Manufacturer", "model": "ManufacturerModelName"}  # DICOM
SIZES = ["Columns", "Rows"]


def read_camera(path):
    """Read which camera took a photograph.

    Nothing here decides about the photograph, so what is missing or damaged is None, and no error is raised.

    Parameters
    ----------
    path : Path
        A photograph, or a page of a file.

    Returns
    -------
    dict
        `maker`, `model`; `camera`, both in one text; `width` and `height` in pixels, as they are stored. A text has no
        control characters, and at most LONGEST characters of the file's.
    """
    told = dict.fromkeys(("maker", "model", "width", "height"))
    with contextlib.suppress(Exception):  # decoders raise anything on garbage; `look` reports what cannot be read
        told |= _of_dicom(path) if is_dicom(path) else _of_picture(path)
    maker, model = told["maker"] or "", told["model"] or ""
    named = model if model.casefold().startswith(maker.casefold()) else f"{maker} {model}".strip()
    return told | {"camera": named or maker or None}


def _of_dicom(path):
    header = read_header(path, stop_before_pixels=True, specific_tags=[*KEYWORDS.values(), *SIZES])
    texts = {name: _tidy(header.get(keyword)) for name, keyword in KEYWORDS.items()}
    return texts | dict(zip(("width", "height"), (int(header[name].value) for name in SIZES)))


def _of_picture(path):
    file, page = split_page(path)
    with open_image(file) as image:
        if page is not None:
            image.seek(page - 1)
        told = {"width": image.width, "height": image.height}
        exif = image.getexif()
        return told | {name: _tidy(exif.get(tag)) for name, tag in TAGS.items()}


def _tidy(text):
    """Make a text of a file one short line; None for an empty one or a number."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        return None
    words = " ".join(text[: 4 * LONGEST].replace("\0", " ").split())
    return plain(words[:LONGEST]) or None
