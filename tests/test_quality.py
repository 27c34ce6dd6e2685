"""The quality gate: results for good, degraded and other pictures, and their use in preprocess_images.py."""

import functools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import (
    REAL,
    REPO,
    bytes_of,
    draw_photograph,
    make_dataset,
    needs_real,
    one_sentence,
    read_csv,
    run,
    run_stages,
)
from PIL import Image

from benchmarks import degraded
from eyenet.data.array import open_array
from eyenet.photo import quality
from eyenet.photo.colours import equalize
from eyenet.photo.png import encode_png
from eyenet.photo.retina import inside_circle, photograph_to_input
from eyenet.run.errors import PhotoError

GOOD = ("1034_left", "13_right", "260_left", "17_right", "240_right", "288_left")  # good for EyeQ and jama16
REJECTED = ("1119_left", "679_left", "1092_left", "721_right", "404_right", "99_left", "75_right", "793_right")
PICTURES = degraded.pictures()


def judge(image, folder, size=256, equalized=False):
    """Judge a picture from a file, as predict.py does."""
    image.save(folder / "photograph.png", compress_level=1)
    crop, geometry = photograph_to_input(folder / "photograph.png", size)
    return quality.judge(equalize(crop, inside_circle(size)) if equalized else crop, geometry)


@functools.cache
def real(name, folder="eyepacs-1024"):
    return Image.open(REAL / folder / "train" / f"{name}.jpeg").convert("RGB")


@needs_real("eyepacs-1024")
@pytest.mark.parametrize("equalized", [False, True])
def test_good_photographs_pass_and_rejected_ones_do_not(tmp_path, equalized):
    for name in GOOD:
        found = judge(real(name), tmp_path, equalized=equalized)
        assert found.gradable and found.reasons == () and found.score < 0.2, (name, found)
        assert found.measures["equalized"] == equalized
    caught = [judge(real(name), tmp_path, equalized=equalized) for name in REJECTED]
    assert sum(not found.gradable for found in caught) >= len(REJECTED) - 2 * equalized
    assert all(bool(found.reasons) != found.gradable for found in caught)


@needs_real("eyepacs-1024")
@pytest.mark.parametrize("kind", [*degraded.FITTED, *degraded.OTHERS])
def test_worsened_copies_are_stopped_with_the_reason(tmp_path, kind):
    make, words = {**degraded.FITTED, **degraded.OTHERS}[kind]
    named = 0
    for name in GOOD[::2]:
        try:
            found = judge(make(real(name)), tmp_path)
        except PhotoError as error:
            assert "no retina found" in str(error) and ("inside" in kind or "cut off" in kind)
            named += 1
            continue
        named += words in found.reasons if words else found.gradable
    assert named >= 2, f"{named} of 3"


@pytest.mark.parametrize("name", PICTURES)
def test_other_pictures_are_no_retina(tmp_path, name):
    try:
        found = judge(PICTURES[name], tmp_path)
    except PhotoError as error:
        assert "no retina found" in str(error)
        return
    assert not found.gradable
    if name != "orange":  # smooth, round and orange: cannot be distinguished from a retina out of focus
        assert found.reasons == ("not a fundus photograph",)


def grey_copies(image):
    """Copies without colour: grey, the green channel alone in all channels or in green, and infrared."""
    red, green, _ = image.split()
    none = Image.new("L", image.size)
    copies = [(green, green, green), (none, green, none), (red, red, red), (red, none, none)]
    return [image.convert("L"), *(Image.merge("RGB", copy) for copy in copies)]


@pytest.mark.parametrize("folder, step", [("eyepacs-1024/train", 120), ("diaretdb1/photographs", 45)])
def test_a_photograph_without_colour_is_none(tmp_path, folder, step):
    """In five ways each; none of their originals is called grey."""
    if not (REAL / folder).exists():
        pytest.skip(f"no real photographs in {REAL / folder} (set EYENET_REAL_DATA)")
    for path in sorted((REAL / folder).iterdir())[::step]:
        original = Image.open(path).convert("RGB")
        original = original.resize((512, round(512 * original.height / original.width)), Image.Resampling.HAMMING)
        assert "not a colour photograph" not in judge(original, tmp_path).reasons
        for number, copy in enumerate(grey_copies(original)):
            found = judge(copy, tmp_path)
            if found.reasons != ("too dark",):
                assert (found.gradable, found.reasons) == (False, ("not a colour photograph",)), (path.name, number)


@needs_real("eyepacs-256eq")
def test_equalised_photographs_have_colour(tmp_path):
    for path in sorted((REAL / "eyepacs-256eq" / "train").iterdir())[::200]:
        try:
            found = quality.judge(*photograph_to_input(path))
        except PhotoError:  # some of these have a grey surround
            continue
        assert "not a colour photograph" not in found.reasons and found.measures["colour"] > 2 * quality.COLOUR


def test_a_black_frame_is_too_dark():
    black = np.random.default_rng(0).integers(0, 5, (256, 256, 3)).astype(np.uint8)
    found = quality.judge(black, {})
    assert (found.gradable, found.score, found.reasons) == (False, 1.0, ("too dark",))


def worsened(reasons):
    """Measures of a typical natural photograph, worse by some log odds for each reason."""
    fit, names = quality.weights()["natural"], {reason: name for name, reason in quality.REASONS.items()}
    measures = {name: w["typical"] for name, w in fit["measures"].items()} | {"clipped": 0.03, "equalized": 0}
    measures |= {"colour": 0.1, "red_green": 0.3, "green_blue": 0.3}
    for reason, odds in reasons.items():
        name = {"out of focus": "vessels"}.get(reason, names[reason])
        measures[name] += odds / fit["measures"][name]["weight"]
    return measures


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        ({}, ["detail lost"]),
        ({"too dark": 6.0, "low contrast": 0.7}, ["too dark", "detail lost", "low contrast"]),
        ({"too dark": 3.5, "out of focus": 3.2, "low contrast": 0.3}, ["detail lost", "too dark", "out of focus"]),
    ],
)
def test_every_reason_is_told_in_the_order_of_its_weight(reasons, told):
    """Lost detail weighs what makes a typical photograph poor; what weighs less than 0.5 log odds is not told."""
    measures = worsened(reasons)
    found = quality.judge_measures(measures | {"clipped": quality.FLATTENED})
    assert (list(found.reasons), found.gradable) == (told, False)
    without = [reason for reason in told if reason != "detail lost"]
    assert list(quality.judge_measures(measures).reasons) == without


@needs_real("eyepacs-full")
def test_the_pixels_of_the_camera_do_not_count(tmp_path):
    for path in sorted((REAL / "eyepacs-full" / "train").glob("*.jpeg"))[::5]:
        original = Image.open(path).convert("RGB")
        whole = quality.judge(*photograph_to_input(path))
        for width in (2000, 800):
            size = (width, round(width * original.height / original.width))
            found = judge(original.resize(size, Image.Resampling.LANCZOS), tmp_path)
            assert found.gradable == whole.gradable and abs(found.score - whole.score) < 0.25, (path.name, width)


@needs_real("eyepacs-1024")
def test_the_size_of_the_crop_hardly_counts(tmp_path):
    for name in GOOD[::2]:
        found = [judge(real(name), tmp_path, size) for size in (256, 320, 512)]
        assert all(f.gradable for f in found)
        assert max(f.score for f in found) - min(f.score for f in found) < 0.1
    for name in ("1119_left", "679_left"):
        assert not judge(real(name), tmp_path, quality.SMALLEST).gradable


@needs_real("eyepacs-1024")
def test_turned_photographs_score_alike(tmp_path):
    for name in GOOD[::2] + REJECTED[:2]:
        score = judge(real(name), tmp_path).score
        for turn in (Image.Transpose.ROTATE_90, Image.Transpose.FLIP_LEFT_RIGHT):
            assert abs(score - judge(real(name).transpose(turn), tmp_path).score) < 0.15, name


def test_it_imports_nothing_heavy():
    code = "import sys, eyenet.photo.quality; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert not {"scipy", "pandas", "sklearn", "keras", "tensorflow", "matplotlib", "skimage"} & set(done.stdout.split())


def test_the_weights_say_what_made_them():
    made = json.loads(quality.WEIGHTS.read_text())
    assert made["made"].keys() >= {"data", "photographs", "rejected", "patients", "date", "commit", "by"}
    rows = {row["measured"]: row for row in read_csv(REPO / "benchmarks" / "results" / "quality.csv")}
    for kind in ("natural", "equalized"):
        assert float(rows[f"{kind}: AUC"]["value"]) >= 0.9 and 0 < made[kind]["threshold"] < 1
        assert set(made[kind]["measures"]) <= set(quality.REASONS)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Crops as from resize_images.py: every second one is blurred completely, and one is black."""
    tmp_path = tmp_path_factory.mktemp("drawn")
    folder = tmp_path / "resized"
    folder.mkdir()
    rows = [("image", "level")]
    for patient in range(12):
        for eye in ("left", "right"):
            picture = draw_photograph(256, 256, radius=128, seed=patient, dots=6)
            if eye == "right":
                picture = np.asarray(degraded.blur(Image.fromarray(picture), 0.04))
            if (patient, eye) == (3, "left"):
                picture = picture // 60
            picture = picture * inside_circle(256)[..., None].view(np.uint8)
            (folder / f"h{patient}_{eye}.png").write_bytes(encode_png(picture, {"visible": 1.0}))
            rows.append((f"h{patient}_{eye}", 2 * (patient % 2)))
    (tmp_path / "trainLabels.csv").write_text("".join(f"{a},{b}\n" for a, b in rows))
    return tmp_path


@pytest.fixture
def crops(drawn, tmp_path):
    """A copy of the crops, for tests that change them."""
    return shutil.copytree(drawn, tmp_path / "crops")


def preprocess(folder, output="out", *args, **options):
    return run(
        *("preprocess_images.py", "--input", folder / "resized", "--output", folder / output),
        *("--labels", folder / "trainLabels.csv", "--labels-out", folder / f"{output}.csv"),
        *("--figures", folder / "figures", *args),
        **options,
    )


@pytest.fixture(scope="module")
def once(drawn, tmp_path_factory):
    """The crops after a first run, and what it said."""
    folder = shutil.copytree(drawn, tmp_path_factory.mktemp("once") / "crops")
    return folder, preprocess(folder)


@pytest.fixture
def marked(once, tmp_path):
    """A copy of the crops after a first run, for tests that change them."""
    return shutil.copytree(once[0], tmp_path / "marked")


def test_mark_is_the_default_and_tells_in_two_columns(once):
    crops, done = once
    rows = read_csv(crops / "out.csv")
    assert list(rows[0]) == ["image", "patient", "eye", "level", "split", "quality", "gradable"]
    assert len(rows) == 23 and "h3_left" not in {row["image"] for row in rows}
    for row in rows:
        assert row["gradable"] in "01" and 0 <= float(row["quality"]) <= 1
    blurred = [row for row in rows if row["eye"] == "right"]
    assert all(row["gradable"] == "0" for row in blurred)
    listed = {row["image"]: row for row in read_csv(crops / "out" / "quality.csv")}
    assert listed.keys() == {row["image"] for row in rows}
    assert all("out of focus" in listed[row["image"]]["reasons"] for row in blurred)
    assert "ungradable among 23 photographs" in done.stderr and "out of focus" in done.stderr


def test_many_black_photographs_count_as_rejected(crops):
    """One of 24 is black on purpose; two are more than 5 %."""
    black = np.zeros((256, 256, 3), np.uint8)
    (crops / "resized" / "h4_left.png").write_bytes(encode_png(black, {"visible": 1.0}))
    done = preprocess(crops, code=3)
    assert "all black: 2 of 24 photographs, more than 5%; they count towards --max-rejected" in done.stderr
    for file in ("rejected.csv", "dropped.csv"):
        assert {row["image"] for row in read_csv(crops / "out" / file)} >= {"h3_left", "h4_left"}
    preprocess(crops, "out", "--max-rejected", 0.1)


def test_keep_judges_nothing(once, marked):
    done = preprocess(marked, "out", "--quality", "keep")
    assert list(read_csv(marked / "out.csv")[0]) == ["image", "patient", "eye", "level", "split"]
    assert "ungradable" not in done.stderr and not (marked / "out" / "quality.csv").exists()
    preprocess(marked)  # switching to mark and back gives the result of a first run
    assert bytes_of(marked / "out") == bytes_of(once[0] / "out")


def test_drop_leaves_the_ungradable_out(marked):
    poor = {row["image"] for row in read_csv(marked / "out.csv") if row["gradable"] == "0"}
    sharp = {row["image"] for row in read_csv(marked / "out.csv")} - poor
    done = preprocess(marked, "drop", "--quality", "drop")
    rows = read_csv(marked / "drop.csv")
    assert {row["image"] for row in rows} == sharp == {p.stem for p in (marked / "drop").glob("*.png")} != set()
    assert f"dropped {len(poor)}, ungradable by the quality gate" in done.stderr
    dropped = {row["image"]: row["reason"] for row in read_csv(marked / "drop" / "dropped.csv")}
    assert dropped.keys() == poor | {"h3_left"}
    assert all("ungradable by the quality gate: " in dropped[image] for image in poor)
    assert {row["image"] for row in read_csv(marked / "drop" / "quality.csv")} == poor | sharp
    one_sentence(preprocess(marked, "out", "--quality", "drop", code=1), "other settings", "quality")


def test_a_second_run_judges_nothing_again_and_has_the_whole_column(once, marked):
    whole = bytes_of(once[0] / "out"), (once[0] / "out.csv").read_bytes()
    notes = marked / "out" / ".quality"
    notes.write_text(notes.read_text().replace('"quality": ', '"quality": 0.5, "was": '))  # a mark of the first run
    preprocess(marked)
    assert {row["quality"] for row in read_csv(marked / "out.csv")} == {"0.5"}
    lines = notes.read_text().splitlines()
    notes.write_text("\n".join(["other weights", *lines[1:]]) + "\n")
    preprocess(marked)
    assert (bytes_of(marked / "out"), (marked / "out.csv").read_bytes()) == whole
    notes.write_bytes(notes.read_bytes()[: len(notes.read_bytes()) // 2])  # killed in the middle of a line
    preprocess(marked)
    assert (bytes_of(marked / "out"), (marked / "out.csv").read_bytes()) == whole


def test_a_replaced_photograph_is_judged_again(marked):
    sharp, blurred = (marked / "resized" / f"h5_{eye}.png" for eye in ("left", "right"))
    blurred.write_bytes(sharp.read_bytes())
    preprocess(marked)
    score = {row["image"]: row["quality"] for row in read_csv(marked / "out.csv")}
    assert score["h5_right"] == score["h5_left"]


def test_later_steps_carry_the_columns(tmp_path):
    work = run_stages(make_dataset(tmp_path / "source", patients=4), tmp_path, size=256)
    marked = {row["image"]: row["gradable"] for row in read_csv(work / "preprocessed.csv")}
    _, table, _ = open_array(work / "array")
    for row in table.to_dict("records"):
        name = f"{row['patient']}_{row['eye']}"
        assert row["gradable"] == marked[name if name in marked else f"h{name}"]


def test_small_crops_are_not_judged(dataset, tmp_path):
    work = run_stages(dataset, tmp_path, upto=3)
    assert "gradable" not in read_csv(work / "preprocessed.csv")[0]
    drop = ("--input", work / "resized", "--output", work / "out", "--labels", dataset / "trainLabels.csv")
    one_sentence(
        run("preprocess_images.py", *drop, "--labels-out", work / "out.csv", "--quality", "drop", code=1), "64 px"
    )
