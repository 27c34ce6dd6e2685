"""The networks of `cnn.py --network`: a table of what they cost, and the convolutions of all but the default one.

The default network, three_layers, is built in cnn.py, and so is what follows the convolutions of every network.
"""

import math
from typing import NamedTuple

from eyenet.model import backend
from eyenet.model.efficientnet_lite import SCALES, build_efficientnet_lite
from eyenet.run.errors import StageError


class Recipe(NamedTuple):
    """How cnn.py trains a network by default.

    `rows` are the training images: 'all', with the copies of rotate_images.py, or only the 'originals'. `balanced`
    weighs both classes equally in the loss of a task with two classes.
    """

    weights: str
    epochs: int
    learning_rate: float
    batch: int = 32
    rows: str = "all"
    balanced: bool = True


SCRATCH, TUNED = Recipe("none", 30, 1e-3), Recipe("imagenet", 5, 3e-4)
# Copies and balanced classes did not help a network that sees enlarged photographs (benchmarks/results/trials.csv).
ORIGINALS = Recipe("imagenet", 20, 5e-4, batch=64, rows="originals", balanced=False)


class Cost(NamedTuple):
    """Cost of a network at 256 px with two classes, and the AUC that it reached (benchmarks/results/).

    Millions of parameters, millions of multiply-adds per photograph, training rate in images/s on two cores, and the
    AUC of any and of referable DR on test patients of `eyepacs-256eq`; None if not measured.
    """

    parameters: float
    multiply_adds: float
    rate: float
    reached: tuple = (None, None)


class Evidence(NamedTuple):
    """The feature map whose cells hold the evidence of a heat map: the last one with a stride of 8 pixels.

    `layer` is its layer in the features, or None for the map that the head pools or flattens; `start` is the pixel at
    the centre of its first receptive field, None where padding is symmetric, so that the cells are centred.
    """

    layer: str | None = None
    start: float | None = None


class Enlarged(NamedTuple):
    """The convolutions of another network of the table, on photographs enlarged to a side in pixels.

    A finer feature map helps more than a finer photograph: crops of this size, made from larger originals, give less
    than enlarged ones (`lite0-384` in benchmarks/results/trials.csv).
    """

    network: str
    side: int


class Network(NamedTuple):
    """A network of `cnn.py --network`.

    `application` is its class in keras.applications, or None; `scale` and `offset` map 0-255 to the range that its
    weights were trained on; `least` is the smallest photograph in pixels; `dropout` is the rate before the last layer;
    `enlarged` tells that the network enlarges the photographs first.
    """

    application: str | None
    scale: float
    offset: float
    least: int
    dropout: float
    recipe: Recipe
    cost: Cost
    evidence: Evidence
    enlarged: Enlarged | None = None

    def recipe_for(self, weights, continued=False):
        """Return the recipe for initial weights (None: the network's own); random ones need a longer training.

        `continued` is for a training that starts from a model: its convolutions are trained already.
        """
        weights = weights or self.recipe.weights
        random = weights == "none" != self.recipe.weights and not continued
        slow = {"epochs": SCRATCH.epochs, "learning_rate": SCRATCH.learning_rate} if random else {}
        return self.recipe._replace(weights=weights, **slow)


LITE_RANGE, KERAS_RANGE = (1 / 128, -127 / 128), (1 / 127.5, -1)  # scale and offset
NETWORKS = {
    "three_layers": Network(
        None, 1 / 32, 0, 32, 0.2, Recipe("none", 30, 3e-3), Cost(0.02, 250, 102, (0.72, 0.77)), Evidence(start=3.5)
    ),
    "three_layers_2017": Network(
        None,
        1 / 255,
        0,
        22,
        0.5,
        Recipe("none", 30, 3e-4),
        Cost(3.71, 237, 94, (0.48, None)),
        Evidence(start=10.5),
    ),
    "efficientnet_lite0": Network(
        None, *LITE_RANGE, 32, 0.3, TUNED, Cost(3.42, 501, 42, (0.78, 0.84)), Evidence("block05_expand_relu")
    ),
    "efficientnet_lite0_384": Network(
        None,
        *LITE_RANGE,
        32,
        0.3,
        ORIGINALS,
        Cost(3.42, 1128, 19, (0.81, 0.87)),
        Evidence("block05_expand_relu"),
        Enlarged("efficientnet_lite0", 384),
    ),
    "efficientnet_lite1": Network(
        None, *LITE_RANGE, 32, 0.3, TUNED, Cost(4.19, 655, 32), Evidence("block07_expand_relu")
    ),
    "efficientnet_lite2": Network(
        None, *LITE_RANGE, 32, 0.3, TUNED, Cost(4.87, 751, 29), Evidence("block07_expand_relu")
    ),
    "mobilenet_v2": Network("MobileNetV2", *KERAS_RANGE, 32, 0.3, TUNED, Cost(2.26, 391, 49), Evidence("block_6_pad")),
    "resnet50_v2": Network(
        "ResNet50V2", *KERAS_RANGE, 32, 0.3, TUNED, Cost(23.57, 4546, 11), Evidence("conv3_block3_out", 0)
    ),
    "inception_v3": Network("InceptionV3", *KERAS_RANGE, 75, 0.3, TUNED, Cost(21.81, 3848, 15), Evidence("mixed2", 13)),
}


def build_features(name, size, weights=None):
    """Build the convolutions of a network: scaled photographs in, a feature map out; random weights, or Keras's own."""
    import keras

    if enlarged := NETWORKS[name].enlarged:
        return build_features(enlarged.network, enlarged.side, weights)
    if name == "three_layers_2017":
        return three_layers_2017(size)
    if name in SCALES:
        return build_efficientnet_lite(keras, name, size)
    application = getattr(keras.applications, NETWORKS[name].application)
    return application(include_top=False, weights=weights, input_shape=(size, size, 3))


def scaled(name, photograph):
    """Scale photographs to the range of a network, and enlarge them if it does so: uint8 KerasTensor to float32.

    This is part of the network, so that no exported model can omit it.

    Raises
    ------
    StageError
        If the photographs are too small for the network, or larger than what it enlarges them to.
    """
    from keras import layers

    network, size = NETWORKS[name], photograph.shape[1]
    if size < network.least:
        raise StageError(f"images of {size} px are too small for {name}; use at least {network.least}")
    if network.enlarged and size > network.enlarged.side:
        raise StageError(
            f"images of {size} px are too large for {name}, which enlarges them to {network.enlarged.side} px"
        )
    x = layers.Rescaling(network.scale, network.offset, dtype="float32")(photograph)
    if network.enlarged:  # after scaling to floats: of integers, Keras would round the result, on some paths only
        x = layers.Resizing(network.enlarged.side, network.enlarged.side, dtype="float32", name="enlarged")(x)
    return x


def parts_of(network):
    """Split the layers of a network: those before the convolutions, with the input; the convolutions; the head."""
    place = next(i for i, layer in enumerate(network.layers) if hasattr(layer, "layers"))
    return network.layers[:place], network.layers[place], network.layers[place + 1 :]


def three_layers_2017(size):
    """Build the convolutions of the EyeNet of 2017: three of 32 filters, each followed by 2 x 2 max pooling."""
    import keras
    from keras import layers

    block = (lambda: layers.Conv2D(32, 3, activation="relu"), lambda: layers.MaxPooling2D(2))
    return keras.Sequential([keras.Input((size, size, 3)), *(make() for make in 3 * block)], name="features")


def leaves(network):
    """Yield the layers of a network, those of nested models included."""
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from leaves(layer)
        else:
            yield layer


def count_multiply_adds(network):
    """Count the multiplications of one photograph's convolutions and dense layers, nested models included; int."""
    kinds = ("Conv2D", "DepthwiseConv2D", "Dense")
    counted = (layer for layer in leaves(network) if type(layer).__name__ in kinds)
    return sum(math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape) for layer in counted)


def require_memory(network, batch, precision):
    """Raise an error if the feature maps of a batch would not fit into memory: the system would kill the process.

    For machines without a GPU; a GPU's own error is caught in `backend.one_sentence`.

    Raises
    ------
    StageError
        If the feature maps, which are kept for the gradient, need more memory than is free.
    """
    free = backend.host_memory()
    if free is None or backend.has_gpu():
        return
    need = (4 if precision == "float32" else 2) * batch * count_values(network) + 16 * network.count_params()
    if need > free:
        raise StageError(
            f"{network.name} with --batch {batch} needs at least {need / 1e9:.1f} GB of memory, and "
            f"{free / 1e9:.1f} GB are free; use a smaller --batch or another --network"
        )


def count_values(network):
    """Count the values of one photograph's feature maps, nested models included; int."""
    return sum(math.prod(layer.output.shape[1:]) for layer in leaves(network))


def describe_networks():
    """Describe cost, results and recipe of each network as a table for the help of cnn.py; str."""
    columns = "{:<22}{:>11}{:>8}{:>9}{:>6}{:>7}{:>10}{:>9}{:>7}{:>9}{:>6}{:>10}".format
    rows = [
        ("", "million", "million", "images/s", "MB on", "AUC of", "AUC of", "", "", "learning", "", ""),
        (
            *("--network", "parameters", "x and +", "trained", "phone", "any DR", "referable"),
            *("weights", "epochs", "rate", "batch", "rows"),
        ),
    ]
    for name, network in NETWORKS.items():
        cost, recipe = network.cost, network.recipe
        figures = [f"{cost.parameters:.2f}", f"{cost.multiply_adds:,.0f}"]
        figures += [f"{cost.rate:.0f}", f"{2 * cost.parameters:.2f}"]
        figures += [f"{auc:.2f}" if auc else "-" for auc in cost.reached]
        rows.append((name, *figures, *recipe[:5]))
    return "\n".join(f"  {columns(*row)}".rstrip() for row in rows)
