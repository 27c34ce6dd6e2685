"""The networks that cnn.py trains: the story's three layers, and larger ones that begin with what ImageNet taught them.

Each takes uint8 photographs and has its scaling inside, so that no exported model can forget it.
"""

import contextlib
import math
import sys
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

from eyenet.model import backend
from eyenet.model.efficientnet_lite import SCALES, build_efficientnet_lite
from eyenet.run.errors import StageError
from eyenet.run.files import sha256

IMAGENET = Path("weights")  # where port_weights.py puts its files


class Recipe(NamedTuple):
    """What cnn.py does with a network unless its options say otherwise."""

    weights: str
    epochs: int
    learning_rate: float


RECIPE = Recipe._fields
SCRATCH, TUNED = Recipe("none", 30, 1e-3), Recipe("imagenet", 5, 3e-4)


class Cost(NamedTuple):
    """What a network costs at 256 px with two classes, and what it reached (benchmarks/results/).

    Millions of parameters, millions of multiply-adds a photograph, images/s of training on two cores, and the AUC of
    any and of referable DR on unseen patients of `eyepacs-256eq`; None where it was not measured.
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
    evidence: Evidence


LITE, KERAS = (1 / 128, -127 / 128), (1 / 127.5, -1)  # scale and offset
NETWORKS = {
    "three_layers": Network(
        None, 1 / 32, 0, 32, 0.2, Recipe("none", 30, 3e-3), Cost(0.02, 250, 102, (0.72, 0.77)), Evidence(start=3.5)
    ),
    "three_layers_2017": Network(
        None, 1 / 255, 0, 22, 0.5, Recipe("none", 30, 3e-4), Cost(3.71, 237, 94, (0.48, None)), Evidence(start=10.5)
    ),
    "efficientnet_lite0": Network(
        None, *LITE, 32, 0.3, TUNED, Cost(3.42, 501, 42, (0.78, 0.84)), Evidence("block05_expand_relu")
    ),
    "efficientnet_lite1": Network(None, *LITE, 32, 0.3, TUNED, Cost(4.19, 655, 32), Evidence("block07_expand_relu")),
    "efficientnet_lite2": Network(None, *LITE, 32, 0.3, TUNED, Cost(4.87, 751, 29), Evidence("block07_expand_relu")),
    "mobilenet_v2": Network("MobileNetV2", *KERAS, 32, 0.3, TUNED, Cost(2.26, 391, 49), Evidence("block_6_pad")),
    "resnet50_v2": Network(
        "ResNet50V2", *KERAS, 32, 0.3, TUNED, Cost(23.57, 4546, 11), Evidence("conv3_block3_out", 0)
    ),
    "inception_v3": Network("InceptionV3", *KERAS, 75, 0.3, TUNED, Cost(21.81, 3848, 15), Evidence("mixed2", 13)),
}
SURROUNDINGS = 16  # pixels of the square whose average is the ground that a place is seen against


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
    # It begins undecided: the loss of what is wrong and certain to seven digits has no gradient.
    last = {"kernel_initializer": "zeros", "dtype": "float32", "name": "probability"}
    x = layers.Dense(classes, activation="softmax", **last)(x)
    return keras.Model(photograph, x, name=name)


def build_features(keras, name, size, weights=None):
    """Build the convolutions of a network: scaled photographs in, a feature map out; random weights, or Keras's."""
    if name == "three_layers":
        return three_layers(keras, size)
    if name == "three_layers_2017":
        return three_layers_2017(keras, size)
    if name in SCALES:
        return build_efficientnet_lite(keras, name, size)
    application = getattr(keras.applications, NETWORKS[name].application)
    return application(include_top=False, weights=weights, input_shape=(size, size, 3))


def three_layers(keras, size):
    """Build three convolutions of 32 filters on the local contrast, each followed by 2 x 2 max pooling.

    What counts are small spots on a ground whose colour varies far more than they differ from it: three convolutions
    find them once the average of the surroundings is subtracted, as B. Graham's winning entry to the Kaggle competition
    of 2015 did, and hardly before. Pooling comes before normalisation and ReLU, which then see a quarter of the pixels.
    """
    layers = keras.layers
    exact = {"dtype": "float32"}  # bfloat16 would round a photograph to a grey level before it is subtracted
    photograph = keras.Input((size, size, 3))
    more = -size % SURROUNDINGS  # to whole squares: backends differ in how they would pad
    border = ((more // 2, more - more // 2),) * 2
    average = layers.AveragePooling2D(SURROUNDINGS, **exact)(layers.ZeroPadding2D(border, **exact)(photograph))
    average = layers.UpSampling2D(SURROUNDINGS, interpolation="bilinear", **exact)(average)
    average = layers.Cropping2D(border, **exact)(average)
    x = layers.Subtract(name="local_contrast", **exact)([photograph, average])
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
    """Load weights into the convolutions, and freeze their normalisation, but for the three layers.

    Its statistics, scales and shifts are of a million pictures; a few thousand photographs in small batches would not
    better them, and training without them takes half the time.

    Raises
    ------
    StageError
        If the weights are not there or do not fit.
    """
    path = weights_file(name, weights)
    if path is None:
        features.set_weights(download_features(keras, name, features.input_shape[1]).get_weights())
    else:
        try:
            with warnings.catch_warnings(action="ignore"):  # Keras lists every layer that does not fit
                features.load_weights(path)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            raise StageError(f"{path} does not hold the weights of {name}'s convolutions, or is damaged") from None
    for layer in features.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and name != "three_layers":
            layer.trainable = False


def weights_file(name, weights):
    """Find the file of weights, here or beside the scripts; None if Keras is to get it.

    Raises
    ------
    StageError
        If there is none.
    """
    if weights != "imagenet":
        if not Path(weights).is_file():
            raise StageError(f"there is no file of weights {weights}")
        return Path(weights)
    if NETWORKS[name].application:
        return None
    if name not in SCALES:
        raise StageError(f"{name} has no ImageNet weights; use --weights none, or a FILE")
    for folder in (IMAGENET, Path(__file__).resolve().parents[2] / IMAGENET):
        if (folder / f"{name}.weights.h5").is_file():
            return folder / f"{name}.weights.h5"
    raise StageError(f"there is no file {IMAGENET / name}.weights.h5; python port_weights.py {name} makes it")


def hash_weights(name, weights):
    """Name the weights that a training begins with: none, imagenet for Keras's own, or the hash of the file; str."""
    path = None if weights == "none" else weights_file(name, weights)
    return weights if path is None else f"sha256 {sha256(path)[:16]}"


def download_features(keras, name, size):
    """Build the convolutions with the ImageNet weights that Keras downloads, or has downloaded before."""
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(action="ignore"):
            return build_features(keras, name, size, "imagenet")
    except Exception as error:  # Keras raises nothing narrower when it cannot reach its server
        why = " ".join(str(error).split()) or type(error).__name__
        raise StageError(
            f"Keras could not get the ImageNet weights of {name} ({why}); download the file on another machine and "
            "give it with --weights FILE"
        ) from None


def leaves(network):
    """Give the layers of a network, for a nested model its own."""
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
    """Raise before the memory of a machine without a GPU runs out, which would end the process without a word.

    Raises
    ------
    StageError
        If the feature maps of a batch, which are kept for the gradient, need more than there is.
    """
    free = backend.host_memory()
    if free is None or backend.has_gpu():  # a GPU's own memory ends with a sentence in `backend.one_sentence`
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
    """Tell what each network costs, what it has reached and how it is trained, for the help of cnn.py; str."""
    columns = "{:<19}{:>11}{:>9}{:>10}{:>8}{:>8}{:>11}{:>10}{:>7}{:>9}".format
    rows = [
        ("", "million", "million", "images/s", "MB on", "AUC of", "AUC of", "", "", "learning"),
        ("--network", "parameters", "x and +", "trained", "phone", "any DR", "referable", "weights", "epochs", "rate"),
    ]
    for name, network in NETWORKS.items():
        cost, recipe = network.cost, network.recipe
        figures = [f"{cost.parameters:.2f}", f"{cost.multiply_adds:,.0f}"]
        figures += [f"{cost.rate:.0f}", f"{2 * cost.parameters:.2f}"]
        figures += [f"{auc:.2f}" if auc else "-" for auc in cost.reached]
        rows.append((name, *figures, *recipe))
    return "\n".join(f"  {columns(*row)}".rstrip() for row in rows)
