"""The answer "unsure": its limits, what they guarantee, and what it never hides."""

import itertools
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import one_sentence, read_csv, run

from eyenet.data.tasks import TASKS
from eyenet.model import batches
from eyenet.model.add_limits import add_limits
from eyenet.model.answers import UNSURE, call, join_eyes, summarise
from eyenet.model.decision import choose_decision
from eyenet.model.unsure import RATES, band, choose_limits, limits_at
from eyenet.recalibration.decide import decide
from eyenet.report.coverage import coverage, coverage_table, sure_probability
from eyenet.run.errors import StageError
from eyenet.training import finish

THRESHOLDS = {"any": 0.3, "referable": 0.5}


def draw_patients(rng, count, prevalence=0.3, skill=1.0):
    """Draw both eyes of patients, whose probabilities are correlated: patients, truth, probability."""
    ill = rng.random(count) < prevalence
    truth = np.stack([ill, ill & (rng.random(count) < 0.7)], axis=1)
    odds = 1.2 * rng.normal(size=(count, 1)) + 0.6 * rng.normal(size=(count, 2)) + skill * (2 * truth - 1)
    return np.repeat(np.arange(count), 2), truth.ravel(), (1 / (1 + np.exp(-odds))).ravel()


def by_patient(patients, truth, probability):
    table = pd.DataFrame({"patient": patients, "truth": truth, "probability": probability}).groupby("patient").max()
    return table["truth"].to_numpy(), table["probability"].to_numpy()


def test_the_limits_leave_out_as_many_patients_as_the_rate_allows():
    patients, truth, probability = draw_patients(np.random.default_rng(1), 400)
    found, (ill, worst) = choose_limits(patients, truth, probability), by_patient(patients, truth, probability)
    assert (found["diseased"], found["healthy"]) == (ill.sum(), (~ill).sum()) and list(found["limits"]) == list(RATES)
    for rate, (low, high) in found["limits"].items():
        for errors, number in (((worst < low)[ill].sum(), ill.sum()), ((worst >= high)[~ill].sum(), (~ill).sum())):
            most = int(float(rate) * (number + 1) + 1e-9)  # of n + 1 patients with the new one
            assert errors == most - 1  # the patient at the limit is the last that counts


@pytest.mark.parametrize("number, rates", [(4, 1), (5, 4), (19, 16), (99, 20), (0, 0)])
def test_too_few_patients_have_no_limits(number, rates):
    truth = np.repeat([True, False], [number, 1000])
    found = choose_limits(np.arange(len(truth)), truth, np.linspace(0.2, 0.8, len(truth)))
    assert list(found["limits"]) == list(RATES)[len(RATES) - rates :] if rates else found["limits"] == {}


def test_equal_probabilities_are_on_the_safe_side():
    truth = np.repeat([True, False], 50)
    (low, high) = choose_limits(np.arange(100), truth, np.full(100, 1 / 3))["limits"]["0.1"]
    assert low <= 1 / 3 < high and high - low < 3e-6  # nobody is called negative, and nobody diseased
    (low, high) = choose_limits(np.arange(100), truth, np.where(truth, 0.4, 0.123457))["limits"]["0.1"]
    assert (low, high) == (0.4, 0.123458)


def test_the_error_rates_hold_for_new_patients_with_two_correlated_eyes():
    rng, rate, missed, alarms = np.random.default_rng(0), "0.1", [], []
    for _ in range(400):
        low, high = choose_limits(*draw_patients(rng, 80))["limits"][rate]
        ill, worst = by_patient(*draw_patients(rng, 80))
        missed.append((worst < low)[ill].mean())
        alarms.append((worst >= high)[~ill].mean())
    for errors in (missed, alarms):  # between (rate (n + 1) - 1) / (n + 1) and the rate: it is kept, and not by far
        assert 0.055 < np.mean(errors) <= 0.1 + 3 * np.std(errors) / 20


@pytest.mark.parametrize("limits", [(0.2, 0.6), (0.6, 0.2), (0.1, 0.2), (0.4, 0.9)])
def test_a_sure_answer_agrees_with_the_threshold_and_both_limits(limits, threshold=0.3):
    low, high = band(limits, threshold)
    for probability in np.linspace(0, 1, 101):
        answer = call(probability, threshold, limits)
        assert answer["unsure"] == (low <= probability < high) == (answer["disease"] is None)
        if answer["disease"] is False:
            assert probability < min(*limits, threshold)
        if answer["disease"]:
            assert probability >= max(*limits, threshold)


def look(any_dr, referable, limits):
    answers = {q: call(p, THRESHOLDS[q], limits[q]) for q, p in (("any", any_dr), ("referable", referable))}
    return {
        "photograph": f"{any_dr}",
        "result": summarise(answers),
        "gradable": True,
        "reasons": [],
        "questions": answers,
    }


def test_no_patient_is_downgraded_silently():
    limits = {"any": (0.2, 0.6), "referable": (0.35, 0.7)}
    probabilities = [(0.1, 0.05), (0.25, 0.05), (0.4, 0.1), (0.7, 0.1), (0.7, 0.4), (0.7, 0.6), (0.9, 0.8)]
    rows = [look(*each, limits) for each in probabilities]
    results = ["no DR", UNSURE, UNSURE, "DR, not referable", UNSURE, UNSURE, "referable DR"]
    assert [row["result"] for row in rows] == results
    for left, right in itertools.product([None, *rows], rows):
        eyes = {"right": [right]} | ({"left": [left]} if left else {})
        joined, alone = join_eyes(eyes, THRESHOLDS, limits), join_eyes(eyes, THRESHOLDS)
        assert joined["by_threshold"] == alone["result"] and "by_threshold" not in alone
        if joined["result"] != alone["result"]:
            assert joined["result"] == UNSURE and "grade" not in joined and joined["decided_by"]
        if not left:
            assert joined["reasons"] == ["left eye: no photograph"]
            assert (joined["result"] == "photograph again") == (right is rows[0])


def test_a_patient_with_a_poor_or_missing_eye_is_never_called_negative():
    truth, probability = np.array([True, True, True, False]), np.array([0.1, 0.1, 0.4, 0.9])
    again = np.array([True, False, True, False])
    found = coverage(truth, probability, (0.2, 0.6), 0.3, again)
    shares = {name: figure["value"] for name, figure in found.items()}
    third = pytest.approx(1 / 3)
    assert shares == {"missed": third, "reported": 1.0, "unsure": 0.25, "again": 0.25, "again_diseased": third}
    titles = coverage_table({"unsure": {"0.05": found}}).columns
    assert titles[-2:] == ["photographed again, of all", "with disease, photographed again"]
    assert (
        coverage_table({"unsure": {"0.05": coverage(truth, probability, (0.2, 0.6))}}).columns[-1] == "unsure, of all"
    )
    poor = np.array([True, True, False, False])
    assert sure_probability(np.array([0.2, 0.5, 0.2, 0.5]), poor, 0.3).tolist() == [0.0, 0.5, 0.2, 0.5]


def test_what_has_no_limits_is_refused_in_a_sentence():
    limits = {"diseased": 30, "healthy": 400, "limits": {"0.05": [0.1, 0.5]}}
    config = {"task": "any", "decision": {"any": {"unsure": limits}}}
    assert limits_at(config, "0.05", "m") == {"any": (0.1, 0.5)}
    with pytest.raises(StageError, match="takes 49 known validation patients with any DR and 49 .* had 30 and 400"):
        limits_at(config, "0.02", "m")
    with pytest.raises(StageError, match="python -m eyenet.model.add_limits m adds them"):
        limits_at(config | {"decision": {"any": {}}}, "0.05", "m")
    made = {"recalibrated": {"parent": {"name": "cnn"}}, "decision": {"any": {}}}
    with pytest.raises(StageError, match="add them to its parent, cnn .*add_limits.* then run recalibrate.py again"):
        limits_at(config | made, "0.05", "m")


def test_photographs_of_unknown_patients_give_no_limits(monkeypatch):
    level = np.arange(200) % 2 * 3
    probability = np.clip(0.2 + level / 6 + np.linspace(0, 0.1, 200), 0, 1)
    predicted = np.stack([1 - probability, probability], axis=1)
    monkeypatch.setattr(batches, "predict", lambda *_: predicted)
    table = pd.DataFrame({"patient": [str(i) for i in range(200)], "level": level})
    config = {"task": "any", "operating_point": "balanced"}
    for known, count in ((1, 100), (0, 0)):
        table["patient_known"] = known
        chosen, _ = finish.choose_on_validation(None, None, table, config)
        again, parts, _ = decide(table, predicted, config | chosen, ["any"], "balanced")
        assert parts == ["any"]
        for found in (chosen["decision"], again):
            limits = found["any"]["unsure"]
            assert (limits["diseased"], limits["healthy"], len(limits["limits"])) == (count, count, count / 5)
    with pytest.raises(StageError, match="takes 19 known validation patients .* had 0 and 0"):
        limits_at({"task": "any", "decision": again}, "0.05", "m")


@pytest.fixture(scope="module")
def older(graded, tmp_path_factory):
    """A model without limits, whose thresholds were chosen on drawn probabilities, and these as predictions.csv."""
    folder = shutil.copytree(graded / "models" / "cnn", tmp_path_factory.mktemp("older") / "cnn")
    rng = np.random.default_rng(0)
    patients, level = np.repeat(np.arange(200), 2), rng.integers(0, 5, 400)
    probabilities = rng.dirichlet(np.ones(5), 400) + np.eye(5)[level]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    columns = {f"p{k}": column for k, column in enumerate(probabilities.T)}
    table = pd.DataFrame({"patient": patients, "level": level, "split": "val", **columns})
    table.to_csv(folder / "predictions.csv", index=False)
    config = json.loads((folder / "config.json").read_text())
    config["decision"] = choose_decision(patients, level, probabilities, "grade")
    for question in TASKS["grade"].questions:
        del config["decision"][question]["unsure"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_an_older_model_gets_limits_and_nothing_else(older, tmp_path):
    folder = shutil.copytree(older, tmp_path / "cnn")
    before = json.loads((folder / "config.json").read_text())
    found = add_limits(folder)
    after = json.loads((folder / "config.json").read_text())
    assert {q: after["decision"][q].pop("unsure") for q in found} == found and after == before
    assert found["any"]["diseased"] + found["any"]["healthy"] == 200 and "0.05" in found["referable"]["limits"]
    table = pd.read_csv(folder / "predictions.csv")
    table.assign(p0=table["p1"], p1=table["p0"]).to_csv(folder / "predictions.csv", index=False)
    with pytest.raises(StageError, match="were not chosen on the validation rows"):
        add_limits(folder)
    table.assign(split="test").to_csv(folder / "predictions.csv", index=False)
    with pytest.raises(StageError, match="has no validation rows of known patients"):
        add_limits(folder)


def test_predict_says_unsure_and_what_the_threshold_says(older, graded, tmp_path):
    folder, photographs = shutil.copytree(older, tmp_path / "cnn"), graded / "source" / "train"
    pair = sorted(photographs.glob("*.jpeg"))[:2]
    asked = ("predict.py", *pair, "--model", folder, "--unsure", "0.05")
    one_sentence(run(*asked, code=1), "has no limits for --unsure", "python -m eyenet.model.add_limits")
    run("predict.py", *pair, "--unsure", "0.055", code=2)
    config = json.loads((folder / "config.json").read_text())
    for question in TASKS["grade"].questions:
        limits = {"limits": {"0.05": [0.0, 1.0]}, "diseased": 99, "healthy": 99}  # everything is unsure
        config["decision"][question]["unsure"] = limits
    (folder / "config.json").write_text(json.dumps(config))
    plain = [json.loads(line) for line in run("predict.py", *pair, "--model", folder, "--json").stdout.splitlines()]
    done = run(*asked, "--json", "--csv", tmp_path / "t.csv", "--heatmap", tmp_path / "maps")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert "unsure at an error rate of 0.05: any DR from 0.000 to 1.000" in done.stderr
    for before, row in zip(plain, rows, strict=True):
        if "questions" not in row:
            continue
        assert row["result"] == UNSURE and row["by_threshold"] == before["result"] and row["unsure"] == 0.05
        assert "grade" not in row and row["rules"] != before["rules"] and "unsure" not in before
        for question, answer in row["questions"].items():
            assert answer["probability"] == before["questions"][question]["probability"]
            assert answer["unsure"] and answer["disease"] is None
    table = read_csv(tmp_path / "t.csv")
    assert {row["result"] for row in table} >= {UNSURE} and table[-1]["by_threshold"] == plain[-1]["result"]
    assert table[-1]["any_unsure"] == "1" and table[-1]["any_disease"] == "" and table[-1]["unsure"] == "0.05"
    again = run(*asked, "--csv", tmp_path / "t.csv", "--heatmap", tmp_path / "maps")
    assert f"{UNSURE} (by the threshold: {plain[-1]['result']})" in again.stdout
    assert read_csv(tmp_path / "t.csv") == table
    one_sentence(run("predict.py", *pair, "--model", folder, "--csv", tmp_path / "t.csv", code=1), "another table")
