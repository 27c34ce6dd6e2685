"""Open the register's SQLite file: private, of this version, and with errors in one sentence."""

import contextlib
import os
import sqlite3
import stat
from pathlib import Path

from eyenet.run.errors import StageError, log

VERSION = 2  # of schema.sql; a change of the schema increases it
APPLICATION = (
    0x45796531  # "Eye1", in the header of the file, so that no other program's database is taken for a register
)
WAIT = 10.0  # seconds for another program to finish its entry
BESIDE = ("", "-wal", "-shm")  # the file, its log and the index of the log
SCHEMA = Path(__file__).with_name("schema.sql")

FULL = "the disk is full; this entry was not written, all earlier ones are kept; free some space and try again"
LOCKED = f"another program has been writing for {WAIT:g} s; try again"
READ_ONLY = "cannot be written: the disk or the file is read-only; copy the register to a writable disk"
DAMAGED = "is damaged or no register; keep the file, and continue with the last good copy"
LOST = "cannot be read or written: the disk may be damaged or disconnected; check it and try again"
NO_OPEN = "cannot be opened; check path and permissions, and copy it to a writable disk if necessary"
SENTENCES = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_IOERR: LOST,
    sqlite3.SQLITE_CANTOPEN: NO_OPEN,
    sqlite3.SQLITE_PERM: NO_OPEN,
}


@contextlib.contextmanager
def one_sentence(path):
    """Turn the errors of SQLite into a StageError of one sentence.

    The register refuses changes of its entries (the triggers of schema.sql); their messages are passed on.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)  # None: of Python's module, not of SQLite
        if code is None:
            raise
        sentence = SENTENCES.get(code & 0xFF, str(error))
        raise StageError(f"the register {path}: {sentence}") from error


def connect(path, create):
    """Open a register, or make a new one.

    The file, and with it the files that SQLite puts beside it, can be read and written by its owner only.

    Parameters
    ----------
    path : Path
    create : bool
        Make the register if there is none.

    Returns
    -------
    sqlite3.Connection
        In autocommit mode; every commit is on the disk before it returns.

    Raises
    ------
    StageError
    """
    if path.exists() and not path.is_file():
        raise StageError(f"{path} is no file; choose another name for the register")
    if not path.exists() and not create:
        raise StageError(f"there is no register {path}; run screen.py --inbox first")
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # another program was faster
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    make_private(path)
    with one_sentence(path):
        connection = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
        try:
            _check(connection, path, create)
        except BaseException:
            connection.close()
            raise
    return connection


def make_private(path):
    """Let only the owner read and write the files of a register; warn if that cannot be done."""
    for file in (path.with_name(path.name + ending) for ending in BESIDE):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                with contextlib.suppress(OSError):
                    file.chmod(0o600)
                if stat.S_IMODE(file.stat().st_mode) & 0o077:
                    log(f"WARNING: other users can read {file}: its disk keeps no permissions, or another user owns it")


def _check(connection, path, create):
    """Check that this is a register of this version, make it if the file is empty, and set SQLite's options."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    if not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        if not create:
            raise StageError(f"the register {path} is empty; run screen.py --inbox first")
        _make(connection, path)
    told = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if told[0] != APPLICATION:
        raise StageError(f"{path} is the database of another program; choose another name for the register")
    if told[1] != VERSION:
        raise StageError(
            f"the register {path} has version {told[1]} and this EyeNet writes version {VERSION}; use the version "
            "of EyeNet that made it, or start another register"
        )
    connection.execute("PRAGMA synchronous = FULL")


def _make(connection, path):
    """Write an empty register; another program may be doing the same."""
    if sqlite3.sqlite_version_info < (3, 38):
        raise StageError(f"SQLite {sqlite3.sqlite_version} is too old for the register; 3.38 is needed")
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StageError(f"the register {path} cannot be on this disk; choose a local disk")
    header = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
    connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA.read_text()} {header} COMMIT;")


def read_schema(connection):
    """Read the tables, indexes and triggers: dict of name to SQL."""
    return dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


def expected_schema():
    """Return the schema that a register of this version has, as from `read_schema`."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA.read_text())
        return read_schema(connection)
