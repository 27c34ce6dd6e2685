"""Measure how often retrain.py would promote a network that is worse by the margin, and one that is equal.

    python benchmarks/promotion.py

Simulates the test eyes (simulated.py) and the scores of two networks with a given correlation: --sets with a new one
whose AUC is lower by the margin of 0.01, which nominally 2 % may pass, and --equal-sets with an equal one, whose share
is the power. The unit is the nominal value: for an equal network, the mean of the power that retrain.py states. The
paired bootstrap over patients (--bootstrap-sets, 400 draws), by which retrain.py decided before, is measured beside it.
"""

import numpy as np
import pandas as pd
import record
from simulated import draw_eyes, separation

from eyenet.retraining.promotion import PROMOTED, compare, decide
from eyenet.score.bootstrap import bootstrap
from eyenet.score.difference import power
from eyenet.score.metrics import roc_auc

MARGIN = 0.01
PATIENTS = (36, 100, 231, 500)
CASES = ((0.95, 0.99), (0.95, 0.95), (0.8, 0.99))  # AUC of the old network, correlation of the scores
ENOUGH = 100  # patients from which the error must be at most 2.5 %


def draw_pairs(case, patients, loss, sets):
    """Draw sets of eyes with the scores of the old network and of one whose AUC is lower by `loss`."""
    auc, correlation = case
    distances = [separation(auc), separation(auc - loss)]
    for number in range(sets):
        yield draw_eyes(
            np.random.default_rng([number, patients, round(100 * auc), round(100 * correlation)]),
            patients,
            distances,
            correlation,
        )


def compare_eyes(eyes):
    """Compare the two networks as retrain.py does."""
    table = pd.DataFrame({"patient": eyes.patients, "level": 2 * eyes.truth})
    return compare(*(np.column_stack([-score, score]) for score in eyes.scores), table, "any")


def promoted_by_bootstrap(eyes):
    """Tell whether the 95 % interval of a paired bootstrap lies above the margin."""

    def statistics(weights):
        before, after = (roc_auc(eyes.truth, score, weights) for score in eyes.scores)
        return {"difference": after - before}

    low = bootstrap(statistics, eyes.patients, draws=400)["difference"]["low"]
    return low is not None and low > -MARGIN


def measure(case, patients, args):
    """Measure one case; rows of the result table."""
    what = f"AUC {case[0]:.2f}, correlation {case[1]:.2f}, {patients} patients"
    passed = [decide(compare_eyes(e), MARGIN)[0] == PROMOTED for e in draw_pairs(case, patients, MARGIN, args.sets)]
    goal = "<= 2.5" if patients >= ENOUGH else ""
    yield f"promoted though worse by the margin: {what}", f"{100 * np.mean(passed):.1f}", "% (nominal 2)", goal
    equal = [compare_eyes(eyes) for eyes in draw_pairs(case, patients, 0, args.equal_sets)]
    passed = [decide(found, MARGIN)[0] == PROMOTED for found in equal]
    stated = np.mean([power(found["any"], MARGIN) for found in equal])
    yield f"promoted, equal: {what}", f"{100 * np.mean(passed):.0f}", f"% (stated {100 * stated:.0f})", ""
    if case == CASES[0] and patients < 500:  # slow with many
        passed = [promoted_by_bootstrap(eyes) for eyes in draw_pairs(case, patients, MARGIN, args.bootstrap_sets)]
        yield f"bootstrap, worse by the margin: {what}", f"{100 * np.mean(passed):.1f}", "% (nominal 2.5)", ""


def main():
    options = record.parse(__doc__)
    options.add_argument("--sets", type=int, default=4000)
    options.add_argument("--equal-sets", type=int, default=400)
    options.add_argument("--bootstrap-sets", type=int, default=300)
    args = options.parse_args()
    rows = []
    for case in CASES:
        for patients in PATIENTS:
            rows += measure(case, patients, args)
    record.write("promotion", rows, ("scipy",))


if __name__ == "__main__":
    main()
