"""Fit the quality gate, and check whether it rejects the photographs that EyeQ's graders rejected, and why.

    python benchmarks/quality.py --data ../shared/data/eyepacs-1024 --equalized ../shared/data/eyepacs-256eq \\
        --camera ../shared/data/diaretdb1 --originals ../shared/data/eyepacs-full --cache measures --write

The folders hold train/*.jpeg with quality.csv (image,eyeq,jama16_gradable) and trainLabels.csv, or photographs/*.jpeg
alone. Two logistic regressions are fitted, for natural and equalised colours. The natural one is fitted to the
photographs of --data that have an EyeQ label (reject against good and usable), the equalised one also to those of
--equalized. Both are fitted to degraded copies as poor, and as not poor to one half of --camera, by a hash of the name,
and to healthy retinas with drawn lesions. Figures come from cross-validation over patients, which includes the choice
of the threshold, and from the other half of --camera. The measures were chosen by these same figures, so the figures
are slightly too high. `in use` are the weights of eyenet/photo/quality.json before this run: they were fitted to all
but the other half of --camera, so that only their figure on that half is fair. `--before FILE` judges by older weights
too, such as those that `git show c990cf5:eyenet/photo/quality.json` prints; the natural ones were fitted to --data as
well. With `--write`, eyenet/photo/quality.json gets the weights. Takes ten minutes on two cores, and one with a filled
--cache.
"""

import datetime
import json
import time
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
from quality_figures import (
    by_grade,
    camera_figures,
    copies_figures,
    figures,
    graders_by_grade,
    is_rejected,
    judge_before,
    judge_in_use,
    lesions_figures,
    reasons_figures,
)
from quality_fit import ALTERNATIVES, MEASURES, Data, finish_fit, nested
from threadpoolctl import threadpool_limits

from eyenet.photo import quality
from eyenet.photo.retina import photograph_to_input
from eyenet.run.workers import cores, for_each


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
    options.add_argument("--write", action="store_true", help="write the weights into eyenet/photo/quality.json")
    args = options.parse_args()
    tables = {
        name: measure_folder(folder, read_labels(folder), args.cache)
        for name, folder in (("data", args.data), ("published", args.equalized), ("camera", args.camera))
    }
    tables["lesions"] = measure_lesions(args.data, tables["data"], args.cache)
    copies = measure_copies(args.data, tables["data"], args.cache)
    results, fits = fit_and_judge(tables, copies, args.before)
    results += graders_by_grade("equalized, as published", tables["published"])
    for folder, name in ((args.data, "data"), (args.equalized, "published"), (args.camera, "camera")):
        missing = tables[name]["natural"].isna().sum()
        results.append((f"{folder.name}: no retina found", int(missing), f"of {len(tables[name])}", ""))
    if args.write:
        quality.WEIGHTS.write_text(json.dumps({"made": describe(tables, args)} | fits, indent=1) + "\n")
        quality.weights.cache_clear()
    images = tables["data"]["image"]
    results += size_figures(args.data, images[::8], (800,), "1024 px photographs")
    if args.originals:
        results += size_figures(args.originals, read_labels(args.originals)["image"], (2000, 800), "originals")
    results += picture_figures()
    judged = cpu_seconds([path_of(args.data, image) for image in images[:60]])[1]
    results.append(("judging a photograph", round(1e3 * float(np.median(judged)), 1), "ms CPU", "<= 8"))
    record.write("quality", results)


def fit_and_judge(tables, copies, before=None):
    """Fit both gates; list their figures in cross-validation and those of older weights, and return the fits too."""
    old = before and json.loads(before.read_text())
    camera = tables["camera"][is_half(tables["camera"]["image"])]
    results, fits = [], {}
    for kind in MEASURES:
        sets = [tables["data"]] if kind == "natural" else [tables["data"], tables["published"]]
        labelled = pd.concat([table[table["eyeq"] != ""] for table in sets])[[*COLUMNS, kind]]
        parts = labelled, copies, camera, tables["lesions"]
        data = Data(kind, *parts)
        results += compare(kind, kind, lambda table, data=data: nested(data, table), tables)
        results += copies_figures(kind, lambda table, data=data: nested(data, table), copies)
        table, worst = (tables["data"], 3) if kind == "natural" else (tables["published"], 4)
        for name, choice in ALTERNATIVES[kind].items():
            judged = nested(Data(kind, *parts, **choice), table)
            results += figures(f"instead, {name}", table, judged)
            results += by_grade(f"instead, {name}", table, is_rejected(judged), worst)
        results += reasons_figures(kind, nested(data, tables["data"]))
        results += compare(kind, f"in use, {kind}", lambda table, kind=kind: judge_in_use(kind, table), tables)
        if old:
            results += compare(kind, f"before, {kind}", lambda table, kind=kind: judge_before(old, kind, table), tables)
        fits[kind] = finish_fit(data)
    return results, fits


def describe(tables, args):
    """Say how the weights were fitted; the entry `made` of eyenet/photo/quality.json."""
    labelled = pd.concat([table[table["eyeq"] != ""] for table in (tables["data"], tables["published"])])
    return {
        "data": f"{args.data.name} and {args.equalized.name} (Kaggle 2015, EyePACS), labels of EyeQ; half of "
        f"{args.camera.name}; drawn lesions",
        "photographs": len(labelled),
        "rejected": int((labelled["eyeq"] == "reject").sum()),
        "patients": int(labelled["patient"].nunique()),
        "date": datetime.date.today().isoformat(),
        "commit": record.commit(),
        "by": "benchmarks/quality.py",
    }


if __name__ == "__main__":
    with threadpool_limits(1, "blas"):  # the matrices are tiny
        main()
