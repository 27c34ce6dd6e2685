"""Reporting checklists: the published items, each answered by a fact of the fixture or left to the author."""

import argparse
import re

import pytest
from conftest import read_csv
from report_fixtures import EVIL, make_config, make_metrics, without_figures

from evaluate import checklist_path
from eyenet.model.disclaimers import NOT_A_DEVICE
from eyenet.report.checklist_file import write_checklists
from eyenet.report.checklists import (
    ANSWERED,
    AUTHOR,
    FACTS,
    IN_PART,
    NOT_APPLICABLE,
    STATUSES,
    UNRECORDED,
    fill_checklists,
    read_rows,
)
from eyenet.report.facts_of_model import recorded
from eyenet.report.made_by import name_of_array
from eyenet.report.words import BOUND, BOUND_LINE, DASH, decimal, interval_text, percent

LETTERS = {  # the items that have subitems
    "STARD-AI": "15abcd 16abc 17ab 26ab 40ab",
    "TRIPOD+AI": "3abc 5ab 6abc 8abc 9abc 12abcdefg 18abcdef 20abc 23ab 27abc",
    "CLAIM": "",
}
NUMBERS = {"STARD-AI": (40, 48), "TRIPOD+AI": (27, 52), "CLAIM": (44, 44)}  # items, and rows with the subitems
FLOW = {
    "found": 80,
    "left_out": [{"reason": "no retina found", "count": 5}, {"reason": "no grade", "count": 3}],
    "kept": 72,
    "splits": {"test": 72},
    "evaluated": 72,
    "labels_without_photograph": 0,
}


def as_group(unit):
    """Make the figures of a group, too small to be compared, from those of a unit."""
    figures = {key: {**unit[key], "difference": None} for key in ("sensitivity", "specificity", "auc")}
    return {"count": 18, "diseased": 4, "patients": {"with_disease": 4, "without": 14}} | figures


def whole(task="any"):
    """Make files that know every fact: those of a fixture, with what a run of cnn.py and of evaluate.py adds."""
    metrics, config = make_metrics(task), make_config(task)
    sources = {name: {"photographs": 36, "questions": {}} for name in ("one", "two")}
    for part in sources.values():
        part |= {"patients": 18, "ungradable": None}
        for question, asked in metrics["questions"].items():
            part["questions"][question] = {unit: as_group(asked[unit]) for unit in ("eye", "patient")}
    groups = {"comparisons": 0, "least_patients": 10, "power": 0.8, "columns": {"source": sources}}
    config["settings"]["weights"], config["settings"]["epochs"] = "none", 30
    config["options"] |= {"rows": "all", "balanced": "True"}
    config["evidence"], config["files"] = {"start": 3.5}, {"model.keras": "ab12" * 16}
    return metrics | {"flow": FLOW, "subgroups": groups}, config


def items(metrics, config):
    """Fill the checklists; dict of (checklist, number) to item."""
    return {(one.name, item.number): item for one in fill_checklists(metrics, config) for item in one.items}


def shown(figure, show=percent):
    return f"{show(figure['value'])} ({interval_text(figure, show)})"


def test_the_items_are_those_of_the_published_checklists():
    rows = read_rows()
    for name, (last, count) in NUMBERS.items():
        numbers = [row["item"] for row in rows if row["checklist"] == name]
        letters = dict(re.fullmatch(r"(\d+)(\w+)", item).groups() for item in LETTERS[name].split())
        assert numbers == [f"{i}{letter}" for i in range(1, last + 1) for letter in letters.get(str(i), [""])]
        assert len(numbers) == count
    assert {name for row in rows for name in row["facts"].split()} == set(FACTS)  # none is unknown, and none unused
    for row in rows:
        assert row["section"] and row["topic"]
        assert not (row["not_applicable"] and (row["facts"] or row["left"]))
        assert row["facts"] or not row["left"]  # without a fact, the whole item is for the author
        assert not re.search(r"[.\u2014]$", row["topic"] + row["left"] + row["not_applicable"])


@pytest.mark.parametrize("task", ["any", "grade"])
def test_an_answer_has_the_figures_of_the_metrics(task):
    metrics, config = whole(task)
    found = items(metrics, config)
    for asked in metrics["questions"].values():
        patient, (majority, other) = asked["patient"], asked["baselines"].values()
        (_, false_positives), (missed, hit) = patient["confusion"]
        words = {
            ("STARD-AI", "31"): [shown(patient[key]) for key in ("sensitivity", "specificity", "precision", "npv")],
            ("CLAIM", "38"): [shown(patient["auc"], decimal), shown(patient["calibration"]["after"]["slope"], decimal)],
            ("STARD-AI", "30"): [f"{hit} of {hit + missed} with disease", f"{false_positives} of "],
            ("STARD-AI", "23"): [shown(patient["by_grade"][0]["called"]), f"{missed}\xa0patient"],
            ("STARD-AI", "28"): [f"{patient['diseased']} of 36\xa0patients, {shown(patient['workload']['diseased'])}"],
            ("STARD-AI", "19"): [shown(patient["workload"]["again"])],
            ("STARD-AI", "15c"): [f"{asked['disease']} from a calibrated probability of 0.5 (balanced)"],
            ("TRIPOD+AI", "25"): [shown(asked["eye"]["accuracy"]), shown(majority["accuracy"])],
            ("CLAIM", "37"): [shown(other["auc"], decimal)],
            ("TRIPOD+AI", "23b"): [
                f"one, per patient, {asked['disease']}: sensitivity (recall) {shown(patient['sensitivity'])}"
            ],
            ("STARD-AI", "34"): [
                f"{round(1000 * patient['workload']['missed']['value'])} (",
                ") with disease would be missed: ",
            ],
            ("STARD-AI", "21"): ["operating points, sensitivity", "by source; p values", "Too small to tell"],
            ("TRIPOD+AI", "13"): ["temperature 1.37 and shift -0.52", "6 of one with DR", "weigh equally"],
        }
        for place, parts in words.items():
            for part in parts:
                assert part in found[place].answer, (place, part)
    counts = ", ".join(str(count) for count in metrics["by_grade"])
    assert counts == ", ".join(re.findall(r" (\d+)[,.]", found["STARD-AI", "26a"].answer))
    training = metrics["splits"]["train"]
    assert f"training patients {training['photographs']} ({training['diseased']}," in found["TRIPOD+AI", "21"].answer
    assert "tensorflow 2.21.0" in found["CLAIM", "23"].answer and config["commit"] in found["TRIPOD+AI", "18f"].answer
    assert found["CLAIM", "24"].answer == "Random initial weights, seed 0."
    assert "Patients, not photographs" in found["CLAIM", "20"].answer and NOT_A_DEVICE in found["CLAIM", "41"].answer
    assert "80\xa0photographs found, 8 were left out (no retina found 5, no grade 3)" in found["CLAIM", "12"].answer


def test_every_item_is_answered_or_left_to_somebody():
    for file in (
        whole(),
        whole("grade"),
        (make_metrics("grade"), {}),
        (without_figures(make_metrics()), make_config()),
    ):
        checklists = fill_checklists(*file)
        assert all(sum(map(one.number_of, STATUSES)) == len(one.items) for one in checklists)
        for item in (item for one in checklists for item in one.items):
            assert bool(item.answer) == (item.status != AUTHOR), item
            assert bool(item.left) == (item.status == IN_PART), item
            assert item.answer == "" or re.fullmatch(r"[A-Z0-9a-z].*\.", item.answer), item
            assert not re.search(rf"\b(None|nan|inf|True|False)\b|{DASH}|  |\.\.| [,;:.]", item.answer), item
    reasons = {number: item.answer for number, item in items(*whole()).items() if item.status == NOT_APPLICABLE}
    assert reasons.keys() == {("TRIPOD+AI", "9c"), ("TRIPOD+AI", "24"), ("CLAIM", "27")} and all(reasons.values())


@pytest.mark.parametrize(
    "place, change, status",
    [
        (("STARD-AI", "26a"), lambda m, c: m.update(by_grade=None), AUTHOR),  # binary labels
        (("STARD-AI", "16c"), lambda m, c: m.update(by_grade=None), AUTHOR),
        (("STARD-AI", "24"), lambda m, c: m.update(flow=None), AUTHOR),
        (("STARD-AI", "20"), lambda m, c: m.pop("flow"), IN_PART),
        (("CLAIM", "20"), lambda m, c: m.update(unknown_patients=4), IN_PART),
        (("CLAIM", "32"), lambda m, c: m.update(unknown_patients=4, splits={"test": m["splits"]["test"]}), AUTHOR),
        (("TRIPOD+AI", "21"), lambda m, c: m["splits"].pop("train") and m["splits"].pop("val"), AUTHOR),
        (("STARD-AI", "31"), lambda m, c: m.update(without_figures(m)), AUTHOR),
        (("STARD-AI", "15c"), lambda m, c: m.update(without_figures(m)), ANSWERED),
        (("CLAIM", "23"), lambda m, c: c.clear(), AUTHOR),
        (("CLAIM", "24"), lambda m, c: c["settings"].pop("weights"), AUTHOR),
        (("CLAIM", "26"), lambda m, c: c.update(script="pretrained/build.py"), AUTHOR),
        (("TRIPOD+AI", "23b"), lambda m, c: m.update(subgroups=None), AUTHOR),
        (("CLAIM", "25"), lambda m, c: c.pop("options"), IN_PART),
        (("CLAIM", "31"), lambda m, c: c.pop("evidence"), AUTHOR),
        (("STARD-AI", "19"), lambda m, c: m["questions"]["any"]["patient"]["workload"].pop("again"), AUTHOR),
    ],
)
def test_an_item_without_its_fact_is_for_the_author(place, change, status):
    metrics, config = whole()
    before = items(metrics, config)[place]
    assert before.status in (ANSWERED, IN_PART)
    change(metrics, config)
    item = items(metrics, config)[place]
    assert item.status == status
    assert (item.answer == "") == (status == AUTHOR)


@pytest.mark.parametrize("recalibrated", [False, True])
@pytest.mark.parametrize("script", [None, "pretrained/train.py"])
def test_the_array_of_a_built_network_is_not_called_that_of_its_training(script, recalibrated):
    config = whole()[1] | {"script": "pretrained/build.py", "trained": {"photographs": 9}}
    config["trained"] |= {"script": script} if script else {}
    config |= {"recalibrated": {"set": "clinic"}} if recalibrated else {}
    told, name = recorded({}, config), name_of_array(config)
    assert ("network was calibrated on" in told) == (" that it was calibrated on" in name) == (not recalibrated)
    assert ("were made before this array" in told) == ("made after the weights" in name) == (script is None)
    assert "training data" not in told and "9\xa0photographs" in told


def test_a_fact_does_not_claim_what_does_not_hold():
    metrics, config = whole()
    config["unknown_patients"] = 4
    found = items(metrics | {"patients": None, "unknown_patients": 4}, config)["CLAIM", "20"]
    assert "Photographs, not patients, were split" in found.answer and "No evaluated" not in found.answer
    assert found.left == UNRECORDED
    metrics["splits"].pop("test")  # --split val
    found = items(metrics, config)
    assert "chosen on these same photographs" in found["STARD-AI", "15c"].answer
    assert (
        "those of validation, on which" in found["CLAIM", "32"].answer
        and "kept back" not in found["CLAIM", "32"].answer
    )
    config["settings"]["images"]["protocol"] = "2017"
    found = items(metrics | {"known_patients": 9}, config)["CLAIM", "19"].answer
    assert "the same patients are in training and test" in found and "Patients, not" not in found
    elsewhere = whole()[0] | {"source": "photographs", "set": "photographs in a/b", "known_patients": 3}
    elsewhere["splits"] = {"test": elsewhere["splits"]["test"]}
    found = items(elsewhere, config)
    assert found["CLAIM", "33"].answer.startswith("Tested on a folder of photographs: photographs in a/b, 72\xa0photo")
    assert "3\xa0evaluated patients may have been in training" in found["CLAIM", "20"].answer
    assert "Caution" not in items(*whole())["STARD-AI", "31"].answer
    assert "Caution: 3\xa0evaluated" in items(elsewhere, config)["STARD-AI", "31"].answer
    photographs = {"any": {**whole()[0]["questions"]["any"], "patient": None}}
    assert "Per photograph, any DR" in items(elsewhere | {"questions": photographs}, config)["STARD-AI", "31"].answer


def test_both_files_have_every_item(tmp_path):
    metrics, config = whole("grade")
    metrics["set"] = EVIL
    filled = items(metrics, config)
    write_checklists(tmp_path / "list.csv", metrics, config)
    rows = read_csv(tmp_path / "list.csv")
    assert [(row["checklist"], row["item"]) for row in rows] == list(filled)
    for row in rows:
        item = filled[row["checklist"], row["item"]]
        assert (row["status"], row["left to the author"]) == (item.status, item.left)
        assert row["answer"].removesuffix(f" ({BOUND_LINE})") == item.answer.replace("\xa0", " ")
        assert row["answer"].endswith(BOUND_LINE + ")") == (BOUND in item.answer)
    assert any(BOUND in item.answer for item in filled.values())
    write_checklists(tmp_path / "list.MD", metrics, config)
    text = (tmp_path / "list.MD").read_text()
    lines = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert [re.match(r"\| (\w+) ", line)[1] for line in lines] == [number for _, number in filled]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines) and "synthetic: this is an example" in text
    assert not re.search(r"(?<!\\)<script", text) and text.count(BOUND_LINE) == 1
    one = metrics | {"chosen_on": "9 graded photographs in a"}  # where older versions told it
    assert "9 graded photographs in a" not in text
    write_checklists(tmp_path / "one.md", one, config)
    assert "9 graded photographs in a" in (tmp_path / "one.md").read_text()
    assert f"| CLAIM | 44 | {sum(i.status == ANSWERED for (n, _), i in filled.items() if n == 'CLAIM')} |" in text


def test_the_file_is_named_as_markdown_or_csv(tmp_path):
    assert checklist_path(str(tmp_path / "a.md")) == tmp_path / "a.md" and checklist_path("A.CSV").name == "A.CSV"
    for name, words in (("a.docx", "neither in .md"), ("a", "neither in .md"), (tmp_path / "no" / "a.md", "no folder")):
        with pytest.raises(argparse.ArgumentTypeError, match=words):
            checklist_path(str(name))
