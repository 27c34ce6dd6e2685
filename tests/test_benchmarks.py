"""The benchmark suite: it writes ratios, and its check fails only if something has become slower."""

import sys
from statistics import median

import pytest
from conftest import REPO, read_csv

sys.path.append(str(REPO / "benchmarks"))
import record
import suite

from benchmarks import bounds, growth, materials, resize
from eyenet.run.errors import StageError
from eyenet.run.script import run_main
from eyenet.run.workers import cores

ALONE = "rotate: ours / reading and writing alone, CPU"
OLD = "rotate: the way of 2017 / ours, CPU"


@pytest.fixture
def run_suite(tmp_path, monkeypatch):
    """Run the suite in this process, with separate bounds and results; return its exit code."""
    monkeypatch.setattr(bounds, "TABLE", tmp_path / "bounds.csv")
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(materials, "WIDTHS", (1200,))

    def run_it(*options):
        monkeypatch.setattr(sys, "argv", ["suite.py", "--photographs", "1", "--repeat", "1", *map(str, options)])
        with pytest.raises(SystemExit) as stop:
            run_main(suite.main)
        return stop.value.code

    return run_it


def allow(times):
    """Allow every ratio to be worse than its bound by a multiple of the bound."""
    rows = [list(bound) for bound in bounds.read().values()]
    for row in rows:
        row[3] = times * row[2]
    bounds.write_rows(bounds.TABLE, bounds.COLUMNS, rows)


def measuring(monkeypatch, *values):
    """Let the benchmark of rotating find these ratios, one a run, instead of measuring."""
    found = iter(values)

    def ratios(given):
        return [record.Ratio(ALONE, next(found), "less"), record.Ratio(OLD, 2.0, "more")]

    monkeypatch.setattr(suite, "GROUPS", {"rotate": ratios})
    monkeypatch.setattr(suite, "find_photographs", lambda *_: ([], []))


def test_the_check_fails_when_a_function_is_slow(run_suite, monkeypatch, capsys):
    measuring(monkeypatch, 1.5, 1.6, 1.6, 15.0, 15.0, 15.0)
    assert run_suite("--record-bounds", 2, "--only", "rotate") == 0
    recorded = bounds.read()[ALONE]
    runs = [float(value) for value in recorded.runs.split()]
    assert runs == [1.5, 1.6] and recorded.bound == pytest.approx(median(runs), rel=0.01)
    assert recorded.noise == pytest.approx(max(runs) - min(runs), rel=0.1, abs=1e-3)
    allow(2)
    assert run_suite("--check", "--only", "rotate") == 0
    assert capsys.readouterr().err.count("measuring rotate") == 3
    assert run_suite("--check", "--only", "rotate") == 4
    err = capsys.readouterr().err
    assert err.count("measuring rotate") == 3, "what fails is measured three times"
    failed = [line for line in err.splitlines() if "should be" in line]
    assert len(failed) == 1 and failed[0].startswith(ALONE) and f"recorded {bounds.short(recorded.bound)}" in failed[0]


def test_the_check_fails_when_a_bound_is_too_tight(run_suite, monkeypatch, capsys):
    measuring(monkeypatch, 1.5, 1.5, 1.5)
    row = (ALONE, "less", 0.01, 0.001, "0.01", record.machine(), "")
    bounds.write_rows(bounds.TABLE, bounds.COLUMNS, [row])
    assert run_suite("--check", "--only", "rotate") == 4
    err = capsys.readouterr().err
    assert f"{ALONE}: " in err and "should be at most 0.011" in err and "2017 / ours" in err.split("no bound")[0]


def test_a_disturbance_is_measured_again(run_suite, monkeypatch, capsys):
    measuring(monkeypatch, 1.5, 15.0, 1.5)
    assert run_suite("--record-bounds", 1, "--only", "rotate") == 0
    allow(2)
    capsys.readouterr()
    assert run_suite("--check", "--only", "rotate") == 0
    captured = capsys.readouterr()
    assert captured.err.count("measuring rotate") == 2 and "within its bound" in captured.out


def test_without_bounds_there_is_nothing_to_check(run_suite, monkeypatch, capsys):
    measuring(monkeypatch)
    assert run_suite("--check", "--only", "rotate") == 1
    assert "--record-bounds 5 first" in capsys.readouterr().err


def test_limits():
    less = bounds.Bound("a", "less", 2.0, 0.3, "", "here", "")
    assert bounds.limit(less, "here") == pytest.approx(2.3)
    assert bounds.limit(less, "elsewhere") == pytest.approx(2.8)
    more = less._replace(better="more", noise=0.0)
    assert bounds.limit(more, "here") == pytest.approx(1.9)
    assert bounds.complaint(record.Ratio("a", 2.31, "less"), less, "here")
    assert bounds.complaint(record.Ratio("a", 2.29, "less"), less, "here") is None
    assert bounds.complaint(record.Ratio("a", 1.89, "more"), more, "here")
    assert bounds.complaint(record.Ratio("a", 9.0, "more"), more, "here") is None


def test_the_suite_writes_its_ratios(run_suite, tmp_path, monkeypatch):
    few = {name: suite.GROUPS[name] for name in ("resize", "rotate")}
    monkeypatch.setattr(suite, "GROUPS", few)
    monkeypatch.setattr(suite, "WITH_MODEL", set())
    monkeypatch.setattr(resize, "find_spec", lambda name: None)  # neither OpenCV nor pyvips
    assert run_suite() == 0
    rows = read_csv(tmp_path / "suite.csv")
    assert {"resize: the recipe of 2017 / ours, CPU", ALONE} < {row["name"] for row in rows}
    assert not any("pyvips" in row["name"] for row in rows)
    for row in rows:
        assert float(row["ratio"]) > 0 and row["better"] in ("less", "more")
        assert row["machine"] and row["commit"] and "numpy" in row["versions"]
        assert row["command"].startswith("python benchmarks/")


@pytest.mark.parametrize("cost, slower, larger", [(lambda n: 0.1 * n, 1, 1), (lambda n: 0.001 * n * n, 7.6, 2)])
def test_growth_is_of_what_comes_after_the_start(cost, slower, larger):
    """Linear time with constant memory, and quadratic time with doubling memory."""

    def run(count, workers):
        memory = 50 * (1 if larger == 1 or count <= 40 else 2)
        return record.Spent(1 + cost(count) / workers, 1 + cost(count), memory)

    found = {ratio.name: ratio for ratio in growth.ratios("stage", 40, run, 1)}
    time = found["stage: CPU a photograph, 8 x the photographs / 1 x"].value
    assert time == pytest.approx(slower, rel=0.05)
    assert found["stage: peak memory, 8 x the photographs / 1 x"].value == larger
    if cores() > 1:
        gain = found[f"stage: rate with {cores()} workers / with 1"]
        assert gain.value == pytest.approx(cores()) and gain.better == "more"
    assert [ratio.name for ratio in growth.ratios("stage", 40, run, 1, quick=True)] == [
        "stage: CPU a photograph, 8 x the photographs / 1 x",
        "stage: peak memory, 8 x the photographs / 1 x",
    ]


def test_a_process_is_measured():
    """Sixty megabytes and some work in a separate process, independent of the memory of this one."""
    code = "data = bytearray(60_000_000)\nfor i in range(3_000_000): pass"
    spent = record.spend(sys.executable, "-c", code)
    assert 60 < spent.memory < 120 and 0.01 < spent.cpu < 10 and spent.wall > 0.01
    with pytest.raises(AssertionError):
        record.spend(sys.executable, "-c", "raise SystemExit(3)")
    assert record.spend(sys.executable, "-c", "raise SystemExit(3)", codes=(0, 3)).wall > 0


def test_photographs_that_are_not_there(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(StageError, match="no \\*.jpeg file"):
        suite.find_photographs(tmp_path, tmp_path, 3)
