"""make_sample.py, run as a user would with few photographs; drawn eyes match their grades."""

import csv
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import first_of
from PIL import Image, ImageFilter, ImageOps

import make_sample
from eyenet.sample.eye import draw_look, make_anatomy, paint_eye
from eyenet.sample.shapes import CANVAS, EDGE, grid

REPOSITORY = Path(__file__).resolve().parent.parent
BLACK, TRUNCATED = "s0003_right", "s0005_left"
PALE, TURNED, INVERTED = "s0006_left", "s0007_right", "s0015_left"


def command(folder, *options):
    """Return the command line of a run that writes to `folder`."""
    line = [sys.executable, str(REPOSITORY / "make_sample.py"), "--output", str(folder / "download")]
    return [*line, "--labels-out", str(folder / "labels.csv"), *options]


def run(folder, *options):
    """Run the script and return its finished process, with output as text."""
    return subprocess.run(command(folder, *options), check=False, capture_output=True, text=True, timeout=1800)


def read_labels(folder):
    """Read the label table as (image, level) pairs."""
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["image", "level"]
    return [(name, int(level)) for name, level in rows[1:]]


def photographs(folder):
    """Read the bytes of every photograph by name."""
    return {path.stem: path.read_bytes() for path in (folder / "download" / "train").glob("*.jpeg")}


def open_upright(folder, name):
    """Open a photograph with its EXIF orientation applied."""
    return ImageOps.exif_transpose(Image.open(folder / "download" / "train" / f"{name}.jpeg"))


def disc_side(picture):
    """Return the side of the brightest spot of the size of an optic disc."""
    small = np.asarray(picture.convert("RGB").resize((150, 100)).filter(ImageFilter.GaussianBlur(2)))[..., 1]
    return "left" if np.argmax(small.max(axis=0)) < 75 else "right"


@pytest.fixture(scope="module")
def sample(sample, tmp_path_factory):
    """The first 32 photographs of the sample, in the folders of `command`."""
    folder = tmp_path_factory.mktemp("sample")
    first_of(sample, 32, folder / "download")
    shutil.copy(sample / "train" / "stage.json", folder / "download" / "train")
    (folder / "download" / "trainLabels.csv").rename(folder / "labels.csv")
    return folder


def test_names_and_labels_match(sample):
    expected = [f"s{patient:04d}_{eye}" for patient in range(1, 17) for eye in ("left", "right")]
    labels = read_labels(sample)
    assert [name for name, _ in labels] == expected
    assert sorted(photographs(sample)) == expected
    assert {level for _, level in labels} == {0, 1, 2, 3, 4}


def test_the_accidents_are_there(sample):
    assert np.asarray(open_upright(sample, BLACK)).mean() < 3
    truncated = Image.open(sample / "download" / "train" / f"{TRUNCATED}.jpeg")  # its header is complete
    with pytest.raises(OSError, match="truncated"):
        truncated.load()


def test_every_other_photograph_is_whole_and_not_black(sample):
    for name in photographs(sample):
        if name not in (BLACK, TRUNCATED):
            assert np.asarray(open_upright(sample, name)).mean() > 10, name


def test_the_cameras_differ(sample):
    folder = sample / "download" / "train"
    pictures = {name: Image.open(folder / f"{name}.jpeg") for name in photographs(sample)}
    assert len({picture.size for picture in pictures.values()}) >= 10
    assert {picture.getexif().get(0x0112, 1) for picture in pictures.values()} == {1, 3, 6, 8}
    spread = {name: np.ptp(np.asarray(pictures[name]).mean(axis=(0, 1))) for name in (PALE, "s0001_left")}
    assert 3 < spread[PALE] < spread["s0001_left"] / 2  # a pale camera, but not a grey one
    rows_cut_off = np.asarray(pictures["s0002_left"].convert("L"))[[0, -1]]
    rows_in_full = np.asarray(pictures["s0001_left"].convert("L"))[[0, -1]]
    assert rows_cut_off.max(axis=1).min() > 40 and rows_in_full.max() < 20


def test_the_disc_is_on_the_nasal_side(sample):
    assert disc_side(open_upright(sample, "s0001_left")) == "left"
    assert disc_side(open_upright(sample, "s0001_right")) == "right"
    assert disc_side(open_upright(sample, INVERTED)) == "right"


def test_exif_says_how_to_turn_the_picture(sample):
    stored = Image.open(sample / "download" / "train" / f"{TURNED}.jpeg")
    upright = open_upright(sample, TURNED)
    assert stored.height > stored.width and upright.width > upright.height
    assert disc_side(upright) == "right"


def test_another_seed_gives_another_photograph():
    first = make_sample.take_photograph(0, 1, "left", 0)
    assert first == make_sample.take_photograph(0, 1, "left", 0)
    assert first != make_sample.take_photograph(1, 1, "left", 0)
    assert first != make_sample.take_photograph(0, 1, "right", 0)


def test_killed_and_run_again_on_one_core_with_another_count_gives_the_same_bytes(sample, tmp_path):
    options = ["--photographs", "5", "--workers", "1"]  # rounded up to whole patients
    process = subprocess.Popen(command(tmp_path, *options), stderr=subprocess.DEVNULL)
    train = tmp_path / "download" / "train"
    while not list(train.glob("*.jpeg")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in train.glob("*.jpeg")}
    assert 0 < len(before) < 6
    done = run(tmp_path, *options)
    summary, following = done.stdout.splitlines()
    assert "6 synthetic photographs" in summary and f"({6 - len(before)} new)" in summary
    assert following == f"next: python resize_images.py --input {train}"
    assert before.items() <= {path: path.stat().st_mtime_ns for path in train.glob("*.jpeg")}.items()
    whole = photographs(sample)
    assert photographs(tmp_path) == {name: whole[name] for name in sorted(whole)[:6]}
    assert read_labels(tmp_path) == read_labels(sample)[:6] and b"\r" not in (tmp_path / "labels.csv").read_bytes()
    assert not list(train.glob(".tmp-*"))


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--photographs", "0"], "too few"),
        (["--photographs", "1"], "too few"),
        (["--photographs", "many"], "--photographs"),
        (["--seed", "-1"], "negative"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_a_wrong_option_is_answered_by_a_sentence(tmp_path, capsys, monkeypatch, options, sentence):
    monkeypatch.setattr(sys, "argv", command(tmp_path, *options)[1:])
    with pytest.raises(SystemExit) as left:
        make_sample.main()
    assert left.value.code == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_labels_of_other_photographs_are_kept(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("image,level\n10_left,0\n")
    done = run(tmp_path, "--photographs", "2")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "10_left" in done.stderr
    assert table.read_text() == "image,level\n10_left,0\n"


def test_a_folder_of_another_seed_is_not_mixed(sample):
    before = photographs(sample), read_labels(sample)
    done = run(sample, "--photographs", "2", "--seed", "7")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert (photographs(sample), read_labels(sample)) == before


def test_grades_and_accidents_are_as_frequent_as_in_kaggles_set():
    patients = range(21, 6021)
    grades = [make_sample.draw_grades(3, patient) for patient in patients]
    levels = np.array([[pair["left"], pair["right"]] for pair in grades])
    for eye in (0, 1):
        shares = np.bincount(levels[:, eye], minlength=5) / len(levels)
        assert np.abs(shares - make_sample.PREVALENCE).max() < 0.02
    assert abs(np.mean(levels[:, 0] == levels[:, 1]) - 0.87) < 0.02
    accidents = [make_sample.draw_accident(3, patient, eye) for patient in patients for eye in ("left", "right")]
    for kind in ("all-black", "truncated"):
        assert 0.006 < accidents.count(kind) / len(accidents) < 0.014


def paint(level, seed=5):
    """Paint one eye with another grade; look and anatomy stay."""
    return paint_eye(np.random.default_rng(seed), draw_look(np.random.default_rng(seed)), level)


@pytest.fixture(scope="module")
def healthy():
    return paint(0)


@pytest.mark.parametrize("level, least, most", [(1, 3e-4, 0.01), (2, 0.005, 0.10), (3, 0.02, 0.30), (4, 0.02, 0.40)])
def test_a_grade_changes_nothing_but_its_lesions(healthy, level, least, most):
    x, y = grid(CANVAS)
    changed = np.abs(paint(level) - healthy).max(axis=0)[np.hypot(x, y) < 1] > 0.05
    assert least < changed.mean() < most


def test_microaneurysms_are_the_only_lesions_of_grade_1_and_are_red_dots(healthy):
    diseased = paint(1)
    assert (diseased - healthy).max() < 1e-6  # nothing gets brighter
    red, green, _ = (diseased / healthy).reshape(3, -1).min(axis=1)
    assert green < 0.5 and green < 0.7 * red  # blood absorbs more green than red


def test_the_disc_is_the_bright_thing_and_the_fovea_is_dark():
    # for several eyes: the positions in the anatomy agree with the painting
    for seed in range(4):
        look = draw_look(np.random.default_rng(seed))
        anatomy = make_anatomy(np.random.default_rng(seed).spawn(3)[0], look)
        image = paint_eye(np.random.default_rng(seed), look, 0)
        x, y = grid(CANVAS)

        def mean_near(place, radius, image=image, x=x, y=y):
            return image[1][np.hypot(x - place[0], y - place[1]) < radius].mean()

        between = (anatomy.disc + anatomy.fovea) / 2
        assert mean_near(anatomy.disc, 0.1) > 1.3 * mean_near(between, 0.1) > 1.3 * mean_near(anatomy.fovea, 0.05)
        assert anatomy.disc[0] > anatomy.fovea[0] and np.abs(anatomy.disc).max() < EDGE
