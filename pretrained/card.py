"""Score the network that ships on photographs that it has not seen; write its card, notice, figures and checksums."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import record

from evaluate import compute_metrics
from eyenet.data.array import content_hash, map_blocks, open_array, rows_by_split
from eyenet.data.tasks import GRADES, LEAST_GRADE, QUESTIONS, TASKS
from eyenet.model import disclaimers
from eyenet.model.batches import Batches, predict
from eyenet.model.decision import thresholds_at
from eyenet.model.folder import open_model
from eyenet.model.lite import LITE_NETWORK, LiteNetwork
from eyenet.model.predictions import Scored, read_geometries, require_unseen
from eyenet.model.scored_photographs import score_photographs
from eyenet.report import words
from eyenet.report.assessment import answer
from eyenet.report.card import front_matter
from eyenet.report.made_by import made_by
from eyenet.run.files import sha256, write_json, write_whole
from eyenet.run.pages import environment, markdown_text
from eyenet.run.workers import cores
from eyenet.score.intervals import auc_with_interval, rates_with_intervals
from eyenet.score.not_retina import border_features

QUESTION = "referable"  # that the default operating point is about
TEST = "unseen patients of the same collection"
GOALS = {"any": ">= 0.81", "referable": ">= 0.87"}  # AUC per photograph of the test patients
DRAWS, SEED = 2000, 0
MOST = 22  # MB, of the folder


class Answers:
    """The answers of model.tflite, with the part of a Keras network that `eyenet.model.batches.predict` uses."""

    def __init__(self, folder, config):
        self.lite, self.output_shape = LiteNetwork(folder, config), (None, len(config["classes"]))

    def predict(self, batches, verbose):
        return np.concatenate([[self.lite(one)[0] for one in np.asarray(photographs)] for (photographs,) in batches])


def score_test(folder, answers, work):
    """Score the test photographs of the array; Scored."""
    images, table, sidecar = open_array(work / "data" / "array")
    rows = rows_by_split(table, sidecar["settings"])["test"]
    known = require_unseen(table.iloc[rows], folder, "test", None)
    probabilities = predict(answers, Batches(images, None, rows, 64))
    features = map_blocks(border_features, images, rows, None)
    geometry = read_geometries(work / "data" / "resized" / "photographs.csv", table)[rows]
    shown = table.iloc[rows].reset_index(drop=True)
    features = np.concatenate([features, geometry], axis=1)
    return Scored(shown, probabilities, features, lambda i: images[rows[i]], TEST, False, known)


def score_sets(folder, config, work, data):
    """Score the test photographs, and every folder of `data`; dict of name to Scored."""
    answers = Answers(folder, config)
    sets = {"test": score_test(folder, answers, work)}
    for other in data:
        with tempfile.TemporaryDirectory() as rejected:
            paths = (other / "train", other / "trainLabels.csv")
            scored, _ = score_photographs(*paths, folder, config, answers, Path(rejected), cores(), 0.05)
        sets[other.name] = replace(scored, what=f"{other.name}, other patients")
    return sets


def is_gradable(scored):
    """Tell which photographs the quality gate accepts; bool, shape (n,)."""
    return scored.table["gradable"].astype(int).to_numpy() == 1


def outcomes(scored, config):
    """Count what becomes of the eyes of each grade at the default operating point, as predict.py answers.

    Returns
    -------
    list of dict
        `grade`, `name`, `eyes`; of these `referred`, told to photograph `again` (poor and below the threshold), and
        `missed` (gradable and below it).
    """
    _, _, probability = answer(scored, config, QUESTION)
    called = probability >= thresholds_at(config)[QUESTION]
    levels, gradable = scored.table["level"].to_numpy(), is_gradable(scored)
    return [
        {
            "grade": grade,
            "name": name,
            "eyes": int((levels == grade).sum()),
            "referred": int(called[levels == grade].sum()),
            "again": int((~called & ~gradable)[levels == grade].sum()),
            "missed": int((~called & gradable)[levels == grade].sum()),
        }
        for grade, name in GRADES.items()
    ]


def groups(scored, config):
    """Compare groups of photographs: figures of referable DR at the default operating point."""
    truth, _, probability = answer(scored, config, QUESTION)
    called = probability >= thresholds_at(config)[QUESTION]
    patients, eye = (scored.table[column].to_numpy() for column in ("patient", "eye"))
    rows = {
        "gradable": is_gradable(scored),
        "poor": ~is_gradable(scored),
        "left eyes": eye == "left",
        "right eyes": eye == "right",
    }
    found = {}
    for name, chosen in ((name, chosen) for name, chosen in rows.items() if chosen.any()):
        rates = rates_with_intervals(truth[chosen], called[chosen], patients[chosen])
        auc = auc_with_interval(truth[chosen], probability[chosen], patients[chosen])
        counts = {"photographs": int(chosen.sum()), "diseased": int(truth[chosen].sum())}
        found[name] = counts | {"auc": auc, "sensitivity": rates["sensitivity"], "specificity": rates["specificity"]}
    return found


def figure_rows(what, figure, goal=""):
    """Make the row of a figure for benchmarks/results/, in a list; an undefined figure has none."""
    if not words.defined(figure["value"]):
        return []
    known = words.defined(figure["low"]) and words.defined(figure["high"])
    limits = f"95 %: {figure['low']:.3f} to {figure['high']:.3f}" if known else ""
    return [(what, f"{figure['value']:.3f}", limits, goal)]


def figures_of(name, metrics, config):
    """List the figures of a set as rows of benchmarks/results/."""
    for question in TASKS[config["task"]].questions:
        for unit, each in (("eye", "photograph"), ("patient", "patient")):
            found = metrics["questions"][question][unit]
            point = found["operating_points"][config["operating_point"]]
            for what, figure in (("AUC", found["auc"]), *((key, point[key]) for key in ("sensitivity", "specificity"))):
                goal = GOALS[question] if (name, unit, what) == ("test", "eye", "AUC") else ""
                yield from figure_rows(f"{name}, {question} DR, {what} per {each}", figure, goal)


def grade_figures(name, grade):
    """List how the grades of a set agree with the graders: those that are shown, and the network's for all, as rows."""
    shown = grade["shown"]
    named = (
        ("share of photographs with a shown grade", shown["share"]),
        ("shown grade, quadratic weighted kappa", shown["kappa"]),
        ("shown grade, accuracy", shown["accuracy"]),
        ("the network's grade of all photographs, quadratic weighted kappa", grade["kappa"]),
        ("the network's grade of all photographs, accuracy", grade["accuracy"]),
    )
    for what, figure in named:
        yield from figure_rows(f"{name}, {what}", figure)


def write_results(folder, config, metrics, lost):
    """Write benchmarks/results/pretrained.csv."""
    rows = [row for name, found in metrics.items() for row in figures_of(name, found, config)]
    rows += [row for name, found in metrics.items() if found["grade"] for row in grade_figures(name, found["grade"])]
    for name, each in lost.items():
        for row in each:
            said = f"of {row['eyes']} eyes, {row['again']} more photographed again"
            rows.append((f"{name}, eyes of grade {row['grade']} below the threshold", row["missed"], said, ""))
    for question, found in config["validation"].items():
        for what, figure in found.items():
            rows += figure_rows(f"validation, {question} DR, {what} per photograph", figure)
    parity = config["parity"]
    rows.append(("model.tflite against Keras, validation, largest difference", f"{parity['largest']:.1e}", "", ""))
    rows.append(("the same, correlation of the evidence, least of 16", f"{parity['evidence']:.4f}", "", ""))
    for question, (before, after) in ((q, found["auc"]) for q, found in parity["questions"].items()):
        rows.append((f"validation, {question} DR, AUC per photograph, Keras", f"{before:.4f}", "", ""))
        rows.append((f"validation, {question} DR, AUC per photograph, model.tflite", f"{after:.4f}", "", ""))
    for path in (folder / LITE_NETWORK, folder / "model.keras"):
        rows.append((f"size of {path.name}", f"{path.stat().st_size / 1e6:.1f}", "MB", ""))
    total = sum(path.stat().st_size for path in folder.iterdir())
    rows.append(("size of the folder", f"{total / 1e6:.1f}", "MB", f"<= {MOST} MB"))
    record.write("pretrained", rows, folder="pretrained")


def write_card(folder, config, metrics, lost, compared):
    """Write MODEL_CARD.md, which leads with what the network misses."""
    env = environment(__file__, autoescape=False)
    env.filters["md"] = markdown_text
    page = env.get_template("card.md.jinja").render(
        front_matter=front_matter(
            metrics["test"], license="other", license_name="research-only", license_link="NOTICE"
        ),
        config=config,
        threshold=thresholds_at(config)[QUESTION],
        point=words.point_name(config["operating_point"]),
        sets=metrics,
        lost=lost,
        compared=compared,
        questions={question: QUESTIONS[question] for question in TASKS[config["task"]].questions},
        least=LEAST_GRADE[QUESTION],
        grades={name: (found["grade"], found["grade"]["shown"]) for name, found in metrics.items() if found["grade"]},
        disclaimers=disclaimers,
        words=words,
        made=[(name, value) for name, value in made_by(metrics["test"], config) if name not in ("run", "machine")],
    )
    write_whole(folder / "MODEL_CARD.md", page.encode())


def write_checksums(folder):
    """Write SHA256SUMS, which `sha256sum --check` reads."""
    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir()) if path.name != "SHA256SUMS"]
    write_whole(folder / "SHA256SUMS", "".join(lines).encode())


def finish(folder, work, data):
    """Score the network of a model folder, and complete the folder."""
    config = open_model(folder, LITE_NETWORK)
    sets = score_sets(folder, config, work, data)
    metrics = {}
    for name, scored in sets.items():
        metrics[name] = {"format": 1, "model": folder.name, "source": "array" if name == "test" else "photographs"}
        metrics[name] |= compute_metrics({"test": scored}, scored, None, config, [], DRAWS, SEED)
    metrics["test"]["array"] = content_hash(open_array(work / "data" / "array")[2])
    lost = {name: outcomes(scored, config) for name, scored in sets.items()}
    compared = {name: groups(scored, config) for name, scored in sets.items()}
    write_json(folder / "metrics.json", metrics["test"])
    write_card(folder, config, metrics, lost, compared)
    write_whole(folder / "NOTICE", (Path(__file__).parent / "NOTICE").read_bytes())
    write_checksums(folder)
    write_results(folder, config, metrics, lost)
