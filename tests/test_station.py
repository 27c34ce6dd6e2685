"""The station: answers as predict.py gives them, whatever happens to files, disk and program."""

import io
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from conftest import REPO, run

from eyenet.data.identity import MOST
from eyenet.grading.photographs import COPY, find_doubts
from eyenet.grading.rows import LEFT_OUT
from eyenet.model import pretrained
from eyenet.model.answers import AGAIN, UNGRADABLE
from eyenet.model.screener import Screener
from eyenet.photo.kinds import find_photographs
from eyenet.run.errors import EXIT_REJECTED, StageError
from eyenet.run.files import sha256
from eyenet.run.options import parser
from eyenet.sets.identify import identify
from eyenet.station import watch
from eyenet.station.clock import Clock
from eyenet.station.desk import Desk
from eyenet.station.inbox import SETTLED, Inbox
from eyenet.station.lock import only_station
from eyenet.station.register import Register
from eyenet.station.view import Screen
from eyenet.station.visits import SAME_FILE
from make_sample import take_photograph
from predict import grade, join_patients

POOR, GOOD, SICK = (3, "right", 0), (3, "left", 0), (2, "left", 3)  # drawings: patient, eye and grade


@pytest.fixture(scope="module")
def screener():
    return Screener(pretrained.folder())


@pytest.fixture(scope="module")
def drawn():
    """The bytes of a gradable photograph without DR, of a poor one, and of one that refers."""
    return {kind: take_photograph(1, *drawing) for kind, drawing in (("good", GOOD), ("poor", POOR), ("sick", SICK))}


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def register(tmp_path):
    with Register.open(tmp_path / "register.sqlite") as opened:
        opened.connection.execute("PRAGMA synchronous = OFF")
        yield opened


@pytest.fixture
def put(inbox, drawn):
    """Write a photograph with bytes of its own into the inbox."""

    def write(name, kind, number=0):
        (inbox / name).parent.mkdir(exist_ok=True)
        (inbox / name).write_bytes(drawn[kind] + f"{name}{number}".encode())
        return inbox / name

    return write


class Seen:
    """A view that keeps what it is shown."""

    def __init__(self):
        self.events = []

    def show(self, event):
        self.events.append(event)

    def refresh(self, waiting, problems, since, left_out=()):
        self.since = since
        self.redraw(waiting, problems)

    def redraw(self, waiting, problems):
        self.waiting, self.problems = waiting, dict(problems)

    def kinds(self, name):
        return [event.kind for event in self.events if event.name == name]


class Station:
    """The parts of a station with a clock that the test turns, and that begins as `Watch.run` does."""

    def __init__(self, inbox, screener, register, start=0.0, boot="boot", view=None):
        self.time, self.view = start, view or Seen()
        clock = Clock(lambda: self.time, boot)
        self.desk, self.inbox = Desk(inbox, screener, register, clock=clock), Inbox(inbox, lambda: self.time)
        self.watch = watch.Watch(self.desk, self.inbox, self.view, lambda: self.time)
        self.watch.step()

    def look(self, times=2, seconds=SETTLED):
        for _ in range(times):
            self.watch.step()
            self.time += seconds
        return self


def results(register):
    return {one.answer["patient"]: one.answer["result"] for one in register.answers()}


def predicted(screener, inbox, monkeypatch):
    """The patient rows of predict.py, run in the inbox."""
    monkeypatch.chdir(inbox)
    paths, _ = find_photographs([Path(".")], ())
    who = partial(identify, places=[inbox], one_clinic=False)
    graded = list(grade(screener, paths, dict.fromkeys(paths), find_doubts(paths, who), 1, who))
    counted = [(one, row) for _, one, row in graded if row["result"] != LEFT_OUT]
    return {row["patient"]: row for row in join_patients(screener, *map(list, zip(*counted)))}


def test_the_answers_are_those_of_predict_in_any_order_of_arrival(screener, inbox, register, put, drawn, monkeypatch):
    station = Station(inbox, screener, register)
    files = [("1_left", "good"), ("1_right", "good"), ("2_left", "sick"), ("3_left", "poor"), ("3_left (1)", "poor")]
    files += [("3_right", "good"), ("0012_left", "good"), ("12_right", "good"), ("4/left", "good"), ("5_left", "good")]
    random.shuffle(files)
    for name, kind in files:
        put(f"{name}.jpeg", kind)
        station.look()
    (inbox / "6_right.jpeg").write_bytes((inbox / "1_right.jpeg").read_bytes())  # one file for two patients
    (inbox / "5_right.jpeg").write_bytes(drawn["good"][:5000])
    (inbox / "notes.txt").write_text("no photograph")
    station.look()
    wanted = predicted(screener, inbox, monkeypatch)
    for row in wanted.values():  # the station does not name the other patient's file
        row["reasons"] = [SAME_FILE if why.startswith(COPY) else why for why in row["reasons"]]
    assert {one.answer["patient"]: one.answer for one in register.answers()} == wanted
    assert wanted["3"]["result"] == UNGRADABLE and SAME_FILE in wanted["1"]["reasons"]
    assert len(register.photographs()) == len(files) + 1 and register.verify() == []
    assert station.view.kinds("notes.txt") == ["left out"] and station.view.kinds("5_right.jpeg") == ["not read"]


def test_a_file_is_taken_when_it_has_stopped_growing(screener, inbox, register, put, drawn):
    station = Station(inbox, screener, register)
    whole = put("7_left.jpeg", "good").read_bytes()
    for part in (1000, 9000, len(whole)):
        (inbox / "7_left.jpeg").write_bytes(whole[:part])
        station.look(1)
        assert station.view.waiting == ["7_left.jpeg"] and station.view.events == []
    station.look(1)
    assert station.view.waiting == [] and station.view.kinds("7_left.jpeg") == ["photograph"]


def test_what_cannot_be_read_is_listed_and_tried_again_when_it_changes(screener, inbox, register, put):
    station = Station(inbox, screener, register)
    whole = put("7_left.jpeg", "good").read_bytes()
    (inbox / "7_left.jpeg").write_bytes(whole[:9000])
    put("7_right.jpeg", "good")
    station.look(4)
    assert list(station.view.problems) == ["7_left.jpeg"] and station.view.kinds("7_left.jpeg") == ["not read"]
    assert results(register) == {"7": AGAIN}
    (inbox / "7_left.jpeg").write_bytes(whole)
    station.look(3)
    assert station.view.problems == {} and results(register) == {"7": "no DR"}


def test_a_restart_grades_and_answers_nothing_twice(screener, inbox, register, put):
    station = Station(inbox, screener, register)
    for name, kind in (("1_left", "good"), ("1_right", "good"), ("2_left", "sick")):
        put(f"{name}.jpeg", kind)
    (inbox / "3_left.jpeg").write_bytes(b"\xff\xd8\xff")
    station.look()
    head = register.head()
    (inbox / "2_left.jpeg").unlink()
    station = Station(inbox, screener, register).look(3)
    assert register.head() == head and station.view.kinds("1_left.jpeg") == []
    put("2_right.jpeg", "good")
    station.look()
    assert results(register)["2"] == "referable DR"  # the left eye has left the inbox, and counts


@pytest.mark.parametrize("entry", range(5))
def test_a_register_that_cannot_be_written_loses_nothing(screener, inbox, register, put, monkeypatch, entry):
    """A full disk at each of the entries in turn, and then another program that goes on."""
    put("1_left.jpeg", "good")
    put("1_right.jpeg", "good")
    station, append, count = Station(inbox, screener, register), register.append, iter(range(99))

    def full(*args):
        if next(count) == entry:
            raise StageError("the disk is full")
        return append(*args)

    monkeypatch.setattr(register, "append", full)
    station.look()
    assert [event.text for event in station.view.events if event.kind == "trouble"] == ["the disk is full"]
    if entry % 2:
        station = Station(inbox, screener, register)
    station.look(3, watch.RETRY)
    assert results(register) == {"1": "no DR"} and station.view.problems == {}
    assert len(register.photographs()) == 2 and register.last()[0] in (4, 5) and register.verify() == []


def test_a_lost_drive_is_waited_for(screener, inbox, register, put):
    put("1_left.jpeg", "sick")
    station = Station(inbox, screener, register).look()
    inbox.rename(inbox.with_name("gone"))
    station.look(3)
    assert [event.kind for event in station.view.events if event.name == "."] == ["trouble"]
    inbox.with_name("gone").rename(inbox)
    put("1_right.jpeg", "good")
    station.look(3)
    assert station.view.problems == {} and len(register.photographs()) == 2


def test_an_erased_patient_does_not_come_back(screener, inbox, register, put):
    put("1_left.jpeg", "good")
    Station(inbox, screener, register).look()
    register.forget(register.find("1")[0])
    head = register.head()
    Station(inbox, screener, register).look(3)
    assert register.head() == head and register.find("1") == []


def test_the_answers_of_two_networks_are_not_joined(screener, inbox, register, put):
    put("1_left.jpeg", "good")
    Station(inbox, screener, register).look()
    other = Screener(pretrained.folder(), specificity=0.9)
    with pytest.raises(StageError, match="graded by another network"):
        Station(inbox, other, register)


def test_an_id_that_is_not_one_person_takes_back_what_does_not_refer(screener, inbox, register, put):
    station, most = Station(inbox, screener, register), MOST["photographs of one eye in a visit"]
    put("8_left.jpeg", "good")
    put("8_right.jpeg", "good")
    station.look()
    assert results(register) == {"8": "no DR"}
    for number in range(most):
        put(f"8_left ({number}).jpeg", "good")
    station.look()
    (answer,) = register.answers()
    assert answer.answer["result"] == AGAIN and "not one person" in str(answer.answer["reasons"])


def test_one_station_for_a_folder(inbox, tmp_path):
    options = parser("")
    watch.add_options(options)
    args = options.parse_args(["--inbox", str(inbox), "--once"])
    args.register = tmp_path / "register.sqlite"
    with only_station(inbox, tmp_path / "other.sqlite"), pytest.raises(StageError, match="another station"):
        watch.run_station(args)


def test_the_screen_has_photograph_again_first_and_hostile_names_are_harmless(screener, inbox, register, put):
    rich = pytest.importorskip("rich.console")
    put("[red]1\x1b[2J_left.jpeg", "good")
    put("2_left.jpeg", "sick")
    Station(inbox, screener, register).look()
    console = rich.Console(file=io.StringIO(), width=140, height=40, force_terminal=True, record=True)
    screen = Screen(screener, register, console)
    with screen:
        screen.refresh(["x\x1b_left.jpeg"], {"[b]y": "truncated"}, 0)
    assert "\x1b[2J_" not in console.file.getvalue()
    console.print(screen.draw(["x\x1b_left.jpeg"], {"[b]y": "truncated"}))
    text = console.export_text()
    assert text.index("[red]1?[2J") < text.index("referable DR") and "[b]y: truncated" in text
    assert "waiting: x?_left.jpeg" in text and screener.name in text and "Not a medical device" in text


def test_kills_at_any_moment(inbox, tmp_path, put):
    """The program as it is started in a clinic, killed three times; then the undisturbed run of a copy."""
    command = [sys.executable, str(REPO / "screen.py"), "--inbox", str(inbox), "--register"]
    for patient in range(3):
        put(f"{patient}_left.jpeg", "good")
        put(f"{patient}_right.jpeg", "sick" if patient % 2 else "poor")
        killed = subprocess.Popen(
            [*command, str(tmp_path / "r.sqlite")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert killed.stdout.readline()
        time.sleep(random.random() / 10)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        killed.stdout.close()
    found = []
    for name in ("r.sqlite", "undisturbed.sqlite"):
        (inbox / "9_left.jpeg").write_bytes(b"\xff\xd8\xff")
        run("screen.py", *command[2:4], "--once", "--register", tmp_path / name, code=EXIT_REJECTED, fresh=True)
        with Register.open(tmp_path / name) as opened:
            assert opened.verify() == []
            hashes = {one.sha256 for one in opened.photographs()}
            found.append((results(opened), hashes, len(opened.photographs())))
    assert found[0] == found[1] and found[0][1] == {sha256(path) for path in inbox.glob("[0-2]_*")}
    assert found[0][2] == 6


def test_a_station_without_forms_waits_after_a_restart(screener, inbox, register, put, monkeypatch):
    put("1_left.jpeg", "good")
    Station(inbox, screener, register).look(3)
    station, looks = Station(inbox, screener, register), []

    def step(once=False):
        looks.append(watch.Watch.step(station.watch, once))
        assert len(looks) < 20, "the station never waits"

    def wait():
        raise KeyboardInterrupt

    monkeypatch.setattr(station.watch, "step", step)
    monkeypatch.setattr(station.watch.inbox, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        station.watch.run()
    assert looks == [True]
