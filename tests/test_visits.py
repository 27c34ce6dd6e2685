"""Visits of patients on the offline page, as on a phone: what it says to do next, and what it answers."""

import base64
import io
import json
import os
import shutil
from importlib.resources import files

import pytest
import test_app
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.browser import browse
from eyenet.model.screener import Screener

pytestmark = test_app.pytestmark
template, sample, model, page = test_app.template, test_app.sample, test_app.model, test_app.page
LETTERS = {name: json.loads((files("eyenet.letter") / f"{name}.json").read_text("utf-8")) for name in ("ko", "es")}


@pytest.fixture(scope="module")
def photographs(sample, tmp_path_factory):
    """Good and poor photographs, some of them without an eye in their names."""
    folder = tmp_path_factory.mktemp("visits")
    good = {eye: sample / f"s0001_{eye}.jpeg" for eye in ("right", "left")}
    blurred = Image.open(good["right"]).filter(ImageFilter.GaussianBlur(25))
    ImageEnhance.Brightness(blurred).enhance(0.3).save(folder / "s0003_right_2.jpeg")
    for name, source in (("s0001_OD", "s0002_right"), ("IMG_1", "s0002_right"), ("IMG_2", "s0002_left")):
        shutil.copy(sample / f"{source}.jpeg", folder / f"{name}.jpeg")
    named = {"poor": sample / "s0003_right.jpeg", "alsoPoor": folder / "s0003_right_2.jpeg"}
    named |= {"good": good, "other": sample / "s0003_left.jpeg"}
    named["fields"] = [good["right"], folder / "s0001_OD.jpeg", good["left"]]
    return named | {"unnamed": [folder / "IMG_1.jpeg", folder / "IMG_2.jpeg"]}


@pytest.fixture(scope="module")
def seen(page, photographs):
    return browse("visits", page, point="sensitivity_0.9", **photographs)


def test_the_page_tells_each_step_and_the_answer_is_on_the_screen(seen):
    first, one, both = seen["first"], seen["one"], seen["both"]
    assert first["title"] == "Photograph the right eye" and first["primary"] == ["Take photograph of the right eye"]
    assert len(seen["guide"]) == 5 and all("Drawing of" in alt and width > 0 for alt, width in seen["guide"])
    assert "Now photograph the left eye" in one["text"] and one["primary"][0] == "Take photograph of the left eye"
    assert one["checks"] == ["✓ Retina found", "✓ Whole", "✓ Sharp", "✓ Light is good"] and one["todo"] == []
    assert both["primary"] == ["Next patient"] and len(both["lines"]) == 2
    assert all(state["shown"] for state in (one, both, seen["poor"], seen["again"], seen["spent"]))
    assert seen["errors"] == [] and seen["violations"] == []


def test_the_answer_is_announced(seen):
    for state, eye in ((seen["one"], "Right eye: "), (seen["both"], "Left eye: "), (seen["poor"], "Right eye: Poor")):
        assert state["live"] == "status" and state["said"].startswith(eye)
    assert "Now photograph the left eye." in seen["one"]["said"]
    assert seen["both"]["title"] in seen["both"]["said"]
    assert "Photograph the right eye again." in seen["poor"]["said"]


def test_the_answers_are_those_of_python(seen, model, photographs):
    screener = Screener(model)
    rows = [screener.look(path) for path in photographs["fields"]]
    assert seen["fields"]["photographs"] == seen["regraded"]["photographs"] == 3
    assert seen["fields"]["result"] == screener.join({"right": rows[:2], "left": rows[2:]})["result"]
    good = {eye: [screener.look(path)] for eye, path in photographs["good"].items()}
    assert seen["both"]["result"] == screener.join(good)["result"]
    poor = [screener.look(photographs[name]) for name in ("poor", "alsoPoor")]
    other = [screener.look(photographs["other"])]
    assert seen["spent"]["result"] == screener.join({"right": poor, "left": other})["result"]


def test_a_poor_photograph_is_explained_and_the_second_one_refers(seen):
    poor, same, again, spent = (seen[name] for name in ("poor", "same", "again", "spent"))
    assert poor["title"] == "Photograph the right eye again" and poor["primary"] == ["Take photograph of the right eye"]
    assert poor["checks"][0] == "✕ No retina found" and "✕ Light is poor" in poor["checks"]
    assert poor["todo"] == ["Too dark. Increase the flash, or wait until the pupil is wider."]
    assert "already among the photographs" in same["said"] and same["title"] == poor["title"]
    assert "do not send home" in again["text"] and "Now photograph the left eye" in again["text"]
    assert "do not send home" in spent["text"] and spent["primary"] == ["Next patient"]
    assert spent["title"].startswith("Refer") and any("Refer" in entry for entry in seen["kept"])


def test_files_without_an_eye_in_their_names_are_asked_about(seen):
    assert seen["asked"]["violations"] == [] and seen["asked"]["open"] == 1
    assert "Which eye?" in seen["asked"]["text"] and "IMG_1.jpeg" in seen["asked"]["text"]
    assert seen["unnamed"]["photographs"] == 2 and "IMG_1" not in seen["unnamed"]["text"]


def test_a_sample_is_marked_and_kept_apart_from_patients(seen):
    sample, own = seen["sample"], seen["own"]
    assert sample["photographs"] == 2 and sample["everywhere"] and "Drawn eyes, no patient" in sample["banner"]
    assert "Not a patient's result" in sample["letter"]
    assert sample["label"].startswith("Drawing: ") and sample["warned"] and sample["shown"]
    assert all("Signs of" not in line or "Demonstration: " in line for line in sample["lines"])
    assert own["photographs"] == 1 and not own["banner"]


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


def test_the_history_keeps_patients_and_reads_earlier_versions(seen):
    *kept, old = seen["kept"]
    assert len(kept) == 5 and not any("Drawing" in entry for entry in kept)
    assert "Old" in old and "(one eye)" in old
    assert "Photograph again" in seen["oldLetter"] and "a network" in seen["oldLetter"]
    assert "Photograph again" in seen["old"] and "Right eye: No signs of retinopathy found" in seen["old"]


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
    assert seen["one"]["photographs"] == 1 and "Now photograph the left eye" in seen["one"]["text"]
    assert seen["one"]["resumed"][0].startswith("Continued: Bed 7, begun ")
    assert seen["again"]["primary"] == ["Take photograph of the left eye"]
    assert {**seen["before"], "said": ""} == {**seen["spent"], "said": ""} and seen["spent"]["photographs"] == 3
    cautious = Screener(model, sensitivity=0.9)
    eyes = {"right": [photographs["good"]["right"]], "left": [photographs["poor"], photographs["alsoPoor"]]}
    rows = {eye: [cautious.look(path) for path in paths] for eye, paths in eyes.items()}
    assert seen["decided"]["result"] == cautious.join(rows)["result"]
    assert records["errors"] == [] and seen["violations"] == []


def test_a_reload_joins_no_two_patients(records):
    seen = records["reloads"]
    assert "Is this still the same patient? Bed 7, right eye and left eye" in seen["asked"]
    for state in ("other", "refused", "sample", "paused", "renewed"):
        assert (seen[state]["photographs"], seen[state]["label"], seen[state]["resumed"]) == (0, "", []), state
    assert seen["lost"].startswith("The page was closed while it looked at a photograph of the right eye")
    assert all(seen[state]["said"].startswith("The network has changed") for state in ("paused", "renewed"))
    assert seen["changed"].startswith("This result cannot be continued")
    assert "Another network graded these photographs" in seen["apart"] and seen["offered"] == 0


def test_another_window_leaves_the_patient_in_progress_alone(records):
    one, every, imported, entries = records["reloads"]["taken"]
    assert one.startswith("This patient is in progress") and every.startswith("A patient is in progress")
    assert imported.startswith("The file adds to the patient in progress") and entries == 1
    assert records["reloads"]["late"] == {"locks": 2, "names": ["Bed 7", "Bed 8", "Bed 9"]}


def test_a_patient_is_found_and_continued_on_another_day(records):
    seen = records["continues"]
    (named,), (unfinished,) = seen["named"], seen["open"]
    assert "Zoë Müller" in named and named == unfinished and seen["count"] == "1 of 2 results"
    assert seen["answers"][:2] == ["All answers", "Not finished: photograph an eye"]
    assert "Continue Zoë Müller?" in seen["question"] and seen["violations"] == []
    assert seen["continued"]["born"] == "" and "Right eye: " in seen["letter"].split("Photographs chosen on")[1][:20]
    assert seen["continued"]["photographs"] == 1 and seen["continued"]["label"] == "Zoë Müller"
    assert seen["continued"]["primary"] == ["Take photograph of the left eye"]
    assert seen["both"]["photographs"] == 2 and "taken on different days. Right eye: " in seen["both"]["text"]
    assert "does not store a history" in seen["closed"]  # and then does again:
    assert len(seen["kept"]) == 2 and "taken on different days" in seen["kept"][1]


def test_the_history_leaves_and_comes_back_whole(records):
    seen = records["exchanges"]
    assert seen["csv"]["name"].endswith(".csv") and seen["csv"]["text"].count("\r\n") == 3
    file, again = (json.loads(seen[name]["text"]) for name in ("file", "again"))
    assert file["count"] == 2 and file["visits"] == again["visits"]
    shots = [shot for _, visit in file["visits"] for eye in ("right", "left") for shot in visit["eyes"][eye]]
    pictures = [Image.open(io.BytesIO(base64.b64decode(shot["picture"]["base64"]))) for shot in shots]
    assert len(pictures) == 5 and max(picture.width for picture in pictures) == 512
    assert "already here" in seen["twice"]["said"] and seen["twice"]["entries"] == 2
    assert "damaged" in seen["damaged"]["said"] and seen["damaged"]["entries"] == 2
    assert "nothing was changed" in seen["full"]["said"] and seen["full"]["entries"] == 0
    assert seen["restored"] == {"said": "2 results imported.", "entries": 2} and seen["violations"] == []


def test_old_results_are_deleted_after_it_was_said(records):
    seen = records["deletions"]
    assert "2 results are older" in seen["first"] and seen["cancelled"] == ["0", 4] and seen["violations"] == []
    assert seen["chosen"] == 2 and "deleted 30 days after the last photograph" in seen["lead"]
    assert seen["few"] == 2 and "old0" not in seen["forgotten"]
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
