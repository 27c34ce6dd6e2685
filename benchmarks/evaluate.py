"""Time the evaluation of all figures with their intervals, compared with calling scikit-learn for each draw.

    python benchmarks/evaluate.py

Makes predictions for --patients patients of two eyes each, and times `evaluate_unit` of the eyes and of the patients
(some 80 figures each, with --draws bootstrap draws). The peer resamples rows and calls scikit-learn's ROC AUC and
average precision, for --peer-draws draws of the eyes, scaled to --draws; our computation of only these two figures is
timed in turn with it. Reported are the medians of both, and the median of the pairwise ratios.
"""

import resource
import time
from statistics import median

import numpy as np
import record
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

from eyenet.model.decision import BALANCED, LEVELS
from eyenet.model.probabilities import calibrate
from eyenet.report.units import evaluate_unit, sort_rows
from eyenet.run.workers import cores
from eyenet.score.bootstrap import bootstrap
from eyenet.score.metrics import area_of, precision_of, roc_corners

POINTS = {BALANCED: 0.3} | {f"{way}_{at}": 0.3 for way in ("sensitivity", "specificity") for at in LEVELS}


def make_predictions(patients):
    """Draw grades, probabilities of disease and patients, two eyes each, with the share of disease of Kaggle's data."""
    random = np.random.default_rng(0)
    owner = np.repeat(np.arange(patients), 2)
    level = random.choice(5, patients, p=[0.73, 0.07, 0.15, 0.03, 0.02])[owner]
    log_odds = 1.5 * level - 2 + random.normal(size=patients)[owner] + random.normal(size=2 * patients)
    return level, expit(log_odds), np.array([f"patient {i}" for i in owner])


def evaluate_both(level, probability, patients, draws):
    """Evaluate the eyes and the patients."""
    eyes = sort_rows(level > 0, probability, calibrate(probability, 1.3), patients, level)
    evaluate_unit(eyes, POINTS, BALANCED, draws)
    worse, highest = (values.reshape(-1, 2).max(axis=1) for values in (level, probability))
    each = sort_rows(worse > 0, highest, calibrate(highest, 1.3), patients[::2], worse)
    evaluate_unit(each, POINTS, BALANCED, draws)


def two_figures(level, probability, patients, draws):
    """Bootstrap ROC AUC and average precision of the eyes with EyeNet."""

    def statistics(weights):
        corners = roc_corners(level > 0, probability, weights)
        return {"auc": area_of(*corners), "average_precision": precision_of(*corners)}

    return bootstrap(statistics, patients, draws)


def two_figures_by_peer(level, probability, patients, draws):
    """Bootstrap the same figures with scikit-learn, one draw at a time."""
    random = np.random.default_rng(0)
    rows = np.arange(len(level)).reshape(-1, 2)  # rows of each patient
    figures = []
    for _ in range(draws):
        drawn = rows[random.integers(len(rows), size=len(rows))].ravel()
        truth, score = level[drawn] > 0, probability[drawn]
        figures.append((roc_auc_score(truth, score), average_precision_score(truth, score)))
    return np.quantile(figures, [0.025, 0.975], axis=0)


def seconds(function, *args):
    """Time a call."""
    begun = time.perf_counter()
    function(*args)
    return time.perf_counter() - begun


def main():
    options = record.parse(__doc__)
    options.add_argument("--patients", type=int, default=5000)
    options.add_argument("--draws", type=int, default=2000)
    options.add_argument("--peer-draws", type=int, default=50)
    args = options.parse_args()
    made = make_predictions(args.patients)
    whole = median(seconds(evaluate_both, *made, args.draws) for _ in range(args.repeat))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    ours, peer = [], []
    for _ in range(args.repeat):
        ours.append(seconds(two_figures, *made, args.draws))
        peer.append(seconds(two_figures_by_peer, *made, args.peer_draws) * args.draws / args.peer_draws)
    ratio = median(p / o for p, o in zip(peer, ours))
    rows = f"{2 * args.patients:,} rows, {args.draws:,} draws"
    record.write(
        "evaluate",
        [
            (f"all figures of eyes and patients, {rows}, {cores()} threads", f"{whole:.2f}", "s", "<= 20"),
            ("peak memory of the process", f"{memory:.0f}", "MB", "< 500"),
            ("ours: AUC and average precision of the eyes", f"{median(ours):.2f}", "s", ""),
            (f"scikit-learn a draw: the same ({args.peer_draws} draws, scaled)", f"{median(peer):.2f}", "s", ""),
            ("scikit-learn / ours", f"{ratio:.0f}", "ratio", ""),
            ("scikit-learn, two figures / ours, all figures", f"{median(peer) / whole:.1f}", "ratio", ""),
        ],
    )


if __name__ == "__main__":
    main()
