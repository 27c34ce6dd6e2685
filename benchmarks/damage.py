"""Faults of photographs in a real collection, and unusual formats that are valid."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

# For each kind of fault, the message of the stage must match this regular expression.
FAULTS = {
    "empty.jpeg": "empty",
    "text.jpeg": "not an image",
    "zeros.jpeg": "not an image",
    "truncated.jpeg": "truncated",
    "header.jpeg": "truncated|damaged|not an image",
    "bomb.png": "400 million|20000 x 20000",
    "one.png": "no retina",
    "white.jpeg": "no retina",
    "noise.png": "no retina",
    "small.png": "pixels across",
    "folder.jpeg": "is a folder",
    "absent.jpeg": "cannot be read",
}
# File formats for the same photograph; formats with one channel or few colours change its colours.
FORMATS = (
    "progressive.jpeg",
    "cmyk.jpeg",
    "grey.jpeg",
    "named.jpeg",  # is a PNG
    "palette.png",
    "alpha.png",
    "deep.png",
    "deep.tiff",
    "upper.JPG",
    "exif3.jpeg",
    "exif6.jpeg",
    "exif8.jpeg",
)


def encode(image, kind="JPEG", **options):
    """Encode a Pillow image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb():
    """Make a PNG of 20,000 x 20,000 pixels from a header of a few hundred bytes; its data is never read."""
    chunk = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in ((b"IHDR", chunk), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        parts.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


def write_fault(path, fault, whole):
    """Write a faulty photograph to `path`.

    Parameters
    ----------
    path : Path
    fault : str
        One of `FAULTS`.
    whole : bytes
        The undamaged JPEG, with a retina of less than 1.2 times the frame's width.
    """
    noise = np.random.default_rng(0).integers(0, 255, (150, 200, 3), np.uint8)
    contents = {
        "empty.jpeg": lambda: b"",
        "text.jpeg": lambda: b"this is no photograph\n" * 40,
        "zeros.jpeg": lambda: bytes(5000),
        "truncated.jpeg": lambda: whole[: len(whole) // 2],
        "header.jpeg": lambda: whole[:300],
        "bomb.png": bomb,
        "one.png": lambda: encode(Image.new("RGB", (1, 1), (200, 200, 200)), "PNG"),
        "white.jpeg": lambda: encode(Image.new("RGB", (200, 150), (255, 255, 255))),
        "noise.png": lambda: encode(Image.fromarray(noise), "PNG"),
        "small.png": lambda: encode(_smaller(Image.open(io.BytesIO(whole)).convert("RGB")), "PNG"),
    }
    if fault == "folder.jpeg":
        path.mkdir()
    elif fault == "absent.jpeg":
        path.symlink_to(path.with_name("nowhere"))
    else:
        path.write_bytes(contents[fault]())


def _smaller(image):
    return image.resize((100, round(100 * image.height / image.width)), Image.Resampling.HAMMING)


def in_format(image, form):
    """Encode an RGB image in one of `FORMATS`; bytes."""
    light = np.asarray(image).max(axis=2)
    if form.startswith("exif"):
        exif = Image.Exif()
        exif[0x0112] = int(form[4])
        turn = {3: 180, 6: 90, 8: -90}[int(form[4])]
        return encode(image.rotate(turn, expand=True), quality=95, exif=exif)
    if form == "alpha.png":
        image = image.convert("RGBA")
        image.putalpha(Image.fromarray((light > 25).astype(np.uint8) * 255))
    elif form.startswith("deep"):
        image = Image.fromarray(light.astype(np.uint16) * 257)
    elif form == "palette.png":
        image = image.quantize(64)
    elif form in ("cmyk.jpeg", "grey.jpeg"):
        image = image.convert({"cmyk.jpeg": "CMYK", "grey.jpeg": "L"}[form])
    kind = {"named.jpeg": "PNG"}.get(form) or {"png": "PNG", "tiff": "TIFF"}.get(form.split(".")[1], "JPEG")
    options = {"quality": 95, "progressive": form == "progressive.jpeg"} if kind == "JPEG" else {}
    return encode(image, kind, **options)
