"""Figures of the quality gate, as rows of a result: for benchmarks/quality.py, which describes the data."""

from collections import Counter

import degraded
import numpy as np
from quality_data import is_half
from quality_fit import COPIES

from eyenet.photo import quality
from eyenet.score.bootstrap import bootstrap
from eyenet.score.intervals import auc_with_interval, share_with_interval

GRADES = {0: "without DR", 1: "mild", 2: "moderate", 3: "severe", 4: "proliferative"}


def is_rejected(judged):
    """Tell for each verdict, None where no retina was found, whether the photograph does not pass."""
    return np.array([found is None or not found.gradable for found in judged])


def judge_in_use(kind, table):
    """Judge by the weights in use."""
    return [found and quality.judge_measures(found) for found in table[kind]]


def judge_before(fits, kind, table):
    """Judge by older weights, which count `visible` to the rim; only `gradable` and `score` hold."""
    judged = []
    for found in table[kind]:
        verdict = found and quality.judge_measures(found)
        if verdict and verdict.retina:
            fit = fits[kind]
            odds = fit["intercept"] + sum(
                w["weight"] * (found[name] - w["typical"]) for name, w in fit["measures"].items()
            )
            score = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
            verdict = verdict._replace(score=score, gradable=score < fit["threshold"])
        judged.append(verdict)
    return judged


def share(rejected):
    """Return a share and its denominator, as cells of a row."""
    return round(float(np.mean(rejected)), 3), f"of {len(rejected)}"


def interval(found):
    """Format the interval of a figure."""
    return f"95 %: {found['low']:.3f}-{found['high']:.3f}"


def figures(name, table, judged, goals=("", "", "")):
    """List AUC, sensitivity and specificity against EyeQ with the intervals that the product gives them.

    A photograph in which no retina is found is rejected, with a score of 1.
    """
    rows = (table["eyeq"] != "").to_numpy()
    judged = [found for found, row in zip(judged, rows) if row]
    truth = (table["eyeq"] == "reject").to_numpy()[rows]
    score, called = np.array([found.score if found else 1.0 for found in judged]), is_rejected(judged)
    patients = table["patient"].to_numpy()[rows]
    measured = {
        "AUC": auc_with_interval(truth, score, patients),
        "share of EyeQ's rejected that is rejected": share_with_interval(called, patients, truth),
        "share of EyeQ's accepted that passes": share_with_interval(~called, patients, ~truth),
    }
    result = [(f"{name}: photographs with a label of EyeQ", len(truth), f"{truth.sum()} rejected", "")]
    for goal, (what, found) in zip(goals, measured.items()):
        result.append((f"{name}: {what}", round(found["value"], 3), interval(found), goal))
    return result


def by_grade(name, table, rejected, worst, goal=""):
    """List the share that is rejected by grade, and how many times as often as without DR, from a grade on.

    Ratios of two shares have no interval in closed form here: it is a bootstrap over patients.
    """
    level = table["level"].to_numpy()
    result = [(f"{name}: all photographs, rejected", *share(rejected), "")]
    result += [
        (f"{name}: {words}, rejected", *share(rejected[level == grade]), "")
        for grade, words in GRADES.items()
        if (level == grade).any()
    ]

    def statistics(weights):
        part = [weights @ (group & rejected) / (weights @ group) for group in (level >= worst, level == 0)]
        with np.errstate(divide="ignore"):  # resamples of few patients, all of them rejected
            odds = part[0] / (1 - part[0]) * (1 - part[1]) / part[1]
        return {"times as often": part[0] / part[1], "odds ratio": odds}

    for what, found in bootstrap(statistics, table["patient"].to_numpy()).items():
        goal = goal if what == "times as often" else ""
        words = f"{name}: {GRADES[worst]}{' or worse' if worst < 4 else ''} against without DR, {what}"
        result.append((words, round(found["value"], 2), interval(found), goal))
    return result


def graders_by_grade(name, table):
    """List the same for the graders of EyeQ and of jama16: disease and quality go together for them too."""
    known = table[table["eyeq"] != ""]
    return [
        *by_grade(f"{name}, EyeQ's graders", known, (known["eyeq"] == "reject").to_numpy(), 4),
        *by_grade(f"{name}, jama16's graders", table, (table["jama16"] == 0).to_numpy(), 4),
    ]


def copies_figures(kind, judge, copies):
    """List for each degradation the share that is rejected, and how often the right reason is named."""
    rows = []
    for name, group in copies.groupby("kind", sort=False):
        _, words = {**degraded.FITTED, **degraded.OTHERS}[name]
        judged = judge(group)
        named = [found is None or words in found.reasons for found in judged if found is None or not found.gradable]
        fitted = "" if name in COPIES[kind] else ", not fitted to"
        rows.append((f"{kind}, {name}{fitted}: rejected", *share(is_rejected(judged)), ""))
        if words and kind == "natural" and named:
            rows.append((f"{kind}, {name}: of these told {words!r}", round(np.mean(named), 3), "", ""))
    return rows


def lesions_figures(kind, judge, table, lesions):
    """List how many healthy photographs are rejected, and how many with lesions drawn on them."""
    plain = table[table["image"].isin(lesions["image"])]
    before = is_rejected(judge(plain)).mean()
    rows = [(f"{kind}, before lesions are drawn: rejected", round(float(before), 3), f"of {len(plain)}", "")]
    for name, group in lesions.groupby("kind", sort=False):
        rows.append((f"{kind}, {name} drawn: rejected", *share(is_rejected(judge(group))), f"<= {before:.3f}"))
    return rows


def camera_figures(kind, judge, camera):
    """List the share of another camera's photographs that is rejected, in the fitted half and in the other one."""
    half = np.array(is_half(camera["image"]))
    rejected = is_rejected(judge(camera))
    return [
        (f"{kind}, another camera, the half not fitted to: rejected", *share(rejected[~half]), "<= 0.06"),
        (f"{kind}, another camera, the half fitted to: rejected", *share(rejected[half]), ""),
    ]


def reasons_figures(name, judged):
    """List how often each reason is given for rejected photographs, and how often first."""
    told = [found.reasons for found in judged if found and not found.gradable and found.retina]
    first, every = Counter(reasons[0] for reasons in told), Counter(reason for reasons in told for reason in reasons)
    rows = [(f"{name}: told {reason!r}", count, f"of {len(told)}", "") for reason, count in every.most_common()]
    return [*rows, *((f"{name}: told {reason!r} first", n, f"of {len(told)}", "") for reason, n in first.most_common())]
