"""Evaluation as a user runs it: figures agree with separate computations, other photographs, and bad input."""

import contextlib
import json
import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import one_sentence, read_csv, run, write_csv
from scipy.special import expit, logit
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    cohen_kappa_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

import evaluate as evaluate_script
from eyenet.photo.quality import judge
from eyenet.photo.retina import crop_photograph
from eyenet.report.flow import flow_of_array
from eyenet.run.errors import PhotoError, StageError

DRAWS = ["--draws", 200]
# The charts of the report take longer than all else.
UNDRAWN = "from eyenet.report import charts; charts.draw_chart = lambda *_, **__: ''"


@pytest.fixture(scope="module")
def work(trained, tmp_path_factory):
    """A copy of the trained model's work folder, evaluated."""
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("evaluate") / "work", symlinks=True)
    (folder / "sitecustomize.py").write_text(UNDRAWN)
    folder.joinpath("stdout").write_text(evaluate(folder, drawn=True).stdout)
    return folder


def arguments(folder, *args):
    usual = ["--input", folder / "array", "--photographs", folder / "resized" / "photographs.csv"]
    return ["evaluate.py", *usual, *DRAWS, *args]


def evaluate(folder, *args, drawn=False, **options):
    """Run evaluate.py in a work folder."""
    place = {"cwd": folder, "env": os.environ | ({} if drawn else {"PYTHONPATH": str(folder)})}
    return run(*arguments(folder, *args), **place, **options)


@pytest.fixture
def refuse(work, monkeypatch):
    """Run evaluate.py in this process; check the words of its error."""

    def check(args, *words):
        monkeypatch.chdir(work)
        monkeypatch.setattr(sys, "argv", [str(word) for word in arguments(work, *args)])
        with pytest.raises(StageError) as error:
            evaluate_script.main()
        assert all(word in str(error.value) for word in words), error.value

    return check


def by_hand(folder, split="test", model="models/cnn"):
    """Read predictions and decision of a model; return truth, calibrated probability and the table."""
    table = pd.read_csv(folder / model / "predictions.csv")
    table = table[table["split"] == split]
    decision = json.loads((folder / "models/cnn/config.json").read_text())["decision"]["any"]
    return table["level"] > 0, expit(logit(table["p1"]) / decision["temperature"] + decision["shift"]), table, decision


def test_figures_are_those_of_scikit_learn(work):
    metrics = json.loads((work / "models/cnn/metrics.json").read_text())
    truth, probability, table, decision = by_hand(work)
    eye = metrics["questions"]["any"]["eye"]
    called = probability >= decision["eye"]["operating_points"]["balanced"]
    # The probabilities in predictions.csv are float32: p0 + p1 is 1 to seven digits.
    expected = {
        "auc": roc_auc_score(truth, probability),
        "average_precision": average_precision_score(truth, probability),
        "accuracy": accuracy_score(truth, called),
        "precision": precision_score(truth, called),
        "sensitivity": recall_score(truth, called),
        "specificity": recall_score(~truth, ~called),
    }
    for name, value in expected.items():
        assert abs(eye[name]["value"] - value) < 1e-6, name
        if name != "average_precision" or value < 1:  # a perfect value has no interval
            assert eye[name]["low"] - 1e-6 <= value <= eye[name]["high"] + 1e-6 and eye[name]["low"] < eye[name]["high"]
    assert metrics["photographs"] == len(table) == eye["count"]
    assert metrics["by_grade"] == [int((table["level"] == g).sum()) for g in range(5)]
    assert metrics["splits"]["test"]["recall"] == eye["sensitivity"]
    assert metrics["splits"].keys() == {"train", "val", "test"}
    assert metrics["synthetic"] is False and metrics["grade"] is None


def test_a_patient_has_the_worst_eye_and_the_threshold_of_an_eye(work):
    patient = json.loads((work / "models/cnn/metrics.json").read_text())["questions"]["any"]["patient"]
    truth, probability, table, decision = by_hand(work)
    frame = table.assign(truth=truth, p=probability).groupby("patient")
    assert patient["count"] == len(frame) == table["patient"].nunique()
    assert abs(patient["auc"]["value"] - roc_auc_score(frame["truth"].max(), frame["p"].max())) < 1e-6
    called = frame["p"].max() >= decision["eye"]["operating_points"]["balanced"]
    assert abs(patient["accuracy"]["value"] - (called == frame["truth"].max()).mean()) < 1e-9


def test_it_tells_the_story_and_says_where_more_is(work):
    printed = (work / "stdout").read_text()
    metrics = json.loads((work / "models/cnn/metrics.json").read_text())
    for words in ("unseen test patients", "training patients", "ROC AUC", "specificity at 90% sensitivity", "baseline"):
        assert words in printed
    auc = metrics["questions"]["any"]["eye"]["auc"]
    assert f"{auc['value']:.3f} ({auc['low']:.3f}-{auc['high']:.3f}" in printed
    last = printed.splitlines()[-5:]
    patient = metrics["questions"]["any"]["patient"]
    (_, alarms), (missed, found) = patient["confusion"]
    assert (
        last[0].startswith(f"found         {found} of {found + missed} patients with any DR") and "interval" in last[0]
    )
    assert last[1].startswith(f"false alarms  {alarms} of {patient['count'] - found - missed} patients without any DR")
    assert last[2].startswith("warning       Not a medical device.")
    assert last[3:] == ["report        models/latest/report.html", "more          models/latest/metrics.json"]
    assert printed.startswith("network ") and "trained on photographs" in printed.splitlines()[0]
    assert f"{auc['value']:.3f}" in (work / "models/cnn/report.html").read_text()
    assert (work / "models/cnn/MODEL_CARD.md").read_text().startswith("---\n")


def test_every_photograph_is_found_again_in_the_flow(work, tmp_path):
    """Of the lists of steps 2 to 5 each lost photograph counts once; an array of other photographs has no flow."""
    flow = json.loads((work / "models/cnn/metrics.json").read_text())["flow"]
    rows = pd.read_csv(work / "array/labels.csv")
    originals = rows[rows["transform"] == "original"]["split"].value_counts().to_dict()
    assert flow["splits"] == originals and flow["evaluated"] == originals["test"]
    lost = sum(one["count"] for one in flow["left_out"])
    assert flow["found"] == len(list((work / "source/train").glob("*.jpeg"))) == flow["kept"] + lost
    data = tmp_path / "data"
    for name in ("array/labels.csv", "resized/photographs.csv", "resized/rejected.csv", "preprocessed/dropped.csv"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(work / name, data / name)
    packed, crops = rows[rows["transform"] == "original"]["image"], data / "resized/photographs.csv"
    pd.read_csv(data / "array/labels.csv").query("image != @packed.iloc[0]").to_csv(data / "array/labels.csv")
    write_csv(data / "resized/rejected.csv", [("image", "reason"), ("x.jpeg", "is truncated: at its end")])
    write_csv(data / "preprocessed/rejected.csv", [("image", "reason"), (f"{packed.iloc[0]}.png", "damaged")])
    changed = flow_of_array(data / "array", crops, 3)
    assert changed["kept"] == flow["kept"] - 1 and changed["evaluated"] == 3
    assert {"is truncated", "damaged"} <= {one["reason"] for one in changed["left_out"]}
    assert changed["found"] == changed["kept"] + sum(one["count"] for one in changed["left_out"])
    write_csv(crops, [("image",), ("other",)])
    assert flow_of_array(data / "array", crops, 3) is None
    crops.unlink()
    assert flow_of_array(data / "array", crops, 3) is None


def test_again_gives_the_same_figures_and_leaves_the_decision(work):
    config = (work / "models/cnn/config.json").read_bytes()
    before = (work / "models/cnn/metrics.json").read_bytes()
    evaluate(work)
    assert (work / "models/cnn/metrics.json").read_bytes() == before
    assert (work / "models/cnn/config.json").read_bytes() == config


def test_validation_while_experimenting(work):
    evaluate(work, "--split", "val", "--checklist", "list.csv")
    truth, probability, _, _ = by_hand(work, "val", "models/cnn/val")
    metrics = json.loads((work / "models/cnn/val/metrics.json").read_text())
    assert metrics["set"] == "validation patients" and "test" not in metrics["splits"]
    assert abs(metrics["questions"]["any"]["eye"]["auc"]["value"] - roc_auc_score(truth, probability)) < 1e-6
    answers = {row["item"]: row["answer"] for row in read_csv(work / "list.csv") if row["checklist"] == "STARD-AI"}
    assert len(answers) == 48 and f"{metrics['questions']['any']['patient']['auc']['value']:.3f}" in answers["31"]


def test_a_folder_of_photographs(work, refuse, tmp_path):
    """The test patients' original photographs give the array's predictions; Usage splits them.

    The array is equalised, so the photographs must be equalised too.
    """
    table = by_hand(work)[2]
    (tmp_path / "clinic").mkdir()
    for image in table["image"]:
        shutil.copy(work / "source/train" / f"{image}.jpeg", tmp_path / "clinic")
    (tmp_path / "clinic" / "more").mkdir()
    nested = f"{table['image'].iloc[3]}.jpeg"
    (tmp_path / "clinic" / nested).rename(tmp_path / "clinic" / "more" / nested)
    (tmp_path / "clinic" / "more" / "broken.jpeg").write_bytes(b"no photograph")
    rows = [(f"{r.image}.jpeg", r.level, "Public" if i < 6 else "Private") for i, r in enumerate(table.itertuples())]
    rows += [("broken.jpeg", 0, ""), ("nowhere_left.jpeg", 0, "Public")]
    shutil.copy(work / "source/train" / rows[0][0], tmp_path / "clinic" / rows[0][0].replace(".jpeg", ".png"))
    rows = [(*row, row[0].split("_")[0], "left" if "left" in row[0] else "right") for row in rows]
    rows = [(*row, "A" if i % 3 else "") for i, row in enumerate(rows)]
    labels = write_csv(tmp_path / "labels.csv", [("image", "level", "Usage", "patient", "eye", "Camera"), *rows])
    args = ["--photos", tmp_path / "clinic", "--labels", labels, "--by", "camera", "eye"]
    done = evaluate(work, *args, code=3)  # one of these few is more than 5 %
    assert "rejected more/broken.jpeg" in done.stderr and "1: label without a photograph, such as now" in done.stderr
    assert f"{rows[0][0].replace('.jpeg', '.png')}: has the same name as {rows[0][0]}" in done.stderr
    (folder,) = (work / "models/cnn").glob("on-*-clinic")
    other = pd.read_csv(folder / "predictions.csv").set_index("image").loc[table["image"]]
    assert np.allclose(other["p1"], table["p1"], atol=1e-6)
    metrics = json.loads((folder / "metrics.json").read_text())
    groups = metrics["subgroups"]["columns"]
    assert {name: part["photographs"] for name, part in groups["Usage"].items()} == {
        "Private": len(table) - 6,
        "Public": 6,
    }
    assert groups["Camera"]["unknown"]["photographs"] == len(range(0, len(table), 3))
    assert sum(part["photographs"] for part in groups["eye"].values()) == len(table)
    flow, lost = metrics["flow"], [(one["count"], one["reason"]) for one in metrics["flow"]["left_out"]]
    assert flow["found"] == len(table) + 2 and flow["evaluated"] == flow["kept"] == len(table)
    assert flow["labels_without_photograph"] == 1 and sum(count for count, _ in lost) == 2
    assert any(reason.startswith("has the same name as") for _, reason in lost)
    assert metrics["ungradable"]["low"] is not None
    whole = json.loads((work / "models/cnn/metrics.json").read_text())
    assert metrics["questions"]["any"]["eye"]["auc"] == whole["questions"]["any"]["eye"]["auc"]
    assert (folder / "report.html").exists() and "  Private " in done.stdout and "by Camera " in done.stdout
    known = read_csv(work / "source/trainLabels.csv")[:4]
    known = write_csv(tmp_path / "known.csv", [("image", "level"), *((row["image"], row["level"]) for row in known)])
    trained = ["--photos", work / "source/train", "--labels", known]
    assert "these figures are too high" in evaluate(work, *trained).stderr
    (page,) = (work / "models/cnn").glob("on-source-train/report.html")
    assert "if they are the same people, these figures are too high" in page.read_text()
    same = write_csv(tmp_path / "two.csv", [("image", "level", "Usage"), (rows[0][0], 0, "a"), (rows[0][0], 0, "b")])
    refuse([*args[:3], same], "two different values of Usage")
    one_sentence(evaluate(work, *args, "sex", code=2), "no column 'sex' to group by", "size", "Camera")


def test_the_grade(work, graded):
    shutil.copytree(graded / "models" / "cnn", work / "models" / "grade")
    done = evaluate(work, "--model", "models/grade")
    metrics = json.loads((work / "models/grade/metrics.json").read_text())
    table = pd.read_csv(work / "models/grade/predictions.csv")
    test = table[table["split"] == "test"]
    p = test[[f"p{k}" for k in range(5)]].to_numpy()
    cuts = json.loads((work / "models/grade/config.json").read_text())["decision"]["grade"]["cuts"]
    predicted = (p @ np.arange(5))[:, None] >= np.array(cuts)
    kappa = cohen_kappa_score(test["level"], predicted.sum(axis=1), weights="quadratic", labels=range(5))
    assert abs(metrics["grade"]["kappa"]["value"] - kappa) < 1e-6
    shown = metrics["grade"]["shown"]
    assert np.sum(shown["confusion"]) == round(shown["share"]["value"] * len(test)) <= len(test)
    assert f"quadratic weighted kappa of the grade  {kappa:.3f}" in done.stdout
    for question, least in (("any", 1), ("referable", 2)):
        auc = roc_auc_score(test["level"] >= least, p[:, least:].sum(axis=1))
        assert abs(metrics["questions"][question]["eye"]["auc"]["value"] - auc) < 1e-6


def changed(work, folder, change):
    """Copy the model and change the copy."""
    shutil.copytree(work / "models/cnn", folder)
    change(folder)
    return folder


def set_in_config(**values):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | values))

    return change


def in_decision(**values):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        config["decision"]["any"] |= values
        (folder / "config.json").write_text(json.dumps(config))

    return change


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda f: (f / "model.keras").unlink(), ["no model.keras"]),
        (lambda f: (f / "config.json").unlink(), ["no complete config.json"]),
        (lambda f: (f / "patients.csv").unlink(), ["patients.csv", "cnn.py"]),
        (lambda f: os.truncate(f / "model.keras", 3000), ["model.keras is not the file that training wrote"]),
        (set_in_config(format=1), ["another version of EyeNet"]),
        (set_in_config(format=99), ["another version of EyeNet"]),
        (set_in_config(finished=False), ["not finished"]),
        (set_in_config(decision=None), ["not finished"]),
        (set_in_config(decision={"any": {}}), ["config.json is damaged"]),
        (set_in_config(decision="yes"), ["config.json is damaged"]),
        (in_decision(temperature=0), ["config.json is damaged"]),
        (in_decision(shift=float("nan")), ["config.json is damaged"]),
        (in_decision(eye={}), ["config.json is damaged"]),
        (set_in_config(task=["any"]), ["config.json is damaged"]),
        (set_in_config(settings="none"), ["config.json is damaged"]),
        (set_in_config(task="grade"), ["config.json is damaged"]),
        (set_in_config(size=128), ["mixes files"]),
        (set_in_config(classes=["a", "b", "c"]), ["mixes files"]),
        (set_in_config(settings={"split": "", "images": {"preprocessing": 7}}), ["version 7 of the preprocessing"]),
        (set_in_config(settings={"split": "", "images": {"colours": "sepia"}}), ["sepia", "natural and equalized"]),
        (set_in_config(settings={"split": "", "images": {}}), ["equalized colours", "--colours natural"]),
    ],
)
def test_a_model_with_something_wrong(work, refuse, tmp_path, change, words):
    refuse(["--model", changed(work, tmp_path / "model", change)], *words)


def test_a_network_that_predicts_no_numbers(work, refuse, tmp_path):
    import keras

    def change(folder):
        set_in_config(files={})(folder)  # as in models without checksums
        network = keras.models.load_model(folder / "model.keras")
        network.layers[-1].bias.assign([np.nan, 0])
        network.save(folder / "model.keras")

    refuse(["--model", changed(work, tmp_path / "model", change)], "NaN or infinity", "_left")


def test_bad_input(work, refuse, monkeypatch, tmp_path):
    one_sentence(evaluate(work, "--model", tmp_path / "none", code=1), "no model folder")
    one_sentence(evaluate(work, "--labels", tmp_path, code=2), "--labels goes with --photos")
    one_sentence(evaluate(work, "--draws", 1, code=2), "--draws")
    refuse(["--photos", work / "source/train"], "no folder of its photographs is named by")
    nothing = write_csv(tmp_path / "labels.csv", [("image", "level"), ("x1_left", 0)])
    photos = ["--photos", work / "source/train", "--labels"]
    refuse([*photos, nothing], "no photograph", "has a label", "'x1_left'")
    refuse([*photos, tmp_path / "none.csv"], "no table")
    refuse(["--split", "unseen"], "no photograph in the split 'unseen'")
    (tmp_path / "file").write_text("")
    refuse(["--output", tmp_path / "file"], "is a file")
    refuse(["--photographs", tmp_path / "file"], "file is damaged", "resize_images.py")
    (tmp_path / "nested" / "a").mkdir(parents=True)
    refuse(["--photos", tmp_path / "nested", "--labels", nothing], "hold no photograph")
    from eyenet.model import predictions  # imports Keras

    images, *rest = predictions.open_array(work / "array")
    larger = np.zeros((len(images), 80, 80, 3), np.uint8)
    monkeypatch.setattr(predictions, "open_array", lambda folder: (larger, *rest))
    refuse([], "80 px", "64 px")


@pytest.mark.parametrize("split", ["train", "val"])
def test_another_split_is_a_leak(work, refuse, tmp_path, split):
    """A model of another split, which had one of the test patients in training or validation, is refused."""
    model = changed(work, tmp_path / "model", lambda folder: None)
    patients = pd.read_csv(model / "patients.csv")
    patients.loc[patients["split"].eq("test").idxmax(), "split"] = split
    patients.to_csv(model / "patients.csv", index=False)
    refuse(["--model", model], "was trained or tuned on")


def test_an_array_of_one_of_several_sets_is_warned_of(work, tmp_path):
    """A model of sets A and B, whose patients of B have its name in front there, and not in an array of B alone."""
    model = changed(work, tmp_path / "model", lambda folder: None)
    patients = pd.read_csv(model / "patients.csv", dtype=str)
    tested = patients["split"].eq("test")
    patients["split"] = patients["split"].where(~tested, "train")
    patients["patient"] = patients["patient"].where(~tested, "B~" + patients["patient"])
    patients.to_csv(model / "patients.csv", index=False)
    config = json.loads((model / "config.json").read_text())
    config["settings"]["split"] = "of other sets"
    (model / "config.json").write_text(json.dumps(config))
    output = tmp_path / "output"
    told = evaluate(work, "--model", model, "--output", output).stderr
    assert f"WARNING: {tested.sum()} patients, such as" in told
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["alike_patients"] == tested.sum() and metrics["known_patients"] == 0
    assert "where another set uses the same ID" in (output / "MODEL_CARD.md").read_text()


def test_a_table_with_patients_and_without_eyes(work, tmp_path):
    """Names from other hospitals, a rejected file, a damaged history without training curves, and natural colours.

    The network's probabilities differ for photographs that are not equalised; a model that does not name its colours
    has natural ones.
    """
    table = by_hand(work)[2]
    (tmp_path / "site").mkdir()
    rows = [("image", "level", "patient")]
    for i, row in enumerate(table.itertuples()):
        shutil.copy(work / "source/train" / f"{row.image}.jpeg", tmp_path / "site" / f"IMG{i}.jpeg")
        rows.append((f"IMG{i}", row.level, f"p{row.patient}"))
    (tmp_path / "site" / "broken.jpeg").write_bytes(b"no photograph")
    rows.append(("broken", 0, "p"))
    model = changed(work, tmp_path / "model", lambda f: (f / "history.csv").write_bytes(b"epoch\n\xff\n"))
    set_in_config(settings={"split": "", "images": {}})(model)
    labels = write_csv(tmp_path / "labels.csv", rows)
    args = ["--photos", tmp_path / "site", "--labels", labels, "--max-rejected", 0.2]
    done = evaluate(work, "--model", model, *args)
    assert "no training curves" in done.stderr and "too high" not in done.stderr
    natural = pd.read_csv(model / "on-{0.parent.name}-{0.name}/predictions.csv".format(tmp_path / "site"))
    assert (np.abs(natural["p1"] - table["p1"].to_numpy()) > 1e-3).all()


def test_one_class_and_what_predict_would_not_grade(work, sample, tmp_path):
    """Figures that need both classes are not defined; the gradable photographs are scored on their own too."""
    photographs, gradable = tmp_path / "photographs", {}
    photographs.mkdir()
    for path in sorted((sample / "train").glob("*.jpeg"))[:12]:
        with contextlib.suppress(PhotoError):
            gradable[path.stem] = int(judge(*crop_photograph(path, 256)).gradable)
            shutil.copy(path, photographs)
    count = sum(gradable.values())
    assert 1 < count < len(gradable)
    healthy = write_csv(tmp_path / "labels.csv", [("image", "level"), *((image, 0) for image in gradable)])
    out = tmp_path / "out"
    done = evaluate(work, "--photos", photographs, "--labels", healthy, "--output", out, drawn=True)
    assert f"{len(gradable) - count} of {len(gradable)} photographs ungradable, and predict.py" in done.stderr
    predicted = {row["image"]: int(row["gradable"]) for row in read_csv(out / "predictions.csv")}
    assert predicted == gradable
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["photographs"] == len(gradable) and metrics["subgroups"]["comparisons"] == 0
    assert metrics["subgroups"]["columns"]["gradable"]["gradable"]["photographs"] == count
    assert "by gradable" in done.stdout and "By gradable" in (out / "report.html").read_text()
    assert "of one grade" in done.stderr
    eye = json.loads((out / "metrics.json").read_text())["questions"]["any"]["eye"]
    assert eye["auc"]["value"] is None and eye["specificity"]["value"] is not None
    assert "None" not in done.stdout and "nan" not in done.stdout
