"""Measure what recalibrate.py does for new patients: by simulation, and on real photographs.

    python benchmarks/recalibration.py --sets ../shared/data/eyepacs-1024 ../shared/data/eyepacs-256eq

Simulation: sets of patients with two correlated eyes (simulated.py), scored by a network whose probabilities are
well calibrated, or wrong as after a change of camera. The decision is chosen on a set as recalibrate.py does; what it
reaches on new patients is computed from the distribution of the scores.
Real photographs (--sets): those of patients whom the network has not seen. The decision is chosen on half of the
patients and measured on the other half, --halves times, and chosen on one set and measured on another. Only the
gradable photographs count, and once more all of them.
"""

import os
from itertools import permutations
from pathlib import Path

import numpy as np
import record
from coverage import log_odds
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm
from simulated import PREVALENCE, draw_eyes, separation
from threadpoolctl import threadpool_limits

from eyenet.data.tasks import LEAST_GRADE, TASKS
from eyenet.model.decision import choose_decision
from eyenet.model.probabilities import log_odds as to_odds
from eyenet.recalibration.compare import measure
from eyenet.recalibration.crossfit import apply
from eyenet.recalibration.enough import count_sides, needed

AUCS = (0.8, 0.9)
PATIENTS = (60, 110, 250, 500)  # in the set; 38 % have disease in at least one eye
WRONG = (1.8, 1.0)  # by which the log-odds are multiplied and shifted after a change of camera
AIMS = (0.85, 0.9, 0.95)
SCORES = np.linspace(-8, 12, 2001)  # over which new patients are integrated


def in_words(values):
    """Say between which values nine tenths lie."""
    low, high = np.quantile(values, [0.05, 0.95])
    return f"{low:.2f} to {high:.2f}"


def on_new_patients(distance, odds):
    """Compute calibration intercept and Brier score of log-odds at `SCORES`, for the whole population."""
    ill, well = PREVALENCE * norm.pdf(SCORES, distance), (1 - PREVALENCE) * norm.pdf(SCORES)
    ill, well = (part / (ill + well).sum() for part in (ill, well))
    intercept = brentq(lambda shift: (ill + well) @ expit(odds + shift) - ill.sum(), -20, 20)
    return intercept, ill @ (1 - expit(odds)) ** 2 + well @ expit(odds) ** 2


def simulate(auc, patients, wrong, sets):
    """Yield the rows of one simulation."""
    distance, found, fits = separation(auc), {aim: [] for aim in AIMS}, []
    sharp, shift = WRONG if wrong else (1.0, 0.0)
    given = sharp * log_odds(SCORES, distance) + shift
    brier = on_new_patients(distance, given)[1]
    for number in range(sets):
        eyes = draw_eyes(np.random.default_rng([number, patients]), patients, [distance])
        raw, levels = expit(sharp * log_odds(eyes.scores[0], distance) + shift), eyes.truth.astype(int)
        names = eyes.patients.astype(str)
        sides = count_sides(names, levels, "any")
        chosen = choose_decision(names, levels, np.stack([1 - raw, raw], axis=1), "any")["any"]
        if all(sides[side] >= count for side, count in needed("balanced").items()):
            intercept, after = on_new_patients(distance, given / chosen["temperature"] + chosen["shift"])
            fits.append((chosen["temperature"] / sharp, intercept, after))
        for aim, point in zip(AIMS, (f"sensitivity_{aim:g}" for aim in AIMS)):
            threshold = chosen["eye"]["operating_points"].get(point)
            if threshold is None or any(sides[side] < count for side, count in needed(point).items()):
                continue
            odds = (to_odds(threshold) - chosen["shift"]) * chosen["temperature"]  # of the network
            score = ((odds - shift) / sharp - log_odds(0, distance)) / distance
            found[aim].append((norm.sf(score - distance), norm.cdf(score)))
    what = f"AUC {auc:g}, {patients} patients, {'wrong' if wrong else 'right'} probabilities"
    for aim, rates in found.items():
        if len(rates) >= sets / 10:
            sensitivity, specificity = np.transpose(rates)
            name = f"a sensitivity of {aim:g} is reached on new patients: {what}"
            yield name, f"{(sensitivity >= aim).mean():.3f}", f"of {len(rates)} sets", ">= 0.95"
            yield f"sensitivity on new patients, aim {aim:g}: {what}", f"{sensitivity.mean():.3f}", "mean", ""
            yield f"specificity on new patients, aim {aim:g}: {what}", f"{specificity.mean():.3f}", "mean", ""
    if len(fits) >= sets / 10:
        slope, intercept, after = np.transpose(fits)
        for name, values in (("slope", slope), ("intercept", intercept)):
            yield f"calibration {name} on new patients: {what}", f"{np.median(values):.2f}", "median", ""
            yield f"calibration {name} of nine tenths of the sets: {what}", in_words(values), "5 % to 95 %", ""
        name = f"change of the Brier score on new patients: {what}"
        yield (
            name,
            f"{after.mean() - brier:+.4f}",
            f"from {brier:.3f}; better in {(after < brier).mean():.3f} of sets",
            "",
        )


def score(folder, model, cache):
    """Score the photographs of unseen patients in a set; return patient, level, gradable and probabilities, as dict."""
    file = cache / f"{folder.name}.npz" if cache else None
    if file and file.exists():
        return dict(np.load(file))
    from eyenet.model import backend
    from eyenet.model.folder import open_model
    from eyenet.model.loading import load_network
    from eyenet.run.workers import cores
    from recalibrate import leave_out_seen

    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    backend.start("float32", 0)
    from eyenet.model.scored_photographs import read_photograph_labels, score_labelled

    config, photographs = open_model(model), folder / "train"
    labelled, *_ = read_photograph_labels(folder / "trainLabels.csv", photographs)
    table = leave_out_seen(labelled, model, same_source=True)
    scored = score_labelled(table, photographs, config, load_network(model, config), cores(), 0, [])
    kept = scored.table
    found = {name: kept[name].to_numpy(kind) for name, kind in (("patient", str), ("level", int), ("gradable", bool))}
    found |= {"probabilities": scored.probabilities}
    if file:
        np.savez(file, **found)
    return found


def some(scored, rows):
    """Take some rows of what `score` returns."""
    return {name: column[rows] for name, column in scored.items()}


def choose(scored, task):
    """Choose a decision on a set."""
    return choose_decision(scored["patient"], scored["level"], scored["probabilities"], task)


def figures(scored, decision, task, question, point):
    """Measure a decision on a set."""
    answers = apply(decision, scored["probabilities"], task, question, point)
    return measure(scored["level"] >= LEAST_GRADE[question], *answers, scored["patient"])


def enough(scored, question, point):
    """Tell whether recalibrate.py would accept a set."""
    sides = count_sides(scored["patient"], scored["level"], question)
    return all(sides[side] >= count for side, count in needed(point).items())


def halves(scored, config, question, point, number):
    """Choose on half of the patients and measure on the others; yield the figures before and after."""
    names, task = np.unique(scored["patient"]), config["task"]
    for draw in range(number):
        chosen = np.random.default_rng(draw).permutation(names)[: len(names) // 2]
        inside = np.isin(scored["patient"], chosen)
        one, other = some(scored, inside), some(scored, ~inside)
        decision = choose(one, task)
        if enough(one, question, point) and point in decision[question]["eye"]["operating_points"]:
            yield tuple(figures(other, rule, task, question, point) for rule in (config["decision"], decision))


def half_rows(name, scored, config, question, point, number):
    """Yield the rows of `halves`."""
    found = list(halves(scored, config, question, point, number))
    what = f"{name}, {question}, {point.replace('_', ' ')}"
    yield f"halves: large enough to recalibrate: {what}", f"{len(found)}", f"of {number} halves", ""
    if len(found) < number / 10:
        return
    for key in ("slope", "intercept", "brier", "ece", "sensitivity", "specificity"):
        for when, part in (("before", [f[0] for f in found]), ("after", [f[1] for f in found])):
            values = [f[key]["value"] for f in part if f[key]["value"] is not None]
            yield f"halves: {key} {when}: {what}", f"{np.mean(values):.3f}", f"9 of 10: {in_words(values)}", ""
    aim = float(point.rpartition("_")[2])
    for when in (0, 1):
        reached = np.mean([f[when]["sensitivity"]["value"] >= aim for f in found])
        yield f"halves: sensitivity reached {('before', 'after')[when]}: {what}", f"{reached:.3f}", "of halves", ""


def transfer_rows(names, one, other, config, question, point):
    """Yield the figures on one set, before, and after choosing on another set."""
    decision, task = choose(one, config["task"]), config["task"]
    if not enough(one, question, point) or point not in decision[question]["eye"]["operating_points"]:
        return
    for when, rule in (("before", config["decision"]), ("after", decision)):
        for key, found in figures(other, rule, task, question, point).items():
            interval = "" if found["low"] is None else f"95 %: {found['low']:.3f} to {found['high']:.3f}"
            what = f"{names[0]} to {names[1]}, {question}, {point.replace('_', ' ')}"
            yield f"transfer: {key} {when}: {what}", f"{found['value']:.3f}", interval, ""


def real(args):
    """Yield the rows of the real photographs."""
    from eyenet.model.folder import open_model

    config, scored = open_model(args.model), {}
    for folder in args.sets:
        whole = score(folder, args.model, args.cache)
        scored[f"{folder.name}, gradable"] = some(whole, whole["gradable"])
        scored[f"{folder.name}, all"] = whole
    for name, found in scored.items():
        for question in TASKS[config["task"]].questions:
            truth = found["level"] >= LEAST_GRADE[question]
            diseased = f"{len(np.unique(found['patient'][truth]))} patients with {question}"
            yield f"set: {name}, {question}", f"{len(np.unique(found['patient']))}", f"patients; {diseased}", ""
            for point in ("sensitivity_0.85", "sensitivity_0.9"):
                yield from half_rows(name, found, config, question, point, args.halves)
    for names in permutations(scored, 2):
        if names[0].split(",")[0] != names[1].split(",")[0] and names[0].split(",")[1] == names[1].split(",")[1]:
            for question in TASKS[config["task"]].questions:
                yield from transfer_rows(names, *(scored[n] for n in names), config, question, "sensitivity_0.85")


def main():
    options = record.parse(__doc__)
    options.add_argument("--simulated", type=int, default=1000, help="simulated sets")
    options.add_argument("--model", type=Path, default=record.REPO / "pretrained" / "eyenet-lite")
    options.add_argument("--sets", type=Path, nargs="*", default=[], help="folders with train/ and trainLabels.csv")
    options.add_argument("--halves", type=int, default=200)
    options.add_argument("--cache", type=Path, help="folder for the scores of the real sets")
    args = options.parse_args()
    rows = []
    with threadpool_limits(1, "blas"):  # the fits have two variables, for which threads only wait for each other
        for auc in AUCS:
            for patients in PATIENTS:
                for wrong in (False, True):
                    rows += simulate(auc, patients, wrong, args.simulated)
        rows += real(args)
    record.write("recalibration", rows, ("scipy",))


if __name__ == "__main__":
    main()
