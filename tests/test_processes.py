"""A child process ends with its parent, even if that is killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REPO

from eyenet.run.script import run_main

POOL = "import os, record; pool = record.one_process(); print(pool.submit(os.getpid).result(), flush=True); input()"
SCRIPT = """
import os, subprocess, sys
from eyenet.run.script import PARENT
child = "import os; from eyenet.run.script import run_main; run_main(lambda: print(os.getpid(), flush=True) or input())"
subprocess.run([sys.executable, "-c", child], env=os.environ | {PARENT: str(os.getpid())})
"""


@pytest.mark.parametrize("program", [POOL, SCRIPT], ids=["pool", "script"])
def test_a_child_ends_with_its_killed_parent(program):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    place = {"cwd": REPO, "env": os.environ | {"PYTHONPATH": f"{REPO}:{REPO / 'benchmarks'}"}}
    with subprocess.Popen([sys.executable, "-c", program], **pipes, **place) as parent:
        child = Path(f"/proc/{int(parent.stdout.readline())}")
        assert (child / "exe").exists()
        parent.kill()
        for _ in range(180_000):
            if not (child / "exe").exists():
                return
            time.sleep(0.01)
        pytest.fail("the child is still running")


@pytest.mark.parametrize("words", ["part-00000-of-00001; File too large [Op:SaveV2]", "No space left on device"])
def test_a_disk_that_is_full_is_told_whichever_library_finds_it(words, capsys):
    """TensorFlow and HDF5 raise errors of their own; any other error is a bug, and shows its traceback."""

    def fail(words):
        raise RuntimeError(words)

    with pytest.raises(SystemExit) as ended:
        run_main(lambda: fail(words))
    said = capsys.readouterr().err
    assert ended.value.code == 1 and "disk is full" in said and said.count("\n") == 1
    with pytest.raises(RuntimeError, match="a bug"):
        run_main(lambda: fail("a bug"))
