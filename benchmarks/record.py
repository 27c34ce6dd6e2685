"""Keep what a benchmark measured, with what made it."""

import argparse
import csv
import datetime
import os
import platform
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))
PACKAGES = ("numpy", "pillow", "scikit-image", "scikit-learn", "keras", "tensorflow", "ai-edge-litert")
RESULTS = REPO / "benchmarks" / "results"


def parse(description):
    """Parse the options that all benchmarks have; --data is a folder with train/*.jpeg."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=REPO / "data" / "download", help="folder with train/*.jpeg")
    options.add_argument("--repeat", type=int, default=5, help="times each way is measured; the median counts")
    return options


def split_words(options):
    """Parse the words of the command line before --; give them, and those after it, which go to cnn.py."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    return options.parse_args(words[:end]), words[end + 1 :]


def write(name, rows, packages=()):
    """Write and print a result table.

    Parameters
    ----------
    name : str
        File in benchmarks/results, without its ending.
    rows : list of (str, float, str, str)
        What was measured, value, unit, and what was asked for (may be empty).
    packages : sequence of str
        Those beyond requirements.txt whose versions matter.
    """
    versions = [f"{package} {version(package)}" for package in (*PACKAGES, *packages)]
    made = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "commit": STARTED,
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(portable, sys.argv[1:])]),
    }
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["measured", "value", "unit", "asked", *made])
        for row in rows:
            writer.writerow([*row, *made.values()])
            print(f"{row[0]:<62} {row[1]:>10} {row[2]:<10} {row[3]}")


def commit():
    """Name the commit of this working tree; -dirty where anything but a result has changed."""
    head = git("describe", "--always", "--abbrev=40")
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return f"{head}-dirty" if changes else head


def git(*args):
    """Give what git says of this repository; nothing where it is none."""
    return subprocess.run(["git", "-C", REPO, *args], check=False, capture_output=True, text=True).stdout.strip()


STARTED = commit()  # what ran: a benchmark may write what it fitted into the tree


def run(script, *args):
    """Run a script of the repository, its results to stderr."""
    subprocess.run([sys.executable, str(REPO / script), *map(str, args)], check=True, stdout=sys.stderr)


def machine():
    """Name this machine's processor, and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} core{'' if cores == 1 else 's'}, {cpu()}"


def portable(word):
    """Write a path of this machine relative to the repository; of what is not beside it, the name alone."""
    if not word.startswith("/"):
        return word
    path = os.path.relpath(word, REPO)
    return Path(word).name if path.startswith("../../") else path


def watch(process):
    """Wait for a process and give the most memory it ever held, in MB (Linux).

    `ru_maxrss` would not do: it counts what the parent held when it forked.
    """
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(
                [peak, *(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))]
            )
        except OSError:
            pass
        time.sleep(0.02)
    return peak


def cpu():
    """Name the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
