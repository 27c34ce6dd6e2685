"""What surrounds the pixels of a file: read what is needed, and leave out what is damaged.

Pillow refuses a whole photograph for some faults of text, EXIF or colour profile. `without_metadata` then gives it the
pixels alone.
"""

import functools
import struct
from pathlib import Path

from eyenet.run.errors import log

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
ADOBE, SCAN = 0xEE, 0xDA  # markers of a JPEG: the segment that names the colour space, the start of the pixels
NEEDED = (b"tRNS",)  # of the chunks of a PNG that are not critical


@functools.lru_cache(maxsize=10_000)
def warn_once(path, words):
    """Log a warning about a photograph, once, although a photograph may be decoded several times."""
    log(f"WARNING: {path}: {words}")


def png_chunks(data):
    """Yield the name, place and end of each chunk of a PNG, up to a damaged one."""
    place = len(PNG)
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        yield name, place, place + 12 + length
        place += 12 + length


def jpeg_segments(data):
    """Yield the marker, place and end of each segment of a JPEG before its first scan, then that of the scan."""
    place = len(JPEG)
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        yield marker, place, len(data) if marker == SCAN else place + 2 + length
        if marker == SCAN:
            return
        place += 2 + length


def without_metadata(data):
    """Copy a JPEG or PNG without its metadata.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    bytes or None
        None for another format, and for a file of several pages, of which only the first would be left.
    """
    if data.startswith(JPEG):
        parts = list(jpeg_segments(data))
        if any(marker == 0xE2 and data[place + 4 : place + 8] == b"MPF\0" for marker, place, _ in parts):
            return None
        kept = [
            (place, end)
            for marker, place, end in parts
            if marker == ADOBE or not (0xE0 <= marker <= 0xEF or marker == 0xFE)
        ]
        start = JPEG
    elif data.startswith(PNG):
        parts = list(png_chunks(data))
        if any(name == b"acTL" for name, _, _ in parts):
            return None
        kept = [(place, end) for name, place, end in parts if name[:1].isupper() or name in NEEDED]
        start = PNG
    else:
        return None
    return start + b"".join(data[place:end] for place, end in kept)


def holds_tags(exif):
    """Tell whether an EXIF block, in which Pillow finds no tags, should hold some; False for an empty one."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (place,) = struct.unpack_from(f"{order}I", exif, 4)
        return struct.unpack_from(f"{order}H", exif, place)[0] > 0
    except struct.error:  # it ends before its tags
        return len(exif) > 0


def significant_bits(path):
    """Read how many bits of each channel a PNG declares as significant (chunk sBIT); None if it declares nothing."""
    try:
        with open(path, "rb") as file:
            data = file.read(1 << 16)
    except (OSError, TypeError):
        return None
    if data.startswith(PNG):
        for name, place, end in png_chunks(data):
            if name == b"sBIT":
                return max(data[place + 8 : end - 4][:3], default=None)
    return None


def bits_of_jpeg(path):
    """Read the bits of each channel of a JPEG, 8 or 12; None for another file."""
    data = Path(path).read_bytes()
    if data.startswith(JPEG):
        for marker, place, _ in jpeg_segments(data):
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                return data[place + 4] if place + 4 < len(data) else None
    return None
