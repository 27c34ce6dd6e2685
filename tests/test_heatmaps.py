"""Heat maps: the layer of the evidence, the positions of its cells, the values, and the drawing."""

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

import cnn
from eyenet.model.evidence import differentiate, explained, heat_maps, sum_evidence
from eyenet.model.networks import NETWORKS, Evidence
from eyenet.model.overlay import HEAT_COLOURS, enlarge, overlay
from eyenet.photo.retina import inside_circle

layers = keras.layers


def photographs(count, size=64, dots=6):
    """Draw input photographs of the network, uint8, shape (count, size, size, 3)."""
    return np.stack([draw_photograph(size, size, radius=size / 2, seed=i, dots=dots) for i in range(count)])


def three_layers(size=64, classes=2, dtype="float32"):
    """Build the three-layer network with nonzero weights in its head."""
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(dtype)
    try:
        network = cnn.build_network("three_layers", size, classes, "none")
    finally:
        keras.config.set_dtype_policy("float32")
    kernel = network.layers[-1].kernel
    kernel.assign(np.random.default_rng(1).normal(0, 0.3, kernel.shape))
    return network


def explainable(monkeypatch, features, head, size, start=0):
    """Build a small network (scaling, features, head) and add it to the table of networks."""
    keras.utils.set_random_seed(5)
    image = keras.Input((size, size, 3), dtype="uint8")
    x = keras.Sequential([keras.Input((size, size, 3)), *features])(layers.Rescaling(1 / 255)(image))
    monkeypatch.setitem(NETWORKS, "small", NETWORKS["three_layers"]._replace(evidence=Evidence(start=start)))
    monkeypatch.setattr("eyenet.model.evidence.STEP", 1)
    return keras.Model(image, head(x), name="small")


def test_cutting_leaves_the_network_as_it_was(tmp_path):
    network, images = three_layers(), photographs(2)
    before, names = network.predict_on_batch(images), [layer.name for layer in network.layers]
    heat = heat_maps(network, images, 1)
    network.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert [layer.name for layer in again.layers] == names
    np.testing.assert_array_equal(again.predict_on_batch(images), before)
    np.testing.assert_allclose(heat_maps(again, images, 1), heat, atol=1e-5)


def test_a_network_that_the_table_does_not_know_is_refused():
    network = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)], name="unknown")
    with pytest.raises(ValueError, match="unknown is not in .*NETWORKS"):
        heat_maps(network, photographs(1, 8), 1)


def test_enlarging_puts_a_cell_on_its_pixel():
    parts = explained(cnn.build_network("three_layers_2017", 256, 2, "none"))
    cells = np.zeros((1, 30, 30), np.float32)
    cells[0, 0, 29] = 1
    large = enlarge(cells, 256, parts)[0]
    assert (parts.start, parts.step) == (10.5, 8)
    rows, columns = np.nonzero(large > 0.9 * large.max())
    assert rows.max() <= 12 and columns.min() >= 241  # 10.5 and 242.5; the cells at the border extend outwards


def test_map_after_average_pooling_is_the_class_activation_map(monkeypatch):
    """There the evidence is the sum of the cells, weighted by the difference of the last layer's weights."""

    def head(x):
        return layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x))

    network = explainable(monkeypatch, [layers.Conv2D(5, 3, activation="relu")], head, 16, start=1)
    images = photographs(4, 16)
    weights = np.array(network.layers[-1].kernel)
    parts = explained(network)
    evidence = (parts.front.predict_on_batch(images) @ (weights[:, 1] - weights[:, 0])).clip(0)
    expected = enlarge(evidence, 16, parts) * inside_circle(16)
    probability = network.predict_on_batch(images)[:, 1]
    assert expected.max(axis=(1, 2)).min() > 0
    expected *= (probability / expected.max(axis=(1, 2)))[:, None, None]
    np.testing.assert_allclose(heat_maps(network, images, 1), expected, atol=1e-5)


def test_evidence_of_a_linear_head_sums_to_the_log_odds(monkeypatch):
    def head(x):
        bias = keras.initializers.Constant([0, 0.3])
        return layers.Dense(2, activation="softmax", bias_initializer=bias)(layers.Flatten()(x))

    network = explainable(monkeypatch, [layers.Conv2D(4, 3, activation="relu")], head, 16)
    images, parts = photographs(3, 16), explained(network)
    cells = parts.front.predict_on_batch(images)
    gradient, log_odds = differentiate(parts.back, cells, 1)
    p = network.predict_on_batch(images).astype(float)
    np.testing.assert_allclose(log_odds, np.log(p[:, 1] / p[:, 0]), atol=1e-4)
    np.testing.assert_allclose((cells * gradient).sum(axis=(1, 2, 3)) + 0.3, log_odds, atol=1e-4)


def blue_dots_on_the_left(monkeypatch):
    """Build a network for which blue dots are evidence for disease in the left half, and against it in the right."""
    conv = layers.Conv2D(1, 1)
    dense = layers.Dense(2, activation="softmax")
    network = explainable(monkeypatch, [conv, layers.ReLU()], lambda x: dense(layers.Flatten()(x)), 32)
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


def test_heat_lies_where_the_evidence_is_and_not_where_it_speaks_against(monkeypatch):
    """Grad-CAM's average over the cells is zero here, so its map would be empty."""
    images = np.stack([dotted((10, 8), (12, 24)), dotted((20, 6)), dotted((20, 26)), dotted()])
    heat = heat_maps(blue_dots_on_the_left(monkeypatch), images, 1)
    assert np.unravel_index(heat[0].argmax(), (32, 32)) == (10, 8)
    assert heat[0, 12, 24] == 0
    assert np.argwhere(heat[1]).tolist() == [[20, 6]]
    assert not heat[2].any()
    assert not heat[3].any()


def test_a_channel_that_speaks_against_disease_does_not_offset_another():
    cells = np.array([[[[2.0, 3], [1, 0]]]], np.float32)
    gradient = np.array([[[[1.0, -4], [3, 2]]]], np.float32)
    assert np.array(sum_evidence(cells, gradient, pooled=False)).tolist() == [[[2, 3]]]
    assert np.array(sum_evidence(cells, gradient, pooled=True)).tolist() == [[[1, 2]]]  # gradients 2 and -1, averaged


def test_lesions_that_are_alike_are_all_shown_where_a_maximum_is_taken(monkeypatch):
    """The gradient of a maximum reaches one cell only. The letter-box has no heat, even if the network responds."""
    conv, dense = layers.Conv2D(1, 1), layers.Dense(2, activation="softmax")

    def head(x):
        return dense(layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]))

    network = explainable(monkeypatch, [conv, layers.ReLU()], head, 32)
    conv.set_weights([np.array([-1.0, -1, 1]).reshape(1, 1, 3, 1), np.full(1, 0.4)])
    dense.set_weights([np.array([[0.0, 50], [0, 2]]), np.zeros(2)])
    photograph = np.where(np.arange(32)[:, None, None] < 24, [255, 128, 0], [0, 0, 0])[None].repeat(32, 2)
    photograph = np.broadcast_to(photograph, (1, 32, 32, 3)).astype(np.uint8) * inside_circle(32)[..., None]
    photograph[0, [8, 14], [10, 20]] = [[0, 0, 255], [0, 0, 245]]
    heat = heat_maps(network, photograph, 1)[0]
    assert np.argwhere(heat).tolist() == [[8, 10], [14, 20]]
    assert heat[8, 10] > heat[14, 20] > 0.9 * heat[8, 10]
    assert network.predict_on_batch(photograph)[0, 1] > 0.9  # the network also responds to the dark below, 0.4 each


def test_greatest_heat_is_the_probability_and_the_threshold_moves_it(monkeypatch):
    network = blue_dots_on_the_left(monkeypatch)
    images = np.stack([dotted((10, 8)), dotted((10, 8), (12, 9)), dotted((10, 8), (12, 24), (14, 24))])
    probability = network.predict_on_batch(images)[:, 1]
    heat = heat_maps(network, images, 1)
    np.testing.assert_allclose(heat.max(axis=(1, 2)), probability, rtol=1e-4)
    strict = heat_maps(network, images, 1, threshold=float(probability[1]))
    assert strict[1].max() == pytest.approx(0.5, abs=1e-4)  # at the threshold, for any threshold
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
    network.layers[-1].set_weights([np.zeros((256, 2)), np.array([0, margin])])
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
    again = lit[inside] @ [0.3, 0.6, 0.1]  # a quarter of the photograph's contrast is left
    assert np.corrcoef(again, image[inside] @ [0.3, 0.6, 0.1])[0, 1] > 0.5
    half = overlay(image, heat / 2)[inside].astype(int)
    assert np.percentile(np.abs(half - image[inside]).max(axis=1), 5) > 25


OTHER_BACKEND = """
import sys, numpy as np, keras
sys.path[:0] = [{tests!r}, {repo!r}]
import test_heatmaps as t
network = t.three_layers()
network.load_weights({weights!r})
np.save({out!r}, t.heat_maps(network, t.photographs(3), 1))
"""


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_torch_agrees(tmp_path):
    """test_distribute.py compares JAX."""
    network = three_layers()
    network.save_weights(tmp_path / "n.weights.h5")
    names = {"weights": str(tmp_path / "n.weights.h5"), "out": str(tmp_path / "heat.npy")}
    code = OTHER_BACKEND.format(tests=str(REPO / "tests"), repo=str(REPO), **names)
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env=os.environ | {"KERAS_BACKEND": "torch"},
        timeout=1800,
    )
    np.testing.assert_allclose(np.load(tmp_path / "heat.npy"), heat_maps(network, photographs(3), 1), atol=1e-4)


def test_the_colours_are_those_of_matplotlib():
    """They are constants, because importing matplotlib would slow down predict.py."""
    from matplotlib import colormaps

    assert np.abs(HEAT_COLOURS - 255 * colormaps["viridis"](np.linspace(0.35, 0.95, 256))[:, :3]).max() < 5
