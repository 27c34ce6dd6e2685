"""Extract photographs from a split zip file, read directly from its parts.

download_images.sh runs this module, which makes no network requests:

    python -m eyenet.download.archive unpack OUTPUT train     OUTPUT/archives/train.zip.001 ... -> OUTPUT/train/*.jpeg
    python -m eyenet.download.archive labels OUTPUT TABLE     OUTPUT/archives/trainLabels.csv.zip -> TABLE
    python -m eyenet.download.archive count OUTPUT TABLE train|test ...     the summary line, on stdout

The competition's train.zip is one 35 GB file, split at arbitrary bytes. Joining the parts first takes another 35 GB
and half an hour; Python's zipfile reads any object with `seek` and `read`.
"""

import argparse
import bisect
import contextlib
import csv
import os
import shutil
import signal
import stat
import sys
import threading
import zipfile
import zlib
from pathlib import Path

from eyenet.run.errors import PhotoError, StageError, log, plural
from eyenet.run.files import TEMPORARY, whole_file, write_whole
from eyenet.run.processes import end_with_parent
from eyenet.run.script import run_main
from eyenet.run.workers import cores, for_each

# Exceptions of zipfile for a damaged archive: wrong CRC or magic number, invalid deflate data, unexpected end of file,
# unknown compression method, name that is not UTF-8.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)


class Parts:
    """A read-only file that joins the parts of a split file, with the methods that zipfile needs.

    Parameters
    ----------
    paths : list of path-like
        The parts, in order.
    """

    def __init__(self, paths):
        self.paths = list(paths)
        self.files = [os.open(path, os.O_RDONLY) for path in self.paths]
        self.starts = [0]  # offset of each part's first byte, and of the end
        for file in self.files:
            self.starts.append(self.starts[-1] + os.fstat(file).st_size)
        self.position = 0

    def seekable(self):
        return True

    def tell(self):
        return self.position

    def seek(self, offset, whence=os.SEEK_SET):
        self.position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.starts[-1]}[whence]
        return self.position

    def read(self, size=-1):
        """Read `size` bytes across parts; fewer only at the end, because zipfile interprets a short read as the end."""
        end = self.starts[-1] if size < 0 else min(self.position + size, self.starts[-1])
        pieces = []
        while self.position < end:
            index = bisect.bisect_right(self.starts, self.position) - 1
            data = os.pread(self.files[index], end - self.position, self.position - self.starts[index])
            if not data:  # the part was truncated during reading
                break
            pieces.append(data)
            self.position += len(data)
        return b"".join(pieces)

    def holding(self, start, end):
        """List the parts that hold the bytes from `start` up to `end`."""
        return self.paths[bisect.bisect_right(self.starts, start) - 1 : bisect.bisect_left(self.starts, end)]

    def close(self):
        for file in self.files:
            os.close(file)


def check_entry(info, archive):
    """Refuse an archive with an entry that could be written outside the folder, or that is encrypted."""
    name = info.orig_filename  # zipfile has already cut .filename at a zero byte
    outside = name.startswith("/") or ".." in name.split("/") or any(c in name for c in "\\:\0")
    if outside or stat.S_ISLNK(info.external_attr >> 16):
        raise StageError(
            f"{archive} holds {name!r}, which could leave the folder, so nothing was unpacked: "
            "this is not the competition's archive; move its parts away and check where they came from"
        )
    if info.flag_bits & 1:
        raise StageError(f"{archive} holds {name!r} encrypted, so it is not the competition's archive")


def select_photographs(entries, folder, archive):
    """List the entries `folder`/*.jpeg by offset, after checking the names of all entries."""
    chosen = {}
    for info in entries:
        check_entry(info, archive)
        name = info.filename.removeprefix(folder + "/")
        if name == info.filename or "/" in name or name.startswith(".") or not name.endswith(".jpeg"):
            continue
        if name.lower() in chosen:  # some file systems ignore case
            raise StageError(f"{archive} holds {info.filename} twice, so it is not the competition's archive")
        chosen[name.lower()] = info
    others = sum(not info.is_dir() for info in entries) - len(chosen)
    if others:
        log(f"note: {others} entries of {archive} are not photographs of {folder} and were not unpacked")
    if not chosen:
        raise StageError(f"{archive} holds no {folder}/*.jpeg, so it is not the competition's archive")
    return sorted(chosen.values(), key=lambda info: info.header_offset)


def is_unpacked(path, info):
    """Return whether the file equals the entry, by size and CRC-32."""
    try:
        if path.stat().st_size != info.file_size:
            return False
        crc = 0
        with open(path, "rb") as file:
            while data := file.read(1 << 20):
                crc = zlib.crc32(data, crc)
        return crc == info.CRC
    except FileNotFoundError:
        return False


def discard(parts, what):
    """Delete damaged parts, so that the next run downloads them again, and raise a `StageError` that says so."""
    for part in parts:
        part.unlink(missing_ok=True)
    names = " and ".join(str(part) for part in parts)
    raise StageError(
        f"{what} cannot be read completely (wrong CRC-32), so {names} is damaged and was deleted; "
        "run the same command again to download it"
    )


def unpack(output, folder, workers):
    """Write OUTPUT/`folder`/*.jpeg from the parts of OUTPUT/archives/`folder`.zip, and `folder`.complete.

    Complete photographs are kept. A damaged entry does not stop the others: one run finds all damaged entries and
    deletes the parts that hold them.

    Returns
    -------
    int
        Number of photographs in the archive.
    """
    target = output / folder
    target.mkdir(parents=True, exist_ok=True)
    for left in target.glob(TEMPORARY + "*"):
        left.unlink(missing_ok=True)
    parts = sorted((output / "archives").glob(f"{folder}.zip.[0-9][0-9][0-9]"))
    if not parts:
        raise StageError(f"there is no {output / 'archives' / folder}.zip.001; run download_images.sh --kaggle")
    # zipfile counts its open entries without a lock, so entries are opened and closed one at a time; reading, which
    # takes the time, needs no lock.
    one_at_a_time = threading.Lock()

    def unpack_one(info):
        path = target / info.filename.rpartition("/")[2]
        if is_unpacked(path, info):
            return
        try:
            with one_at_a_time:
                entry = archive.open(info)
            try:
                with whole_file(path) as temporary, open(temporary, "wb") as file:
                    shutil.copyfileobj(entry, file, 1 << 20)  # zipfile compares the CRC at the last byte
            finally:
                with one_at_a_time:
                    entry.close()
        except DAMAGED as error:
            raise PhotoError(str(error)) from error

    with contextlib.closing(Parts(parts)) as joined:
        try:
            archive = zipfile.ZipFile(joined)
        except DAMAGED:
            discard(parts[-1:], "the archive's table of contents, at its end,")
        entries = select_photographs(archive.infolist(), folder, f"{parts[0].parent / folder}.zip")
        damaged = [info for info, bad in for_each(unpack_one, entries, workers, f"unpack {folder}") if bad]
        if damaged:
            where = set()
            for info in damaged:  # header (30 bytes and the name; the extra field is a few more), then data
                end = info.header_offset + 30 + len(info.filename.encode()) + info.compress_size
                where.update(joined.holding(info.header_offset, end))
            more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
            discard(sorted(where) or parts[-1:], damaged[0].filename + more)
    os.sync()  # before the parts may be deleted: a power cut must not take both
    write_whole(output / f"{folder}.complete", f"{len(entries)}\n".encode())
    return len(entries)


def write_labels(output, table):
    """Write the competition's label table; an existing other table is renamed to TABLE.old, with a note."""
    archive = output / "archives" / "trainLabels.csv.zip"
    try:
        with zipfile.ZipFile(archive) as file:
            data = file.read("trainLabels.csv")
    except (*DAMAGED, KeyError):
        discard([archive], "trainLabels.csv")
    if table.exists():
        if table.read_bytes().split() == data.split():  # line endings may differ
            return
        old = table.with_name(table.name + ".old")
        os.replace(table, old)
        log(f"note: {table} was not the competition's table; it is now {old}")
    table.parent.mkdir(parents=True, exist_ok=True)
    write_whole(table, data)


def count(output, table, folders):
    """Return the summary line; log labels without a photograph and photographs without a label."""

    def name_some(names, what, several):
        if names:
            few = ", ".join(sorted(names)[:5]) + " ..." * (len(names) > 5)
            log(f"note: {plural(len(names), what, several)}: {few}")

    summary = []
    for folder in folders:
        found = {path.stem for path in (output / folder).glob("*.jpeg")}
        summary.append(f"{plural(len(found), 'photograph')} in {output / folder}")
        if folder == "train":
            with open(table, newline="", encoding="utf-8-sig") as file:  # its content is checked by step 3
                labels = {row.get("image") for row in csv.DictReader(file)}
            if None in labels:
                raise StageError(f"{table} has no column image, so it is not a label table")
            name_some(labels - found, "label has no photograph", "labels have no photograph")
            name_some(found - labels, "photograph has no label", "photographs have no label")
            summary.append(f"{plural(len(labels), 'label')} in {table}")
    return ", ".join(summary)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["unpack", "labels", "count"])
    parser.add_argument("output", type=Path)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    end_with_parent(os.getppid())
    if options.action == "labels":
        write_labels(options.output, Path(options.names[0]))
    elif options.action == "count":
        print(count(options.output, Path(options.names[0]), options.names[1:]))
    else:
        for folder in options.names:
            unpack(options.output, folder, min(cores(), 8))


if __name__ == "__main__":
    sys.argv[0] = "download_images.sh"  # the name in error messages
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the script handles Ctrl-C; complete files are kept
    run_main(main)
