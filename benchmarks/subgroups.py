"""Measure the differences between groups that evaluate.py --by reports: on simulated sets, and on real photographs.

    python benchmarks/subgroups.py                       writes results/subgroups.csv
    python benchmarks/subgroups.py --photos ../shared/data/eyepacs-1024        writes results/subgroups-eyepacs-1024.csv

Draws --sets of patients with two correlated eyes (simulated.py), in 2 to 6 groups of patients, of which the last is the
smallest, or in two of left and right eyes. Counts how often the 95 % intervals of the differences hold the truth, and
in how many sets without any difference at least one is found after Holm's correction. A set is scored per photograph
and per patient, by the worst eye, and both are corrected together, as evaluate.py does.
With --photos, scores the photographs with the network that ships; of the set that it was trained on, its test patients.
Where the folder has a quality.csv, its columns are groups too.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import record
from scipy.stats import norm
from simulated import draw_eyes

from eyenet.score.subgroups import LEAST, compare_group, holm

SIZES = (100, 300, 1000)  # patients
GROUPS = (2, 4, 6)
FIGURES = ("sensitivity", "specificity", "auc")
THRESHOLD = norm.ppf(0.9)  # a specificity of 0.9
GOOD, POOR = THRESHOLD + norm.ppf(0.9), THRESHOLD + norm.ppf(0.7)  # distances: sensitivities of 0.9 and 0.7
SHIPPED = record.REPO / "pretrained" / "eyenet-lite"


def draw_set(rng, patients, groups):
    """Draw eyes in groups of patients, of which the first is twice as large as the last; 0: of left and right eyes.

    The first group has the sensitivity of `POOR` in the second set of scores, and the others that of `GOOD`.

    Returns
    -------
    truth, scores, others, patients, group : ndarray, shape (2 * patients,)
    """
    eyes = draw_eyes(rng, patients, [0.0])
    if groups:
        shares = np.linspace(2, 1, groups)
        group = np.repeat(rng.choice(groups, patients, p=shares / shares.sum()), 2)
    else:
        group = np.tile([0, 1], patients)
    scores = eyes.scores[0] + GOOD * eyes.truth
    others = eyes.scores[0] + np.where(group == 0, POOR, GOOD) * eyes.truth
    return eyes.truth, scores, others, eyes.patients, group


def compare(truth, scores, patients, group):
    """Compare each group with the rest, per photograph and per patient; yield unit, group, figure and difference."""
    frame = pd.DataFrame({"truth": truth, "scores": scores, "patients": patients})
    names = np.unique(group)
    for name in names[: 1 if len(names) == 2 else None]:
        inside = group == name
        for unit in ("photograph", "patient"):
            rows = frame.assign(inside=inside)
            if unit == "patient":
                rows = rows.groupby(["patients", "inside"], as_index=False).max()
            called = (rows["scores"] >= THRESHOLD).to_numpy()
            columns = (rows[column].to_numpy() for column in ("scores", "patients", "inside"))
            found = compare_group(rows["truth"].to_numpy(), called, *columns)
            for figure in FIGURES:
                if found[figure]["difference"]:
                    yield unit, name, figure, found[figure]["difference"]


def true_differences():
    """Return the true differences of the first group, per photograph, in the second set of scores."""
    aucs = [norm.cdf(distance / np.sqrt(2)) for distance in (POOR, GOOD)]
    return {"sensitivity": 0.7 - 0.9, "specificity": 0.0, "auc": aucs[0] - aucs[1]}


def simulate(patients, groups, sets):
    """Measure coverage, and errors of the whole family, for one size and number of groups; yield rows."""
    held, wrong, shown, true = {}, [], [], true_differences()
    for number in range(sets):
        rng = np.random.default_rng([number, patients, groups])
        truth, scores, others, people, group = draw_set(rng, patients, groups)
        found = list(compare(truth, scores, people, group))
        if found:
            wrong.append(holm([one["p"] for *_, one in found]).min() < 0.05)
        for unit, _, figure, one in found:
            held.setdefault(f"{figure}, no difference, per {unit}", []).append(one["low"] <= 0 <= one["high"])
        for unit, name, figure, one in compare(truth, others, people, group):
            if unit == "photograph" and name == 0:
                held.setdefault(f"{figure}, a difference", []).append(one["low"] <= true[figure] <= one["high"])
                if figure == "sensitivity":
                    shown.append((abs(true[figure]) >= one["detectable"], one["p"] < 0.05))
    where = f"{patients} patients, {f'{groups} groups' if groups else 'left and right eyes'}"
    for name, hits in held.items():
        yield f"coverage of {name}; {where}", f"{np.mean(hits):.3f}", f"{len(hits)} intervals", ">= 0.92"
    if wrong:
        yield (
            f"a difference found where there is none; {where}",
            f"{np.mean(wrong):.3f}",
            f"{len(wrong)} sets",
            "<= 0.06",
        )
    told = [found for enough, found in shown if enough]
    if len(told) > sets / 4:
        name = f"power where a sensitivity of 0.7 instead of 0.9 could be shown; {where}"
        yield name, f"{np.mean(told):.3f}", f"{len(told)} sets", ">= 0.8"


def read_unseen(folder):
    """Read the labels of a set, of its test patients if the network was trained on it, and what quality.csv tells."""
    labels = pd.read_csv(folder / "trainLabels.csv", dtype=str)
    patients = pd.read_csv(SHIPPED / "patients.csv", dtype=str)
    patient = labels["image"].str.rpartition("_")[0]
    if patient.isin(patients["patient"]).any():  # the set that it was trained on
        labels = labels[patient.isin(patients["patient"][patients["split"] == "test"])]
    if (folder / "quality.csv").is_file():
        labels = labels.merge(pd.read_csv(folder / "quality.csv", dtype=str), "left", "image")
    return labels


def evaluate(folder):
    """Run evaluate.py on photographs by eye, quality and what quality.csv tells; yield rows."""
    labels = read_unseen(folder)
    more = [column for column in labels if column not in ("image", "level")]
    with tempfile.TemporaryDirectory() as work:
        labels.to_csv(Path(work, "labels.csv"), index=False)
        options = ["--photos", folder, "--labels", Path(work, "labels.csv"), "--output", Path(work, "out")]
        record.run("evaluate.py", "--model", SHIPPED, *options, "--by", "eye", "quality", *more)
        metrics = json.loads(Path(work, "out", "metrics.json").read_text())
    yield "photographs", metrics["photographs"], "", ""
    yield "comparisons, corrected together", metrics["subgroups"]["comparisons"], "", ""
    for column, groups in metrics["subgroups"]["columns"].items():
        for group, part in groups.items():
            yield from _rows(f"{column} {group}", part)


def _rows(name, part):
    yield f"{name}: photographs", part["photographs"], "", ""
    units = {"eye": "per photograph", "patient": "per patient"}
    for question, asked in part["questions"].items():
        for unit, found in asked.items():
            for figure in FIGURES:
                yield f"{name}: {question}, {figure} {units[unit]}", *_told(found[figure]), ""
                if found[figure]["difference"]:
                    one = found[figure]["difference"]
                    value, interval = _told(one)
                    told = f"{interval}, p {one['p_corrected']:.3f}, could show {one['detectable']:.3f}"
                    yield f"{name}: {question}, {figure} {units[unit]}, less the rest", value, told, ""


def _told(figure):
    if figure["value"] is None:
        return "", "not defined"
    if figure["low"] is None:
        return f"{figure['value']:.3f}", "no interval"
    return f"{figure['value']:.3f}", f"95 %: {figure['low']:.3f} to {figure['high']:.3f}"


def main():
    options = record.parse(__doc__)
    options.add_argument("--sets", type=int, default=1000)
    options.add_argument("--photos", type=Path, help="folder with train/, trainLabels.csv and perhaps quality.csv")
    args = options.parse_args()
    if args.photos:
        record.write(f"subgroups-{args.photos.name}", list(evaluate(args.photos)))
        return
    rows = [("patients that a figure needs in the group and in the rest", LEAST, "", "")]
    for patients in SIZES:
        for groups in (*GROUPS, 0):
            rows += simulate(patients, groups, args.sets)
    record.write("subgroups", rows, ("scipy",))


if __name__ == "__main__":
    main()
