"""The forms of the visits in a folder beside the register, kept up to date with it.

A folder holds the forms of a visit, and a note, written last, of the answer, decision and settings that they show.
After a stop at any moment, forms whose note is missing or differs are written again. `--forget` and `--retain` remove
the folders.
"""

import json

from eyenet.forms.clinic import Clinic
from eyenet.forms.source import read_source
from eyenet.run.errors import StageError
from eyenet.run.files import read_json, sha256_text, write_json
from eyenet.station.form_decision import find_earlier
from eyenet.station.form_files import SOURCE, read_visit, write_forms
from eyenet.station.form_folders import FormFolders, one_sentence, remove
from eyenet.station.form_queue import FormQueue

SETTINGS, NOTE = "settings.json", "note.json"
ENDING = ".forms"  # of the folder beside the register
FEW = 4  # patients whose forms are written between two looks at the inbox, besides those with a new answer


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
        Patients with a new answer, whose forms `write_some` must update.
    """

    def __init__(self, register, kinds=(), clinic=None, anonymous=False):
        self.register, self.kinds, self.clinic, self.anonymous = register, tuple(kinds), clinic or Clinic(), anonymous
        self.folder = register.path.with_name(register.path.name + ENDING)
        told = [sorted(self.kinds), list(self.clinic), anonymous]
        self.settings = sha256_text(json.dumps(told))[:16]
        self.folders = FormFolders(self.folder, anonymous)
        self.queue = FormQueue(register, self.folder, self.settings)
        self.waiting = self.queue.urgent

    def begin(self):
        """Make the folder, and note the settings for the commands of the register; nothing without forms.

        Raises
        ------
        StageError
            If the folder cannot be written.
        """
        if self.kinds:
            settings = {"kinds": self.kinds, "clinic": self.clinic._asdict(), "anonymous": self.anonymous}
            with one_sentence(self.folder):
                self.folders.make(self.folder)
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
        """Read the header of a photograph, to be kept with its facts; nothing without forms."""
        source = read_source(path) if self.kinds and not self.anonymous else {}
        return {SOURCE: source} if source else {}

    def catch_up(self):
        """Find the forms that a stop may have left out of date, and remove those of erased patients."""
        self.erase_forgotten()
        self.queue.find()
        if self.anonymous:  # written with names before
            named = self.folders.with_names()
            known = (patient for patient in named if self.register.identity(patient) is not None)
            self.queue.others = dict.fromkeys(known) | self.queue.others

    def write_some(self, idle):
        """Write the forms of the patients with a new answer and, if there is nothing else to do, of a few others.

        Raises
        ------
        StageError
            If the forms of a patient cannot be written; they are tried last when this is called again.
        """
        if self._is_needless():
            return self.queue.clear()
        if idle and self.queue.is_behind:
            self.catch_up()
        try:
            for patient in sorted(self.waiting):
                self._write(patient)
            for patient in [*self.queue.others][-FEW:] if idle else ():
                self._write(patient)
        finally:
            self.queue.postpone()
        if idle:
            with one_sentence(self.folder):
                self.queue.note()

    def write_all(self):
        """Write all forms that are out of date; a StageError is raised after those of all patients were tried."""
        if self._is_needless():
            return self.queue.clear()
        if self.queue.is_behind:
            self.catch_up()
        self.queue.postpone()
        problem = None
        for patient in reversed([*self.queue.others]):
            try:
                self._write(patient)
            except StageError as error:
                problem = error
        if problem is not None:
            raise problem
        with one_sentence(self.folder):
            self.queue.note()

    def _write(self, patient):
        self.queue.remove(patient)
        try:
            self.update(patient)
        except StageError:
            self.queue.put_last(patient)
            raise

    def _is_needless(self):
        return not (self.kinds or self.folder.is_dir())

    def update(self, patient):
        """Write the forms of a patient's visits, and again if the register has changed meanwhile.

        Raises
        ------
        StageError
            If they cannot be written; call this again later.
        """
        if self._is_needless():
            return
        before = None
        with one_sentence(self.folder):
            while (answers := self._read(patient)) != before:
                for answer in answers:
                    self._update(answer)
                self.folders.keep(patient, set(map(self._key, answers)))
                before = answers

    def erase_forgotten(self):
        """Remove the forms of all patients who were erased from the register.

        Raises
        ------
        StageError
            If a folder cannot be removed.
        """
        erased = set(self.register.erased())
        with one_sentence(self.folder):
            self.folders.erase(erased)

    def _read(self, patient):
        """List the newest answers of a patient; none once the patient is erased."""
        erased = self.register.identity(patient) is None
        return [] if erased else self.register.answers(patient_key=patient)

    def _key(self, answer):
        """Return the random key of a visit."""
        hashed = self.register.visit_key(answer.patient, answer.visit)
        return f"{answer.patient}-{hashed}" if hashed else answer.patient

    def _update(self, answer):
        """Write the forms of a visit, unless by their note they show this answer and decision."""
        photographs, key = self._photographs(answer), self._key(answer)
        now = {"answer": answer.id, "decision": answer.decision and answer.decision["id"]}
        if not self.kinds:  # the station was started without forms: outdated ones are removed
            for folder in self.folders.find(key):
                known = read_json(folder / NOTE) or {}
                if any(known.get(name) != number for name, number in now.items()):
                    remove(folder)
            return
        told = (self.register.identity(answer.patient) or {}).get("patient")
        folder = self.folders.place(key, told, (photographs[0] if photographs else answer).recorded[:10])
        note = now | {"settings": self.settings}
        if read_json(folder / NOTE) == note:
            return
        self.folders.move(key, folder)
        self.folders.make(folder)
        with_pictures = "letter" in self.kinds and not self.anonymous
        earlier = None if answer.decision else find_earlier(self.register, answer)
        visit = read_visit(answer, photographs, key, told, folder if with_pictures else None, earlier)
        write_forms(folder, self.kinds, visit, self.clinic, self.anonymous)
        write_json(folder / NOTE, note)

    def _photographs(self, answer):
        """List the photographs of an answer that are this patient's: a file may have been entered for another one."""
        own = {one.id: one for one in self.register.photographs(answer.patient)}
        return [self._complete(own[number]) for number in answer.photographs if number in own and own[number].eye]

    def _complete(self, photograph):
        """Complete a photograph that is the duplicate of a file with the facts of the first entry."""
        if photograph.same_as is None:
            return photograph
        first = self.register.photograph_numbered(photograph.same_as)
        return photograph._replace(sha256=first.sha256, facts={"reasons": []} | first.facts | photograph.facts)
