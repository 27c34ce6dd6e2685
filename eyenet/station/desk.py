"""The desk of the station: take a file, grade its photographs, and enter them and the answers in the register.

All that is known is in the register and in the inbox: after a stop at any moment, `Desk.begin` and the next look at the
inbox find what is missing, and an answer that is there is not entered again.
"""

from typing import NamedTuple

from eyenet.data.identity import Identity
from eyenet.grading.answering import look_at, patient_row
from eyenet.grading.rows import LEFT_OUT, UNREAD
from eyenet.model.answers import AGAIN
from eyenet.model.folder import LITE_NETWORK
from eyenet.photo.kinds import examine
from eyenet.photo.pages import split_page
from eyenet.run.errors import StageError
from eyenet.run.files import plain, sha256
from eyenet.sets.identify import identify
from eyenet.station.inbox import state_of
from eyenet.station.referrals import refers
from eyenet.station.visits import Member, Visits, person_of, source_of

NETWORK = "network"  # of a photograph's facts: which network, thresholds and rules graded it
NOBODY = "patient or eye not told, so no patient's answer counts it"


class Event(NamedTuple):
    """What happened, without control characters.

    `kind` is photograph, patient, not read, left out, shift or trouble.
    """

    kind: str
    name: str
    text: str


class Changed(Exception):
    """The file was changed or could not be read while it was graded; nothing was entered."""


class Desk:
    """Grade the files of an inbox.

    Parameters
    ----------
    inbox : Path
        Absolute.
    screener : eyenet.model.screener.Screener
    register : eyenet.station.register.Register
    one_clinic : bool
        Whether equal IDs are one person in all subfolders.
    """

    def __init__(self, inbox, screener, register, one_clinic=False):
        self.inbox, self.screener, self.register, self.one_clinic = inbox, screener, register, one_clinic
        self.visits, self.unread = Visits(), {}
        self.model = {
            "name": screener.name,
            "sha256": screener.config["files"][LITE_NETWORK],
            "operating_point": screener.point,
            "rules": screener.rules(),
            "trained_on": screener.trained_on,
            "asked_field": screener.field,
        }
        self.network = " ".join(self.model[key] for key in ("name", "operating_point", "rules", "asked_field"))

    def begin(self, paths):
        """Recall what is in the register, and enter answers that a stop has prevented.

        Photographs count if they are in the inbox, and those of today also if they have left it: the other eye of the
        patient may still come. A patient with a file that is not in the register is answered when that is taken.

        Parameters
        ----------
        paths : iterable of Path
            The files of the inbox.

        Returns
        -------
        known : dict of Path to eyenet.station.inbox.State
            The files that need not be taken, since their photographs are in the register.
        events : list of Event
        """
        today = self.register.now().date().isoformat()
        for one in self.register.photographs():
            told = one.facts.get("identity")  # None once the patient is erased
            if one.recorded[:10] == today and told and one.facts.get("inbox") == str(self.inbox):
                self.visits.add(self._recall(one, one.name, Identity(*told)))
        known, open_people = {}, set()
        for path in paths:
            who = identify(path, [self.inbox], self.one_clinic)
            try:
                state = state_of(path)
                found = self.register.photograph(sha256(path))
            except OSError:  # `take` reports it
                found = None
            if found is None:
                open_people.add(person_of(who))
                continue
            known[path] = state
            if found.name is not None:
                self.visits.add(self._recall(found, self._name(path), who))
        return known, self._answer(self.visits.people.keys() - open_people)

    def _name(self, path):
        return path.relative_to(self.inbox).as_posix()

    def take(self, path):
        """Grade a file, and enter its photographs and the answers of their patients.

        Returns
        -------
        list of Event

        Raises
        ------
        Changed
            If the file is being changed, or the disk is gone; try again later.
        StageError
            If the register cannot be written; what was entered before is kept.
        """
        name = self._name(path)
        try:
            state, digest = state_of(path), sha256(path)
        except OSError as error:
            raise Changed(f"cannot be read: {error.strerror}") from error
        found, reason, _ = examine(path)
        if reason is not None:
            self._check_same(path, state)
            return [Event(LEFT_OUT, plain(name), reason), *self.forget_unread(name)]
        events, people = [], self._drop_unread(name)
        for photograph in found:
            member, told = self._enter(photograph, digest, state)
            events += told
            people |= self.visits.add(member) if member else set()
        return events + self._answer(people)

    def forget_unread(self, name):
        """Forget a file that could not be read and is gone; answer its patient without it."""
        return self._answer(self._drop_unread(name))

    def _drop_unread(self, name):
        people = set()
        for page in self.unread.pop(name, ()):
            people |= self.visits.remove_unread(page)
        return people

    def _enter(self, path, digest, state):
        """Find a photograph in the register, or grade and enter it; return its Member, None for nobody, and events."""
        name = self._name(path)
        file, page = split_page(path)
        digest = digest if page is None else f"{digest}[{page}]"
        who = identify(path, [self.inbox], self.one_clinic)
        known = self.register.photograph(digest)
        if known is not None:  # without a name: its patient was erased, and stays so
            return (self._recall(known, name, who) if known.name is not None else None), []
        row = look_at(self.screener, path)
        self._check_same(file, state)
        event = Event(row["result"], plain(name), plain("; ".join(row["reasons"])))
        if row["result"] == LEFT_OUT:
            return None, [event]
        if row["result"] == UNREAD:
            self.unread.setdefault(self._name(file), []).append(name)
            return Member(name, who, row, None, None), [event]
        source = source_of(who)
        key = self.register.identify(source) if source else None
        facts = row | {"identity": list(who), "inbox": str(self.inbox), NETWORK: self.network}
        number = self.register.add_photograph(digest, name, key, who.eye, who.visit, facts)
        text = say(row) if source else f"{say(row)}; {NOBODY}"
        return Member(name, who, row, number, digest), [Event("photograph", plain(name), text)]

    def _recall(self, known, name, who):
        """Make the Member of a photograph that is in the register."""
        if known.facts.get(NETWORK) != self.network:
            raise StageError(
                f"{plain(name)} was graded by another network or with other thresholds ({known.facts.get(NETWORK)}), "
                "and answers of two networks are not joined; start with that one, or empty the inbox and start "
                "tomorrow, or choose another --register"
            )
        return Member(name, who, known.facts, known.id, known.sha256)

    @staticmethod
    def _check_same(path, state):
        """Make sure that a file was not changed while it was graded."""
        try:
            if state_of(path) == state:
                return
        except OSError as error:
            raise Changed(f"cannot be read: {error.strerror}") from error
        raise Changed("is still being written")

    def _answer(self, people):
        """Enter the answers of some persons where they are new; list what is new."""
        events = []
        for person in sorted(people - {None}):
            visits, why = self.visits.of(person)
            if why is not None:
                events += self._withdraw(person, why)
            for visit in visits:
                row = patient_row(self.screener, visit.patient, visit.eyes)
                events += self._enter_answer(visit.source, visit.visit, row, visit.ids)
        return events

    def _enter_answer(self, source, visit, row, ids):
        """Enter an answer; no event if it is the one that is there."""
        before = self.register.last()[0]
        key = self.register.identify(source)
        number = self.register.add_answer(key, visit, row, ids, self.model)
        return [Event("patient", row["patient"], say(row))] if number > before else []

    def _withdraw(self, person, why):
        """Replace today's answers of an ID that cannot be one person, except those that refer: they stay in force."""
        sources = {
            member.identity.patient: source_of(member.identity) for member in self.visits.people[person].values()
        }
        today, events = self.register.now().date(), []
        for patient, source in sorted(sources.items()):
            key = self.register.identify(source)
            for one in self.register.answers(today):
                if one.patient == key and not refers(one.answer):
                    row = {"unit": "patient", "photograph": None, "patient": plain(patient), "eye": None}
                    row |= {"result": AGAIN, "reasons": [plain(why)], "questions": {}}
                    events += self._enter_answer(source, one.visit, row, one.photographs)
        return events


def say(row):
    """Say the result of a row with its reasons."""
    return plain(": ".join([row["result"], *([", ".join(row["reasons"])] if row["reasons"] else [])]))
