"""Groups of photographs: how they are made, how they differ from the rest, and how that is told."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import write_csv
from report_fixtures import Page, make_config, make_examples, make_metrics

from eyenet.model.predictions import Scored
from eyenet.report import terminal
from eyenet.report.cautions import cautions
from eyenet.report.html import write_report
from eyenet.report.subgroups import assess_subgroups
from eyenet.score.intervals import auc_with_interval, share_with_interval
from eyenet.score.subgroups import LEAST, compare_group, compare_shares, holm
from eyenet.sets.groups import NoColumn, choose_columns, group_photographs


def alone(*counts):
    """Make hits, patients and group of rows of two groups, each row a patient: (hits, rows) of each."""
    hits = np.concatenate([np.arange(rows) < right for right, rows in counts])
    return hits, np.arange(len(hits)), np.repeat([True, False], [rows for _, rows in counts])


def test_the_difference_of_independent_shares_is_newcombes():
    """His example of 56 of 70 and 48 of 80, method 10 (Statistics in Medicine 1998, table II)."""
    found = compare_shares(*alone((56, 70), (48, 80)))["difference"]
    assert [round(found[key], 4) for key in ("value", "low", "high")] == [0.2, 0.0524, 0.3339]
    assert 0.005 < found["p"] < 0.05


def test_the_p_value_fits_the_interval_at_any_number():
    for right in range(20, 41):
        found = compare_shares(*alone((right, 40), (60, 80)))["difference"]
        assert (found["p"] < 0.05) == (found["low"] > 0 or found["high"] < 0), right
    assert compare_shares(*alone((30, 40), (60, 80)))["difference"]["p"] == 1


def test_eyes_of_the_same_patients_are_compared_as_pairs():
    """Agreeing eyes make the interval narrower, but never a point, and eyes of others leave it as it is."""
    rng = np.random.default_rng(0)
    left, inside = rng.random(100) < 0.8, np.repeat([True, False], 100)
    both, pairs, others = np.tile(left, 2), np.tile(np.arange(100), 2), np.arange(200)
    paired, independent = (compare_shares(both, patients, inside)["difference"] for patients in (pairs, others))
    assert paired["value"] == 0 and paired["low"] > independent["low"] / 2
    assert paired["low"] < -0.02  # 100 pairs that all agree do not exclude 2 %
    assert independent["high"] == pytest.approx(-independent["low"]) and independent["high"] > 0.1


def test_the_difference_of_aucs_joins_their_intervals():
    rng = np.random.default_rng(1)
    truth, inside = rng.random(600) < 0.3, np.arange(600) < 200
    score = rng.normal(size=600) + np.where(inside, 2, 1) * truth
    found = compare_group(truth, score > 1, score, np.arange(600), inside)
    one, other = (auc_with_interval(truth[rows], score[rows], np.arange(600)[rows]) for rows in (inside, ~inside))
    difference = found["auc"]["difference"]
    assert {key: found["auc"][key] for key in one} == pytest.approx(one)
    assert difference["value"] == pytest.approx(one["value"] - other["value"])
    below = np.hypot(one["value"] - one["low"], other["high"] - other["value"])
    assert difference["low"] == pytest.approx(difference["value"] - below)
    assert found["sensitivity"]["value"] == pytest.approx((score > 1)[truth & inside].mean())


def test_few_patients_are_not_compared_and_many_photographs_do_not_help():
    truth, inside = np.tile([True, False], 200), np.arange(400) < 100
    score = np.random.default_rng(0).random(400)
    for people, told in ((LEAST, True), (LEAST - 1, False)):
        patients = np.where(inside, np.arange(400) // 2 % people, np.arange(400))
        found = compare_group(truth, score > 0.5, score, patients, inside)
        assert all(bool(found[name]["difference"]) == told for name in ("sensitivity", "specificity", "auc"))
        assert found["patients"] == {"with_disease": people, "without": people} and found["count"] == 100
    alone = {key: found["sensitivity"][key] for key in ("value", "low", "high")}
    assert alone == share_with_interval(score > 0.5, patients, inside & truth)


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert list(holm([0.9, 0.8])) == [1, 1] and not len(holm([]))


def grouped(name, values, **more):
    found = group_photographs(pd.DataFrame({name: values, **more}), name)
    return list(found), list(found.categories)


def test_text_is_grouped_by_value_and_many_values_by_frequency(capsys):
    assert grouped("sex", ["m", "f ", "", "NA", "m"]) == (["m", "f", "unknown", "unknown", "m"], ["f", "m", "unknown"])
    sites = [f"s{i:02}" for i in range(15)]
    rows, groups = grouped("site", [*sites[:11] * 2, *sites[11:], "n/a"])
    assert groups == [*sites[:11], "other (4 values)", "unknown"] and rows.count("other (4 values)") == 4
    assert "site has 15 values" in capsys.readouterr().err
    assert grouped("stage", ["2", "10", "2.0", "x"])[1] == ["10", "2", "2.0", "x"]


def test_upper_and_lower_case_are_one_group_and_it_is_told(capsys):
    rows, groups = grouped("sex", ["M", " m ", "F", "f", "f", "m", "Male", "m"])
    assert rows == ["m", "m", "f", "f", "f", "m", "Male", "m"] and groups == ["Male", "f", "m"]
    assert "note: sex: upper and lower case are not told apart: 'm' and 'M'; 'f' and 'F'" in capsys.readouterr().err
    assert grouped("site", ["A", "B", "A"])[1] == ["A", "B"] and capsys.readouterr().err == ""
    assert grouped("source", ["a", "A"])[1] == ["A", "a"]  # sets in two folders


def test_numbers_are_cut():
    assert grouped("code", ["2", "10", "2.0", ""]) == (["2", "10", "2", "unknown"], ["2", "10", "unknown"])
    rows, groups = grouped("HbA1c", [*map(str, range(30)), ""])
    assert groups == ["up to 9", "above 9, up to 19", "above 19", "unknown"]
    assert [rows.count(group) for group in groups] == [10, 10, 10, 1] and rows[9] == groups[0]
    ages = grouped("Patient_Age", ["39.9", "40", "71", "-1", "999", ""])
    assert ages == (["under 40", "40 to 49", "70 or older", *["unknown"] * 3], [*ages[0][:3], "unknown"])


def test_what_eyenet_knows_is_grouped():
    quality = {"gradable": ["1", "1", "1", "1", "0"]}
    rows, groups = grouped("quality", ["0.01", "0.02", "0.1", "0.15", "0.9"], **quality)
    assert groups == ["gradable, better half", "gradable, worse half", "not gradable"]
    assert [rows.count(group) for group in groups] == [2, 2, 1] and rows[-1] == groups[-1]
    assert grouped("gradable", [1, 0, 1])[1] == ["gradable", "not gradable"]
    assert grouped("eye", ["left", "right", ""])[1] == ["left", "right", "unknown"]
    table, sizes = pd.DataFrame({"image": range(30)}), np.array([[2000, 1500], [500, 400]] * 15)
    assert list(group_photographs(table, "size", sizes).categories) == ["500 x 400", "2000 x 1500"]
    many = np.stack([np.arange(1000, 1030), np.full(30, 1000)], 1)
    assert len(group_photographs(table, "size", many).categories) == 3
    assert list(group_photographs(table, "quality").categories) == ["unknown"]


def test_columns_are_found_and_a_missing_one_is_told(tmp_path, capsys):
    header = ("image", "level", "Camera-Model", "quality", "USAGE", "patient")
    table = write_csv(tmp_path / "labels.csv", [header, ("1_left", 0, "A", "good", "x", "1")])
    assert choose_columns(["camera model", "Quality", "usage", "eye"], table) == [
        "Camera-Model",
        "quality",
        "Usage",
        "eye",
    ]
    assert "--by quality is what EyeNet measures, not the column of" in capsys.readouterr().err
    for wrong in ("sex", "patient", "level"):
        with pytest.raises(NoColumn, match=f"no column '{wrong}' to group by; there are eye, .*, Camera-Model"):
            choose_columns([wrong], table)


def make_scored(patients=400, known=True):
    """Make scored photographs of two eyes; the network misses disease at the site B."""
    rng = np.random.default_rng(0)
    level = np.where(rng.random(patients) < 0.3, 2, 0).repeat(2)
    site = rng.choice(["A", "B", "C"], patients, p=[0.6, 0.38, 0.02]).repeat(2)
    score = 1 / (1 + np.exp(-(rng.normal(0, 1, 2 * patients) + (level > 0) * np.where(site == "B", 0.5, 3) - 1)))
    patient = np.arange(patients).astype(str).repeat(2)
    table = pd.DataFrame({"image": [f"{p}_{e}" for p, e in zip(patient, ["left", "right"] * patients)]})
    table = table.assign(patient=patient, eye=["left", "right"] * patients, level=level, split="test", site=site)
    table["gradable"] = (rng.random(2 * patients) > 0.2 * (site == "A")).astype(int)
    if not known:
        table["patient_known"] = "0"
        table["patient"] = table["image"]
    probabilities = np.stack([1 - score, score], 1)
    return Scored(table, probabilities, np.zeros((2 * patients, 90)), None, "photographs of x", False, 0)


def assess(scored, *columns):
    config = make_config("any") | {"task": "any"}
    return assess_subgroups(scored, config, ["Usage", "source", "gradable", *columns], 100, 0)


@pytest.fixture(scope="module")
def metrics():
    return make_metrics("any", 400) | {"subgroups": assess(make_scored(), "site", "eye"), "source": "photographs"}


def test_a_group_that_is_worse_is_found(metrics):
    groups = metrics["subgroups"]["columns"]["site"]
    for unit in ("eye", "patient"):
        worse = groups["B"]["questions"]["any"][unit]["sensitivity"]["difference"]
        assert worse["high"] < -0.2 and worse["p"] <= worse["p_corrected"] < 0.001
        assert groups["C"]["questions"]["any"][unit]["auc"]["difference"] is None
    poor = groups["A"]["ungradable"]["patient"]["difference"]
    assert poor["low"] > 0.1 and poor["p_corrected"] < 0.05
    assert metrics["subgroups"]["columns"]["gradable"]["gradable"]["ungradable"] is None
    json.dumps(metrics["subgroups"])


def test_a_patient_counts_in_each_group_by_the_photographs_in_it(metrics):
    left, right = metrics["subgroups"]["columns"]["eye"].values()
    for part in (left, right):
        assert part["patients"] == part["photographs"] == 400
        for figure in ("sensitivity", "auc"):
            by_unit = [part["questions"]["any"][unit][figure]["value"] for unit in ("eye", "patient")]
            assert by_unit[0] == pytest.approx(by_unit[1])
    one, other = (part["questions"]["any"]["eye"]["auc"]["difference"] for part in (left, right))
    assert one["value"] == -other["value"] and one["p_corrected"] == other["p_corrected"]


def test_comparisons_are_counted_once(metrics):
    """Two groups are one comparison; C is too small for all but none of the others."""
    columns = metrics["subgroups"]["columns"]
    made = [
        figure["difference"]
        for column in ("site", "eye", "gradable")
        for part in list(columns[column].values())[: 1 if len(columns[column]) == 2 else None]
        for found in part["questions"]["any"].values()
        for figure in (found["sensitivity"], found["specificity"], found["auc"])
    ]
    made += [
        part["ungradable"][unit]["difference"]
        for column in ("site", "eye")
        for part in list(columns[column].values())[: 1 if len(columns[column]) == 2 else None]
        for unit in ("eye", "patient")
    ]
    assert metrics["subgroups"]["comparisons"] == sum(one is not None for one in made)


def test_report_and_terminal_tell_the_groups(metrics, monkeypatch, tmp_path):
    monkeypatch.setattr("eyenet.report.charts.draw_chart", lambda name, label, *_, **__: f"chart {label}")
    path = tmp_path / "report.html"
    write_report(path, metrics, make_config(), [], make_examples(), {}, 0.8)
    text = Page(path).text
    assert "site B: sensitivity per patient" in text and "points below the rest (interval" in text
    assert "By site, per patient" in text and "By site, per photograph" in text
    assert "Too small to tell, with fewer than 10 patients: site C" in text
    assert "site A: ungradable share per photograph" in text
    assert "chart sensitivity of each group, per patient: gradable" in text
    (worse,) = [said for said in cautions(metrics, "any") if "Worse than in the rest" in said]
    assert "site B (sensitivity" in worse and "site A" not in worse and "site C" not in worse
    lines = terminal.group_lines(metrics)
    value = metrics["subgroups"]["columns"]["site"]["B"]["questions"]["any"]["patient"]["sensitivity"]["value"]
    assert any(line.startswith("  B ") and f"{value:.3f} (" in line for line in lines)
    assert lines[-1] == f"p values are corrected for {metrics['subgroups']['comparisons']} comparisons (Holm)"


def test_the_forest_plot_is_drawn(metrics):
    from eyenet.report.forest import forest_charts

    charts = forest_charts(metrics, "any")
    assert [title.split()[0] for title, *_ in charts] == ["Sensitivity", "Specificity", "AUC"]
    svg = str(charts[0][2])
    for word in ("site", "not gradable", "per photograph", "var(--orange)", "var(--grey)", "var(--blue)"):
        assert word in svg, word


def test_without_patients_groups_are_of_photographs(monkeypatch, tmp_path):
    found = assess(make_scored(known=False), "site")
    part = found["columns"]["site"]["B"]
    assert part["patients"] is None and part["questions"]["any"]["patient"] is None
    metrics = make_metrics("any", 400) | {"subgroups": found, "source": "photographs", "patients": None}
    metrics |= {"unknown_patients": metrics["photographs"]}
    metrics["questions"]["any"]["patient"] = None
    monkeypatch.setattr("eyenet.report.charts.draw_chart", lambda name, label, *_, **__: f"chart {label}")
    write_report(tmp_path / "report.html", metrics, make_config(), [], make_examples(), {}, 0.8)
    text = Page(tmp_path / "report.html").text
    assert "By site, per photograph" in text and "By site, per patient" not in text
    assert any("B " in line for line in terminal.group_lines(metrics))


def test_a_column_of_one_group_is_left_out(capsys):
    scored = make_scored(40)
    scored.table["gradable"] = 1
    scored.table["site"] = "A"
    assert assess(scored, "site") is None
    said = capsys.readouterr().err
    assert "--by site: all photographs are in one group, 'A'" in said and "gradable" not in said
