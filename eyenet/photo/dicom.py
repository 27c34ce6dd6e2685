"""Read DICOM ophthalmic photographs: the image in correct colours, the patient ID and the eye; nothing else is used.

pydicom (requirements-dicom.txt) is imported only when a file needs it.
"""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from eyenet.run.errors import PhotoError

ENDINGS = (".dcm", ".dicom")
EYES = {"L": "left", "R": "right"}
JPEG = "1.2.840.10008.1.2.4.50"  # baseline, 8 bits: the most common format of fundus cameras
FRAME = "FrameAnatomySequence"
WANTED = ["PatientID", "PatientIdentityRemoved", "StudyInstanceUID", "StudyDate", "ImageLaterality", "Laterality"]
WANTED += ["SharedFunctionalGroupsSequence"]


def is_dicom(path):
    """Tell by its first bytes whether a file is DICOM, whatever its name."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:  # reported when the file is opened
        return False


def read_header(path, **options):
    """Read a DICOM file with pydicom.

    Raises
    ------
    PhotoError
        If pydicom is not installed, or the file is damaged.
    """
    try:
        from pydicom import config, dcmread
    except ImportError:
        raise PhotoError(
            "is a DICOM file, but pydicom is not installed: pip install -r requirements-dicom.txt"
        ) from None
    config.settings.reading_validation_mode = (
        config.IGNORE
    )  # cameras often write invalid fields that are not needed here
    try:
        return dcmread(path, **options)
    except Exception as error:  # damaged files raise many kinds of errors
        raise _damaged(error) from None


def _damaged(error):
    """Build the error for a DICOM file that could not be read."""
    words = " ".join(str(error).split())
    return PhotoError(f"the DICOM file is damaged ({type(error).__name__}: {words[:200]})")


class Header(NamedTuple):
    """Whose photograph a DICOM file holds; None for what it does not say."""

    patient: str | None
    eye: str | None
    study: str | None
    date: str | None


def read_names(path):
    """Read patient, eye and study from a DICOM header; of a file whose identity was removed, no patient.

    Returns
    -------
    Header

    Raises
    ------
    PhotoError
        If pydicom is not installed, or the file is damaged.
    """
    header = read_header(path, stop_before_pixels=True, specific_tags=WANTED)
    try:  # pydicom converts values on access
        laterality = header.get("ImageLaterality") or header.get("Laterality")
        for shared in header.get("SharedFunctionalGroupsSequence") or ():
            laterality = laterality or next((f.get("FrameLaterality") for f in shared.get(FRAME) or ()), None)
        removed = str(header.get("PatientIdentityRemoved", "")).upper() == "YES"
        texts = [None if removed else header.get("PatientID"), header.get("StudyInstanceUID"), header.get("StudyDate")]
    except Exception as error:
        raise _damaged(error) from None
    patient, study, date = (str(text).strip() or None if isinstance(text, str) else None for text in texts)
    return Header(patient, EYES.get(str(laterality)), study, date)


def open_dicom(path, most):
    """Extract the image of a DICOM file.

    Parameters
    ----------
    path : path-like
    most : int
        Maximum number of pixels.

    Returns
    -------
    io.BytesIO or PIL.Image.Image
        A JPEG file, or the decoded 8-bit image.

    Raises
    ------
    PhotoError
        If there is not exactly one image, or it is too large or cannot be decoded.
    """
    header = read_header(path)
    if "PixelData" not in header:
        raise PhotoError("the DICOM file contains no image")
    try:
        frames, size = int(header.get("NumberOfFrames") or 1), (int(header.Columns), int(header.Rows))
        syntax, colours = str(header.file_meta.TransferSyntaxUID), str(header.PhotometricInterpretation)
    except Exception as error:
        raise _damaged(error) from None
    if frames != 1:
        raise PhotoError(f"the DICOM file contains {frames} images; save the one to grade as a separate file")
    if size[0] * size[1] > most:
        raise PhotoError(f"{size[0]} x {size[1]} pixels exceed the limit of {most // 10**6} million")
    try:
        jpeg = _jpeg(header, colours) if syntax == JPEG else None
        return jpeg or _to_image(_decode(header), colours, header)
    except PhotoError:
        raise
    except Exception as error:
        raise _damaged(error) from None


def _jpeg(header, colours):
    """Extract the JPEG of a DICOM file; None if its colour space is known only from the header.

    pydicom.pixels decodes at full size only, Pillow also at 1/2, 1/4 or 1/8 as it does any JPEG.
    """
    from pydicom.encaps import get_frame

    data = io.BytesIO(get_frame(header.PixelData, 0, number_of_frames=1))
    if colours == "MONOCHROME1":  # inverted greyscale
        return None
    with Image.open(data) as image:
        told = {"jfif", "adobe"} & image.info.keys()
    data.seek(0)
    return data if told or colours.startswith(("YBR", "MONOCHROME2")) else None


def _decode(header):
    """Decode the pixels as stored, without colour conversion, or raise a PhotoError that names the missing decoder."""
    from pydicom.pixels import get_decoder, pixel_array
    from pydicom.uid import RLELossless

    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated and syntax != RLELossless:
        try:
            able = get_decoder(syntax).is_available
        except NotImplementedError:
            able = False
        if not able:
            raise PhotoError(
                f"the DICOM file is compressed as {syntax.name}, which needs another decoder: pip install python-gdcm, "
                "or export JPEG from the camera"
            )
    return pixel_array(header, raw=True)


def _to_image(pixels, colours, header):
    """Convert stored pixels to an 8-bit image in the header's colour space."""
    if colours == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        pixels = apply_color_lut(pixels, header)
        bits = 8 * pixels.itemsize
    else:
        bits = int(header.BitsStored)
    # Photographs have no signed pixels; of more than 8 bits the lowest are dropped.
    pixels = (pixels >> (bits - 8) if bits > 8 else pixels).clip(0, 255).astype(np.uint8)
    if colours == "MONOCHROME1":
        pixels = 255 - pixels
    # Converted by Pillow, not pydicom, so that the pixels match those of a JPEG.
    if colours in ("YBR_FULL", "YBR_FULL_422"):
        return Image.frombytes("YCbCr", pixels.shape[1::-1], pixels.tobytes()).convert("RGB")
    return Image.fromarray(pixels)
