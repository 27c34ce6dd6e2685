"""The photographs that count now, grouped by patient and visit as in predict.py."""

from typing import NamedTuple

from eyenet.data.identity import Identity, differ, group_photographs, not_one_person
from eyenet.data.names import canonical, composed
from eyenet.grading.photographs import COPY
from eyenet.run.files import plain

SAME_FILE = f"{COPY}that of another eye or patient"  # without its name, which must go when that patient is erased


class Member(NamedTuple):
    """A photograph that counts.

    Attributes
    ----------
    name : str
        Relative to the inbox.
    identity : Identity
    row : dict
        As from `eyenet.model.screener.Screener.look`, or of a file that cannot be read.
    id : int or None
        In the register; None for a file that cannot be read.
    digest : str or None
        Of the photograph, as in the register.
    key : str or None
        Of the patient in the register; None for a file that cannot be read.
    """

    name: str
    identity: Identity
    row: dict
    id: int | None
    digest: str | None
    key: str | None = None


class Visit(NamedTuple):
    """The photographs of a patient's visit.

    Attributes
    ----------
    patient : str
        As predict.py names the patient.
    source : dict
        For `Register.identify`: from the first photograph, so that it stays when others arrive.
    visit : str or None
    eyes : dict of str to list of dict
        Rows, with the reasons to doubt patient or eye.
    ids : list of int
    key : str or None
        Of the patient, if a photograph is in the register.
    """

    patient: str
    source: dict
    visit: str | None
    eyes: dict
    ids: list
    key: str | None


def person_of(identity):
    """Return the key under which photographs are joined; None if patient or eye is unknown."""
    if not (identity.patient and identity.eye):
        return None
    return identity.place, canonical(composed(identity.patient))


def source_of(identity):
    """Return the patient as `Register.identify` takes it; None if the patient is not known."""
    if not identity.patient:
        return None
    return {"patient": composed(identity.patient), "place": identity.place}


class Visits:
    """All photographs that count, by person; at most one for each name and digest."""

    def __init__(self):
        self.people, self.copies = {}, {}

    def add(self, member):
        """Add a photograph, in place of one of the same name that could not be read; return the persons it concerns."""
        person = person_of(member.identity)
        self.people.setdefault(person, {})[member.name, member.digest] = member
        if member.digest is None:
            return {person}
        self.people[person].pop((member.name, None), None)
        same = self.copies.setdefault(member.digest, {})
        same[member.name] = member
        return {person, *(person_of(other.identity) for other in same.values())}

    def remove_unread(self, name):
        """Remove an unreadable file that is gone or has changed; return its members, at most one."""
        return [own.pop((name, None)) for own in self.people.values() if (name, None) in own]

    def doubts(self, member):
        """List why other photographs make patient or eye doubtful; as `eyenet.grading.photographs.find_doubts`."""
        same = self.copies.get(member.digest, {}) if member.digest else {}
        twice = any(differ(member.identity, other.identity) for other in same.values())
        return list(dict.fromkeys(([member.identity.doubt] if member.identity.doubt else []) + [SAME_FILE] * twice))

    def drop(self, persons):
        """Forget the photographs of some persons."""
        for person in persons:
            for member in self.people.pop(person, {}).values():
                self._unlist(member)

    def drop_erased(self, person, is_erased):
        """Forget the photographs of a person whose keys are erased; `is_erased` takes a key."""
        own = self.people.get(person, {})
        erased = {key for key in {member.key for member in own.values()} - {None} if is_erased(key)}
        for place in [place for place, member in own.items() if member.key in erased]:
            self._unlist(own.pop(place))

    def _unlist(self, member):
        same = self.copies.get(member.digest, {})
        same.pop(member.name, None)
        if not same:
            self.copies.pop(member.digest, None)

    def grouped(self, person):
        """Group the photographs of a person by visits.

        Returns
        -------
        visits : list of Visit
        refused : list of (list of Member, str)
            The photographs whose ID cannot be one person, and why; they are in no visit.
        """
        known = {}  # a file that was renamed or copied is one photograph
        for member in self.people.get(person, {}).values():
            known[member.digest or member.name, member.identity.eye] = member
        members = sorted(known.values(), key=lambda member: member.name)
        identities = [member.identity for member in members]
        groups, _ = group_photographs(identities)
        refused = {}
        for i, why in not_one_person(identities).items():
            refused.setdefault(why, []).append(members[i])
        return [self._visit(patient, eyes, members) for patient, eyes in groups], [
            (own, why) for why, own in refused.items()
        ]

    def _visit(self, patient, eyes, members):
        own = [members[i] for indices in eyes.values() for i in indices]
        first = min(own, key=lambda member: (member.id is None, member.id or 0))
        rows = {eye: [self.row(members[i]) for i in indices] for eye, indices in eyes.items()}
        ids = sorted(member.id for member in own if member.id is not None)
        return Visit(patient, source_of(first.identity), first.identity.visit, rows, ids, first.key)

    def row(self, member):
        """Return the row of a photograph with the reasons to doubt patient or eye."""
        reasons = [*member.row["reasons"], *(self.doubts(member) if member.id is not None else [])]
        return member.row | {"photograph": plain(member.name), "reasons": reasons}
