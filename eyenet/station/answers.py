"""The answers of a station: which are due, and what is entered for visits, shared IDs and files that are gone."""

from typing import NamedTuple

from eyenet.data.identity import NOT_ONE_PERSON
from eyenet.grading.answering import patient_row
from eyenet.model.answers import AGAIN
from eyenet.model.decided import needs_grader, refers
from eyenet.run.files import plain
from eyenet.station.reading import WITHDRAWN
from eyenet.station.referrals import is_to_be_referred
from eyenet.station.visits import person_of, source_of


class Event(NamedTuple):
    """What happened, without control characters.

    `kind` is photograph, patient, not read, left out, shift or trouble.
    """

    kind: str
    name: str
    text: str


class Answers:
    """Enter the answers of patients whose photographs have changed.

    Parameters
    ----------
    screener : eyenet.model.screener.Screener
    memory : eyenet.station.recall.Memory
    model : dict
        The register's description of the network that answers.
    forms : eyenet.station.forms.Forms

    Attributes
    ----------
    owed : set
        Persons whose answers may have changed.
    gone : list of eyenet.station.visits.Member
        Files that could not be read, and have gone or changed.
    """

    def __init__(self, screener, memory, model, forms):
        self.screener, self.memory, self.model, self.forms = screener, memory, model, forms
        self.register = memory.register
        self.owed, self.gone = set(), []

    def enter(self):
        """Enter the answers that are due and new; return their events. Answers that cannot be entered stay due."""
        events = []
        for person in sorted(self.owed - {None}):
            self.memory.visits.drop_erased(person, lambda key: self.register.identity(key) is None)
            visits, refused = self.memory.visits.grouped(person)
            for members, why in refused:
                events += self._answer_refused(members, why)
            for visit in visits:
                row = patient_row(self.screener, visit.patient, visit.eyes)
                key = visit.key or self.register.identify(visit.source)
                events += self._enter_answer(key, visit.visit, row, visit.ids)
            self.owed.discard(person)
        while self.gone:
            events += self._withdraw(self.gone[-1])
            self.gone.pop()
        return events

    def _withdraw(self, gone):
        """Withdraw the answer of a visit with unreadable photographs only, of which none is left."""
        person, visit = person_of(gone.identity), gone.identity.visit
        if any(member.identity.visit == visit for member in self.memory.visits.people.get(person, {}).values()):
            return []
        key, events = person and self.register.known_key(source_of(gone.identity)), []
        for one in self.register.answers(patient_key=key) if key else ():
            if one.visit == visit and not one.photographs:
                row = one.answer | {"result": WITHDRAWN, "reasons": [], "questions": {}}
                events += self._enter_answer(key, visit, row, [])
        return events

    def _enter_answer(self, key, visit, row, ids):
        """Enter an answer; no event if it is there already."""
        before = self.register.last()[0]
        number = self.register.add_answer(key, visit, row, ids, self.model)
        self.forms.waiting.add(key)
        if number <= before:
            return []
        self.memory.note(number, self.memory.clock.stamp())
        return [Event("patient", row["patient"], say(row))]

    def _answer_refused(self, members, why):
        """Answer the visits of an ID that cannot be one person: each photograph counts by itself.

        Answers that refer the patient or need a grader remain valid. So do those of visits that are over, those on
        which a person decided, and those that already report the shared ID.
        """
        visits, before, decided, events = {}, {}, set(), []
        for member in members:
            key = member.key or self.register.identify(source_of(member.identity))
            if key not in before:
                before[key] = self.register.answers(patient_key=key)
                decided |= self.register.decided_photographs(key)
            visit = next((one.visit for one in before[key] if member.id in one.photographs), member.identity.visit)
            visits.setdefault((key, visit), []).append(member)
        for (key, visit), own in visits.items():
            last = next((one for one in before[key] if one.visit == visit), None)
            ids = {one.id for one in own if one.id is not None}
            if last is not None and (is_to_be_referred(last) is not False or _stays(last, ids)):
                continue
            ids |= set(last.photographs) if last else set()
            row = self._refused_row([one for one in own if one.id not in decided], own[0], why)
            events += self._enter_answer(key, visit, row, sorted(ids))
        return events

    def _refused_row(self, members, first, why):
        """Return the answer of the first photograph that refers by itself or is unsure, otherwise photograph again."""
        patient = first.identity.patient
        rows = [
            patient_row(self.screener, patient, {one.identity.eye: [self.memory.visits.row(one)]}) for one in members
        ]
        again = {"unit": "patient", "photograph": None, "patient": plain(patient), "eye": None}
        again |= {"result": AGAIN, "reasons": [], "questions": {}}
        row = next((row for row in rows if refers(row)), next((row for row in rows if needs_grader(row)), again))
        return row | {"reasons": [plain(why), *row["reasons"]]}


def _stays(answer, ids):
    """Return whether an answer without new photographs has a decision, or already reports that the ID is shared."""
    is_refused = any(NOT_ONE_PERSON in why for why in answer.answer.get("reasons", ()))
    return (answer.decision is not None or is_refused) and ids <= set(answer.photographs)


def say(row):
    """Say the result of a row with its reasons."""
    return plain(": ".join([row["result"], *([", ".join(row["reasons"])] if row["reasons"] else [])]))
