"""What a set means for a clinic: the workload of 1,000 patients, and the decision curve."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eyenet.model.decision import BALANCED
from eyenet.model.predictions import Scored
from eyenet.report.assessment import as_answered, assess, lacks_eye
from eyenet.report.units import SHARES, referral
from eyenet.report.workload import better_than_both, workload, workload_sentences, workload_table
from eyenet.report.workload_chart import parts_of_workload, workload_chart
from eyenet.score.intervals import share_with_interval
from eyenet.score.net_benefit import THRESHOLDS, decision_curve, net_benefit

TRUTH = np.random.default_rng(0).random(400) < 0.3
PATIENTS = np.arange(400) // 2


def test_every_row_is_referred_photographed_again_missed_or_rightly_not_referred():
    rng = np.random.default_rng(1)
    called, poor = rng.random(400) < 0.4, rng.random(400) < 0.1
    levels = np.where(TRUTH, rng.integers(2, 5, 400), rng.integers(0, 2, 400))
    found = workload(TRUTH, called, PATIENTS, poor, levels)
    shares = {name: found[name]["value"] for name in ("referred", "again", "missed")}
    assert found["again_diseased"]["value"] == pytest.approx(np.mean(TRUTH & ~called & poor))
    assert sum(shares.values()) + np.mean(~TRUTH & ~called & ~poor) == pytest.approx(1)
    assert shares["missed"] == pytest.approx(np.mean(TRUTH & ~called & ~poor))
    grades = found["missed_by_grade"]
    assert grades.keys() == {"2", "3", "4"}
    assert sum(grade["value"] for grade in grades.values()) == pytest.approx(shares["missed"])
    unknown = workload(TRUTH, called, PATIENTS)
    assert "again" not in unknown and unknown["missed"]["value"] > shares["missed"]


@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_net_benefit_is_that_of_its_paper(threshold):
    called = np.random.default_rng(1).random(400) < 0.4
    true, false = (called & TRUTH).sum(), (called & ~TRUTH).sum()
    found = net_benefit(TRUTH, called, PATIENTS, threshold)
    assert found["value"] == pytest.approx((true - false * threshold / (1 - threshold)) / 400)
    halves = (called * np.where(TRUTH, 1, -threshold / (1 - threshold))).reshape(200, 2).mean(axis=1)
    error = halves.std(ddof=1) / np.sqrt(200)  # the mean over patients, each with two rows
    assert found["high"] - found["value"] == pytest.approx(1.972 * error, rel=1e-3)
    nobody = net_benefit(TRUTH, np.zeros(400, bool), PATIENTS, threshold)
    assert nobody == {"value": 0.0, "low": 0.0, "high": 0.0}


def sentences(probability):
    called = probability >= 0.3
    unit = {
        "workload": workload(TRUTH, called, PATIENTS, levels=np.where(TRUTH, 3, 0)),
        "decision_curve": decision_curve(TRUTH, probability, PATIENTS),
        "referral": referral(TRUTH, probability, 0.3, PATIENTS, SHARES),
    }
    return better_than_both(unit), workload_sentences({"patient": None, "eye": unit})


def test_a_perfect_network_is_worthwhile_and_chance_is_not():
    better, (count, gain, worth) = sentences(np.where(TRUTH, 0.9, 0.01))
    assert better == (THRESHOLDS[0], THRESHOLDS[-1]) and "from 2\xa0% to 60\xa0%, not only" in worth
    number = round(1000 * TRUTH.mean())
    low, high = (round(1000 * share_with_interval(TRUTH, PATIENTS)[end]) for end in ("low", "high"))
    assert f"{number} ({low} to {high}) would be referred, 0 (0 to " in count and "†) of them without disease" in count
    assert "†) of grade 3" in count
    assert "sensitivity 100.0\xa0% (" in gain and "instead of 100.0\xa0%, specificity" in gain
    better, (_, _, worth) = sentences(np.random.default_rng(1).random(400))
    assert better is None and "At no threshold from 2\xa0% to 60\xa0%" in worth


def test_the_words_tell_the_missed_by_grade_and_the_gain_of_graders_with_intervals():
    levels, called = np.tile([0, 0, 0, 2, 4], 80), np.tile([False, False, True, True, False], 80)
    probability = np.where(called, 0.6, 0.1 + 0.0001 * np.arange(400))  # the last are the least certain
    unit = {"workload": workload(levels >= 2, called, np.arange(400), None, levels), "decision_curve": []}
    unit["referral"] = referral(levels >= 2, probability, 0.3, np.arange(400), SHARES)
    count, gain, _ = workload_sentences({"patient": unit, "eye": unit})
    assert "400 (353 to 449) would be referred, 200 (" in count
    assert (
        "200 (164 to 242) with disease would be missed: 0 (0 to 10\xa0†) of grade 2, 200 (164 to 242) of grade 4"
        in count
    )
    after = unit["referral"][1]["sensitivity"]
    assert gain.startswith("If graders look at the least certain 10\xa0% of the patients, the network's answers")
    assert f"sensitivity {100 * after['value']:.1f}\xa0% ({100 * after['low']:.1f} to " in gain
    assert "instead of 50.0\xa0%" in gain


def test_of_two_ranges_the_longer_one_is_told():
    figures = [{"low": 0.9, "value": 0.9, "high": 1.0}, {"low": None, "value": None, "high": None}]
    steps = [{"threshold": t, "referred": figures[t in (0.1, 0.4)], "not_referred": {"high": 0.01}} for t in THRESHOLDS]
    assert better_than_both({"decision_curve": steps}) == (0.12, 0.38)


def test_a_patient_is_photographed_again_for_an_eye_without_a_gradable_photograph():
    """As in predict.py, of a table that was read as text."""
    columns = {"image": list("vwxyz"), "patient": list("aaabb"), "eye": ["left", "left", "right", "left", ""]}
    table = pd.DataFrame(columns | {"gradable": list("10110"), "level": [0, 0, 0, 2, 2]})
    scored = Scored(table, np.tile([0.9, 0.1], (5, 1)), np.zeros((5, 1)), None, "these", False, 0)
    decision = {"any": {"temperature": 1.0, "shift": 0.0, "eye": {"operating_points": {BALANCED: 0.5}}}}
    found = assess(scored, None, {"task": "any", "decision": decision}, 10, 0)["questions"]["any"]
    again = {unit: found[unit]["workload"]["again"]["value"] for unit in ("eye", "patient")}
    assert again == {"eye": 0.4, "patient": 0.5}  # patient a has another photograph of the left eye
    table = table.assign(gradable="1", eye=["left", "left", "right", "left", "left"])
    found = assess(replace(scored, table=table), None, {"task": "any", "decision": decision}, 10, 0)["questions"]["any"]
    again = {unit: found[unit]["workload"]["again"]["value"] for unit in ("eye", "patient")}
    assert again == {"eye": 0.0, "patient": 0.5}  # patient b has no photograph of the right eye
    workload = found["patient"]["workload"]
    assert workload["missed"]["value"] == 0.0 and workload["again_diseased"]["value"] == 0.5  # patient b
    assert "; 500 (95 to 905) would be photographed again, 500 (95 to 905) of them with disease; 0 (0 to " in (
        workload_sentences(found)[0].replace("\xa0", " ")
    )


def test_an_eye_may_be_missing_also_where_photographs_were_not_judged():
    """One photograph of an unknown eye is one eye, two may be both."""
    eyes = {"a": ["left"], "b": ["left", "left"], "c": ["left", "right"], "d": [""], "e": ["", ""], "f": ["left", ""]}
    rows = [(patient, eye) for patient, of_patient in eyes.items() for eye in of_patient]
    table = pd.DataFrame(rows, columns=["patient", "eye"]).assign(level=2)
    table["image"] = [f"i{row}" for row in range(len(table))]
    lacking = {"a": True, "b": True, "c": False, "d": True, "e": False, "f": False}
    assert lacks_eye(table).to_dict() == lacking
    scored = Scored(table, np.tile([0.9, 0.1], (10, 1)), np.zeros((10, 1)), None, "these", False, 0)
    chosen = {"temperature": 1.0, "shift": 0.0, "eye": {"operating_points": {BALANCED: 0.5}}}
    config = {"task": "any", "decision": {"any": chosen | {"unsure": {"limits": {"0.05": [0.2, 0.6]}}}}}
    assert as_answered(scored, config, "any")[2].tolist() == [*lacking.values()]
    found = assess(scored, None, config, 10, 0)["questions"]["any"]
    assert found["patient"]["workload"]["again"]["value"] == found["patient"]["workload"]["missed"]["value"] == 0.5
    assert found["unsure"]["0.05"]["missed"]["value"] == found["unsure"]["0.05"]["again_diseased"]["value"] == 0.5
    assert "again" not in found["eye"]["workload"]
    rows = dict(workload_table(found).rows)
    (cells,) = (cells for name, cells in rows.items() if name.startswith("photographed again"))
    assert [cell.text for cell in cells] == ["500", "–"] and "not judged" in cells[1].why


def test_the_picture_has_the_numbers_of_the_table_and_1000_in_all():
    rng = np.random.default_rng(2)
    for poor in (None, rng.random(400) < 0.1):
        found = workload(TRUTH, rng.random(400) < 0.4, PATIENTS, poor)
        parts = parts_of_workload(found)
        assert sum(parts.values()) == 1000 and ("photographed again" in parts) == (poor is not None)
        number = {name: round(1000 * found[name]["value"]) for name in ("referred", "false_positives", "missed")}
        assert parts["referred, without disease"] == number["false_positives"]
        assert parts["referred, with disease"] + number["false_positives"] == number["referred"]
        assert parts["missed: disease, not referred"] == number["missed"]
        drawn = workload_chart("w", {"workload": found}, "patient")
        assert all(f"{count:,} {part}" in drawn for part, count in parts.items())


def test_without_rows_nothing_is_said():
    none = np.zeros(0, bool)
    unit = {"workload": workload(none, none, []), "decision_curve": decision_curve(none, np.zeros(0), [])}
    asked = {"patient": None, "eye": unit}
    assert workload_sentences(asked) == [] and workload_chart("w", unit, "patient") is None
    assert all(cell.text == "–" for _, cells in workload_table(asked).rows for cell in cells)
