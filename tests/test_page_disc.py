"""The page finds the side of the optic disc as benchmarks/disc_side.py does, whose weights it has."""

import json
import sys

import numpy as np
import pytest
from conftest import REAL, REPO, needs_real
from test_jpeg import packages  # noqa: F401 (all tests here use it)

from benchmarks.browser import APP, missing, run_node
from eyenet.photo.colours import equalize
from eyenet.photo.retina import crop_photograph, inside_circle
from make_sample import take_photograph

sys.path.append(str(REPO / "benchmarks"))
import disc_side

MISSING = missing()
pytestmark = pytest.mark.skipif(
    MISSING is not None and "Chromium" not in MISSING, reason=f"the disc is not tested: {MISSING}"
)
WEIGHTS = json.loads((APP / "src" / "disc.json").read_text(encoding="utf-8"))


def eyes_of(folder, names, size=256):
    """Crop photographs, in equalised colours."""
    crops = [crop_photograph(folder / f"{name}.jpeg", size)[0] for name in names]
    return np.stack([equalize(crop, inside_circle(size)) for crop in crops])


def ask_page(crops, folder):
    """Score crops with the page's code; list of (score, side)."""
    jobs = [{"file": str(folder / str(i)), "size": len(crop)} for i, crop in enumerate(crops)]
    for job, crop in zip(jobs, crops):
        (folder / job["file"]).write_bytes(crop.tobytes())
    (folder / "jobs.json").write_text(json.dumps(jobs))
    return run_node("disc.mjs", str(folder / "jobs.json"))


def score(crops):
    return disc_side.halves(crops) @ np.array(WEIGHTS["weights"])


def test_the_page_scores_as_python_and_a_mirrored_eye_as_the_other(tmp_path):
    for eye in ("right", "left"):
        (tmp_path / f"{eye}.jpeg").write_bytes(take_photograph(seed=0, patient=4, eye=eye, level=0))
    crops = eyes_of(tmp_path, ["right", "left"])
    noise = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    crops = np.concatenate([crops, crops[:, :, ::-1], noise, np.zeros_like(noise)])
    said = ask_page(crops, tmp_path)
    np.testing.assert_allclose([number for number, _ in said], score(crops), atol=1e-9)
    sides = [side for _, side in said]
    assert sides == ["right", "left", "left", "right", None, None]


def test_the_limit_is_where_enough_pairs_are_right():
    scores = np.array([3, -3, 2, -2, 1, 1, 0.5, -0.5])
    pairs = np.arange(8).reshape(4, 2)
    assert disc_side.choose_limit(scores, pairs) == 2  # with the third pair it would be 2 of 3


@needs_real("eyepacs-full")
def test_real_eyes():
    names = [f"{patient}_{eye}" for patient in (10, 13) for eye in ("right", "left")]
    assert np.sign(score(eyes_of(REAL / "eyepacs-full" / "train", names))).tolist() == [1, -1, 1, -1]
