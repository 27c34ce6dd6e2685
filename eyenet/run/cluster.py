"""Run an image step on a Dask cluster: the same function for each photograph, the results in the same order.

Every machine has the same checkout of EyeNet and the same environment; each worker checks this before it starts. The
step's function travels with the job, pickled by value if the script that was started defines it; what it calls in
eyenet/ is imported from the worker's checkout. Dask gives the work of a lost worker to another one. If the scheduler is
lost, the step ends and is run again: it then does only what is missing.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import itertools
import logging
import pickle
import platform
import uuid
import zlib
from collections import deque
from pathlib import Path

import cloudpickle
from distributed import CancelledError, Client, KilledWorker, TimeoutError, get_worker
from distributed.client import ClosedClientError
from distributed.comm import CommClosedError

from eyenet.run.errors import StageError, log
from eyenet.run.files import TEMPORARY

BATCH = 32  # photographs per task: about a second of work, for half a millisecond of the scheduler's time
AHEAD = 256  # tasks submitted at a time: the scheduler never holds more, however many photographs there are
ANSWER = 10  # seconds within which the scheduler must answer
WORKER_TIMEOUT = 300  # seconds without any worker after which the step gives up

# Packages that decode, scale, compress or grade: another version may give other bytes.
PACKAGES = ("numpy", "Pillow", "pydicom", "python-gdcm", "ai-edge-litert")

for name in ("distributed", "distributed.client", "tornado", "tornado.application"):
    logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are reported below, in one sentence


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _hash_sources(package):
    """Hash the sources and tables of the `eyenet` package, and in a checkout the scripts beside it."""
    root, digest = package.parent, hashlib.sha256()
    scripts = root.glob("*.py") if (root / "pyproject.toml").exists() else ()  # installed, others' modules are there
    for path in sorted([*scripts, *(path for path in package.rglob("*") if path.suffix in (".py", ".json"))]):
        digest.update(b"%s %s" % (path.relative_to(root).as_posix().encode(), path.read_bytes()))
    return digest.hexdigest()[:12]


# What the bytes of an image depend on. Taken at import: a worker runs the sources that it was started with.
ENVIRONMENT = {
    "EyeNet": _hash_sources(Path(__file__).parents[1]),
    "Python": platform.python_version(),
    "processor": platform.machine(),
    "zlib": zlib.ZLIB_RUNTIME_VERSION,
    **{package: _version(package) for package in PACKAGES},
}


@functools.lru_cache(maxsize=4)
def load_job(job):
    """Unpickle the function of a step, once per worker process, after the checks that its results can be the same.

    Raises
    ------
    StageError
        If this worker has another environment or does not see the same files.
    """
    expected, witnesses, function = pickle.loads(job)
    where = get_worker().address
    for name, version in expected.items():
        if ENVIRONMENT[name] != version:
            raise StageError(
                f"the worker {where} has {name} {ENVIRONMENT[name]} and this machine {version}; use the same checkout "
                "and the same environment on all machines, and restart the workers"
            )
    for path in witnesses:
        if not Path(path).exists():
            raise StageError(
                f"the worker {where} does not see {Path(path).parent} as this machine does; mount the same file "
                "system there under the same path"
            )
    return pickle.loads(function)


def run_batch(job, batch):
    """Apply the function of a step to the items of a batch, on a worker. Both arrive pickled."""
    function = load_job(job)
    return [function(item) for item in pickle.loads(batch)]


def make_task():
    """Make the function that Dask runs.

    It is nested, so that it is pickled by value: the scheduler needs no EyeNet, and a worker without it reports that.
    """

    def task(job, batch):
        from distributed import get_worker

        try:
            from eyenet.run.cluster import run_batch

            return run_batch(job, batch)
        except ImportError as error:
            raise ImportError(f"the worker {get_worker().address} cannot import what the step needs: {error}") from None

    return task


class Cluster:
    """A connection to a Dask cluster; `for_each` takes it in place of a number of threads.

    Parameters
    ----------
    address : str
        Address of the scheduler, such as tcp://host:8786.
    witnesses : sequence of Path
        Files that each worker must see.

    Raises
    ------
    StageError
        If no scheduler answers, or no worker connects.
    """

    def __init__(self, address, witnesses=()):
        self.address, self.witnesses = address, [str(path) for path in witnesses]
        try:
            self.client = Client(address, timeout=ANSWER, set_as_default=False)
        except (OSError, TypeError, ValueError) as error:  # the last two: not an address
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise StageError(f"no Dask scheduler answers at {address} ({reason}); start it (dask scheduler)") from None
        try:
            if not self.client.nthreads():
                log(f"no worker is connected to {address}; waiting for one (dask worker {address})")
            self.client.wait_for_workers(1, timeout=WORKER_TIMEOUT)
        except TimeoutError:
            self.close()
            raise self.no_workers() from None

    def close(self):
        """Disconnect; tasks that have not finished are cancelled."""
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self.client.close(timeout=2)

    def no_workers(self):
        """Make the error for a cluster without workers."""
        return StageError(f"{self.address} has no workers; start some (dask worker) and run the same command again")

    def each(self, function, items):
        """Apply a function to every item, as `eyenet.run.workers.for_each`, which calls this."""
        job = pickle.dumps((ENVIRONMENT, self.witnesses, cloudpickle.dumps(function)))
        size = max(1, min(BATCH, len(items) // AHEAD))
        batches = (items[first : first + size] for first in range(0, len(items), size))
        task, pending = make_task(), deque()
        try:
            while True:
                for batch in itertools.islice(batches, AHEAD - len(pending)):
                    # Pickled here, so that the scheduler handles bytes only.
                    data = cloudpickle.dumps(list(batch))
                    pending.append((batch, self.client.submit(task, job, data, pure=False)))
                if not pending:
                    return
                batch, future = pending.popleft()
                yield from zip(batch, self.result(future, batch))
        except (CancelledError, ClosedClientError, CommClosedError):
            raise StageError(
                f"lost the Dask scheduler {self.address}; start it and the workers, and run the same command again"
            ) from None

    def result(self, future, batch):
        """Wait for the results of a task; raise the error that it ended with, if any."""
        while True:
            try:
                return future.result(WORKER_TIMEOUT)
            except TimeoutError:  # results that were lost with their worker are pending again
                if not self.client.nthreads():
                    raise self.no_workers() from None
            except KilledWorker as error:
                raise StageError(
                    f"{error.allowed_failures + 1} workers died while they had the batch from {batch[0]} to "
                    f"{batch[-1]}; give the workers more memory (--memory-limit), or leave these photographs out"
                ) from None
            except ImportError as error:
                raise StageError(f"{error}; use the same checkout and the same environment on all machines") from None


@contextlib.contextmanager
def cluster(address, reads, writes):
    """Connect to a cluster whose workers see the same files as this process.

    Parameters
    ----------
    address : str
        Address of the scheduler.
    reads : sequence of Path
        Files that every worker must see.
    writes : Path or None
        Folder that the workers write to; each must see a file that is created there now.

    Yields
    ------
    Cluster
    """
    token = [] if writes is None else [writes / f"{TEMPORARY}{uuid.uuid4().hex}"]
    try:
        for path in token:
            path.touch()
        with contextlib.closing(Cluster(address, [*reads, *token])) as connected:
            yield connected
    finally:  # a worker that was killed may have left an unfinished file
        for path in token if writes is None else writes.glob(TEMPORARY + 32 * "[0-9a-f]"):
            path.unlink(missing_ok=True)
