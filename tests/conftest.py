"""Fixtures: run a script as a user would, make small photographs, find the real ones."""

import atexit
import csv
import fcntl
import functools
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

# A process that a shell starts in the background ignores Ctrl-C, and so would the scripts under test.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))
REAL = Path(os.environ.get("EYENET_REAL_DATA", REPO.parent / "shared" / "data"))

# EfficientNet-Lite1 and Lite2 are wider and deeper versions of Lite0; mobilenet_v2 stands for the networks of Keras.
FAMILIES = ("three_layers", "three_layers_2017", "efficientnet_lite0", "mobilenet_v2")
# XLA compiles quickly, for tests that compute little.
COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
COMPILE += " --xla_cpu_use_fusion_emitters=false"
READ = ("KERAS_BACKEND", "JAX_")  # variables that are read at the import

# The same examples in every run, without a time limit.
hypothesis.settings.register_profile("eyenet", derandomize=True, deadline=None)
hypothesis.settings.load_profile("eyenet")

# Tests that take a minute or more start first, so that at the end no worker waits for another.
# app and export make no use of `trained` at first, for which one worker would wait for the other.
LONGEST = (
    "app",
    "export",
    "retrain",
    "visits",
    "pipeline",
    "cnn",
    "distribute",
    "evaluate",
    "stages",
    "predict",
    "networks",
)

# Files that `run_tests.sh --quick` skips.
SLOW = {*LONGEST, "soak", "benchmarks", "cluster", "dashboard", "download", "heatmaps", "jpeg", "kills", "lite"}
SLOW |= {"page_pixels", "port_weights", "pretrained_training", "protocol_2017", "shards"}


def pytest_collection_modifyitems(items):
    """Mark the slow files, and sort by file; run_tests.sh tells xdist to keep the order."""
    for item in items:
        if item.path.stem.removeprefix("test_") in SLOW:
            item.add_marker("slow")
    place = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def seed():
    """Seed the global generators, and Keras's if Keras was imported.

    TensorFlow computes deterministically, as in the scripts; Keras then compiles nothing with XLA, which takes long.
    """
    random.seed(0)
    np.random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
        if "tensorflow" in sys.modules:
            sys.modules["tensorflow"].config.experimental.enable_op_determinism()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Seed before the fixtures of a test, including those of its module."""
    seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    """Seed again: a test draws the same numbers alone and after others."""
    seed()


def rescaled(network, images):
    """Make a network with random weights distinguish photographs: scaled with these, its log-odds span 3."""
    import keras

    from eyenet.model.networks import leaves

    for layer in leaves(network):
        if hasattr(layer, "moving_mean"):
            layer.momentum = 0.0
    network.trainable = True
    for _ in range(2):
        network(images, training=True)
    seen = keras.Model(network.input, network.layers[-2].output).predict(images, verbose=0)
    kernel = np.random.default_rng(1).normal(size=(seen.shape[1], network.output_shape[-1]))
    kernel /= np.ptp(seen @ kernel, axis=0).max() / 3
    network.layers[-1].set_weights([kernel, -(seen @ kernel).mean(axis=0)])
    return network


def small_enlarged():
    """Describe `enlarged`, a small network that enlarges to 96 px, as an item of NETWORKS."""
    from eyenet.model.networks import NETWORKS, Enlarged

    return "enlarged", NETWORKS["three_layers_2017"]._replace(enlarged=Enlarged("three_layers_2017", 96))


@pytest.fixture
def enlarged(monkeypatch):
    """Let efficientnet_lite0_384, shortened, enlarge to 96 px; returns its name."""
    from eyenet.model.networks import NETWORKS

    shorten_lite0(monkeypatch)
    large = NETWORKS["efficientnet_lite0_384"]
    monkeypatch.setitem(NETWORKS, "efficientnet_lite0_384", large._replace(enlarged=large.enlarged._replace(side=96)))
    return "efficientnet_lite0_384"


def needs_real(folder):
    """Skip a test if the real photographs are not available."""
    return pytest.mark.skipif(
        not (REAL / folder).exists(), reason=f"no real photographs in {REAL / folder} (set EYENET_REAL_DATA)"
    )


@functools.cache
def server(changes=()):
    """Start the process that forks itself to run scripts; `changes` are items of its environment."""
    command = [sys.executable, str(Path(__file__).with_name("forked.py"))]
    environment = os.environ | dict(changes)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    atexit.register(process.stdin.close)
    return process


class Forked:
    """A Python script in a fork of a process that has imported TensorFlow, or JAX."""

    def __init__(self, command, timeout=None, cwd=None, env=None, until=None):
        """Run the script: to its end, or for `timeout` seconds, or, without a timeout, beside this process.

        It is killed as soon as the file `until` exists.
        """
        self.command, env = command, dict(env or os.environ)
        self.folder = tempfile.TemporaryDirectory()
        self.files = [Path(self.folder.name, name) for name in ("stdout", "stderr")]
        for file in self.files:
            file.touch()
        # Keras and JAX read these when they are imported.
        self.server = server(tuple((k, v) for k, v in env.items() if k.startswith(READ) and os.environ.get(k) != v))
        request = {"command": command, "cwd": str(cwd or os.getcwd()), "environment": env}
        request["until"] = until and str(until)
        self.answer = self.ask(request | {"stdout": str(self.files[0]), "stderr": str(self.files[1])}, timeout)

    def ask(self, request, timeout):
        print(json.dumps(request | {"timeout": timeout}), file=self.server.stdin, flush=True)
        return json.loads(self.server.stdout.readline())

    def end(self, timeout):
        """Wait for the end of a script that runs beside this process; return its CompletedProcess."""
        self.answer = self.ask({"pid": self.answer}, timeout)
        return self.done(timeout)

    def done(self, timeout):
        out, err = (file.read_text() for file in self.files)
        self.folder.cleanup()
        if self.answer is None:
            raise subprocess.TimeoutExpired(self.command, timeout, out, err)
        return subprocess.CompletedProcess(self.command, self.answer, out, err)


def can_fork(cwd=None, env=None, **options):
    """Whether `Forked` runs a script as an interpreter would that is started with these options."""
    if sys.platform != "linux" or options:
        return False
    env = env or os.environ
    backend = env.get("KERAS_BACKEND", "tensorflow")
    changes = {name for name in os.environ | env if os.environ.get(name) != env.get(name)}
    known = all(name.startswith((*READ, "KERAS_DISTRIBUTION_", "XLA_FLAGS", "PYTHONPATH")) for name in changes)
    return known and backend in ("tensorflow", "jax") and importlib.util.find_spec(backend) is not None


def run(script, *args, code=0, fresh=False, timeout=1800, **options):
    """Run a script of the repository and check its exit code; return its CompletedProcess.

    An error must be reported without a traceback.

    Parameters
    ----------
    code : int or None
        The expected exit code; None: any.
    fresh : bool
        Start an interpreter, as a user does. Otherwise a Python script runs in a process forked from one that has
        made the imports (tests/forked.py), unless `options` change more than the folder and the settings of JAX.
    """
    words = [str(REPO / script), *map(str, args)]
    python = words[0].endswith(".py")
    if python and not fresh and can_fork(**options):
        done = Forked(words, timeout, **options).done(timeout)
    else:
        command = [sys.executable if python else "bash", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout, **options)
    assert code is None or done.returncode == code, f"exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def forked_steps(monkeypatch):
    """Let the scripts that a script starts while it runs in the tests' process, as `run_step` does, be forks."""
    from eyenet.run.script import PARENT

    start = subprocess.run

    def start_script(command, env=None, **options):
        if command[0] != sys.executable:
            return start(command, env=env, **options)
        # A fork is a child of the process that is forked, and cannot end with this one.
        done = Forked(command[1:], 1800, env={name: value for name, value in env.items() if name != PARENT}).done(1800)
        sys.stderr.write(done.stderr)
        return done

    monkeypatch.setattr(subprocess, "run", start_script)


def one_sentence(done, *words):
    """Check that the last line of stderr is an error that contains these words."""
    last = done.stderr.strip().splitlines()[-1]
    assert "error: " in last, last
    for word in words:
        assert word in last, last
    return last


TEXTURE = 4  # grey levels: no drawing of a dataset is taken for a copy of another


def draw_photograph(width=480, height=360, x=None, y=None, radius=160, seed=0, dots=0, texture=0):
    """Draw a plain fundus photograph: a noisy orange disc on black, with an optic disc and some dark dots.

    Centre and radius are in pixels, pixel centres at half-integers. Drawings of several seeds are copies of each other
    unless they have a texture, in grey levels. Returns uint8 (height, width, 3).
    """
    rng = np.random.default_rng(seed)
    x, y = width / 2 if x is None else x, height / 2 if y is None else y
    column, row = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    light = np.clip(radius - np.hypot(column - x, row - y) + 0.5, 0, 1)[..., None]
    picture = light * np.array([190, 95, 40]) * (1 - 0.3 * ((column - x) / radius)[None, :, None] ** 2)
    if texture:
        cells = np.random.default_rng(seed).normal(0, texture, (height // 20, width // 20)).astype(np.float32)
        cells = np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))
        picture += light * cells[..., None]
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

    The patients are h0, h1 ...; with the first 12, each split has both classes.
    """
    (folder / "train").mkdir(parents=True)
    rows = [("image", "level")]
    for patient in range(patients):
        for eye in ("left", "right"):
            diseased = patient % 2
            seed = 2 * patient + (eye == "right")
            picture = draw_photograph(seed=seed, dots=12 * diseased, **{"texture": TEXTURE, **drawing})
            Image.fromarray(picture).save(folder / "train" / f"h{patient}_{eye}.jpeg", quality=92)
            rows.append((f"h{patient}_{eye}", 2 * diseased))
    write_csv(folder / "trainLabels.csv", rows)
    return folder


def bytes_of(folder):
    """Map the files in a folder tree to their bytes, except the lock and the times of the inputs."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(Path(folder).rglob("*"))
        if p.is_file() and p.name not in (".lock", ".done")
    }


def run_stages(source, work, *, size=64, upto=5, workers=2, split=(), colours="natural"):
    """Run steps 2 to `upto` on a dataset, with options of the split; return the work folder."""
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


def make_once(name, make, tmp_path_factory):
    """Make a folder once for all test processes; its files must not be changed."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done := folder.with_suffix(".done")).exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """The first 32 photographs of the sample (make_sample.py).

    s0002 and s0004 have retinopathy, s0001 has none; s0003_right is black and s0005_left is cut off.
    """

    def make(folder):
        run("make_sample.py", "--photographs", 32, "--output", folder, "--labels-out", folder / "trainLabels.csv")

    return make_once("sample", make, tmp_path_factory)


def first_of(sample, count, folder):
    """Link the first photographs of the sample into folder/train, with their table; return the folder."""
    rows = read_csv(sample / "trainLabels.csv")[:count]
    (folder / "train").mkdir(parents=True)
    for row in rows:
        os.link(sample / "train" / f"{row['image']}.jpeg", folder / "train" / f"{row['image']}.jpeg")
    write_csv(folder / "trainLabels.csv", [("image", "level"), *((row["image"], row["level"]) for row in rows)])
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """24 small photographs of 12 patients."""
    return make_dataset(tmp_path_factory.mktemp("dataset"), width=240, height=180, radius=80)


def train(work, *options):
    """Train four epochs on the array of a work folder; keep what is printed."""
    learning = ("--epochs", 4, "--batch", 16, "--learning-rate", "1e-3")
    (work / "stdout").write_text(run("cnn.py", "--input", work / "array", *learning, *options, cwd=work).stdout)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The work folder of a training for any DR, without interruption.

    24 patients at 64 px in equalised colours; half of the 48 photographs have dots, with grades 1 to 4.
    """

    def make(folder):
        source = make_dataset(folder / "source", patients=24, width=200, height=160, radius=72)
        rows = read_csv(source / "trainLabels.csv")
        graded = [(r["image"], 1 + i // 2 % 4 if r["level"] == "2" else 0) for i, r in enumerate(rows)]
        write_csv(source / "trainLabels.csv", [("image", "level"), *graded])
        run_stages(source, folder, colours="equalized")
        train(folder)

    return make_once("trained", make, tmp_path_factory)


@pytest.fixture(scope="session")
def array(trained):
    """The array of `trained`."""
    return trained / "array"


@pytest.fixture(scope="session")
def graded(trained, tmp_path_factory):
    """The work folder of a training for the grade on the same array."""

    def make(folder):
        folder.mkdir()
        for name in ("source", "resized", "array"):
            (folder / name).symlink_to(trained / name)
        train(folder, "--task", "grade")

    return make_once("graded", make, tmp_path_factory)


def shorten_lite0(monkeypatch):
    """Let EfficientNet-Lite0 have one block of a kind after the layer of its evidence: 9 blocks instead of 16."""
    from eyenet.model import efficientnet_lite

    first, later = efficientnet_lite.STAGES[:3], efficientnet_lite.STAGES[3:]
    monkeypatch.setattr(efficientnet_lite, "STAGES", (*first, *(stage._replace(repeats=1) for stage in later)))


def history(folder):
    """Read history.csv without the rate, which depends on the machine."""
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in read_csv(folder / "history.csv")]


def kill_after(file, command, folder):
    """Run a script of the repository in a folder, and kill it as soon as it has written a file there."""
    done = Forked([str(REPO / command[0]), *map(str, command[1:])], 1800, folder, until=folder / file).done(1800)
    assert done.returncode == -signal.SIGKILL, done.stderr
