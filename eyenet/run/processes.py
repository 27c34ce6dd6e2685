"""Parent processes: end with the parent, and report why training on several hosts failed.

When process 0 exits, JAX aborts the other processes at once, with a stack trace. They can no longer report the error
in one sentence, so their parent processes do.
"""

import os
import signal
import sys
import tempfile
import threading
import time

from eyenet.run.errors import StageError, log

LOST = (
    "another process of this training failed (see its messages); run the same command again on every host to continue "
    "from the last complete epoch"
)


def leave_with_parent():
    """Start a thread that ends this process when its parent process has ended.

    Otherwise, after `kill -9` of the parent, this process could write to the folder of the parent's next run, or wait
    for work forever.
    """
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def supervise():
    """Continue in a child process and exit with its exit code; call this before any thread is started.

    The child ends when this process does. Native libraries' own output to stdout and stderr, such as one line per
    connection, is held back; it is shown only if a signal ends the child for an unknown reason.

    Raises
    ------
    StageError
        If a signal ended the child.
    """
    held = tempfile.TemporaryFile()  # noqa: SIM115, open in both processes until they end
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        os.setpgid(0, 0)  # so that Ctrl-C reaches the parent only, which passes it on once
        threading.Thread(target=_end_with_parent, args=(read,), daemon=True).start()
        _hold_back(held)
        return
    os.close(read)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os.kill(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code >= 0:
        sys.exit(code)
    said = os.pread(held.fileno(), 10**6, 0).decode(errors="replace")
    if "distributed service detected fatal errors" in said:
        raise StageError(LOST)
    log(said)
    raise StageError(f"the training was ended by signal {-code} ({signal.strsignal(-code)})")


def _end_with_parent(pipe):
    os.read(pipe, 1)  # nothing is ever written, so this returns when the parent has ended
    os._exit(1)


def _hold_back(held):
    """Keep Python's stdout and stderr as they are; redirect the output of native libraries to a file."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        stream.flush()
        setattr(sys, name, os.fdopen(os.dup(number), "w", 1, encoding=stream.encoding, errors=stream.errors))
        os.dup2(held.fileno(), number)
