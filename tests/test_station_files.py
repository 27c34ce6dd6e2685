"""Files and folders of the inbox: damaged ones that stay or go, folders that cannot be read, and who may watch them."""

import os

import pytest
import test_station
import test_station_visits
from test_station import Station, results
from test_station_visits import photograph, shown

from eyenet.model.answers import AGAIN
from eyenet.run.errors import EXIT_REJECTED, StageError
from eyenet.run.options import parser
from eyenet.station import watch
from eyenet.station.inbox import SETTLED, Inbox
from eyenet.station.lock import only_station

screener, drawn, inbox, put = test_station.screener, test_station.drawn, test_station.inbox, test_station.put
wall, register = test_station_visits.wall, test_station_visits.register


def damage(path, wall):
    """Write a file that cannot be read, at the time of the wall clock."""
    path.write_bytes(b"\xff\xd8\xff")
    os.utime(path, (wall().timestamp(),) * 2)


@pytest.mark.parametrize("retaken", [False, True])
def test_a_damaged_file_that_stays_is_no_new_visit_at_each_start(screener, inbox, register, put, wall, retaken):
    station = Station(inbox, screener, register)
    damage(inbox / "1_left.jpeg", wall)
    damage(inbox / "2_left.jpeg", wall)  # nothing of this patient can be read
    put("1_right.jpeg", "good")
    if retaken:
        put("1_left (1).jpeg", "good")
    station.look(3)
    head = register.head()
    for day in (1, 2):
        wall.turn(days=1)
        station = Station(inbox, screener, register, boot=f"day {day}").look(3)
        assert register.head() == head and {"1_left.jpeg", "2_left.jpeg"} <= station.view.problems.keys()
    put("1_right (2).jpeg", "good")
    station.look(3)
    assert [one.answer["result"] for one in register.answers()][-1] == AGAIN
    assert len(register.answers()) == 3 and len(register.answers()[-1].photographs) == 1


def test_a_damaged_file_that_came_while_nothing_ran_is_a_new_visit(screener, inbox, register, put, wall):
    put("1_left.jpeg", "good")
    put("1_right.jpeg", "good")
    Station(inbox, screener, register).look(3)
    wall.turn(days=1)
    damage(inbox / "1_left (1).jpeg", wall)
    station = Station(inbox, screener, register, boot="another").look(3)
    assert [one.answer["result"] for one in register.answers()] == ["no DR", AGAIN]
    assert shown(station, register) == {"1": AGAIN}


def test_a_patient_of_whom_no_file_can_be_read_stays_on_the_screen_after_a_start(screener, inbox, register, put, wall):
    damage(inbox / "1_left.jpeg", wall)
    station = Station(inbox, screener, register).look(3)
    put("2_left.jpeg", "good")
    station.look(3)
    for boot in ("boot", "another"):
        station = Station(inbox, screener, register, start=station.time, boot=boot).look(3)
        assert shown(station, register) == {"1": AGAIN, "2": AGAIN} and len(register.answers()) == 2
    wall.turn(days=1)
    assert shown(Station(inbox, screener, register, boot="third").look(3), register) == {}


@pytest.mark.parametrize("fails", [False, True])
def test_a_patient_of_a_damaged_file_goes_with_the_file(screener, inbox, register, wall, drawn, monkeypatch, fails):
    """The name says 7 as long as the header cannot be read."""
    pytest.importorskip("pydicom")
    photograph(inbox, drawn, "L", "good", "1.1")
    whole = (inbox / "IM0000.dcm").read_bytes()
    (inbox / "IM0000.dcm").rename(inbox / "7_left.dcm")
    (inbox / "7_left.dcm").write_bytes(whole[:140])
    station = Station(inbox, screener, register).look(3)
    assert results(register) == {"7": AGAIN}
    (inbox / "7_left.dcm").write_bytes(whole)
    if fails:
        true, failed = register.add_answer, []

        def locked(*args):
            if not failed:
                failed.append(args)
                raise StageError("the register is locked")
            return true(*args)

        monkeypatch.setattr(register, "add_answer", locked)
    station.look(5, watch.RETRY)
    assert results(register) == {"MRN 77": AGAIN} == shown(station, register)
    assert station.view.problems == {} and register.verify() == []


def test_a_visit_with_a_photograph_stays_when_a_damaged_file_goes(screener, inbox, register, put, wall):
    put("1_right.jpeg", "good")
    (inbox / "1_left.jpeg").write_bytes(b"\xff\xd8\xff")
    (inbox / "2_left.jpeg").write_bytes(b"\xff\xd8\xff")
    station = Station(inbox, screener, register).look(3)
    for name in ("1_left", "2_left"):
        (inbox / f"{name}.jpeg").unlink()
    station.look(3)
    assert results(register) == {"1": AGAIN} and "right eye" not in str(register.answers()[0].answer["reasons"])
    put("2_left.jpeg", "good")  # comes again, whole
    station.look(3)
    assert results(register) == {"1": AGAIN, "2": AGAIN}


def close(monkeypatch, folder, error):
    """Let a folder refuse to be listed; the superuser, who may run the tests, can list any folder."""
    true = os.scandir

    def scandir(path):
        if os.fspath(path) == str(folder):
            raise error
        return true(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_that_cannot_be_read_is_named_and_stops_nothing(screener, inbox, register, put, monkeypatch):
    path = put("monday/1_left.jpeg", "good")
    station = Station(inbox, screener, register).look(3)
    with monkeypatch.context() as patch:
        close(patch, path.parent, PermissionError(13, "Permission denied"))
        put("2_left.jpeg", "good")
        (inbox / "monday" / "damaged_left.jpeg").write_bytes(b"\xff\xd8\xff")
        station.look(3)
        assert results(register) == {"1": AGAIN, "2": AGAIN}
        assert "monday" in station.view.problems and "Permission denied" in station.view.problems["monday"]
        assert path in station.inbox.present and path in station.inbox.done
        assert watch.Watch(station.desk, station.inbox, station.view).run(once=True) == EXIT_REJECTED
    station.look(3)
    assert list(station.view.problems) == ["monday/damaged_left.jpeg"]


def test_a_folder_that_is_removed_while_it_is_listed_is_gone(inbox, put, monkeypatch):
    put("monday/1_left.jpeg", "good")
    path, time = put("2_left.jpeg", "good"), [0.0]
    looked = Inbox(inbox, lambda: time[0])
    looked.look()
    close(monkeypatch, inbox / "monday", FileNotFoundError(2, "No such file or directory"))
    time[0] += SETTLED
    assert looked.look() == [path] and list(looked.present) == [path]
    close(monkeypatch, inbox, FileNotFoundError(2, "No such file or directory"))
    with pytest.raises(FileNotFoundError):
        looked.look()


def test_a_lost_drive_in_the_inbox_forgets_nothing_and_is_named(screener, inbox, register, put, monkeypatch):
    path = put("share/1_left.jpeg", "good")
    station = Station(inbox, screener, register).look(3)
    close(monkeypatch, path.parent, OSError(116, "Stale file handle", str(path.parent)))
    station.look(2)
    assert "Stale file handle" in station.view.problems["."] and "share" in station.view.problems["."]
    assert path in station.inbox.present


def test_the_register_may_not_lie_in_the_inbox(inbox, put):
    put("1_left.jpeg", "good")
    (inbox.parent / "link").symlink_to(inbox)
    options = parser("")
    watch.add_options(options)
    args = options.parse_args(["--inbox", str(inbox), "--once"])
    for folder in (inbox, inbox / "station", inbox.parent / "link"):
        args.register = folder / "register.sqlite"
        with pytest.raises(StageError, match="is in the inbox"):
            watch.run_station(args)
    assert [path.name for path in inbox.iterdir()] == ["1_left.jpeg"]


@pytest.mark.parametrize(("first", "second"), [("a", "a/b/c"), ("a/b/c", "a"), ("a/b", "a/b")])
def test_two_stations_may_not_watch_one_folder(tmp_path, first, second):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "other").mkdir()
    two = only_station(tmp_path / second, tmp_path / "two.sqlite")
    with only_station(tmp_path / first, tmp_path / "one.sqlite"), pytest.raises(StageError, match="watches"), two:
        pytest.fail("two stations")
    with only_station(tmp_path / second, tmp_path / "two.sqlite"):  # the locks are gone
        pass
    beside = only_station(tmp_path / "a" / "other", tmp_path / "2.sqlite")
    with only_station(tmp_path / "a" / "b", tmp_path / "1.sqlite"), beside:
        pass
