"""Which network answers: the one that ships right after the installation, but not where another is in use."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sentence, run

from eyenet.export.description import describe
from eyenet.export.folder import write_record
from eyenet.export.proof import RETINA
from eyenet.model import pretrained
from eyenet.model.disclaimers import SYNTHETIC_MODEL
from eyenet.model.screener import Screener
from eyenet.photo.retina import photograph_to_input
from make_sample import take_photograph

TOLERANCE = 0.01  # of a probability: decoders differ by a grey level, and processors by the order of additions


@pytest.fixture(scope="module")
def screener():
    return Screener(pretrained.folder())


def probabilities(row):
    return {question: answer["probability"] for question, answer in row["questions"].items()}


def test_a_newcomer_grades_a_real_retina(tmp_path):
    """From a folder without a model: the answer, the network that gave it, and what it has seen."""
    done = run("predict.py", RETINA, "--json", cwd=tmp_path)
    assert "network eyenet-lite" in done.stderr and "trained on" in done.stderr and "sensitivity_0.9" in done.stderr
    row = json.loads(done.stdout.splitlines()[0])
    assert row["result"] == "no DR" and row["gradable"] and row["trained_on"].startswith("4,5")
    assert row["model"].startswith("eyenet-lite") and "caution" not in row
    stored = json.loads((pretrained.folder() / "config.json").read_text())["examples"]["retina"]
    assert probabilities(row) == pytest.approx(stored, abs=TOLERANCE)


def test_the_answers_on_drawings_are_those_of_the_network_that_was_built(screener, tmp_path):
    """Those of pretrained/build.py: the file, the crops and the calibration are the same here."""
    drawn = {name: answer for name, answer in screener.config["examples"].items() if name != "retina"}
    assert len(drawn) == 5 and np.ptp([answer["any"] for answer in drawn.values()]) > 10 * TOLERANCE
    for name, answer in drawn.items():  # such as 2_left_0: patient, eye and grade
        patient, eye, level = name.split("_")
        path = tmp_path / f"{name}.jpeg"
        path.write_bytes(take_photograph(0, int(patient), eye, int(level)))
        crop, _ = photograph_to_input(path, screener.size, screener.colours, screener.field)
        answers, _ = screener.answer(screener.network(crop)[0])
        assert {q: answers[q]["probability"] for q in answers} == pytest.approx(answer, abs=TOLERANCE), name


@pytest.mark.parametrize("synthetic", [True, False])
def test_a_network_of_drawings_answers_only_where_it_is_named(graded, tmp_path, synthetic):
    """The model in use answers where it was trained on real photographs; otherwise the network that ships does."""
    shutil.copytree(graded / "models", tmp_path / "models", symlinks=True)
    path = tmp_path / "models" / "cnn" / "config.json"
    config = json.loads(path.read_text())
    images = config["settings"]["images"]
    config["settings"]["images"] = images | {"synthetic": True} if synthetic else images
    path.write_text(json.dumps(config))
    done = run("predict.py", RETINA, "--json", cwd=tmp_path)
    row = json.loads(done.stdout.splitlines()[0])
    used = Path("models", "latest").as_posix()
    assert row["model"].startswith("eyenet-lite" if synthetic else "cnn")
    assert (f"note: {used} was trained on synthetic photographs" in done.stderr) == synthetic
    if synthetic:
        done = run("predict.py", RETINA, "--json", "--model", used, cwd=tmp_path)
        row = json.loads(done.stdout.splitlines()[0])
        assert row["model"].startswith("cnn") and "synthetic" in row["caution"] and "synthetic" in row["trained_on"]
        photographs = [tmp_path / name for name in ("1_left.jpeg", "1_right.jpeg", "2_left.jpeg", "left out")]
        for path in photographs[:3]:
            shutil.copyfile(RETINA, path)
        photographs[3].write_text("no photograph")
        lines = run("predict.py", *photographs, "--model", used, cwd=tmp_path, code=3).stdout.splitlines()
        rows = [line for line in lines[:-1] if line and not line.startswith(("photograph  ", "patient  "))]
        assert len(rows) >= 6 and all(line.endswith(f"[{SYNTHETIC_MODEL}]") for line in rows)


def test_a_damaged_model_in_use_is_not_replaced_in_silence(tmp_path):
    (tmp_path / "models" / "latest").mkdir(parents=True)
    one_sentence(run("predict.py", RETINA, cwd=tmp_path, code=1), "latest", "config.json")


def test_nothing_is_written_beside_the_network_that_ships(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pretrained.results_of(pretrained.folder()) == Path("models") / "eyenet-lite"
    assert pretrained.results_of(tmp_path) == tmp_path


def test_the_readme_of_an_export_gives_the_thresholds_that_predict_uses(screener, tmp_path):
    """Those of the model's own operating point, which need not be the balanced one."""
    write_record(tmp_path, "hash", {}, describe(pretrained.folder(), screener.config))
    text = (tmp_path / "README.md").read_text()
    for question, threshold in screener.thresholds().items():
        balanced = screener.decision[question]["eye"]["operating_points"]["balanced"]
        assert f"| {threshold:.4f} |" in text and f"| {balanced:.4f} |" not in text
