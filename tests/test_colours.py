"""Equalised colours: flat histograms over the retina, black outside it, similar for all cameras."""

import numpy as np
import pytest
from conftest import REAL, draw_photograph, needs_real
from PIL import Image, ImageOps
from test_photo import save

from eyenet.photo.colours import equalize, find_visible
from eyenet.photo.retina import inside_circle, photograph_to_input
from eyenet.run.errors import NoRetina


def three_gradients(size, seed=0):
    """Make a crop with a different gradient in each channel, on some of the levels; uint8, shape (size, size, 3)."""
    across = np.linspace(0, 1, size)
    red, green = np.broadcast_to(across, (size, size)), np.broadcast_to(across[:, None], (size, size))
    picture = np.stack([90 + 100 * red**2, 60 + 60 * green, 20 + 40 * (1 - red) * green], axis=2)
    picture += np.random.default_rng(seed).normal(0, 2, picture.shape)
    return picture.astype(np.uint8) * inside_circle(size)[..., None]


@pytest.mark.parametrize("size", [64, 256])
def test_equalized_histograms_are_flat(size):
    """Each channel uses all levels equally, keeps its order, and does not depend on the other channels."""
    natural, inside = three_gradients(size), inside_circle(size)
    crop = equalize(natural, inside)
    assert crop.dtype == np.uint8 and (crop[~inside] == 0).all()
    for channel in range(3):
        before, after = natural[inside][:, channel].astype(int), crop[inside][:, channel].astype(int)
        assert np.abs(np.sort(after) - np.linspace(0, 255, len(after))).mean() < 4
        order = np.argsort(before, kind="stable")
        assert (np.diff(after[order]) >= 0).all()
        assert len(set(zip(before, after))) == len(set(before))
    again = equalize(crop, inside)
    assert np.abs(again.astype(int) - crop).mean() < 0.5


def test_colours_of_a_black_frame_stay(tmp_path):
    """Noise in a black frame, or around a reflex in it, is not amplified."""
    black = np.random.default_rng(0).integers(0, 4, (600, 800, 3)).astype(np.uint8)
    for frame in (black, 0 * black, 5 * black):
        path = save(tmp_path / "x.png", frame)
        assert (photograph_to_input(path, 256, "equalized")[0] == photograph_to_input(path)[0]).all()
    crop, inside = np.full((64, 64, 3), 3, np.uint8), inside_circle(64)
    crop[30:37, 30:37] = 200
    assert not find_visible(crop, inside).any() and (equalize(crop, inside) == crop).all()


def test_dark_retina_is_retina():
    """Black pixels between lit ones, such as a haemorrhage, count as visible; here a twelfth of the circle."""
    crop, inside = three_gradients(128), inside_circle(128)
    crop[30:60, 20:55] = 0
    assert (find_visible(crop, inside) == inside).all()


@pytest.mark.parametrize("gain, turned", [(0.25, False), (1, True)])
def test_letterbox_stays_black(tmp_path, gain, turned):
    """The disc is cut off at two sides, and the letter-box contains noise, also in dark photographs."""
    rng = np.random.default_rng(0)
    frame = np.abs(rng.normal(0, 4, (1000, 1200, 3))).clip(0, 10)
    frame[150:850] = np.maximum(frame[150:850], gain * draw_photograph(1200, 700, radius=500, dots=20))
    frame = frame.transpose(1, 0, 2) if turned else frame
    crop, geometry = photograph_to_input(save(tmp_path / "x.png", frame.astype(np.uint8)), 256, "equalized")
    assert abs(geometry["radius"] - 500) < 10
    dark = crop.max(axis=(0, 2) if turned else (1, 2)) == 0
    assert abs(dark.sum() - 256 * 0.3) <= 6 and dark[:30].all() and dark[-30:].all()
    assert crop[128].max() > 240 and crop[:, 128].max() > 240


def test_equalized_by_somebody_else(tmp_path):
    """A photograph that was equalised and compressed before gives nearly the same crop as the natural one."""
    natural = Image.fromarray(draw_photograph(900, 640, radius=290, dots=30))
    lit = Image.fromarray(np.asarray(natural).max(axis=2) > 10)
    published = np.asarray(ImageOps.equalize(natural, mask=lit)) * np.asarray(lit)[..., None]
    paths = [
        save(tmp_path / "a.jpeg", np.asarray(natural), quality=95),
        save(tmp_path / "b.jpeg", published, quality=95),
    ]
    inside = inside_circle(256)

    def difference(colours):
        a, b = (photograph_to_input(path, 256, colours)[0][inside].astype(int) for path in paths)
        return np.abs(a - b).mean()

    assert difference("equalized") < 0.25 * difference("natural")  # the rest is noise; for EyePACS 12 of 60 levels


def test_colours_are_spelled_as_the_option_is(tmp_path):
    path = save(tmp_path / "x.png", draw_photograph())
    with pytest.raises(ValueError, match="natural or equalized, not 'equalised'"):
        photograph_to_input(path, 256, "equalised")


@needs_real("eyepacs-256eq")
def test_equalizing_what_is_equalized_changes_little():
    """Half of the photographs that were published equalised change by less than 8 levels; natural ones by 57."""
    inside, changes = inside_circle(256), []
    for path in sorted((REAL / "eyepacs-256eq" / "train").glob("*.jpeg"))[::180]:
        try:
            crop, _ = photograph_to_input(path)
        except NoRetina:  # 1 in 500 of these crops shows too little of the rim
            continue
        changes.append(np.abs(equalize(crop, inside).astype(int) - crop)[inside].mean())
    assert np.median(changes) < 8 and len(changes) > 30
