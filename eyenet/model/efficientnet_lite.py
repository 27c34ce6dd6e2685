"""EfficientNet-Lite: a network for phones, without squeeze-and-excitation and with ReLU6, so that it quantises well.

Implements the published architecture [1]_ [2]_; `port_weights.py` converts its ImageNet weights.

References
----------
.. [1] M. Tan and Q. V. Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019.
.. [2] R. Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020; without squeeze-and-
   excitation, ReLU6 instead of swish, stem and head of the same width at every scale.
"""

import math
from typing import NamedTuple


class Stage(NamedTuple):
    """Blocks of one width: repeats, kernel and first stride of the depthwise convolution, expansion, filters."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
SCALES = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite1": (1.0, 1.1), "efficientnet_lite2": (1.1, 1.2)}
STEM, HEAD = 32, 1280  # filters of the first and the last convolution, at every scale
STOCHASTIC_DEPTH = 0.2  # rate at the last block, rising from 0 at the first


def scaled_stages(variant):
    """Yield the stages of a variant: filters rounded to multiples of 8, at most 10 % down; repeats rounded up.

    The first and the last stage keep the repeats of Lite0.
    """
    width, depth = SCALES[variant]
    for number, stage in enumerate(STAGES):
        filters = max(8, int(stage.filters * width + 4) // 8 * 8)
        filters += 8 if filters < 0.9 * stage.filters * width else 0
        edge = number in (0, len(STAGES) - 1)
        repeats = stage.repeats if edge else math.ceil(stage.repeats * depth)
        yield stage._replace(filters=filters, repeats=repeats)


def build_efficientnet_lite(keras, variant, size):
    """Build the convolutions of EfficientNet-Lite.

    Parameters
    ----------
    keras : module
    variant : str
        Key of `SCALES`.
    size : int
        Side of the photographs in pixels.

    Returns
    -------
    keras.Model
        From float (n, size, size, 3), scaled to -1 ... 1, to features (n, ceil(size / 32), ceil(size / 32), 1280).
        Layers are named by their position, so that weights load at any size of photograph.
    """
    layers = keras.layers

    def normalized(x, name, activate=True):
        x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_norm")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x

    def convolved(x, filters, kernel, stride, name, activate=True):
        x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
        return normalized(x, name, activate)

    stages = list(scaled_stages(variant))
    total, number = sum(stage.repeats for stage in stages), 0
    inputs = keras.Input((size, size, 3), name="scaled")
    x = convolved(inputs, STEM, 3, 2, "stem")
    filters = STEM
    for stage in stages:
        for repeat in range(stage.repeats):
            name, before = f"block{number:02d}", x
            stride = stage.stride if repeat == 0 else 1
            if stage.expansion > 1:
                x = convolved(x, filters * stage.expansion, 1, 1, f"{name}_expand")
            x = layers.DepthwiseConv2D(stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise")(
                x
            )
            x = normalized(x, f"{name}_depthwise")
            x = convolved(x, stage.filters, 1, 1, f"{name}_project", activate=False)
            if stride == 1 and filters == stage.filters:
                drop = STOCHASTIC_DEPTH * number / total
                if drop:
                    x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
                x = layers.Add(name=f"{name}_add")([before, x])
            filters = stage.filters
            number += 1
    return keras.Model(inputs, convolved(x, HEAD, 1, 1, "head"), name=variant)
