"""Names and splits: properties that hold for every name and every patient."""

import pytest
from conftest import REAL, needs_real
from hypothesis import given
from hypothesis import strategies as st

from eyenet.data.names import SPLITS, SUFFIX, Name, copy_name, parse_name, split_of
from eyenet.data.tables import count_by_grade
from eyenet.sets.labels import read_labels

patients = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"), min_size=1)


@given(patients, st.sampled_from(["left", "right"]), st.sampled_from(list(SUFFIX)))
def test_name_round_trip(patient, eye, transform):
    name = Name(patient, eye, transform)
    assert parse_name(str(name)) == name
    assert copy_name(f"{patient}_{eye}", transform) == str(name)


@pytest.mark.parametrize("text", ["10", "left", "_left", "10_Left", "10_left_45", "10_left_mir_90", "10_left.png", ""])
def test_other_names_are_refused(text):
    with pytest.raises(ValueError, match="left|right"):
        parse_name(text)


def test_suffix_is_parsed_and_not_stripped():
    assert parse_name("0901_left_90") == Name("0901", "left", "rot90")  # strip("_90") would change the patient
    assert parse_name("a_left_mir_right") == Name("a_left_mir", "right", "original")


@given(st.lists(patients, unique=True), patients, st.integers(0, 99))
def test_adding_patients_moves_nobody(known, new, seed):
    before = {p: split_of(p, seed) for p in known}
    after = {p: split_of(p, seed) for p in [new, *known]}
    assert all(after[p] == before[p] for p in known)


@given(patients, st.floats(0, 0.4), st.floats(0, 0.3))
def test_a_larger_test_only_gains(patient, test, more):
    if split_of(patient, test=test) == "test":
        assert split_of(patient, test=test + more) == "test"


def test_fractions_are_kept():
    counts = {s: 0 for s in SPLITS}
    for patient in range(20_000):
        counts[split_of(str(patient), seed=3, val=0.1, test=0.2)] += 1
    assert abs(counts["val"] / 20_000 - 0.1) < 0.01  # more than four standard deviations
    assert abs(counts["test"] / 20_000 - 0.2) < 0.012


def test_seed_changes_the_split():
    assert [split_of(str(p), 0) for p in range(50)] != [split_of(str(p), 1) for p in range(50)]


@needs_real("trainLabels.csv")
def test_kaggle_table():
    labels = read_labels(REAL / "trainLabels.csv")
    assert len(labels) == 35_126
    assert labels["patient"].nunique() == 17_563
    assert count_by_grade(labels["level"]) == [25_810, 2_443, 5_292, 873, 708]
    labels["split"] = [split_of(p) for p in labels["patient"]]
    assert (labels.groupby("patient")["split"].nunique() == 1).all()
    half = labels.iloc[: len(labels) // 2]
    assert [split_of(p) for p in half["patient"]] == half["split"].tolist()
    assert abs((labels["split"] == "test").mean() - 0.15) < 0.01
