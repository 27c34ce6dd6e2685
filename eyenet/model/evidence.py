"""Heat maps: where in a photograph the network finds evidence for disease.

Each value of a feature map is multiplied by the gradient of the log-odds of disease with respect to it; the positive
products are summed over the channels (LayerCAM [1]_). `eyenet.model.networks.NETWORKS` names the layer: the last whose
cells are no larger than a lesion (8 pixels). The last layer of EfficientNet has cells of 32 pixels and locates lesions
less often. Where only pooling over the retina follows, as in the three layers, the gradient is averaged over the cells
(Grad-CAM [2]_): the gradient of max pooling reaches one cell only, so of many similar lesions one would be shown. Each
cell is drawn at the centre of its receptive field, and nothing is drawn outside the retina.

Measured by benchmarks/lesions.py on photographs whose lesions experts have marked, and chosen on healthy photographs
with drawn lesions: the sum of all products (HiResCAM), which was used before, found these less often.

References
----------
.. [1] P.-T. Jiang et al., "LayerCAM: exploring hierarchical class activation maps for localization", IEEE Transactions
   on Image Processing, 2021. For a feature map after ReLU, whose values are not negative, the two are the same.
.. [2] R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization",
   ICCV, 2017.
"""

import weakref
from typing import NamedTuple

import keras
import numpy as np

from eyenet.model.networks import NETWORKS, parts_of
from eyenet.model.overlay import draw_heat

BATCH = 32
STEP = 8  # pixels between the cells of every network's evidence, as its convolutions see the photograph
TINY = 1e-30  # lower limit of a probability: the logarithm of a float32 of 0 has no gradient
_explained = weakref.WeakKeyDictionary()  # by network: building the models takes a second, and TensorBoard asks often


class Explained(NamedTuple):
    """A network as two models: photographs to cells, and cells to probabilities. They share the network's weights.

    Cell i is centred on pixel `start` + `step` * i; `pooled` is True where only pooling follows the cells.
    """

    front: keras.Model
    back: keras.Model
    start: float
    step: float
    pooled: bool


def heat_maps(network, images, first, threshold=0.5):
    """Map the evidence for disease in photographs.

    The evidence is what each cell adds to the log-odds of disease; evidence against disease is left out. The maximum
    of a map is the probability of disease, shifted so that `threshold` becomes one half: otherwise the map of a
    healthy photograph would look as bright as that of a diseased one.

    Parameters
    ----------
    network : keras.Model
        As `eyenet.model.networks.build_network` builds it.
    images : array of uint8, shape (n, size, size, 3)
    first : int
        First class that counts as disease, as `eyenet.data.tasks.first_disease` finds it.
    threshold : float
        Probability from which the photograph is called diseased.

    Returns
    -------
    ndarray of float32, shape (n, size, size)
        0 to 1; 0 outside the visible retina.

    Raises
    ------
    ValueError
        If `NETWORKS` does not know the network.
    """
    heat = np.zeros(images.shape[:3], np.float32)
    for i in range(0, len(images), BATCH):
        batch = np.asarray(images[i : i + BATCH])
        evidence, log_odds = evidence_of(network, batch, first)
        heat[i : i + BATCH] = draw_heat(evidence, log_odds, threshold, batch, _explained[network])
    return heat


def evidence_of(network, images, first):
    """Compute the evidence for disease in the cells of a batch of photographs; parameters as of `heat_maps`.

    Returns
    -------
    evidence : ndarray of float32, shape (n, cells, cells)
        Not negative.
    log_odds : ndarray of float32, shape (n,)
        Of disease.
    """
    if network not in _explained:
        _explained[network] = explained(network)
    parts = _explained[network]
    cells = run_front(parts.front, images)
    gradient, log_odds = differentiate(parts.back, cells, first)
    return keras.ops.convert_to_numpy(sum_evidence(np.float32(cells), gradient, parts.pooled)), log_odds


def explained(network):
    """Split a network at the layer that `NETWORKS` names.

    Parameters
    ----------
    network : keras.Model
        As `cnn.build_network` builds it: scaling, features, then the head.

    Returns
    -------
    Explained

    Raises
    ------
    ValueError
        If `NETWORKS` does not know the network.
    """
    if network.name not in NETWORKS:
        raise ValueError(f"{network.name} is not in eyenet.model.networks.NETWORKS, so it has no heat map")
    layer, start = NETWORKS[network.name].evidence
    (*_, scaling), features, head = parts_of(network)
    pooling = next(x for x in head if isinstance(x, (keras.layers.GlobalAveragePooling2D, keras.layers.Flatten)))
    back = retyped(keras.Model(pooling.input, network.output), network.compute_dtype)
    if layer is None:
        front = keras.Model(network.input, pooling.input)
    else:
        cells = features.get_layer(layer).output
        front = keras.Model(network.input, keras.Model(features.input, cells)(scaling.output))
        back = retyped(keras.Model(cells, back(features.output)), network.compute_dtype)
    side = features.input_shape[1]
    if start is None:
        start = (side - 1 - STEP * (front.output_shape[1] - 1)) / 2
    shrunk = network.input_shape[1] / side  # 1, unless the network enlarges its photographs
    pooled = layer is None and isinstance(pooling, keras.layers.GlobalAveragePooling2D)
    return Explained(front, back, (start + 0.5) * shrunk - 0.5, STEP * shrunk, pooled)


def sum_evidence(cells, gradient, pooled):
    """Sum what the channels of each cell add to the log-odds of disease; negative ones are dropped.

    Parameters
    ----------
    cells, gradient : tensor or ndarray of float32, shape (n, cells, cells, channels)
    pooled : bool
        Whether only pooling follows the cells.

    Returns
    -------
    tensor of float32, shape (n, cells, cells)
        Not negative.
    """
    ops = keras.ops
    if pooled:
        return ops.relu(ops.sum(cells * ops.mean(gradient, axis=(1, 2), keepdims=True), axis=-1))
    return ops.sum(ops.relu(cells * gradient), axis=-1)


def retyped(model, dtype):
    """Call the layers of a model again on an input of another type; its own keeps the precision of training."""
    return keras.models.clone_model(model, keras.Input(batch_shape=model.input.shape, dtype=dtype), lambda layer: layer)


def run_front(front, images):
    """Compute the cells of photographs without recording a gradient."""
    if keras.backend.backend() == "tensorflow":
        return keras.ops.convert_to_numpy(front(images, training=False))  # predict would retrace and warn
    return front.predict_on_batch(images)


def differentiate(back, cells, first):
    """Differentiate the log-odds of disease with respect to the cells of a feature map.

    Returns
    -------
    gradient : ndarray of float32, shape (n, cells, cells, channels)
    log_odds : ndarray of float32, shape (n,)
    """
    ops = keras.ops
    cells = ops.convert_to_tensor(cells)

    def log_odds(cells):
        probabilities = ops.cast(back(cells, training=False), "float32")
        disease, health = (ops.sum(part, axis=1) for part in (probabilities[:, first:], probabilities[:, :first]))
        return ops.log(ops.maximum(disease, TINY)) - ops.log(ops.maximum(health, TINY))

    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(cells)
                values = log_odds(cells)
            gradient = tape.gradient(values, cells)
        case "jax":
            import jax

            values, pull_back = jax.vjp(log_odds, cells)
            (gradient,) = pull_back(ops.ones_like(values))
        case "torch":
            import torch

            cells.requires_grad_()
            values = log_odds(cells)
            (gradient,) = torch.autograd.grad(values.sum(), cells)
    return tuple(ops.convert_to_numpy(x).astype(np.float32) for x in (gradient, values))
