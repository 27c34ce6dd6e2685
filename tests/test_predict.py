"""Prediction as a screening service runs it: whole folders, single eyes, poor and broken files, DICOM, bad models."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import (
    REAL,
    REPO,
    bytes_of,
    draw_photograph,
    first_of,
    needs_real,
    one_sentence,
    read_csv,
    run,
)
from PIL import Image
from scipy.special import expit, logit

from benchmarks import stress
from eyenet.data.tasks import disease_probability, first_disease
from eyenet.grading.photographs import name_heat_maps
from eyenet.model.folder import LITE_NETWORK, open_model
from eyenet.model.loading import load_network
from eyenet.model.overlay import LINE, SHOWN
from eyenet.model.settings import field_of
from eyenet.photo.retina import photograph_to_input
from make_sample import take_photograph
from predict import plain

# The quality gate would reject the drawings, which are not retinas. Here it checks the brightness only.
GATE = """
import sys, types
def judge(crop, geometry):
    poor = bool(crop.max(axis=2).mean() < 40)
    reasons = ("too dark",) * poor
    return types.SimpleNamespace(gradable=not poor, retina=True, score=float(poor), reasons=reasons, measures={})
sys.modules["eyenet.photo.quality"] = types.ModuleType("eyenet.photo.quality")
names = dict(judge=judge, weights=dict, SIDE=256, SMALLEST=160, OTHER="not a fundus photograph")
vars(sys.modules["eyenet.photo.quality"]).update(names)
"""


@pytest.fixture(scope="module")
def work(graded, tmp_path_factory):
    """The photographs and a copy of the model for grades."""
    folder = tmp_path_factory.mktemp("predict")
    shutil.copytree(graded / "source", folder / "source")
    shutil.copytree(graded / "models", folder / "models", symlinks=True)
    (folder / "gate").mkdir()
    (folder / "gate" / "sitecustomize.py").write_text(GATE)
    add_points(folder / "models/cnn/config.json")
    return folder


def add_points(path):
    """Give a model the operating points that 24 patients do not support, and a rule of an old version."""
    config = json.loads(path.read_text())
    for question in ("any", "referable"):
        points = config["decision"][question]["eye"]["operating_points"]
        assert points.keys() == {"balanced"}
        points |= {f"sensitivity_{aim}": (1 - aim) * points["balanced"] for aim in (0.85, 0.9, 0.95)}
        config["decision"][question]["patient"] = {"fusion": "mean", "operating_points": {"balanced": 0.01}}
    path.write_text(json.dumps(config))


def predict(work, *args, gate=True, **options):
    """Run predict.py with the model of the work folder."""
    path = [str(work / "gate")] * gate + [os.environ.get("PYTHONPATH", "")]
    return run("predict.py", *args, cwd=work, env=os.environ | {"PYTHONPATH": os.pathsep.join(path)}, **options)


def copy_photograph(source, target):
    """Copy a photograph as a file of its own: with other bytes, but the same pixels."""
    target.write_bytes(source.read_bytes() + target.name.encode())


def rows_of(done):
    """Parse --json: photographs, and patients by name."""
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    photographs = [row for row in rows if row["unit"] == "photograph"]
    assert rows[: len(photographs)] == photographs
    return photographs, {row["patient"]: row for row in rows[len(photographs) :]}


@pytest.fixture(scope="module")
def answers(work):
    """The results for all photographs."""
    done = predict(work, "source/train", "--json")
    assert done.stderr.count("Not a medical device") == 1 and "48 photographs and 24 patients" in done.stderr
    return rows_of(done)


@pytest.fixture(scope="module")
def model(work):
    """The model's config.json, and the probabilities of Keras for all photographs in order."""
    config = open_model(work / "models/cnn")
    paths = sorted((work / "source/train").glob("*.jpeg"))
    crops = np.stack([photograph_to_input(path, 64, "equalized")[0] for path in paths])
    return config, load_network(work / "models/cnn", config).predict(crops, verbose=0), crops


def test_probabilities_are_those_of_keras_and_decisions_those_of_the_model(work, answers, model):
    photographs, _ = answers
    config, probabilities, _ = model
    assert [row["photograph"] for row in photographs] == sorted(row["photograph"] for row in photographs)
    assert len(photographs) == len(probabilities) == 48
    for question in ("any", "referable"):
        chosen = config["decision"][question]
        raw = disease_probability(probabilities, first_disease("grade", question))
        expected = expit(logit(raw) / chosen["temperature"] + chosen["shift"])
        given = [row["questions"][question] for row in photographs]
        assert np.abs([answer["probability"] for answer in given] - expected).max() < 1e-4
        assert [a["disease"] for a in given] == (expected >= chosen["eye"]["operating_points"]["balanced"]).tolist()
    expected = probabilities @ np.arange(5)
    assert np.abs([row["expected_grade"] for row in photographs] - expected).max() < 0.0051
    cuts = config["decision"]["grade"]["cuts"]
    for row, e in zip(photographs, expected):  # the grade agrees with the answers
        any_dr, referable = (row["questions"][question]["disease"] for question in ("any", "referable"))
        grade = sum(e >= cut for cut in cuts)
        allowed = grade >= 2 if referable else grade == int(any_dr)
        assert row.get("grade", "none") == (grade if allowed else "none")
    results = {row["result"] for row in photographs}
    assert "no DR" in results and "referable DR" in results


def test_a_cluster_gives_the_same_rows_and_heat_maps(work, sample, tmp_path):
    """On drawings that pass the real gate; each worker opens the model."""
    farms = pytest.importorskip("test_cluster", reason="no Dask here: pip install -r requirements-cluster.txt")
    folder = first_of(sample, 8, tmp_path / "sample")
    args = [os.path.relpath(folder / "train", work), "nowhere.jpeg", "--json"]
    alone = predict(work, *args, "--heatmap", "alone", gate=False, code=3)
    farm = farms.Farm(tmp_path)
    try:
        farm.scheduler(), farm.worker()
        more = ["--heatmap", "cluster", "--csv", tmp_path / "rows.csv", "--scheduler", farm.address]
        done = predict(work, *args, *more, gate=False, code=3)
    finally:
        farm.kill()
    assert done.stdout.replace("cluster/", "alone/") == alone.stdout
    assert sum("questions" in row for row in rows_of(alone)[0]) >= 4
    assert len(read_csv(tmp_path / "rows.csv")) == len(alone.stdout.splitlines())
    maps = bytes_of(work / "alone")
    assert len(maps) >= 4 and bytes_of(work / "cluster") == maps


def test_a_patient_has_the_worst_eye_and_the_threshold_of_an_eye(answers, model):
    """Also with a model of an older version, which holds another rule."""
    photographs, patients = answers
    decision = model[0]["decision"]
    assert len(patients) == 24
    for name, patient in patients.items():
        eyes = [row for row in photographs if row["patient"] == name]
        assert {row["eye"] for row in eyes} == {"left", "right"}
        for question, answer in patient["questions"].items():
            p = np.array([row["questions"][question]["probability"] for row in eyes])
            assert abs(answer["probability"] - p.max()) < 2e-6
            assert answer["disease"] == (p.max() >= decision[question]["eye"]["operating_points"]["balanced"])
        for row in (*eyes, patient):
            allowed = {"no DR": (0,), "DR, not referable": (1,)}.get(row["result"], (2, 3, 4))
            assert "grade" not in row or row["grade"] in allowed
        shown = max((row["grade"] for row in eyes if "grade" in row), default=None)
        assert patient.get("grade") == (shown if shown in allowed else None)
        assert patient["decided_by"] in {row["photograph"] for row in eyes}


def test_table_and_csv_say_the_same(work, answers, model):
    done = predict(work, "source/train", "--csv", "o.csv", "--sensitivity", 0.9, "--workers", 1)
    photographs, patients = answers
    rows = read_csv(work / "o.csv")
    assert [row["unit"] for row in rows] == ["photograph"] * 48 + ["patient"] * 24
    for row, known in zip(rows, [*photographs, *patients.values()]):
        assert row["photograph"] == (known["photograph"] or "") and row["patient"] == known["patient"]
        if row["unit"] == "photograph":
            assert row["any_probability"] == str(known["questions"]["any"]["probability"])
        assert row["operating_point"] == "sensitivity_0.9"
        threshold = model[0]["decision"]["referable"]["eye"]["operating_points"]["sensitivity_0.9"]
        assert abs(float(row["referable_threshold"]) - threshold) < 1e-6
        assert int(row["referable_disease"]) == (
            float(row["referable_probability"]) >= float(row["referable_threshold"])
        )
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["photograph", "any", "DR", "referable", "DR", "grade", "result"]
    assert len(lines) == 1 + 48 + 2 + 24 + 1
    for line, row in zip(lines[1:49], rows):
        assert line.split()[:3] == [
            row["photograph"],
            *(f"{float(row[f'{q}_probability']):.3f}" for q in ("any", "referable")),
        ]
        assert line.endswith(row["result"])
    assert predict(work, "source/train", "--sensitivity", 0.9, "--workers", 5).stdout == done.stdout


def test_heat_maps_are_those_of_evaluate(work, answers, model):
    from eyenet.model.evidence import heat_maps
    from eyenet.model.overlay import overlay
    from eyenet.model.probabilities import calibrate

    photographs, (config, probabilities, crops) = answers[0], model
    order = np.argsort(probabilities[:, 2:].sum(axis=1))
    number = int(order[-1])
    path, least = (work / photographs[i]["photograph"] for i in (number, order[0]))
    done = predict(work, path, least, "--heatmap", "maps", "--json")
    rows = rows_of(done)[0]
    assert [row["heatmap"] for row in rows] == [f"maps/{path.stem}.png", f"maps/{least.stem}.png"]
    page = np.asarray(Image.open(work / "maps" / f"{path.stem}.png")).astype(int)
    assert page.shape == (SHOWN + LINE, 3 * SHOWN, 3)
    photograph, *maps = np.split(page[LINE:], 3, axis=1)
    natural = photograph_to_input(path, SHOWN)[0]
    assert np.array_equal(photograph, natural)
    network = load_network(work / "models/cnn", config)
    for question, shown in zip(("any", "referable"), maps):
        chosen = config["decision"][question]
        threshold = chosen["eye"]["operating_points"]["balanced"]
        own = calibrate(calibrate(threshold, 1, -chosen["shift"]), 1 / chosen["temperature"])
        heat = heat_maps(network, crops[number][None], first_disease("grade", question), float(own))[0]
        heat = np.asarray(Image.fromarray(heat).resize((SHOWN, SHOWN), Image.Resampling.BILINEAR))
        assert np.abs(overlay(natural, heat) - shown).max() <= 3
        assert np.abs(shown - natural).max() > 40
    below = np.split(np.asarray(Image.open(work / "maps" / f"{least.stem}.png"))[LINE:], 3, axis=1)
    assert [answer["disease"] for answer in rows[1]["questions"].values()] == [False, False]
    assert all(np.array_equal(map_, below[0]) for map_ in below)  # nothing stood out
    (work / "few").mkdir()
    shutil.copy(path, work / "few")
    for _ in range(2):  # the second run must not read the heat maps of the first as photographs
        assert predict(work, "few", "--heatmap", "few/maps").stdout.count(path.stem) == 1


def broken_files(folder, source):
    """Put ten broken files into a folder; return the words of each reason."""
    data = source.read_bytes()
    files = {
        "a_truncated.jpeg": (data[: len(data) // 2], "truncated"),
        "b_text.jpeg": (b"a letter to the patient", "is not an image"),
        "c_empty.png": (b"", "empty"),
        "d_header.tif": (b"II*\0", ""),
        "e_half.png": (b"\x89PNG\r\n\x1a\n" + bytes(50), ""),
        **{f"f{i}_zeros.jpg": (bytes(100 * i), "") for i in range(1, 6)},
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    return {name: words for name, (_, words) in files.items()}


def test_broken_files_among_others(work, tmp_path, answers):
    """The others get the same results as alone, in order; unreadable files have rows with reasons; exit code 3."""
    clinic = tmp_path / "clinic"
    shutil.copytree(work / "source/train", clinic / "inner")
    broken = broken_files(clinic, work / "source/train/h0_left.jpeg")
    (clinic / ".hidden.jpeg").write_bytes(b"")
    (clinic / ".trash").mkdir()
    (clinic / ".trash" / "x.jpeg").write_bytes(b"")
    (clinic / "letter.docx").write_bytes(b"")
    (clinic / "empty").mkdir()
    missing = tmp_path / "nowhere_left.jpeg"
    done = predict(work, clinic, missing, clinic, "--csv", tmp_path / "o.csv", "--json", code=3)
    (letter, *photographs), patients = rows_of(done)
    assert letter["photograph"] == plain(clinic / "letter.docx") and letter["result"] == "left out"
    names = [row["photograph"].rsplit("/", 1)[1] for row in photographs]
    assert names == [*broken, *(row["photograph"].rsplit("/", 1)[1] for row in answers[0]), "nowhere_left.jpeg"]
    for row, words in zip(photographs, broken.values()):
        assert row["result"] == "not read" and words in row["reasons"][0] and "questions" not in row
    assert photographs[-1]["reasons"] == ["cannot be read: No such file or directory"]
    for row, alone in zip(photographs[10:], answers[0]):
        assert row | {"photograph": ""} == alone | {"photograph": ""}
    assert patients.pop("nowhere")["reasons"] == ["left eye: not read", "right eye: no photograph"]
    assert [p["questions"] for p in patients.values()] == [p["questions"] for p in answers[1].values()]
    assert "11 of 59 files could not be read" in done.stderr and "1 other file in" in done.stderr
    assert "59 photographs" in done.stderr and len(read_csv(tmp_path / "o.csv")) == 1 + 59 + 25


def test_a_table_is_continued(work, tmp_path):
    """Killed, with its reader gone, run again when it is finished, and with a photograph replaced."""
    folder, csv = tmp_path / "clinic", tmp_path / "o.csv"
    shutil.copytree(work / "source/train", folder, ignore=shutil.ignore_patterns("h1?_*", "h2?_*"))
    predict(work, folder, "--csv", tmp_path / "whole.csv")
    whole = (tmp_path / "whole.csv").read_bytes()
    path = os.pathsep.join([str(work / "gate"), os.environ.get("PYTHONPATH", "")])
    place = {"cwd": work, "env": os.environ | {"PYTHONPATH": path}, "stderr": subprocess.DEVNULL}
    command = [sys.executable, str(REPO / "predict.py"), str(folder), "--csv", str(csv), "--workers", "1"]
    for lines in (5, 12):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **place)
        while not csv.exists() or csv.read_bytes().count(b"\n") < lines:
            assert process.poll() is None
            time.sleep(0.001)
        process.kill()
        process.wait()
        assert whole.startswith(csv.read_bytes()[: csv.read_bytes().rfind(b"\n") + 1])
    with open(csv, "ab") as file:
        file.write(b"photograph,half a li")  # as if killed while writing
    process = subprocess.Popen(command, stdout=subprocess.PIPE, **place)
    process.stdout.readline()
    process.stdout.close()  # as `| head -1`
    assert process.wait() == 0 and csv.read_bytes() == whole
    with open(csv) as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        one_sentence(predict(work, folder, "--csv", csv, code=1), "another run writes")
    before = csv.stat().st_mtime_ns
    done = predict(work, folder, "--csv", csv)
    assert csv.stat().st_mtime_ns == before and "20 photographs are in" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("20 photographs and 10 patients: ")
    one_sentence(predict(work, folder, "--csv", csv, "--sensitivity", 0.9, code=1), "was made with operating_point")
    one_sentence(predict(work, folder / "h0_left.jpeg", "--csv", csv, code=1), "not among these photographs")
    copy_photograph(folder / "h1_left.jpeg", folder / "h0_left.jpeg")
    shutil.copystat(folder / "h1_left.jpeg", folder / "h0_left.jpeg")  # with an old time
    done = predict(work, folder, "--csv", csv)
    assert "19 photographs are in" in done.stderr
    rows = {row["photograph"].rsplit("/", 1)[-1]: row for row in read_csv(csv)}
    assert rows["h0_left.jpeg"]["any_probability"] == rows["h1_left.jpeg"]["any_probability"]
    assert [row["unit"] for row in read_csv(csv)] == ["photograph"] * 20 + ["patient"] * 10


def save(picture, path):
    Image.fromarray(picture).save(path)
    return path


def test_what_cannot_be_graded_is_not_guessed(work, tmp_path, answers):
    """Dark, no retina, or one eye only: photograph again. One eye can make a patient positive, but not negative."""
    ill, healthy = (
        next(row for row in answers[0] if row["result"] == result and row["eye"] == "left")["photograph"]
        for result in ("referable DR", "no DR")
    )
    copy_photograph(work / ill, tmp_path / "ill_left.jpeg")
    copy_photograph(work / healthy, tmp_path / "well_left.jpeg")
    copy_photograph(work / healthy, tmp_path / "alone_left.jpeg")
    copy_photograph(work / healthy, tmp_path / "well_left_mir.jpeg")  # a copy, so it counts as no eye
    dark = (draw_photograph(200, 160, radius=72) * 0.2).astype(np.uint8)
    save(dark, tmp_path / "dark.png")
    for name in ("ill_right", "well_right", "both_left", "both_right"):
        copy_photograph(tmp_path / "dark.png", tmp_path / f"{name}.png")
    save(np.full((200, 200, 3), 250, np.uint8), tmp_path / "wall.png")
    save(draw_photograph(60, 60, radius=28), tmp_path / "small.png")
    done = predict(work, tmp_path, "--json", "--heatmap", tmp_path / "maps")
    photographs, patients = rows_of(done)
    by_name = {row["photograph"].rsplit("/", 1)[1]: row for row in photographs}
    assert by_name["ill_right.png"]["result"] == "photograph again"
    assert by_name["ill_right.png"]["reasons"] == ["too dark"] and by_name["ill_right.png"]["quality"] == 1
    assert by_name["wall.png"]["reasons"][0] == "not a fundus photograph"
    assert "pixels across" in by_name["small.png"]["reasons"][1]
    assert by_name["well_left_mir.jpeg"]["patient"] is None
    assert not any("questions" in row or "heatmap" in row for row in photographs if row["result"] == "photograph again")
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {
        f"{name}.png" for name in ("alone_left", "ill_left", "well_left", "well_left_mir")
    }
    assert patients.keys() == {"ill", "well", "both", "alone"}
    assert patients["alone"]["result"] == "photograph again"
    assert patients["alone"]["reasons"] == ["right eye: no photograph"] and patients["alone"]["eye"] == "left"
    assert patients["ill"]["result"] == "referable DR" and patients["ill"]["reasons"] == ["right eye: photograph again"]
    assert patients["well"]["result"] == patients["both"]["result"] == "photograph again"
    assert patients["ill"]["questions"]["any"] == by_name["ill_left.jpeg"]["questions"]["any"]
    assert patients["ill"]["decided_by"].endswith("/ill_left.jpeg")
    assert patients["well"]["questions"]["any"]["disease"] is None
    said = predict(work, tmp_path / "ill_right.png").stdout
    assert "photograph again: too dark" in said and "photograph again: right eye, left eye: no photograph\n" in said


def test_a_poor_photograph_refers_and_never_counts_as_negative(work, tmp_path, answers):
    """The network is asked about dark copies too; a second run restores them from the table."""
    clinic, maps = tmp_path / "clinic", tmp_path / "maps"
    clinic.mkdir()
    ill, healthy = (
        next(row for row in answers[0] if row["result"] == result)["photograph"] for result in ("referable DR", "no DR")
    )
    pixels = {name: np.asarray(Image.open(work / name)) for name in (ill, healthy)}

    def darken(picture, name, light=0.2):
        save((pixels[picture] * light).astype(np.uint8), clinic / f"{name}.png")

    for name, picture, light in (("1_left", ill, 0.2), ("1_right", healthy, 0.2), ("2_left", healthy, 0.21)):
        darken(picture, name, light)
    darken(ill, "3_left", 0.21)
    for name in ("2_right", "3_right", "3_left_2"):
        copy_photograph(work / healthy, clinic / f"{name}.jpeg")
    table = clinic / "o.csv"
    photographs, patients = rows_of(predict(work, clinic, "--json", "--csv", table))
    row = {Path(row["photograph"]).name: row for row in photographs}
    for name in ("1_left.png", "3_left.png"):
        assert (row[name]["gradable"], row[name]["reasons"]) == (False, ["too dark"])
        assert row[name]["result"] == "referable DR" and row[name]["questions"]["referable"]["disease"]
        assert "grade" not in row[name] and "expected_grade" not in row[name]
    for name in ("1_right.png", "2_left.png"):
        assert row[name]["result"] == "photograph again" and "questions" not in row[name]
    assert row["2_right.jpeg"]["gradable"] is True and "questions" in row["2_right.jpeg"]
    assert {name: one["result"] for name, one in patients.items()} == {
        "1": "referable DR",
        "2": "photograph again",
        "3": "referable DR",
    }
    assert patients["1"]["reasons"] == ["left eye: photograph again if possible", "right eye: photograph again"]
    assert Path(patients["3"]["decided_by"]).name == "3_left.png" and "grade" not in patients["3"]
    said = predict(work, clinic / "1_left.png", "--heatmap", maps).stdout
    assert "referable DR, poor photograph, photograph again if possible: too dark" in said
    assert len(list((maps).iterdir())) == 1
    lines = read_csv(table)
    assert {line["gradable"] for line in lines if line["unit"] == "photograph"} == {"0", "1"}
    darken(healthy, "2_right_2", 0.22)  # comes later, so the patients are joined again from the table
    predict(work, clinic, "--csv", table)
    joined = ({row["patient"]: row for row in rows[-3:]} for rows in (read_csv(table), lines))
    assert next(joined) == next(joined)


def test_an_eye_counts_by_its_worst_photograph(work, tmp_path, answers):
    """A patient of the same name in another folder is another patient, unless it is one clinic."""
    ill, well = (
        next(row["photograph"] for row in answers[0] if row["result"] == result) for result in ("referable DR", "no DR")
    )
    for folder, names in (("a", ("h1_left.jpeg", "h1_right.jpeg")), ("b", ("h1_left_2.jpeg",))):
        (tmp_path / folder).mkdir()
        for name in names:
            copy_photograph(work / well, tmp_path / folder / name)
    copy_photograph(work / ill, tmp_path / "b" / "h1_left_3.jpeg")
    rows = [json.loads(line) for line in predict(work, tmp_path, "--json").stdout.splitlines()][-2:]
    assert [(row["patient"], row["eye"], row["result"]) for row in rows] == [
        ("h1", "both", "no DR"),
        ("h1", "left", "referable DR"),
    ]
    assert rows[1]["decided_by"].endswith("/b/h1_left_3.jpeg")
    _, patients = rows_of(predict(work, tmp_path, "--json", "--one-clinic", "--heatmap", tmp_path / "maps"))
    assert patients["h1"]["eye"] == "both" and patients["h1"]["result"] == "referable DR"
    assert len(list((tmp_path / "maps").iterdir())) == 4


def test_a_file_that_is_mixed_up_rules_nothing_out(work, tmp_path, answers):
    """One file for both eyes or for two patients, or an eye that the folder contradicts: the rows say so."""
    ill, well = (
        next(row["photograph"] for row in answers[0] if row["result"] == result) for result in ("referable DR", "no DR")
    )
    clinic, table = tmp_path / "clinic", tmp_path / "o.csv"
    (clinic / "left").mkdir(parents=True)
    for source, names in ((well, ("1_left", "2_left", "2_right")), (ill, ("3_left", "3_right"))):
        for name in names:
            shutil.copy(work / source, clinic / f"{name}.jpeg")
    for name in ("1_right", "left/4_right", "4_left", "5_left", "5_right"):
        copy_photograph(work / well, clinic / f"{name}.jpeg")
    done = predict(work, clinic, "--one-clinic", "--json", "--csv", table)
    photographs, patients = rows_of(done)
    reasons = {row["photograph"].rsplit("/", 1)[1]: row["reasons"] for row in photographs}
    assert reasons["1_left.jpeg"] == [f"the same file as {clinic}/2_left.jpeg"]
    assert reasons["2_right.jpeg"] == [f"the same file as {clinic}/1_left.jpeg"]
    assert reasons["4_right.jpeg"] == ["the name says right, the folder says left"] and reasons["5_left.jpeg"] == []
    results = {name: (row["result"], bool(row["reasons"])) for name, row in patients.items()}
    again = ("photograph again", True)
    assert results == {"1": again, "2": again, "3": ("referable DR", True), "4": again, "5": ("no DR", False)}
    lines = read_csv(table)
    predict(work, clinic, "--one-clinic", "--csv", table)
    assert read_csv(table) == lines
    shutil.copy(clinic / "5_left.jpeg", clinic / "6_left.jpeg")  # comes later, and makes a known row doubtful
    predict(work, clinic, "--one-clinic", "--csv", table)
    assert {row["patient"]: row["result"] for row in read_csv(table) if row["unit"] == "patient"}["5"] == again[0]


def test_a_header_and_a_name_that_disagree(work, tmp_path, answers):
    """The header says right, the name says left: no negative result."""
    well = next(row["photograph"] for row in answers[0] if row["result"] == "no DR")
    pixels = np.asarray(Image.open(work / well))
    for name, eye in (("1_right", "L"), ("1_left", "R"), ("2_left", "L"), ("2_right", "R")):
        as_dicom(tmp_path / f"{name}.dcm", pixels, "RGB", eye=eye, PatientID=name[0])
    photographs, patients = rows_of(predict(work, tmp_path, "--json"))
    assert photographs[0]["reasons"] == ["the header says right, the name says left"]
    assert {name: row["result"] for name, row in patients.items()} == {"1": "photograph again", "2": "no DR"}


def test_anonymised_dicom_joins_nobody(work, tmp_path):
    """One ID for two people: the file names say who is who, or nobody is joined."""
    for name in ("h1_left", "h1_right", "h2_left", "h2_right"):
        pixels = np.asarray(Image.open(work / "source/train" / f"{name}.jpeg"))
        for folder, patient in (("placeholder", "ANONYMOUS"), ("shared", "4711")):
            (tmp_path / folder).mkdir(exist_ok=True)
            as_dicom(tmp_path / folder / f"{name}.dcm", pixels, "RGB", eye=name[3].upper(), PatientID=patient)
    done = predict(work, tmp_path / "placeholder", "--json")
    assert rows_of(done)[1].keys() == {"h1", "h2"} and "4 files have a placeholder as patient ID" in done.stderr
    done = predict(work, tmp_path / "shared", "--json")
    told = "the ID 4711 is not one person (file names such as h1 and h2 say otherwise)"
    assert not rows_of(done)[1] and told in done.stderr
    assert [row["reasons"][-1] for row in rows_of(done)[0]] == 4 * [told]
    table, shared = tmp_path / "table.csv", tmp_path / "shared"
    aside = [shutil.move(shared / f"h2_{eye}.dcm", tmp_path) for eye in ("left", "right")]
    predict(work, shared, "--csv", table)
    assert not any(told in row["reasons"] for row in read_csv(table))
    for path in aside:  # come later, and make known rows doubtful
        shutil.move(path, shared)
    predict(work, shared, "--csv", table)
    assert [told in row["reasons"] for row in read_csv(table)] == 4 * [True]
    as_dicom(tmp_path / "removed.dcm", pixels, "RGB", PatientIdentityRemoved="YES")
    assert rows_of(predict(work, tmp_path / "removed.dcm", "--json"))[0][0]["patient"] is None


@pytest.mark.parametrize(
    "args, code, words",
    [
        (["empty"], 1, ["no photograph", "empty"]),
        (["others"], 1, ["no photograph", "but 2 other files"]),
        (["x.jpeg", "--model", "nothing"], 1, ["no model folder nothing"]),
        (
            ["x.jpeg", "--sensitivity", "0.8"],
            1,
            ["no operating point of sensitivity 0.8", "too few", "sensitivity 0.85, sensitivity 0.9"],
        ),
        (["x.jpeg", "--specificity", "0.9", "--sensitivity", "0.9"], 2, ["not allowed with"]),
        (["x.jpeg", "--sensitivity", "2"], 2, ["--sensitivity", "not between 0 and 1"]),
        (["x.jpeg", "--csv", "gate/sitecustomize.py"], 1, ["is another table"]),
        (["x.jpeg", "--csv", "nowhere/o.csv"], 1, ["nowhere", "No such file"]),
        (["x.jpeg", "--csv", "empty"], 1, ["empty", "not a regular file"]),
        (["x.jpeg", "--heatmap", "others/a.txt"], 1, ["others/a.txt"]),
        ([], 2, ["PHOTO"]),
    ],
)
def test_bad_input(work, args, code, words):
    (work / "empty").mkdir(exist_ok=True)
    (work / "others").mkdir(exist_ok=True)
    (work / "others" / "a.txt").write_text("")
    (work / "others" / "b").write_text("")
    done = predict(work, *args, code=code)
    one_sentence(done, *words)
    assert done.stdout == ""


def test_a_model_folder_that_was_tampered_with(work, tmp_path):
    """Only model.tflite and config.json are needed; one changed byte is detected."""
    for name in (LITE_NETWORK, "config.json"):
        shutil.copy(work / "models/cnn" / name, tmp_path)
    photograph = work / "source/train/h0_left.jpeg"
    assert "no DR" in predict(work, photograph, "--model", tmp_path).stdout
    data = bytearray((tmp_path / LITE_NETWORK).read_bytes())
    data[-100] ^= 1
    (tmp_path / LITE_NETWORK).write_bytes(data)
    one_sentence(
        predict(work, photograph, "--model", tmp_path, code=1), "model.tflite is not the file that training wrote"
    )
    (tmp_path / LITE_NETWORK).unlink()
    one_sentence(
        predict(work, photograph, "--model", tmp_path, code=1), "model.tflite is missing", "python -m eyenet.model.lite"
    )


def test_what_the_operating_point_reached_is_told(work, tmp_path):
    """Not its aim, but the figures on the test patients with their intervals, or that there are none."""
    photograph, model = work / "source/train/h0_left.jpeg", tmp_path / "model"
    shutil.copytree(work / "models/cnn", model)
    (model / "metrics.json").unlink(missing_ok=True)
    done = predict(work, photograph, "--model", model, "--sensitivity", 0.9)
    assert "operating point sensitivity_0.9: any DR: not measured; referable DR: not measured" in done.stderr
    found = {"sensitivity": {"value": 0.71, "low": 0.5, "high": 0.86}, "specificity": {"value": None}}
    eye = {"eye": {"operating_points": {"sensitivity_0.9": found}}}
    write = {"set": "unseen test patients", "questions": {"any": eye}}
    (model / "metrics.json").write_text(json.dumps(write))
    done = predict(work, photograph, "--model", model, "--sensitivity", 0.9)
    assert "sensitivity_0.9 on unseen test patients: any DR: sensitivity 71% (50%-86%); ref" in done.stderr


def test_without_litert(work, tmp_path):
    (tmp_path / "ai_edge_litert").mkdir()
    (tmp_path / "ai_edge_litert" / "__init__.py").write_text("raise ImportError('no such wheel')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = run("predict.py", "source/train/h0_left.jpeg", cwd=work, env=environment, code=1)
    one_sentence(done, "LiteRT", "no such wheel", "pip install -r requirements-predict.txt")


def test_it_starts_without_what_is_slow(work, tmp_path):
    """Packages that take seconds to import must not be imported."""
    code = """
import runpy, sys
def say():
    slow = {"keras", "tensorflow", "jax", "torch", "pandas", "sklearn", "scipy", "matplotlib", "skimage", "pydicom"}
    slow.add("tqdm")
    print("imported", sorted(slow & sys.modules.keys()))
import atexit; atexit.register(say)
"""
    gate = tmp_path / "sitecustomize.py"
    gate.write_text(GATE + code)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    args = ["source/train/h0_left.jpeg", "--csv", tmp_path / "o.csv", "--heatmap", tmp_path / "maps"]
    assert "imported []" in run("predict.py", *args, fresh=True, cwd=work, env=environment).stdout


def test_the_example_of_the_screener(work):
    """With the packages of requirements-predict.txt only."""
    photograph = work / "data/download/train/s0001_left.jpeg"
    photograph.parent.mkdir(parents=True, exist_ok=True)
    photograph.write_bytes(take_photograph(seed=0, patient=1, eye="left", level=0))
    code = """
import sys
sys.modules.update(dict.fromkeys(["tensorflow", "keras", "pandas", "scipy", "sklearn", "skimage", "matplotlib"]))
import doctest
from eyenet.model import screener
failed, tried = doctest.testmod(screener)
assert not failed and tried == 6, (failed, tried)
"""
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=work, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr


def as_dicom(path, pixels, colours, eye="R", jpeg=None, **values):
    """Write a DICOM ophthalmic photograph of (rows, columns[, 3]) pixels, or of a JPEG of them."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.encaps import encapsulate
    from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
    dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.PatientBirthDate = "MRN 77", "Doe^Jane", "19560401"
    dataset.ImageLaterality = eye
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = colours, 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.PixelData = encapsulate([jpeg]) if jpeg else pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_dicom_says_what_the_same_picture_says(work, tmp_path):
    """In all colour spaces, with eye and patient from the header, and no other field of it."""
    source = work / "source/train/h1_left.jpeg"
    image = Image.open(source)
    rgb, ycc = np.asarray(image), np.asarray(image.convert("YCbCr"))
    grey, few = np.asarray(image.convert("L")), image.quantize(200)
    palette = np.array(few.getpalette()).reshape(-1, 3).astype(np.uint16) * 257
    tables = {
        "RedPaletteColorLookupTableData": 0,
        "GreenPaletteColorLookupTableData": 1,
        "BluePaletteColorLookupTableData": 2,
    }
    palettes = {name: palette[:, i].tobytes() for name, i in tables.items()}
    palettes |= {name.replace("Data", "Descriptor"): [len(palette), 0, 16] for name in tables}
    folder, pictures = tmp_path / "dicom", tmp_path / "pictures"
    folder.mkdir()
    pictures.mkdir()
    as_dicom(folder / "a.dcm", rgb, "RGB", eye="L")
    as_dicom(folder / "b.DCM", rgb, "YBR_FULL_422", jpeg=source.read_bytes())
    as_dicom(folder / "c", ycc, "YBR_FULL")
    as_dicom(folder / "d.dicom", grey, "MONOCHROME2")
    as_dicom(folder / "e.dcm", 65535 - grey.astype(np.uint16) * 257, "MONOCHROME1")
    as_dicom(folder / "f.dcm", np.asarray(few), "PALETTE COLOR", **palettes)
    done = predict(work, folder, "--json", "--csv", tmp_path / "o.csv", "--heatmap", tmp_path / "maps")
    photographs, patients = rows_of(done)
    for i, picture in enumerate([image, image, image, image.convert("L"), image.convert("L"), few.convert("RGB")]):
        if i == 1:
            shutil.copy(source, pictures / "1.jpeg")
        else:
            picture.save(pictures / f"{i}.png")
    plain, _ = rows_of(predict(work, pictures, "--json"))
    for row, same in zip(photographs, plain):
        ours, theirs = (found["questions"]["any"]["probability"] for found in (row, same))
        assert abs(ours - theirs) < (0.01 if row["photograph"].endswith("c") else 1e-6), row["photograph"]
    assert [row["eye"] for row in photographs] == ["left"] + 5 * ["right"]
    assert {row["patient"] for row in photographs} == {"MRN 77"} == patients.keys()
    written = done.stdout + done.stderr + (tmp_path / "o.csv").read_text()
    assert "Doe" not in written and "1956" not in written


def test_dicom_that_cannot_be_used(work, tmp_path):
    rgb = np.asarray(Image.open(work / "source/train/h1_left.jpeg"))
    whole = as_dicom(tmp_path / "b_left.dcm", rgb, "RGB")
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.dcmread(whole)
    del dataset.PixelData
    dataset.save_as(tmp_path / "a.dcm")
    whole.write_bytes(whole.read_bytes()[:4000])
    as_dicom(tmp_path / "c.dcm", rgb, "RGB", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    as_dicom(tmp_path / "d.dcm", rgb, "RGB", Rows=40000, Columns=40000)
    (tmp_path / "e.dcm").write_bytes(bytes(128) + b"DICM" + bytes(300))
    done = predict(work, tmp_path, "--json", code=3)
    reasons = [row["reasons"][0] for row in rows_of(done)[0]]
    for reason, words in zip(
        reasons,
        (
            "is not a photograph, but DICOM of the kind Basic Text SR Storage",
            "contains no image",
            "damaged",
            "40000 x 40000 pixels",
            "DICOM file",
        ),
    ):
        assert words in reason
    assert len(reasons) == 5 and rows_of(done)[0][2]["patient"] == "MRN 77"
    assert [row["result"] for row in rows_of(done)[0]] == ["left out"] + 4 * ["not read"]
    (tmp_path / "no" / "pydicom").mkdir(parents=True)
    (tmp_path / "no" / "pydicom" / "__init__.py").write_text("raise ImportError")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "no")}
    done = run("predict.py", tmp_path / "c.dcm", cwd=work, env=environment, code=3)
    assert "pip install -r requirements-dicom.txt" in done.stdout


@needs_real("eyepacs-full")
def test_real_photographs_through_the_real_gate(work):
    """The gate judges the natural crop, before the colours are converted for the network."""
    from eyenet.photo.quality import SIDE, judge
    from eyenet.photo.retina import crop_photograph

    paths = sorted((REAL / "eyepacs-full" / "train").glob("*.jpeg"))
    photographs, _ = rows_of(predict(work, *paths, "--json", gate=False))
    for path, row in zip(paths, photographs):
        verdict = judge(*crop_photograph(path, SIDE))
        assert (row["result"] == "photograph again") == (not verdict.gradable)
        assert abs(row["quality"] - verdict.score) < 1e-3


def test_heat_maps_never_overwrite_photographs(work, tmp_path):
    Image.fromarray(draw_photograph(dots=12)).save(tmp_path / "x_left.png")
    before = (tmp_path / "x_left.png").read_bytes()
    one_sentence(predict(work, tmp_path, "--heatmap", tmp_path, code=1), "contains the photographs")
    assert (tmp_path / "x_left.png").read_bytes() == before
    (tmp_path / "clinic").mkdir()
    Image.fromarray(draw_photograph(dots=9)).save(tmp_path / "clinic" / "x_left.png")
    other = predict(work, tmp_path / "clinic", "--heatmap", tmp_path, code=1)
    one_sentence(other, "is no heat map, and one would overwrite it")
    assert (tmp_path / "x_left.png").read_bytes() == before


def test_a_photograph_without_a_heat_map_leaves_no_older_one(work, tmp_path):
    """A retake that the gate rejects must not stand beside the evidence of the photograph before it."""
    maps, place = tmp_path / "maps", tmp_path / "x_left.png"
    Image.fromarray(draw_photograph(dots=12)).save(place)
    predict(work, place, "--heatmap", maps)
    assert (maps / "x_left.png").exists()
    Image.new("RGB", (480, 360), "grey").save(place)
    assert "photograph again" in predict(work, place, "--heatmap", maps).stdout and not list(maps.iterdir())


def test_heat_maps_are_named_after_what_tells_the_patient(tmp_path):
    """A name does not depend on the order of the photographs, nor on which others there are beside the equal ones."""
    paths = [Path(p) for p in ("7/left.jpg", "8/LEFT.jpg", "c/9_left.jpg", "c/9_left.png", "d/10_left.jpg")]
    paths += [Path(f"{place}/{'x' * 246}.jpeg") for place in "ef"]
    named = {path: target.name for path, target in name_heat_maps(paths, tmp_path).items()}
    names = ["7_left", "8_LEFT", "9_left.jpg", "9_left.png", "10_left", "x" * 30 + "-2", "x" * 30 + "-3"]
    assert list(named.values()) == [f"{name}.png" for name in names]
    assert all(name_heat_maps(paths[:5][::-1], tmp_path)[path].name == named[path] for path in paths[:5])
    assert name_heat_maps(paths[:1], tmp_path)[paths[0]].name == "7_left.png"


def test_a_row_keeps_its_own_heat_map_when_photographs_come_later(work, tmp_path):
    """A later photograph of an equal name must not put its heat map under the name in the earlier row."""
    places, maps, table = [tmp_path / name for name in "abc"], tmp_path / "maps", tmp_path / "o.csv"
    for place, source in zip(places, sorted((work / "source/train").glob("*.jpeg"))):
        place.mkdir()
        copy_photograph(source, place / "1_left.jpeg")
    for some in (places[2:], places[1:], places):
        predict(work, *some, "--csv", table, "--heatmap", maps)
    rows = [row for row in read_csv(table) if row["heatmap"]]
    assert len(rows) == 3
    for row in rows:
        predict(work, row["photograph"], "--heatmap", tmp_path / "alone")
        shown, alone = (np.asarray(Image.open(path)) for path in (row["heatmap"], tmp_path / "alone" / "1_left.png"))
        assert (shown[LINE:] == alone[LINE:]).all()  # below the name


def test_a_table_is_not_continued_with_other_thresholds_or_exchanged_files(work, tmp_path):
    """Neither the network nor size and time of the files tell of these."""
    model, table = shutil.copytree(work / "models/cnn", tmp_path / "model"), tmp_path / "o.csv"
    (tmp_path / "clinic").mkdir()
    places = [tmp_path / "clinic" / f"{patient}_left.bmp" for patient in (1, 2)]
    for place, dots in zip(places, (0, 12)):
        Image.fromarray(draw_photograph(dots=dots)).save(place)
        os.utime(place, (10**9, 10**9))
    args = (tmp_path / "clinic", "--model", model, "--csv", table)
    predict(work, *args)
    before = {row["photograph"]: row["any_probability"] for row in read_csv(table) if row["unit"] == "photograph"}
    places[0].rename(tmp_path / "x")
    places[1].rename(places[0])
    (tmp_path / "x").rename(places[1])
    predict(work, *args)
    after = {row["photograph"]: row["any_probability"] for row in read_csv(table) if row["unit"] == "photograph"}
    assert list(after.values()) == list(before.values())[::-1] and len(set(after.values())) == 2
    config = json.loads((model / "config.json").read_text())
    config["decision"]["any"]["eye"]["operating_points"]["balanced"] += 0.01
    (model / "config.json").write_text(json.dumps(config))
    one_sentence(predict(work, *args, code=1), "was made with rules")


def test_names_that_the_terminal_does_not_hold(work, tmp_path):
    Image.fromarray(draw_photograph()).save(tmp_path / "zdj\u0119cie_left.png")
    path = os.pathsep.join([str(work / "gate"), os.environ.get("PYTHONPATH", "")])
    done = run("predict.py", tmp_path, cwd=work, env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "cp1252"})
    assert "zdj?cie_left.png" in done.stdout


def test_pages_links_and_left_out_files(work, tmp_path, answers):
    """The second page counts; what is no photograph is listed, and the exit code is 0."""
    well, ill = (
        next(row["photograph"] for row in answers[0] if row["result"] == result) for result in ("no DR", "referable DR")
    )
    clinic, elsewhere = tmp_path / "clinic", tmp_path / "elsewhere"
    clinic.mkdir()
    elsewhere.mkdir()
    with Image.open(work / well) as first, Image.open(work / ill) as second:
        first.convert("RGB").save(clinic / "scan.tiff", save_all=True, append_images=[second.convert("RGB")])
    shutil.copy(work / ill, elsewhere / "no ending")
    (clinic / "linked").symlink_to(elsewhere, target_is_directory=True)
    (clinic / "report.pdf").write_bytes(b"%PDF-1.7")
    as_dicom(clinic / "DICOMDIR", np.zeros((4, 4, 3), np.uint8), "RGB", SOPClassUID="1.2.840.10008.1.3.10")
    shutil.copy(work / ill, os.fsencode(clinic) + b"/m\xfcller.jpeg")
    maps = tmp_path / "maps"
    done = predict(work, clinic, "--json", "--csv", tmp_path / "o.csv", "--heatmap", maps)
    results = {row["photograph"].rsplit("/", 1)[1]: row["result"] for row in rows_of(done)[0]}
    assert results == {
        "DICOMDIR": "left out",
        "report.pdf": "left out",
        "m\ufffdller.jpeg": "referable DR",
        "scan.tiff[1]": "no DR",
        "scan.tiff[2]": "referable DR",
        "no ending": "referable DR",
    }
    assert [row["result"] for row in read_csv(tmp_path / "o.csv")] == list(results.values())
    assert sorted(os.listdir(maps)) == ["m\ufffdller.png", "no ending.png", "scan.tiff[1].png", "scan.tiff[2].png"]


def test_closed_streams(work, tmp_path):
    """The table is complete, and holds nothing that was meant for the terminal."""
    command = [sys.executable, str(REPO / "predict.py"), "source/train/h0_left.jpeg", "--csv", str(tmp_path / "o.csv")]
    environment = os.environ | {"PYTHONPATH": str(work / "gate")}
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        (tmp_path / "o.csv").unlink(missing_ok=True)
        line = ["bash", "-c", f'"$@" {closed}', "bash", *command]
        assert subprocess.run(line, cwd=work, env=environment, check=False, capture_output=True).returncode == 0
        row = read_csv(tmp_path / "o.csv")[0]
        assert row["result"] == "no DR"


def test_a_model_of_the_preprocessing_before(work, tmp_path, answers):
    """Version 2 prepares a plain photograph as version 1 did, but for a more exact circle, as a note says."""
    for name in (LITE_NETWORK, "config.json"):
        shutil.copy(work / "models/cnn" / name, tmp_path)
    config = (tmp_path / "config.json").read_text()
    assert config.count('"preprocessing": 2') == 1
    (tmp_path / "config.json").write_text(config.replace('"preprocessing": 2', '"preprocessing": 1'))
    done = predict(work, "source/train/h0_left.jpeg", "--model", tmp_path, "--json")
    assert rows_of(done)[0][0]["questions"] == answers[0][0]["questions"]
    assert "trained with version 1 of the preprocessing; this version, 2, finds the circle" in done.stderr


def test_the_field_of_the_model_and_of_the_option(work, tmp_path):
    """The model was trained with `--field auto`: a picture full of retina is graded, unless a circle is asked for."""
    config = json.loads((work / "models/cnn/config.json").read_text())
    assert field_of(config["settings"]["images"]) == "auto" and field_of({"input": {}}) == "circle"
    window, _ = stress.windows(stress.stressed(stress.plain), stress.CIRCLE, 0.6)
    window.save(tmp_path / "x.png")
    table = tmp_path / "rows.csv"
    done = predict(work, tmp_path / "x.png", "--json", "--csv", table)
    (row,), _ = rows_of(done)
    assert (row["asked_field"], row["field"]) == ("auto", "frame") and "questions" in row
    assert "(0 by the circle of the retina, 1 as a whole frame)" in done.stderr
    assert read_csv(table)[0]["field"] == "frame"
    done = predict(work, tmp_path / "x.png", "--json", "--field", "circle")
    (row,), _ = rows_of(done)
    assert row["result"] == "photograph again" and "no retina found" in row["reasons"][1]
    assert "was trained with --field auto; its figures do not hold for circle" in done.stderr
    one_sentence(predict(work, tmp_path / "x.png", "--csv", table, "--field", "frame", code=1), "asked_field auto")
