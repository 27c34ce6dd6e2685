"""Run a training on several hosts in a child process, so that a lost host is reported in one sentence.

When process 0 of such a training ends, a thread of JAX ends the others at once with a stack trace. They cannot print a
clear message any more, so their parent does.
"""

import os
import signal
import sys
import tempfile

from eyenet.run.errors import StageError, log
from eyenet.run.processes import end_with_parent

HOST_LOST = (
    "another process of this training failed (see its messages); run the same command again on every host to continue "
    "from the last complete epoch"
)


def supervise():
    """Continue in a child process, and exit with its exit code; call this before any thread is started.

    The child ends when this process does. What libraries write to its stdout and stderr, such as one line per
    connection, is held back, and shown only if the child ends for an unknown reason.

    Raises
    ------
    StageError
        If a signal ended the child.
    """
    held = tempfile.TemporaryFile()  # noqa: SIM115, both processes keep it open until they end
    parent = os.getpid()
    child = os.fork()
    if not child:
        os.setpgid(0, 0)  # so that Ctrl-C reaches only the parent, which passes it on
        end_with_parent(parent)
        _hold_back(held)
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os.kill(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code >= 0:
        sys.exit(code)
    said = os.pread(held.fileno(), 10**6, 0).decode(errors="replace")
    if "distributed service detected fatal errors" in said:
        raise StageError(HOST_LOST)
    log(said)
    raise StageError(f"the training was ended by signal {-code} ({signal.strsignal(-code)})")


def _hold_back(held):
    """Keep Python's stdout and stderr as they are; redirect the output of native libraries to a file."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        stream.flush()
        setattr(sys, name, os.fdopen(os.dup(number), "w", 1, encoding=stream.encoding, errors=stream.errors))
        os.dup2(held.fileno(), number)
