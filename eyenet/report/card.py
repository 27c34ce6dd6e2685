"""MODEL_CARD.md: a model's card in Hugging Face's form, whose front matter holds the figures for machines.

The front matter is written by the template, each text as JSON, which is a quoted text of YAML too: that needs no YAML
library, and there is nothing in a name that could end the text.

References
----------
.. [1] https://huggingface.co/docs/hub/model-cards
"""

import json
import re

from eyenet.data.tasks import TASKS, first_disease
from eyenet.model import disclaimers
from eyenet.model.decision import BALANCED
from eyenet.model.folder import colours_of
from eyenet.report import tables, words
from eyenet.report.html import made_by
from eyenet.report.words import decimal, defined, interval_text, percent
from eyenet.run.files import write_whole
from eyenet.run.pages import environment

# Figures of metrics.json as results: the metric's id at Hugging Face where it has one, its name, how it is shown.
RESULTS = {
    "auc": ("roc_auc", "ROC AUC", decimal),
    "average_precision": ("average_precision", "Average precision", decimal),
    "sensitivity": ("recall", "Sensitivity (recall)", percent),
    "specificity": ("specificity", "Specificity", percent),
    "precision": ("precision", "Precision", percent),
    "accuracy": ("accuracy", "Accuracy", percent),
}


def write_model_card(path, metrics, config):
    """Write MODEL_CARD.md, whole or not at all.

    Parameters
    ----------
    path : path-like
    metrics : dict
        metrics.json, as evaluate.py writes it.
    config : dict
        config.json of the model.
    """
    env = environment(__file__, autoescape=False)  # it is Markdown, which has escapes of its own
    env.filters |= {"yaml": yaml_text, "md": markdown_text}
    task, first = metrics["task"], next(iter(metrics["questions"]))
    page = env.get_template("model_card.md.jinja").render(
        metrics=metrics,
        words=words,
        disclaimers=disclaimers,
        classes=TASKS[task].classes,
        question=first,
        first_disease=first_disease(task, first),
        temperature=metrics["questions"][first]["temperature"],
        shift=metrics["questions"][first]["shift"],
        threshold=metrics["questions"][first]["eye"]["operating_points"][BALANCED]["threshold"],
        size=config["size"],
        equalized=colours_of((config.get("settings") or {}).get("images")) == "equalized",
        results=results(metrics),
        headlines=[words.headline(asked) for asked in metrics["questions"].values()],
        cautions=[words.cautions(metrics, question) for question in metrics["questions"]],
        of_2017=words.of_2017(config),
        split="validation" if metrics["splits"].keys() <= {"train", "val"} else "test",
        splits=tables.splits_table(metrics),
        tables=[table for asked in metrics["questions"].values() for table in _tables(asked)],
        kappa=metrics["grade"] and words.cell(metrics["grade"]["kappa"], decimal, "one class only"),
        made=made_by(metrics, config),
    )
    write_whole(path, page.encode("utf-8", "replace"))


def _tables(asked):
    """Give the tables of one question, each named after it."""
    made = [
        tables.figures_table(asked),
        tables.baselines_table(asked),
        *(tables.points_table(asked[unit], name) for unit, name in tables.UNITS.items()),
    ]
    return [table._replace(caption=f"{asked['disease']}: {table.caption}") for table in made]


def results(metrics):
    """List the results of the front matter's model-index.

    Returns
    -------
    list of dict
        `config` (question and unit) and `metrics`, each with `type`, `name` and `value`; figures that are not defined
        are left out.
    """
    found = []
    for question, asked in metrics["questions"].items():
        for unit, unit_name in tables.UNITS.items():
            figures = [(*shown, asked[unit][key]) for key, shown in RESULTS.items()]
            found.append({"config": f"{question}, {unit_name}", "metrics": _measured(figures, metrics)})
    if metrics["grade"]:
        figures = [
            ("cohen_kappa", "Quadratic weighted kappa", decimal, metrics["grade"]["kappa"]),
            ("accuracy", "Accuracy of the exact grade", percent, metrics["grade"]["accuracy"]),
        ]
        found.append({"config": "grade 0-4, per eye", "metrics": _measured(figures, metrics)})
    return [result for result in found if result["metrics"]]


def _measured(figures, metrics):
    """Name figures with their interval, and write each value with four digits, never as 1e-05, a text to YAML 1.1."""
    level = percent(metrics["bootstrap"]["level"], 0)
    measured = []
    for kind, name, show, figure in figures:
        if defined(figure["value"]):
            interval = interval_text(figure, show)
            named = f"{name} ({level} interval {interval})" if interval else name
            measured.append({"type": kind, "name": named, "value": f"{figure['value']:.4f}"})
    return measured


def yaml_text(text):
    """Quote a text for YAML; what cannot be printed, which YAML forbids, becomes a space."""
    return json.dumps("".join(c if c.isprintable() else " " for c in str(text)), ensure_ascii=False)


def markdown_text(text):
    """Escape a text for the middle of a line of Markdown, also in a cell of a table."""
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", " ".join(str(text).split()))
