"""Referrals: which answer refers, which state follows which, and who waits too long."""

import datetime
import json
from typing import NamedTuple

from eyenet.model.answers import CALLED, UNGRADABLE
from eyenet.run.errors import plural
from eyenet.station.reading import list_answers

STATES = ("referred", "appointment", "seen")
NEXT = {None: STATES[:1], "referred": STATES[1:], "appointment": STATES[1:], "seen": STATES[:1]}
WAIT = 14  # days, after which a patient waits too long
REFERRING = {*CALLED.values(), UNGRADABLE}


class Waiting(NamedTuple):
    """A patient whom a doctor must see: since when (a `datetime.date`), and the next step, in words."""

    patient: str
    since: datetime.date
    state: str | None
    missing: str


def refers(answer):
    """Tell whether an answer, a row of predict.py, refers the patient."""
    return answer.get("result") in REFERRING


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
    """Find the patients who are referred, or whose answer refers, and who were not seen since.

    An answer that refers counts unless a person has overruled it. Any other answer counts if a person has overruled it,
    since the person found what the network missed. A patient counts once, with the most advanced state.

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
    for answer in list_answers(connection):
        overruled = bool(answer.decision) and not answer.decision["accepted"]
        before = states.get(answer.patient, (0,))[0]
        if refers(answer.answer) != overruled and answer.id > before:
            since = day_of(answer.recorded)
            found.setdefault(answer.patient, Waiting(answer.patient, since, None, "referral"))
    return list(found.values())


def find_overdue(connection, today, days):
    """Find the patients who wait too long; see `is_overdue`. The longest wait comes first."""
    late = [one for one in find_waiting(connection) if is_overdue(one, today, days)]
    return sorted(late, key=lambda one: (one.since, one.patient))


def is_overdue(one, today, days):
    """Tell whether the next step is missing for more than some days, or an appointment has passed."""
    return (today - one.since).days > (0 if one.state == "appointment" else days)


def describe(one, today):
    """Say in words how long a patient waits, and for what."""
    ago = plural((today - one.since).days, "day")
    if one.state == "appointment":
        return f"the appointment was on {one.since}, {ago} ago, and the patient is not entered as seen"
    if one.state == "referred":
        return f"referred on {one.since}, {ago} ago, without an appointment"
    return f"to be referred since {one.since}, {ago} ago, and no referral is entered"
