"""The offline page in real browsers: it agrees with predict.py, is accessible, and needs no internet.

benchmarks/browser.py drives Chromium and Firefox and makes the comparison; the requirements are here.
"""

import json
import os
import re
import shutil
from functools import partial

import numpy as np
import pytest
from conftest import REAL, REPO, draw_photograph, first_of, make_once, needs_real, run
from PIL import Image, ImageOps
from test_decode import rgb_profile

from benchmarks import browser, stress
from benchmarks.browser import BrowserError, browse, build, differences, install, missing, pairs, paths_of
from benchmarks.materials import make_model
from eyenet.model.folder import LITE_NETWORK, open_model
from eyenet.model.screener import Screener

MISSING = missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"the page is not tested: {MISSING}")
MEGABYTES = 15
# Compile WebAssembly fast: the tests compute little.
browser.flags["chromium"].append("--js-flags=--liftoff-only")
browser.flags["firefox"].append('["javascript.options.wasm_optimizingjit", false]')


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """The built page, for tests/test_visits.py too."""
    try:
        install()
    except BrowserError as error:
        pytest.skip(f"the page is not tested: {error}")
    make_once("page_template", lambda _: build(), tmp_path_factory)


@pytest.fixture(scope="session")
def sample(sample, tmp_path_factory):
    """The first ten photographs of the sample."""
    return first_of(sample, 10, tmp_path_factory.mktemp("drawn")) / "train"


@pytest.fixture(scope="session")
def model(tmp_path_factory, sample):
    if given := os.environ.get("EYENET_MODEL"):
        return REPO / given
    photographs = [sample / f"s000{i}_{eye}.jpeg" for i in (1, 2, 4) for eye in ("left", "right")]
    make = partial(make_model, name="three_layers", photographs=photographs)
    return make_once("page_model", make, tmp_path_factory)


def make_page(model, photographs, target):
    run("export_model.py", "--format", "app", "--model", model, "--photos", photographs, "--output", target)
    return target


@pytest.fixture(scope="session")
def page(template, model, sample, tmp_path_factory):
    """The finished page of the model."""
    pytest.importorskip("tf2onnx", reason="the page is not tested: pip install -r requirements-export.txt")
    return make_once("page", partial(make_page, model, sample), tmp_path_factory)


def compare(seen, model, paths, close=0.005, psnr=70):
    """Compare photographs that the page graded with Python.

    `close` is the allowed difference of probabilities, and `psnr` the required PSNR of the crops in dB. Larger
    differences than rounding are allowed only for large JPEGs of rare kinds, which Pillow decodes at a reduced scale
    and the browser at full scale.
    """
    found = list(differences(seen, model, paths))
    for one in found:
        assert one.verdict and one.words and one.frame and one.input and one.limits, one
        assert one.circle <= 0.01 and one.psnr >= psnr, one
        assert one.score <= 2 * close and one.probability <= close and one.grade <= 5 * close, one
        assert all(same for margin, same in one.decisions.values() if margin > close), one
        page = seen["photographs"][str(one.path)]
        questions = page["row"].get("questions")
        called = any(answer["disease"] for answer in (questions or {}).values())
        assert page["picture"] > 0 and (page["contours"] is None) == (questions is None), one
        assert len(page["contours"] or []) == 9 * called, one  # below the threshold nothing stands out
    graded = [page["row"]["questions"] for page in seen["photographs"].values() if "questions" in page["row"]]
    assert len({answers["any"]["probability"] for answers in graded}) >= len(graded) / 2, "the network says nothing"


def check_alone(seen):
    """Check that the page requested files from its own server only, and did not violate its content policy."""
    assert seen["requests"]
    assert all(url.startswith((seen["origin"] + "/", f"blob:{seen['origin']}/")) for url in seen["requests"])
    assert seen["refused"] == [] and seen["errors"] == []
    assert seen["status"].startswith("Ready. No internet is needed.")


def test_offline_it_grades_as_python_does_and_asks_nobody(page, model, sample):
    patients = pairs(sample, ["s0002", "s0003"])
    seen = browse("grade", page, patients=patients, crops=True)
    check_alone(seen)
    compare(seen, model, paths_of(patients))
    screener = Screener(model)
    for name, eyes in patients.items():
        rows = {eye: [screener.look(path)] for eye, path in eyes.items()}
        assert seen["patients"][name] == screener.join(rows)["result"]
    assert seen["outside"].startswith("refused connect-src https://example.org")
    assert "default-src 'none'" in seen["worker_policy"] and "https:" not in seen["worker_policy"]
    black = seen["photographs"][str(sample / "s0003_right.jpeg")]
    assert black["row"]["reasons"] == ["too dark"] and "Poor photograph: take it again" in black["text"]


def test_a_whole_frame_is_told(page, tmp_path):
    """A picture that the retina fills shows no rim: the page must not say that the whole field is seen."""
    window = tmp_path / "window.png"
    stress.windows(stress.stressed(stress.plain), stress.CIRCLE, 0.6)[0].save(window)
    seen = browse("grade", altered(page, tmp_path / "page", field="auto"), patients={"x": {"left": window}}, crops=True)
    told = seen["photographs"][str(window)]
    assert told["row"]["field"] == "frame"
    assert told["checks"][1] == "– Whole frame taken: the rim of the retina is not in the picture"


def test_photographs_of_every_kind(page, model, sample, tmp_path):
    """One of each kind that takes another way, and is not in test_visits.py; test_page_pixels.py compares in detail."""
    picture, exif = Image.open(sample / "s0002_left.jpeg"), Image.Exif()
    large, small = picture.resize((1501, 1201)), picture.reduce(3)
    exif[0x0112] = 6
    adobe, display = ({"icc_profile": rgb_profile(name)} for name in ("Adobe RGB", "Display P3"))
    kinds = {  # the allowed difference of probabilities and the required PSNR, by the kind of decoding
        (0.005, 70): ["turned.jpeg", "grey.jpeg", "small.jpeg", "tiny.jpeg", "clear.png"],
        # A grey level more or less, which equalisation amplifies, moves the circle by hundredths of a pixel.
        (0.02, 50): ["adobe.jpeg", "display.png", "thumbnail.jpeg"],
        # The browser decodes it at full scale. The enlarged rim is wide and cut off, so the circle moves by 0.3 %.
        (0.05, 35): ["misnumbered.jpeg"],
    }
    large.save(tmp_path / "turned.jpeg", quality=95, exif=exif, restart_marker_rows=1)
    large.convert("L").save(tmp_path / "grey.jpeg", quality=95)
    picture.resize((300, 200)).save(tmp_path / "small.jpeg", quality=95)
    picture.resize((100, 66)).save(tmp_path / "tiny.jpeg", quality=95)
    small.convert("RGBA").save(tmp_path / "clear.png")
    large.save(tmp_path / "adobe.jpeg", quality=95, **adobe)
    small.save(tmp_path / "display.png", **display)
    small.save(tmp_path / "thumbnail.jpeg", "MPO", quality=95, save_all=True, append_images=[small.reduce(2)])
    data = (tmp_path / "turned.jpeg").read_bytes()
    at = max(data.rfind(bytes([0xFF, 0xD0 + i])) for i in range(8))  # the last restart marker gets a wrong number
    (tmp_path / "misnumbered.jpeg").write_bytes(data[:at] + bytes([0xFF, data[at + 1] ^ 2]) + data[at + 2 :])
    patients = {path.name: {"left": path} for path in sorted(tmp_path.iterdir())}
    assert sorted(patients) == sorted(file for files in kinds.values() for file in files)
    seen = browse("grade", page, patients=patients, crops=True)
    check_alone(seen)
    for (close, psnr), files in kinds.items():
        compare(seen, model, [tmp_path / file for file in files], close, psnr)


@needs_real("eyepacs-full")
@needs_real("eyepacs-1024")
def test_real_photographs(page, model):
    """Two originals of a camera, and one good and one poor photograph."""
    patients = pairs(REAL / "eyepacs-full" / "train", ["10"])
    good, poor = (REAL / "eyepacs-1024" / "train" / f"{name}.jpeg" for name in ("1034_left", "1119_left"))
    seen = browse("grade", page, patients=patients | {"others": {"right": good, "left": poor}}, crops=True)
    check_alone(seen)
    compare(seen, model, [*paths_of(patients), good, poor])
    assert [seen["photographs"][str(path)]["row"]["gradable"] for path in (good, poor)] == [True, False]


def test_the_download_is_small(page):
    total = sum(path.stat().st_size for path in page.rglob("*") if path.is_file())
    network = (page / "model.onnx.gz").stat().st_size
    assert total - network < 5e6  # so that 10 MB are left for a network; EfficientNet-Lite0 needs 7.5
    assert total < MEGABYTES * 1e6
    assert not list(page.rglob("*.wasm"))


def test_what_is_no_photograph_gets_a_sentence(page, sample, tmp_path):
    data = (sample / "s0001_left.jpeg").read_bytes()
    png = tmp_path / "large.png"
    Image.new("1", (20_000, 20_000)).save(png)
    frame = data.index(b"\xff\xc0")  # height and width follow
    huge = data[: frame + 5] + (20_000).to_bytes(2) * 2 + data[frame + 9 :]
    rng = np.random.default_rng(0)
    fur = np.repeat(np.repeat(rng.integers(60, 220, (60, 80, 3)), 8, axis=0), 8, axis=1).astype(np.uint8)
    Image.fromarray(fur).save(tmp_path / "cat.jpeg")
    made = {
        "cut.jpeg": (data[: len(data) // 2], "the end of the file is missing"),
        "large.png": (None, "20000 x 20000 pixels, more than the 100 million"),
        "huge.jpeg": (huge, "20000 x 20000 pixels, more than the 100 million"),
        "cat.jpeg": (None, "No retina found"),
        "phone.heic": (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000),
            "HEIC photograph, which this browser cannot",
        ),
        "empty.jpeg": (b"", "The file is empty"),
        "noise.jpeg": (data[:4000] + bytes(rng.integers(0, 255, 4000, np.uint8)) + b"\xff\xd9", ""),
        "picture.tiff": (b"II*\0" + bytes(500), "TIFF"),
        "scan.dcm": (bytes(128) + b"DICM" + bytes(500), "DICOM"),
        "printed.jpeg": (None, "a kind that this page cannot convert. Save it as sRGB"),
        "damaged.png": (None, "The colour profile is damaged and was left out."),
        "clear.webp": (None, "completely transparent"),
        "two.webp": (None, "holds 2 photographs as pages"),
    }
    photograph = Image.open(sample / "s0001_left.jpeg").reduce(2)
    printed = rgb_profile("Adobe RGB").replace(b"RGB XYZ ", b"CMYKLab ")
    photograph.convert("CMYK").save(tmp_path / "printed.jpeg", icc_profile=printed)
    photograph.save(tmp_path / "damaged.png", icc_profile=b"no profile")
    transparent = np.dstack([np.asarray(photograph), np.zeros(photograph.size[::-1], np.uint8)])
    Image.fromarray(transparent).save(tmp_path / "clear.webp", lossless=True, exact=True)
    other = Image.fromarray(draw_photograph(*photograph.size))
    photograph.save(tmp_path / "two.webp", save_all=True, append_images=[other])
    for name, (content, _) in made.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    seen = browse("broken", page, files=[tmp_path / name for name in made])
    for name, (_, words) in made.items():
        assert words in seen["texts"][str(tmp_path / name)], name
    refused = [text for name, text in seen["texts"].items() if "damaged.png" not in name]
    assert "Signs of" not in "".join(refused) and "signs of" not in "".join(refused)
    assert seen["errors"] == []


@pytest.fixture(scope="session")
def views(page, sample, tmp_path_factory):
    """Every view on a phone, on a tablet and as wide as a laptop, by day and in a dark room."""
    shots = os.environ.get("EYENET_SCREENSHOTS")
    patient, poor = pairs(sample, ["s0004"])["s0004"], sample / "s0003_right.jpeg"
    second = tmp_path_factory.mktemp("views") / "s0004_right_2.jpeg"
    shutil.copy(sample / "s0002_right.jpeg", second)
    return browse("views", page, patient=patient, poor=poor, second=second, screenshots=shots)


def test_every_view_is_accessible_fits_and_has_large_targets(views):
    seen = {name: view for name, view in views.items() if name not in ("print", "origin", "marked")}
    assert len(seen) == 60  # ten views in three sizes, light and dark
    for name, view in seen.items():
        assert view["violations"] == [], name
        assert view["wide"] <= 0, f"{name} is wider than the screen"
        assert view["small"] == [], name


def test_the_slider_marks_more_and_the_bare_photograph_is_one_tap_away(views):
    first, most, bare, again = views["marked"]
    assert len(most["path"]) > len(first["path"]) > 0 and again == most
    assert "30" in first["level"] and "10" in most["level"]
    assert len(first["shown"]) == 1 and "contours around areas that raised the score" in first["shown"][0]
    assert bare["shown"] == [f"Photograph of the {first['shown'][0].split()[0].lower()} eye"]


def test_the_letter_is_one_page_with_the_photographs_that_decided(views):
    """Also with several photographs of an eye and the longest entries; from the history it is the same."""
    printed = views["print"]
    assert printed["pages"] == {"A4": 1, "Letter": 1} and printed["spilt"] == []
    marked, nothing = (printed["letter"].count(words) for words in ("Evidence", "Nothing stood out"))
    assert marked + nothing == 2 and len(printed["pictures"]) == 2 + marked
    assert min(printed["pictures"]) >= 60  # pixels, 16 mm
    assert printed["letter"] == printed["again"]
    for words in ("Bed 4", "4 March 1957", "Long words", "not shown: 1", "not a medical device", "Signature"):
        assert words in printed["text"] and words in printed["letter"]
    assert "Delete" not in printed["text"] and "2999" not in printed["refused"]


def test_keyboard_and_history(page, model, sample):
    points = open_model(model, LITE_NETWORK)["decision"]["any"]["eye"]["operating_points"]
    seen = browse("keyboard", page, patient=pairs(sample, ["s0004"])["s0004"])
    assert len(seen["reached"]) >= 8 and all(place["outline"] for place in seen["reached"])
    assert seen["focused"] == "right" and "Keyboard 2" in seen["printed"]
    assert "Eye Clinic" in seen["printed"] and seen["clinic"] == "Eye Clinic"
    assert seen["announced"].startswith("Left eye: ")
    assert len(seen["kept"]) == 1 and "Keyboard" in seen["kept"][0]
    assert seen["spared"] == 1
    assert seen["point"] == "balanced"
    assert seen["row"]["questions"]["any"]["threshold"] == pytest.approx(points["balanced"], abs=1e-6)
    assert "No results yet" in seen["left"]


def test_the_operating_point_moves_the_decision_and_not_the_probability(page, model, sample):
    decision = open_model(model, LITE_NETWORK)["decision"]
    points = list(decision["any"]["eye"]["operating_points"])[:2]
    photographs = pairs(sample, ["s0002"])["s0002"]
    seen = browse("point", page, patient=photographs, points=points)
    answers = seen["answers"]
    assert all(said.count("not measured") == 2 for said in seen["measured"].values())
    for question in ("any", "referable"):
        given = [answers[point]["questions"][question] for point in points]
        assert given[0]["probability"] == given[1]["probability"]
        for point, answer in zip(points, given):
            assert answer["threshold"] == pytest.approx(decision[question]["eye"]["operating_points"][point], abs=1e-6)
            assert answer["disease"] == (answer["probability"] >= answer["threshold"])


def test_haste_and_a_closed_storage_lose_no_photograph(page, model, sample, tmp_path):
    """Photographs are chosen before the page is ready, and while others are graded; each is graded once."""
    patient = pairs(sample, ["s0002"])["s0002"]
    second, third = (tmp_path / f"s0002_right_{number}.jpeg" for number in (2, 3))
    for quality, path in ((90, second), (80, third)):
        Image.open(patient["right"]).save(path, quality=quality)
    given = {"patient": patient, "second": second, "third": third, "other": sample / "s0004_left.jpeg"}
    seen = browse("hurry", page, **given)
    assert seen["errors"] == []
    assert seen["early"] == ["s0002_right_2.jpeg", "s0002_right.jpeg"]  # the latest first
    assert seen["right"] == ["s0002_right_3.jpeg", "s0002_right.jpeg"] and seen["left"] == ["s0002_left.jpeg"]
    assert seen["removed"] == "Right eye: photograph removed."  # no answer while the left eye is being graded
    assert seen["refused"] == "Wait until the current patient's photographs have been checked."
    assert seen["known"].startswith("s0002_right.jpeg has already been added to this eye.")
    assert "Checking the photographs" in seen["meanwhile"] and "to grade" not in seen["meanwhile"].split("Left eye")[1]
    assert len(seen["rows"]) == 5
    expected = Screener(model).look(patient["right"])["questions"]["any"]
    for row in (seen["rows"][0], seen["rows"][-1]):
        assert row["questions"]["any"]["probability"] == pytest.approx(expected["probability"], abs=0.005)
        assert row["questions"]["any"]["threshold"] == expected["threshold"]
    assert "not saved in the history" in seen["full"]


def test_a_press_is_not_lost_when_the_evidence_arrives(page, sample):
    """Otherwise the next patient's photographs would join those of the patient who is still there."""
    seen = browse("pressed", page, file=sample / "s0002_left.jpeg")
    assert seen["evidence"] == 1 and seen["next"] and seen["errors"] == []


def test_what_is_removed_or_deleted_is_gone(page, sample):
    seen = browse("gone", page, patient=pairs(sample, ["s0002"])["s0002"])
    assert seen["counts"] == [1, 0, 1, 0]
    assert "Photograph the right eye" in seen["left"]


def test_files_that_may_not_be_one_patients_two_eyes_are_asked_about(page, sample, tmp_path):
    left, right = sample / "s0002_left.jpeg", sample / "s0002_right.jpeg"
    for name, source in (("0012_OD.jpeg", right), ("12 os.jpeg", left), ("13_OS.jpeg", left), ("copy.jpeg", right)):
        shutil.copy(source, tmp_path / name)
    drawn = {eye: REPO / "app/public/samples" / f"negative_{eye}.webp" for eye in ("right", "left")}
    ImageOps.mirror(Image.open(drawn["left"])).save(tmp_path / "again.webp", lossless=True)
    patients = {
        "good": {"right": tmp_path / "0012_OD.jpeg", "left": tmp_path / "12 os.jpeg"},
        "same": {"right": right, "left": tmp_path / "copy.jpeg"},
        "two": {"right": tmp_path / "0012_OD.jpeg", "left": tmp_path / "13_OS.jpeg"},
        "eye": {"right": drawn["right"], "left": tmp_path / "again.webp"},
    }
    found = browse("doubts", page, patients=patients)["found"]
    good = found.pop("good")
    assert "Both eyes" in good["asked"][0] and good["asked"] == good["then"] and not good["offered"]
    words = {
        "same": "The same photograph was chosen for both eyes",
        "two": "The file names belong to two patients: 0012 and 13",
        "eye": "negative_right.webp and again.webp seem to show the same eye: the optic disc is on the same side",
    }
    for name, seen in found.items():
        (asked,) = seen["asked"]
        assert words[name] in asked and "There is no result for the patient" in asked and "Signs of" not in asked
        assert "Please check the files" in seen["status"] and "the files were not checked" in seen["kept"]
        assert seen["offered"] == (name != "same")
        assert ("Both eyes" in seen["then"][0]) == (name != "same")


def altered(page, target, **changes):
    """Copy the page with another model.json."""
    shutil.copytree(page, target)
    described = json.loads((target / "model.json").read_text())
    rewrite(target / "model.json", json.dumps(described | changes))
    return target


def rewrite(path, text):
    """Change a file of the page; the server distinguishes versions by their times, in whole seconds."""
    time = path.stat().st_mtime
    path.write_text(text)
    os.utime(path, (time + 10, time + 10))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"preprocessing": 1}, "does not match this version of the program"),
        ({"model": {"file": "model.onnx.gz", "sha256": "0" * 64}}, "damaged or does not belong to this program"),
    ],
)
def test_a_network_that_does_not_fit_gets_a_sentence(page, sample, tmp_path, changes, words):
    seen = browse("unfit", altered(page, tmp_path / "dist", **changes), patient=pairs(sample, ["s0002"])["s0002"])
    assert words in seen["status"] and seen["busy"] == 0


def test_a_program_without_its_worker_says_that_it_could_not_start(page, sample, tmp_path):
    (worker,) = altered(page, tmp_path / "dist").glob("assets/worker-*.js")
    worker.unlink()
    seen = browse("unfit", tmp_path / "dist", patient=pairs(sample, ["s0002"])["s0002"])
    assert "The program could not start" in seen["status"] and seen["busy"] == 0


def test_a_network_of_drawings_says_so_everywhere(page, sample, tmp_path):
    """No answer looks like an all-clear, in any view, in the history and on paper."""
    drawn = altered(page, tmp_path / "dist", synthetic=True)
    seen = browse("drawn", drawn, patient=pairs(sample, ["s0001"])["s0001"])
    assert all(seen["banners"].values()) and len(seen["banners"]) == 6
    assert len(seen["titles"]) == 5 and all("Demonstration: " in title for title in seen["titles"])
    assert "Demonstration: " in seen["entry"] and seen["clear"] == 0


def renamed(page, target, number):
    """Copy the page as another version of the program, with a network that only this version accepts."""
    other = altered(page, target, name=f"network {number}", format=number)
    for path in (other / "index.html", other / "sw.js", *other.glob("assets/worker-*.js")):
        text = path.read_text()
        changed = re.sub(r"<title>EyeNet( \d)?", f"<title>EyeNet {number}", text)
        changed = re.sub(r"""(["'`])eyenet-(\d-)?""", rf"\1eyenet-{number}-", changed)
        changed = re.sub(r"\.format!==\d", f".format!=={number}", changed)
        assert changed != text, path
        rewrite(path, changed)
    return other


def test_a_new_network_and_a_new_program_reach_a_page_that_was_kept(page, tmp_path):
    """Each visit is of a whole version: a new program comes with its network."""
    before = ["EyeNet", json.loads((page / "model.json").read_text())["name"]]
    network = altered(page, tmp_path / "network", name="renewed")
    made = {("EyeNet", "renewed"): network, ("EyeNet 3", "network 3"): renamed(network, tmp_path / "program", 3)}
    steps = [{"other": folder, "expected": version} for version, folder in made.items()]
    seen = browse("renewed", page, steps=steps)["steps"]
    assert seen.pop(0) == [before]
    for versions, new in zip(seen, made, strict=True):
        assert len(versions) > 1 and versions == (len(versions) - 1) * [before] + [list(new)]
        before = list(new)


def impatient(page, target):
    """Copy the page with a shorter wait for a new version."""
    shutil.copytree(page, target)
    (script,) = target.glob("assets/index-*.js")
    text = script.read_text()
    assert text.count("=3e3") == 1  # TAKE_OVER in app/src/offline.ts
    rewrite(script, text.replace("=3e3", "=100"))
    return target


LATE = """const skip = self.skipWaiting.bind(self);
self.skipWaiting = () => undefined;
self.addEventListener("message", ({ data }) => void (data === "now" && skip()));
"""
GIVEN_UP = """const told = new Promise((_, fail) =>
  self.addEventListener("message", ({ data }) => void (data === "fail" && fail(new Error("told to")))),
);
self.addEventListener("install", (event) => event.waitUntil(told));
"""


def test_a_late_new_version_takes_no_patient_from_the_screen(page, sample, tmp_path):
    """Without a patient the page reloads by itself; with one, the new version has the next visit."""
    made, base = {}, impatient(page, tmp_path / "dist")
    before = base
    for number, name, script in ((3, "second", LATE), (4, "third", ""), (5, "failing", GIVEN_UP)):
        before = made[name] = renamed(before, tmp_path / name, number)  # the third is late like the second
        rewrite(before / "sw.js", script + (before / "sw.js").read_text())
    seen = browse("late", base, **made, patient=pairs(sample, ["s0002"])["s0002"])
    assert seen["alone"] == ["EyeNet 3", "network 3", False]
    assert seen["given_up"] == seen["present"] == ["EyeNet 3", "network 3", True]
    assert "s0002_right" in seen["card"] and "DR" in seen["then"]
    assert seen["next"] == ["EyeNet 4", "network 4"]
