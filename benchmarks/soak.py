"""Run the pipeline on a large collection, kill it repeatedly, and check that nothing is lost, changed, left or growing.

    python benchmarks/soak.py --photographs 100000 --train [--data FOLDER ...]      FOLDER/train/*.jpeg, trainLabels.csv

Copies of 200 sample photographs and of those of each FOLDER get new names; 2 % of them are damaged, in every way of
benchmarks/damage.py and benchmarks/collection.py, and a few images are truncated between the steps. Then steps 2 to 5
run three times, each step as a separate process: on a tenth of the collection without kills, for comparison of memory
and time; on all of it without kills; and on all of it with --kills kills (SIGKILL, the whole process group) of each
step at random times. It is an error if a photograph or copy is not in the right place exactly once (in the array, or in
a list with the right reason), if the last two runs differ in any byte of a file, or if a temporary file is left.
--train also trains two epochs of cnn.py on the array, once without kills and once killed in the second epoch.

With --size 64 (the default), 100,000 photographs need 15 GB of disk in --work and about an hour on two cores; with 256
px 120 GB. Everything is removed at the end, unless --keep is given.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import record

from benchmarks.collection import KINDS, SPOILED, account, make, spoil, to_spoil, usable_pairs
from eyenet.data.array import open_array
from eyenet.photo.png import read_crop
from eyenet.run.options import between, positive, seed, side
from eyenet.run.workers import cores

STEPS = ("resize_images.py", "preprocess_images.py", "rotate_images.py", "image_to_array.py")
OUTPUTS = (*SPOILED, "array")
EPHEMERAL = (".lock", ".done")  # a lock, and the times of the inputs
CHECKED = 200  # rows of the array that are compared with their images


class Step(NamedTuple):
    """Cost of a step: wall seconds, peak memory in MB, and number of kills before its end."""

    seconds: float
    peak: float
    kills: int


def command(step, source, work, size, workers):
    """Return the command line of a step."""
    tables = {name: work / "labels" / f"{name}.csv" for name in SPOILED}
    places = {
        "resize_images.py": {"input": source / "train", "output": work / "resized", "size": size},
        "preprocess_images.py": {"input": work / "resized", "output": work / "preprocessed"}
        | {"labels": source / "trainLabels.csv", "labels-out": tables["preprocessed"], "figures": work / "figures"}
        | {"copies": "ignore"},  # the collection is made of copies
        "rotate_images.py": {"input": work / "preprocessed", "output": work / "rotated"}
        | {"labels": tables["preprocessed"], "labels-out": tables["rotated"]},
        "image_to_array.py": {"input": work / "rotated", "output": work / "array", "labels": tables["rotated"]},
    }[step]
    return script(step, {**places, "workers": workers})


def script(name, options):
    """Return the command line of a script of the repository."""
    words = [str(word) for option, value in options.items() for word in (f"--{option}", value)]
    return [sys.executable, str(record.REPO / name), *words]


def start(words, log):
    """Start a process in its own group, which can be killed as a whole; its output is appended to a file."""
    with open(log, "ab") as file:
        return subprocess.Popen(words, stdout=file, stderr=file, start_new_session=True)


def check_end(process, log):
    """Exit with the log if a process failed."""
    if process.returncode:
        sys.exit(f"{' '.join(process.args)}\nended with {process.returncode}:\n{log.read_text()[-3000:]}")


def kill(process):
    """Kill a process and all processes that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has just ended
        pass


def run_step(words, log, kills=0, expected=0.0, dice=None):
    """Run a step, kill it several times, and finish it.

    Parameters
    ----------
    words : list of str
        The command.
    log : Path
        Receives the output.
    kills : int
        Number of kills to try; the step is started again after each.
    expected : float
        Seconds that the step takes without kills; the random times before the kills add up to about as much.
    dice : random.Random

    Returns
    -------
    Step
    """
    begun, peak, hits = time.monotonic(), 0.0, 0
    for attempt in range(kills + 1):
        process = start(words, log)
        timer = threading.Timer(0.4 + dice.uniform(0, 2 * expected / (kills + 1)) if attempt < kills else 1e6, kill)
        timer.args = (process,)
        timer.start()
        peak = max(peak, record.watch(process))
        timer.cancel()
        if process.returncode != -signal.SIGKILL or attempt == kills:
            check_end(process, log)
            break
        hits += 1
    return Step(time.monotonic() - begun, peak, hits)


def run_steps(source, work, spoiled, args, kills=0, expected=None):
    """Run steps 2 to 5 and damage a few images after each; return a list of `Step`."""
    dice, taken = random.Random(args.seed), []
    for i, step in enumerate(STEPS):
        words = command(step, source, work, args.size, args.workers)
        taken.append(run_step(words, work.with_suffix(".log"), kills, expected[i].seconds if expected else 0, dice))
        record.say(f"{work.name}: {step} {taken[-1].seconds:.0f} s, {taken[-1].peak:.0f} MB, {taken[-1].kills} kills")
        if OUTPUTS[i] in spoiled:
            spoil(work / OUTPUTS[i], spoiled[OUTPUTS[i]])
    return taken


def digests(folder):
    """Map every file below a folder to the hash of its bytes."""
    return {
        os.path.relpath(os.path.join(place, name), folder): hash_file(os.path.join(place, name))
        for place, _, names in os.walk(folder)
        for name in names
        if name not in EPHEMERAL
    }


def hash_file(path):
    """Compute a short hash of a file of any size."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def compare(undisturbed, killed):
    """List the differences between two finished work folders, and the temporary files in both."""
    there, here = digests(undisturbed), digests(killed)
    complaints = [f"{name} differs" for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
    left = [name for name in there.keys() | here.keys() if Path(name).name.startswith(".tmp") or ".partial" in name]
    return complaints + [f"{name} is left" for name in left]


def check_rows(work, dice):
    """Compare rows of the array with the images that they should contain."""
    images, table, _ = open_array(work / "array")
    rows = dice.sample(range(len(images)), min(CHECKED, len(images)))
    names = table["image"]
    wrong = [names[i] for i in rows if (images[i] != read_crop(work / "rotated" / f"{names[i]}.png")).any()]
    return [f"{name}: its row of the array is another image" for name in wrong]


def train(work, name, seconds, dice):
    """Train two epochs; if `seconds` of the second are given, kill the training at a random time in it.

    Returns
    -------
    history : str
        history.csv without its last columns, which depend on the machine.
    seconds : float
        Duration of the second epoch, start and end included.
    """
    models = work / f"models-{name}"
    options = {"input": work / "array", "models": models, "logs": work / f"logs-{name}", "epochs": 2}
    words = script("cnn.py", options)
    log = models.with_suffix(".log")
    process = start(words, log)
    while not (models / "cnn" / "checkpoint-00001" / "state.json").exists() and process.poll() is None:
        time.sleep(0.02)
    begun = time.monotonic()
    if seconds:
        time.sleep(dice.uniform(0, 0.8 * seconds))
        kill(process)
        process.wait()
        process = start(words, log)
    process.wait()
    check_end(process, log)
    rows = [line.split(",") for line in (models / "cnn" / "history.csv").read_text().splitlines()]
    kept = [i for i, column in enumerate(rows[0]) if column != "images_per_second"]
    return [[row[i] for i in kept] for row in rows], time.monotonic() - begun


def soak(source_folders, work, args):
    """Make the collections, run everything, and compare.

    Returns
    -------
    complaints : list of str
        Empty if there are no errors.
    rows : list of (str, float, str, str)
        The measurements, for `record.write`.
    """
    pairs = usable_pairs(source_folders, args.size, args.workers)
    random.Random(args.seed).shuffle(pairs)
    record.say(f"{2 * len(pairs):,} photographs to copy")
    counts, taken, complaints = {}, {}, []
    for run, count, like in (("a-tenth", args.photographs // 10, None), ("all", args.photographs, "undisturbed")):
        collection = make(work / run, pairs, count, args.seed)
        spoiled = {output: to_spoil(collection, output, args.seed) for output in SPOILED}
        record.say(f"made {len(collection):,} photographs")
        for name, kills in ((like or run, 0), *([("killed", args.kills)] if like else [])):
            folder = work / f"run-{name}"
            taken[name] = run_steps(work / run, folder, spoiled, args, kills, taken.get(like))
            found, counts[name] = account(collection, folder, spoiled)
            complaints += [f"{name}: {complaint}" for complaint in found + check_rows(folder, random.Random(args.seed))]
    record.say("comparing")
    complaints += compare(work / "run-undisturbed", work / "run-killed")
    rows = figures(args, counts["killed"], taken, len(complaints))
    if args.train:
        history, seconds = train(work / "run-undisturbed", "undisturbed", 0, None)
        killed, _ = train(work / "run-undisturbed", "killed", seconds, random.Random(args.seed))
        complaints += ["training: history.csv of the killed run differs"] if killed != history else []
        rows.append(("training killed in its second epoch: figures that differ", int(killed != history), "", "0"))
    return complaints, rows


def figures(args, counts, taken, complaints):
    """Convert counts and measurements into rows."""
    rows = [
        ("photographs", args.photographs, "", ""),
        ("unaccounted, differing or left files", complaints, "", "0"),
        *((f"in {place}", count, "", "") for place, count in sorted(counts.items())),
    ]
    for i, step in enumerate(STEPS):
        tenth, undisturbed, killed = (taken[name][i] for name in ("a-tenth", "undisturbed", "killed"))
        more = args.photographs - args.photographs // 10
        rows += [
            (f"{step}: kills", killed.kills, "", ""),
            (f"{step}: time, undisturbed", round(undisturbed.seconds, 1), "s", ""),
            (f"{step}: time, killed", round(killed.seconds, 1), "s", ""),
            (
                f"{step}: time a photograph, all / a tenth",
                round(undisturbed.seconds / tenth.seconds / 10, 2),
                "ratio",
                "",
            ),
            (f"{step}: peak memory, a tenth", round(tenth.peak), "MB", ""),
            (f"{step}: peak memory, undisturbed", round(undisturbed.peak), "MB", "flat"),
            (f"{step}: peak memory, killed", round(killed.peak), "MB", "flat"),
            (f"{step}: memory a photograph", round((undisturbed.peak - tenth.peak) * 1e6 / more), "bytes", ""),
        ]
    return rows


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photographs", type=between(len(KINDS) * 50, 10**7), default=10_000)
    options.add_argument("--data", type=Path, nargs="*", default=[], help="folders with train/*.jpeg, trainLabels.csv")
    options.add_argument("--work", type=Path, default=record.REPO / "work", help="folder for the temporary folder")
    options.add_argument("--size", type=side, default=64, help="side of the images in pixels")
    options.add_argument("--workers", type=positive, default=cores(), help="threads of each step")
    options.add_argument("--kills", type=positive, default=10, help="kills of each step")
    options.add_argument("--seed", type=seed, default=0, help="seed of damage and times")
    options.add_argument("--train", action="store_true", help="train on the array too")
    options.add_argument("--keep", action="store_true", help="keep the work folder")
    args = options.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="soak-", dir=args.work))
    try:
        sample = work / "sample"
        places = ["--output", sample, "--labels-out", sample / "trainLabels.csv"]
        record.run("make_sample.py", "--photographs", 200, *places)
        complaints, rows = soak([sample, *args.data], work, args)
    finally:
        if not args.keep:
            shutil.rmtree(work)
    record.write("soak", rows)
    if complaints:
        sys.exit("\n".join([f"{len(complaints):,} complaints:", *complaints[:50]]))


if __name__ == "__main__":
    main()
