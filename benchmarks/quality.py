"""Fit the quality gate, and check whether it rejects the photographs that EyeQ's graders rejected, and why.

    python benchmarks/quality.py --data ../shared/data/eyepacs-1024 --equalized ../shared/data/eyepacs-256eq \\
        --camera ../shared/data/diaretdb1 --originals ../shared/data/eyepacs-full --cache measures --write

The folders hold train/*.jpeg with quality.csv (image,eyeq,jama16_gradable) and trainLabels.csv, or photographs/*.jpeg
alone. Two logistic regressions are fitted, for natural and equalised colours. The natural one is fitted to the
photographs of --data that have an EyeQ label (reject against good and usable), the equalised one also to those of
--equalized. Both are fitted to degraded copies as poor, and as not poor to one half of --camera, by a hash of the name,
and to healthy retinas with drawn lesions. Figures come from cross-validation over patients, which includes the choice
of the threshold, and from the other half of --camera. The measures were chosen by these same figures, so the figures
are slightly too high. `--before FILE` judges by older weights too, such as those that
`git show c990cf5:eyenet/photo/quality.json` prints; the natural ones were fitted to --data, so that their figures on it
are too high. `--write` writes eyenet/photo/quality.json. Takes ten minutes on two cores, and one with a filled --cache.
"""

import datetime
import json
import time
from collections import Counter
from pathlib import Path

import degraded
import numpy as np
import pandas as pd
import record
from PIL import Image
from quality_data import (
    COLUMNS,
    crop_file,
    is_half,
    measure_copies,
    measure_folder,
    measure_image,
    measure_lesions,
    path_of,
    read_labels,
)
from quality_fit import COPIES, MEASURES, Data, finish_fit, nested
from threadpoolctl import threadpool_limits

from eyenet.photo import quality
from eyenet.photo.retina import photograph_to_input
from eyenet.run.workers import cores, for_each
from eyenet.score.bootstrap import bootstrap
from eyenet.score.metrics import roc_auc

GRADES = {0: "without DR", 1: "mild", 2: "moderate", 3: "severe", 4: "proliferative"}


def is_rejected(judged):
    """Tell for each verdict, None where no retina was found, whether the photograph does not pass."""
    return np.array([found is None or not found.gradable for found in judged])


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
    """Format the interval of a bootstrapped figure."""
    return f"95 %: {found['low']:.3f}-{found['high']:.3f}"


def figures(name, table, judged, goals=("", "", "")):
    """List AUC, sensitivity and specificity against EyeQ with intervals (bootstrap over patients)."""
    rows = np.array([found is not None for found in judged]) & (table["eyeq"] != "").to_numpy()
    judged = [found for found, row in zip(judged, rows) if row]
    truth = (table["eyeq"] == "reject").to_numpy()[rows]
    score, called = np.array([found.score for found in judged]), is_rejected(judged)

    def statistics(weights):
        return {
            "AUC": roc_auc(truth, score, weights),
            "share of EyeQ's rejected that is rejected": weights @ (truth & called) / (weights @ truth),
            "share of EyeQ's accepted that passes": weights @ (~truth & ~called) / (weights @ ~truth),
        }

    result = [(f"{name}: photographs with a label of EyeQ", len(truth), f"{truth.sum()} rejected", "")]
    for goal, (what, found) in zip(goals, bootstrap(statistics, table["patient"].to_numpy()[rows]).items()):
        result.append((f"{name}: {what}", round(found["value"], 3), interval(found), goal))
    return result


def by_grade(name, table, rejected, worst, goal=""):
    """List the share that is rejected by grade, and how many times as often as without DR, from a grade on."""
    level = table["level"].to_numpy()
    result = [
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
    """List how often each reason is told about rejected photographs, and how often first."""
    told = [found.reasons for found in judged if found and not found.gradable and found.retina]
    first, every = Counter(reasons[0] for reasons in told), Counter(reason for reasons in told for reason in reasons)
    rows = [(f"{name}: told {reason!r}", count, f"of {len(told)}", "") for reason, count in every.most_common()]
    return [*rows, *((f"{name}: told {reason!r} first", n, f"of {len(told)}", "") for reason, n in first.most_common())]


def size_figures(folder, images, sizes, what):
    """List how much the score changes with the size of the same photographs in pixels."""

    def work(image):
        photograph = Image.open(path_of(folder, image)).convert("RGB")
        found = [quality.measure(*crop_file(path_of(folder, image)))]
        for size in sizes:
            shape = (size, round(size * photograph.height / photograph.width))
            found.append(measure_image(photograph.resize(shape, Image.Resampling.LANCZOS))[0])
        return [quality.judge_measures(measures) for measures in found]

    judged = [found for _, found in for_each(work, list(images), cores(), "sizes")]
    rows = []
    for column, size in enumerate(sizes, 1):
        moved = np.array([abs(found[column].score - found[0].score) for found in judged])
        same = np.mean([found[column].gradable == found[0].gradable for found in judged])
        name = f"{what} at {size} px"
        rows.append((f"{name}: score moves by, median", round(float(np.median(moved)), 4), "", ""))
        rows.append((f"{name}: score moves by, largest of {len(moved)}", round(float(moved.max()), 3), "", ""))
        rows.append((f"{name}: same verdict", round(float(same), 3), "", "1" if len(moved) < 20 else ""))
    return rows


def picture_figures():
    """List the results for pictures that are not fundus photographs."""
    rows = []
    for name, image in degraded.pictures().items():
        found = measure_image(image)[0]
        judged = found and quality.judge_measures(found)
        words = "no retina found" if found is None else ", ".join(judged.reasons) or "gradable"
        rows.append((f"{name}: rejected", int(found is None or not judged.gradable), words, "1"))
    return rows


def cpu_seconds(paths):
    """Time cropping and judging on one thread; two lists of CPU seconds."""
    cropped, judged = [], []
    for path in paths:
        begun = time.process_time()
        crop, geometry = photograph_to_input(path)
        cropped.append(time.process_time() - begun)
        judged.append(record.cpu_seconds(quality.judge, crop, geometry))
    return cropped, judged


def ratios(repeat, paths):
    """Yield the ratio of judging to cropping a photograph; the first, cold run is not counted."""
    cropped, judged = cpu_seconds(paths[:1] + repeat * paths)
    yield record.Ratio(
        "quality: judging a photograph / cropping it, CPU", record.beside(judged[1:], cropped[1:]), "less"
    )


def compare(kind, name, judge, tables):
    """List the figures that a judge reaches on the photographs of each set, `tables` of photographs by name."""
    rows = []
    if kind == "natural":
        goals = (">= 0.975", ">= 0.93", ">= 0.95")
        rows += figures(name, tables["data"], judge(tables["data"]), goals)
        rows += by_grade(name, tables["data"], is_rejected(judge(tables["data"])), 3)
    else:
        judged = judge(tables["published"])
        rows += figures(f"{name}, as published", tables["published"], judged)
        rows += by_grade(f"{name}, as published", tables["published"], is_rejected(judged), 4, "<= 1.5")
        rows += figures(name, tables["data"], judge(tables["data"]))
    return [
        *rows,
        *camera_figures(name, judge, tables["camera"]),
        *lesions_figures(name, judge, tables["data"], tables["lesions"]),
    ]


def main():
    options = record.parse(__doc__)
    options.add_argument("--equalized", type=Path, required=True, help="photographs that were published equalised")
    options.add_argument("--camera", type=Path, required=True, help="photographs of another camera, all adequate")
    options.add_argument("--originals", type=Path, help="full-size photographs, to test that size does not matter")
    options.add_argument("--before", type=Path, help="older weights to judge by as well")
    options.add_argument("--cache", type=Path, help="folder that keeps the measures")
    options.add_argument("--write", action="store_true", help="write eyenet/photo/quality.json")
    args = options.parse_args()
    tables = {
        name: measure_folder(folder, read_labels(folder), args.cache)
        for name, folder in (("data", args.data), ("published", args.equalized), ("camera", args.camera))
    }
    tables["lesions"] = measure_lesions(args.data, tables["data"], args.cache)
    copies = measure_copies(args.data, tables["data"], args.cache)
    results, made = fit_and_judge(tables, copies, args.before)
    results += graders_by_grade("equalized, as published", tables["published"])
    if args.write:
        write_weights(made, tables, args)
    images = tables["data"]["image"]
    results += size_figures(args.data, images[::8], (800,), "1024 px photographs")
    if args.originals:
        results += size_figures(args.originals, read_labels(args.originals)["image"], (2000, 800), "originals")
    results += picture_figures()
    judged = cpu_seconds([path_of(args.data, image) for image in images[:60]])[1]
    results.append(("judging a photograph", round(1e3 * float(np.median(judged)), 1), "ms CPU", "<= 8"))
    record.write("quality", results)


def fit_and_judge(tables, copies, before=None):
    """Fit both gates; list their figures in cross-validation, and those of older weights, the path `before`."""
    old = before and json.loads(before.read_text())
    camera = tables["camera"][is_half(tables["camera"]["image"])]
    results, made = [], {}
    for kind in MEASURES:
        sets = [tables["data"]] if kind == "natural" else [tables["data"], tables["published"]]
        labelled = pd.concat([table[table["eyeq"] != ""] for table in sets])[[*COLUMNS, kind]]
        data = Data(kind, labelled, copies, camera, tables["lesions"])
        results += compare(kind, kind, lambda table, data=data: nested(data, table), tables)
        results += copies_figures(kind, lambda table, data=data: nested(data, table), copies)
        results += reasons_figures(kind, nested(data, tables["data"]))
        if old:
            results += compare(kind, f"before, {kind}", lambda table, kind=kind: judge_before(old, kind, table), tables)
        scored = dict(row[:1] + (row[1:3],) for row in results)
        auc, limits = scored[f"{kind}: AUC"]
        made[kind] = {"auc": auc, "auc_interval": limits, **finish_fit(data)}
    return results, made


def write_weights(made, tables, args):
    """Write eyenet/photo/quality.json: the weights, and how they were fitted."""
    labelled = pd.concat([table[table["eyeq"] != ""] for table in (tables["data"], tables["published"])])
    source = {
        "data": f"{args.data.name} and {args.equalized.name} (Kaggle 2015, EyePACS), labels of EyeQ; half of "
        f"{args.camera.name}; drawn lesions",
        "photographs": len(labelled),
        "rejected": int((labelled["eyeq"] == "reject").sum()),
        "patients": int(labelled["patient"].nunique()),
        "date": datetime.date.today().isoformat(),
        "commit": record.commit(),
        "by": "benchmarks/quality.py",
    }
    quality.WEIGHTS.write_text(json.dumps({"made": source, **made}, indent=1) + "\n")
    quality.weights.cache_clear()


if __name__ == "__main__":
    with threadpool_limits(1, "blas"):  # the matrices are tiny
        main()
