"""The network that ships: its folder is whole, its files agree, its card says what it misses, and it can be built."""

import csv
import hashlib
import importlib.util
import json
import re
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import REPO, draw_photograph
from huggingface_hub import ModelCard
from report_fixtures import make_metrics

import cnn
from eyenet.export.halved import save_halved
from eyenet.model import pretrained
from eyenet.model.folder import LITE_NETWORK, NETWORK, open_model, read_measured
from eyenet.model.lite import LiteNetwork
from eyenet.model.loading import load_network
from eyenet.model.patients import read_patients, split_hash
from eyenet.model.predictions import Scored
from eyenet.model.reference import distances, quantiles, summarise
from eyenet.run.errors import StageError
from eyenet.training.start import start_weights

FOLDER = pretrained.folder()


def script(name):
    """Import a script of pretrained/; build.py also finds the rooms and benchmarks/record.py by itself."""
    spec = importlib.util.spec_from_file_location(f"pretrained_{name}", REPO / "pretrained" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = script("build")
card = script("card")


def test_the_folder_is_whole():
    """Its checksums are right, it holds no photograph, and it is small enough for a repository."""
    assert FOLDER == REPO / "pretrained" / "eyenet-lite"
    sums = dict(reversed(line.split("  ")) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    files = {path.name: path for path in FOLDER.iterdir() if not path.name.startswith(".")}
    assert set(files) == {*sums, "SHA256SUMS"}
    assert set(sums) == {
        *("config.json", "metrics.json", "model.keras", "model.tflite", "patients.csv", "reference.json"),
        *("MODEL_CARD.md", "NOTICE"),
    }
    for name, known in sums.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == known
    assert sum(path.stat().st_size for path in files.values()) < 22e6
    config = open_model(FOLDER)
    for question in ("any", "referable"):
        assert config["operating_point"] in config["decision"][question]["eye"]["operating_points"]
        assert config["operating_point"] in read_measured(FOLDER)["questions"][question]
    assert config["validation"]["referable"]["sensitivity"]["low"] >= 0.9
    assert split_hash(read_patients(FOLDER)) == config["settings"]["split"]


def test_its_files_answer_alike_and_training_goes_on_from_it():
    config = open_model(FOLDER, LITE_NETWORK)
    network, lite = load_network(FOLDER, config), LiteNetwork(FOLDER, config)
    photographs = np.stack([draw_photograph(256, 256, radius=128, seed=i, dots=40 * i) for i in range(2)])
    expected, found = network.predict(photographs, verbose=0), [lite(photograph, True) for photograph in photographs]
    assert np.abs(np.stack([probability for probability, _ in found]) - expected).max() < 2e-3
    assert np.ptp(expected, axis=0).max() > 0.01 and found[0][1].shape == (2, 48, 48)
    other = cnn.build_network(config["settings"]["network"], 256, 5, "none")
    table = pd.DataFrame({"patient": ["somebody"], "split": ["val"]})
    start_weights(other, FOLDER, "grade", table, config["settings"]["images"])
    assert all(np.array_equal(*pair) for pair in zip(other.get_weights(), network.get_weights(), strict=True))
    assert not any("norm" in variable.path for variable in other.trainable_variables)
    table["patient"] = read_patients(FOLDER).query("split == 'train'")["patient"].iloc[0]
    with pytest.raises(StageError, match="was trained on 1 patient for validation or test"):
        start_weights(other, FOLDER, "grade", table, config["settings"]["images"])


def test_the_card_leads_with_what_it_misses():
    """Each count is a row of benchmarks/results/pretrained.csv."""
    text = (FOLDER / "MODEL_CARD.md").read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(r"^## (.*)$", text, re.MULTILINE)[1] == "What it misses"
    with open(REPO / "benchmarks" / "results" / "pretrained.csv", newline="") as file:
        rows = {row["measured"]: row for row in csv.DictReader(file)}
    lines = re.findall(r"^\* .*, grade [34] .* of (\d+) eyes, \*\*(\d+) missed\*\*, (\d+) to be", text, re.MULTILINE)
    counted = [row for name, row in rows.items() if re.search("grade [34] below the threshold", name)]
    assert [(row["value"], row["unit"]) for row in counted] == [
        (missed, f"of {eyes} eyes, {again} more photographed again") for eyes, missed, again in lines
    ]
    assert len(lines) == 4 and "macular oedema" in text and "NOTICE" in text
    assert ModelCard.load(FOLDER / "MODEL_CARD.md").data.license == "other"


def scored_set():
    table = pd.DataFrame({"patient": list("aabbcd"), "eye": ["left", "right"] * 3, "level": [0, 0, 2, 3, 3, 4]})
    table["gradable"] = list("110101")  # text, as in the table of an array
    referable = np.array([0.9, 0.1, 0.2, 0.8, 0.1, 0.3])
    probabilities = np.stack([1 - referable, *([0 * referable] * 3), referable], axis=1)
    return Scored(table, probabilities, None, None, "six", False, 0)


def test_what_becomes_of_the_eyes_of_each_grade():
    fit = {"temperature": 1, "shift": 0, "eye": {"operating_points": {"p": 0.25}}}
    config = {"task": "grade", "decision": {"any": fit, "referable": fit}, "operating_point": "p"}
    counted = card.outcomes(scored_set(), config)
    assert [[row[key] for key in ("eyes", "referred", "again", "missed")] for row in counted] == [
        *([2, 1, 0, 1], [0, 0, 0, 0], [1, 0, 1, 0], [2, 1, 1, 0], [1, 1, 0, 0])
    ]
    found = card.groups(scored_set(), config)
    assert found["poor"]["photographs"] == 2 and found["gradable"]["sensitivity"]["value"] == 1
    assert found["left eyes"]["diseased"] == 2 and found["right eyes"]["specificity"]["value"] == 1


def test_a_card_of_another_network(tmp_path):
    """From any figures: Hugging Face's library reads it, and the front matter does not say MIT."""
    config = open_model(FOLDER)
    config["operating_point"] = "sensitivity_0.9"
    metrics = {name: make_metrics("grade") | {"set": name} for name in ("test", "other")}
    rows = [{"grade": g, "name": str(g), "eyes": 9, "referred": 5, "again": 1, "missed": 3} for g in range(5)]
    compared = {"poor": {"photographs": 3, "diseased": 0} | dict.fromkeys(("auc", "sensitivity", "specificity"))}
    card.write_card(tmp_path, config, metrics, dict.fromkeys(metrics, rows), dict.fromkeys(metrics, compared))
    text = (tmp_path / "MODEL_CARD.md").read_text()
    assert ModelCard(text).data.license == "other" and "None" not in text
    assert "of 18\N{NO-BREAK SPACE}eyes of grade 0 to 1, **10 referred**" in text


def test_the_card_says_of_weights_only_what_is_known(tmp_path):
    config, metrics = open_model(FOLDER), {"test": make_metrics("grade")}
    shipped = what_made_it(FOLDER)
    assert "One training with one seed" in shipped and "The script that trained them was" in shipped
    card.write_card(tmp_path, config, metrics, {}, {})
    assert what_made_it(tmp_path) == shipped
    config["trained"] |= {"script": "pretrained/train.py"}
    card.write_card(tmp_path, config, metrics, {}, {})
    text = what_made_it(tmp_path)
    assert "`pretrained/train.py` trained these weights" in text
    for false in ("one seed", "not kept", "not recorded", "made before"):
        assert false not in " ".join(text.split())
    assert "made after the weights" not in (tmp_path / "MODEL_CARD.md").read_text()


def what_made_it(folder):
    text = (folder / "MODEL_CARD.md").read_text()
    return re.search(r"^## What made it\n(.*?)^\| \| \|$", text, re.MULTILINE | re.DOTALL)[1]


def test_an_undefined_figure_has_no_row():
    metrics = make_metrics("grade")
    names = [row[0] for row in card.grade_figures("test", metrics["grade"])]
    assert len(names) == 5
    nothing = dict.fromkeys(("value", "low", "high"))
    metrics["grade"]["shown"] |= {"kappa": nothing, "accuracy": nothing}
    assert [row[0] for row in card.grade_figures("test", metrics["grade"])] == [names[0], *names[3:]]
    assert card.figure_rows("one", nothing | {"value": 0.5}) == [("one", "0.500", "", "")]
    config = {"task": "grade", "operating_point": "balanced"}
    rows = [row[0] for row in card.figures_of("test", metrics, config)]
    metrics["questions"]["any"]["eye"]["auc"] = nothing
    assert [row[0] for row in card.figures_of("test", metrics, config)] == rows[1:]


def test_weights_without_their_recipe(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    with pytest.raises(StageError, match="w.json, which says how .*w.npz was trained, is missing"):
        build.read_weights(tmp_path / "w.npz")
    recipe = dict.fromkeys(build.SETTINGS) | {
        "network": "three_layers",
        "task": "any",
        "how": "",
        "trial": "",
        "source": "",
    }
    recipe |= {"split": {"seed": 0, "val": 0.15, "test": 0.15}, "photographs": 3}
    (tmp_path / "w.json").write_text(json.dumps(recipe))
    values, known = build.read_weights(tmp_path / "w.npz")
    assert known == recipe
    with pytest.raises(StageError, match="not the weights of three_layers"):
        build.build_network(values, recipe, 32)
    (tmp_path / "data" / "preprocessed").mkdir(parents=True)
    for seed in (0, 1):
        split = {"split": recipe["split"] | {"seed": seed}}
        (tmp_path / "data" / "preprocessed" / "stage.json").write_text(json.dumps(split))
        if seed == 0:
            build.require_split(recipe, tmp_path)
    with pytest.raises(StageError, match="may have seen its validation patients"):
        build.require_split(recipe, tmp_path)
    (tmp_path / "w.npz").unlink()
    with pytest.raises(StageError, match="no file of weights"):
        build.read_weights(tmp_path / "w.npz")


def test_scoring_again_keeps_the_network_and_its_decision(tmp_path):
    config = open_model(FOLDER)
    (tmp_path / "data" / "preprocessed").mkdir(parents=True)
    (tmp_path / "data" / "preprocessed" / "stage.json").write_text(json.dumps({"split": config["trained"]["split"]}))
    build.copy_network(FOLDER, tmp_path, tmp_path / "again")
    stored = [json.loads((folder / "config.json").read_text()) for folder in (FOLDER, tmp_path / "again")]
    assert [one.pop("note", None) for one in stored][1] == build.NOTE and stored[0] == stored[1]
    recorded = stored[0] | {"trained": stored[0]["trained"] | {"script": "pretrained/train.py"}}
    (tmp_path / "again" / "config.json").write_text(json.dumps(recorded | {"note": build.NOTE}))
    build.copy_network(tmp_path / "again", tmp_path, tmp_path / "recorded")
    assert json.loads((tmp_path / "recorded" / "config.json").read_text()) == recorded  # such weights need no note
    for change in ({"script": "cnn.py"}, {"recalibrated": {"set": "clinic"}}):
        changed = stored[0] | change
        changed.pop("trained" if "script" in change else "validation")
        (tmp_path / "again" / "config.json").write_text(json.dumps(changed))
        with pytest.raises(StageError, match="again is not a folder of this script"):
            build.copy_network(tmp_path / "again", tmp_path, tmp_path / "other")
        with pytest.raises(StageError, match="again is not a folder of this script"):
            build.read_weights(tmp_path / "again")
    with pytest.raises(StageError, match="takes a folder"):
        build.copy_network(tmp_path / "weights.npz", tmp_path, tmp_path / "other")
    (tmp_path / "data" / "preprocessed" / "stage.json").write_text(json.dumps({"split": {"seed": 9}}))
    with pytest.raises(StageError, match="splits the patients"):
        build.copy_network(FOLDER, tmp_path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_kernels_are_halved_and_nothing_else(tmp_path):
    for name in ("a", "b"):
        keras.utils.clear_session()
        keras.config.set_dtype_policy("float32")  # an object that the layers share
        keras.utils.set_random_seed(0)
        network = cnn.build_network("three_layers", 32, 2, "none")
        for weight in network.weights:
            weight.assign(np.random.default_rng(len(weight.path)).normal(1, 0.1, weight.shape))
        (tmp_path / name).mkdir()
        save_halved(network, tmp_path / name / NETWORK)
    assert b"shared_object_id" in zipfile.ZipFile(tmp_path / "a" / NETWORK).read("config.json")
    assert [path.name for path in (tmp_path / "a").iterdir()] == [NETWORK]
    assert (tmp_path / "a" / NETWORK).read_bytes() == (tmp_path / "b" / NETWORK).read_bytes()
    loaded = keras.models.load_model(tmp_path / "a" / NETWORK, compile=False)
    for before, after in zip(network.weights, loaded.weights, strict=True):
        before, after = before.numpy(), after.numpy()
        rounded = before.astype(np.float16).astype(np.float32) if before.ndim > 1 else before
        assert after.dtype == np.float32 and np.array_equal(after, rounded)


def test_the_summary_of_a_set_of_photographs():
    features = np.random.default_rng(0).normal([0, 5, 0], [1, 2, 0], (500, 3))
    called = {"any": np.linspace(0, 1, 500)}
    found = summarise([{"light": 1.0}, {"light": 3.0, "lines": 0.5}, {}], called, {"any": 0.75}, features)
    assert found["photographs"] == 500 and found["called"] == {"any": 0.25}
    assert found["measures"]["light"]["0.5"] == 2 and found["measures"]["lines"]["0.99"] == 0.5
    assert found["probabilities"]["any"]["0.25"] == pytest.approx(0.25, abs=1e-3)
    assert found["features"]["mean"][1] == pytest.approx(5, abs=0.3) and found["features"]["deviation"][2] == 0
    assert found["features"]["distance"]["0.5"] == pytest.approx(0.8, abs=0.15)
    apart = distances(np.array([[3.0, 5.0, 9.0]]), [0, 5, 0], [1, 2, 0])
    assert apart == pytest.approx([np.sqrt(9 / 2)]) and quantiles([np.nan]) == {}


def test_where_the_folder_is(tmp_path, monkeypatch):
    """In a checkout beside the package, and inside it where pip installed it."""
    monkeypatch.setattr(pretrained, "PACKAGE", tmp_path / "eyenet")
    assert pretrained.folder() == tmp_path / "eyenet" / "pretrained" / "eyenet-lite"
    with pytest.raises(StageError, match="no model folder"):
        open_model(pretrained.folder())
    for place in (tmp_path / "eyenet" / "pretrained", tmp_path / "pretrained"):
        (place / "eyenet-lite").mkdir(parents=True)
        (place / "eyenet-lite" / "config.json").touch()
        assert pretrained.folder() == place / "eyenet-lite"
