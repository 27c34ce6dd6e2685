"""The commands of screen.py that grade nothing: decide, refer, list, erase, check and report."""

import argparse
import datetime
from pathlib import Path

from eyenet.run import files
from eyenet.run.errors import EXIT_FINDING, StageError, log, plural
from eyenet.run.options import local_path, positive
from eyenet.station import chain
from eyenet.station.forms import Forms
from eyenet.station.referrals import STATES, WAIT, describe, is_to_be_referred
from eyenet.station.register import Register

REGISTER = Path("data/station/register.sqlite")
SHOWN = 20  # problems that --verify lists
COMMANDS = ("decide", "refer", "overdue", "forget", "retain", "verify", "export")
NEEDS = {"by": "decide", "why": "decide", "overrule": "decide", "answer": "decide", "call": "decide"}
NEEDS |= {"state": "refer", "date": "refer"}
REQUIRED = {"decide": ("by", "why"), "refer": ("state",)}


def add_options(options):
    """Add the commands and their options to the parser of screen.py."""
    group = options.add_argument_group("the register", "PATIENT is an ID as in the photographs, or a random key")
    group.add_argument("--register", type=local_path, default=REGISTER, metavar="FILE", help="the register's file")
    one = group.add_mutually_exclusive_group()
    one.add_argument("--decide", metavar="PATIENT", help="enter a person's decision on an answer")
    one.add_argument("--refer", metavar="PATIENT", help="enter the --state of a referral")
    text = (
        f"list patients waiting more than DAYS days ({WAIT} by default) for the next step, or who missed an appointment"
    )
    one.add_argument("--overdue", type=positive, nargs="?", const=WAIT, metavar="DAYS", help=text)
    one.add_argument("--forget", metavar="PATIENT", help="erase what may name a patient; this cannot be undone")
    text = "erase what may name patients without an entry for DAYS days, unless they must still be seen"
    one.add_argument("--retain", type=positive, metavar="DAYS", help=text)
    text = "check that nothing was changed, and nothing removed since HEAD, which an earlier --verify printed"
    one.add_argument("--verify", type=_head, nargs="?", const="", metavar="HEAD", help=text)
    one.add_argument(
        "--export", type=local_path, metavar="FILE", help="write the CSV of a quality report; it names no patient"
    )
    group.add_argument("--by", metavar="NAME", help="with --decide: who decided; it is never erased")
    group.add_argument("--why", metavar="TEXT", help="with --decide: the reason")
    group.add_argument("--overrule", action="store_true", help="with --decide: the answer is wrong, not accepted")
    text = "with --decide: the person's call where the answer is unsure or to photograph again"
    group.add_argument("--call", choices=("refer", "no-referral"), help=text)
    text = "with --decide: number of the answer; default: the newest, if it is the only one of its day"
    group.add_argument("--answer", type=positive, metavar="N", help=text)
    group.add_argument("--state", choices=STATES, help="with --refer: what happened last")
    group.add_argument("--date", type=_date, help="with --refer: YYYY-MM-DD, of the appointment, ...; default: today")


def _head(text):
    if text and not chain.HEAD.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text} is not a head, such as 12:9f86d0... with 64 digits after the colon")
    return text


def _date(text):
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a date, such as 2026-03-31") from None


def run_command(options, args):
    """Run the command that was given; return its exit code, or None if none was given.

    Parameters
    ----------
    options : argparse.ArgumentParser
        Reports wrong usage.
    args : argparse.Namespace
    """
    given = next((name for name in COMMANDS if getattr(args, name) is not None), None)
    for name, command in NEEDS.items():
        if getattr(args, name) not in (None, False) and given != command:
            options.error(f"--{name} needs --{command}")
    for name in REQUIRED.get(given, ()):
        if not (getattr(args, name) or "").strip():
            options.error(f"--{given} needs --{name}")
    if args.call is not None and args.overrule:
        options.error("--call already states the decision; leave out --overrule")
    if given is None:
        return None
    with Register.open(args.register, create=False) as register:
        if given == "decide":
            call = None if args.call is None else args.call == "refer"
            return decide(register, args.decide, args.by, args.why, not args.overrule, args.answer, call)
        if given == "refer":
            return refer(register, args.refer, args.state, args.date)
        return SIMPLE[given](register, getattr(args, given))


def _plain(text):
    """Cut a text of the user or of a photograph, and replace its unprintable characters."""
    return files.plain(chain.cut(str(text)))


def find_one(register, name):
    """Find the key of a patient.

    Raises
    ------
    StageError
        If there is none, or several have this ID: none is guessed.
    """
    keys = register.find(name)
    if not keys:
        raise StageError(f"the register has no patient {_plain(name)}, or this one was erased; check the ID")
    if len(keys) > 1:
        visits = {key: [one.recorded[:10] for one in register.answers(patient_key=key)] for key in keys}
        told = "; ".join(f"{key} ({', '.join(days) or 'no answer'})" for key, days in visits.items())
        raise StageError(f"{len(keys)} patients have the ID {_plain(name)}: give the key instead, one of {told}")
    return keys[0]


def name_of(register, key):
    """Format the ID of a patient, with the key."""
    told = (register.identity(key) or {}).get("patient")
    return f"{_plain(told)} ({key})" if told else key


def decide(register, patient, by, why, accepted, number=None, call=None):
    """Enter a decision on an answer of a patient; `call`: whether to refer."""
    key = find_one(register, patient)
    entry = register.decide(key, by, why, accepted, number, call)
    answer = register.decided(entry)
    said = {None: "accepted" if accepted else "overruled", True: "to be referred", False: "not to be referred"}[call]
    told = f"answer {answer.id} of {answer.recorded[:10]}, {_plain(answer.answer.get('result'))}"
    print(f"entry {entry}: {said} by {_plain(by)}: {told}, patient {name_of(register, key)}")
    Forms.reopen(register).update(key)
    if is_to_be_referred(answer):
        log(f"next, once the patient is referred: python screen.py --refer {key} --state referred")
    return 0


def refer(register, patient, state, date):
    """Enter the state of a referral."""
    key = find_one(register, patient)
    number = register.refer(key, state, date)
    print(f"entry {number}: patient {name_of(register, key)}: {state}, {date or register.now().date()}")
    return 0


def overdue(register, days):
    """List the patients who have waited too long; exit code 4 if there are any."""
    today = register.now().date()
    late = register.overdue(today, days)
    for one in late:
        print(f"{name_of(register, one.patient)}: {describe(one, today)}")
    print(f"{plural(len(late), 'patient has', 'patients have')} waited too long")
    return EXIT_FINDING if late else 0


def forget(register, patient):
    """Erase what may name a patient; may be repeated for an erased one, in case that was not finished."""
    key = find_one(register, patient)
    waiting = any(one.patient == key for one in register.waiting())
    strangers, doubtful = register.strangers(key)
    try:
        if not register.forget(key):
            register.clean(key)
    finally:
        Forms.reopen(register).erase_forgotten()
    print(f"erased what may name the patient {key}; the entries stay under this key")
    if strangers:
        log(f"note: erased {plural(len(strangers), 'photograph')} of no known patient or eye, named like this patient")
    if doubtful:
        log(
            f"note: kept {plural(len(doubtful), 'photograph')} of no known patient or eye, with this ID in the name, "
            f"which may be another number; --forget takes the keys too: {', '.join(doubtful)}"
        )
    if waiting:
        log("WARNING: this patient must still be seen, and is no longer listed by name")
    log(OUTSIDE)
    return 0


OUTSIDE = (
    "note: photographs, tables, letters that were printed or sent, and copies of the register are not erased; remove "
    "them yourself"
)


def retain(register, days):
    """Erase the patients without an entry for some days."""
    try:
        erased, kept = register.retain(days)
    finally:
        Forms.reopen(register).erase_forgotten()
    told = f"erased what may name {plural(len(erased), 'patient')} without an entry for {plural(days, 'day')}"
    print(f"{told}; kept {plural(len(kept), 'patient')} who must still be seen")
    if erased:
        log(OUTSIDE)
    return 0


def verify(register, head):
    """Check the register, and print its head; exit code 4 if something was changed."""
    problems = register.verify(head or None)
    for problem in problems[:SHOWN]:
        print(problem)
    if len(problems) > SHOWN:
        print(f"... and {len(problems) - SHOWN:,} more")
    if problems:
        print(f"{register.path} was changed or damaged: {plural(len(problems), 'problem')}")
        return EXIT_FINDING
    since = f", and continues {head.partition(':')[0]}:..." if head else ""
    print(f"{register.path} is whole: {plural(register.last()[0], 'entry', 'entries')}{since}")
    print(f"head {register.head()}")
    log("next: keep the head in a safe place; --verify HEAD shows later if entries were removed at the end")
    return 0


def export(register, path):
    """Write the quality report."""
    rows, head = register.export(path)
    print(f"wrote {path}: {plural(rows, 'row')}; head {head}")
    return 0


SIMPLE = {"overdue": overdue, "forget": forget, "retain": retain, "verify": verify, "export": export}
