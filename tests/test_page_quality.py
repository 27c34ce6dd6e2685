"""The page judges crops, gives the reasons and answers for patients as Python does."""

import io
import itertools
import json
from collections import Counter

import numpy as np
import pytest
from conftest import REAL, draw_photograph
from PIL import Image
from test_jpeg import packages  # noqa: F401 (all tests here use it)
from test_quality import worsened

from benchmarks import degraded
from benchmarks.browser import missing, run_node
from eyenet.model.answers import UNDECIDED, call, consistent_grade, join_eyes, only_disease, summarise
from eyenet.photo import quality
from eyenet.photo.colours import equalize
from eyenet.photo.retina import black_outside, inside_circle, photograph_to_input
from make_sample import take_photograph

MISSING = missing()
pytestmark = pytest.mark.skipif(
    MISSING is not None and "Chromium" not in MISSING, reason=f"the page is not tested: {MISSING}"
)
LIMITS = {"any": 0.3, "referable": 0.5}
UNSURE = {"any": (0.2, 0.6), "referable": (0.45, 0.4)}  # of the second, `low` is above `high`
MODEL = {
    "task": "grade",
    "unsure": {name: {"limits": {"0.05": limits}} for name, limits in UNSURE.items()},
    "decision": {question: {"eye": {"operating_points": {"balanced": limit}}} for question, limit in LIMITS.items()},
}
MODEL["decision"]["grade"] = {"cuts": [0.5, 1.5, 2.5, 3.5]}
LEVELS = (False, False), (True, False), (True, True)  # the answers of `make_row`, by level


def run_page(folder, crops=(), patients=(), unsure="", **asked):
    """Judge crops, a list of (pixels, geometry), and join patients with the page's code.

    `asked` may have measures to judge (`measured`), `rows` to check, `grades` to show, `former` rows to decide again.
    """
    jobs = []
    for number, (crop, geometry) in enumerate(crops):
        (folder / f"{number}.bytes").write_bytes(crop.tobytes())
        field = geometry.get("field", "circle")
        job = {"file": str(folder / f"{number}.bytes"), "size": len(crop), "field": field}
        jobs.append(job | {"visible": geometry.get("visible", 1.0)})
    task = {"weights": quality.weights(), "crops": jobs, "model": MODEL, "patients": patients}
    task |= {"rule": {"point": "balanced", "unsure": unsure}}
    task |= dict.fromkeys(("measured", "rows", "grades", "former"), ()) | asked
    (folder / "jobs.json").write_text(json.dumps(task))
    return run_node("quality.mjs", str(folder / "jobs.json"))


def make_crops(folder):
    """Crops in natural and equalised colours: an eye of the sample, worse copies of it, and real photographs."""
    crops = [(draw_photograph(256, 256, radius=128, dots=9), {}), (np.zeros((256, 256, 3), np.uint8), {})]
    eye = Image.open(io.BytesIO(take_photograph(seed=0, patient=1, eye="left", level=4))).convert("RGB")
    for copy in (eye, degraded.blur(eye, 0.01), degraded.expose(eye, 0.15), degraded.compress(eye, 5)):
        copy.save(folder / "eye.png", compress_level=1)
        crops.append(photograph_to_input(folder / "eye.png"))
    if (REAL / "eyepacs-1024").exists():
        paths = sorted((REAL / "eyepacs-1024" / "train").iterdir())[::240]
        crops += [photograph_to_input(path, size) for path, size in zip(paths, itertools.cycle((256, 384)))]
    return crops + [(equalize(crop, inside_circle(len(crop))), geometry) for crop, geometry in crops[2:]]


def test_the_page_measures_and_judges_the_same(tmp_path):
    crops = [(black_outside(np.array(crop)), geometry) for crop, geometry in make_crops(tmp_path)]
    judged = run_page(tmp_path, crops)["judged"]
    assert len(judged) == len(crops)
    for (crop, geometry), page in zip(crops, judged):
        expected = quality.judge(crop, geometry)
        assert page["measures"].keys() == expected.measures.keys()
        close = 1e-4 if len(crop) == quality.SIDE else 1e-2  # a resized crop may differ by one grey level
        for name, value in expected.measures.items():
            assert page["measures"][name] == pytest.approx(value, abs=close), name
        assert (page["gradable"], page["retina"]) == (expected.gradable, expected.retina)
        assert page["score"] == pytest.approx(expected.score, abs=5e-3)
        assert page["reasons"] == list(expected.reasons)
    equalized = [page for page in judged if page["measures"]["equalized"]]
    assert len(equalized) >= 4 and len({page["measures"]["lines"] for page in equalized}) >= 3


def test_the_page_orders_the_reasons_the_same(tmp_path):
    terms = [dict(zip(("too dark", "low contrast"), odds)) for odds in itertools.product((0, 0.4, 2, 4, 6), repeat=2)]
    measured = [worsened(reasons) | {"clipped": clipped} for reasons in terms for clipped in (0.03, 0.2)]
    judged = run_page(tmp_path, measured=measured)["judged"]
    told = [list(quality.judge_measures(measures).reasons) for measures in measured]
    assert [page["reasons"] for page in judged] == told
    assert {reasons.index("detail lost") for reasons in told if "detail lost" in reasons} == {0, 1, 2}


def test_a_whole_frame_is_not_called_a_whole_field(tmp_path):
    """Nothing tells whether the rim was cut off; the rows of older versions do not say what the crop shows."""
    row = {"result": "no DR", "gradable": True, "retina": True, "reasons": []}
    rows = [row, row | {"field": "circle"}, row | {"field": "frame"}]
    cut = row | {"gradable": False, "reasons": ["retina cut off"]}
    rows += [cut, cut | {"field": "circle"}, cut | {"field": "frame"}]
    states = run_page(tmp_path, rows=rows)["states"]
    assert [state["whole"] for state in states] == ["unknown", "yes", "unknown", "no", "no", "no"]
    assert {state["sharp"] for state in states} == {"yes"}


def make_row(gradable, level):
    """Make the row of a photograph that is above the thresholds of `level` questions; None where nothing is known."""
    if level is None:
        return {"result": "photograph again", "gradable": False, "reasons": ["too dark"]}
    probability = {"any": (0.1, 0.4, 0.4)[level], "referable": (0.1, 0.1, 0.9)[level]}
    answers = {question: call(probability[question], limit) for question, limit in LIMITS.items()}
    if not gradable:
        answers = {question: answer if answer["disease"] else dict(UNDECIDED) for question, answer in answers.items()}
    row = {"result": "", "gradable": gradable, "reasons": [] if gradable else ["too dark"], "questions": answers}
    return row | ({"grade": level} if gradable else {})


def test_the_page_joins_the_eyes_the_same(tmp_path):
    rows = [make_row(True, level) for level in (0, 1, 2)] + [make_row(False, level) for level in (1, 2, None)]
    unread = {"result": "not read", "reasons": ["The file is empty."]}
    poor, good = rows[-1], rows[0]
    one = [[row] for row in rows]
    several = [[], [unread], [unread, poor], [poor, poor], [poor, unread, poor], [poor, poor, good], [poor, rows[3]]]
    patients = [{"left": left, "right": right} for left, right in itertools.product(one + several, one + several)]
    joined = run_page(tmp_path, patients=patients)["joined"]
    assert len({page["result"] for page in joined}) == 6
    for eyes, page in zip(patients, joined):
        expected = join_eyes({eye: rows for eye, rows in eyes.items() if rows}, LIMITS)
        expected.pop("decided_by", None)
        assert page == expected, eyes
        if page["questions"]["any"]["disease"] and page["questions"]["referable"]["disease"] is None:
            assert "grade" not in page, eyes  # any grade above 0
    assert sum(page["result"] == "DR" and "grade" not in page for page in joined) > 5


# By answers on any DR and on referable DR, which of the network's own grades are shown.
ALLOWED = {
    (False, False): (0,),
    (True, False): (1,),
    (True, True): (2, 3, 4),
    (False, True): (2, 3, 4),
    (None, True): (2, 3, 4),
    (True, None): (),
    (False, None): (),
    (None, False): (),
    (None, None): (),
}


def test_the_shown_grade_is_the_networks_own_or_none(tmp_path):
    asked = [(answers, own) for answers in ALLOWED for own in range(5)]
    questions = [dict(zip(LIMITS, ({"disease": one} for one in answers))) for answers, _ in asked]
    expected = [own if own in ALLOWED[answers] else None for answers, own in asked]
    assert [consistent_grade(own, said) for (_, own), said in zip(asked, questions)] == expected
    grades = [{"own": own, "questions": said} for (_, own), said in zip(asked, questions)]
    told = run_page(tmp_path, grades=grades)["shown"]
    assert told == [{} if grade is None else {"grade": grade} for grade in expected]


def test_a_patient_has_the_largest_grade_only_if_all_answered_photographs_have_one(tmp_path):
    """Of photographs with each answer, each with its own grade and without one, in both eyes."""
    rows = [make_row(True, level) | {"grade": grade} for level in range(3) for grade in ALLOWED[LEVELS[level]]]
    rows += [{name: row[name] for name in row if name != "grade"} for row in rows] + [make_row(False, 2)]
    patients = [{"left": [left], "right": [right]} for left, right in itertools.product(rows, rows)]
    patients += [{"left": [left, rows[0]], "right": [right]} for left, right in itertools.product(rows, rows)]
    joined, found = run_page(tmp_path, patients=patients)["joined"], Counter()
    for eyes, page in zip(patients, joined):
        expected = join_eyes(eyes, LIMITS)
        grades = [row.get("grade") for own in eyes.values() for row in own]
        largest = None if None in grades else max(grades)
        answers = tuple(expected["questions"][question]["disease"] for question in LIMITS)
        assert expected.get("grade", "none") == (largest if largest in ALLOWED[answers] else "none"), eyes
        assert page.get("grade", "none") == expected.get("grade", "none"), eyes
        found[expected.get("grade")] += 1
    assert found.keys() == {None, 0, 1, 2, 3, 4}
    hidden, clear = {name: rows[0][name] for name in rows[0] if name != "grade"}, rows[0]  # its own grade was not 0
    assert "grade" not in join_eyes({"left": [hidden], "right": [clear]}, LIMITS)


@pytest.mark.parametrize(
    "expected, own", [(0.2, 0), (1.2, 1), (2.2, 2), (3.2, 3), (3.9, 4), (1.5, None), (1.496, None)]
)
def test_a_former_photograph_has_the_networks_own_grade_or_none(tmp_path, expected, own):
    """By another rule and by its own; earlier versions kept a grade that was not the network's.

    Its expected grade was rounded, so beside a cut the page cannot tell which grade the network gave.
    """
    rows = [make_row(True, level) | {"expected_grade": expected, "grade": 4} for level in range(3)]
    told = run_page(tmp_path, former=rows)
    for level, pair in enumerate(zip(told["again"], told["resumed"], strict=True)):
        shown = {"grade": own} if own in ALLOWED[LEVELS[level]] else {}
        assert [{name: row[name] for name in row if name == "grade"} for row in pair] == [shown, shown]
    kept = [{name: row[name] for name in row if name != "grade"} for row in rows]
    assert [{name: row[name] for name in row if name != "grade"} for row in told["resumed"]] == kept


def make_unsure_row(gradable, any_dr, referable):
    """Make the row of a photograph where "unsure" is asked for, as `Screener.look` does."""
    probabilities = {"any": any_dr, "referable": referable}
    answers = {question: call(value, LIMITS[question], UNSURE[question]) for question, value in probabilities.items()}
    if not gradable:
        answers = only_disease(answers)
    row = {"result": summarise(answers), "gradable": gradable, "reasons": [], "questions": answers}
    if not gradable and row["result"] == "photograph again":
        return make_row(False, None)
    return row | ({} if row["result"] == "unsure: a grader must look" or not gradable else {"grade": 3})


def test_the_page_is_unsure_where_python_is(tmp_path):
    probabilities = [(0.1, 0.05), (0.25, 0.05), (0.4, 0.05), (0.7, 0.1), (0.7, 0.42), (0.7, 0.47), (0.9, 0.8)]
    rows = [make_unsure_row(gradable, *each) for gradable in (True, False) for each in probabilities]
    poor = make_row(False, None)
    own = [[], [poor], [poor, poor], *([row] for row in rows), [poor, poor, rows[1]], [rows[9], poor]]
    patients = [{"left": left, "right": right} for left, right in itertools.product(own, own)]
    joined = run_page(tmp_path, patients=patients, unsure="0.05")["joined"]
    for eyes, page in zip(patients, joined, strict=True):
        given = {eye: rows for eye, rows in eyes.items() if rows}
        expected = join_eyes(given, LIMITS, UNSURE)
        assert page == {name: value for name, value in expected.items() if name != "decided_by"}, eyes
        assert expected["by_threshold"] == join_eyes(given, LIMITS)["result"]
    assert {page["result"] for page in joined} >= {"no DR", "DR, not referable", "referable DR", "refer: not gradable"}
    assert sum(page["result"] == "unsure: a grader must look" for page in joined) > 50


@pytest.mark.parametrize(
    "right, left, result, reason",
    [
        ("pp", "g", "refer: not gradable", "right eye: second poor photograph"),
        ("p", "g", "photograph again", "right eye: photograph again"),
        ("pu", "g", "photograph again", "right eye: not read"),
        ("ppg", "g", "no DR", None),
        ("pp", "", "refer: not gradable", "left eye: no photograph"),
        ("pp", "d", "referable DR", "right eye: second poor photograph"),
    ],
)
def test_the_second_poor_photograph_of_an_eye_refers(right, left, result, reason):
    kinds = {"p": make_row(False, None), "g": make_row(True, 0), "d": make_row(True, 2), "u": {"result": "not read"}}
    eyes = {eye: [kinds[kind] for kind in own] for eye, own in (("right", right), ("left", left)) if own}
    joined = join_eyes(eyes, LIMITS)
    assert joined["result"] == result
    assert joined["reasons"] == [] if reason is None else reason in joined["reasons"]
    assert ("decided_by" in joined) == (result in ("no DR", "referable DR"))
