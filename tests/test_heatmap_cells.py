"""Where in a photograph the cells of a feature map look."""

import keras
import numpy as np
import pytest

from eyenet.model.evidence import split_network

layers = keras.layers


def mean_of(count, kernel, **options):
    """Make a convolution that averages, so that on a ramp it answers with the place where it looks."""
    return layers.Conv2D(
        1, kernel, kernel_initializer=keras.initializers.Constant(1 / count), use_bias=False, **options
    )


GEOMETRIES = {
    "valid": [mean_of(9, 3), layers.AveragePooling2D(2), mean_of(9, 3), layers.AveragePooling2D(2)],
    "same": [mean_of(9, 3, padding="same"), layers.AveragePooling2D(2), mean_of(9, 3, padding="same")],
    "padded": [layers.ZeroPadding2D(((3, 3), (3, 3))), mean_of(49, 7, strides=2)],
    "dilated": [mean_of(9, 3, dilation_rate=3), layers.AveragePooling2D(3, strides=2)],
    "resized": [layers.Resizing(32, 32), mean_of(9, 3)],
}
UNEVEN = {
    "same, even": [mean_of(9, 3, strides=2, padding="same"), mean_of(9, 3, strides=2, padding="same")],
    "same, wide": [mean_of(25, 5, strides=2, padding="same"), mean_of(9, 3, strides=2, padding="same")],
    "padded": [*2 * [layers.ZeroPadding2D(((0, 1), (0, 1))), mean_of(9, 3, strides=2), layers.ReLU()]],
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_cells_are_placed_where_they_look(name):
    network = keras.Sequential([keras.Input((64, 64, 1)), *GEOMETRIES[name], layers.Flatten(), layers.Dense(2)])
    halves = split_network(network)
    ramp = np.tile(np.arange(64, dtype=np.float32)[:, None, None], (1, 1, 64, 1))
    answers = halves.front.predict_on_batch(ramp)[0, :, :, 0]
    inner = slice(2, len(answers) - 2)  # at the border the padding's zeros are part of the mean
    expected = halves.start + halves.step * np.arange(len(answers))
    np.testing.assert_allclose(answers[inner, len(answers) // 2], expected[inner], atol=1e-3)


@pytest.mark.parametrize("name", UNEVEN)
def test_cells_that_are_padded_on_one_side_lie_evenly(name):
    network = keras.Sequential([keras.Input((64, 64, 1)), *UNEVEN[name], layers.Flatten(), layers.Dense(2)])
    halves = split_network(network)
    assert (halves.start, halves.step, halves.front.output.shape[1]) == (1.5, 4, 16)


def test_branches_look_where_the_wider_one_does():
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(image)
    gate = layers.Conv2D(4, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Add()([layers.Conv2D(4, 3, padding="same")(layers.Multiply()([gate, x])), x]) + 1
    halves = split_network(keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x))))
    assert halves.front.outputs[0].shape[1:] == (16, 16, 4)
    assert (halves.start, halves.step) == (0.5, 2)
