"""report.html: what a model can do, on one page that opens from disk and asks nothing of the network.

The words are of `eyenet.report.words`, the tables of `eyenet.report.tables`, the charts of `eyenet.report.charts`;
here they are put together for the template `report.html.jinja`.
"""

import base64
import io

from PIL import Image

from eyenet.data.tables import GRADES
from eyenet.data.tasks import LEAST_GRADE, TASKS
from eyenet.report import charts, tables, words
from eyenet.report.words import DASH, HEALTHY, decimal
from eyenet.run.files import write_whole
from eyenet.run.pages import environment

TITLES = {"any": "Any retinopathy", "referable": "Referable retinopathy"}
FOLDERS = ("input", "models", "logs")  # options that tell of a machine's folders, not of what made the model


def write_report(path, metrics, config, history, examples, balance):
    """Write report.html, whole or not at all.

    Parameters
    ----------
    path : path-like
    metrics : dict
        metrics.json, as evaluate.py writes it.
    config : dict
        config.json of the model.
    history : list of dict
        Rows of history.csv, numbers as float; may be empty.
    examples : dict of str to list of dict
        By question, the most confident right and wrong photographs: `image`, `level`, `probability`, `called`,
        `right`, and `photograph` and `overlay`, uint8 of shape (s, s, 3).
    balance : dict of str to list of int
        By split, photographs of grade 0 to 4.
    """
    template = environment(__file__, autoescape=True).get_template("report.html.jinja")
    page = template.render(
        metrics=metrics,
        words=words,
        asked_for=" and ".join(question["disease"] for question in metrics["questions"].values()),
        verdicts=[_verdict(metrics, question) for question in metrics["questions"]],
        splits=tables.splits_table(metrics),
        questions=[_question(metrics, question, examples.get(question, [])) for question in metrics["questions"]],
        grade=_grade(metrics["grade"]),
        training=_training(history, balance, metrics["set"]),
        made=made_by(metrics, config),
    )
    # A file name may hold bytes that are no text; they become question marks.
    write_whole(path, page.encode("utf-8", "replace"))


def _verdict(metrics, question):
    """Put together the summary of one question."""
    asked = metrics["questions"][question]
    found, vain = words.found_and_vain(asked["patient"])
    dials = [
        (name, asked["patient"][key], tables.figure_cell(asked["patient"], key))
        for name, key in (("Sensitivity", "sensitivity"), ("Specificity", "specificity"), ("ROC area", "auc"))
    ]
    return {
        "id": question,
        "title": TITLES[question],
        "headline": words.headline(asked),
        "sentences": words.sentences(metrics, question),
        "cautions": words.cautions(metrics, question),
        "found": found,
        "vain": vain,
        "dials": dials,
    }


def _charts(question, asked):
    """Draw the charts of one question; a list of title, subtitle and SVG."""
    patient, eye = asked["patient"], asked["eye"]
    return [
        ("ROC", "Found against sent in vain.", charts.roc_chart(f"roc-{question}", asked)),
        (
            "Precision and recall",
            "How many of those called have it.",
            charts.precision_recall_chart(f"pr-{question}", asked),
        ),
        (
            "Reliability, per patient",
            "Of those given 30 %, do 30 % have it?",
            charts.reliability_chart(f"reliability-{question}", patient),
        ),
        (
            "Called diseased, by grade",
            "With 95 % intervals.",
            charts.by_grade_chart(f"grades-{question}", asked, LEAST_GRADE[question]),
        ),
        (
            "Doubtful patients go to a person",
            "How the network does on the rest.",
            charts.referral_chart(f"referral-{question}", patient),
        ),
        (
            "Reliability, per eye",
            "The same for single photographs.",
            charts.reliability_chart(f"reliability-eye-{question}", eye),
        ),
    ]


def _question(metrics, question, examples):
    """Put together the tables and charts of one question."""
    asked = metrics["questions"][question]
    patient = asked["patient"]
    classes = [HEALTHY[question], "disease"]
    return {
        "id": question,
        "title": TITLES[question],
        "disease": asked["disease"],
        "fusion": words.FUSION[patient["fusion"]],
        "figures": [
            tables.figures_table(asked),
            tables.baselines_table(asked),
            tables.roc_table(asked),
            tables.calibration_table(asked),
        ],
        "majority": asked["baselines"]["majority"],
        "not_retina": asked["baselines"]["not_retina"],
        "subsets": tables.subsets_table(metrics, question) if metrics.get("subsets") else None,
        "points": [tables.points_table(asked[u], name) for u, name in tables.UNITS.items()],
        "confusions": [
            tables.confusion(asked[u]["confusion"], classes, f"Graded against called, {name}")
            for u, name in tables.UNITS.items()
        ],
        "charts": _charts(question, asked),
        "behind": [
            tables.by_grade_table(asked),
            *(tables.referral_table(asked[u], name) for u, name in tables.UNITS.items()),
            *(tables.bins_table(asked[u], name) for u, name in tables.UNITS.items()),
        ],
        "examples": [
            (title, [_example(example, question) for example in examples if example["right"] == right])
            for title, right in (("Most confident and right", True), ("Most confident and wrong", False))
        ],
    }


def _example(example, question):
    """Put together one photograph with its heat map."""
    called = "disease" if example["called"] else HEALTHY[question]
    return {
        "image": example["image"],
        "grade": f"{example['level']} ({GRADES[example['level']]})",
        "called": called,
        "diseased": example["called"],
        "probability": decimal(example["probability"]),
        "photograph": data_uri(example["photograph"]),
        "overlay": data_uri(example["overlay"]),
        "size": example["photograph"].shape[0],
    }


def data_uri(pixels):
    """Turn an image, uint8 of shape (h, w, 3), into a data URI of a JPEG, which is a fifth of a PNG's size."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _grade(grade):
    """Put together the figures of the task `grade`; None for the others."""
    if not grade:
        return None
    classes = [f"{level} {name}" for level, name in GRADES.items()]
    return {
        "kappa": words.cell(grade["kappa"], decimal, "one class only"),
        "accuracy": words.cell(grade["accuracy"]),
        "confusion": tables.confusion(grade["confusion"], classes, "Graded against predicted, per eye"),
    }


def _training(history, balance, what):
    """Put together the charts of the photographs and of the training."""
    drawn = []
    if balance:
        drawn.append(("Grades in each split", "", charts.balance_chart("balance", balance)))
    if history:
        drawn += [
            ("Loss", "", charts.training_chart("loss", history, "loss", "Loss")),
            (
                "Area under the ROC curve",
                "",
                charts.training_chart("auc", history, "auc", "Area under the ROC curve"),
            ),
        ]
    return {"charts": drawn, "tables": [tables.balance_table(balance, what)] if balance else []}


def made_by(metrics, config):
    """List what made a model and its figures.

    Returns
    -------
    list of (str, str)
        Name and value, both text.
    """
    settings = config.get("settings") or {}
    bootstrap = metrics["bootstrap"]
    rows = {
        "run": metrics["model"],
        "task": f"{metrics['task']}: {', '.join(TASKS[metrics['task']].classes)}",
        "commit": config.get("commit"),
        "split (SHA-256)": settings.get("split"),
        "array (SHA-256)": settings.get("array"),
        "bootstrap": f"{bootstrap['draws']:,} draws of patients, seed {bootstrap['seed']}",
        **{f"{name} version": version for name, version in (config.get("versions") or {}).items()},
        "machine": config.get("machine"),
        "size of the input": config.get("size"),
        **{name: value for name, value in flat(settings) if name not in ("split", "array")},
        **{n: v for n, v in (config.get("options") or {}).items() if n not in FOLDERS and n not in settings},
    }
    return [(name.replace("_", " "), plain(value)) for name, value in rows.items()]


def flat(value, prefix=""):
    """List the leaves of nested dicts as (``outer inner``, value).

    A stage records the settings of the one before it as its `input`; of that chain the names leave nothing.
    """
    if not isinstance(value, dict):
        return [(prefix.strip(), value)]
    return [leaf for key, part in value.items() for leaf in flat(part, prefix if key == "input" else f"{prefix} {key}")]


def plain(value):
    """Show a value of a JSON file as text."""
    if value is None:
        return f"{DASH} (not known)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
