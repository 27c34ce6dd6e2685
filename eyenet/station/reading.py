"""Read the register: photographs, answers with their decisions, and patients."""

import datetime
import json
from typing import NamedTuple

BOTH = "SELECT e.id, e.recorded, e.patient, e.body, i.body FROM entries e LEFT JOIN identities i ON i.entry = e.id "


class Photograph(NamedTuple):
    """A photograph in the register; once the patient is erased, `name` and `visit` are None and `facts` are fewer."""

    id: int
    recorded: str
    patient: str
    sha256: str
    eye: str | None
    name: str | None
    visit: str | None
    facts: dict


class Answer(NamedTuple):
    """The newest answer of a patient's visit, and what was decided on it.

    Attributes
    ----------
    id : int
    recorded : str
        Local time, ISO 8601 with its offset from UTC.
    patient : str
        Random key.
    visit : str or None
        As it was given; None also once the patient is erased.
    answer : dict
        The row of predict.py; once the patient is erased, without what may name the patient.
    photographs : list of int
    model : dict
    decision : dict or None
        The newest one: `id`, `recorded`, `accepted`, `by`, and `why` until the patient is erased.
    """

    id: int
    recorded: str
    patient: str
    visit: str | None
    answer: dict
    photographs: list
    model: dict
    decision: dict | None


def find_photograph(connection, sha256):
    """Find a photograph by its hash; None if it is not in the register."""
    found = connection.execute(
        BOTH + "WHERE e.kind = 'photograph' AND json_extract(e.body, '$.sha256') = ?", (sha256,)
    ).fetchone()
    return found and _photograph(found)


def list_photographs(connection, patient=None):
    """List the photographs of a patient, or all, the oldest first."""
    where = "WHERE e.kind = 'photograph'" + (" AND e.patient = ?" if patient is not None else "")
    rows = connection.execute(f"{BOTH}{where} ORDER BY e.id", () if patient is None else (patient,))
    return [_photograph(row) for row in rows]


def _photograph(row):
    number, recorded, patient, body, told = row
    facts, told = json.loads(body), json.loads(told or "{}")
    digest, eye = facts.pop("sha256"), facts.pop("eye")
    facts |= told.get("facts", {})
    return Photograph(number, recorded, patient, digest, eye, told.get("name"), told.get("visit"), facts)


NEWEST = (
    "WHERE e.kind = 'answer' AND NOT EXISTS (SELECT 1 FROM entries n "
    "WHERE n.patient = e.patient AND n.kind = 'answer' AND n.visit IS e.visit AND n.id > e.id)"
)


def list_answers(connection, day=None, patient=None):
    """List the newest answer of each patient and visit, the oldest first; of a day or a patient, or all."""
    where, values = NEWEST, []
    if patient is not None:
        where, values = where + " AND e.patient = ?", [patient]
    if day is not None:
        where += " AND e.recorded >= ? AND e.recorded < ?"
        values += [day.isoformat(), (day + datetime.timedelta(1)).isoformat()]
    rows = connection.execute(f"{BOTH}{where} ORDER BY e.id", values).fetchall()
    decisions = _decisions(connection, rows[0][0]) if rows else {}
    return [_answer(row, decisions) for row in rows]


def _answer(row, decisions):
    number, recorded, patient, body, told = row
    body, told = json.loads(body), json.loads(told or "{}")
    answer = body["answer"] | told.get("answer", {})
    decision = decisions.get(number)
    return Answer(number, recorded, patient, told.get("visit"), answer, body["photographs"], body["model"], decision)


def _decisions(connection, since):
    """Map the id of an answer to the newest decision on it; of decisions after an entry."""
    rows = connection.execute(f"{BOTH}WHERE e.kind = 'decision' AND e.id > ? ORDER BY e.id", (since,))
    found = {}
    for number, recorded, _, body, told in rows:
        body = json.loads(body)
        found[body.pop("answer")] = {"id": number, "recorded": recorded} | body | json.loads(told or "{}")
    return found


def list_looks(connection, after, since):
    """List the id, day, patient and lasting facts of photographs after an entry, and of a day (ISO 8601) or later."""
    rows = connection.execute(
        "SELECT id, recorded, patient, body FROM entries "
        "WHERE kind = 'photograph' AND recorded >= ? AND id > ? ORDER BY id",
        (since, after),
    )
    return [
        (number, datetime.date.fromisoformat(recorded[:10]), patient, json.loads(body))
        for number, recorded, patient, body in rows
    ]


def list_alarms(connection, since=""):
    """List the shift alarms of a day (ISO 8601) or later, the oldest first; dicts."""
    rows = connection.execute("SELECT body FROM entries WHERE kind = 'alarm' ORDER BY id")
    return [body for body in (json.loads(body) for (body,) in rows) if body["day"] >= since]


def find_patients(connection, name):
    """List the keys of the patients whose ID is a name, or whose key it is; erased ones have their key only."""
    return [
        patient
        for (patient,) in connection.execute(
            "SELECT patient FROM identities WHERE kind = 'patient' AND json_extract(body, '$.patient') = ? "
            "UNION SELECT patient FROM entries WHERE kind = 'patient' AND patient = ?",
            (name, name),
        )
    ]


def read_identity(connection, patient):
    """Read what the source told of a patient; None for an erased or unknown one."""
    found = connection.execute(
        "SELECT body FROM identities WHERE kind = 'patient' AND patient = ?", (patient,)
    ).fetchone()
    return found and json.loads(found[0])
