"""Faults within a visit: a register that fails for a moment, another network, moved, erased and shared files."""

import pytest
import test_station
import test_station_visits
from test_station import Station, results
from test_station_visits import photograph

from eyenet.data.identity import MOST, NOT_ONE_PERSON
from eyenet.model import pretrained
from eyenet.model.answers import AGAIN
from eyenet.model.screener import Screener
from eyenet.run.errors import StageError
from eyenet.station import watch
from eyenet.station.clock import PAUSE
from eyenet.station.visits import SAME_FILE

screener, drawn, inbox, put = test_station.screener, test_station.drawn, test_station.inbox, test_station.put
wall, register = test_station_visits.wall, test_station_visits.register


def fail_once(monkeypatch, register, method):
    """Let a method of the register fail at its next call."""
    true, calls = getattr(register, method), []

    def locked(*args, **options):
        calls.append(args)
        if len(calls) == 1:
            raise StageError("the register is locked")
        return true(*args, **options)

    monkeypatch.setattr(register, method, locked)
    return calls


@pytest.mark.parametrize("method", ["photographs", "photograph_numbered", "copies", "last", "known_key"])
def test_a_late_photograph_does_not_replace_a_referral_when_the_register_fails(
    screener, inbox, register, wall, drawn, monkeypatch, method
):
    """The first photograph of the study has left the memory; the register fails while it is recalled."""
    pytest.importorskip("pydicom")
    station = Station(inbox, screener, register)
    photograph(inbox, drawn, "L", "sick", "1.1")
    station.look(3)
    station.time += PAUSE + watch.TIDY
    station.look(1)
    photograph(inbox, drawn, "R", "good", "1.1")
    station.look(1)
    calls = fail_once(monkeypatch, register, method)
    station.look(4, watch.RETRY)
    assert calls and station.view.problems == {}
    assert [one.answer["result"] for one in register.answers()] == ["referable DR"]
    assert len(register.answers()[0].photographs) == 2 == len(register.photographs())


def test_a_late_photograph_of_another_networks_visit_is_not_entered(screener, inbox, register, wall, drawn):
    """It is a problem of that file; the referral stays, and the station starts again."""
    pytest.importorskip("pydicom")
    station = Station(inbox, screener, register)
    photograph(inbox, drawn, "L", "sick", "1.1")
    station.look(3)
    for path in inbox.iterdir():
        path.rename(inbox.with_name(path.name))
    other, time = Screener(pretrained.folder(), specificity=0.9), station.time + PAUSE + 60
    head = register.head()
    photograph(inbox, drawn, "R", "good", "1.1")
    for start in range(2):
        station = Station(inbox, other, register, start=time + start).look(5, watch.RETRY)
        assert "graded by another network" in station.view.problems["IM0000.dcm"] and register.head() == head
        assert [event.kind for event in station.view.events] == ["trouble"]
    photograph(inbox, drawn, "L", "good", "1.2", PatientID="MRN 78")
    station.look(3)
    assert results(register) == {"MRN 77": "referable DR", "MRN 78": AGAIN}


def test_a_file_that_is_moved_to_another_folder_is_one_photograph(screener, inbox, register, put, wall):
    station = Station(inbox, screener, register)
    paths = [put("1_left.jpeg", "good"), put("1_right.jpeg", "good")]
    station.look()
    head = register.head()
    (inbox / "done").mkdir()
    for path in paths:
        path.rename(inbox / "done" / path.name)
    station.look(3)
    Station(inbox, screener, register, start=station.time).look(3)
    assert register.head() == head and results(register) == {"1": "no DR"}


@pytest.mark.parametrize("restart", [False, True])
def test_a_patient_whose_file_was_first_nobodys_does_not_come_back(screener, inbox, register, put, wall, restart):
    station = Station(inbox, screener, register)
    path = put("scan.jpeg", "good")
    station.look()
    path = path.rename(inbox / "1_left.jpeg")
    station.look(3)
    register.forget(register.find("1")[0])
    head = register.head()
    if restart:
        station = Station(inbox, screener, register)
    path.rename(inbox / "1_left (1).jpeg")
    station.look(3)
    (told,) = [event.text for event in station.view.events if event.name == "1_left (1).jpeg"]
    assert "erased" in told and register.head() == head and register.find("1") == []


def test_a_shared_file_makes_both_doubtful_for_as_long_as_one_of_them_is_open(screener, inbox, register, put, wall):
    station = Station(inbox, screener, register)
    put("1_left.jpeg", "good")
    put("1_right.jpeg", "good")
    station.look()
    put("2_right.jpeg", "good")
    (inbox / "2_left.jpeg").write_bytes((inbox / "1_left.jpeg").read_bytes())
    station.look(3)
    for number, pause in enumerate((PAUSE / 2, PAUSE / 2 + watch.TIDY)):  # now the second patient's visit is over
        station.time += pause
        station.look(1)
        put(f"1_right ({number}).jpeg", "good")
        station.look(3)
    assert results(register) == {"1": AGAIN, "2": AGAIN}
    assert all(SAME_FILE in one.answer["reasons"] for one in register.answers())


def test_a_file_of_nobody_that_comes_again_for_two_patients_is_doubtful(screener, inbox, register, put, wall):
    station = Station(inbox, screener, register)
    data = put("scan.jpeg", "good").read_bytes()
    for patient in "12":
        put(f"{patient}_right.jpeg", "good")
        station.look(3)
        (inbox / f"{patient}_left.jpeg").write_bytes(data)
        station.look(3)
    assert results(register) == {"1": AGAIN, "2": AGAIN}
    (told,) = [event.text for event in station.view.events if event.name == "2_left.jpeg"]
    assert "cannot rule out disease" in told


def test_a_file_that_came_again_is_entered_once_when_the_register_fails(
    screener, inbox, register, put, wall, monkeypatch
):
    station = Station(inbox, screener, register)
    path = put("1_left.jpeg", "good")
    station.look()
    (inbox / "2_left.jpeg").write_bytes(path.read_bytes())
    true = register.add_photograph

    def fail_after(*args):
        number = true(*args)
        fail_once(monkeypatch, register, "photograph_numbered")
        return number

    monkeypatch.setattr(register, "add_photograph", fail_after)
    station.look(4, watch.RETRY)
    assert [one.name for one in register.photographs()] == ["1_left.jpeg", "2_left.jpeg"]
    assert results(register) == {"1": AGAIN, "2": AGAIN} and station.view.problems == {}


def test_the_visits_of_an_id_that_is_everybodys_are_answered(screener, inbox, register, wall, drawn):
    """A camera that writes GUEST for everybody: after 20 studies, each photograph counts by itself."""
    pytest.importorskip("pydicom")
    station, most = Station(inbox, screener, register), MOST["visits"]
    for i in range(most + 3):
        kind = "sick" if i in (0, most + 1) else "good"
        photograph(inbox, drawn, "L", kind, f"1.{i}", StudyDate=f"202602{i + 1:02}", PatientID="GUEST")
    station.look(3)
    answers = register.answers()
    again = [one.answer["result"] for one in answers]
    assert len(answers) == most + 3 == len({number for one in answers for number in one.photographs})
    assert again.count("referable DR") == 2 and again.count(AGAIN) == most + 1
    assert sum(NOT_ONE_PERSON in str(one.answer["reasons"]) for one in answers) >= most + 2
    head = register.head()
    Station(inbox, screener, register, start=station.time).look(3)
    assert register.head() == head
    register.decide(answers[0].patient, "Dr Roe", "cotton wool spots", False, answers[-1].id)
    photograph(inbox, drawn, "R", "good", f"1.{most + 2}", StudyDate=f"202602{most + 3:02}", PatientID="GUEST")
    station.look(3)
    assert [one.missing for one in register.waiting()] == ["referral"]
    (refers,) = [one for one in register.answers() if one.id == answers[0].id]  # of the first study
    register.decide(refers.patient, "Dr Roe", "drusen", False, refers.id)
    before = register.last()[0]
    for i in (3, 4):
        photograph(inbox, drawn, "L", "good", f"1.{most + i}", StudyDate=f"202603{i:02}", PatientID="GUEST")
        station.look(3)
    assert register.last()[0] - before == 2 * 2  # a photograph and its answer; no other visit is answered anew
    assert next(one for one in register.answers() if one.id == refers.id).decision["accepted"] is False


def test_of_two_forms_of_an_id_only_the_one_that_is_not_one_person_is_taken_back(screener, inbox, register, put, wall):
    station = Station(inbox, screener, register)
    for name in (
        "012_left",
        "012_right",
        *(f"12_left ({i})" for i in range(MOST["photographs of one eye in a visit"])),
    ):
        put(f"{name}.jpeg", "good")
    put("12_left.jpeg", "good")
    station.look(3)
    assert results(register) == {"012": "no DR", "12": AGAIN}
    head = register.head()
    Station(inbox, screener, register, start=station.time).look(3)
    assert register.head() == head
