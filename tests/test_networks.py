"""The networks of cnn.py: input and output, cost, and initial weights."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from conftest import FAMILIES, draw_photograph, one_sentence, run, shorten_lite0

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras

import cnn
from eyenet.export.coreml_numpy import upsample_bilinear
from eyenet.model import backend
from eyenet.model.evidence import explained, heat_maps
from eyenet.model.networks import NETWORKS, build_features, count_multiply_adds, leaves, require_memory
from eyenet.model.weights import load_features, weights_file
from eyenet.run.errors import StageError


@pytest.mark.parametrize("name", NETWORKS)
def test_the_costs_in_help_are_correct(name):
    network, cost = cnn.build_network(name, 256, 2, "none"), NETWORKS[name].cost
    assert network.count_params() / 1e6 == pytest.approx(cost.parameters, abs=0.006)
    assert count_multiply_adds(network) / 1e6 == pytest.approx(cost.multiply_adds, abs=0.6)
    larger, parts = NETWORKS[name].enlarged, explained(network)
    assert parts.step == pytest.approx(8 * 256 / (larger.side if larger else 256))
    middle = parts.start + parts.step * (parts.front.output.shape[1] - 1) / 2  # of the cells, in pixels
    assert abs(middle - 255 / 2) <= parts.step
    with pytest.raises(StageError, match=f"too small for {name}"):
        cnn.build_network(name, NETWORKS[name].least - 1, 2, "none")


@pytest.mark.parametrize("name", FAMILIES)
def test_each_network_grades_a_photograph(name, monkeypatch):
    """In two parts, at the layer of its evidence, as in one; with bfloat16 the probabilities stay in float32."""
    shorten_lite0(monkeypatch)
    keras.utils.set_random_seed(1)
    size = NETWORKS[name].least + 5
    small = cnn.build_network(name, size, 5, "none")
    photographs = np.stack([draw_photograph(size, size, radius=size / 2, seed=i, dots=6) for i in range(2)])
    kernel = small.get_layer("probability").kernel
    kernel.assign(np.random.default_rng(1).normal(0, 0.05, kernel.shape))
    probabilities = keras.ops.convert_to_numpy(small(photographs))  # predict would trace a graph first
    assert probabilities.shape == (2, 5) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    parts = explained(small)
    cells = parts.front(photographs)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(parts.back(cells)), probabilities, atol=1e-6)
    assert parts.step == 8 and abs(parts.start + 8 * (cells.shape[1] - 1) / 2 - (size - 1) / 2) <= 8
    heat = heat_maps(small, photographs, 1)
    assert heat.shape == (2, size, size) and heat.dtype == np.float32
    assert heat.min() >= 0 and heat.max() <= 1 and heat.any()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        fast = cnn.build_network(name, size, 5, "none")
    finally:
        keras.config.set_dtype_policy("float32")
    fast.set_weights(small.get_weights())
    assert fast.output.dtype == "float32" and "bfloat16" in {layer.compute_dtype for layer in leaves(fast)}
    assert np.allclose(keras.ops.convert_to_numpy(fast(photographs)), probabilities, atol=0.05)


def test_a_network_that_enlarges_its_photographs(enlarged, monkeypatch, tmp_path):
    """It is the other network on photographs enlarged between pixel centres, with the same variables."""
    name = enlarged
    keras.utils.set_random_seed(1)
    network, other = cnn.build_network(name, 64, 5, "none"), cnn.build_network("efficientnet_lite0", 96, 5, "none")
    assert [v.path for v in network.weights] == [v.path for v in other.weights]
    assert [v.shape for v in network.weights] == [v.shape for v in other.weights]
    other.set_weights(network.get_weights())
    photographs = np.stack([draw_photograph(64, 64, radius=32, seed=i, dots=6) for i in range(2)])
    larger = upsample_bilinear(photographs.transpose(0, 3, 1, 2).astype("float32"), 1.5, 1.5, align_corners=False)
    resized = larger.transpose(0, 2, 3, 1)
    front = keras.Model(network.input, network.get_layer("enlarged").output)
    for seen in (front.predict_on_batch(photographs), keras.ops.convert_to_numpy(front(photographs))):
        np.testing.assert_allclose(128 * seen + 127, resized, atol=1e-3)  # not rounded to levels, on either path
    parts = [explained(network), explained(other)]
    cells = parts[1].front.predict_on_batch(np.rint(resized).astype("uint8"))
    assert np.corrcoef(parts[0].front.predict_on_batch(photographs).ravel(), cells.ravel())[0, 1] > 0.999
    assert parts[0].step * 1.5 == pytest.approx(parts[1].step)
    assert (parts[0].start + 0.5) * 1.5 == pytest.approx(parts[1].start + 0.5)  # in pixels of the smaller photograph
    assert heat_maps(network, photographs, 1).shape == (2, 64, 64)
    monkeypatch.setattr("eyenet.model.weights.IMAGENET", tmp_path)
    (tmp_path / "efficientnet_lite0.weights.h5").touch()
    assert weights_file(name, "imagenet") == tmp_path / "efficientnet_lite0.weights.h5"
    with pytest.raises(StageError, match=f"97 px are too large for {name}, which enlarges them to 96"):
        cnn.build_network(name, 97, 2, "none")


@pytest.fixture
def start_training(monkeypatch, tmp_path, array):
    """Run cnn.py in this process up to its first step; returns the network and the photographs to train on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backend, "start", lambda *_: keras)

    def start(*words):
        started = []

        def keep(network, args, images, labels, rows, *rest):
            started.extend([network, images[rows["train"]]])
            raise StageError("enough")

        monkeypatch.setattr(cnn, "train", keep)
        monkeypatch.setattr("sys.argv", ["cnn.py", "--input", str(array), *words])
        try:
            cnn.main()
        except StageError:
            if not started:
                raise
        return started

    return start


def test_a_recipe_says_which_rows_are_trained(start_training, enlarged, monkeypatch, tmp_path, array):
    """Originals in large batches for the network that enlarges, and copies for the others; options come first."""

    def parsed(*words):
        monkeypatch.setattr("sys.argv", ["cnn.py", "--input", str(array), *words])
        return cnn.parse()[1]

    names = ("three_layers", enlarged)
    every, originals = (start_training("--network", n, "--weights", "none", "--run", n)[1] for n in names)
    settings = [json.loads((tmp_path / "models" / name / "config.json").read_text())["settings"] for name in names]
    assert [s.get("rows") for s in settings] == [None, "originals"] and [s["batch"] for s in settings] == [32, 64]
    table = pd.read_csv(array / "labels.csv")
    counted = table[table["split"] == "train"]["transform"]
    assert len(originals) == (counted == "original").sum() < len(every) == len(counted)
    args = parsed("--network", enlarged, "--task", "grade", "--batch", "8", "--start", "models/x")
    assert (args.batch, args.epochs, args.learning_rate, args.weights) == (8, 20, 5e-4, "none")
    assert not args.balanced and parsed().balanced and not parsed("--task", "grade").balanced


def test_multiply_adds_are_those_that_were_published():
    """MobileNetV2 (Sandler et al., 2018) and EfficientNet-Lite0, at 224 px, with the classifier; NETWORKS is at 256."""
    for name, published in (("mobilenet_v2", 300), ("efficientnet_lite0", 407)):
        counted = NETWORKS[name].cost.multiply_adds * (224 / 256) ** 2 + 1280 * 1000 / 1e6
        assert counted == pytest.approx(published, rel=0.06)


def test_the_weights_begin_where_the_file_ends(monkeypatch, tmp_path):
    """Saved features load exactly into a network of another size, and their statistics stay frozen."""
    shorten_lite0(monkeypatch)
    saved = build_features("efficientnet_lite0", 96)
    rng = np.random.default_rng(0)
    saved.set_weights([w + rng.normal(0, 0.01, w.shape).astype("float32") ** 2 for w in saved.get_weights()])
    saved.save_weights(tmp_path / "f.weights.h5")
    network = cnn.build_network("efficientnet_lite0", 64, 2, str(tmp_path / "f.weights.h5"))
    features = network.get_layer("efficientnet_lite0")
    for mine, theirs in zip(features.get_weights(), saved.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)
    frozen = {v.path for v in features.variables} - {v.path for v in features.trainable_variables}
    assert sum("norm" in path for path in frozen) == 4 * (1 + 2 + 8 * 3 + 1)  # all normalisations; the others are seeds
    assert all("norm" in path or "seed" in path for path in frozen)

    def refused(name, weights):
        with pytest.raises(StageError) as error:
            if name == "efficientnet_lite0":  # as `build_network` does, without building it again
                load_features(features, name, str(weights))
            else:
                cnn.build_network(name, 64, 2, str(weights))
        return str(error.value)

    (tmp_path / "f.keras").write_bytes(b"PK no zip")
    assert "does not hold the weights" in refused("efficientnet_lite0", tmp_path / "f.keras")
    assert "has no ImageNet weights" in refused("three_layers", "imagenet")
    assert "does not hold the weights of three_layers" in refused("three_layers", tmp_path / "f.weights.h5")
    os.truncate(tmp_path / "f.weights.h5", 5000)
    assert "damaged" in refused("efficientnet_lite0", tmp_path / "f.weights.h5")
    assert "there is no file of weights" in refused("efficientnet_lite0", tmp_path / "gone.weights.h5")


def test_imagenet_weights_that_are_not_there(tmp_path, monkeypatch):
    shorten_lite0(monkeypatch)
    monkeypatch.setattr("eyenet.model.weights.IMAGENET", tmp_path)
    with pytest.raises(StageError, match="run python port_weights.py efficientnet_lite1 first"):
        cnn.build_network("efficientnet_lite1", 64, 2, "imagenet")
    monkeypatch.setattr(keras.applications, "MobileNetV2", lambda **_: (_ for _ in ()).throw(Exception("no route")))
    with pytest.raises(StageError, match=r"could not get the ImageNet weights of mobilenet_v2 \(no route\)"):
        from eyenet.model.weights import download_features

        download_features("mobilenet_v2", 64)


def test_a_batch_that_memory_cannot_hold():
    network = cnn.build_network("three_layers", 256, 2, "none")
    require_memory(network, 1, "float32")
    with pytest.raises(StageError, match="three_layers with --batch 100000 needs at least .* GB"):
        require_memory(network, 100_000, "float32")


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network.application])
def test_scaling_is_what_the_weights_were_trained_on(name):
    """Compared with the preprocessing of Keras's own module."""
    network = NETWORKS[name]
    modules = {"mobilenet_v2": "mobilenet_v2", "resnet50_v2": "resnet_v2", "inception_v3": "inception_v3"}
    levels = np.arange(256, dtype="float32")
    own = getattr(keras.applications, modules[name]).preprocess_input(
        levels.reshape(1, 16, 16, 1).copy()
    )  # it works in place
    assert np.allclose(own.ravel(), levels * network.scale + network.offset, atol=1e-5)


@pytest.mark.parametrize("size", [33, 64])
def test_a_heat_map_of_three_layers(size):
    network = cnn.build_network("three_layers", size, 5, "none")
    last = network.get_layer("probability")
    last.set_weights([np.random.default_rng(0).normal(0, 0.02, w.shape) for w in last.get_weights()])
    photographs = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    heat = heat_maps(network, photographs, 2)
    assert heat.shape == (2, size, size) and np.isfinite(heat).all() and heat.max() > 0
    parts = explained(network)
    assert 1 < parts.front.output.shape[1] < size
    both = parts.back(parts.front(photographs, training=False), training=False)
    assert np.allclose(keras.ops.convert_to_numpy(both), network.predict_on_batch(photographs), atol=1e-5)


def test_a_new_network_gives_all_classes_the_same_probability():
    """Otherwise the loss of certain, wrong predictions would have no gradient."""
    network = cnn.build_network("three_layers", 64, 5, "none")
    assert np.allclose(network.predict_on_batch(np.full((1, 64, 64, 3), 200, np.uint8)), 0.2)


def test_colours_and_exposure_are_subtracted():
    """A background of another brightness or colour gives the same features, except at the image border."""
    features = cnn.three_layers(96)
    spots = np.random.default_rng(0).normal(0, 0.3, (1, 96, 96, 3)).astype("float32")
    seen = features.predict_on_batch(spots + 1)
    other = features.predict_on_batch(spots + np.array([3, 2, 1], "float32"))
    assert np.abs(seen).max() > 0.1 and np.allclose(seen, other, atol=1e-3)


def test_a_network_is_trained_from_a_file_of_weights(start_training, tmp_path):
    """With grades; the same weights in a file of another name are the same training."""
    weights = cnn.three_layers(64)
    weights.save_weights(tmp_path / "m.weights.h5")

    def begin(file):
        return start_training("--task", "grade", "--weights", file)

    with pytest.raises(StageError, match="no file of weights gone.h5"):
        begin("gone.h5")
    network, rows = begin("m.weights.h5")  # the refusal left nothing behind
    values = network.get_layer("features").get_weights()
    assert network.output_shape == (None, 5) and len(rows) > 0
    assert all(np.array_equal(*pair) for pair in zip(values, weights.get_weights(), strict=True))
    (tmp_path / "m.weights.h5").rename(tmp_path / "n.weights.h5")
    begin("n.weights.h5")
    cnn.three_layers(64).save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(StageError, match="weights.*another folder"):
        begin("m.weights.h5")
    one_sentence(run("cnn.py", "--input", "array", "--network", "vgg", cwd=tmp_path, code=2), "--network", "vgg")


def test_help_lists_what_networks_cost():
    text = run("cnn.py", "--help").stdout
    for name in NETWORKS:
        assert any(line.split()[0] == name and len(line.split()) == 12 for line in text.splitlines() if line.strip())
