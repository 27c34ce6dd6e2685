"""Read DICOM ophthalmic photographs: the image in correct colours, the patient ID and the eye; nothing else is used.

pydicom (requirements-dicom.txt) is imported only when a file needs it.
"""

import io
from typing import NamedTuple

from PIL import Image

from eyenet.photo.depth import to_bytes
from eyenet.photo.pages import choose_page, split_page
from eyenet.run.errors import NotAPhotograph, PhotoError

ENDINGS = (".dcm", ".dicom")
# SOP classes of photographs: ophthalmic (8 and 16 bit, wide field), visible light, secondary capture.
CLASSES = ("5.1.4.1.1.77.1.5.1", "5.1.4.1.1.77.1.5.2", "5.1.4.1.1.77.1.5.5", "5.1.4.1.1.77.1.5.6")
CLASSES += tuple(f"5.1.4.1.1.77.1.{kind}" for kind in ("1", "1.1", "2", "2.1", "3", "4", "4.1"))
CLASSES += tuple(f"5.1.4.1.1.7{kind}" for kind in ("", ".1", ".2", ".3", ".4"))
PHOTOGRAPHS = {f"1.2.840.10008.{number}" for number in CLASSES}
GROUPS = (b"\2\0", b"\x08\0")  # with which a file without a preamble starts: file meta information, identification
EYES = {"L": "left", "R": "right"}
JPEG = "1.2.840.10008.1.2.4.50"  # baseline, 8 bits: the most common format of fundus cameras
FRAME = "FrameAnatomySequence"
WANTED = ["PatientID", "PatientIdentityRemoved", "StudyInstanceUID", "StudyDate", "ImageLaterality", "Laterality"]
WANTED += ["SharedFunctionalGroupsSequence"]


def is_dicom(path):
    """Tell by its first bytes whether a file is DICOM, whatever its name; some programs leave out the preamble."""
    try:
        with open(split_page(path)[0], "rb") as file:
            return starts_dicom(file.read(132))
    except OSError:  # reported when the file is opened
        return False


def starts_dicom(head):
    """Tell by the first 132 bytes of a file whether it is DICOM: by the preamble, or by the first element."""
    if head[128:132] == b"DICM":
        return True
    if len(head) < 132 or head[:2] not in GROUPS or head[3] != 0:
        return False
    kind, length = head[4:6], int.from_bytes(head[4:8], "little")
    return kind in (b"UL", b"OB", b"UI", b"CS", b"SH") or (length <= 64 and length % 2 == 0)


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
        return dcmread(split_page(path)[0], force=True, **options)  # also without a preamble
    except Exception as error:  # damaged files raise many kinds of errors
        raise _damaged(error) from None


def require_photograph(header):
    """Raise NotAPhotograph if a file is no photograph by its SOP class: a directory, a report, a scan of another kind.

    A class that pydicom does not know, such as a private one, counts as a photograph if the file has pixels.
    """
    from pydicom.uid import UID

    kind = header.get("SOPClassUID") or getattr(header, "file_meta", {}).get("MediaStorageSOPClassUID")
    if kind and str(kind) not in PHOTOGRAPHS:
        name = UID(str(kind)).name
        if name != str(kind) or "Rows" not in header:
            raise NotAPhotograph(f"is not a photograph, but DICOM of the kind {name}")


def photograph_frames(path):
    """List the frames of a DICOM photograph, as numbers from 1.

    Raises
    ------
    NotAPhotograph
        If it is no photograph.
    PhotoError
        If it cannot be read.
    """
    header = read_header(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "NumberOfFrames", "Rows"])
    require_photograph(header)
    try:
        return list(range(1, int(header.get("NumberOfFrames") or 1) + 1))
    except Exception as error:  # pydicom converts values on access
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


def open_dicom(path, page, most):
    """Extract the image of a DICOM file.

    Parameters
    ----------
    path : path-like
    page : int or None
        Number of the frame, from 1; None for the only one.
    most : int
        Maximum number of pixels of an image that is decoded here.

    Returns
    -------
    image : io.BytesIO or PIL.Image.Image
        A JPEG file, or the decoded 8-bit image.
    profile : bytes or None
        The colour profile that the header names.

    Raises
    ------
    NotAPhotograph
        If it is no photograph by its SOP class.
    PhotoError
        If there is no such image, or it is too large or cannot be decoded.
    """
    header = read_header(path)
    require_photograph(header)
    if "PixelData" not in header:
        raise PhotoError("the DICOM file contains no image")
    try:
        frames, size = int(header.get("NumberOfFrames") or 1), (int(header.Columns), int(header.Rows))
        syntax, colours = _syntax(header), str(header.PhotometricInterpretation)
        profile = header.get("ICCProfile")
    except Exception as error:
        raise _damaged(error) from None
    frame = choose_page(page, lambda: range(1, frames + 1), frames) - 1
    try:
        jpeg = _jpeg(header, colours, frame, frames) if syntax == JPEG else None
        if jpeg is None and size[0] * size[1] > most:
            raise PhotoError(f"{size[0]} x {size[1]} pixels exceed the limit of {most // 10**6} million")
        return jpeg or _to_image(_decode(header, frame), colours, header), profile
    except PhotoError:
        raise
    except Exception as error:
        raise _damaged(error) from None


def _syntax(header):
    """Read the transfer syntax of a file; one without file meta information has that of DICOM's first years."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "TransferSyntaxUID" not in header.file_meta:
        implicit = header.original_encoding[0]
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return str(header.file_meta.TransferSyntaxUID)


def _jpeg(header, colours, frame, frames):
    """Extract the JPEG of a DICOM file; None if its colour space is known only from the header.

    pydicom.pixels decodes at full size only, Pillow also at 1/2, 1/4 or 1/8 as it does any JPEG.
    """
    from pydicom.encaps import get_frame

    data = io.BytesIO(get_frame(header.PixelData, frame, number_of_frames=frames))
    if colours == "MONOCHROME1":  # inverted greyscale
        return None
    with Image.open(data) as image:
        told = {"jfif", "adobe"} & image.info.keys()
    data.seek(0)
    return data if told or colours.startswith(("YBR", "MONOCHROME2")) else None


def _decode(header, frame):
    """Decode the pixels of a frame as stored, in its colours; a PhotoError names a missing decoder."""
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
    return pixel_array(header, raw=True, index=frame)


def _to_image(pixels, colours, header):
    """Convert stored pixels to an 8-bit image in the header's colour space."""
    bits = int(header.BitsStored)
    if colours == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        pixels = apply_color_lut(pixels, header)
        bits = 8 * pixels.itemsize
    elif bits == 16:  # the size of a number, which says nothing about the camera
        bits = None
    small = to_bytes(pixels, bits)
    if colours == "MONOCHROME1":
        small = 255 - small
    # Converted by Pillow, not pydicom, so that the pixels match those of a JPEG.
    if colours in ("YBR_FULL", "YBR_FULL_422"):
        return Image.frombytes("YCbCr", small.shape[1::-1], small.tobytes()).convert("RGB")
    return Image.fromarray(small)
