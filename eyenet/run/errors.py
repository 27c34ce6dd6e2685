"""Errors, exit codes and the line on stderr: the lowest layer, which every module may import."""

import sys

from tqdm import tqdm

EXIT_FAILED, EXIT_REJECTED, EXIT_STOPPED = 1, 3, 130


class StageError(Exception):
    """The stage cannot go on; the message is one sentence for the user: what is wrong, where, what to do."""


class PhotoError(ValueError):
    """One photograph cannot be used; the message is the reason that goes into rejected.csv."""


class NoRetina(PhotoError):
    """The file is a picture and can be read, but shows no retina, or too small a one."""


def log(message):
    """Write a line to stderr without tearing a progress bar."""
    tqdm.write(str(message), file=sys.stderr)
