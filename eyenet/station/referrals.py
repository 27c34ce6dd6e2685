"""Referrals: which answers refer, the order of the states, and who has waited too long."""

import datetime
import json
from typing import NamedTuple

from eyenet.model import decided
from eyenet.model.answers import AGAIN
from eyenet.model.decided import needs_grader
from eyenet.run.errors import StageError, plural
from eyenet.station.reading import list_answers, list_decided

STATES = ("referred", "appointment", "seen")
NEXT = {None: STATES[:1], "referred": STATES[1:], "appointment": STATES[1:], "seen": STATES[:1]}
WAIT = 14  # days, after which a patient waits too long


class Waiting(NamedTuple):
    """A patient whom a doctor must see: since when (a `datetime.date`), and the next step, in words."""

    patient: str
    since: datetime.date
    state: str | None
    missing: str


def choose_answer(answers, patient, number=None):
    """Choose the answer of a patient for a decision.

    Parameters
    ----------
    answers : list of eyenet.station.reading.Answer
        The newest one of each visit of the patient.
    patient : str
        Random key.
    number : int, optional
        Its id. Default: the newest answer, if it is the only one of its day.

    Raises
    ------
    StageError
        If there is no such answer, or if the day has several and none is named.
    """
    known = {one.id: one for one in answers}
    newest = known[max(known)] if known else None
    if number is None and newest is not None:
        same_day = [one for one in answers if day_of(one.recorded) == day_of(newest.recorded)]
        if len(same_day) > 1:
            told = ", ".join(f"{one.id} ({one.answer.get('result')}, {one.recorded[11:16]})" for one in same_day)
            raise StageError(
                f"patient {patient} has {len(same_day)} answers of {newest.recorded[:10]}: give one, {told}"
            )
    chosen = newest if number is None else known.get(number)
    if chosen is None:
        which = "has no answer" if number is None else f"has no answer {number}, or a newer one of that visit"
        raise StageError(f"patient {patient} {which}; nothing to decide")
    return chosen


def decision_on(answer, accepted, refer):
    """Return the content of a decision on an answer: `accepted`, and `refer` where the answer leaves that open.

    A call on an answer to photograph again overrules it: the patient is not photographed again.

    Raises
    ------
    StageError
        If it does not fit the answer.
    """
    if refer is None and needs_grader(answer.answer):
        raise StageError(f"answer {answer.id} is unsure; say with --call whether the patient is to be referred")
    if refer is None:
        return {"accepted": bool(accepted)}
    if not needs_grader(answer.answer) and answer.answer.get("result") != AGAIN:
        raise StageError(f"answer {answer.id} is not unsure; accept it without --call, or --overrule it")
    return {"accepted": None if needs_grader(answer.answer) else False, "refer": bool(refer)}


def is_to_be_referred(answer):
    """Return whether a patient must be referred, by an answer and the decision on it; None while this is open.

    The call of the person counts. Without one, an unsure answer leaves it open, and an overruled answer counts as its
    opposite: the person found what the network missed, or found nothing.
    """
    return decided.is_to_be_referred(answer.answer, answer.decision)


def day_of(recorded):
    """Return the local day of an entry's time."""
    return datetime.date.fromisoformat(recorded[:10])


def last_states(connection):
    """Map each patient with a referral to the newest entry: its id, state and date."""
    rows = connection.execute("SELECT id, patient, body FROM entries WHERE kind = 'referral' ORDER BY id")
    found = {}
    for number, patient, body in rows:
        body = json.loads(body)
        found[patient] = number, body["state"], datetime.date.fromisoformat(body["date"])
    return found


def find_waiting(connection):
    """Find the patients who are referred, or whose answer refers, and who have not been seen since.

    An answer counts by `is_to_be_referred`; an unsure one also until a person has decided. A decision to refer holds
    for a visit until a person decides again, also if a further photograph changes the answer. A patient counts once,
    with the most advanced state; a referral that is missing comes before a decision that is.

    Returns
    -------
    list of Waiting
    """
    states = last_states(connection)
    found = {
        patient: Waiting(patient, date, state, "appointment" if state == "referred" else "seen")
        for patient, (_, state, date) in states.items()
        if state != "seen"
    }
    answers = list_answers(connection)
    refer = [one for one in answers if is_to_be_referred(one)] + _decided_to_refer(connection)
    unsure = [one for one in answers if is_to_be_referred(one) is None]
    for missing, own in (("referral", refer), ("decision", unsure)):
        for one in sorted(own, key=lambda one: one.id):
            if one.id > states.get(one.patient, (0,))[0]:
                found.setdefault(one.patient, Waiting(one.patient, day_of(one.recorded), None, missing))
    return list(found.values())


def _decided_to_refer(connection):
    """List the answers with the newest decision on each visit, where it refers the patient."""
    newest = {(one.patient, visit): one for visit, one in list_decided(connection)}
    return [one for one in newest.values() if is_to_be_referred(one)]


def find_overdue(connection, today, days):
    """Find the patients who have waited too long; see `is_overdue`. The longest wait comes first."""
    late = [one for one in find_waiting(connection) if is_overdue(one, today, days)]
    return sorted(late, key=lambda one: (one.since, one.patient))


def is_overdue(one, today, days):
    """Return whether the next step has been missing for more than some days, or an appointment has passed."""
    return (today - one.since).days > (0 if one.state == "appointment" else days)


def describe(one, today):
    """Say in words how long a patient waits, and for what."""
    ago = plural((today - one.since).days, "day")
    if one.state == "appointment":
        return f"the appointment was on {one.since}, {ago} ago, and the patient is not entered as seen"
    if one.state == "referred":
        return f"referred on {one.since}, {ago} ago, without an appointment"
    if one.missing == "decision":
        return f"unsure since {one.since}, {ago} ago, and no grader has decided"
    return f"to be referred since {one.since}, {ago} ago, and no referral is entered"
