"""The same photograph under several names: the search in step 3, and the patients who share a split because of it."""

import sys
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from conftest import REAL, bytes_of, needs_real, read_csv, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_audit import RETINAS

import preprocess_images
from eyenet.audit.checks import Audited, complete, same_pixels
from eyenet.data import duplicates
from eyenet.data.copies import transform
from eyenet.data.links import COLUMNS, contradictory, decide, list_copies, read_deciders
from eyenet.data.names import split_of
from eyenet.photo.png import Crops, encode_png
from eyenet.photo.retina import photograph_to_input

NAMES = st.sampled_from("abcdefgh")


def compressed(pixels, quality=60):
    file = BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file))


def scaled(pixels, side):
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def test_pairs_within_a_set_are_those_of_all_rows_with_all(monkeypatch):
    monkeypatch.setattr(duplicates, "ROWS", 7)
    monkeypatch.setattr(duplicates, "COLUMNS", 5)
    images = [*RETINAS[:20], RETINAS[3][:, ::-1], scaled(RETINAS[11], 90), np.zeros((64, 64, 3), np.uint8)]
    described = np.concatenate([duplicates._describe([image]) for image in images])
    monkeypatch.setattr(duplicates, "CANDIDATE", 0.8)
    expected = {(i, j) for i, j in duplicates.match(described, described) if i < j}
    assert expected <= set(duplicates.match(described)) and {(3, 20), (11, 21)} < expected
    assert all(i < j for i, j in duplicates.match(described))


def table_of(rows):
    table = pd.DataFrame(rows, columns=["patient", "eye", "level"])
    table["image"] = table["patient"] + "_" + table["eye"]
    return table


def test_contradictions_of_pairs_and_of_copies_of_copies():
    table = table_of(
        [("a", "left", 0), ("a", "right", 0), ("b", "left", 0), ("c", "left", 2), ("07", "left", 1), ("7.0", "left", 1)]
    )
    copies = list_copies(table, [(0, 1, 0.9), (0, 2, 0.9123), (2, 3, 0.9), (4, 5, 1.0)])
    assert list(copies) == COLUMNS and copies["similarity"].tolist() == ["0.90", "0.91", "0.90", "1.00"]
    told = ["both eyes of a patient", "two patients", "two grades; two patients", ""]
    assert copies["contradiction"].tolist() == told
    assert sorted(contradictory(copies)) == ["a_left", "a_right", "b_left", "c_left"]
    assert contradictory(copies[1:2]) == {}  # one grade, under two patients: the label is as good as any
    assert sorted(contradictory(copies[1:3])) == ["a_left", "b_left", "c_left"]


def test_newcomers_join_who_is_known():
    assert decide("abc", [], {}) == {"a": "a", "b": "b", "c": "c"}
    assert decide("abc", [("c", "b")], {}) == {"a": "a", "b": "b", "c": "b"}
    assert decide("abc", [("c", "b")], {"c": "c"}) == {"a": "a", "b": "c", "c": "c"}
    assert decide("bc", [], {"c": "a", "b": "b"}) == {"b": "b", "c": "a"}  # its decider is gone, and it stays
    assert decide(["012", "7"], [("12.0", "7")], {}) == {"12": "12", "7": "12"}


@settings(max_examples=40)
@given(st.lists(st.tuples(NAMES, NAMES)), st.sets(NAMES, min_size=1), st.sets(NAMES))
def test_all_linked_are_together_and_adding_moves_nobody_of_one_group(links, first, more):
    among = [link for link in links if first.issuperset(link)]
    before = decide(first, among, {})
    everyone = first | more
    links = [link for link in links if everyone.issuperset(link)]
    after = decide(everyone, links, before)
    assert all(after[a] == after[b] for a, b in links)
    assert decide(everyone, links, after) == after  # a run that was killed at its end ends in the same way
    merged = {after[p] for p in first if after[p] != before[p]}  # newcomers linked two of the groups before
    assert all(len({before[p] for p in first if after[p] == one}) > 1 for one in merged)


@pytest.fixture
def step(tmp_path, monkeypatch, capsys):
    """Return a function that runs step 3 on drawings by name; it returns the table, the copies and the messages."""
    monkeypatch.setattr(preprocess_images, "draw_class_balance", lambda *_: None)
    (tmp_path / "in").mkdir()

    def run(drawings, grades, *options, out="out", listed=True):
        for name, pixels in drawings.items():
            (tmp_path / "in" / f"{name}.png").write_bytes(encode_png(np.ascontiguousarray(pixels), {"visible": 1.0}))
        write_csv(tmp_path / "labels.csv", [("image", "level"), *grades.items()])
        places = {"--input": "in", "--output": out, "--labels": "labels.csv", "--labels-out": f"{out}.csv"}
        words = [word for option, name in places.items() for word in (option, str(tmp_path / name))]
        monkeypatch.setattr(sys, "argv", ["preprocess_images.py", *words, "--quality", "keep", *options])
        assert not preprocess_images.main()
        copies = read_csv(tmp_path / out / "copies.csv") if listed else []
        return read_csv(tmp_path / f"{out}.csv"), copies, capsys.readouterr().err

    return run


def test_copies_are_listed_and_in_one_split(step, tmp_path):
    options = ("--val", "0.3", "--test", "0.3")
    split = {"val": 0.3, "test": 0.3}
    names = [f"p{i}_{eye}" for i in range(10) for eye in ("left", "right")]
    drawings, grades = dict(zip(names, RETINAS)), dict.fromkeys(names, 0) | {"p3_left": 2}
    alone, copies, told = step(drawings, grades, *options)
    assert not copies and "copies" not in told
    assert list(alone[0]) == ["image", "patient", "eye", "level", "split"]
    assert all(row["split"] == split_of(row["patient"], **split) for row in alone)
    # Newcomers: another patient's eye, with another grade, and one photograph as both eyes; black frames are no copies.
    new = next(f"a{i}" for i in range(99) if split_of(f"a{i}", **split) != split_of("p3", **split))
    drawings |= {f"{new}_left": compressed(transform(RETINAS[6][:, ::-1], "rot120")), f"{new}_right": RETINAS[30]}
    drawings |= {"q_left": RETINAS[31], "q_right": compressed(RETINAS[31])}
    drawings |= {f"{eye}_left": np.full_like(RETINAS[0], 12) for eye in ("r", "s")}
    grades |= dict.fromkeys([name for name in drawings if name not in grades], 0)
    options = (*options, "--max-rejected", "0.5")
    table, copies, told = step(drawings, grades, *options)
    known = {row["image"]: row["split"] for row in alone}
    assert known == {row["image"]: row["split"] for row in table if row["image"] in known}
    of_patient = {row["patient"]: row["split"] for row in table}
    assert of_patient[new] == of_patient["p3"] != split_of(new, **split)
    assert {row["patient"]: row["split_as"] for row in table} == {p: p for p in of_patient} | {new: "p3"}
    pairs = {(row["image"], row["copy"]): row["contradiction"] for row in copies}
    assert pairs == {
        (f"{new}_left", "p3_left"): "two grades; two patients",
        ("q_left", "q_right"): "both eyes of a patient",
    }
    assert "4 of 24 photographs are copies of each other: 2 pairs, 1 with two grades, 1 with both eyes" in told
    assert "1 patient follows the split of a patient with the same photograph (" in told
    before = bytes_of(tmp_path / "out"), (tmp_path / "out.csv").read_bytes()
    step(drawings, grades, *options)
    assert before == (bytes_of(tmp_path / "out"), (tmp_path / "out.csv").read_bytes())
    evidence_of_no_leak(tmp_path / "out", table)
    # Without them.
    table, again, told = step(drawings, grades, *options, "--copies", "drop", out="dropped")
    assert again == copies and len(table) == 20 and "dropped 4, copies contradict each other: " in told
    kept = {row["image"] for row in table}
    assert kept == {path.stem for path in (tmp_path / "dropped").glob("*.png")}
    assert kept.isdisjoint(name for pair in pairs for name in pair)


def evidence_of_no_leak(folder, table):
    """Compare the pixels of all splits, as the audit does."""
    table = complete(pd.DataFrame(table).astype({"level": int}))
    rows = {split: np.flatnonzero(table["split"] == split) for split in ("train", "val", "test")}
    assert min(map(len, rows.values())) > 1
    audited = Audited(table, rows, Crops(folder, table["image"]))
    trained = duplicates.describe(audited.images, rows["train"])
    assert [same_pixels(audited, split, trained).verdict for split in ("test", "val")] == ["ok", "ok"]
    wrong = rows | {"train": rows["train"][:-1], "test": np.append(rows["test"], rows["train"][0])}
    assert same_pixels(Audited(table, wrong, audited.images), "test", trained).verdict == "LEAK"


def test_an_older_version_split_copies_and_who_moves_is_told(step, tmp_path):
    """Its table has no column split_as, and copies in two splits; the first decides."""
    other = next(f"p{i}" for i in range(99) if split_of(f"p{i}") != split_of("a"))
    names = ["a_left", f"{other}_left", "z_left"]
    rows = [(name, name.split("_")[0], "left", 0, split_of(name.split("_")[0])) for name in names]
    write_csv(tmp_path / "out.csv", [("image", "patient", "eye", "level", "split"), *rows])
    table, _, told = step(dict(zip(names, RETINAS[[0, 0, 1]])), dict.fromkeys(names, 0))
    assert [row["split"] for row in table] == [split_of("a"), split_of("a"), split_of("z")]
    assert f"moved 1 patient of the old table to another split: {other}" in told
    assert read_deciders(tmp_path / "out.csv") == {"a": "a", other: "a", "z": "z"}
    assert read_deciders(tmp_path / "nothing.csv") == {}
    table, _, told = step({}, dict.fromkeys(names, 0), "--copies", "ignore", listed=False)
    assert {row["split"] for row in table[:2]} == {split_of("a")} and "copies" not in told
    assert not (tmp_path / "out" / "copies.csv").exists()


@needs_real("eyepacs-1024")
def test_real_photographs_and_their_copies():
    paths = sorted((REAL / "eyepacs-1024" / "train").glob("*.jpeg"))[:24]
    crops = [photograph_to_input(path, 256)[0] for path in paths]
    changes = [
        lambda x: transform(x, "rot90"),
        lambda x: compressed(x[:, ::-1], 40),
        lambda x: compressed(transform(x, "rot120")),
        lambda x: scaled(x, 200),
    ]
    copies = [changes[i % 4](np.ascontiguousarray(crop)) for i, crop in enumerate(crops)]
    images = Listed([*crops, *copies])
    assert [(i, j) for i, j, _ in duplicates.find_pairs(images)] == [(i, i + 24) for i in range(24)]


class Listed(list):
    """Images of several sizes, indexed by rows like `Crops`."""

    def __getitem__(self, rows):
        return [list.__getitem__(self, row) for row in rows]
