"""The page's JPEG decoder: at 1/2, 1/4 and 1/8 it gives exactly the pixels of Pillow, or leaves the file undecoded."""

import hashlib
import io
import json

import numpy as np
import pytest
from conftest import REAL, draw_photograph, needs_real
from PIL import Image, ImageOps

from benchmarks.browser import BrowserError, install, missing, run_node

MISSING = missing()
pytestmark = pytest.mark.skipif(
    MISSING is not None and "Chromium" not in MISSING, reason=f"the decoder is not tested: {MISSING}"
)
FACTORS = 2, 4, 8
ORIENTATION = 0x0112
SOF0, SOF1, DHT, SOS, DQT, APP0, APP14 = 0xC0, 0xC1, 0xC4, 0xDA, 0xDB, 0xE0, 0xEE


@pytest.fixture(scope="module", autouse=True)
def packages():
    """The page's packages, which include the TypeScript loader for the decoder."""
    try:
        install()
    except BrowserError as error:
        pytest.skip(f"the decoder is not tested: {error}")


def decode(folder, paths):
    """Decode files with the page's decoder at each factor; map (path, factor) to pixels, or to the error."""
    jobs = [
        {"file": str(path), "factor": factor, "pixels": str(folder / f"{i}_{factor}.bytes")}
        for i, path in enumerate(paths)
        for factor in FACTORS
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    answers = run_node("jpeg.mjs", str(folder / "jobs.json"))
    decoded = {}
    for path, job, said in zip([path for path in paths for _ in FACTORS], jobs, answers):
        if isinstance(said, dict):
            assert [-(-side // job["factor"]) for side in said["upright"]] == [said["width"], said["height"]]
            said = np.fromfile(job["pixels"], np.uint8).reshape(said["height"], said["width"], 3)
        decoded[path, job["factor"]] = said
    return decoded


def expected(path, factor):
    """Decode a file at a reduced scale as eyenet/photo/decode.py does."""
    with Image.open(path) as image:
        image.draft(None, (image.width // factor, image.height // factor))
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def check_same(folder, paths):
    """Check that the page's decoder gives exactly Pillow's pixels."""
    for (path, factor), pixels in decode(folder, paths).items():
        assert not isinstance(pixels, str), f"{path.name} at 1/{factor}: {pixels}"
        same = expected(path, factor)
        assert pixels.shape == same.shape and np.array_equal(pixels, same), f"{path.name} at 1/{factor}"


def save(path, picture, **options):
    Image.fromarray(picture).save(path, "JPEG", **options)
    return path


def encode(picture, **options):
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "JPEG", **options)
    return target.getvalue()


def noise(height, width, seed=0):
    """Draw noise with all frequencies and values up to both ends of the range."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def segments(data):
    """List (marker, contents) of a JPEG before its first scan, and the rest: from the scan's header to the end."""
    found, at = [], 2
    while data[at + 1] != SOS:
        length = int.from_bytes(data[at + 2 : at + 4])
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found, data[at:]


def assemble(parts, rest):
    return b"\xff\xd8" + b"".join(segment(marker, content) for marker, content in parts) + rest


def segment(marker, content):
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content


def altered(data, change):
    """Change the segments of a JPEG: `change` maps (marker, contents) to the same, or to None to leave one out."""
    parts, rest = segments(data)
    return assemble([new for part in parts if (new := change(*part))], rest)


def frame_as(data, marker=SOF0, precision=8, sampling=None):
    """Change fields in the frame header of a JPEG."""

    def change(kind, content):
        if kind != SOF0:
            return kind, content
        content = bytearray(content)
        content[0] = precision
        if sampling is not None:
            content[7] = sampling
        return marker, bytes(content)

    return altered(data, change)


def separate(data, seed=0):
    """Write random coefficients into a JPEG, with each component in a separate scan."""
    rng = np.random.default_rng(seed)
    parts, _ = segments(data)
    frame = dict(parts)[SOF0]
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    # Means differ by 4 bits (code 0); others have 4 bits (01), or 3 after two zeros (10), and 00 ends the block.
    tables = bytes([0x00, 1, *bytes(15), 4]) + bytes([0x10, 0, 3, *bytes(14), 0x00, 0x04, 0x23])
    rest = b""
    for i in range(frame[5]):
        share = 2 if frame[7] == 0x22 and i else 1
        blocks = -(-width // (8 * share)) * -(-height // (8 * share))
        bits = "".join(_block(rng) for _ in range(blocks))
        bits += "1" * (-len(bits) % 8)
        rest += segment(SOS, bytes([1, frame[6 + 3 * i], 0, 0, 63, 0]))
        rest += int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\x00")
    return assemble([*(part for part in parts if part[0] != DHT), (DHT, tables)], rest + b"\xff\xd9")


def _block(rng):
    """Write a block's bits in the codes of `separate`."""
    bits, k = f"0{rng.integers(16):04b}", 1
    for _ in range(rng.integers(40)):
        if k > 60:
            break
        near = rng.random() < 0.7
        bits += f"01{rng.integers(16):04b}" if near else f"10{rng.integers(8):03b}"
        k += 1 if near else 3
    return bits + "00"  # k is at most 63, so there is one more


def test_every_sampling_quality_and_size(tmp_path):
    paths = []
    for i, (width, height) in enumerate([(64, 48), (67, 45), (8, 8), (17, 9), (130, 97), (15, 33)]):
        for sampling in ("4:4:4", "4:2:0"):
            for quality in (1, 20, 75, 95, 100):
                for kind, picture in (
                    ("noise", noise(height, width, i)),
                    ("drawn", draw_photograph(width, height, radius=min(width, height) / 2.2)),
                ):
                    name = f"{kind}_{width}x{height}_{sampling.replace(':', '')}_{quality}"
                    paths.append(save(tmp_path / name, picture, quality=quality, subsampling=sampling))
    check_same(tmp_path, paths)


def test_grey_restart_markers_and_other_tables(tmp_path):
    picture = np.concatenate([noise(77, 60), draw_photograph(160, 77, radius=36)], axis=1)
    paths = []
    for subsampling in ("4:4:4", "4:2:0"):
        for name, more in {
            "blocks1": {"restart_marker_blocks": 1},
            "blocks7": {"restart_marker_blocks": 7},
            "rows": {"restart_marker_rows": 1},
            "optimized": {"optimize": True},
            "tables": {"qtables": [list(range(1, 65)), list(range(65, 1, -1)), [200] * 64]},
        }.items():
            paths.append(save(tmp_path / f"{name}_{subsampling[2]}", picture, subsampling=subsampling, **more))
    for name, more in {
        "grey": {},
        "grey_restarts": {"restart_marker_blocks": 5},
        "grey_coarse": {"quality": 5},
    }.items():
        paths.append(save(tmp_path / name, picture[..., 1], **more))
    plain = encode(picture, quality=90)
    made = {
        "extended": frame_as(plain, SOF1),
        "grey_2x2": frame_as(encode(picture[..., 0]), sampling=0x22),  # has no meaning for a single component
        "no_jfif": altered(plain, lambda kind, content: None if kind == APP0 else (kind, content)),
        "adobe": altered(
            plain, lambda kind, content: (APP14, b"Adobe\0d\0\0\0\0\1") if kind == APP0 else (kind, content)
        ),
        "deep_tables": altered(encode(picture, quality=30), deepen),
        "fill": plain[:-2] + b"\xff\xff\xff\xd9",
        "scans_444": separate(encode(noise(37, 53), subsampling="4:4:4")),
        "scans_420": separate(encode(noise(37, 53), subsampling="4:2:0")),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    check_same(tmp_path, [*paths, *(tmp_path / name for name in made)])


def deepen(kind, content):
    """Write quantization tables in 16 bits and twice as coarse, so that some values need the second byte."""
    if kind != DQT:
        return kind, content
    tables = [content[at : at + 65] for at in range(0, len(content), 65)]
    return kind, b"".join(
        bytes([0x10 | table[0]]) + b"".join((2 * x).to_bytes(2, "big") for x in table[1:]) for table in tables
    )


def test_exif_orientations(tmp_path):
    paths = []
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x010F] = "Camera"
        exif[ORIENTATION] = orientation
        for size in ((90, 61), (53, 70)):
            path = tmp_path / f"{orientation}_{size[0]}"
            paths.append(save(path, draw_photograph(*size, radius=25), exif=exif, quality=90))
    big = tmp_path / "big_endian"
    tiff = b"MM\0*\0\0\0\x08\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + bytes(4)
    paths.append(save(big, draw_photograph(90, 61, radius=25), exif=b"Exif\0\0" + tiff))
    no_tiff = tmp_path / "no_tiff"  # is ignored
    paths.append(save(no_tiff, draw_photograph(90, 61, radius=25), exif=b"Exif\0\0XX" + tiff[2:]))
    check_same(tmp_path, paths)
    assert len({hashlib.sha256(expected(path, 2)).digest() for path in paths}) >= 16


def test_what_is_left_to_the_browser(tmp_path):
    picture = draw_photograph(96, 64, radius=30)
    plain = encode(picture)
    made = {
        "progressive": encode(picture, progressive=True),
        "4:2:2": encode(picture, subsampling="4:2:2"),
        "4:4:0": frame_as(plain, sampling=0x12),
        "cmyk": cmyk(picture),
        "rgb": encode(picture, keep_rgb=True),
        "adobe_rgb": altered(
            plain, lambda kind, content: (APP14, b"Adobe\0d\0\0\0\0\0") if kind == APP0 else (kind, content)
        ),
        "12_bits": frame_as(plain, SOF1, precision=12),
        "arithmetic": frame_as(plain, 0xC9),
        "lossless": frame_as(plain, 0xC3),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    decoded = decode(tmp_path, [tmp_path / name for name in made])
    assert {name: decoded[tmp_path / name, 4] for name in made} == dict.fromkeys(made, "browser")


def cmyk(picture):
    target = io.BytesIO()
    Image.fromarray(picture).convert("CMYK").save(target, "JPEG")
    return target.getvalue()


def test_damaged_data_are_left_to_the_browser(tmp_path):
    picture = draw_photograph(320, 240, radius=100)
    plain, restarts = encode(picture), encode(picture, restart_marker_rows=1)
    parts, rest = segments(plain)
    bits = rest[2 + int.from_bytes(rest[2:4]) :]
    made = {
        "cut": plain[: len(plain) // 2] + b"\xff\xd9",
        "marker": rest_changed(plain, lambda rest: rest[:900] + b"\xff\xd0" + rest[902:]),
        "no_tables": assemble([part for part in parts if part[0] != DHT], rest),
        "no_quantization": assemble([part for part in parts if part[0] != DQT], rest),
        "no_restart": restarts.replace(b"\xff\xd3", b"\xff\xd5", 1),
        "one_scan_of_three": separate(plain)[: separate(plain).rindex(b"\xff\xda")] + b"\xff\xd9",
        "a_scan_of_nothing": assemble([*parts, (SOS, bytes([0, 0, 63, 0]))], bits),
        "an_empty_scan": assemble([*parts, (SOS, b"")], bits),
        "too_many_codes": altered(plain, lambda kind, content: (kind, overfull(content) if kind == DHT else content)),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    decoded = decode(tmp_path, [tmp_path / name for name in made])
    for factor in FACTORS:
        assert {name: decoded[tmp_path / name, factor] for name in made} == dict.fromkeys(made, "damaged")


def rest_changed(data, change):
    parts, rest = segments(data)
    return assemble(parts, change(rest))


def overfull(content):
    """Make a Huffman table with three codes of one bit, one more than possible."""
    return bytes([content[0], 3, *content[2:17], *content[17:], 0, 0, 0])


def test_noise_in_the_data_ends_in_pixels_or_in_a_word(tmp_path):
    """Files with random damage give pixels or a reason, nothing else."""
    plain = encode(draw_photograph(160, 120, radius=50), restart_marker_rows=2)
    rng = np.random.default_rng(0)
    paths = []
    for i in range(100):
        data = bytearray(plain)
        for at in rng.integers(2, len(plain) - 2, rng.integers(1, 6)):
            data[at] = rng.integers(0, 256)
        paths.append(tmp_path / f"damaged{i}")
        paths[-1].write_bytes(data)
    outcomes = [pixels if isinstance(pixels, str) else "pixels" for pixels in decode(tmp_path, paths).values()]
    assert set(outcomes) <= {"pixels", "damaged", "browser", "refused"} and outcomes.count("damaged") >= 30


@needs_real("eyepacs-full")
def test_real_originals(tmp_path):
    check_same(tmp_path, sorted((REAL / "eyepacs-full" / "train").glob("*.jpeg"))[::4])
