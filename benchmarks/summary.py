"""Sum up the experiments over their seeds, as the README's table does.

    python benchmarks/summary.py

A row for each experiment and set of photographs: the mean of the seeds' ROC AUC per photograph, their least and
greatest, and the mean of the ends of their 95 % intervals over patients, which is the interval of one training.
"""

import experiments
import pandas as pd

KEYS = ["experiment", "scored_on", "split", "question"]


def summarize(rows):
    """Sum up the rows of experiments.csv that are of photographs.

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
