"""Several photographs of an eye: false positives and sensitivity if the worst one counts, by simulation.

    python benchmarks/fields.py                 ten seconds

No real photographs of one eye taken twice are at hand. The log-odds of a photograph are normal: mean 0 for a healthy
eye and 2.5 for a diseased one (an AUC of 0.96), standard deviation 1. Photographs of one eye are correlated. A field
may miss the lesions: then a diseased eye's photograph is like a healthy one's. The threshold has a specificity of 0.9
for one photograph.

Rules: the worst photograph counts (predict.py); the mean of the probabilities; the worst one, with a threshold that
keeps the specificity at 0.9 for this number of photographs if they were independent.
"""

import argparse

import numpy as np
import record
from scipy.stats import norm

EYES = 200_000
DISTANCE = 2.5  # between the mean log-odds of diseased and healthy eyes, in standard deviations
SPECIFICITY = 0.9


def draw(rng, count, correlation, shown):
    """Draw the log-odds of healthy and of diseased eyes, two ndarrays (EYES, count).

    `shown` is the share of fields that show the lesions; at least one does.
    """
    eye, photograph = rng.normal(size=(2, EYES, 1)), rng.normal(size=(2, EYES, count))
    odds = np.sqrt(correlation) * eye + np.sqrt(1 - correlation) * photograph
    visible = rng.random((EYES, count)) < shown
    visible[np.arange(EYES), rng.integers(0, count, EYES)] = True
    return odds[0], odds[1] + DISTANCE * visible


def called(odds, rule):
    """Tell which eyes a rule calls diseased; ndarray of bool, shape (EYES,)."""
    count = odds.shape[1]
    threshold = norm.ppf(SPECIFICITY ** (1 / count if rule == "worst, corrected threshold" else 1))
    if rule == "mean":
        probability = 1 / (1 + np.exp(-odds))
        return probability.mean(axis=1) >= 1 / (1 + np.exp(-threshold))
    return odds.max(axis=1) >= threshold


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=0)
    rng = np.random.default_rng(options.parse_args().seed)
    results = []
    for count in (1, 2, 3, 4):
        for correlation in (0.7, 0.9) if count > 1 else (0.9,):
            for shown in (1.0, 0.5) if count > 1 else (1.0,):
                healthy, diseased = draw(rng, count, correlation, shown)
                for rule in ("worst", "mean", "worst, corrected threshold") if count > 1 else ("worst",):
                    place = f"{count} photographs, correlation {correlation}, lesions in {shown:.0%} of fields: {rule}"
                    results.append((f"{place}, false positives", f"{called(healthy, rule).mean():.3f}", "share", ""))
                    results.append((f"{place}, sensitivity", f"{called(diseased, rule).mean():.3f}", "share", ""))
    record.write("fields", results)


if __name__ == "__main__":
    main()
