"""The page's own decoding of profiles, PNGs and files of several pages: the pixels of Python, or a clear sentence."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from test_decode import (
    D50,
    DEEP,
    PICTURE,
    SPACES,
    assemble_profile,
    fixed,
    png_chunk,
    rgb_profile,
    write_png,
)
from test_jpeg import packages  # noqa: F401 (all tests here use it)

from benchmarks import stress
from benchmarks.browser import missing, run_node
from eyenet.photo.decode import open_photograph
from eyenet.photo.field import FIELDS
from eyenet.photo.retina import crop_photograph
from eyenet.run.errors import NoRetina, PhotoError
from resize_images import resize

MISSING = missing()
pytestmark = pytest.mark.skipif(
    MISSING is not None and "Chromium" not in MISSING, reason=f"the decoder is not tested: {MISSING}"
)
LEAST = 120  # pixels of the short side, so that the JPEGs are decoded at 1/4


def decode(folder):
    """Decode the files of a folder as the page does; map their names to (pixels, note), or to a sentence."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    (folder / "out").mkdir()
    out = [folder / "out" / f"{i}.bytes" for i in range(len(paths))]
    jobs = [{"file": str(path), "least": LEAST, "pixels": str(place)} for path, place in zip(paths, out)]
    (folder / "out" / "jobs.json").write_text(json.dumps(jobs))
    answers = run_node("pixels.mjs", str(folder / "out" / "jobs.json"))
    found = {}
    for path, job, said in zip(paths, jobs, answers):
        if isinstance(said, dict):
            pixels = np.fromfile(job["pixels"], np.uint8).reshape(said["height"], said["width"], 3)
            assert (said["factor"], tuple(said["frame"])) == open_photograph(path, LEAST)[1:], path.name
            said = pixels, said["note"]
        found[path.name] = said
    return found


def apart(pixels, path):
    """Largest difference from Python in grey levels."""
    expected = np.asarray(open_photograph(path, LEAST)[0])
    assert pixels.shape == expected.shape, path.name
    return int(np.abs(pixels.astype(int) - expected).max())


def encoded(curve):
    """Write a function as the table of a profile."""
    table = [round(65535 * curve(i / 1023)) for i in range(1024)]
    return b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *table)


def formula(kind, *parameters):
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(parameters)


def srgb_curve(value):
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


CURVES = {
    "table": encoded(srgb_curve),
    "identity": b"curv\0\0\0\0" + bytes(4),
    "gamma": formula(0, 2.2),
    "CIE 122": formula(1, 2.4, 1.055, -0.055),
    "sRGB": formula(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "offset": formula(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0.001, 0),
}


def test_profiles_are_converted_within_one_level_of_python(tmp_path):
    ramp = np.arange(256, dtype=np.uint8)
    levels = np.random.default_rng(0).integers(0, 256, (520, 700, 3), np.uint8)
    levels[:256, :3] = ramp[:, None, None]
    picture = Image.fromarray(levels)
    for name in SPACES:
        picture.save(tmp_path / f"{name}.png", icc_profile=rgb_profile(name))
        Image.fromarray(PICTURE).save(tmp_path / f"{name}.jpeg", icc_profile=rgb_profile(name), quality=95)
    for name, curve in CURVES.items():
        picture.save(tmp_path / f"curve {name}.png", icc_profile=rgb_profile("Display P3", curve))
    large = rgb_profile("Adobe RGB", tags={b"more": bytes(150_000)})  # in several segments of the JPEG
    Image.fromarray(PICTURE).save(tmp_path / "parts.jpeg", icc_profile=large, quality=95)
    tags = {b"kTRC": encoded(lambda value: value**1.4), b"wtpt": b"XYZ \0\0\0\0" + fixed(D50)}
    grey = assemble_profile(tags, b"GRAY")
    for form in ("png", "jpeg"):
        picture.convert("L").save(tmp_path / f"grey in grey.{form}", icc_profile=grey)
        picture.convert("L").save(tmp_path / f"grey in colour.{form}", icc_profile=rgb_profile("Adobe RGB"))
    plain = np.asarray(open_photograph(tmp_path / "Adobe RGB.png")[0]).astype(int) - levels
    assert np.abs(plain).mean() > 4  # the profiles matter
    for name, found in decode(tmp_path).items():
        most = 2 if "grey in grey" in name else 1  # the gate refuses photographs without colour
        assert found[1] == "" and apart(found[0], tmp_path / name) <= most, name


def test_a_profile_that_is_not_used_is_named_or_refused(tmp_path):
    picture = Image.fromarray(PICTURE)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = {
        "srgb": (srgb, ""),
        "table": (rgb_profile("Adobe RGB", encoded(srgb_curve), {b"A2B0": bytes(64)}), None),
        "nonsense": (b"no profile", "is damaged and was left out"),
        "cut": (rgb_profile("Adobe RGB")[:300], "is damaged and was left out"),
        "grey black": (rgb_profile("Adobe RGB", formula(2, 2.2, 0.9, 0.1, 0.002)), None),
        "link": (rgb_profile("Adobe RGB").replace(b"mntr", b"link"), None),
        "lab": (ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), "is for Lab and was left out"),
        "grey": (assemble_profile({b"kTRC": CURVES["gamma"]}, b"GRAY"), "is for GRAY, but the pixels are RGB"),
    }
    for name, (profile, _) in made.items():
        picture.save(tmp_path / f"{name}.png", icc_profile=profile)
        picture.save(tmp_path / f"{name}.jpeg", icc_profile=profile)
    for name, found in decode(tmp_path).items():
        words = made[name.split(".")[0]][1]
        if words is None:
            assert "a kind that this page cannot convert. Save it as sRGB" in found
        else:
            assert words in found[1] and bool(words) == bool(found[1]), name
            assert apart(found[0], tmp_path / name) == 0, name


def test_png_of_every_kind(tmp_path):
    rng = np.random.default_rng(0)
    small = PICTURE[:121, :203]
    picture, alpha = Image.fromarray(small), rng.integers(0, 256, (121, 203), np.uint8)
    picture.save(tmp_path / "rgb.png")
    picture.convert("L").save(tmp_path / "l.png")
    picture.convert("1").save(tmp_path / "1.png")
    picture.quantize(200).save(tmp_path / "p.png", transparency=bytes(range(200)))
    for bits in (1, 2, 4):
        picture.quantize(2**bits).save(tmp_path / f"p{bits}.png", bits=bits)
    Image.fromarray(np.dstack([small, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([small, 0 * alpha])).save(tmp_path / "zero.png")
    Image.fromarray(np.dstack([small[..., 1], alpha])).save(tmp_path / "la.png")
    picture.save(tmp_path / "key.png", transparency=tuple(map(int, small[60, 100])))
    picture.convert("L").save(tmp_path / "grey key.png", transparency=int(small[60, 100, 1]))
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        picture.save(tmp_path / f"turned {orientation}.png", exif=exif)
    for bits in (10, 16):
        for declared in {None, bits, 16}:
            levels = DEEP[:200] << (bits - 8)
            write_png(tmp_path / f"{bits} of {declared}.png", levels, declared)
            write_png(tmp_path / f"grey {bits} of {declared}.png", levels[..., :1], declared)
    for value in (0, 4095, 65535):
        levels = np.dstack([DEEP[:200] << 4, np.full((200, 700), value)])
        write_png(tmp_path / f"deep alpha {value}.png", levels)
        write_png(tmp_path / f"deep grey alpha {value}.png", np.ascontiguousarray(levels[..., [1, 3]]))
    noise = (rng.integers(0, 65536, (50, 60, 4)) | 32768).astype(np.uint16)
    write_png(tmp_path / "deep noise.png", noise)
    for name, header, size, rows in interlaced(rng):
        ihdr = struct.pack(">II", *size) + header
        parts = [(b"IHDR", ihdr), (b"PLTE", bytes(range(48))), (b"IDAT", rows), (b"IEND", b"")]
        data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)
        (tmp_path / f"interlaced {name}.png").write_bytes(data)
    for name, found in decode(tmp_path).items():
        assert not isinstance(found, str), (name, found)
        assert found[1] == "" and apart(found[0], tmp_path / name) == 0, name


def interlaced(rng):
    """Draw rows of noise of interlaced PNGs with random filters; yields name, header, size and compressed rows."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    for (wide, high), depth, colour in kinds_of_png():
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        data = b""
        for x, y, right, down in passes:
            columns, rows = -(-(wide - x) // right), -(-(high - y) // down)
            if columns > 0 and rows > 0:
                length = -(-columns * channels * depth // 8)
                noise = rng.integers(0, 256, (rows, length + 1), np.uint8)
                noise[:, 0] = rng.integers(0, 5, rows)
                data += noise.tobytes()
        header = bytes([depth, colour, 0, 0, 1])
        yield f"{wide}x{high} {depth} {colour}", header, (wide, high), zlib.compress(data)


def kinds_of_png():
    """Sizes, depths and colour types of PNGs."""
    kinds = [(d, 0) for d in (1, 2, 4, 8)] + [(4, 3)] + [(d, c) for d in (8, 16) for c in (2, 4, 6)]
    return [(size, *kind) for size in ((37, 29), (3, 1), (8, 8)) for kind in kinds]


def test_several_pages_gain_maps_and_damage(tmp_path):
    well, ill = Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1, ::-1] // 2)
    two = {"save_all": True, "append_images": [ill]}
    well.save(tmp_path / "two.png", **two)
    well.save(tmp_path / "two.webp", lossless=True, **two)
    well.save(tmp_path / "two.gif", **two)
    well.save(tmp_path / "two.jpeg", "MPO", **two)
    well.save(tmp_path / "two still.png", default_image=True, **two)
    xmp = b'<x xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>'
    well.save(tmp_path / "phone.jpeg", "MPO", save_all=True, append_images=[ill.convert("L").reduce(2)], xmp=xmp)
    assert Image.open(tmp_path / "phone.jpeg").format == "JPEG"
    target = io.BytesIO()
    well.save(target, "PNG")
    data = target.getvalue()
    at = data.index(b"IDAT")
    (tmp_path / "bits.png").write_bytes(data[: at + 3000] + bytes(500) + data[at + 3500 :])
    (tmp_path / "depth.png").write_bytes(data[:24] + b"\x05" + data[25:])
    (tmp_path / "colour.png").write_bytes(data[:25] + b"\x07" + data[26:])
    (tmp_path / "short.png").write_bytes(data[:20] + struct.pack(">I", 5000) + data[24:])
    for name, found in decode(tmp_path).items():
        if name == "phone.jpeg":  # its gain map is no photograph
            assert apart(found[0], tmp_path / name) == 0
        elif name.startswith("two"):
            assert found.startswith("The file holds 2 photographs as pages. Save each page as a file of its own"), name
            with pytest.raises(PhotoError, match="holds 2 photographs as pages"):
                open_photograph(tmp_path / name)
        else:
            assert "The photograph is damaged" in found, (name, found)


def test_field_and_crop_are_those_of_python(tmp_path):
    """Circles under stress, windows that cut the disc, and crops that EyeNet made: the same geometry and pixels."""
    for condition in (stress.glow, stress.equalised):
        stress.stressed(condition).save(tmp_path / f"{condition.__name__}.png")
    for share in (0.8, 0.66):
        window, _ = stress.windows(stress.stressed(stress.plain), stress.CIRCLE, share)
        window.save(tmp_path / f"window {share}.png")
    Image.new("RGB", (500, 400), (90, 90, 90)).save(tmp_path / "grey.png")
    resize(tmp_path / "glow.png", tmp_path / "crop.png", 256)
    resize(tmp_path / "window 0.66.png", tmp_path / "frame.png", 256, field="frame")
    paths = sorted(tmp_path.glob("*.png"))
    jobs = [
        {"file": str(path), "field": field, "size": 256, "pixels": str(tmp_path / f"{path.stem} {field}.bytes")}
        for path in paths
        for field in FIELDS
    ]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    answers = run_node("fields.mjs", str(tmp_path / "jobs.json"))
    refused = 0
    for job, found in zip(jobs, answers, strict=True):
        try:
            crop, geometry = crop_photograph(job["file"], 256, job["field"])
        except NoRetina as error:
            assert found == str(error), job
            refused += 1
            continue
        geometry.pop("colours", None)
        assert found == geometry, job
        pixels = np.fromfile(job["pixels"], np.uint8).reshape(256, 256, 3)
        assert np.abs(pixels.astype(int) - crop).max() <= 1, job
    assert refused == 4  # grey as auto and circle, the smaller window and its crop as circle
