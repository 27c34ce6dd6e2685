"""MODEL_CARD.md: Hugging Face's library reads it, every figure agrees, and its example runs."""

import re
import sys
import types

import numpy as np
import pytest
import yaml
from conftest import draw_photograph
from huggingface_hub import ModelCard
from PIL import Image
from report_fixtures import DECIMALS, EVIL, NULL, make_config, make_metrics, without_figures

from eyenet.model.probabilities import calibrate
from eyenet.report.card import write_model_card
from eyenet.report.words import decimal, percent


@pytest.mark.parametrize("task", ["any", "referable", "grade"])
def test_hugging_face_reads_the_model_card(task, tmp_path):
    metrics = make_metrics(task)
    write_model_card(tmp_path / "MODEL_CARD.md", metrics, make_config(task))
    data = ModelCard.load(tmp_path / "MODEL_CARD.md").data
    assert (data.language, data.library_name, data.pipeline_tag) == ("en", "keras", "image-classification")
    assert data.license == "mit" and data.model_name == "cnn" and "diabetic-retinopathy" in data.tags
    found = {(r.dataset_config, r.metric_type): r for r in data.eval_results}
    assert len(found) == len(data.eval_results) == 12 * len(metrics["questions"]) + 2 * (task == "grade")
    assert {r.task_type for r in data.eval_results} == {"image-classification"}
    assert {(r.dataset_name, r.dataset_split) for r in data.eval_results} == {
        ("unseen test patients, synthetic", "test")
    }
    assert set(data.metrics) == {r.metric_type for r in data.eval_results}
    kinds = {"roc_auc": "auc", "average_precision": "average_precision", "recall": "sensitivity"}
    kinds |= {name: name for name in ("specificity", "precision", "accuracy")}
    for question, asked in metrics["questions"].items():
        for unit, name in (("eye", "photograph"), ("patient", "patient")):
            for kind, key in kinds.items():
                result, show = found[f"{question}, per {name}", kind], decimal if key in DECIMALS else percent
                assert type(result.metric_value) is float
                assert result.metric_value == round(asked[unit][key]["value"], 4)
                assert f"to {show(asked[unit][key]['high'])})".replace("\xa0", " ") in result.metric_name
    assert yaml.safe_load(data.to_yaml())["model-index"][0]["name"] == "cnn"


def test_the_model_card_leaves_out_what_is_not_defined(tmp_path):
    tiny = make_metrics(patients=2, shares=(1, 0, 0, 0, 0))
    tiny["questions"]["any"]["eye"] |= {"specificity": {**NULL, "value": 1.0}, "accuracy": {**NULL, "value": 1e-5}}
    write_model_card(tmp_path / "tiny.md", tiny, make_config())
    found = {r.metric_type: r.metric_value for r in ModelCard.load(tmp_path / "tiny.md").data.eval_results}
    assert found["specificity"] == 1 and found["accuracy"] == 0 and "roc_auc" not in found and "recall" not in found
    write_model_card(tmp_path / "null.md", without_figures(make_metrics("grade")), {"size": 256})
    text = (tmp_path / "null.md").read_text()
    assert ModelCard.load(tmp_path / "null.md").data.eval_results is None
    assert not re.search(r"\b(None|nan|undefined)\b", text.partition("## Evaluation")[2])


def test_the_model_card_says_what_it_must(tmp_path):
    metrics = make_metrics()
    write_model_card(tmp_path / "MODEL_CARD.md", metrics, make_config())
    text = (tmp_path / "MODEL_CARD.md").read_text()
    for title in ("Model details", "Intended use and out of scope", "How to use", "Training data and split"):
        assert f"\n## {title}\n" in text
    for title in ("Evaluation", "Limits and biases", "What made it"):
        assert f"\n## {title}\n" in text
    assert "Not a medical device" in text and "shortcut baseline" in text
    text = text.replace("\xa0", " ")
    for unit in ("eye", "patient"):
        for key in ("auc", "sensitivity", "npv"):
            found, show = metrics["questions"]["any"][unit][key], decimal if key == "auc" else percent
            assert f"| {show(found['value'])} ({show(found['low']).split(chr(160))[0]} to".replace("\xa0", " ") in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) > 40 and all(line.endswith("|") for line in lines)


def test_the_model_card_names_colours_that_are_not_natural(tmp_path):
    config = make_config()
    write_model_card(tmp_path / "natural.md", make_metrics(), config)
    assert "equali" not in (tmp_path / "natural.md").read_text()
    config["settings"]["images"]["input"]["input"]["input"]["colours"] = "equalized"
    write_model_card(tmp_path / "equalized.md", make_metrics(), config)
    text = (tmp_path / "equalized.md").read_text()
    for words in (
        "histogram equalised",
        'photograph_to_input("photograph.jpeg", 256, "equalized")',
        "| images colours |",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("more", "images"), [({}, "mirrored and rotated copies"), ({"rows": "originals"}, "originals")]
)
def test_the_model_card_says_which_images_were_trained_on(more, images, tmp_path):
    config = make_config()
    config["settings"] |= more
    write_model_card(tmp_path / "MODEL_CARD.md", make_metrics(), config)
    assert f"Training used {images}, validation and test only originals" in (tmp_path / "MODEL_CARD.md").read_text()


def test_names_cannot_break_the_model_card(tmp_path):
    evil = EVIL + "\n---\n# x\x07\u2028\U0001f600"
    metrics, config = make_metrics() | {"set": evil, "model": evil}, make_config()
    config["machine"] = evil
    write_model_card(tmp_path / "MODEL_CARD.md", metrics, config)
    card = ModelCard.load(tmp_path / "MODEL_CARD.md")
    assert card.data.model_name == EVIL + " --- # x  \U0001f600"
    assert card.data.eval_results[0].dataset_name.startswith(EVIL)
    assert not re.search(r"(?<!\\)<script", card.text) and "\n# x" not in card.text
    rows = [line for line in card.text.splitlines() if line.startswith("| machine")]
    assert len(rows) == 1 and len(re.findall(r"(?<!\\)\|", rows[0])) == 3


@pytest.mark.parametrize("task", ["any", "referable", "grade"])
def test_the_example_of_the_model_card_runs(task, tmp_path, monkeypatch):
    write_model_card(tmp_path / "MODEL_CARD.md", make_metrics(task), make_config(task))
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "MODEL_CARD.md").read_text(), re.DOTALL)
    probabilities = np.array([[0.5, 0.2, 0.1, 0.15, 0.05]] if task == "grade" else [[0.4, 0.6]], np.float32)
    shapes = []

    class Network:
        def predict(self, photographs, verbose):
            shapes.append((photographs.shape, photographs.dtype))
            return probabilities

    saving = types.SimpleNamespace(load_model=lambda path, compile: Network())
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(models=saving))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(draw_photograph()).save(tmp_path / "photograph.jpeg")
    names = {}
    exec(code, names)  # noqa: S102
    assert shapes == [((1, 256, 256, 3), np.uint8)]
    raw = 0.5 if task == "grade" else 0.6
    assert names["probability"] == pytest.approx(calibrate(np.array([raw]), 1.37, -0.52)[0], abs=1e-6)
    assert names["diseased"] == (names["probability"] >= 0.5)
