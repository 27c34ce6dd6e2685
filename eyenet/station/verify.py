"""Check that the register is whole."""

from eyenet.station import chain
from eyenet.station.opening import expected_schema, read_schema

ROWS = (
    "SELECT e.id, e.recorded, e.kind, e.patient, e.visit, e.body, e.seal, e.hash, i.patient, i.kind, i.salt, i.body "
    "FROM entries e LEFT JOIN identities i ON i.entry = e.id ORDER BY e.id"
)


def verify(connection, head=None):
    """Find what was changed in a register.

    Parameters
    ----------
    connection : sqlite3.Connection
    head : str, optional
        Number and hash of the entry that was once the last one, `number:hash`.

    Yields
    ------
    str
        Each change found; none if the register is whole, and continues `head` if given.
    """
    connection.execute("BEGIN")  # entries of other programs meanwhile are not seen
    try:
        damage = [line for (line,) in connection.execute("PRAGMA integrity_check(5)") if line != "ok"]
        yield from (f"the file is damaged: {line}" for line in damage)
        yield from _schema_problems(connection)
        if not damage:
            yield from _walk(connection)
            yield from _strangers(connection)
            yield from _tail(connection)
            if head is not None:
                yield from _head(connection, head)
    finally:
        connection.execute("COMMIT")


def _schema_problems(connection):
    """Compare tables, indexes and triggers with those of this version: a missing trigger allows changes."""
    found, wanted = read_schema(connection), expected_schema()
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            what = "is missing" if name not in found else "was added" if name not in wanted else "was changed"
            yield f"the table, index or trigger {name} {what}"


def _walk(connection):
    """Follow the chain, and check that entries match their hashes and identities their seals."""
    erased = {patient for (patient,) in connection.execute("SELECT patient FROM entries WHERE kind = 'erasure'")}
    last, previous = 0, chain.FIRST
    for row in connection.execute(ROWS):
        entry = dict(zip(chain.COVERED, row))
        number, what = entry["id"], f"entry {row[0]} ({entry['kind']} of {entry['recorded']})"
        if number != last + 1:
            gone = f"entry {last + 1} is" if number == last + 2 else f"entries {last + 1} to {number - 1} are"
            yield f"{gone} missing"
        elif chain.link(previous, entry) != row[7]:
            yield f"{what} was changed, or another one was removed, inserted or moved before it"
        if problem := _identity_problem(entry, row[8:], erased):
            yield f"{what}: {problem}"
        last, previous = number, row[7]


def _identity_problem(entry, identity, erased):
    """Describe what is wrong with the identity of an entry; None if nothing is."""
    patient, kind, salt, body = identity
    if entry["seal"] is None:
        return "it has an identity that was not entered with it" if body is not None else None
    if body is None:
        return None if entry["patient"] in erased else "its identity was removed, and no erasure is entered"
    if entry["patient"] in erased:
        return "its patient was erased, and it still has an identity"
    if (patient, kind, chain.seal(salt, body)) != (entry["patient"], entry["kind"], entry["seal"]):
        return "its identity was changed"
    return None


def _strangers(connection):
    """Find identities without an entry."""
    found = connection.execute("SELECT entry FROM identities WHERE entry NOT IN (SELECT id FROM entries) LIMIT 5")
    yield from (f"the identity of entry {entry} belongs to no entry" for (entry,) in found)


def _tail(connection):
    """Compare the last entry with SQLite's own count of entries."""
    counted = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
    last = connection.execute("SELECT max(id) FROM entries").fetchone()[0]
    counted = counted and counted[0]
    if counted != last:
        yield f"the last entry is {last}, and SQLite has counted {counted}: entries at the end are missing"


def _head(connection, head):
    """Check that the register continues from an earlier head."""
    number, digest = chain.HEAD.fullmatch(head).groups()
    last = connection.execute("SELECT max(id) FROM entries").fetchone()[0] or 0
    found = connection.execute("SELECT hash FROM entries WHERE id = ?", (int(number),)).fetchone()
    if int(number) > last:
        yield f"the register ends at entry {last}, and once had {number}: entries at the end are missing"
    elif int(number) and (found is None or found[0] != digest):
        yield f"entry {number} does not match the head that was kept: entries up to it were rewritten"
