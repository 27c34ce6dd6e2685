"""How every stage runs: errors in one sentence, workers, progress, whole files, an output folder of its own.

A stage is a script that reads one folder and writes another. It may be killed at any moment: each file is
written under a temporary name and renamed when whole, so the next run sees whole files only, does what is
missing and ends with the same bytes.
"""

import argparse
import contextlib
import csv
import errno
import fcntl
import json
import os
import shlex
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

TEMPORARY = ".tmp-"  # files of an interrupted run begin with this and are removed by the next one
EXIT_FAILED, EXIT_REJECTED, EXIT_STOPPED = 1, 3, 130
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StageError(Exception):
    """The stage cannot go on; the message is one sentence for the user: what is wrong, where, what to do."""


class PhotoError(ValueError):
    """One photograph cannot be used; the message is the reason that goes into rejected.csv."""


def log(message):
    """Write a line to stderr without tearing a progress bar."""
    tqdm.write(str(message), file=sys.stderr)


def run_main(main):
    """Run a script's `main` and leave with an exit code that means something.

    0 done, 1 could not be done, 2 wrong usage (argparse), 3 done but more than --max-rejected photographs
    failed, 130 stopped by Ctrl-C. What a user can cause is answered by a sentence; only a bug shows a traceback.
    """
    name = Path(sys.argv[0]).name
    try:
        code = main() or 0
        sys.stdout.flush()
    except StageError as error:
        log(f"{name}: error: {error}")
        code = EXIT_FAILED
    except KeyboardInterrupt:
        log(f"{name}: stopped; run the same command again to go on from here")
        code = EXIT_STOPPED
    except BrokenPipeError:  # the reader of stdout went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in DISK_FULL:
            where += "the disk is full (or a quota is reached); free some space and run the same command again: "
        log(f"{name}: error: {where}{error.strerror or error}")
        code = EXIT_FAILED
    sys.exit(code)


def cores():
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def positive(text):
    """Parse a positive whole number of the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return number


def fraction(text):
    """Parse a number between 0 and 1 of the command line."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def parser(description, **defaults):
    """Make a stage's argument parser: its docstring as help, and the options that stages have in common.

    Parameters
    ----------
    description : str
        The script's docstring.
    **defaults : str or int
        Default of each common option that the script has: `input`, `output`, `labels`, `labels_out`,
        `workers` (any value: the default is all cores).

    Returns
    -------
    argparse.ArgumentParser
    """

    class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
        pass

    made = argparse.ArgumentParser(description=description, formatter_class=Formatter)
    helps = {
        "input": "folder to read",
        "output": "folder to write",
        "labels": "label table to read",
        "labels_out": "label table to write",
    }
    for name, text in helps.items():
        if name in defaults:
            made.add_argument("--" + name.replace("_", "-"), type=Path, default=defaults[name], help=text)
    if "workers" in defaults:
        made.add_argument("--workers", type=positive, default=cores(), help="threads at work")
    return made


def fitting_next(options, args, **passed):
    """Give the options that the next script needs because this one was not run with its defaults.

    Parameters
    ----------
    options : argparse.ArgumentParser
    args : argparse.Namespace
    **passed : str
        Option of this script to the option of the next one that takes the same value.

    Returns
    -------
    str
        Such as ``" --input data/mine"``, or nothing.
    """
    pairs = [(theirs, getattr(args, ours), options.get_default(ours)) for ours, theirs in passed.items()]
    return "".join(
        f" --{theirs.replace('_', '-')} {shlex.quote(str(value))}"
        for theirs, value, default in pairs
        if str(value) != str(default)
    )


@contextlib.contextmanager
def whole_file(path):
    """Give a temporary path beside `path`; on success rename it to `path`, on failure remove it."""
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{threading.get_ident()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path, data):
    """Write `data` (bytes) so that `path` is either absent, as it was, or whole."""
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def write_json(path, value):
    """Write `value` as JSON, whole or not at all."""
    write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path):
    """Read a JSON file; None where it is absent or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_rows(path, header, rows):
    """Write a CSV table (UTF-8, LF), whole or not at all."""
    with whole_file(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def place(source, target):
    """Give `source` a second name, `target`, by hard link, or a copy where the file system has none."""
    with whole_file(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            temporary.write_bytes(Path(source).read_bytes())


def is_current(target, source):
    """Tell whether `target` exists and is no older than `source` (make's rule)."""
    try:
        return os.stat(target).st_mtime_ns >= os.stat(source).st_mtime_ns
    except FileNotFoundError:
        return False


def list_files(folder, endings, made_by):
    """List a folder's files with one of the endings, sorted by name.

    Raises
    ------
    StageError
        If the folder is missing or holds no such file; the message names the script that makes it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StageError(f"there is no folder {folder}; {made_by} makes it")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in endings and not p.name.startswith("."))
    if not files:
        raise StageError(f"{folder} holds no {'/'.join(endings)} file; {made_by} fills it")
    return files


@contextlib.contextmanager
def output_folder(folder, script, settings, source=None, record="stage.json", **notes):
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
        Name of the JSON file that says what made the folder.
    **notes
        More to record, not compared.

    Raises
    ------
    StageError
        If the folder holds something else, was made with other settings, or is in use.
    """
    folder = Path(folder)
    if source is not None:
        made = read_json(Path(source) / "stage.json") or {}
        settings = {**settings, "input": made.get("settings")}
    if folder.exists() and not folder.is_dir():
        raise StageError(f"{folder} is a file, but {script} writes a folder; choose another --output")
    known = read_json(folder / record)
    if known is None and folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir()):
        raise StageError(f"{folder} holds files that {script} did not make; choose another --output or empty it")
    if known is not None and (known.get("script"), known.get("settings")) != (script, settings):
        raise StageError(
            f"{folder} was made with other settings or from other images ({_differences(known, script, settings)}); "
            "delete it to make it anew, or write to another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(f"another run is writing to {folder}; wait for it, or stop it") from None
        except OSError:  # some network file systems have no locks
            log(f"note: {folder} cannot be locked; do not run this stage twice at once")
        for left in folder.glob(TEMPORARY + "*"):
            left.unlink(missing_ok=True)
        write_json(folder / record, {"script": script, "settings": settings, **notes})
        yield folder


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


def remove_stale(folder, expected):
    """Remove the folder's images whose source is gone, so that the folder equals one made from scratch."""
    stale = [p for p in Path(folder).glob("*.png") if p.name not in expected]
    for path in stale:
        path.unlink()
    if stale:
        log(f"removed {len(stale)} images from {folder} whose photographs are no longer in the input")


def progress(iterator, total, what, unit="img"):
    """Show progress: a bar with rate and time left on a terminal, else a line every 30 seconds."""
    if sys.stderr.isatty():
        yield from tqdm(iterator, total=total, desc=what, unit=unit, smoothing=0.05)
        return
    start = last = time.monotonic()
    for count, item in enumerate(iterator, 1):
        yield item
        if time.monotonic() - last >= 30:
            last = time.monotonic()
            rate = count / (last - start)
            log(f"{what}: {count:,} of {total:,}, {rate:.1f} {unit}/s, {(total - count) / rate:.0f} s left")


def for_each(function, items, workers, what, unit="img"):
    """Apply a function to every item with several threads, in bounded memory.

    Threads serve as well as processes here: decoding, scaling and compressing release the interpreter lock.

    Parameters
    ----------
    function : callable
        Called with one item. A `PhotoError` is a result; any other exception ends the stage.
    items : sequence
    workers : int
    what : str
        Word for the progress line.
    unit : str
        What an item is, for the progress line.

    Yields
    ------
    item, result : tuple
        In the order of `items`; the result may be a `PhotoError`.
    """

    def guarded(item):
        try:
            return function(item)
        except PhotoError as error:
            return error

    def results():
        pool = ThreadPoolExecutor(workers)
        pending = deque()  # a short queue, so that a million items do not become a million futures
        try:
            for item in items:
                pending.append((item, pool.submit(guarded, item)))
                if len(pending) >= 8 * workers:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    yield from progress(results(), len(items), what, unit)


def finish(rejected, total, max_rejected, folder):
    """Write `rejected.csv` and turn the number of rejected photographs into an exit code.

    Parameters
    ----------
    rejected : list of (str, str)
        Name and reason.
    total : int
        Photographs seen.
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
            f"error: {len(rejected)} of {total} photographs were rejected, more than --max-rejected "
            f"{max_rejected:.0%}; the reasons are in {path}"
        )
        return EXIT_REJECTED
    return 0
