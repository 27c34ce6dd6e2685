"""A server that imports the scripts' packages once and forks itself to run each script.

    python tests/forked.py < requests      one JSON object per line; writes one line with the exit code for each

A request without a timeout is answered at once by the process ID, and its exit code by a request with that `pid`. Each
fork is a separate process, so changes to environment, signals, files or Keras do not affect other scripts. A script
that a script starts, such as the steps of retrain.py, is a fork too.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)
START = subprocess.run


def import_all():
    """Import the slow packages, without starting a computation."""
    from eyenet.model.backend import hidden_stderr, quick_import

    with hidden_stderr(), quick_import():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
        from tensorboard.plugins.hparams import summary_v2  # noqa: F401
        from tensorboard.plugins.pr_curve import summary  # noqa: F401
    import jinja2  # noqa: F401
    import PIL.Image  # noqa: F401
    import sklearn.ensemble
    import sklearn.model_selection  # noqa: F401
    import yaml  # noqa: F401
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    figure.subplots().set_title("reads the fonts", fontweight="bold")
    figure.canvas.draw()
    gc.freeze()  # a collection in a fork would copy the memory of all objects


def become(request, defaults):
    """Set files, folder, environment (plus the variables set by the imports) and arguments of the script's process."""
    for number, name in enumerate((os.devnull, request["stdout"], request["stderr"])):
        file = os.open(name, os.O_RDWR)
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(defaults | request["environment"])
    sys.argv = request["command"]
    added = [folder for folder in request["environment"].get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.path[:1] = [str(Path(sys.argv[0]).parent), *added]
    for folder in added:
        if (path := Path(folder, "sitecustomize.py")).exists():
            runpy.run_path(str(path))


def wait(child, seconds, until):
    """Wait for a process; return its exit code, or None if it took too long and was killed.

    It is also killed as soon as the file `until` exists.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if until and os.path.exists(until):
            os.kill(child, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def finish(script):
    """Run a script and end this process as Python does, but without deleting each object: that takes 0.3 seconds."""
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # waits for threads
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    atexit._run_exitfuncs()
    os._exit(code)


def run_script(command, **options):
    """Stand in for `subprocess.run` in a script: run another one in a fork, if its own process has not used Keras."""
    if {"check", "stdout", "env"} != options.keys() or command[0] != sys.executable or not command[1].endswith(".py"):
        return START(command, **options)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if child := os.fork():
        return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # locks, which the fork may hold longer than its parent
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ.clear()
    os.environ.update(options["env"])
    sys.argv = command[1:]
    finish(sys.argv[0])


def main():
    before = dict(os.environ)
    import_all()
    subprocess.run = run_script
    defaults = {name: value for name, value in os.environ.items() if name not in before}
    for line in sys.stdin:
        request = json.loads(line)
        child = request.get("pid") or os.fork()
        if not child:
            become(request, defaults)
            break
        seconds, until = request["timeout"], request.get("until")
        print(json.dumps(wait(child, seconds, until) if seconds else child), flush=True)
    else:
        return
    finish(sys.argv[0])


if __name__ == "__main__":
    main()
