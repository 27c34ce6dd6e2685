"""Where the training images lie: what is fed is the same, nothing of it is saved, and there is room for it."""

from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from eyenet import backend
from eyenet.distribution import Distribution
from eyenet.stage import StageError

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
ROWS = {"train": np.arange(3, 30, 2), "val": np.arange(30, 40)}
ASKED = np.array([5, 9, 29, 3])


@pytest.fixture(scope="module")
def keras():
    return backend.start("float32", 0)


def test_what_is_held_is_what_was_asked_for(keras):
    from eyenet.cache import Held, Resident

    assert np.array_equal(np.take(Held(IMAGES, ROWS["train"]), ASKED, axis=0), IMAGES[ASKED])
    resident = Resident(IMAGES, ROWS["train"])
    places = np.take(resident, ASKED, axis=0)
    assert places.dtype == np.int32 and places.tolist() == [[1], [3], [13], [0]]
    seen = keras.Sequential([keras.Input((1,), dtype="int32"), resident]).predict(places, verbose=0)
    assert seen.dtype == np.uint8 and np.array_equal(seen, IMAGES[ASKED])


def test_a_checkpoint_holds_no_images(keras, tmp_path):
    from eyenet.cache import Resident

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
    other.load_weights(path)  # a training may go on with another --cache
    assert np.array_equal(other.get_weights()[0], first.layers[-1].get_weights()[0])


def test_auto_takes_the_device_then_the_host(keras, monkeypatch):
    from eyenet.cache import choose_place

    spread = Distribution(keras)
    for gpu, device, host, place in [
        (False, None, 100, "none"),  # the system keeps what it read
        (True, 100, 100, "device"),
        (True, 19, 100, "host"),
        (True, None, 100, "host"),  # TensorFlow does not tell
        (True, 19, 19, "none"),
        (True, None, None, "none"),
    ]:
        monkeypatch.setattr(backend, "has_gpu", lambda gpu=gpu: gpu)
        monkeypatch.setattr(backend, "device_memory", lambda device=device: device)
        monkeypatch.setattr(backend, "host_memory", lambda host=host: host)
        assert choose_place("auto", 10, spread) == place
    monkeypatch.setattr(backend, "host_memory", lambda: 9)
    with pytest.raises(StageError, match="needs 0.0 GB of its memory"):
        choose_place("host", 10, spread)
    assert choose_place("none", 10, spread) == "none"


def test_several_hosts_keep_nothing(keras):
    from eyenet.cache import choose_place

    hosts = SimpleNamespace(processes=2)
    assert choose_place("auto", 10, hosts) == "none"
    with pytest.raises(StageError, match="--cache device is for one host"):
        choose_place("device", 10, hosts)


def test_validation_is_held_with_the_training(keras):
    from eyenet.cache import Held, cache

    train, val, resident = cache("host", Distribution(keras), IMAGES, ROWS)
    assert isinstance(train, Held) and resident is None
    assert np.array_equal(np.take(val, ROWS["val"], axis=0), IMAGES[ROWS["val"]])
    train, val, resident = cache("device", Distribution(keras), IMAGES, ROWS)
    assert train is resident and np.array_equal(np.take(val, ROWS["val"], axis=0), IMAGES[ROWS["val"]])
    train, val, resident = cache("none", Distribution(keras), IMAGES, ROWS)
    assert train is IMAGES and val is IMAGES and resident is None
