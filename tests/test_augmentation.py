"""Random augmentation: it does not depend on the label, and keeps the relevant content of a photograph."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras

from cnn import build_augmentation, light, ordinal_crossentropy, random_change, turn
from eyenet.photo.retina import black_outside

SIZE = 64


@pytest.fixture
def photographs():
    """Sixteen circles of noise with a bright wedge to the right of the middle."""
    images = np.random.default_rng(0).integers(60, 120, (16, SIZE, SIZE, 3), dtype=np.uint8)
    images[:, 30:34, 40:56] = 255
    return np.stack([black_outside(image) for image in images])


def seeded(change):
    """Build an augmentation layer that draws the same numbers in each run of the tests."""
    layer = random_change(change)
    layer.seed_generator.state.assign(np.array([1, 2]).astype(layer.seed_generator.state.dtype))
    return layer


def as_array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_prediction_sees_the_photograph_as_it_is(photographs):
    assert np.array_equal(as_array(build_augmentation(SIZE)(photographs, training=False)), photographs)


def test_turn_goes_all_ways_and_keeps_the_picture(photographs):
    """The wedge occurs in every quarter of the circle, the brightness is kept, and both mirrorings occur."""
    many = np.repeat(photographs, 16, axis=0)
    turned = as_array(seeded(turn)(many, training=True))
    rows, columns = np.nonzero(np.ones((SIZE, SIZE)))
    weight = (turned.max(axis=-1) > 200).reshape(len(many), -1).astype(float)
    x = (weight * (columns - SIZE / 2)).sum(axis=1) / weight.sum(axis=1)
    y = (weight * (rows - SIZE / 2)).sum(axis=1) / weight.sum(axis=1)
    quarter = np.histogram(np.arctan2(y, x), bins=4, range=(-np.pi, np.pi))[0]
    assert quarter.min() > 0.15 * len(many)
    assert 12 < np.hypot(x, y).mean() < 20  # it was 16 pixels from the middle
    assert abs(turned.mean() / many.mean() - 1) < 0.1


def test_turn_mirrors_every_second_time():
    """The determinant of an L shape changes sign after mirroring, but not after a rotation."""
    image = np.zeros((400, SIZE, SIZE, 3), np.uint8)
    image[:, 32, 32:56], image[:, 32:44, 32] = (255, 0, 0), (0, 255, 0)
    turned = as_array(seeded(turn)(image, training=True))
    place = np.arange(SIZE) - 31.5

    def middle(channel):
        light = turned[..., channel]
        total = light.sum(axis=(1, 2))
        return np.stack([(light.sum(axis=1) @ place) / total, (light.sum(axis=2) @ place) / total], axis=1)

    red, green = middle(0), middle(1)
    handed = np.sign(red[:, 0] * green[:, 1] - red[:, 1] * green[:, 0])
    assert 0.4 < (handed > 0).mean() < 0.6


def test_light_changes_colours_but_not_black(photographs):
    lit = as_array(seeded(light)(photographs.astype("float32"), training=True))
    black = photographs.max(axis=-1) == 0
    assert not lit[black].any() and lit.min() >= 0 and lit.max() <= 255
    change = lit[~black].astype(float) - photographs[~black]
    assert abs(change).mean() > 5  # the change is not negligible
    ranks = lit[0, :, :, 0].ravel()[np.argsort(photographs[0, :, :, 0].ravel(), kind="stable")]
    assert (np.diff(ranks) > -1e-3).all()  # the order of brightness is kept within a channel
    means = lit[:, 20:44, 20:44].mean(axis=(1, 2)) / photographs[:, 20:44, 20:44].mean(axis=(1, 2))
    assert means.std(axis=0).min() > 0.03 and means.std(axis=1).mean() > 0.02  # between photographs, between channels


@pytest.mark.parametrize("change", (turn, light))
def test_the_same_draw_after_the_same_state(change, photographs):
    """Checkpoint sets this state for each epoch, so that a resumed training draws the same as an uninterrupted one."""
    made = random_change(change)
    state = made.seed_generator.state
    state.assign(np.array([7, 3]).astype(state.dtype))
    first = as_array(made(photographs.astype("float32"), training=True))
    other = as_array(made(photographs.astype("float32"), training=True))
    state.assign(np.array([7, 3]).astype(state.dtype))
    assert np.array_equal(first, as_array(made(photographs.astype("float32"), training=True)))
    assert not np.array_equal(first, other)


def test_ordinal_crossentropy():
    """Equals crossentropy for two classes; for more, larger errors cost more. Compared with an explicit sum."""
    rng = np.random.default_rng(0)
    labels, two = rng.integers(0, 2, 50), rng.dirichlet((1, 1), 50).astype("float32")
    ordinary = as_array(keras.losses.sparse_categorical_crossentropy(labels, two))
    assert np.allclose(as_array(ordinal_crossentropy(labels, two)), ordinary, atol=1e-4)
    labels, five = rng.integers(0, 5, 50), rng.dirichlet(np.ones(5), 50).astype("float32")
    written = [
        -np.mean([np.log(p[k:].sum()) if label >= k else np.log(p[:k].sum()) for k in range(1, 5)])
        for label, p in zip(labels, five)
    ]
    assert np.allclose(as_array(ordinal_crossentropy(labels[:, None], five)), written, atol=1e-4)
    sure = 0.9 * np.eye(5, dtype="float32") + 0.02
    costs = as_array(ordinal_crossentropy(np.full(5, 4), sure))
    assert (np.diff(costs) < 0).all()
