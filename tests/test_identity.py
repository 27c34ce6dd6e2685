"""Whose photograph it is: names as cameras and people write them, placeholders, numbers, visits."""

import pytest
from conftest import read_csv, run, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st

from eyenet.data.identity import Identity, group_photographs, is_placeholder, read_name, unify
from eyenet.data.names import canonical, split_of

patients = st.from_regex(r"[A-Za-z]{0,2}[1-9][0-9]{0,5}", fullmatch=True)
EYES = {"left": ("left", "LEFT", "Left", "OS", "os", "L", "l", "LE"), "right": ("right", "Right", "OD", "R", "re")}


@settings(max_examples=40)
@given(patients, st.sampled_from("_- ."), st.sampled_from(["", " (1)", "_2", " - Copy", "-copy"]), st.data())
def test_all_spellings_of_the_eye(patient, gap, mark, data):
    for eye, words in EYES.items():
        word = data.draw(st.sampled_from(words))
        assert read_name(f"{patient}{gap}{word}{mark}") == (patient, eye)
        assert read_name(word, patient) == (patient, eye)
        assert read_name(patient, word) == (patient, eye)


@pytest.mark.parametrize(
    ("stem", "found"),
    [
        ("left_12", ("12", "left")),
        ("OD-12", ("12", "right")),
        ("12_left_macula", ("12", "left")),
        ("12", (None, None)),
        ("le_petit_1", (None, None)),  # a name, not the left eye
        ("IMG_R_0012", (None, None)),  # a number of the camera
        ("IMG_left", (None, "left")),
        ("12-left-OD", (None, None)),
        ("12_left_mir", (None, None)),  # a copy of a photograph
        ("leftover_12", (None, None)),
        ("left", (None, "left")),
    ],
)
def test_what_a_name_tells(stem, found):
    assert read_name(stem) == found


@pytest.mark.parametrize(
    "word", ["", "ANONYMOUS", "anonymized", "UNKNOWN", "0", "000", "REMOVED", "None", "--", "xxx", "1.2E+05"]
)
def test_placeholders(word):
    assert is_placeholder(word) and not is_placeholder(f"{word}17")


def test_numbers_read_the_same_however_they_were_written():
    assert {canonical(text) for text in ("12", "0012", "12.0", " 12 ")} == {"12"}
    assert canonical("1e5") == "1e5" and canonical("12.5") == "12.5" and canonical("a012") == "a012"
    assert canonical("Zoe\u0308") == canonical("Zo\u00eb")
    assert len({split_of(text) for text in ("12", "0012", "12.0")}) == 1
    assert unify(["0012", "12"], ["left", "right"]) == (["12", "12"], [])
    assert unify(["0012", "12"], ["left", "left"]) == (["0012", "12"], [("0012", "12")])
    assert unify(["0012", "0012"], ["left", "right"]) == (["0012", "0012"], [])
    assert unify(["Zoe\u0308", "Zo\u00eb"], ["left", "left"]) == (["Zo\u00eb", "Zo\u00eb"], [])


def both(patient, visit=None, date=None, **more):
    return [Identity(patient, eye, visit, date, **more) for eye in ("left", "right")]


def groups_of(identities):
    groups, warnings = group_photographs(identities)
    return [(patient, {eye: len(own) for eye, own in eyes.items()}) for patient, eyes in groups], warnings


ONE = {"left": 1, "right": 1}


def test_photographs_of_a_person_are_grouped():
    assert groups_of([*both("1"), *both("2")]) == ([("1", ONE), ("2", ONE)], [])
    assert groups_of([Identity("1", "left"), Identity(None, "left"), Identity("1", None)]) == ([("1", {"left": 1})], [])
    assert groups_of([*both("1", place="a"), *both("1", place="b")])[0] == [("1", ONE), ("1", ONE)]
    assert groups_of([*both("0012", place="a"), *both("12", place="b")])[1] == []


def test_studies_are_visits():
    assert groups_of([*both("1", "a"), *both("1", "b")])[0] == [("1", ONE), ("1", ONE)]
    alone = [Identity("1", "left", "a", "20260101"), Identity("1", "right", "b", "20260101")]
    assert groups_of(alone)[0] == [("1", ONE)]  # a study for each photograph
    other_day = [alone[0], alone[1]._replace(date="20270101")]
    assert groups_of(other_day)[0] == [("1", {"left": 1}), ("1", {"right": 1})]


@pytest.mark.parametrize(
    ("identities", "words"),
    [
        ([*both("7", named="s1"), *both("7", named="s2")], "file names such as s1 and s2 say otherwise"),
        (11 * both("7"), "11 photographs of one eye in a visit"),
        ([one for visit in range(21) for one in both("7", str(visit))], "21 visits"),
        ([*both("0012"), *both("12")], None),
    ],
)
def test_what_cannot_be_one_person_is_not_joined(identities, words):
    groups, (warning,) = groups_of(identities)
    if words:
        assert groups == [] and words in warning
    else:
        assert groups == [("0012", ONE), ("12", ONE)] and "may be one patient or several" in warning


def test_a_table_whose_numbers_lost_their_zeros(sample, tmp_path):
    """Left eyes from a camera's table, right eyes from a spreadsheet: nobody is in two splits."""
    crops = ("--output", tmp_path / "crops", "--size", 32, "--max-rejected", 0.1)
    run("resize_images.py", "--input", sample / "train", *crops)
    rows = [("image", "level", "patient", "eye")]
    for row in read_csv(sample / "trainLabels.csv"):
        number, eye = row["image"][1:].split("_")
        rows.append((row["image"], row["level"], number if eye == "left" else f"{int(number)}.0", eye))
    table = write_csv(tmp_path / "labels.csv", rows)
    place = ["--output", tmp_path / "kept", "--labels-out", tmp_path / "kept.csv", "--figures", tmp_path]
    run("preprocess_images.py", "--input", tmp_path / "crops", "--labels", table, *place, "--quality", "keep")
    splits = {}
    for row in read_csv(tmp_path / "kept.csv"):
        splits.setdefault(int(row["image"][1:5]), set()).add((row["patient"], row["split"]))
    assert all(len(found) == 1 for found in splits.values())
    done = run("audit_leakage.py", "--labels", tmp_path / "kept.csv")
    assert "LEAK" not in done.stdout


def test_a_table_of_placeholders(sample, tmp_path):
    """Each photograph is a patient of its own, and a warning says so."""
    from eyenet.sets.labels import read_labels

    rows = [("image", "level", "patient", "eye"), ("a", 0, "UNKNOWN", "left"), ("b", 2, "UNKNOWN", "left")]
    table = read_labels(write_csv(tmp_path / "labels.csv", rows))
    assert table["patient"].tolist() == ["a", "b"]
