"""Label tables as they were published: a small copy of each form, and the real ones where they are available."""

import io
import re
import shlex
import zipfile

import numpy as np
import pandas as pd
import pytest
from conftest import REAL, REPO, Image, draw_photograph, needs_real, one_sentence, read_csv, run, write_csv

import evaluate
from eyenet.data.links import GRADES, PATIENTS, list_copies, split_patients
from eyenet.data.tables import count_by_grade, count_labels, patient_known, read_table
from eyenet.data.tasks import answerable, require_answers
from eyenet.run.errors import StageError
from eyenet.sets.columns import parse_columns
from eyenet.sets.grades import NOT_GRADABLE, read_grade
from eyenet.sets.labels import BY_GRADER, NO_GRADE, read_labels, warn_of_visits
from eyenet.sets.matching import match_images, warn_of_folders, without_ending

FORMS = {  # the table; its rows as image, patient (- if unknown), eye, level; what the log tells of it
    "Kaggle 2015": ("image,level\n1_left,0\n1_right,4\n", "1_left 1 left 0, 1_right 1 right 4", ""),
    "APTOS 2019": ("id_code,diagnosis\n00c14,2\n1e5,4\n", "00c14 - - 2, 1e5 - - 4", "image from 'id_code', grade from"),
    "IDRiD": (
        "Image name,Retinopathy grade,Risk of macular edema ,,,\nIDRiD_001,3,2,,,\nIDRiD_002,0,0, ,,\n",
        "IDRiD_001 - - 3, IDRiD_002 - - 0",
        "grade from 'Retinopathy grade'; not used: 'Risk of macular edema'",
    ),
    "Messidor-2, adjudicated": (
        "image_id,adjudicated_dr_grade,adjudicated_dme,adjudicated_gradable\na.png,0,0,1\nb.JPG,3,1,1\nc.jpg,,,0\n",
        "a - - 0, b - - 3",
        "gradable from 'adjudicated_gradable'",
    ),
    "DDR": ("007-0004-0.jpg 0\n007-0007-0.jpg 5\n2017041.jpg 2\n", "007-0004-0 - - 0, 2017041 - - 2", "no header"),
    "FGADR": ("0000_1.png,2\n0001_1.png,4\n", "0000_1 - - 2, 0001_1 - - 4", "no header"),
    "DeepDRiD": (
        "patient_id,image_id,image_path,Overall quality,left_eye_DR_Level,right_eye_DR_Level,patient_DR_Level,Clarity,"
        + "Field definition,Artifact\n7,7_l1,\\regular\\7\\7_l1.jpg,1,2,,3,4,8,10\n"
        + "7,7_r1,\\regular\\7\\7_r1.jpg,1,,3,3,10,4,0\n",
        "7_l1 7 left 2, 7_r1 7 right 3",
        "patient from 'patient_id'",
    ),
    "BRSET": (
        "image_id,patient_id,camera,exam_eye,DR_SDRG,DR_ICDR,diabetic_retinopathy,quality\n"
        + "img00001,1,Canon CR,1,4,2,1,Adequate\nimg00002,1,Canon CR,2,0,0,0,Adequate\n",
        "img00001 1 right 2, img00002 1 left 0",
        "grade from 'DR_ICDR', patient from 'patient_id', eye from 'exam_eye'",
    ),
    "mBRSET": (
        "patient,age,file,laterality,final_quality,final_icdr\n1,60,1.1.jpg,right,yes,0.0\n1,60,1.3.jpg,left,no,\n",
        "1.1 1 right 0",
        "image from 'file', grade from 'final_icdr'",
    ),
    "EyeQ": (
        ",image,quality,DR_grade\n0,1_left.jpeg,0,1\n1,1_right.jpeg,2,0\n",
        "1_left 1 left 1, 1_right 1 right 0",
        "grade from 'DR_grade'",
    ),
    "paths": ("path,label\n../set/a.png,2\n..\\set\\b.png,0\n", "set/a - - 2, set/b - - 0", "image from 'path'"),
    "words": (
        "Filename;Grade\na.tif;No DR\nb.dcm;moderate NPDR\nc.webp;Proliferative DR\nd.heic;Ungradable\n",
        "a - - 0, b - - 2, c - - 4",
        "columns separated by semicolons",
    ),
    "R0-R4": (
        "NAME\tDR level\tSide\nx7\tR0\tOD\nx8\tR4\tos\nx9\t2.0\t\n",
        "x7 - right 0, x8 - left 4, x9 - - 2",
        "tabs",
    ),
    "some names without a patient": (
        "image,level\n1_left,0\n1_right,1\nI7,2\n",
        "1_left 1 left 0, 1_right 1 right 1, I7 - - 2",
        "",
    ),
    "cells that name no patient": (
        "image,level,patient,eye\n10_left,0,P1,\n10_right,1,,\n11_left,2,unknown,OD\nx,3,,\n12_OD,0,P1,\n12_OS,0,P2,\n"
        + "12_OD 2,1,,\n",
        "10_left P1 left 0, 10_right P1 right 1, 11_left 11 right 2, x - - 3, 12_OD P1 right 0, 12_OS P2 left 0, "
        + "12_OD 2 - right 1",  # 10 is P1, and 12 cannot be one person
        "calls '11_left' the right eye",
    ),
    "an ID of other names": (
        "image,level,patient\n34_left,0,12\n34_right,0,12\n12_left,3,\n12_right,3,\n10_left,0,P1\nP1_left,2,\n",
        "34_left 12 left 0, 34_right 12 right 0, 12_left - left 3, 12_right - right 3, 10_left P1 left 0, "
        + "P1_left - left 2",
        "",
    ),
    "patients, no eyes": (
        "image,level,subject\na,0,p\nb,1,p\nc,2,\nd,3,unknown\ne,0,#N/A\nf,0,-1\ng,0,-1\nh,0,-99\n",
        "a p - 0, b p - 1, c - - 2, d - - 3, e - - 0, f - - 0, g - - 0, h - - 0",
        "patient from 'subject'",
    ),
}
SPLIT = ("--val", 0.3, "--test", 0.3, "--seed", 2)  # each split has one of the photographs


def read(tmp_path, text, columns=None, encoding="utf-8", **options):
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_labels(path, None, columns and parse_columns(columns), **options)


@pytest.mark.parametrize("form", FORMS)
def test_published_forms(tmp_path, form, capsys):
    text, rows, told = FORMS[form]
    table, said = read(tmp_path, text), capsys.readouterr().err
    known = patient_known(table)
    shown = table.assign(patient=table["patient"].where(known, "-"), eye=table["eye"].replace("", "-"))
    assert ", ".join(f"{r.image} {r.patient} {r.eye} {r.level}" for r in shown.itertuples()) == rows
    assert (table["patient"] == table["image"])[~known].all()  # each is a patient of its own
    assert ("patient_known" in table) == (not known.all())
    assert told in said and (told or "labels.csv:" not in said)  # one line, unless the table has our form
    assert "from" not in told or "image from" in said  # all columns, also those with a usual name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "latin-1"])
def test_encodings(tmp_path, encoding, capsys):
    text = "\ufeff" * (encoding == "utf-16-be") + "image;Grad;DR Grade\r\nmüller_left;\x81;0\r\nmüller_right;;2\r\n"
    if encoding == "cp1252":
        text = text.replace("\x81", "€")
    assert read(tmp_path, text, encoding=encoding)["patient"].tolist() == ["müller"] * 2
    said = capsys.readouterr().err
    assert ("UTF-16" in said) == encoding.startswith("utf-16") and (encoding in said) == (
        encoding in ("cp1252", "latin-1")
    )


def test_a_table_in_a_zip(tmp_path):
    def packed(**files):
        with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
            for name, text in files.items():
                archive.writestr(name.replace("_", "."), text)
        return file.getvalue()

    labels = "image,level,Usage\n1_left,0,Private\n1_right,1,Public\n"
    table = read(tmp_path, packed(a_csv=labels), extra=["Usage"])
    assert table["Usage"].tolist() == ["Private", "Public"]
    for data, words in (
        (packed(a_csv=labels, b_csv=labels), "holds 2 tables"),
        (packed(a_csv=labels)[:-30], "damaged"),
        (packed(**{"xl/workbook_xml": ""}), "Excel workbook; save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel workbook; save it as CSV"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "not a CSV table"),
    ):
        with pytest.raises(StageError, match=words):
            read(tmp_path, data)


@pytest.mark.parametrize(
    "text, grade",
    [("0", 0), ("4.0", 4), ("grade 3", 3), ("Mild", 1), ("mild_NPDR", 1), ("Moderate non-proliferative DR", 2)]
    + [("Severe diabetic retinopathy", 3), ("Proliferate_DR", 4), ("PDR", 4), ("No apparent retinopathy", 0)]
    + [("2 moderate", 2), ("0_No_DR", 0), ("3,0", 3), ("UNGRADABLE", NOT_GRADABLE), ("5", None), ("-1", None)]
    + [("NoDR", 0), ("0-NoDR", 0), ("2.5", None), ("2 severe", None), ("", None), ("none", None), ("R2", None)]
    + [("severe pdr", None), ("02", None)],
)  # fmt: skip
def test_grades_in_words(text, grade):
    assert read_grade(text) == grade


@pytest.mark.parametrize(
    "text, columns, words",
    [
        ("examid,rDR\nIM0001,0\n", None, ["lists examinations", "examid", "names photographs"]),
        ("ID,Left-Fundus,Right-Fundus,N,D\n0,0_left.jpg,0_right.jpg,1,0\n", None, ["no column image", "Left-Fundus"]),
        ("image,edema\na,0\n", None, ["no column level", "image, edema", "--columns grade=COLUMN"]),
        ("image,left,right\na,0,1\n", None, ["no column level", "image, left, right"]),
        ("filename,name,level\na,b,0\n", None, ["filename, name", "--columns image=COLUMN"]),
        ("image,dr_grade,diagnosis\na,0,1\n", None, ["dr_grade, diagnosis", "--columns grade=COLUMN"]),
        ("image,rDR,any_dr\na,0,1\n", None, ["two labels", "rDR and any_dr"]),
        ("image,DR\na,0\nb,1\n", None, ["only 0 and 1", "any=DR", "referable=DR", "grade=DR"]),
        ("image,DR\na,Yes\nb,No\n", None, ["line 2", "'Yes'", "any=DR or referable=DR"]),
        ("image,rDR\na,0\nb,2\n", None, ["line 3", "'2'", "0 or 1"]),
        ("image,level\na,R1\nb,R3\n", None, ["line 2", "'R1'", "England", "0-4"]),
        ("image,level\na,R0\nb,r2\n", "grade=level", ["line 3", "'r2'", "England"]),
        ("image,level\na,R0\nb,R4\nc,R6\n", None, ["line 4", "'R6'", "ungradable=R6"]),
        ("image,level\na,0\nb,-1\nc,-99\n", None, ["line 3", "'-1'", "2 such rows", "ungradable=-1"]),
        ("image,level\na,0\nb,5\nc,5\n", None, ["line 3", "'5'", "2 such rows", "ungradable=5"]),
        ("image,grade\na,1\nb,5\n", None, ["line 3", "'5'", "ungradable=5"]),
        ("image,grade\na,0\nb,5\n", "ungradable=", ["line 3", "'5'"]),
        ("a.jpg 0\nb.jpg 7\n", None, ["line 2", "'7'"]),
        ("Image name,Ophthalmologic department,Retinopathy grade\na.tif,CHU,3\n", None, ["Messidor", "adjudicated"]),
        ("image,left_eye_DR_Level,right_eye_DR_Level\na,1,2\n", None, ["line 2", "both eyes"]),
        ("image,left_eye_DR_Level\na,1\n", None, ["one eye only", "left_eye_DR_Level"]),
        ("image,level,gradable\na,1,perhaps\n", None, ["line 2", "'perhaps'", "gradable="]),
        ("image,level,gradable\na,1,0\n", None, ["no row has a grade"]),
        ("image,level\na,0\n", "image=photo", ["no column 'photo'", "image, level"]),
        ("image,level\na,0\nb\n,1\n", None, ["line 4", "without a name"]),
        ("path,level\na.jpg,0\na.png,1\n", None, ["'a'", "two different grades"]),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, text, columns, words):
    with pytest.raises(StageError) as caught:
        read(tmp_path, text, columns)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text, columns, levels",
    [
        ("photo,stage\na,0\nb,3\n", "image=photo,grade=stage", [0, 3]),
        ("image,level\na,0\nb,5\n", "ungradable=5", [0]),
        ("image,grade\na,0\nb,5.0\nc,2\n", "image=image", [0, 2]),
        ("image,level\na,0\nb,U\nc,3\n", "ungradable=u", [0, 3]),
        ("image,level,eye\na,0,both\n", "eye=", [0]),
        ("image,level,gradable\na,0,perhaps\n", "gradable=", [0]),
        ("image,level,eyeq\na,0,good\nb,3,reject\n", "gradable=eyeq", [0]),
        ("image,DR\na,0\nb,1\n", "grade=DR", [0, 1]),
        ("image,DR\na,0\nb,1\n", "referable=dr", [0, 2]),
        ("image,level,rDR\na,0,0\nb,1,1\n", "referable=rDR", [0, 2]),
        ("Image name,Ophthalmologic department,Retinopathy grade\na,CHU,3\n", "grade=Retinopathy grade", [3]),
        # our own table: our quality gate, no grader
        ("image,patient,eye,level,split,quality,gradable\na,7,left,1,train,0.9,0\n", None, [1]),
        ("image,level,gradable,split\na,0,0,train\nb,2,1,train\n", None, [2]),  # of others
        ("image,level,ungradable\na,0,1\nb,2,0\nc,3,\n", None, [2, 3]),
        ("image,level,Ungradable\na,0,yes\nb,2,no\n", None, [2]),
        ("image,level\na,0\nb,\n", None, [0]),
        ("image,level\na,R0\nb,r4\nc,R6\n", "ungradable=R6", [0, 4]),
        ("image,level\na,0\nb,-1\n", "ungradable=-1", [0]),
        ("image,level,eye\na,0,NA\nb,#N/A,OD\nc,nan,OD\nd,2,OD\n", None, [0, 2]),
        ("image,left_eye_DR_Level,right_eye_DR_Level\na,1,NA\nb,NA,3\n", None, [1, 3]),
    ],
)
def test_columns_that_are_named(tmp_path, text, columns, levels):
    assert read(tmp_path, text, columns)["level"].tolist() == levels
    assert columns is None or str(parse_columns(columns)) == columns


@pytest.mark.parametrize("text", ["photo", "grades=x", "image=a,image=b", ""])
def test_the_option_is_checked(text):
    done = run("preprocess_images.py", "--columns", text, code=2)
    assert "error: argument --columns" in done.stderr


def test_what_has_no_grade_is_listed(tmp_path, capsys):
    left_out = []
    table = read(tmp_path, "image,level,gradable\na,0,1\nb,,0\nc,,1\nd,2,0\ne,ungradable,\n", left_out=left_out)
    assert table["image"].tolist() == ["a"]
    assert left_out == [("b", BY_GRADER), ("d", BY_GRADER), ("e", BY_GRADER), ("c", NO_GRADE)]
    said = capsys.readouterr().err
    assert "left out 3 of 5 images" in said and "left out 1 of 5 images" in said


def test_binary_labels_answer_one_question(tmp_path):
    table = read(tmp_path, "image;Referable\na.jpg;1\nb.jpg;no\nc.jpg;ungradable\n")
    assert table["level"].tolist() == [2, 0] and table["question"].tolist() == ["referable"] * 2
    assert count_labels(table) == {"not referable": 1, "referable DR": 1}
    assert answerable(table, "grade") == answerable(table, "referable") == ["referable"] and not answerable(
        table, "any"
    )
    require_answers(table, "referable", "labels.csv", training=True)
    require_answers(table, "grade", "labels.csv")
    for task, training in (("any", False), ("any", True), ("grade", True)):
        with pytest.raises(StageError, match="only whether there is referable DR"):
            require_answers(table, task, "labels.csv", training)
    graded = table.assign(question="", level=[3, 1])
    both = pd.concat([graded, table])
    assert count_labels(both)["3 Severe"] == count_labels(both)["referable DR"] == 1
    assert answerable(both, "grade") == ["referable"]


def test_our_own_table_is_a_label_table_too(tmp_path):
    """preprocessed.csv, given to evaluate.py: unknown patients stay unknown, and binary labels binary."""
    table = read(
        tmp_path, "image,patient,eye,level,question,patient_known,split\na,a,,0,,0,test\nb,7,,2,referable,1,val\n"
    )
    assert table["question"].tolist() == ["", "referable"] and table["patient_known"].tolist() == [0, 1]
    assert table["patient"].tolist() == ["a", "7"] and answerable(table, "grade") == ["referable"]


def test_names_are_matched_to_photographs():
    photographs = ["train/7", "test/7", "train/8", "x/9", "10"]
    assert match_images(["train/7", "8", "set/train/8x", "9", "old/10"], photographs) == [
        "train/7",
        "train/8",
        None,
        "x/9",
        "10",
    ]
    assert match_images(["other/9"], photographs) == ["x/9"]  # the base name is the only one in both
    assert match_images(["M\u00fcller_left"], ["Mu\u0308ller_left"]) == ["Mu\u0308ller_left"]  # NFC and NFD
    assert match_images(["other/9", "more/5"], photographs) == [None, None]  # folders tell photographs apart here
    assert match_images(["train/7", "val/7"], ["train/7"]) == ["train/7", None]
    for names, theirs, words in (
        (["7"], photographs, "may be 'train/7' or 'test/7'"),
        (["a/7", "b/7"], ["7"], "'a/7' and 'b/7' in the table both fit the photograph '7'"),
        (["\u00fc"], ["\u00fc", "u\u0308"], "two photographs are called .* with letters of one and of two parts"),
    ):
        with pytest.raises(StageError, match=words):
            match_images(names, theirs)
    assert [without_ending(n) for n in (r"..\a\1.1.jpg", "/x/y.DCM", "1.1", "a.b.tiff")] == [
        "a/1.1",
        "x/y",
        "1.1",
        "a.b",
    ]


def test_names_of_other_folders_are_told(capsys):
    warn_of_folders({"test/7": "train/7", "set/a/8": "a/8", "9": "9", "x/1": None}, "labels.csv")
    said = capsys.readouterr().err
    assert "other folders than the photographs for 1 name, such as 'test/7' for 'train/7'" in said
    warn_of_folders({"a/8": "8", "set/a/8": "a/8"}, "labels.csv")
    assert not capsys.readouterr().err


def test_dates_in_names_may_be_visits_of_one_patient(capsys):
    warn_of_visits(["7_20240131", "7_20250131", "8_2024-01-31", "8_2025-01-31", "9_20240131"])
    said = capsys.readouterr().err
    assert "7_20240131 and 7_20250131 may be visits of one patient" in said and "(2 such names)" in said
    warn_of_visits(["20240131", "20250131", "7", "8", "19991231_7", "20001231_8", "7_20249931", "7_20240131"])
    assert not capsys.readouterr().err


def test_copies_of_unknown_patients_share_a_split_and_contradict_no_patient():
    table = pd.DataFrame({"image": list("abcd"), "patient": ["a", "b", "p", "p"], "eye": "", "level": [0, 0, 1, 2]})
    table["patient_known"] = [0, 0, 1, 1]
    copies = list_copies(table, [(0, 1, 1.0), (2, 3, 1.0)])
    assert copies["contradiction"].tolist() == ["", GRADES]  # unknown eyes contradict nothing
    split_patients(table, copies, {}, {"seed": 0})
    assert table["split"][0] == table["split"][1]
    named = list_copies(table.assign(patient_known=1), [(0, 1, 1.0)])
    assert named["contradiction"].tolist() == [PATIENTS]


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory):
    """Six photographs whose names tell nothing, resized, and two tables; the folder."""
    folder = tmp_path_factory.mktemp("unnamed")
    (folder / "photos").mkdir()
    grades = [("id_code", "diagnosis"), *((f"{i:03}c1e", 3 * (i % 2)) for i in range(6)), ("777", 5)]
    binary = [("file", "rDR"), *((f"{name}.jpg", int(grade > 1)) for name, grade in grades[1:-1])]
    for i, (name, _) in enumerate(grades[1:]):
        picture = draw_photograph(seed=i, dots=12 * (i % 2), texture=4)
        Image.fromarray(picture).save(folder / "photos" / f"{name}.jpeg")
    write_csv(folder / "grades.csv", grades)
    write_csv(folder / "binary.csv", binary)
    run("resize_images.py", "--input", folder / "photos", "--output", folder / "resized", "--size", 64)
    return folder


def preprocess(unnamed, work, table, *options, code=0):
    places = (
        "--input",
        unnamed / "resized",
        "--output",
        work / "kept",
        "--figures",
        work,
        "--labels-out",
        work / "kept.csv",
    )
    return run("preprocess_images.py", *places, "--labels", unnamed / table, "--workers", 1, *options, code=code)


def test_a_set_without_patients_goes_to_the_audit(unnamed, tmp_path):
    refused = preprocess(unnamed, tmp_path, "grades.csv", "--columns", "ungradable=", code=1)
    one_sentence(refused, "line 8", "'5'", "--columns ungradable=5")
    assert "is taken for ungradable" not in refused.stderr
    done = preprocess(unnamed, tmp_path, "grades.csv", *SPLIT)
    assert "5 in diagnosis is taken for ungradable" in done.stderr
    assert done.stderr.count("identify the patients") == 1 and "photographs, not patients, were split" in done.stdout
    rows = read_csv(tmp_path / "kept.csv")
    assert len(rows) == 6 and {(row["patient"] == row["image"], row["eye"], row["patient_known"]) for row in rows} == {
        (True, "", "0")
    }
    assert ("777", BY_GRADER) in [(row["image"], row["reason"]) for row in read_csv(tmp_path / "kept" / "dropped.csv")]
    run(
        "rotate_images.py",
        "--input",
        tmp_path / "kept",
        "--output",
        tmp_path / "rotated",
        "--labels",
        tmp_path / "kept.csv",
    )
    read_table(tmp_path / "kept.csv", ["image", "patient", "eye", "level", "split", "patient_known"], None)
    done = run("audit_leakage.py", "--labels", tmp_path / "kept.csv", code=3)
    assert "could not tell: rows of unknown patients" in done.stdout


def test_a_binary_table_goes_to_the_right_task(unnamed, tmp_path):
    done = preprocess(unnamed, tmp_path, "binary.csv", *SPLIT)
    assert "not referable" in done.stdout and "2 Moderate" not in done.stdout
    assert {(row["level"], row["question"]) for row in read_csv(tmp_path / "kept.csv")} == {
        ("0", "referable"),
        ("2", "referable"),
    }
    places = ["--input", tmp_path / "kept", "--output", tmp_path / "rotated", "--labels", tmp_path / "kept.csv"]
    done = run("rotate_images.py", *places, "--labels-out", tmp_path / "rotated.csv")
    assert "3 photographs without and 3 with referable DR" in done.stdout
    run(
        "image_to_array.py",
        "--input",
        tmp_path / "rotated",
        "--labels",
        tmp_path / "rotated.csv",
        "--output",
        tmp_path / "array",
    )
    one_sentence(run("cnn.py", "--input", tmp_path / "array", code=1), "only whether", "use --task referable")


TRUE_SIZE = {  # photographs of grades 0-4, left out, patients that are known
    "aptos2019-train.csv": ([1805, 370, 999, 193, 295], 0, 0),
    "idrid-train.csv": ([134, 20, 136, 74, 49], 0, 0),
    "messidor2-adjudicated.csv": ([1017, 270, 347, 75, 35], 4, 0),
    "kaggle2015-testLabels.csv.zip": ([39533, 3762, 7861, 1214, 1206], 0, 26788),
}


@needs_real("tables")
@pytest.mark.parametrize("name", TRUE_SIZE)
def test_real_tables(name):
    counts, missing, patients = TRUE_SIZE[name]
    left_out = []
    table = read_labels(REAL / "tables" / name, None, extra=["Usage"], left_out=left_out)
    assert count_by_grade(table["level"]) == counts and len(left_out) == missing
    known = patient_known(table)
    assert table["patient"][known].nunique() == patients and known.all() == bool(patients)
    assert table["patient"].nunique() == (patients or len(table))
    if "Usage" in table:
        assert table["Usage"].value_counts().to_dict() == {"Private": 42_670, "Public": 10_906}
    if name.startswith("aptos"):  # names that pandas or a spreadsheet would take for numbers
        assert table["image"].str.fullmatch(r"\d+e\d+").sum() == 18
        assert np.array_equal(table["image"], pd.read_csv(REAL / "tables" / name, dtype=str)["id_code"])


@needs_real("tables")
def test_a_table_of_examinations_is_refused():
    with pytest.raises(StageError, match=r"lists examinations \(column examid\)"):
        read_labels(REAL / "tables" / "messidor2-reference.csv", None)


def test_the_commands_of_the_public_sets_can_be_parsed(monkeypatch):
    """docs/datasets.md: every option exists, and every value of --columns can be read."""
    text = (REPO / "docs" / "datasets.md").read_text()
    usage = {script: run(script, "--help").stdout for script in ("run_pipeline.sh", "download_images.sh")}
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert len(lines) > 9
    for program, script, *words in map(shlex.split, lines):
        if program == "bash":
            for word in (word for word in words if word.startswith("--")):
                assert re.search(rf"\s{word}(?![\w-])", usage[script]), (script, word)
        else:
            monkeypatch.setattr("sys.argv", [script, *words])
            assert evaluate.parse_options().photos
    for value in re.findall(r"--columns ([\w=,]+)", text):
        parse_columns(value)
