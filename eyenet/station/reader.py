"""Queries of an open register; nothing here writes."""

from eyenet.station import chain, opening, reading, referrals
from eyenet.station.ledger import Ledger
from eyenet.station.verify import verify


class Reader(Ledger):
    """A register that can be read. Every method raises StageError if the file cannot be."""

    def known_key(self, source_identity):
        """Return the key of a patient as `identify` does; None if there is none, and nothing is entered."""
        with opening.one_sentence(self.path):
            return reading.find_key(self.connection, chain.canonical(source_identity))

    def identity(self, patient_key):
        """Return the identity of a patient, as given to `identify`; None for an erased or unknown one."""
        with opening.one_sentence(self.path):
            return reading.read_identity(self.connection, patient_key)

    def find(self, name):
        """List the keys of the patients with an ID (`patient` of the identity), or with this key."""
        with opening.one_sentence(self.path):
            return reading.find_patients(self.connection, name)

    def photograph(self, sha256):
        """Find a photograph by its hash; a `reading.Photograph` or None."""
        with opening.one_sentence(self.path):
            return reading.find_photograph(self.connection, sha256)

    def photograph_numbered(self, number):
        """Read the photograph with an id; a `reading.Photograph` or None."""
        with opening.one_sentence(self.path):
            return reading.read_photograph(self.connection, number)

    def recent_photographs(self, is_over):
        """List the newest photographs, up to one of which `is_over` is true, the oldest first."""
        with opening.one_sentence(self.path):
            return reading.list_recent(self.connection, is_over)

    def copies(self, after=0):
        """List the entries after one for duplicate files with another patient or eye.

        `same_as` is the first entry of the file.
        """
        with opening.one_sentence(self.path):
            return reading.list_copies(self.connection, after)

    def photographs(self, patient_key=None):
        """List the photographs of a patient, or all, the oldest first; `reading.Photograph` each."""
        with opening.one_sentence(self.path):
            return reading.list_photographs(self.connection, patient_key)

    def unassigned(self, after=0):
        """List the photographs after an entry without patient or eye whose file was not entered again with both."""
        with opening.one_sentence(self.path):
            return reading.list_unassigned(self.connection, after)

    def answers(self, day=None, patient_key=None, after=0):
        """List the newest answer of each patient and visit, the oldest first; `reading.Answer` each.

        Parameters
        ----------
        day : datetime.date, optional
            Only answers of this local day. Default: all.
        patient_key : str, optional
            Only answers of this patient.
        after : int
            Only answers after this entry.
        """
        with opening.one_sentence(self.path):
            return reading.list_answers(self.connection, day, patient_key, after)

    def decided_photographs(self, patient_key):
        """Return the ids of the photographs of a patient's answers on which a person has decided."""
        with opening.one_sentence(self.path):
            decided = reading.list_decided(self.connection, patient_key)
        return {number for _, answer in decided for number in answer.photographs}

    def erased(self):
        """List the keys of the patients who were erased."""
        with opening.one_sentence(self.path):
            return reading.list_erased(self.connection)

    def looks(self, after, since):
        """List id, day, patient and lasting facts of the photographs of a day or later and after an entry."""
        with opening.one_sentence(self.path):
            return reading.list_looks(self.connection, after, since.isoformat())

    def alarms(self, since=None):
        """List the shift alarms of a day and later, or all, the oldest first; dicts."""
        with opening.one_sentence(self.path):
            return reading.list_alarms(self.connection, since.isoformat() if since else "")

    def overdue(self, today=None, days=referrals.WAIT):
        """List the patients who have waited too long, the longest wait first; `referrals.Waiting` each."""
        with opening.one_sentence(self.path):
            return referrals.find_overdue(self.connection, today or self.now().date(), days)

    def waiting(self):
        """List the patients whom a doctor must still see; `referrals.Waiting` each."""
        with opening.one_sentence(self.path):
            return referrals.find_waiting(self.connection)

    def verify(self, head=None):
        """List what was changed, one sentence each; empty if the register is whole; `head` as of an earlier day."""
        with opening.one_sentence(self.path):
            return list(verify(self.connection, head))

    def strangers(self, patient_key):
        """Find photographs of unknown patients with a patient's ID in their names: `reading.find_strangers`."""
        told = (self.identity(patient_key) or {}).get("patient")
        with opening.one_sentence(self.path):
            return reading.find_strangers(self.connection, told) if told else ([], [])

    def decided(self, decision):
        """Read the answer on which a decision was entered; a `reading.Answer`."""
        with opening.one_sentence(self.path):
            ((_, answer),) = reading.list_decided(self.connection, decision=decision)
        return answer
