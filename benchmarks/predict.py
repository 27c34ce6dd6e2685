"""Measure predict.py: cold start, the rate for a folder compared with the resize stage, and agreement with Keras.

    python benchmarks/predict.py --data FOLDER --model models/latest      FOLDER/train/*.jpeg, whole camera photographs

Measures CPU time, so that other work on the machine does not matter: of a cold start with one photograph, and per
photograph of a folder with one worker, in turn with resize_images.py on the same photographs. Reports medians, of 25
cold starts and of --repeat runs of a folder.
"""

import csv
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import record

from benchmarks.materials import give_names
from eyenet.export.proof import LIMITS
from eyenet.model import backend
from eyenet.model.folder import LITE_NETWORK, open_model
from eyenet.model.lite import LiteNetwork
from eyenet.model.loading import load_network
from eyenet.model.settings import colours_of, is_built
from eyenet.photo.retina import photograph_to_input
from eyenet.run.errors import EXIT_REJECTED

STARTS = 25  # cold starts, of which the median counts: a few of 0.3 s are too noisy
# The minimum for running this network, and a prediction with Keras.
FLOOR = "import numpy, PIL.Image, ai_edge_litert.interpreter"
KERAS = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy
network = keras.models.load_model(sys.argv[1], compile=False)
print(network.predict(numpy.zeros((1, *network.input_shape[1:]), "uint8"), verbose=0))
"""


def predict(model, folder, workers, *more):
    """Grade a folder or a photograph; return the cost."""
    return record.spend(*record.script("predict.py", folder, "--model", model, "--workers", workers, *more))


def resize(work, folder, workers, *more):
    """Run the resize stage on a folder; return the cost."""
    output = work / "resized"
    shutil.rmtree(output, ignore_errors=True)
    where = ["--input", folder, "--output", output, "--workers", workers]
    return record.spend(*record.script("resize_images.py", *where, *more))


def per_photograph(folders, work):
    """Measure CPU seconds per photograph from the difference of two runs, so that start-up is not counted."""
    few, many = (work(folder).cpu for folder in folders)
    return (many - few) / (len(list(folders[1].iterdir())) - len(list(folders[0].iterdir())))


def alternate(repeat, model, work, folders):
    """Predict and resize in turn; return lists of CPU seconds per photograph."""
    colours = ["--colours", colours_of(open_model(model, LITE_NETWORK)["settings"]["images"])]
    ours, theirs = [], []
    for _ in range(repeat):
        ours.append(per_photograph(folders, lambda folder: predict(model, folder, 1)))
        theirs.append(per_photograph(folders, lambda folder: resize(work, folder, 1, *colours)))
    return ours, theirs


def start(repeat, model, path, keras=True):
    """Measure cold starts alternately: predict.py with one photograph, its required imports, and Keras; CPU seconds."""
    ways = {
        "ours": lambda: predict(model, path, 1),
        "imports": lambda: record.spend(sys.executable, "-c", FLOOR),
        "keras": lambda: record.spend(sys.executable, "-c", KERAS, model / "model.keras"),
    }
    ways = {way: work for way, work in ways.items() if keras or way != "keras"}
    taken = {way: [] for way in ways}
    for _ in range(repeat):
        for way, work in ways.items():
            taken[way].append(work().cpu)
    return taken


def ratios(repeat, model, work, paths, quick=False):
    """Yield the ratios of a cold start and of a folder to their references."""
    starts = start(repeat, model, paths[0], keras=not quick)
    folders = [give_names(paths, count, work / f"predict-{count}") for count in (8, 80)]
    ours, theirs = alternate(repeat, model, work, folders)
    each = record.beside(ours, theirs)
    cold = record.beside(starts["ours"], starts["imports"])
    yield record.Ratio("predict: cold start with one photograph / imports alone, CPU", cold, "less")
    if not quick:
        times = record.beside(starts["keras"], starts["ours"])
        yield record.Ratio("predict: cold start of Keras / ours, CPU", times, "more")
    yield record.Ratio("predict: a photograph of a folder / resizing it, CPU", each, "less")


def watch_folder(folder, model):
    """Run predict.py on a folder and measure it.

    Returns
    -------
    float
        Peak memory in MB.
    answered, unread : int
        Number of graded photographs, and of files that could not be read.
    """
    table = folder.parent / f"{folder.name}.csv"  # a table is continued with the same photographs only
    spent = record.spend(
        *record.script("predict.py", folder, "--model", model, "--csv", table), codes=(0, EXIT_REJECTED)
    )
    with open(table, newline="", encoding="utf-8") as file:
        results = [row["result"] for row in csv.DictReader(file) if row["unit"] == "photograph"]
    unread = results.count("not read")
    return spent.memory, len(results) - unread, unread


def disagreement(model, paths):
    """Find the largest difference between the probabilities of LiteRT and of Keras."""
    backend.start("float32", 0)
    config = open_model(model, LITE_NETWORK)
    lite, network = LiteNetwork(model, config), load_network(model, config)
    colours = colours_of(config["settings"]["images"])
    crops = np.stack([photograph_to_input(path, config["size"], colours)[0] for path in paths])
    ours = np.stack([lite(crop)[0] for crop in crops])
    return float(np.abs(ours - network.predict(crops, verbose=0)).max())


def main():
    options = record.parse(__doc__)
    options.add_argument("--model", type=Path, default=record.REPO / "models" / "latest", help="folder of the model")
    options.add_argument("--most", type=int, default=10_000, help="files in the largest folder, every tenth broken")
    args = options.parse_args()
    paths = sorted((args.data / "train").glob("*.jpeg"))
    config = open_model(args.model, LITE_NETWORK)
    # A built model holds its kernels in float16, in two files that round differently.
    network, allowed = config["settings"]["network"], LIMITS["float16" if is_built(config) else "float32"].probability
    cold = median(predict(args.model, paths[0], 1).cpu for _ in range(STARTS))
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        here = [Path(shutil.copy(path, work)) for path in paths]
        broken = work / "broken.jpeg"
        broken.write_bytes(here[0].read_bytes()[:100_000])
        folders = [give_names(here, count, work / str(count)) for count in (20, 120)]
        most = give_names(here, args.most, work / "most", broken)
        ours, theirs = alternate(args.repeat, args.model, work, folders)
        heat = per_photograph(folders, lambda folder: predict(args.model, folder, 1, "--heatmap", work / "maps"))
        ratio = record.beside(theirs, ours)
        memory, (most_memory, answered, unread) = (
            watch_folder(folders[1], args.model)[0],
            watch_folder(most, args.model),
        )
    apart = disagreement(args.model, paths)
    rows = [
        (f"cold start, one photograph, {network}: CPU", f"{cold:.2f}", "s", "<= 0.25"),
        ("folder: CPU per photograph, median", f"{median(ours) * 1e3:.1f}", "ms", ""),
        ("folder with heat maps: CPU per photograph", f"{heat * 1e3:.1f}", "ms", ""),
        ("resize stage: CPU per photograph, median", f"{median(theirs) * 1e3:.1f}", "ms", ""),
        ("rate of predict / rate of resize", f"{ratio:.2f}", "ratio", ">= 0.6"),
        ("peak memory, 120 photographs, all cores", f"{memory:.0f}", "MB", "flat"),
        (f"peak memory, {args.most:,} files, every tenth broken", f"{most_memory:.0f}", "MB", "flat"),
        ("of these answered", answered, f"{unread} not read", args.most - args.most // 10),
        (f"LiteRT against Keras, {len(paths)} photographs, most", f"{apart:.1e}", "", f"<= {allowed:g}"),
    ]
    record.write(f"predict-{network}", rows)


if __name__ == "__main__":
    main()
