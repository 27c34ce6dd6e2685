"""Memory of a Dask scheduler, and what the cluster itself costs, for as many photographs as a country has.

    python benchmarks/cluster.py                     a million: 10-20 minutes on two cores
    python benchmarks/cluster.py --photographs 20000 --workers 1

Starts a scheduler and workers on this machine, and applies a function that does nothing: each "photograph" is a path,
and its result a row like one of resize_images.py. So this measures the overhead of the cluster. The scheduler logs its
last 100,000 transitions, so its memory grows faster at first than later.
"""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil  # Dask brings it
import record

from eyenet.run.cluster import Cluster
from eyenet.run.workers import for_each


def no_work(path):
    """Return a row like one of resize_images.py."""
    return {"bytes": len(path.name), "width": 3888, "height": 2592, "center_x": 1944.5, "center_y": 1296.5, "radius": 1}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def dask(folder, workers):
    """Run a scheduler and workers of two threads; yield the process of the scheduler and its address."""
    address = f"tcp://127.0.0.1:{free_port()}"
    common = ["--host", "127.0.0.1", "--no-dashboard"]
    commands = [["scheduler", "--port", address.split(":")[-1], *common]]
    commands += [["worker", address, "--nthreads", "2", "--local-directory", folder, *common]] * workers
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": record.REPO}
    processes = [subprocess.Popen([sys.executable, "-m", "dask", *command], **quiet) for command in commands]
    try:
        yield psutil.Process(processes[0].pid), address
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def main():
    options = record.parse(__doc__)
    options.add_argument("--photographs", type=int, default=1_000_000, help="how many")
    options.add_argument("--workers", type=int, default=2, help="processes of two threads")
    args = options.parse_args()
    paths = [Path(f"/photographs/{number:07}_left.jpeg") for number in range(args.photographs)]
    me, marks = psutil.Process(), [args.photographs * tenth // 10 for tenth in range(1, 11)]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        scheduler, address = stack.enter_context(dask(folder, args.workers))
        cluster = stack.enter_context(contextlib.closing(Cluster(address)))
        before, held, mine, begun = scheduler.memory_info().rss, [], [me.memory_info().rss], time.perf_counter()
        for count, (path, _) in enumerate(for_each(no_work, paths, cluster, "nothing"), 1):
            assert path is paths[count - 1]
            if count == marks[len(held)]:
                held.append(scheduler.memory_info().rss)
                mine.append(me.memory_info().rss)
        taken = time.perf_counter() - begun
    rows = [("scheduler: memory when idle", f"{before / 1e6:.0f}", "MB", "")]
    rows += [
        (f"scheduler: memory after {mark:,} photographs", f"{bytes_ / 1e6:.0f}", "MB", "< 1000" * (mark == marks[-1]))
        for mark, bytes_ in zip(marks, held)
    ]
    rows += [
        ("scheduler: growth over the second half", f"{(held[-1] - held[4]) / 1e6:.0f}", "MB", ""),
        ("this process: growth during the run", f"{(mine[-1] - mine[0]) / 1e6:.0f}", "MB", ""),
        ("overhead of the cluster per photograph", f"{1000 * taken / args.photographs:.2f}", "ms", ""),
    ]
    record.write("cluster", rows, ["distributed"])


if __name__ == "__main__":
    main()
