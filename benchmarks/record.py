"""Run benchmarks and record their results with date, machine, versions, commit and command."""

import argparse
import contextlib
import csv
import datetime
import os
import platform
import shlex
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))
PACKAGES = ("numpy", "pillow", "scikit-image", "scikit-learn", "keras", "tensorflow", "ai-edge-litert")
RESULTS = REPO / "benchmarks" / "results"


def parse(description):
    """Make a parser with the options that all benchmarks share; --data is a folder with train/*.jpeg."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=REPO / "data" / "download", help="folder with train/*.jpeg")
    options.add_argument("--repeat", type=int, default=5, help="repetitions; the median is reported")
    return options


def split_words(options):
    """Parse the command line up to --; return the options and the words after --, which go to cnn.py."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    return options.parse_args(words[:end]), words[end + 1 :]


class Ratio(NamedTuple):
    """A ratio of two costs measured side by side; `better` is 'less' or 'more'."""

    name: str
    value: float
    better: str


def write(name, rows, packages=(), columns=("measured", "value", "unit", "asked"), device=None, folder="benchmarks"):
    """Write and print a result table.

    Parameters
    ----------
    name : str
        File in benchmarks/results, without its ending.
    rows : list of tuple
        Usually name, value, unit and target (may be empty).
    packages : sequence of str
        Packages whose versions are recorded in addition to `PACKAGES`, if installed.
    columns : sequence of str
        Header of the rows.
    device : str, optional
        Name of the GPU, if one was used.
    folder : str
        Of the script that measured them.
    """
    versions = []
    for package in (*PACKAGES, *packages):
        with contextlib.suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    made = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{device}, {machine()}" if device else machine(),
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "commit": STARTED,
        "command": shlex.join(["python", f"{folder}/{Path(sys.argv[0]).name}", *map(portable, sys.argv[1:])]),
    }
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, *made])
        for row in rows:
            writer.writerow([*row, *made.values()])
            print(line(row))


def line(row):
    """Format a row for the terminal."""
    return (f"{row[0]:<62} {row[1]:>10} " + " ".join(f"{cell:<10}" for cell in row[2:])).rstrip()


def commit():
    """Return the commit of the working tree, with -dirty if anything but a result has changed."""
    head = git("describe", "--always", "--abbrev=40")
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return f"{head}-dirty" if changes else head


def git(*args):
    """Return git's output for this repository; empty outside one."""
    return subprocess.run(["git", "-C", REPO, *args], check=False, capture_output=True, text=True).stdout.strip()


STARTED = commit()  # at start: a benchmark may write fitted values into the tree


def run(script, *args):
    """Run a script of the repository, with its stdout sent to stderr."""
    subprocess.run([sys.executable, str(REPO / script), *map(str, args)], check=True, stdout=sys.stderr)


def machine():
    """Describe the processor and the number of cores available to this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} core{'' if cores == 1 else 's'}, {cpu()}"


def portable(word):
    """Make an absolute path relative to the repository; elsewhere keep only the file name."""
    if not word.startswith("/"):
        return word
    path = os.path.relpath(word, REPO)
    return Path(word).name if path.startswith("../../") else path


def one_process(prepare=None):
    """Create a pool of one fresh process that ends when this process is killed.

    Parameters
    ----------
    prepare : callable, optional
        Called first in the new process; a module-level function.
    """
    return ProcessPoolExecutor(1, get_context("spawn"), _begin, (prepare,))


def _begin(prepare):
    """Initialise the process of the pool."""
    from eyenet.run.processes import end_with_parent

    end_with_parent(os.getppid())
    if prepare:
        prepare()


class Spent(NamedTuple):
    """Cost of a process: wall seconds, CPU seconds of all threads, and peak memory in MB."""

    wall: float
    cpu: float
    memory: float


def held(pid):
    """Return the peak memory of a process so far, in MB (Linux); 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0


def watch(process):
    """Wait for a running process and return its peak memory in MB."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, held(process.pid))
        time.sleep(0.02)
    return peak


def users_environment():
    """Return the environment of a process as a user's: Python may keep bytecode.

    Where it must not, as in many containers, each start would compile its packages again: a third of the time of
    predict.py with one photograph.
    """
    found = dict(os.environ)
    if found.pop("PYTHONDONTWRITEBYTECODE", None):
        cache = Path(found.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        found.setdefault("PYTHONPYCACHEPREFIX", str(cache / "eyenet-benchmarks"))
    return found


def spend(*command, codes=(0,), environment=None):
    """Run a command silently and return its cost (Linux); it must end with one of the exit codes.

    `environment` is by default that of `users_environment`.

    Memory is not taken from `ru_maxrss`, which includes the parent's memory at the fork.
    """
    begun, peak, pid = time.perf_counter(), 0, 0
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*map(str, command)], env=environment or users_environment(), **quiet)
    while not pid:
        time.sleep(0.005)
        peak = max(peak, held(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in codes, (process.returncode, command)
    return Spent(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, peak)


def script(name, *args):
    """Return the command that runs a script of the repository."""
    return sys.executable, REPO / name, *args


def cpu_seconds(function, *args):
    """Call a function and return the CPU seconds of this process."""
    begun = time.process_time()
    function(*args)
    return time.process_time() - begun


def beside(these, those):
    """Return the median of the pairwise ratios."""
    return median(this / that for this, that in zip(these, those))


def say(message):
    """Log the progress of a long benchmark."""
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def left_out(what, why):
    """Report on stderr what is not measured and why."""
    print(f"left out: {what}: {why}", file=sys.stderr)


def cpu():
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
