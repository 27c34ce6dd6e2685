"""Whole files, and an output folder of a stage's own.

A stage is a script that reads one folder and writes another. It may be killed at any moment: each file is
written under a temporary name and renamed when whole, so the next run sees whole files only, does what is
missing and ends with the same bytes.
"""

import contextlib
import csv
import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from eyenet.run.errors import EXIT_REJECTED, StageError, log

TEMPORARY = ".tmp-"  # files of an interrupted run begin with this and are removed by the next one


class Paths(Sequence):
    """The paths of files in one folder, each made when it is asked for: a million at once would take 800 MB."""

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
    """Give a temporary path beside `path`; on success rename it to `path`, on failure remove it.

    With a `source`, the file gets the time of the source: `is_current` will know it by that. `alone` is for a file
    that one run at a time writes, wherever it is: its temporary name is always the same, so that what a killed run
    has left is written over. (In an output folder `output_folder` removes it.)
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # renaming over a device would replace it
        raise StageError(f"{path} is there and is no plain file; choose another name")
    # Else a name that no other thread, process or host has.
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
    """Write `data` (bytes) so that `path` is either absent, as it was, or whole."""
    with whole_file(path, source) as temporary:
        temporary.write_bytes(data)


def write_json(path, value):
    """Write `value` as JSON, whole or not at all."""
    write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path):
    """Read a JSON file that holds an object; None where it is absent or damaged."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_rows(path, header, rows):
    """Write a CSV table (UTF-8, LF), whole or not at all."""
    with whole_file(path, alone=True) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def place(source, target):
    """Give `source` a second name, `target`, by hard link, or a copy where the file system has none."""
    with whole_file(target, source) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            temporary.write_bytes(Path(source).read_bytes())


def is_current(target, source):
    """Tell whether `target` was made from `source` as it is now: it has the time of its source, to a microsecond.

    (Make's rule, newer than the source, would miss a photograph that is replaced by one with an older time.)
    """
    try:
        return os.stat(target).st_mtime_ns // 1000 == os.stat(source).st_mtime_ns // 1000
    except FileNotFoundError:
        return False


def refuse_same_file(read, written, option):
    """Refuse to write a table over the one that is read.

    Raises
    ------
    StageError
    """
    if Path(read).resolve() == Path(written).resolve():
        raise StageError(f"{option} would overwrite {read}, which is read; choose another name")


def list_files(folder, endings, made_by):
    """List a folder's files with one of the endings, sorted by name; their `Paths`.

    Raises
    ------
    StageError
        If the folder is missing or holds no such file; the message names the script that makes it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StageError(f"there is no folder {folder}; {made_by} makes it")
    names = sorted(name for name in os.listdir(folder) if has_ending(name, endings))
    if not names:
        inside = " (folders in it are not looked into)" if any(p.is_dir() for p in folder.iterdir()) else ""
        raise StageError(f"{folder} holds no {'/'.join(endings)} file{inside}; {made_by} fills it")
    return Paths(folder, names)


def has_ending(name, endings):
    """Tell whether a file's name has one of the endings, in any case, and is not hidden."""
    return not name.startswith(".") and Path(name).suffix.lower() in endings


@contextlib.contextmanager
def output_folder(folder, script, settings, source=None, record="stage.json", keep_notes=False, **notes):
    """Own an output folder for the time of a run.

    Makes it, locks it against a second run, removes what an interrupted run left half-written, and writes
    a record of what made the folder.

    Parameters
    ----------
    folder : path-like
    script : str
        File name of the stage.
    settings : dict
        What the bytes in the folder depend on. A folder that was made with other settings is refused, since
        a mixture would be neither.
    source : path-like, optional
        The folder that the stage reads; the settings that made it count as settings of this one too.
    record : str
        Name of the JSON file that says what made the folder; it says `finished` only after a whole run.
    keep_notes : bool
        Leave the notes of the first run as they are.
    **notes
        More to record, not compared.

    Raises
    ------
    StageError
        If the folder holds something else, was made with other settings, or is in use, or if the source is not
        finished.
    """
    folder = Path(folder)
    if source is not None:
        made = read_json(Path(source) / "stage.json") or {"finished": True}  # a folder from elsewhere
        if not made.get("finished"):
            raise StageError(f"{source} is not finished; run {made.get('script')} again first")
        settings = {**settings, "input": made.get("settings")}
    known = _known(folder, script, settings, record)
    with locked(folder):
        for name in os.listdir(folder):  # glob would hold an object for each file
            if name.startswith(TEMPORARY):
                (folder / name).unlink(missing_ok=True)
        before = {k: v for k, v in (known or {}).items() if k != "finished"}
        made = {"script": script, "settings": settings, **(before if keep_notes and known else notes)}
        write_json(folder / record, made)
        yield folder
        write_json(folder / record, {**(read_json(folder / record) or made), "finished": True})


@contextlib.contextmanager
def locked(folder):
    """Make a folder, and keep a second run out of it.

    Raises
    ------
    StageError
        If another run is there.
    """
    import fcntl  # here, since Windows has none and predict.py runs there too

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(f"another run is writing to {folder}; wait for it, or stop it") from None
        except OSError:  # some network file systems have no locks
            log(f"note: {folder} cannot be locked; do not run this stage twice at once")
        yield


def _known(folder, script, settings, record):
    """Read the record of an output folder; None for a new one. Refuse a folder that this run must not write to."""
    if folder.exists() and not folder.is_dir():
        raise StageError(f"{folder} is a file, but {script} writes a folder; choose another --output")
    known = read_json(folder / record)
    if known is None and (folder / record).exists():
        raise StageError(f"{folder / record} is damaged; delete the folder {folder} to make it anew")
    if known is None and folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir()):
        raise StageError(f"{folder} holds files that {script} did not make; write to another folder, or empty it")
    if known is not None and (known.get("script"), known.get("settings")) != (script, settings):
        raise StageError(
            f"{folder} was made with other settings or from other images ({_differences(known, script, settings)}); "
            "delete it to make it anew, or write to another folder"
        )
    return known


def _differences(known, script, settings):
    """Name the settings in which a folder's record and this run differ, as `there -> here`."""

    def flat(value, prefix=""):
        if not isinstance(value, dict):
            return {prefix.strip(): value}
        return {k: v for key, part in value.items() for k, v in flat(part, f"{prefix} {key}").items()}

    there = {"script": known.get("script"), **flat(known.get("settings"))}
    here = {"script": script, **flat(settings)}
    differing = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    return ", ".join(f"{key}: {str(there.get(key))[:12]} -> {str(here.get(key))[:12]}" for key in differing)


def report_unlisted(files, table, path):
    """Say how many images are not in a table, and name the first."""
    listed = set(table["image"])
    names = sorted(file.stem for file in files if file.stem not in listed)
    if names:
        more = " ..." if len(names) > 8 else ""
        log(f"{len(names):,} images are not in {path} and are left out: {', '.join(names[:8])}{more}")


def remove_stale(folder, expected):
    """Remove the images but those `expected` (names without .png), so that the folder equals one made from scratch."""
    folder = Path(folder)
    names = (name for name in os.listdir(folder) if name.endswith(".png"))
    stale = [name for name in names if name.removesuffix(".png") not in expected]
    for name in stale:
        (folder / name).unlink()
    if stale:
        log(f"removed {len(stale)} images from {folder} whose photographs are no longer in the input")


def finish(rejected, total, max_rejected, folder):
    """Write `rejected.csv` and turn the number of rejected images into an exit code.

    Parameters
    ----------
    rejected : list of (str, str)
        Name and reason.
    total : int
        Images seen.
    max_rejected : float
        Fraction that may fail.
    folder : path-like

    Returns
    -------
    int
        0, or 3 when too many failed.
    """
    path = Path(folder) / "rejected.csv"
    write_rows(path, ["image", "reason"], sorted(rejected))
    for name, reason in sorted(rejected)[:10]:
        log(f"rejected {name}: {reason}")
    if len(rejected) > 10:
        log(f"... and {len(rejected) - 10} more, in {path}")
    if len(rejected) > max_rejected * total:
        log(
            f"error: {len(rejected)} of {total} images were rejected, more than --max-rejected "
            f"{max_rejected:.0%}; the reasons are in {path}"
        )
        return EXIT_REJECTED
    return 0
