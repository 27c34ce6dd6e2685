"""The networks that cnn.py trains: the story's three layers, and larger ones that begin with what ImageNet taught them.

Each takes uint8 photographs and has its scaling inside, so that no exported model can forget it.
"""

import hashlib
import math
import re
import warnings
from pathlib import Path
from typing import NamedTuple

from eyenet.efficientnet_lite import SCALES, build_efficientnet_lite
from eyenet.stage import StageError

IMAGENET = Path("weights")  # where port_weights.py puts its files, and cnn.py looks for them


class Recipe(NamedTuple):
    """What cnn.py does with a network unless its options say otherwise."""

    weights: str
    epochs: int
    learning_rate: float


RECIPE = Recipe._fields


class Cost(NamedTuple):
    """What a network costs at 256 px with two classes, and what it reached (benchmarks/results/).

    Millions of parameters, millions of multiply-adds a photograph, images/s of training on two cores, and the AUC of
    any and of referable DR on unseen patients of `eyepacs-256eq`; None where it was not measured.
    """

    parameters: float
    multiply_adds: float
    rate: float
    reached: tuple = (None, None)


class Network(NamedTuple):
    """A network of `cnn.py --network`.

    `application` is its class in keras.applications, or None; `scale` and `offset` bring 0-255 to what its weights were
    trained on; `least` is the least size of a photograph in pixels; `dropout` is the rate before the last layer.
    """

    application: str | None
    scale: float
    offset: float
    least: int
    dropout: float
    recipe: Recipe
    cost: Cost


TUNED = Recipe("imagenet", 5, 3e-4)
LITE, KERAS = (1 / 128, -127 / 128), (1 / 127.5, -1)  # scale and offset
NETWORKS = {
    "three_layers": Network(None, 1 / 32, 0, 32, 0.2, Recipe("none", 30, 3e-3), Cost(0.02, 250, 0)),
    "three_layers_2017": Network(None, 1 / 255, 0, 22, 0.5, Recipe("none", 30, 3e-4), Cost(3.71, 237, 0)),
    "efficientnet_lite0": Network(None, *LITE, 32, 0.3, TUNED, Cost(3.42, 501, 0)),
    "efficientnet_lite1": Network(None, *LITE, 32, 0.3, TUNED, Cost(4.19, 655, 0)),
    "efficientnet_lite2": Network(None, *LITE, 32, 0.3, TUNED, Cost(4.87, 751, 0)),
    "mobilenet_v2": Network("MobileNetV2", *KERAS, 32, 0.3, TUNED, Cost(2.26, 391, 0)),
    "efficientnet_v2b0": Network("EfficientNetV2B0", *KERAS, 32, 0.3, TUNED, Cost(5.92, 936, 0)),
    "resnet50_v2": Network("ResNet50V2", *KERAS, 32, 0.3, TUNED, Cost(23.57, 4546, 0)),
    "inception_v3": Network("InceptionV3", *KERAS, 75, 0.3, TUNED, Cost(21.81, 3848, 0)),
}


SURROUNDINGS = 16  # pixels of the square whose average is the ground that a place is seen against
COPIES = 3  # of each feature map that a step holds at once: itself, its gradient and what an operation works in


def build_network(keras, name, size, classes, weights):
    """Build a network: uint8 photographs (n, size, size, 3) in, probabilities of the classes out.

    Parameters
    ----------
    keras : module
    name : str
        Key of `NETWORKS`.
    size : int
        Of the photographs, in pixels.
    classes : int
    weights : str
        'none', 'imagenet' or the path of a file that Keras can load into the convolutions.

    Returns
    -------
    keras.Model

    Raises
    ------
    StageError
        If the photographs are too small, or the weights are not there or do not fit.
    """
    layers, network = keras.layers, NETWORKS[name]
    if size < network.least:
        raise StageError(f"images of {size} px are too small for {name}; use at least {network.least}")
    features = build_features(keras, name, size)
    if weights != "none":
        load_features(keras, features, name, weights)
    photograph = keras.Input((size, size, 3), dtype="uint8", name="photograph")
    x = features(layers.Rescaling(network.scale, network.offset, dtype="float32")(photograph))
    if name == "three_layers_2017":
        x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    else:
        if name == "three_layers":  # looks at each place by itself; then where it is no longer matters
            x = layers.Dense(128, activation="relu", kernel_initializer="he_normal")(x)
        x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    x = layers.Dropout(network.dropout)(x)
    x = layers.Dense(classes, activation="softmax", dtype="float32", name="probability")(x)
    return keras.Model(photograph, x, name=name)


def build_features(keras, name, size, weights=None):
    """Build the convolutions of a network: scaled photographs in, a feature map out; random weights, or Keras's."""
    if name == "three_layers":
        return three_layers(keras, size)
    if name == "three_layers_2017":
        return three_layers_2017(keras, size)
    if name in SCALES:
        return build_efficientnet_lite(keras, name, size)
    options = {"include_preprocessing": False} if name.startswith("efficientnet_v2") else {}
    application = getattr(keras.applications, NETWORKS[name].application)
    return application(include_top=False, weights=weights, input_shape=(size, size, 3), **options)


def three_layers(keras, size):
    """Build three convolutions of 32 filters on the local contrast, each followed by 2 x 2 max pooling.

    What counts are small spots on a ground whose colour varies far more than they differ from it: three convolutions
    find them once the average of the surroundings is subtracted, as B. Graham's winning entry to the Kaggle competition
    of 2015 did, and hardly before. Pooling comes before normalisation and ReLU, which then see a quarter of the pixels.
    """
    layers = keras.layers
    photograph = keras.Input((size, size, 3))
    average = layers.AveragePooling2D(SURROUNDINGS, padding="same")(photograph)
    average = layers.UpSampling2D(SURROUNDINGS, interpolation="bilinear")(average)
    more = average.shape[1] - size
    average = layers.Cropping2D(((more // 2, more - more // 2),) * 2)(average)
    x = layers.Subtract(name="local_contrast")([photograph, average])
    for _ in range(3):
        x = layers.Conv2D(32, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model(photograph, x, name="features")


def three_layers_2017(keras, size):
    """Build three convolutions of 32 filters, each followed by 2 x 2 max pooling, and nothing else."""
    layers = keras.layers
    block = (lambda: layers.Conv2D(32, 3, activation="relu"), lambda: layers.MaxPooling2D(2))
    return keras.Sequential([keras.Input((size, size, 3)), *(make() for make in 3 * block)], name="features")


def load_features(keras, features, name, weights):
    """Load weights into the convolutions, and freeze the statistics of their normalisation.

    The statistics are of a million pictures; a few thousand photographs in small batches would not better them, and
    training without updating them takes half the time.

    Raises
    ------
    StageError
        If the weights are not there or do not fit.
    """
    path = IMAGENET / f"{name}.weights.h5" if weights == "imagenet" else Path(weights)
    if weights == "imagenet" and NETWORKS[name].application:
        features.set_weights(download_features(keras, name, features.input_shape[1]).get_weights())
    elif not path.is_file():
        makes = f"; python port_weights.py {name} makes it" if weights == "imagenet" and name in SCALES else ""
        raise StageError(f"there is no file of weights {path}{makes}")
    else:
        try:
            with warnings.catch_warnings(action="ignore"):  # Keras lists every layer that does not fit
                features.load_weights(path)
        except (OSError, ValueError, KeyError, TypeError):
            raise StageError(f"{path} does not hold the weights of {name}'s convolutions, or is damaged") from None
    for layer in features.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def download_features(keras, name, size):
    """Build the convolutions with the ImageNet weights that Keras downloads, or has downloaded before."""
    try:
        return build_features(keras, name, size, "imagenet")
    except Exception as error:  # Keras raises nothing narrower when it cannot reach its server
        raise StageError(
            f"Keras could not get the ImageNet weights of {name} ({str(error).splitlines()[0][:120]}); download them "
            "on another machine and give --weights FILE"
        ) from None


def count_multiply_adds(network):
    """Count the multiplications of one photograph's convolutions and dense layers, nested models included; int."""
    total = 0
    for layer in network.layers:
        kind = type(layer).__name__
        if hasattr(layer, "layers"):
            total += count_multiply_adds(layer)
        elif kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
            places = math.prod(layer.output.shape[1:-1])
            total += places * math.prod(layer.kernel.shape)
    return total


def with_hash(weights, name):
    """Name the weights that a training begins with, and their content where they are a file's; str."""
    path = IMAGENET / f"{name}.weights.h5" if weights == "imagenet" else Path(weights)
    if weights == "none" or not path.is_file():
        return weights
    return f"{weights} (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})"


def require_memory(network, batch):
    """Raise before the memory of this machine can run out, which would end the process without a word.

    Raises
    ------
    StageError
        If the feature maps of a batch, and their gradients, need more than there is.
    """
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:  # no Linux: then it is not known
        return
    need, free = 4 * (COPIES * batch * count_values(network) + 4 * network.count_params()), int(found[1]) * 1024
    if need > free:
        raise StageError(
            f"{network.name} with --batch {batch} needs about {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB "
            "are free; use a smaller --batch or another --network"
        )


def count_values(network):
    """Count the values of one photograph's feature maps, nested models included; int."""
    return sum(
        count_values(layer) if hasattr(layer, "layers") else math.prod(layer.output.shape[1:])
        for layer in network.layers
    )


def describe_networks():
    """Tell what each network costs and has reached, for the help of cnn.py; str."""
    head = (
        f"  {'--network':<20}{'million':>11}{'million':>15}{'images/s':>10}{'MB on a':>9}{'AUC on unseen patients':>25}"
    )
    head += (
        f"\n  {'':<20}{'parameters':>11}{'multiply-adds':>15}{'trained':>10}{'phone':>9}{'any DR':>15}{'referable':>10}"
    )
    lines = []
    for name, network in NETWORKS.items():
        cost = network.cost
        reached = [f"{auc:.2f}" if auc else "-" for auc in cost.reached]
        lines.append(
            f"  {name:<20}{cost.parameters:>11.2f}{cost.multiply_adds:>15,.0f}{cost.rate:>10.0f}"
            f"{2 * cost.parameters:>9.1f}{reached[0]:>15}{reached[1]:>10}"
        )
    return "\n".join([head, *lines])
