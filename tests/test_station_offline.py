"""A station with a screen, all forms and DICOM photographs uses no network, and writes only beside its register."""

import io
import json
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
import test_station
from conftest import REPO
from PIL import Image
from test_predict import as_dicom
from test_station_limits import CHILD

from eyenet.station.form_files import KINDS

pty = pytest.importorskip("pty", reason="no terminals")
screener, drawn, inbox, put = test_station.screener, test_station.drawn, test_station.inbox, test_station.put
ON_STDERR = CHILD.replace("print(json.dumps(seen))", "print(json.dumps(seen), file=sys.stderr)")  # stdout is a screen
ON_STDERR = ON_STDERR.replace("seen.append(event)", 'seen.append(f"{event} {args[1:]}")')
PROBE = "socket.bind (('::1', 0),)"  # urllib3, which highdicom imports, looks at its import if there is IPv6


def test_forms_dicom_and_screen_use_no_network(inbox, put, drawn, tmp_path):
    pytest.importorskip("highdicom")
    assert "args[1:]" in ON_STDERR and "stderr" in ON_STDERR
    put("1_left.jpeg", "good")
    pixels = np.asarray(Image.open(io.BytesIO(drawn["sick"])))
    for eye in "LR":
        as_dicom(inbox / f"{eye}.dcm", pixels, "RGB", eye, StudyInstanceUID="1.2.5", SeriesInstanceUID="1.2.6")
    (tmp_path / "temporary").mkdir()
    words = [REPO / "screen.py", "--inbox", inbox, "--once", "--forms", "--register", tmp_path / "clinic" / "r.sqlite"]
    code, screen, told = on_a_terminal([sys.executable, "-c", ON_STDERR, *words], tmp_path / "temporary")
    assert code == 0, told
    assert "\x1b[" in screen and "referable DR" in screen
    seen = json.loads(told.splitlines()[-1])
    allowed = ("/dev/null", PROBE)
    assert [one for one in seen if one not in allowed and not re.search(r"/(clinic|temporary)\b", one)] == []
    forms = {path.name for path in (tmp_path / "clinic" / "r.sqlite.forms").glob("*/*/*")}
    assert set(KINDS.values()) <= forms and len(list(inbox.iterdir())) == 3


def on_a_terminal(words, temporary):
    """Run a command on a terminal; return its exit code, what it drew, and what it wrote to stderr."""
    ours, theirs = pty.openpty()
    drawn = []

    def read():
        try:
            while data := os.read(ours, 65536):
                drawn.append(data)
        except OSError:  # the terminal is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    environment = os.environ | {"TMPDIR": str(temporary), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    done = subprocess.run(
        [*map(str, words)], check=False, stdout=theirs, stderr=subprocess.PIPE, text=True, cwd=REPO, env=environment
    )
    os.close(theirs)
    reader.join()
    os.close(ours)
    return done.returncode, b"".join(drawn).decode(errors="replace"), done.stderr
