"""Run download_images.sh as a user would, with the real kaggle client, against a fake of Kaggle on loopback."""

import functools
import io
import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from fake_kaggle import FIXED, FakeKaggle, cut, make_competition, make_photographs, make_zip

from eyenet.download.archive import Parts, unpack
from eyenet.download.competition import check_disk, choose_files
from eyenet.run.errors import StageError

HOUSE = Path(__file__).resolve().parent.parent
SCRIPT = HOUSE / "download_images.sh"
MIB = 1 << 20  # block size of the client


@functools.cache
def photographs():
    return make_photographs()


@functools.cache
def competition():
    return make_competition(photographs())


class Run:
    """A server and a home folder with credentials; the path contains a space and an umlaut."""

    def __init__(self, tmp_path, server):
        self.server, self.processes = server, []
        self.cwd = tmp_path / "my räume"
        home = tmp_path / "home"
        self.cwd.mkdir()
        home.mkdir()
        kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("KAGGLE_")}
        self.env = {
            **kept,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "PYTHON": sys.executable,
            "HTTP_PROXY": server.address,
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_USERNAME": "eye",
            "KAGGLE_KEY": "secret",
            "EYENET_STALL_SECONDS": "60",
            "EYENET_RETRY_SECONDS": "0",
        }
        self.output = self.cwd / "data/download"
        self.train = self.output / "train"
        self.labels = self.cwd / "labels/trainLabels.csv"

    def start(self, *options, **env):
        process = subprocess.Popen(
            ["bash", str(SCRIPT), *options],
            cwd=self.cwd,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def __call__(self, *options, **env):
        process = self.start(*options, **env)
        process.out, process.err = process.communicate(timeout=1800)
        return process

    def close(self):
        self.server.close()
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def transfers(self, name):
        return [wanted for file, wanted in self.server.log if file == name]

    def unpacked(self):
        return {path.stem: path.read_bytes() for path in self.train.glob("*.jpeg")}


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path, FakeKaggle(competition()))
    yield run
    run.close()


def assert_error(process, *words):
    """Check that the run failed with one sentence that contains the words, without a traceback."""
    errors = [line for line in process.err.splitlines() if line.startswith("download_images.sh: error: ")]
    assert process.returncode == 1 and process.out == "", process.err
    assert len(errors) == 1 and "Traceback" not in process.err, process.err
    for word in words:
        assert word in errors[0], process.err


def assert_done(process, run):
    assert process.returncode == 0, process.err
    assert run.unpacked() == photographs()
    assert run.labels.read_text().startswith("image,level\n10_left,0\n10_right,1\n")
    assert process.out.splitlines() == [
        "12 photographs in data/download/train, 12 labels in labels/trainLabels.csv",
        "next: python resize_images.py",
    ]
    assert sorted(p.name for p in run.output.iterdir()) == [".lock", "SOURCE", "train", "train.complete"]
    assert len(list(run.train.iterdir())) == 12  # no temporary file is left


def test_a_cut_connection_is_resumed_and_then_there_is_nothing_to_do(run):
    run.server.cut["train.zip.002"] = 3 * MIB // 2
    first = run("--kaggle")  # the client resumes by itself after 3 s
    assert_done(first, run)
    assert run.transfers("train.zip.002") == [None, f"bytes={MIB}-"]
    assert "note:" not in first.err and "secret" not in first.err
    assert {name for name, _ in run.server.log} == {f"train.zip.00{i}" for i in (1, 2, 3)} | {"trainLabels.csv.zip"}
    before = {path: path.stat().st_mtime_ns for path in run.train.iterdir()}
    calls = run.server.calls
    # Neither client nor credentials nor network are needed.
    second = run("--kaggle", KAGGLE_USERNAME="", KAGGLE_KEY="")
    assert_done(second, run)
    assert "nothing was downloaded" in second.err
    assert run.server.calls == calls
    assert before == {path: path.stat().st_mtime_ns for path in run.train.iterdir()}
    # Only the label table is missing, so only it is downloaded.
    run.labels.unlink()
    run.server.log.clear()
    assert_done(run("--kaggle"), run)
    assert run.server.log == [("trainLabels.csv.zip", None)]


def test_stalled_server_is_left_and_asked_again(run):
    run.server.silent = {"ListDataFiles"}
    run.server.stall["train.zip.001"] = 3 * MIB // 2
    done = run("--kaggle", EYENET_STALL_SECONDS="2")
    assert_done(done, run)
    assert "the list of files: nothing arrived for 2 s\nattempt 2 of 5" in done.err
    # The count of attempts starts again, since the labels have arrived.
    assert "train.zip.001: nothing arrived for 2 s\nattempt 2 of 5" in done.err
    assert run.transfers("train.zip.001")[-1] == f"bytes={MIB}-"


def test_server_that_stays_away(run):
    run.server.refuse["ListDataFiles"] = 503
    failed = run("--kaggle")
    assert_error(failed, "5 attempts failed", "run the same command again")
    assert "attempt 5 of 5" in failed.err


def test_refusal_is_explained_and_not_repeated_and_the_sample_takes_the_folder(run):
    run.server.refuse["DownloadDataFile"] = 403
    assert_error(run("--kaggle"), "403", "/diabetic-retinopathy-detection/rules", "phone")
    run.server.refuse["ListDataFiles"] = 401
    calls = run.server.calls
    assert_error(run("--kaggle"), "401", "KAGGLE_API_TOKEN", "~/.kaggle/kaggle.json")
    assert run.server.calls == calls + 1
    done = run("--sample", "2")
    assert done.returncode == 0, done.err
    assert len(run.unpacked()) == 2 and len(run.labels.read_text().splitlines()) == 3
    assert done.out.splitlines() == [
        "2 photographs in data/download/train, 2 labels in labels/trainLabels.csv",
        "next: python resize_images.py",
    ]
    assert (run.output / "SOURCE").read_text() == "sample\n"


def test_no_credentials(run):
    del run.env["KAGGLE_USERNAME"], run.env["KAGGLE_KEY"]
    assert_error(run("--kaggle"), "no valid Kaggle credentials", "KAGGLE_API_TOKEN", "~/.kaggle/access_token")
    assert run.server.calls == 0


def test_no_client(run, tmp_path):
    stub = tmp_path / "stub/kaggle"
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text("raise ImportError('no module named six')")
    assert_error(run("--kaggle", PYTHONPATH=str(stub.parent)), "kaggle client", "requirements.txt")
    assert_error(run("--kaggle", PYTHON="no-such-python"), "no-such-python", "PYTHON")


def test_a_damaged_and_a_short_part_are_named_and_fetched_anew(run):
    whole = run.server.files["train.zip.002"]
    middle = len(whole) // 2
    run.server.files["train.zip.002"] = (
        whole[:middle] + bytes(b ^ 255 for b in whole[middle : middle + 8]) + whole[middle + 8 :]
    )
    assert_error(run("--kaggle"), "train.zip.002 is damaged", "train/", "run the same command again")
    archives = sorted(path.name for path in (run.output / "archives").glob("train*.zip.*"))
    assert archives == ["train.zip.001", "train.zip.003"]
    good = run.unpacked()
    assert len(good) == 11 and good.items() <= photographs().items()  # all but the damaged one
    run.server.sizes["train.zip.002"] = len(whole)
    run.server.files["train.zip.002"] = whole[:-100]
    assert_error(run("--kaggle"), "train.zip.002", f"{len(whole) - 100:,} bytes", f"{len(whole):,}")
    assert run.unpacked() == good
    run.server.files["train.zip.002"] = whole
    assert_done(run("--kaggle"), run)
    assert run.transfers("train.zip.001") == run.transfers("train.zip.003") == [None]  # the good parts were kept


def test_too_little_disk(tmp_path):
    needed = r"GB free, and 2,000,000\.0 GB are needed \(1,000,000\.0 to download"
    with pytest.raises(StageError, match=needed):
        check_disk({"train.zip.001": 10**15}, tmp_path)


def test_incomplete_list():
    with pytest.raises(StageError, match="not offer all parts of train .it has train.zip.001, train.zip.003"):
        choose_files({"train.zip.001": 1, "train.zip.003": 1, "trainLabels.csv.zip": 1}, ["labels", "train"])


def test_labels_and_photographs_that_do_not_match(run):
    levels = {name: 0 for name in photographs() if name != "10_left"} | {"99_left": 1, "99_right": 4}
    run.server.files.update(make_competition(photographs(), levels))
    run.labels.parent.mkdir()
    run.labels.write_text("image,level\nsample_left,0\n")
    done = run("--kaggle", "--keep-archives")
    assert done.returncode == 0, done.err
    assert "2 labels have no photograph: 99_left, 99_right" in done.err
    assert "1 photograph has no label: 10_left" in done.err
    assert done.out.startswith("12 photographs in data/download/train, 13 labels in ")
    assert (run.labels.parent / "trainLabels.csv.old").read_text() == "image,level\nsample_left,0\n"
    assert len(list((run.output / "archives").iterdir())) == 4  # kept


def test_both_sets_to_a_folder_of_its_own(run):
    test = make_zip({"test/": b"", **{f"test/{name}.jpeg": data for name, data in photographs().items()}})
    run.server.files.update(cut(test, "test.zip", 2))
    done = run("--kaggle", "both", "--output", "../other place/", "--labels-out", "../l.csv")
    assert done.returncode == 0, done.err
    other = run.cwd.parent / "other place"
    for name in ("train", "test"):
        assert {path.stem: path.read_bytes() for path in (other / name).iterdir()} == photographs()
    assert "next: python resize_images.py --input ../other\\ place/train" in done.out
    assert list(run.cwd.iterdir()) == [] and (run.cwd.parent / "l.csv").is_file()


def test_killed_while_downloading(run):
    """The client, which the kill leaves alone, ends by itself."""
    part = run.server.files["train.zip.002"]
    run.server.slow["train.zip.002"] = 0.03
    process = run.start("--kaggle")
    partial = run.output / "archives/partial/train.zip.002/train.zip.002"
    wait_for(lambda: partial.exists() and partial.stat().st_size > 0)
    process.kill()
    process.communicate(timeout=1800)  # returns when the client has ended, too
    size = partial.stat().st_size
    assert 0 < size < len(part)
    run.server.slow.clear()
    assert_done(run("--kaggle"), run)
    assert run.transfers("train.zip.002")[-1] == f"bytes={size}-"


def test_ctrl_c_while_downloading(run):
    run.server.slow["train.zip.002"] = 0.03
    process = run.start("--kaggle")
    wait_for(lambda: (run.output / "archives/partial/train.zip.002/train.zip.002").exists())
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=1800)
    assert (process.returncode, out) == (130, "")
    assert "stopped; run the same command again" in err and "Traceback" not in err


def test_killed_while_unpacking(tmp_path):
    drawn = {f"{i}_left": bytes([i % 256]) * 30_000 for i in range(1000)}
    archive = make_zip({f"train/{name}.jpeg": data for name, data in drawn.items()})
    archives = tmp_path / "archives"
    archives.mkdir()
    for name, data in cut(archive, "train.zip", 3).items():
        (archives / name).write_bytes(data)
    command = [sys.executable, "-m", "eyenet.download.archive", "unpack", str(tmp_path), "train"]
    process = subprocess.Popen(command, cwd=HOUSE, stderr=subprocess.DEVNULL)
    wait_for(lambda: (tmp_path / "train").is_dir() and len(os.listdir(tmp_path / "train")) > 20)
    process.kill()
    process.wait()
    half = {path.stem: path.read_bytes() for path in (tmp_path / "train").glob("*.jpeg")}
    assert 0 < len(half) < 1000 and half.items() <= drawn.items()
    assert not (tmp_path / "train.complete").exists()
    (tmp_path / "train/.tmp-1-1").write_bytes(b"half")
    wrong = next(path for path in (tmp_path / "train").glob("*.jpeg"))
    wrong.write_bytes(wrong.read_bytes()[:-1] + b"!")  # right size, wrong content
    subprocess.run(command, cwd=HOUSE, check=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "train").iterdir()} == {
        f"{name}.jpeg": data for name, data in drawn.items()
    }


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def put_archive(folder, entries):
    (folder / "archives").mkdir()
    data = make_zip({"train/1_left.jpeg": b"good", **entries})
    for name, part in cut(data, "train.zip", 2).items():
        (folder / "archives" / name).write_bytes(part)


def link_entry():
    info = zipfile.ZipInfo("train/2_left.jpeg", FIXED)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "name",
    ["../evil.jpeg", "train/../../evil.jpeg", "/tmp/evil.jpeg", "train/..\\evil.jpeg", "C:evil.jpeg", link_entry()],
    ids=str,
)
def test_names_that_leave_the_folder(tmp_path, name):
    put_archive(tmp_path, {name: b"/etc/passwd"})
    with pytest.raises(StageError, match="could leave the folder, so nothing was unpacked"):
        unpack(tmp_path, "train", 2)
    assert not list(tmp_path.rglob("*.jpeg"))


def test_twice_the_same_name(tmp_path):
    put_archive(tmp_path, {"train/1_LEFT.jpeg": b"other"})
    with pytest.raises(StageError, match="twice"):
        unpack(tmp_path, "train", 2)


def test_other_entries_stay_in_the_archive(tmp_path, capsys):
    put_archive(tmp_path, {"train/notes.txt": b"", "train/deep/2_left.jpeg": b"", "3_left.jpeg": b""})
    assert unpack(tmp_path, "train", 2) == 1
    assert [path.name for path in (tmp_path / "train").iterdir()] == ["1_left.jpeg"]
    assert "3 entries" in capsys.readouterr().err


def test_damaged_table_of_contents(tmp_path):
    put_archive(tmp_path, {})
    last = tmp_path / "archives/train.zip.002"
    last.write_bytes(last.read_bytes()[:-30])
    with pytest.raises(StageError, match="train.zip.002 is damaged and was deleted"):
        unpack(tmp_path, "train", 2)
    assert not last.exists() and (tmp_path / "archives/train.zip.001").exists()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_parts_read_as_one_file(tmp_path, size):
    data = bytes(range(256)) * 4
    paths = []
    for i in range(0, len(data), size):
        paths.append(tmp_path / f"{i:05d}")
        paths[-1].write_bytes(data[i : i + size])
    parts, whole = Parts(paths), io.BytesIO(data)
    for offset, whence, count in [(0, 0, 10), (5, 1, 300), (-40, 2, 30), (0, 1, 99), (1000, 0, -1), (2000, 0, 5)]:
        assert parts.seek(offset, whence) == whole.seek(offset, whence)
        assert parts.read(count) == whole.read(count) and parts.tell() == whole.tell()
    assert parts.holding(0, len(data)) == paths
    assert parts.holding(size - 1, size) == paths[:1]
    assert parts.holding(size, size + 1) == paths[1:2]
    parts.close()


def test_zip64(tmp_path, monkeypatch):
    """An archive of more than 4 GiB stores sizes in other fields; a lowered limit makes a small one do so."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    put_archive(tmp_path, {f"train/{name}.jpeg": data for name, data in photographs().items()})
    tail = (tmp_path / "archives/train.zip.002").read_bytes()
    assert b"PK\x06\x06" in tail  # the zip64 end of the table of contents
    monkeypatch.undo()
    assert unpack(tmp_path, "train", 2) == 13
    assert zlib.crc32((tmp_path / "train/15_right.jpeg").read_bytes()) == zlib.crc32(photographs()["15_right"])


@pytest.mark.parametrize(
    "options",
    [[], ["--kaggle", "tarin"], ["--sample", "--kaggle"], ["--output"], ["--kaggle", "--output", ""], ["extra"]],
    ids=" ".join,
)
def test_wrong_usage(run, options):
    wrong = run(*options)
    assert wrong.returncode == 2 and wrong.err.count("\n") == 1 and "see --help" in wrong.err
    assert list(run.cwd.iterdir()) == []


def test_help_names_every_option(run):
    shown = run("--help")
    assert shown.returncode == 0 and shown.err == ""
    for word in ("--sample", "--kaggle", "--output", "--labels-out", "--keep-archives", "KAGGLE_API_TOKEN", "GB"):
        assert word in shown.out


def test_sample_and_competition_do_not_mix(run):
    run.train.mkdir(parents=True)
    (run.train / "10_left.jpeg").write_bytes(b"")
    (run.output / "SOURCE").write_text("sample\n")
    assert_error(run("--kaggle"), "data/download holds photographs of --sample", "--output")
    (run.output / "SOURCE").write_text("kaggle\n")
    assert_error(run("--sample", "4"), "data/download holds photographs of --kaggle", "--output")
    (run.train / "stage.json").write_text("{}")  # as from make_sample.py run by itself
    assert_error(run("--kaggle"), "data/download holds photographs of --sample", "--output")
    assert run.server.calls == 0


def test_output_that_cannot_be_written(run):
    (run.cwd / "data").write_text("a file")
    assert_error(run("--kaggle"), "data/download cannot be written")


def test_a_second_run_at_the_same_time(run):
    run.server.slow["train.zip.001"] = 0.1
    first = run.start("--kaggle")
    wait_for(lambda: (run.output / "archives/partial/train.zip.001").exists())
    assert_error(run("--kaggle"), "another run is writing to data/download")
    assert first.poll() is None  # still running
