"""The folder of a model: what `latest` names, errors of Keras, and Keras's own settings and messages."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import REPO

from eyenet.data.names import SPLITS
from eyenet.model import backend
from eyenet.model.folder import LITE_NETWORK, NETWORK, name_latest, open_model
from eyenet.model.lite import LiteNetwork
from eyenet.model.loading import load_network
from eyenet.model.patients import read_patients
from eyenet.retraining.promotion import current_model
from eyenet.run.errors import StageError
from eyenet.run.files import follow, sha256
from eyenet.run.options import model_path


@pytest.fixture
def models(tmp_path):
    """Two folders of models, which nobody opens."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    return tmp_path


def without_links(*args):
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
def test_latest_names_the_last_model_with_and_without_links(models, monkeypatch, links):
    """ExFAT and cloud drives have no links; there `latest` is a text file, which every reader follows."""
    monkeypatch.setattr("eyenet.retraining.promotion.open_model", lambda folder: None)
    if not links:
        monkeypatch.setattr(Path, "symlink_to", without_links)
    for name in ("old", "new"):
        name_latest(models / name)
        assert (models / "latest").is_symlink() == links
        for read in (follow, model_path, current_model):
            given = models if read is current_model else str(models / "latest")
            assert Path(read(given)).resolve() == models / name
    monkeypatch.undo()
    monkeypatch.setattr("eyenet.retraining.promotion.open_model", lambda folder: None)
    name_latest(models / "old")
    assert current_model(models).name == "old" and len(list(models.iterdir())) == 3


def test_a_folder_called_latest_is_kept_under_another_name(models):
    """A zip, a cloud drive or `cp -L` makes a folder of the link; the next step would score that old model."""
    for number, name in ((1, "old"), (2, "new")):
        (models / "latest").unlink(missing_ok=True)
        (models / "latest").mkdir()
        (models / "latest" / "model.keras").write_text(name)
        name_latest(models / name)
        assert follow(models / "latest").resolve() == models / name
        assert (models / f"latest-{number}" / "model.keras").read_text() == name


@pytest.mark.parametrize("text", [b"", b"../old", b"nothing", b"\xff"])
def test_a_file_that_names_no_model_is_no_latest(models, text):
    (models / "latest").write_bytes(text)
    assert follow(models / "latest") == models / "latest"
    with pytest.raises(StageError, match="latest does not name a model"):
        current_model(models)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"files": True, "versions": {"keras": "3.0.1"}},
            ["is whole, but Keras", "made with keras 3.0.1", "keras==3.0.1"],
        ),
        ({"files": True}, ["is whole, but Keras cannot read it", "train again with another --run"]),
        ({}, ["may be damaged", "copy the whole folder again"]),
    ],
)
def test_an_error_of_keras_names_the_versions_and_never_advises_to_delete(models, config, words):
    """After an upgrade of Keras, a model that cannot be read may be good."""
    path = models / "new" / "model.keras"
    path.write_bytes(b"no zip")
    if "files" in config:
        config["files"] = {"model.keras": sha256(path)}
    with pytest.raises(StageError) as caught:
        load_network(models / "new", {"size": 64, "classes": ["a", "b"]} | config)
    assert all(word in str(caught.value) for word in words) and "delete" not in str(caught.value)


def test_settings_of_keras_do_not_count(tmp_path):
    """Neither values that Keras takes nor those that it refuses: it does not read the file."""
    settings = {"floatx": "half", "epsilon": 0.01, "backend": "theano", "image_data_format": "channels_first"}
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    code = "from eyenet.model import backend; c = backend.start('float32', 0).config\n"
    code += "print(c.floatx(), c.epsilon(), c.image_data_format(), c.max_epochs(), c.backend(), c.dtype_policy().name)"
    environment = os.environ | {"HOME": str(tmp_path), "KERAS_MAX_EPOCHS": "1"}
    environment.pop("KERAS_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=REPO, env=environment
    )
    used = os.environ.get("KERAS_BACKEND", "tensorflow")
    assert done.stdout.split() == ["float32", "1e-07", "channels_last", "None", used, "float32"], done.stderr


HIDING = """
import os, threading
from eyenet.model.backend import hidden_stderr
from eyenet.run.errors import log
inside = threading.Barrier(2, timeout=1800)

def hide():
    with hidden_stderr():
        os.write(2, b"native\\n")
        log("own")

with hidden_stderr():
    thread = threading.Thread(target=lambda: (log("other"), inside.wait(), hide()))
    thread.start()
    inside.wait()
    os.write(2, b"native\\n")
    log("own")
thread.join()
log("after")
os.write(2, b"at last\\n")
with hidden_stderr():
    os.write(2, b"why\\n")
    raise SystemExit(7)
"""


def test_only_the_lines_of_native_libraries_and_this_thread_are_hidden():
    """Two threads at once, as workers of a cluster that open a model: stderr is whole afterwards."""
    done = subprocess.run([sys.executable, "-c", HIDING], check=False, capture_output=True, text=True, cwd=REPO)
    assert done.returncode == 7 and done.stderr.splitlines() == ["other", "after", "at last", "why"]


def test_a_closed_stderr_is_left_alone(tmp_path):
    """Descriptor 2 is then the first file that is opened."""
    code = "from eyenet.model.backend import hidden_stderr\nfile = open('out', 'w')\n"
    code += "with hidden_stderr():\n    print('kept', file=file, flush=True)"
    command = f"exec 2>&-; PYTHONPATH='{REPO}' '{sys.executable}' -c \"{code}\""
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    assert (tmp_path / "out").read_text() == "kept\n"


def test_a_model_from_before_the_rooms_of_eyenet_is_read_and_answers_as_then(tmp_path):
    """The zip holds a training at commit f081090: three layers at 32 px, two epochs on drawings."""
    with zipfile.ZipFile(Path(__file__).parent / "model_before_rooms.zip") as packed:
        packed.extractall(tmp_path)
    with zipfile.ZipFile(tmp_path / NETWORK) as saved:
        described = saved.read("config.json")
    assert b'"module"' in described and b"eyenet" not in described  # so no move of a module can break it
    photographs = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    then = [[0.51399046, 0.48600951], [0.51611263, 0.48388731]]  # what that commit computed
    backend.start("float32", 0)
    network = load_network(tmp_path, open_model(tmp_path))
    assert np.allclose(network.predict(photographs, verbose=0), then, atol=1e-5)
    lite = LiteNetwork(tmp_path, open_model(tmp_path, LITE_NETWORK))
    assert np.allclose([lite(photograph)[0] for photograph in photographs], then, atol=1e-5)
    assert read_patients(tmp_path)["split"].isin(SPLITS).all()
