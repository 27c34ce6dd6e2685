"""Fit the quality gate, and check whether it rejects the photographs that EyeQ's graders rejected, and why.

    python benchmarks/quality.py --data ../shared/data/eyepacs-1024 --equalized ../shared/data/eyepacs-256eq \\
        --originals ../shared/data/eyepacs-full --write

Each folder holds train/*.jpeg and quality.csv (image,eyeq,jama16_gradable). A logistic regression is fitted to the
photographs of --data that have an EyeQ label (reject against good and usable) and to degraded copies of the accepted
ones, once in natural and once in equalised colours. Figures come from cross-validation over patients, which includes
the choice of the threshold; for equalised colours also from --equalized, which is not used for fitting. The 8 measures
were selected from 100 by these same figures, so the figures are slightly too high. `--write` writes
eyenet/photo/quality.json. Takes ten minutes on two cores.
"""

import datetime
import json
import tempfile
import time
from pathlib import Path

import degraded
import numpy as np
import pandas as pd
import record
from PIL import Image
from quality_fit import COPIES, MEASURES, Data, finish_fit, nested
from threadpoolctl import threadpool_limits

from eyenet.photo import quality
from eyenet.photo.colours import equalize
from eyenet.photo.retina import inside_circle, photograph_to_input
from eyenet.run.errors import PhotoError
from eyenet.run.workers import cores, for_each
from eyenet.score.bootstrap import bootstrap
from eyenet.score.metrics import roc_auc


def with_patient(table):
    """Add the patient, the first part of the photograph's name."""
    return table.assign(patient=table["image"].str.split("_").str[0])


def read_labels(folder):
    """Read the labels of a folder of photographs, with the patient of each."""
    table = pd.read_csv(folder / "quality.csv", dtype={"eyeq": str}).fillna({"eyeq": ""})
    return with_patient(table)


def crop_file(path):
    """Crop a photograph; None if no retina is found in it."""
    try:
        return photograph_to_input(path)
    except PhotoError:
        return None


def measure_both(found):
    """Measure a crop in natural and equalised colours; `found` is the result of `crop_file`."""
    if found is None:
        return None, None
    crop, geometry = found
    return quality.measure(crop, geometry), quality.measure(equalize(crop, inside_circle(len(crop))), geometry)


def measure_image(image):
    """Measure a picture in natural and equalised colours; None, None if no retina is found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photograph.png"
        image.save(path, compress_level=1)
        return measure_both(crop_file(path))


def measure_folder(folder, table):
    """Add the columns natural and equalized to a table of images: their measures, None where no retina is found."""
    paths = [folder / "train" / f"{image}.jpeg" for image in table["image"]]
    found = [both for _, both in for_each(lambda path: measure_both(crop_file(path)), paths, cores(), "measure")]
    return table.assign(natural=[both[0] for both in found], equalized=[both[1] for both in found])


def measure_copies(folder, images):
    """Measure each degraded copy of some photographs; a table of image, patient, kind, natural and equalized."""

    def work(image):
        photograph = Image.open(folder / "train" / f"{image}.jpeg").convert("RGB")
        kinds = {**degraded.FITTED, **degraded.OTHERS}
        return [(image, kind, *measure_image(make(photograph))) for kind, (make, _) in kinds.items()]

    rows = [row for _, found in for_each(work, list(images), cores(), "worsen") for row in found]
    return with_patient(pd.DataFrame(rows, columns=["image", "kind", "natural", "equalized"]))


def figures(name, table, judged, goal=""):
    """List AUC, sensitivity and specificity against EyeQ with intervals (bootstrap over patients)."""
    rows = np.array([found is not None for found in judged]) & (table["eyeq"] != "").to_numpy()
    judged = [found for found, row in zip(judged, rows) if row]
    truth = (table["eyeq"] == "reject").to_numpy()[rows]
    score, called = np.array([found.score for found in judged]), np.array([not found.gradable for found in judged])

    def statistics(weights):
        return {
            "AUC": roc_auc(truth, score, weights),
            "share of EyeQ's rejected that is rejected": weights @ (truth & called) / (weights @ truth),
            "share of EyeQ's accepted that passes": weights @ (~truth & ~called) / (weights @ ~truth),
        }

    result = [(f"{name}: photographs with a label of EyeQ", len(truth), f"{truth.sum()} rejected", "")]
    for what, found in bootstrap(statistics, table["patient"].to_numpy()[rows]).items():
        interval = f"95 %: {found['low']:.3f}-{found['high']:.3f}"
        result.append((f"{name}: {what}", round(found["value"], 3), interval, goal if what == "AUC" else ""))
    return result


def plain_auc(truth, judged):
    """Return the AUC of the scores of photographs in which a retina is found."""
    rows = np.array([found is not None for found in judged])
    score = np.array([found.score for found in judged if found is not None])
    return round(float(roc_auc(np.asarray(truth)[rows], score, np.ones((1, len(score))))[0]), 3)


def more_figures(name, data, table):
    """List how the AUC depends on the folds and on jama16's labels, and the AUC for those labels."""
    known = (table["eyeq"] != "").to_numpy()
    labelled, others = table[known], table[~known]
    truth, weak = labelled["eyeq"] == "reject", others["jama16_gradable"] == 0
    drawn = [plain_auc(truth, nested(data, labelled, seed)) for seed in range(5)]
    with_weak = [plain_auc(truth, nested(data, labelled, seed, weak=0.2)) for seed in range(5)]
    return [
        (f"{name}: AUC, mean of five ways to deal the folds", round(float(np.mean(drawn)), 3), "", ""),
        (f"{name}: the same, jama16's labels fitted too at a fifth", round(float(np.mean(with_weak)), 3), "", ""),
        (f"{name}: AUC against jama16 where EyeQ has no label", plain_auc(weak, nested(data, others)), "", ""),
    ]


def by_grade(name, table, judged, folder):
    """List by grade the share of photographs accepted by EyeQ that pass: disease must not count as poor quality."""
    grade = table["image"].map(pd.read_csv(folder / "trainLabels.csv").set_index("image")["level"])
    passes = pd.Series([found is not None and found.gradable for found in judged], index=table.index)
    accepted = table["eyeq"].isin(["good", "usable"])
    rows = []
    for level, words in ((0, "without DR"), (1, "mild"), (2, "moderate"), (3, "severe"), (4, "proliferative")):
        these = passes[accepted & (grade == level)]
        if len(these):
            rows.append((f"{name}: of EyeQ's accepted, {words}, pass", round(these.mean(), 3), f"of {len(these)}", ""))
    return rows


def copies_figures(kind, data, copies):
    """List for each degradation the share that is rejected, and how often the right reason is named."""
    rows = []
    for name, group in copies.groupby("kind", sort=False):
        _, words = {**degraded.FITTED, **degraded.OTHERS}[name]
        judged = nested(data, group)
        stopped = [found is None or not found.gradable for found in judged]
        named = [found is None or words in found.reasons for found, stop in zip(judged, stopped) if stop]
        fitted = "" if name in COPIES[kind] else ", not fitted to"
        rows.append((f"{kind}, {name}{fitted}: rejected", round(np.mean(stopped), 3), f"of {len(stopped)}", ""))
        if words and kind == "natural" and named:
            rows.append((f"{kind}, {name}: of these told {words!r}", round(np.mean(named), 3), "", ""))
    return rows


def test_figures(folder, fits):
    """List the figures of photographs that were published equalised and not used for fitting."""
    table = measure_folder(folder, read_labels(folder))
    found = table["natural"]  # as they are
    judged = [measures and quality.judge_measures(measures, fits) for measures in found]
    name = "equalized by others, never fitted"
    return [
        *figures(name, table, judged),
        *by_grade(name, table, judged, folder),
        (f"{name}: no retina found", sum(measures is None for measures in found), f"of {len(found)}", ""),
        (f"{name}: known as equalised", sum(bool(m and m["equalized"]) for m in found), "", ""),
        (f"{name}: AUC against jama16", plain_auc(table["jama16_gradable"] == 0, judged), "", ""),
    ]


def size_figures(folder, images, sizes, what):
    """List how much the score changes with the size of the same photographs in pixels."""

    def work(image):
        photograph = Image.open(folder / "train" / f"{image}.jpeg").convert("RGB")
        found = [measure_both(crop_file(folder / "train" / f"{image}.jpeg"))[0]]
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


def main():
    options = record.parse(__doc__)
    options.add_argument("--equalized", type=Path, help="equalised photographs to test on")
    options.add_argument("--originals", type=Path, help="full-size photographs, to test that size does not matter")
    options.add_argument("--write", action="store_true", help="write eyenet/photo/quality.json")
    args = options.parse_args()
    table = measure_folder(args.data, read_labels(args.data))
    copies = measure_copies(args.data, table["image"][table["eyeq"].isin(["good", "usable"])])

    results, made = [], {}
    for kind in MEASURES:
        data = Data(kind, table, copies)
        judged = nested(data, table)
        first = figures(kind, table, judged, ">= 0.90" if kind == "natural" else "")
        results += first + more_figures(kind, data, table) + by_grade(kind, table, judged, args.data)
        results += copies_figures(kind, data, copies)
        made[kind] = {"auc": first[1][1], "auc_interval": first[1][2], **finish_fit(data, np.unique(data.patient))}
    if args.write:
        write_weights(made, table, args)
    if args.equalized:
        results += test_figures(args.equalized, made)
    results += size_figures(args.data, table["image"], (800,), "1024 px photographs")
    if args.originals:
        results += size_figures(args.originals, read_labels(args.originals)["image"], (2000, 800), "originals")
    results += picture_figures()
    judged = cpu_seconds([args.data / "train" / f"{image}.jpeg" for image in table["image"][:60]])[1]
    results.append(("judging a photograph", round(1e3 * float(np.median(judged)), 1), "ms CPU", "<= 8"))
    record.write("quality", results)


def write_weights(made, table, args):
    """Write eyenet/photo/quality.json: the weights, and how they were fitted."""
    labelled = table[table["eyeq"] != ""]
    source = {
        "data": f"{args.data.name} (Kaggle 2015, EyePACS), labels of EyeQ",
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
