"""Measure how often answers are wrong where "unsure" is allowed: by simulation, and on patients new to the network.

    python benchmarks/unsure.py --work WORK --data ../shared/data/eyepacs-1024

The simulation draws sets of validation patients with two correlated eyes, chooses the limits, and counts errors among
2,000,000 new patients of the same kind: their mean over the sets must not exceed the rate. It also counts the sets
whose error is above the rate, since only the mean is guaranteed.
WORK is the work folder of a pipeline on the photographs of the training (pretrained/README.md). The network that ships
is asked about its test patients and about those of --data, who come from the same programme but were prepared in
another way: they are not exchangeable with the validation patients, so nothing is guaranteed. Takes three minutes on
two cores.
"""

import sys
from pathlib import Path

import numpy as np
import record
from scipy.special import expit

sys.path.insert(0, str(record.REPO / "pretrained"))
from card import score_sets

from eyenet.data.tasks import TASKS
from eyenet.model import pretrained
from eyenet.model.decision import thresholds_at
from eyenet.model.folder import LITE_NETWORK, open_model
from eyenet.model.unsure import band, choose_limits, limits_at
from eyenet.report.assessment import answer, as_answered
from eyenet.report.coverage import SHOWN, coverage, coverages
from eyenet.score.intervals import share_with_interval

CLASSES = ((20, 20), (50, 100), (150, 350))  # validation patients with and without disease
CORRELATIONS = (0.0, 0.5, 0.9)  # of the log-odds of a patient's eyes
SETS, NEW = 2000, 2_000_000
SAID = {
    "missed": "patients with it called negative",
    "reported": "patients without it called diseased",
    "unsure": "patients unsure",
    "again": "patients photographed again",
    "again_diseased": "patients with it photographed again",
}
ERRORS = ("missed", "reported")  # that the rate limits


def draw(rng, ill, correlation):
    """Draw calibrated probabilities of two eyes for each patient, ill in one eye or both; shapes (n, 2)."""
    truth = np.stack([ill, ill & (rng.random(len(ill)) < 0.7)], axis=1)
    shared, own = rng.normal(size=(len(ill), 1)), rng.normal(size=(len(ill), 2))
    odds = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return truth, expit(1.3 * odds + np.where(truth, 0.8, -1.2))


def simulate(diseased, healthy, correlation):
    """Yield rows: the mean error over sets of validation patients, and the share of sets above the rate."""
    rng, patients = np.random.default_rng(0), np.repeat(np.arange(diseased + healthy), 2)
    ill = np.arange(NEW) < NEW // 2
    worst = draw(rng, ill, correlation)[1].max(axis=1)
    groups = np.sort(worst[ill]), np.sort(worst[~ill])
    errors = {rate: [] for rate in SHOWN}
    for _ in range(SETS):
        truth, probability = draw(rng, np.arange(diseased + healthy) < diseased, correlation)
        limits = choose_limits(patients, truth.ravel(), probability.ravel())["limits"]
        for rate in errors.keys() & limits.keys():
            low, high = limits[rate]
            below, above = np.searchsorted(groups[0], low), NEW // 2 - np.searchsorted(groups[1], high)
            errors[rate].append((below / (NEW // 2), above / (NEW // 2)))
    name = f"simulation, {diseased} with and {healthy} without, correlation {correlation:g}"
    for rate in (rate for rate in SHOWN if errors[rate]):
        for each, what in zip(np.transpose(errors[rate]), ("missed", "reported")):
            error = 1.96 * np.sqrt(each.var() / SETS + each.mean() * (1 - each.mean()) / (NEW // 2))
            limits = f"95 %: {each.mean() - error:.4f} to {each.mean() + error:.4f}"
            yield f"{name}, rate {rate}, {SAID[what]}", f"{each.mean():.4f}", limits, f"<= {rate}"
            above = f"{(each > float(rate)).mean():.3f}"
            yield f"{name}, rate {rate}, sets above the rate, {SAID[what]}", above, "", ""


def figure_row(name, figure, number, goal=""):
    """Make the row of a figure; `number` counts the patients."""
    limits = f"95 %: {figure['low']:.3f} to {figure['high']:.3f}, of {number}"
    return name, f"{figure['value']:.3f}", limits, goal


def measure(name, scored, config, folder):
    """Yield rows of a set of patients: by the limits alone, and as predict.py answers at the model's own point."""
    thresholds, patients = thresholds_at(config), scored.table["patient"]
    for rate in SHOWN:
        limits, unsure = limits_at(config, rate, folder), False
        for question in TASKS[config["task"]].questions:
            each = scored.table.assign(probability=answer(scored, config, question)[2]).groupby(patients)
            worst = each["probability"].max().to_numpy()  # also of poor photographs, as the limits were chosen
            truth, probability, again = as_answered(scored, config, question)
            ways = {
                "limits alone": coverage(truth, worst, limits[question]),
                "as answered": coverages(truth, probability, again, config, question)[rate],
            }
            numbers = dict.fromkeys(SAID, len(truth)) | {"missed": truth.sum(), "reported": (~truth).sum()}
            numbers["again_diseased"] = truth.sum()
            for way, found in ways.items():
                for what, figure in found.items():
                    said = f"{name}, {question} DR, rate {rate}, {way}: {SAID[what]}"
                    yield figure_row(said, figure, numbers[what], f"<= {rate}" if what in ERRORS else "")
            low, high = band(limits[question], thresholds[question])
            unsure = (unsure | (probability >= low)) & (probability < high)  # the last question refers, if it is sure
        figure = share_with_interval(unsure, np.arange(len(unsure)))
        yield figure_row(f"{name}, answer of the patient, rate {rate}: {SAID['unsure']}", figure, len(unsure))


def main():
    options = record.parse(__doc__)
    options.add_argument("--work", type=Path, required=True, help="work folder of the photographs of the training")
    options.add_argument("--model", type=Path, default=pretrained.folder(), help="folder of the model")
    args = options.parse_args()
    rows = [row for numbers in CLASSES for each in CORRELATIONS for row in simulate(*numbers, each)]
    config = open_model(args.model, LITE_NETWORK)
    for name, scored in score_sets(args.model, config, args.work, [args.data]).items():
        rows += measure(name, scored, config, args.model)
    record.write("unsure", rows)


if __name__ == "__main__":
    main()
