"""The table of experiments: one row for each question, unit and set of photographs; a seed is trained once."""

import csv
import json
import sys
from pathlib import Path

import pytest
from conftest import REPO

sys.path.append(str(REPO / "benchmarks"))
import experiments
import summary


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Replace cnn.py and evaluate.py by functions that write the same files; return the calls."""
    calls = []

    def figure(value):
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    def run(script, *args):
        calls.append([script, *map(str, args)])
        options = dict(zip(calls[-1][1::2], calls[-1][2::2]))
        if script == "cnn.py":
            model = Path(options["--models"]) / options["--run"]
            model.mkdir(parents=True)
            settings = dict.fromkeys(experiments.OPTIONS, "x") | {"network": options["--network"]}
            (model / "config.json").write_text(json.dumps({"settings": settings, "commit": "c"}))
            (model / "history.csv").write_text("epoch,val_auc\n1,0.6\n2,0.7\n3,0.65\n")
            return
        model = Path(options["--model"])
        where = {"test": model, "unseen": model / "unseen"}.get(options.get("--split"), model / "on-other-train")
        where.mkdir(exist_ok=True)
        units = {"eye": {"count": 9, "auc": figure(0.8)}, "patient": {"count": 5, "auc": figure(0.7)}}
        (where / "metrics.json").write_text(json.dumps({"questions": {"any": units}}))

    monkeypatch.setattr(experiments.record, "run", run)
    monkeypatch.setattr(experiments.record, "commit", lambda: "abc")
    monkeypatch.setattr(experiments, "TABLE", tmp_path / "experiments.csv")
    return calls


def test_rows_and_seeds(trained, tmp_path, monkeypatch):
    command = ["experiments.py", "idea", "--work", tmp_path / "work", "--split", "test", "unseen"]
    options = ["--", "--network", "three_layers"]
    other = ["--other", tmp_path / "other"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in [*command, *other, "--seeds", 0, *options]])
    experiments.main()
    monkeypatch.setattr(sys, "argv", [str(word) for word in [*command, "--seeds", 0, 1, *options]])
    experiments.main()
    assert [call[0] for call in trained] == ["cnn.py", *3 * ["evaluate.py"], "cnn.py", *2 * ["evaluate.py"]]
    with open(experiments.TABLE, newline="") as file:
        rows = list(csv.DictReader(file))
    places = [("work", "test"), ("work", "unseen"), ("other", "all")]
    expected = [("0", *place, unit) for place in places for unit in ("photograph", "patient")]
    expected += [("1", *place, unit) for place in places[:2] for unit in ("photograph", "patient")]
    assert [(r["seed"], r["scored_on"], r["split"], r["unit"]) for r in rows] == expected
    first = rows[0]
    assert (first["auc"], first["low"], first["high"], first["count"]) == ("0.8", "0.7", "0.9", "9")
    assert (first["validation_auc"], first["best_epoch"], first["epochs"], first["commit"]) == ("0.7", "2", "3", "abc")
    assert first["options"].startswith("network three_layers, weights x")


def test_changes_that_are_not_committed_are_refused(trained, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(experiments.record, "commit", lambda: "abc-dirty")
    monkeypatch.setattr(sys, "argv", ["experiments.py", "idea", "--work", str(tmp_path)])
    with pytest.raises(SystemExit):
        experiments.main()
    assert "commit them first" in capsys.readouterr().err and not trained


def test_seeds_are_summed_up():
    def row(seed, auc, unit="photograph", question="any"):
        place = {"experiment": "e", "scored_on": "w", "split": "test", "question": question, "unit": unit}
        ends = {"auc": auc, "low": float(auc) - 0.2 if auc else "", "high": float(auc) + 0.1 if auc else ""}
        return place | {"seed": seed, "minutes": "10"} | {key: str(value) for key, value in ends.items()}

    rows = [row("0", "0.7"), row("1", "0.8"), row("1", "0.1", unit="patient"), row("0", "", question="referable")]
    summed = summary.summarize(rows)
    assert summed.index.tolist() == [("e", "w", "test", "any")]
    assert summed.iloc[0].round(6).tolist() == [2, 0.75, 0.7, 0.8, 0.55, 0.85, 10]
