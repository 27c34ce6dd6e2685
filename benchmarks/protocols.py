"""What the protocol of 2017 claims, what unseen patients say of it, and the same for the protocol of this project.

    python benchmarks/protocols.py --work . --name sample                (after bash run_pipeline.sh)
    python benchmarks/protocols.py --work work/kaggle --name kaggle

Builds the array of 2017 from the photographs of a finished pipeline, trains the same network on it without
augmentation, as in 2017, and scores it twice: on its own test rows, and on the patients that it never saw. Then the
same network is trained as here and scored on the same patients. What is there already is not made again. 10 minutes
for the sample on two cores.
"""

import argparse
import json
from pathlib import Path

import record

RUN, HONEST = "protocol-2017", "protocol-honest"


def rows_of(metrics, who):
    """Give the figures of a metrics.json as rows of the result table, each with the ends of its interval."""
    asked = metrics["questions"]["any"]
    eye, baselines = asked["eye"], asked["baselines"]
    figures = {
        "AUC": eye["auc"],
        "accuracy": eye["accuracy"],
        "precision": eye["precision"],
        "recall": eye["sensitivity"],
        "accuracy of the majority": baselines["majority"]["accuracy"],
        "AUC without a retina": (baselines["not_retina"] or {"auc": {"value": None}})["auc"],
    }
    return [
        (f"{title}, {who} ({eye['count']} photographs){end}", round(value, 3), "", "")
        for title, figure in figures.items()
        for end, value in zip(("", ", lower end of 95 %", ", upper end of 95 %"), figure.values())
        if value is not None
    ]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--work", type=Path, default=record.REPO, help="work folder of a finished pipeline")
    options.add_argument("--name", required=True, help="of the photographs, for the file of the results")
    options.add_argument("--epochs", type=int, default=30, help="of both networks")
    args = options.parse_args()
    data, models = args.work / "data", args.work / "models"
    places = ["--models", models, "--logs", args.work / "logs", "--epochs", args.epochs]
    geometry = ["--photographs", data / "resized" / "photographs.csv"]

    source = ["--input", data / "preprocessed", "--labels", args.work / "labels" / "preprocessed.csv"]
    record.run("audit_leakage.py", "--protocol", 2017, *source, "--output", data / "array-2017")
    same = ["--network", "three_layers_2017", *places]
    record.run("cnn.py", "--input", data / "array-2017", "--run", RUN, *same)  # without augmentation, as the array says
    record.run("cnn.py", "--input", data / "array", "--run", HONEST, *same)
    for model, array, split in ((RUN, "array-2017", "test"), (RUN, "array-2017", "unseen"), (HONEST, "array", "test")):
        record.run("evaluate.py", "--model", models / model, "--input", data / array, "--split", split, *geometry)
    metrics = [
        ("protocol of 2017, on its own test rows", models / RUN / "metrics.json"),
        ("protocol of 2017, on unseen patients", models / RUN / "unseen" / "metrics.json"),
        ("this protocol, on the same unseen patients", models / HONEST / "metrics.json"),
    ]
    record.write(
        f"protocols-{args.name}", [r for who, path in metrics for r in rows_of(json.loads(path.read_text()), who)]
    )


if __name__ == "__main__":
    main()
