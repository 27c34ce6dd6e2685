"""What the terminal shows: troubles while they last, and photographs that are in nobody's answer."""

import io

import pytest
import test_station
import test_station_visits
from test_station import Station

from eyenet.model.answers import AGAIN
from eyenet.run.errors import StageError
from eyenet.station import watch
from eyenet.station.view import Screen

screener, drawn, inbox, put = test_station.screener, test_station.drawn, test_station.inbox, test_station.put
wall, register = test_station_visits.wall, test_station_visits.register


@pytest.fixture
def terminal(screener, register):
    """A screen on a terminal of 140 x 50 characters."""
    rich = pytest.importorskip("rich.console")
    console = rich.Console(file=io.StringIO(), width=140, height=50, force_terminal=True)
    with Screen(screener, register, console) as screen:
        yield screen


def read(screen):
    """Return what the terminal shows now, line by line."""
    lines = screen.console.render_lines(screen.live.get_renderable(), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def test_a_lost_drive_is_drawn_while_it_is_lost(screener, inbox, register, put, terminal):
    put("1_left.jpeg", "good")
    station = Station(inbox, screener, register, view=terminal).look()
    inbox.rename(inbox.with_name("gone"))
    station.look(2)
    assert any("the inbox cannot be read" in line for line in read(terminal))
    assert any(AGAIN in line for line in read(terminal)[2:])  # the answers stay
    inbox.with_name("gone").rename(inbox)
    station.look(2)
    assert not any("the inbox cannot be read" in line for line in read(terminal))


@pytest.mark.parametrize("stop", [False, True])
def test_a_locked_register_is_drawn_while_it_is_locked(
    screener, inbox, register, put, wall, terminal, monkeypatch, stop
):
    """Nothing is asked of the register to draw it; the problems of files come after it."""
    put("1_left.jpeg", "good")
    for number in range(11, 20):
        (inbox / f"{number}_left.jpeg").write_bytes(b"\xff\xd8\xff")
    station = Station(inbox, screener, register, view=terminal).look(3)
    with monkeypatch.context() as patch:
        for method in ("answers", "last", "unassigned", "alarms", "photographs", "photograph"):

            def locked(*args, **options):
                raise StageError("the register is locked")

            patch.setattr(register, method, locked)
        if stop:
            station = Station(inbox, screener, register, start=station.time, view=terminal)
        put("2_left.jpeg", "good")
        station.look(3)
        lines = read(terminal)
        title = next(i for i, line in enumerate(lines) if "cannot be read or written" in line)
        assert lines[title + 1] == "  the register: the register is locked"
        assert any(AGAIN in line for line in lines[2:])
    station.look(4, watch.RETRY)
    told = read(terminal)
    assert not any("is locked" in line for line in told) and "11 visits" in told[0]


def test_photographs_of_nobody_stay_on_the_screen_until_they_are_somebodys(
    screener, inbox, register, put, wall, terminal
):
    """Those that refer come first; also after a restart."""
    put("IMG_0002.jpeg", "good")
    put("IMG_0003.jpeg", "good")
    path = put("IMG_0001.jpeg", "sick")
    station = Station(inbox, screener, register, view=terminal).look(3)
    for _ in range(2):
        lines = read(terminal)
        title = next(i for i, line in enumerate(lines) if "not used in any answer (3)" in line)
        assert "IMG_0001.jpeg: referable DR" in lines[title + 1] and "IMG_0002.jpeg: no DR" in "\n".join(lines)
        station = Station(inbox, screener, register, start=station.time, view=terminal).look(3)
    path.rename(inbox / "1_left.jpeg")
    station.look(3)
    told = "\n".join(read(terminal))
    assert "not used in any answer (2)" in told and "IMG_0001.jpeg: referable DR" not in told


def test_files_that_are_left_out_or_erased_are_shown_until_they_go(screener, inbox, register, put, wall, terminal):
    path = put("1_left.jpeg", "good")
    Station(inbox, screener, register).look(3)
    register.forget(register.find("1")[0])
    (inbox / "no\x1bte.txt").write_text("no photograph")
    for start in (10.0, 20.0):
        station = Station(inbox, screener, register, start=start, view=terminal).look(3)
        told = "\n".join(read(terminal))
        assert "left out, not used (2)" in told and "no?te.txt: " in told
        assert "1_left.jpeg: is the file of a patient who was erased" in told
    path.unlink()
    station.look(2)
    assert "left out, not used (1)" in "\n".join(read(terminal))


def test_all_files_that_cannot_be_read_are_named_where_the_terminal_has_room(
    screener, inbox, register, put, wall, terminal
):
    for number in range(1, 13):
        (inbox / f"{number}_left.jpeg").write_bytes(b"\xff\xd8\xff")
    Station(inbox, screener, register, view=terminal).look(3)
    told = "\n".join(read(terminal))
    assert "tried again (12)" in told and all(f"{number}_left.jpeg" in told for number in range(1, 13))
