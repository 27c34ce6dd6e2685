"""The limits of a station: no network, nothing written but the register, hostile text harmless."""

import csv
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import test_station
from conftest import REPO
from PIL import Image
from test_predict import as_dicom
from test_station import Station, results

from eyenet.model.answers import AGAIN
from eyenet.station import commands
from eyenet.station.view import Lines, Screen

screener, drawn, inbox, put = test_station.screener, test_station.drawn, test_station.inbox, test_station.put
register = test_station.register

CHILD = """
import json, os, runpy, sys
seen = []
def hear(event, args):
    if event.startswith("socket.") and event not in ("socket.__new__",):
        seen.append(event)
    if event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR):
        seen.append(os.path.abspath(args[0]))
    if event in ("os.rename", "os.remove", "shutil.copyfile", "os.link", "os.symlink"):
        seen.append(f"{event} {args}")
    if event == "subprocess.Popen":
        seen.append(f"{event} {args[0]}")
sys.dont_write_bytecode = True
sys.addaudithook(hear)
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(json.dumps(seen))
"""


def test_a_station_uses_no_network_and_writes_only_its_register(inbox, put, tmp_path):
    """Python tells of each connection and each file that is opened for writing; SQLite opens its own.

    A file without a name in the folder for temporary files holds what LiteRT prints.
    """
    put("1_left.jpeg", "good")
    put("1_right.jpeg", "poor")
    files = {path.name: path.read_bytes() for path in inbox.iterdir()}
    words = [REPO / "screen.py", "--inbox", inbox, "--once", "--register", tmp_path / "clinic" / "register.sqlite"]
    (tmp_path / "temporary").mkdir()
    options = {"cwd": REPO, "env": os.environ | {"TMPDIR": str(tmp_path / "temporary")}}
    done = subprocess.run([sys.executable, "-c", CHILD, *words], check=False, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    strange = [one for one in seen if one != "/dev/null" and not re.search(r"/(clinic|temporary)\b", one)]
    assert len(seen) > 1 and strange == [] and list((tmp_path / "temporary").iterdir()) == []
    assert {path.name: path.read_bytes() for path in inbox.iterdir()} == files
    made = {path.name.rpartition(".")[2] for path in (tmp_path / "clinic").iterdir()}
    assert made <= {"sqlite", "sqlite-wal", "sqlite-shm", "lock"}


HOSTILE = '=HYPERLINK("http://x")\x1b[2J\r\n<script>alert(1)</script>[red]\u202e' + "9" * 10_000_000


def test_hostile_headers_are_harmless_and_the_visit_stays_one(screener, inbox, register, drawn, tmp_path, capsys):
    """IDs, studies and camera names of 10 MB, with control characters and markup; a restart between the two eyes."""
    rich = pytest.importorskip("rich.console")
    for i, eye in enumerate("LR"):
        with Image.open(io.BytesIO(drawn["good"])) as image:
            pixels = np.asarray(image.convert("RGB"))
        path = as_dicom(inbox / f"{i}.dcm", pixels, "RGB", eye, StudyDate="20260302")
        give(path, "PatientID", "StudyInstanceUID", "Manufacturer", "ManufacturerModelName")
        station = Station(inbox, screener, register).look(3)
    assert list(results(register).values()) == ["no DR"] and len({one.patient for one in register.photographs()}) == 1
    assert len("".join(line for line in register.connection.iterdump())) < 100_000 and register.verify() == []
    console = rich.Console(file=io.StringIO(), width=140, height=40, force_terminal=True)
    with Screen(screener, register, console) as screen:
        screen.refresh([], {HOSTILE[:999]: HOSTILE[:999]}, 0)
    assert ")\x1b[2J" not in console.file.getvalue() and "\u202e" not in console.file.getvalue()
    for event in station.view.events:
        Lines().show(event)
    commands.export(register, tmp_path / "report.csv")
    commands.overdue(register, 14)
    printed = capsys.readouterr().out + (tmp_path / "report.csv").read_text()
    assert all(letter.isprintable() or letter == "\n" for letter in printed) and len(printed) < 30_000
    with open(tmp_path / "report.csv", newline="") as file:
        cameras = {row["camera"] for row in csv.DictReader(file)} - {"all"}
    assert len(cameras) == 1 and cameras.pop().startswith("'=HYPERLINK")


def test_a_hostile_kind_of_dicom_is_harmless(screener, inbox, register, drawn, capsys):
    pydicom = pytest.importorskip("pydicom")
    with Image.open(io.BytesIO(drawn["good"])) as image:
        path = as_dicom(inbox / "1.dcm", np.asarray(image.convert("RGB")), "RGB", "L")
    give(path, "SOPClassUID")
    dataset = pydicom.dcmread(path)
    del dataset.Rows
    dataset.save_as(path)
    station = Station(inbox, screener, register).look(3)
    assert [event.kind for event in station.view.events] == ["left out"]
    Lines().show(station.view.events[0])
    assert capsys.readouterr().out.rstrip("\n").isprintable()


def give(path, *names):
    """Set elements of the header of a DICOM file to HOSTILE, whatever DICOM allows."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom import config

    dataset = pydicom.dcmread(path)
    config.settings.writing_validation_mode = config.IGNORE
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for name in names:
        setattr(dataset, name, HOSTILE.replace("\u202e", "") if name.endswith("UID") else HOSTILE)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    dataset.save_as(path, implicit_vr=True, little_endian=True)


def test_a_long_folder_is_remembered(screener, inbox, register, put):
    folder = "/".join("x" * 200 for _ in range(4))
    (inbox / folder).mkdir(parents=True)
    put(f"{folder}/1_left.jpeg", "good")
    Station(inbox, screener, register).look()
    assert results(register) == {"1": AGAIN}
    (inbox / folder / "1_left.jpeg").unlink()
    put(f"{folder}/1_right.jpeg", "good")
    Station(inbox, screener, register).look(3)
    assert results(register) == {"1": "no DR"} and len(register.answers()) == 1
