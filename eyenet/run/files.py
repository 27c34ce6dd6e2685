"""Files that are written whole or not at all.

A script may be killed at any moment. Each file is therefore written under a temporary name and renamed when it is
complete: the next run finds complete files only, makes the missing ones, and ends with the same bytes.
"""

import contextlib
import csv
import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from eyenet.run.errors import StageError

TEMPORARY = ".tmp-"  # prefix of incomplete files; `output_folder` removes those that a killed run left
LATEST = "latest"  # in a folder of models: names the one in use
COARSE = 2_000_000_000  # ns: FAT stores times in steps of two seconds
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # how a cell begins that a spreadsheet would compute
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")


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
        The file gets the modification time of this one, for `is_unchanged`.
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
    temporary = path.with_name(TEMPORARY + (path.name if alone else os.urandom(16).hex()))
    try:
        yield temporary
        if source is not None:
            time = os.stat(source).st_mtime_ns
            os.utime(temporary, ns=(time, time))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
    """Write a CSV table (UTF-8, LF; cells as of `to_cell`), whole or not at all.

    ? stands for the bytes of a name that is not UTF-8.
    """
    with (
        whole_file(path, alone=True) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="replace") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([to_cell(value) for value in row] for row in rows)


def to_cell(value):
    """Mark a text that a spreadsheet would compute as a formula with an apostrophe in front; `from_cell` removes it.

    File names and patients come from others: `=HYPERLINK(...)_left.jpeg` must stay text when a table is opened [1]_.
    Numbers stay as they are.

    References
    ----------
    .. [1] https://owasp.org/www-community/attacks/CSV_Injection
    """
    if isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value):
        return "'" + value
    return value


def from_cell(text):
    """Return the text of a cell that `to_cell` wrote."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def plain(text):
    """Replace the unprintable characters of a name."""
    text = os.fsencode(str(text)).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def sha256(path):
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(data):
    """Return the SHA-256 of bytes as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_text(text):
    """Return the SHA-256 of a text, encoded as UTF-8, as hexadecimal digits."""
    return sha256_bytes(text.encode("utf-8", "surrogatepass"))


def place(source, target):
    """Make `target` a hard link to `source`, or a copy if the file system has no hard links."""
    with whole_file(target, source) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            temporary.write_bytes(Path(source).read_bytes())


def is_unchanged(path, size, time, recorded, since=None, digest=None):
    """Return whether a file is still the one that was recorded.

    Size and time alone would miss a file that is replaced by one of the same size and time: zip, DVC and some copying
    tools set fixed times, and uncompressed photographs of one camera have one size. Then the content decides.

    Parameters
    ----------
    path : path-like
    size, time : int
        Of the recorded file: bytes, and modification time in ns.
    recorded : str or callable
        SHA-256 of the recorded file, or a function that returns it.
    since : int, optional
        Time in ns at which the file was last known to be the recorded one. The kernel sets the time of the last
        change (ctime), which no tool can set back; if it is earlier, the content need not be read. Some file systems
        have no such time and give the modification time instead; then the content is read.
    digest : callable, optional
        Function that returns the SHA-256 of the present file. Default: read it.
    """
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return False
    if now.st_size != size or abs(now.st_mtime_ns - time) > COARSE:
        return False
    if since is not None and now.st_mtime_ns < now.st_ctime_ns < since - COARSE:
        return True
    return (digest() if digest else sha256(path)) == (recorded() if callable(recorded) else recorded)


def is_placed(target, source, since=None):
    """Return whether `target` is a link to, or a whole copy of, the present `source` (see `place`)."""
    try:
        placed, present = os.stat(target), os.stat(source)
    except FileNotFoundError:
        return False
    return os.path.samestat(placed, present) or is_unchanged(
        source, placed.st_size, placed.st_mtime_ns, lambda: sha256(target), since
    )


def follow(path):
    """Return the folder that `latest` names: on a disk without links it is a text file with the folder's name.

    Any other path is returned as it is.
    """
    path = Path(path)
    if path.name != LATEST or not path.is_file():
        return path
    try:
        name = path.read_text(encoding="utf-8").strip()
    except ValueError:
        return path
    named = path.with_name(name) if name and name == Path(name).name else path
    return named if named.is_dir() else path


def has_ending(name, endings):
    """Return whether a file name has one of the endings, in upper or lower case, and is not hidden."""
    return not name.startswith(".") and Path(name).suffix.lower() in endings


def refuse_same_file(read, written, option):
    """Raise a StageError if a table would overwrite the one that is read."""
    if Path(read).resolve() == Path(written).resolve():
        raise StageError(f"{option} would overwrite the input table {read}; choose another name")
