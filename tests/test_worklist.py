"""The history's table, file, search, merging and deletion, without a browser; test_visits.py drives the page."""

import base64
import copy
import csv
import io
import json
import subprocess

import pytest
from test_jpeg import packages  # noqa: F401 (all tests here use it)

from benchmarks.browser import APP, missing

MISSING = missing()
pytestmark = pytest.mark.skipif(
    MISSING is not None and "Chromium" not in MISSING, reason=f"the history is not tested: {MISSING}"
)
AGAIN, UNSURE = "photograph again", "unsure: a grader must look"
DAY = 86_400_000  # milliseconds
NOW = 1_795_000_000_000  # November 2026
PICTURE = base64.b64encode(bytes(range(256)) * 100).decode()  # longer than a chunk of archive.ts


def answer(probability, threshold):
    return {"probability": probability, "threshold": threshold, "disease": probability >= threshold}


def shot(name="IMG.jpeg", probability=0.1, **changes):
    """A good photograph of an eye."""
    questions = {"any": answer(probability, 0.3), "referable": answer(probability / 2, 0.5)}
    result = "DR, not referable" if questions["any"]["disease"] else "no DR"
    row = {"result": result, "gradable": True, "retina": True, "reasons": [], "questions": questions, "grade": 0}
    evidence = {"contours": ["M1 2L3 4Z"] * 9, "contoursOf": "any", "disc": None}
    return {"name": name, "fingerprint": name, "row": row, "picture": PICTURE} | evidence | changes


def visit(identifier="a1", label="Bed 4", **changes):
    eyes = {"right": [shot("r.jpeg")], "left": [shot("l.jpeg")]}
    made = {"id": identifier, "when": NOW, "label": label, "point": "balanced", "model": "net, trained on eyes"}
    made |= {"network": "1", "classes": ["No DR"], "born": "1957-03-04", "synthetic": False, "eyes": eyes}
    return made | {"joined": eyes["right"][0]["row"]} | changes


@pytest.fixture(scope="module")
def do():
    """Run jobs of app/tests/worklist.mjs, all in one process."""
    command = ["node", "tests/worklist.mjs"]
    with subprocess.Popen(command, cwd=APP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run(*jobs):
            print(json.dumps(jobs), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield run


NAMES = {  # as typed, and as it stands in the table
    "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0",
    "+49 30": "'+49 30",
    "-5": "'-5",
    "@SUM(1)": "'@SUM(1)",
    "\uff1d1+1": "'\uff1d1+1",
    "0012": "'0012",
    "1-2": "'1-2",
    "12/5/1960": "'12/5/1960",
    "1e5": "'1e5",
    "123456789012": "'123456789012",
    "12": "12",
    "x;=1+1": "x;'=1+1",
    "x; \t+1": "x;' \t'+1",
    "x;y": "x;y",
    "Bed 4": "Bed 4",
    'Zoë "Z", Müller': 'Zoë "Z", Müller',
    "one\r\ntwo": "one\r\ntwo",
    "": "",
}


def test_the_table_has_a_row_for_each_patient_and_computes_nothing(do):
    visits = [visit(f"v{i}", name) for i, name in enumerate(NAMES)]
    doubtful = visit("d", "Doubtful", eyes={"right": [shot("12_left.jpeg")], "left": []})
    drawn, one = visit("s", "Drawn", synthetic=True), visit("o", "One eye", joined=None)
    one["eyes"]["left"] = []
    (text,) = do({"do": "csv", "visits": [*visits, doubtful, drawn, one]})
    assert text.startswith("\ufeff") and text.endswith("\r\n")
    assert '\r\n"x;\'=1+1",' in text and '\r\n"x;y",' in text  # for spreadsheets that divide at semicolons
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [row["Patient"] for row in rows] == [*NAMES.values(), "Doubtful", "Drawn", "One eye"]
    first, *_, doubtful, drawn, one = rows
    assert first["Answer"] == "No referral suggested" and first["Started"].startswith("2026-11-")
    assert first["Birth date"] == "1957-03-04"
    assert first["Right eye"] == "No signs of retinopathy found" and first["Left eye: photographs"] == "1"
    assert first["Any retinopathy: probability"] == "0.1" and first["Any retinopathy: threshold"] == "0.3"
    assert first["Network"] == "net, trained on eyes" and first["How cautious"].startswith("Balanced")
    assert all(row["Notice"].startswith("EyeNet is not a medical device.") for row in rows)
    assert "not checked" in doubtful["Answer"] and not doubtful["Any retinopathy: probability"]
    assert drawn["Answer"].startswith("Demonstration: ") and one["Answer"] == "Photograph again"
    assert one["Left eye"] == "" and one["Left eye: last photograph"] == ""


def test_the_file_holds_everything_and_is_plain_json(do):
    one = {"right": [], "left": [shot()]}
    visits = [visit("a"), visit("b", "Zoë\u2028", imported=NOW), visit("c", eyes=one, joined=None)]
    (text,) = do({"do": "pack", "visits": visits, "now": NOW})
    parsed = json.loads(text)
    assert (parsed["format"], parsed["version"], parsed["count"]) == ("eyenet-history", 1, 3)
    assert "not a medical device" in parsed["notice"]
    picture = parsed["visits"][0][1]["eyes"]["right"][0]["picture"]
    assert picture == {"type": "image/jpeg", "base64": PICTURE}
    encode = lambda text: base64.b64encode(text.encode()).decode()  # noqa: E731
    files = [text, "\ufeff" + text.replace("\n", "\r\n")]  # as an editor or a mail program may rewrite it
    for read in do(*({"do": "unpack", "file": encode(file)} for file in files)):
        visits[1].pop("imported", None)
        assert read == visits


def test_a_file_that_is_not_whole_is_refused_in_a_sentence(do):
    (text,) = do({"do": "pack", "visits": [visit("a"), visit("b")], "now": NOW})
    data, lines = text.encode(), text.split("\n")
    middle = len(data) // 2
    letter = b"B" if data[middle : middle + 1] == b"A" else b"A"
    foreign, damaged = "not a file of EyeNet", "is damaged or incomplete"
    files = [
        (b"", foreign),
        (b"{}", foreign),
        (b"\xff\xd8\xff\xe0" + bytes(1000), foreign),
        (b'{"format":"eyenet-history","version":"1"', foreign),
        (data.replace(b'"version":1', b'"version":2'), "newer version"),
        (data.replace(b'"version":1', b'"version":2')[:60], "newer version"),
        (data[:middle] + letter + data[middle + 1 :], damaged),
        (data[:middle] + b"\xff" + data[middle + 1 :], damaged),
        (data[:middle], damaged),
        ("\n".join(lines[:2]).encode(), damaged),
        ("\n".join(lines[:2] + lines[3:]).encode(), damaged),
        (data[:-20], damaged),
        (data + b"more", damaged),
        ("\n".join([lines[0], lines[1] + ",", lines[1], *lines[3:]]).encode(), damaged),
    ]
    jobs = [{"do": "unpack", "file": base64.b64encode(file).decode()} for file, _ in files]
    for (file, words), said in zip(files, do(*jobs), strict=True):
        assert isinstance(said, str) and words in said and "Nothing was imported" in said, (file[:60], said)


WRONG = [
    {"id": "no id"},
    {"label": 4},
    {"when": 9e15},
    {"born": "yesterday"},
    {"sample": True},
    {"eyes": {"right": []}},
    {"eyes": {"right": [shot(row={"result": "no DR"})], "left": []}},
    {"eyes": {"right": [shot(fingerprint=5)], "left": []}},
    {"joined": {"result": "no DR", "reasons": [], "questions": {"any": answer(1.5, 0.5)}}},
    {"joined": {"result": "no DR", "reasons": [], "questions": {"other": answer(0.5, 0.5)}}},
    {"joined": {"result": "no DR", "reasons": [], "grade": 7}},
    {"joined": {"result": "all well", "reasons": []}},
    {"joined": {"result": "constructor", "reasons": []}},
    {"synthetic": "no"},
    *(
        {"eyes": {"right": [], "left": [shot(**wrong)]}}
        for wrong in (
            {"row": {"result": "negative", "reasons": []}},
            {"contours": ["M1 2L3 4Z"]},
            {"contours": ["<svg>"] * 9},
            {"contoursOf": "grade"},
        )
    ),
]


def test_a_whole_file_with_what_is_no_visit_is_damaged(do):
    packed = do(*({"do": "pack", "visits": [visit("a"), visit("b", **wrong)], "now": NOW} for wrong in WRONG))
    jobs = [{"do": "unpack", "file": base64.b64encode(text.encode()).decode()} for text in packed]
    assert all("is damaged or incomplete" in said for said in do(*jobs))


def test_a_visit_of_the_first_version_leaves_and_comes_back(do):
    early = visit("a", classes=["No DR"])
    for field in ("synthetic", "born", "network"):
        del early[field]
    for eye in ("right", "left"):
        del early["eyes"][eye][0]["fingerprint"]
        early["eyes"][eye][0]["contours"] = []
    (text,) = do({"do": "pack", "visits": [early], "now": NOW})
    assert do({"do": "unpack", "file": base64.b64encode(text.encode()).decode()}) == [[early]]


def test_only_a_known_negative_result_clears_a_patient(do):
    kinds = {"no DR": "clear", "not referable": "clear", "not read": "again", "photograph again": "again"}
    kinds |= {"all well": "again", "": "again", "constructor": "again", "DR, not referable": "mild"}
    rows = ({"result": result, "reasons": []} for result in kinds)
    assert do(*({"do": "kind", "visit": visit(joined=row)} for row in rows)) == list(kinds.values())


def test_an_unsure_result_is_never_a_negative_one(do):
    told = {"probability": 0.2, "threshold": 0.3, "disease": None, "unsure": True, "low": 0.1, "high": 0.5}
    row = shot()["row"] | {"result": "unsure: a grader must look", "by_threshold": "no DR"}
    row |= {"questions": row["questions"] | {"any": told}}
    eyes = {"right": [shot("r.jpeg", row=row)], "left": [shot("l.jpeg")]}
    unsure = visit(unsure="0.05", joined=row, eyes=eyes)
    wanted = {"visits": [unsure], "now": NOW}
    text, kind, packed = do({"do": "csv"} | wanted, {"do": "kind", "visit": unsure}, {"do": "pack"} | wanted)
    (cells,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert kind == "unsure" and cells["Answer"] == cells["Right eye"] == "Unsure: a grader must look"
    assert cells["By the threshold alone"] == "No signs of retinopathy found"
    assert "at most 5 of 100 with disease are missed" in cells["Unsure"]
    assert cells["Left eye"] == "No signs of retinopathy found"
    (drawn,) = do({"do": "csv", "visits": [unsure | {"synthetic": True}]})
    (cells,) = csv.DictReader(io.StringIO(drawn.removeprefix("\ufeff"), newline=""))
    answers = ("Answer", "Right eye", "Left eye", "By the threshold alone")
    assert all(cells[name].startswith("Demonstration: ") for name in answers)
    assert do({"do": "unpack", "file": base64.b64encode(packed.encode()).decode()}) == [[unsure]]


def poor(result, **changes):
    """A poor photograph; with a result other than "photograph again", it has an answer."""
    row = {"result": result, "gradable": False, "retina": True, "reasons": ["too dark"]}
    return shot("p.jpeg", row=row | ({} if result == AGAIN else {"questions": shot()["row"]["questions"]}), **changes)


def joined(result, **changes):
    return {"result": result, "reasons": [], "questions": {}} | changes


def test_the_last_attempt_is_announced_only_while_the_patient_is_not_referred(do):
    """After a poor photograph that refers, "if the next one is poor too, refer" would contradict the answer."""
    results = (AGAIN, UNSURE, "referable DR", "DR", "DR, not referable")
    told = {}
    for result in results:
        one = visit(joined=joined(result), eyes={"right": [poor(result)], "left": [shot("l.jpeg")]})
        (told[result],) = do({"do": "announce", "visit": one, "latest": "right"})
        assert told[result].startswith("Right eye: ") and "Photograph the right eye again" in told[result]
    attempt = "Attempt 1 of 2 was poor. The next one is the last: if it is poor too, "
    assert told[AGAIN].endswith(attempt + "refer the patient, do not send home.")
    assert told[UNSURE].endswith(attempt + "the answer is “Refer: not gradable”.")
    assert not any("ttempt" in told[result] or "poor too" in told[result] for result in results[2:]), told


def test_a_poor_photograph_that_is_unsure_is_not_said_to_show_disease(do):
    said = {}
    for result, count in ((UNSURE, 1), (UNSURE, 2), ("DR", 1), ("DR", 2)):
        one = visit(eyes={"right": [poor(result)] * count, "left": []})
        (said[result, count],) = do({"do": "poor", "row": poor(result)["row"], "eye": "right", "visit": one})
    assert said[UNSURE, 2] == "The photograph is poor, and the answer is unsure: a grader must look."
    assert said[UNSURE, 1] == f"{said[UNSURE, 2]} Take it again if possible."
    assert said["DR", 2] == "The photograph is poor, but shows signs of disease."
    assert said["DR", 1] == f"{said['DR', 2]} Refer, and take it again if possible."


def test_the_threshold_alone_calls_no_photograph_poor_where_an_eye_is_missing(do):
    alone = {AGAIN: "Photograph again", "no DR": "No signs of retinopathy found"}
    alone["refer: not gradable"] = "Refer: not gradable"
    for result, expected in alone.items():
        one = visit(unsure="0.05", joined=joined(UNSURE, by_threshold=result), eyes={"right": [shot()], "left": []})
        (text,) = do({"do": "csv", "visits": [one]})
        (cells,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
        assert cells["By the threshold alone"] == expected


def test_an_import_says_what_was_new(do):
    empty, known, new = do(*({"do": "imported", "counts": counts} for counts in ((0, 0, 0), (0, 0, 2), (1, 0, 2))))
    assert empty == "The file has no results." and known == "Nothing new in the file. Already here: 2 results."
    assert new == "1 result imported. 2 results already here."


def test_an_import_loses_nothing_and_doubles_nothing(do):
    stored = visit("a")
    fewer = visit("a", eyes={"right": [shot("r.jpeg")], "left": []})
    more = visit("a", eyes={"right": [shot("r.jpeg"), shot("r2.jpeg")], "left": [shot("l.jpeg")]})
    other = visit("a", eyes={"right": [shot("r.jpeg")], "left": [shot("elsewhere.jpeg")]})

    def merge(stored, imported):
        return {"do": "merge", "stored": stored, "imported": imported, "now": NOW}

    new, twice, less, wider, apart = do(
        merge([], [stored]), *(merge([stored], [imported]) for imported in (stored, fewer, more, other))
    )
    assert new["changes"] == [stored | {"imported": NOW}] and new["added"] == 1
    assert twice["changes"] == less["changes"] == [] and twice["known"] == less["known"] == 1
    assert wider["changes"] == [more | {"imported": NOW}] and (wider["added"], wider["extended"]) == (0, 1)
    (both,) = apart["changes"]
    assert both["id"] != "a" and both["eyes"] == other["eyes"] and apart["added"] == 1
    (again,) = do(merge([stored, both], [other]))
    assert again["changes"] == [] and again["known"] == 1


def test_an_import_keeps_the_corrected_name_and_birth_date(do):
    wrong = visit("a", "Bed 5", born="1975-03-04")
    wrong["eyes"]["right"].append(shot("r2.jpeg"))
    mine = [
        visit("a"),
        visit("a", " ", born=""),
        visit("a", eyes={"right": [shot("r.jpeg"), shot("r3.jpeg")], "left": []}),
    ]
    del mine[2]["born"]
    jobs = [{"do": "merge", "stored": [one], "imported": [wrong], "now": NOW} for one in mine]
    corrected, empty, apart = (merged["changes"][0] for merged in do(*jobs))
    assert (corrected["label"], corrected["born"], len(corrected["eyes"]["right"])) == ("Bed 4", "1957-03-04", 2)
    assert (empty["id"], empty["label"], empty["born"]) == ("a", "Bed 5", "1975-03-04")
    assert (apart["label"], apart["born"]) == ("Bed 5", "1975-03-04") and apart["id"] != "a"  # a visit of its own


def test_doubts_are_settled_one_after_the_other(do):
    one = visit(eyes={"right": [shot("5_left.jpeg")], "left": [shot("image.jpg", disc="left")]})
    (first,) = do({"do": "answer", "visit": one})
    both = one | {"confirmed": first, "eyes": one["eyes"] | {"right": [shot("5_left.jpeg", disc="left")]}}
    (opened, answered) = do({"do": "doubts", "visit": both}, {"do": "answer", "visit": both})
    assert first == ["right 5_left.jpeg"] and opened == ["same eye 5_left.jpeg image.jpg"]
    assert do({"do": "doubts", "visit": both | {"confirmed": answered}}) == [[]]


def test_the_next_photograph_inherits_no_answer(do):
    """Where the camera calls every file the same."""
    same = [shot("image.jpg", fingerprint=str(i), disc="left") for i in range(3)]
    eyes = {"right": [shot("5_left.jpeg"), same[0]], "left": [same[1]]}
    (answered,) = do({"do": "answer", "visit": visit(eyes=eyes)})
    assert answered == ["right 5_left.jpeg", "same eye image.jpg image.jpg"]
    more = {"right": [eyes["right"][0], same[0], same[2]], "left": []}
    for removed in (eyes | {"left": []}, more):
        (stay,) = do({"do": "answers", "visit": visit(eyes=removed, confirmed=answered), "removed": same[1]})
        assert stay == ["right 5_left.jpeg"]
    removed = visit(eyes={"right": [same[0]], "left": [same[1]]}, confirmed=answered)
    (stay,) = do({"do": "answers", "visit": removed, "removed": eyes["right"][0]})
    assert stay == ["same eye image.jpg image.jpg"]
    (opened,) = do({"do": "doubts", "visit": visit(eyes=eyes, confirmed=["right 5_left.jpeg"])})
    assert opened == ["same eye image.jpg image.jpg"]


def test_only_old_results_are_deleted_and_many_only_after_a_question(do):
    old = visit("old", when=NOW - 31 * DAY)
    continued = copy.deepcopy(old) | {"id": "continued"}
    continued["eyes"]["left"][0]["when"] = NOW - DAY
    visits = [old, continued, old | {"id": "imported", "imported": NOW - DAY}, visit("future", when=NOW + 9 * DAY)]
    rule = [{"do": "expired", "visits": visits, "days": days, "now": NOW} for days in (0, 30, 31, 365)]
    assert do(*rule) == [[], ["old"], [], []]
    asked = do(*({"do": "ask", "due": due, "all": 20} for due in (1, 5, 6)), {"do": "ask", "due": 2, "all": 2})
    assert asked == [False, False, True, True]


def test_the_search_finds_names_numbers_days_and_answers(do):
    called, missing = shot("r.jpeg", 0.4), visit("m", "Müller, Zoë", joined=None)
    missing["eyes"]["left"] = []
    visits = [visit("a", "0012", joined=called["row"]), missing, visit("b", "112", when=NOW - 3 * DAY)]
    wanted = {
        "zoe mull": ["m"],
        "12": ["a", "b"],
        "012": ["a"],
        "12.0": ["a"],
        "nobody": [],
    }
    jobs = [{"do": "search", "visits": visits, "wanted": {"text": text}} for text in wanted]
    assert do(*jobs) == list(wanted.values())
    answers = {"mild": ["a"], "clear": ["b"], "again": ["m"], "open": ["m"], "": ["a", "m", "b"]}
    jobs = [{"do": "search", "visits": visits, "wanted": {"answer": name}} for name in answers]
    assert do(*jobs) == list(answers.values())
    (text,) = do({"do": "csv", "visits": [visits[2]]})
    day = next(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))["Started"][:10]
    assert do({"do": "search", "visits": visits, "wanted": {"day": day}}) == [["b"]]


def test_photographs_of_different_days_are_said_to_be_so(do):
    two = visit()
    two["eyes"]["left"][0]["when"] = NOW + 2 * DAY
    same, differ = do({"do": "days", "visit": visit()}, {"do": "days", "visit": two})
    assert same is None and differ.startswith("The photographs were taken on different days. Right eye: ")


def test_a_decision_again_is_that_of_grading_again(do):
    points = {"any": {"balanced": 0.3, "cautious": 0.05}, "referable": {"balanced": 0.5, "cautious": 0.04}}
    decision = {question: {"eye": {"operating_points": limits}} for question, limits in points.items()}
    model = {"task": "grade", "decision": decision | {"grade": {"cuts": [0.5, 1.5, 2.5, 3.5]}}}
    good, poor = (shot(probability=0.1)["row"] | {"expected_grade": 0.2} for _ in range(2))
    called = shot(probability=0.4)["row"] | {"gradable": False, "result": "DR"}
    called["questions"]["referable"] = {"probability": None, "threshold": None, "disease": None}
    poor |= {"gradable": False, "result": "photograph again"}
    del poor["questions"]
    seen = good | {"expected_grade": 2.3}
    jobs = [("cautious", good), ("cautious", seen), ("balanced", good), ("cautious", poor), ("cautious", called)]
    cautious, graded, same, undecided, worse = do(
        *({"do": "again", "model": model, "point": p, "row": row} for p, row in jobs)
    )
    assert same == good
    assert cautious["result"] == graded["result"] == "referable DR"
    assert "grade" not in cautious and graded["grade"] == 2  # of the network's own grades 0 and 2
    assert cautious["questions"]["referable"] == answer(0.05, 0.04)
    assert undecided == poor  # its probability was not kept: it is photographed again
    assert worse["result"] == "DR" and worse["questions"]["referable"]["disease"] is None
    limits = {"any": (0.08, 0.6), "referable": (0.06, 0.3)}
    model["unsure"] = {question: {"limits": {"0.05": pair}} for question, pair in limits.items()}
    wanted = {"do": "again", "model": model, "point": "balanced"}
    unsure, retake = do(*(wanted | {"unsure": "0.05", "row": row} for row in (good, called)))
    (back,) = do(wanted | {"row": unsure})
    assert unsure["result"] == retake["result"] == "unsure: a grader must look" and "grade" not in unsure
    assert (unsure["by_threshold"], retake["by_threshold"]) == ("no DR", "DR")
    assert unsure["questions"]["any"] == answer(0.1, 0.3) | {"disease": None, "unsure": True, "low": 0.08, "high": 0.6}
    assert back == good
