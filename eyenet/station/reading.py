"""Read the register: photographs, answers with their decisions, and patients."""

import datetime
import json
import re
from typing import NamedTuple

from eyenet.data.names import canonical

ANNOUNCE = {"mrn", "id", "pid", "patient"}  # before the number of a patient
DATE = 3  # numbers of a name that may be a date
WITHDRAWN = "withdrawn: no photograph is left"  # instead of a result, where none could be read
SEPARATORS = re.compile(r"[\s._/\[\]()-]+")  # between the words of a path
BOTH = "SELECT e.id, e.recorded, e.patient, e.body, i.body FROM entries e LEFT JOIN identities i ON i.entry = e.id "


class Photograph(NamedTuple):
    """A photograph in the register; once the patient is erased, `name` and `visit` are None and `facts` are fewer.

    A duplicate file with another patient or eye has an entry of its own without `sha256`; `same_as` is the id of the
    first one.
    """

    id: int
    recorded: str
    patient: str
    sha256: str | None
    eye: str | None
    name: str | None
    visit: str | None
    facts: dict
    same_as: int | None = None


class Answer(NamedTuple):
    """The newest answer of a patient's visit, and the decision on it.

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
        The row of predict.py; once the patient is erased, without anything that may name the patient.
    photographs : list of int
    model : dict
    decision : dict or None
        The newest one: `id`, `recorded`, `accepted`, `by`, `why` until the patient is erased, and `refer` if the person
        said whether to refer.
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


def read_photograph(connection, number):
    """Read the photograph with an id; None if there is none."""
    found = connection.execute(BOTH + "WHERE e.kind = 'photograph' AND e.id = ?", (number,)).fetchone()
    return found and _photograph(found)


def list_recent(connection, is_over):
    """List the newest photographs, up to one of which `is_over` is true, the oldest first."""
    found = []
    for row in connection.execute(f"{BOTH}WHERE e.kind = 'photograph' ORDER BY e.id DESC"):
        if is_over(one := _photograph(row)):
            break
        found.append(one)
    return found[::-1]


def list_copies(connection, after=0):
    """List the entries of duplicate files with another patient or eye, after an entry, the oldest first.

    The plus sign makes SQLite search by entry number: a running station reads the newest entries for each photograph.
    """
    where = "WHERE e.id > ? AND +e.kind = 'photograph' AND json_extract(e.body, '$.same_as') IS NOT NULL ORDER BY e.id"
    return [_photograph(row) for row in connection.execute(BOTH + where, (after,))]


def list_unassigned(connection, after=0):
    """List the photographs after an entry without patient or eye whose file was not entered again with both."""
    rows = connection.execute(f"{BOTH}WHERE e.id > ? AND +e.kind = 'photograph' AND i.body IS NOT NULL", (after,))
    found = {}
    for one in map(_photograph, rows):
        patient, eye = (one.facts.get("identity") or (None, None))[:2]
        if patient and eye:
            found.pop(one.same_as, None)
        elif one.same_as is None:
            found[one.id] = one
    return list(found.values())


def list_photographs(connection, patient=None):
    """List the photographs of a patient, or all, the oldest first."""
    where = "WHERE e.kind = 'photograph'" + (" AND e.patient = ?" if patient is not None else "")
    rows = connection.execute(f"{BOTH}{where} ORDER BY e.id", () if patient is None else (patient,))
    return [_photograph(row) for row in rows]


def _photograph(row):
    number, recorded, patient, body, told = row
    facts, told = json.loads(body), json.loads(told or "{}")
    digest, eye, same_as = (facts.pop(name, None) for name in ("sha256", "eye", "same_as"))
    facts |= told.get("facts", {})
    return Photograph(number, recorded, patient, digest, eye, told.get("name"), told.get("visit"), facts, same_as)


NEWEST = (
    "WHERE e.kind = 'answer' AND NOT EXISTS (SELECT 1 FROM entries n "
    "WHERE n.patient = e.patient AND n.kind = 'answer' AND n.visit IS e.visit AND n.id > e.id)"
)


def list_answers(connection, day=None, patient=None, after=0):
    """List the newest answer of each patient and visit, the oldest first; of a day, of a patient, after an entry.

    A visit whose answer was withdrawn has none.
    """
    where, values = f"{NEWEST} AND json_extract(e.body, '$.answer.result') IS NOT ? AND e.id > ?", [WITHDRAWN, after]
    if patient is not None:
        where, values = where + " AND e.patient = ?", [*values, patient]
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
        answer, decision = _decision(number, recorded, body, told)
        found[answer] = decision
    return found


def _decision(number, recorded, body, told):
    body = json.loads(body)
    return body["answer"], {"id": number, "recorded": recorded} | body | json.loads(told or "{}")


DECIDED = (
    "SELECT a.visit, d.id, d.recorded, d.body, i.body, a.id, a.recorded, a.patient, a.body, j.body FROM entries d "
    "JOIN entries a ON a.id = json_extract(d.body, '$.answer') LEFT JOIN identities i ON i.entry = d.id "
    "LEFT JOIN identities j ON j.entry = a.id WHERE d.kind = 'decision' "
)


def list_decided(connection, patient=None, decision=None):
    """List the answers on which a person has decided, also where a newer one has come; the oldest decision first.

    Parameters
    ----------
    connection : sqlite3.Connection
    patient : str, optional
        Only those of this patient.
    decision : int, optional
        Only the one of this decision.

    Returns
    -------
    list of (str or None, Answer)
        The hash of the visit, which stays when the patient is erased, and the answer with that decision.
    """
    where, values = "", []
    for column, value in (("d.patient", patient), ("d.id", decision)):
        if value is not None:
            where, values = f"{where}AND {column} = ? ", [*values, value]
    rows = connection.execute(f"{DECIDED}{where}ORDER BY d.id", values)
    return [(visit, _answer(told[4:], dict([_decision(*told[:4])]))) for visit, *told in rows]


def list_looks(connection, after, since):
    """List the id, day, patient and lasting facts of photographs after an entry, and of a day (ISO 8601) or later.

    A duplicate file with another patient or eye does not count again.
    """
    rows = connection.execute(
        "SELECT id, recorded, patient, body FROM entries WHERE kind = 'photograph' "
        "AND json_extract(body, '$.same_as') IS NULL AND recorded >= ? AND id > ? ORDER BY id",
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
    """List the keys of the patients with this ID or key; erased patients have only a key."""
    return [
        patient
        for (patient,) in connection.execute(
            "SELECT patient FROM identities WHERE kind = 'patient' AND json_extract(body, '$.patient') = ? "
            "UNION SELECT patient FROM entries WHERE kind = 'patient' AND patient = ?",
            (name, name),
        )
    ]


def find_key(connection, told):
    """Find the key of the patient with this identity, a canonical text; None if there is none, or it is empty."""
    query = "SELECT patient FROM identities WHERE kind = 'patient' AND body = ? AND body <> '{}'"
    found = connection.execute(query, (told,)).fetchone()
    return found and found[0]


def find_strangers(connection, name):
    """Find photographs of unknown patients with this ID in the name of file or folder, as a word.

    A number may be the counter of a camera, as in `IMG_0012`, a day or a copy.

    Returns
    -------
    own, doubtful : list of str
        Keys of the photographs of this patient, and of those whose number may be something else.
    """
    wanted, own, doubtful = _words(name), [], []
    if not wanted:
        return [], []
    rows = connection.execute(
        "SELECT p.patient, json_extract(i.body, '$.name') FROM identities p JOIN identities i ON i.patient = p.patient "
        "WHERE p.kind = 'patient' AND p.body = '{}' AND i.kind = 'photograph' ORDER BY i.entry"
    )
    for patient, told in rows:
        for words in map(_words, (told or "").rpartition(".")[0].split("/")):
            for i in range(len(words) - len(wanted) + 1):
                if words[i : i + len(wanted)] == wanted:
                    (own if _is_id(words, i, wanted) else doubtful).append(patient)
    return list(dict.fromkeys(own)), [one for one in dict.fromkeys(doubtful) if one not in own]


def _is_id(words, i, wanted):
    """Return whether the words of a name from the i-th one on are an ID, and no other number."""
    if len(wanted) > 1 or not wanted[0].isdigit() or (i and words[i - 1] in ANNOUNCE):
        return True
    return i == 0 and sum(word.isdigit() for word in words) < DATE


def _words(text):
    """Split an ID or a path into words that can be compared."""
    return [canonical(word).casefold() for word in SEPARATORS.split(text) if word]


def read_identity(connection, patient):
    """Read the identity of a patient; None for an erased or unknown one."""
    found = connection.execute(
        "SELECT body FROM identities WHERE kind = 'patient' AND patient = ?", (patient,)
    ).fetchone()
    return found and json.loads(found[0])


def list_erased(connection):
    """List the keys of the patients who were erased."""
    return [patient for (patient,) in connection.execute("SELECT patient FROM entries WHERE kind = 'erasure'")]
