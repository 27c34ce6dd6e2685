"""Queue of patients whose forms may be out of date.

`done.json` in the folder of the forms holds the entry up to which all forms were written. It is written when the queue
is empty, so that after a stop of any length the entries that follow are checked again.
"""

import datetime

from eyenet.run.files import read_json, write_json
from eyenet.station.opening import one_sentence

DONE = "done.json"
BACK = 7  # days up to today whose forms are written if there are none yet, or if the settings changed


class FormQueue:
    """The patients whose forms must be updated.

    Parameters
    ----------
    register : eyenet.station.register.Register
    folder : Path
        Of the forms.
    settings : str
        Changes when the forms must look different.

    Attributes
    ----------
    urgent : set of str
        Patients with a new answer.
    others : dict of str to None
        The other patients, the most urgent one last.
    is_behind : bool
        Whether `find` must be called.
    """

    def __init__(self, register, folder, settings):
        self.register, self.folder, self.settings = register, folder, settings
        self.urgent, self.others, self.is_behind = set(), {}, True
        self.seen, self.noted = None, None  # newest entry that `find` has seen, and that in the file

    def find(self):
        """Find the patients with answers and decisions that were entered since all forms were written.

        Raises
        ------
        StageError
            If the register cannot be read.
        """
        with one_sentence(self.register.path):
            last = self.register.last()[0]
            since = self._done(last) if self.seen is None else self.seen
            rows = self.register.connection.execute(
                "SELECT patient FROM entries WHERE kind IN ('answer', 'decision') AND id > ? GROUP BY patient "
                "ORDER BY max(id)",
                (since,),
            )
            self.others |= dict.fromkeys(patient for (patient,) in rows)
        self.seen, self.is_behind = last, False

    def _done(self, last):
        told = read_json(self.folder / DONE) or {}
        number = told.get("entry")
        known = isinstance(number, int) and number <= last
        if known and told.get("settings") == self.settings:
            return number
        first = self.register.now().date() - datetime.timedelta(BACK - 1)
        query = "SELECT min(id) FROM entries WHERE recorded >= ?"  # those that a wrong clock dated earlier follow
        found = self.register.connection.execute(query, (first.isoformat(),)).fetchone()[0]
        return min(number if known else last, last if found is None else found - 1)

    def postpone(self):
        """Move urgent patients to the ordinary queue."""
        self.others |= dict.fromkeys(sorted(self.urgent))
        self.urgent.clear()

    def clear(self):
        """Forget all: there are no forms."""
        self.urgent.clear()
        self.others.clear()

    def remove(self, patient):
        """Take a patient out of the queue."""
        self.urgent.discard(patient)
        self.others.pop(patient, None)

    def put_last(self, patient):
        """Try a patient again after all others."""
        self.others = {patient: None} | self.others

    def note(self):
        """Note that the forms are written, if they are; OSError if the disk is full."""
        if not (self.urgent or self.others or self.is_behind) and self.noted != self.seen:
            write_json(self.folder / DONE, {"entry": self.seen, "settings": self.settings})
            self.noted = self.seen
