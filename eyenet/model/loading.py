"""Load a network's file with Keras, and say why it cannot be read."""

import importlib
import os
from pathlib import Path

from eyenet.model.folder import NETWORK
from eyenet.run.errors import StageError
from eyenet.run.files import sha256


def load_network(folder, config):
    """Load the network of a model folder in float32; the Keras backend must have been started.

    Raises
    ------
    StageError
        If the file is damaged, or does not match config.json.
    """
    import keras

    path = Path(folder) / NETWORK
    network = load_whole(lambda p: keras.models.load_model(p, compile=False), path, config)
    size, classes = config["size"], len(config["classes"])
    if network.input_shape[1:] != (size, size, 3) or network.output_shape[1:] != (classes,):
        raise StageError(
            f"{path} takes {network.input_shape[1:]} and gives {network.output_shape[1:]}, not the {size} px and "
            f"{classes} classes of config.json; the folder mixes files of different models, train again"
        )
    compute_exactly(network)
    return network


def compute_exactly(network):
    """Make a network, with its nested models, compute in float32 whatever precision it was trained in."""
    network.dtype_policy = "float32"
    for layer in network.layers:
        layer.dtype_policy = "float32"
        if hasattr(layer, "layers"):
            compute_exactly(layer)


def load_whole(load, path, config):
    """Call `load(path)`, which reads a file with Keras.

    Raises
    ------
    StageError
        If it cannot be read: it is missing or damaged, or another version of Keras wrote it. The sentence says which,
        as far as config.json tells.
    """
    try:
        return load(path)
    except MemoryError:
        raise
    except Exception as error:  # Keras and HDF5 raise anything, and say "not found" of a file that is cut off
        if "safe_mode" in str(error):
            raise StageError(
                f"{path} holds program code (a Lambda layer), which EyeNet never runs; train again"
            ) from None
        raise StageError(why_unreadable(path and Path(path), config, error)) from None


def why_unreadable(path, config, error):
    """Say in a sentence why Keras cannot read a file of a model, and what to do about it."""
    said = " ".join(str(error).split())[:160] or type(error).__name__
    if path is None:  # a host of a distributed training
        return f"the checkpoint that process 0 sent cannot be read ({said})"
    if not path.is_file():
        return f"{path} is missing; copy the whole folder again, or train again with another --run"
    made, here = (config.get("versions") or {}), loaded_versions()
    other = {name: made[name] for name in here if made.get(name, here[name]) != here[name]}
    recorded = (config.get("files") or {}).get(path.name)
    whole = recorded is not None and sha256(path) == recorded
    state = f"{path} is whole, but Keras cannot read it" if whole else f"{path} cannot be read; it may be damaged"
    state += f" ({said})"
    if not other:
        return f"{state}; " + ("" if whole else "copy the whole folder again, or ") + "train again with another --run"
    then, now = (", ".join(f"{name} {versions[name]}" for name in other) for versions in (made, here))
    install = " ".join(f"{name}=={version}" for name, version in other.items())
    return f"{state}; it was made with {then}, this is {now}: pip install {install}, or train again with another --run"


def loaded_versions():
    """Return the versions of Keras and its backend, by package."""
    packages = [importlib.import_module(name) for name in ("keras", os.environ.get("KERAS_BACKEND", "tensorflow"))]
    return {package.__name__: package.__version__ for package in packages}


def copy_weights(network, trained):
    """Copy weights, and which layers are trainable, from a trained network to one of the same architecture."""
    from eyenet.model.networks import leaves

    for layer, known in zip(leaves(network), leaves(trained), strict=True):
        layer.set_weights(known.get_weights())
        layer.trainable = known.trainable
