"""The protocol of 2017 as a user builds it: its counts, its pixels, and that the audit finds it leaking."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import make_dataset, read_csv, run, run_stages, write_csv
from test_audit import CHECKS, call

from eyenet.data.array import open_array, rows_by_split


@pytest.fixture(scope="module")
def of_2017(tmp_path_factory):
    """The array of 2017 of the photographs of 40 patients, 10 of them with DR, as a user builds it."""
    work = tmp_path_factory.mktemp("work")
    make_dataset(work / "dataset", patients=60, width=200, height=160, radius=72)
    run_stages(work / "dataset", work, size=64, upto=3)
    few = [
        row for row in read_csv(work / "preprocessed.csv") if row["level"] == "0" or int(row["patient"][1:]) % 6 == 1
    ]
    write_csv(work / "preprocessed.csv", [few[0].keys(), *(row.values() for row in few)])
    paths = ("--input", work / "preprocessed", "--labels", work / "preprocessed.csv", "--output", work / "array-2017")
    done = run("audit_leakage.py", "--protocol", "2017", *paths)
    return work, done, paths


def test_protocol_of_2017_counts(of_2017):
    work, done, _ = of_2017
    photographs = read_csv(work / "preprocessed.csv")
    unseen = {p["patient"] for p in photographs if p["split"] == "test"}
    used = [p for p in photographs if p["split"] != "test"]
    images = sum(2 if p["level"] == "0" else 6 for p in used)
    test = -(-images // 5)
    val = -(-(images - test) // 5)
    counts = {"train": images - test - val, "val": val, "test": test, "unseen": 2 * len(unseen)}
    pixels, table, sidecar = open_array(work / "array-2017")
    assert unseen and table["split"].value_counts().to_dict() == counts and pixels.shape[1:] == (64, 64, 3)
    assert ", ".join(f"{split} {n}" for split, n in counts.items()) in done.stdout
    assert "next: python cnn.py --input" in done.stdout
    assert sidecar["settings"]["protocol"] == "2017"
    of_unseen = table[table["split"] == "unseen"]
    assert set(of_unseen["patient"]) == unseen and set(of_unseen["transform"]) == {"original"}
    assert not unseen & set(table.loc[table["split"] != "unseen", "patient"])
    assert table["image"].is_unique and len(rows_by_split(table, sidecar["settings"])["test"]) == test


def test_protocol_of_2017_pixels(of_2017):
    work = of_2017[0]
    pixels, table, _ = open_array(work / "array-2017")
    by_turn = table.assign(row=range(len(table))).groupby("transform")["row"].first()
    for name, row in by_turn.items():
        corners = pixels[row][[0, 0, -1, -1], [0, -1, 0, -1]].max(axis=1)
        assert (corners < 20).all() if name == "rot120" else (corners > 30).all(), name
    source = pd.Series(range(len(table)), index=table["image"])
    turned = table[(table["transform"] == "rot180")].iloc[0]
    original = pixels[source[turned["image"].removesuffix("_180")]].astype(int)
    difference = np.abs(pixels[source[turned["image"]]][::-1, ::-1] - original)
    assert 0 < difference.mean() < 3  # compressed once more


def test_protocol_of_2017_leaks(of_2017, capsys, monkeypatch):
    work = of_2017[0]
    code, out, _ = call(capsys, monkeypatch, "--input", work / "array-2017", "--json", work / "audit.json")
    assert code == 1
    checks = dict(zip(CHECKS, json.loads((work / "audit.json").read_text())["checks"].values()))
    rows = read_csv(work / "array-2017" / "labels.csv")
    of = {split: [r for r in rows if r["split"] == split] for split in ("train", "val", "test")}
    trained = {(r["patient"], r["eye"]) for r in of["train"]}
    assert checks["photograph"]["figures"] == {
        "rows": sum((r["patient"], r["eye"]) in trained for r in of["test"]),
        "of": len(of["test"]),
        "not_compared": 0,
    }
    patients = {r["patient"] for r in of["train"]}
    assert checks["val patient"]["figures"]["rows"] == sum(r["patient"] in patients for r in of["val"])
    right = [r["transform"].startswith("rot") == (r["level"] != "0") for r in of["test"]]
    assert checks["copy"]["figures"]["test"]["rule"] == pytest.approx(np.mean(right))
    assert [check for check in CHECKS if checks[check]["verdict"] == "LEAK"] == CHECKS
    assert out.splitlines()[-1] == "verdict: LEAK in 11 of 11 checks"
    assert f"rows used: train {len(of['train'])}, val {len(of['val'])}, test {len(of['test'])}" in out


def test_protocol_of_2017_again_and_with_damage(of_2017):
    work, _, paths = of_2017
    before = (work / "array-2017" / "X.npy").read_bytes()
    run("audit_leakage.py", "--protocol", "2017", *paths)
    assert (work / "array-2017" / "X.npy").read_bytes() == before
    done = run("audit_leakage.py", "--protocol", "2017", *paths, "--seed", 1, code=1)
    assert "was made with other settings" in done.stderr
    damaged = work / "preprocessed" / "h0_left.png"
    whole = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(whole[:2000])
    run("audit_leakage.py", "--protocol", "2017", *paths)
    table = open_array(work / "array-2017")[1]
    assert not table["image"].str.startswith("h0_left").any() and table["image"].str.startswith("h0_right").any()
    assert [row["image"] for row in read_csv(work / "array-2017" / "rejected.csv")] == ["h0_left.png"]
