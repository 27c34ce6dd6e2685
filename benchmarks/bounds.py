"""Bounds for suite.py --check: the median and spread of several runs of the suite."""

import csv
from statistics import median
from typing import NamedTuple

import record

from eyenet.run.files import write_rows

TABLE = record.REPO / "benchmarks" / "bounds.csv"
COLUMNS = ("name", "better", "bound", "noise", "runs", "machine", "commit")
LEAST = 0.05  # tolerance as a share of the bound, even if the spread of the recorded runs is smaller
ELSEWHERE = 0.25  # additional tolerance on a machine with another processor


class Bound(NamedTuple):
    """Median and spread (maximum minus minimum) of the runs; `runs` lists their values as text."""

    name: str
    better: str
    bound: float
    noise: float
    runs: str
    machine: str
    commit: str


def read():
    """Read the bounds as a dict by name; empty if none were recorded yet."""
    if not TABLE.exists():
        return {}
    with open(TABLE, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return {r["name"]: Bound(**r | {key: float(r[key]) for key in ("bound", "noise")}) for r in rows}


def short(value):
    """Format a ratio with its significant digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def write(runs, keep=False):
    """Write the bounds of several runs; with `keep`, keep those of other ratios.

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
    """Return the worst acceptable value of a ratio on a machine."""
    slack = max(bound.noise, LEAST * bound.bound) + (bound.machine != machine) * ELSEWHERE * bound.bound
    return bound.bound + slack if bound.better == "less" else bound.bound - slack


def complaint(ratio, bound, machine):
    """Describe in one line why a ratio fails its bound; None if it passes."""
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
