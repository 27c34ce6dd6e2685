"""What is said of a recalibrated model, and that predict.py, the station and the exports answer as it decides."""

import json
import re
import sys

import pytest
from conftest import read_csv, write_csv
from recalibrated_clinic import call_gradable, recalibrate_here, write_labels
from report_fixtures import BALANCE, Page, make_config, make_examples, make_history, make_metrics

import evaluate
from eyenet.data.tasks import disease_probability, first_disease
from eyenet.export.description import describe
from eyenet.grading.answering import look_at
from eyenet.model.add_limits import add_limits
from eyenet.model.folder import open_model, read_measured
from eyenet.model.probabilities import calibrate
from eyenet.model.screener import Screener
from eyenet.model.settings import chosen_on
from eyenet.model.unsure import limits_at
from eyenet.photo.retina import photograph_to_input
from eyenet.report.card import write_model_card
from eyenet.report.checklist_file import write_checklists
from eyenet.report.html import write_report
from eyenet.report.terminal import figures_text
from eyenet.run.errors import StageError
from eyenet.station.desk import Desk
from eyenet.station.register import Register

POINT = "sensitivity_0.85"
PLACE = "24 graded photographs in dataset0/train"
TRUE = (  # what was and stays chosen on validation, and what is said of the splits
    "weights of the epoch with the best AUC on validation were kept",
    "the epoch was chosen on the validation patients",
    "The epoch was chosen on validation",
    "validation, on which the epoch was chosen",
    "These are validation patients: the epoch was chosen on them",
    "Calibration and thresholds are not those of validation",
    "building, tuning and internal validation",
)
PLACES = re.compile("(on|of|by|from|are) (the |these )?validation|validation (photographs|threshold)|validation's")


def false_of(text):
    """List where a text says that something was chosen on validation, if that does not hold after recalibrate.py."""
    text = re.sub(r"\s+", " ", text.replace("\xa0", " "))
    for words in TRUE:
        text = text.replace(words, "")
    return [text[max(0, found.start() - 60) : found.end() + 60] for found in PLACES.finditer(text)]


def write_all(metrics, config, folder):
    """Write report, card and checklists; their texts by name."""
    write_report(folder / "report.html", metrics, config, make_history(), make_examples("grade"), BALANCE, 0.8)
    write_model_card(folder / "MODEL_CARD.md", metrics, config)
    write_checklists(folder / "checklists.md", metrics, config)
    texts = {name: (folder / name).read_text() for name in ("MODEL_CARD.md", "checklists.md")}
    return texts | {"report.html": Page(folder / "report.html").text, "terminal": figures_text(metrics)}


@pytest.fixture(scope="module")
def clinic(dataset, tmp_path_factory):
    return write_labels(dataset, tmp_path_factory.mktemp("clinic"))


@pytest.fixture(scope="module")
def model(dataset, graded, clinic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "clinic-model"
    recalibrate_here(dataset, clinic, graded / "models" / "cnn", folder)
    return folder


@pytest.fixture(scope="module")
def binary(dataset, graded, clinic, tmp_path_factory):
    """A model that was recalibrated twice: for referable DR only the second time."""
    folder = tmp_path_factory.mktemp("twice")
    recalibrate_here(dataset, clinic, graded / "models" / "cnn", folder / "first")
    rows = [(r["image"], int(r["level"] != "0"), r["patient"], r["eye"]) for r in read_csv(clinic)][:16]
    labels = write_csv(folder / "binary.csv", [("image", "referable", "patient", "eye"), *rows])
    recalibrate_here(dataset, labels, folder / "first", folder / "second", each=2)
    return folder / "second"


@pytest.fixture(scope="module")
def evaluated(model, dataset, clinic, tmp_path_factory):
    """What evaluate.py writes of it and prints, by name."""
    output = tmp_path_factory.mktemp("evaluated") / "on-clinic"
    words = ["--photos", dataset / "train", "--labels", clinic, "--model", model, "--output", output, "--draws", 100]
    words += ["--checklist", output.parent / "checklists.md"]
    with pytest.MonkeyPatch.context() as patch:
        call_gradable(patch)
        patch.setattr(sys, "argv", ["evaluate.py", *map(str, words)])
        assert evaluate.main() == 0
    texts = {path.name: path.read_text() for path in (output / "MODEL_CARD.md", output.parent / "checklists.md")}
    metrics = json.loads((output / "metrics.json").read_text())
    return texts | {"report.html": Page(output / "report.html").text, "terminal": figures_text(metrics)}


@pytest.mark.parametrize("name", ["report.html", "MODEL_CARD.md", "checklists.md", "terminal"])
def test_nothing_false_is_said_of_a_recalibrated_folder(evaluated, name):
    text = evaluated[name]
    assert false_of(text) == []
    assert PLACE in text.replace("\\", "")
    if name != "terminal":
        assert "in training, validation or recalibration" in text


def test_nothing_false_is_said_next_to_training_and_validation(model, tmp_path):
    config = make_config("grade") | {"recalibrated": open_model(model)["recalibrated"]}
    config["options"] |= {"balanced": "True", "rows": "all"}  # what the checklists say of training
    for split in ("test", "val"):
        metrics = make_metrics("grade")
        metrics["splits"] = {name: metrics["splits"][name] for name in dict.fromkeys(["train", "val", split])}
        for question, asked in metrics["questions"].items():
            asked["chosen_on"] = chosen_on(config, question)
        for name, text in write_all(metrics | {"subgroups": None}, config, tmp_path).items():
            assert false_of(text) == [], (split, name)
            assert PLACE in text.replace("\\", ""), (split, name)


def test_what_the_words_find_is_there_without_a_recalibration(tmp_path):
    """The search above is not empty by itself: of other models it finds as many places as these texts have."""
    texts = write_all(make_metrics("grade") | {"subgroups": None}, make_config("grade"), tmp_path)
    found = {name: len(false_of(text)) for name, text in texts.items()}
    least = {"report.html": 24, "MODEL_CARD.md": 8, "checklists.md": 10, "terminal": 1}
    assert all(found[name] >= number for name, number in least.items()), found
    assert not any("recalibrate.py" in text or "recalibrated" in text for text in texts.values())


def test_a_question_that_the_labels_do_not_answer_keeps_its_place(binary, tmp_path):
    config = open_model(binary)
    assert config["recalibrated"]["chosen"] == ["referable"]
    places = {question: chosen_on(config, question) for question in ("any", "referable", "grade")}
    assert places == {"any": PLACE, "referable": PLACE.replace("24", "16"), "grade": "validation"}
    metrics, told = make_metrics("grade") | {"subgroups": None}, make_config("grade")
    metrics["questions"]["referable"]["chosen_on"] = places["referable"]
    texts = write_all(metrics, told | {"recalibrated": config["recalibrated"]}, tmp_path)
    any_dr, referable = (asked["disease"] for asked in metrics["questions"].values())
    for text in texts.values():
        assert f"validation for {any_dr} and {places['referable']} for {referable}" in text.replace("\\", "")
    assert f"the epoch and the thresholds for {any_dr} were chosen on the validation patients" in texts["report.html"]


def test_a_message_names_the_set_whose_patients_were_too_few(model):
    with pytest.raises(StageError, match=f"the patients of the {PLACE} were too few"):
        Screener(model, sensitivity=0.95)
    with pytest.raises(StageError, match=f"takes 99 known patients of the {PLACE} with any DR"):
        limits_at(open_model(model), "0.01", model)
    with pytest.raises(StageError, match=f"were chosen on {PLACE}, .* add them to its parent, cnn .* recalibrate.py"):
        add_limits(model)


def test_predict_the_station_and_the_exports_answer_as_it_decides(model, graded, dataset, tmp_path, monkeypatch):
    config, before = open_model(model), open_model(graded / "models" / "cnn")
    described = json.loads(json.dumps(describe(model, config)))  # model.json of the page and the apps
    assert described["operating_point"] == config["operating_point"]
    assert described["measured"]["set"].endswith("cross-fitted") and described["measured"] == read_measured(model)
    assert described["trained_on"].endswith("recalibrated on 24 photographs in dataset0/train")
    call_gradable(monkeypatch)
    screener, photograph = Screener(model), min((dataset / "train").iterdir())
    crop = photograph_to_input(photograph, screener.size, screener.colours)[0]
    probabilities = screener.network(crop)[0][None]
    row = look_at(screener, photograph)  # of predict.py
    with Register.open(tmp_path / "register.sqlite") as register:
        (tmp_path / "inbox").mkdir()
        (tmp_path / "inbox" / "c1_left.jpeg").write_bytes(photograph.read_bytes())
        Desk(tmp_path / "inbox", screener, register).take(tmp_path / "inbox" / "c1_left.jpeg")
        (entered,), (answer,) = register.photographs(), register.answers()
    assert entered.facts["questions"] == row["questions"]
    for question in ("any", "referable"):
        told, chosen = described["decision"][question], config["decision"][question]
        assert all(told[name] == chosen[name] for name in ("temperature", "shift", "eye"))
        assert described["unsure"][question] == chosen["unsure"]
        assert (chosen["temperature"], chosen["shift"]) != tuple(
            before["decision"][question][name] for name in ("temperature", "shift")
        )
        raw = disease_probability(probabilities, first_disease("grade", question))
        expected = float(calibrate(raw, chosen["temperature"], chosen["shift"])[0])
        threshold = chosen["eye"]["operating_points"][config["operating_point"]]
        found = row["questions"][question]
        assert found["probability"] == pytest.approx(expected, abs=1e-6)
        assert found["threshold"] == pytest.approx(threshold, abs=1e-6)
        assert found["disease"] == (expected >= threshold)
    assert answer.model["trained_on"] == screener.trained_on == described["trained_on"]
