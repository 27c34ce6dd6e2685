"""Append entries to the register's file, each with its place in the hash chain."""

import contextlib
import datetime
import hmac
import secrets
from pathlib import Path

from eyenet.run.errors import StageError
from eyenet.station import chain, opening


class Ledger:
    """An open file of entries. Use it as a context manager, in the thread that opened it.

    Several programs may have it open; their entries follow each other.

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

    @contextlib.contextmanager
    def entering(self):
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

    @contextlib.contextmanager
    def unchanged(self):
        """Read one state of the register, even if other programs enter something meanwhile."""
        with opening.one_sentence(self.path):
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                if self.connection.in_transaction:  # SQLite ends it itself after some errors
                    self.connection.execute("COMMIT")

    def append(self, kind, patient, body, private=None, visit=None):
        """Write an entry, and apart from it whatever may name a person; return its id."""
        last, previous = self.last()
        salt, told = secrets.token_hex(16), None if private is None else chain.canonical(private)
        row = {"id": last + 1, "recorded": self.now().isoformat(timespec="seconds"), "kind": kind, "patient": patient}
        row |= {"visit": visit, "body": chain.canonical(body), "seal": told and chain.seal(salt, told)}
        marks = ", ".join("?" * (len(row) + 1))
        self.connection.execute(f"INSERT INTO entries VALUES ({marks})", [*row.values(), chain.link(previous, row)])
        if told is not None:
            identity = (row["id"], patient, kind, salt, told)
            self.connection.execute("INSERT INTO identities VALUES (?, ?, ?, ?, ?)", identity)
        return row["id"]

    def last(self):
        """Return the id and hash of the last entry."""
        with opening.one_sentence(self.path):
            last = self.connection.execute("SELECT id, hash FROM entries ORDER BY id DESC LIMIT 1").fetchone()
        return last or (0, chain.FIRST)

    def newest(self, kind, patient, visit):
        """Find the newest entry of a kind: its id and bodies."""
        return self.connection.execute(
            "SELECT e.id, e.body, i.body FROM entries e LEFT JOIN identities i ON i.entry = e.id "
            "WHERE e.patient = ? AND e.kind = ? AND e.visit IS ? ORDER BY e.id DESC LIMIT 1",
            (patient, kind, visit),
        ).fetchone()

    def visit_key(self, patient, visit):
        """Hash a visit with the salt of its patient, so that it identifies nothing once the salt is erased."""
        with opening.one_sentence(self.path):
            salt = self.connection.execute(
                "SELECT salt FROM identities WHERE patient = ? AND kind = 'patient'", (patient,)
            ).fetchone()
        if salt is None:
            raise StageError(f"the register {self.path} has no patient {patient}, or has erased this one")
        if visit is None:
            return None
        return hmac.new(salt[0].encode(), chain.canonical(visit).encode(), "sha256").hexdigest()[:16]

    def head(self):
        """Return the number and hash of the last entry, as `number:hash`. Keep it elsewhere for `verify`."""
        with opening.one_sentence(self.path):
            return ":".join(map(str, self.last()))
