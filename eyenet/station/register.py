"""The register of the station: photographs, answers, decisions and referrals, in one SQLite file.

Every entry has a kind, the time, a patient's random key, and a body. What may name a person is in the table
`identities` instead, and can be erased. Entries are never changed or removed, which `eyenet.station.verify` checks.

kind        body                                       in `identities`
patient                                                what the source told: ID, place, ...
photograph  sha256, eye, `facts` that name nobody      name, visit, the other facts, such as reasons
answer      photographs, model, answer likewise        visit, the rest of the answer
decision    answer (id), accepted, by                  why
referral    state, date
erasure     why: forget or retain
"""

import contextlib
import datetime
import hmac
import secrets
from pathlib import Path
from typing import NamedTuple

from eyenet.run.errors import StageError
from eyenet.station import chain, opening

# What a photograph's facts and an answer may keep when the patient is erased; all else may name somebody.
LASTING = {"result", "gradable", "quality", "field", "questions", "expected_grade", "grade", "camera", "unit"}
LASTING |= {"width", "height"}
STATES = ("referred", "appointment", "seen")
NEXT = {None: ("referred",), "referred": STATES[1:], "appointment": STATES[1:], "seen": ("referred",)}


class Photograph(NamedTuple):
    """A photograph in the register; `name` is None and `facts` are fewer once the patient is erased."""

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
    visit_key : str or None
        Tells the visits of a patient apart.
    answer : dict
        The row of predict.py; once the patient is erased, only what is in LASTING.
    photographs : list of int
    model : dict
    decision : dict or None
        The newest one: `id`, `recorded`, `accepted`, `by`, and `why` until the patient is erased.
    """

    id: int
    recorded: str
    patient: str
    visit: str | None
    visit_key: str | None
    answer: dict
    photographs: list
    model: dict
    decision: dict | None


class Register:
    """An open register. Use it as a context manager, in the thread that opened it.

    Several programs may have it open; their entries follow each other. Every method that writes has written all of it
    to the disk when it returns, or nothing if it raises StageError.

    Parameters
    ----------
    path : Path
    connection : sqlite3.Connection
    now : callable
        Returns the time, a datetime with time zone.
    """

    def __init__(self, path, connection, now):
        self.path, self.connection, self.now = path, connection, now

    @classmethod
    def open(cls, path, create=True, now=None):
        """Open a register, or make it if there is none and `create` is set.

        Raises
        ------
        StageError
            If the file is damaged, of another version or program, or cannot be written.
        """
        path = Path(path)
        connection = opening.connect(path, create)
        return cls(path, connection, now or (lambda: datetime.datetime.now().astimezone()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    # Write.

    @contextlib.contextmanager
    def _entering(self):
        """Write all entries within, or none of them."""
        with opening.one_sentence(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def _append(self, kind, patient, body, private=None, visit=None):
        """Write an entry, and what may name somebody beside it; return its id."""
        last, previous = self._last()
        salt, told = secrets.token_hex(16), None if private is None else chain.canonical(private)
        row = {"id": last + 1, "recorded": self.now().isoformat(timespec="seconds"), "kind": kind, "patient": patient}
        row |= {"visit": visit, "body": chain.canonical(body), "seal": told and chain.seal(salt, told)}
        marks = ", ".join("?" * (len(row) + 1))
        self.connection.execute(f"INSERT INTO entries VALUES ({marks})", [*row.values(), chain.link(previous, row)])
        if told is not None:
            identity = (row["id"], patient, kind, salt, told)
            self.connection.execute("INSERT INTO identities VALUES (?, ?, ?, ?, ?)", identity)
        return row["id"]

    def _last(self):
        last = self.connection.execute("SELECT id, hash FROM entries ORDER BY id DESC LIMIT 1").fetchone()
        return last or (0, chain.FIRST)

    def identify(self, source_identity):
        """Return the random key of a patient, and enter the patient if this identity is new.

        Parameters
        ----------
        source_identity : dict
            What makes this patient this patient, such as the ID and where it holds. Equal dicts are one patient. An
            empty dict is nobody known: every call makes another patient.

        Returns
        -------
        str
        """
        told = chain.canonical(source_identity)
        with self._entering():
            known = self.connection.execute(
                "SELECT patient FROM identities WHERE kind = 'patient' AND body = ? AND body <> '{}'", (told,)
            ).fetchone()
            if known:
                return known[0]
            patient = secrets.token_hex(8)
            self._append("patient", patient, {}, source_identity)
        return patient

    def add_photograph(self, sha256, name, patient_key, eye, visit, facts):
        """Enter a photograph; one that is known by its hash stays as it was entered first.

        Look for it with `photograph` before `identify`: a file that stays in the inbox would otherwise enter an erased
        patient again.

        Parameters
        ----------
        sha256 : str
        name : str
        patient_key : str or None
            None if it is not known whose photograph it is.
        eye : {'left', 'right', None}
        visit : str or None
        facts : dict
            As from `eyenet.model.screener.Screener.look`, and `camera`.

        Returns
        -------
        int
            Its id; that of a known photograph may belong to another patient.
        """
        if (known := self.photograph(sha256)) is not None:
            return known.id
        patient = self.identify({}) if patient_key is None else patient_key
        body, private = _split(facts)
        with self._entering():
            if (known := self.photograph(sha256)) is not None:
                return known.id
            body |= {"sha256": sha256, "eye": eye}
            private = {"name": name, "visit": visit, "facts": private}
            return self._append("photograph", patient, body, private, self._visit_key(patient, visit))

    def add_answer(self, patient_key, visit, answer, photographs, model):
        """Enter an answer; the same answer as the last one of this visit is not entered again.

        Parameters
        ----------
        patient_key : str
        visit : str or None
        answer : dict
            The row of a patient as predict.py makes it.
        photographs : list of int
        model : dict
            Which network answered: its name, `sha256`, operating point, what it was trained on, and EyeNet's version.

        Returns
        -------
        int
        """
        body, private = _split(answer)
        body = {"answer": body, "photographs": sorted(photographs), "model": model}
        private = {"visit": visit, "answer": private}
        with self._entering():
            key = self._visit_key(patient_key, visit)
            last = self._newest("answer", patient_key, key)
            if last and last[1:] == (chain.canonical(body), chain.canonical(private)):
                return last[0]
            return self._append("answer", patient_key, body, private, key)

    def _newest(self, kind, patient, visit):
        """Find the newest entry of a kind: its id and bodies."""
        return self.connection.execute(
            "SELECT e.id, e.body, i.body FROM entries e LEFT JOIN identities i ON i.entry = e.id "
            "WHERE e.patient = ? AND e.kind = ? AND e.visit IS ? ORDER BY e.id DESC LIMIT 1",
            (patient, kind, visit),
        ).fetchone()

    def _visit_key(self, patient, visit):
        """Hash a visit with the salt of its patient, so that it names nothing once the salt is erased."""
        salt = self.connection.execute(
            "SELECT salt FROM identities WHERE patient = ? AND kind = 'patient'", (patient,)
        ).fetchone()
        if salt is None:
            raise StageError(f"the register {self.path} has no patient {patient}, or has erased this one")
        if visit is None:
            return None
        return hmac.new(salt[0].encode(), chain.canonical(visit).encode(), "sha256").hexdigest()[:16]

    def decide(self, patient_key, by, why, accepted, answer=None):
        """Enter a person's decision on an answer: accepted or overruled.

        Parameters
        ----------
        patient_key : str
        by, why : str
        accepted : bool
        answer : int, optional
            Default: the patient's newest one.

        Returns
        -------
        int
        """
        raise NotImplementedError

    def refer(self, patient_key, state, date):
        """Enter that a patient is referred, has an appointment or was seen, on a `datetime.date`; return the id."""
        raise NotImplementedError

    def forget(self, patient_key):
        """Erase what may name a patient; return whether there was something. The entries stay, by the random key."""
        raise NotImplementedError

    def retain(self, days, today=None):
        """Erase patients without a new entry for `days` days; those with an open referral stay.

        Returns
        -------
        erased, kept : list of str
        """
        raise NotImplementedError

    # Read.

    def identity(self, patient_key):
        """Return what `identify` was given for a patient; None for an erased or unknown one."""
        raise NotImplementedError

    def photograph(self, sha256):
        """Find a photograph by its hash; a Photograph or None."""
        raise NotImplementedError

    def photographs(self, patient_key):
        """List a patient's photographs, the oldest first."""
        raise NotImplementedError

    def answers(self, day=None):
        """List the newest answer of each patient and visit, the oldest first; of a `datetime.date`, or of all days."""
        raise NotImplementedError

    def overdue(self, today=None, days=14):
        """List patients who wait too long; see `eyenet.station.referrals.find_overdue`."""
        raise NotImplementedError

    def head(self):
        """Return the number and hash of the last entry, as `number:hash`. Keep it elsewhere for `verify`."""
        return ":".join(map(str, self._last()))

    def verify(self, head=None):
        """List what was changed, one sentence each; empty if the register is whole, and continues `head` if given."""
        raise NotImplementedError

    def export(self, path):
        """Write the CSV of a quality report; see `eyenet.station.export`."""
        raise NotImplementedError


def _split(row):
    """Separate what a row may keep for ever from what may name somebody."""
    kept = {key: value for key, value in row.items() if key in LASTING}
    return kept, {key: value for key, value in row.items() if key not in LASTING}
