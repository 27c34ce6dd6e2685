"""Every place that shows a decision uses the model's own operating point, balanced or not."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

import evaluate
from eyenet.model import backend, batches
from eyenet.model.answers import consistent_grade
from eyenet.model.decision import predict_grade
from eyenet.model.folder import open_model
from eyenet.model.loading import load_network
from eyenet.model.predictions import Scored
from eyenet.model.screener import Screener
from eyenet.photo.retina import photograph_to_input
from eyenet.report import terminal, units
from eyenet.report.card import write_model_card
from eyenet.report.charts import roc_chart
from eyenet.report.html import write_report
from eyenet.report.subgroups import assess_subgroups
from eyenet.report.tables import points_table
from eyenet.run.errors import StageError
from eyenet.training import finish

OWN = "sensitivity_0.9"


@pytest.fixture(scope="module", params=["balanced", OWN])
def answered(request, graded, tmp_path_factory):
    """A model with an operating point, its photographs as evaluate.py scores them, and predict.py's answers to them."""
    folder = shutil.copytree(graded / "models" / "cnn", tmp_path_factory.mktemp(request.param) / "cnn")
    table = pd.read_csv(graded / "source" / "trainLabels.csv").sort_values("image").head(24)
    table[["patient", "eye"]] = table["image"].str.split("_", expand=True).to_numpy()
    table["gradable"] = (np.arange(24) % 6 > 0).astype(int)
    screener = Screener(folder)
    paths = [graded / "source" / "train" / f"{image}.jpeg" for image in table["image"]]
    crops = np.stack([photograph_to_input(path, screener.size, screener.colours)[0] for path in paths])
    probabilities = np.stack([screener.network(crop)[0] for crop in crops])
    config = json.loads((folder / "config.json").read_text()) | {"operating_point": request.param}
    for question in ("any", "referable"):  # two points between which the answers differ
        found = [screener.answer(row)[0][question]["probability"] for row in probabilities]
        points = {"balanced": np.quantile(found, 0.7), OWN: np.quantile(found, 0.3)}
        config["decision"][question]["eye"]["operating_points"] = points
    (folder / "config.json").write_text(json.dumps(config))
    scored = Scored(table.reset_index(drop=True), probabilities, np.zeros((24, 1)), lambda r: crops[r], "x", False, 0)
    answers = [Screener(folder).answer(row)[0] for row in probabilities]
    return folder, open_model(folder), scored, answers


@pytest.fixture(scope="module")
def metrics(answered):
    _, config, scored, _ = answered
    return {"model": "cnn", "source": "array", "flow": None} | evaluate.compute_metrics(
        {"test": scored}, scored, None, config, [], 100, 0
    )


def test_the_examples_of_the_report_are_called_as_predict_calls_them(answered, monkeypatch):
    folder, config, scored, answers = answered
    backend.start("float32", 0)
    monkeypatch.setattr(evaluate, "CONFIDENT", 0)
    examples = evaluate.make_examples(scored, load_network(folder, config), config)
    images = scored.table["image"].tolist()
    for question, shown in examples.items():
        assert {one["called"] for one in shown} == {True, False}
        assert all(one["called"] == answers[images.index(one["image"])][question]["disease"] for one in shown)


def test_the_figures_are_those_of_what_predict_answers(answered, metrics):
    _, config, scored, answers = answered
    for question, asked in metrics["questions"].items():
        called = np.array([row[question]["disease"] for row in answers])
        eye, least = asked["eye"], {"any": 1, "referable": 2}[question]
        truth = scored.table["level"].to_numpy() >= least
        assert np.sum(eye["confusion"], axis=0).tolist() == [(~called).sum(), called.sum()]
        assert eye["sensitivity"]["value"] == pytest.approx(called[truth].mean())
        assert eye["referral"][0]["sensitivity"]["value"] == pytest.approx(called[truth].mean())
        by_grade = sum(row["called"]["value"] * row["count"] for row in eye["by_grade"] if row["count"])
        assert by_grade == pytest.approx(called.sum())
        patients = pd.Series(called).groupby(scored.table["patient"]).any()
        assert np.sum(asked["patient"]["confusion"], axis=0)[1] == patients.sum()
        assert asked["operating_point"] == config["operating_point"] == next(iter(eye["operating_points"]))
    shown = [grade_of(config, row, found) for row, found in zip(answers, scored.probabilities)]
    told = [grade for grade, good in zip(shown, scored.table["gradable"].astype(int)) if grade is not None and good]
    assert 0 < len(told) < len(shown)
    confusion = metrics["grade"]["shown"]["confusion"]
    assert np.sum(confusion, axis=0).tolist() == np.bincount(told, minlength=5).tolist()
    assert metrics["grade"]["shown"]["share"]["value"] == pytest.approx(len(told) / len(shown))
    levels, eye = scored.table["level"].to_numpy(), scored.table["eye"].to_numpy()
    is_told = np.array([grade is not None for grade in shown]) & (scored.table["gradable"] == 1).to_numpy()
    assert metrics["grade"]["shown"]["kappa"]["value"] == pytest.approx(kappa(levels[is_told], told))
    assert metrics["grade"]["shown"]["accuracy"]["value"] == pytest.approx(np.mean(levels[is_told] == told))
    groups = assess_subgroups(scored, config, ["eye"], 100, 0)["columns"]["eye"]
    assert set(groups) == {"left", "right"}
    for side, part in groups.items():
        inside = eye[is_told] == side
        assert part["kappa"]["value"] == pytest.approx(kappa(levels[is_told][inside], np.array(told)[inside]))
    any_dr = metrics["questions"]["any"]["eye"]
    assert metrics["splits"]["test"]["recall"] == any_dr["sensitivity"]


def kappa(levels, grades):
    return cohen_kappa_score(levels, grades, labels=range(5), weights="quadratic")


def grade_of(config, answers, probabilities):
    """Grade as predict.py does."""
    return consistent_grade(int(predict_grade(probabilities[None], config["decision"]["grade"]["cuts"])[0]), answers)


def test_report_card_chart_and_summary_lead_with_the_models_own_point(answered, metrics, tmp_path):
    _, config, _, _ = answered
    own, name = config["operating_point"], {"balanced": "balanced", OWN: "sensitivity of 90\xa0%"}
    write_report(tmp_path / "report.html", metrics, config, [], {}, {}, 0.8)
    write_model_card(tmp_path / "card.md", metrics, config)
    page, card = (tmp_path / "report.html").read_text(), (tmp_path / "card.md").read_text()
    for asked in metrics["questions"].values():
        rows = [row[0] for row in points_table(asked, "patient").rows]
        assert rows[0] == f"{name[own]} (the model's own)" and sum("own" in row for row in rows) == 1
        assert "balanced" in " ".join(rows)
        lines = terminal.question_lines(asked)
        led = [line for line in lines if line.startswith(("operating point", "sensitivity"))][:2]
        assert own.replace("_", " ") in led[0] and terminal.show(asked["eye"]["sensitivity"]) in led[1]
        assert any("balanced threshold" in line for line in lines) == (own != "balanced")
        other = asked | {"operating_point": ({*name} - {own}).pop()}
        assert str(roc_chart("x", asked)) != str(roc_chart("x", other))
    assert f"operating point: {name[own]}" in page.replace("&#39;", "'") and f"“{name[own]}”" in page
    threshold = config["decision"]["any"]["eye"]["operating_points"][own]
    assert f"diseased = probability >= {threshold}" in card


def test_no_figure_is_of_another_point():
    """With its own point alone, a unit is the same: nothing falls back to the balanced one."""
    truth, probability = np.arange(40) % 3 == 0, np.linspace(0.1, 0.9, 40)
    rows = units.sort_rows(truth, probability, probability, range(40), truth * 2)
    both = units.evaluate_unit(rows, {"balanced": 0.7, OWN: 0.3}, OWN, draws=100)
    alone = units.evaluate_unit(rows, {OWN: 0.3}, OWN, draws=100)
    both["operating_points"].pop("balanced")
    assert both == alone


@pytest.mark.parametrize(("patients", "own"), [(400, OWN), (20, "balanced")])
def test_a_model_that_continues_another_keeps_its_point_or_says_that_it_cannot(patients, own, monkeypatch, capsys):
    level = np.arange(patients) % 2 * 3
    noise = np.random.default_rng(0).normal(size=patients)
    probability = 1 / (1 + np.exp(-(level + noise - 1.5)))
    monkeypatch.setattr(batches, "predict", lambda network, rows: np.stack([1 - probability, probability], axis=1))
    table = pd.DataFrame({"patient": [str(i) for i in range(patients)], "level": level})
    config = {"task": "any", "operating_point": OWN}
    chosen, lines = finish.choose_on_validation(None, None, table, config)
    assert chosen["operating_point"] == own
    assert f"{chosen['decision']['any']['eye']['operating_points'][own]:.3f}" in lines[0]
    assert ("too few patients to support sensitivity 0.9" in capsys.readouterr().err) == (own != OWN)


def test_a_config_that_names_a_point_it_lacks_is_damaged(answered):
    folder, config, _, _ = answered
    (folder.parent / "other").mkdir()
    for file in folder.glob("*.*"):
        shutil.copy(file, folder.parent / "other")
    (folder.parent / "other" / "config.json").write_text(json.dumps(config | {"operating_point": "sensitivity_0.7"}))
    with pytest.raises(StageError, match="damaged"):
        open_model(folder.parent / "other")
