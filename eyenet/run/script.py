"""Run the `main` function of a script, report errors in one sentence, and set the exit code."""

import contextlib
import errno
import gc
import os
import sys
from pathlib import Path

from eyenet.run.errors import EXIT_FAILED, EXIT_STOPPED, StageError, log
from eyenet.run.processes import end_with_parent

PARENT = "EYENET_PARENT"  # environment variable: process ID of the process that this script must not outlive
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DISK_IS_FULL = "the disk is full (or a quota is reached); free some space and run the same command again: "


@contextlib.contextmanager
def without_collection():
    """Import modules without garbage collection, which would repeatedly scan objects that stay, now and later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def open_closed_streams():
    """Replace streams that the shell closed (`>&-`): otherwise the next file opened would receive what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def run_main(main):
    """Run a script's `main` and exit with its exit code.

    The codes are those of `eyenet.run.errors`. Errors that a user can cause are one sentence; only a bug shows a
    traceback.
    """
    open_closed_streams()
    if parent := os.environ.pop(PARENT, None):
        end_with_parent(int(parent))
    name = Path(sys.argv[0]).name
    try:
        code = main() or 0
        sys.stdout.flush()
    except StageError as error:
        log(f"{name}: error: {error}")
        code = EXIT_FAILED
    except KeyboardInterrupt:
        log(f"{name}: stopped; run the same command again to continue")
        code = EXIT_STOPPED
    except MemoryError:
        log(f"{name}: error: not enough memory; run the same command with fewer --workers or a smaller --batch")
        code = EXIT_FAILED
    except BrokenPipeError:  # the reader of stdout has exited, such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        full = DISK_IS_FULL if error.errno in DISK_FULL else ""
        log(f"{name}: error: {where}{full}{error.strerror or error}")
        code = EXIT_FAILED
    except Exception as error:  # TensorFlow and HDF5 have errors of their own for a full disk, with its words in them
        said = next((os.strerror(number) for number in DISK_FULL if os.strerror(number) in str(error)), None)
        if said is None:
            raise
        log(f"{name}: error: {DISK_IS_FULL}{said}")
        code = EXIT_FAILED
    sys.exit(code)
