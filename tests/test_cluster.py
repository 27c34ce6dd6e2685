"""The image steps on a Dask cluster: the same bytes as on one machine, and what happens when a process dies."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from conftest import REPO, bytes_of, first_of, run

from eyenet.run.errors import PhotoError, StageError
from eyenet.run.workers import for_each

pytest.importorskip("distributed", reason="no Dask here: pip install -r requirements-cluster.txt")

import cloudpickle

from eyenet.run import cluster as clusters

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers do not have this file


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Farm:
    """A scheduler and workers in another folder, each in a process group of its own."""

    def __init__(self, folder):
        self.folder, self.port, self.processes = folder, free_port(), []
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start(self, *args, checkout=REPO):
        command = [sys.executable, "-m", "dask", *args, "--host", "127.0.0.1", "--no-dashboard"]
        # Dask gives up a batch after two lost workers instead of four.
        environment = os.environ | {"PYTHONPATH": str(checkout), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        place = {"cwd": self.folder, "env": environment, "start_new_session": True}
        with open(self.folder / f"{args[0]}-{len(self.processes)}.log", "w") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, **place))
        return self.processes[-1]

    def scheduler(self):
        return self.start("scheduler", "--port", str(self.port))

    def worker(self, **options):
        words = ["--nthreads", "2", "--local-directory", str(self.folder)]
        return self.start("worker", self.address, *words, **options)

    def kill(self):
        """End all processes and their children as a power cut does."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes = []


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    """A scheduler and two workers."""
    made = Farm(tmp_path_factory.mktemp("farm"))
    try:
        for start in (made.scheduler, made.worker, made.worker):
            start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def fresh_farm(tmp_path):
    """A cluster without any process yet, for a test that kills parts of it."""
    made = Farm(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def cluster(farm):
    with contextlib.closing(clusters.Cluster(farm.address)) as made:
        yield made


@pytest.fixture(scope="module")
def sample(sample, tmp_path_factory):
    """Ten drawings of the sample; one is all black and one is cut off."""
    return first_of(sample, 10, tmp_path_factory.mktemp("drawn") / "photographs")


def steps(sample, work, *more, array=None, **options):
    """Run steps 2 to 5 on the sample."""
    args = ["--max-rejected", 0.2, *more]
    run("resize_images.py", "--input", f"{sample}/train", "--output", f"{work}/resized", *args, **options)
    table = ["--labels", f"{sample}/trainLabels.csv", "--labels-out", f"{work}/preprocessed.csv"]
    place = ["--input", f"{work}/resized", "--output", f"{work}/preprocessed", "--figures", f"{work}/figures"]
    run("preprocess_images.py", *place, *table, *args, **options)
    table = ["--labels", f"{work}/preprocessed.csv", "--labels-out", f"{work}/rotated.csv"]
    run("rotate_images.py", "--input", f"{work}/preprocessed", "--output", f"{work}/rotated", *table, *args, **options)
    place = ["--input", f"{work}/rotated", "--output", array or f"{work}/array", "--labels", f"{work}/rotated.csv"]
    run("image_to_array.py", *place, *args, **options)


@pytest.fixture(scope="module")
def alone(sample, tmp_path_factory):
    """Steps 2 to 5 on this machine alone."""
    work = tmp_path_factory.mktemp("alone")
    steps(sample, work)
    assert (work / "resized" / "rejected.csv").read_text().count("\n") == 2
    return work


def test_same_bytes_as_one_machine(sample, alone, farm, tmp_path):
    steps(sample, tmp_path, "--scheduler", farm.address)
    assert bytes_of(tmp_path) == bytes_of(alone)


def odd_squares(number):
    if number % 7 == 0:
        raise PhotoError(f"{number} is unusable")
    return number * number


def test_results_come_in_order_and_few_at_a_time(cluster, monkeypatch):
    """A PhotoError is a result, and the scheduler never holds more than AHEAD tasks."""
    monkeypatch.setattr(clusters, "AHEAD", 8)
    found, held = [], []
    for item, result in for_each(odd_squares, range(1_000), cluster, None):
        found.append(item)
        assert str(result) == f"{item} is unusable" if item % 7 == 0 else result == item * item
        if item % 250 == 249:
            held.append(cluster.client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))
    assert found == list(range(1_000))
    assert len(held) == 4 and max(held) <= 8 + 1


def kill_once(item):
    """Kill a process group, or else this worker, the first time that item 300 is seen."""
    number, flag, group = item
    if number == 300 and not flag.exists():
        flag.touch()
        os.killpg(group, signal.SIGKILL) if group else os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_dask_gives_the_work_of_a_lost_worker_to_another(cluster, tmp_path):
    items = [(number, tmp_path / "killed", None) for number in range(600)]
    assert [result for _, result in for_each(kill_once, items, cluster, None)] == list(range(600))
    assert (tmp_path / "killed").exists()


def always_kill(path):
    if path.name == "killer":
        os.kill(os.getpid(), signal.SIGKILL)


def test_photographs_that_kill_workers_are_named(cluster, tmp_path):
    with pytest.raises(StageError, match="2 workers died while they had the batch from .*/killer to .*/killer; give"):
        # Alone: to Dask, others that a worker holds when it dies are as suspicious.
        list(for_each(always_kill, [tmp_path / "killer"], cluster, None))


def full_disk(path):
    raise OSError(28, "No space left on device", path)


def test_an_error_on_a_worker_ends_the_step_with_its_sentence(cluster):
    with pytest.raises(OSError, match="No space left on device") as error:
        list(for_each(full_disk, ["here.png"], cluster, None))
    assert (error.value.errno, error.value.filename) == (28, "here.png")


def test_a_worker_with_other_files_is_refused(farm, tmp_path):
    refused = pytest.raises(StageError, match=f"the worker tcp://.* does not see {tmp_path}")
    with contextlib.closing(clusters.Cluster(farm.address, [tmp_path / "absent"])) as blind, refused:
        list(for_each(odd_squares, [1], blind, None))


def test_a_change_of_a_script_or_of_the_package_is_another_checkout(tmp_path):
    """A step's function comes from its script, so the hash covers both, but no modules beside an installed package."""
    package, script = tmp_path / "eyenet", tmp_path / "resize_images.py"
    package.mkdir()
    (package / "a.py").write_text("A = 1")
    script.write_text("B = 1")
    installed = clusters._hash_sources(package)
    script.write_text("B = 2")
    assert clusters._hash_sources(package) == installed
    (tmp_path / "pyproject.toml").touch()
    hashes = [installed, clusters._hash_sources(package)]
    for path in (script, package / "a.py"):
        path.write_text("C = 3")
        hashes.append(clusters._hash_sources(package))
    assert len(set(hashes)) == 4


@pytest.mark.parametrize("name", ["EyeNet", "Python", "numpy", "zlib"])
def test_a_worker_with_another_environment_is_refused(cluster, monkeypatch, name):
    own = clusters.ENVIRONMENT[name]
    monkeypatch.setitem(clusters.ENVIRONMENT, name, "0.1")
    with pytest.raises(StageError, match=f"the worker tcp://.* has {name} {re.escape(own)} and this machine 0.1; use"):
        list(for_each(odd_squares, [1], cluster, None))


def test_no_scheduler_no_worker_no_eyenet(fresh_farm, monkeypatch, tmp_path):
    """The only worker dies; then there is one without EyeNet."""
    with monkeypatch.context() as patched:
        patched.setattr(clusters, "ANSWER", 1)
        for address in (fresh_farm.address, "nonsense://here"):
            with pytest.raises(StageError, match=f"no Dask scheduler answers at {address}"):
                clusters.Cluster(address)
    fresh_farm.scheduler()
    with monkeypatch.context() as patched, pytest.raises(StageError, match="has no workers; start some"):
        patched.setattr(clusters, "WORKER_TIMEOUT", 1)
        clusters.Cluster(fresh_farm.address)
    worker = fresh_farm.worker()
    with contextlib.closing(clusters.Cluster(fresh_farm.address)) as cluster, monkeypatch.context() as patched:
        patched.setattr(clusters, "WORKER_TIMEOUT", 1)
        with pytest.raises(StageError, match="has no workers; start some"):
            list(for_each(kill_once, [(300, tmp_path / "killed", worker.pid)], cluster, None))
    fresh_farm.worker(checkout=tmp_path)
    refused = pytest.raises(StageError, match="the worker tcp://.* cannot import .* No module named 'eyenet'; use")
    with contextlib.closing(clusters.Cluster(fresh_farm.address)) as cluster, refused:
        list(for_each(odd_squares, [1], cluster, None))


def test_a_url_is_refused_and_makes_no_folder(tmp_path):
    done = run("resize_images.py", "--input", tmp_path, "--output", "s3://bucket/resized", code=2, cwd=tmp_path)
    assert "argument --output: s3://bucket/resized is a URL; mount the bucket" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_lost_scheduler_ends_the_step(farm, cluster, tmp_path):
    """The last test: nobody can use the cluster afterwards."""
    items = [(number, tmp_path / "killed", farm.processes[0].pid) for number in range(600)]
    with pytest.raises(StageError, match="lost the Dask scheduler .* run the same command again"):
        list(for_each(kill_once, items, cluster, None))
