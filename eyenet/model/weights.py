"""The initial weights of a network's convolutions: from ImageNet, or from a file."""

import contextlib
import sys
import warnings
import zipfile
from pathlib import Path

from eyenet.model.efficientnet_lite import SCALES
from eyenet.model.networks import NETWORKS, build_features
from eyenet.run.errors import StageError
from eyenet.run.files import sha256

IMAGENET = Path("weights")  # where port_weights.py puts its files


def load_features(features, name, weights):
    """Load weights into the convolutions, and freeze the batch normalisation of every network but three_layers.

    Its statistics, scales and shifts come from ImageNet's 1.3 million images; a few thousand photographs in small
    batches do not improve them, and training with them frozen takes half the time.

    Raises
    ------
    StageError
        If the weights are not there or do not fit.
    """
    import keras

    path = weights_file(name, weights)
    if path is None:
        features.set_weights(download_features(name, features.input_shape[1]).get_weights())
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
    """Find the file of weights, in this folder or beside the scripts; None if Keras downloads them.

    Raises
    ------
    StageError
        If there is none.
    """
    if weights != "imagenet":
        if not Path(weights).is_file():
            raise StageError(f"there is no file of weights {weights}")
        return Path(weights)
    if enlarged := NETWORKS[name].enlarged:
        return weights_file(enlarged.network, weights)
    if NETWORKS[name].application:
        return None
    if name not in SCALES:
        raise StageError(f"{name} has no ImageNet weights; use --weights none, or a FILE")
    for folder in (IMAGENET, Path(__file__).resolve().parents[2] / IMAGENET):
        if (folder / f"{name}.weights.h5").is_file():
            return folder / f"{name}.weights.h5"
    raise StageError(f"there is no file {IMAGENET / name}.weights.h5; run python port_weights.py {name} first")


def hash_weights(name, weights):
    """Identify the initial weights of a training: none, imagenet for Keras's own, or the hash of the file; str."""
    path = None if weights == "none" else weights_file(name, weights)
    return weights if path is None else f"sha256 {sha256(path)[:16]}"


def download_features(name, size):
    """Build the convolutions with the ImageNet weights that Keras downloads, or finds in its cache."""
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(action="ignore"):
            return build_features(name, size, "imagenet")
    except Exception as error:  # Keras raises nothing narrower when it cannot reach its server
        why = " ".join(str(error).split()) or type(error).__name__
        raise StageError(
            f"Keras could not get the ImageNet weights of {name} ({why}); download the file on another machine and "
            "give it with --weights FILE"
        ) from None
