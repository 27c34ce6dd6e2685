"""Summarise the experiments over their seeds, as in the table of docs/results.md.

    python benchmarks/summary.py

One row per experiment and data set: mean, minimum and maximum over the seeds of the ROC AUC per photograph, and the
mean ends of the 95 % intervals over patients, which describe one training.
"""

import experiments
import pandas as pd

KEYS = ["experiment", "scored_on", "split", "question"]


def summarize(rows):
    """Summarise the rows of experiments.csv that score photographs.

    Parameters
    ----------
    rows : list of dict

    Returns
    -------
    DataFrame
        Indexed by experiment, photographs, split and question: seeds, mean, least, most, low, high, minutes.
    """
    table = pd.DataFrame(rows)
    table = table[(table["unit"] == "photograph") & (table["auc"] != "")]
    table = table.astype({"auc": float, "low": float, "high": float, "minutes": float})
    groups = table.groupby(KEYS, sort=False)
    return groups.agg(
        seeds=("seed", "nunique"),
        mean=("auc", "mean"),
        least=("auc", "min"),
        most=("auc", "max"),
        low=("low", "mean"),
        high=("high", "mean"),
        minutes=("minutes", "mean"),
    )


def main():
    print(summarize(experiments.read()).round(3).to_string())


if __name__ == "__main__":
    main()
