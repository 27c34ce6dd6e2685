"""Decode a photograph to upright 8-bit sRGB, a JPEG at the smallest sufficient scale.

The pixels count, whatever surrounds them: damaged metadata is left out with a warning that names the file.
"""

import errno
import io
import warnings
from pathlib import Path

from PIL import Image, ImageFile

from eyenet.photo.depth import load_8_bits, over_black
from eyenet.photo.dicom import is_dicom, open_dicom
from eyenet.photo.metadata import PNG, bits_of_jpeg, holds_tags, warn_once, without_metadata
from eyenet.photo.pages import photograph_pages, split_page, turn_to
from eyenet.photo.profiles import ProfileError, to_srgb
from eyenet.photo.tiff import is_tiff, open_with_tifffile
from eyenet.run.errors import PhotoError

# What Pillow may try; it knows more formats, but no camera writes them, and some are recognised in any file.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "AVIF", "PPM")
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # needs pillow-heif
MAX_TEXT = 1 << 24  # bytes of a text or a colour profile in a PNG
MAX_PIXELS = 100_000_000  # decoded, about twice the largest fundus camera; 400 MB while decoding
ORIENTATION = 0x0112  # EXIF tag
TURNS = {  # by its value
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ImageFile.MAXBLOCK = 1 << 20  # bytes read at a time; with Pillow's 64 KB, decoding a JPEG is interrupted more often
Image.MAX_IMAGE_PIXELS = None  # `open_photograph` has its own limit and message
warnings.filterwarnings("ignore", module="PIL")  # they name no file; `warn_once` does


def open_photograph(path, least=None):
    """Decode a photograph to upright RGB, a JPEG at the smallest sufficient scale of 1, 1/2, 1/4 and 1/8.

    Inverting a JPEG's cosine transform at a reduced scale averages the pixels, and costs little more than reading the
    file.

    Parameters
    ----------
    path : path-like
        Of a file that holds one photograph, or a page of a file: `scan.tiff[2]`.
    least : int, optional
        Minimum short side of the decoded image, in pixels. Default: full size.

    Returns
    -------
    image : PIL.Image.Image
        Mode RGB, EXIF orientation applied, in the colours of sRGB.
    factor : int
        Pixels of the photograph per pixel of `image`: 1, 2, 4 or 8.
    frame : (int, int)
        Width and height of the upright photograph.

    Raises
    ------
    PhotoError
        If the file is unreadable, damaged, not an image, holds several photographs, or is larger than `MAX_PIXELS`.
    """
    file, page = split_page(path)
    try:
        if is_dicom(file):
            source, profile = open_dicom(file, page, MAX_PIXELS)
            return _decode(path, source, None, least, profile)
        try:
            return _decode(path, file, page, least)
        except (PhotoError, MemoryError):
            raise
        except Exception as error:
            if (found := _decode_otherwise(path, file, page, least, error)) is None:
                raise
            return found
    except PhotoError:
        raise
    except IsADirectoryError:
        raise PhotoError("is a folder, not a photograph") from None
    except MemoryError:
        raise  # not the photograph's fault
    except Exception as error:  # damaged files make Pillow raise OSError, SyntaxError, struct.error and others
        if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise  # nor here
        raise PhotoError(_reason(file, error)) from None


def open_image(source):
    """Open a file with Pillow in one of `FORMATS`, and in HEIC if pillow-heif is installed."""
    if not isinstance(source, io.BytesIO):
        with open(source, "rb") as file:
            head = file.read(12)
        if head[4:8] == b"ftyp" and head[8:] in HEIC:
            try:
                from pillow_heif import register_heif_opener
            except ImportError:
                raise PhotoError(
                    "is a HEIC photograph, and pillow-heif is not installed: pip install pillow-heif"
                ) from None
            register_heif_opener()
            return Image.open(source, formats=["HEIF"])
    else:
        head = source.getvalue()[:12]
    if head.startswith(PNG):
        from PIL import PngImagePlugin  # slow, and not needed for a JPEG

        PngImagePlugin.MAX_TEXT_CHUNK = MAX_TEXT
    return Image.open(source, formats=FORMATS)


def list_pages(file):
    """List the pages of a file that are photographs, as numbers from 1; [1] for a file that cannot be opened."""
    try:
        with open_image(file) as image:
            return photograph_pages(image)
    except Exception:  # as in `open_photograph`, which reports it
        return [1]


def _decode(path, source, page, least, profile=None):
    """Decode as `open_photograph`, from a file, the bytes of one, or an image."""
    with source if isinstance(source, Image.Image) else open_image(source) as image:
        turn_to(image, page)
        width, height = image.size
        factor = 1
        if least is not None and image.format == "JPEG":
            factor = next((k for k in (8, 4, 2) if min(width, height) // k >= least), 1)
        # All coefficients of a progressive JPEG are in memory at once, at any scale.
        if width * height // (1 if image.info.get("progressive") else factor**2) > MAX_PIXELS:
            raise PhotoError(f"{width} x {height} pixels exceed the limit of {MAX_PIXELS // 10**6} million")
        if factor > 1:
            image.draft(None, (width // factor, height // factor))
        small = load_8_bits(image, source, image.tell() + 1)
        turn = _orientation(image, path)
        if turn in (5, 6, 7, 8):
            width, height = height, width
        small = _in_srgb(over_black(small), profile or image.info.get("icc_profile"), path)
        small = small.transpose(TURNS[turn]) if turn in TURNS else small
        return small, factor, (width, height)


def _decode_otherwise(path, file, page, least, error):
    """Decode what Pillow refuses: without metadata, or a rare TIFF; None if neither is the reason."""
    try:
        if isinstance(error, Image.UnidentifiedImageError) and is_tiff(file):
            return _decode(path, open_with_tifffile(file, page, MAX_PIXELS), None, least)
        bare = without_metadata(file.read_bytes()) if page is None else None
        found = bare and _decode(path, io.BytesIO(bare), None, least)
    except PhotoError:
        raise
    except Exception:  # the error of the whole file is reported
        return None
    if found:
        warn_once(path, "the metadata is damaged and was left out")
    return found


def _orientation(image, path):
    """Read the EXIF orientation of a loaded image, 1 to 8; 1 if it is damaged."""
    try:
        exif = image.getexif()
        turn, damaged = exif.get(ORIENTATION, 1), not len(exif) and holds_tags(image.info.get("exif") or b"")
    except Exception:  # anything, as for damaged pixels
        turn, damaged = 1, True
    if damaged or turn not in range(9):
        warn_once(path, "the EXIF block is damaged and was left out")
        return 1
    return turn


def _in_srgb(image, profile, path):
    """Convert an 8-bit image of any mode to sRGB."""
    if profile and image.mode != "LAB":
        if image.mode not in ("RGB", "L", "CMYK"):
            image = image.convert("RGB")
        try:
            image = to_srgb(image, profile)
        except ProfileError as error:
            warn_once(path, f"the colour profile {error} and was left out")
    return image if image.mode == "RGB" else image.convert("RGB")


def is_synthetic(path):
    """Tell by the file's comment whether a photograph was made by make_sample.py."""
    try:
        with Image.open(split_page(path)[0]) as image:
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
        if (bits := bits_of_jpeg(path)) not in (None, 8):
            return f"is a JPEG of {bits} bits per channel, which cannot be read; export 8 bits, PNG or TIFF"
        return "is not an image in a supported format (JPEG, PNG, TIFF, DICOM)"
    if "truncated" in str(error) or "Truncated" in str(error):
        return "the file is truncated: its end is missing"
    return f"the image data is damaged ({type(error).__name__}: {error})"
