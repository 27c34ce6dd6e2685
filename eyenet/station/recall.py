"""The photographs that a station holds in memory: those of open visits, and others of the register when needed.

A visit is a DICOM study if the source names one, otherwise the photographs of a patient without a pause of
`eyenet.station.clock.PAUSE` between them. The date does not matter, so a visit may run past midnight.
"""

import datetime
from typing import NamedTuple

from eyenet.data.identity import Identity
from eyenet.run.errors import StageError
from eyenet.run.files import plain, sha256_text
from eyenet.station.chain import LONGEST
from eyenet.station.clock import PAUSE, Clock
from eyenet.station.copies import Copies
from eyenet.station.visits import Member, Visits, person_of, source_of

NETWORK = "network"  # key of a photograph's facts: the network, thresholds and rules that graded it
STAMP = "stamp"  # key: when it was entered (`eyenet.station.clock.Clock.stamp`)


def shorten(text):
    """Shorten a long text so that the register keeps it as it is; different texts stay different."""
    if text is None or len(text) <= LONGEST // 2:
        return text
    return f"{text[: LONGEST // 4]}... (SHA-256 {sha256_text(text)})"


def shorten_all(identity):
    """Shorten the texts of an identity, some of which come from headers and may have any length."""
    return Identity(*map(shorten, identity))


class Newest(NamedTuple):
    """The newest photograph of a person: the label of its visit, and its age."""

    label: str | None
    stamp: list | None
    recorded: str | None
    id: int


class OtherNetwork(StageError):
    """A photograph was graded by another network, or with other thresholds."""


class Memory:
    """The photographs of one inbox that are in memory.

    Parameters
    ----------
    inbox : Path
        Absolute.
    register : eyenet.station.register.Register
    network : str
        Identifies network, thresholds and rules.
    clock : Clock, optional

    Attributes
    ----------
    visits : Visits
        Open visits, and others that were recalled.
    copies : eyenet.station.copies.Copies
    """

    def __init__(self, inbox, register, network, clock=None):
        self.register, self.network, self.clock = register, network, clock or Clock()
        self.inbox = shorten(str(inbox))
        self.visits, self.copies, self.newest, self.loaded = Visits(), Copies(register), {}, set()
        self.recent = []  # ids and ages of the photographs of open visits

    def begin(self):
        """Recall the open visits from the register."""
        self.recent = []
        for one in self.register.recent_photographs(self._is_over):
            self.recent.append((one.id, self._stamp_of(one)))
            told = one.facts.get("identity")  # None once the patient is erased
            if told and one.facts.get("inbox") == self.inbox:
                self.load(one.patient, Identity(*told))

        self.recent += [(one.id, (None, one.recorded)) for one in self._recent_unread()]
        self.recent.sort()

    def _recent_unread(self):
        """List the answers of open visits of which no photograph could be read."""
        now = self.register.now()
        for day in (now.date() + datetime.timedelta(days) for days in (-1, 0, 1)):  # the clock may have been set
            for one in self.register.answers(day):
                if not one.photographs and not self.clock.is_over(None, one.recorded, now):
                    yield one

    def _stamp_of(self, photograph):
        return photograph.facts.get(STAMP), photograph.recorded

    def _is_over(self, photograph):
        return self.clock.is_over(*self._stamp_of(photograph), self.register.now())

    def since(self):
        """Return the id of the entry before the open visits; later entries are current, whatever their date."""
        now = self.register.now()
        while self.recent and self.clock.is_over(*self.recent[0][1], now):
            self.recent.pop(0)
        return self.recent[0][0] - 1 if self.recent else self.register.last()[0]

    def label(self, identity):
        """Complete missing visit and date: those of the patient's open visit, or new ones."""
        if identity.visit and identity.date:
            return identity
        newest = self.newest.get(person_of(identity)) or self._last_unread(identity)
        if newest is None or self.clock.is_over(newest.stamp, newest.recorded, self.register.now()):
            label = f"after entry {self.register.last()[0]}"
        else:
            label = newest.label
        return identity._replace(visit=identity.visit or label, date=identity.date or label)

    def last_visit(self, identity, modified):
        """Find the last visit of a patient, however long ago, and recall its photographs.

        Parameters
        ----------
        identity : Identity
        modified : int
            When the file that may belong to it was changed, in ns since 1970.

        Returns
        -------
        Newest or None
            None also if the file is newer than that visit.
        """
        if person_of(identity) is None:
            return None
        key, found = self.register.known_key(source_of(identity)), self._last_unread(identity)
        for one in self.register.photographs(key) if key else ():
            told = one.facts.get("identity") and Identity(*one.facts["identity"])
            if told and one.facts.get("inbox") == self.inbox and (found is None or one.id > found.id):
                found = Newest(told.date, *self._stamp_of(one), one.id)
        if found is None or modified / 1e9 - datetime.datetime.fromisoformat(found.recorded).timestamp() > PAUSE:
            return None
        self.load(key, identity._replace(visit=found.label, date=found.label))
        return found

    def _last_unread(self, identity):
        """Find a visit of the patient with an answer but no readable photograph."""
        key = source_of(identity) and self.register.known_key(source_of(identity))
        for one in self.register.answers(patient_key=key)[-1:] if key else ():
            if one.visit and not one.photographs:
                return Newest(one.visit, None, one.recorded, one.id)
        return None

    def load(self, key, identity):
        """Recall all photographs of a patient's visit; return the persons they concern."""
        mark, people = (key, identity.visit, identity.date), set()
        if mark in self.loaded:
            return people
        self.loaded.add(mark)
        try:
            own = list(self._list_visit(key, identity))
            for one, _ in own:
                self.check_network(one)
            for one, told in own:
                people |= self.recall(one, told)
        except BaseException:  # a later photograph of the patient recalls the visits again
            self.loaded = {other for other in self.loaded if other[0] != key}
            raise
        return people

    def load_for(self, identity):
        """Recall the visit of a photograph before it is entered, so that an error changes nothing."""
        source = source_of(identity)
        key = self.register.known_key(source) if person_of(identity) else None
        return self.load(key, self.label(identity)) if key else set()

    def _list_visit(self, key, identity):
        """Yield the photographs of a patient's visit, and their identities."""
        for one in self.register.photographs(key):
            told = Identity(*one.facts["identity"]) if one.facts.get("identity") else None
            same = told and (told.visit == identity.visit or (told.date and told.date == identity.date))
            if same and one.facts.get("inbox") == self.inbox:
                yield one, told

    def check_network(self, known):
        """Refuse a photograph that another network graded.

        Raises
        ------
        OtherNetwork
        """
        if known.facts.get(NETWORK) != self.network:
            before = known.facts.get(NETWORK)
            raise OtherNetwork(
                f"{plain(known.name)} was graded by another network, with other thresholds or by another version of "
                f"EyeNet ({before}), and answers of two networks are not joined; start with that one, or empty the "
                "inbox and start tomorrow, or choose another --register"
            )

    def recall(self, known, identity):
        """Add a photograph that is in the register, with its whole visit; return the persons it concerns."""
        first = known if known.same_as is None else self.register.photograph_numbered(known.same_as)
        self.check_network(known)
        row = {"reasons": []} | first.facts
        people = self.add(
            Member(known.name, identity, row, known.id, first.sha256, known.patient), *self._stamp_of(known)
        )
        return people | self.load_shared(first, known)

    def load_shared(self, first, known=None):
        """Recall the visits of the other entries of a file: a file of two people makes both doubtful."""
        people = set()
        for other in self.copies.entries(first):
            told = other.facts.get("identity")
            if (known is None or other.id != known.id) and told and other.facts.get("inbox") == self.inbox:
                people |= self.load(other.patient, Identity(*told))
        return people

    def add(self, member, stamp, recorded):
        """Add a photograph with its age; return the persons it concerns."""
        person = person_of(member.identity)
        if person is not None and self._is_newest(person, member):
            self.newest[person] = Newest(member.identity.date, stamp, recorded, member.id or 0)
        if person is not None and member.id is not None:
            self.load(member.key, member.identity)
        return self.visits.add(member)

    def _is_newest(self, person, member):
        """Return whether this photograph becomes the person's newest: a later one, or an unread one after the visit."""
        known = self.newest.get(person)
        if known is None or (member.id or 0) >= known.id:
            return True
        return member.id is None and self.clock.is_over(known.stamp, known.recorded, self.register.now())

    def note(self, number, stamp):
        """Remember that a photograph or an answer was entered now."""
        self.recent.append((number, (stamp, self.register.now().isoformat())))

    def tidy(self):
        """Forget the photographs of visits that are over: `load` recalls them if another photograph arrives."""
        now = self.register.now()
        over = {
            person for person, newest in self.newest.items() if self.clock.is_over(newest.stamp, newest.recorded, now)
        }
        own = {person: members.values() for person, members in self.visits.people.items()}
        over = [
            person
            for person in own
            if all(member.digest for member in own[person]) and (person in over or person not in self.newest)
        ]
        over = self._without_shared(over)
        keys = {member.key for person in over for member in own[person]}
        self.loaded = {mark for mark in self.loaded if mark[0] not in keys}
        for person in over:
            self.newest.pop(person, None)
        self.visits.drop(over)

    def _without_shared(self, persons):
        """Return these people but for those who share a file with someone who stays: the file makes both doubtful."""
        left, own = set(persons), self.visits.people
        while True:
            kept = {member.digest for person in own.keys() - left for member in own[person].values()} - {None}
            shared = {person for person in left if any(member.digest in kept for member in own[person].values())}
            if not shared:
                return left
            left -= shared
