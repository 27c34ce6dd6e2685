"""Where training images are cached: the batches are the same, no images are saved, and the memory suffices."""

from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from eyenet.model import backend
from eyenet.run.errors import StageError
from eyenet.training.distribution import Distribution

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
ROWS = {"train": np.arange(3, 30, 2), "val": np.arange(30, 40)}
ASKED = np.array([5, 9, 29, 3])


@pytest.fixture(scope="module")
def keras():
    return backend.start("float32", 0)


def test_what_is_held_is_what_was_asked_for(keras):
    from eyenet.training.cache import Held, Resident

    assert np.array_equal(np.take(Held(IMAGES, ROWS["train"]), ASKED, axis=0), IMAGES[ASKED])
    resident = Resident(IMAGES, ROWS["train"])
    places = np.take(resident, ASKED, axis=0)
    assert places.dtype == np.int32 and places.tolist() == [[1], [3], [13], [0]]
    for held in (resident, Held(IMAGES, ROWS["train"])):
        with pytest.raises(IndexError):
            np.take(held, [5, 6], axis=0)
    seen = keras.Sequential([keras.Input((1,), dtype="int32"), resident]).predict(places, verbose=0)
    assert seen.dtype == np.uint8 and np.array_equal(seen, IMAGES[ASKED])


def test_a_checkpoint_holds_no_images(keras, tmp_path):
    from eyenet.training.cache import Resident

    dense = [keras.layers.Flatten(), keras.layers.Dense(1, name="last")]
    path = tmp_path / "x.weights.h5"
    first = keras.Sequential([keras.Input((1,), dtype="int32"), Resident(IMAGES, ROWS["train"]), *dense])
    first.save_weights(path)
    with h5py.File(path) as file:
        names = []
        file.visit(names.append)
    assert any("resident" in name for name in names) and not any(
        name.startswith("layers/resident/vars/") for name in names
    )
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1, name="last")])
    other.load_weights(path)  # a training may be continued with another --cache
    assert np.array_equal(other.get_weights()[0], first.layers[-1].get_weights()[0])


@pytest.mark.parametrize(
    ("gpu", "device", "host", "place"),
    [
        (False, None, 100, "none"),  # the operating system caches the file
        (True, 100, 100, "device"),
        (True, 19, 100, "host"),
        (True, None, 100, "host"),  # TensorFlow does not report the memory
        (True, 100, 21, "none"),  # images for the device pass through the host
        (True, None, None, "none"),
    ],
)
def test_auto_takes_the_device_then_the_host(keras, monkeypatch, gpu, device, host, place):
    from eyenet.training.cache import choose_place

    memory(monkeypatch, gpu, device, host)
    assert choose_place("auto", 10, 1, Distribution()) == place


def test_what_has_no_room_is_refused(keras, monkeypatch):
    from eyenet.training.cache import choose_place

    distribution = Distribution()
    memory(monkeypatch, True, 9e9, 11e9)
    for place in ("none", "host"):
        assert choose_place(place, 10e9, 1e9, distribution) == place
    with pytest.raises(StageError, match="device needs 10.0 GB of the device's memory, and 9.0 GB are free"):
        choose_place("device", 10e9, 1e9, distribution)
    memory(monkeypatch, True, None, 10e9)
    for wanted in ("device", "host"):
        with pytest.raises(StageError, match="needs 11.0 GB of the host's memory, and 10.0 GB are free"):
            choose_place(wanted, 10e9, 1e9, distribution)


def memory(monkeypatch, gpu, device, host):
    """Make the backend report such a machine."""
    told = {"has_gpu": gpu, "device_memory": device, "host_memory": host}
    for name, value in told.items():
        monkeypatch.setattr(backend, name, lambda value=value: value)


def test_the_memory_of_a_gpu_is_asked_for_as_jax_tells_it(monkeypatch):
    jax = pytest.importorskip("jax")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    device = SimpleNamespace(memory_stats=lambda: {"bytes_limit": 70, "bytes_in_use": 30, "num_allocs": 1})
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert backend.device_memory() == 40


def test_several_hosts_keep_nothing():
    from eyenet.training.cache import choose_place

    hosts = SimpleNamespace(processes=2)
    assert choose_place("auto", 10, 1, hosts) == "none"
    with pytest.raises(StageError, match="--cache device is for a single host"):
        choose_place("device", 10, 1, hosts)


def test_validation_is_held_with_the_training(keras):
    from eyenet.training.cache import Held, cache

    train, val, resident = cache("host", Distribution(), IMAGES, ROWS)
    assert isinstance(train, Held) and resident is None
    assert np.array_equal(np.take(val, ROWS["val"], axis=0), IMAGES[ROWS["val"]])
    train, val, resident = cache("device", Distribution(), IMAGES, ROWS)
    assert train is resident and np.array_equal(np.take(val, ROWS["val"], axis=0), IMAGES[ROWS["val"]])
    train, val, resident = cache("none", Distribution(), IMAGES, ROWS)
    assert train is IMAGES and val is IMAGES and resident is None
