"""The station's register: nothing is lost or changed unnoticed, and what names a patient can be erased."""

import contextlib
import csv
import datetime
import hashlib
import os
import random
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest
from conftest import REPO

from eyenet.model.answers import AGAIN, UNSURE
from eyenet.run.errors import EXIT_FINDING, StageError
from eyenet.run.options import parser
from eyenet.station import commands, opening
from eyenet.station.register import Register

DAY = datetime.date(2026, 3, 2)
MODEL = {"name": "eyenet-lite 0123456789ab", "operating_point": "sensitivity_0.9", "trained_on": "real photographs"}


class Clock:
    """The time of a test: noon of a day, in UTC."""

    def __init__(self):
        self.day = DAY

    def __call__(self):
        return datetime.datetime(self.day.year, self.day.month, self.day.day, 12, tzinfo=datetime.UTC)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "register.sqlite"


@pytest.fixture
def register(path, clock):
    with Register.open(path, now=clock) as opened:
        opened.connection.execute("PRAGMA synchronous = OFF")  # the disk's cache is lost by no test
        yield opened


def add_visit(register, name, result="referable DR", visit=None, number=0, gradable=True, camera="CR-2"):
    """Enter a patient with one photograph and the answer; return the key and the ids of both."""
    key = register.identify({"patient": name, "place": "inbox"})
    facts = {"result": result, "gradable": gradable, "camera": camera, "reasons": [f"same file as {name}"]}
    facts["graded_by"] = MODEL
    digest = hashlib.sha256(repr((name, visit, number)).encode()).hexdigest()
    photograph = register.add_photograph(digest, f"{name}_left.jpeg", key, "left", visit, facts)
    answer = {"unit": "patient", "patient": name, "result": result, "decided_by": f"{name}_left.jpeg", "reasons": []}
    return key, photograph, register.add_answer(key, visit, answer, [photograph], MODEL)


def tamper(path, *statements):
    """Change the file as somebody who knows SQLite would: without the triggers, and put them back."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()


def test_a_photograph_and_an_answer_are_entered_once_and_the_newest_answer_counts(register):
    key, photograph, answer = add_visit(register, "7", AGAIN)
    assert add_visit(register, "7", AGAIN) == (key, photograph, answer)
    assert register.head().startswith("3:")
    _, second, newer = add_visit(register, "7", number=1)
    add_visit(register, "7", "no DR", visit="1.2.840")
    add_visit(register, "8", AGAIN)
    found = register.answers(DAY)
    assert [(one.visit, one.answer["result"]) for one in found] == [
        (None, "referable DR"),
        ("1.2.840", "no DR"),
        (None, AGAIN),
    ]
    assert found[0].id == newer and found[0].photographs == [second] and found[0].model == MODEL
    assert found[0].answer["decided_by"] == "7_left.jpeg" and register.answers(DAY + datetime.timedelta(1)) == []
    assert [one.name for one in register.photographs(key)] == ["7_left.jpeg"] * 3 and register.verify() == []


def test_identities_join_only_what_is_equal(register):
    long = "x" * 10_000_000
    told = [{"patient": text} for text in ("12", "0012", "12 ", "1\x002", "1\x012", long, long + "y")]
    keys = [register.identify(one) for one in [*told, {}, {}]]
    assert len(set(keys)) == len(keys) and [register.identify(one) for one in told] == keys[:7]
    unknown = [register.add_photograph(f"{i:064x}", "a.jpeg", None, None, None, {}) for i in (1, 2)]
    assert len({one.patient for one in register.photographs() if one.id in unknown}) == 2


def test_two_programs_enter_photographs_at_once(path, register):
    """Another connection stands for another program: SQLite locks connections, not processes."""

    def enter():
        with Register.open(path) as other:
            other.connection.execute("PRAGMA synchronous = OFF")
            for i in range(20):
                add_visit(other, f"b{i}")

    thread = threading.Thread(target=enter)
    thread.start()
    for i in range(20):
        add_visit(register, f"a{i}")
    thread.join()
    assert len(register.answers()) == 40 and register.verify() == []


def test_entries_cannot_be_changed_or_removed(register):
    key, *_ = add_visit(register, "7")
    refused = [
        "UPDATE entries SET patient = 'x' WHERE id = 1",
        "DELETE FROM entries WHERE id = 3",
        "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE id = 2",
        "INSERT INTO entries SELECT 9, recorded, kind, patient, visit, body, seal, hash FROM entries WHERE id = 3",
        "UPDATE identities SET body = '{}'",
        "DELETE FROM identities",
        f"INSERT INTO identities VALUES (1, '{key}', 'patient', '', '')",
    ]
    for statement in refused:
        with pytest.raises(sqlite3.IntegrityError):
            register.connection.execute(statement)
    assert register.verify() == []


SWAP = "UPDATE entries SET id = 100 - id WHERE id IN (2, 3)"
SWAPPED = (SWAP, "UPDATE entries SET id = 2 WHERE id = 97", "UPDATE entries SET id = 3 WHERE id = 98")
COUNT = "UPDATE sqlite_sequence SET seq = 5 WHERE name = 'entries'"
INSERTED = "INSERT INTO entries SELECT 7, recorded, kind, patient, visit, body, seal, hash FROM entries WHERE id = 6"


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE entries SET body = replace(body, 'referable DR', 'no DR') WHERE id = 3"], "entry 3 .* was changed"),
        (["UPDATE entries SET recorded = '2020' WHERE id = 6"], "entry 6 .* was changed"),
        (["DELETE FROM identities WHERE entry = 2", "DELETE FROM entries WHERE id = 2"], "entry 2 is missing"),
        (SWAPPED, "entry 2 .* was changed, or another one was removed, inserted or moved"),
        ([INSERTED], "entry 7 .* was changed"),
        (
            ["DELETE FROM identities WHERE entry = 6", "DELETE FROM entries WHERE id = 6"],
            "entries at the end are missing",
        ),
        (["UPDATE identities SET body = replace(body, '8', '9') WHERE entry = 4"], "entry 4 .* identity was changed"),
        (["DELETE FROM identities WHERE entry = 4"], "entry 4 .* identity was removed, and no erasure"),
        (["DROP INDEX one_photograph"], "one_photograph is missing"),
        (["PRAGMA foreign_keys = OFF", "UPDATE identities SET entry = 9 WHERE entry = 6"], "belongs to no entry"),
    ],
)
def test_verify_finds(path, register, statements, found):
    add_visit(register, "7")
    add_visit(register, "8")
    assert register.verify(register.head()) == []
    tamper(path, *statements)
    with Register.open(path) as opened:
        problems = "\n".join(opened.verify())
    assert re.search(found, problems), problems


def test_a_careful_cut_at_the_end_shows_only_against_a_head_that_was_kept(path, register):
    add_visit(register, "7")
    early = register.head()
    add_visit(register, "8")
    head = register.head()
    gone = [f"DELETE FROM {table} WHERE {key} > 5" for table, key in (("identities", "entry"), ("entries", "id"))]
    tamper(path, *gone, COUNT)
    assert register.verify() == [] == register.verify(early)  # what documentation says that it cannot find
    assert register.verify(head) == ["the register ends at entry 5, and once had 6: entries at the end are missing"]
    add_visit(register, "9")
    assert "rewritten" in register.verify(head)[0]


def read_report(path):
    """Read the rows of the quality report."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def content(path):
    """Read all bytes of the register's files."""
    return b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))


def test_an_erased_name_is_not_left_in_pages_from_which_sqlite_moved_rows(path, register):
    """With these lengths of names, SQLite 3.40 leaves one of the names if the file is not written anew."""
    lengths = random.Random(3)
    for i in range(60):
        with register.entering():
            register.append("patient", f"k{i}", {}, {"patient": f"Doe{i:04d}" + "x" * lengths.randrange(400)})
            named = {"name": f"Doe{i:04d}" + "x" * lengths.randrange(400)}
            register.append("photograph", f"k{i}", {"sha256": str(i)}, named)
    erased = lengths.sample(range(60), 30)
    for i in erased:
        register.forget(f"k{i}")
    left = {int(number) for number in re.findall(rb"Doe(\d{4})", content(path))}
    assert left == set(range(60)) - set(erased)


def test_an_erased_patient_leaves_no_name_and_a_whole_chain(path, register, tmp_path):
    keys = [add_visit(register, f"Doe{i:03d}^Jane", visit=f"1.2.840.{i}")[0] for i in range(20)]
    head = register.head()
    register.decide(keys[0], "Dr Roe", "Mrs Doe000 was seen", accepted=False)
    told = register.identity(keys[0])
    register.export(tmp_path / "before.csv")
    for key in keys[::2]:
        assert register.forget(key) and not register.forget(key)
    left = content(path)
    names = [f"Doe{i:03d}".encode() for i in range(20)]
    assert [name in left for name in names] == [False, True] * 10 and b"1.2.840.0" not in left
    assert register.verify(head) == [] and register.identity(keys[0]) is None and register.find("Doe000^Jane") == []
    answer = register.answers()[0]
    assert answer.answer == {"result": "referable DR", "unit": "patient"} and answer.visit is None
    assert answer.decision["by"] == "Dr Roe" and "why" not in answer.decision
    (photograph,) = register.photographs(keys[0])
    assert photograph.name is None and photograph.facts["gradable"] and "reasons" not in photograph.facts
    register.export(tmp_path / "after.csv")
    before, after = (read_report(tmp_path / name) for name in ("before.csv", "after.csv"))
    assert [row | {"head": ""} for row in before] == [row | {"head": ""} for row in after]
    with pytest.raises(StageError, match="erased"):
        register.refer(keys[0], "referred")
    again = register.add_photograph(photograph.sha256, "Doe000_left.jpeg", None, "left", None, {})
    assert again == photograph.id and b"Doe000" not in content(path)  # the file is still in the inbox
    assert register.identify(told) not in keys


def test_retention_erases_the_old_and_keeps_those_who_are_still_to_be_seen(register, clock):
    old, waiting, referred, seen = (
        add_visit(register, name, result)[0]
        for name, result in (("1", "no DR"), ("2", "referable DR"), ("3", AGAIN), ("4", "referable DR"))
    )
    register.refer(referred, "referred")
    for state in ("referred", "seen"):
        register.refer(seen, state)
    clock.day += datetime.timedelta(30)
    assert register.retain(30) == ([], [])
    clock.day += datetime.timedelta(1)
    new, *_ = add_visit(register, "5", "no DR")
    assert register.retain(30) == ([old, seen], [waiting, referred])
    assert register.identity(new) and register.identity(old) is None and register.verify() == []


def test_a_patient_who_is_not_seen_is_overdue(register, clock):
    key, *_ = add_visit(register, "7")
    overruled, *_ = add_visit(register, "8")
    add_visit(register, "9", "no DR")
    register.decide(overruled, "Dr Roe", "drusen", accepted=False)
    with pytest.raises(StageError, match="has no referral; the next entry can be referred, not seen"):
        register.refer(key, "seen")
    later = DAY + datetime.timedelta(15)
    assert [(one.patient, one.missing) for one in register.overdue(later)] == [(key, "referral")]
    assert register.overdue(later - datetime.timedelta(1)) == []
    register.refer(key, "referred")
    assert [one.missing for one in register.overdue(later)] == ["appointment"]
    register.refer(key, "appointment", DAY + datetime.timedelta(3))
    assert register.overdue(DAY + datetime.timedelta(3)) == []
    assert [one.missing for one in register.overdue(DAY + datetime.timedelta(4))] == ["seen"]
    with pytest.raises(StageError, match="is after today"):
        register.refer(key, "seen", later)
    register.refer(key, "seen")
    assert register.overdue(DAY + datetime.timedelta(400)) == []
    add_visit(register, "7", number=1)  # comes again, and is referred again
    assert [one.missing for one in register.overdue(later)] == ["referral"]


def test_a_negative_that_a_person_overrules_waits_for_its_referral(register, clock):
    missed, *_ = add_visit(register, "7", "no DR")
    register.decide(missed, "Dr Roe", "new vessels", accepted=False)
    assert [one.patient for one in register.overdue(DAY + datetime.timedelta(15))] == [missed]
    clock.day += datetime.timedelta(31)
    assert register.retain(30) == ([], [missed])


def test_a_decision_names_its_answer_where_a_day_has_several(register, clock):
    key, _, first = add_visit(register, "7", "no DR", visit="1.1")
    _, _, second = add_visit(register, "7", "referable DR", visit="1.2")
    with pytest.raises(StageError, match=f"2 answers of 2026-03-02: give one, {first} .no DR, 12:00., {second} .ref"):
        register.decide(key, "Dr Roe", "", True)
    register.decide(key, "Dr Roe", "", True, first)
    assert [one.decision and one.decision["answer"] for one in register.answers()] == [first, None]
    clock.day += datetime.timedelta(1)
    _, _, third = add_visit(register, "7", "no DR", visit="1.3")
    register.decide(key, "Dr Roe", "", True)  # the only one of its day
    assert register.answers()[-1].decision["answer"] == third


def test_an_unsure_answer_is_reported_apart_from_agreement(register, tmp_path):
    for i, refer in enumerate((True, False, None)):
        key, *_ = add_visit(register, str(i), UNSURE)
        if refer is not None:
            register.decide(key, "Dr Roe", "", True, refer=refer)
    sure, *_ = add_visit(register, "9", "no DR")
    with pytest.raises(StageError, match="is not unsure"):
        register.decide(sure, "Dr Roe", "", True, refer=False)
    assert [one.missing for one in register.waiting()] == ["referral", "decision"]
    register.export(tmp_path / "report.csv")
    rows = {row["figure"]: (row["count"], row["of"]) for row in read_report(tmp_path / "report.csv")}
    assert rows["visits unsure"] == ("3", "4") and rows["visits referred"] == ("0", "4")
    assert rows["decided unsure answers to be referred"] == ("1", "2") and "decided answers accepted" not in rows


def test_a_decision_needs_the_newest_answer_of_the_patient(register):
    key, _, first = add_visit(register, "7", AGAIN)
    other, _, foreign = add_visit(register, "8")
    _, _, second = add_visit(register, "7", number=1)
    for answer in (first, foreign):
        with pytest.raises(StageError, match="nothing to decide"):
            register.decide(key, "Dr Roe", "", True, answer)
    with pytest.raises(StageError, match="has no answer"):
        register.decide(register.identify({"patient": "9"}), "Dr Roe", "", True)
    register.decide(key, "Dr Roe", "first", False)
    register.decide(key, "Dr Poe", "second", True)
    decisions = {one.patient: one.decision for one in register.answers()}
    assert decisions[key]["by"] == "Dr Poe" and decisions[key]["answer"] == second and decisions[other] is None


CHILD = """
import os, signal, sys
from eyenet.station.register import Register
register = Register.open(sys.argv[1])
register.identify({"patient": "whole"})
with register.entering():
    register.append("patient", "half", {}, {"patient": "half"})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_within_an_entry_leaves_the_entries_before(path):
    done = subprocess.run([sys.executable, "-c", CHILD, path], cwd=REPO, check=False)
    assert done.returncode == -signal.SIGKILL
    with Register.open(path, create=False) as register:
        assert register.find("whole") and not register.find("half") and register.verify() == []
        add_visit(register, "7")
        assert register.verify() == [] and len(register.answers()) == 1


def test_a_full_disk_loses_nothing(path, register):
    add_visit(register, "7")
    pages = register.connection.execute("PRAGMA page_count").fetchone()[0]
    register.connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then says what it says on a full disk
    with pytest.raises(StageError, match=r"register\.sqlite: the disk is full; this entry was not written"):
        for i in range(1000):
            add_visit(register, f"full{i}")
    before = len(register.answers())
    register.connection.execute("PRAGMA max_page_count = 100000")
    add_visit(register, "8")
    assert register.verify() == [] and len(register.answers()) == before + 1


def test_another_writer_and_a_read_only_disk_are_one_sentence(path, register, monkeypatch):
    register.identify({"patient": "7"})
    monkeypatch.setattr(opening, "WAIT", 0.01)
    busy = pytest.raises(StageError, match="another program has been writing")
    with Register.open(path) as other, register.entering(), busy:
        other.identify({"patient": "8"})
    register.connection.execute("PRAGMA query_only = ON")  # SQLite then says what it says on a read-only disk
    with pytest.raises(StageError, match="read-only; copy the register"):
        register.identify({"patient": "8"})
    assert register.find("7") and register.verify() == []


@pytest.mark.parametrize("what", ["version", "program", "text", "damaged", "empty", "missing", "folder"])
def test_a_file_that_is_no_register_of_this_version_is_refused_and_kept(path, what):
    with Register.open(path) as register:
        register.connection.execute("PRAGMA synchronous = OFF")
        for i in range(12):
            add_visit(register, str(i))
    if what in ("version", "program"):
        name, version = ("user_version", opening.VERSION + 1) if what == "version" else ("application_id", 1)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA {name} = {version}")
    data = path.read_bytes()
    others = {"text": b"image,level\n" * 99, "empty": b"", "damaged": data[:8192] + b"\x55" * (len(data) - 8192)}
    data = others.get(what, data)
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what != "missing":
        path.write_bytes(data)
    with pytest.raises(StageError, match="register") as error, Register.open(path, create=False) as register:
        register.answers()
    assert "\n" not in str(error.value) and (not path.is_file() or path.read_bytes() == data)
    if what == "damaged":
        with Register.open(path) as register:
            assert any("damaged" in problem for problem in register.verify())


def test_a_register_that_a_kill_left_empty_is_made(path):
    path.touch()
    with Register.open(path) as register:
        assert add_visit(register, "7") and register.verify() == []


def test_only_the_owner_can_read_the_files(path, capsys):
    old = os.umask(0)
    try:
        path = path.parent / "new" / path.name
        with Register.open(path) as register:
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            add_visit(register, "7")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == dict.fromkeys(("register.sqlite", "register.sqlite-wal", "register.sqlite-shm"), 0o600)
        path.chmod(0o644)
        with Register.open(path) as register:
            add_visit(register, "8")
            assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    finally:
        os.umask(old)


HOSTILE = '=HYPERLINK("http://x")\x1b[2J\x00\r\n<script>alert(1)</script>\u202e' + "9" * 10_000_000


def test_hostile_text_is_cut_and_harmless(path, register, tmp_path, capsys):
    key, *_ = add_visit(register, HOSTILE, visit=HOSTILE[:1000], camera=HOSTILE[:1000])
    commands.decide(register, key, HOSTILE[:9999], HOSTILE, True)
    assert len(content(path)) < 400_000 and register.verify() == []
    register.export(tmp_path / "report.csv")
    printed = capsys.readouterr().out + (tmp_path / "report.csv").read_text()
    assert len(printed) < 30_000 and all(letter.isprintable() or letter == "\n" for letter in printed)
    rows = read_report(tmp_path / "report.csv")
    assert {row["camera"][:5] for row in rows} == {"all", "'=HYP"}


def test_the_report_counts_by_network_day_and_camera_with_intervals(register, clock, tmp_path):
    """Ten patients on each of two days; of the first day's, four are referred, and three of these accepted."""
    for i in range(10):
        key, *_ = add_visit(register, f"a{i}", "referable DR" if i < 4 else "no DR", camera="A" if i % 2 else "B")
        register.decide(key, "Dr Roe", "", i != 0)
    clock.day += datetime.timedelta(1)
    for i in range(10):
        add_visit(register, f"b{i}", AGAIN, gradable=False, camera="A")
    register.export(tmp_path / "report.csv")
    rows = {(row["figure"], row["day"], row["camera"]): row for row in read_report(tmp_path / "report.csv")}

    def told(figure, day="all", camera="all"):
        row = rows[figure, day, camera]
        assert row["network"] == MODEL["name"] and row["head"] == register.head()
        assert 0 <= float(row["low"]) < float(row["value"]) + 1e-9 and float(row["value"]) <= float(row["high"]) <= 1
        return row["count"], row["of"], row["patients"]

    assert told("photographs gradable") == ("10", "20", "20") and told("photographs gradable", "2026-03-03")[0] == "0"
    assert told("visits referred", "2026-03-02") == ("4", "10", "10")
    assert told("visits referred", camera="A") == ("2", "15", "15")
    assert told("visits to photograph again", "2026-03-03", "A") == ("10", "10", "10")
    assert told("decided answers accepted") == ("9", "10", "10")
    assert told("decided answers accepted, referred") == ("3", "4", "4")
    from eyenet.score.intervals import wilson  # independent patients: Wilson's interval of the count

    row = rows["visits referred", "2026-03-02", "all"]
    assert [float(row[name]) for name in ("low", "high")] == pytest.approx(wilson(0.4, 10, 0.95), abs=1e-6)


def run(path, *words):
    """Run commands as screen.py does; return the exit code."""
    options = parser("")
    commands.add_options(options)
    return commands.run_command(options, options.parse_args(["--register", str(path), *words]))


def test_the_commands(path, register, clock, capsys, monkeypatch):
    monkeypatch.setattr(Register, "open", classmethod(lambda cls, *_, **__: contextlib.nullcontext(register)))
    key, *_ = add_visit(register, "7")
    twin = register.identify({"patient": "7", "place": "other"})
    assert run(path) is None
    with pytest.raises(StageError, match=f"2 patients have the ID 7: .*{key} .2026-03-02.*"):
        run(path, "--forget", "7")
    with pytest.raises(StageError, match="no patient 70"):
        run(path, "--refer", "70", "--state", "referred")
    register.forget(twin)
    assert run(path, "--decide", "7", "--by", "Dr Roe", "--why", "drusen") == 0
    assert "accepted by Dr Roe: answer 3 of 2026-03-02, referable DR, patient 7 (" in capsys.readouterr().out
    assert run(path, "--refer", "7", "--state", "referred", "--date", "2026-02-01") == 0
    assert run(path, "--overdue") == EXIT_FINDING
    assert f"7 ({key}): referred on 2026-02-01, 29 days ago, without an appointment" in capsys.readouterr().out
    assert run(path, "--retain", "365") == 0
    assert "erased what may name 0 patients without an entry for 365 days; kept 0" in capsys.readouterr().out
    assert run(path, "--overdue", "29") == 0 and run(path, "--verify") == 0
    head = re.search(r"head (\d+:\w+)", capsys.readouterr().out)[1]
    assert run(path, "--forget", key) == 0 and run(path, "--verify", head) == 0
    assert "must still be seen" in capsys.readouterr().err
    tamper(path, "UPDATE entries SET recorded = '2020' WHERE id = 1")
    assert run(path, "--verify") == EXIT_FINDING and "entry 1 (patient of 2020) was changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--decide", "7", "--by", "Dr Roe"],
        ["--decide", "7", "--by", " ", "--why", "x"],
        ["--refer", "7"],
        ["--refer", "7", "--state", "referred", "--date", "yesterday"],
        ["--forget", "7", "--why", "x"],
        ["--forget", "7", "--overdue"],
        ["--verify", "12"],
        ["--overrule"],
        ["--answer", "3"],
        ["--decide", "7", "--by", "Dr Roe", "--why", "x", "--call", "perhaps"],
        ["--decide", "7", "--by", "Dr Roe", "--why", "x", "--call", "refer", "--overrule"],
    ],
)
def test_wrong_usage_is_refused_before_the_register_is_opened(path, words):
    with pytest.raises(SystemExit) as stopped:
        run(path, *words)
    assert stopped.value.code == 2 and not path.exists()
