"""pretrained/train.py: its network, augmentation, loss and schedule in PyTorch are those of cnn.py in Keras."""

# ruff: noqa: E402
import functools
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import REPO, draw_photograph, write_csv
from PIL import Image

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
torch = pytest.importorskip("torch", reason="pretrained/train.py needs PyTorch, which is not installed")
import keras

import cnn
from eyenet.photo.retina import black_outside
from eyenet.run.errors import StageError

sys.path.append(str(REPO / "pretrained"))
import network_torch
import train
import training_torch

NETWORK = "efficientnet_lite0"
SIDE = 256


@functools.cache
def build(name):
    """Build a network of cnn.py with random values in all its variables, so that no layer is without effect.

    Returns the network, and {path of the variable: array}.
    """
    rng, network = np.random.default_rng(0), cnn.build_network(name, 64, 5, "none")
    for variable in network.weights:
        shape = tuple(variable.shape)
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(0.7, 1.4, shape))
        elif len(shape) > 1:
            inputs = shape[0] * shape[1] * (1 if "depthwise" in variable.path else shape[2]) if shape[2:] else shape[0]
            variable.assign(rng.normal(0, (2 / inputs) ** 0.5, shape))
        else:
            variable.assign(rng.normal(0, 0.3, shape))
    return network, {variable.path: keras.ops.convert_to_numpy(variable) for variable in network.weights}


def tensor(array):
    return torch.tensor(array, device=network_torch.DEVICE)


def photographs(count):
    """Draw crops, uint8 (count, SIDE, SIDE, 3): black outside of a circle."""
    drawn = [draw_photograph(SIDE, SIDE, radius=SIDE / 2, seed=seed, dots=9, texture=9) for seed in range(count)]
    return np.stack([black_outside(image) for image in drawn])


@pytest.mark.skipif(network_torch.DEVICE != "cpu", reason="on a GPU PyTorch computes in bfloat16")
@pytest.mark.parametrize("name", (NETWORK, "efficientnet_lite2"))
def test_the_network_is_that_of_cnn(name):
    built, arrays = build(name)
    images = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    expected = np.asarray(built(images, training=False))
    assert expected.std(axis=0).max() > 0.1  # the answers to the photographs differ
    network = network_torch.Network(name, arrays)
    with torch.no_grad():
        found = network(network_torch.channels_first(tensor(images))).cpu().numpy()
    assert np.abs(found - expected).max() < 1e-4
    back = network.arrays(network.weights)
    assert list(back) == list(arrays) and all(np.array_equal(back[path], arrays[path]) for path in arrays)


def test_the_augmentation_is_that_of_cnn():
    """Given the same draws; a value halfway between two grey levels may be rounded to the other one."""
    images, rng = photographs(4), np.random.default_rng(2)
    place, common, single = (rng.uniform(-1, 1, shape) for shape in ((6, 4), (3, 4, 1, 1, 1), (3, 4, 1, 1, 3)))
    place, common, single = (draw.astype(np.float32) for draw in (place, common, single))
    turned = np.asarray(cnn.turn(images.astype(np.float32), lambda *shape: place))
    found = network_torch.turn(tensor(images), SIDE, lambda *shape: tensor(place))
    assert np.abs(turned - images).mean() > 10
    assert np.abs(found.permute(0, 2, 3, 1).cpu().numpy() - turned).max() < 0.05
    draws = {1: common, 3: single}  # by the number of channels
    lit = np.asarray(cnn.light(turned, lambda *shape: draws[shape[-1]]))
    draws = {channels: tensor(draw.transpose(0, 1, 4, 2, 3)) for channels, draw in draws.items()}
    found = network_torch.light(tensor(turned.transpose(0, 3, 1, 2)), lambda *shape: draws[shape[2]])
    difference = np.abs(found.permute(0, 2, 3, 1).cpu().numpy() - lit)
    assert np.abs(lit - turned).mean() > 3
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


def test_enlarging_and_turning_in_one_interpolation():
    """Without a turn it is a plain bilinear enlargement, which is what the network sees in use."""
    images = photographs(2)
    still = tensor(np.float32([[0] * 2] * 5 + [[1] * 2]))
    found = network_torch.turn(tensor(images), 384, lambda *shape: still).permute(0, 2, 3, 1).cpu().numpy()
    enlarged = np.asarray(keras.ops.image.resize(images.astype(np.float32), (384, 384)))
    inner = slice(1, -1)  # beyond the border one has zeros, the other the border
    assert np.abs(found - enlarged)[:, inner, inner].max() < 0.05


def test_degradations_change_the_retina_only():
    torch.manual_seed(0)
    images = network_torch.channels_first(tensor(photographs(12)))
    degraded = network_torch.degrade(images, SIDE)
    retina = (images.amax(1, keepdim=True) > 0).expand_as(images)
    assert not degraded[~retina].any() and degraded.min() >= 0 and degraded.max() <= 255
    change = (degraded - images).abs().mean((1, 2, 3))
    assert (change > 1).sum() >= 6  # seven of eight photographs are degraded in one way or another
    assert (change < 8).all()
    strong = network_torch.compress(images, tensor(np.full(12, 24, np.float32)))
    blocks = strong.unfold(2, 8, 8).unfold(3, 8, 8).mean((-2, -1)) * 8  # their first cosine
    assert (torch.abs(blocks / 24 - torch.round(blocks / 24)) < 1e-3).all()


def test_loss_and_learning_rate_are_those_of_cnn():
    rng = np.random.default_rng(3)
    p, levels = rng.dirichlet(np.ones(5), 40).astype(np.float32), rng.integers(0, 5, 40)
    expected = float(np.mean(cnn.ordinal_crossentropy(levels, p)))
    targets = tensor(np.eye(5, dtype=np.float32)[levels])
    assert float(network_torch.ordinal_crossentropy(tensor(p), targets)) == pytest.approx(expected, rel=1e-5)
    alone = SimpleNamespace(adapted=lambda cls: cls)
    small = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    schedule = cnn.build_trainer(small, [], alone, training_torch.LEARNING_RATE, 90).optimizer._learning_rate
    expected = [float(schedule(step)) for step in range(90)]
    assert np.allclose(training_torch.learning_rates(90), expected, rtol=1e-4)


def test_a_training_is_repeated_to_the_same_weights(monkeypatch):
    """Convolutions learn, frozen normalisation stays, and the averaged weights lag behind."""
    monkeypatch.setattr(training_torch, "BATCH", 4)
    _, arrays = build(NETWORK)
    rng = np.random.default_rng(4)
    images = tensor(rng.integers(0, 256, (9, 32, 32, 3), dtype=np.uint8))
    targets = tensor(np.eye(5, dtype=np.float32)[np.arange(9) % 5])
    recipe = training_torch.Recipe("small", NETWORK, 32, 1, 5, mixup=0.2, degraded=True)
    runs = []
    for _ in range(2):
        training = training_torch.Training(recipe, arrays)
        training.epoch(0, images, targets, np.arange(9))
        runs.append({kind: training.network.arrays(w) for kind, w in training.candidates().items()})
    last, averaged = runs[0]["last"], runs[0]["averaged"]
    assert training.steps == 2
    for path in arrays:
        assert np.array_equal(last[path], runs[1]["last"][path])
        moved, lagging = (np.abs(w[path] - arrays[path]).max() for w in (last, averaged))
        assert moved == lagging == 0 if "_norm/" in path else moved > lagging > 0, path


def make_work(folder):
    """Make the folder of a pipeline with a crop for each photograph but that of the test patient; return it."""
    rows = [(f"p{k}_left", f"p{k}", "left", k, split) for k, split in enumerate(("val", "train", "test", "train"))]
    write_csv(folder / "labels" / "preprocessed.csv", [("image", "patient", "eye", "level", "split"), *rows])
    crops = folder / "data" / "preprocessed"
    crops.mkdir(parents=True)
    for k in (0, 1, 3):
        Image.fromarray(np.full((8, 8, 3), k, np.uint8)).save(crops / f"p{k}_left.png")
    made = {"finished": True, "settings": {"input": {"size": 8, "preprocessing": 2}}, "split": {"seed": 0}}
    (crops / "stage.json").write_text(json.dumps(made))
    return folder


def test_only_photographs_of_training_and_validation_are_read(tmp_path):
    data, about = train.read_data(make_work(tmp_path))
    assert data.images[:, 0, 0, 0].tolist() == data.levels.tolist() == [0, 1, 3]
    assert {split: rows.tolist() for split, rows in data.rows.items()} == {"train": [1, 2], "val": [0]}
    assert (about["photographs"], about["validation_photographs"], about["split"]) == (2, 1, {"seed": 0})
    assert about["crops"] == {"preprocessing": 2, "size": 8, "colours": "natural", "field": "circle"}
    (tmp_path / "data" / "preprocessed" / "p3_left.png").unlink()
    with pytest.raises(StageError, match="p3_left.png is missing or damaged"):
        train.read_data(tmp_path)
