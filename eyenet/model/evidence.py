"""Heat maps from the network itself: where in a photograph the evidence for disease lies.

Each cell of a feature map has its activations times the gradient of the log-odds of disease, summed over the channels
(HiResCAM [1]_). The map is the last whose cells are no larger than a lesion: the last of all has cells of 32 pixels in
EfficientNet and its like, and finds lesions hardly better than chance. Where nothing but pooling over the retina
follows, as in our three layers, the gradient is averaged over the cells (Grad-CAM [2]_): a maximum has a gradient at
one cell only, and of many lesions alike one would be shown. Each cell is drawn at the pixel that it looks at, which
without padding is up to nine pixels from where stretching the map would put it, and nothing outside the retina.

Measured on the synthetic sample, whose lesions are known to the pixel, by benchmarks/heatmaps.py; the README has it.

References
----------
.. [1] R. L. Draelos and L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
   networks", arXiv:2011.08891, 2020.
.. [2] R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization",
   ICCV, 2017.
"""

import weakref
from typing import NamedTuple

import keras
import numpy as np

from eyenet.model.networks import leaves
from eyenet.model.overlay import draw_heat

BATCH = 32
COARSEST = 10  # pixels between cells: about a lesion, at 256 px
LEAST_PROBABILITY = 1e-30  # the logarithm of a float32 that has run to 0 has no gradient
_halves = weakref.WeakKeyDictionary()  # by network: splitting one takes a second, and TensorBoard asks each epoch


class Cells(NamedTuple):
    """A tensor whose cell i looks at pixels around `start` + `step` * i; a feature map once it is `convolved`."""

    tensor: keras.KerasTensor
    start: float
    step: float
    convolved: bool


class Halves(NamedTuple):
    """A network cut at a feature map; `start` and `step` are those of `Cells`, `pooled` if only pooling follows."""

    front: keras.Model
    back: keras.Model
    start: float
    step: float
    pooled: bool


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
        First class that counts as disease, as `eyenet.data.tasks.first_disease` finds it.
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
    halves = _halves[network]
    heat = np.zeros(images.shape[:3], np.float32)
    for i in range(0, len(images), BATCH):
        batch = np.asarray(images[i : i + BATCH])
        cells = run_front(halves.front, batch)
        gradient, log_odds = differentiate(halves.back, cells, first)
        if halves.pooled:
            gradient = gradient.mean(axis=(1, 2), keepdims=True)
        evidence = (np.float32(cells) * gradient).sum(axis=-1).clip(0)
        heat[i : i + BATCH] = draw_heat(evidence, log_odds, threshold, batch, halves)
    return heat


def split_network(network):
    """Cut a network at its last feature map of fine cells, also when that is inside a nested model.

    Where no feature map is so fine that cells are at most `COARSEST` pixels apart, it is the last of all.

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
    halves = _split(network, network.inputs[0].shape, COARSEST)
    has_map = isinstance(halves.front, keras.Model)
    if not has_map:
        raise ValueError(f"{network.name} has no feature map, so it has no heat map")
    return halves


def _split(network, shape, coarsest):
    """Cut a network whose input has this shape, (None, size, size, channels); nested ones may leave it open."""
    image = keras.Input(batch_shape=shape, dtype=network.inputs[0].dtype)
    whole = Cells(image, 0.0, 1.0, False)
    known, maps = {id(image): whole}, []  # by tensor; it holds the tensor, so that its id stays its own

    def call(layer, *args, **options):
        # What gates the channels of a feature map has one cell, so it is not among those that are known.
        source = next((known[id(t)] for t in keras.tree.flatten(args) if id(t) in known), None)
        if source is None:
            return layer(*args, **options)
        if isinstance(layer, keras.Model):
            inner = _split(layer, source.tensor.shape, coarsest / source.step)
            feature_map = inner.front(source.tensor)
            output = inner.back(feature_map)
            start, step, convolved = inner.start, inner.step, isinstance(inner.front, keras.Model)
        else:
            output = feature_map = layer(*args, **options)
            if len(output.shape) != 4 or output.shape[1] == 1:
                return output
            start, step = look(layer, source.tensor.shape[1], output.shape[1])
            convolved = hasattr(layer, "kernel_size")
        start, step = source.start + source.step * start, source.step * step
        maps.append(Cells(feature_map, start, step, source.convolved or convolved))
        known[id(output)] = maps[-1]._replace(tensor=output)
        return output

    output = rebuild(network, image, call)
    fine = [cells for cells in maps if cells.convolved and cells.step <= coarsest]
    for cells in [*fine[::-1], *maps[::-1], whole]:
        back = _between(cells.tensor, output)
        if back is not None:
            break
    following = leaves(back) if isinstance(back, keras.Model) else ()
    pooled = not any(isinstance(layer, keras.layers.Flatten) or hasattr(layer, "kernel_size") for layer in following)
    return Halves(_between(image, cells.tensor), back, cells.start, cells.step, pooled)


def _between(inputs, outputs):
    """Make a model of what lies between two tensors, which may be the same; None if a way leads round the first."""
    if inputs is outputs:
        return keras.layers.Identity()
    try:
        return keras.Model(inputs, outputs)
    except ValueError:  # a branch or a shortcut
        return None


def rebuild(network, image, call):
    """Run a network's layers on a symbolic image, each by `call(layer, *args, **options)`; return the output."""
    if isinstance(network, keras.Sequential):
        for layer in network.layers:
            image = call(layer, image)
        return image
    inputs = keras.tree.map_structure(lambda _: image, network.input)
    return keras.models.clone_model(network, inputs, lambda layer: layer, call).outputs[0]


def look(layer, size, cells):
    """Find where a layer's cells look on its input of `size` cells: the place of the first, and the step.

    Padding counts as if it lay evenly on both sides. An even size with a step of two has it on one, but what a trained
    network has learned makes up for that: EfficientNet-Lite0's cells of 8 pixels look 3 pixels from their corner (the
    centre of their gradient), as evenly laid ones do, and those of a random network 7.
    """
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return -sum(layer.padding[0]) / 2, 1
    if kernel is None:  # the same cells, or those of an image that is resized
        return (size / cells - 1) / 2, size / cells
    step, width = layer.strides[0], (kernel[0] - 1) * getattr(layer, "dilation_rate", (1,))[0]
    padding = max(0, (cells - 1) * step + width + 1 - size) / 2 if layer.padding == "same" else 0
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
