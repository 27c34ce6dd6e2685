"""An array in shards: images are read, shuffled and distributed to hosts as from one file."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from argparse import ArgumentTypeError
from functools import partial

import numpy as np
import pytest
from conftest import REPO, bytes_of, history, one_sentence, run, write_csv

from audit_leakage import read_audited
from eyenet.data.array import COLUMNS, content_hash, open_array, rows_by_split
from eyenet.data.duplicates import describe, verify
from eyenet.data.shards import OPEN, Shards, read_ahead
from eyenet.data.shuffling import PARTS, WINDOW, shuffle_blocks
from eyenet.photo.png import encode_png
from eyenet.retraining.base import Base
from eyenet.retraining.intake import merge
from eyenet.run.errors import StageError
from eyenet.training.distribution import Distribution
from eyenet.training.hosts import needed_rows, own_rows, require_hosts
from image_to_array import pack_shard, whole_blocks

COUNT, SIZE = 300, 32


@pytest.fixture(scope="module")
def rotated(tmp_path_factory):
    """300 images of 50 patients as from step 4, and their table."""
    folder, random = tmp_path_factory.mktemp("source"), np.random.default_rng(0)
    (folder / "rotated").mkdir()
    rows = [COLUMNS]
    for i in range(COUNT):
        patient, copy = i // 6, ("original", "mirror")[i % 2]
        name = f"{1000 + i}_{('left', 'right')[i % 2]}"
        pixels = random.integers(0, 200, (SIZE, SIZE, 3), dtype=np.uint8) + np.uint8(40 * (patient % 2))
        (folder / "rotated" / f"{name}.png").write_bytes(encode_png(pixels))
        split = ("train", "train", "train", "val", "test")[patient // 2 % 5]
        rows.append([name, f"p{patient}", "left", 2 * (patient % 2), split, copy])
    write_csv(folder / "rotated.csv", rows)
    return folder


def packing(rotated, output, *options):
    return [
        *("image_to_array.py", "--input", rotated / "rotated", "--labels", rotated / "rotated.csv"),
        *("--output", output, *options),
    ]


@pytest.fixture(scope="module")
def arrays(rotated, tmp_path_factory):
    """The same images in one file and in shards of 64."""
    folder = tmp_path_factory.mktemp("arrays")
    run(*packing(rotated, folder / "one"))
    done = run(*packing(rotated, folder / "shards", "--shard-size", 64))
    assert f"packed 300 images in 5 shards, {folder / 'shards' / 'X-00000.npy'} to X-00004.npy" in done.stdout
    return folder / "one", folder / "shards"


@pytest.fixture
def broken(arrays, tmp_path):
    return shutil.copytree(arrays[1], tmp_path / "array")


def test_the_same_array(arrays):
    (one, table, sidecar), (shards, same, described) = map(open_array, arrays)
    assert "X.npy" not in os.listdir(arrays[1])
    assert described["shards"] == [f"X-{n:05d}.npy" for n in range(5)] and "shards" not in sidecar
    assert same.equals(table) and described["settings"] == sidecar["settings"]
    assert content_hash(described) == content_hash(sidecar)
    assert (shards.shape, shards.dtype, len(shards), shards.ndim) == (one.shape, one.dtype, len(one), one.ndim)
    rows = np.array([0, 63, 64, 65, 200, 299])
    keys = [slice(None), slice(10, 20), slice(60, 70), slice(3, 290, 7), slice(5, 5), rows, rows[::-1], [7, 7, 190]]
    for key in [*keys, np.arange(COUNT) % 3 == 0, np.array([-1, 2]), np.zeros(0, int), 17, -1, np.int64(299)]:
        assert np.array_equal(shards[key], one[key]), key
    assert (np.take(shards, rows, axis=0) == np.take(one, rows, axis=0)).all()
    for row in (300, np.array([0, 300])):
        with pytest.raises(IndexError):
            shards[row]


def test_no_stale_files(rotated, arrays, tmp_path):
    """Another size is refused in the same folder; with fewer images, no old shards are left."""
    for options, words in (([], "shard_size: 64 -> None"), (["--shard-size", 128], "shard_size: 64 -> 128")):
        one_sentence(run(*packing(rotated, arrays[1], *options), code=1), words, "another folder")
    for size in ("100", "0", "-64"):
        with pytest.raises(ArgumentTypeError, match="is not a multiple of 64"):
            whole_blocks(size)
    fewer = shutil.copytree(rotated, tmp_path / "fewer", copy_function=shutil.copy2)
    output = shutil.copytree(arrays[1], tmp_path / "array", copy_function=shutil.copy2)
    lines = (fewer / "rotated.csv").read_text().splitlines(keepends=True)
    (fewer / "rotated.csv").write_text("".join(lines[:101]))
    (fewer / "rotated" / "1070_left.png").write_bytes(b"no picture")
    run(*packing(fewer, output, "--shard-size", 64))
    assert sorted(p.name for p in output.glob("X*")) == ["X-00000.npy", "X-00001.npy", "X.json"]
    images, table, _ = open_array(output)
    assert len(images) == 99 and "1070_left" not in set(table["image"])
    assert (images[:70] == open_array(arrays[0])[0][:70]).all()


def test_killed_it_goes_on_behind_the_finished_shards(rotated, arrays, tmp_path):
    output = tmp_path / "array"
    command = [str(word) for word in packing(rotated, output, "--shard-size", 64, "--workers", 1)]
    # Its third shard waits for an image from a pipe that nobody writes to.
    waiting = shutil.copytree(rotated, tmp_path / "waiting", copy_function=shutil.copy2)
    picture = waiting / "rotated" / "1150_left.png"
    kept = picture.rename(tmp_path / "kept.png")
    os.mkfifo(picture)
    command[2], command[4] = str(waiting / "rotated"), str(waiting / "rotated.csv")
    process = subprocess.Popen([sys.executable, str(REPO / command[0]), *command[1:]], stderr=subprocess.DEVNULL)
    journal, until = output / "X.npy.journal", time.monotonic() + 1800
    while not (journal.exists() and journal.read_text().count("\n") == 2) and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(StageError, match="not finished"):
        open_array(output)
    picture.unlink()
    kept.rename(picture)
    before = {p.name: p.stat().st_mtime_ns for p in output.glob("X-*.npy")}
    assert sorted(before) == ["X-00000.npy", "X-00001.npy"]
    run(*command)
    assert before.items() <= {p.name: p.stat().st_mtime_ns for p in output.glob("X-*.npy")}.items()
    assert bytes_of(output) == bytes_of(arrays[1])


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda f: (f / "X-00003.npy").unlink(), ["has no X-00003.npy"]),
        (lambda f: os.truncate(f / "X-00002.npy", 9000), ["X-00002.npy is damaged or incomplete"]),
        (lambda f: shutil.copy(f / "X-00000.npy", f / "X-00001.npy"), ["X-00001.npy is damaged", "checksum"]),
        (
            lambda f: shutil.copy(f / "X-00000.npy", f / "X-00004.npy"),
            ["X-00004.npy has shape (64,", "not [44,"],
        ),
    ],
)
def test_a_broken_shard_is_named(broken, change, words):
    change(broken)
    with pytest.raises(StageError) as raised:
        open_array(broken)
    for word in [*words, "image_to_array.py"]:
        assert word in str(raised.value)


def test_memory_and_open_files_stay_bounded(rotated, tmp_path):
    paths, peaks = sorted((rotated / "rotated").glob("*.png")), []
    for times in (1, 4):
        tracemalloc.start()
        sums, rejected = pack_shard((tmp_path / "X.npy", paths[:256] * times), (SIZE, SIZE, 3))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(sums) == 4 * times and not rejected
    assert peaks[1] < 1.2 * peaks[0] and 256 * 4 * SIZE * SIZE * 3 > 2 * peaks[1]
    count = 4 * OPEN
    for number in range(count):
        np.save(tmp_path / f"{number}.npy", np.full((2, SIZE, SIZE, 3), number % 251, np.uint8))
    shards = Shards([tmp_path / f"{number}.npy" for number in range(count)], [2] * count, (SIZE, SIZE, 3))
    before = len(os.listdir("/proc/self/fd"))
    assert (shards[np.arange(0, 2 * count, 2)][:, 0, 0, 0] == np.arange(count) % 251).all()
    assert len(os.listdir("/proc/self/fd")) - before <= OPEN


def test_block_order():
    rows = np.flatnonzero(np.random.default_rng(1).random(20_000) < 0.7)
    orders = [shuffle_blocks(rows, [0, epoch]) for epoch in range(3)]
    for order in orders:
        assert set(order) <= set(rows) and len(order) == len(set(order)) == len(rows) // PARTS * PARTS
        for part, own in enumerate(np.array_split(rows, PARTS)):
            stream = order[part::PARTS] // 64
            assert set(order[part::PARTS]) <= set(own) and len(set(order[part::PARTS])) == len(rows) // PARTS
            first = {block: place for place, block in reversed(list(enumerate(stream)))}
            last = {block: place for place, block in enumerate(stream)}
            live = [sum(first[b] <= place <= last[b] for b in first) for place in range(0, len(stream), 50)]
            assert max(live) <= WINDOW + 1  # blocks are closed after use,
            assert np.median(live) >= WINDOW - 2  # and the buffer is full except at the ends
    assert not any((a == b).mean() > 0.01 for a, b in [orders[:2], orders[1:], orders[::2]])
    assert (shuffle_blocks(rows, [0, 2]) == orders[2]).all() and (shuffle_blocks(rows, [1, 2]) != orders[2]).any()
    neighbours = np.abs(np.diff(orders[0])) < 64
    assert neighbours.mean() < 0.05
    assert len(shuffle_blocks(rows[:0], [0, 0])) == 0 and set(shuffle_blocks(rows[:5], [0, 0])) == set(rows[:5])


@pytest.fixture(scope="module")
def batches():
    from eyenet.model import backend

    backend.start("float32", 0)
    from eyenet.model.batches import Batches

    return Batches


def share_of(host, hosts):
    """The share of a process with one device in cnn.py --distribute hosts."""
    distribution = Distribution.__new__(Distribution)
    distribution.engine, distribution.replicas = object(), hosts
    distribution.process, distribution.processes = host, hosts
    return distribution.share


@pytest.mark.parametrize("hosts", [1, 2, 4, 8])
@pytest.mark.parametrize("shuffle", ["full", "blocks"])
def test_the_shares_of_all_hosts_are_the_batch_of_one(batches, hosts, shuffle):
    images = np.arange(3000, dtype=np.uint32)[:, None]
    rows, labels = np.flatnonzero(np.arange(2999) % 11 < 8), np.arange(3000) % 2
    shares = [share_of(host, hosts) for host in range(hosts)]
    feeds = [batches(images, labels, rows, 32, seed=3, shuffle=shuffle, share=share) for share in shares]
    alone = batches(images, labels, rows, 32, seed=3, shuffle=shuffle)
    for feed in [alone, *feeds]:
        feed.set_epoch(1)
    seen = [set() for _ in feeds]
    for step in range(len(alone)):
        (whole, truth), given = alone[step], [feed[step] for feed in feeds]
        together = np.concatenate([share for share, _ in given])
        assert (together[: len(whole)] == whole).all() and (together[len(whole) :] == whole[-1]).all()
        assert len(together) == len(whole) or (shuffle == "full" and step == len(alone) - 1)
        assert all((labels == truth).all() for _, labels in given)
        for known, (share, _) in zip(seen, given):
            known.update(share[:, 0].tolist())
    if shuffle == "blocks":
        assert sum(map(len, seen)) == len(rows) - len(rows) % PARTS
        assert all(known <= set(own_rows(rows, host, hosts).tolist()) for host, known in enumerate(seen))


def test_what_hosts_cannot_share_is_refused():
    for hosts in (3, 16):
        with pytest.raises(StageError, match="use 1, 2, 4 or 8"):
            require_hosts(hosts, 32)
    with pytest.raises(StageError, match="--batch 20 cannot be divided evenly"):
        require_hosts(2, 20)
    require_hosts(1, 20)


def test_a_resumed_epoch_is_repeated(arrays, batches):
    """An epoch has the same rows regardless of earlier epochs, from one file and from shards."""
    streams = []
    for folder, before in ((arrays[0], []), (arrays[1], [0, 1, 2])):
        images, table, sidecar = open_array(folder)
        rows = rows_by_split(table, sidecar["settings"])["train"]
        feed = batches(images, np.arange(COUNT), rows, 16, seed=5, shuffle="blocks")
        for epoch in before:
            feed.set_epoch(epoch)
            [feed[step] for step in range(3)]
        feed.set_epoch(3)
        streams.append([feed[step] for step in range(len(feed))])
    for (images, labels), (others, same) in zip(*streams, strict=True):
        assert (images == others).all() and (labels == same).all()


def test_a_host_needs_its_own_shards_only(broken, arrays):
    """With the first shard damaged and the second missing, the first of two hosts fails and the second works."""
    (broken / "X-00000.npy").write_bytes(b"")
    (broken / "X-00001.npy").unlink()
    images, table, sidecar = open_array(broken, partial(needed_rows, host=1, hosts=2))
    rows = own_rows(rows_by_split(table, sidecar["settings"])["train"], 1, 2)
    assert len(rows) > 64 and (images[rows] == open_array(arrays[0])[0][rows]).all()
    with pytest.raises(StageError, match=r"X-0000[01]\.npy"):
        open_array(broken, partial(needed_rows, host=0, hosts=2))


def test_read_ahead_reads_each_row_once(arrays, monkeypatch):
    import builtins

    images, _, _ = open_array(arrays[1])
    taken, real = [], builtins.open

    class Counted:
        def __init__(self, path):
            self.path, self.file = path, real(path, "rb", buffering=0)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def seek(self, place):
            self.file.seek(place)

        def readinto(self, buffer):
            begin = self.file.tell()
            read = self.file.readinto(buffer)
            taken.append((os.path.basename(self.path), begin, read))
            return read

    monkeypatch.setattr("eyenet.data.shards.open", lambda path, *_, **__: Counted(path), raising=False)
    read_ahead(images, np.array([62, 63, 64, 65, 70]))
    one = SIZE * SIZE * 3
    expected = [("X-00000.npy", 128 + 62 * one, 2 * one), ("X-00001.npy", 128, 2 * one)]
    assert taken == [*expected, ("X-00001.npy", 128 + 6 * one, one)]
    read_ahead(np.zeros((4, 2)), np.arange(4))  # in memory: nothing to read
    assert len(taken) == 3


def test_an_array_in_shards_grows_in_shards(arrays, tmp_path):
    """The array of retrain.py has the form of its base; beside several sets, the batch is a set of its own."""
    images, table, sidecar = open_array(arrays[1])
    base = Base(None, {}, arrays[1], images, table.assign(source=["one", "two"] * (COUNT // 2)), sidecar, {})
    merge(base, arrays[0], tmp_path / "both", "autumn")
    both, table, described = open_array(tmp_path / "both")
    assert table["source"].value_counts().to_dict() == {"autumn": COUNT, "one": COUNT // 2, "two": COUNT // 2}
    assert described["shards"] == [f"X-{n:05d}.npy" for n in range(10)] and described["shard_size"] == 64
    assert (both[:COUNT] == images[:]).all() and (both[COUNT:] == images[:]).all() and len(both) == 2 * COUNT


def test_an_audit_reads_shards(arrays):
    """Measuring images in threads, and aligning them, in audit and retraining."""
    one, shards = (read_audited(folder) for folder in arrays)
    assert all((one.rows[split] == shards.rows[split]).all() for split in one.rows)
    assert (describe(one.images, one.rows["train"]) == describe(shards.images, shards.rows["train"])).all()
    pairs = [(0, 0), (70, 70), (3, 299)]
    found = verify(shards.images, shards.images, pairs)
    assert found == verify(one.images, one.images, pairs) and [pair[:2] for pair in found] == pairs[:2]


# A script of several trainings, without what follows them: the dashboard and the conversion for LiteRT.
TRAININGS = f"""
import json, sys
sys.path.insert(0, {str(REPO)!r})
import cnn
from eyenet.training import finish
finish.add_lite = lambda folder, config, network: config
sys.modules["eyenet.training.dashboard"] = type("none", (), {{"build_boards": lambda *_: []}})
usual = cnn.Distribution.open_order
for options in json.loads(sys.argv[1]):
    cnn.Distribution.open_order = (lambda *_: "full") if "shards" in options else usual
    sys.argv = ["cnn.py", *map(str, options)]
    cnn.main()
"""


def test_the_same_training(arrays, tmp_path):
    """Fully shuffled shards give the same training as one file; by default, cnn.py shuffles their blocks."""
    args = ["--epochs", 1, "--batch", 16, "--network", "three_layers_2017", "--models", tmp_path, "--logs", tmp_path]
    runs = [["--input", arrays[run != "one"], "--run", run, *args] for run in ("one", "blocks", "shards")]
    (tmp_path / "trainings.py").write_text(TRAININGS)
    run(tmp_path / "trainings.py", json.dumps(runs, default=str), cwd=tmp_path)
    one, shards = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("one", "shards"))
    assert history(tmp_path / "one") == history(tmp_path / "shards") != history(tmp_path / "blocks")
    assert one["settings"] | {"shuffle": "blocks"} == shards["settings"] and one["decision"] == shards["decision"]
    done = run("cnn.py", "--input", arrays[1], "--run", "one", *args, code=1)
    one_sentence(done, "shuffle: None -> blocks", "another folder")
