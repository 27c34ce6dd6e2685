"""The photographs that a station remembers: which are open, to which visits they belong, and what the register knows.

A visit is what the source calls one (a DICOM study), otherwise the photographs of a patient without a pause of
`eyenet.station.clock.PAUSE` between them. The date does not matter, so a visit may run past midnight.
"""

import hashlib
from typing import NamedTuple

from eyenet.data.identity import Identity, differ
from eyenet.run.errors import StageError
from eyenet.run.files import plain
from eyenet.station.chain import LONGEST
from eyenet.station.clock import Clock
from eyenet.station.visits import SAME_FILE, Member, Visits, person_of, source_of

NETWORK = "network"  # of a photograph's facts: which network, thresholds and rules graded it
STAMP = "stamp"  # when it was entered (`eyenet.station.clock.Clock.stamp`)


def shorten(text):
    """Shorten a long text so that the register keeps it as it is; different texts stay different."""
    if text is None or len(text) <= LONGEST // 2:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: LONGEST // 4]}... (SHA-256 {digest})"


def shorten_all(identity):
    """Shorten the texts of an identity, some of which come from headers and may have any length."""
    return Identity(*map(shorten, identity))


class Newest(NamedTuple):
    """The newest photograph of a person: the label of its visit, and what tells its age."""

    label: str | None
    stamp: list | None
    recorded: str | None
    id: int


class OtherNetwork(StageError):
    """A photograph was graded by another network, or with other thresholds."""


class Memory:
    """What is known of the photographs of one inbox.

    Parameters
    ----------
    inbox : Path
        Absolute.
    register : eyenet.station.register.Register
    network : str
        Which network, thresholds and rules grade.
    clock : Clock, optional

    Attributes
    ----------
    visits : Visits
        Of open visits, and of those that were looked at.
    """

    def __init__(self, inbox, register, network, clock=None):
        self.register, self.network, self.clock = register, network, clock or Clock()
        self.inbox = shorten(str(inbox))
        self.visits, self.newest, self.loaded, self.copies = Visits(), {}, set(), {}
        self.recent = []  # ids and ages of the photographs of open visits

    def begin(self):
        """Recall the open visits from the register."""
        self.copies = {}
        for one in self.register.copies():
            self.copies.setdefault(one.same_as, []).append(one)
        for one in self.register.recent_photographs(self._is_over):
            self.recent.append((one.id, self._stamp_of(one)))
            told = one.facts.get("identity")  # None once the patient is erased
            if told and one.facts.get("inbox") == self.inbox:
                self.load(one.patient, Identity(*told))

    def _stamp_of(self, photograph):
        return photograph.facts.get(STAMP), photograph.recorded

    def _is_over(self, photograph):
        return self.clock.is_over(*self._stamp_of(photograph), self.register.now())

    def since(self):
        """Return the id of the entry before the open visits; what follows is of now, whatever the date."""
        now = self.register.now()
        while self.recent and self.clock.is_over(*self.recent[0][1], now):
            self.recent.pop(0)
        return self.recent[0][0] - 1 if self.recent else self.register.last()[0]

    def label(self, identity):
        """Complete visit and date where the source tells none: those of the patient's open visit, or new ones."""
        if identity.visit and identity.date:
            return identity
        newest = self.newest.get(person_of(identity)) or self._newest_unread(identity)
        if newest is None or self.clock.is_over(newest.stamp, newest.recorded, self.register.now()):
            label = f"after entry {self.register.last()[0]}"
        else:
            label = newest.label
        return identity._replace(visit=identity.visit or label, date=identity.date or label)

    def _newest_unread(self, identity):
        """Find a visit of the patient of which no photograph could be read, and which has only an answer."""
        key = source_of(identity) and self.register.known_key(source_of(identity))
        for one in self.register.answers(patient_key=key)[-1:] if key else ():
            if one.visit and not one.photographs:
                return Newest(one.visit, None, one.recorded, 0)
        return None

    def load(self, key, identity):
        """Recall all photographs of a patient's visit; return the persons they concern."""
        mark, people = (key, identity.visit, identity.date), set()
        if mark in self.loaded:
            return people
        self.loaded.add(mark)
        for one in self.register.photographs(key):
            told = Identity(*one.facts["identity"]) if one.facts.get("identity") else None
            same = told and (told.visit == identity.visit or (told.date and told.date == identity.date))
            if same and one.facts.get("inbox") == self.inbox:
                people |= self.recall(one, told)
        return people

    def recall(self, known, identity):
        """Add a photograph that is in the register, with its whole visit; return the persons it concerns."""
        first = known if known.same_as is None else self.register.photograph_numbered(known.same_as)
        if known.facts.get(NETWORK) != self.network:
            before = known.facts.get(NETWORK)
            raise OtherNetwork(
                f"{plain(known.name)} was graded by another network or with other thresholds ({before}), "
                "and answers of two networks are not joined; start with that one, or empty the inbox and start "
                "tomorrow, or choose another --register"
            )
        row = {"reasons": []} | first.facts
        people = self.add(
            Member(known.name, identity, row, known.id, first.sha256, known.patient), *self._stamp_of(known)
        )
        for other in [first, *self.copies.get(first.id, ())]:  # what is of two people makes both doubtful
            told = other.facts.get("identity")
            if other.id != known.id and told and other.facts.get("inbox") == self.inbox:
                people |= self.load(other.patient, Identity(*told))
        return people

    def add(self, member, stamp, recorded):
        """Add a photograph, with what tells its age; return the persons it concerns."""
        person = person_of(member.identity)
        if person is not None and (person not in self.newest or (member.id or 0) >= self.newest[person].id):
            self.newest[person] = Newest(member.identity.date, stamp, recorded, member.id or 0)
        if person is not None and member.id is not None:
            self.load(member.key, member.identity)
        return self.visits.add(member)

    def note(self, number, stamp):
        """Remember that a photograph or an answer was entered now."""
        self.recent.append((number, (stamp, self.register.now().isoformat())))

    def find_again(self, known, identity):
        """Find the entry of a known photograph for an identity: the first one, a later one, or None if there is none.

        A file without a patient and eye is that of the first one.
        """
        person = person_of(identity)
        for one in [known, *self.copies.get(known.id, ())]:
            told = one.facts.get("identity") and Identity(*one.facts["identity"])
            if told and (person is None or (person_of(told), told.eye) == (person, identity.eye)):
                return one
        return None

    def doubtful(self, known, identity):
        """Mark the identity of a known file that comes again: whose it is, is doubtful if the first one differs."""
        told = known.facts.get("identity")
        if told and differ(Identity(*told), identity):
            return identity._replace(doubt=identity.doubt or SAME_FILE)
        return identity

    def tidy(self):
        """Forget the photographs of visits that are over: `load` recalls them if another one comes."""
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
        keys = {member.key for person in over for member in own[person]}
        self.loaded = {mark for mark in self.loaded if mark[0] not in keys}
        for person in over:
            self.newest.pop(person, None)
        self.visits.drop(over)
