#!/usr/bin/env python3
"""Step 7: honest figures, on patients that the network has never seen.

Reads   models/latest/                    the network and the decision that was chosen on validation
        data/array/                       its test photographs, originals only
        data/resized/photographs.csv      file and photograph size, for a baseline that sees no retina
        or --photos DIR --labels CSV      any photographs with grades: another hospital's, Kaggle's test
Writes  models/<run>/report.html          all figures, charts, heat maps; one file, opens from disk
        models/<run>/metrics.json         all figures, with intervals
        models/<run>/predictions.csv      the network's probabilities, a row a photograph
        models/<run>/MODEL_CARD.md        in Hugging Face's form

    python evaluate.py
    python evaluate.py --photos other/train --labels other/labels.csv      writes to models/<run>/on-other-train

Every figure has a 95 % interval from a bootstrap over patients, and stands beside what a majority vote and a
classifier without a retina reach. Nothing is chosen here: thresholds, calibration and the rule for two eyes come
with the model. Use --split val while you experiment, and the test once. Kaggle's 35,126: 6 minutes on two cores.
"""

import shlex

import numpy as np
import pandas as pd

from eyenet.data.tables import count_by_grade, write_table
from eyenet.data.tasks import TASKS, first_disease
from eyenet.model import backend
from eyenet.model.decision import BALANCED
from eyenet.model.disclaimers import SYNTHETIC_FIGURES
from eyenet.model.folder import load_network, open_model
from eyenet.model.probabilities import uncalibrate
from eyenet.run.errors import StageError, log
from eyenet.run.files import write_json
from eyenet.run.options import between, fraction, local_path, parser, positive, seed
from eyenet.run.script import run_main

EXAMPLES = 3  # photographs shown of each kind: right and wrong, with and without disease
TITLES = {"train": "training patients", "val": "validation patients"}
FIGURES = {
    "auc": "ROC AUC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity (recall)",
    "specificity": "specificity",
    "precision": "precision (PPV)",
    "npv": "NPV",
}


def show(figure):
    """Write a figure with its interval, such as `0.930 (0.850-0.985)`."""
    if figure["value"] is None:
        return "-"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


def lines_of(rows):
    """Lay rows of text out in columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
        for row in rows
    ]


def story_table(splits, what):
    """Format accuracy, precision, recall and AUC of each split: the story's own table."""
    rows = [["", "photographs", "diseased", "accuracy", "precision", "recall", "AUC"]]
    for split, s in splits.items():
        figures = [show(s[name]) for name in ("accuracy", "precision", "recall", "auc")]
        name = TITLES.get(split) or what.split(":")[0]
        rows.append([name, f"{s['photographs']:,}", f"{s['diseased']:,}", *figures])
    return lines_of(rows)


def question_table(question):
    """Format the figures of one question, per photograph and per patient, and the baselines."""
    eye, patient = units = question["eye"], question["patient"]
    fused = {"mean": "mean", "max": "higher", "noisy_or": "noisy or"}[patient["fusion"]] + " of the eyes"
    rows = [
        [question["disease"], f"{eye['count']:,} photographs", f"{patient['count']:,} patients, {fused}"],
        *([title, show(eye[name]), show(patient[name])] for name, title in FIGURES.items()),
    ]
    kinds = ("specificity", "sensitivity")
    for kind, other in (kinds, kinds[::-1]):
        for level in eye["roc"][f"{other}_at_{kind}"]:
            of = [unit["roc"][f"{other}_at_{kind}"][level] for unit in units]
            rows.append([f"{other} at {float(level):.0%} {kind}, read off the curve", *map(show, of)])
            points = [unit["operating_points"].get(f"{kind}_{level}") for unit in units]
            for name in kinds if None not in points else ():
                rows.append([f"  {name} with validation's threshold for it", *(show(p[name]) for p in points)])
    for name, title in (("ece", "calibration error (ECE)"), ("brier", "Brier score")):
        rows.append([title, *(show(unit["calibration"]["after"][name]) for unit in units)])
    for parts in zip(*(unit["by_grade"] for unit in units)):
        rows.append([f"called diseased, of grade {parts[0]['grade']}", *(show(part["called"]) for part in parts)])
    for parts in zip(*(unit["referral"] for unit in units)):
        if parts[0]["referred"] in (0.1, 0.3, 0.5):
            share = f"accuracy, least certain {parts[0]['referred']:.0%} to a person"
            rows.append([share, *(show(part["accuracy"]) for part in parts)])
    majority, without = question["baselines"]["majority"], question["baselines"]["not_retina"]
    rows.append(["baseline, majority: accuracy", show(majority["accuracy"]), ""])
    rows.append(["baseline without a retina: AUC", show(without["auc"]) if without else "-", ""])
    return lines_of(rows)


def choose_examples(truth, probability, threshold):
    """Choose the rows of the most confident photographs: found, missed, sent in vain, sent home rightly."""
    called = probability >= threshold
    chosen = []
    for diseased, positive_call in ((True, True), (True, False), (False, True), (False, False)):
        rows = np.flatnonzero((truth == diseased) & (called == positive_call))
        order = np.argsort(probability[rows], kind="stable")
        chosen += rows[order[::-1] if positive_call else order][:EXAMPLES].tolist()
    return chosen


def examples_of(scored, network, task, decision):
    """Give the report its photographs, with heat maps, by question."""
    from eyenet.model.evidence import heat_maps
    from eyenet.model.overlay import overlay
    from eyenet.report.assessment import answer

    examples = {}
    for question in TASKS[task].questions:
        truth, _, probability = answer(scored, task, question, decision)
        threshold = decision[question]["eye"]["operating_points"][BALANCED]
        rows = choose_examples(truth, probability, threshold)
        photographs = scored.crops(np.array(rows))
        # The network's own probability, before calibration, is what the heat is scaled by.
        chosen = decision[question]
        own = float(uncalibrate(threshold, chosen["temperature"], chosen["shift"]))
        heats = heat_maps(network, photographs, first_disease(task, question), threshold=own)
        examples[question] = [
            {
                "image": scored.table["image"][row],
                "level": int(scored.table["level"][row]),
                "probability": float(probability[row]),
                "called": bool(probability[row] >= threshold),
                "right": bool((probability[row] >= threshold) == truth[row]),
                "photograph": photograph,
                "overlay": overlay(photograph, heat),
            }
            for row, photograph, heat in zip(rows, photographs, heats)
        ]
    return examples


def read_history(model):
    """Read history.csv as a list of dicts; empty where there is none, or none that can be read."""
    try:
        history = pd.read_csv(model / "history.csv").astype(float)
    except (OSError, ValueError):  # pandas' own errors are ValueErrors
        history = pd.DataFrame()
    if "epoch" not in history:
        log(f"note: {model / 'history.csv'} is missing or damaged; the report has no training curves")
        return []
    return history.to_dict("records")


def score(args, config, network, output):
    """Let the network look at all photographs; return the sets by split, the one to evaluate, and an exit code."""
    from eyenet.model.predictions import from_array, from_photographs

    if args.photos is None:
        sets = from_array(args.input, args.split, args.model, config, network, args.photographs, args.batch)
        return sets, sets[args.split], 0
    scored, code = from_photographs(args, output, config, network)
    return {"test": scored}, scored, code


def evaluate(args, config, output):
    """Score, assess and write everything; return metrics.json and an exit code."""
    from eyenet.report.assessment import assess, assess_split
    from eyenet.report.card import write_model_card
    from eyenet.report.html import write_report

    network, task, decision = load_network(args.model, config), config["task"], config["decision"]
    sets, scored, code = score(args, config, network, output)
    levels = scored.table["level"]
    if levels.nunique() < 2:
        log("note: all photographs are of one grade; what compares diseased with healthy ones is not defined")
    train = sets.get("train") if args.photos is None else None
    metrics = {
        "format": 1,
        "model": args.model.resolve().name,
        "task": task,
        "set": scored.what,
        "known_patients": scored.known,
        "synthetic": scored.synthetic,
        "source": "array" if args.photos is None else "photographs",
        "bootstrap": {"draws": args.draws, "seed": args.seed, "level": 0.95},
        "splits": {s: assess_split(sets[s], task, decision, args.draws, args.seed) for s in sets},
        **assess(scored, train, task, decision, args.draws, args.seed),
    }
    if "Usage" in scored.table:
        groups = scored.table.groupby("Usage").indices
        metrics["subsets"] = {
            usage: {"set": f"{scored.what}, {usage}"}
            | assess(scored.take(rows), None, task, decision, args.draws, args.seed)
            for usage, rows in groups.items()
        }
    predictions = [
        of.table.assign(**{f"p{k}": of.probabilities[:, k] for k in range(of.probabilities.shape[1])})
        for of in sets.values()
    ]
    write_table(output / "predictions.csv", pd.concat(predictions))
    write_json(output / "metrics.json", metrics)
    balance = {split: count_by_grade(of.table["level"]) for split, of in sets.items()}
    examples = examples_of(scored, network, task, decision)
    write_report(output / "report.html", metrics, config, read_history(args.model), examples, balance)
    write_model_card(output / "MODEL_CARD.md", metrics, config)
    return metrics, code


def main():
    options = parser(__doc__, input="data/array", workers=None)
    options.add_argument("--model", type=local_path, default="models/latest", help="folder of the model")
    options.add_argument("--split", choices=("val", "test", "unseen"), default="test", help="of the array")
    options.add_argument("--photos", type=local_path, help="folder of photographs to evaluate on instead of the array")
    options.add_argument("--labels", type=local_path, help="their table: image,level; optionally patient,eye,Usage")
    options.add_argument("--output", type=local_path, help="folder to write; default: that of the model, or one in it")
    options.add_argument("--photographs", type=local_path, default="data/resized/photographs.csv", help="of the array")
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction of --photos that may fail")
    options.add_argument("--draws", type=between(100, 10**6), default=2000, help="of the bootstrap")
    options.add_argument("--batch", type=positive, default=64, help="photographs a step")
    options.add_argument("--seed", type=seed, default=0, help="of the bootstrap")
    args = options.parse_args()
    if (args.photos is None) != (args.labels is None):
        options.error("--photos and --labels go together")

    config = open_model(args.model)
    if args.photos is not None:
        args.photos = args.photos.resolve()
        output = args.output or args.model / f"on-{args.photos.parent.name}-{args.photos.name}"
    else:
        output = args.output or (args.model if args.split == "test" else args.model / args.split)
    if output.exists() and not output.is_dir():
        raise StageError(f"{output} is a file, but evaluate.py writes a folder; choose another --output")
    output.mkdir(parents=True, exist_ok=True)
    backend.start("float32", args.seed)
    metrics, code = evaluate(args, config, output)
    print("\n".join(story_table(metrics["splits"], metrics["set"])))
    for of in (metrics, *metrics.get("subsets", {}).values()):
        for question in of["questions"].values():
            print(f"\n{of['set']}" if of is not metrics else "")
            print("\n".join(question_table(question)))
        if of["grade"] is not None:
            print(f"quadratic kappa of the grade  {show(of['grade']['kappa'])}")
    print(f"\nin brackets: 95 % interval, {args.draws:,} draws of patients")
    print("chosen on validation: all thresholds but those of the figures that are read off this set's own curve")
    if metrics["synthetic"]:
        print(SYNTHETIC_FIGURES)
    print(f"report: {shlex.quote(str(output / 'report.html'))}")
    return code


if __name__ == "__main__":
    run_main(main)
