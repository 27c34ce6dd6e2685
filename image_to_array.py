#!/usr/bin/env python3
"""Step 5: pack the images into one array that training reads without loading it into memory.

Reads   data/rotated/*.png, labels/rotated.csv
Writes  data/array/X.npy                  uint8, shape (images, 256, 256, 3)
        data/array/X-00000.npy ...        instead, with --shard-size N: N images each, fewer in the last one
        data/array/labels.csv             row i describes image i, in one file or in shards
        data/array/X.json                 shape and checksums; cnn.py refuses an array without it
        data/array/rejected.csv           images that could not be read, with the reason

    python image_to_array.py
    python image_to_array.py --shard-size 5120        shards of 1 GB, if one disk or host cannot hold the array

Each worker reads 64 images into a buffer of 13 MB and writes it at its place in the file. Memory is about 120 MB on
two cores, plus half a kilobyte per image for its name. (A writable memory map would count every page it touched as
memory, and a full disk would kill the process by a signal.) Kaggle's 107,000 images take 21 GB of disk and two
minutes on two cores. Stopped and run again, it continues with the next block. A shard is written by one worker, from
start to end; finished shards are not written again. Every later script reads either layout.
"""

import argparse
import functools
import hashlib
import os
import stat

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
from eyenet.run.errors import PhotoError, StageError, log, plural
from eyenet.run.files import Paths, read_json, write_json, write_whole
from eyenet.run.folder import list_files, report_unlisted
from eyenet.run.options import fitting_next, fraction, parser, print_next
from eyenet.run.script import run_main
from eyenet.run.stage import image_stage
from eyenet.run.workers import for_each

DONE = ".done"  # fingerprint of the inputs that were packed; X.json describes only the bytes of the array


def images_of(folder, table):
    """Return the paths of a table's images."""
    return Paths(folder, table["image"].tolist(), ".png")


def identify(path):
    """Return the size and time of a PNG file and the checksums at its end as text, `missing` if there is none.

    A file may be replaced by one of the same size and time. Its last bytes are the Adler-32 of its pixels, the CRC-32
    of its last chunk of pixels, and the chunk IEND.
    """
    try:
        status, end = os.stat(path), b""
        if stat.S_ISREG(status.st_mode):  # opening a pipe would wait
            with open(path, "rb", buffering=0) as file:
                file.seek(-min(20, status.st_size), os.SEEK_END)
                end = file.read(20)
    except FileNotFoundError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns} {end.hex()}"


def fingerprint(paths, table):
    """Hash the table and what identifies every image: everything that the array's bytes depend on."""
    digest = hashlib.sha256()
    for first in range(0, len(table), 4096):  # in parts, to save memory
        digest.update(table[first : first + 4096].to_csv(index=False, header=first == 0).encode())
    for path in paths:
        digest.update(f"{path.name} {identify(path)}\n".encode())
    return digest.hexdigest()


def read_same_size(path, shape):
    """Read an image; raise a PhotoError if its shape differs from the others'."""
    image = read_crop(path)
    if image.shape != shape:
        raise PhotoError(f"is {image.shape[1]} x {image.shape[0]} pixels, the others are {shape[1]} x {shape[0]}")
    return image


def read_block(paths, shape):
    """Read up to 64 images, zeros for those that cannot be read; return them and a list of (path, PhotoError)."""
    images, rejected = np.zeros((len(paths), *shape), np.uint8), []
    for image, path in zip(images, paths):
        try:
            image[:] = read_same_size(path, shape)
        except PhotoError as error:
            rejected.append((path, error))
    return images, rejected


def finished_blocks(journal, identity):
    """Return the checksums of the blocks that an interrupted run of the same inputs has written."""
    if not journal.exists():
        return []
    lines = journal.read_text().split("\n")[:-1]  # the last line may be incomplete
    return lines[1:] if lines[:1] == [identity] else []


def pack(paths, output, shape, identity, workers):
    """Write the images into X.npy.partial, block by block.

    Returns
    -------
    checksums : list of str
    rejected : list of (path, PhotoError)
        Images that could not be read; if there are any, the file must be packed again without them.
    """
    partial, journal = output / "X.npy.partial", output / "X.npy.journal"
    checksums = finished_blocks(journal, identity) if partial.exists() else []
    if not checksums:  # before `reserve`: a journal must never outlive the file that it describes
        journal.unlink(missing_ok=True)
    file, begin = reserve(partial, (len(paths), *shape), keep=bool(checksums))
    os.close(file)  # each block opens it again, perhaps on another host
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
    """Write one shard; any worker on any host can do it.

    Parameters
    ----------
    item : (Path, list of Path)
        The path of the shard and its images.
    shape : tuple of int
        Shape of one image.

    Returns
    -------
    checksums : list of str
    rejected : list of (path, PhotoError)
        Images that could not be read; if there are any, the shard must be written again without them.
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
    """Return the checksums of the shards that an interrupted run has written from the same images, by name."""
    lines = [line.split(" ") for line in journal.read_text().split("\n")[:-1]] if journal.exists() else []
    known = {name: sums for name, identity, *sums in lines if identities.get(name) == identity}
    return {name: sums for name, sums in known.items() if (journal.parent / name).exists()}


def pack_shards(paths, table, output, shape, shard_size, workers):
    """Write the images into shards; return the same as `pack`."""
    files, journal = shard_files(len(paths), shard_size), output / "X.npy.journal"
    identities = {name: fingerprint(paths[first:last], table[first:last]) for name, first, last in files}
    done = finished_shards(journal, identities)
    remove_images(output, keep=done)
    todo = [(output / name, paths[first:last]) for name, first, last in files if name not in done]
    require_space(output, (sum(len(images) for _, images in todo), *shape))

    def line(name):
        return " ".join([name, identities[name], *done[name]]) + "\n"

    write_whole(journal, "".join(map(line, done)).encode())  # shards that are not listed are written again
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
    """Pack the images of a table, except those that cannot be read.

    Returns
    -------
    rejected : list of (str, str)
        Name and reason of the images that are left out.
    """
    rejected = []
    while True:  # again without the damaged images, if there are any
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
    """Return whether the array of these inputs is complete."""
    if (read_json(output / DONE) or {}).get("inputs") != identity:
        return False
    try:
        open_array(output)
    except StageError as error:
        log(f"packing again: {error}")
        return False
    return True


def pack_once(output, source, table, shard_size, workers):
    """Pack the images of a table unless they are packed already; return what `pack_readable` returns."""
    identity = fingerprint(images_of(source, table), table)
    if is_packed(output, identity):
        return [tuple(row) for row in read_json(output / DONE)["rejected"]]
    for name in (DONE, "X.json"):
        (output / name).unlink(missing_ok=True)
    settings = read_json(output / "stage.json")["settings"]
    settings.pop("shard_size", None)  # not a property of the images: training can continue with either layout
    rejected = pack_readable(source, table, output, settings, shard_size, workers)
    write_json(output / DONE, {"inputs": identity, "rejected": rejected})
    return rejected


def describe_files(output, count, shard_size):
    """Name the files of an array and their size for the summary."""
    files = [output / name for name, *_ in shard_files(count, shard_size)]
    size = sum(path.stat().st_size for path in files) / 1e9
    names = files[0] if len(files) == 1 else f"{len(files):,} shards, {files[0]} to {files[-1].name}"
    return f"{names}, {size:.2f} GB"


def whole_blocks(text):
    """Parse the images per shard: a multiple of 64, so that each block with a checksum lies in one shard."""
    number = int(text)
    if number <= 0 or number % IMAGES_PER_BLOCK:
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of {IMAGES_PER_BLOCK}, the images per checksum")
    return number


def main():
    places = {"input": "data/rotated", "output": "data/array", "labels": "labels/rotated.csv"}
    options = parser(__doc__, **places, workers=None, scheduler=None)
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction that may be rejected")
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
    settings = {"shard_size": args.shard_size} if args.shard_size else {}
    workers = {"reads": files[:1], "threads": args.workers, "scheduler": args.scheduler}
    with image_stage("image_to_array.py", args.output, settings, args.input, **workers) as stage:
        stage.rejected.extend(pack_once(stage.folder, args.input, table, args.shard_size, stage.workers))
        code = stage.finish(len(table), args.max_rejected)
    rejected = len(stage.rejected)
    packed = len(table) - rejected
    files = describe_files(args.output, packed, args.shard_size)
    print(f"packed {plural(packed, 'image')} in {files}, {rejected} rejected")
    print_next(f"python cnn.py{fitting_next(options, args, output='input')}")
    return code


if __name__ == "__main__":
    run_main(main)
