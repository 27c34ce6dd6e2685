"""The soak test on a small collection: 120 photographs with every kind of damage through steps 2 to 5.

Nothing is killed here: `python benchmarks/soak.py` does that at random times, and tests/test_kills.py at every moment.
"""

import argparse
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from conftest import REPO, make_dataset, read_csv, run

sys.path.append(str(REPO / "benchmarks"))
import soak

from benchmarks import collection

PHOTOGRAPHS = 120


@pytest.fixture(scope="module")
def soaked(tmp_path_factory):
    """Run `benchmarks/soak.py` on photographs of 12 patients: its folder, the collection, complaints and measurements.

    One is damaged in each way, not 2 % of them, so that few photographs have every kind of damage: more than 5 %.
    """
    source = make_dataset(tmp_path_factory.mktemp("drawn"), width=200, height=160, radius=72)
    folder = tmp_path_factory.mktemp("soaked")
    args = argparse.Namespace(photographs=PHOTOGRAPHS, size=32, workers=2, kills=1, seed=0, train=False)
    made, command = {}, soak.command

    def run_step(words, log, kills=0, *_):
        log.write_text(run(Path(words[1]).name, *words[2:]).stderr)
        return soak.Step(1.0, 100.0, kills)

    with pytest.MonkeyPatch.context() as patch:

        def make(place, pairs, count, seed):
            kinds = len(collection.KINDS) if count == PHOTOGRAPHS else 0
            patch.setattr(collection, "DAMAGED", kinds / count)
            made[count] = collection.make(place, pairs, count, seed)
            return made[count]

        patch.setattr(soak, "make", make)
        patch.setattr(soak, "run_step", run_step)
        patch.setattr(soak, "command", lambda *step: [*command(*step), "--max-rejected", "0.5"])
        complaints, rows = soak.soak([source], folder, args)
    return folder, made[PHOTOGRAPHS], complaints, {name: value for name, value, _, _ in rows}


def test_nothing_is_lost_changed_or_left(soaked):
    """benchmarks/results/soak.csv has the memory with more photographs."""
    _, photographs, complaints, measured = soaked
    assert {p.kind for p in photographs} == {collection.PLAIN, *collection.KINDS}
    assert not complaints
    assert measured["in resized/rejected"] > 8 and measured["in array/rejected"] == 2
    assert [measured[f"{step}: kills"] for step in soak.STEPS] == [1, 1, 1, 1]


def test_the_soak_complains(soaked, tmp_path):
    """It detects a photograph that is lost, one that is in two places, and one with a wrong reason."""
    photographs = soaked[1]
    work = shutil.copytree(soaked[0] / "run-undisturbed", tmp_path / "work")
    spoiled = {output: collection.to_spoil(photographs, output, 0) for output in collection.SPOILED}
    assert collection.account(photographs, work, spoiled)[0] == []

    whole = {row["image"] for row in read_csv(work / "array" / "labels.csv")}
    first = next(p for p in photographs if p.kind == collection.PLAIN and p.level == 0 and p.image in whole)
    rejected, labels = work / "resized" / "rejected.csv", work / "array" / "labels.csv"
    before, lines = rejected.read_text(), labels.read_text()
    rejected.write_text(before + f"{first.image},the file is empty\n")
    (twice,) = collection.account(photographs, work, spoiled)[0]
    assert twice.startswith(f"{first.image} (plain): [('array', ''), ('resized/rejected', 'the file is empty')]")
    rejected.write_text(before.replace("the file is truncated", "the file is empty"))
    wrong = collection.account(photographs, work, spoiled)[0]
    assert any("(truncated.jpeg): [('resized/rejected', 'the file is empty" in line for line in wrong)
    rejected.write_text(before)
    labels.write_text("".join(line for line in lines.splitlines(True) if not line.startswith(f"{first.image},")))
    (lost,) = collection.account(photographs, work, spoiled)[0]
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

    end = time.monotonic() + 1800  # the system removes it after a moment, since nothing waits for it
    while not gone() and time.monotonic() < end:
        time.sleep(0.01)
    assert gone()


def test_a_killed_step_is_started_again(tmp_path):
    waits_once = f"[ -e {tmp_path / 'seen'} ] || {{ touch {tmp_path / 'seen'}; sleep 300; }}"
    step = soak.run_step(["bash", "-c", waits_once], tmp_path / "log", kills=9, dice=random.Random(0))
    assert 0 < step.kills < 9
