"""Who is to be referred: a person's decision holds, whatever the station enters later."""

import pytest
import test_register
from test_register import DAY, MODEL, add_visit

from eyenet.model.answers import AGAIN, UNSURE

clock, path, register = test_register.clock, test_register.path, test_register.register


def missing(register):
    return [one.missing for one in register.waiting()]


@pytest.mark.parametrize("later", ["no DR", AGAIN])
def test_a_decision_to_refer_holds_when_a_photograph_changes_the_answer(register, later):
    key, *_ = add_visit(register, "7", "no DR")
    register.decide(key, "Dr Roe", "new vessels", accepted=False)
    add_visit(register, "7", later, number=1)
    assert missing(register) == ["referral"]
    for state in ("referred", "seen"):
        register.refer(key, state)
    assert missing(register) == []


def test_a_person_who_decides_again_takes_a_decision_back(register):
    for name, result, first in (("7", "no DR", {"accepted": False}), ("8", UNSURE, {"accepted": True, "refer": True})):
        key, *_ = add_visit(register, name, result)
        register.decide(key, "Dr Roe", "new vessels", **first)
        add_visit(register, name, "no DR", number=1)
        assert missing(register) == ["referral"]
        register.decide(key, "Dr Roe", "it was another patient's", True)
        assert missing(register) == []


def test_a_referral_that_a_person_overruled_counts_again_when_the_answer_changes(register):
    key, *_ = add_visit(register, "7")
    register.decide(key, "Dr Roe", "drusen", accepted=False)
    assert missing(register) == []
    add_visit(register, "7", number=1)
    assert missing(register) == ["referral"]


def test_a_referral_comes_before_an_unsure_answer_of_an_older_visit(register, clock):
    key, *_ = add_visit(register, "7", UNSURE, visit="1.1")
    clock.day = DAY.replace(day=9)
    add_visit(register, "7", visit="1.2")
    (one,) = register.waiting()
    assert (one.patient, one.missing, one.since) == (key, "referral", clock.day)


def test_another_version_of_eyenet_keeps_answers_and_decisions(register):
    key, photograph, answer = add_visit(register, "7", "no DR")
    register.decide(key, "Dr Roe", "", True)
    told = {"unit": "patient", "patient": "7", "result": "no DR", "decided_by": "7_left.jpeg", "reasons": []}
    newer = MODEL | {"version": "9.9", "trained_on": "said in other words"}
    assert register.add_answer(key, None, told, [photograph], newer) == answer
    assert register.answers()[0].decision["accepted"]
    assert register.add_answer(key, None, told, [photograph], newer | {"operating_point": "youden"}) > answer
