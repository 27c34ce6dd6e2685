"""The register of the station: photographs, answers, decisions and referrals, in one SQLite file.

Every entry has a kind, the time, a patient's random key, and a body. What may name a person is in the table
`identities` instead, and can be erased. Entries are never changed or removed, which `eyenet.station.verify` checks.

kind        body                                       in `identities`
patient                                                the identity: ID, place, ...
photograph  sha256, eye, `facts` without names         name, visit, the other facts, such as reasons
            same_as (id) instead of sha256 for a duplicate with another patient or eye
answer      photographs, model, answer likewise        visit, the rest of the answer
decision    answer (id), accepted or refer, by         why
referral    state, date
erasure     why: forget or retain
alarm       day, since, camera, against, sentence, ... (no patient)
"""

import datetime
import json
import secrets

from eyenet.run.errors import StageError, log
from eyenet.station import chain, opening, reading, referrals
from eyenet.station.reader import Reader

# Keys of a photograph's facts and of an answer that stay when the patient is erased; all others may name a person.
LASTING = {"result", "gradable", "quality", "field", "questions", "expected_grade", "grade", "camera", "unit"}
LASTING |= {"width", "height", "maker", "model", "version", "by_threshold", "graded_by", "measures"}


class Register(Reader):
    """An open register, made by `Register.open`.

    When a method that writes returns, all of it is on the disk; if it raises StageError, nothing is.
    """

    def identify(self, source_identity):
        """Return the random key of a patient, and enter the patient if this identity is new.

        Parameters
        ----------
        source_identity : dict
            What identifies the patient, such as the ID and the place where it is valid. Equal dicts are one patient.
            An empty dict is an unknown patient: every call makes another one.

        Returns
        -------
        str
        """
        with self.entering():
            if known := reading.find_key(self.connection, chain.canonical(source_identity)):
                return known
            patient = secrets.token_hex(8)
            self.append("patient", patient, {}, source_identity)
        return patient

    def add_photograph(self, sha256, name, patient_key, eye, visit, facts, same_as=None):
        """Enter a photograph; one with a known hash stays as first entered.

        Look for it with `photograph` before `identify`: a file that stays in the inbox would otherwise enter an erased
        patient again.

        Parameters
        ----------
        sha256 : str
        name : str
        patient_key : str or None
            None if it is not known whose photograph it is.
        eye : {'left', 'right', None}
        visit : str or None
        facts : dict
            As from `eyenet.model.screener.Screener.look` and `eyenet.photo.camera.read_camera`.
        same_as : int, optional
            The id of the photograph, if this is a duplicate with another patient or eye; every call makes an entry.

        Returns
        -------
        int
            Its id; that of a known photograph may belong to another patient.
        """
        if same_as is None and (known := self.photograph(sha256)) is not None:
            return known.id
        patient = self.identify({}) if patient_key is None else patient_key
        body, private = _split(facts)
        with self.entering():
            if same_as is None and (known := self.photograph(sha256)) is not None:
                return known.id
            body |= {"eye": eye} | ({"sha256": sha256} if same_as is None else {"same_as": same_as})
            private = {"name": name, "visit": visit, "facts": private}
            return self.append("photograph", patient, body, private, self.visit_key(patient, visit))

    def add_answer(self, patient_key, visit, answer, photographs, model):
        """Enter an answer; the same answer as the last one of this visit is not entered again.

        An equal answer of the same network counts as the same under another version of EyeNet: a decision on it stays.

        Parameters
        ----------
        patient_key : str
        visit : str or None
        answer : dict
            The row of a patient as predict.py makes it.
        photographs : list of int
        model : dict
            The network that answered: name, `sha256`, operating point, what it was trained on, and EyeNet's version.

        Returns
        -------
        int
        """
        body, private = _split(answer)
        body = {"answer": body, "photographs": sorted(photographs), "model": model}
        private = {"visit": visit, "answer": private}
        with self.entering():
            key = self.visit_key(patient_key, visit)
            last = self.newest("answer", patient_key, key)
            if last and last[2] == chain.canonical(private) and _compared(last[1]) == _compared(chain.canonical(body)):
                return last[0]
            return self.append("answer", patient_key, body, private, key)

    def decide(self, patient_key, by, why, accepted, answer=None, refer=None):
        """Enter a person's decision on an answer: accepted or overruled; on an unsure one, whether to refer.

        Parameters
        ----------
        patient_key : str
        by : str
            Who decided; it stays when the patient is erased.
        why : str
        accepted : bool
            Ignored if `refer` is given.
        answer : int, optional
            Default: the patient's newest one.
        refer : bool, optional
            Whether the patient must be referred; for an unsure answer, and possibly for one to photograph again.

        Returns
        -------
        int

        Raises
        ------
        StageError
            If there is no such answer, a newer one of that visit, or several of one day and none is chosen.
        """
        with self.entering():
            answers = reading.list_answers(self.connection, patient=patient_key)
            chosen = referrals.choose_answer(answers, patient_key, answer)
            body = {"answer": chosen.id, "by": by} | referrals.decision_on(chosen, accepted, refer)
            return self.append("decision", patient_key, body, {"why": why})

    def refer(self, patient_key, state, date=None):
        """Enter that a patient was referred, has an appointment, or was seen.

        Parameters
        ----------
        patient_key : str
        state : {'referred', 'appointment', 'seen'}
            A referral comes first. An appointment may be moved or skipped, and a patient who was seen may be referred
            again.
        date : datetime.date, optional
            Of the referral, of the appointment, or on which the patient was seen. Default: today.

        Returns
        -------
        int
        """
        today = self.now().date()
        date = date or today
        if state != "appointment" and date > today:
            raise StageError(f"{date} is after today, {today}; only an appointment can be")
        with self.entering():
            before = referrals.last_states(self.connection).get(patient_key, (0, None))[1]
            if state not in referrals.NEXT[before]:
                now = f"is entered as {before}" if before else "has no referral"
                then = " or ".join(referrals.NEXT[before])
                raise StageError(f"patient {patient_key} {now}; the next entry can be {then}, not {state}")
            return self.append("referral", patient_key, {"state": state, "date": date.isoformat()})

    def add_alarm(self, alarm):
        """Enter a shift alarm, a dict with `day`, `camera` and `against`; once for the three.

        Returns
        -------
        bool
            False if it is there.
        """
        key = ("day", "camera", "against")
        told = json.loads(chain.canonical(alarm))
        with self.entering():
            before = reading.list_alarms(self.connection, told["day"])
            if any(all(one[name] == told[name] for name in key) for one in before):
                return False
            self.append("alarm", "", alarm)
        return True

    def forget(self, patient_key, why="forget"):
        """Erase what may name a patient, for good; the entries stay, by the random key.

        Returns
        -------
        bool
            False if the patient was erased before.
        """
        known = self.identity(patient_key) is not None
        if known:
            self._erase([patient_key, *self.strangers(patient_key)[0]], why)
        return known

    def _erase(self, patients, why):
        with self.entering():
            for patient in patients:
                self.append("erasure", patient, {"why": why})
                self.connection.execute("DELETE FROM identities WHERE patient = ?", (patient,))
        self.clean(patients[0])

    def clean(self, patient_key):
        """Rewrite the file without erased contents: `secure_delete` alone leaves copies in moved pages.

        Raises
        ------
        StageError
            If it cannot be written; the message names an erased patient for whom this can be repeated.
        """
        try:
            with opening.one_sentence(self.path):
                self.connection.execute("VACUUM")
                busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except StageError as error:
            told = f"erased, but traces may be left in the file; repeat --forget {patient_key}"
            raise StageError(f"{told}: {error}") from error
        if busy:
            log(f"note: another program reads {self.path}; traces stay in its log until that ends")

    def retain(self, days, today=None):
        """Erase the patients without a new entry for some days, except those who must still be seen.

        Parameters
        ----------
        days : int
        today : datetime.date, optional

        Returns
        -------
        erased, kept : list of str
            Keys of those erased, and of those kept because they must still be seen (`referrals.find_waiting`).
        """
        before = (today or self.now().date()) - datetime.timedelta(days)
        with opening.one_sentence(self.path):
            old = self.connection.execute(
                "SELECT patient FROM entries WHERE patient IN (SELECT patient FROM identities) "
                "GROUP BY patient HAVING max(substr(recorded, 1, 10)) < ? ORDER BY min(id)",
                (before.isoformat(),),
            ).fetchall()
            waiting = {one.patient for one in referrals.find_waiting(self.connection)}
        erased = [patient for (patient,) in old if patient not in waiting]
        if erased:
            self._erase(erased, "retain")
        return erased, [patient for (patient,) in old if patient in waiting]

    def export(self, path):
        """Write the CSV of a quality report, which names no patient; return the number of its rows, and the head."""
        from eyenet.station.export import write_report  # imports SciPy, which is slow and not needed to grade

        with self.unchanged():
            photographs, answers, head, alarms = self.photographs(), self.answers(), self.head(), self.alarms()
        return write_report(path, photographs, answers, head, alarms), head


def _compared(body):
    """Read the body of an answer without the network's version and description, which do not make it another one."""
    told = json.loads(body)
    model = {name: value for name, value in told["model"].items() if name not in ("version", "trained_on")}
    return told | {"model": model}


def _split(row):
    """Separate what a row may keep for ever from what may name a person."""
    kept = {key: value for key, value in row.items() if key in LASTING}
    return kept, {key: value for key, value in row.items() if key not in LASTING}
