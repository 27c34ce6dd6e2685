"""The soak test on a smaller collection: 1,000 photographs with every kind of damage, steps 2 to 5 with kills."""

import argparse
import signal
import sys
import time
from pathlib import Path

import pytest
from conftest import REPO, make_dataset, run_stages

sys.path.append(str(REPO / "benchmarks"))
import soak

from benchmarks import collection


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Photographs of 24 patients, of the smallest size that the pipeline accepts."""
    return make_dataset(tmp_path_factory.mktemp("drawn"), patients=24, width=200, height=160, radius=72)


def test_nothing_is_lost_changed_or_left(drawn, tmp_path):
    """Runs `python benchmarks/soak.py`; benchmarks/results/soak.csv has the memory with more photographs."""
    args = argparse.Namespace(photographs=1000, size=32, workers=2, kills=3, seed=0, train=False)
    complaints, rows = soak.soak([drawn], tmp_path, args)
    measured = {name: value for name, value, _, _ in rows}
    assert not complaints
    assert measured["in resized/rejected"] > 8 and measured["in array/rejected"] == 2
    assert sum(measured[f"{step}: kills"] for step in soak.STEPS) >= 4


def test_the_soak_complains(drawn, tmp_path):
    """It detects a photograph that is lost, one that is in two places, and one with a wrong reason."""
    pairs = collection.usable_pairs([drawn], 32, 2)
    photographs = collection.make(tmp_path / "source", pairs, 50 * len(collection.KINDS), 0)
    assert {p.kind for p in photographs} == {collection.PLAIN, *collection.KINDS}
    work, nothing = run_stages(tmp_path / "source", tmp_path / "work", size=32), dict.fromkeys(collection.SPOILED, ())
    assert collection.account(photographs, work, nothing)[0] == []

    first = next(p for p in photographs if p.kind == collection.PLAIN)
    rejected, labels = work / "resized" / "rejected.csv", work / "array" / "labels.csv"
    before, lines = rejected.read_text(), labels.read_text()
    rejected.write_text(before + f"{first.image},the file is empty\n")
    (twice,) = collection.account(photographs, work, nothing)[0]
    assert twice.startswith(f"{first.image} (plain): [('array', ''), ('resized/rejected', 'the file is empty')]")
    rejected.write_text(before.replace("the file is truncated", "the file is empty"))
    wrong, *_ = collection.account(photographs, work, nothing)[0]
    assert "(truncated.jpeg): [('resized/rejected', 'the file is empty" in wrong
    rejected.write_text(before)
    labels.write_text("".join(line for line in lines.splitlines(True) if not line.startswith(f"{first.image},")))
    (lost,) = collection.account(photographs, work, nothing)[0]
    assert lost == f"{first.image} (plain): [], not [('array', '')]"


def test_folders_that_differ(tmp_path):
    for name, files in (("a", {"x": "1", "y": "2"}), ("b", {"x": "1", "y": "3", ".tmp-z": "", "d": ""})):
        (tmp_path / name).mkdir()
        for file, text in {**files, ".lock": name, ".done": name}.items():
            (tmp_path / name / file).write_text(text)
    assert soak.compare(tmp_path / "a", tmp_path / "a") == []
    expected = [".tmp-z differs", "d differs", "y differs", ".tmp-z is left"]
    assert soak.compare(tmp_path / "a", tmp_path / "b") == expected


def test_a_step_is_killed_with_all_that_it_started(tmp_path):
    """A shell starts a child, as a step might; the kill ends both."""
    words = ["bash", "-c", f"sleep 300 & echo $! > {tmp_path / 'child'}; wait"]
    process = soak.start(words, tmp_path / "log")
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
        time.sleep(0.01)
    soak.kill(process)
    assert process.wait() == -signal.SIGKILL
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"

    def gone():
        return not child.exists() or child.read_text().split()[2] in "ZX"

    end = time.monotonic() + 10  # the system removes it after a moment, since nothing waits for it
    while not gone() and time.monotonic() < end:
        time.sleep(0.01)
    assert gone()
