"""The bounds that suite.py --check holds ratios against: the median and the spread of several runs of the suite."""

import csv
from statistics import median
from typing import NamedTuple

import record

from eyenet.run.files import write_rows

TABLE = record.REPO / "benchmarks" / "bounds.csv"
COLUMNS = ("name", "better", "bound", "noise", "runs", "machine", "commit")
LEAST = 0.05  # of the bound, when the runs in a row agreed better than that
ELSEWHERE = 0.25  # of the bound, on another machine than that of the bounds, whose processor has other ratios


class Bound(NamedTuple):
    """The median and the spread (greatest less least) of the runs; `runs` has their values as they are written."""

    name: str
    better: str
    bound: float
    noise: float
    runs: str
    machine: str
    commit: str


def read():
    """Read the bounds; a dict by name, empty where none were recorded yet."""
    if not TABLE.exists():
        return {}
    with open(TABLE, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return {r["name"]: Bound(**r | {key: float(r[key]) for key in ("bound", "noise")}) for r in rows}


def short(value):
    """Write a ratio with the digits that mean something."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def write(runs, keep=False):
    """Write the bounds of several runs, and keep those of other ratios if asked to.

    Parameters
    ----------
    runs : list of list of record.Ratio
    keep : bool
    """
    found = {}
    for run in runs:
        for ratio in run:
            found.setdefault(ratio.name, []).append(ratio)
    bounds = read() if keep else {}
    for name, ratios in found.items():
        values, better = [ratio.value for ratio in ratios], ratios[0].better
        spread, words = max(values) - min(values), " ".join(f"{value:.4g}" for value in values)
        bounds[name] = (name, better, f"{median(values):.4g}", f"{spread:.2g}", words, record.machine(), record.STARTED)
    write_rows(TABLE, COLUMNS, bounds.values())


def limit(bound, machine):
    """Give the worst that a ratio may be on a machine."""
    slack = max(bound.noise, LEAST * bound.bound) + (bound.machine != machine) * ELSEWHERE * bound.bound
    return bound.bound + slack if bound.better == "less" else bound.bound - slack


def complaint(ratio, bound, machine):
    """Say in one line what is wrong with a ratio; None if it is as good as it should be."""
    if bound is None:
        return f"{ratio.name}: {short(ratio.value)}, but no bound is recorded (suite.py --record-bounds 5)"
    worst = limit(bound, machine)
    if ratio.value <= worst if bound.better == "less" else ratio.value >= worst:
        return None
    words = "at most" if bound.better == "less" else "at least"
    return (
        f"{ratio.name}: {short(ratio.value)}, should be {words} {short(worst)} "
        f"(recorded {short(bound.bound)}, noise {short(bound.noise)}, on {bound.machine})"
    )
