"""The pages of a file: of a TIFF, an animated PNG or WebP, an MPO, a multi-frame DICOM.

Each page is a photograph of its own, named by the file and the number of the page from 1: `scan.tiff[2]`. The plain
name of a file stands for its only photograph.
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from eyenet.run.errors import PhotoError, plural

PAGE = re.compile(r"(.+)\[([1-9][0-9]{0,5})\]")
SIZED = ("TIFF", "MPO", "HEIF")  # formats whose pages can have different sizes
REDUCED, MASK = 1, 4  # bits of TIFF's NewSubfileType
THUMBNAIL = 2  # a smaller copy of a page has at most 1 / THUMBNAIL of its width
TINY = 128  # px, short side; a retina on such a page would be refused as too small
PREVIEW = 64  # px, side at which pages are compared
# What the metadata of a picture that is no photograph name: a gain map for bright screens, as Apple, Ultra HDR and ISO
# 21496-1 write them, a depth map or another mask of Apple's.
AUXILIARY = (b"AuxiliaryImageType", b"hdrgm:Version", b"urn:iso:std:iso:ts:21496:-1")
# Largest difference of a page and its smaller copy at PREVIEW, in standard deviations of the page, except for the few
# pixels beyond QUANTILE. In 40 photographs of EyePACS, copies at 1/2 to 1/5, also JPEGs of quality 60, differ by at
# most 0.4, and any two photographs by at least 0.69. A page in doubt is a photograph.
SAME, QUANTILE = 0.5, 0.998


def split_page(path):
    """Split the name of a page into its file and its number.

    Returns
    -------
    file : Path
    page : int or None
        None for the name of a file, also if it looks like that of a page.
    """
    path = Path(path)
    found = PAGE.fullmatch(path.name)
    if found is None or path.exists():
        return path, None
    return path.with_name(found[1]), int(found[2])


def name_pages(path, pages):
    """Name the photographs in a file by their pages; a single one by the file."""
    return [path] if len(pages) == 1 else [path.with_name(f"{path.name}[{page}]") for page in pages]


def choose_page(page, pages, count):
    """Check the number of a page, or choose the only photograph of a file.

    Parameters
    ----------
    page : int or None
    pages : callable
        Lists the numbers of the pages that are photographs.
    count : int
        Number of all pages.

    Raises
    ------
    PhotoError
        If there is no such page, or `page` is None and the file holds several photographs.
    """
    if page is not None:
        if page > count:
            raise PhotoError(f"the file has {plural(count, 'page')}, and there is no page {page}")
        return page
    if count == 1:
        return 1
    if len(found := pages()) > 1:
        raise PhotoError(f"the file holds {len(found)} photographs as pages; save each page as a file of its own")
    return found[0]


def turn_to(image, page):
    """Turn an open Pillow image to a page, by default to its only photograph; see `choose_page`."""
    page = choose_page(page, lambda: photograph_pages(image), getattr(image, "n_frames", 1))
    if page != 1 or image.tell() != 0:
        image.seek(page - 1)


def photograph_pages(image):
    """List the numbers of the pages of an open Pillow image that are photographs: no thumbnails, masks or gain maps.

    A thumbnail is marked as reduced in a TIFF, too small to be graded, or a smaller copy of the largest page.
    Phones put a gain map after their photograph, whose metadata tell what it is.

    Returns
    -------
    list of int
        From 1; at least one.
    """
    count = getattr(image, "n_frames", 1)
    numbers = range(1, count + 1)
    if count == 1 or image.format not in SIZED:
        return list(numbers)
    sizes, marked = [], []
    for number in numbers:
        image.seek(number - 1)
        sizes.append(image.size)
        reduced = getattr(image, "tag_v2", {}).get(254, 0) & (REDUCED | MASK)
        marked.append(bool(reduced) or (number > 1 and _is_auxiliary(image)))
    known = [number for number in numbers if not marked[number - 1]] or list(numbers)
    largest = max(known, key=lambda number: sizes[number - 1][0] * sizes[number - 1][1])
    width = sizes[largest - 1][0]
    small = [number for number in known if THUMBNAIL * sizes[number - 1][0] <= width]
    copies = {number for number in small if min(sizes[number - 1]) < TINY}
    if set(small) - copies:
        whole = _preview(image, largest)
        copies |= {number for number in small if number not in copies and _same(_preview(image, number), whole)}
    return [number for number in known if number not in copies]


def _is_auxiliary(image):
    """Tell whether the current picture of a multi-picture JPEG says that it belongs to another one."""
    segments = [content for name, content in getattr(image, "applist", []) if name in ("APP1", "APP2")]
    return any(word in content for content in segments for word in AUXILIARY)


def _preview(image, page):
    """Shrink a page to a grey square of PREVIEW pixels."""
    image.seek(page - 1)
    grey = image.convert("RGB").convert("L").resize((PREVIEW, PREVIEW), Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


def _same(preview, whole):
    """Tell whether two previews show the same picture."""
    return np.quantile(np.abs(preview - whole), QUANTILE) <= SAME * whole.std()
