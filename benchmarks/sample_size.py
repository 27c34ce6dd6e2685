"""Check by simulation the number of patients that plan_acceptance.py asks for.

    python benchmarks/sample_size.py --labels ../shared/data/tables/kaggle2015-testLabels.csv.zip

Draws --sets of as many patients: with disease in one eye or both, some photographs ungradable, and answers whose
correlation between the eyes of a patient is known. Their intervals are those of evaluate.py (share_with_interval). The
mean width must be what was asked, and the lower limit must reach what is to be shown as often as the power says.
With --labels, also counts how many patients of a set have referable DR in both eyes: the default of --both.
"""

from pathlib import Path

import numpy as np
import record

from eyenet.data.tasks import LEAST_GRADE
from eyenet.score.intervals import share_with_interval
from eyenet.score.sample_size import (
    Population,
    eyes_for_limit,
    eyes_for_width,
    patients_for,
    with_disease,
    without_disease,
)
from eyenet.sets.labels import read_labels

POPULATIONS = (
    Population(0.2, 0.74, 0.5, 0.9),  # the defaults of plan_acceptance.py
    Population(0.05, 0.4, 0.0, 1.0),
    Population(0.4, 0.9, 0.9, 0.7),
)
WIDTHS = ((0.9, 0.1), (0.8, 0.05))  # expected share, width
LIMITS = ((0.9, 0.85), (0.95, 0.85))  # expected share, to be shown
POWER = 0.9


def draw(rng, patients, population, diseased, share):
    """Draw the answers for the eyes that count; return which are right, and their patients."""
    ill = rng.random(patients) < population.prevalence
    two = ill & (rng.random(patients) < population.both)
    has = np.stack([ill, two], axis=1)
    right = rng.random((patients, 2)) < share
    same = rng.random(patients) < population.correlation  # both eyes then have the answer of the first
    right[same, 1] = right[same, 0]
    counts = (has if diseased else ~has) & (rng.random((patients, 2)) < population.gradable)
    return right[counts], np.nonzero(counts)[0]


def measure(population, diseased, eyes, share, sets):
    """Return the number of patients, and the widths and lower limits of the intervals of drawn sets."""
    shares = with_disease(population) if diseased else without_disease(population)
    patients, rng = patients_for(eyes, *shares, population), np.random.default_rng(0)
    found = [share_with_interval(*draw(rng, patients, population, diseased, share)) for _ in range(sets)]
    return patients, np.array([f["high"] - f["low"] for f in found]), np.array([f["low"] for f in found])


def both_eyes(path):
    """Yield the prevalence of referable DR in a set, and how many of these patients have it in both eyes."""
    labels = read_labels(path)
    eyes = (labels["level"] >= LEAST_GRADE["referable"]).groupby(labels["patient"]).sum()
    yield f"prevalence of referable DR, {len(eyes)} patients of {path.name}", f"{(eyes > 0).mean():.3f}", "share", ""
    yield "of these with referable DR in both eyes", f"{(eyes[eyes > 0] == 2).mean():.3f}", "share", ""


def main():
    options = record.parse(__doc__)
    options.add_argument("--sets", type=int, default=2000)
    options.add_argument("--labels", type=Path, help="label table of both eyes of many patients")
    args = options.parse_args()
    rows = list(both_eyes(args.labels)) if args.labels else []
    for population in POPULATIONS:
        where = "prevalence {:g}, both {:g}, correlation {:g}, gradable {:g}".format(*population)
        for name, diseased in (("sensitivity", True), ("specificity", False)):
            for share, width in WIDTHS:
                patients, widths, _ = measure(population, diseased, eyes_for_width(share, width), share, args.sets)
                what = f"{name} {share:g}, {patients} patients; {where}"
                rows.append((f"mean width / asked, {what}", f"{widths.mean() / width:.3f}", "ratio", "<= 1.05"))
            for share, least in LIMITS:
                eyes = eyes_for_limit(share, least, POWER)
                patients, _, lows = measure(population, diseased, eyes, share, args.sets)
                what = f"{name} {share:g} shown to be {least:g}, {patients} patients; {where}"
                rows.append((f"power, {what}", f"{(lows >= least).mean():.3f}", "share", f">= {POWER - 0.03:g}"))
    record.write("sample_size", rows)


if __name__ == "__main__":
    main()
