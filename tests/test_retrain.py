"""Retraining: the accepted photographs, the comparison of models, and the model in use at any time."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import bytes_of, draw_photograph, kill_after, one_sentence, read_csv, run, run_stages, write_csv
from PIL import Image, ImageOps
from test_predict import as_dicom

import retrain as retrain_script
from benchmarks import degraded, stress
from benchmarks.simulated import draw_eyes, separation
from eyenet.data.array import content_hash, open_array
from eyenet.data.names import split_of
from eyenet.model import pretrained
from eyenet.model.folder import open_model
from eyenet.photo.png import encode_png
from eyenet.photo.retina import photograph_to_input
from eyenet.retraining.base import Base, adopt_shipped, open_base
from eyenet.retraining.intake import crop_and_judge, find_known, join_splits, match_batch
from eyenet.retraining.promotion import (
    COLUMNS,
    add_decision,
    compare,
    current_model,
    decide,
    figure_columns,
    first_model,
    read_decisions,
)
from eyenet.run.errors import StageError
from eyenet.score.difference import auc_difference, power
from eyenet.score.intervals import auc_with_interval, perfect_limit
from eyenet.score.metrics import roc_auc

RUN = "autumn"


def copy_photographs(source, folder, names, change=None, prefix=""):
    """Copy and change photographs; return their rows of the table."""
    (folder / "train").mkdir(parents=True, exist_ok=True)
    levels = {row["image"]: row["level"] for row in read_csv(source / "trainLabels.csv")}
    for name in names:
        path = source / "train" / f"{name}.jpeg"
        target = folder / "train" / f"{prefix}{name}.jpeg"
        shutil.copy(path, target) if change is None else change(Image.open(path)).save(target, quality=80)
    return [(prefix + name, levels[name]) for name in names]


@pytest.fixture(scope="module")
def pipeline(sample, tmp_path_factory):
    """A model trained on 18 synthetic photographs of 10 patients, and 12 of others, of all splits."""
    folder, drawn = tmp_path_factory.mktemp("retrain"), sample
    first, others = (
        [f"s{patient:04d}_{eye}" for patient in patients for eye in ("left", "right")]
        for patients in (range(1, 11), range(11, 17))
    )
    first = [name for name in first if can_be_opened(drawn / "train" / f"{name}.jpeg")]
    rows = copy_photographs(drawn, folder / "first", first)
    write_csv(folder / "first" / "trainLabels.csv", [("image", "level"), *rows])
    run_stages(folder / "first", folder / "data", size=160, split=("--val", "0.2", "--test", "0.4"))
    options = ("--epochs", 1, "--input", folder / "data" / "array")
    run("cnn.py", *options, "--models", folder / "models", "--logs", folder / "logs")
    return folder, drawn, first, others


def can_be_opened(path):
    try:
        with Image.open(path) as image:
            return np.asarray(image).max() > 40  # not the one with the lens cap on
    except OSError:
        return False


@pytest.fixture
def work(pipeline, tmp_path):
    """A copy of the pipeline's work folder, and a batch of new photographs with all kinds of faults, some nested."""
    folder, drawn, first, others = pipeline
    for part in ("data", "models"):
        shutil.copytree(folder / part, tmp_path / part, symlinks=True)
    batch = tmp_path / "new"
    rows = copy_photographs(drawn, batch, others[:8])
    rows += copy_photographs(drawn, batch, first[:2], lambda image: ImageOps.mirror(image.rotate(120)), "turned")
    rows += copy_photographs(
        drawn, batch, others[:1], lambda image: image.resize((image.width * 2 // 3, image.height * 2 // 3)), "again"
    )
    rows += copy_photographs(drawn, batch, others[8:11], lambda image: degraded.blur(image, 0.03))
    rows += copy_photographs(drawn, batch, others[11:])
    (batch / "train" / f"{rows[-1][0]}.jpeg").rename(batch / "train" / "nobody_left.jpeg")
    (batch / "train" / "more" / "may").mkdir(parents=True)
    for name in others[:6:3]:
        (batch / "train" / f"{name}.jpeg").rename(batch / "train" / "more" / "may" / f"{name}.jpeg")
    file = batch / "train" / f"{others[5]}.jpeg"  # one as a camera sends it, of a patient whom only its header tells
    as_dicom(file.with_suffix(".dcm"), np.asarray(Image.open(file)), "YBR_FULL_422", "R", file.read_bytes())
    file.unlink()
    (batch / "train" / f"{first[4]}.jpeg").write_bytes((batch / "train" / f"{others[1]}.jpeg").read_bytes()[:2000])
    rows.append((first[4], 0))
    write_csv(batch / "trainLabels.csv", [("image", "level"), *rows])
    return tmp_path


def arguments(work, *more):
    batch = ("--photos", work / "new" / "train", "--labels", work / "new" / "trainLabels.csv")
    return (*batch, "--work", work, "--run", RUN, "--epochs", 1, "--least-patients", 2, *more)


def retrain(work, *more, **options):
    return run("retrain.py", *arguments(work, *more), **options)


def latest(work):
    """Return the name of the model in use, after checking that it is complete."""
    open_model(work / "models" / "latest")
    return (work / "models" / "latest").resolve().name


def test_a_batch_is_sorted_out_promoted_and_rolled_back(pipeline, work):
    """Killed twice, after sorting the photographs out and in training, and run again."""
    _, _, first, others = pipeline
    sorted_out = work / "data" / "retrain" / RUN / "photographs.csv"
    for file in (sorted_out, work / "models" / "candidates" / RUN / "checkpoint-00001" / "state.json"):
        kill_after(file, ["retrain.py", *arguments(work, "--margin", 1)], work)
        assert latest(work) == "cnn"
    done = retrain(work, "--margin", 1)
    assert done.stdout.startswith(f"promoted: {RUN} over cnn: any DR: AUC ")
    listed = {row["image"]: row for row in read_csv(work / "data" / "retrain" / RUN / "photographs.csv")}
    accepted = {name for name, row in listed.items() if row["result"] == "accepted"}
    assert len(accepted) >= 6 and accepted <= set(others[:8]) | {f"again{others[0]}"}
    reason = {name: row["reason"] for name, row in listed.items() if row["result"] == "rejected"}
    for name in first[:2]:
        assert f"duplicate of {name} (similarity 0." in reason[f"turned{name}"]
    assert f"duplicate of again{others[0]}" in reason[others[0]]  # the first by name stays
    for name in others[8:11]:
        assert "ungradable by the quality gate: " in reason[name]
    assert (listed[others[11]]["result"], listed[others[11]]["reason"]) == ("missing", "label without a photograph")
    assert f"accepted {len(accepted)} of {len(listed) - 1} photographs" in done.stderr
    assert reason["nobody_left"] == "photograph without a label"
    assert "truncated" in reason[first[4]]

    old, before, _ = open_array(work / "data" / "array")
    images, table, _ = open_array(work / "data" / "retrain" / RUN / "array")
    assert (images[: len(old)] == old).all() and table.head(len(old)).equals(before)
    more = table.iloc[len(old) :]
    assert set(more.loc[more["transform"] == "original", "image"]) == accepted
    assert (table.groupby("patient")["split"].nunique() == 1).all()
    assert set(more.loc[more["image"].str.startswith(others[5]), "patient"]) == {"MRN 77"}

    (row,) = read_decisions(work / "models")
    assert (row["action"], row["old"], row["new"], row["accepted"]) == ("promoted", "cnn", RUN, str(len(accepted)))
    tested = before[(before["split"] == "test") & (before["transform"] == "original")]
    assert (int(row["photographs"]), int(row["patients"])) == (len(tested), tested["patient"].nunique())
    assert float(row["any_low"]) <= float(row["any_difference"]) <= float(row["any_high"])
    assert (row["least_patients"], row["first"], row["any_first_low"]) == ("2", "cnn", "")
    assert f"an equal network would be promoted in {100 * float(row['any_power']):.0f} of 100 cases" in row["why"]
    assert latest(work) == RUN and not (work / "models" / "candidates" / RUN).exists()

    again = retrain(work, "--margin", 1)
    assert again.stdout.startswith(f"promoted: {RUN} over cnn: ") and "epoch" not in again.stderr
    assert len(read_decisions(work / "models")) == 1

    kept = bytes_of(work / "models" / RUN)
    assert run("retrain.py", "--rollback", "--work", work).stdout.startswith("rolled back: ")
    assert latest(work) == "cnn" and bytes_of(work / "models" / RUN) == kept
    assert [row["action"] for row in read_decisions(work / "models")] == ["promoted", "rolled back"]
    one_sentence(run("retrain.py", "--rollback", "--work", work, code=1), "nothing to go back to")
    one_sentence(retrain(work, code=1), "was promoted on", "--run")


def keep_first(work, count):
    """Reduce the batch to its first photographs."""
    table = read_csv(work / "new" / "trainLabels.csv")
    for row in table[count:]:
        (work / "new" / "train" / f"{row['image']}.jpeg").unlink(missing_ok=True)
    rows = [(row["image"], row["level"]) for row in table[:count]]
    write_csv(work / "new" / "trainLabels.csv", [("image", "level"), *rows])


def retrain_here(monkeypatch, work, margin):
    """Run retrain.py in this process, with a copy of the model instead of a training; return exit code and options."""
    asked = {}

    def copy_model(script, **options):
        asked.update(options, script=script)
        folder = shutil.copytree(options["start"], options["models"] / options["run"])
        config = json.loads((folder / "config.json").read_text())
        config["settings"]["array"] = content_hash(json.loads((options["input"] / "X.json").read_text()))
        config.pop("trained", None)
        (folder / "config.json").write_text(json.dumps(config))

    monkeypatch.setattr(retrain_script, "run_step", copy_model)
    monkeypatch.setattr(sys, "argv", ["retrain.py", *map(str, arguments(work, "--margin", margin))])
    return retrain_script.main(), asked


def test_a_model_that_is_no_better_is_refused_at_margin_0(work, monkeypatch, capsys, forked_steps):
    keep_first(work, 6)
    code, asked = retrain_here(monkeypatch, work, 0)
    assert code == 4 and asked["script"] == "cnn.py" and asked["start"].resolve() == work / "models" / "cnn"
    assert (asked["precision"], asked["learning_rate"]) == ("float32", 1e-3)
    printed = capsys.readouterr().out
    assert printed.startswith(f"refused: {RUN} over cnn: any DR: AUC ") and "not above -0" in printed
    assert latest(work) == "cnn" and (work / "models" / "candidates" / RUN / "model.keras").exists()
    assert not (work / "data" / "retrain" / RUN / "array").exists()
    assert [row["action"] for row in read_decisions(work / "models")] == ["refused"]
    assert retrain_script.main() == 4 and capsys.readouterr().out == printed


def test_poor_photographs_stop_at_the_gate(work):
    keep_first(work, 3)
    for path in (work / "new" / "train").rglob("*.jpeg"):
        if can_be_opened(path):
            degraded.blur(Image.open(path), 0.03).save(path)
    done = retrain(work, code=4)
    assert "no photograph is both new and gradable" in done.stdout and "epoch" not in done.stderr
    assert latest(work) == "cnn" and not (work / "models" / "candidates").exists()


def test_a_promotion_that_was_stopped_half_way_is_finished(work):
    models = work / "models"
    (models / "candidates").mkdir()
    shutil.copytree(models / "cnn", models / "candidates" / RUN)
    add_decision(models, action="promoted", old="cnn", new=RUN, why="for the test")
    assert latest(work) == "cnn"
    one_sentence(
        retrain(work, code=1), f"{RUN} was made from other photographs"
    )  # the row has no batch; it is completed first
    assert latest(work) == RUN and not (models / "candidates" / RUN).exists()
    add_decision(models, action="rolled back", old=RUN, new="cnn", why="--rollback")  # as if stopped after this
    one_sentence(run("retrain.py", "--rollback", "--work", work, code=1), "nothing to go back to")
    assert latest(work) == "cnn" and len(read_decisions(models)) == 2
    shutil.copytree(models / "cnn", models / "other")
    (models / "latest").unlink()
    (models / "latest").symlink_to("other")
    run("retrain.py", "--rollback", "--work", work, code=1)
    assert latest(work) == "other"  # chosen by a user in the meantime


def test_another_batch_under_the_same_name_is_refused(work):
    add_decision(work / "models", action="refused", old="cnn", new=RUN, batch="of others", why="for the test")
    one_sentence(retrain(work, code=1), f"{RUN} was made from other photographs or grades")


def test_many_copies_of_one_photograph_are_all_found(pipeline, tmp_path):
    """Twelve copies of a new and of a known photograph: more than the eight neighbours that are searched."""
    folder, drawn, first, others = pipeline
    images, table, sidecar = open_array(folder / "data" / "array")
    crops = tmp_path / "crops"
    crops.mkdir()
    rng, rows = np.random.default_rng(0), []
    geometry = {"visible": 1.0}
    new = photograph_to_input(drawn / "train" / f"{others[2]}.jpeg", 160)[0]
    old = images[table.index[(table["image"] == first[6])][0]]
    for i in range(12):
        for name, crop in (("new", new), ("old", old)):
            noisy = np.where(crop > 0, (crop + rng.integers(-3, 4, crop.shape)).clip(1, 255), 0).astype(np.uint8)
            (crops / f"{name}{i}_left.png").write_bytes(encode_png(noisy, geometry))
            rows.append({"image": f"{name}{i}_left", "level": 0})
    base = Base(None, None, None, images, table, sidecar, None)
    new = pd.DataFrame(rows)
    known = find_known(new, base, *match_batch(new, crops, base))
    assert all(f"duplicate of {first[6]}" in known[f"old{i}_left"] for i in range(12))
    assert [row["image"] for row in rows if row["image"] not in known] == ["new0_left"]


def test_a_copy_of_what_only_its_name_rejects_is_kept(pipeline, tmp_path):
    """Otherwise both would be lost: the first because of its name, the second as a copy of the first."""
    folder, drawn, first, others = pipeline
    images, table, sidecar = open_array(folder / "data" / "array")
    crop = photograph_to_input(drawn / "train" / f"{others[2]}.jpeg", 160)[0]
    names = [first[6], "copy0_left", "copy1_left"]
    for name in names:
        (tmp_path / f"{name}.png").write_bytes(encode_png(crop, {"visible": 1.0}))
    new = pd.DataFrame({"image": names, "level": 0})
    base = Base(None, None, None, images, table, sidecar, None)
    known = find_known(new, base, *match_batch(new, tmp_path, base))
    assert set(known) == {first[6], "copy1_left"} and "rename it" in known[first[6]]
    assert known["copy1_left"] == "duplicate of copy0_left, which is also new"


def test_who_is_known_keeps_the_split_whatever_the_hash_says(pipeline, work, forked_steps):
    _, _, _, others = pipeline
    keep_first(work, 8)
    table = pd.read_csv(work / "data" / "array" / "labels.csv", dtype=str)
    patient = next(n.split("_")[0] for n in others[:8] if n.split("_")[0] not in set(table["patient"]))
    base, split = open_array(work / "data" / "array"), {"seed": 0, "val": 0.2, "test": 0.4}
    there = base[1].copy()
    wrong = "test" if split_of(patient, **split) != "test" else "train"
    there.loc[0, ["patient", "split"]] = patient, wrong
    config, model = {"size": 160, "settings": {"images": {}}}, work / "models" / "cnn"
    known = Base(model, config, work, base[0], there, base[2], split)
    new = work / "new"
    accepted, _ = crop_and_judge(new / "train", new / "trainLabels.csv", known, work / "out", 2)
    own = (accepted["patient"] == patient).to_numpy()
    assert set(np.array(join_splits(accepted, known, [], []))[own]) == {wrong}
    new = int(np.flatnonzero(~own)[0])  # a photograph of another newcomer is a copy of the known one, row 0
    splits = np.array(join_splits(accepted, known, [(new, 0, 0.99)], []))
    other = accepted["patient"][new]
    theirs = (accepted["patient"] == other).to_numpy()
    assert set(splits[theirs]) == {wrong}
    seen = "test" if split_of(other, **split) != "test" else "train"
    write_csv(model / "patients.csv", [("patient", "split"), (patient, "val"), (other, seen)])  # of earlier models
    splits = np.array(join_splits(accepted, known, [], []))
    assert set(splits[theirs]) == {seen} and set(splits[own]) == {wrong}  # the array's own table is newer


@pytest.mark.parametrize(
    ("field", "counts"), [("auto", "2 photographs: 1 by the circle"), ("circle", "1 photograph: 1")]
)
def test_circles_and_whole_frames_of_a_batch_are_counted(tmp_path, capsys, forked_steps, field, counts):
    """As asked; the default is that of the model."""
    source = tmp_path / "train"
    source.mkdir()
    Image.fromarray(draw_photograph()).save(source / "1_left.png")
    stress.windows(stress.stressed(stress.plain), stress.CIRCLE, 0.6)[0].save(source / "2_left.png")
    write_csv(tmp_path / "trainLabels.csv", [("image", "level"), ("1_left", 0), ("2_left", 2)])
    config = {"size": 160, "settings": {"images": {"field": field}}}
    base = Base(None, config, None, None, None, None, {"seed": 0, "val": 0.2, "test": 0.2})
    crop_and_judge(source, tmp_path / "trainLabels.csv", base, tmp_path / "out", 1)
    frames = {"auto": "1 as a whole frame", "circle": "0 as whole frames"}[field]
    said = capsys.readouterr().err
    assert f"cropped {counts}" in said and f"of the retina, {frames}" in said


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda w: (w / "models" / "latest").unlink(), ["latest", "cnn.py"]),
        (lambda w: shutil.rmtree(w / "data" / "array"), ["the array that", "is not in"]),
        (lambda w: (w / "data" / "preprocessed" / "stage.json").unlink(), ["not the work folder"]),
        (lambda w: (w / "new" / "trainLabels.csv").unlink(), ["there is no table"]),
        (lambda w: shutil.rmtree(w / "new" / "train"), ["there is no folder"]),
        (lambda w: (w / "new" / "trainLabels.csv").write_text("image,level\n1_left,7\n"), ["line 2", "level is '7'"]),
        (lambda w: shutil.copytree(w / "models" / "cnn", w / "models" / RUN), ["already exists"]),
        (lambda w: (w / "models" / "history.csv").write_text("date,who\n1,2\n"), ["history.csv is damaged"]),
        (lambda w: (w / "models" / "cnn" / "model.keras").write_bytes(b"x"), ["checksum"]),
    ],
)
def test_bad_input_gets_a_sentence(work, monkeypatch, spoil, words):
    spoil(work)
    monkeypatch.setattr(sys, "argv", ["retrain.py", *map(str, arguments(work))])
    with pytest.raises(StageError) as error:
        retrain_script.main()
    assert all(word in str(error.value) for word in words), error.value


def test_options_that_contradict_each_other(work):
    for given in ((), ("--labels", "y"), ("--rollback", "--photos", "x", "--labels", "y")):
        assert "--rollback alone" in run("retrain.py", *given, "--work", work, code=2).stderr


def test_a_model_of_another_split_is_not_gone_on_from(work):
    table = pd.read_csv(work / "models" / "cnn" / "patients.csv")
    table["split"] = table["split"].map({"train": "test", "test": "train", "val": "val"})
    table.to_csv(work / "models" / "cnn" / "patients.csv", index=False)
    options = ("--input", work / "data" / "array", "--models", work / "models", "--logs", work / "logs", "--run", "on")
    one_sentence(run("cnn.py", *options, "--start", work / "models" / "cnn", code=1), "was trained on", "split")
    one_sentence(
        run("cnn.py", *options, "--start", work / "models" / "cnn", "--task", "grade", code=1), "task any, not grade"
    )


def draw_compared(rng, gain, patients=150):
    """Draw the probabilities of two networks for two eyes each; the second is better by `gain` standard deviations."""
    patient = np.repeat(np.arange(patients), 2)
    level = np.repeat(rng.integers(0, 2, patients) * 2, 2)
    noise = rng.normal(size=2 * patients)
    answers = []
    for shift in (1.0, 1.0 + gain):
        disease = 1 / (1 + np.exp(-(level / 2 * shift + noise)))
        answers.append(np.stack([1 - disease, disease], axis=1))
    return *answers, pd.DataFrame({"patient": patient, "level": level})


@pytest.mark.parametrize(("gain", "action"), [(0.5, "promoted"), (0.0, "promoted"), (-0.5, "refused")])
def test_the_comparison_is_paired_over_patients(gain, action):
    old, new, table = draw_compared(np.random.default_rng(1), gain)
    found = compare(old, new, table, "any")["any"]
    for answers, which in ((old, "old"), (new, "new")):
        auc = roc_auc(table["level"].to_numpy() > 0, answers[:, 1], np.ones((1, len(table))))[0]
        assert found[which] == pytest.approx(auc)
    assert found["difference"] == pytest.approx(found["new"] - found["old"])
    assert found["low"] <= found["difference"] <= found["high"]
    assert found["high"] - found["low"] < 0.06  # unpaired it would be about 0.13
    assert decide({"any": found}, 0.01)[0] == action


@pytest.mark.parametrize(("patients", "action"), [(8, "refused"), (2000, "promoted")])
def test_two_networks_without_an_error_are_compared_by_the_number_of_patients(patients, action):
    """No pair differs: the limit is what the AUC of 1 may be on other patients."""
    level = np.arange(patients) % 2 * 2
    old, new = (np.stack([1 - p, p], axis=1) for p in (0.1 + 0.4 * level, 0.2 + 0.3 * level))
    found = compare(old, new, pd.DataFrame({"patient": np.arange(patients), "level": level}), "any")["any"]
    assert found["difference"] == 0 and found["low"] == -found["high"] == perfect_limit(patients // 2, 0.96) - 1
    assert decide({"any": found}, 0.01)[0] == action
    wrong = new.copy()
    wrong[0, 1] = 0.85  # one error of the new network never helps it
    worse = compare(old, wrong, pd.DataFrame({"patient": np.arange(patients), "level": level}), "any")["any"]
    assert worse["low"] <= found["low"]


def test_the_difference_of_two_independent_networks_has_the_variance_of_both():
    """Two networks on different patients would have independent AUCs; here the scores are, so the AUCs nearly are."""
    rng = np.random.default_rng(2)
    truth, patients = np.arange(4000) % 2 == 0, np.arange(4000)
    scores = [truth + rng.normal(size=4000) for _ in range(2)]
    found = auc_difference(truth, *scores, patients, 0.95)
    widths = [f["high"] - f["low"] for f in (auc_with_interval(truth, score, patients) for score in scores)]
    assert found["high"] - found["low"] == pytest.approx(np.hypot(*widths), rel=0.05)
    assert found["low"] == pytest.approx(found["difference"] - 1.96 * found["error"], abs=3e-4)
    back = auc_difference(truth, *scores[::-1], patients, 0.95)
    assert (back["low"], back["high"]) == pytest.approx((-found["high"], -found["low"]))


def test_the_limit_is_no_loss_that_is_impossible():
    """Two patients of each class tell nothing, so the new AUC may be 0, but the difference is above -1."""
    found = auc_difference(np.array([1, 0, 1, 0], bool), [4, 3, 2, 1], [4, 3.5, 1, 2], np.arange(4), 0.96)
    assert (found["old"], found["new"]) == (0.75, 0.5)
    assert found["low"] == -0.75 and found["high"] <= 0.5


def test_networks_that_cannot_be_compared_are_refused():
    scores, level = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), [0, 2, 2]
    same = compare(scores, scores, pd.DataFrame({"patient": [1, 2, 3], "level": level}), "any")
    action, why = decide(same, 0.5)
    assert action == "refused" and why == "any DR: too few test patients to tell"
    assert figure_columns(same, 0.5)["any_low"] == figure_columns(same, 0.5)["any_power"] == ""


def test_a_network_worse_by_the_margin_is_seldom_promoted_and_an_equal_one_as_often_as_stated():
    """By the paired bootstrap about 7 % of those worse by the margin would be promoted."""
    shares, stated = {}, []
    for auc in (0.94, 0.95):
        found = []
        for number in range(250):
            random, distances = np.random.default_rng([number, 3]), [separation(0.95), separation(auc)]
            eyes = draw_eyes(random, 100, distances, 0.99)
            found.append(auc_difference(eyes.truth, *eyes.scores, eyes.patients, 0.96))
        shares[auc] = np.mean([f["low"] > -0.01 for f in found])
        stated = np.mean([power(f, 0.01) for f in found])
    assert shares[0.94] <= 0.04
    assert shares[0.95] == pytest.approx(stated, abs=0.15) and shares[0.95] > 0.4


def test_each_question_must_be_no_worse_also_than_with_the_first_model():
    fine, worse = (
        {"old": 0.8, "new": 0.8, "difference": 0.0, "low": low, "high": 0.02, "error": 0.005}
        for low in (-0.009, -0.011)
    )
    assert decide({"any": fine, "referable": fine}, 0.01)[0] == "promoted"
    assert decide({"any": fine, "referable": worse}, 0.01)[0] == "refused"
    assert decide({"any": fine}, 0.01, {"any": fine})[0] == "promoted"
    action, why = decide({"any": fine}, 0.01, {"any": worse})
    assert action == "refused" and "compared with the first model: AUC 0.800" in why and "not above" in why
    assert "an equal network would be promoted in 58 of 100 cases" in why  # 0.001 is a fifth of the error: ndtr(0.2)


def test_the_chain_of_promotions_is_followed_to_its_first_model(tmp_path):
    for name in ("cnn", "one", "two", "three"):
        (tmp_path / name).mkdir()
    for action, old, new in (
        ("promoted", "cnn", "one"),
        ("refused", "one", "bad"),
        ("promoted", "one", "two"),
        ("rolled back", "two", "one"),
        ("promoted", "one", "three"),
    ):
        add_decision(tmp_path, action=action, old=old, new=new)
    assert first_model(tmp_path, tmp_path / "three") == first_model(tmp_path, tmp_path / "cnn") == tmp_path / "cnn"
    (tmp_path / "cnn").rmdir()
    with pytest.raises(StageError, match="first of its chain"):
        first_model(tmp_path, tmp_path / "one")


def test_a_history_of_an_older_version_is_read(tmp_path):
    write_csv(tmp_path / "history.csv", [COLUMNS[:22], ["x"] * 22])
    (row,) = read_decisions(tmp_path)
    assert COLUMNS[21] == "why" and row["why"] == "x" and row["any_power"] == row["first"] == ""


def test_too_few_test_patients_stop_before_anything_is_done(work):
    one_sentence(retrain(work, "--least-patients", 100, code=1), "test patients are too few", "lower --least-patients")
    assert not (work / "data" / "retrain").exists() and not (work / "models" / "history.csv").exists()


def test_the_network_that_ships_is_retrained_without_its_photographs(pipeline, work, monkeypatch, capsys, forked_steps):
    """It is copied to the models; the new test patients decide; patients that it knows keep their split."""
    folder, drawn, first, others = pipeline
    shipped = work / "shipped" / "eyenet-lite"
    shutil.copytree(folder / "models" / "cnn", shipped, ignore=shutil.ignore_patterns("checkpoint-*"))
    config = json.loads((shipped / "config.json").read_text())
    config["trained"] = {"photographs": 30, "split": {"seed": 0, "val": 0.2, "test": 0.4}}
    (shipped / "config.json").write_text(json.dumps(config))
    known = {row["patient"]: row["split"] for row in read_csv(shipped / "patients.csv")}
    assert known["s0007"] == split_of("s0007", **config["trained"]["split"]) == "train"
    known["s0007"] = "test"
    write_csv(shipped / "patients.csv", [("patient", "split"), *known.items()])
    monkeypatch.setattr(pretrained, "folder", lambda: shipped)
    for part in ("data", "models", "new"):
        shutil.rmtree(work / part)
    (work / "models").mkdir()
    rows = copy_photographs(drawn, work / "new", first + others[:8])
    write_csv(work / "new" / "trainLabels.csv", [("image", "level"), *rows])
    code, asked = retrain_here(monkeypatch, work, 1)
    assert code == 0 and asked["network"] == "three_layers" and "precision" not in asked
    said = capsys.readouterr()
    assert "the network that ships, eyenet-lite, is now in use" in said.err
    assert said.out.startswith(f"promoted: {RUN} over eyenet-lite") and latest(work) == RUN
    table = read_csv(work / "data" / "retrain" / RUN / "array" / "labels.csv")
    assert {row["split"] for row in table} == {"train", "val", "test"}
    found = {row["patient"]: row["split"] for row in table}
    both = found.keys() & known.keys()
    assert len(both) > 5 and all(found[patient] == known[patient] for patient in both)
    base = open_base(work, work / "models")  # the next retraining has an array
    assert len(base.table) == len(table) and base.split == config["trained"]["split"]


def test_results_of_the_network_that_ships_do_not_stand_for_it(tmp_path):
    """evaluate.py and export_model.py write to its folder in models/ before it is copied; a copy may be cut."""
    folder = tmp_path / "eyenet-lite"
    (folder / "export").mkdir(parents=True)
    (folder / "export" / "EyeNet.onnx").touch()
    (folder / "metrics.json").write_text("{}")
    (folder / "model.keras").write_bytes(b"half")
    adopt_shipped(tmp_path)
    assert current_model(tmp_path) == folder and (folder / "metrics.json").read_text() == "{}"
    shipped = {path.name for path in pretrained.folder().iterdir()}
    assert {path.name for path in folder.iterdir()} == shipped | {"export"}


def test_a_wrong_path_writes_nothing(tmp_path):
    """Also where there is no model, and the network that ships would be copied."""
    (tmp_path / "new.csv").write_text("image,level\n1_left,0\n")
    one_sentence(run("retrain.py", "--photos", "nowhere", "--labels", "new.csv", cwd=tmp_path, code=1), "nowhere")
    one_sentence(run("retrain.py", "--rollback", cwd=tmp_path, code=1), "does not name a model")
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]
