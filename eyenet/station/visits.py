"""The photographs that count today, and to which patients and visits they are joined, as in predict.py."""

from typing import NamedTuple

from eyenet.data.identity import Identity, differ, group_photographs, not_one_person
from eyenet.data.names import canonical, composed
from eyenet.grading.photographs import COPY
from eyenet.run.files import plain


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
    """

    name: str
    identity: Identity
    row: dict
    id: int | None
    digest: str | None


class Visit(NamedTuple):
    """The photographs of a patient's visit.

    Attributes
    ----------
    patient : str
        As predict.py names the patient.
    source : dict
        For `Register.identify`: as the first photograph tells the patient, so that it stays when others come.
    visit : str or None
    eyes : dict of str to list of dict
        Rows, with the reasons to doubt whose they are.
    ids : list of int
    """

    patient: str
    source: dict
    visit: str | None
    eyes: dict
    ids: list


def person_of(identity):
    """Return what photographs of one person have in common; None if patient or eye is not known."""
    if not (identity.patient and identity.eye):
        return None
    return identity.place, canonical(composed(identity.patient))


def source_of(identity):
    """Return the patient as `Register.identify` takes it; None if patient or eye is not known."""
    if not (identity.patient and identity.eye):
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
        """Remove a file that could not be read, and is gone or has changed; return the persons it concerns."""
        return {person for person, own in self.people.items() if own.pop((name, None), None)}

    def doubts(self, member):
        """Say why the other photographs make patient or eye doubtful; as `eyenet.grading.photographs.find_doubts`."""
        same = self.copies.get(member.digest, {}) if member.digest else {}
        others = sorted(name for name, other in same.items() if differ(member.identity, other.identity))
        own = [member.identity.doubt] if member.identity.doubt else []
        return own + ([f"{COPY}{plain(others[0])}"] if others else [])

    def of(self, person):
        """Group the photographs of a person by visits.

        Returns
        -------
        visits : list of Visit
        impossible : str or None
            Why the ID cannot be one person; then there are no visits.
        """
        members = sorted(self.people.get(person, {}).values(), key=lambda member: member.name)
        identities = [member.identity for member in members]
        groups, _ = group_photographs(identities)
        why = next(iter(not_one_person(identities).values()), None)
        return [self._visit(patient, eyes, members) for patient, eyes in groups], why

    def _visit(self, patient, eyes, members):
        own = [members[i] for indices in eyes.values() for i in indices]
        first = min(own, key=lambda member: (member.id is None, member.id or 0))
        rows = {eye: [self._row(members[i]) for i in indices] for eye, indices in eyes.items()}
        ids = sorted(member.id for member in own if member.id is not None)
        return Visit(patient, source_of(first.identity), first.identity.visit, rows, ids)

    def _row(self, member):
        reasons = [*member.row["reasons"], *(self.doubts(member) if member.id is not None else [])]
        return member.row | {"photograph": plain(member.name), "reasons": reasons}
