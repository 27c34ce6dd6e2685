"""Run an experiment: train with the given options, once for each seed, and score on unseen patients.

    python benchmarks/experiments.py NAME --work work/eyepacs-256eq --seeds 0 1 2 -- --network efficientnet_lite0
    python benchmarks/experiments.py NAME --work ... --other DIR -- ...     score on other photographs as well

NAME names the experiment; the options after -- are passed to cnn.py. --work is the work folder of a finished pipeline
(run_pipeline.sh --data DIR), and DIR has train/ and trainLabels.csv. Rows are added to
benchmarks/results/experiments.csv: one per question and seed, with its interval over patients. Seeds that are already
in the table are skipped; an interrupted training continues.
"""

import argparse
import csv
import datetime
import json
import time
from pathlib import Path

import record

TABLE = record.RESULTS / "experiments.csv"


COLUMNS = (
    *("experiment", "seed", "array", "split", "scored_on", "question", "unit", "count", "auc", "low", "high"),
    *("validation_auc", "epochs", "best_epoch", "minutes", "options", "commit", "date", "machine"),
)
OPTIONS = ("network", "weights", "task", "batch", "learning_rate", "precision", "rows", "start")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("name", help="name of the experiment")
    options.add_argument("--work", type=Path, required=True, help="work folder of a finished pipeline")
    options.add_argument("--array", default="array", help="folder of the array in its data/")
    options.add_argument("--split", nargs="+", default=["test"], choices=("test", "unseen"), help="rows to score")
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    options.add_argument("--other", type=Path, help="folder with train/ and trainLabels.csv to score on as well")
    args, further = record.split_words(options)
    if record.commit().endswith("-dirty"):
        options.error("the working tree has changes; commit them first, so that the rows can be traced")
    for seed in args.seeds:
        if (args.name, str(seed)) not in {(row["experiment"], row["seed"]) for row in read()}:
            add(experiment(args, seed, further))


def experiment(args, seed, options):
    """Train and score once; return rows of the table."""
    data, models, begun = args.work / "data", args.work / "models", time.perf_counter()
    array, model = data / args.array, models / f"{args.name}-{seed}"
    places = ["--input", array, "--models", models, "--logs", args.work / "logs", "--run", model.name]
    record.run("cnn.py", *places, "--seed", seed, *options)
    minutes = (time.perf_counter() - begun) / 60
    geometry = ["--photographs", data / "resized" / "photographs.csv"]
    scored = {}
    for split in args.split:
        record.run("evaluate.py", "--model", model, "--input", array, "--split", split, *geometry)
        scored[args.work.name, split] = model / ("unseen" if split == "unseen" else "") / "metrics.json"
    if args.other:
        labels = args.other / "trainLabels.csv"
        record.run("evaluate.py", "--model", model, "--photos", args.other / "train", "--labels", labels)
        scored[args.other.name, "all"] = model / f"on-{args.other.name}-train" / "metrics.json"
    config = json.loads((model / "config.json").read_text())
    with open(model / "history.csv", encoding="utf-8") as file:
        history = list(csv.DictReader(file))
    best = max(history, key=lambda row: float(row["val_auc"]))
    known = {
        "experiment": args.name,
        "seed": seed,
        "array": args.array,
        "validation_auc": round(float(best["val_auc"]), 4),
        "epochs": len(history),
        "best_epoch": best["epoch"],
        "minutes": round(minutes, 1),
        "options": ", ".join(f"{name} {config['settings'][name]}" for name in OPTIONS if name in config["settings"]),
        "commit": record.commit(),
        "date": datetime.date.today().isoformat(),
        "machine": record.machine(),
    }
    scored = [(dict(zip(("scored_on", "split"), place)), path) for place, path in scored.items()]
    return [known | place | row for place, path in scored for row in figures_of(path)]


def figures_of(path):
    """Return the AUC of each question and unit of a metrics.json, with the ends of its interval."""
    for question, asked in json.loads(path.read_text())["questions"].items():
        for unit, name in (("eye", "photograph"), ("patient", "patient")):
            auc = {key: asked[unit]["auc"][end] for key, end in (("auc", "value"), ("low", "low"), ("high", "high"))}
            auc = {key: None if value is None else round(value, 4) for key, value in auc.items()}
            yield {"question": question, "unit": name, "count": asked[unit]["count"], **auc}


def read():
    """Read the table's rows; empty if there is no table yet."""
    if not TABLE.exists():
        return []
    with open(TABLE, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add(rows):
    """Add rows to the table, and print them."""
    new = not TABLE.exists()
    with open(TABLE, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(", ".join(str(row[key]) for key in ("experiment", "seed", "scored_on", "question", "unit", "auc")))


if __name__ == "__main__":
    main()
