"""The commands of the register: while the station runs, after a failure, and on photographs of nobody."""

import csv
import hashlib

import pytest
import test_register
from test_register import MODEL, add_visit

from eyenet.model.answers import AGAIN
from eyenet.run.errors import StageError
from eyenet.station import commands
from eyenet.station.export import UNKNOWN
from eyenet.station.forms import Forms
from eyenet.station.register import Register

clock, path, register = test_register.clock, test_register.path, test_register.register


def add_strangers(register, *names):
    """Enter photographs of nobody known."""
    for name in names:
        digest = hashlib.sha256(name.encode()).hexdigest()
        register.add_photograph(digest, name, None, None, None, {"result": "no DR"})


def names_left(register):
    return {one.name for one in register.photographs() if one.name}


def test_forget_erases_no_photograph_of_which_the_number_may_be_a_counter(register, capsys):
    kept = {"IMG_0012.jpeg", "2026-03-12 scan.jpeg", "12-03-2026.jpeg", "40 (12).jpeg", "120.jpeg"}
    add_visit(register, "12")
    add_strangers(register, *kept, "12.jpeg", "0012 macula.jpeg", "12/scan.jpeg", "MRN 12 scan.jpeg")
    commands.forget(register, "12")
    assert names_left(register) == kept
    told = capsys.readouterr().err
    assert "erased 4 photographs" in told and "kept 4 photographs" in told
    (key,) = [one.patient for one in register.photographs() if one.name == "IMG_0012.jpeg"]
    assert key in told
    commands.forget(register, key)
    assert names_left(register) == kept - {"IMG_0012.jpeg"}


@pytest.mark.parametrize("name", ["_", ". -", "()"])
def test_forget_of_an_id_without_letters_erases_nobody_else(register, name):
    add_visit(register, name)
    add_strangers(register, "scan.jpeg", "_.jpeg")
    commands.forget(register, name)
    assert names_left(register) == {"scan.jpeg", "_.jpeg"} and register.find(name) == []


def test_a_forget_that_could_not_clean_the_file_removes_the_forms_and_is_finished_later(register, path, monkeypatch):
    key, *_ = add_visit(register, "Doe^Jane")
    folder = Forms(register).folder / "2026-03-02" / f"Doe-Jane_{key}"
    folder.mkdir(parents=True)
    clean, broken = register.clean, [True]

    def full(key):
        if broken:
            raise StageError("erased, but the disk is full")
        clean(key)

    monkeypatch.setattr(register, "clean", full)
    with pytest.raises(StageError, match="the disk is full"):
        commands.forget(register, "Doe^Jane")
    assert not folder.exists() and register.identity(key) is None
    with pytest.raises(StageError, match="the disk is full"):
        commands.forget(register, key)
    broken.clear()
    folder.mkdir(parents=True)
    assert commands.forget(register, key) == 0
    left = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*") if file.is_file())
    assert not folder.exists() and b"Doe" not in left and register.verify() == []


def test_forget_says_what_to_do_when_the_file_cannot_be_cleaned(register, monkeypatch):
    key, *_ = add_visit(register, "7")
    register.connection.execute("PRAGMA busy_timeout = 100")
    with Register.open(register.path) as other, monkeypatch.context() as patch:
        clean = register.clean

        def write_meanwhile(key):
            with other.entering():
                clean(key)

        patch.setattr(register, "clean", write_meanwhile)
        with pytest.raises(StageError, match=f"repeat --forget {key}: .* another program"):
            commands.forget(register, "7")
    assert commands.forget(register, key) == 0


def test_a_decision_is_told_although_the_station_enters_a_newer_answer_meanwhile(register, monkeypatch, capsys):
    key, _, answer = add_visit(register, "7")
    true = register.decide

    def decide(*args):
        number = true(*args)
        add_visit(register, "7", AGAIN, number=1)
        return number

    monkeypatch.setattr(register, "decide", decide)
    assert commands.decide(register, "7", "Dr Roe", "seen", True) == 0
    assert f"accepted by Dr Roe: answer {answer} of 2026-03-02, referable DR" in capsys.readouterr().out
    with pytest.raises(StageError, match="or a newer one"):
        register.decide(key, "Dr Roe", "", True, answer)


@pytest.mark.parametrize(("call", "waiting"), [(True, ["referral"]), (False, []), (None, ["referral"])])
def test_a_person_says_whether_to_refer_a_patient_who_was_to_be_photographed_again(register, call, waiting):
    """Overruled without saying it, the patient is referred, which is the safe way round."""
    add_visit(register, "7", AGAIN)
    assert commands.decide(register, "7", "Dr Roe", "cataract", accepted=call is not None, call=call) == 0
    assert [one.missing for one in register.waiting()] == waiting
    (answer,) = register.answers()
    assert answer.decision["accepted"] is False and answer.decision.get("refer") is call


def test_the_report_shows_one_moment_while_the_station_goes_on(register, tmp_path, monkeypatch):
    """Another program enters a visit between the reading of photographs and answers."""
    add_visit(register, "7")
    head, true = register.head(), register.answers

    def answers():
        with Register.open(register.path) as other:
            add_visit(other, "8")
        return true()

    monkeypatch.setattr(register, "answers", answers)
    rows, told = register.export(tmp_path / "report.csv")
    with open(tmp_path / "report.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert told == head and {row["head"] for row in read} == {head} and len(read) == rows
    assert {row["patients"] for row in read} == {"1"} and len(register.photographs()) == 2


def test_a_visit_without_a_photograph_has_no_known_camera(register, tmp_path):
    key = register.identify({"patient": "7", "place": "inbox"})
    answer = {"unit": "patient", "patient": "7", "result": AGAIN, "reasons": ["left eye: not read"]}
    register.add_answer(key, "1.1", answer, [], MODEL)
    register.export(tmp_path / "report.csv")
    with open(tmp_path / "report.csv", newline="") as file:
        assert {row["camera"] for row in csv.DictReader(file)} == {"all", UNKNOWN}
