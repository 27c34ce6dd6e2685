"""Exports agree with Keras, for every format and precision; an export that does not agree is not written."""

import contextlib
import itertools
import json
import os
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import REPO, draw_photograph, one_sentence, rescaled, run, shorten_lite0, small_enlarged

ct = pytest.importorskip("coremltools", reason="pip install -r requirements-export.txt")
pytest.importorskip("tf2onnx", reason="pip install -r requirements-export.txt")

# ruff: noqa: E402
import cnn
from eyenet.data.tasks import TASKS
from eyenet.export import coreml, litert, onnx, page
from eyenet.export import folder as export_folder
from eyenet.export.coreml_numpy import Program
from eyenet.export.proof import Exam, compare, require_parity
from eyenet.model.folder import NETWORK, read_measured
from eyenet.model.lite import LiteNetwork, write_lite
from eyenet.model.networks import NETWORKS
from eyenet.photo.retina import PREPROCESSING
from eyenet.run.errors import StageError
from eyenet.run.files import sha256

layers = keras.layers
POINTS = {"operating_points": {"balanced": 0.5}}
ASKED = {"temperature": 1, "shift": 0, "eye": POINTS}
CONFIG = {"task": "any", "classes": TASKS["any"].classes, "decision": {"any": ASKED}}
SAID = CONFIG | {
    "operating_point": "balanced",
    "name": "n",
    "colours": "natural",
    "size": 96,
    "classes": list(CONFIG["classes"]),
}
FORMATS = {"mlpackage": coreml, "tflite": litert, "onnx": onnx}


def photographs(size, count=8):
    """Draw photographs that differ in colour, so that even random networks distinguish them."""
    tints = np.random.default_rng(0).uniform(0.1, 1.3, (count, 1, 1, 3))
    drawn = np.stack([draw_photograph(size, size, radius=size / 2, seed=i, dots=2 * i) for i in range(count)])
    return (drawn * tints).clip(0, 255).astype(np.uint8)


def difference(network, module, path, precision, images):
    """Convert a network and return the largest difference of its probabilities."""
    expected = network.predict(images, verbose=0)
    assert np.ptp(expected[:, 1]) > 0.2
    module.convert(network, path, precision, SAID, images)
    return np.abs(module.run(path, images) - expected).max()


@pytest.fixture(scope="module")
def lite0():
    """A shortened EfficientNet-Lite0 at 64 px with random weights."""
    keras.utils.set_random_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        shorten_lite0(patch)
        return rescaled(cnn.build_network("efficientnet_lite0", 64, 2, "none"), photographs(64))


# Every export is compared with its network when it is written: a trained one in every format in `work`, and all
# networks by benchmarks/export.py. Here are Lite0 with fewer blocks and a network that enlarges its photographs.
@pytest.mark.parametrize("ending", ["mlpackage", "onnx"])
def test_each_format_of_a_larger_network(ending, lite0, tmp_path):
    assert difference(lite0, FORMATS[ending], tmp_path / f"EyeNet.{ending}", "float32", photographs(64)) < 1e-4


@pytest.fixture(scope="module")
def enlarging():
    """A small network that enlarges its photographs from 64 to 96 px, with random weights."""
    keras.utils.set_random_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, *small_enlarged())
        return rescaled(cnn.build_network("enlarged", 64, 2, "none"), photographs(64))


@pytest.mark.parametrize("ending", FORMATS)
def test_precisions(ending, enlarging, tmp_path):
    """Fewer bits than the 32 of the other tests give smaller files and larger differences, within the limits."""
    sizes, apart = [], []
    # Core ML stores "dynamic" as it stores "int8".
    for precision in ("float16", "int8", *["dynamic"] * (ending != "mlpackage")):
        path = tmp_path / f"{precision}.{ending}"
        apart.append(difference(enlarging, FORMATS[ending], path, precision, photographs(64)))
        sizes.append(export_folder.size_of(path) / 4 / enlarging.count_params())
    assert max(sizes[1:]) < sizes[0] - 0.05 and sizes[0] < 0.75
    assert 1e-5 < apart[0] < 5e-3 < apart[1] < 0.2 and apart[-1] < 0.1


def test_litert_in_float16(enlarging, tmp_path):
    """Only large weights are rounded, and the file does not permit arithmetic in float16, which is not verified."""
    from ai_edge_litert.interpreter import Interpreter

    path = tmp_path / "EyeNet.tflite"
    assert 1e-5 < difference(enlarging, litert, path, "float16", photographs(64)) < 0.03
    tensors = Interpreter(str(path)).get_tensor_details()
    half = [np.prod(tensor["shape"]) for tensor in tensors if tensor["dtype"] == np.float16]
    assert min(half) > litert.LARGE and sum(half) > 0.9 * enlarging.count_params()
    assert b"fp16accfp32" not in path.read_bytes()


BLOCKS = {
    "stride 2, same, odd": lambda: [layers.Conv2D(8, 3, 2, padding="same", activation="relu")],
    "stride 3, valid, even": lambda: [layers.Conv2D(8, 4, 3, dilation_rate=1, activation="relu6")],
    "dilated": lambda: [layers.Conv2D(8, 3, dilation_rate=2, padding="same")],
    "depthwise, stride 2": lambda: [layers.DepthwiseConv2D(5, 2, padding="same"), layers.ReLU(6.0)],
    "depthwise, two of each": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2)],
    "pool 3 by 2, same": lambda: [layers.MaxPooling2D(3, 2, padding="same"), layers.Conv2D(8, 1)],
    "average 3 by 1, same": lambda: [layers.AveragePooling2D(3, 1, padding="same"), layers.Conv2D(8, 1)],
    "larger": lambda: [layers.UpSampling2D(2, interpolation="bilinear"), layers.Conv2D(8, 3)],
    "normalised, padded": lambda: [layers.ZeroPadding2D(1), layers.BatchNormalization(), layers.Conv2D(8, 3)],
    "cropped": lambda: [layers.Cropping2D(((1, 2), (3, 0))), layers.Conv2D(8, 3)],
}


def test_each_operation_in_numpy(tmp_path):
    """In one network, side by side: each has its share of the probability."""
    keras.utils.set_random_seed(2)
    image = keras.Input((46, 46, 3), dtype="uint8")
    x = layers.Conv2D(6, 3, 2)(layers.Rescaling(1 / 255)(image))
    ends = [layers.GlobalAveragePooling2D()(keras.Sequential(block())(x)) for block in BLOCKS.values()]
    images = photographs(46)
    network = keras.Model(image, layers.Dense(2, activation="softmax")(layers.Concatenate()(ends)))
    assert difference(rescaled(network, images), coreml, tmp_path / "EyeNet.mlpackage", "float32", images) < 1e-5


def test_an_operation_that_is_unknown_here(tmp_path):
    image = keras.Input((32, 32, 3), dtype="uint8")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="silu")(layers.Rescaling(1 / 255)(image)))
    network = keras.Model(image, layers.Dense(2, activation="softmax")(x))
    coreml.convert(network, tmp_path / "EyeNet.mlpackage", "float32", SAID, None)
    with pytest.raises(StageError, match=r"cannot be computed without Core ML \(silu\); check it on a Mac"):
        Program(tmp_path / "EyeNet.mlpackage")


@pytest.fixture(scope="module")
def work(trained, tmp_path_factory):
    """A copy of the trained model's work folder, and its export in float32."""
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("export") / "work", symlinks=True)
    done = export(folder, "--precision", "float32")
    (folder / "said").write_text(done.stdout)
    return folder


def export(work, *args, **options):
    return run("export_model.py", "--input", work / "array", *args, cwd=work, **options)


@pytest.fixture
def copied(work, tmp_path):
    """A copy of the model with its export, for tests that change it."""
    return Path(shutil.copytree(work / "models" / "cnn", tmp_path / "model"))


def test_what_is_written(work):
    folder = work / "models" / "cnn" / "export"
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        *("EyeNet.mlpackage", "EyeNet.tflite", "EyeNet.onnx", "export.json", "model.json", "README.md")
    }
    assert not list(folder.glob(".tmp-*"))
    record, page = json.loads((folder / "export.json").read_text()), (folder / "README.md").read_text()
    assert set(record["files"]) == {"EyeNet.mlpackage", "EyeNet.tflite", "EyeNet.onnx"}
    for name, known in record["files"].items():
        assert known["parity"]["largest"] < 1e-4 and known["parity"]["questions"]["any"]["decisions"] == 0
        assert known["parity"]["photographs"] > 3 and known["sha256"] == export_folder.hash_export(folder / name)
        assert f"`{name}` | float32" in page and name in (work / "said").read_text()
    for words in ("VNCoreMLRequest", "Interpreter", "onnxruntime", "Not a medical device", "EXIF", "64 x 64"):
        assert words in page
    model = json.loads((folder / "model.json").read_text())
    config = json.loads((folder.parent / "config.json").read_text())
    assert model["unsure"] == {"any": config["decision"]["any"].pop("unsure")}
    assert model["decision"] == config["decision"] and model["split"] == config["settings"]["split"]
    assert model["classes"] == ["no DR", "DR"] and "natural" in model["quality"]
    assert model["preprocessing"] == PREPROCESSING and model["measured"] == read_measured(folder.parent)


def test_what_the_operating_points_reached_is_in_the_description(tmp_path):
    whole, undefined = {"value": 0.71, "low": 0.6, "high": 0.8}, {"value": None, "low": None, "high": None}
    point = {"threshold": 0.3, "sensitivity": whole, "specificity": undefined, "precision": whole}
    metrics = {"set": "unseen test patients", "questions": {"any": {"eye": {"operating_points": {"balanced": point}}}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    expected = {"set": "unseen test patients", "questions": {"any": {"balanced": {"sensitivity": whole}}}}
    assert read_measured(tmp_path) == expected and read_measured(tmp_path / "none") is None


def test_what_xcode_shows(work):
    package = work / "models" / "cnn" / "export" / "EyeNet.mlpackage"
    spec = ct.models.MLModel(str(package), skip_model_load=True).get_spec()
    (image,) = spec.description.input
    assert (image.type.imageType.width, image.type.imageType.height) == (64, 64)
    assert spec.WhichOneof("Type") == "mlProgram" and spec.description.predictedFeatureName == "classLabel"
    assert all(feature.shortDescription for feature in [*spec.description.input, *spec.description.output])
    said = spec.description.metadata
    assert said.author and said.license == "MIT" and "Not a medical device" in said.shortDescription
    config = json.loads((work / "models" / "cnn" / "config.json").read_text())
    points = config["decision"]["any"]["eye"]["operating_points"]
    assert json.loads(said.userDefined["eyenet.threshold"]) == points["balanced"]
    assert json.loads(said.userDefined["eyenet.operating_points"]) == {"any": points}
    assert said.userDefined["eyenet.split"] == config["settings"]["split"]
    assert json.loads(said.userDefined["eyenet.preprocessing"]) == PREPROCESSING
    assert "measures" in json.loads(said.userDefined["eyenet.quality"])["natural"]


def test_check_proves_again_and_finds_damage(copied, work):
    done = export(work, "--model", copied, "--check")
    assert done.stdout.count("decisions changed 0") == 3
    weights = copied / "export/EyeNet.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    data = bytearray(weights.read_bytes())
    heads = [at.start() for at in re.finditer(b"\xef\xbe\xad\xde", data)] + [len(data)]
    first, last = max(itertools.pairwise(heads), key=lambda pair: pair[1] - pair[0])
    data[first + 64 : last - 64] = bytes(last - first - 128)  # overwrites most of the largest weight
    weights.write_bytes(data)
    only = ("--model", copied, "--check", "--format", "coreml")
    one_sentence(export(work, *only, code=1), "EyeNet.mlpackage", "its checksum differs", "export again")
    record = json.loads((copied / "export" / "export.json").read_text())  # also with the right checksum
    record["files"]["EyeNet.mlpackage"]["sha256"] = export_folder.hash_export(copied / "export" / "EyeNet.mlpackage")
    (copied / "export" / "export.json").write_text(json.dumps(record))
    one_sentence(export(work, *only, code=1), "differs from the trained network", "a probability by", "is allowed")
    weights.write_bytes(data[:100])
    with pytest.raises(StageError, match="EyeNet.mlpackage"):
        coreml.run(copied / "export" / "EyeNet.mlpackage", photographs(64, 1))


@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_a_damaged_file(ending, copied):
    path = copied / "export" / f"EyeNet.{ending}"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StageError, match=f"EyeNet.{ending} is damaged.*export the model again"):
        FORMATS[ending].run(path, photographs(64, 1))


def test_a_retrained_model_leaves_nothing_of_the_old(copied, work):
    other = keras.models.load_model(copied / NETWORK, compile=False)
    other.layers[-1].set_weights([0.9 * weight for weight in other.layers[-1].get_weights()])
    other.save(copied / NETWORK)
    config = json.loads((copied / "config.json").read_text())
    config["files"][NETWORK] = sha256(copied / NETWORK)
    (copied / "config.json").write_text(json.dumps(config))
    one_sentence(export(work, "--model", copied, "--check", "--format", "onnx", code=1), "not of this model")
    done = export(work, "--model", copied, "--format", "onnx")
    assert "removing" in done.stderr
    left = {path.name for path in (copied / "export").iterdir() if not path.name.startswith(".")}
    assert left == {"EyeNet.onnx", "export.json", "model.json", "README.md"}


def test_a_folder_of_something_else_is_left_alone(work, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    last = one_sentence(export(work, "--format", "onnx", "--output", tmp_path, code=1), "holds something other")
    assert "--output" in last and (tmp_path / "README.md").read_text() == "mine"


def test_killed_between_two_renames_one_export_is_left(tmp_path):
    """A folder is replaced in two renames; the next run brings the earlier one back, or finds the new one in place."""
    target = tmp_path / "EyeNet.mlpackage"
    for text in ("old", "new"):
        with export_folder.proved_export(target) as path:
            path.mkdir()
            (path / "weights").write_text(text)
    assert (target / "weights").read_text() == "new" and list(tmp_path.iterdir()) == [target]
    before = target.rename(export_folder.aside(target))  # killed here
    export_folder.remove_unfinished(tmp_path)
    assert (target / "weights").read_text() == "new" and list(tmp_path.iterdir()) == [target]
    shutil.copytree(target, before)  # or here
    with pytest.raises(StageError), export_folder.proved_export(target):
        raise StageError("another reason")
    assert (target / "weights").read_text() == "new" and list(tmp_path.iterdir()) == [target]


def test_what_a_killed_run_left_is_removed(copied, work):
    """Also if it was killed before any export was verified, so that only the record exists."""
    folder = copied / "export"
    for path in list(folder.iterdir()):
        if path.name not in ("export.json", ".lock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / ".tmp-1" / "EyeNet.mlpackage").mkdir(parents=True)
    (folder / ".tmp-1-2").write_text("half")
    export(work, "--model", copied, "--format", "litert")
    left = {path.name for path in folder.iterdir()}
    assert left == {".lock", "EyeNet.tflite", "export.json", "model.json", "README.md"}
    assert "`EyeNet.onnx` |" not in (folder / "README.md").read_text()


def test_what_fails_the_proof_is_not_written(tmp_path):
    target = tmp_path / "EyeNet.mlpackage"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(StageError, match="a"), export_folder.proved_export(target) as path:
        path.mkdir()
        raise StageError("a")
    assert [p.name for p in tmp_path.rglob("*")] == ["EyeNet.mlpackage", "old"]
    with export_folder.proved_export(target) as path:
        path.mkdir()
        (path / "new").write_text("new")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["EyeNet.mlpackage", "new"]


@pytest.mark.parametrize(
    "found, words",
    [
        ([0.2, 0.4, 0.6, 0.8], None),
        ([0.2, 0.4, 0.6, 0.8003], "a probability by 0.0003"),
        ([0.2, 0.4, 0.6, np.nan], "a probability by nan.*it has none"),
        ([0.2, 0.5001, 0.6, 0.8], "1 decision on any DR, where 0 are allowed"),
        ([0.7, 0.4, 0.6, 0.8], "the AUC of any DR: 1.000 became 0.750"),
    ],
)
def test_what_counts_as_parity(found, words):
    both = [np.stack([1 - np.array(p), p], axis=1) for p in ([0.2, 0.4, 0.6, 0.8], found)]
    figures = compare(
        Exam("drawings", None, np.array([0, 0, 1, 2]), both[0], None)._replace(photographs=both[0]), both[1], CONFIG
    )
    if words is None:
        require_parity(figures, "float32", "EyeNet.onnx")
        return
    with pytest.raises(StageError, match=words):
        require_parity(figures, "float32", "EyeNet.onnx")


@pytest.mark.parametrize(
    "before, after, words",
    [
        (0.499, 0.501, None),
        (0.4945, 0.501, "a decision on any DR, 0.0055 from the threshold, where 0.005 is allowed"),
    ],
)
def test_only_decisions_on_the_threshold_may_change_in_float16(before, after, words):
    both = [np.full(200, 0.2), np.full(200, 0.2)]
    both[0][0], both[1][0] = before, after
    both = [np.stack([1 - p, p], axis=1) for p in both]
    figures = compare(Exam("drawings", both[0], None, both[0], None), both[1], CONFIG)
    with pytest.raises(StageError, match=words) if words else contextlib.nullcontext():
        require_parity(figures, "float16", "EyeNet.onnx")


@pytest.mark.parametrize(
    "args, words",
    [
        (("--input", "nowhere"), ("no folder nowhere",)),
        (("--model", "nowhere"), ("no model folder nowhere",)),
        (("--photos", "logs"), ("no photograph", "logs")),
    ],
)
def test_bad_input(args, words, work):
    one_sentence(export(work, "--format", "litert", *args, code=1), *words)


def test_an_array_with_another_split(work, copied):
    config = json.loads((copied / "config.json").read_text())
    config["settings"]["split"] = "0" * 64
    (copied / "config.json").write_text(json.dumps(config))
    last = one_sentence(export(work, "--model", copied, code=1), "was not trained on", "--input")
    assert str(work / "array") in last


@pytest.mark.parametrize("package, kind", [("coremltools", "coreml"), ("onnxruntime", "onnx"), ("tf2onnx", "app")])
def test_a_package_that_is_missing(package, kind, work, tmp_path):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f"raise ImportError('No module named {package}')")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    one_sentence(export(work, "--format", kind, env=env, code=1), package, "pip install -r requirements-export.txt")


def test_without_the_array(work):
    args = ("--photos", work / "source" / "train", "--most", 5, "--output", work / "elsewhere", "--format", "litert")
    done = export(work, *args)
    assert "5 photographs without grades" in done.stdout and "AUC" not in done.stdout
    done = export(work, *args, "--precision", "int8", code=2)
    assert "calibrated on training photographs" in done.stderr
    done = run("export_model.py", "--model", REPO / "pretrained" / "eyenet-lite", "--precision", "int8", code=2)
    assert "the network that ships" in done.stderr


def test_the_page(tmp_path, monkeypatch):
    """Its network agrees with LiteRT, including the evidence; float16 is less than half, since kernels are shared."""
    import gzip

    monkeypatch.setattr(page, "APP", tmp_path)
    with pytest.raises(StageError, match="npm ci && npm run build"):
        page.require_template(tmp_path / "dist")
    (tmp_path / "dist-template").mkdir()
    (tmp_path / "dist-template" / "index.html").write_text("page")
    images = photographs(64, 3)
    network = rescaled(cnn.build_network("three_layers", 64, 2, "none"), photographs(64, 8))
    evidence = write_lite(network, "any", tmp_path)
    lite = LiteNetwork(tmp_path, CONFIG | {"size": 64, "evidence": evidence})
    expected = [lite(image, explain=True) for image in images]
    sizes = {}
    for precision, close in (("float32", 1e-4), ("float16", 2e-2)):
        data = page.convert(network, "any", precision)
        sizes[precision], session = len(data), onnx.open_session(data)
        for image, (probability, cells) in zip(images, expected):
            ours, plain = (
                session.run(["probability", "evidence"], {"photograph": image[None], "explain": np.array([explain])})
                for explain in (True, False)
            )
            assert np.abs(ours[0][0] - probability).max() < close and np.abs(plain[0] - ours[0]).max() < 1e-6
            assert not plain[1].any() and plain[1].shape == ours[1].shape
            assert np.corrcoef(ours[1][0].ravel(), cells.ravel())[0, 1] > 1 - 10 * close
    assert sizes["float32"] < 6 * network.count_params() and sizes["float16"] < 3 * network.count_params()
    config = CONFIG | {"size": 64, "evidence": evidence, "settings": {"images": {}, "split": "s"}}
    total = page.write_page(data, tmp_path, config, tmp_path / "dist")
    said = json.loads((tmp_path / "dist" / "model.json").read_text())
    packed = (tmp_path / "dist" / said["model"]["file"]).read_bytes()
    assert gzip.decompress(packed) == data and len(packed) < total
    assert (tmp_path / "dist" / "index.html").read_text() == "page" and said["evidence"] == evidence
    page.require_template(tmp_path / "dist")  # may be replaced
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.json").write_text("{}")  # as in the folder of an export
    with pytest.raises(StageError, match="holds something other than the page"):
        page.require_template(tmp_path / "mine")


def test_a_file_as_output_is_not_to_be_emptied(tmp_path):
    (tmp_path / "labels.csv").write_text("image,level\n")
    with pytest.raises(StageError, match="is a file, but export_model.py writes a folder") as refused:
        export_folder.require_own(tmp_path / "labels.csv")
    assert "empty" not in str(refused.value)
