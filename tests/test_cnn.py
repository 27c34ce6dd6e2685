"""Training as a user runs it: it learns, resumes with the same result, and refuses unusable input."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import (
    REPO,
    bytes_of,
    history,
    kill_after,
    make_dataset,
    one_sentence,
    read_csv,
    run,
    run_stages,
    write_csv,
)
from test_stages import mounted

import cnn
from eyenet.data.array import rows_by_split
from eyenet.data.names import split_of
from eyenet.model import backend
from eyenet.model.patients import list_patients
from eyenet.run.errors import StageError
from eyenet.training.distribution import Distribution

QUICK = ["--batch", "16", "--learning-rate", "1e-3"]


def test_learns_and_tells(trained):
    model, told = trained / "models" / "cnn", (trained / "stdout").read_text()
    rows = history(model)
    assert [row["epoch"] for row in rows] == list("1234")
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    best = max(float(row["val_auc"]) for row in rows)
    assert best > 0.8 and f"validation AUC {best:.3f}" in told
    assert "next: python evaluate.py --model models/cnn" in told
    assert (trained / "models" / "latest").resolve() == model
    config = json.loads((model / "config.json").read_text())
    assert config["settings"]["seed"] == 0 and config["settings"]["images"]["input"]["input"]["input"]["size"] == 64
    assert config["versions"]["keras"] and len(config["settings"]["split"]) == 64
    assert config["classes"] == ["no DR", "DR"]


def test_the_decision_is_chosen_on_validation(array, trained):
    """Compute the thresholds again from the saved network."""
    import keras

    network = keras.models.load_model(trained / "models" / "latest" / "model.keras")
    images, table = np.load(array / "X.npy"), pd.read_csv(array / "labels.csv")
    rows = np.flatnonzero((table["split"] == "val") & (table["transform"] == "original"))
    probability, truth = network(images[rows]).numpy(), table["level"][rows].to_numpy() > 0
    assert np.allclose(probability.sum(axis=1), 1, atol=1e-5)
    decision = json.loads((trained / "models" / "cnn" / "config.json").read_text())["decision"]["any"]
    odds = np.log(probability[:, 1] / probability[:, 0]) / decision["temperature"] + decision["shift"]
    calibrated = 1 / (1 + np.exp(-odds))
    points = decision["eye"]["operating_points"]
    balance = [(calibrated[truth] >= t).mean() + (calibrated[~truth] < t).mean() for t in calibrated]
    reached = (calibrated[truth] >= points["balanced"]).mean() + (calibrated[~truth] < points["balanced"]).mean()
    assert abs(reached - max(balance)) < 1e-9


def test_killed_in_an_epoch_it_goes_on_to_the_same_end(array, trained, tmp_path):
    """Epochs, optimizer, best value and patience are kept: history and decision equal those of an uninterrupted run.

    The same seed gives the same figures with every --cache.
    """
    args = ["cnn.py", "--input", array, "--epochs", 4, *QUICK]
    kill_after("models/cnn/checkpoint-00002/state.json", [*args, "--cache", "host"], tmp_path)
    assert len(history(tmp_path / "models" / "cnn")) < 4
    done = run(*args, cwd=tmp_path)
    assert "continuing after epoch" in done.stderr
    assert history(tmp_path / "models" / "cnn") == history(trained / "models" / "cnn")
    mine, theirs = ((f / "models" / "cnn" / "config.json").read_text() for f in (tmp_path, trained))
    assert json.loads(mine)["decision"] == json.loads(theirs)["decision"]
    again = run(*args, cwd=tmp_path)
    assert again.stdout == done.stdout and "epoch" not in again.stderr


def test_tensorboard_has_it_all(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for part in ("train", "validation", "summary"):
        events = EventAccumulator(str(trained / "logs" / "cnn" / part))
        events.Reload()
        found[part] = events
    both = ("AUC and loss/loss", "AUC and loss/auc", "more/accuracy")
    for tag in (*both, "more/precision", "more/recall", "speed/learning rate", "speed/images per second"):
        assert [point.step for point in found["train"].Tensors(tag)] == [1, 2, 3, 4], tag
    for tag in both:
        assert [point.step for point in found["validation"].Tensors(tag)] == [1, 2, 3, 4], tag
    assert "Conv2D" in {node.op for node in found["summary"].Graph().node}  # the graph of the operations
    sheets = ["confusion matrix, validation", "ROC curve, validation", "heat maps, validation"]
    for tag in (*sheets, "precision-recall, validation/pr_curves"):
        assert len(found["summary"].Tensors(tag)) == 4, tag
    assert len(found["summary"].Tensors("training batch, as the network sees it")) == 1


def test_a_training_that_continues_knows_the_patients_of_the_first(array, trained, tmp_path):
    """Otherwise a network that has seen them would be evaluated on them without a warning."""
    first = shutil.copytree(
        trained / "models" / "cnn", tmp_path / "first", ignore=shutil.ignore_patterns("checkpoint-*")
    )
    ours = [(row["patient"], row["split"]) for row in read_csv(first / "patients.csv")]
    others = [("z1", "train"), ("z2", "val"), ("z3", "test")]
    write_csv(first / "patients.csv", [("patient", "split"), *ours, *others])
    run("cnn.py", "--input", array, "--epochs", 1, *QUICK, "--start", first, cwd=tmp_path)
    found = read_csv(tmp_path / "models" / "cnn" / "patients.csv")
    assert [(row["patient"], row["split"]) for row in found] == sorted([*ours, others[0]])


def test_photographs_of_unknown_patients_stay_such(trained):
    table = pd.DataFrame(
        {"patient": ["x", "x", "b.jpeg"], "split": ["val", "val", "train"], "patient_known": [1, 1, 0]}
    )
    theirs = read_csv(trained / "models" / "cnn" / "patients.csv")
    known = dict.fromkeys(["x", *(row["patient"] for row in theirs if row["split"] == "train")], 1)
    every = list_patients(table, trained / "models" / "cnn").set_index("patient")
    assert every["patient_known"].to_dict() == known | {"b.jpeg": 0} and every.index.is_unique
    assert list(list_patients(table[:2])) == ["patient", "split"]


def test_other_settings_are_refused(array, trained, tmp_path):
    shutil.copytree(trained / "models", tmp_path / "models", symlinks=True)
    done = run("cnn.py", "--input", array, "--epochs", 4, "--batch", 8, "--learning-rate", "1e-3", cwd=tmp_path, code=1)
    one_sentence(done, "batch: 16 -> 8", "another folder")


def broken(array, folder, change):
    """Copy the array and damage the copy."""
    shutil.copytree(array, folder)
    change(folder)
    return folder


def flip_a_byte(folder):
    with open(folder / "X.npy", "r+b") as file:
        file.seek(500_000)
        byte = file.read(1)
        file.seek(500_000)
        file.write(bytes([byte[0] ^ 1]))


def swap_rows(folder):
    lines = (folder / "labels.csv").read_text().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    (folder / "labels.csv").write_text("".join(lines))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda f: (f / "X.json").unlink(), ["X.json", "not finished"]),
        (lambda f: (f / "X.npy").unlink(), ["no X.npy"]),
        (lambda f: os.truncate(f / "X.npy", 500_000), ["incomplete"]),
        (flip_a_byte, ["damaged", "checksum"]),
        (swap_rows, ["labels.csv", "not the table"]),
        (lambda f: (f / "labels.csv").unlink(), ["no table"]),
        (lambda f: np.save(f / "X.npy", np.array([{}], dtype=object), allow_pickle=True), ["damaged"]),
    ],
)
def test_a_broken_array_is_refused(array, tmp_path, monkeypatch, change, words):
    folder = broken(array, tmp_path / "array", change)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cnn.py", "--input", str(folder)])
    with pytest.raises(StageError) as error:
        cnn.main()
    assert all(word in str(error.value) for word in (*words, "image_to_array.py"))
    assert not (tmp_path / "models").exists()
    # Following the advice, packing again gives the same array.
    rotated = array.parent / "rotated"
    run("image_to_array.py", "--input", rotated, "--labels", array.parent / "rotated.csv", "--output", folder)
    assert bytes_of(folder) == bytes_of(array)


def test_one_class_only(array, tmp_path, monkeypatch):
    images, table, sidecar = cnn.open_array(array)
    monkeypatch.setattr(cnn, "open_array", lambda *_: (images, table.assign(level=0), sidecar))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cnn.py"])
    with pytest.raises(StageError, match="all of one class"):
        cnn.main()


def test_no_validation_patients_in_bfloat16(tmp_path):
    """With too few patients for a split, it trains, keeps the last epoch, and logs this; in lower precision too."""
    source = make_dataset(tmp_path / "source", patients=24, width=200, height=160, radius=72)
    training = [f"h{i}" for i in range(24) if split_of(f"h{i}") == "train"]
    chosen = tuple(next(f"{p}_" for p in training if int(p[1:]) % 2 == diseased) for diseased in (0, 1))
    rows = read_csv(source / "trainLabels.csv")
    table = [("image", "level")] + [(r["image"], r["level"]) for r in rows if r["image"].startswith(chosen)]
    write_csv(source / "trainLabels.csv", table)
    for path in (source / "train").iterdir():
        if not path.name.startswith(chosen):
            path.unlink()
    work = run_stages(source, tmp_path / "work")
    assert {row["split"] for row in read_csv(work / "preprocessed.csv")} == {"train"}
    done = run("cnn.py", "--input", work / "array", "--epochs", 2, "--precision", "bfloat16", cwd=tmp_path)
    assert "AUC is not defined" in done.stderr
    assert "kept epoch 2" in done.stdout
    config = json.loads((tmp_path / "models" / "cnn" / "config.json").read_text())
    assert config["settings"]["precision"] == "bfloat16"


def test_backends_and_precision(array, tmp_path):
    args = ["cnn.py", "--input", array, "--epochs", 1, *QUICK]
    done = run(*args, code=1, cwd=tmp_path, env={**os.environ, "KERAS_BACKEND": "theano"})
    one_sentence(done, "theano", "tensorflow, jax or torch")
    if not backend.has_gpu():
        one_sentence(run(*args, "--precision", "float16", code=1, cwd=tmp_path), "needs a GPU")
    torch = {"cwd": tmp_path, "env": {**os.environ, "KERAS_BACKEND": "torch"}}  # test_distribute.py trains with JAX
    if importlib.util.find_spec("torch") is None:
        one_sentence(run(*args, code=1, **torch), "torch", "pip install")
    else:
        run(*args, "--run", "torch", **torch)
        assert len(history(tmp_path / "models" / "torch")) == 1


def test_only_originals_are_validated_and_tested():
    splits = np.repeat(["train", "val", "test"], 4)
    transforms = ["original", "mirror", "rot90", "rot120"] * 3
    table = pd.DataFrame({"split": splits, "transform": transforms})
    rows = rows_by_split(table, {"size": 64})
    assert rows["train"].tolist() == [0, 1, 2, 3]
    assert rows["val"].tolist() == [4] and rows["test"].tolist() == [8]
    assert rows_by_split(table, {"protocol": "2017"})["test"].tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize(
    "option",
    [("--seed", "-1"), ("--learning-rate", "nan"), ("--learning-rate", "-1"), ("--epochs", "0"), ("--batch", "0")]
    + [("--run", "../elsewhere"), ("--run", "latest"), ("--run", "")],
)
def test_senseless_options(monkeypatch, capsys, option):
    monkeypatch.setattr(sys, "argv", ["cnn.py", *option])
    with pytest.raises(SystemExit, match="2"):
        cnn.parse()
    assert f"error: argument {option[0]}" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_ends_the_training(monkeypatch):
    backend.start("float32", 0)
    from eyenet.training.validation import Validation

    monkeypatch.setattr("eyenet.training.validation.predict", lambda *_: np.full((2, 2), 0.5))
    batches = SimpleNamespace(labels=np.array([0, 1]), rows=np.arange(2))
    validation = Validation(None, "any", batches, None, Distribution())
    with pytest.raises(StageError, match="in epoch 3: train under another --run with a lower --learning-rate"):
        validation.on_epoch_end(2, {"loss": float("nan")})


def test_damaged_models_and_folders_in_the_way(array, trained, tmp_path):
    shutil.copytree(trained / "models", tmp_path / "models", symlinks=True)
    args = ["cnn.py", "--input", array, *QUICK, "--logs", tmp_path / "logs"]
    (checkpoint,) = (tmp_path / "models" / "cnn").glob("checkpoint-*")
    os.truncate(checkpoint / "trainer.weights.h5", 5000)
    done = run(*args, "--epochs", 4, cwd=tmp_path, code=1)
    one_sentence(done, "trainer.weights.h5 cannot be read", "may be damaged", "train again with another --run")
    (tmp_path / "models" / "cnn" / "config.json").write_text("{")
    one_sentence(run(*args, cwd=tmp_path, code=1), "config.json is damaged")
    (tmp_path / "file").write_text("")
    blocked = [*QUICK, "--models", tmp_path / "m2", "--epochs", 1, "--logs", tmp_path / "file"]
    one_sentence(run("cnn.py", "--input", array, *blocked, cwd=tmp_path, code=1), "file")


def test_help_is_quick_and_complete():
    code = "import atexit, runpy, sys; sys.argv[:] = ['cnn.py', '--help']\n"
    code += "atexit.register(lambda: print('imported', sorted({'keras', 'tensorflow'} & sys.modules.keys())))\n"
    code += "runpy.run_path('cnn.py', run_name='__main__')"
    text = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPO).stdout
    assert text.endswith("imported []\n")
    for option in ("--precision", "--learning-rate", "--seed", "--run", "--task", "--network"):
        assert option in text
    assert "(default: three_layers)" in text


def test_disk_full(array, tmp_path):
    """A full disk for TensorBoard's files or the model gives one sentence."""
    disk = mounted(tmp_path / "disk", "size=4k")  # too small for the first file, before the network is traced
    try:
        args = ["cnn.py", "--input", array, "--epochs", 1, *QUICK]
        done = run(*args, "--logs", disk / "logs", cwd=tmp_path, code=1)
        one_sentence(done, "No space left", "full", "again")
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        shutil.rmtree(disk / "logs")
        models = ["--models", disk / "models", "--logs", tmp_path / "logs"]
        one_sentence(run(*args, *models, cwd=tmp_path, code=1), "disk space", "make room")
    finally:
        subprocess.run(["umount", disk], check=True)
