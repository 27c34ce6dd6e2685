"""The image stages on a Dask cluster of several processes: same bytes, whatever dies."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import REPO, bytes_of, run

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


def wait_for(condition, process=None, seconds=60):
    """Wait until a condition holds, and, where one is given, while a process runs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        assert process is None or process.poll() is None, "it ended before"
        time.sleep(0.01)


class Farm:
    """A scheduler and its workers, each a process (group) of its own, in a folder without EyeNet's code."""

    def __init__(self, folder, **environment):
        self.folder, self.port, self.processes = folder, free_port(), []
        self.address = f"tcp://127.0.0.1:{self.port}"
        # Two deaths are enough to call a batch a killer: the test need not wait for four.
        self.environment = os.environ | environment | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        self.environment.pop("PYTHONPATH", None)

    def start(self, *args):
        command = [sys.executable, "-m", "dask", *args, "--host", "127.0.0.1", "--no-dashboard"]
        place = {"cwd": self.folder, "env": self.environment, "start_new_session": True}
        with open(self.folder / f"{args[0]}-{len(self.processes)}.log", "w") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, **place))
        return self.processes[-1]

    def scheduler(self):
        return self.start("scheduler", "--port", str(self.port))

    def worker(self):
        return self.start("worker", self.address, "--nthreads", "2", "--local-directory", str(self.folder))

    @staticmethod
    def kill(process):
        """End a process and its children as a power cut does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    """A scheduler and two workers."""
    made = Farm(tmp_path_factory.mktemp("farm"))
    try:
        made.parts = [made.scheduler(), made.worker(), made.worker()]
        yield made
    finally:
        for process in made.processes:
            made.kill(process)


@pytest.fixture
def cluster(farm):
    with contextlib.closing(clusters.Cluster(farm.address)) as made:
        yield made


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Drawings of the sample; one is all black and one is cut off."""
    folder = tmp_path_factory.mktemp("sample")
    run("make_sample.py", "--output", folder, "--labels-out", folder / "labels.csv", "--photographs", 16)
    return folder


def steps(sample, work, *more, array=None, **options):
    """Run steps 2 to 5 on the sample."""
    args = ["--max-rejected", 0.1, *more]
    run("resize_images.py", "--input", f"{sample}/train", "--output", f"{work}/resized", *args, **options)
    table = ["--labels", f"{sample}/labels.csv", "--labels-out", f"{work}/preprocessed.csv"]
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
        raise PhotoError(f"{number} is of no use")
    return number * number


def test_results_come_in_order_and_few_at_a_time(cluster):
    """What cannot be used is a result; the scheduler holds a window of batches, not all of them."""
    held = []
    for number, (item, result) in enumerate(for_each(odd_squares, range(20_000), cluster, None)):
        assert item == number
        assert str(result) == f"{item} is of no use" if item % 7 == 0 else result == item * item
        if item % 5_000 == 4_999:
            held.append(cluster.client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))
    assert number == 19_999
    assert len(held) == 4 and max(held) <= clusters.AHEAD * 4 + 8


def touch_or_die(path):
    if path.name == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    path.touch()


def test_a_photograph_that_kills_workers_is_named(cluster, tmp_path):
    paths = [tmp_path / f"{number}" for number in range(60)]
    paths[30] = tmp_path / "killer"
    with pytest.raises(StageError, match=r"died again and again, 2 times, while they had .*/killer; give them"):
        for path, _ in for_each(touch_or_die, paths, cluster, None):
            assert path.exists()
    assert all(path.exists() for path in paths[:30])  # those of its batch before it too


def full_disk(path):
    raise OSError(28, "No space left on device", path)


def test_an_error_of_a_worker_ends_the_stage_with_its_sentence(cluster):
    with pytest.raises(OSError, match="No space left on device") as error:
        list(for_each(full_disk, ["here.png"], cluster, None))
    assert (error.value.errno, error.value.filename) == (28, "here.png")


def test_workers_that_could_give_other_bytes_are_refused(farm, cluster, tmp_path, monkeypatch):
    refused = pytest.raises(StageError, match=f"the worker tcp://.* does not see {tmp_path}")
    with contextlib.closing(clusters.Cluster(farm.address, [tmp_path / "absent"])) as blind, refused:
        list(for_each(odd_squares, [1], blind, None))
    monkeypatch.setattr(clusters.remote, "versions", lambda: {"numpy": "0.1"})
    with pytest.raises(StageError, match=r"numpy is [2-9][\d.]+ on the worker tcp://.* and 0.1 here"):
        list(for_each(odd_squares, [1], cluster, None))


def test_two_versions_of_the_code_are_never_mixed(farm, cluster):
    """A run with other code brings it to the workers, and the one before stops with a sentence."""
    other = clusters.remote.Code()
    other.version = "another"
    assert [result for _, result in for_each(odd_squares, [2, 3], cluster, None)] == [4, 9]
    cluster.client.register_plugin(other)
    with pytest.raises(StageError, match="another run has brought another version of EyeNet"):
        list(for_each(odd_squares, [4], cluster, None))
    with contextlib.closing(clusters.Cluster(farm.address)) as again:
        assert [result for _, result in for_each(odd_squares, [4], again, None)] == [16]


def kill_when_second(item):
    number, group = item
    if number == 2:
        os.killpg(group, signal.SIGKILL)
    return number


def test_no_scheduler_no_worker_no_address(tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "ARRIVAL", 1)
    monkeypatch.setattr(clusters, "PATIENCE", 1)
    nobody = Farm(tmp_path)
    for address in (nobody.address, "nonsense://here"):
        with pytest.raises(StageError, match=f"no Dask scheduler answers at {address}"):
            clusters.Cluster(address)
    nobody.scheduler()
    try:
        monkeypatch.setattr(clusters, "ARRIVAL", 20)
        with pytest.raises(StageError, match="no worker was connected to .* for 1 s"):
            clusters.Cluster(nobody.address)
        monkeypatch.setattr(clusters, "PATIENCE", 60)
        worker = nobody.worker()
        with contextlib.closing(clusters.Cluster(nobody.address)) as cluster:
            monkeypatch.setattr(clusters, "PATIENCE", 1)
            results = for_each(kill_when_second, [(1, worker.pid), (2, worker.pid)], cluster, None)
            with pytest.raises(StageError, match="the workers of .* are gone"):
                list(results)
    finally:
        for process in nobody.processes:
            nobody.kill(process)


def test_a_worker_is_killed_and_the_scheduler_restarted(sample, farm, tmp_path):
    """kill -9 of a worker and its nanny, then of the scheduler, in the middle: nothing lost, nothing twice."""
    many = tmp_path / "many"
    many.mkdir()
    for number in range(15):
        for path in (sample / "train").glob("*.jpeg"):
            os.link(path, many / f"n{number}{path.name}")
    args = ["--input", many, "--max-rejected", 0.1]
    run("resize_images.py", *args, "--output", tmp_path / "alone")
    command = [sys.executable, REPO / "resize_images.py", *args, "--output", tmp_path / "out"]
    command = [str(word) for word in [*command, "--scheduler", farm.address]]
    stage = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def done(count):
        return lambda: len(list((tmp_path / "out").glob("*.png"))) >= count

    try:
        wait_for(done(30), stage)
        farm.kill(farm.parts[1])
        wait_for(done(90), stage)
        farm.kill(farm.parts[0])
        assert not done(220)(), "no kill came in the middle"
        wait_for(lambda: farm.parts[2].poll() is not None)  # a worker ends with its scheduler, as docs/cluster.md says
        farm.parts = [farm.scheduler(), farm.worker(), farm.worker()]
        _, said = stage.communicate(timeout=120)
    finally:
        stage.kill()
    assert stage.returncode == 0, said
    assert "lost the scheduler" in said and "is back" in said and "Traceback" not in said
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "alone")


def test_a_url_is_refused_and_makes_no_folder(tmp_path):
    done = run("resize_images.py", "--input", tmp_path, "--output", "s3://bucket/resized", code=2, cwd=tmp_path)
    assert "argument --output: s3://bucket/resized is a URL; mount the bucket" in done.stderr
    assert not list(tmp_path.iterdir())
