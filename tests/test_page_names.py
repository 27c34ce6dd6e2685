"""The page reads patients and eyes from names as eyenet/data/identity.py does, and doubts what does not fit."""

import itertools
import json
from pathlib import Path

import pytest
from test_jpeg import packages  # noqa: F401 (all tests here use it)

from benchmarks.browser import missing, run_node
from eyenet.data.identity import read_name
from eyenet.data.names import canonical

MISSING = missing()
pytestmark = pytest.mark.skipif(
    MISSING is not None and "Chromium" not in MISSING, reason=f"the names are not tested: {MISSING}"
)
CASES = json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8"))
WORDS = ("12", "0012", "Zoë", "left", "RIGHT", "Os", "od", "L", "re", "(1)", "copy", "IMG", "le", "macula", "_")
NUMBERS = ["12", "0012", "12.0", " 12 ", "1e5", "12.5", "a012", "Zoe\u0308", "0", "000"]
SAME, OTHER, ASKED, EYE = "same photograph", "its name says", "belong to two patients", "seem to show the same eye"
PATIENTS = [  # names, fingerprints and sides of the disc of the right and the left eye, and what is doubted
    (("12_right.jpg", "a"), ("12_left.jpg", "b"), []),
    (("0012_R.jpg", "a"), ("12 OS.jpg", "b"), []),
    (("one.jpg", "a"), ("two.jpg", "b"), []),
    (("12_left.jpg", "a"), None, [OTHER]),
    (("12_right.jpg", "a"), ("12_right (1).jpg", "a"), [SAME]),
    (("12_left.jpg", "a"), ("12_right.jpg", "b"), [OTHER, OTHER]),
    (("12_right.jpg", "a"), ("13_left.jpg", "b"), [ASKED]),
    (("12_od.v2.jpg", "a"), ("13_right.jpg", "b"), [OTHER, ASKED]),
    (("12_right.jpg", ""), ("12_left.jpg", ""), []),
    (("12_right.jpg", "a", "right"), ("12_left.jpg", "b", "left"), []),
    (("12_right.jpg", "a", "left"), ("12_left.jpg", "b", "right"), []),  # a camera that turns the picture
    (("12_right.jpg", "a", "left"), ("12_left.jpg", "b", "left"), [EYE]),
    (("12_right.jpg", "a", None), ("12_left.jpg", "b", "left"), []),
    (("12_right.jpg", "a", "left"), None, []),
    (("12_right.jpg", "a", "right"), ("13_left.jpg", "b", "right"), [ASKED, EYE]),
]


@pytest.mark.parametrize("stem, patient, eye", CASES)
def test_python_reads_the_cases(stem, patient, eye):
    assert read_name(stem) == (patient, eye)


def test_the_page_reads_the_same(tmp_path):
    stems = [case[0] for case in CASES]
    stems += [gap.join(words) for gap in "_ .-" for n in (1, 2, 3) for words in itertools.product(WORDS, repeat=n)]
    stems += ["a__left", "left__", " left", "left.", "A - B_left_90", "Zoë\nL", "İ_left", "٣ L (1)"]
    chosen = [
        {eye: dict(zip(("name", "fingerprint", "disc"), file)) for eye, file in zip(("right", "left"), files) if file}
        for *files, _ in PATIENTS
    ]
    jobs = {"stems": stems, "numbers": NUMBERS, "patients": chosen}
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    said = run_node("names.mjs", str(tmp_path / "jobs.json"))
    different = [(stem, mine) for stem, mine in zip(stems, said["names"]) if tuple(mine) != read_name(stem)]
    assert different == []
    assert said["numbers"] == [canonical(number) for number in NUMBERS]
    for (*_, words), doubts in zip(PATIENTS, said["doubts"]):
        assert len(doubts) == len(words) and all(word in doubt["text"] for word, doubt in zip(words, doubts))
        assert all(doubt["certain"] == (SAME in doubt["text"]) for doubt in doubts)
