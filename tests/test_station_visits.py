"""Visits of a station: which photographs are joined over midnight, restarts, jumps of the clock, studies and copies."""

import datetime
import io

import numpy as np
import pytest
import test_station
from PIL import Image
from test_predict import as_dicom
from test_station import Station, results

from eyenet.model import pretrained
from eyenet.model.answers import AGAIN, UNGRADABLE, UNSURE
from eyenet.model.screener import Screener
from eyenet.photo.camera import LONGEST, read_camera
from eyenet.run.errors import StageError
from eyenet.run.options import parser
from eyenet.run.version import VERSION
from eyenet.station import watch
from eyenet.station.clock import PAUSE
from eyenet.station.recall import OtherNetwork
from eyenet.station.register import Register
from eyenet.station.view import Screen
from eyenet.station.visits import SAME_FILE

screener, drawn, inbox, put = test_station.screener, test_station.drawn, test_station.inbox, test_station.put


class Wall:
    """The clock of a computer, which a test turns; a little before midnight."""

    def __init__(self):
        self.now = datetime.datetime(2026, 3, 2, 23, 50, tzinfo=datetime.UTC)

    def __call__(self):
        return self.now

    def turn(self, **by):
        self.now += datetime.timedelta(**by)


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def register(tmp_path, wall):
    with Register.open(tmp_path / "register.sqlite", now=wall) as opened:
        opened.connection.execute("PRAGMA synchronous = OFF")
        yield opened


def shown(station, register):
    """What the screen lists."""
    return {one.answer["patient"]: one.answer["result"] for one in register.answers(after=station.view.since)}


@pytest.mark.parametrize("jump", [{"minutes": 20}, {"days": 40}, {"days": -40}, {"minutes": -90}])
@pytest.mark.parametrize("restart", [False, True])
def test_a_visit_runs_past_midnight_and_over_a_clock_that_jumps(screener, inbox, register, put, wall, jump, restart):
    station = Station(inbox, screener, register)
    put("1_left.jpeg", "good")
    station.look()
    (inbox / "1_left.jpeg").unlink()
    wall.turn(**jump)
    if restart:
        station = Station(inbox, screener, register, start=station.time + 1200)
    assert shown(station, register) == {"1": AGAIN}
    put("1_right.jpeg", "good")
    station.look(3)
    assert results(register) == {"1": "no DR"} and len(register.answers()) == 1 and register.verify() == []
    assert shown(station, register) == {"1": "no DR"}


@pytest.mark.parametrize(("later", "visits"), [({"minutes": 30}, 1), ({"minutes": -30}, 1), ({"days": 1}, 2)])
def test_after_a_start_of_the_computer_its_clock_decides(screener, inbox, register, put, wall, later, visits):
    put("1_left.jpeg", "good")
    Station(inbox, screener, register).look()
    wall.turn(**later)
    put("1_right.jpeg", "good")
    Station(inbox, screener, register, boot="another").look(3)
    assert len(register.answers()) == visits


def test_another_visit_does_not_count_the_photographs_of_the_one_before(screener, inbox, register, put, wall):
    station = Station(inbox, screener, register)
    put("1_left.jpeg", "good")
    put("1_right.jpeg", "good")
    station.look()
    station.time += PAUSE + 60
    put("1_left (1).jpeg", "good")
    station.look(3)
    assert [one.answer["result"] for one in register.answers()] == ["no DR", AGAIN]
    head, time = register.head(), station.time
    assert shown(station, register) == {"1": AGAIN}
    Station(inbox, screener, register, start=time).look(3)
    assert register.head() == head


def test_visits_that_are_over_leave_the_memory(screener, inbox, register, put, wall, drawn):
    pytest.importorskip("pydicom")
    station = Station(inbox, screener, register)
    for i in range(1, 4):
        put(f"{i}_left.jpeg", "good")
    photograph(inbox, drawn, "L", "good", "1.2.3")
    station.look(3)
    assert len(station.desk.visits.people) == 4
    station.time += PAUSE + watch.TIDY
    station.look(1)
    memory = station.desk.memory
    assert not (memory.visits.people or memory.visits.copies or memory.newest or memory.loaded)
    photograph(inbox, drawn, "R", "good", "1.2.3")  # exported late: it is the same visit all the same
    station.look(3)
    assert results(register)["MRN 77"] == "no DR" and len(register.answers()) == 4


def test_a_better_photograph_replaces_a_poor_one_and_two_poor_ones_refer(screener, inbox, register, put, wall):
    rich = pytest.importorskip("rich.console")
    station = Station(inbox, screener, register)
    for patient in "12":
        put(f"{patient}_left.jpeg", "poor")
        put(f"{patient}_right.jpeg", "good")
    station.look()
    screen = Screen(screener, register, rich.Console(file=io.StringIO(), width=140, height=40, record=True))
    assert results(register) == {"1": AGAIN, "2": AGAIN}
    put("1_left (1).jpeg", "good")
    put("2_left (1).jpeg", "poor")
    put("3_left.jpeg", "good")
    station.look(3)
    assert results(register) == {"1": "no DR", "2": UNGRADABLE, "3": AGAIN}
    screen.answers = register.answers(after=station.view.since)
    screen.console.print(screen.draw(["9_left.jpeg"], {}))
    lines = screen.console.export_text().splitlines()
    order = [next(i for i, line in enumerate(lines) if word in line) for word in (AGAIN, "9_left", UNGRADABLE, "no DR")]
    assert order[0] < order[1] < order[2] and order[1] < order[3] and "3 visits, 1 to photograph again" in lines[0]
    assert sum(f" {AGAIN} " in line for line in lines[1:]) == 1


def test_a_renamed_file_is_one_photograph(screener, inbox, register, put, wall):
    station = Station(inbox, screener, register)
    path = put("1_left.jpeg", "poor")
    station.look()
    path.rename(inbox / "1_left (1).jpeg")
    station.look(3)
    assert results(register) == {"1": AGAIN} and len(register.photographs()) == 1


def test_a_file_that_comes_again_for_another_patient_rules_out_nothing(screener, inbox, register, put, wall):
    """Days later, when the first photograph has left the inbox: both answers say so, and nobody is joined."""
    station = Station(inbox, screener, register)
    put("1_left.jpeg", "good")
    put("1_right.jpeg", "good")
    put("3_left.jpeg", "sick")
    station.look()
    data = {name: (inbox / f"{name}.jpeg").read_bytes() for name in ("1_left", "3_left")}
    for path in inbox.iterdir():
        path.unlink()
    wall.turn(days=3)
    station = Station(inbox, screener, register, boot="another")
    put("2_right.jpeg", "good")
    (inbox / "2_left.jpeg").write_bytes(data["1_left"])
    (inbox / "4_left.jpeg").write_bytes(data["3_left"])
    station.look(3)
    assert results(register) == {"1": AGAIN, "2": AGAIN, "3": "referable DR", "4": "referable DR"}
    assert all(SAME_FILE in one.answer["reasons"] for one in register.answers())
    (told,) = [event.text for event in station.view.events if event.name == "2_left.jpeg"]
    assert "is the same file as 1_left.jpeg" in told and "cannot rule out disease" in told
    again = [one for one in register.photographs() if one.same_as]
    assert [(one.name, one.sha256) for one in again] == [("2_left.jpeg", None), ("4_left.jpeg", None)]
    assert len({one.patient for one in register.photographs()}) == 4 and len(register.photographs()) == 6
    head = register.head()
    for boot in ("another", "third"):
        Station(inbox, screener, register, boot=boot).look(3)
        assert register.head() == head and register.verify() == []


def test_the_file_of_an_erased_patient_is_said_to_be_known(screener, inbox, register, put, wall):
    station = Station(inbox, screener, register)
    path = put("1_left.jpeg", "good")
    station.look()
    register.forget(register.find("1")[0])
    head = register.head()
    path.rename(inbox / "2_left.jpeg")
    station.look(3)
    (told,) = [event.text for event in station.view.events if event.name == "2_left.jpeg"]
    assert "erased" in told and register.head() == head


def test_what_an_erased_patient_had_does_not_come_back_while_the_station_runs(screener, inbox, register, put, wall):
    station = Station(inbox, screener, register)
    put("1_left.jpeg", "good")
    station.look()
    register.forget(register.find("1")[0])
    put("1_right.jpeg", "good")
    station.look(3)
    (answer,) = [one for one in register.answers() if one.answer.get("patient") == "1"]
    assert answer.answer["result"] == AGAIN and len(answer.photographs) == 1


def test_a_patient_is_erased_with_photographs_whose_eye_is_not_known(screener, inbox, register, put, wall, drawn):
    pytest.importorskip("pydicom")
    for name in ("MRN 77", "MRN_77 scan", "MRN_778 scan", "5_left"):
        put(f"{name}.jpeg", "good")
    photograph(inbox, drawn, "", "good", "1.2.3")  # the header tells the patient, and no eye
    Station(inbox, screener, register).look(3)
    assert len(register.photographs()) == 5
    register.forget(register.find("MRN 77")[0])
    left = {one.name for one in register.photographs() if one.name}
    assert left == {"MRN_778 scan.jpeg", "5_left.jpeg"} and register.verify() == []


def photograph(inbox, drawn, eye, kind, study, **values):
    """Write a drawing as DICOM with a number of its own."""
    values = {"StudyInstanceUID": study, "StudyDate": "20260302"} | values
    number = len(list(inbox.iterdir()))
    with Image.open(io.BytesIO(drawn[kind])) as image:
        pixels = np.asarray(image.convert("RGB"))
    return as_dicom(inbox / f"IM{number:04d}.dcm", pixels, "YBR_FULL_422", eye, drawn[kind], **values)


def test_studies_separate_visits(screener, inbox, register, wall, drawn):
    """A study with both eyes; another one of that day that is not joined; a study for each eye on another day."""
    pytest.importorskip("pydicom")
    station = Station(inbox, screener, register)
    for eye, kind, study, date in [
        ("L", "good", "1.1", "20260302"),
        ("R", "good", "1.1", "20260302"),
        ("L", "sick", "1.2", "20260302"),
        ("L", "poor", "1.3", "20260303"),
        ("R", "good", "1.4", "20260303"),
    ]:
        photograph(inbox, drawn, eye, kind, study, StudyDate=date)
        station.look(3)
    assert [one.answer["result"] for one in register.answers()] == ["no DR", "referable DR", AGAIN]
    assert len({one.patient for one in register.answers()}) == 1
    photograph(inbox, drawn, "L", "good", "1.5", StudyDate="20260303")
    station.look(3)
    assert [one.answer["result"] for one in register.answers()][-1] == "no DR" and len(register.answers()) == 3
    key, other = register.find("MRN 77")[0], register.answers()[0].id
    with pytest.raises(StageError, match=f"3 answers of 2026-03-02: give one, {other} .no DR, 23:50."):
        register.decide(key, "Dr Roe", "", True)
    register.decide(key, "Dr Roe", "", True, other)
    assert [bool(one.decision) for one in register.answers()] == [True, False, False]


def test_studies_without_a_date_are_joined_only_within_a_visit(screener, inbox, register, wall, drawn):
    pytest.importorskip("pydicom")
    station = Station(inbox, screener, register)
    for i, eye in enumerate("LRL"):
        station.time += (PAUSE + 60) * (i == 2)
        photograph(inbox, drawn, eye, "good", f"1.{i}", StudyDate="")
        station.look(3)
    assert [one.answer["result"] for one in register.answers()] == ["no DR", AGAIN]


def test_an_unsure_answer_is_never_negative_and_waits_for_a_decision(inbox, register, put, wall):
    """The drawing is unsure about any DR with a rate of 0.01, and no DR without the option."""
    unsure = Screener(pretrained.folder(), unsure="0.01")
    for name in ("1_left", "1_right"):
        put(f"{name}.jpeg", "good")
    Station(inbox, unsure, register).look()
    (answer,) = register.answers()
    assert answer.answer["result"] == UNSURE and answer.answer["by_threshold"] == "no DR"
    assert answer.model["unsure"] == "0.01" and [one.missing for one in register.waiting()] == ["decision"]
    for refer in (False, True):
        with pytest.raises(StageError, match="say with --call"):
            register.decide(answer.patient, "Dr Roe", "", True)
        register.decide(answer.patient, "Dr Roe", "", True, refer=refer)
        assert [one.missing for one in register.waiting()] == ["referral"] * refer
    put("2_left.jpeg", "good")
    with pytest.raises(OtherNetwork, match="other thresholds"):
        Station(inbox, Screener(pretrained.folder()), register).look()


def exif(path, drawn, maker, model):
    """Write a drawing with EXIF, and return its path."""
    with Image.open(io.BytesIO(drawn)) as image:
        data = image.getexif()
        data[0x010F], data[0x0110] = maker, model
        image.save(path, "JPEG", exif=data, quality=95)
        return path, image.size


def test_the_camera_is_kept_and_reported(screener, inbox, register, wall, drawn, tmp_path):
    pytest.importorskip("pydicom")
    _, size = exif(inbox / "1_left.jpeg", drawn["good"], "Canon", "Canon CR-2")
    exif(inbox / "1_right.jpeg", drawn["good"], "NIDEK\x1b[2J\r\n=1", "x" * 9999)
    photograph(inbox, drawn, "L", "good", "1.2", Manufacturer="TOPCON", ManufacturerModelName="NW400")
    (inbox / "2_left.jpeg").write_bytes(drawn["good"])
    Station(inbox, screener, register).look(3)
    facts = {one.name: one.facts for one in register.photographs()}
    assert facts["1_left.jpeg"]["camera"] == "Canon CR-2" and facts["1_left.jpeg"]["maker"] == "Canon"
    assert (facts["1_left.jpeg"]["width"], facts["1_left.jpeg"]["height"]) == size
    hostile = facts["1_right.jpeg"]["camera"]
    assert hostile.isprintable() and len(hostile) <= 2 * LONGEST + 1
    assert facts["IM0002.dcm"]["camera"] == "TOPCON NW400" and facts["IM0002.dcm"]["graded_by"]["version"] == VERSION
    assert facts["2_left.jpeg"]["camera"] is None
    register.export(tmp_path / "report.csv")
    report = (tmp_path / "report.csv").read_text()
    assert ",Canon CR-2," in report and ",TOPCON NW400," in report and f'"unknown, {size[0]} x {size[1]}"' in report
    assert f"{screener.name},{screener.point}," in report and f",never,{VERSION}," in report


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"II*\0\xff\xff\xff\xff", b"\0" * 128 + b"DICM\x08"])
def test_the_camera_of_garbage_is_unknown(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    assert set(read_camera(tmp_path / "a").values()) == {None} == set(read_camera(tmp_path / "b").values())


@pytest.mark.parametrize("method", ["photographs", "answers", "recent_photographs", "copies", "known_key", "last"])
def test_errors_of_the_register_are_one_sentence_and_tried_again(
    screener, inbox, register, put, wall, monkeypatch, method
):
    """At the start, when a damaged file goes, and on the screen; the register answers again later."""
    put("1_left.jpeg", "good")
    (inbox / "1_right.jpeg").write_bytes(b"\xff\xd8\xff")
    Station(inbox, screener, register).look(3)
    true, broken = getattr(register, method), []

    def locked(*args, **options):
        if broken:
            raise StageError("the register is locked")
        return true(*args, **options)

    monkeypatch.setattr(register, method, locked)
    broken.append(True)
    station = Station(inbox, screener, register, start=10.0).look(2)
    broken.clear()
    station.look(3, watch.RETRY)
    broken.append(True)
    (inbox / "1_right.jpeg").unlink()
    put("2_left.jpeg", "sick")
    station.look(3)
    broken.clear()
    station.look(4, watch.RETRY)
    assert station.view.problems == {} and results(register) == {"1": AGAIN, "2": "referable DR"}
    reasons = {one.answer["patient"]: one.answer["reasons"] for one in register.answers()}
    assert reasons["1"] == ["right eye: no photograph"]
    told = {event.text for event in station.view.events if event.kind == "trouble"}
    assert told <= {"the register is locked"} and len(register.photographs()) == 2


def test_nothing_is_written_into_the_inbox(inbox, put, tmp_path):
    put("1_left.jpeg", "good")
    before = {path: path.stat().st_mtime_ns for path in [inbox, *inbox.iterdir()]}
    inbox.chmod(0o555)
    options = parser("")
    watch.add_options(options)
    args = options.parse_args(["--inbox", str(inbox), "--once"])
    args.register = tmp_path / "register.sqlite"
    try:
        assert watch.run_station(args) == 0
    finally:
        inbox.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in [inbox, *inbox.iterdir()]} == before
