"""Pixels whatever surrounds them: depth, alpha, damaged metadata, colour profiles, limits."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from conftest import draw_photograph
from PIL import Image, ImageCms, PngImagePlugin

from eyenet.photo import metadata
from eyenet.photo.decode import open_photograph
from eyenet.run.errors import PhotoError

WIDE, HIGH = 700, 520
PICTURE = draw_photograph(WIDE, HIGH, radius=230)
DEEP = PICTURE.astype(np.uint16)


def decode(path):
    return np.asarray(open_photograph(path)[0])


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path, levels, bits=None):
    """Write levels of 16 bits as a PNG, which Pillow cannot; `bits` are declared in the chunk sBIT."""
    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    parts = [(b"IHDR", header), *([(b"sBIT", bytes([bits] * channels))] if bits else [])]
    parts += [(b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    path.write_bytes(metadata.PNG + b"".join(png_chunk(*part) for part in parts))
    return path


@pytest.mark.parametrize("bits, declared", list(itertools.product((10, 12, 14, 16), (True, False))))
def test_png_of_any_depth(tmp_path, bits, declared):
    levels = DEEP << (bits - 8)
    path = write_png(tmp_path / "x.png", levels, bits if declared else None)
    assert (decode(path) == PICTURE).all()
    grey = write_png(tmp_path / "g.png", levels[..., 1:2], bits if declared else None)
    assert (decode(grey) == PICTURE[..., 1:2]).all()


def test_what_a_file_declares_comes_before_what_it_holds(tmp_path):
    dark = DEEP // 8  # of 12 bits, it fills 9
    assert (decode(write_png(tmp_path / "x.png", dark << 4, 12)) == PICTURE // 8).all()
    stretched = DEEP * 257  # as the PNG standard wants 12 bits
    assert (decode(write_png(tmp_path / "y.png", stretched, 12)) == PICTURE).all()
    tifffile = pytest.importorskip("tifffile")
    extra = [(281, "H", 3, (4095,) * 3, True)]  # MaxSampleValue
    tifffile.imwrite(tmp_path / "x.tif", dark << 4, photometric="rgb", extratags=extra)
    assert (decode(tmp_path / "x.tif") == PICTURE // 8).all()


@pytest.mark.parametrize("alpha", [0, 4095, 65535])
def test_deep_alpha(tmp_path, alpha):
    levels = np.dstack([DEEP << 4, np.full((HIGH, WIDE), alpha)])
    assert (decode(write_png(tmp_path / "x.png", levels)) == PICTURE).all()
    grey = np.ascontiguousarray(levels[..., [1, 3]])
    assert (decode(write_png(tmp_path / "g.png", grey)) == PICTURE[..., 1:2]).all()


GREY = PICTURE[..., 1]
PLANES = {"planarconfig": "separate"}
TIFFS = {  # name: pixels, options of tifffile
    "rgb12": (DEEP << 4, {}),
    "big-endian": (DEEP << 4, {"byteorder": ">"}),
    "compressed": (DEEP << 4, {"compression": "zlib"}),
    "big-endian compressed": (DEEP << 4, {"byteorder": ">", "compression": "zlib"}),
    "tiled": (DEEP << 4, {"tile": (128, 128)}),
    "planes": ((DEEP << 4).transpose(2, 0, 1), PLANES),
    "planes of 16 bits": ((DEEP * 257).transpose(2, 0, 1), PLANES),
    "compressed planes": ((DEEP << 4).transpose(2, 0, 1), PLANES | {"compression": "zlib"}),
    "float 0-1": (PICTURE.astype(np.float32) / 255, {}),
    "float 0-65535": (PICTURE.astype(np.float32) * 257, {}),
    "half": ((PICTURE / 255).astype(np.float16), {}),
    "32 bits": (PICTURE.astype(np.uint32) << 24, {}),
    "grey float": (GREY.astype(np.float32) / 255, {}),
    "grey float 0-65535": (GREY.astype(np.float32) * 257, {}),
    "grey 32 bits": (GREY.astype(np.uint32) << 24, {}),
    "white is zero": (65535 - GREY.astype(np.uint16) * 257, {"photometric": "miniswhite"}),
    "no alpha": (np.dstack([PICTURE, GREY * 0]), {"extrasamples": ["unassalpha"]}),
    "no alpha, multiplied": (np.dstack([PICTURE, GREY * 0]), {"extrasamples": ["assocalpha"]}),
}


@pytest.mark.parametrize("name", TIFFS)
def test_tiff_of_any_depth(tmp_path, name):
    tifffile = pytest.importorskip("tifffile", reason="no tifffile here: it comes with scikit-image")
    pixels, options = TIFFS[name]
    kind = {} if pixels.ndim == 2 else {"photometric": "rgb"}
    tifffile.imwrite(tmp_path / "x.tif", pixels, **kind | options)
    same = GREY[..., None] if pixels.ndim == 2 else PICTURE
    assert (decode(tmp_path / "x.tif") == same).all()


def test_an_empty_alpha_channel_is_none(tmp_path):
    Image.fromarray(np.dstack([PICTURE, GREY * 0])).save(tmp_path / "x.png")
    assert (decode(tmp_path / "x.png") == PICTURE).all()


EXIF = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0%c\0\0\0\0\0\0\0"
SEGMENTS = {  # name: marker, content, whether it is worth a warning
    "doubled": (0xE1, b"Exif\0\0Exif\0\0" + EXIF % 1, None),
    "blank": (0xE1, b"Exif\0\0", False),
    "empty": (0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", False),
    "garbage": (0xE1, b"Exif\0\0" + b"\xff\xfe maker note" * 3, True),
    "short": (0xE1, b"Exif\0\0" + EXIF[:12], True),
    "offset": (0xE1, b"Exif\0\0" + b"II*\0\xff\xff\xff\x7f" + EXIF[8:], True),
    "orientation 0": (0xE1, b"Exif\0\0" + EXIF % 0, False),
    "orientation 9": (0xE1, b"Exif\0\0" + EXIF % 9, True),
    "JFIF": (0xE0, b"JFIF\0", True),
    "Photoshop": (0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xed\xff", None),
    "profile": (0xE2, b"ICC_PROFILE\0", True),
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_jpeg_with_damaged_metadata(tmp_path, name, capsys):
    marker, content, warned = SEGMENTS[name]
    Image.fromarray(PICTURE).save(tmp_path / "plain.jpeg", quality=95)
    data = (tmp_path / "plain.jpeg").read_bytes()
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    (tmp_path / "x.jpeg").write_bytes(data[:2] + segment + data[2:])
    for _ in range(2):
        assert (decode(tmp_path / "x.jpeg") == decode(tmp_path / "plain.jpeg")).all()
    said = capsys.readouterr().err
    if warned is not None:
        assert said.count("x.jpeg: ") == said.count("\n") == warned  # once, in one line


def large_text(size, packed):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "x" * size, zip=packed)
    return {"pnginfo": info}


@pytest.mark.parametrize(
    "options",
    [
        large_text(1_200_000, True),
        large_text(20_000_000, True),
        large_text(70_000_000, False),
        {"icc_profile": bytes(1_200_000)},
        {"exif": b"Exif\0\0not a TIFF header"},
    ],
)
def test_a_png_with_large_or_damaged_metadata(tmp_path, options):
    Image.fromarray(PICTURE).save(tmp_path / "x.png", compress_level=1, **options)
    assert (decode(tmp_path / "x.png") == PICTURE).all()


def test_a_png_with_a_damaged_text(tmp_path, capsys):
    Image.fromarray(PICTURE).save(tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(data[:33] + png_chunk(b"tEXt", b"text")[:-1] + b"?" + data[33:])
    assert (decode(tmp_path / "x.png") == PICTURE).all()
    assert f"{tmp_path / 'x.png'}: the metadata is damaged" in capsys.readouterr().err
    (tmp_path / "x.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(PhotoError, match="truncated"):
        decode(tmp_path / "x.png")


# Primaries and curves of RGB colour spaces, as (x, y) of red, green and blue, and gamma.
SPACES = {
    "Display P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), 2.2),
    "Adobe RGB": ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), 2.2),
    "ProPhoto RGB": ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), 1.8),
}


D50 = np.array([0.9642, 1, 0.8249])


def fixed(values):
    """Write numbers as a profile does."""
    return b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def rgb_profile(name, curve=None, tags=()):
    """Build the bytes of an ICC profile of three primaries and a gamma, or another curve, version 2."""
    *primaries, gamma = SPACES[name]
    curve = curve or b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    more = dict(tags)
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    d65 = np.array([0.3127 / 0.3290, 1, 0.3583 / 0.3290])
    columns = columns * np.linalg.solve(columns, d65)
    adapted = np.linalg.inv(bradford) @ np.diag((bradford @ D50) / (bradford @ d65)) @ bradford @ columns
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(D50), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    text = name.encode() + b"\0"
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78 + -len(text) % 4)
    for letter, column in zip("rgb", adapted.T):
        tags[f"{letter}XYZ".encode()] = b"XYZ \0\0\0\0" + fixed(column)
        tags[f"{letter}TRC".encode()] = curve
    return assemble_profile(tags | more)


def assemble_profile(tags, space=b"RGB ", kind=b"mntr"):
    """Put the tags of a profile, a dict of bytes, together."""
    place, table, body = 132 + 12 * len(tags), b"", b""
    for key, data in tags.items():
        data += bytes(-len(data) % 4)
        table += key + struct.pack(">II", place + len(body), len(data))
        body += data
    size = place + len(body)
    head = struct.pack(">I4sI4s4s4s12s4s", size, b"none", 0x02100000, kind, space, b"XYZ ", bytes(12), b"acsp")
    head = head.ljust(68, b"\0") + fixed(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("name", SPACES)
def test_a_colour_profile_is_converted_to_srgb(tmp_path, name):
    """A photograph stored in another colour space is the same photograph, but for rounding."""
    profile, srgb = rgb_profile(name), ImageCms.createProfile("sRGB")
    there = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    stored = ImageCms.profileToProfile(Image.fromarray(PICTURE), srgb, there, outputMode="RGB")
    assert np.abs(np.asarray(stored).astype(int) - PICTURE).mean() > 4
    stored.save(tmp_path / "x.png", icc_profile=profile)
    assert np.abs(decode(tmp_path / "x.png").astype(int) - PICTURE).max() <= 4
    stored.save(tmp_path / "x.jpeg", icc_profile=profile, quality=95)
    assert np.abs(decode(tmp_path / "x.jpeg").astype(int) - PICTURE).mean() < 2


@pytest.mark.parametrize("form", ["jpeg", "png", "tiff", "webp"])
def test_an_srgb_profile_changes_nothing(tmp_path, form):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(PICTURE)
    image.save(tmp_path / f"x.{form}", icc_profile=profile)
    image.save(tmp_path / f"y.{form}")
    assert (decode(tmp_path / f"x.{form}") == decode(tmp_path / f"y.{form}")).all()


@pytest.mark.parametrize("profile", [b"no profile", bytes(range(250)) * 20, rgb_profile("Adobe RGB")[:300]])
def test_a_damaged_profile_is_left_out_with_a_warning(tmp_path, profile, capsys):
    Image.fromarray(PICTURE).save(tmp_path / "x.png", icc_profile=profile)
    assert (decode(tmp_path / "x.png") == PICTURE).all()
    assert f"{tmp_path / 'x.png'}: the colour profile is damaged" in capsys.readouterr().err


def test_a_profile_for_other_colours_is_left_out(tmp_path, capsys):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.fromarray(PICTURE).save(tmp_path / "x.png", icc_profile=profile)
    assert (decode(tmp_path / "x.png") == PICTURE).all()
    assert "the colour profile is for Lab" in capsys.readouterr().err


def test_the_limit_counts_decoded_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr("eyenet.photo.decode.MAX_PIXELS", 100_000)
    Image.fromarray(PICTURE).save(tmp_path / "x.jpeg")
    image, factor, frame = open_photograph(tmp_path / "x.jpeg", 120)
    assert (factor, frame, image.size) == (4, (WIDE, HIGH), (175, 130))
    with pytest.raises(PhotoError, match="700 x 520 pixels exceed"):
        open_photograph(tmp_path / "x.jpeg")
    Image.fromarray(PICTURE).save(tmp_path / "x.jpeg", progressive=True)  # decoded whole at any scale
    with pytest.raises(PhotoError, match="700 x 520 pixels exceed"):
        open_photograph(tmp_path / "x.jpeg", 120)


def test_a_jpeg_of_12_bits_has_its_sentence(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "x.jpeg")
    data = bytearray((tmp_path / "x.jpeg").read_bytes())
    data[data.index(b"\xff\xc0") + 4] = 12
    (tmp_path / "x.jpeg").write_bytes(data)
    with pytest.raises(PhotoError, match="is a JPEG of 12 bits per channel"):
        decode(tmp_path / "x.jpeg")
