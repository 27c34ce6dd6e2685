"""The array of the 2017 protocol: its counts, its pixels, and the leaks that the audit finds."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import make_dataset, read_csv, run, run_stages, write_csv
from test_audit import CHECKS, call

from eyenet.data.array import open_array, rows_by_split


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The array of 2017 from the photographs of 45 patients, 15 of them with DR."""
    work = tmp_path_factory.mktemp("work")
    make_dataset(work / "dataset", patients=60, width=200, height=160, radius=72)
    run_stages(work / "dataset", work, size=64, upto=3)
    few = [
        row for row in read_csv(work / "preprocessed.csv") if row["level"] == "0" or int(row["patient"][1:]) % 4 == 1
    ]
    write_csv(work / "preprocessed.csv", [few[0].keys(), *(row.values() for row in few)])
    for folder, name in (("data", "preprocessed"), ("labels", "preprocessed.csv")):
        (work / folder).mkdir()
        (work / name).rename(work / folder / name)
    return work, run("benchmarks/protocols.py", "--array-only", "--work", work)


def test_protocol_of_2017_counts(built):
    work, done = built
    photographs = read_csv(work / "labels" / "preprocessed.csv")
    unseen = {p["patient"] for p in photographs if p["split"] == "test"}
    used = [p for p in photographs if p["split"] != "test"]
    images = sum(2 if p["level"] == "0" else 6 for p in used)
    test = -(-images // 5)
    val = -(-(images - test) // 5)
    counts = {"train": images - test - val, "val": val, "test": test, "unseen": 2 * len(unseen)}
    pixels, table, sidecar = open_array(work / "data" / "array-2017")
    assert unseen and table["split"].value_counts().to_dict() == counts and pixels.shape[1:] == (64, 64, 3)
    assert ", ".join(f"{split} {n}" for split, n in counts.items()) in done.stdout
    assert done.stdout.splitlines()[-1].endswith("--run protocol-2017 --network three_layers_2017")
    assert sidecar["settings"]["protocol"] == "2017"
    unseen_rows = table[table["split"] == "unseen"]
    assert set(unseen_rows["patient"]) == unseen and set(unseen_rows["transform"]) == {"original"}
    assert not unseen & set(table.loc[table["split"] != "unseen", "patient"])
    assert table["image"].is_unique and len(rows_by_split(table, sidecar["settings"])["test"]) == test


def test_protocol_of_2017_pixels(built):
    work = built[0]
    pixels, table, _ = open_array(work / "data" / "array-2017")
    by_turn = table.assign(row=range(len(table))).groupby("transform")["row"].first()
    for name, row in by_turn.items():
        corners = pixels[row][[0, 0, -1, -1], [0, -1, 0, -1]].max(axis=1)
        assert (corners < 20).all() if name == "rot120" else (corners > 30).all(), name
    source = pd.Series(range(len(table)), index=table["image"])
    turned = table[(table["transform"] == "rot180")].iloc[0]
    original = pixels[source[turned["image"].removesuffix("_180")]].astype(int)
    difference = np.abs(pixels[source[turned["image"]]][::-1, ::-1] - original)
    assert 0 < difference.mean() < 3  # compressed again


def test_protocol_of_2017_leaks(built, capsys, monkeypatch):
    work = built[0]
    code, out, _ = call(capsys, monkeypatch, "--input", work / "data" / "array-2017", "--json", work / "audit.json")
    assert code == 4
    checks = dict(zip(CHECKS, json.loads((work / "audit.json").read_text())["checks"].values()))
    rows = read_csv(work / "data" / "array-2017" / "labels.csv")
    in_split = {split: [r for r in rows if r["split"] == split] for split in ("train", "val", "test")}
    trained = {(r["patient"], r["eye"]) for r in in_split["train"]}
    assert checks["photograph"]["figures"] == {
        "rows": sum((r["patient"], r["eye"]) in trained for r in in_split["test"]),
        "of": len(in_split["test"]),
        "not_compared": 0,
    }
    patients = {r["patient"] for r in in_split["train"]}
    assert checks["val patient"]["figures"]["rows"] == sum(r["patient"] in patients for r in in_split["val"])
    right = [r["transform"].startswith("rot") == (r["level"] != "0") for r in in_split["test"]]
    assert checks["copy"]["figures"]["test"]["rule"] == pytest.approx(np.mean(right))
    assert [check for check in CHECKS if checks[check]["verdict"] == "LEAK"] == CHECKS
    assert out.splitlines()[-1] == "verdict: LEAK in 11 of 11 checks"
    assert f"rows used: train {len(in_split['train'])}, val {len(in_split['val'])}, test {len(in_split['test'])}" in out


def test_protocol_of_2017_again_and_with_damage(built):
    work, _ = built
    build = ("benchmarks/protocols.py", "--array-only", "--work", work)
    before = (work / "data" / "array-2017" / "X.npy").read_bytes()
    run(*build)
    assert (work / "data" / "array-2017" / "X.npy").read_bytes() == before
    done = run(*build, "--seed", 1, code=1)
    assert "was made with other settings" in done.stderr
    damaged = work / "data" / "preprocessed" / "h0_left.png"
    whole = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(whole[:2000])
    run(*build)
    table = open_array(work / "data" / "array-2017")[1]
    assert not table["image"].str.startswith("h0_left").any() and table["image"].str.startswith("h0_right").any()
    assert [row["image"] for row in read_csv(work / "data" / "array-2017" / "rejected.csv")] == ["h0_left.png"]
