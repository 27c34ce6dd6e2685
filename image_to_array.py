#!/usr/bin/env python3
"""Step 5: pack the images into one array that training reads without loading it.

Reads   data/rotated/*.png, labels/rotated.csv
Writes  data/array/X.npy                  uint8, (images, 256, 256, 3)
        data/array/X-00000.npy ...        instead, with --shard-size N: N images each, the last one fewer
        data/array/labels.csv             row i describes image i, in one file or in shards
        data/array/X.json                 shape and checksums; cnn.py refuses an array without it
        data/array/rejected.csv           images that could not be read, with the reason

    python image_to_array.py
    python image_to_array.py --shard-size 5120        shards of 1 GB, for more than one disk or host can take

Each worker reads 64 images into a buffer of 13 MB and writes it at its place in the file, so memory is near 120 MB on
two cores, and half a kilobyte an image more for its name. (A writable memory map would do the same but counts every
page it touched as memory, and dies by a signal when the disk is full.) Kaggle's 106,386 images need 20.9 GB of
disk and two minutes on two cores. Stopped and run again, it goes on with the next block. A shard is written by one
worker, from one end to the other; those that are finished are not written again. Whoever reads shards reads the array.
"""

import argparse
import functools
import hashlib
import os

import numpy as np

from eyenet.data.array import COLUMNS, IMAGES_PER_BLOCK, checksum, open_array
from eyenet.data.packing import (
    first_shape,
    remove_images,
    require_space,
    reserve,
    write_at,
    write_images,
    write_sidecar,
)
from eyenet.data.shards import shard_files
from eyenet.data.tables import read_table
from eyenet.photo.png import read_crop
from eyenet.run.errors import PhotoError, StageError, log
from eyenet.run.files import Paths, read_json, write_json, write_whole
from eyenet.run.folder import finish, list_files, output_folder, report_unlisted
from eyenet.run.options import fitting_next, fraction, parser
from eyenet.run.script import run_main
from eyenet.run.workers import crew, for_each

DONE = ".done"  # which inputs, by their times, the array was packed from; X.json speaks of the bytes alone


def images_of(folder, table):
    """Give the paths of a table's images."""
    return Paths(folder, table["image"].tolist(), ".png")


def size_and_time(path):
    """Give the size and time of a file as text, `missing` if there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def fingerprint(paths, table):
    """Hash the table and the size and time of every image: what the array's bytes depend on."""
    digest = hashlib.sha256()
    for first in range(0, len(table), 4096):  # the whole text would be held at once
        digest.update(table[first : first + 4096].to_csv(index=False, header=first == 0).encode())
    for path in paths:
        digest.update(f"{path.name} {size_and_time(path)}\n".encode())
    return digest.hexdigest()


def read_same_size(path, shape):
    """Read an image that must have the shape of the others."""
    image = read_crop(path)
    if image.shape != shape:
        raise PhotoError(f"is {image.shape[1]} x {image.shape[0]} pixels, the others are {shape[1]} x {shape[0]}")
    return image


def read_block(paths, shape):
    """Read up to 64 images; zeros for those that cannot be read, and these with the reason."""
    images, rejected = np.zeros((len(paths), *shape), np.uint8), []
    for image, path in zip(images, paths):
        try:
            image[:] = read_same_size(path, shape)
        except PhotoError as error:
            rejected.append((path, error))
    return images, rejected


def finished_blocks(journal, identity):
    """List the checksums of the blocks that an interrupted run of the same inputs has written."""
    if not journal.exists():
        return []
    lines = journal.read_text().split("\n")[:-1]  # what follows the last line end was cut off
    return lines[1:] if lines[:1] == [identity] else []


def pack(paths, output, shape, identity, workers):
    """Write the images into X.npy.partial, block by block.

    Returns
    -------
    checksums : list of str
    rejected : list of (path, PhotoError)
        Images that could not be read; where there are any, the file is of no use.
    """
    partial, journal = output / "X.npy.partial", output / "X.npy.journal"
    checksums = finished_blocks(journal, identity) if partial.exists() else []
    if not checksums:  # first, or a run that is killed before it writes its own would leave one that fits no array
        journal.unlink(missing_ok=True)
    file, begin = reserve(partial, (len(paths), *shape), keep=bool(checksums))
    os.close(file)  # who writes a block opens it, maybe on another host
    if not checksums:
        journal.write_text(identity + "\n")

    def pack_block(item):
        block, start = item
        images, rejected = read_block(block, shape)
        file = os.open(partial, os.O_WRONLY)
        try:
            write_at(file, images, begin + start * int(np.prod(shape)))
        finally:
            os.close(file)
        return checksum(images), rejected

    rejected = []
    todo = [
        (paths[at : at + IMAGES_PER_BLOCK], at)
        for at in range(len(checksums) * IMAGES_PER_BLOCK, len(paths), IMAGES_PER_BLOCK)
    ]
    with open(journal, "a") as done:
        for _, (crc, bad) in for_each(pack_block, todo, workers, "pack", f"x{IMAGES_PER_BLOCK} img"):
            rejected += bad
            checksums.append(crc)
            if not rejected:
                print(crc, file=done, flush=True)
    return checksums, rejected


def pack_shard(item, shape):
    """Write one shard, from what the item holds alone: any worker on any host can do it.

    Parameters
    ----------
    item : (Path, list of Path)
        The shard, and the images for it.
    shape : tuple of int
        Of an image.

    Returns
    -------
    checksums : list of str
    rejected : list of (path, PhotoError)
        Images that could not be read; where there are any, the shard is of no use.
    """
    target, paths = item
    rejected = []

    def blocks():
        for start in range(0, len(paths), IMAGES_PER_BLOCK):
            images, bad = read_block(paths[start : start + IMAGES_PER_BLOCK], shape)
            rejected.extend(bad)
            yield images

    return write_images(target, (len(paths), *shape), blocks()), rejected


def finished_shards(journal, identities):
    """Map the shards that an interrupted run has written, of the images that they are for now, to their checksums."""
    lines = [line.split(" ") for line in journal.read_text().split("\n")[:-1]] if journal.exists() else []
    known = {name: sums for name, identity, *sums in lines if identities.get(name) == identity}
    return {name: sums for name, sums in known.items() if (journal.parent / name).exists()}


def pack_shards(paths, table, output, shape, shard_size, workers):
    """Write the images into shards; return what `pack` does."""
    files, journal = shard_files(len(paths), shard_size), output / "X.npy.journal"
    identities = {name: fingerprint(paths[first:last], table[first:last]) for name, first, last in files}
    done = finished_shards(journal, identities)
    remove_images(output, keep=done)
    todo = [(output / name, paths[first:last]) for name, first, last in files if name not in done]
    require_space(output, (sum(len(images) for _, images in todo), *shape))

    def line(name):
        return " ".join([name, identities[name], *done[name]]) + "\n"

    write_whole(journal, "".join(map(line, done)).encode())  # a shard that is not in it is written again
    rejected = []
    with open(journal, "a") as lines:
        work = functools.partial(pack_shard, shape=shape)
        for (target, _), (checksums, bad) in for_each(work, todo, workers, "pack", "shard"):
            rejected += bad
            if not bad:
                done[target.name] = checksums
                print(line(target.name), end="", file=lines, flush=True)
    return [crc for name, *_ in files for crc in done.get(name, [])], rejected


def pack_readable(folder, table, output, settings, shard_size, workers):
    """Pack the images of a table, without those that cannot be read.

    Returns
    -------
    rejected : list of (str, str)
        Name and reason of the images that are left out.
    """
    rejected = []
    while True:  # a second time without the damaged images, if there are any
        paths = images_of(folder, table)
        shape = first_shape(paths)
        if shard_size:
            checksums, bad = pack_shards(paths, table, output, shape, shard_size, workers)
        else:
            checksums, bad = pack(paths, output, shape, fingerprint(paths, table), workers)
        if not bad:
            break
        rejected += [(path.name, str(error)) for path, error in bad]
        table = table[~table["image"].isin([path.stem for path, _ in bad])].reset_index(drop=True)
    if not shard_size:
        os.replace(output / "X.npy.partial", output / "X.npy")
    write_sidecar(output, table, (len(table), *shape), settings, checksums, shard_size)
    (output / "X.npy.journal").unlink()
    return rejected


def is_packed(output, identity):
    """Tell whether the array of these inputs is there and whole."""
    if (read_json(output / DONE) or {}).get("inputs") != identity:
        return False
    try:
        open_array(output)
    except StageError as error:
        log(f"packing again: {error}")
        return False
    return True


def whole_blocks(text):
    """Parse the images of a shard: a multiple of 64, so that a block with its checksum lies in one shard."""
    number = int(text)
    if number <= 0 or number % IMAGES_PER_BLOCK:
        raise argparse.ArgumentTypeError(
            f"{text} is not a multiple of {IMAGES_PER_BLOCK}, the images that have a checksum"
        )
    return number


def main():
    places = {"input": "data/rotated", "output": "data/array", "labels": "labels/rotated.csv"}
    options = parser(__doc__, **places, workers=None, scheduler=None)
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may fail")
    options.add_argument(
        "--shard-size",
        type=whole_blocks,
        metavar="N",
        help=f"images per file, a multiple of {IMAGES_PER_BLOCK}; default: a single X.npy",
    )
    args = options.parse_args()

    files = list_files(args.input, [".png"], "rotate_images.py")
    table = read_table(args.labels, COLUMNS, "rotate_images.py")
    report_unlisted(files, table, args.labels)
    own = {"shard_size": args.shard_size} if args.shard_size else {}
    with output_folder(args.output, "image_to_array.py", own, args.input) as output:
        identity = fingerprint(images_of(args.input, table), table)
        if is_packed(output, identity):
            rejected = [tuple(row) for row in read_json(output / DONE)["rejected"]]
        else:
            for name in (DONE, "X.json"):
                (output / name).unlink(missing_ok=True)
            settings = read_json(output / "stage.json")["settings"]
            settings.pop("shard_size", None)  # says nothing of the images: a model may go on with either
            with crew(args, files[:1], output) as workers:
                rejected = pack_readable(args.input, table, output, settings, args.shard_size, workers)
            write_json(output / DONE, {"inputs": identity, "rejected": rejected})
        code = finish(rejected, len(table), args.max_rejected, output)
    packed = len(table) - len(rejected)
    written = [args.output / name for name, *_ in shard_files(packed, args.shard_size)]
    size, where = sum(path.stat().st_size for path in written), written[0]
    if len(written) > 1:
        where = f"{len(written):,} shards, {where} to {written[-1].name}"
    print(f"packed {packed:,} images in {where}, {size / 1e9:.2f} GB, {len(rejected)} rejected")
    print(f"next: python cnn.py{fitting_next(options, args, output='input')}")
    return code


if __name__ == "__main__":
    run_main(main)
