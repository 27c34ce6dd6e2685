"""The network without Keras: same answers and evidence, also from many threads; errors that name what is missing."""

import hashlib
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from conftest import draw_photograph, rescaled

import cnn
from eyenet.data.tasks import TASKS, first_disease
from eyenet.model import backend, lite_sharing
from eyenet.model.evidence import evidence_of, explained
from eyenet.model.folder import LITE_NETWORK, NETWORK, open_model
from eyenet.model.lite import ANSWER, EXPLAIN, LiteNetwork, add_lite, keep_one_signature, write_lite
from eyenet.model.lite import main as convert_folder
from eyenet.model.lite_sharing import share_weights, source_of
from eyenet.model.loading import load_network
from eyenet.model.networks import NETWORKS, Evidence, leaves
from eyenet.run.errors import StageError

layers = keras.layers


def photographs(size, count=3):
    return np.stack([draw_photograph(size, size, radius=size / 2, seed=i, dots=6) for i in range(count)])


def randomized(network, scale=0.3):
    """Set random weights in the last layer of a new network, which are all zero."""
    kernel = network.layers[-1].kernel
    kernel.assign(np.random.default_rng(1).normal(0, scale, kernel.shape))
    return network


def config_of(network, task, evidence):
    return {"size": network.input_shape[1], "classes": TASKS[task].classes, "task": task, "evidence": evidence}


def check(network, task, folder, close=1e-5, apart=1e-3):
    """Write a network and compare the results of LiteRT with those of Keras; return the evidence and its entry."""
    evidence = write_lite(network, task, folder)
    lite, images = LiteNetwork(folder, config_of(network, task, evidence)), photographs(network.input_shape[1])
    answers = [lite(image, explain=True) for image in images]
    firsts = [first_disease(task, question) for question in TASKS[task].questions]
    maps = np.stack([evidence_of(network, images, first)[0] for first in firsts], axis=1)
    expected = network.predict(images, verbose=0)
    assert np.abs(np.stack([p for p, _ in answers]) - expected).max() < close
    assert np.array_equal(np.stack([lite(image)[0] for image in images]), np.stack([p for p, _ in answers]))
    ours = np.stack([found for _, found in answers])
    assert ours.shape == maps.shape and maps.max() > 0
    assert np.abs(ours - maps).max() < apart * maps.max()
    parts = explained(network)
    assert lite.grid == (parts.start, parts.step)
    return ours, evidence


@pytest.mark.parametrize(
    "name, task",
    [
        ("three_layers", "any"),
        ("three_layers_2017", "grade"),
    ],
)
def test_it_says_what_keras_says(name, task, tmp_path):
    keras.utils.set_random_seed(0)
    check(randomized(cnn.build_network(name, 64, len(TASKS[task].classes), "none")), task, tmp_path)


def test_the_file_of_efficientnet_holds_its_kernels_once(enlarged, tmp_path, monkeypatch):
    """With the same evidence as two copies. The network enlarges, and its batch statistics amplify rounding."""
    keras.utils.set_random_seed(0)
    copies = []
    monkeypatch.setattr(lite_sharing, "share_weights", lambda data: copies.append(data) or share_weights(data))
    network = rescaled(cnn.build_network(enlarged, 64, 2, "none"), photographs(64, 8))
    shared, entry = check(network, "any", tmp_path, close=2e-4, apart=0.05)
    size = (tmp_path / LITE_NETWORK).stat().st_size
    assert size < 1.25 * 4 * network.count_params() and size < 0.65 * len(copies[0])
    (tmp_path / LITE_NETWORK).write_bytes(copies[0])
    lite = LiteNetwork(tmp_path, config_of(network, "any", entry))
    twice = np.stack([lite(image, explain=True)[1] for image in photographs(64)])
    assert np.abs(shared - twice).max() < 1e-4 * twice.max()


def test_a_kernel_that_is_another_one_transposed():
    rng = np.random.default_rng(0)
    own, other = rng.normal(size=(40, 30)).astype("float32"), rng.normal(size=(40, 30)).astype("float32")
    own[7] = 0  # a channel that the folded normalisation has silenced
    scale, alive = rng.uniform(0.5, 2, 40).astype("float32"), np.arange(40) != 7
    kernel = own.T * scale
    kernel[:, 7] = 3
    name, columns, rows = source_of(kernel, {"other": other, "own": own, "square": rng.normal(size=(30, 30))})
    assert name == "own" and rows is None and columns[7] == 0
    assert np.allclose(columns[alive], scale[alive], rtol=1e-5)
    kernel *= rng.uniform(-2, 2, (30, 1)).astype("float32")
    name, columns, rows = source_of(kernel, {"other": other, "own": own})
    assert name == "own" and np.allclose((own.T * columns * rows)[:, alive], kernel[:, alive], rtol=1e-3, atol=1e-5)
    kernel[3, 5] += 0.1
    assert source_of(kernel, {"other": other, "own": own}) == (None, None, None)
    assert source_of(kernel, {"empty": np.zeros_like(own)}) == (None, None, None)


BLOCKS = {
    "stride 2, same, odd": lambda: [layers.Conv2D(8, 3, 2, padding="same", activation="relu")],
    "stride 3, valid, even": lambda: [layers.Conv2D(8, 4, 3, activation="relu6")],
    "depthwise, stride 2": lambda: [layers.DepthwiseConv2D(5, 2, padding="same"), layers.ReLU(6.0)],
    "pool 3 by 2, same": lambda: [layers.MaxPooling2D(3, 2, padding="same"), layers.Conv2D(8, 1)],
    "pool 3 by 2, valid": lambda: [layers.MaxPooling2D(3, 2), layers.Conv2D(8, 1)],
    "pool 1 by 2": lambda: [layers.MaxPooling2D(1, 2), layers.Conv2D(8, 1)],
    "average 3 by 1, same": lambda: [layers.AveragePooling2D(3, 1, padding="same"), layers.Conv2D(8, 1)],
    "average 2 by 2": lambda: [layers.AveragePooling2D(2), layers.Conv2D(8, (1, 3))],
    "normalised, padded": lambda: [layers.ZeroPadding2D(1), layers.BatchNormalization(), layers.Conv2D(8, 3)],
}


def test_each_gradient(tmp_path, monkeypatch):
    """After the cut are all kinds of layer of the larger networks, side by side, with two paths around each."""
    keras.utils.set_random_seed(2)
    scaled = keras.Input((46, 46, 3))
    cut = layers.Conv2D(6, 7, 7, activation="relu", name="cut")(scaled)
    x = layers.Concatenate()([cut, layers.ReLU()(layers.Conv2D(4, 1)(cut))])
    ends = []
    for kind in BLOCKS.values():
        end = keras.Sequential(kind())(x)
        ends.append(layers.ZeroPadding2D(((0, 6 - end.shape[1]), (0, 6 - end.shape[2])))(end))
    features = keras.Model(scaled, layers.Concatenate()(ends))
    image = keras.Input((46, 46, 3), dtype="uint8")
    x = features(layers.Rescaling(1 / 255)(image))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    monkeypatch.setitem(NETWORKS, "small", NETWORKS["three_layers"]._replace(evidence=Evidence("cut", 3)))
    network = keras.Model(image, layers.Dense(2, activation="softmax")(x), name="small")
    for layer in leaves(network):  # so that most activations are evidence for disease
        if hasattr(layer, "kernel"):
            layer.kernel.assign(np.abs(layer.kernel) - 0.05)
    network.layers[-1].kernel.assign(0.1 * np.abs(network.layers[-1].kernel) * [-1, 1])
    check(network, "any", tmp_path)


def small_network(task="any"):
    keras.utils.set_random_seed(3)
    return randomized(cnn.build_network("three_layers", 32, len(TASKS[task].classes), "none"))


@pytest.mark.parametrize("change", ["nothing", "rows", "bias", "activation", "strides"])
def test_only_plain_products_share_a_kernel(change, tmp_path):
    """A convolution whose kernel is an earlier one's, transposed and scaled, gives the same in a smaller file."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    kernel, scale = rng.normal(size=(1, 1, 30, 40)).astype("float32"), rng.uniform(0.5, 2, 40).astype("float32")
    back = (kernel * scale).transpose(0, 1, 3, 2)
    back *= rng.uniform(0.5, 2, 30).astype("float32") if change == "rows" else 1

    @tf.function(input_signature=[tf.TensorSpec((1, 6, 6, 30))])
    def answer(x):
        x = tf.nn.conv2d(tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "VALID")), back, 1 + (change == "strides"), "VALID")
        return {"bias": x + 1, "activation": tf.nn.relu(x)}.get(change, x)

    data = tf.lite.TFLiteConverter.from_concrete_functions([answer.get_concrete_function()], tf.Module()).convert()
    image, found = rng.normal(size=(1, 6, 6, 30)).astype("float32"), []
    for file in (data, share_weights(data)):
        interpreter = Interpreter(model_content=file)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    assert np.allclose(*found, atol=1e-4) and np.ptp(found[0]) > 1
    assert (len(share_weights(data)) < len(data) - 3000) == (change in ("nothing", "rows"))


@pytest.mark.parametrize("way", [ANSWER, EXPLAIN])
def test_a_signature_alone_computes_the_same(way, whole):
    data = bytearray((whole / LITE_NETWORK).read_bytes())
    both = Interpreter(model_content=bytes(data))
    keep_one_signature(data, way)
    alone = Interpreter(model_content=bytes(data))
    assert [*both.get_signature_list()] == [ANSWER, EXPLAIN] and [*alone.get_signature_list()] == [way]
    assert (both.num_subgraphs(), alone.num_subgraphs()) == (2, 1)
    ours, expected = (one.get_signature_runner(way)(photograph=photographs(32)[:1]) for one in (alone, both))
    assert ours.keys() == expected.keys() and all(np.array_equal(ours[name], expected[name]) for name in expected)
    with pytest.raises(ValueError, match="no signature 'other'"):
        keep_one_signature(data, "other")


def test_many_threads_ask_at_once(whole):
    lite = LiteNetwork(whole, open_model(whole, LITE_NETWORK))
    images = photographs(32, 40)
    with ThreadPoolExecutor(8) as pool:
        together = np.stack([p for p, _ in pool.map(lite, images)])
    assert np.array_equal(together, np.stack([lite(image)[0] for image in images]))
    assert len(np.unique(together[:, 0])) > 30


def test_a_network_of_lower_precision_answers_in_float32_everywhere(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = small_network("grade")
    finally:
        keras.config.set_dtype_policy("float32")
    images = photographs(32)
    rounded = network.predict(images, verbose=0)
    network.save(tmp_path / NETWORK)
    loaded = load_network(tmp_path, config_of(network, "grade", None))
    exact = loaded.predict(images, verbose=0)
    assert 0 < np.abs(exact - rounded).max() < 0.1
    check(loaded, "grade", tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A complete model folder without training."""
    folder, network = tmp_path_factory.mktemp("whole"), small_network()
    network.save(folder / NETWORK)
    points = {"operating_points": {"balanced": 0.5}}
    decision = {"any": {"temperature": 1, "shift": 0, "eye": points}}
    config = config_of(network, "any", None) | {"format": 2, "finished": True, "decision": decision}
    config = add_lite(folder, config | {"settings": {"images": {}, "split": ""}}, network)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def model(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in (config | values).items() if v is not None}))


@pytest.mark.parametrize("name", [NETWORK, LITE_NETWORK])
def test_a_file_that_was_tampered_with(model, name):
    assert open_model(model, name)["task"] == "any"
    data = bytearray((model / name).read_bytes())
    data[len(data) // 2] ^= 1
    (model / name).write_bytes(data)
    with pytest.raises(StageError, match=f"{name} is not the file that training wrote.*checksum"):
        open_model(model, name)
    (model / name).write_bytes(data[:1000])  # half copied
    with pytest.raises(StageError, match="checksum"):
        open_model(model, name)
    other = LITE_NETWORK if name == NETWORK else NETWORK
    assert open_model(model, other)["task"] == "any"  # its file is complete


def test_a_folder_from_before_there_was_lite(model, monkeypatch):
    change_config(model, files=None, evidence=None)
    (model / LITE_NETWORK).unlink()
    load_network(model, open_model(model))
    with pytest.raises(StageError, match=f"{LITE_NETWORK} was not yet written.*python -m eyenet.model.lite {model}"):
        open_model(model, LITE_NETWORK)
    monkeypatch.setattr(sys, "argv", ["lite.py", str(model)])
    monkeypatch.setattr(backend, "start", lambda *_: None)  # it has started here; another process starts it above
    convert_folder()
    lite = LiteNetwork(model, open_model(model, LITE_NETWORK))
    images = photographs(32)
    expected = load_network(model, open_model(model)).predict(images, verbose=0)
    assert np.abs(np.stack([lite(x)[0] for x in images]) - expected).max() < 1e-5


def test_code_in_a_network_is_never_run(model, tmp_path):
    trace = str(tmp_path / "run")
    image = keras.Input((32, 32, 3))
    evil = keras.Model(
        image, layers.Lambda(lambda x, path=trace: __import__("os").mkdir(path) or x[:, 0, 0, :2])(image)
    )
    evil.save(model / NETWORK)
    Path(trace).rmdir()  # made by calling the layer in this process
    change_config(model, files={})
    with pytest.raises(StageError, match="program code.*Lambda.*never runs"):
        load_network(model, open_model(model))
    assert not Path(trace).exists()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"evidence": {"questions": ["any"], "start": "x", "step": 8}}, "damaged, or not of this folder"),
        ({"evidence": {"questions": ["referable"], "start": 3, "step": 8}}, "other questions"),
        ({"evidence": {}}, "damaged, or not of this folder"),
        ({"size": 64}, "damaged, or not of this folder"),
        ({"classes": ["a", "b", "c"]}, "other questions"),
        ({"files": ["model.tflite"]}, "config.json is damaged"),
    ],
)
def test_a_config_that_does_not_fit(model, change, words):
    change_config(model, **change)
    with pytest.raises(StageError, match=words):
        LiteNetwork(model, open_model(model, LITE_NETWORK))


def test_garbage_with_the_right_checksum(model):
    (model / LITE_NETWORK).write_bytes(b"no network")
    change_config(model, files={LITE_NETWORK: hashlib.sha256(b"no network").hexdigest()})
    with pytest.raises(StageError, match="model.tflite is damaged"):
        LiteNetwork(model, open_model(model, LITE_NETWORK))
