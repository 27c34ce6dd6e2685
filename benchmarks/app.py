"""Compare the offline page in Chromium with predict.py: download, wait, circles, crops, probabilities, decisions.

    python benchmarks/app.py --model models/latest --data eyepacs-full eyepacs-1024      FOLDER/train/*.jpeg

Builds the page with the model's network, loads it, stops its server, and grades photographs without internet: those of
--most patients with both eyes, spread evenly over each folder. The wait is the time from choosing a photograph to its
result, by size in whole megapixels. Needs Node.js, Chromium and requirements-export.txt.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import record

from benchmarks import browser
from eyenet.export.page import NETWORK
from eyenet.model.folder import LITE_NETWORK, open_model

ENDS = "_left.jpeg", "_right.jpeg"


def choose(folder, most):
    """Choose photographs of patients with both eyes, evenly over the folder, in the form of `browser.pairs`."""
    left, right = ({path.name.removesuffix(end) for path in folder.glob(f"*{end}")} for end in ENDS)
    both = sorted(left & right)
    if not both:
        raise SystemExit(f"there are no photographs PATIENT_left.jpeg and PATIENT_right.jpeg in {folder}")
    count = min(len(both), max(1, most // 2))
    return browser.pairs(folder, [both[i] for i in np.linspace(0, len(both) - 1, count).astype(int)])


def grade(page, model, folder, most):
    """Grade photographs of a folder in the page; list a `Difference` for each."""
    patients = choose(folder.resolve() / "train", most)  # the browser runs in another folder
    seen = browser.browse("grade", page, patients=patients, crops=True)
    return list(browser.differences(seen, model, browser.paths_of(patients)))


def parity(name, found):
    """Compare the page with predict.py on a folder; return rows of the table."""
    graded = [one for one in found if one.decisions]
    changed = [not same for one in graded for _, same in one.decisions.values()]
    what = f"{name}, {len(found)} photographs"
    circle, psnr = max(one.circle for one in found), min(one.psnr for one in found)
    apart = max((one.probability for one in graded), default=0)
    yield f"{what}: largest difference of a circle, of its radius", f"{100 * circle:.3f}", "%", "<= 1"
    yield f"{what}: worst crop", f"{psnr:.1f}", "dB", ">= 40"
    yield f"{what}: largest difference of a probability", f"{apart:.4f}", "", "<= 0.02"
    yield f"{what}: quality verdicts that differ", sum(not one.verdict for one in found), f"{len(graded)} good", "0"
    yield f"{what}: decisions that differ", sum(changed), f"of {len(changed)}", ""


def waits(found):
    """Measure the time to a result by size of the photograph; return rows of the table."""
    sizes = {}
    for one in found:
        sizes.setdefault(round(one.megapixels) if one.megapixels > 0 else 0, []).append(one.seconds)
    for size, seconds in sorted(sizes.items()):
        what = f"choosing to result, {size or 'unknown'} megapixels, {len(seconds)} photographs"
        yield f"{what}: median", f"{statistics.median(seconds):.2f}", "s", "<= 0.25"
        yield f"{what}: longest", f"{max(seconds):.2f}", "s", ""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, default=record.REPO / "models" / "latest", help="folder of the model")
    options.add_argument("--data", type=Path, nargs="+", default=[record.REPO / "data" / "download"], help="folders")
    options.add_argument("--most", type=int, default=60, help="photographs from each folder")
    args = options.parse_args()
    if why := browser.missing():
        raise SystemExit(f"the page cannot be run: {why}")
    config = open_model(args.model, LITE_NETWORK)
    browser.install()
    browser.build()
    with tempfile.TemporaryDirectory() as work:
        page = Path(work) / "dist"
        proof = ("--photos", args.data[0] / "train", "--most", 20)
        record.run("export_model.py", "--format", "app", "--model", args.model, *proof, "--output", page)
        sizes = {path.name: path.stat().st_size / 1e6 for path in page.rglob("*") if path.is_file()}
        found = {folder.name: grade(page, args.model, folder, args.most) for folder in args.data}
    rows = [
        ("download, once", f"{sum(sizes.values()):.2f}", "MB", "< 15"),
        ("of this the network", f"{sizes[NETWORK]:.2f}", "MB", ""),
    ]
    rows += waits([one for each in found.values() for one in each])
    rows += [row for name, each in found.items() for row in parity(name, each)]
    record.write(f"app-{config['settings']['network']}", rows, ("onnx", "tf2onnx"))


if __name__ == "__main__":
    main()
