"""A process that has imported what the scripts import, and forks itself to run one: the import is paid for once.

    python tests/forked.py < requests      one JSON object a line; one line with the exit code is written for each

The fork is a process of its own, as a user's is: what a script does to its environment, its signals, its files or
Keras stays there.
"""

import contextlib
import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)


def import_all():
    """Import what takes time, without anything that begins a computation."""
    from eyenet.model.backend import hidden_stderr, quick_import

    with hidden_stderr(), quick_import():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
    import sklearn.metrics  # noqa: F401


def become(request, defaults):
    """Make this process the script's: its files, folder, environment (with what the imports set) and arguments."""
    for number, name in enumerate((os.devnull, request["stdout"], request["stderr"])):
        file = os.open(name, os.O_RDWR)
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(defaults | request["environment"])
    sys.argv = request["command"]
    sys.path[0] = str(Path(sys.argv[0]).parent)


def wait(child, seconds):
    """Wait for a process; give its exit code, or None after killing it because it took too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def main():
    before = dict(os.environ)
    import_all()
    defaults = {name: value for name, value in os.environ.items() if name not in before}
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            become(request, defaults)
            break
        print(json.dumps(wait(child, request["timeout"])), flush=True)
    else:
        return
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
