"""report.html: the evaluation of a model on one self-contained page that makes no network requests.

Texts come from `eyenet.report.words`, tables from `eyenet.report.tables`, charts from `eyenet.report.charts`; this
module assembles them for the template `report.html.jinja`.
"""

import base64
import io

from PIL import Image

from eyenet.data.tasks import GRADES, LEAST_GRADE
from eyenet.model import disclaimers
from eyenet.model.settings import what_it_has_seen
from eyenet.report import charts, tables, words
from eyenet.report.cautions import cautions
from eyenet.report.checklists import counts_table, fill_checklists
from eyenet.report.chosen import chosen_on, chosen_on_validation, places, use_of_validation, with_places
from eyenet.report.coverage import coverage_table
from eyenet.report.flow import flow_steps, ungradable_text
from eyenet.report.forest import forest_charts
from eyenet.report.made_by import made_by
from eyenet.report.subgroup_tables import group_sentences, group_tables, shown_differences, ungradable_table
from eyenet.report.words import DASH, HEALTHY, decimal
from eyenet.report.workload import workload_sentences, workload_table
from eyenet.report.workload_chart import workload_chart
from eyenet.run.files import write_whole
from eyenet.run.pages import environment
from eyenet.score.metrics import METRIC_NAMES

TITLES = {"any": "Any retinopathy", "referable": "Referable retinopathy"}


def write_report(path, metrics, config, history, examples, balance, confident):
    """Write report.html, whole or not at all.

    Parameters
    ----------
    path : path-like
    metrics : dict
        Contents of metrics.json.
    config : dict
        Contents of the model's config.json.
    history : list of dict
        Rows of history.csv with float values; may be empty.
    examples : dict of str to list of dict
        By question, the most confident correct and wrong predictions: `image`, `label`, `probability`, `called`,
        `right`, and `photograph` and `overlay`, uint8 of shape (s, s, 3).
    balance : dict of str to list of int
        By split, the number of photographs of grades 0 to 4.
    confident : float
        Least probability of the predictions in `examples`.
    """
    template = environment(__file__, autoescape=True).get_template("report.html.jinja")
    metrics = with_places(metrics)
    checklists = fill_checklists(metrics, config)
    page = template.render(
        metrics=metrics,
        words=words,
        disclaimers=disclaimers,
        asked_for=" and ".join(question["disease"] for question in metrics["questions"].values()),
        network=_network(metrics, config),
        flow=flow_steps(metrics),
        ungradable=ungradable_text,
        verdicts=[_verdict(metrics, question) for question in metrics["questions"]],
        splits=tables.splits_table(metrics),
        questions=[_question(metrics, question, examples.get(question, [])) for question in metrics["questions"]],
        groups=_groups(metrics),
        grade=_grade(metrics["grade"]),
        training=_training(history, balance, metrics["set"]),
        made=made_by(metrics, config),
        confident=confident,
        point=words.point_name(next(iter(metrics["questions"].values()))["operating_point"]),
        chosen=places(metrics),
        chosen_patients=places(metrics, "validation patients"),
        chosen_on_validation=chosen_on_validation(metrics),
        checklists=checklists,
        checklist_counts=counts_table(checklists),
    )
    # File names may contain bytes that are not valid UTF-8; they become question marks.
    write_whole(path, page.encode("utf-8", "replace"))


def _verdict(metrics, question):
    """Assemble the summary of one question."""
    asked = metrics["questions"][question]
    unit, noun = words.main_unit(asked)
    found, false_positives = words.true_and_false_positives(unit)
    dials = [
        (f"{METRIC_NAMES[key][0]}, per {noun}", unit[key], tables.figure_cell(unit, key))
        for key in ("sensitivity", "specificity", "auc")
    ]
    return {
        "id": question,
        "title": TITLES[question],
        "headline": words.headline(asked),
        "sentences": words.sentences(metrics, question) + workload_sentences(asked),
        "cautions": cautions(metrics, question),
        "found": found,
        "false_positives": false_positives,
        "dials": dials,
    }


def _network(metrics, config):
    """Say which network it is, what it has seen, and at which operating point it answers; list of (name, text)."""
    architecture, hashed = (config.get("settings") or {}).get("network"), (config.get("files") or {}).get("model.keras")
    choosing = f"to choose {use_of_validation(metrics)}"
    seen = [f"trained on {what_it_has_seen(config)}"] if "settings" in config else []
    for split, use in (("train", "for training"), ("val", choosing)):
        if split in metrics["splits"]:
            seen.append(f"{metrics['splits'][split]['photographs']:,} {use}")
    rows = [
        ("Network", f"{metrics['model']}" + (f" ({architecture.replace('_', ' ')})" if architecture else "")),
        ("It has seen", "; ".join(seen) or f"{DASH} (unknown)"),
        ("It answers at", words.point_name(next(iter(metrics["questions"].values()))["operating_point"])),
        ("Fingerprint", f"model.keras {hashed[:16]}" if hashed else ""),
    ]
    return [row for row in rows if row[1]]


def _charts(question, asked):
    """Draw the charts of one question; a list of (title, subtitle, SVG)."""
    (unit, noun), eye = words.main_unit(asked), asked["eye"]
    drawn = [
        (
            "ROC curve",
            f"Sensitivity against false positive rate, with a pointwise band per {noun}.",
            charts.roc_chart(f"roc-{question}", asked),
        ),
        (
            "Precision and recall",
            "Fraction of positive predictions that are correct.",
            charts.precision_recall_chart(f"pr-{question}", asked),
        ),
        (
            f"Reliability, per {noun}",
            "Observed frequency of disease by predicted probability.",
            charts.reliability_chart(f"reliability-{question}", unit),
        ),
        (
            "Positive predictions by grade",
            "With 95 % intervals.",
            eye["by_grade"] and charts.by_grade_chart(f"grades-{question}", asked, LEAST_GRADE[question]),
        ),
        (
            f"Least certain {noun}s graded by a person",
            f"Figures of the remaining {noun}s.",
            charts.referral_chart(f"referral-{question}", unit),
        ),
        (
            f"Workload of 1,000 {noun}s",
            "What becomes of them at the model's operating point.",
            workload_chart(f"workload-{question}", unit, noun),
        ),
        (
            f"Decision curve, per {noun}",
            "Net benefit of referring by the network, of referring everybody, and of referring nobody.",
            charts.decision_chart(f"decision-{question}", unit, noun),
        ),
        (
            "Reliability, per photograph",
            "The same for each photograph.",
            asked["patient"] and charts.reliability_chart(f"reliability-eye-{question}", eye),
        ),
    ]
    return [chart for chart in drawn if chart[2]]


def _question(metrics, question, examples):
    """Assemble the tables and charts of one question."""
    asked = metrics["questions"][question]
    classes, units = [HEALTHY[question], "disease"], tables.units_of(asked)
    unsure = coverage_table(asked)
    return {
        "id": question,
        "title": TITLES[question],
        "disease": asked["disease"],
        "chosen_on": chosen_on(asked),
        "figures": [
            tables.figures_table(asked),
            workload_table(asked),
            *([unsure] if unsure else []),
            tables.baselines_table(asked),
            tables.roc_table(asked),
            tables.calibration_table(asked),
        ],
        "unsure": unsure,
        "majority": asked["baselines"]["majority"],
        "not_retina": asked["baselines"]["not_retina"],
        "points": [tables.points_table(asked, unit) for unit in units],
        "confusions": [
            tables.confusion(asked[u]["confusion"], classes, f"Grade against prediction, {name}")
            for u, name in units.items()
        ],
        "charts": _charts(question, asked),
        "behind": [
            *([tables.by_grade_table(asked)] if asked["eye"]["by_grade"] else []),
            *(tables.referral_table(asked[u], name) for u, name in units.items()),
            *(tables.bins_table(asked[u], name) for u, name in units.items()),
        ],
        "examples": [
            (title, [_example(example, question) for example in examples if example["right"] == right])
            for title, right in (
                ("Most confident correct predictions", True),
                ("Most confident wrong predictions", False),
            )
        ],
    }


def _groups(metrics):
    """Assemble the comparison of groups of photographs; None if there are no groups."""
    if not metrics.get("subgroups"):
        return None
    questions = []
    for question in metrics["questions"]:
        by_unit = [group_tables(metrics, question, unit) for unit in tables.UNITS]
        questions.append(
            {
                "title": TITLES[question],
                "sentences": group_sentences(metrics, question),
                "charts": forest_charts(metrics, question),
                "tables": by_unit[0] or by_unit[1],
                "behind": by_unit[1] if by_unit[0] else [],
            }
        )
    return {
        "questions": questions,
        "comparisons": metrics["subgroups"]["comparisons"],
        "ungradable": ungradable_table(metrics),
        "ungradable_sentences": shown_differences(metrics, None),
    }


def _example(example, question):
    """Assemble one photograph with its heat map."""
    called = "disease" if example["called"] else HEALTHY[question]
    return {
        "image": example["image"],
        "label": example["label"],
        "called": called,
        "diseased": example["called"],
        "probability": decimal(example["probability"]),
        "photograph": data_uri(example["photograph"]),
        "overlay": data_uri(example["overlay"]),
        "size": example["photograph"].shape[0],
    }


def data_uri(pixels):
    """Encode an image, uint8 of shape (h, w, 3), as a data URI of a JPEG, a fifth of the size of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _grade(grade):
    """Assemble the figures of the task `grade`; None for other tasks."""
    if not grade:
        return None
    classes = [f"{level} {name}" for level, name in GRADES.items()]
    return {
        "table": tables.grade_table(grade),
        "confusion": tables.confusion(
            grade["shown"]["confusion"], classes, "Grade against predict.py's, per photograph"
        ),
        "rule": words.rule_of_grade(grade),
    }


def _training(history, balance, evaluated):
    """Assemble the charts of class balance and of training."""
    drawn = []
    if balance:
        drawn.append(("Grades in each split", "", charts.balance_chart("balance", balance)))
    if history:
        drawn += [
            ("Loss", "", charts.training_chart("loss", history, "loss", "Loss")),
            ("ROC AUC", "", charts.training_chart("auc", history, "auc", "ROC AUC")),
        ]
    return {"charts": drawn, "tables": [tables.balance_table(balance, evaluated)] if balance else []}
