"""Training on several devices and hosts: the weights of one process, and one sentence when a host is lost."""

import importlib.util
import json
import os
import signal
import socket
import time
from functools import partial
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from conftest import COMPILE, REPO, Forked, make_dataset, one_sentence, read_csv, run, run_stages

from eyenet.data.names import split_of
from eyenet.model.folder import LITE_NETWORK, NETWORK, open_model
from eyenet.model.lite import LiteNetwork
from eyenet.training.distribution import Distribution
from eyenet.training.supervisor import HOST_LOST

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
QUICK = ["--batch", "12", "--learning-rate", "1e-5", "--epochs", "2"]

# cnn.py with one convolution instead of three: each takes seconds of tracing and compiling.
SMALL = f"""
import sys
sys.path.insert(0, {str(REPO)!r})
import cnn

def one_layer(size):
    from keras import Input, Model, layers
    photograph = Input((size, size, 3))
    x = layers.MaxPooling2D(8)(layers.Conv2D(16, 3, padding="same", use_bias=False)(photograph))
    return Model(photograph, layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x)), name="features")

cnn.three_layers = one_layer
"""

ON_HOSTS = (
    SMALL
    + """
from eyenet.run.script import run_main
run_main(cnn.main)
"""
)

# A script that runs cnn.py several times on virtual devices, without the conversion of the network, which is done on
# one device; the dashboard is drawn where an argument asks for it. TensorFlow has three devices, each of which is
# traced by itself, and neither dropout nor augmentation, because its replicas draw independently.
TRAININGS = (
    SMALL
    + """
import json
import os
from eyenet.run.errors import StageError
from eyenet.training import finish
finish.add_lite = lambda folder, config, network: config
if os.environ["KERAS_BACKEND"] == "tensorflow":
    import tensorflow as tf
    from eyenet.model.networks import NETWORKS
    NETWORKS["three_layers"] = NETWORKS["three_layers"]._replace(dropout=0.0)
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, 3 * [tf.config.LogicalDeviceConfiguration()])
    build = cnn.build_augmentation
    cnn.build_augmentation = lambda size, augmented: build(size, False)
todo, array, folder = sys.argv[1:]
for drawn, options in json.loads(todo):
    if drawn:
        del sys.modules["eyenet.training.dashboard"]
    else:
        sys.modules["eyenet.training.dashboard"] = type("none", (), {"build_boards": lambda *_: []})
    sys.argv = ["cnn.py", *options]
    try:
        cnn.main()
    except StageError as error:
        print(error)
if os.environ["KERAS_BACKEND"] == "jax":
    import keras
    import numpy as np
    from eyenet.model.evidence import heat_maps
    network = keras.models.load_model(folder + "/none/models/cnn/model.keras", compile=False)
    head = network.layers[-1]
    head.set_weights([np.random.default_rng(0).normal(size=weight.shape) for weight in head.get_weights()])
    np.save(folder + "/heat.npy", heat_maps(network, np.load(array + "/X.npy")[:3], 1))
"""
)

# A host that waits for the other again and again, as in the steps of a training.
WAITING = f"""
import sys
import time
from pathlib import Path
sys.path.insert(0, {str(REPO)!r})
from eyenet.run.script import run_main
from eyenet.training.distribution import Distribution

def main():
    distribution = Distribution("hosts")
    distribution.start("float32", 0, 12)
    with distribution.training(Path("logs")):
        while True:
            distribution.tell("here")
            Path("met").touch()
            time.sleep(0.05)

run_main(main)
"""


def on_devices(array, folder, environment, *trainings, until=None):
    """Run trainings in folders named after their `--distribute`; return the lines that they print.

    They are killed as soon as the file `until` exists.
    """
    todo = []
    for drawn, kind, *more in trainings:
        place = ["--models", folder / kind / "models", "--logs", folder / kind / "logs"]
        todo.append((drawn, [*map(str, ["--input", array, *QUICK, "--distribute", kind, *place, *more])]))
    (folder / "trainings.py").write_text(TRAININGS)
    words = [folder / "trainings.py", json.dumps(todo), array, folder]
    if until is None:
        return run(*words, env=environment).stdout.splitlines()
    done = Forked([*map(str, words)], 1800, env=environment, until=until).done(1800)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    """23 photographs at 32 px: 58 training images; the last batch of 12 has 10, no multiple of three or four."""
    folder = tmp_path_factory.mktemp("array")
    source = make_dataset(folder / "source", width=200, height=160, radius=72)
    healthy = next(f"h{i}" for i in range(0, 12, 2) if split_of(f"h{i}") == "train")
    (source / "train" / f"{healthy}_left.jpeg").unlink()
    array = run_stages(source, folder / "work", size=32) / "array"
    assert sum(row["split"] == "train" for row in read_csv(array / "labels.csv")) == 58
    return array


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment for JAX, which caches compiled code."""
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled"))}
    cache |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "XLA_FLAGS": COMPILE}
    return os.environ | {"KERAS_BACKEND": "jax"} | cache


@pytest.fixture(scope="module")
def trained(array, environment, tmp_path_factory):
    """Two epochs with JAX on one device."""
    folder = tmp_path_factory.mktemp("trained")
    on_devices(array, folder, environment, (False, "none"))
    return folder


def note(values, name, item):
    """Store a variable while visiting an HDF5 file."""
    if isinstance(item, h5py.Dataset):
        values[name] = item[()]


def same_weights(folder, other, tolerance=0.05):
    """Compare all variables of two trainings' last checkpoints, also the optimizer's moments, by their norms.

    Other seeds or images are apart by more than 1. Sums in another order differ by rounding only, which Adam scales up
    where gradients are near zero: by up to 0.02 after ten small steps.
    """
    found = []
    for place in (folder, other):
        found.append({})
        with h5py.File(place / "models" / "cnn" / "checkpoint-00002" / "trainer.weights.h5") as file:
            file.visititems(partial(note, found[-1]))
    assert len(found[0]) > 20 and found[0].keys() == found[1].keys()
    norm, apart = np.linalg.norm, {}
    for name, value in found[0].items():
        apart[name] = norm((value.astype(float) - found[1][name]).ravel()) / max(norm(value.ravel()), 1e-30)
    worst = max(apart, key=apart.get)
    assert apart[worst] < tolerance, (worst, apart[worst])


@needs_jax
def test_heat_maps_of_jax(array, trained):
    """They are those of TensorFlow."""
    from eyenet.model.evidence import heat_maps

    network = keras.models.load_model(trained / "none" / "models" / "cnn" / NETWORK, compile=False)
    head = network.layers[-1]
    head.set_weights([np.random.default_rng(0).normal(size=weight.shape) for weight in head.get_weights()])
    expected = heat_maps(network, np.load(array / "X.npy")[:3], 1)
    assert expected.max() > 0.1
    np.testing.assert_allclose(np.load(trained / "heat.npy"), expected, atol=1e-4)


class Host:
    """One of two processes that run a script together, with two devices each."""

    def __init__(self, number, port, folder, environment, *command):
        address = {"JOB_ADDRESSES": f"127.0.0.1:{port}", "NUM_PROCESSES": "2", "PROCESS_ID": str(number)}
        environment = environment | {f"KERAS_DISTRIBUTION_{key}": value for key, value in address.items()}
        environment["XLA_FLAGS"] = f"{COMPILE} --xla_force_host_platform_device_count=2"
        folder.mkdir(exist_ok=True)
        self.script = Forked([*map(str, command)], cwd=folder, env=environment)

    def runs(self):
        return Path(f"/proc/{self.script.answer}/stat").read_text().rpartition(")")[2].split()[0] != "Z"

    def kill(self):
        os.kill(self.script.answer, signal.SIGKILL)

    def end(self, code, seconds=1800):
        """Wait for the end; return it as `conftest.run` does."""
        done = self.script.end(seconds)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr and "Gloo" not in done.stdout + done.stderr
        return done


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def both(folders, environment, *command):
    """Start a script on both hosts, each in its own folder."""
    port = free_port()
    return [Host(number, port, folder, environment, *command) for number, folder in enumerate(folders)]


@needs_jax
def test_a_lost_host_is_told_in_one_sentence(environment, tmp_path):
    """Kill process 0, the coordinator."""
    folders = [tmp_path / "0", tmp_path / "1"]
    (tmp_path / "waiting.py").write_text(WAITING)
    first, second = both(folders, environment, tmp_path / "waiting.py")
    while not (folders[1] / "met").exists():
        assert first.runs() and second.runs(), second.end(None)
        time.sleep(0.01)
    first.kill()
    first.end(-9)
    one_sentence(second.end(1), HOST_LOST)


@needs_jax
def test_hosts_go_on_where_the_devices_of_one_were_killed(array, environment, trained, tmp_path):
    """One epoch on four devices of a host, the other on two hosts: as two epochs on one device.

    Augmentation and dropout draw the same numbers; the last batch is not a multiple of four.
    """
    four = environment | {"XLA_FLAGS": f"{COMPILE} --xla_force_host_platform_device_count=4"}
    checkpoint = tmp_path / "devices" / "models" / "cnn" / "checkpoint-00001" / "state.json"
    on_devices(array, tmp_path, four, (False, "devices", "--cache", "device"), until=checkpoint)
    folders = [tmp_path / "devices", tmp_path / "other"]  # they share only the array
    (tmp_path / "cnn.py").write_text(ON_HOSTS)
    command = [tmp_path / "cnn.py", "--input", array, *QUICK, "--distribute", "hosts"]
    first, second = both(folders, environment, *command)
    told = first.end(0)
    assert "continuing after epoch 1 of 2" in told.stderr and "kept epoch" in told.stdout
    assert "process 1 is done" in second.end(0).stdout
    assert not any(folders[1].iterdir())
    same_weights(folders[0], trained / "none")
    # TensorFlow has converted the network in another process, which leaves nothing behind.
    written, photograph = folders[0] / "models" / "cnn", np.load(array / "X.npy")[:1]
    assert not list(written.glob(".tmp-*"))
    probability, _ = LiteNetwork(written, open_model(written, LITE_NETWORK))(photograph[0])
    network = keras.models.load_model(written / NETWORK, compile=False)
    assert np.abs(network.predict(photograph, verbose=0) - probability).max() < 1e-5


def test_devices_of_tensorflow(array, tmp_path):
    """Sums, normalisation and clipping use the whole batch; random draws do not, so there are none here."""
    environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
    trainings = (False, "none"), (True, "devices", "--cache", "device"), (False, "devices", "--batch", 14)
    said = on_devices(array, tmp_path, environment, *trainings)
    assert "--batch 14 cannot be shared by 3 devices" in said[-1]
    same_weights(tmp_path / "none", tmp_path / "devices")


def test_what_cannot_be_distributed(array, environment, tmp_path):
    args = ["cnn.py", "--input", array, *QUICK, "--distribute", "hosts"]
    one_sentence(run(*args, code=1, cwd=tmp_path), "KERAS_BACKEND=jax")
    if importlib.util.find_spec("jax"):
        done = run(*args, code=1, cwd=tmp_path, env=environment)
        one_sentence(done, "KERAS_DISTRIBUTION_JOB_ADDRESSES", "KERAS_DISTRIBUTION_PROCESS_ID")
    if importlib.util.find_spec("torch"):
        done = run(*args[:-1], "devices", code=1, cwd=tmp_path, env=os.environ | {"KERAS_BACKEND": "torch"})
        one_sentence(done, "not for torch")


@pytest.mark.parametrize("count", [12, 10, 1])
def test_shares_of_a_batch(count):
    """Two processes with two devices each: every image once, then padding; all labels."""
    rows = np.arange(100, 100 + count)
    shares = []
    for process in (0, 1):
        distribution = Distribution()
        distribution.engine, distribution.replicas = object(), 4
        distribution.process, distribution.processes = process, 2
        images, labels = distribution.share(rows)
        assert labels.tolist() == rows.tolist() and len(images) % 2 == 0
        shares.append(images)
    together = np.concatenate(shares)
    assert len(shares[0]) == len(shares[1]) and len(together) % 4 == 0
    assert together[:count].tolist() == rows.tolist()
