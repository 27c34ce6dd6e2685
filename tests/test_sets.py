"""Sets of photographs as they were published: folders of all kinds, headers, pages, and several sets at once."""

import os
import re
import shutil

import numpy as np
import pytest
from conftest import TEXTURE, bytes_of, draw_photograph, one_sentence, read_csv, run, write_csv
from PIL import Image
from test_predict import as_dicom

from eyenet.data.names import canonical, split_of
from eyenet.run.errors import StageError
from eyenet.sets.folders import class_folders, find_table, grades_of, list_sets, name_photographs
from eyenet.sets.labelled import check_labels, describe_photographs, label_photographs
from eyenet.sets.nested import unclear_patients

WORDS = {"No_DR": 0, "Mild": 1, "Moderate": 2, "Severe": 3, "Proliferate_DR": 4}  # of APTOS 2019 as resized on Kaggle
SHAPE = {"width": 240, "height": 180, "radius": 80, "texture": TEXTURE}
seeds = iter(range(10**6))


def draw(**more):
    """Draw a photograph that no other one is a copy of."""
    return Image.fromarray(draw_photograph(**SHAPE, seed=next(seeds), **more))


def save(folder, *files):
    """Draw the photographs of a set."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        draw().save(folder / file, quality=92)
    return folder


def steps(work, *folders, labels=None, columns=(), code=0):
    """Run steps 2 and 3 at 64 px; return the last process, the table by image, and what was dropped."""
    resized, labels = (
        work / "resized",
        labels or [folder.parent if folder.name == "train" else folder for folder in folders],
    )
    run("resize_images.py", "--input", *folders, "--output", resized, "--size", 64, "--max-rejected", 0.5)
    tables = ("--labels", *labels, "--labels-out", work / "preprocessed.csv")
    named = ("--columns", *columns) if columns else ()
    places = ("--input", resized, "--output", work / "preprocessed", "--figures", work / "figures")
    done = run("preprocess_images.py", *places, *tables, *named, code=code)
    if code:
        return done, None, None
    dropped = {row["image"]: row["reason"] for row in read_csv(work / "preprocessed" / "dropped.csv")}
    return done, {row["image"]: row for row in read_csv(work / "preprocessed.csv")}, dropped


def label(folder):
    """Label the photographs of a set as steps 2 and 3 do, without making crops; return the table by image."""
    photographs = describe_photographs(*list_sets([folder])[:2])
    return label_photographs(*photographs, [folder], folder)[0].set_index("image")


def refused(folder, words):
    with pytest.raises(StageError, match=re.escape(words)):
        label(folder)


def test_folders_of_classes(tmp_path):
    """Named by words, two levels down, with the same names in each; one is empty, and one photograph has no class."""
    files = [f"images/{word}/{name}.png" for word in [*WORDS][:4] for name in ("a", "b")]
    folder = save(tmp_path / "set", *files, "images/Severe/only.jpg", "test/x.jpg")
    (folder / "images" / "Proliferate_DR").mkdir()
    done, table, dropped = steps(tmp_path, folder)
    expected = {f"images~{word}~{name}": WORDS[word] for word in [*WORDS][:4] for name in ("a", "b")}
    assert {image: int(row["level"]) for image, row in table.items()} == expected | {"only": 3}
    assert dropped == {"x": "photograph without a label"}
    assert read_csv(tmp_path / "resized" / "left_out.csv")[0]["file"] == "images/Proliferate_DR"
    assert [line.split()[-5] for line in done.stdout.splitlines()[1:7]] == ["2", "2", "2", "3", "0", "9"]
    assert "each photograph counts as a patient of its own" in done.stderr


def test_a_table_counts_more_than_folders(tmp_path, capsys):
    """Kaggle's names in folders of grades; the table contradicts one of them, and knows no other one."""
    files = ["0/1_left.jpeg", "2/1_right.jpeg", "0/2_left.jpeg", "4/2_right.jpeg"]
    folder = save(tmp_path / "set", *files)
    alone = label(folder)[["patient", "eye", "level"]]
    assert set(alone.itertuples(index=False, name=None)) == {
        ("1", "left", 0),
        ("1", "right", 2),
        ("2", "left", 0),
        ("2", "right", 4),
    }
    write_csv(folder / "table.csv", [("image", "level"), ("1_left", 0), ("1_right.jpeg", 3), ("0/2_left.jpeg", 0)])
    capsys.readouterr()
    assert len(check_labels(*list_sets([folder])[:2], [folder], [], folder)) == 3
    assert not capsys.readouterr().err  # step 3 will say it
    done, table, dropped = steps(tmp_path / "table", folder)
    assert {image: row["level"] for image, row in table.items()} == {"1_left": "0", "1_right": "3", "2_left": "0"}
    assert "contradict each other about 1 photograph: 1_right; the table counts" in done.stderr
    assert dropped == {"2_right": "photograph without a label"}


def test_a_folder_for_each_patient(tmp_path):
    """The folder is the patient; a name that a rejected photograph shares means no other one."""
    folder = save(
        tmp_path / "set", *(f"train/{p}/{eye}.jpg" for p in (16, 17) for eye in ("left", "right")), "train/7/x.jpg"
    )
    (folder / "train" / "8").mkdir()
    (folder / "train" / "8" / "x.jpg").write_bytes(b"no photograph")
    rows = [(f"{p}/{eye}.jpg", p % 2) for p in (16, 17) for eye in ("left", "right")]
    write_csv(folder / "labels.csv", [("image", "level"), *rows])
    _, table, dropped = steps(tmp_path, folder / "train")
    assert {image: (row["patient"], row["eye"]) for image, row in table.items()} == {
        f"{p}~{eye}": (str(p), eye) for p in (16, 17) for eye in ("left", "right")
    }
    assert dropped == {"7~x": "photograph without a label"}
    write_csv(folder / "labels.csv", [("image", "level"), *rows, ("x", 2)])
    one_sentence(steps(tmp_path, folder / "train", code=1)[0], "'x' in the table may be '7/x' or '8/x'")  # 8/x: no crop


def test_headers_and_pages(tmp_path, capsys):
    """DICOM gives patient and eye unless the table does, a placeholder joins nothing, and each page is a photograph."""
    folder = tmp_path / "set"
    folder.mkdir()
    for name, patient, eye in (("a", "P7", "L"), ("b", "P7", "R"), ("c", "ANONYMOUS", "L"), ("d", "P8", "R")):
        as_dicom(folder / f"{name}.dcm", np.asarray(draw()), "RGB", PatientID=patient, ImageLaterality=eye)
    both = np.concatenate([np.asarray(draw()), np.asarray(draw())])
    as_dicom(folder / "e.dcm", both, "RGB", "", NumberOfFrames=2, Rows=180, PatientID="P9")
    for name in ("10_left", "11_right"):  # the ID of a room
        as_dicom(folder / f"{name}.dcm", np.asarray(draw()), "RGB", "", PatientID="ROOM1")
    draw().save(folder / "f.tiff", save_all=True, append_images=[draw()])
    names = ["a", "b", "c", "d", "e[1]", "e[2].dcm", "f[1]", "f.tiff[2]", "10_left", "11_right"]
    write_csv(folder / "labels.csv", [("image", "grade"), *((name, 0) for name in names)])
    table = steps(tmp_path / "header", folder)[1]
    whose = {image: (row["patient"], row["eye"], row["patient_known"]) for image, row in table.items()}
    assert whose == {
        "a": ("P7", "left", "1"),
        "b": ("P7", "right", "1"),
        "c": ("c", "left", "0"),
        "d": ("P8", "right", "1"),
        "e[1]": ("P9", "", "1"),
        "e[2]": ("P9", "", "1"),
        "f[1]": ("f[1]", "", "0"),
        "f[2]": ("f[2]", "", "0"),
        "10_left": ("10", "left", "1"),
        "11_right": ("11", "right", "1"),
    }
    told = (tmp_path / "header" / "resized" / "photographs.csv").read_text()
    assert "ROOM1" not in told and "Doe" not in told
    assert (tmp_path / "header" / "resized" / "e[2].png").exists()
    cells = {"a": "Q7", "d": "Q8"}
    write_csv(folder / "labels.csv", [("image", "grade", "patient"), *((name, 0, cells.get(name)) for name in names)])
    table = label(folder)
    mapped = {"a": "Q7", "b": "Q7", "d": "Q8"}  # the header of b is that of a
    assert table["patient"].to_dict() == {image: patient for image, (patient, *_) in whose.items()} | mapped
    assert "has no patient for 5 photographs; taken from header, folder or name, such as 'b' of patient 'Q7'" in (
        capsys.readouterr().err
    )
    write_csv(folder / "labels.csv", [("image", "grade", "patient"), *((name, 0, "Q") for name in names)])
    table = label(folder)
    assert set(table["patient"]) == {"Q"} and table["eye"]["a"] == "left"


def test_several_sets(tmp_path):
    """Equal IDs are two patients, a copy across sets has one split, and the first set is as it was alone."""
    eyes = [(patient, eye) for patient in ("p1", "p2", "p3") for eye in ("left", "right")]
    one = save(tmp_path / "one", *(f"train/{patient}_{eye}.jpeg" for patient, eye in eyes))
    write_csv(one / "trainLabels.csv", [("image", "level"), *((f"{p}_{eye}", p[1:]) for p, eye in eyes)])
    alone = steps(tmp_path / "alone", one / "train")[1]
    x = next(f"x{i}" for i in range(99) if split_of(f"a set~x{i}") != split_of("p1"))
    two = save(tmp_path / "a set", *(f"{p}_{eye}.jpeg" for p, eye in eyes), "odd.jpeg")
    shutil.copy(one / "train" / "p1_left.jpeg", two / f"{x}_left.jpeg")
    rows = [*((f"{p}_{eye}.jpeg", p[1:]) for p, eye in eyes), (f"{x}_left", 1), ("odd", 2)]
    write_csv(two / "grades.csv", [("id_code", "diagnosis"), *rows])
    work = tmp_path / "both"
    _, table, _ = steps(work, one / "train", two)
    first = {image: row for image, row in table.items() if row["source"] == "one"}
    assert {
        image: {key: row[key] for key in alone[image]} for image, row in first.items()
    } == alone  # "a set~" is before "p1"
    second = {image: row for image, row in table.items() if row["source"] == "a set"}
    assert {row["patient"] for row in second.values()} == {f"a set~{name}" for name in ("p1", "p2", "p3", x, "odd")}
    assert {image for image, row in second.items() if row["patient_known"] == "0"} == {"a set~odd"}
    assert second[f"a set~{x}_left"]["split"] == first["p1_left"]["split"] != split_of(f"a set~{x}")
    assert second[f"a set~{x}_left"]["split_as"] == "p1" and canonical("two~0012") == "two~12"
    places = ("--input", work / "preprocessed", "--output", work / "rotated", "--labels", work / "preprocessed.csv")
    run("rotate_images.py", *places, "--labels-out", work / "rotated.csv")
    places = ("--input", work / "rotated", "--labels", work / "rotated.csv", "--output", work / "array")
    run("image_to_array.py", *places)
    assert {row["source"] for row in read_csv(work / "array" / "labels.csv")} == {"one", "a set"}
    one_sentence(steps(work, one / "train", two, labels=[one], code=1)[0], "2 (one, a set), that of --labels 1")


PUBLISHED = {  # photographs, table and its text, as in docs/datasets.md; then image, patient and grade of those kept
    "APTOS 2019": (
        ["train_images/0001e7.png", "train_images/00a8.png", "test_images/0005c.png"],
        "train.csv",
        "id_code,diagnosis\n0001e7,2\n00a8,4\n",
        "0001e7 - 2, 00a8 - 4",
    ),
    "IDRiD": (
        ["1. Original Images/a. Training Set/IDRiD_001.jpg", "1. Original Images/a. Training Set/IDRiD_002.jpg"],
        "2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv",
        "Image name,Retinopathy grade,Risk of macular edema ,,\nIDRiD_001,3,2,,\nIDRiD_002,0,0,,\n",
        "IDRiD_001 - 3, IDRiD_002 - 0",
    ),
    "Messidor-2": (
        ["IMAGES/20051020_43808_0100_PP.tif", "IMAGES/IM004.JPG", "IMAGES/IM005.JPG"],
        "messidor_data.csv",
        "image_id,adjudicated_dr_grade,adjudicated_dme,adjudicated_gradable\n20051020_43808_0100_PP.png,1,0,1\n"
        + "IM004.jpg,,,0\nIM005.jpg,0,0,1\n",
        "20051020_43808_0100_PP - 1, IM005 - 0",
    ),
    "DDR": (
        ["DR_grading/train/007-0004-000.jpg", "DR_grading/train/007-0007-003.jpg"],
        "DR_grading/train.txt",
        "007-0004-000.jpg 0\n007-0007-003.jpg 5\n",
        "007-0004-000 - 0",
    ),
    "DeepDRiD": (
        [f"regular-fundus-training/Images/{patient}/{patient}_{eye}1.jpg" for patient in (1, 12) for eye in "lr"],
        "regular-fundus-training/regular-fundus-training.csv",
        "patient_id,image_id,image_path,Overall quality,left_eye_DR_Level,right_eye_DR_Level,patient_DR_Level,Clarity,"
        + "Field definition,Artifact\n"
        + "".join(  # the paths leave out the folder Images
            f"{p},{p}_{eye}1,\\regular-fundus-training\\{p}\\{p}_{eye}1.jpg,1,{levels},4,10,8,0\n"
            for p, eye, levels in ((1, "l", "2,"), (1, "r", ",3"), (12, "l", "0,"), (12, "r", ",4"))
        ),
        "12_l1 12 0, 12_r1 12 4, 1_l1 1 2, 1_r1 1 3",
    ),
}


def test_published_layouts(tmp_path):
    """A small copy of each public set, in the folders and with the table it comes with; all at once, as five sets."""
    folders, tables, expected = [], [], {}
    sources = ["APTOS 2019", "a. Training Set", "Messidor-2", "DR_grading", "regular-fundus-training"]
    for source, (name, (files, table, text, rows)) in zip(sources, PUBLISHED.items()):
        folder = save(tmp_path / name, *files)
        folders.append(folder / "/".join(files[0].split("/")[: -2 if name == "DeepDRiD" else -1]))
        tables.append(folder / table)
        tables[-1].parent.mkdir(exist_ok=True)
        tables[-1].write_text(text)
        front = "" if len(folders) == 1 else f"{source}~"
        for image, patient, level in (row.split() for row in rows.split(", ")):
            expected[front + image] = (front + image if patient == "-" else front + patient, level, source)
    done, table, dropped = steps(tmp_path, *folders, labels=tables)
    assert {image: (row["patient"], row["level"], row["source"]) for image, row in table.items()} == expected
    assert [row["patient_known"] for row in table.values()].count("1") == 4  # of DeepDRiD
    assert dropped["Messidor-2~IM004"] == dropped["DR_grading~007-0007-003"] == "ungradable by its grader"
    assert [line.split()[-5] for line in done.stdout.splitlines()[1:7]] == ["4", "1", "2", "2", "2", "11"]


def test_a_set_that_changes(tmp_path):
    """A second photograph of a name takes neither crop nor label of the first one."""
    folder, work = save(tmp_path / "set", "a/x.jpg"), tmp_path / "work"
    write_csv(folder / "labels.csv", [("image", "level"), ("x", 3)])
    assert steps(work, folder)[1]["x"]["level"] == "3"
    save(folder, "b/x.jpg")
    refused(folder, "'x' in the table may be 'a/x' or 'b/x'")
    write_csv(folder / "labels.csv", [("image", "level"), ("b/x.jpg", 1), ("a/x", 3)])
    assert {image: row["level"] for image, row in steps(work, folder)[1].items()} == {"a~x": "3", "b~x": "1"}
    (folder / "a").rename(folder / "c")
    (folder / "b").rename(folder / "a")
    (folder / "c").rename(folder / "b")  # same size and time are checked by content
    for place in (work, tmp_path / "fresh"):
        run("resize_images.py", "--input", folder, "--output", place / "resized", "--size", 64)
    assert bytes_of(work / "resized").keys() == bytes_of(tmp_path / "fresh" / "resized").keys()
    assert (work / "resized" / "a~x.png").read_bytes() == (tmp_path / "fresh" / "resized" / "a~x.png").read_bytes()


def test_names():
    files = ["10_left.jpeg", "a/10_right.jpeg", "a/x.jpg", "A/X.PNG", "b/y.tiff[2]", "b/y.tiff[1]", "1.2.840.17"]
    assert name_photographs(files) == ["10_left", "10_right", "a~x", "A~X", "y[2]", "y[1]", "1.2.840.17"]
    assert name_photographs(["16/left.jpg", "right/16.jpg", "7/7_left.jpg"]) == ["16~left", "right~16", "7_left"]


def test_folders_in_which_the_patient_is_not_clear():
    eyes, patients = ("left", "OD"), range(16, 30)
    for path in ("{p}/{eye}/1", "{p}/visit 1/{eye}", "{p}/central_{eye}", "{p}/1_{eye}"):  # {p} may be the patient
        paths = [path.format(p=p, eye=eye) for p in patients for eye in eyes]
        assert unclear_patients(paths) == set(range(len(paths))), path
    for path in ("{p}/{eye}", "{eye}/{p}", "train/{p}/{eye}", "a/{eye}/{p}", "2024-{p}/{p}_{eye}", "{p}/x/{p}_{eye}"):
        assert not unclear_patients([path.format(p=p, eye=eye) for p in patients for eye in eyes]), path
    paths = [f"{grade}/{eye}/{patient}" for grade in range(5) for patient in patients for eye in eyes]
    assert not unclear_patients(paths, [str(grade) for grade in range(5)])


def test_visits_in_the_folders_of_patients_join_nobody(tmp_path):
    """Neither by the photographs' paths nor by those in the table; a column names the patients."""
    folder = save(tmp_path / "set", *(f"{p}/visit/{eye}.jpg" for p in range(16, 21) for eye in ("left", "right")))
    rows = [(f"{p}/visit/{eye}.jpg", p % 2, f"P{p}") for p in range(16, 21) for eye in ("left", "right")]
    write_csv(folder / "labels.csv", [("image", "level"), *(row[:2] for row in rows)])
    labels = label(folder)
    assert not labels["patient_known"].any() and set(labels["eye"]) == {"left", "right"}
    write_csv(folder / "labels.csv", [("image", "level", "patient"), *rows])
    assert label(folder)["patient"].value_counts().to_dict() == {f"P{p}": 2 for p in range(16, 21)}


def test_class_folders():
    grades, *doubtful = class_folders(["set/0/a", "set/3/b", "set/3/c/d", "e"])
    assert grades == {"set/0": 0, "set/3": 3} and doubtful == [[], []]
    assert [grades_of(file, grades) for file in ("set/3/c/d", "set/0/a", "e")] == [{3}, {0}, set()]
    assert grades_of("0/0/a", class_folders(["0/0/a", "0/2/b"])[0]) == {0}
    assert grades_of("0/2/b", class_folders(["0/0/a", "0/2/b"])[0]) == {0, 2}
    assert class_folders([f"{patient}/{eye}.jpg" for patient in (1, 2) for eye in ("left", "OD")]) == ({}, [], [])
    assert class_folders(["0/a", "1/b", "16/c"]) == ({}, ["16"], [])
    assert class_folders(["train/a", "0/b"]) == ({}, [], [])
    assert class_folders(["0/1/a", "0/2/b"]) == ({"0": 0}, [], ["0/1", "0/2"])  # patients, or the grades of patient 0
    assert class_folders(["p7/1/a", "p7/2/b"]) == ({}, [], ["p7/1", "p7/2"])  # visits
    assert class_folders(["set/train/0/a", "set/test/1/b"]) == ({"set/train/0": 0, "set/test/1": 1}, [], [])
    assert class_folders(["p7/0/a", "p8/1/b"])[1:] == ([], ["p8/1"])
    assert class_folders(["1/a", "PDR/b"])[0] == {"1": 1, "PDR": 4}
    assert class_folders([f"Mild/{patient}/a" for patient in (1, 2, 17)]) == ({"Mild": 1}, [], [])
    assert class_folders(["Mild/3/a"]) == ({"Mild": 1}, [], [])


def test_bad_sets(tmp_path):
    """One sentence each: no class, a class with an unknown name, no or several tables, sets that are not two."""
    folder = save(tmp_path / "set", "0/a.jpg", "Mild/b.jpg")
    save(folder, "milld/c.jpg")
    one_sentence(steps(tmp_path / "1", folder, code=1)[0], "of the folders beside those of grades, 'milld' names none")
    os.rename(folder / "milld", folder / "Mild" / "more")
    (folder / "Mild" / "loop").symlink_to(folder)
    assert label(folder)["level"].to_dict() == {"a": 0, "b": 1, "c": 1}
    refused(save(tmp_path / "two", "Mild/Severe/a.jpg"), "the folders of Mild/Severe/a.jpg in")
    refused(save(tmp_path / "digits", "1/a.jpg", "3/b.jpg"), "its folders 1, 3 may be grades or patients, since no 0")
    flat = save(tmp_path / "flat", "a.jpg")
    refused(flat, "no folder of its photographs is named by a grade")
    yes = save(tmp_path / "yes", "0/a.jpg", "1/b.jpg", "Ungradable/c.jpg")
    refused(yes, "its folders 0 and 1 may be grades or mean no and yes: call them No_DR and Mild")
    for name in ("train.csv", "test.csv"):
        write_csv(flat / name, [("image", "level")])
    refused(flat, "several tables (test.csv, train.csv); name the one with the grades: --labels FILE")
    resize = ("resize_images.py", "--output", tmp_path / "4", "--input")
    (tmp_path / "b").mkdir()
    shutil.copytree(flat, tmp_path / "b" / "flat")
    one_sentence(run(*resize, flat, tmp_path / "b" / "flat", code=1), "two sets are called flat")
    one_sentence(run(*resize, tmp_path / "b", tmp_path / "b" / "flat", code=1), "is in", "would count twice")
    one_sentence(run(*resize, flat, tmp_path, "--labels", flat, code=1), "so its photographs would count twice")
    (tmp_path / "empty" / "0").mkdir(parents=True)
    one_sentence(run(*resize, tmp_path / "empty", code=1), "hold no photograph")
    with pytest.raises(StageError, match="two sets are called set"):
        list_sets([tmp_path / "set", tmp_path / "x" / "set" / "train"])
    assert find_table(folder) is None
