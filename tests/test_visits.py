"""Visits on the offline page, as on a phone, in Chromium and Firefox: its next steps, answers and history."""

import base64
import csv
import io
import json
import os
import shutil
from importlib.resources import files

import numpy as np
import pytest
import test_app
from PIL import Image, ImageEnhance, ImageFilter
from test_decode import rgb_profile, write_png

from benchmarks.browser import BROWSERS, browse, missing
from eyenet.model.screener import Screener

pytestmark = test_app.pytestmark
template, sample, model, page = test_app.template, test_app.sample, test_app.model, test_app.page
LETTERS = {name: json.loads((files("eyenet.letter") / f"{name}.json").read_text("utf-8")) for name in ("ko", "es")}


@pytest.fixture(scope="module")
def photographs(sample, tmp_path_factory):
    """Good and poor photographs of several kinds, some of them without an eye in their names."""
    folder = tmp_path_factory.mktemp("visits")
    good, fellow = ({eye: sample / f"{name}_{eye}.jpeg" for eye in ("right", "left")} for name in ("s0001", "s0002"))
    blurred = Image.open(good["right"]).filter(ImageFilter.GaussianBlur(25))
    ImageEnhance.Brightness(blurred).enhance(0.3).save(folder / "s0003_right_2.jpeg")
    copy = shutil.copy(good["right"], folder / "IMG_3.jpeg")
    adobe = {"icc_profile": rgb_profile("Adobe RGB")}  # browsers decode the first and the last
    right, left = (Image.open(fellow[eye]) for eye in ("right", "left"))
    right.resize((1501, 1201)).save(folder / "s0001_OD.jpeg", quality=95, progressive=True, **adobe)
    write_png(folder / "IMG_1.png", np.asarray(right.reduce(3)).astype(np.uint16) << 4)
    left.reduce(3).save(folder / "IMG_2.webp", lossless=True, **adobe)
    named = {"poor": sample / "s0003_right.jpeg", "alsoPoor": folder / "s0003_right_2.jpeg"}
    named |= {"good": good, "fellow": fellow, "other": sample / "s0003_left.jpeg", "copy": copy}
    named["fields"] = [good["right"], folder / "s0001_OD.jpeg", good["left"]]
    return named | {"unnamed": [folder / "IMG_1.png", folder / "IMG_2.webp"]}


@pytest.fixture(scope="module", params=BROWSERS)
def seen(request, page, photographs, tmp_path_factory):
    """The ten visits of app/tests/visits.mjs, in each browser."""
    if why := missing(request.param):
        pytest.skip(f"the page is not tested: {why}")
    options = {"folder": tmp_path_factory.mktemp("history"), "screenshots": os.environ.get("EYENET_SCREENSHOTS")}
    return browse("visits", page, request.param, point="sensitivity_0.9", crops=True, **options, **photographs)


def test_no_visit_needs_internet(seen):
    assert seen["status"].startswith("Ready. No internet is needed.") and seen["errors"] == []
    assert all(url.startswith((seen["origin"] + "/", f"blob:{seen['origin']}/")) for url in seen["requests"])
    assert seen["poor twice"]["violations"] == []


def test_both_eyes_are_photographed_one_after_the_other_and_the_letter_is_printed(seen):
    first, one, both, letter = (seen["both eyes"][name] for name in ("first", "one", "both", "letter"))
    assert first["title"] == "Photograph the right eye" and first["primary"] == ["Take photograph of the right eye"]
    guide = seen["both eyes"]["guide"]
    assert first["over"] == ["Step 1 of 2"] and one["over"][-1] == "Step 2 of 2" and both["over"] == ["Both eyes"]
    assert (one["guide"], both["guide"], both["unfolded"]) == (5, 0, 1)  # the details of the right eye stay open
    assert len(guide) == 5 and all("Drawing of" in alt and width > 0 for alt, width in guide)
    assert "Now photograph the left eye" in one["text"] and one["primary"][0] == "Take photograph of the left eye"
    assert one["checks"] == ["✓ Retina found", "✓ Whole field", "✓ Sharp", "✓ Good light"] and one["todo"] == []
    assert both["primary"] == ["Next patient"] and len(both["lines"]) == 2 and one["shown"] and both["shown"]
    assert letter["asked"] and letter["pages"] == {"A4": 1, "Letter": 1}
    assert both["title"] in letter["text"] and "4 March 1957" in letter["text"]


def test_the_answer_is_announced(seen):
    states = {"one": "Right eye: ", "both": "Left eye: "}
    for state, eye in ((seen["both eyes"][name], eye) for name, eye in states.items()):
        assert state["live"] == "status" and state["said"].startswith(eye)
    assert "Now photograph the left eye." in seen["both eyes"]["one"]["said"]
    assert seen["both eyes"]["both"]["title"] in seen["both eyes"]["both"]["said"]
    poor = seen["poor twice"]["poor"]["said"]
    assert poor.startswith("Right eye: Poor") and "Photograph the right eye again." in poor


def test_the_answers_are_those_of_python(seen, model, photographs):
    """Of every visit that has one for both eyes."""
    screener, unnamed = Screener(model), photographs["unnamed"]
    good, fellow = (
        {eye: [screener.look(path)] for eye, path in photographs[name].items()} for name in ("good", "fellow")
    )
    first, second = (screener.look(path) for path in photographs["fields"][:2])
    poor = [screener.look(photographs[name]) for name in ("poor", "alsoPoor")]
    answers = {
        "two fields": (seen["two fields"]["fields"], {"right": [first, second], "left": good["left"]}),
        "poor twice": (seen["poor twice"]["spent"], {"right": poor, "left": [screener.look(photographs["other"])]}),
    }
    answers |= {name: (seen[name]["both"], good) for name in ("both eyes", "reload", "the next day")}
    answers["wrong eye"] = seen["wrong eye"]["both"], fellow
    rows = {"right": [screener.look(unnamed[0])], "left": [screener.look(unnamed[1])]}
    answers["names without an eye"] = seen["names without an eye"]["both"], rows
    for name, (state, rows) in answers.items():
        assert state["result"] == screener.join(rows)["result"], name
        assert state["photographs"] == sum(map(len, rows.values())), name
    fields = seen["two fields"]
    assert fields["regraded"]["photographs"] == 3 and fields["one"]["photographs"] == 1
    (rule,) = fields["rules"]  # of the eye with two photographs
    assert rule.startswith("The worst photograph that is good enough to grade decides for the eye.")


def test_the_pixels_are_those_of_python(seen, model, photographs):
    """Of JPEGs that the page decodes, a progressive one, a PNG of 16 bits, and a WebP with a profile."""
    found = seen["two fields"]["graded"] + seen["names without an eye"]["graded"]
    paths = photographs["fields"] + photographs["unnamed"]
    shown = {str(path): one | {"seconds": 0} for path, one in zip(paths, found, strict=True)}
    limits = dict(zip(paths, [(0.005, 70), (0.03, 40), (0.005, 70), (0.005, 70), (0.02, 50)], strict=True))
    for path, (close, psnr) in limits.items():
        test_app.compare({"photographs": {str(path): shown[str(path)]}}, model, [path], close, psnr)


def test_a_poor_photograph_is_explained_and_the_second_one_refers(seen):
    poor, same, again, spent = (seen["poor twice"][name] for name in ("poor", "same", "again", "spent"))
    assert poor["title"] == "Photograph the right eye again" and poor["primary"] == ["Take photograph of the right eye"]
    assert poor["checks"][0] == "✕ No retina found" and "✕ Poor light" in poor["checks"]
    assert poor["todo"] == ["Too dark. Increase the flash, or wait until the pupil is wider."]
    attempt = "Attempt 1 of 2 was poor. The next one is the last: if it is poor too, refer the patient"
    assert attempt in poor["text"] and attempt in poor["said"]
    assert poor["over"][-1] == "Step 1 of 2" and "Attempt" not in again["text"] + again["said"] + spent["text"]
    assert (poor["guide"], same["guide"], same["unfolded"], spent["guide"]) == (5, 5, 1, 0)
    assert "already been added to this eye" in same["said"] and same["title"] == poor["title"]
    assert "do not send home" in again["text"] and "Now photograph the left eye" in again["text"]
    assert "do not send home" in spent["text"] and spent["primary"] == ["Next patient"]
    assert spent["title"].startswith("Refer") and all(state["shown"] for state in (poor, again, spent))


def test_a_wrong_file_gives_no_result_until_it_is_replaced(seen):
    for name, words in (("wrong eye", "its name says left eye"), ("one file for both eyes", "The same photograph")):
        asked = seen[name]["asked"]
        assert asked["result"] == "doubtful" and words in asked["text"] and "Signs of" not in asked["text"], name
    assert seen["one file for both eyes"]["offered"] == 0  # nobody can confirm it


def test_files_without_an_eye_in_their_names_are_asked_about(seen):
    visit = seen["names without an eye"]
    assert visit["open"] == 1 and "Which eye?" in visit["asked"] and "IMG_1.png" in visit["asked"]
    assert "IMG_1" not in visit["both"]["text"]


def test_a_reload_keeps_the_patient(seen):
    one = seen["reload"]["one"]
    assert (one["label"], one["born"], one["photographs"]) == ("reload", "1950-01-02", 1)
    assert one["resumed"][0].startswith("Continuing with reload, started ")
    assert "Now photograph the left eye" in one["text"]


def test_a_patient_is_found_and_continued_on_another_day(seen):
    visit = seen["the next day"]
    (named,) = visit["named"]
    assert named.startswith("one eye") and "(one eye)" in named and visit["count"] == "1 of 8 results"
    assert visit["answers"][:2] == ["All answers", "Unfinished: an eye to photograph"]
    assert "Continue with one eye?" in visit["question"]
    continued = visit["continued"]
    assert (continued["label"], continued["born"], continued["photographs"]) == ("one eye", "", 1)
    assert continued["primary"] == ["Take photograph of the left eye"]
    assert "taken on different days. Right eye: " in visit["both"]["text"]
    assert "Right eye: " in visit["letter"].split("Photographs chosen on")[1][:20]


def test_after_a_pause_the_page_joins_no_two_patients(seen):
    visit = seen["after a pause"]
    assert "Is this still the same patient? after a pause, right eye" in visit["question"]
    assert (visit["another"]["photographs"], visit["another"]["label"], visit["another"]["resumed"]) == (0, "", [])


def test_the_history_lists_every_visit_with_its_answer(seen):
    """Also in the table, and after it left as a file, was deleted and came back."""
    titles, history = seen["titles"], seen["history"]
    expected = {name: titles[name] for name in titles if name not in ("one eye", "the next day")}
    expected |= {"one eye": titles["the next day"], "one file for both eyes": "No result: the files were not checked"}
    one = seen["after a pause"]["one"]
    expected["after a pause"] = "Photograph again" if one["result"] == "photograph again" else one["title"]
    listed = {entry.split("\n")[0]: entry for entry in history["listed"]}
    assert listed.keys() == expected.keys() and len(history["listed"]) == 9
    rows = list(csv.DictReader(io.StringIO(history["csv"]["text"].removeprefix("\ufeff"), newline="")))
    table = {row["Patient"].removeprefix("'"): row["Answer"] for row in rows}
    for name, answer in expected.items():
        assert answer in listed[name] and answer == table[name], name
    assert history["csv"]["name"].endswith(".csv")
    assert history["imported"] == {"said": "9 results imported.", "entries": 9}
    file, again = (json.loads(history[name]["text"]) for name in ("file", "again"))
    assert file["count"] == 9 and file["visits"] == again["visits"]
    shots = [shot for _, visit in file["visits"] for eye in ("right", "left") for shot in visit["eyes"][eye]]
    pictures = [Image.open(io.BytesIO(base64.b64decode(shot["picture"]["base64"]))) for shot in shots]
    assert len(pictures) == 19 and {picture.format for picture in pictures} == {"JPEG"}
    assert max(picture.width for picture in pictures) == 512


def test_a_sample_is_marked_and_kept_apart_from_patients(seen):
    sample = seen["sample"]
    own = sample["own"]
    assert not any(text.startswith("Add") for text in sample["choosers"]) and len(sample["choosers"]) >= 3
    assert sample["photographs"] == 2 and sample["everywhere"] and "Drawings, not a patient's eyes" in sample["banner"]
    assert "Not a patient's result" in sample["letter"]
    assert sample["label"].startswith("Drawing: ") and sample["warned"] and sample["shown"]
    assert len(sample["lines"]) == 2 and all(" eye: Demonstration: " in line for line in sample["lines"])
    assert sample["title"].startswith("Demonstration: ") and sample["title"] in sample["said"]
    assert own["photographs"] == 1 and not own["banner"]
    assert not any("Drawing" in entry for entry in seen["history"]["listed"])


def test_the_history_reads_earlier_versions(seen):
    old = seen["old"]
    assert "Old" in old["listed"] and "(one eye)" in old["listed"]
    assert "Photograph again" in old["letter"] and "a network" in old["letter"]
    assert "Photograph again" in old["text"] and "Right eye: No signs of retinopathy found" in old["text"]


def test_the_samples_are_what_they_are_called():
    """With the network that ships."""
    screener = Screener(test_app.REPO / "pretrained" / "eyenet-lite")
    look = {path.stem: screener.look(path) for path in (test_app.REPO / "app/public/samples").iterdir()}
    results = {name: row["result"] for name, row in look.items()}
    assert results.pop("poor_right") == "photograph again" and look["poor_right"]["gradable"] is False
    assert results == {
        f"{name}_{eye}": result
        for name, result in (("negative", "no DR"), ("referable", "referable DR"))
        for eye in ("left", "right")
    }


@pytest.fixture(scope="module")
def records(page, photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    poor = {name: shutil.copy(photographs[name], folder / f"{name}.jpeg") for name in ("poor", "alsoPoor")}
    options = {"folder": folder, "screenshots": os.environ.get("EYENET_SCREENSHOTS")}
    return browse("records", page, point="sensitivity_0.9", good=photographs["good"], **poor, **options)


def test_a_reload_keeps_the_patient_in_progress(records, model, photographs):
    seen = records["reloads"]
    assert (seen["named"]["label"], seen["named"]["born"]) == ("Bed 7", "1950-01-02")
    assert seen["named"]["title"] == "Photograph the right eye"
    assert seen["spent"]["resumed"][0].startswith("Continuing with Bed 7, started ")
    assert {**seen["before"], "said": ""} == {**seen["spent"], "said": ""} and seen["spent"]["photographs"] == 3
    cautious = Screener(model, sensitivity=0.9)
    eyes = {"right": [photographs["good"]["right"]], "left": [photographs["poor"], photographs["alsoPoor"]]}
    rows = {eye: [cautious.look(path) for path in paths] for eye, paths in eyes.items()}
    assert seen["decided"]["result"] == cautious.join(rows)["result"]
    assert records["errors"] == [] and seen["violations"] == []


def test_a_reload_joins_no_two_patients(records):
    seen = records["reloads"]
    for state in ("other", "sample", "paused", "renewed"):
        assert (seen[state]["photographs"], seen[state]["label"], seen[state]["resumed"]) == (0, "", []), state
    assert seen["lost"].startswith("The page was closed before it had checked a photograph of the right eye")
    assert all(seen[state]["said"].startswith("The network has changed") for state in ("paused", "renewed"))
    assert seen["changed"].startswith("This result cannot be continued")
    assert "Another network graded these photographs" in seen["apart"] and seen["offered"] == 0


def test_another_window_leaves_the_patient_in_progress_alone(records):
    one, every, imported, entries = records["reloads"]["taken"]
    assert one.startswith("This patient is in progress") and every.startswith("A patient is in progress")
    assert imported.startswith("The file adds to the patient in progress") and entries == 1
    assert records["reloads"]["late"] == {"locks": 2, "names": ["Bed 7", "Bed 8", "Bed 9"]}


def test_a_database_that_the_browser_closed_is_opened_again(records):
    assert "stores no history" in records["closes"]["closed"] and records["closes"]["kept"] == 2


def test_a_file_changes_all_or_nothing(records):
    seen = records["exchanges"]
    assert "Already here" in seen["twice"]["said"] and seen["twice"]["entries"] == 2
    assert "damaged" in seen["damaged"]["said"] and seen["damaged"]["entries"] == 2
    assert "nothing was changed" in seen["full"]["said"] and seen["full"]["entries"] == 0
    assert seen["restored"] == {"said": "2 results imported.", "entries": 2}


def test_old_results_are_deleted_after_it_was_said(records):
    seen = records["deletions"]
    assert "2 results are older" in seen["first"] and seen["cancelled"] == ["0", 4] and seen["violations"] == []
    assert seen["chosen"] == 2 and "deleted 30 days after the last photograph" in seen["lead"]
    assert "old0" not in seen["forgotten"]
    assert len(seen["few"]) == 3 and "old1" in seen["few"]  # another window has it in progress
    assert seen["resumed"] == "of-now" and seen["inProgress"] == ["of-now"]
    assert "6 of 8 results are older than 30 days" in seen["many"] and (seen["spared"], seen["gone"]) == (8, 2)


def test_nothing_is_wider_than_a_narrow_screen_or_with_large_text(page, photographs):
    patient = {"right": photographs["poor"], "left": photographs["other"]}
    wide = browse("sizes", page, patient=patient, screenshots=os.environ.get("EYENET_SCREENSHOTS"))["wide"]
    assert len(wide) == 10 and not any(wide.values()), wide


@pytest.fixture(scope="module")
def translated(page, photographs, tmp_path_factory):
    """A patient in Korean, and then in Spanish."""
    unread = tmp_path_factory.mktemp("unread") / "0.jpeg"
    unread.write_bytes(b"")
    names = [r"\w+_(right|left)\.jpeg", r"0\.jpeg", json.loads((page / "model.json").read_text())["name"]]
    given = {"patient": photographs["good"], "poor": photographs["poor"], "unread": unread, "names": names}
    given |= {"marks": [letter["unreviewed"] for letter in LETTERS.values()]}
    return browse("languages", page, **given, screenshots=os.environ.get("EYENET_SCREENSHOTS"))


def test_nothing_is_left_in_english(translated):
    assert translated["names"] and not any(translated["english"].values()), translated["english"]
    views = {"start", "poor", "doubts", "result", "settings", "about", "history", "visit"}
    assert {f"ko {view}" for view in views} <= set(translated["english"])
    assert {f"es {view}" for view in views - {"start", "poor", "doubts"}} <= set(translated["english"])
    assert not any(translated["violations"].values()) and not any(translated["wide"].values())


def test_a_translation_says_at_each_answer_that_no_clinician_has_reviewed_it(translated):
    assert len(translated["marked"]) == 7 and set(translated["marked"].values()) == {1}, translated["marked"]
    for language, letter in LETTERS.items():
        assert letter["unreviewed"] in translated["print"][language]["text"]


def test_the_letter_is_one_page_in_each_language(translated):
    """With the longest entries and several photographs of an eye."""
    for printed in translated["print"].values():
        assert printed["pages"] == {"A4": 1, "Letter": 1} and printed["spilt"] == []
        assert min(printed["pictures"]) >= 60  # pixels, 16 mm


def test_another_language_keeps_the_patient(translated):
    """What was answered and what is wrong with a file is kept in no language."""
    assert translated["patient"] == ["12", 4] and translated["errors"] == []
    assert translated["chosen"] == translated["manifest"] == "es"
    for language, empty in (("ko", "비어 있습니다"), ("es", "está vacío")):
        answers = LETTERS[language]["answers"].values()
        assert any(translated["title"][language].endswith(answer) for answer in answers)
        assert empty in translated["unread"][language]
