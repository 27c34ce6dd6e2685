"""The leak audit refuses damaged arrays, tables and arguments with one sentence, before it starts."""

import os

import numpy as np
import pytest
from conftest import run, write_csv
from test_audit import call, clean, save

__all__ = ["clean"]  # a fixture, found by name


def broken_array(folder, images, table, how):
    save(folder, images, table)
    if how == "no X.npy":
        (folder / "X.npy").unlink()
    elif how == "text":
        (folder / "X.npy").write_text("hello")
    elif how == "floats":
        np.save(folder / "X.npy", images[:9].astype(np.float32))
    elif how == "tiny":
        np.save(folder / "X.npy", images[:, ::8, ::8])
    elif how == "rows":
        np.save(folder / "X.npy", images[:-1])
    elif how == "no split":
        table.drop(columns="split").to_csv(folder / "labels.csv", index=False)
    elif how == "split":
        table.assign(split="training").to_csv(folder / "labels.csv", index=False)
    elif how == "no test":
        table.assign(split="train").to_csv(folder / "labels.csv", index=False)
    elif how == "json":
        (folder / "X.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    "how, words",
    [
        ("no X.npy", "has no X.npy"),
        ("text", "X.npy is damaged, incomplete or no array; pack it again"),
        ("floats", "is float32 of shape (9, 128, 128, 3); the audit needs uint8"),
        ("tiny", "are 16 pixels wide; the audit needs 32"),
        ("rows", "has 120 rows and X.npy 119 images"),
        ("no split", "has no column split"),
        ("split", "split is 'training', and must be one of"),
        ("no test", "no row of the table is in the split 'test'"),
        ("json", "has no complete X.json"),
    ],
)
def test_bad_arrays(clean, tmp_path, capsys, monkeypatch, how, words):
    folder = broken_array(tmp_path / "array", *clean, how)
    code, out, error = call(capsys, monkeypatch, "--input", folder)
    assert code == 1 and not out and words in error and "error: " in error


@pytest.mark.parametrize(
    "args, code, words",
    [
        (["--input", "gone"], 1, "there is no folder gone"),
        (["--labels", "gone.csv"], 1, "there is no table gone.csv"),
        (["--labels", "data.csv"], 1, "data.csv has no column split, and its name is not train.csv"),
        (["--labels", "train.csv", "test.csv"], 1, "differ in their columns (level)"),
        (["--labels", "test.csv", "--input", "x"], 2, "--input or --labels, not both"),
        (["--labels", "both.csv", "--json", "none/a.json"], 1, "there is no writable folder none"),
        (["--labels", "both.csv", "--report", "none/a.csv"], 1, "there is no writable folder none"),
        (["--labels", "both.csv", "--json", "pipe"], 1, "pipe exists and is not a regular file"),
        (["--labels", "both.csv", "--report", "link"], 1, "link exists and is not a regular file"),
        (["--labels", "both.csv", "--report", "."], 1, "--report . exists and is not a regular file"),
        (["--labels", "both.csv", "--report", "both.csv"], 1, "both.csv would overwrite a file of this audit"),
        (["--labels", "both.csv", "--report", "x", "--json", "./x"], 1, "would overwrite a file of this audit"),
        (["--limit", "2"], 2, "is not between 0 and 1"),
    ],
)
def test_bad_arguments(tmp_path, capsys, monkeypatch, args, code, words):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data.csv", [("image",), ("p1_left",)])
    write_csv(tmp_path / "train.csv", [("image", "level"), ("p1_left", 0)])
    write_csv(tmp_path / "test.csv", [("image",), ("p2_left",)])
    write_csv(tmp_path / "both.csv", [("image", "split"), ("p1_left", "train"), ("p2_left", "test")])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(os.devnull)
    left, out, error = call(capsys, monkeypatch, *args)
    assert left == code and not out and words in error and "error: " in error


def test_folders_that_tell_photographs_apart(tmp_path):
    """With one folder per patient, equal names in different folders are not a leak."""
    rows = [(f"p{i}/{eye}.png", f"p{i}", "train" if i < 4 else "test") for i in range(8) for eye in ("left", "right")]
    table = write_csv(tmp_path / "t.csv", [("image", "patient", "split"), *rows])
    assert "no leak found" in run("audit_leakage.py", "--labels", table).stdout
    leak = write_csv(tmp_path / "l.csv", [("image", "patient", "split"), *rows, ("p1/left.png", "q1", "test")])
    assert "1 of 9" in run("audit_leakage.py", "--labels", leak, code=4).stdout
