"""One experiment: train with the given options, once for each seed, and score on patients that were never seen.

    python benchmarks/experiments.py NAME --work work/eyepacs-256eq --seeds 0 1 2 -- --network efficientnet_lite0
    python benchmarks/experiments.py NAME --work ... --other DIR -- ...     score on other photographs as well

NAME is that of the idea; what follows -- goes to cnn.py. --work is the work folder of a finished pipeline
(run_pipeline.sh --data DIR), and DIR has train/ and trainLabels.csv. Rows are added to
benchmarks/results/experiments.csv: each question of each seed, with its interval over patients. A model that is there
already is not trained again.
"""

import argparse
import csv
import datetime
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import record

TABLE = record.RESULTS / "experiments.csv"


def run(script, *args):
    """Run a script of the repository."""
    subprocess.run([sys.executable, str(record.REPO / script), *map(str, args)], check=True, stdout=sys.stderr)


def rows_of(metrics):
    """Give question, unit, count, and AUC with its interval, of a metrics.json."""
    for question, asked in metrics["questions"].items():
        for unit in ("eye", "patient"):
            figures = asked[unit]
            auc = [round(value, 4) for value in figures["auc"].values()]
            yield [question, "photograph" if unit == "eye" else unit, figures["count"], *auc]


def add(rows):
    """Add rows (dicts) to the table."""
    new = not TABLE.exists()
    with open(TABLE, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(", ".join(f"{key} {row[key]}" for key in ("experiment", "seed", "scored_on", "question", "unit", "auc")))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("name", help="of the experiment")
    options.add_argument("--work", type=Path, required=True, help="work folder of a finished pipeline")
    options.add_argument("--array", default="array", help="folder in its data/")
    options.add_argument("--split", default="test", choices=("test", "unseen"), help="which rows are scored")
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    options.add_argument("--other", type=Path, help="folder with train/ and trainLabels.csv to score on as well")
    options.add_argument("options", nargs="*", help="of cnn.py")
    args = options.parse_args()
    data, models = args.work / "data", args.work / "models"
    for seed in args.seeds:
        model, begun = models / f"{args.name}-{seed}", time.perf_counter()
        places = ["--input", data / args.array, "--models", models, "--logs", args.work / "logs", "--run", model.name]
        run("cnn.py", *places, "--seed", seed, *args.options)
        seconds = time.perf_counter() - begun
        geometry = ["--photographs", data / "resized" / "photographs.csv"]
        run("evaluate.py", "--model", model, "--input", data / args.array, "--split", args.split, *geometry)
        scored = {args.work.name: model / ("unseen" if args.split == "unseen" else "") / "metrics.json"}
        if args.other:
            labels = args.other / "trainLabels.csv"
            run("evaluate.py", "--model", model, "--photos", args.other / "train", "--labels", labels)
            scored[args.other.name] = model / f"on-{args.other.name}-train" / "metrics.json"
        add([row for where, path in scored.items() for row in described(args, seed, where, path, model, seconds)])


def described(args, seed, where, path, model, seconds):
    """Describe what was scored of one model in rows of the table."""
    config = json.loads((model / "config.json").read_text())
    with open(model / "history.csv", encoding="utf-8") as file:
        history = list(csv.DictReader(file))
    best = max(history, key=lambda row: float(row["val_auc"]))
    for question, unit, count, auc, low, high in rows_of(json.loads(path.read_text())):
        yield {
            "experiment": args.name,
            "seed": seed,
            "scored_on": where,
            "question": question,
            "unit": unit,
            "count": count,
            "auc": auc,
            "low": low,
            "high": high,
            "validation_auc": round(float(best["val_auc"]), 4),
            "epochs": len(history),
            "minutes": round(seconds / 60, 1),
            "options": shlex.join(args.options),
            "commit": config["commit"],
            "date": datetime.date.today().isoformat(),
            "machine": record.machine(),
        }


if __name__ == "__main__":
    main()
