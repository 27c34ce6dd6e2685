"""Fixtures: run a script as a user would, make small photographs, find the real ones."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Started in the background by a shell, everything ignores Ctrl-C, and so would the scripts that are tested.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))
REAL = Path(os.environ.get("EYENET_REAL_DATA", REPO.parent / "shared" / "data"))

# What takes a minute or more begins first, so that no worker is left alone with it at the end.
LONGEST = ("export", "cnn", "retrain", "distribute", "networks", "evaluate", "soak", "pipeline", "predict", "stages")


def pytest_collection_modifyitems(items):
    """Sort by file; run_tests.sh tells xdist to keep the order."""
    place = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def needs_real(folder):
    """Skip a test where the real photographs are not there."""
    return pytest.mark.skipif(
        not (REAL / folder).exists(), reason=f"no real photographs in {REAL / folder} (set EYENET_REAL_DATA)"
    )


def run(script, *args, code=0, **options):
    """Run a script of the repository and check its exit code; give its CompletedProcess.

    Whatever goes wrong, a user must not see a traceback.
    """
    command = [sys.executable, str(REPO / script)] if script.endswith(".py") else ["bash", str(REPO / script)]
    options = {"timeout": 600, **options}
    done = subprocess.run([*command, *map(str, args)], check=False, capture_output=True, text=True, **options)
    assert code is None or done.returncode == code, f"exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def one_sentence(done, *words):
    """Check that the last line of stderr is an error that says these words."""
    last = done.stderr.strip().splitlines()[-1]
    assert "error: " in last, last
    for word in words:
        assert word in last, last
    return last


def draw_photograph(width=480, height=360, x=None, y=None, radius=160, seed=0, dots=0):
    """Draw a plain fundus photograph: a noisy orange disc on black, with an optic disc and some dark dots.

    Centre and radius are in pixels, pixel centres at half-integers. Returns uint8 (height, width, 3).
    """
    rng = np.random.default_rng(seed)
    x, y = width / 2 if x is None else x, height / 2 if y is None else y
    column, row = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    light = np.clip(radius - np.hypot(column - x, row - y) + 0.5, 0, 1)[..., None]
    picture = light * np.array([190, 95, 40]) * (1 - 0.3 * ((column - x) / radius)[None, :, None] ** 2)
    spots = [(-0.4, 0.1, 0.12, (60, 80, 60))]
    spots += [(*rng.uniform(-0.6, 0.6, 2), 0.05, (-150, -80, -30)) for _ in range(dots)]
    for dx, dy, size, color in spots:
        spot = np.hypot(column - x - dx * radius, row - y - dy * radius) < size * radius
        picture[spot] += color
    return (picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8)


def write_csv(path, rows):
    """Write rows, the header first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path


def read_csv(path):
    """Read a table as a list of dicts."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def make_dataset(folder, patients=12, **drawing):
    """Make folder/train/*.jpeg and folder/trainLabels.csv: every second patient has dots and grade 2.

    Of the patients h0, h1 ... the first 12 already put both classes into each split.
    """
    (folder / "train").mkdir(parents=True)
    rows = [("image", "level")]
    for patient in range(patients):
        for eye in ("left", "right"):
            diseased = patient % 2
            picture = draw_photograph(seed=2 * patient + (eye == "right"), dots=12 * diseased, **drawing)
            Image.fromarray(picture).save(folder / "train" / f"h{patient}_{eye}.jpeg", quality=92)
            rows.append((f"h{patient}_{eye}", 2 * diseased))
    write_csv(folder / "trainLabels.csv", rows)
    return folder


def bytes_of(folder):
    """Map the files below a folder to their bytes, but for the lock and the times of the inputs."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(Path(folder).rglob("*"))
        if p.is_file() and p.name not in (".lock", ".done")
    }


def run_stages(source, work, *, size=64, upto=5, workers=2, split=(), colours="natural"):
    """Run steps 2 to `upto` on a dataset, with options of the split; give the work folder."""
    steps = [
        ("resize_images.py", "--input", source / "train", "--output", work / "resized", "--size", size)
        + ("--colours", colours),
        ("preprocess_images.py", "--input", work / "resized", "--output", work / "preprocessed")
        + ("--labels", source / "trainLabels.csv", "--labels-out", work / "preprocessed.csv")
        + ("--figures", work / "figures", *split),
        ("rotate_images.py", "--input", work / "preprocessed", "--output", work / "rotated")
        + ("--labels", work / "preprocessed.csv", "--labels-out", work / "rotated.csv"),
        ("image_to_array.py", "--input", work / "rotated", "--labels", work / "rotated.csv")
        + ("--output", work / "array"),
    ]
    for step in steps[: upto - 1]:
        run(*step, "--workers", workers)
    return work


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """24 photographs of 12 patients."""
    return make_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    """24 patients at 64 px: 48 photographs, of which half have dots."""
    folder = tmp_path_factory.mktemp("array")
    source = make_dataset(folder / "source", patients=24, width=200, height=160, radius=72)
    return run_stages(source, folder / "work") / "array"


def history(folder):
    """Read history.csv without the rate, which is a matter of the machine."""
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in read_csv(folder / "history.csv")]


def kill_after(checkpoint, args, folder):
    """Run a script of the repository and kill it somewhere in the epoch after a checkpoint."""
    command = [sys.executable, str(REPO / args[0]), *map(str, args[1:])]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "models" / "cnn" / checkpoint / "state.json").exists():
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(0.15)
    process.send_signal(signal.SIGKILL)
    process.wait()
