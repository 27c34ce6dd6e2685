"""Gradients built from operations that LiteRT has on every device; it lacks TensorFlow's own gradient operations.

Each replaces TensorFlow's gradient in a graph with fixed shapes, for one photograph. Only the gradient with respect to
the input is computed, not that of the weights.
"""

import numpy as np
import tensorflow as tf


def relu(op, gradient):
    return tf.where(op.outputs[0] > 0, gradient, tf.zeros_like(gradient))


def relu6(op, gradient):
    output = op.outputs[0]
    return tf.where(tf.logical_and(output > 0, output < 6), gradient, tf.zeros_like(gradient))


def convolution(op, gradient):
    kernel = tf.transpose(tf.reverse(op.inputs[1], [0, 1]), (0, 1, 3, 2))
    return tf.nn.conv2d(_spread(op, gradient, kernel.shape[:2]), kernel, 1, "VALID"), None


def depthwise_convolution(op, gradient):
    kernel = tf.reverse(op.inputs[1], [0, 1])
    return tf.nn.depthwise_conv2d(_spread(op, gradient, kernel.shape[:2]), kernel, (1, 1, 1, 1), "VALID"), None


def average_pooling(op, gradient):
    window = op.get_attr("ksize")[1:3]
    counts = [
        _counts(*side) for side in zip(op.inputs[0].shape[1:3], gradient.shape[1:3], window, *_strides_padding(op))
    ]
    gradient = gradient * (window[0] * window[1] / np.outer(*counts)[None, :, :, None]).astype(np.float32)
    return tf.nn.avg_pool2d(_spread(op, gradient, window), window, 1, "VALID")


def max_pooling(op, gradient):
    (height, width), (strides, padding) = op.get_attr("ksize")[1:3], _strides_padding(op)
    around = [
        _around(*side) for side in zip(op.inputs[0].shape[1:3], gradient.shape[1:3], (height, width), strides, padding)
    ]
    padded = tf.pad(op.inputs[0], [(0, 0), *around, (0, 0)], constant_values=op.inputs[0].dtype.min)
    rows, columns = ((cells - 1) * step + 1 for cells, step in zip(gradient.shape[1:3], strides))
    left, total = tf.ones_like(gradient), 0  # of equal values the first of a window takes all, as in TensorFlow
    for i in range(height):
        for j in range(width):
            seen = padded[:, i : i + rows : strides[0], j : j + columns : strides[1]]
            here = left * tf.cast(tf.equal(seen, op.outputs[0]), tf.float32)
            left = left - here
            rest = (padded.shape[1] - rows - i, padded.shape[2] - columns - j)
            placed = _insert_zeros(here * gradient, strides)
            total = total + tf.pad(placed, [(0, 0), (i, rest[0]), (j, rest[1]), (0, 0)])
    (top, _), (before, _) = around
    return total[:, top : top + op.inputs[0].shape[1], before : before + op.inputs[0].shape[2]]


GRADIENTS = {
    "Relu": relu,
    "Relu6": relu6,
    "Conv2D": convolution,
    "DepthwiseConv2dNative": depthwise_convolution,
    "AvgPool": average_pooling,
    "MaxPool": max_pooling,
}


def replaced():
    """Override the gradients of operations added to TensorFlow's graph in this context."""
    names = {kind: f"EyeNet{kind}Gradient" for kind in GRADIENTS}
    for kind, name in names.items():
        try:
            tf.RegisterGradient(name)(GRADIENTS[kind])
        except KeyError:  # registered before
            pass
    return tf.compat.v1.get_default_graph().gradient_override_map(names)


def _strides_padding(op):
    """Return the vertical and horizontal strides, and the padding of both sides."""
    return op.get_attr("strides")[1:3], [op.get_attr("padding")] * 2


def _around(size, cells, window, stride, padding):
    """Count the zeros padded before and after a side of `size` pixels whose windows give `cells` outputs."""
    total = max(0, (cells - 1) * stride + window - size) if padding == b"SAME" else 0
    return total // 2, total - total // 2


def _counts(size, cells, window, stride, padding):
    """Count the pixels in each window along a side, without padding."""
    begin = np.arange(cells) * stride - _around(size, cells, window, stride, padding)[0]
    return np.minimum(begin + window, size) - np.maximum(begin, 0)


def _insert_zeros(gradient, strides):
    """Space the values of (1, rows, columns, channels) `strides` apart, with zeros between them."""
    if max(strides) == 1:
        return gradient
    _, rows, columns, channels = gradient.shape
    down, across = strides
    gradient = tf.pad(tf.reshape(gradient, (1, rows, 1, columns * channels)), [(0, 0), (0, 0), (0, down - 1), (0, 0)])
    gradient = tf.reshape(gradient, (1, rows * down * columns, 1, channels))
    gradient = tf.pad(gradient, [(0, 0), (0, 0), (0, across - 1), (0, 0)])
    gradient = tf.reshape(gradient, (1, rows * down, columns * across, channels))
    return gradient[:, : (rows - 1) * down + 1, : (columns - 1) * across + 1]


def _spread(op, gradient, window):
    """Dilate and pad the gradient so that a valid convolution gives the gradient of each input pixel."""
    strides, padding = _strides_padding(op)
    spread, borders = _insert_zeros(gradient, strides), []
    for side in (0, 1):
        size, cells = op.inputs[0].shape[1 + side], gradient.shape[1 + side]
        before = _around(size, cells, window[side], strides[side], padding[side])[0]
        borders.append((window[side] - 1 - before, size + before - (cells - 1) * strides[side] - 1))
    return tf.pad(spread, [(0, 0), *borders, (0, 0)])
