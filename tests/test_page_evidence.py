"""The page draws the evidence of the cells of eyenet/model/evidence.py as contours, like those of scikit-image."""

import json
import re

import numpy as np
import pytest
from conftest import draw_photograph
from scipy.ndimage import gaussian_filter
from skimage.measure import find_contours
from test_jpeg import packages  # noqa: F401 (all tests here use it)

from benchmarks.browser import missing, run_node
from eyenet.model.overlay import Grid, enlarge, retina_of

MISSING = missing()
pytestmark = pytest.mark.skipif(
    MISSING is not None and "Chromium" not in MISSING, reason=f"the contours are not tested: {MISSING}"
)
SIDE, WHOLE = 24, 24_000  # coordinates in thousandths of a pixel
MAP = 128  # side of the page's map of evidence
SADDLE = [[1, 0], [0, 1]]


def bumps(*centres, side=SIDE, width=3.0):
    """Draw a map with a Gaussian around each centre (x, y)."""
    y, x = np.mgrid[:side, :side] + 0.5
    return sum(np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * width**2)) for left, top in centres)


def random_map():
    return gaussian_filter(np.random.default_rng(3).random((SIDE, SIDE)), 1)


MAPS = {  # each with its level
    "one": (bumps((12, 9)), 0.5),
    "two": (bumps((5, 6), (18, 17)), 0.5),
    "ring": (np.abs(bumps((12, 12), width=6) - 0.5) < 0.2, 0.5),
    "corner": (bumps((0, 0)), 0.5),
    "full": (np.ones((SIDE, SIDE)), 0.5),
    "nothing": (np.zeros((SIDE, SIDE)), 0.5),
    "random": (random_map(), 0.5),
    "high saddle": (SADDLE, 0.4),
    "low saddle": (SADDLE, 0.6),
}
CROP = draw_photograph(256, 256, radius=128, dots=9)
CELLS = np.random.default_rng(5).random((1, 28, 28)).astype(np.float32) ** 8


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The contours of MAPS, as lists of loops, and what the page draws for CELLS and for cells without evidence."""
    folder = tmp_path_factory.mktemp("contours")
    (folder / "crop").write_bytes(CROP.tobytes())
    maps = [{"values": np.ravel(m).tolist(), "side": len(m), "level": at, "whole": WHOLE} for m, at in MAPS.values()]
    cells = [
        {"values": values.ravel().tolist(), "crop": str(folder / "crop"), "size": 256, "start": 19.5, "step": 8}
        for values in (CELLS, np.zeros_like(CELLS))
    ]
    (folder / "jobs.json").write_text(json.dumps({"maps": maps, "cells": cells}, default=float))
    found = run_node("contours.mjs", str(folder / "jobs.json"))
    return {name: loops_of(path, len(MAPS[name][0])) for name, path in zip(MAPS, found["paths"])}, found["drawn"]


def loops_of(path, side):
    """Read the loops of a path, as arrays of points (x, y) in pixels."""
    assert re.fullmatch(r"(M-?\d+ -?\d+(L-?\d+ -?\d+)+Z)*", path)
    loops = [np.array([point.split() for point in loop.split("L")], float) for loop in re.findall(r"M(.*?)Z", path)]
    return [loop * side / WHOLE for loop in loops]


def area(loop):
    """Measure the signed area of a loop in pixels: positive where it runs clockwise on the screen."""
    x, y = loop.T
    return (x @ np.roll(y, -1) - np.roll(x, -1) @ y) / 2


def test_a_bump_is_enclosed_where_it_is(drawn):
    (loop,) = drawn[0]["one"]
    radius = 3 * np.sqrt(2 * np.log(2))  # where the Gaussian is one half
    np.testing.assert_allclose(np.hypot(*(loop - [12, 9]).T), radius, atol=0.05)
    assert abs(area(loop)) == pytest.approx(np.pi * radius**2, rel=0.02)


def test_there_are_as_many_loops_as_areas_and_holes(drawn):
    count = {name: len(loops) for name, loops in drawn[0].items()}
    assert count["two"] == count["ring"] == 2 and count["corner"] == count["full"] == 1 and count["nothing"] == 0
    assert np.sign([area(loop) for loop in drawn[0]["two"]]).prod() == 1  # both the same way
    assert sorted(np.sign([area(loop) for loop in drawn[0]["ring"]])) == [-1, 1]  # a hole runs the other way
    assert abs(area(drawn[0]["full"][0])) == pytest.approx(SIDE**2, rel=0.01)


def test_the_mean_decides_whether_a_saddle_is_joined(drawn):
    assert len(drawn[0]["high saddle"]) == 1 and len(drawn[0]["low saddle"]) == 2


@pytest.mark.parametrize("name", ["one", "two", "corner", "random"])
def test_the_contours_run_through_the_points_of_scikit_image(drawn, name):
    values, level = MAPS[name]
    found = find_contours(np.pad(values, 1), level)
    expected = np.concatenate([points[:-1, ::-1] - 0.5 for points in found])  # closed; pixel centres are at one half
    points = np.concatenate(drawn[0][name])
    assert len(points) == len(expected) > 10
    apart = np.hypot(*(points[:, None] - expected).T)
    assert apart.min(axis=0).max() < 0.002 and apart.min(axis=1).max() < 0.002


def test_the_map_is_that_of_python(drawn):
    scale = MAP / 256
    expected = enlarge(CELLS, MAP, Grid((19.5 + 0.5) * scale - 0.5, 8 * scale))[0] * retina_of(CROP)[1::2, 1::2]
    np.testing.assert_allclose(drawn[1][0]["map"], expected.ravel(), atol=1e-6)


def test_a_lower_level_encloses_more_and_no_evidence_nothing(drawn):
    contours, nothing = drawn[1][0]["contours"], drawn[1][1]["contours"]
    areas = [abs(sum(area(loop) for loop in loops_of(path, MAP))) for path in contours]
    assert len(contours) == 9 and areas == sorted(areas) and 0 < areas[0] < areas[-1]
    assert nothing == []
