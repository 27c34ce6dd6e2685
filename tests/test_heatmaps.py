"""Heat maps: the cut through any network, where its cells look, what the evidence is, how it is drawn."""

import gc
import importlib.util
import os
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest
from conftest import REPO, draw_photograph

from eyenet.model.evidence import differentiate, heat_maps, split_network
from eyenet.model.overlay import COLOURS, enlarge, overlay
from eyenet.photo.retina import inside_circle

layers = keras.layers


def photographs(count, size=64, dots=6):
    """Draw photographs as the network sees them, uint8 (count, size, size, 3)."""
    return np.stack([draw_photograph(size, size, radius=size / 2, seed=i, dots=dots) for i in range(count)])


def three_layers(size=64, classes=2, dtype="float32"):
    """Build a small version of the network of cnn.py."""
    keras.utils.set_random_seed(1)
    blocks = [
        b for _ in range(3) for b in (layers.Conv2D(8, 3, activation="relu", dtype=dtype), layers.MaxPooling2D(2))
    ]
    head = [layers.Flatten(), layers.Dense(16, activation="relu", dtype=dtype), layers.Dropout(0.5)]
    last = layers.Dense(classes, activation="softmax", dtype="float32")
    return keras.Sequential(
        [keras.Input((size, size, 3), dtype="uint8"), layers.Rescaling(1 / 255), *blocks, *head, last]
    )


def on_backbone(kind, size=64):
    """Build a classifier on a backbone of keras.applications, laid out as users lay it out."""
    image = keras.Input((size, size, 3), dtype="uint8")
    scaled = layers.Rescaling(1 / 255)(image)
    options = {"weights": None, "include_top": False}
    efficient, mobile = keras.applications.EfficientNetV2B0, keras.applications.MobileNetV2
    if kind == "flattened into the graph":
        found = layers.GlobalAveragePooling2D()(efficient(input_tensor=scaled, **options).output)
    elif kind == "nested, of open size, pools itself":
        found = efficient(pooling="avg", **options)(image)
    elif kind == "nested, gives a feature map":
        found = layers.GlobalAveragePooling2D()(mobile(input_shape=(size, size, 3), **options)(scaled))
    else:
        inner = mobile(input_shape=(size, size, 3), pooling="max", **options)
        found = keras.Sequential([keras.Input((size, size, 3)), inner, layers.Dropout(0.2)])(scaled)
    return keras.Model(image, layers.Dense(2, activation="softmax")(found))


BACKBONES = (
    "flattened into the graph",
    "nested, of open size, pools itself",
    "nested, gives a feature map",
    "nested twice, in a Sequential",
)
PADDED = BACKBONES[2:]  # MobileNetV2 pads its last fine feature map by a row and a column


@pytest.mark.parametrize("kind", BACKBONES)
@pytest.mark.parametrize("coarsest, step, channels", [(10, 8, 192), (1, 32, 1280)])
def test_every_layout_of_a_backbone_is_cut_at_its_last_fine_feature_map(kind, coarsest, step, channels, monkeypatch):
    """Or, where none is so fine, at the last of all."""
    monkeypatch.setattr("eyenet.model.evidence.COARSEST", coarsest)
    network, images = on_backbone(kind), photographs(3)
    halves = split_network(network)
    cells = halves.front.predict_on_batch(images)
    side = 64 // step + (step == 8 and kind in PADDED)
    assert cells.shape == (3, side, side, channels)
    assert (halves.step, halves.pooled) == (step, step == 32)
    np.testing.assert_allclose(halves.back.predict_on_batch(cells), network.predict_on_batch(images), atol=1e-6)
    heat = heat_maps(network, images, 1)
    assert heat.shape == (3, 64, 64)
    assert heat.dtype == np.float32
    assert heat.min() >= 0 and heat.max() <= 1


def test_sequential_around_a_nested_model():
    inner = keras.Sequential([keras.Input((20, 20, 3)), layers.Conv2D(4, 3), layers.MaxPooling2D()])
    head = keras.Sequential([keras.Input((9, 9, 4)), layers.Flatten(), layers.Dense(2, activation="softmax")])
    network = keras.Sequential([keras.Input((20, 20, 3), dtype="uint8"), layers.Rescaling(1 / 255), inner, head])
    halves, images = split_network(network), photographs(2, 20)
    cells = halves.front.predict_on_batch(images)
    assert (cells.shape, halves.start, halves.step) == ((2, 9, 9, 4), 1.5, 2)
    np.testing.assert_allclose(halves.back.predict_on_batch(cells), network.predict_on_batch(images), atol=1e-6)


def test_cutting_leaves_the_network_as_it_was(tmp_path):
    network, images = on_backbone("nested, gives a feature map"), photographs(2)
    before, names = network.predict_on_batch(images), [layer.name for layer in network.layers]
    heat = heat_maps(network, images, 1)
    network.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert [layer.name for layer in again.layers] == names
    np.testing.assert_array_equal(again.predict_on_batch(images), before)
    np.testing.assert_allclose(heat_maps(again, images, 1), heat, atol=1e-5)


def test_network_without_a_feature_map_is_refused():
    network = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)], name="flat")
    with pytest.raises(ValueError, match="flat has no feature map"):
        heat_maps(network, photographs(1, 8), 1)


def test_enlarging_puts_a_cell_on_its_pixel():
    halves = split_network(three_layers(256))
    cells = np.zeros((1, 30, 30), np.float32)
    cells[0, 0, 29] = 1
    large = enlarge(cells, 256, halves)[0]
    assert (halves.start, halves.step) == (10.5, 8)
    rows, columns = np.nonzero(large > 0.9 * large.max())
    assert rows.max() <= 12 and columns.min() >= 241  # 10.5 and 242.5, and the border beyond has nothing further out


def test_map_after_average_pooling_is_the_class_activation_map():
    """There the evidence has a closed form: the cells, weighed by the last layer's difference of weights."""
    image = keras.Input((16, 16, 3), dtype="uint8")
    cells = layers.Conv2D(5, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    network = keras.Model(image, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(cells)))
    images = photographs(4, 16)
    weights = np.array(network.layers[-1].kernel)
    halves = split_network(network)
    evidence = (halves.front.predict_on_batch(images) @ (weights[:, 1] - weights[:, 0])).clip(0)
    expected = enlarge(evidence, 16, halves) * inside_circle(16)
    probability = network.predict_on_batch(images)[:, 1]
    assert expected.max(axis=(1, 2)).min() > 0
    expected *= (probability / expected.max(axis=(1, 2)))[:, None, None]
    np.testing.assert_allclose(heat_maps(network, images, 1), expected, atol=1e-5)


def test_evidence_of_a_linear_head_sums_to_the_log_odds():
    network = keras.Sequential(
        [keras.Input((16, 16, 3), dtype="uint8"), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu")]
        + [
            layers.Flatten(),
            layers.Dense(2, activation="softmax", bias_initializer=keras.initializers.Constant([0, 0.3])),
        ]
    )
    images, halves = photographs(3, 16), split_network(network)
    cells = halves.front.predict_on_batch(images)
    gradient, log_odds = differentiate(halves.back, cells, 1)
    p = network.predict_on_batch(images).astype(float)
    np.testing.assert_allclose(log_odds, np.log(p[:, 1] / p[:, 0]), atol=1e-4)
    np.testing.assert_allclose((cells * gradient).sum(axis=(1, 2, 3)) + 0.3, log_odds, atol=1e-4)


def blue_dots_on_the_left():
    """Build a network that counts blue dots on the left half for disease and on the right half against it."""
    conv = layers.Conv2D(1, 1)
    dense = layers.Dense(2, activation="softmax")
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3), dtype="uint8"),
            layers.Rescaling(1 / 255),
            conv,
            layers.ReLU(),
            layers.Flatten(),
            dense,
        ]
    )
    conv.set_weights([np.array([-1.0, -1, 1]).reshape(1, 1, 3, 1), np.zeros(1)])
    side = np.where(np.arange(32) < 16, 1.0, -1.0)
    kernel = np.stack([np.zeros(1024), np.tile(side, 32)], axis=1)
    dense.set_weights([kernel, np.array([0.5, 0])])
    return network


def dotted(*places):
    image = np.zeros((32, 32, 3), np.uint8)
    for y, x in places:
        image[y, x, 2] = 255
    return image


def test_heat_lies_where_the_evidence_is_and_not_where_it_speaks_against():
    """Grad-CAM's average over the cells is zero here: it would see nothing at all."""
    images = np.stack([dotted((10, 8), (12, 24)), dotted((20, 6)), dotted((20, 26)), dotted()])
    heat = heat_maps(blue_dots_on_the_left(), images, 1)
    assert np.unravel_index(heat[0].argmax(), (32, 32)) == (10, 8)
    assert heat[0, 12, 24] == 0
    assert np.argwhere(heat[1]).tolist() == [[20, 6]]
    assert not heat[2].any()
    assert not heat[3].any()


def test_lesions_that_are_alike_are_all_shown_where_a_maximum_is_taken():
    """Only one cell has a maximum's gradient; and the letter-box has no heat, whatever the network finds there."""
    image = keras.Input((32, 32, 3), dtype="uint8")
    conv = layers.Conv2D(1, 1)
    cells = layers.ReLU()(conv(layers.Rescaling(1 / 255)(image)))
    pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(cells), layers.GlobalMaxPooling2D()(cells)])
    dense = layers.Dense(2, activation="softmax")
    network = keras.Model(image, dense(pooled))
    conv.set_weights([np.array([-1.0, -1, 1]).reshape(1, 1, 3, 1), np.full(1, 0.4)])
    dense.set_weights([np.array([[0.0, 50], [0, 2]]), np.zeros(2)])
    photograph = np.where(np.arange(32)[:, None, None] < 24, [255, 128, 0], [0, 0, 0])[None].repeat(32, 2)
    photograph = np.broadcast_to(photograph, (1, 32, 32, 3)).astype(np.uint8) * inside_circle(32)[..., None]
    photograph[0, [8, 14], [10, 20]] = [[0, 0, 255], [0, 0, 245]]
    heat = heat_maps(network, photograph, 1)[0]
    assert np.argwhere(heat).tolist() == [[8, 10], [14, 20]]
    assert heat[8, 10] > heat[14, 20] > 0.9 * heat[8, 10]
    assert network.predict_on_batch(photograph)[0, 1] > 0.9  # the dark below, of 0.4 each, counts for the network


def test_greatest_heat_is_the_probability_and_the_threshold_moves_it():
    network = blue_dots_on_the_left()
    images = np.stack([dotted((10, 8)), dotted((10, 8), (12, 9)), dotted((10, 8), (12, 24), (14, 24))])
    probability = network.predict_on_batch(images)[:, 1]
    heat = heat_maps(network, images, 1)
    np.testing.assert_allclose(heat.max(axis=(1, 2)), probability, rtol=1e-4)
    strict = heat_maps(network, images, 1, threshold=float(probability[1]))
    assert strict[1].max() == pytest.approx(0.5, abs=1e-4)  # at the threshold, whatever it is
    assert (strict.max(axis=(1, 2)) < heat.max(axis=(1, 2))).all()
    np.testing.assert_allclose(strict[0] / strict[0].max(), heat[0] / heat[0].max(), rtol=1e-5)


def test_disease_may_be_several_classes():
    network, images = three_layers(classes=5), photographs(4)
    p = network.predict_on_batch(images)
    for first in (1, 2):
        heat = heat_maps(network, images, first)
        lit = heat.max(axis=(1, 2)) > 0
        assert lit.any()
        np.testing.assert_allclose(heat.max(axis=(1, 2))[lit], p[:, first:].sum(axis=1)[lit], rtol=1e-4)
    assert not np.allclose(heat_maps(network, images, 1), heat_maps(network, images, 2))


@pytest.mark.parametrize("margin", [300.0, -300.0])
def test_probability_that_has_run_to_0_or_1_gives_numbers(margin):
    network = three_layers()
    network.layers[-1].set_weights([np.zeros((16, 2)), np.array([0, margin])])
    assert set(network.predict_on_batch(photographs(2)).ravel()) == {0, 1}
    heat = heat_maps(network, photographs(2), 1)
    assert np.isfinite(heat).all() and heat.min() >= 0 and heat.max() <= 1


def test_each_map_is_its_photographs_own_however_many_there_are():
    network, images = three_layers(), photographs(35)
    heat = heat_maps(network, images, 1)
    for i in (0, 31, 32, 34):
        np.testing.assert_allclose(heat[i], heat_maps(network, images[i : i + 1], 1)[0], atol=1e-5)
    assert heat_maps(network, images[:0], 1).shape == (0, 64, 64)
    assert not heat[:, ~inside_circle(64)].any()


def test_reads_a_memory_map(tmp_path):
    np.save(tmp_path / "X.npy", photographs(3))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    network = three_layers()
    np.testing.assert_array_equal(heat_maps(network, mapped[1:], 1), heat_maps(network, np.array(mapped[1:]), 1))


def test_lower_precision_gives_about_the_same_map():
    exact, coarse, images = three_layers(), three_layers(dtype="mixed_bfloat16"), photographs(3)
    coarse.set_weights(exact.get_weights())
    heat, other = heat_maps(exact, images, 1), heat_maps(coarse, images, 1)
    assert np.abs(heat - other).mean() < 0.02
    assert np.corrcoef(heat.ravel(), other.ravel())[0, 1] > 0.95


def test_maps_follow_the_weights_as_training_goes_on():
    network, images = three_layers(), photographs(2)
    before = heat_maps(network, images, 1)
    network.set_weights([-w for w in network.get_weights()])
    after = heat_maps(network, images, 1)
    fresh = three_layers()
    fresh.set_weights(network.get_weights())
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, heat_maps(fresh, images, 1), atol=1e-6)


def test_network_is_not_kept_alive():
    network = three_layers()
    heat_maps(network, photographs(1), 1)
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None


def test_overlay_changes_the_photograph_only_under_heat_and_inside_the_retina():
    image = photographs(1, 128)[0]
    heat = np.zeros((128, 128), np.float32)
    assert np.array_equal(overlay(image, heat), image)
    heat[:] = 1
    lit = overlay(image, heat)
    inside = inside_circle(128)
    assert lit.dtype == np.uint8
    assert np.array_equal(lit[~inside], image[~inside])
    change = np.abs(lit[inside].astype(int) - image[inside]).max(axis=1)
    assert np.percentile(change, 5) > 60
    again = lit[inside] @ [0.3, 0.6, 0.1]  # a quarter of the photograph's light and dark is left
    assert np.corrcoef(again, image[inside] @ [0.3, 0.6, 0.1])[0, 1] > 0.5
    half = overlay(image, heat / 2)[inside].astype(int)
    assert np.percentile(np.abs(half - image[inside]).max(axis=1), 5) > 25


OTHER_BACKEND = """
import sys, numpy as np, keras
sys.path[:0] = [{tests!r}, {repo!r}]
import test_heatmaps as t
network = t.three_layers()
network.load_weights({weights!r})
nested = t.on_backbone("nested, gives a feature map")
assert t.heat_maps(nested, t.photographs(2), 1).shape == (2, 64, 64)
np.save({out!r}, t.heat_maps(network, t.photographs(3), 1))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_agree(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    network = three_layers()
    network.save_weights(tmp_path / "n.weights.h5")
    names = {"weights": str(tmp_path / "n.weights.h5"), "out": str(tmp_path / "heat.npy")}
    code = OTHER_BACKEND.format(tests=str(REPO / "tests"), repo=str(REPO), **names)
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"KERAS_BACKEND": backend}, timeout=300)
    np.testing.assert_allclose(np.load(tmp_path / "heat.npy"), heat_maps(network, photographs(3), 1), atol=1e-4)


def test_the_colours_are_those_of_matplotlib():
    """They are written down, since predict.py would wait for matplotlib."""
    from matplotlib import colormaps

    assert np.abs(COLOURS - 255 * colormaps["viridis"](np.linspace(0.35, 0.95, 256))[:, :3]).max() < 5
