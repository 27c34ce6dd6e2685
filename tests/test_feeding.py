"""The batches for Keras: unchanged, in the order of each epoch, without TensorFlow's automatic tuning."""

import keras
import numpy as np
import pytest

from eyenet.model.batches import Batches, predict, untuned

COUNT, SIZE = 90, 8


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)


def build():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((SIZE, SIZE, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_an_epoch_is_fed_in_its_own_order(images):
    batches = Batches(images, np.arange(COUNT) % 2, np.arange(10, COUNT), 32, seed=0)
    data, orders = untuned(batches), []
    assert data.options().autotune.enabled is False and len(data) == len(batches) == 3
    for epoch in (0, 1, 0):
        batches.set_epoch(epoch)
        given = [[part.numpy() for part in batch] for batch in data]
        assert [len(photographs) for photographs, _ in given] == [32, 32, 16]
        for index, (photographs, labels) in enumerate(given):
            assert (photographs == batches[index][0]).all() and (labels == batches[index][1]).all()
        orders.append(np.concatenate([photographs for photographs, _ in given]))
    assert (orders[0] == orders[2]).all() and (orders[0] != orders[1]).any()


def test_weights_of_the_classes_count_as_in_keras_own_way(images):
    batches = Batches(images, np.arange(COUNT) % 2, np.arange(COUNT), 32)
    learned = []
    for feed in (batches, untuned(batches)):
        model = build()
        model.fit(feed, epochs=2, class_weight={0: 0.5, 1: 3.0}, shuffle=False, verbose=0)
        learned.append(model.get_weights())
    for ours, keras_own in zip(*learned):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-6)


def test_predict(images):
    model, rows = build(), np.arange(3, COUNT, 2)
    probabilities = predict(model, Batches(images, None, rows, 32))
    np.testing.assert_allclose(probabilities, model.predict(images[rows], verbose=0), rtol=1e-6)
    assert probabilities.dtype == np.float64
    assert predict(model, Batches(images, None, rows[:0], 32)).shape == (0, 2)
