"""Label tables as users provide them: every fault has an error message, and harmless irregularities are accepted."""

import pandas as pd
import pytest

from eyenet.data.tables import read_table, write_table
from eyenet.run.errors import StageError
from eyenet.sets.labels import read_labels


def labels(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return read_labels(path)


@pytest.mark.parametrize(
    "text, encoding",
    [
        ("image,level\n1_left,0\n1_right,3\n", "utf-8"),
        ("image,level\n1_left,0\n1_right,3\n", "utf-8-sig"),
        ("image,level\r\n1_left,0\r\n1_right,3\r\n", "utf-8"),
        (" image , level\n 1_left , 0\n1_right,3", "utf-8"),
        ("level,comment,image\n0,x,1_left\n3,,1_right\n", "utf-8"),
        ("image,level\n1_left.jpeg,0\n1_right.jpeg,3\n", "utf-8"),
        ("image,level\n1_left,0\n1_left,0\n1_right,3\n", "utf-8"),  # the same row twice
        ("image,level\n\n1_left,0\n1_right,3\n\n", "utf-8"),  # blank lines
        ("image,level\n1_left,0.0\n1_right,3.\n", "utf-8"),  # from a column of floats
    ],
)
def test_read(tmp_path, text, encoding):
    table = labels(tmp_path, text, encoding)
    assert table.to_dict("records") == [
        {"image": "1_left", "patient": "1", "eye": "left", "level": 0},
        {"image": "1_right", "patient": "1", "eye": "right", "level": 3},
    ]


def test_own_patient_and_eye_count(tmp_path):
    table = labels(tmp_path, "image,level,patient,eye\nIDRiD_01,2,p7,left\n5_left,0,p8,right\n")
    assert table["patient"].tolist() == ["p7", "p8"]
    assert table["eye"].tolist() == ["left", "right"]


def test_a_table_that_contradicts_the_names_is_told(tmp_path, capsys):
    table = labels(tmp_path, "image,level,patient,eye\n7_left,2,7,right\n8_left,0,8,left\n")
    assert table["eye"].tolist() == ["right", "left"]  # the table counts
    assert "calls '7_left' the right eye, and contradicts the names of 1 image;" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text, words",
    [
        ("", ["is empty"]),
        ("image,level\n", ["no rows"]),
        ("image,stage\n1_left,0\n", ["no column level", "image, stage", "--columns grade=COLUMN"]),
        ("image,level\n1_left,0\n1_right,5\n", ["line 3", "'5'", "0 to 4", "--columns ungradable=5"]),
        ("image,level\n1_left,\n", ["line 2", "no row has a grade"]),
        ("image,level\n1_left,0\n,1\n", ["line 3", "image"]),
        ("image,level\n1_left,blurred\n", ["'blurred'"]),
        ("image,level\n1_left,0\n1_left,2\n", ["'1_left'", "two different grades"]),
        ("image,level\n1_left,0,7\n2_left,0\n", ["line"]),
        ("image,level,eye,patient\na,0,both,7\n", ["line 2", "eye", "'both'", "left, right", "--columns eye="]),
        ("image,level,eye,patient\na,0,left,7\na,0,left,8\n", ["'a'", "different values of patient"]),
        ("image,image,level\na,b,0\n", ["column"]),
        (" image,image,level\na,b,0\n", ["'image' twice"]),
        ("image,level,level\n1_left,0,4\n", ["'level' twice"]),
        ("image,level\n\n\n1_left,9\n", ["line 4", "'9'"]),
        ("image,level,eye,patient\n.jpeg,0,left,7\n", ["without a name"]),
        # A stray quotation mark would swallow the lines up to the next one, and the grade of another photograph count.
        ('image,notes,level\n1_left,,0\n1_right,"blurred,0\n2_left,see above",4\n', ["line 3", "notes", "quotation"]),
        ('image,level,notes\n1_left,0,"blurred,\nrepeat"\n', ["line 2", "notes", "one line"]),
        ('image,level,notes\n1_left,0,\n1_right,0,"blurred\n2_left,4,\n', ["line 3", "never closed"]),
        ('image,"level\n1_left,0\n1_right",2\n', ["line 1", "header", "quotation"]),
        ("image,level\n1_left,2.5\n", ["line 2", "'2.5'"]),
    ],
)
def test_faults_have_their_sentence(tmp_path, text, words):
    with pytest.raises(StageError) as caught:
        labels(tmp_path, text)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_and_missing(tmp_path):
    with pytest.raises(StageError, match="is a folder"):
        read_labels(tmp_path)
    with pytest.raises(StageError, match=r"run download_images\.sh first"):
        read_labels(tmp_path / "none.csv")


def test_names_that_a_spreadsheet_would_compute_stay_text(tmp_path):
    names = ["=HYPERLINK(1)_left", "-5_left", "+1.5", "-3", "@x", "'=x", "''=x", "'plain'", "plain", "a=b", "-", "2-1"]
    table = pd.DataFrame({"image": names, "patient": names, "difference": [-0.5] * len(names)})
    write_table(tmp_path / "t.csv", table)
    cells = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()[1:]]
    assert {row[0][0] for row in cells} == {"'", "+", "-", "p", "a", "2"} and cells[0][0].startswith("'=")
    assert [row[0] for row in cells if row[0][0] in "+-"] == ["+1.5", "-3"] and {row[2] for row in cells} == {"-0.5"}
    read = read_table(tmp_path / "t.csv", ["image", "patient"], None)
    assert read["image"].tolist() == read["patient"].tolist() == names


def test_unknown_split(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,split\na,training\n")
    with pytest.raises(StageError, match="'training'"):
        read_table(path, ["image", "split"], "x.py")
