"""Steps 2 to 5, killed before each of their file operations in turn: nothing is lost or left.

Other tests kill at random times, which rarely fall between two renames. Here an audit hook kills the process when
Python is about to open, rename, link or remove its n-th file in the work folder, for every n. Each run is forked from a
process that has only made the slow imports: earlier tests leave threads and locked libraries in the test process, and a
fork of it may abort.
"""

import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import random
import shutil
import signal
import sys

import pytest
from conftest import bytes_of, make_dataset
from PIL import Image

EVENTS = {"open", "os.rename", "os.remove", "os.link", "os.utime", "os.mkdir", "os.truncate"}
OUTPUTS = {
    "resize_images": "resized",
    "preprocess_images": "preprocessed",
    "rotate_images": "rotated",
    "image_to_array": "array",
}
SERVER = multiprocessing.get_context("forkserver")
Image.init()


@pytest.fixture(scope="module", autouse=True)
def server():
    """Start the process that is forked for each run."""
    # preprocess_images.py imports SciPy when it joins patients, and Pillow its formats with the first photograph.
    SERVER.set_forkserver_preload([__name__, *OUTPUTS, "scipy.sparse.csgraph"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # Python before 3.14 does not pass sys.path on
        multiprocessing.forkserver.ensure_running()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """One eye without and one with DR, a file that is not a photograph, and two labels without a photograph."""
    source = make_dataset(tmp_path_factory.mktemp("source"), patients=2, width=200, height=160, radius=72)
    (source / "train" / "h0_right.jpeg").unlink()
    (source / "train" / "h1_right.jpeg").write_bytes(b"no photograph")
    return source


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """Steps 2 to 5 run once: the work folder before each step, and its bytes afterwards."""
    folder, after = tmp_path_factory.mktemp("undisturbed"), {}
    (folder / "work").mkdir()
    for script in OUTPUTS:
        copied(folder / "work", folder / script)
        assert forked(script, source, folder / "work", None) == 0
        after[script] = bytes_of(folder / "work")
    return folder, after


def copied(folder, target):
    """Copy a work folder with its file times, so that outputs do not look older than their inputs."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target, copy_function=shutil.copy2)


def options(script, source, work):
    """Return the options of a step; half of the photographs may be rejected."""
    places = {
        "resize_images": ["--input", source / "train", "--size", 32],
        "preprocess_images": ["--input", work / "resized", "--labels", source / "trainLabels.csv"]
        + ["--labels-out", work / "labels" / "preprocessed.csv", "--figures", work / "figures"],
        "rotate_images": ["--input", work / "preprocessed", "--labels", work / "labels" / "preprocessed.csv"]
        + ["--labels-out", work / "labels" / "rotated.csv"],
        "image_to_array": ["--input", work / "rotated", "--labels", work / "labels" / "rotated.csv"],
    }[script]
    return [*map(str, places), "--output", str(work / OUTPUTS[script]), "--workers", "1", "--max-rejected", "0.5"]


def forked(script, source, work, moment):
    """Run a step in a separate process.

    Parameters
    ----------
    moment : int or None
        The process kills itself before this file operation in the work folder; None: never.

    Returns
    -------
    int
        Exit status, negative for a signal.
    """
    process = SERVER.Process(target=run_step, args=(script, options(script, source, work), moment, str(work)))
    process.start()
    process.join()
    return process.exitcode


def run_step(script, arguments, moment, folder):
    """Run a step silently, and kill this process before a file operation."""
    stage = importlib.import_module(script)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if moment is not None:
        kill_at(moment, folder)
    if script == "preprocess_images":
        stage.draw_class_balance = lambda *_: None  # it is slow, and draws after the stage has finished
    sys.argv = [f"{script}.py", *arguments]
    os._exit(stage.main() or 0)


def kill_at(moment, folder):
    """Kill this process before its moment-th operation on a file in a folder tree; reading does not count."""
    left = [moment]

    def hook(event, args):
        if event not in EVENTS or folder not in str(args[0]):
            return
        if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR):
            return
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    sys.addaudithook(hook)


@pytest.mark.parametrize("script", OUTPUTS)
def test_killed_at_every_moment(source, undisturbed, tmp_path, script):
    """Kill a step before its n-th operation, then finish it; for every n, and for every fifth with another kill.

    After the twentieth, where the operations on one image follow those on another, for every second n.
    """
    (before, after), work, dice, moment = undisturbed, tmp_path / "work", random.Random(script), 0
    copied(before / script, work)
    while (status := forked(script, source, work, moment)) != 0:
        assert status == -signal.SIGKILL
        if moment % 5 == 0:
            assert forked(script, source, work, dice.randrange(0, 12)) in (0, -signal.SIGKILL)
        assert forked(script, source, work, None) == 0
        assert bytes_of(work) == after[script], f"killed before moment {moment}"
        copied(before / script, work)
        moment += 1 if moment < 20 else 2
    assert moment > 10
