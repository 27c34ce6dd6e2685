"""The image stages on a Dask cluster: the same function for each photograph, the same results in the same order.

Batches of photographs go through Dask's executor, few at a time, so that neither the scheduler nor this process grows
with the number of photographs. A worker that dies is Dask's matter: it gives the batch to another. When the scheduler
dies, its successor is given again what had no answer yet. Both are safe, since a stage writes whole files only and
the same bytes, whichever worker writes them.
"""

import contextlib
import itertools
import logging
import pickle
import platform
import time
import uuid
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, wait

import cloudpickle
from distributed import Client, KilledWorker

from eyenet.run import remote
from eyenet.run.errors import StageError, log
from eyenet.run.files import TEMPORARY

BATCH = 32  # photographs; a batch takes about a second, and the scheduler half a millisecond for it
AHEAD = 4  # batches for each thread of the cluster that are on their way
ARRIVAL = 10  # seconds within which a scheduler must answer at the start
PATIENCE = 300  # seconds without a scheduler or without a worker after which the stage gives up
LOOK = 2  # seconds between two looks whether both are still there

cloudpickle.register_pickle_by_value(remote)
for name in list(logging.root.manager.loggerDict):  # what went wrong is said here, in a sentence
    if name.split(".")[0] in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class Cluster:
    """A Dask cluster that works for a stage; `for_each` takes it in the place of a number of threads.

    Parameters
    ----------
    address : str
        Of the scheduler, such as tcp://host:8786.
    witnesses : sequence of Path
        Files that each worker must see, or it works in another folder than this process.

    Raises
    ------
    StageError
        If there is no such scheduler, no worker, or the workers are not fit to do what this process would.
    """

    def __init__(self, address, witnesses=()):
        self.address, self.witnesses, self.client, self.code = address, list(witnesses), None, remote.Code()
        self.run = remote.entry(self.code.version)
        try:
            self.connect(ARRIVAL)
            self.refuse_other_pythons()
            self.threads = self.await_threads()
        except BaseException:
            self.close()
            raise

    def connect(self, seconds):
        """Connect to the scheduler, which may be starting, and bring the code to all workers, now and later."""
        end, self.client = time.monotonic() + seconds, None
        while self.client is None:
            try:
                self.client = Client(self.address, timeout=min(seconds, 10), set_as_default=False)
                self.client.register_plugin(self.code)
            except (OSError, TypeError, ValueError) as error:  # Dask's answers to an address that cannot be one
                self.close()
                if time.monotonic() > end or not isinstance(error, OSError):
                    raise StageError(
                        f"no Dask scheduler answers at {self.address} ({first_line(error)}); start it (dask scheduler) "
                        "and run the same command again"
                    ) from None
                time.sleep(0.5)
        self.link, self.executor = self.client.scheduler_comm, self.client.get_executor(pure=False)

    def refuse_other_pythons(self):
        """Raise a StageError where functions cannot travel because the other Python is of another version."""
        said = self.client.get_versions()
        for where, found in {f"the scheduler {self.address}": said["scheduler"], **said["workers"]}.items():
            python = dict(found["host"])["python"].split(".final")[0]
            if python.split(".")[:2] != list(platform.python_version_tuple()[:2]):
                raise StageError(f"{where} runs Python {python}, and this machine {platform.python_version()}")

    def await_threads(self):
        """Count the threads of all workers; wait a while where there are none."""
        for second in range(PATIENCE):
            if threads := sum(self.client.nthreads().values()):
                return threads
            if second == 5:
                log(f"no worker is connected to {self.address}; waiting for one (dask worker {self.address})")
            time.sleep(1)
        raise StageError(f"no worker was connected to {self.address} for {PATIENCE} s; start some and run this again")

    def lost(self):
        """Whether the scheduler was lost, even briefly: it has then forgotten its tasks."""
        return self.client.status != "running" or self.client.scheduler_comm is not self.link

    def close(self):
        """Leave the cluster; what is on its way is forgotten."""
        if self.client is not None:
            with contextlib.suppress(Exception):  # of a scheduler that is gone
                self.client.close(timeout=2)
            self.client = None

    def each(self, function, items):
        """Apply a function to every item; as `eyenet.run.workers.for_each`, whose results these are."""
        job = pickle.dumps((remote.versions(), cloudpickle.dumps((self.witnesses, function))))
        size = max(1, min(BATCH, len(items) // (AHEAD * self.threads)))
        batches = (items[first : first + size] for first in range(0, len(items), size))
        pending = deque()
        while True:
            for batch in itertools.islice(batches, max(0, AHEAD * self.threads - len(pending))):
                pending.append((batch, self.submit(job, batch)))
            if not pending:
                return
            batch, future = pending[0]
            if not self.has_answer(future):
                self.recover(job, pending)
                continue
            pending.popleft()
            try:
                results = future.result()
            except KilledWorker as error:
                if len(batch) == 1:
                    raise StageError(
                        f"workers died again and again, {error.allowed_failures + 1} times, while they had "
                        f"{first(batch)}; give them more memory, or leave that out"
                    ) from None
                pending.extendleft(([item], self.submit(job, [item])) for item in reversed(batch))
                continue
            if isinstance(results, str):
                raise StageError(results)
            yield from zip(batch, results)

    def submit(self, job, batch):
        """Send a batch on its way; None if the scheduler is gone."""
        try:  # pickled here, since the scheduler opens what it can, and knows no EyeNet
            return self.executor.submit(self.run, job, cloudpickle.dumps(list(batch)))
        except Exception:
            if self.lost():
                return None
            raise

    def has_answer(self, future):
        """Wait for a batch; False if the scheduler was lost meanwhile."""
        alone = time.monotonic()
        while future is not None and not self.lost():
            if wait([future], LOOK).done:
                return not (future.cancelled() or isinstance(future.exception(), CancelledError))
            with contextlib.suppress(Exception):  # the scheduler is going away, which the next look will show
                if threads := sum(self.client.nthreads().values()):
                    self.threads, alone = threads, time.monotonic()
            if time.monotonic() - alone > PATIENCE:
                raise StageError(f"the workers of {self.address} are gone; start some and run the same command again")
        return False

    def recover(self, job, pending):
        """Wait for the scheduler's successor, and give it what had no answer yet."""
        log(f"lost the scheduler {self.address}; waiting for it to come back")
        self.close()
        self.connect(PATIENCE)
        for place, (batch, future) in enumerate(pending):
            answered = future is not None and future.done() and not future.cancelled() and not future.exception()
            pending[place] = batch, future if answered else self.submit(job, batch)
        log(f"the scheduler {self.address} is back")


def first(items):
    """Name the first photograph of a batch, whose items may be tuples or lists that begin with it."""
    return items if isinstance(items, (str, int)) or not isinstance(items, Sequence) else first(items[0])


def first_line(error):
    """Give the first line of an error's text, or its kind where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def cluster(address, reads, writes):
    """Give a cluster that sees the same files as this process.

    Parameters
    ----------
    address : str
    reads : sequence of Path
        Files that every worker must find.
    writes : Path or None
        Folder that they will write to.
    """
    token = [] if writes is None else [writes / f"{TEMPORARY}{uuid.uuid4().hex}"]
    try:
        for path in token:
            path.touch()
        with contextlib.closing(Cluster(address, [*reads, *token])) as made:
            yield made
    finally:  # a worker that was killed left a piece of a file
        for path in token if writes is None else writes.glob(TEMPORARY + 32 * "[0-9a-f]"):
            path.unlink(missing_ok=True)
