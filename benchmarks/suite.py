"""Run all benchmarks and report ratios: EyeNet against a lower bound or a peer, measured side by side.

    python benchmarks/suite.py                       ten minutes on two cores; writes results/suite.csv
    python benchmarks/suite.py --data FOLDER         FOLDER/train/*.jpeg instead of drawings; results/suite-FOLDER.csv
    python benchmarks/suite.py --only rotate pack    print only these
    python benchmarks/suite.py --check               the quick part, as the tests run it
    python benchmarks/suite.py --record-bounds 5     the quick part five times: writes bounds.csv

The photographs are synthetic, enlarged to 6-15 megapixels; the network is the default one, untrained. `better` says
whether less or more is better. --check exits with 4 if a ratio exceeds its bound by more than the spread of the
recorded runs, in each of --attempts in a row.
Peers: pip install -r requirements-bench.txt, libjpeg-turbo-progs (djpeg), dd; missing peers are skipped.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import record

from benchmarks import bounds, export, feed, growth, pack, predict, quality, resize, rotate
from benchmarks.materials import draw_photographs, give_names, make_images, make_model
from eyenet.photo.quality import judge
from eyenet.photo.retina import crop_photograph
from eyenet.run.errors import EXIT_FINDING, StageError
from eyenet.run.options import positive
from eyenet.run.script import run_main

NETWORK = "three_layers"
PEERS = ("opencv-python-headless", "pyvips", "onnxruntime")


class Given(NamedTuple):
    """Input of a benchmark: an empty folder, photographs, a model, and the amount of work."""

    work: Path
    paths: list
    gradable: list
    model: Path
    repeat: int
    unit: int
    images: int
    quick: bool


def of_resize(given):
    """Compare the resize stage with its lower bounds and peers."""
    yield from resize.ratios(resize.time_ways(given.paths, given.work, given.repeat, not given.quick))


def of_rotate(given):
    yield from rotate.ratios(given.repeat, given.work, given.quick)


def of_pack(given):
    """Compare packing with the 2017 method and with writing the same number of bytes."""
    table = make_images(given.work / "images", given.images)
    yield from pack.ratios(pack.time_ways(given.work, table, given.images, given.repeat, given.quick))


def of_quality(given):
    yield from quality.ratios(given.repeat, given.paths)


def of_predict(given):
    yield from predict.ratios(given.repeat, given.model, given.work, given.gradable, given.quick)


def of_growth(given):
    """Measure each stage with growing numbers of photographs; in the quick part only resize."""

    def photographs(count):
        folder = given.work / f"photographs{count}"
        return folder if folder.exists() else give_names(given.gradable, count, folder)

    def images(count):
        table = given.work / f"images{count}.csv"
        return table if table.exists() else make_images(table.with_suffix(""), count)

    stages = {
        "resize": (given.unit, lambda n, workers: predict.resize(given.work, photographs(n), workers)),
        "pack": (given.images // 8, lambda n, workers: pack.pack(given.work, images(n), workers)),
        "rotate": (given.unit, lambda n, workers: rotate.stage(given.work, images(n), workers)),
        "predict": (given.unit, lambda n, workers: predict.predict(given.model, photographs(n), workers)),
    }
    for stage in ["resize"] if given.quick else stages:
        yield from growth.ratios(stage, *stages[stage], given.repeat, given.quick)


def of_feeding(given):
    """Compare training from an array with training on one repeated batch."""
    pack.pack(given.work, make_images(given.work / "images", given.images // 10), 1)
    yield from apart(listed, feed.ratios, given.repeat, given.work / "array", given.images // 10)


def of_export(given):
    yield from apart(listed, export.ratios, given.repeat, given.model, given.gradable)


GROUPS = {
    "resize": of_resize,
    "rotate": of_rotate,
    "pack": of_pack,
    "quality": of_quality,
    "predict": of_predict,
    "growth": of_growth,
    "feeding": of_feeding,
    "export": of_export,
}
WITH_MODEL = {"predict", "growth", "export"}
QUICK = [name for name in GROUPS if name != "export"]


def apart(function, *args):
    """Call a function in a separate process, so that its imports do not affect the next benchmark."""
    with record.one_process() as pool:
        return pool.submit(function, *args).result()


def listed(function, *args):
    return list(function(*args))


def find_photographs(data, work, count):
    """Find or draw the photographs; also return those that pass the quality gate, since others are not graded."""
    if data is None:
        paths = draw_photographs(work / "drawn", count)
    else:  # copies, so that hard links work and the files are cached
        sources = sorted((data / "train").glob("*.jpeg"))
        if not sources:
            raise StageError(f"{data / 'train'} holds no *.jpeg file; --data needs a folder with train/*.jpeg")
        (work / "given").mkdir()
        paths = [Path(shutil.copy(source, work / "given")) for source in sources[:count]]
    gradable = [path for path in paths if judge(*crop_photograph(path, 256)).gradable]
    if not gradable:
        raise StageError(f"none of the {len(paths)} photographs passes the quality gate; predict.py would grade none")
    return paths, gradable


def measure(names, given):
    """Run benchmarks; return their ratios by name."""
    found = {}
    for name in names:
        print(f"measuring {name}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=given.work) as folder:
            found[name] = list(GROUPS[name](given._replace(work=Path(folder))))
    return found


def check(names, given, attempts):
    """Compare the ratios with their bounds; return 4 if one fails in each of several attempts in a row."""
    known, machine, failing = bounds.read(), record.machine(), None
    if not known:
        raise StageError(f"there is no {bounds.TABLE}; run python benchmarks/suite.py --record-bounds 5 first")
    for _ in range(attempts):
        found = [(name, ratio) for name, ratios in measure(names, given).items() for ratio in ratios]
        words = {ratio.name: bounds.complaint(ratio, known.get(ratio.name), machine) for _, ratio in found}
        failing = {name: why for name, why in words.items() if why and (failing is None or name in failing)}
        names = [name for name in names if any(group == name and ratio.name in failing for group, ratio in found)]
        if not failing:
            print("every ratio is within its bound")
            return 0
    print("\n".join(failing.values()), file=sys.stderr)
    return EXIT_FINDING


def report(args, ratios):
    """Print ratios with their bounds; write them if the whole suite was run."""
    known = bounds.read() if args.data is None else {}
    rows = []
    for name, value, better in ratios:
        bound = known.get(name)
        rows.append((name, bounds.short(value), better, *([bound.bound, bound.noise] if bound else ["", ""])))
    if args.only:
        for row in rows:
            print(record.line(row))
    else:
        name = "suite" if args.data is None else f"suite-{args.data.resolve().name}"
        record.write(name, rows, PEERS, ("name", "ratio", "better", "bound", "noise"))


def parse():
    """Parse the options."""
    options = record.parse(__doc__)
    options.set_defaults(data=None, repeat=None)
    options.add_argument("--only", nargs="+", choices=list(GROUPS), help="run only these benchmarks")
    options.add_argument("--photographs", type=positive, default=10, help="maximum number of different photographs")
    options.add_argument(
        "--unit", type=positive, default=40, help="smallest number of photographs for the growth benchmark"
    )
    options.add_argument("--images", type=positive, default=1600, help="number of 256 px images to pack")
    options.add_argument(
        "--record-bounds", type=positive, metavar="RUNS", help="measure the quick part several times, write bounds.csv"
    )
    options.add_argument("--check", action="store_true", help="compare the quick part with bounds.csv")
    options.add_argument("--attempts", type=positive, default=3, help="of --check, for what exceeds its bound")
    args = options.parse_args()
    if args.record_bounds and (args.data or args.check):
        options.error(
            "--record-bounds cannot be combined with --data or --check: bounds are recorded on synthetic photographs"
        )
    args.quick = args.check or args.record_bounds is not None
    args.repeat = args.repeat or (2 if args.quick else 3)
    return args


def main():
    args = parse()
    if not sys.platform.startswith("linux"):
        raise StageError("the suite reads the memory of processes from /proc, which exists on Linux only")
    names = args.only or (QUICK if args.quick else list(GROUPS))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        paths, gradable = find_photographs(args.data, work, args.photographs)
        given = Given(work, paths, gradable, work / "model", args.repeat, args.unit, args.images, args.quick)
        if not WITH_MODEL.isdisjoint(names):
            apart(make_model, given.model, NETWORK, gradable)
        if args.check:
            return check(names, given, args.attempts)
        runs = []
        for _ in range(args.record_bounds or 1):
            runs.append([ratio for ratios in measure(names, given).values() for ratio in ratios])
            if args.record_bounds:
                bounds.write(runs, keep=bool(args.only))
    if not args.record_bounds:
        report(args, runs[0])


if __name__ == "__main__":
    run_main(main)
