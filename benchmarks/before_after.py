"""Compare two checkouts of EyeNet on the same work, in turn: resize, copies, a cold start of predict.py, the page.

    python benchmarks/before_after.py --before CHECKOUT --data FOLDER --model MODEL --pages BEFORE AFTER

On a shared machine, times of two days cannot be compared; here the checkouts take turns, --repeat times, and medians
are reported: of CPU time, and for the page of the time from choosing a photograph to its result. --data is a folder
with train/*.jpeg, --pages are the finished pages of the two checkouts (export_model.py --format app), of one network.
The cold start is one with compiled bytecode, as from the second start on. Needs djpeg (libjpeg-turbo-progs).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import record

COMMON = "import sys, json; sys.path[:0] = [{root!r}, {root!r} + '/benchmarks']; from pathlib import Path\n"
RESIZE = """
import record, resize
from statistics import median
paths, work, found = sorted(Path(sys.argv[1]).glob("*.jpeg")), Path(sys.argv[2]), []
ways = (resize.ours, resize.djpeg)
for path in paths[:1] + paths:
    found.append([min(resize.cpu_seconds(way, path, work) for _ in range(3)) for way in ways])
print(json.dumps([median(own for own, _ in found[1:]), median(own / floor for own, floor in found[1:])]))
"""
ROTATE = """
import rotate
rotate.find_spec = lambda name: None  # without OpenCV
print(json.dumps([next(iter(rotate.ratios(1, Path(sys.argv[2]), quick=True))).value]))
"""
PAGE = """
import app
from statistics import median
from benchmarks import browser
patients = app.choose(Path(sys.argv[1]), 10)
seen = browser.browse("grade", sys.argv[3], patients=patients)["photographs"]
print(json.dumps([median(seen[str(path)]["seconds"] for path in browser.paths_of(patients))]))
"""


def child(code, checkout, *words):
    """Run code in a checkout, in another process; return the numbers that it prints last."""
    command = [sys.executable, "-c", COMMON.format(root=str(checkout)) + code, *map(str, words)]
    done = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def cold_start(checkout, photograph, model):
    """CPU seconds of predict.py with one photograph."""
    return record.spend(sys.executable, checkout / "predict.py", photograph, "--model", model, "--workers", 1).cpu


def measure(args, checkout, page, work):
    """Yield the names and the values of one round in a checkout."""
    folder = (args.data / "train").resolve()
    with tempfile.TemporaryDirectory(dir=work) as name:
        milliseconds, ratio = child(RESIZE, checkout, folder, name)
        yield ("resize: CPU per photograph", "ms"), 1e3 * milliseconds
        yield ("resize / djpeg -scale 1/8", "ratio"), ratio
    with tempfile.TemporaryDirectory(dir=work) as name:
        yield ("copies / reading and writing alone", "ratio"), child(ROTATE, checkout, folder, name)[0]
    if args.model:
        photograph = min(folder.glob("*.jpeg"))
        yield ("predict.py, cold start: CPU", "s"), cold_start(checkout, photograph, args.model.resolve())
    if page:
        yield ("page, choosing to result", "s"), child(PAGE, checkout, folder, work, page.resolve())[0]


def main():
    options = record.parse(__doc__)
    options.add_argument("--before", type=Path, required=True, help="checkout of the other version")
    options.add_argument("--model", type=Path, help="folder of a model")
    options.add_argument("--pages", type=Path, nargs=2, default=(None, None), help="finished pages of both versions")
    args = options.parse_args()
    checkouts, taken = (args.before.resolve(), record.REPO), {}
    with tempfile.TemporaryDirectory() as work:
        for turn in range(args.repeat + 1):  # the first turn may compile bytecode, and is not counted
            for when, checkout, page in zip(("before", "after"), checkouts, args.pages):
                for (what, unit), value in measure(args, checkout, page, work):
                    if turn:
                        taken.setdefault((what, unit), {"before": [], "after": []})[when].append(value)
    rows = []
    for (what, unit), values in taken.items():
        rows += [(f"{what}, {when}", f"{median(values[when]):.3g}", unit, "") for when in values]
        rows.append((f"{what}, after / before", f"{record.beside(values['after'], values['before']):.2f}", "ratio", ""))
    record.write("before_after", rows)


if __name__ == "__main__":
    main()
