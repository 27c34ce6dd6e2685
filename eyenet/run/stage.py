"""How every stage runs: errors in one sentence, an exit code that means something, threads, progress."""

import contextlib
import errno
import os
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

EXIT_FAILED, EXIT_REJECTED, EXIT_STOPPED = 1, 3, 130
STORES = ("botocore", "aiobotocore", "aiohttp")  # whose errors are not Python's own
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StageError(Exception):
    """The stage cannot go on; the message is one sentence for the user: what is wrong, where, what to do."""


class PhotoError(ValueError):
    """One photograph cannot be used; the message is the reason that goes into rejected.csv."""


class NoRetina(PhotoError):
    """The file is a picture and can be read, but shows no retina, or too small a one."""


def log(message):
    """Write a line to stderr without tearing a progress bar."""
    tqdm.write(str(message), file=sys.stderr)


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


def run_main(main):
    """Run a script's `main` and leave with an exit code that means something.

    0 done, 1 could not be done, 2 wrong usage (argparse), 3 done but more than --max-rejected photographs
    failed, 130 stopped by Ctrl-C. What a user can cause is answered by a sentence; only a bug shows a traceback.
    """
    name = Path(sys.argv[0]).name
    try:
        code = main() or 0
        if sys.stdout is not None:  # it is when the shell closed it
            sys.stdout.flush()
    except StageError as error:
        log(f"{name}: error: {error}")
        code = EXIT_FAILED
    except KeyboardInterrupt:
        log(f"{name}: stopped; run the same command again to go on from here")
        code = EXIT_STOPPED
    except MemoryError:
        log(f"{name}: error: not enough memory; run the same command with fewer --workers or a smaller --batch")
        code = EXIT_FAILED
    except BrokenPipeError:  # the reader of stdout went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in DISK_FULL:
            where += "the disk is full (or a quota is reached); free some space and run the same command again: "
        log(f"{name}: error: {where}{error.strerror or error}")
        code = EXIT_FAILED
    except Exception as error:
        if not type(error).__module__.startswith(STORES):
            raise
        log(f"{name}: error: the store of a URL could not be used: {error}; run the same command again to go on")
        code = EXIT_FAILED
    sys.exit(code)


def cores():
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def progress(iterator, total, what, unit="img"):
    """Show progress: a bar with rate and time left on a terminal, else a line every 30 seconds."""
    if sys.stderr.isatty():
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
    """Apply a function to every item with several threads or on a cluster, in bounded memory.

    Threads serve as well as processes here: decoding, scaling and compressing release the interpreter lock.

    Parameters
    ----------
    function : callable
        Called with one item. A `PhotoError` is a result; any other exception ends the stage.
    items : sequence
        With a cluster, paths must be absolute, or the function must know how to find them from elsewhere.
    workers : int or eyenet.run.cluster.Cluster
        Threads, or what `crew` gives.
    what : str or None
        Word for the progress line; None: no progress is shown.
    unit : str
        What an item is, for the progress line.

    Yields
    ------
    item, result : tuple
        In the order of `items`; the result may be a `PhotoError`.
    """

    def guarded(item):
        try:
            return function(item)
        except PhotoError as error:
            return error

    def results():
        pool = ThreadPoolExecutor(workers)
        pending = deque()  # a short queue, so that a million items do not become a million futures
        try:
            for item in items:
                pending.append((item, pool.submit(guarded, item)))
                if len(pending) >= 8 * workers:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    found = results() if isinstance(workers, int) else workers.each(function, items)
    yield from found if what is None else progress(found, len(items), what, unit)


@contextlib.contextmanager
def crew(args, reads, writes=None):
    """Give the `workers` of `for_each`: threads of this machine, or with --scheduler a Dask cluster.

    Parameters
    ----------
    args : argparse.Namespace
        With `workers` and `scheduler`.
    reads : sequence of Path
        Files that every worker of a cluster must find.
    writes : Path, optional
        Folder that they will write to.

    Raises
    ------
    StageError
        If there is no such cluster, or it does not see these files.
    """
    if args.scheduler is None:
        yield args.workers
        return
    try:
        from eyenet.run.cluster import cluster
    except ImportError as error:
        raise StageError(
            f"Dask, which --scheduler needs, is not there ({error}): pip install -r requirements-cluster.txt"
        ) from None
    with cluster(args.scheduler, reads, writes) as workers:
        yield workers
