"""MODEL_CARD.md: the model card in Hugging Face's format; its YAML front matter holds the figures [1]_.

References
----------
.. [1] https://huggingface.co/docs/hub/model-cards
"""

import math

import yaml

from eyenet.data.names import FITTED
from eyenet.data.tasks import TASKS, first_disease
from eyenet.model import disclaimers
from eyenet.model.settings import colours_of
from eyenet.report import tables, words
from eyenet.report.cautions import cautions
from eyenet.report.chosen import any_recalibrated, chosen_on, places, with_places
from eyenet.report.made_by import made_by
from eyenet.report.words import defined, format_of, interval_text, percent
from eyenet.run.files import write_whole
from eyenet.run.pages import environment, markdown_text
from eyenet.score.metrics import METRIC_NAMES

# Figures of the front matter: key in metrics.json, metric id at Hugging Face.
METRIC_IDS = {
    "auc": "roc_auc",
    "average_precision": "average_precision",
    "sensitivity": "recall",
    "specificity": "specificity",
    "precision": "precision",
    "accuracy": "accuracy",
}


def write_model_card(path, metrics, config):
    """Write MODEL_CARD.md atomically.

    Parameters
    ----------
    path : path-like
    metrics : dict
        Contents of metrics.json.
    config : dict
        config.json of the model.
    """
    env = environment(__file__, autoescape=False)  # Markdown is escaped by its own filter
    env.filters["md"] = markdown_text
    metrics = with_places(metrics)
    task, first = metrics["task"], next(iter(metrics["questions"]))
    asked = metrics["questions"][first]
    page = env.get_template("model_card.md.jinja").render(
        front_matter=front_matter(metrics),
        metrics=metrics,
        words=words,
        disclaimers=disclaimers,
        classes=TASKS[task].classes,
        question=first,
        first_disease=first_disease(task, first),
        temperature=asked["temperature"],
        shift=asked["shift"],
        threshold=asked["eye"]["operating_points"][asked["operating_point"]]["threshold"],
        size=config["size"],
        equalized=colours_of((config.get("settings") or {}).get("images")) == "equalized",
        headlines=[words.headline(asked) for asked in metrics["questions"].values()],
        cautions=[cautions(metrics, question) for question in metrics["questions"]],
        of_2017=words.of_2017(config),
        unknown_patients=config.get("unknown_patients"),
        splits=tables.splits_table(metrics),
        tables=[table for asked in metrics["questions"].values() for table in _tables(asked)],
        grade=metrics["grade"] and tables.grade_table(metrics["grade"]),
        grade_rule=metrics["grade"] and words.rule_of_grade(metrics["grade"]),
        chosen=places(metrics),
        chosen_on=chosen_on(asked),
        choice=_choice(metrics),
        trained_on=_trained_on(config.get("settings") or {}),
        recalibrated=config.get("recalibrated"),
        made=made_by(metrics, config),
    )
    write_whole(path, page.encode("utf-8", "replace"))


def _trained_on(settings):
    """Say which images the network was trained on."""
    return "mirrored and rotated copies" if settings.get("rows", "all") == "all" else "originals"


def _choice(metrics):
    """Say where epoch, calibration and thresholds were chosen."""
    if not any_recalibrated(metrics):
        return "Epoch, calibration and thresholds were chosen on validation"
    return f"The epoch was chosen on validation, calibration and thresholds on {markdown_text(places(metrics))}"


def _tables(asked):
    """List the tables of one question, with its disease in each caption."""
    made = [
        tables.figures_table(asked),
        tables.baselines_table(asked),
        *(tables.points_table(asked, unit) for unit in tables.units_of(asked)),
    ]
    return [table._replace(caption=f"{asked['disease']}: {table.caption}") for table in made]


def front_matter(metrics, **changed):
    """Return the YAML front matter as text; `changed` are entries that replace or follow the usual ones."""
    card = {
        "language": "en",
        "license": "mit",
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["medical", "ophthalmology", "fundus", "diabetic-retinopathy", "keras"],
    }
    card |= changed
    results = list_results(metrics)
    if results:
        kinds = [figure["type"] for result in results for figure in result["metrics"]]
        card["metrics"] = list(dict.fromkeys(kinds))
        card["model-index"] = [{"name": printable(metrics["model"]), "results": results}]
    return yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=math.inf)


def list_results(metrics):
    """List the results of the front matter's model-index, per question and unit; undefined figures are left out.

    Returns
    -------
    list of dict
        `task`, `dataset` (with the question and the unit as `config`) and `metrics`.
    """
    level = percent(metrics["bootstrap"]["level"], 0)
    found = {}
    for question, asked in metrics["questions"].items():
        for unit, unit_name in tables.units_of(asked).items():
            figures = [(id_, METRIC_NAMES[key][0], key, asked[unit][key]) for key, id_ in METRIC_IDS.items()]
            found[f"{question}, {unit_name}"] = figures
    if grade := metrics["grade"]:
        share = grade["shown"].get("share")
        some = f", {percent(share['value'])} with a shown grade" if share and defined(share["value"]) else ""
        found[f"grade 0-4, per photograph{some}"] = [
            ("cohen_kappa", METRIC_NAMES["kappa"][0], "kappa", grade["shown"]["kappa"]),
            ("accuracy", "accuracy of the exact grade", "accuracy", grade["shown"]["accuracy"]),
        ]
    return [
        {
            "task": {"type": "image-classification", "name": "Image classification"},
            "dataset": {
                "type": "imagefolder",
                "name": printable(metrics["set"] + (", synthetic" if metrics["synthetic"] else "")),
                "config": config,
                "split": "validation" if metrics["splits"].keys() <= set(FITTED) else "test",
            },
            "metrics": measured,
        }
        for config, figures in found.items()
        if (measured := [_result(*figure, level) for figure in figures if defined(figure[-1]["value"])])
    ]


def _result(metric_id, name, key, figure, level):
    """Convert a figure to an entry of the front matter, with its interval in the name."""
    if interval := interval_text(figure, format_of(key)):
        name += f" ({level} interval {interval})"
    return {"type": metric_id, "value": round(figure["value"], 4), "name": printable(name)}


def printable(text):
    """Replace unprintable characters, such as line breaks, by spaces, so that a name stays on one line."""
    return "".join(c if c.isprintable() else " " for c in text)
