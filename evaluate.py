#!/usr/bin/env python3
"""Step 7: evaluate a model on patients that were in neither training nor validation.

Reads   models/latest/                    the network and its decision rule, which was chosen on validation, or on a
                                          clinic's photographs by recalibrate.py; with --photos the network that
                                          ships, if models/latest is one trained on synthetic photographs
        data/array/                       the test photographs (originals only)
        data/resized/photographs.csv      file and photograph sizes, for the shortcut baseline
        or --photos DIR --labels CSV      any graded photographs, such as another hospital's or Kaggle's test set
Writes  models/<run>/report.html          all figures, charts and heat maps in one file
        models/<run>/metrics.json         all figures with their intervals
        models/<run>/predictions.csv      the predicted probabilities, one row per photograph
        models/<run>/MODEL_CARD.md        model card in Hugging Face's format
        or also --checklist FILE          STARD-AI, TRIPOD+AI and CLAIM, answered as far as the figures can (.md, .csv)

    python evaluate.py
    python evaluate.py --photos other/train --labels other/labels.csv      writes to models/<run>/on-other-train
    python evaluate.py --by eye quality                                    also compares these groups of photographs

Figures have 95 % intervals over patients (metrics.json names the methods) and are compared with two baselines: the
majority class, and a classifier that does not see the retina. A patient's score is that of the worst photograph, as in
predict.py. Where patients are unknown, there are no figures per patient.
Nothing is chosen here: thresholds and calibration come with the model. Gradable photographs are compared with
the others, which predict.py grades too: above a threshold they refer. Use --split val while you experiment, and the
test split once. Kaggle's 35,126 photographs take 6 minutes on two cores.
"""

from argparse import ArgumentTypeError

import numpy as np
import pandas as pd

from eyenet.data.tables import count_by_grade, write_table
from eyenet.data.tasks import GRADES, LEAST_GRADE, TASKS, answerable, first_disease
from eyenet.model import backend
from eyenet.model.decision import thresholds_at
from eyenet.model.folder import open_model
from eyenet.model.loading import load_network
from eyenet.model.pretrained import DEFAULT as MODEL
from eyenet.model.pretrained import IN_USE, default_model, results_of
from eyenet.model.probabilities import uncalibrate
from eyenet.run.errors import StageError, log
from eyenet.run.files import follow, write_json
from eyenet.run.options import between, fraction, local_path, model_path, parser, positive, seed
from eyenet.run.script import run_main
from eyenet.sets.columns import COLUMNS_HELP, parse_columns
from eyenet.sets.groups import BY_HELP, DEFAULT, NoColumn, choose_columns

EXAMPLES = 3  # photographs shown of each kind: true and false positives, true and false negatives
CONFIDENT = 0.8  # least calibrated probability of the prediction, disease or not, of the photographs that are shown


def choose_examples(truth, probability, threshold):
    """Choose the most confident true positives, false negatives, false positives and true negatives, in this order.

    Predictions that are not confident are left out: with a threshold of 0.4, a probability of 0.3 is a negative one.
    """
    called = probability >= threshold
    confident = np.where(called, probability, 1 - probability) >= CONFIDENT
    chosen = []
    for diseased, positive_call in ((True, True), (True, False), (False, True), (False, False)):
        rows = np.flatnonzero((truth == diseased) & (called == positive_call) & confident)
        order = np.argsort(probability[rows], kind="stable")
        chosen += rows[order[::-1] if positive_call else order][:EXAMPLES].tolist()
    return chosen


def make_examples(scored, network, config):
    """Choose example photographs for the report and compute their heat maps; dict of question to list of dict."""
    from eyenet.model.evidence import heat_maps
    from eyenet.model.overlay import overlay
    from eyenet.report.assessment import answer

    examples, thresholds = {}, thresholds_at(config)
    for question in answerable(scored.table, config["task"]):
        truth, _, probability = answer(scored, config, question)
        threshold = thresholds[question]
        rows = choose_examples(truth, probability, threshold)
        photographs = scored.crops(np.array(rows)) if rows else []
        # Heat maps are scaled by the uncalibrated probability.
        chosen = config["decision"][question]
        raw = float(uncalibrate(threshold, chosen["temperature"], chosen["shift"]))
        heats = heat_maps(network, photographs, first_disease(config["task"], question), threshold=raw) if rows else []
        examples[question] = [
            {
                "image": scored.table["image"][row],
                "label": label_of(scored.table.iloc[row]),
                "probability": float(probability[row]),
                "called": bool(probability[row] >= threshold),
                "right": bool((probability[row] >= threshold) == truth[row]),
                "photograph": photograph,
                "overlay": overlay(photograph, heat),
            }
            for row, photograph, heat in zip(rows, photographs, heats)
        ]
    return examples


def label_of(row):
    """Describe the label of a photograph, a row of a table: its grade, or its class if labels are binary."""
    if question := row.get("question", ""):
        return TASKS[question].classes[int(row["level"] >= LEAST_GRADE[question])]
    return f"Grade {row['level']} ({GRADES[row['level']]})"


def read_training_curves(model):
    """Read history.csv as a list of dicts, one per epoch; empty if the model came without it, or it is damaged."""
    path = model / "history.csv"
    try:
        history = pd.read_csv(path).astype(float)
    except (OSError, ValueError):  # pandas' own errors are ValueErrors
        history = pd.DataFrame()
    if "epoch" in history:
        return history.to_dict("records")
    if path.exists():
        log(f"note: {path} is damaged; the report has no training curves")
    return []


def compute_metrics(sets, scored, train, config, by, draws, seed):
    """Compute the figures of metrics.json: each split's, the evaluated set's and those of its groups."""
    from eyenet.report.assessment import assess, assess_split
    from eyenet.report.subgroups import assess_subgroups
    from eyenet.report.words import METHODS
    from eyenet.score.intervals import LEVEL

    return {
        "task": config["task"],
        "set": scored.what,
        "known_patients": scored.known,
        "alike_patients": scored.alike,
        "synthetic": scored.synthetic,
        "bootstrap": {"draws": draws, "seed": seed, "level": LEVEL},
        "intervals": METHODS,
        "splits": {split: assess_split(sets[split], config) for split in sets},
        **assess(scored, train, config, draws, seed),
        "subgroups": assess_subgroups(scored, config, by, draws, seed),
    }


def count_photographs(scored, array, photographs):
    """Count the flow of photographs, of a packed array or of a folder; None if it is not known."""
    from eyenet.report.flow import count_flow, flow_of_array

    count = len(scored.table)
    if array is not None:
        return flow_of_array(array, photographs, count)
    return count_flow(scored.found, scored.left_out, {"test": count}, count, scored.without)


def write_predictions(path, sets):
    """Write the predicted probabilities of all sets, one column per class."""
    tables = [
        scored.table.assign(**{f"p{k}": column for k, column in enumerate(scored.probabilities.T)})
        for scored in sets.values()
    ]
    write_table(path, pd.concat(tables))


def write_results(output, metrics, sets, scored, network, config, model, checklist):
    """Write metrics.json, predictions.csv, the report, the model card and, if it has a path, the checklist."""
    from eyenet.report.card import write_model_card
    from eyenet.report.checklist_file import write_checklists
    from eyenet.report.html import write_report

    write_predictions(output / "predictions.csv", sets)
    write_json(output / "metrics.json", metrics)
    balance = {split: count_by_grade(part.table["level"]) for split, part in sets.items() if metrics["by_grade"]}
    examples = make_examples(scored, network, config)
    write_report(output / "report.html", metrics, config, read_training_curves(model), examples, balance, CONFIDENT)
    write_model_card(output / "MODEL_CARD.md", metrics, config)
    if checklist is not None:
        write_checklists(checklist, metrics, config)


def chosen_groups(named, table, script, options):
    """Return the columns by which photographs are grouped; end with wrong usage if the table has no such column.

    `script` makes the table, or is None for a table of the user's; `options` is the parser, which reports wrong usage.
    """
    try:
        return list(dict.fromkeys([*(choose_columns(named, table, script) if named else ()), *DEFAULT]))
    except NoColumn as error:
        options.error(str(error))


def checklist_path(text):
    """Parse --checklist: a file in a folder that exists, as Markdown or CSV by its ending."""
    path = local_path(text)
    if path.suffix.lower() not in (".md", ".csv"):
        raise ArgumentTypeError(f"{text} ends neither in .md (Markdown) nor in .csv")
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {path.parent} for {path.name}; make it first")
    return path


def parse_options():
    """Parse the command line."""
    options = parser(__doc__, input="data/array", workers=None)
    options.add_argument("--model", type=model_path, help=f"folder of the model; {MODEL} (with --photos)")
    options.add_argument("--split", choices=("val", "test", "unseen"), default="test", help="split of the array")
    options.add_argument("--photos", type=local_path, help="folder of photographs to evaluate on instead of the array")
    options.add_argument("--labels", type=local_path, help="their table; default: found in --photos (labels/README.md)")
    options.add_argument("--columns", type=parse_columns, metavar="KEY=COLUMN,...", help=COLUMNS_HELP)
    options.add_argument("--by", nargs="+", default=[], metavar="COLUMN", help=BY_HELP)
    options.add_argument("--output", type=local_path, help="output folder; default: the model's, or one inside it")
    options.add_argument(
        "--checklist",
        type=checklist_path,
        metavar="FILE",
        help="write the reporting checklists STARD-AI, TRIPOD+AI and CLAIM, as .md or .csv",
    )
    options.add_argument(
        "--photographs", type=local_path, default="data/resized/photographs.csv", help="sizes of the photographs"
    )
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction of --photos that may fail")
    options.add_argument(
        "--draws",
        type=between(100, 10**6),
        default=2000,
        help="bootstrap draws, for average precision, kappa and points of the ROC curve",
    )
    options.add_argument("--brief", action="store_true", help="print a summary; all figures are in metrics.json")
    options.add_argument("--batch", type=positive, default=64, help="photographs per batch")
    options.add_argument("--seed", type=seed, default=0, help="seed of the bootstrap")
    args = options.parse_args()
    if args.labels is not None and args.photos is None:
        options.error("--labels goes with --photos")
    args.labels = args.labels or args.photos
    if args.photos is None:
        args.by = chosen_groups(args.by, args.input / "labels.csv", "image_to_array.py", options)
    else:
        args.by = chosen_groups(args.by, args.labels, None, options)
    args.model = args.model or (follow(IN_USE) if args.photos is None else default_model())
    return args


def main():
    args = parse_options()
    config = open_model(args.model)
    if args.photos is not None:
        args.photos = args.photos.resolve()
        output = args.output or results_of(args.model) / f"on-{args.photos.parent.name}-{args.photos.name}"
    else:
        made = results_of(args.model)
        output = args.output or (made if args.split == "test" else made / args.split)
    if output.exists() and not output.is_dir():
        raise StageError(f"{output} is a file, but evaluate.py writes a folder; choose another --output")
    output.mkdir(parents=True, exist_ok=True)
    backend.start("float32", args.seed)
    from eyenet.model.predictions import score_array
    from eyenet.model.scored_photographs import score_photographs
    from eyenet.report.terminal import figures_text, network_text, splits_text, summary_text

    network, source = load_network(args.model, config), "array" if args.photos is None else "photographs"
    if source == "array":
        sets = score_array(args.input, args.split, args.model, config, network, args.photographs, args.batch)
        scored, code = sets[args.split], 0
    else:
        options = (args.workers, args.max_rejected, args.columns, args.by)
        scored, code = score_photographs(args.photos, args.labels, args.model, config, network, output, *options)
        sets = {"test": scored}
    if scored.table["level"].nunique() < 2:
        log("note: all photographs are of one grade; figures that compare two classes are not defined")
    metrics = {"format": 1, "model": args.model.resolve().name, "source": source}
    metrics["flow"] = count_photographs(scored, args.input if source == "array" else None, args.photographs)
    train = sets.get("train") if source == "array" else None
    metrics |= compute_metrics(sets, scored, train, config, args.by, args.draws, args.seed)
    write_results(output, metrics, sets, scored, network, config, args.model, args.checklist)
    print(network_text(metrics, config))
    print(splits_text(metrics) if args.brief else figures_text(metrics))
    print(f"\n{summary_text(metrics, output)}")
    return code


if __name__ == "__main__":
    run_main(main)
