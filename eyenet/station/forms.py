"""The forms of the visits in a folder beside the register, kept as the register is.

A folder holds the forms of a visit, and last a note of which answer, decision and settings they show: after a stop at
any moment, forms whose note is missing or differs are written again. `--forget` and `--retain` remove the folders.
"""

import contextlib
import datetime
import hashlib
import json
import re
import shutil

from eyenet.forms.clinic import Clinic
from eyenet.forms.source import read_source
from eyenet.run.errors import StageError
from eyenet.run.files import read_json, write_json
from eyenet.station.form_files import SOURCE, read_visit, write_forms
from eyenet.station.reading import list_erased

SETTINGS, NOTE = "settings.json", "note.json"
ENDING = ".forms"  # of the folder beside the register
BACK = 7  # days of answers that are checked at the start
UNSAFE = re.compile(r"[^\w-]+")  # in the name of a folder


class Forms:
    """The forms of a register.

    Parameters
    ----------
    register : eyenet.station.register.Register
    kinds : collection of str
        Of `eyenet.station.form_files.KINDS`. Without any, forms that no longer show the newest answer are removed.
    clinic : eyenet.forms.clinic.Clinic, optional
    anonymous : bool

    Attributes
    ----------
    waiting : set of str
        Patients whose forms `write_waiting` is to bring up to date.
    """

    def __init__(self, register, kinds=(), clinic=None, anonymous=False):
        self.register, self.kinds, self.clinic, self.anonymous = register, tuple(kinds), clinic or Clinic(), anonymous
        self.folder, self.waiting = register.path.with_name(register.path.name + ENDING), set()
        told = [sorted(self.kinds), list(self.clinic), anonymous]
        self.settings = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def begin(self):
        """Make the folder, and note the settings for the commands of the register; nothing without forms.

        Raises
        ------
        StageError
            If the folder cannot be written.
        """
        if self.kinds:
            settings = {"kinds": self.kinds, "clinic": self.clinic._asdict(), "anonymous": self.anonymous}
            with _one_sentence(self.folder):
                self._make_folder(self.folder)
                write_json(self.folder / SETTINGS, settings)

    @classmethod
    def reopen(cls, register):
        """Open the forms with the settings of the last `begin`; without any, there are no forms."""
        forms = cls(register)
        told = read_json(forms.folder / SETTINGS) or {}
        try:
            return cls(register, told["kinds"], Clinic(**told["clinic"]), told["anonymous"])
        except (KeyError, TypeError):
            return forms

    def source(self, path):
        """Read what the header of a photograph tells, to be kept with its facts; nothing without forms."""
        source = read_source(path) if self.kinds and not self.anonymous else {}
        return {SOURCE: source} if source else {}

    def catch_up(self):
        """Find what a stop may have prevented: answers of the last days, and patients who were erased."""
        today = self.register.now().date()
        for day in (today - datetime.timedelta(back) for back in range(BACK)):
            self.waiting |= {one.patient for one in self.register.answers(day)}
        self.erase_forgotten()

    def write_waiting(self):
        """Write the forms of the patients who wait; after a StageError those that are left still wait."""
        for patient in sorted(self.waiting):
            self.update(patient)
            self.waiting.discard(patient)

    def update(self, patient):
        """Write the forms of a patient's visits as the register is now, and again if it has changed meanwhile.

        Raises
        ------
        StageError
            If they cannot be written; they are when this is called again.
        """
        if not (self.kinds or self.folder.is_dir()):
            return
        before = None
        with _one_sentence(self.folder):
            while (answers := self._read(patient)) != before:
                for answer in answers:
                    self._update(answer)
                if not answers:
                    self._erase({patient})
                before = answers

    def erase_forgotten(self):
        """Remove the forms of all patients who were erased from the register.

        Raises
        ------
        StageError
            If a folder cannot be removed.
        """
        with _one_sentence(self.folder):
            self._erase(set(list_erased(self.register.connection)))

    def _erase(self, patients):
        """Remove the folders of some patients: the random key follows the last `_` of the name."""
        for folder in list(self.folder.glob("*/*")):
            if folder.name.rpartition("_")[2].partition("-")[0] in patients:
                shutil.rmtree(folder)
                with contextlib.suppress(OSError):  # the day has other visits
                    folder.parent.rmdir()

    def _read(self, patient):
        """List the newest answers of a patient; none once the patient is erased."""
        erased = self.register.identity(patient) is None
        return [] if erased else self.register.answers(patient_key=patient)

    def _update(self, answer):
        """Write the forms of a visit, unless the note says that they show this answer and decision."""
        photographs = self._photographs(answer)
        hashed = self.register.visit_key(answer.patient, answer.visit)
        key = f"{answer.patient}-{hashed}" if hashed else answer.patient
        told = (self.register.identity(answer.patient) or {}).get("patient")
        folder = self._place(key, told, (photographs[0] if photographs else answer).recorded[:10])
        for other in folder.parent.glob(f"*{key}"):
            if other != folder and other.name in (key, f"{other.name[: -len(key) - 1]}_{key}"):
                shutil.rmtree(other)  # as it was called with other settings
        note = {"answer": answer.id, "decision": answer.decision and answer.decision["id"], "settings": self.settings}
        known = read_json(folder / NOTE)
        if known == note:
            return
        if self.kinds:
            self._make_folder(folder)
            with_pictures = "letter" in self.kinds and not self.anonymous
            visit = read_visit(answer, photographs, key, told, folder if with_pictures else None)
            write_forms(folder, self.kinds, visit, self.clinic, self.anonymous)
            write_json(folder / NOTE, note)
        elif known and (known.get("answer"), known.get("decision")) != (note["answer"], note["decision"]):
            shutil.rmtree(folder)  # the station was started without forms: better none than an old one

    def _photographs(self, answer):
        """List the photographs of an answer that are this patient's: a file may have been entered for another one."""
        own = {one.id: one for one in self.register.photographs(answer.patient)}
        return [self._complete(own[number]) for number in answer.photographs if number in own and own[number].eye]

    def _complete(self, photograph):
        """Add what the first entry of a file tells that came again for another patient or eye."""
        if photograph.same_as is None:
            return photograph
        first = self.register.photograph_numbered(photograph.same_as)
        return photograph._replace(sha256=first.sha256, facts={"reasons": []} | first.facts | photograph.facts)

    def _place(self, key, told, day):
        """Name the folder of a visit by the day of its first photograph, and by the ID for those who look for it."""
        named = "" if self.anonymous else UNSAFE.sub("-", str(told or ""))[:40].strip("-")
        return self.folder / day / (f"{named}_{key}" if named else key)

    def _make_folder(self, folder):
        """Make a folder that only its owner can read, as the register."""
        for one in (self.folder, folder):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # a disk that keeps no permissions; the register warns of it
                one.chmod(0o700)


@contextlib.contextmanager
def _one_sentence(folder):
    try:
        yield
    except OSError as error:
        told = f"{error.strerror}; check disk and permissions"
        raise StageError(f"the forms in {folder} cannot be written or removed: {told}") from error
