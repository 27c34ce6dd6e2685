"""The words of the letter, which the page prints and Python can read: each is used, filled, and said where it holds."""

import json
import re
import string
from importlib.resources import files

import pytest
from test_jpeg import packages  # noqa: F401 (all tests here use it)

from benchmarks.browser import missing, run_node
from eyenet.model.answers import call, consistent_grade, join_eyes, only_disease, summarise

MISSING = missing()
pytestmark = pytest.mark.skipif(
    MISSING is not None and "Chromium" not in MISSING, reason=f"the letter is not tested: {MISSING}"
)
WORDS = json.loads((files("eyenet.letter") / "en.json").read_text(encoding="utf-8"))
THRESHOLDS = {"any": 0.3, "referable": 0.2}
LIMITS = {"any": (0.1, 0.6), "referable": (0.05, 0.5)}  # of the answer "unsure"
NO_CLINIC = dict.fromkeys(("name", "address", "phone", "clear", "mild"), "")
CLINIC = {
    "name": "Eye Clinic",
    "address": "1 High Street",
    "phone": "123",
    "clear": "in 13 months",
    "mild": "in 7 months",
}
KEY = re.compile(r"⟦([^⟧]*)⟧")


def leaves(value, key=""):
    """Map each text of the file to its key."""
    if isinstance(value, str):
        return {key: value}
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return {name: text for k, v in inner for name, text in leaves(v, f"{key}.{k}" if key else str(k)).items()}


def good(*, grade=None, **probabilities):
    answers = {question: call(value, THRESHOLDS[question]) for question, value in probabilities.items()}
    row = {"result": summarise(answers), "gradable": True, "reasons": [], "questions": answers}
    shown = None if grade is None else consistent_grade(grade, answers)
    return row if shown is None else row | {"grade": shown}


def unsure(**probabilities):
    answers = {
        question: call(value, THRESHOLDS[question], LIMITS[question]) for question, value in probabilities.items()
    }
    return {"result": summarise(answers), "gradable": True, "reasons": [], "questions": answers}


def poor(*reasons, **probabilities):
    row = {"result": "photograph again", "gradable": False, "reasons": reasons}
    answers = only_disease({question: call(value, THRESHOLDS[question]) for question, value in probabilities.items()})
    return row | {"result": summarise(answers), "questions": answers} if answers else row


def make_visit(right, left, asked=("any", "referable"), same=False, limits=None, **changes):
    """Make a visit as the page keeps it; the names of the photographs count from 1."""
    eyes = {"right": right, "left": left}
    shots = {
        eye: [
            {"name": f"{eye}{i}", "row": row, "fingerprint": "same" if same else f"{eye}{i}", "picture": None}
            | {"contours": [] if row["result"] in ("no DR", "not referable") else None}
            for i, row in enumerate(rows, 1)
        ]
        for eye, rows in eyes.items()
    }
    asked = {name: THRESHOLDS[name] for name in asked}
    joined = join_eyes({eye: rows for eye, rows in eyes.items() if rows}, asked, limits)
    network = {"name": "net", "seen": "4,516 photographs"}
    base = {"id": "1", "when": 0, "label": "Bed 4", "born": "1957-03-04", "point": "balanced"}
    return base | {"network": network, "synthetic": False, "eyes": shots, "joined": joined} | changes


HEALTHY = good(any=0.001, referable=0.002, grade=0)
UNREAD = {"result": "not read", "reasons": ["The file is empty."]}
ANY, REFERABLE = {"asked": ("any",)}, {"asked": ("referable",)}
DARK, BLURRED = poor("too dark"), poor("out of focus", "low contrast")
REASONS = [reason for reason in WORDS["reasons"] if reason not in ("too dark", "out of focus", "low contrast")]
# By case: the visit, and the keys of its answer, of its urgency and of the next screening.
CASES = {
    "refer": (make_visit([HEALTHY, good(any=0.5, referable=0.4, grade=3)], [HEALTHY]), "refer", "soon", "specialist"),
    "severe": (make_visit([HEALTHY], [good(any=0.999, referable=0.9, grade=4)]), "refer", "soon", "specialist"),
    "one eye": (make_visit([good(any=0.5, referable=0.4, grade=2)], []), "refer", "soon", "specialist"),
    "no grade": (make_visit([HEALTHY], [good(any=0.5, referable=0.4, grade=1)]), "refer", "soon", "specialist"),
    "any": (make_visit([good(any=0.5)], [good(any=0.1)], **ANY), "refer", "look", "specialist"),
    "retake": (make_visit([poor("too dark", any=0.9, referable=0.8)], [HEALTHY]), "retake", "soon", "specialist"),
    "unsettled": (make_visit([good(any=0.5, referable=0.1, grade=1)], [DARK]), "unsettled", "unsettled", "first"),
    "mild": (make_visit([HEALTHY], [good(any=0.5, referable=0.1, grade=1)]), "mild", "none", "mild"),
    "ungradable": (make_visit([DARK, BLURRED], [HEALTHY]), "ungradable", "ungradable", "specialist"),
    "again": (make_visit([poor(*REASONS)], [UNREAD]), "again", "again", "first"),
    "unsure": (
        make_visit([unsure(any=0.5, referable=0.4)], [], limits=LIMITS, unsure="0.05"),
        *["unsure"] * 2,
        "grader",
    ),
    "clear": (make_visit([HEALTHY], [HEALTHY], point="sensitivity_0.9"), "clear", "none", "clear"),
    "not referable": (make_visit([good(referable=0.1)], [good(referable=0.1)], **REFERABLE), "clear", "none", "clear"),
    "drawn": (make_visit([HEALTHY], [HEALTHY], synthetic=True, point="specificity_0.95"), "clear", "none", "clear"),
    "sample": (make_visit([HEALTHY], [HEALTHY], sample=True, point="own"), "clear", "none", "clear"),
}
DOUBTFUL = make_visit([HEALTHY], [HEALTHY], same=True)
LATER = make_visit([HEALTHY], [HEALTHY])  # begun three days before, with a photograph that was removed
for eye in LATER["eyes"].values():
    eye[0]["when"] = 3.5 * 86_400_000  # milliseconds


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """The letters of each case, without and with a clinic."""
    visits = {name: visit for name, (visit, *_) in CASES.items()} | {"doubtful": DOUBTFUL, "later": LATER}
    visits |= {f"sample {name}": visit | {"sample": True} for name, (visit, *_) in CASES.items()}
    jobs = tmp_path_factory.mktemp("letter") / "jobs.json"
    jobs.write_text(json.dumps({"visits": list(visits.values()), "clinics": [NO_CLINIC, CLINIC]}))
    return dict(zip(visits, run_node("letter.mjs", str(jobs)), strict=True))


def texts(letter):
    """All that a letter says, without the photographs themselves, and without the keys."""
    eyes = [{name: part for name, part in eye.items() if name != "shot"} for eye in letter["eyes"]]
    return KEY.sub("", json.dumps(letter | {"eyes": eyes}, ensure_ascii=False))


def test_each_text_of_the_file_is_used_and_filled(letters):
    written = json.dumps(letters, ensure_ascii=False)
    ours = {key for key in leaves(WORDS) if not key.startswith("station.")}  # the others are for the station's letter
    assert set(KEY.findall(written)) == ours
    said = "".join(texts(letter) for both in letters.values() for letter in both)
    assert "undefined" not in said and not re.search(r"\{\w+\}", said)


@pytest.mark.parametrize("language", [path.stem for path in files("eyenet.letter").iterdir() if path.suffix == ".json"])
def test_python_fills_the_same_placeholders(language):
    words = json.loads((files("eyenet.letter") / f"{language}.json").read_text(encoding="utf-8"))
    assert leaves(words).keys() == leaves(WORDS).keys()
    for key, text in leaves(words).items():
        names = [name for _, name, *_ in string.Formatter().parse(text) if name is not None]
        assert all(re.fullmatch("[a-z]+", name) for name in names), key
        filled = text.format(**dict.fromkeys(names, "VALUE"))
        assert filled.count("VALUE") == len(names) and "{" not in filled, key


@pytest.mark.parametrize("name", CASES)
def test_answer_urgency_and_next_screening_agree(letters, name):
    _, answer, urgency, screening = CASES[name]
    for letter, clinic in zip(letters[name], (NO_CLINIC, CLINIC)):
        assert KEY.findall(letter["answer"])[-1] == f"answers.{answer}"
        assert KEY.findall(letter["urgency"][1])[-1:] == [f"urgency.{urgency}"]
        said, rule = letter["advice"][0][1], clinic.get(screening)
        expected = "rule" if rule else "open" if screening in CLINIC else screening
        assert KEY.findall(said)[-1:] == [f"screening.{expected}"] and (rule or "") in said
        assert [letter["clinic"] or "", *letter["reach"]] == (
            ["Eye Clinic", "1 High Street", "123"] if clinic["name"] else [""]
        )


def test_the_photograph_that_decided_is_shown_and_the_others_are_counted(letters):
    right, left = letters["refer"][0]["eyes"]
    assert right["shot"]["name"] == "right2" and left["shot"]["name"] == "left1"
    assert "not shown: 1" in " ".join(right["lines"]) and "not shown" not in " ".join(left["lines"])
    assert "3 of 4" in right["lines"][0] and "severe" in right["lines"][0]
    assert letters["ungradable"][0]["eyes"][0]["shot"]["name"] == "right2"  # the latest, where none decided


def test_a_letter_without_a_name_has_a_line_to_write_it(letters):
    about = {KEY.sub("", label): text for label, text in letters["refer"][0]["about"]}
    assert about["Clinic"] is None and about["Patient"] == "Bed 4" and about["Birth date"] == "4 March 1957"
    assert "Clinic" not in {KEY.sub("", label) for label, _ in letters["refer"][1]["about"]}


def test_the_date_is_that_of_the_photographs_which_are_left(letters):
    for name, said in (("later", "4 Jan 1970"), ("refer", "1 Jan 1970")):
        dates = [text for label, text in letters[name][0]["about"] if label.endswith("Photographs chosen on")]
        assert len(dates) == 1 and said in dates[0], (name, dates)


def test_a_demonstration_says_so_in_every_answer(letters):
    for name in ("drawn", *(name for name in letters if name.startswith("sample"))):
        letter = letters[name][0]
        assert "Demonstration" in letter["demonstration"][0] and letter["tone"] != "clear"
        found = [eye["finding"] for eye in letter["eyes"]]
        found = [text for text in found if KEY.findall(text)[-1] not in ("findings.absent", "findings.unread")]
        said = [letter["answer"], letter["urgency"][1], letter["advice"][0][1], *found]
        assert found and all(KEY.sub("", part).startswith("Demonstration: ") for part in said), name
    others = [both[0] for name, both in letters.items() if not name.startswith(("drawn", "sample"))]
    assert all(letter["demonstration"] == [] for letter in others)


def test_files_in_doubt_give_no_finding_and_nothing_to_sign(letters):
    letter = letters["doubtful"][1]
    assert letter["eyes"] == [] and letter["decision"] is None and letter["urgency"] is None
    assert "No result" in letter["answer"] and "referral" not in texts(letter)


def test_every_letter_says_what_is_not_covered_and_who_answered(letters):
    for both in letters.values():
        said = texts(both[0])
        words = (
            "Macular oedema",
            "glaucoma",
            "see a doctor now",
            "not a medical device",
            "net, trained on 4,516",
            "point:",
        )
        assert all(word in said for word in words)
