"""Measure how often 95 % intervals contain the true value: the report's, and the percentile bootstrap's for comparison.

    python benchmarks/coverage.py

Draws sets of patients with two correlated eyes (simulated.py) whose true figures are known: --sets for the methods of
eyenet/score/, --bootstrap-sets for the bootstrap over patients (--draws draws; Clopper-Pearson where a share or an
AUC is 0 or 1), by which evaluate.py made all intervals before. The unit of a row is the mean width.
"""

import warnings

import numpy as np
import record
from scipy.special import expit
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


def measure(interval, true, patients, sets, distance):
    """Make intervals of drawn sets of eyes.

    Parameters
    ----------
    interval : callable
        Takes the eyes and a seed; returns figures with intervals by name.
    true : dict of str to float
        The true figures.
    patients, sets : int
    distance : float
        See `simulated.separation`.
    """
    tally = Tally(true)
    for number in range(sets):
        eyes = draw_eyes(np.random.default_rng([number, patients]), patients, [distance])
        tally.add(interval(eyes, number))
    return tally


def by_bootstrap(statistics, patients, draws, number, trials):
    """Make percentile intervals, and that of Clopper and Pearson for shares of 0 and 1."""
    figures = bootstrap(statistics, patients, draws, seed=number)
    for name, count in trials.items():
        if figures[name]["value"] in (0, 1) and count:
            low = perfect_limit(count)
            figures[name] |= {"low": low, "high": 1} if figures[name]["value"] else {"low": 0, "high": 1 - low}
    return figures


def aucs(auc, draws):
    """Prepare the ROC AUC: its name, its true value, the distance of the classes, the new and the old method."""

    def new(eyes, _):
        return {"AUC": auc_with_interval(eyes.truth, eyes.scores[0], eyes.patients)}

    def old(eyes, number):
        pairs = {"AUC": count_pairs(eyes.patients, eyes.truth, ~eyes.truth)}
        return by_bootstrap(
            lambda w: {"AUC": roc_auc(eyes.truth, eyes.scores[0], w)}, eyes.patients, draws, number, pairs
        )

    return f"{auc:.2f}", {"AUC": auc}, separation(auc), new, old


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


def rates(point, draws):
    """Prepare the rates at a threshold."""
    threshold = norm.ppf(point[1])

    def new(eyes, _):
        return rates_with_intervals(eyes.truth, eyes.scores[0] >= threshold, eyes.patients)

    def old(eyes, number):
        truth, called = eyes.truth, eyes.scores[0] >= threshold
        rows = {"accuracy": truth | True, "precision": called, "npv": ~called}
        rows |= {"sensitivity": truth, "specificity": ~truth}
        trials = {name: count_patients(eyes.patients, chosen) for name, chosen in rows.items()}
        return by_bootstrap(lambda w: at_threshold(truth, called, w), eyes.patients, draws, number, trials)

    what = f"at {point[0]:.2f} sensitivity and {point[1]:.2f} specificity"
    return what, true_rates(*point), threshold + norm.ppf(point[0]), new, old


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


def calibrations(auc, draws):
    """Prepare the figures of the calibration; the true calibration error is 0."""
    distance = separation(auc)

    def new(eyes, _):
        odds = log_odds(eyes.scores[0], distance)
        brier = mean_with_interval((eyes.truth - expit(odds)) ** 2, eyes.patients)
        return {"Brier score": brier, **recalibration(eyes.truth, odds, eyes.patients)}

    def old(eyes, number):
        statistics = weighted_error(eyes.truth, expit(log_odds(eyes.scores[0], distance)))
        return bootstrap(statistics, eyes.patients, draws, seed=number)

    true = {"Brier score": true_brier(auc), "slope": 1, "intercept": 0, "ECE": 0}
    return f"at AUC {auc:.2f}", true, distance, new, old


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
    for prepare, cells in ((aucs, AUCS), (rates, POINTS), (calibrations, CALIBRATED)):
        for cell in cells:
            what, true, distance, new, old = prepare(cell, args.draws)
            for patients in PATIENTS:
                name = f"{what}, {patients} patients"
                rows += measure(old, true, patients, args.bootstrap_sets, distance).rows(name, OLD)
                rows += measure(new, true, patients, args.sets, distance).rows(name, NEW, GOAL)
    rows.append(biased_error(0.8, 100, args.draws))
    record.write("coverage", rows, ("scipy",))


if __name__ == "__main__":
    main()
