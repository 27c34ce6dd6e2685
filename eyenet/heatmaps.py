"""Heat maps from the network itself: where in a photograph the evidence for disease lies.

Each cell of the last feature map has its activations times the gradient of the log-odds of disease, summed over the
channels. Where pooling over the retina follows, the gradient is averaged over the cells first (Grad-CAM [1]_): a
maximum has a gradient at one cell only, and of many lesions alike one would be shown. Where a dense layer follows that
knows each place, the average would throw away where the network looks, and each cell keeps its own (HiResCAM [2]_).
Each cell is drawn at the pixel that it looks at, which without padding is up to nine pixels from where stretching the
map would put it, and nothing outside the retina.

Measured on the synthetic sample, whose lesions are known to the pixel (benchmarks/heatmaps.py).

References
----------
.. [1] R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization",
   ICCV, 2017.
.. [2] R. L. Draelos and L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
   networks", arXiv:2011.08891, 2020.
"""

import weakref
from typing import NamedTuple

import keras
import numpy as np
from matplotlib import colormaps

from eyenet.colours import find_visible
from eyenet.networks import leaves
from eyenet.photo import inside_circle

BATCH = 32
LEAST_PROBABILITY = 1e-30  # the logarithm of a float32 that has run to 0 has no gradient
OPACITY = 0.75  # of the heat where it is greatest, so that the photograph shows through
# Blue-green to yellow-green: unlike anything in an orange retina, where red would pass for blood; in this order also
# to the colour-blind.
COLOURS = colormaps["viridis"](np.linspace(0.35, 0.95, 256))[:, :3].astype(np.float32) * 255
_halves = weakref.WeakKeyDictionary()  # by network: splitting one takes a second, and TensorBoard asks each epoch


class Cells(NamedTuple):
    """A feature map whose cell i looks at pixels around `start` + `step` * i of the photograph."""

    tensor: keras.KerasTensor
    start: float
    step: float


class Halves(NamedTuple):
    """A network cut at its last feature map; `start` and `step` are those of `Cells`.

    `placed` tells whether what follows knows the cells by their place.
    """

    front: keras.Model
    back: keras.Model
    start: float
    step: float
    placed: bool


def heat_maps(network, images, first, threshold=0.5):
    """Map the evidence for disease in photographs.

    The evidence is what each place adds to the log-odds of disease; what speaks against disease is left out.

    A map's shape is the photograph's own, its greatest value is what the network makes of the photograph: the
    probability of disease, moved so that `threshold` becomes one half. (By the shape alone a healthy photograph would
    glow as one full of lesions does; by the evidence alone nearly so, since a healthy one has evidence too, and as
    much against it.)

    Parameters
    ----------
    network : keras.Model
        Photographs in, probabilities of classes out. Sequential or functional; models may be nested in it.
    images : array of uint8, shape (n, size, size, 3)
    first : int
        First class that counts as disease, as `eyenet.tasks.first_disease` finds it.
    threshold : float
        Probability from which the photograph is called diseased.

    Returns
    -------
    ndarray of float32, shape (n, size, size)
        0 to 1; 0 outside the retina, the letter-box where the frame cuts it off included.

    Raises
    ------
    ValueError
        If the network has no feature map.
    """
    if network not in _halves:
        _halves[network] = split_network(network)
    halves, size = _halves[network], images.shape[1]
    heat = np.zeros(images.shape[:3], np.float32)
    for i in range(0, len(images), BATCH):
        cells = run_front(halves.front, np.asarray(images[i : i + BATCH]))
        gradient, log_odds = differentiate(halves.back, cells, first)
        if not halves.placed:
            gradient = gradient.mean(axis=(1, 2), keepdims=True)
        evidence = (np.float32(cells) * gradient).sum(axis=-1).clip(0)
        evidence = enlarge(evidence, size, halves) * [retina_of(crop) for crop in np.asarray(images[i : i + BATCH])]
        greatest = evidence.max(axis=(1, 2))
        strength = 1 / (1 + np.exp(np.log(threshold / (1 - threshold)) - log_odds))
        heat[i : i + BATCH] = evidence * (strength / np.maximum(greatest, 1e-12))[:, None, None]
    return heat


def retina_of(crop):
    """Mark the pixels of a crop that show the retina; the whole circle where all is dark."""
    circle = inside_circle(len(crop))
    visible = find_visible(crop, circle)
    return visible if visible.any() else circle


def overlay(image, heat):
    """Lay a heat map over its photograph, which stays as it is where there is no heat and outside the retina.

    Parameters
    ----------
    image : ndarray of uint8, shape (size, size, 3)
    heat : ndarray of float, shape (size, size)
        0 to 1.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
    """
    heat = np.where(inside_circle(len(image)), heat, 0).clip(0, 1)
    opacity = (OPACITY * heat**0.6)[..., None]  # the root makes half the heat visible too
    colour = COLOURS[np.rint(255 * heat).astype(int)]
    return np.rint(image * (1 - opacity) + colour * opacity).astype(np.uint8)


def enlarge(cells, size, halves):
    """Interpolate maps (n, cells, cells) linearly to (n, size, size), each cell at the pixel that it looks at."""
    last = cells.shape[1] - 1
    place = ((np.arange(size) - halves.start) / halves.step).clip(0, last)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(last + 1))).astype(np.float32)
    return weights @ cells @ weights.T


def split_network(network):
    """Cut a network at its last feature map of more than one cell, also when that is inside a nested model.

    Parameters
    ----------
    network : keras.Model
        Sequential or functional.

    Returns
    -------
    Halves
        They share the network's layers, and so its weights as training goes on.

    Raises
    ------
    ValueError
        If there is no feature map.
    """
    halves = _split(network, network.inputs[0].shape)
    has_map = isinstance(halves.front, keras.Model)
    if not has_map:
        raise ValueError(f"{network.name} has no feature map, so it has no heat map")
    return halves


def _split(network, shape):
    """Cut a network whose input has this shape, (None, size, size, channels); nested ones may leave it open."""
    image = keras.Input(batch_shape=shape, dtype=network.inputs[0].dtype)
    known = {id(image): Cells(image, 0.0, 1.0)}  # by tensor; it holds the tensor, so that its id stays its own
    last = known[id(image)]

    def call(layer, *args, **options):
        nonlocal last
        # What gates the channels of a feature map has one cell, so it is not among those that are known.
        source = next((known[id(t)] for t in keras.tree.flatten(args) if id(t) in known), None)
        if source is None:
            return layer(*args, **options)
        if isinstance(layer, keras.Model):
            inner = _split(layer, source.tensor.shape)
            feature_map = inner.front(source.tensor)
            output = inner.back(feature_map)
            last = Cells(feature_map, source.start + source.step * inner.start, source.step * inner.step)
            known[id(output)] = last._replace(tensor=output)
        else:
            output = layer(*args, **options)
            if len(output.shape) == 4 and output.shape[1] > 1:
                start, step = look(layer, source.tensor.shape[1], output.shape[1])
                last = Cells(output, source.start + source.step * start, source.step * step)
                known[id(output)] = last
        return output

    output = rebuild(network, image, call)
    front, back = _between(image, last.tensor), _between(last.tensor, output)
    following = leaves(back) if isinstance(back, keras.Model) else ()
    placed = any(isinstance(layer, keras.layers.Flatten) for layer in following)
    return Halves(front, back, last.start, last.step, placed)


def _between(inputs, outputs):
    """Make a model of what lies between two tensors, which may be the same."""
    return keras.layers.Identity() if inputs is outputs else keras.Model(inputs, outputs)


def rebuild(network, image, call):
    """Run a network's layers on a symbolic image, each by `call(layer, *args, **options)`; return the output."""
    if isinstance(network, keras.Sequential):
        for layer in network.layers:
            image = call(layer, image)
        return image
    inputs = keras.tree.map_structure(lambda _: image, network.input)
    return keras.models.clone_model(network, inputs, lambda layer: layer, call).outputs[0]


def look(layer, size, cells):
    """Find where a layer's cells look on its input of `size` cells: the place of the first, and the step."""
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return -layer.padding[0][0], 1
    if kernel is None:  # the same cells, or those of an image that is resized
        return (size / cells - 1) / 2, size / cells
    step, width = layer.strides[0], (kernel[0] - 1) * getattr(layer, "dilation_rate", (1,))[0]
    padding = max(0, (cells - 1) * step + width + 1 - size) // 2 if layer.padding == "same" else 0
    return width / 2 - padding, step


def run_front(front, images):
    """Compute the feature maps of photographs, without keeping what a gradient by the photographs would need."""
    if keras.backend.backend() == "tensorflow":
        return keras.ops.convert_to_numpy(front(images, training=False))  # traces nothing: many traces make it warn
    return front.predict_on_batch(images)


def differentiate(back, cells, first):
    """Differentiate the log-odds of disease by the cells of a feature map.

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
        return ops.log(ops.maximum(disease, LEAST_PROBABILITY)) - ops.log(ops.maximum(health, LEAST_PROBABILITY))

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
