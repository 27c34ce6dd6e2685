"""Apply a function to every item with threads or a Dask cluster, and show progress."""

import contextlib
import os
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from eyenet.run.errors import PhotoError, StageError, log


def cores():
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def progress(iterator, total, what, unit="img"):
    """Show progress: a bar with rate and time left on a terminal, else a line every 30 seconds."""
    if sys.stderr.isatty():
        from tqdm import tqdm  # slow to import, see `eyenet.run.errors.log`

        yield from tqdm(iterator, total=total, desc=what, unit=unit, smoothing=0.05)
        return
    start = last = time.monotonic()
    for count, item in enumerate(iterator, 1):
        yield item
        if time.monotonic() - last >= 30:
            last = time.monotonic()
            rate = count / (last - start)
            log(f"{what}: {count:,} of {total:,}, {rate:.1f} {unit}/s, {(total - count) / rate:.0f} s left")


def for_each(function, items, workers, what, unit="img"):
    """Apply a function to every item, with threads or on a cluster, in bounded memory.

    Threads are as fast as processes here: decoding, scaling and compressing release the interpreter lock.

    Parameters
    ----------
    function : callable
        Called with one item. A `PhotoError` becomes the item's result; any other exception ends the step.
    items : sequence
        On a cluster, paths in it must be absolute, since workers run in other folders.
    workers : int or eyenet.run.cluster.Cluster
        Number of threads, or a cluster; see `crew`.
    what : str or None
        Name of the work in the progress line; None shows no progress.
    unit : str
        Name of an item in the progress line.

    Yields
    ------
    item, result : tuple
        In the order of `items`; the result may be a `PhotoError`.
    """

    def attempt(item):
        try:
            return function(item)
        except PhotoError as error:
            return error

    found = run_threads(attempt, items, workers) if isinstance(workers, int) else workers.each(attempt, items)
    yield from found if what is None else progress(found, len(items), what, unit)


def run_threads(function, items, threads):
    """Apply a function to every item with threads; yield (item, result) in order, and submit a few items ahead."""
    pool = ThreadPoolExecutor(threads)
    pending = deque()  # short, so that a million items do not become a million futures
    try:
        for item in items:
            pending.append((item, pool.submit(function, item)))
            if len(pending) >= 8 * threads:
                done, future = pending.popleft()
                yield done, future.result()
        while pending:
            done, future = pending.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def crew(threads, scheduler, reads, writes=None):
    """Provide the `workers` of `for_each`: threads of this machine, or a Dask cluster.

    Parameters
    ----------
    threads : int
        Threads of this machine, without a cluster.
    scheduler : str or None
        Address of the scheduler of a cluster.
    reads : sequence of Path
        Files that every worker of a cluster must see.
    writes : Path, optional
        Folder that the workers write to.

    Yields
    ------
    int or eyenet.run.cluster.Cluster

    Raises
    ------
    StageError
        If there is no such cluster, or Dask is not installed.
    """
    if scheduler is None:
        yield threads
        return
    try:
        from eyenet.run.cluster import cluster
    except ImportError as error:
        raise StageError(
            f"--scheduler needs Dask, which cannot be imported ({error}): pip install -r requirements-cluster.txt"
        ) from None
    with cluster(scheduler, reads, writes) as workers:
        yield workers
