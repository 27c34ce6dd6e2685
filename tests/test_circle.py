"""The refined circle under stress, the field of pictures that cut the disc, and crops that pass through unchanged."""

import numpy as np
import pytest
from conftest import draw_photograph, read_csv, run
from PIL import Image, ImageFilter

from benchmarks import stress
from eyenet.photo.circle import find_retina
from eyenet.photo.field import FIELDS, find_field
from eyenet.photo.measures import measure
from eyenet.photo.png import encode_png, read_geometry
from eyenet.photo.retina import crop_photograph, photograph_to_input
from eyenet.photo.rim import refine
from eyenet.run.errors import NoRetina, PhotoError
from resize_images import resize

RETINA = stress.stressed(stress.plain)


def error(circle, true=stress.CIRCLE, corner=(0, 0)):
    """Worse error of centre and radius, as a share of the radius."""
    found = circle.x + corner[0], circle.y + corner[1], circle.radius
    return max(abs(a - b) for a, b in zip(found, true)) / true[2]


@pytest.mark.parametrize("condition", stress.CONDITIONS)
def test_circle_under_stress(condition):
    """Glow moved one threshold for the whole frame by 10 % of the radius."""
    limit = 0.005 if condition is stress.equalised else 0.001
    assert error(find_retina(stress.stressed(condition))) < limit


@pytest.mark.parametrize("moved", [(0.07, 0, 0), (0, -0.07, 0), (0, 0, 0.07), (0.03, 0.03, -0.06)])
def test_refining_recovers_a_wrong_circle(moved):
    x, y, radius = (value + shift * stress.CIRCLE[2] for value, shift in zip(stress.CIRCLE, moved))
    rim = refine(RETINA, x, y, radius)
    assert rim.certain and error(rim) < 0.001


def test_no_rim_is_not_certain():
    """A circle inside the retina, beyond the frame, or in noise lies on no rim."""
    x, y, radius = stress.CIRCLE
    inside = refine(RETINA, x + 20, y, 0.6 * radius)
    assert not inside.certain
    assert refine(RETINA, x, y, 3 * radius) is None
    noise = np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)
    found = refine(Image.fromarray(noise), 400, 300, 250)
    assert not found.certain


@pytest.mark.parametrize("aspect", [1, 4 / 3])
@pytest.mark.parametrize("share", [0.95, 0.85, 0.8, 0.72, 0.66, 0.6])
def test_auto_never_fits_a_wrong_circle(share, aspect):
    """The circle where the rim is seen in the corners, otherwise the whole frame."""
    window, corner = stress.windows(RETINA, stress.CIRCLE, share, aspect)
    found = find_field(window, "auto")
    seen = share >= 0.8 or (aspect > 1 and share >= 0.66)
    assert found.field == ("circle" if seen else "frame")
    if seen:
        assert error(found, corner=corner) < 0.002
    else:
        assert (found.x, found.y) == (window.width / 2, window.height / 2)
        assert found.radius == np.hypot(*window.size) / 2
        with pytest.raises(NoRetina):
            find_field(window, "circle")


@pytest.mark.parametrize("colour", [(255, 255, 255), (128, 128, 128), (60, 160, 60), (60, 60, 200)])
def test_auto_takes_no_picture_in_other_colours(colour):
    with pytest.raises(NoRetina):
        find_field(Image.new("RGB", (600, 500), colour), "auto")


def test_auto_takes_no_lit_part_of_a_dark_picture():
    picture = np.zeros((500, 600, 3), np.uint8)
    picture[:, :400] = (190, 95, 40)
    with pytest.raises(NoRetina):
        find_field(Image.fromarray(picture), "auto")


def test_a_whole_frame_is_shown_whole(tmp_path):
    window, _ = stress.windows(RETINA, stress.CIRCLE, 0.6)
    window.save(tmp_path / "x.png")
    crop, geometry = photograph_to_input(tmp_path / "x.png", 256, field="auto")
    shown = crop.max(axis=2) > 20
    assert geometry["field"] == "frame" and geometry["visible"] == 1
    side = round(256 / 2**0.5)  # of a square in a circle
    assert abs(np.flatnonzero(shown.any(axis=0)).size - side) <= 2 and abs(shown.mean() - 0.5) < 0.02
    assert measure(crop, geometry)["visible"] == 1  # the gate does not blame the frame for being square
    assert measure(crop, geometry | {"field": "circle"})["visible"] < 0.7
    with pytest.raises(ValueError, match="auto, circle or frame"):
        photograph_to_input(tmp_path / "x.png", 256, field="square")


def test_a_black_frame_is_marked_in_every_field():
    black = Image.fromarray(np.random.default_rng(0).integers(0, 4, (300, 400, 3), np.uint8))
    assert not any(find_field(black, field).found for field in FIELDS)


def cropped(folder, colours="natural", field="circle", **changes):
    """Write the crop of a photograph as the resize stage does, with changes of what it records; return its path."""
    source, target = folder / "x.jpeg", folder / f"{colours}.png"
    (RETINA if field == "circle" else stress.windows(RETINA, stress.CIRCLE, 0.6)[0]).save(source, quality=95)
    resize(source, target, 256, colours, field=field)
    target.write_bytes(encode_png(np.asarray(Image.open(target)), read_geometry(target) | changes))
    return target


@pytest.mark.parametrize("field", ["circle", "frame"])
@pytest.mark.parametrize("colours", ["natural", "equalized"])
def test_a_crop_passes_through_unchanged(tmp_path, colours, field):
    path = cropped(tmp_path, colours, field)
    crop, geometry = photograph_to_input(path, 256, colours, "auto")
    assert (crop == np.asarray(Image.open(path))).all()
    known = read_geometry(path)
    assert all(geometry[key] == known[key] for key in ("visible", "found", "field"))
    assert (geometry["width"], geometry["center_x"], geometry["radius"]) == (256, 128, 128)


def test_a_crop_of_other_size_keeps_its_circle(tmp_path):
    crop, geometry = photograph_to_input(cropped(tmp_path), 128)
    expected, _ = photograph_to_input(tmp_path / "x.jpeg", 128)
    assert (geometry["center_x"], geometry["radius"]) == (128, 128)
    assert np.abs(crop.astype(int) - expected).mean() < 1


def test_a_crop_in_other_colours(tmp_path):
    """Natural colours can be equalised afterwards, equalised ones not be restored."""
    natural = cropped(tmp_path)
    crop, _ = photograph_to_input(natural, 256, "equalized")
    expected, _ = photograph_to_input(tmp_path / "x.jpeg", 256, "equalized")
    assert (crop == expected).all()
    equalized = cropped(tmp_path, "equalized")
    with pytest.raises(PhotoError, match="has equalised; use the photograph"):
        photograph_to_input(equalized, 256, "natural")


@pytest.mark.parametrize("changes", [{"preprocessing": 1}, {"preprocessing": None}, {"visible": None}])
def test_a_crop_of_another_version_is_searched(tmp_path, changes):
    path = cropped(tmp_path, **changes)
    if changes == {"visible": None}:  # a stamp that is not whole
        path.write_bytes(encode_png(np.asarray(Image.open(path)), {"preprocessing": 2, "field": "circle"}))
    _, geometry = crop_photograph(path, 256)
    assert geometry["radius"] != 128 or geometry["center_x"] != 128
    assert abs(geometry["radius"] - 128) < 1


def test_a_whole_frame_is_no_circle(tmp_path):
    with pytest.raises(NoRetina):
        crop_photograph(cropped(tmp_path, field="frame"), 256, "circle")


def test_an_edited_crop_is_searched(tmp_path):
    path = cropped(tmp_path)
    pixels = np.asarray(Image.open(path)).copy()
    pixels[:10, :10] = 90
    path.write_bytes(encode_png(pixels, read_geometry(path)))
    assert (crop_photograph(path, 256)[0] != pixels).any()


def test_the_stage_counts_circles_and_frames(tmp_path):
    source = tmp_path / "train"
    source.mkdir()
    Image.fromarray(draw_photograph()).save(source / "whole.png")
    stress.windows(RETINA, stress.CIRCLE, 0.6)[0].save(source / "cut.png")
    done = run("resize_images.py", "--input", source, "--output", tmp_path / "resized", "--size", 128)
    assert "(1 by the circle of the retina, 1 as a whole frame)" in done.stdout
    rows = read_csv(tmp_path / "resized" / "photographs.csv")
    assert {row["image"]: row["field"] for row in rows} == {"whole": "circle", "cut": "frame"}


def test_a_rim_that_is_wide_in_pixels():
    """A large photograph out of focus: in all its pixels, the rim is too wide to be seen."""
    picture = Image.fromarray(draw_photograph(x=243, y=176))
    large = picture.resize((6 * picture.width, 6 * picture.height)).filter(ImageFilter.GaussianBlur(40))
    assert error(find_retina(large), (6 * 243, 6 * 176, 6 * 160)) < 0.005
