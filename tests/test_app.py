"""The offline page in a real browser: app/tests/browser.mjs drives Chromium, and Python says what is right."""

import base64
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import REAL, REPO, needs_real, run
from PIL import Image

from benchmarks.materials import make_model
from eyenet.models import LITE, open_model
from eyenet.photo import crop_photograph, in_colours
from eyenet.screener import Screener
from eyenet.stage import NoRetina

APP = REPO / "app"
BROWSER = os.environ.get("EYENET_BROWSER") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (found := shutil.which(name))),
    None,
)
MISSING = next(
    (
        reason
        for reason, missing in {
            "no Chromium or Chrome (set EYENET_BROWSER)": BROWSER is None,
            "no Node.js and npm": shutil.which("node") is None or shutil.which("npm") is None,
        }.items()
        if missing
    ),
    None,
)
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"the page is not tested: {MISSING}")
MEGABYTES = 15
SECONDS = 2.0  # from choosing a photograph of 10 megapixels to its result


def node(*command):
    return subprocess.run(command, cwd=APP, check=False, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="session")
def template():
    """The built page: npm ci where node_modules is not there or is of another lock file, then npm run build."""
    installed = APP / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (APP / "package-lock.json").stat().st_mtime:
        done = node("npm", "ci")
        if done.returncode:
            pytest.skip(f"the page is not tested: npm ci failed: {done.stderr.strip()[-300:]}")
    done = node("npm", "run", "build")
    assert done.returncode == 0, done.stdout + done.stderr
    return APP / "dist-template"


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """Synthetic photographs: s0002 and s0004 have retinopathy, s0001 has none, s0003_right is black."""
    folder = tmp_path_factory.mktemp("sample")
    run("make_sample.py", "--photographs", 10, "--output", folder, "--labels-out", folder / "labels.csv")
    return folder / "train"


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    given = os.environ.get("EYENET_MODEL")
    return REPO / given if given else make_model(tmp_path_factory.mktemp("model") / "three", "three_layers")


def make_page(model, photographs, target):
    run("export_model.py", "--format", "app", "--model", model, "--photos", photographs, "--output", target)
    return target


@pytest.fixture(scope="session")
def page(template, model, sample, tmp_path_factory):
    """The finished page of the model."""
    pytest.importorskip("tf2onnx", reason="the page is not tested: pip install -r requirements-export.txt")
    return make_page(model, sample, tmp_path_factory.mktemp("page") / "dist")


def browse(scenario, dist, **options):
    """Run a scenario of app/tests/browser.mjs; give what it saw."""
    options |= {"scenario": scenario, "dist": str(dist), "browser": BROWSER, "python": sys.executable}
    done = node("node", "tests/browser.mjs", json.dumps(options, default=str))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def pixels_of(text, size=256):
    """Read pixels as browser.mjs writes them; uint8, (size, size, 3)."""
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(size, size, 3)


def compare(seen, model, paths, close=0.005):
    """Hold photographs that the page graded against Python; give the seconds that each took.

    `close` is how far probabilities may lie apart: 0.02 for large JPEGs, which Pillow decodes at a fraction.
    """
    screener = Screener(model, None, None)
    for path in paths:
        page, expected = seen["photographs"][str(path)], screener.look(path)
        row = page["row"]
        try:
            crop, geometry = crop_photograph(path, 256)
        except NoRetina:
            assert row["result"] == expected["result"] and row["reasons"] == expected["reasons"]
            continue
        for place in ("center_x", "center_y", "radius"):
            assert abs(page["geometry"][place] - geometry[place]) <= 0.01 * geometry["radius"], path
        assert (page["geometry"]["width"], page["geometry"]["height"]) == (geometry["width"], geometry["height"])
        error = np.mean((pixels_of(page["crop"]).astype(float) - crop) ** 2)
        assert error <= 255**2 / 10**4, f"{path}: {10 * np.log10(255**2 / error):.1f} dB"
        assert abs(row["quality"] - expected["quality"]) <= 2 * close, path
        assert ("questions" in row) == ("questions" in expected), path  # the verdict of the quality gate
        if "questions" not in row:
            assert row["reasons"] == expected["reasons"] and page["heat"] == 0 < page["picture"]
            continue
        assert page["heat"] > 0
        mine = in_colours(pixels_of(page["crop"]), screener.colours)  # of the same crop to the byte
        assert np.array_equal(pixels_of(page["input"]), mine), path
        for question, answer in expected["questions"].items():
            given = row["questions"][question]
            assert abs(given["probability"] - answer["probability"]) <= close, path
            assert given["threshold"] == answer["threshold"]
            if abs(answer["probability"] - answer["threshold"]) > close:
                assert given["disease"] == answer["disease"]
        assert abs(row["expected_grade"] - expected["expected_grade"]) <= 5 * close
    return [seen["photographs"][str(path)]["seconds"] for path in paths]


def pairs(folder, patients):
    return {name: {eye: folder / f"{name}_{eye}.jpeg" for eye in ("right", "left")} for name in patients}


def paths_of(patients):
    return [path for eyes in patients.values() for path in eyes.values()]


def check_alone(seen):
    """Check that the page asked nobody but its own server, and broke no rule of its policy."""
    assert seen["requests"]
    assert all(url.startswith((seen["origin"] + "/", f"blob:{seen['origin']}/")) for url in seen["requests"])
    assert seen["refused"] == [] and seen["errors"] == []
    assert seen["status"].startswith("Ready. No internet is needed.")


def test_offline_it_grades_as_python_does_and_asks_nobody(page, model, sample):
    patients = pairs(sample, ["s0001", "s0002", "s0003", "s0004"])
    seen = browse("grade", page, patients=patients, crops=True)
    check_alone(seen)
    compare(seen, model, paths_of(patients))
    screener = Screener(model, None, None)
    for name, eyes in patients.items():
        rows = {eye: [screener.look(path)] for eye, path in eyes.items()}
        assert seen["patients"][name] == screener.join(rows)["result"]
    assert seen["outside"].startswith("refused connect-src https://example.org")
    assert "default-src 'none'" in seen["worker_policy"] and "https:" not in seen["worker_policy"]
    black = seen["photographs"][str(sample / "s0003_right.jpeg")]
    assert black["row"]["reasons"] == ["too dark"] and "Photograph this eye again" in black["text"]


def test_png_exif_grey_and_small_photographs(page, model, sample, tmp_path):
    picture = Image.open(sample / "s0002_left.jpeg")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned_left.jpeg", quality=95, exif=exif)
    picture.reduce(3).save(tmp_path / "whole_left.png")
    picture.reduce(3).convert("RGBA").save(tmp_path / "clear_left.png")
    picture.reduce(3).convert("L").save(tmp_path / "grey_left.jpeg", quality=95)
    picture.resize((300, 200)).save(tmp_path / "small_left.jpeg", quality=95)
    picture.resize((100, 66)).save(tmp_path / "tiny_left.jpeg", quality=95)
    picture.save(tmp_path / "stairs_left.jpeg", quality=95, progressive=True)
    patients = {path.stem: {"left": path} for path in sorted(tmp_path.iterdir())}
    seen = browse("grade", page, patients=patients, crops=True)
    check_alone(seen)
    compare(seen, model, paths_of(patients))


@needs_real("eyepacs-full")
def test_real_originals_in_time(page, model):
    patients = pairs(REAL / "eyepacs-full" / "train", ["10", "13", "15", "16", "17"])
    seen = browse("grade", page, patients=patients, crops=True)
    check_alone(seen)
    seconds = dict(zip(paths_of(patients), compare(seen, model, paths_of(patients), 0.02)))
    ten = REAL / "eyepacs-full" / "train" / "16_left.jpeg"  # 3888 x 2592
    assert seconds[ten] < SECONDS


@needs_real("eyepacs-1024")
def test_real_photographs_good_and_poor(page, model):
    folder = REAL / "eyepacs-1024" / "train"
    names = sorted({path.stem.rsplit("_", 1)[0] for path in folder.glob("*.jpeg")})[::16]
    patients = pairs(folder, names)
    seen = browse("grade", page, patients=patients, crops=True)
    compare(seen, model, paths_of(patients))
    assert {"questions" in photograph["row"] for photograph in seen["photographs"].values()} == {True, False}


def test_the_download_is_small(template, page):
    total = sum(path.stat().st_size for path in page.rglob("*") if path.is_file())
    network = (page / "model.onnx.gz").stat().st_size
    assert total - network < 5e6  # so that 10 MB are left for a network; EfficientNet-Lite0 needs 7.5
    assert total < MEGABYTES * 1e6
    assert not list(template.rglob("*.wasm"))


def test_what_is_no_photograph_gets_a_sentence(page, sample, tmp_path):
    data = (sample / "s0001_left.jpeg").read_bytes()
    png = tmp_path / "large.png"
    Image.new("1", (20_000, 20_000)).save(png)
    rng = np.random.default_rng(0)
    fur = np.repeat(np.repeat(rng.integers(60, 220, (60, 80, 3)), 8, axis=0), 8, axis=1).astype(np.uint8)
    Image.fromarray(fur).save(tmp_path / "cat.jpeg")
    made = {
        "cut.jpeg": (data[: len(data) // 2], "the end of the file is missing"),
        "cut.png": (None, "the end of the file is missing"),
        "large.png": (None, "20000 x 20000 pixels, more than the 100 million"),
        "cat.jpeg": (None, "No retina is to be seen"),
        "phone.heic": (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000),
            "HEIC photograph, which this browser cannot",
        ),
        "empty.jpeg": (b"", "The file is empty"),
        "letter.jpeg": (b"Dear colleague, ..." * 50, "not a photograph that a browser can read"),
        "noise.jpeg": (data[:4000] + bytes(rng.integers(0, 255, 4000, np.uint8)) + b"\xff\xd9", ""),
        "picture.tiff": (b"II*\0" + bytes(500), "TIFF"),
        "scan.dcm": (bytes(128) + b"DICM" + bytes(500), "DICOM"),
    }
    Image.open(sample / "s0001_left.jpeg").reduce(4).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) * 2 // 3])
    for name, (content, _) in made.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    seen = browse("broken", page, files=[tmp_path / name for name in made])
    for name, (_, words) in made.items():
        assert words in seen["texts"][str(tmp_path / name)], name
    assert "Signs of" not in "".join(seen["texts"].values())
    assert seen["errors"] == []


@pytest.fixture(scope="session")
def views(page, sample):
    """Every view on a phone, in a dark room and on a laptop."""
    shots = os.environ.get("EYENET_SCREENSHOTS")
    return browse("views", page, patient=pairs(sample, ["s0004"])["s0004"], screenshots=shots)


def test_every_view_is_accessible_fits_and_has_large_targets(views):
    seen = {name: view for name, view in views.items() if name not in ("print", "origin")}
    assert len(seen) == 18
    for name, view in seen.items():
        assert view["violations"] == [], name
        assert view["wide"] <= 0, f"{name} is wider than the screen"
        assert view["small"] == [], name


def test_a_printed_result_is_one_page_with_both_pictures_of_both_eyes(views):
    printed = views["print"]
    assert printed["pages"] == 1 and printed["pictures"] in (2, 4)
    assert "Bed 4" in printed["text"] and "not a medical device" in printed["text"] and "Checked by" in printed["text"]
    assert "Delete" not in printed["text"]


def test_keyboard_and_history(page, sample):
    seen = browse("keyboard", page, patient=pairs(sample, ["s0004"])["s0004"])
    assert len(seen["reached"]) >= 8 and all(place["outline"] for place in seen["reached"])
    assert seen["focused"] == "right" and "Keyboard 2" in seen["printed"]
    assert seen["announced"].startswith("Left eye: ")
    assert len(seen["kept"]) == 1 and "Keyboard" in seen["kept"][0]
    assert seen["spared"] == 1
    assert "Nothing yet" in seen["left"]


def test_the_operating_point_moves_the_decision_and_not_the_probability(page, model, sample):
    points = ["sensitivity_0.95", "specificity_0.95"]
    photographs = pairs(sample, ["s0002"])["s0002"]
    answers = browse("point", page, patient=photographs, points=points)["answers"]
    decision = open_model(model, LITE)["decision"]
    for question in ("any", "referable"):
        given = [answers[point]["questions"][question] for point in points]
        assert given[0]["probability"] == given[1]["probability"]
        for point, answer in zip(points, given):
            assert answer["threshold"] == pytest.approx(decision[question]["eye"]["operating_points"][point], abs=1e-6)
            assert answer["disease"] == (answer["probability"] >= answer["threshold"])


def test_a_new_network_reaches_a_page_that_was_kept(page, tmp_path):
    other = tmp_path / "dist"
    shutil.copytree(page, other)
    described = json.loads((other / "model.json").read_text())
    # The same network in another packing: a checksum of its own is not needed to see which description is used.
    (other / "model.json").write_text(json.dumps(described | {"name": "another"}))
    names = browse("renewed", page, other=other)["names"]
    assert names == [described["name"], described["name"], "another"]
