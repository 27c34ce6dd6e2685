"""Errors, exit codes and messages on stderr: the lowest layer, which every module may import."""

import contextlib
import sys

# The exit codes of every script; 0 is done, and argparse ends with 2 for wrong usage.
EXIT_FAILED = 1  # could not be done; the error is one sentence
EXIT_REJECTED = 3  # done, but some input was not: photographs that cannot be read, rows that cannot be compared
EXIT_FINDING = 4  # done, and found what was looked for: a leak, a model that must not be promoted, a slower program
EXIT_STOPPED = 130  # Ctrl-C


class StageError(Exception):
    """The stage cannot continue; the message tells the user in one sentence what is wrong, where, and what to do."""


class PhotoError(ValueError):
    """One photograph cannot be used; the message is the reason that goes into rejected.csv."""


class NotAPhotograph(PhotoError):
    """The file is whole, but of a kind that is no photograph, such as a DICOM report."""


class NoRetina(PhotoError):
    """The file is a readable image, but shows no retina or one that is too small."""


def plural(count, one, several=None):
    """Format a count with its noun: `1 photograph`, `2,000 photographs`; `several` is another plural than with s."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def what_to_do(made_by):
    """Say what to do about a missing or empty input: run the script that makes it, or, if none does, check the path."""
    return f"run {made_by} first" if made_by else "check the path"


_silent = []  # not empty within `silent`


@contextlib.contextmanager
def silent():
    """Leave out what is logged, for a check of what a later step reads, and reports, again."""
    _silent.append(True)
    try:
        yield
    finally:
        _silent.pop()


def log(message):
    """Write a line to stderr without breaking a progress bar; nothing within `silent`."""
    if _silent:
        return
    if (bars := sys.modules.get("tqdm")) is not None:
        bars.tqdm.write(str(message), file=sys.stderr)
    elif sys.stderr is not None:
        sys.stderr.write(f"{message}\n")  # importing tqdm for this would take a tenth of a cold start of predict.py
