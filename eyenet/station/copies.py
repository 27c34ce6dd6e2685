"""Duplicate files: renamed, moved, or entered again for another patient or eye."""

from eyenet.data.identity import Identity, differ
from eyenet.data.names import canonical, composed
from eyenet.station.visits import SAME_FILE, person_of


class Copies:
    """Files with several entries.

    Parameters
    ----------
    register : eyenet.station.register.Register
    """

    def __init__(self, register):
        self.register, self.ids, self.searched = register, {}, 0  # ids by that of the first entry, up to an entry

    def entries(self, first):
        """List the entries of a photograph: the first one, and those of its duplicates."""
        last = self.register.last()[0]
        for one in self.register.copies(after=self.searched):
            self.ids.setdefault(one.same_as, []).append(one.id)
        self.searched = last
        return [first, *map(self.register.photograph_numbered, self.ids.get(first.id, ()))]

    def find_again(self, known, identity):
        """Find the entry of a known photograph for an identity: the first one, a later one, or None if there is none.

        A file without patient and eye matches the first one. Its folder does not matter: it may have been moved.
        """
        if person_of(identity) is None:
            return known if known.facts.get("identity") else None
        entries = [one for one in self.entries(known) if one.facts.get("identity")]
        for read in (_person_and_eye, _id_and_eye):  # the same place first
            for one in entries:
                if read(Identity(*one.facts["identity"])) == read(identity):
                    return one
        return None

    def is_erased(self, known):
        """Return whether a file belongs to a patient who was erased."""
        return any(one.name is None for one in self.entries(known))

    def doubtful(self, known, identity):
        """Mark the identity of a duplicate file as doubtful if an earlier entry of the file has another one."""
        told = [Identity(*one.facts["identity"]) for one in self.entries(known) if one.facts.get("identity")]
        if any(differ(one, identity) for one in told):
            return identity._replace(doubt=identity.doubt or SAME_FILE)
        return identity


def _person_and_eye(identity):
    return person_of(identity), identity.eye


def _id_and_eye(identity):
    return canonical(composed(identity.patient or "")), identity.eye
