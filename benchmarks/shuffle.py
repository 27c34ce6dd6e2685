"""Compare shuffling by blocks with full shuffling: performance of the network, and bytes read from disk.

    python benchmarks/shuffle.py --array data/array --shards data/shards --seeds 0 1 2 -- --epochs 6
    python benchmarks/shuffle.py --array data/array --seeds          only reading; a minute

Trains the same network in both orders with each seed (the options after -- are passed to cnn.py; finished models in
--work are not trained again), and scores the originals of validation and test: ROC AUC, and the difference of the means
over the seeds with two 95 % intervals, from a bootstrap over patients and over the seeds. Before that, gathers an epoch
in each order from files that were dropped from the system's cache (Linux; not while another process maps them). Also
computes how much a network disk must send for an array --times as long, in stretches of 4 MB, of which the least
recently used are dropped when --cache is full.
"""

import argparse
import gc
import math
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import record
from scipy import stats

from eyenet.data.array import map_images, open_array, rows_by_split
from eyenet.data.shards import shard_files
from eyenet.data.shuffling import shuffle_blocks
from eyenet.model import backend
from eyenet.run.errors import StageError
from eyenet.run.files import read_json
from eyenet.run.script import run_main
from eyenet.score.bootstrap import bootstrap
from eyenet.score.metrics import roc_auc

WAYS = ("full", "blocks")
STRETCH = 4 * 2**20


def train(args, way, seed, further):
    """Train in one order with one seed unless finished; return the model's folder."""
    models = args.work / "models"
    folder = models / f"{way}-{seed}"
    if not (read_json(folder / "config.json") or {}).get("finished"):
        array = args.array if way == "full" else args.shards  # cnn.py shuffles shards by blocks
        places = ["--input", array, "--models", models, "--logs", args.work / "logs", "--run", folder.name]
        record.run("cnn.py", *places, "--seed", seed, *further)
    return folder


def score(images, table, rows, folders):
    """Score the models of both orders on some rows; return rows of the result.

    Parameters
    ----------
    folders : dict of str to list of Path
        For each order, the models, one per seed.
    """
    from eyenet.data.tasks import disease_probability
    from eyenet.model.batches import Batches, predict
    from eyenet.model.loading import load_network

    truth, patients = (table["level"] > 0).to_numpy()[rows], table["patient"].to_numpy()[rows]
    feed = Batches(images, None, rows, 64)
    said = {
        way: [disease_probability(predict(load_network(f, read_json(f / "config.json")), feed), 1) for f in models]
        for way, models in folders.items()
    }

    def statistics(weights):
        aucs = {way: [roc_auc(truth, probability, weights) for probability in said[way]] for way in WAYS}
        of_each = {folder.name: auc for way in WAYS for folder, auc in zip(folders[way], aucs[way])}
        means = {way: np.mean(aucs[way], axis=0) for way in WAYS}
        of_all = {f"{way}, mean of the seeds": mean for way, mean in means.items()}
        return of_each | of_all | {"blocks less full": means["blocks"] - means["full"]}

    found, results = bootstrap(statistics, patients), []
    unit = f"{len(rows)} photographs of {len(set(patients))} patients"
    for name, figure in found.items():
        for end, value in figure.items():
            asked = "> -0.01" if (name, end) == ("blocks less full", "low") else ""
            results.append((f"AUC, {name}, {end}", "" if value is None else f"{value:.4f}", unit, asked))
    if len(folders["full"]) > 1:  # interval for other seeds; the one above is for other photographs
        apart = [found[b.name]["value"] - found[f.name]["value"] for b, f in zip(folders["blocks"], folders["full"])]
        ends = stats.t.interval(0.95, len(apart) - 1, np.mean(apart), stats.sem(apart))
        unit = f"Student's t over {len(apart)} seeds, the same photographs"
        results += [
            (f"AUC, blocks less full, {end}", f"{value:.4f}", unit, "") for end, value in zip(("low", "high"), ends)
        ]
    return results


def sent(rows, order, image_bytes, cache):
    """Count the bytes that a disk sends in an epoch in stretches of 4 MB, per byte of the images."""
    known, fetched = OrderedDict(), 0
    for row in order:
        for stretch in range(row * image_bytes // STRETCH, ((row + 1) * image_bytes - 1) // STRETCH + 1):
            if stretch not in known:
                fetched += 1
                known[stretch] = True
                if len(known) * STRETCH > cache:
                    known.popitem(last=False)
            known.move_to_end(stretch)
    return fetched * STRETCH / (len(rows) * image_bytes)


def read_bytes():
    """Count the bytes that this process has read from disks (Linux)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def gather_cold(args, sidecar, rows, labels, way):
    """Gather an epoch from uncached files; return images per second, and bytes read per byte of the images."""
    from feeds import gather

    from eyenet.model.batches import Batches

    gc.collect()  # mapped files cannot be dropped from memory
    for name, *_ in shard_files(len(labels), sidecar.get("shard_size")):
        with open(args.array / name, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    images = map_images(args.array, sidecar)
    feed = Batches(images, labels, rows, args.batch, seed=0, shuffle=way)
    feed.set_epoch(0)
    before = read_bytes()
    rate = gather(feed)
    return rate, (read_bytes() - before) / (len(rows) * images[0].nbytes)


def read(args, sidecar, rows, labels):
    """Compare the bytes that the orders read from disk; return rows of the result."""
    results, image_bytes = [], math.prod(sidecar["shape"][1:])
    many = np.concatenate([rows + k * len(labels) for k in range(args.times)])
    orders = {"full": np.random.default_rng([0, 0]).permutation(many), "blocks": shuffle_blocks(many, [0, 0])}
    for way in WAYS:
        ratio = sent(many, orders[way].tolist(), image_bytes, args.cache * 1e9)
        unit = f"ratio, {len(many) * image_bytes / 1e9:.1f} GB of images, {args.cache:g} GB of cache"
        asked = "< 2" if way == "blocks" else ""
        results.append((f"sent in stretches of 4 MB / images, {way}", f"{ratio:.2f}", unit, asked))
    cold = {way: [] for way in WAYS}
    for _ in range(args.repeat):
        for way in WAYS:
            cold[way].append(gather_cold(args, sidecar, rows, labels, way))
    for way in WAYS:
        rate, ratio = np.median(cold[way], axis=0)
        if ratio < 0.9:
            raise StageError(f"the files of {args.array} stayed in memory; another process may map them")
        results.append((f"gathering an epoch from a cold file, {way}", f"{rate:.0f}", "images/s", ""))
        results.append((f"read from the disk / images, {way}", f"{ratio:.2f}", "ratio", ""))
    return results


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--array", type=Path, default=record.REPO / "data" / "array", help="folder of the array, one file"
    )
    options.add_argument("--shards", type=Path, help="folder of the same array in shards, for training by blocks")
    options.add_argument("--work", type=Path, default=record.REPO / "work" / "shuffle", help="folder for the models")
    options.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="seeds; none: only reading")
    options.add_argument("--batch", type=int, default=32, help="batch size of the reading")
    options.add_argument("--times", type=int, default=5, help="length of the array on the network disk, as a multiple")
    options.add_argument("--cache", type=float, default=2, help="cache of the network disk, in GB")
    options.add_argument("--repeat", type=int, default=3, help="repetitions of the reading; the median is reported")
    args, further = record.split_words(options)
    folders = {way: [train(args, way, seed, further) for seed in args.seeds] for way in WAYS}
    backend.start("float32", seed=0)
    images, table, sidecar = open_array(args.array)
    del images  # mapped files cannot be dropped from memory
    rows = rows_by_split(table, sidecar["settings"])
    results = read(args, sidecar, rows["train"], (table["level"] > 0).to_numpy())
    images = map_images(args.array, sidecar)
    for split in ("val", "test") if args.seeds else ():
        results += [(f"{split} {what}", *row) for what, *row in score(images, table, rows[split], folders)]
    record.write(f"shuffle-{sidecar['shape'][1]}", results)


if __name__ == "__main__":
    run_main(main)
