"""Files that are written whole or not at all.

A script may be killed at any moment. Each file is therefore written under a temporary name and renamed when it is
complete: the next run finds complete files only, makes the missing ones, and ends with the same bytes.
"""

import contextlib
import csv
import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from eyenet.run.errors import StageError

TEMPORARY = ".tmp-"  # prefix of incomplete files; `output_folder` removes those that a killed run left


class Paths(Sequence):
    """Paths of the files in one folder, created on access: a million `Path` objects would take 800 MB."""

    def __init__(self, folder, names, ending=""):
        self.folder, self.names, self.ending = Path(folder), names, ending

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Paths(self.folder, self.names[index], self.ending)
        return self.folder / (self.names[index] + self.ending)


@contextlib.contextmanager
def whole_file(path, source=None, alone=False):
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    Parameters
    ----------
    path : path-like
    source : path-like, optional
        The file gets the modification time of this one, by which `is_current` recognises it.
    alone : bool
        Only one process writes this file, so the temporary name can be fixed, and the rest of a killed run is
        overwritten. Default: a name that no other thread, process or host uses.

    Raises
    ------
    StageError
        If `path` exists and is not a regular file: renaming would replace a device.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise StageError(f"{path} exists and is not a regular file; choose another name")
    temporary = path.with_name(TEMPORARY + (path.name if alone else uuid.uuid4().hex))
    try:
        yield temporary
        if source is not None:
            time = os.stat(source).st_mtime_ns
            os.utime(temporary, ns=(time, time))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path, data, source=None):
    """Write bytes to a file, whole or not at all; `source` as in `whole_file`."""
    with whole_file(path, source) as temporary:
        temporary.write_bytes(data)


def write_json(path, value):
    """Write a value as JSON, whole or not at all."""
    write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(errors="replace"))


def read_json(path):
    """Read a JSON file that holds an object; return None if it is missing or damaged."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_rows(path, header, rows):
    """Write a CSV table (UTF-8, LF), whole or not at all; ? stands for the bytes of a name that is not UTF-8."""
    with (
        whole_file(path, alone=True) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="replace") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def sha256(path):
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place(source, target):
    """Make `target` a hard link to `source`, or a copy if the file system has no hard links."""
    with whole_file(target, source) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            temporary.write_bytes(Path(source).read_bytes())


def is_current(target, source):
    """Return whether `target` was made from the present `source`: both have the same time, to a microsecond.

    Make's rule (newer than the source) would miss a photograph that is replaced by one with an older time.
    """
    try:
        return os.stat(target).st_mtime_ns // 1000 == os.stat(source).st_mtime_ns // 1000
    except FileNotFoundError:
        return False


def has_ending(name, endings):
    """Return whether a file name has one of the endings, in upper or lower case, and is not hidden."""
    return not name.startswith(".") and Path(name).suffix.lower() in endings


def refuse_same_file(read, written, option):
    """Raise a StageError if a table would overwrite the one that is read."""
    if Path(read).resolve() == Path(written).resolve():
        raise StageError(f"{option} would overwrite the input table {read}; choose another name")
