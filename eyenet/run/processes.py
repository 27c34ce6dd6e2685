"""A process that watches a training on several hosts, so that it ends with a sentence.

When process 0 is gone, JAX ends the others at once from a thread of its own, with a stack trace: nothing in those
processes can speak any more, so their parent does.
"""

import os
import signal
import sys
import tempfile
import threading
import time

from eyenet.run.errors import StageError, log

LOST = (
    "another process of this training was lost (see its own messages): run the same command again on every host, and "
    "it goes on from the last whole epoch"
)


def leave_with_parent():
    """From now on, end this process when the one that started it has ended.

    `kill -9` of that one would leave us behind: writing where its next run writes, or waiting for work for ever.
    """
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def supervise():
    """Go on in a child process, and leave with its exit code; to be called before any thread is started.

    The child ends when this process does. What libraries write to stdout and stderr by themselves, such as one line a
    connection, is held back, and shown only if they end the child for a reason that is not known.

    Raises
    ------
    StageError
        If the child was ended by a signal.
    """
    held = tempfile.TemporaryFile()  # noqa: SIM115, both processes have it open to their end
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        os.setpgid(0, 0)  # Ctrl-C reaches the parent, which passes it on: once
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
    os.read(pipe, 1)  # nobody writes: it returns when the parent is gone
    os._exit(1)


def _hold_back(held):
    """Keep Python's stdout and stderr as they are, and send what is written below Python into a file."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        stream.flush()
        setattr(sys, name, os.fdopen(os.dup(number), "w", 1, encoding=stream.encoding, errors=stream.errors))
        os.dup2(held.fileno(), number)
