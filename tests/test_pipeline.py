"""The README's first command, on existing photographs and on the sample, in the environment of the tests."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import REPO, first_of, one_sentence, read_csv, run, run_stages, write_csv
from sklearn.metrics import roc_auc_score

import make_sample
from eyenet.data.array import open_array, rows_by_split
from eyenet.model.folder import LITE_NETWORK, open_model
from eyenet.model.lite import LiteNetwork

ENVIRONMENT = {**os.environ, "EYENET_VENV": sys.prefix}
WORDS = ("No_DR", "Mild", "Moderate", "Severe", "Proliferate_DR")
needs_venv = pytest.mark.skipif(
    not (Path(sys.prefix) / "pyvenv.cfg").exists(), reason="the tests do not run in a virtual environment"
)


def publish(sample, folder):
    """Link photographs of the sample as two sets: in folders of grades, and in one for each patient, with a table."""
    names, rows = read_csv(sample / "trainLabels.csv")[:40], []
    for number, row in enumerate(names):
        patient, eye = row["image"].split("_")
        one = folder / "my data" / "images" / WORDS[int(row["level"])] / f"{row['image']}.jpeg"
        two = folder / "clinic" / "photos" / patient / f"{eye}.jpeg"
        target = one if number < 22 else two
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(sample / "train" / f"{row['image']}.jpeg", target)
        if number >= 22:
            rows.append(f"{patient}/{eye}.jpeg;{row['level']}\n")
    (folder / "clinic" / "codes.csv").write_text("id_code;diagnosis\n" + "".join(rows))
    return names


@needs_venv
def test_on_sets_as_they_were_published(sample, tmp_path):
    """Two sets, the whole way: in a path with a space, in other colours; then another folder of the same name."""
    names = publish(sample, tmp_path)
    args = ["--data", "my data", "clinic", "--work", "the work", "--workers", 1, "--colours", "equalized"]
    place, work = {"cwd": tmp_path, "env": ENVIRONMENT}, tmp_path / "the work"
    done = run("run_pipeline.sh", *args, "--", "--epochs", 1, **place)
    table = read_csv(work / "labels" / "preprocessed.csv")
    assert {row["source"] for row in table} == {"my data", "clinic"} and len(table) == len(names) - 2  # black, cut off
    grades = {row["image"].split("~", 1)[-1].replace("photos~", "").replace("~", "_"): row["level"] for row in table}
    assert grades.items() <= {(row["image"], row["level"]) for row in names}
    made = json.loads((work / "data" / "resized" / "stage.json").read_text())
    assert made["settings"]["colours"] == "equalized" and made["sources"] == ["my data", "clinic"]
    metrics = json.loads((work / "models" / "latest" / "metrics.json").read_text())
    tested = {row["source"] for row in table if row["split"] == "test"}
    groups = (metrics["subgroups"] or {"columns": {}})["columns"].get("source", {})
    assert groups.keys() == (tested if len(tested) > 1 else set()) and metrics["synthetic"] is True
    assert "say nothing about patients" in done.stdout and "unseen test patients" in done.stdout
    assert (work / "models" / "latest" / "model.keras").exists() and "next:" not in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[-5:]] == [
        "found",
        "false",
        "warning",
        "report",
        "more",
    ]
    assert "Synthetic photographs" in (work / "models" / "latest" / "report.html").read_text()
    (tmp_path / "other" / "my data").mkdir(parents=True)
    args[1] = "other/my data"
    one_sentence(run("run_pipeline.sh", *args, code=1, **place), "choose another --work")
    inside = ["--data", "clinic", "--work", "clinic/photos"]
    one_sentence(run("run_pipeline.sh", *inside, code=1, **place), "is among the photographs", "choose another --work")


@needs_venv
def test_on_the_sample(sample, tmp_path):
    """The README's command on synthetic photographs, with every fault of the sample, up to an option of cnn.py.

    It draws the last two.
    """
    first_of(sample, 22, tmp_path / "data" / "download")
    shutil.copy(sample / "train" / "stage.json", tmp_path / "data" / "download" / "train")
    args = ["--sample", 24, "--work", tmp_path, "--", "--epochs", 0]
    one_sentence(run("run_pipeline.sh", *args, code=2, env=ENVIRONMENT), "--epochs")
    assert len(read_csv(tmp_path / "labels" / "trainLabels.csv")) == 24
    levels = [int(row["level"]) for row in read_csv(tmp_path / "labels" / "preprocessed.csv")]
    assert len(read_csv(tmp_path / "data" / "array" / "labels.csv")) == sum(6 if level else 2 for level in levels)
    rejected = {row["image"] for row in read_csv(tmp_path / "data" / "resized" / "rejected.csv")}
    assert rejected == {"s0005_left.jpeg"}
    dropped = {row["image"]: row["reason"] for row in read_csv(tmp_path / "data" / "preprocessed" / "dropped.csv")}
    assert dropped.keys() == {"s0003_right", "s0005_left"}
    assert "all black" in dropped["s0003_right"]


def test_it_learns_the_sample(tmp_path):
    """Drawings of the sample with grade 0 or 4, at 96 px: on unseen patients, eight epochs reach an AUC above 0.9."""
    rows = [("image", "level")]
    (tmp_path / "train").mkdir()
    for patient, eye in itertools.product(range(21, 45), make_sample.EYES):
        if make_sample.draw_accident(0, patient, eye) is None:
            name, level = make_sample.photograph_name(patient, eye), 4 * (patient % 2)
            photograph = make_sample.take_photograph(0, patient, eye, level)
            (tmp_path / "train" / f"{name}.jpeg").write_bytes(photograph)
            rows.append((name, level))
    write_csv(tmp_path / "trainLabels.csv", rows)
    array = run_stages(tmp_path, tmp_path, size=96, split=("--val", 0.2, "--test", 0.3)) / "array"
    run("cnn.py", "--input", array, "--epochs", 8, "--batch", 8, cwd=tmp_path)
    images, table, sidecar = open_array(array)
    unseen = rows_by_split(table, sidecar["settings"])["test"]
    model = tmp_path / "models" / "cnn"
    network = LiteNetwork(model, open_model(model, LITE_NETWORK))
    probability = [network(images[row])[0][1] for row in unseen]
    assert len(unseen) > 15 and roc_auc_score(table["level"][unseen] > 0, probability) > 0.9


@pytest.mark.parametrize(
    "args, code, words",
    [
        (["--frobnicate"], 2, ["unknown option --frobnicate"]),
        (["--data"], 2, ["--data needs a value: a folder"]),
        (["--labels", "x.csv"], 2, ["--labels goes with --data"]),
        (["--colours"], 2, ["--colours needs natural or equalized"]),
        (["--scheduler"], 2, ["--scheduler needs a URL"]),
        (["--data", "/nowhere"], 1, ["no folder /nowhere"]),
        (["--work", "/proc/x"], 1, ["cannot create the folder /proc/x"]),
    ],
)
def test_wrong_usage(args, code, words):
    one_sentence(run("run_pipeline.sh", *args, code=code, env=ENVIRONMENT), *words)


def test_no_python_and_a_foreign_folder(tmp_path):
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "cat", "dirname", "basename", "mkdir", "ls"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    place = {"PATH": str(tmp_path / "bin"), "EYENET_VENV": str(tmp_path / "venv"), "HOME": str(tmp_path)}
    done = run("run_pipeline.sh", "--work", tmp_path / "work", code=1, env=place)
    one_sentence(done, "Python 3.11, 3.12 or 3.13 is required")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "precious").write_text("mine")
    done = run("run_pipeline.sh", "--work", tmp_path / "work", code=1, env=place)
    one_sentence(done, "is not a Python environment")
    assert (tmp_path / "venv" / "precious").read_text() == "mine"


def tiny_package(folder):
    """Write a wheel with one module, and a requirements file that asks for it."""
    folder.mkdir()
    (folder / "req.txt").write_text("tiny>=1,<2\n")
    info = "tiny-1.0.dist-info"
    files = {"tiny.py": "", f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files |= {f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"}
    files |= {f"{info}/RECORD": "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])}
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return folder


def make_environment(here, **settings):
    """Call make_environment of eyenet/environment.sh, then import the package in the environment."""
    command = f'. "{REPO}/eyenet/environment.sh"; make_environment "{here}" req.txt && "$python" -I -c "import tiny"'
    command += """ && "$python" -c 'import tiny; print(tiny.__cached__)'"""
    local = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(here),
        "EYENET_VENV": str(here / "venv"),
        "PYTHON": sys.executable,
    }
    return subprocess.run(
        ["bash", "-c", command], check=False, capture_output=True, text=True, env=os.environ | local | settings
    )


def test_settings_of_pip_do_not_leave_an_empty_environment(tmp_path):
    """In a file, which also says which index to use, so it is read: an error. In variables: without effect."""
    here, elsewhere = tiny_package(tmp_path / "here"), str(tmp_path / "elsewhere")
    (tmp_path / "pip.conf").write_text(f"[install]\ntarget = {elsewhere}\n")
    done = make_environment(here, PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    assert done.returncode == 1 and not (here / "venv" / "eyenet-requirements").exists()
    one_sentence(done, "lacks tiny", "pip config list")
    names = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME")
    settings = dict.fromkeys(names, elsewhere) | {"PIP_USER": "1", "PIP_DRY_RUN": "1"}
    done = make_environment(here, PYTHONDONTWRITEBYTECODE="1", **settings)
    assert done.returncode == 0, done.stderr
    # Where no bytecode may stand beside the sources, the environment keeps it.
    (bytecode,) = (here / "venv" / "bytecode").rglob("tiny.*.pyc")
    assert done.stdout.split() == [str(bytecode)]
    (module,) = (here / "venv").glob("lib/python*/site-packages/tiny.py")
    assert make_environment(here).stderr == ""
    module.unlink()  # as an environment that an older version called complete
    again = make_environment(here, PYTHONPATH=str(here))
    assert "lacks tiny" in again.stderr


def test_help():
    assert "--data DIR" in run("run_pipeline.sh", "--help").stdout
