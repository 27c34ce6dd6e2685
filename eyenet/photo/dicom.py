"""DICOM ophthalmic photography: the picture in its right colours, whose eye it is, and nothing else of the header.

pydicom is asked for only when there is such a file (requirements-dicom.txt).
"""

import io

import numpy as np
from PIL import Image

from eyenet.run.errors import PhotoError

ENDINGS = (".dcm", ".dicom")
EYES = {"L": "left", "R": "right"}
JPEG = "1.2.840.10008.1.2.4.50"  # baseline, 8 bits: what fundus cameras write most
FRAME = "FrameAnatomySequence"
WANTED = ["PatientID", "ImageLaterality", "Laterality", "SharedFunctionalGroupsSequence"]


def is_dicom(path):
    """Tell whether a file is DICOM, by its first bytes: its name may be anything."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:  # whoever opens it will say what is wrong
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
            "is a DICOM file, and pydicom, which reads these, is not installed: pip install -r requirements-dicom.txt"
        ) from None
    config.settings.reading_validation_mode = config.IGNORE  # cameras are careless with what is not needed here
    try:
        return dcmread(path, **options)
    except Exception as error:  # on garbage it raises nearly anything, as Pillow does
        raise _damaged(error) from None


def _damaged(error):
    """Make the sentence of a DICOM file that could not be read."""
    words = " ".join(str(error).split())
    return PhotoError(f"the DICOM file is damaged ({type(error).__name__}: {words[:200]})")


def read_names(path):
    """Read whose eye a DICOM file shows.

    Returns
    -------
    patient : str or None
        The header's patient ID.
    eye : {'left', 'right', None}

    Raises
    ------
    PhotoError
        As `read_header`.
    """
    header = read_header(path, stop_before_pixels=True, specific_tags=WANTED)
    try:  # pydicom converts a value only when it is asked for
        laterality = header.get("ImageLaterality") or header.get("Laterality")
        for shared in header.get("SharedFunctionalGroupsSequence") or ():
            laterality = laterality or next((f.get("FrameLaterality") for f in shared.get(FRAME) or ()), None)
        patient = header.get("PatientID")
    except Exception as error:
        raise _damaged(error) from None
    return (patient.strip() or None if isinstance(patient, str) else None), EYES.get(str(laterality))


def open_dicom(path, most):
    """Find the picture of a DICOM file.

    Parameters
    ----------
    path : path-like
    most : int
        Pixels that are accepted.

    Returns
    -------
    io.BytesIO or PIL.Image.Image
        A JPEG, to be decoded as any other, or 8-bit pixels.

    Raises
    ------
    PhotoError
        If there is none, or more than one, or if it cannot be decoded.
    """
    header = read_header(path)
    if "PixelData" not in header:
        raise PhotoError("the DICOM file holds no picture")
    try:
        frames, size = int(header.get("NumberOfFrames") or 1), (int(header.Columns), int(header.Rows))
        syntax, colours = str(header.file_meta.TransferSyntaxUID), str(header.PhotometricInterpretation)
    except Exception as error:
        raise _damaged(error) from None
    if frames != 1:
        raise PhotoError(f"the DICOM file holds {frames} pictures; save the one to be graded as a file of its own")
    if size[0] * size[1] > most:
        raise PhotoError(f"{size[0]} x {size[1]} pixels are more than the {most // 10**6} million that are accepted")
    try:
        jpeg = _jpeg(header, colours) if syntax == JPEG else None
        return jpeg or _to_image(_decode(header), colours, header)
    except PhotoError:
        raise
    except Exception as error:
        raise _damaged(error) from None


def _jpeg(header, colours):
    """Take the JPEG out of a DICOM file; None where only the header says what its colours are."""
    from pydicom.encaps import get_frame

    data = io.BytesIO(get_frame(header.PixelData, 0, number_of_frames=1))
    if colours == "MONOCHROME1":  # white and black change places
        return None
    with Image.open(data) as image:
        told = {"jfif", "adobe"} & image.info.keys()
    data.seek(0)
    return data if told or colours.startswith(("YBR", "MONOCHROME2")) else None


def _decode(header):
    """Decode the pixels as they are stored; say what is missing where nothing here can."""
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
                f"the DICOM file is compressed as {syntax.name}, which is not read here: pip install python-gdcm, or "
                "let the camera export JPEG"
            )
    return pixel_array(header, raw=True)


def _to_image(pixels, colours, header):
    """Turn stored pixels into an 8-bit picture, by what the header says of their colours."""
    if colours == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        pixels = apply_color_lut(pixels, header)
        bits = 8 * pixels.itemsize
    else:
        bits = int(header.BitsStored)
    # Signed pixels do not occur in photographs; those of more than 8 bits lose the lowest.
    pixels = (pixels >> (bits - 8) if bits > 8 else pixels).clip(0, 255).astype(np.uint8)
    if colours == "MONOCHROME1":
        pixels = 255 - pixels
    if colours in ("YBR_FULL", "YBR_FULL_422"):
        return Image.frombytes("YCbCr", pixels.shape[1::-1], pixels.tobytes()).convert("RGB")
    return Image.fromarray(pixels)
