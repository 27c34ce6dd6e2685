"""The leak audit: it finds planted leaks of every kind and those of 2017, and none in a clean split; its parts."""

import io
import json
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from conftest import read_csv, run
from PIL import Image
from scipy import ndimage

import audit_leakage
from eyenet.audit.checks import LEAK, Audited, audit, complete, used_rows
from eyenet.data.copies import transform
from eyenet.photo.retina import black_outside
from eyenet.run.script import run_main

SIZE = 128
CHECKS = ["photograph", "val photograph", "test val photograph", "test patient", "val patient", "test val"]
CHECKS += ["pixels", "val pixels", "copy", "border", "compression"]


def retina(seed):
    """Draw a crop with a unique pattern: blobs of several sizes in a disc."""
    rng = np.random.default_rng(seed)
    blobs = sum(s * ndimage.gaussian_filter(rng.normal(0, 1, (SIZE, SIZE)), s) for s in (1.5, 3, 8))
    light = 110 + 60 * blobs / np.abs(blobs).max() + rng.normal(0, 3, (SIZE, SIZE))
    color = light[..., None] * rng.uniform([1.2, 0.7, 0.3], [1.4, 0.9, 0.5])
    return black_outside(color.clip(0, 255).astype(np.uint8))


def jpeg(image, quality=75):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def turned(image, degrees):
    return black_outside(np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BICUBIC)))


def scaled(image, factor):
    size = round(SIZE * factor)
    larger = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    edge = (size - SIZE) / 2
    return np.asarray(larger.transform((SIZE, SIZE), Image.Transform.AFFINE, (1, 0, edge, 0, 1, edge)))


def brightened(image, by=1.15):
    return (image * by).clip(0, 255).astype(np.uint8)


COPIES = {
    "equal": lambda x: x,
    "mirrored": lambda x: x[:, ::-1],
    "turned by 90": lambda x: np.rot90(x),
    "turned by 120": lambda x: transform(x, "rot120"),
    "turned by 37, mirrored": lambda x: turned(x[:, ::-1], 37),
    "compressed": lambda x: jpeg(x, 50),
    "scaled": lambda x: scaled(x, 1.03),
    "brightened": brightened,
    "all of it": lambda x: jpeg(brightened(scaled(transform(x[::-1], "rot120"), 0.98)), 60),
}


@pytest.fixture
def clean():
    """60 patients, both eyes, every second one with DR: images, and a table without leaks."""
    rows = [
        {"image": f"p{p}_{eye}", "level": 2 * (p % 2), "split": ("train", "train", "val", "test", "test")[p // 2 % 5]}
        for p in range(60)
        for eye in ("left", "right")
    ]
    return RETINAS.copy(), pd.DataFrame(rows)


RETINAS = np.stack([retina(i) for i in range(120)])


def inside_of(radius):
    """Mark the pixels inside a share of the retina's radius."""
    offset = (np.arange(SIZE) + 0.5) / (SIZE / 2) - 1
    return np.hypot(offset[:, None], offset) <= radius


def rows_in(table, split):
    return np.flatnonzero(table["split"] == split)


def leaks(images, table, settings=None):
    """Audit; return the checks that found a leak, and all findings by check."""
    known = complete(table)
    audited = Audited(known, used_rows(known, settings), images, assumed=settings is None)
    findings = audit(audited, audit_leakage.LIMIT, seed=0)
    found = dict(zip(CHECKS, findings))
    return {check for check, finding in found.items() if finding.verdict == LEAK}, found


def save(folder, images, table):
    folder.mkdir(exist_ok=True)
    np.save(folder / "X.npy", images)
    table.to_csv(folder / "labels.csv", index=False)
    return folder


def call(capsys, monkeypatch, *args):
    """Run the audit in this process; return its exit code, stdout and last line of stderr."""
    monkeypatch.setattr(sys, "argv", ["audit_leakage.py", *map(str, args)])
    with pytest.raises(SystemExit) as left:
        run_main(audit_leakage.main)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return left.value.code, out, (err.strip().splitlines() or [""])[-1]


def test_clean_array_as_a_user_runs_it(clean, tmp_path):
    done = run("audit_leakage.py", "--input", save(tmp_path / "array", *clean), "--json", tmp_path / "a.json")
    assert done.stdout.splitlines()[0] == "rows used: train 48, val 24, test 48"
    assert done.stdout.splitlines()[-1] == "verdict: no leak found"
    assert done.stdout.count("\nok  ") == 11 and "LEAK" not in done.stdout
    figures = json.loads((tmp_path / "a.json").read_text())
    assert figures["verdict"] == "no leak found" and len(figures["checks"]) == 11
    assert all(check["verdict"] == "ok" for check in figures["checks"].values())


def test_same_photograph_and_patient(clean):
    images, table = clean
    test = rows_in(table, "test")
    renamed = table.copy()
    renamed.loc[test[0], "image"] = "p0_left_90"  # a copy of a photograph that is in training
    found, findings = leaks(images, renamed)
    assert found == {"photograph", "test patient"}
    assert findings["photograph"].cases == ["p0_left_90"]
    assert findings["photograph"].figures == {"rows": 1, "of": 48, "not_compared": 0}
    renamed.loc[test[0], "image"] = "p0_up_left"  # p0_up is a different patient
    assert leaks(images, renamed)[0] == set()
    own = table.assign(patient=table["image"].str.split("_").str[0])
    own.loc[test[:3], "patient"] = "p0"
    own.loc[rows_in(table, "val")[0], "patient"] = "p1"
    own.loc[test[3], "patient"] = own.loc[rows_in(table, "val")[5], "patient"]
    found, findings = leaks(None, own)
    assert found == {"test patient", "val patient", "test val"}
    assert [findings[check].figures["rows"] for check in CHECKS[:6]] == [0, 0, 0, 3, 1, 1]


def test_photographs_and_pixels_of_validation(clean):
    images, table = clean
    train, val, test = (rows_in(table, split) for split in ("train", "val", "test"))
    names = table["image"].to_numpy()
    assert leaks(None, table.replace({names[val[2]]: names[train[5]]}))[0] == {"val photograph", "val patient"}
    assert leaks(None, table.replace({names[test[2]]: names[val[5]] + "_mir"}))[0] == {
        "test val photograph",
        "test val",
    }
    images[val[3]] = images[train[8]][::-1]
    found, findings = leaks(images, table)
    assert found == {"val pixels"} and findings["val pixels"].cases[0][:2] == (names[val[3]], names[train[8]])


@pytest.mark.parametrize("form", ["train/{}.jpeg", "a/b/{}.PNG", "..\\train\\{}", "{}.jpeg.tif", "/{}_mir.bmp"])
def test_names_with_folder_and_ending(clean, form):
    table = clean[1]
    test, train = rows_in(table, "test"), rows_in(table, "train")
    table["image"] = [f"{split}/{image}.jpeg" for split, image in zip(table["split"], table["image"])]
    assert leaks(None, table)[0] == set()
    table.loc[test[0], "image"] = form.format("p0_left")
    assert leaks(None, table)[0] == {"photograph", "test patient"}
    table["image"] = [f"{split}/IMG {row}.jpeg" for row, split in enumerate(table["split"])]
    table.loc[test[0], "image"] = form.format(f"IMG {train[0]}").replace("_mir", "")
    assert leaks(None, table)[0] == {"photograph"}


@pytest.mark.parametrize("trained, tested", [("10", "10.0"), ("011", "11"), ("7.0", "007"), ("0", "00.0")])
def test_patients_that_are_numbers(clean, trained, tested):
    table = clean[1].assign(patient=clean[1]["image"].str.extract(r"(\d+)")[0].astype(int).add(100).astype(str))
    assert leaks(None, table)[0] == set()
    test = rows_in(table, "test")
    table.loc[rows_in(table, "train")[0], "patient"] = trained
    table.loc[test[0], "patient"] = tested
    found, findings = leaks(None, table)
    assert found == {"test patient"} and f"1 by number, such as {tested!r} taken for" in findings["test patient"].found
    table.loc[test[0], "patient"] = "1" + tested  # such as 110.0, a different patient
    table = table.drop(rows_in(table, "train")[1:])
    assert leaks(None, table)[0] == set()


def test_same_pixels_under_another_name(clean):
    """Each kind of copy once; black images do not count as the same photograph."""
    images, table = clean
    test, train = rows_in(table, "test"), rows_in(table, "train")
    names, planted = table["image"].to_numpy(), set()
    for number, make in enumerate(COPIES.values()):
        copy, original = test[4 + 5 * number], train[7 + 4 * number]
        images[copy] = make(images[original])
        planted.add((names[copy], names[original]))
    images[test[1]] = images[train[3]] = 0
    finding = leaks(images, table)[1]["pixels"]
    assert finding.verdict == LEAK
    assert {case[:2] for case in finding.cases} == planted
    assert finding.figures["under_another_name"] == len(COPIES) and finding.figures["show_nothing"] == 2


def test_rule_that_a_copy_is_disease(clean):
    table = clean[1]
    test = rows_in(table, "test")
    sick = test[table["level"][test] > 0]
    foreign = table.copy()
    foreign.loc[sick, "image"] += "_90"
    found, findings = leaks(None, foreign)
    assert found == {"copy"}
    assert findings["copy"].figures["test"] == {"rule": 1.0, "majority": 0.5, "rotated": 24}
    wrong = table.copy()  # copies that are as frequent in both classes do not reveal the class
    wrong.loc[test, "image"] += "_90"
    assert leaks(None, wrong)[0] == set()
    # A column `transform` does not imply that copies are left out; an array of this pipeline does.
    column = foreign.assign(transform="original")
    column.loc[sick, "transform"] = "rot90"
    found, findings = leaks(None, column)
    assert found == {"copy"} and "give --originals" in findings["copy"].found
    for table in (column, foreign):
        assert leaks(None, table, {"input": None})[0] == set()
        assert leaks(None, table, {"protocol": "2017"})[0] == {"copy"}


def test_which_copies_of_a_table_are_used(clean, tmp_path, capsys, monkeypatch):
    images, table = clean
    table["transform"] = "original"
    sick = table[(table["split"] == "test") & (table["level"] > 0)]
    table = pd.concat([table.drop(sick.index[::2]), sick.assign(transform="rot90", image=sick["image"] + "_90")])
    folder = save(tmp_path / "array", images[table.index], table)
    for source in ("--labels", folder / "labels.csv"), ("--input", folder):
        code, out, _ = call(capsys, monkeypatch, *source)
        assert code == 4 and out.startswith("rows used: train 48, val 24, test 60\n") and "give --originals" in out
        code, out, _ = call(capsys, monkeypatch, *source, "--originals")
        assert code == 0 and out.startswith("rows used: train 48, val 24, test 36\n") and "--originals" not in out
    (folder / "stage.json").write_text('{"script": "image_to_array.py"}')  # as if killed before X.json was written
    code, out, error = call(capsys, monkeypatch, "--input", folder)
    assert code == 1 and not out and "has no complete X.json, so its array is not finished; run image_to_array" in error
    code, out, error = call(capsys, monkeypatch, "--input", folder, "--originals")
    assert code == 1 and not out and "leave out --originals" in error


def test_border_ring_gives_the_grade_away(clean):
    images, table = clean
    ring = inside_of(1) & ~inside_of(0.97)
    for row in np.flatnonzero(table["level"] > 0):
        images[row][ring] //= 2
    found, findings = leaks(images, table)
    assert found == {"border"} and findings["border"].figures["value"] > 0.95


def test_compression_gives_the_grade_away(clean):
    images, table = clean
    inner = inside_of(0.9)
    for row in np.flatnonzero(table["level"] > 0):
        images[row][inner] = jpeg(images[row])[inner]
    found, findings = leaks(images, table)
    assert found == {"compression"} and findings["compression"].figures["low"] > 0.7


def test_tables_alone(clean, tmp_path, capsys, monkeypatch):
    table = clean[1]
    table.loc[rows_in(table, "test")[:2], "image"] = ["p0_left_mir.jpeg", "p1_right.png"]
    paths = [tmp_path / f"{split}.csv" for split in ("train", "val", "test")]
    for path in paths:
        table[table["split"] == path.stem].drop(columns="split").to_csv(path, index=False)
    report = tmp_path / "cases.csv"
    code, out, _ = call(capsys, monkeypatch, "--labels", *paths, "--report", report)
    assert code == 4 and "2 of 48 (4.2%), such as p0_left_mir" in out
    assert out.count("not checked") == 4 and out.count("no pixels") == 4
    assert out.splitlines()[-1] == "verdict: LEAK in 2 of 11 checks"
    cases = Counter(row["check"] for row in read_csv(report))
    assert cases == {"test rows whose photograph is in training": 2, "test rows whose patient is in training": 2}
    assert {row["image"] for row in read_csv(report)} == {"p0_left_mir.jpeg", "p1_right.png"}
    table[["image", "split"]].iloc[3:].to_csv(tmp_path / "one.csv", index=False)
    code, out, _ = call(capsys, monkeypatch, "--labels", tmp_path / "one.csv")
    assert code == 4 and out.count("no grades") == 1  # p0_left was removed, p1_right was not
    table[["image", "split"]].iloc[4:].to_csv(tmp_path / "one.csv", index=False)
    code, out, _ = call(capsys, monkeypatch, "--labels", tmp_path / "one.csv")
    assert code == 0 and out.splitlines()[-1].startswith("verdict: no leak found in what could be checked: 5 of 11 ")


def test_names_that_say_no_patient(clean, tmp_path, capsys, monkeypatch):
    table = clean[1]
    path = tmp_path / "table.csv"
    odd = table.replace({"p0_left": "IMG 0"})  # in training
    odd.to_csv(path, index=False)
    code, out, _ = call(capsys, monkeypatch, "--labels", path)
    assert code == 3 and out.splitlines()[-1].startswith("verdict: could not tell: rows of unknown patients")
    assert out.count("rows not compared: 1, whose names do not say the patient, such as 'IMG 0'") == 2
    odd.loc[rows_in(odd, "test")[0], "image"] = "p1_left_mir"  # the others are still compared
    found, findings = leaks(None, odd)
    assert found == {"photograph", "test patient"} and findings["test patient"].figures["rows"] == 1
    table["image"] = [f"IMG {i}" for i in range(len(table))]
    table.to_csv(path, index=False)
    code, out, _ = call(capsys, monkeypatch, "--labels", path)
    assert code == 3 and out.count("'IMG 12' do not say the patient") == 2 and "verdict: could not tell" in out
    table.assign(patient=table.index // 2).to_csv(path, index=False)
    assert call(capsys, monkeypatch, "--labels", path)[0] == 0
