"""New photographs: the wait for the first, the rate of a folder against the resize stage, agreement with Keras.

    python benchmarks/predict.py --data FOLDER --model models/latest      FOLDER/train/*.jpeg, whole camera photographs

CPU time, so that other work on the machine does not count: of a cold start with one photograph, and for each photograph
of a folder with one worker, in turn with resize_images.py on the same photographs. The medians of --repeat times count.
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import record

from eyenet import backend
from eyenet.lite import LiteNetwork
from eyenet.models import LITE, colours_of, load_network, open_model
from eyenet.photo import photograph_to_input


def cpu_seconds(script, *args):
    """Run a script; CPU seconds of its process."""
    command = [sys.executable, str(record.REPO / script), *map(str, args)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return usage.ru_utime + usage.ru_stime


def copies(paths, count, folder, broken=None):
    """Give photographs `count` names in a folder, by links; every tenth is the file `broken`, if there is one."""
    folder.mkdir()
    for i in range(count):
        path = broken if broken and i % 10 == 9 else paths[i % len(paths)]
        os.link(path, folder / f"{i // 2}_{('left', 'right')[i % 2]}.jpeg")
    return folder


def per_photograph(repeat, few, many, script, options):
    """Measure CPU seconds a photograph: what more photographs take more, so that the start does not count."""
    taken = [[cpu_seconds(script, *options(folder)) for folder in (few, many)] for _ in range(repeat)]
    count = len(list(many.iterdir())) - len(list(few.iterdir()))
    return [(long - short) / count for short, long in taken]


def watch_folder(folder, model):
    """Run predict.py on a folder, and watch it.

    Returns
    -------
    float
        The most memory that it held, in MB.
    answered, unread : int
        Photographs that were answered, and files that could not be read.
    """
    table = folder.parent / "answers.csv"
    command = [sys.executable, str(record.REPO / "predict.py"), folder, "--model", model, "--csv", table]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    memory = record.watch(process)
    with open(table, newline="", encoding="utf-8") as file:
        results = [row["result"] for row in csv.DictReader(file) if row["unit"] == "photograph"]
    unread = results.count("not read")
    assert process.returncode == (3 if unread else 0)
    return memory, len(results) - unread, unread


def disagreement(model, paths):
    """Find the largest difference between the probabilities of LiteRT and of Keras."""
    backend.start("float32", 0)
    config = open_model(model, LITE)
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
    model = open_model(args.model, LITE)
    colours = colours_of(model["settings"]["images"])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        here = [Path(shutil.copy(path, work)) for path in paths]
        broken = work / "broken.jpeg"
        broken.write_bytes(here[0].read_bytes()[:100_000])
        few, many = (copies(here, count, work / str(count)) for count in (20, 120))
        most = copies(here, args.most, work / "most", broken)

        def predict(folder, *more):
            return [folder, "--model", args.model, "--workers", 1, *more]

        def resize(folder):
            shutil.rmtree(work / "resized", ignore_errors=True)
            return ["--input", folder, "--output", work / "resized", "--workers", 1, "--colours", colours]

        start = median(cpu_seconds("predict.py", *predict(paths[0])) for _ in range(args.repeat))
        ours = per_photograph(args.repeat, few, many, "predict.py", predict)
        heat = per_photograph(1, few, many, "predict.py", lambda f: predict(f, "--heatmap", work / "maps"))
        theirs = per_photograph(args.repeat, few, many, "resize_images.py", resize)
        ratio = median(b / a for a, b in zip(ours, theirs))
        memory, (most_memory, answered, unread) = watch_folder(many, args.model)[0], watch_folder(most, args.model)
    apart = disagreement(args.model, paths)
    rows = [
        (f"cold start, one photograph, {model['options']['network']}: CPU", f"{start:.2f}", "s", "<= 1.5"),
        ("folder: CPU per photograph, median", f"{median(ours) * 1e3:.1f}", "ms", ""),
        ("folder with heat maps: CPU per photograph", f"{median(heat) * 1e3:.1f}", "ms", ""),
        ("resize stage: CPU per photograph, median", f"{median(theirs) * 1e3:.1f}", "ms", ""),
        ("rate of predict / rate of resize", f"{ratio:.2f}", "ratio", ">= 0.6"),
        ("peak memory, 120 photographs, all cores", f"{memory:.0f}", "MB", "flat"),
        (f"peak memory, {args.most:,} files, every tenth broken", f"{most_memory:.0f}", "MB", "flat"),
        ("of these answered", answered, f"{unread} not read", args.most - args.most // 10),
        (f"LiteRT against Keras, {len(paths)} photographs, most", f"{apart:.1e}", "", "<= 1e-4"),
    ]
    record.write(f"predict-{model['options']['network']}", rows)


if __name__ == "__main__":
    main()
