"""Recalibration: what a set must hold, cross-fitting, the new model folder, and what is refused."""

import errno
import json
import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import REPO, read_csv, write_csv
from recalibrated_clinic import recalibrate_here, write_labels

from eyenet.data.tables import patient_known
from eyenet.model.decision import choose_decision, least_share
from eyenet.model.folder import NETWORK, open_model, read_measured
from eyenet.model.patients import OTHER_SOURCE, alike_patients, ids_in_sets, known_patients, shared_patients
from eyenet.model.predictions import require_unseen
from eyenet.model.screener import Screener
from eyenet.photo.retina import photograph_to_input
from eyenet.recalibration import compare, crossfit, enough, record
from eyenet.recalibration.decide import notes_of
from eyenet.run.errors import StageError
from eyenet.run.files import TEMPORARY, sha256
from eyenet.run.folder import whole_folder

sys.path.append(str(REPO / "benchmarks"))
import recalibration

POINT = "sensitivity_0.9"


@pytest.fixture(scope="module")
def eyes():
    """Names, grades and probabilities of 150 patients with two correlated eyes."""
    found = recalibration.draw_eyes(np.random.default_rng(0), 150, [recalibration.separation(0.9)])
    raw = recalibration.expit(1.8 * recalibration.log_odds(found.scores[0], recalibration.separation(0.9)) + 1)
    return found.patients.astype(str), found.truth.astype(int), np.stack([1 - raw, raw], axis=1)


@pytest.mark.parametrize("aim, least", [(0.85, 26), (0.9, 40), (0.95, 80)])
def test_every_fold_of_the_least_set_leaves_enough_for_the_aim(aim, least):
    assert enough.least_patients(aim) == least
    patients = np.array([f"p{i}" for i in range(2 * least)])
    levels = np.arange(2 * least) % 2
    enough.require_patients(patients, levels, ["any"], f"sensitivity_{aim:g}")
    folds = crossfit.folds_of(patients, levels)
    assert all(least_share(aim, levels[folds != fold].sum()) for fold in range(enough.FOLDS))
    with pytest.raises(StageError, match=rf"{least - 1} with it, {least} needed"):
        enough.require_patients(patients[2:], levels[2:], ["any"], f"sensitivity_{aim:g}")


def test_folds_keep_patients_together_and_grades_even(eyes):
    patients, levels, _ = eyes
    folds = crossfit.folds_of(patients, levels)
    assert (folds[::2] == folds[1::2]).all()
    diseased = np.unique(patients[levels == 1], return_index=True)[1]
    counts = np.bincount(folds[levels == 1][diseased], minlength=enough.FOLDS)
    assert np.ptp(counts) <= 1
    order = np.random.default_rng(0).permutation(len(patients))
    assert (crossfit.folds_of(patients[order], levels[order]) == folds[order]).all()


def test_no_patient_decides_about_its_own_fold(eyes):
    patients, levels, probabilities = eyes
    folds = crossfit.folds_of(patients, levels)
    changed = probabilities.copy()
    changed[patients == "7"] = changed[patients == "7"][:, ::-1]
    both = [crossfit.cross_fit(patients, levels, p, "any", ["any"], POINT)["any"] for p in (probabilities, changed)]
    same = (folds == folds[patients == "7"][0]) & (patients != "7")
    (first, called), (second, again) = both
    assert (first[same] == second[same]).all() and (called[POINT][same] == again[POINT][same]).all()
    assert (first[folds != folds[same][0]] != second[folds != folds[same][0]]).all()


def test_cross_fitted_figures_are_calibrated_and_reach_the_aim(eyes):
    patients, levels, probabilities = eyes
    probability, called = crossfit.cross_fit(patients, levels, probabilities, "any", ["any"], POINT)["any"]
    table = pd.DataFrame({"patient": patients, "level": levels})
    measured = compare.units(table, "any", probability, called[POINT])
    found, of_patients = measured["photograph"], measured["patient"]
    assert found["slope"]["low"] < 1 < found["slope"]["high"] and abs(found["intercept"]["value"]) < 0.3
    assert found["sensitivity"]["value"] >= 0.9 and found["ece"]["low"] is None
    worst = called[POINT].reshape(-1, 2).any(axis=1)
    assert of_patients["referred"]["value"] == pytest.approx(worst.mean())
    truth = levels.reshape(-1, 2).any(axis=1)
    assert of_patients["sensitivity"]["value"] == pytest.approx(worst[truth].mean())


def test_the_promise_holds_on_new_patients():
    rows = [row for row in recalibration.simulate(0.9, 110, True, 40) if "is reached" in row[0]]
    assert rows and all(float(row[1]) >= 0.9 for row in rows)


def test_a_parent_that_is_better_is_named():
    def asked(low, specificity):
        return {"photograph": {"sensitivity": {"low": low}, "specificity": {"value": specificity}}}

    better = {"any": {"disease": "any DR", "before": asked(0.91, 0.4), "after": asked(0.93, 0.3)}}
    assert "0.910" in notes_of(better, POINT)[0] and not notes_of(better, "balanced")
    for before in (asked(0.89, 0.4), asked(0.91, 0.2)):
        assert not notes_of({"any": better["any"] | {"before": before}}, POINT)


def test_a_network_that_cannot_tell_the_classes_apart_is_refused(eyes):
    patients, levels, probabilities = eyes
    with pytest.raises(StageError, match="all photographs without disease would be called"):
        crossfit.cross_fit(patients, levels, np.full_like(probabilities, 0.5), "any", ["any"], POINT)


@pytest.fixture(scope="module")
def clinic(dataset, tmp_path_factory):
    return write_labels(dataset, tmp_path_factory.mktemp("clinic"))


@pytest.fixture(scope="module")
def run_it(dataset, graded, clinic):
    """Run recalibrate.py, of the clinic's labels and the network of `graded` by default."""

    def run(output, *words, model=graded / "models" / "cnn", labels=clinic, each=3):
        return recalibrate_here(dataset, labels, model, output, *words, each=each)

    return run


@pytest.fixture(scope="module")
def made(run_it, tmp_path_factory):
    """A recalibrated model, and how it ended."""
    folder = tmp_path_factory.mktemp("made") / "clinic-model"
    return folder, run_it(folder)


def test_the_new_folder_is_a_model_of_the_same_network(made, graded, clinic):
    (folder, code), parent = made, graded / "models" / "cnn"
    assert code == 0 and not (folder / "metrics.json").exists()
    before, after = open_model(parent), open_model(folder)
    assert (folder / NETWORK).read_bytes() == (parent / NETWORK).read_bytes() and after["files"] == before["files"]
    assert after["decision"]["referable"] != before["decision"]["referable"]
    assert after["decision"]["grade"] == before["decision"]["grade"]  # no patients of grades 1, 3 and 4
    told = after["recalibrated"]
    assert told["parent"]["name"] == "cnn" and told["parent"]["network"] == sha256(parent / NETWORK)
    assert told["photographs"] == 24 and told["patients"] == 12 and told["counted"] == "of 12 patients"
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_the_decision_is_that_of_choose_decision(made, dataset, clinic):
    """By the network that predict.py asks."""
    asked, rows = Screener(made[0]), sorted(read_csv(clinic), key=lambda row: row["image"])
    paths = [dataset / "train" / f"{row['image']}.jpeg" for row in rows]
    crops = [photograph_to_input(path, asked.size, asked.colours)[0] for path in paths]
    probabilities = np.stack([asked.network(crop)[0] for crop in crops])
    patients, levels = np.array([row["patient"] for row in rows]), np.array([int(row["level"]) for row in rows])
    expected = choose_decision(patients, levels, probabilities, "grade")
    for question in ("any", "referable"):
        for name in ("temperature", "shift"):
            assert asked.decision[question][name] == pytest.approx(expected[question][name], rel=1e-2, abs=1e-2)


def test_what_was_said_of_the_parents_decision_is_left_out():
    parent = {"task": "grade", "script": "x", "decision": 1} | dict.fromkeys(("validation", "examples", "note"), "old")
    found = record.new_config(parent, 2, POINT, {"set": "clinic"})
    assert found == {
        "task": "grade",
        "script": "x",
        "decision": 2,
        "operating_point": POINT,
        "recalibrated": {"set": "clinic"},
    }


def test_it_is_told_what_the_model_was_recalibrated_on(made):
    folder, _ = made
    told = Screener(folder)
    assert told.trained_on.endswith("; recalibrated on 24 photographs in dataset0/train")
    assert "on photographs in dataset0/train, cross-fitted: any DR: sensitivity" in told.describe()
    figures = json.loads((folder / "recalibration.json").read_text())
    for question, asked in figures["questions"].items():
        assert (
            read_measured(folder)["questions"][question]["balanced"]["sensitivity"]
            == asked["after"]["photograph"]["sensitivity"]
        )
        assert {*asked["before"]} == {*asked["after"]} == {"operating_point", "photograph", "patient"}
    card = (folder / "MODEL_CARD.md").read_text()
    assert "1. cnn, network" in card and "The weights are unchanged" in card and "of 12 patients" in card


def test_its_patients_are_not_taken_for_unseen_ones(made, graded):
    folder, _ = made
    assert known_patients(pd.DataFrame({"patient": ["ch3", "new"]}), folder) == ["ch3"]
    parent = {row["patient"] for row in read_csv(graded / "models" / "cnn" / "patients.csv")}
    assert parent < {row["patient"] for row in read_csv(folder / "patients.csv")}


def test_again_from_the_new_folder_keeps_the_chain_and_the_patients(made, run_it, tmp_path):
    first, _ = made
    run_it(tmp_path / "second", model=first)
    again, before = open_model(tmp_path / "second"), open_model(first)
    assert [one["name"] for one in record.chain_of(again)] == ["clinic-model", "cnn"]
    assert again["decision"] == before["decision"] and again["recalibrated"]["data"] == before["recalibrated"]["data"]
    assert "2. cnn" in (tmp_path / "second" / "MODEL_CARD.md").read_text()


def test_binary_labels_leave_the_other_question_to_the_parent(run_it, graded, clinic, tmp_path):
    rows = [(r["image"], int(r["level"] != "0"), r["patient"], r["eye"]) for r in read_csv(clinic)]
    labels = write_csv(tmp_path / "binary.csv", [("image", "referable", "patient", "eye"), *rows])
    run_it(tmp_path / "model", labels=labels)
    before, after = (open_model(folder)["decision"] for folder in (graded / "models" / "cnn", tmp_path / "model"))
    assert after["any"] == before["any"] and after["referable"] != before["referable"]
    assert "calibration and thresholds of the parent" in (tmp_path / "model" / "MODEL_CARD.md").read_text()


def test_too_few_are_refused_with_the_numbers(run_it, clinic, tmp_path):
    with pytest.raises(StageError, match=r"any DR .*: 6 with it, 20 needed, 6 without it, 20 needed; referable"):
        run_it(tmp_path / "model", each=10)
    with pytest.raises(StageError, match="6 with it, 40 needed.*0.85 takes 26 with"):
        run_it(tmp_path / "model", "--sensitivity", 0.9)
    healthy = write_csv(tmp_path / "healthy.csv", [("image", "level"), *((r["image"], 0) for r in read_csv(clinic))])
    with pytest.raises(StageError, match="0 with it"):
        run_it(tmp_path / "model", labels=healthy)
    assert not (tmp_path / "model").exists()


def test_patients_of_the_training_are_left_out(run_it, dataset, tmp_path, capsys):
    with pytest.raises(StageError, match="too few"):
        run_it(tmp_path / "model", labels=dataset / "trainLabels.csv")
    assert "the network was trained or tuned on patients of the same names" in capsys.readouterr().err


def test_unknown_patients_are_told(made):
    table = pd.DataFrame({"patient": ["a", "b"], "patient_known": [0, 0], "level": [0, 1]})
    assert compare.units(table, "any", np.array([0.2, 0.7]), np.array([False, True]))["patient"] is None
    joined = record.join_patients(made[0], table)
    unknown = joined[joined["patient"].isin(["a", "b"])]
    assert len(unknown) == 2 and not patient_known(unknown).any()
    assert patient_known(joined[~joined["patient"].isin(["a", "b"])]).all()
    assert "ch1" in joined["patient"].tolist()


def test_nothing_half_written_and_nothing_replaced(run_it, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / f"{TEMPORARY}model").mkdir()
    (tmp_path / f"{TEMPORARY}model" / "rest").touch()  # of a killed run
    with pytest.raises(OSError), whole_folder(tmp_path / "model") as work:
        assert not (work / "rest").exists()
        full()
    assert not list(tmp_path.iterdir())
    with whole_folder(tmp_path / "model") as work:
        (work / "file").write_text("whole")
        with pytest.raises(StageError, match="another run"), whole_folder(tmp_path / "model"):
            pass
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["file"]
    with pytest.raises(StageError, match="exists, and nothing is replaced"):
        run_it(tmp_path / "model")


@pytest.fixture
def shipped(graded, tmp_path):
    """The network of `graded`, as one that came from another set than the clinic's."""
    folder = shutil.copytree(graded / "models" / "cnn", tmp_path / "shipped")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"trained": {"source": "another clinic"}}))
    return folder


def test_equal_ids_of_another_source_are_other_people(run_it, shipped, dataset, tmp_path, capsys):
    labels, before = dataset / "trainLabels.csv", read_csv(shipped / "patients.csv")
    run_it(tmp_path / "model", model=shipped, labels=labels)
    told = capsys.readouterr().err
    made = open_model(tmp_path / "model")["recalibrated"]
    assert made["patients"] == 12 and 0 < made["same_ids"] <= 12
    assert (
        f"{made['same_ids']} patients, such as" in told
        and "give --same-source" in told
        and "note: left out" not in told
    )
    assert f"{made['same_ids']} patients have the ID" in (tmp_path / "model" / "MODEL_CARD.md").read_text()
    after = read_csv(tmp_path / "model" / "patients.csv")
    stayed = [(row["patient"], row["split"]) for row in after if row[record.AGAIN] == "0"]
    assert sorted(stayed) == sorted((row["patient"], row["split"]) for row in before)
    assert sum(row[record.AGAIN] == "1" for row in after) == 12
    assert {(row[record.AGAIN], row[OTHER_SOURCE]) for row in after} == {("0", "0"), ("1", "1")}
    tested = pd.DataFrame({"patient": [row["patient"] for row in before if row["split"] == "test"]})
    assert known_patients(tested, tmp_path / "model")  # of any other array they may be the clinic's
    assert require_unseen(tested, tmp_path / "model", "test", None, own=True) == 0
    with pytest.raises(StageError, match="was trained or tuned on"):
        require_unseen(tested, tmp_path / "model", "test", None)
    again = record.seen_by_network(tmp_path / "model")
    assert sorted(again["patient"]) == sorted(row["patient"] for row in before if row["split"] != "test")
    with pytest.raises(StageError, match="too few"):
        run_it(tmp_path / "same", "--same-source", model=shipped, labels=labels)
    assert "--no-same-source" in capsys.readouterr().err


def test_equal_ids_are_counted_among_the_photographs_that_are_used(run_it, shipped, dataset, tmp_path, monkeypatch):
    """A patient of whom no photograph can be read has no ID in the card."""
    photographs, rows = dataset / "train", read_csv(dataset / "trainLabels.csv")
    rows += [{"image": f"zz{eye}", "level": "0"} for eye in ("_left", "_right")]
    clinic = shutil.copytree(photographs, tmp_path / "clinic" / "train")
    for eye in ("_left", "_right"):
        (clinic / f"zz{eye}.jpeg").write_bytes(b"\xff\xd8 not a photograph")
    patients = read_csv(shipped / "patients.csv")
    rows_of = [("zz", "train"), *((p["patient"], p["split"]) for p in patients)]
    write_csv(shipped / "patients.csv", [("patient", "split"), *rows_of])
    labels = write_csv(tmp_path / "labels.csv", [("image", "level"), *((r["image"], r["level"]) for r in rows)])
    model = tmp_path / "model"
    recalibrate_here(clinic.parent, labels, shipped, model, "--max-rejected", 0.5)
    fitted = {p["patient"] for p in patients if p["split"] != "test"}
    made = open_model(model)["recalibrated"]
    assert made["same_ids"] == len({r["image"].split("_")[0] for r in rows} & fitted) and made["patients"] == 12
    assert [row["image"] for row in read_csv(model / "rejected.csv")] == ["zz_left.jpeg", "zz_right.jpeg"]


def test_rows_of_one_id_are_together_however_it_is_written(shipped):
    table = pd.DataFrame({"patient": ["0012", "13"], "level": 0})
    write_csv(shipped / "patients.csv", [("patient", "split"), ("013", "train"), ("12", "test")])
    same = record.join_patients(shipped, table)
    assert same[["patient", "split"]].to_numpy().tolist() == [["0012", "val"], ["13", "val"]]
    other = record.join_patients(shipped, table, same_source=False)
    assert other["patient"].tolist() == ["0012", "12", "13", "013"]
    assert other[OTHER_SOURCE].tolist() == other[record.AGAIN].tolist() == [1, 0, 1, 0]


def test_the_card_counts_one_patient_as_one(made, tmp_path):
    folder, _ = made
    config, figures = open_model(folder), json.loads((folder / "recalibration.json").read_text())
    config["recalibrated"] |= {"same_ids": 1}
    (tmp_path / "card").mkdir()
    patients = pd.DataFrame({"patient": ["a"], "split": ["val"]})
    record.write_model(tmp_path / "card", folder, config, patients, figures, {"any DR": [["", "x"]]}, ["† explained"])
    card = (tmp_path / "card" / "MODEL_CARD.md").read_text()
    assert "1 patient has the ID of one on whom" in card and "treated as different people" in card
    assert "\n† explained.\n" in card


def test_an_id_is_found_in_whichever_set_of_the_training_it_was():
    theirs = pd.DataFrame({"patient": ["A12", "B~0012", "B~x~3"], "split": "train"})
    table = pd.DataFrame({"patient": ["12", "3", "7", "A12"]})
    assert shared_patients(table, ids_in_sets(theirs)) == ["12", "3", "A12"]
    assert shared_patients(table, theirs) == ["A12"]


def test_patients_of_one_of_several_sets_may_be_alike_in_another_array():
    """The first set has no name in front of its patients, so that the same patients may have one or not."""

    def alike(ours, theirs):
        return alike_patients(*(pd.DataFrame({"patient": each, "split": "train"}) for each in (ours, theirs)))

    assert alike(["012", "99"], ["12", "B~12", "B~7"]) == ["012"]  # set B alone, of a network of A and B
    assert alike(["A~3", "B~0012", "B~5"], ["12", "5"]) == ["B~0012", "B~5"]  # the reverse
    assert alike(["12", "B~7"], ["12", "7", "B~12"]) == []  # the same two sets: 12 and B~12 are two people
    assert alike(["C~12"], ["B~12"]) == [] and alike(["1", "2"], ["1", "2"]) == []
