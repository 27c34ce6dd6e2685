"""Errors, exit codes and messages on stderr: the lowest layer, which every module may import."""

import sys

from tqdm import tqdm

EXIT_FAILED, EXIT_REJECTED, EXIT_STOPPED = 1, 3, 130


class StageError(Exception):
    """The stage cannot continue; the message tells the user in one sentence what is wrong, where, and what to do."""


class PhotoError(ValueError):
    """One photograph cannot be used; the message is the reason that goes into rejected.csv."""


class NotAPhotograph(PhotoError):
    """The file is whole, but of a kind that is no photograph, such as a DICOM report."""


class NoRetina(PhotoError):
    """The file is a readable image, but shows no retina or one that is too small."""


def log(message):
    """Write a line to stderr without breaking a progress bar."""
    tqdm.write(str(message), file=sys.stderr)
