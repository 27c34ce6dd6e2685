"""Measure how often 95 % intervals hold the truth: those of the report, and the percentile bootstrap for comparison.

    python benchmarks/coverage.py

Draws sets of patients with two correlated eyes (simulated.py) whose true figures are known: --sets for the methods of
eyenet/score/, --bootstrap-sets for the bootstrap over patients (--draws draws, with the Clopper-Pearson interval where a
share or an AUC is 0 or 1), by which evaluate.py made all intervals before. The unit of a row is the mean width.
"""

import warnings

import numpy as np
import record
from scipy.special import expit, log_expit
from scipy.stats import norm
from simulated import PREVALENCE, draw_eyes, separation

from eyenet.score.bootstrap import bootstrap
from eyenet.score.calibration import calibration_error, recalibration, reliability_bins
from eyenet.score.intervals import (
    auc_with_interval,
    count_pairs,
    count_patients,
    mean_with_interval,
    perfect_limit,
    rates_with_intervals,
)
from eyenet.score.metrics import at_threshold, roc_auc

PATIENTS = (30, 100, 500)
AUCS = (0.8, 0.95, 0.99)
POINTS = ((0.7, 0.8), (0.9, 0.9), (0.98, 0.98))  # true sensitivity and specificity
CALIBRATED = (0.7, 0.8, 0.95)  # true AUC of perfectly calibrated probabilities
GOAL = ">= 0.92"
NEW, OLD = "closed form", "percentile bootstrap"


class Tally:
    """How often the intervals of each figure held the truth, and how wide they were."""

    def __init__(self, true):
        self.true, self.held = true, {}

    def add(self, figures):
        for name, found in figures.items():
            if found["low"] is not None:
                held = found["low"] <= self.true[name] <= found["high"]
                self.held.setdefault(name, []).append((held, found["high"] - found["low"]))

    def rows(self, what, method, goal=""):
        for name, found in self.held.items():
            coverage, width = np.mean(found, axis=0)
            yield f"{name} {what}: {method}", f"{coverage:.3f}", f"mean width {width:.3f}", goal


def by_bootstrap(statistics, patients, draws, number, trials):
    """Make percentile intervals, and that of Clopper and Pearson for shares of 0 and 1."""
    figures = bootstrap(statistics, patients, draws, seed=number)
    for name, count in trials.items():
        if figures[name]["value"] in (0, 1) and count:
            low = perfect_limit(count)
            figures[name] |= {"low": low, "high": 1} if figures[name]["value"] else {"low": 0, "high": 1 - low}
    return figures


def aucs(auc, patients, sets, draws, old):
    """Measure the intervals of an AUC."""
    tally = Tally({"AUC": auc})
    for number in range(sets):
        eyes = draw_eyes(np.random.default_rng([number, patients]), patients, [separation(auc)])
        truth, score = eyes.truth, eyes.scores[0]
        if old:
            pairs = {"AUC": count_pairs(eyes.patients, truth, ~truth)}
            tally.add(by_bootstrap(lambda w: {"AUC": roc_auc(truth, score, w)}, eyes.patients, draws, number, pairs))
        else:
            tally.add({"AUC": auc_with_interval(truth, score, eyes.patients)})
    return tally.rows(f"{auc:.2f}, {patients} patients", OLD if old else NEW, "" if old else GOAL)


def true_rates(sensitivity, specificity):
    """Compute the true rates of an operating point."""
    found, missed = PREVALENCE * sensitivity, PREVALENCE * (1 - sensitivity)
    passed, alarms = (1 - PREVALENCE) * specificity, (1 - PREVALENCE) * (1 - specificity)
    return {
        "accuracy": found + passed,
        "precision": found / (found + alarms),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "npv": passed / (passed + missed),
    }


def rates(point, patients, sets, draws, old):
    """Measure the intervals of the rates at a threshold."""
    threshold = norm.ppf(point[1])
    tally = Tally(true_rates(*point))
    for number in range(sets):
        eyes = draw_eyes(np.random.default_rng([number, patients]), patients, [threshold + norm.ppf(point[0])])
        truth, called = eyes.truth, eyes.scores[0] >= threshold
        if old:
            rows = {"accuracy": truth | True, "precision": called, "npv": ~called}
            rows |= {"sensitivity": truth, "specificity": ~truth}
            trials = {name: count_patients(eyes.patients, chosen) for name, chosen in rows.items()}
            figures = by_bootstrap(lambda w: at_threshold(truth, called, w), eyes.patients, draws, number, trials)
        else:
            figures = rates_with_intervals(truth, called, eyes.patients)
        tally.add(figures)
    what = f"at {point[0]:.2f} sensitivity and {point[1]:.2f} specificity, {patients} patients"
    return tally.rows(what, OLD if old else NEW, "" if old else GOAL)


def true_brier(auc):
    """Integrate the Brier score of perfectly calibrated probabilities over the scores."""
    score, step = np.linspace(-10, 15, 100_001, retstep=True)
    distance = separation(auc)
    density = PREVALENCE * norm.pdf(score, distance) + (1 - PREVALENCE) * norm.pdf(score)
    probability = expit(log_odds(score, distance))
    return float((density * probability * (1 - probability)).sum() * step)


def log_odds(score, distance):
    """Compute the log-odds of disease of a score: the probabilities are perfectly calibrated."""
    return np.log(PREVALENCE / (1 - PREVALENCE)) + distance * score - distance**2 / 2


def weighted_error(truth, probability):
    """Make a function that computes the calibration error and the Brier score of bootstrap draws."""
    bins = np.column_stack(reliability_bins(probability)) * (truth - probability)[:, None]
    squared = (truth - probability) ** 2
    return lambda w: {"ECE": abs(w @ bins).sum(axis=1) / w.sum(axis=1), "Brier score": w @ squared / w.sum(axis=1)}


def calibrations(auc, patients, sets, draws, old):
    """Measure the intervals of the calibration's figures; the true calibration error is 0."""
    tally = Tally({"Brier score": true_brier(auc), "slope": 1, "intercept": 0, "ECE": 0})
    for number in range(sets):
        eyes = draw_eyes(np.random.default_rng([number, patients]), patients, [separation(auc)])
        odds = log_odds(eyes.scores[0], separation(auc))
        probability = np.exp(log_expit(odds))
        if old:
            tally.add(bootstrap(weighted_error(eyes.truth, probability), eyes.patients, draws, seed=number))
        else:
            brier = mean_with_interval((eyes.truth - probability) ** 2, eyes.patients)
            tally.add({"Brier score": brier, **recalibration(eyes.truth, odds, eyes.patients)})
    return tally.rows(f"at AUC {auc:.2f}, {patients} patients", OLD if old else NEW, "" if old else GOAL)


def biased_error(auc, patients, draws):
    """Show the calibration error of one perfectly calibrated set, with the ends of its bootstrap interval."""
    eyes = draw_eyes(np.random.default_rng(patients), patients, [separation(auc)])
    probability = expit(log_odds(eyes.scores[0], separation(auc)))
    found = bootstrap(weighted_error(eyes.truth, probability), eyes.patients, draws)["ECE"]
    assert np.isclose(found["value"], calibration_error(eyes.truth, probability))
    name = f"ECE of one perfectly calibrated set, {patients} patients: {OLD}"
    return name, f"{found['value']:.3f}", f"95 %: {found['low']:.3f}-{found['high']:.3f}", ""


def main():
    options = record.parse(__doc__)
    options.add_argument("--sets", type=int, default=2000)
    options.add_argument("--bootstrap-sets", type=int, default=400)
    options.add_argument("--draws", type=int, default=500)
    args = options.parse_args()
    warnings.simplefilter("error")
    rows = []
    for measure, cells in ((aucs, AUCS), (rates, POINTS), (calibrations, CALIBRATED)):
        for cell in cells:
            for patients in PATIENTS:
                for old, sets in ((True, args.bootstrap_sets), (False, args.sets)):
                    rows += measure(cell, patients, sets, args.draws, old)
                    print(record.line(rows[-1]), flush=True)
    rows.append(biased_error(0.8, 100, args.draws))
    record.write("coverage", rows, ("scipy",))


if __name__ == "__main__":
    main()
