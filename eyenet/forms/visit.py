"""A visit as the forms show it: the patient, the answer of the network, and the decision of a person."""

from types import MappingProxyType
from typing import NamedTuple

from eyenet.grading.photographs import COPY
from eyenet.model.decided import is_to_be_referred, refers

NEGATIVE = ("no DR", "not referable", "DR, not referable")  # results without referral
SIDES = ("right", "left")  # as seen when facing the patient
# Prefixes of reasons that do not concern identity; see eyenet.model.answers.
MISSING = tuple(f"{eye} eye: " for eye in SIDES)


class Patient(NamedTuple):
    """What is known of a patient; None for what is unknown."""

    id: str | None = None
    name: str | None = None
    born: str | None = None  # YYYY-MM-DD
    sex: str | None = None  # 'F', 'M' or 'O', as in DICOM


class Photograph(NamedTuple):
    """A photograph that counts.

    Attributes
    ----------
    eye : {'left', 'right'}
    row : dict
        As from `eyenet.model.screener.Screener.look`.
    name : str or None
        Of its file.
    picture : bytes or None
        The crop of the retina, JPEG.
    source : dict
        Values of its DICOM header (`eyenet.forms.source`); empty for other files.
    """

    eye: str
    row: dict
    name: str | None = None
    picture: bytes | None = None
    source: dict = MappingProxyType({})


class Visit(NamedTuple):
    """The answer for a visit.

    Attributes
    ----------
    key : str
        Random; it identifies the visit in the forms, and the patient only together with the register.
    version : str
        Changes with the answer and with a person's decision.
    received, answered : str
        When the first photograph was entered and the answer was, local time, ISO 8601 with its offset from UTC.
    answer : dict
        The row of a patient, as predict.py gives it.
    model : dict
        `name`, `operating_point`, `trained_on`, and more.
    photographs : list of Photograph
    patient : Patient
    decision : dict or None
        `accepted`, or for an unsure answer `refer`, then `recorded`, `by` and `why` of a person's decision.
    anonymous : bool
    earlier : dict or None
        `recorded`, `by` and `why` of a person's decision to refer on an earlier answer of this visit; it holds until a
        person decides on the newest one.
    """

    key: str
    version: str
    received: str
    answered: str
    answer: dict
    model: dict
    photographs: list
    patient: Patient = Patient()
    decision: dict | None = None
    anonymous: bool = False
    earlier: dict | None = None

    def eye(self, eye):
        """List the photographs of an eye."""
        return [one for one in self.photographs if one.eye == eye]

    def rows(self, eye):
        """List the rows of an eye."""
        return [one.row for one in self.eye(eye)]

    @property
    def changed(self):
        """When answer or decision were entered last."""
        return self.decision["recorded"] if self.decision else self.answered

    @property
    def taken(self):
        """The day on which the photographs were taken, by their headers; None if they give none or several."""
        days = {one.source.get("StudyDate") for one in self.photographs}
        day = days.pop() if len(days) == 1 else None
        return day and f"{day[:4]}-{day[4:6]}-{day[6:]}"

    @property
    def synthetic(self):
        """Whether the network was trained on drawings; recalibrating it on photographs does not change that."""
        return "synthetic" in str(self.model.get("trained_on", "")).partition(";")[0]

    @property
    def reasons(self):
        """Why an eye is missing or to be photographed again."""
        return [why for why in self.answer.get("reasons", ()) if why.startswith(MISSING)]

    @property
    def doubts(self):
        """Why it is unclear whose photographs these are, without the names of files."""
        told = (why for why in self.answer.get("reasons", ()) if not why.startswith(MISSING))
        return list(dict.fromkeys(f"{COPY}another photograph" if why.startswith(COPY) else why for why in told))

    @property
    def refers(self):
        """Whether the answer refers the patient."""
        return refers(self.answer)

    @property
    def verdict(self):
        """What a person did with the answer: 'accepted' or 'overruled' it, or 'decided' on an unsure one; or None."""
        if self.decision is None:
            return None
        return {True: "accepted", False: "overruled", None: "decided"}[self.decision["accepted"]]

    @property
    def is_replaced(self):
        """Whether a decision replaces the answer: it overruled it, decided an unsure one, or referred before it."""
        return self.verdict in ("overruled", "decided") or bool(self.earlier and not self.refers)

    @property
    def advice(self):
        """The advice after a person's decision: 'refer', 'do not refer', or a result that is neither, such as AGAIN.

        None until a person has decided. See `eyenet.model.decided`.
        """
        if self.decision is None:
            return None
        result = self.answer.get("result")
        if self.decision["accepted"] and not self.refers and result not in NEGATIVE:
            return result
        return "refer" if is_to_be_referred(self.answer, self.decision) else "do not refer"


def anonymise(visit):
    """Leave out all that identifies the patient.

    Names, IDs, dates of birth and sex, names of files, headers, pictures (the vessels of a retina are as individual as
    a fingerprint), and the texts of a decision. The day of the visit stays.
    """
    photographs = [Photograph(one.eye, _only_known(one.row)) for one in visit.photographs]
    decision = visit.decision and {name: visit.decision.get(name) for name in ("accepted", "refer", "recorded")}
    answer = {
        name: value for name, value in visit.answer.items() if name not in ("patient", "photograph", "decided_by")
    }
    answer["reasons"] = visit.reasons + (["it is unclear whose photographs these are"] if visit.doubts else [])
    earlier = visit.earlier and {"recorded": visit.earlier["recorded"]}
    visit = visit._replace(answer=answer, photographs=photographs, patient=Patient(), decision=decision)
    return visit._replace(earlier=earlier, anonymous=True)


KNOWN = ("result", "gradable", "quality", "field", "questions", "expected_grade", "grade")


def _only_known(row):
    return {name: row[name] for name in KNOWN if name in row} | {"reasons": list(row.get("reasons", ()))}
