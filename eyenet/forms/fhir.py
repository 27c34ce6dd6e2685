"""The answer of a visit in FHIR R4B: a bundle with a DiagnosticReport, its Observations, the network and the patient.

LOINC has codes for the severity of retinopathy by eye (71490-7, 71491-5) and for screening by software (105914-6). They
say "by ophthalmoscopy" and "autonomous artificial intelligence", and quality measures count them as an examination of
the eyes, which an answer of research software is not. Observations are therefore in text, and only the eye and the
kind of service are coded.

References
----------
.. [1] https://hl7.org/fhir/R4B/diagnosticreport.html
"""

import uuid

from eyenet.data.tasks import QUESTIONS
from eyenet.forms.findings import find_finding, find_grade, find_kind, find_worst, say_answer, say_finding
from eyenet.forms.letter import read_words
from eyenet.forms.visit import SIDES
from eyenet.model.answers import UNSURE, is_unsure
from eyenet.model.disclaimers import INTENDED_USE, NOT_A_DEVICE, NOT_COVERED, SYNTHETIC_MODEL
from eyenet.run.files import plain

EYES = {"right": ("18944008", "Right eye structure"), "left": ("8966001", "Left eye structure")}  # SNOMED CT
SEXES = {"F": "female", "M": "male", "O": "other"}
NAMESPACE = uuid.UUID("7b6f3d0e-7c1b-4b53-9d4b-6c6b6a6f3c11")  # of the bundles' ids
UNKNOWN, NOT_DONE = "unknown", "not-performed"  # codes of data-absent-reason
ABSENT = {"again": UNKNOWN, "doubtful": UNKNOWN, "unsure": UNKNOWN, "unread": UNKNOWN, "absent": NOT_DONE}


def write_bundle(visit):
    """Write the answer of a visit as a FHIR bundle of the type collection.

    The report is preliminary until a person has decided, final if the answer was accepted or was unsure, and amended if
    it was overruled; the conclusion is then the person's. Observations are final only if the answer was accepted.

    Parameters
    ----------
    visit : eyenet.forms.visit.Visit

    Returns
    -------
    str
        JSON.
    """
    from fhir.resources.R4B.bundle import Bundle

    return Bundle.model_validate(_Bundle(visit).make()).model_dump_json(indent=1) + "\n"


class _Bundle:
    def __init__(self, visit):
        self.visit, self.words = visit, read_words("en")
        self.kind = find_kind(visit)
        self.said = say_answer(self.words, self.kind)
        self.status = "final" if visit.verdict == "accepted" else "preliminary"
        self.notice = f"{NOT_A_DEVICE} {INTENDED_USE}" + (f" {SYNTHETIC_MODEL}" if visit.synthetic else "")

    def make(self):
        visit = self.visit
        people = [] if visit.anonymous else [("patient", self._patient())]
        observed = [("answer", self._answer()), *((eye, self._eye(eye)) for eye in SIDES)]
        parts = [("report", self._report()), *people, ("device", self._device()), *observed]
        entries = [{"fullUrl": self._url(name), "resource": {"id": self._id(name)} | part} for name, part in parts]
        bundle = {"resourceType": "Bundle", "id": self._id("bundle"), "language": "en", "type": "collection"}
        return bundle | {"timestamp": visit.changed, "entry": entries}

    def _id(self, name):
        return str(uuid.uuid5(NAMESPACE, f"{self.visit.key}/{name}"))

    def _url(self, name):
        return f"urn:uuid:{self._id(name)}"

    def _refer(self, name):
        return {"reference": self._url(name)}

    def _subject(self):
        return {} if self.visit.anonymous else {"subject": self._refer("patient")}

    def _effective(self):
        """When the photographs were taken, if their headers say so."""
        return {"effectiveDateTime": self.visit.taken} if self.visit.taken else {}

    def _patient(self):
        told, patient = self.visit.patient, {"resourceType": "Patient"}
        if told.id and plain(told.id).strip():
            patient["identifier"] = [{"value": plain(told.id).strip()}]
        if told.name:
            patient["name"] = [{"text": plain(told.name)}]
        if told.born:
            patient["birthDate"] = told.born
        return patient | ({"gender": SEXES[told.sex]} if told.sex in SEXES else {})

    def _device(self):
        model = self.visit.model
        names = [{"name": "EyeNet", "type": "user-friendly-name"}, {"name": plain(model["name"]), "type": "model-name"}]
        version = f"operating point {model['operating_point']}, rules {model.get('rules', 'unknown')}"
        version += f", unsure at an error rate of {model['unsure']}" if model.get("unsure") else ""
        seen = f"Trained on {model['trained_on']}."
        note = [{"text": plain(f"{seen} {self.notice}")}]
        return {"resourceType": "Device", "deviceName": names, "version": [{"value": plain(version)}], "note": note}

    def _observation(self, about):
        observation = {"resourceType": "Observation", "status": self.status, "category": [IMAGING], "code": about}
        observation |= self._effective() | {"issued": self.visit.changed}
        return observation | self._subject() | {"device": self._refer("device"), "note": [{"text": self.notice}]}

    def _answer(self):
        """The answer for the patient; a value only where there is a result."""
        observation = self._observation({"text": "Screening for diabetic retinopathy: answer of the software"})
        observation |= {"hasMember": [self._refer(eye) for eye in SIDES]} | self._value(self.kind, self.said)
        reasons = [{"text": plain(why)} for why in self.visit.reasons + self.visit.doubts]
        return observation | {"note": observation["note"] + reasons}

    def _eye(self, eye):
        """The finding of an eye: in words, and by question the probability and whether it is above the threshold."""
        finding, on_poor = find_finding(self.visit, eye)
        code, display = EYES[eye]
        observation = self._observation(
            {"text": "Screening for diabetic retinopathy: finding of an eye by the software"}
        )
        observation |= {"bodySite": {"coding": [{"system": SNOMED, "code": code, "display": display}]}}
        observation |= self._value(finding, say_finding(self.words, finding, on_poor))
        parts = self._components(eye) if finding == "unsure" or finding not in ABSENT else []
        studies = self._derived(eye)
        return observation | ({"component": parts} if parts else {}) | ({"derivedFrom": studies} if studies else {})

    def _value(self, kind, said):
        if kind in ABSENT:
            return {"dataAbsentReason": {"coding": [{"system": ABSENCE, "code": ABSENT[kind]}], "text": said}}
        return {"valueCodeableConcept": {"text": said}}

    def _components(self, eye):
        """The worst probability of each question with its threshold, and the worst grade, of one eye.

        Limits are included, and which answer is unsure: an unsure probability may be below the threshold.
        """
        worst, parts = find_worst(self.visit.rows(eye)), []
        for question, answer in worst.items():
            title = QUESTIONS[question]
            if is_unsure(answer):
                parts.append(_component(f"{title}: answer", valueCodeableConcept={"text": UNSURE}))
            for name, said in NUMBERS.items():
                if name in answer:
                    parts.append(_component(f"{title}: {said}", valueQuantity=_number(answer[name])))
        grade = find_grade(self.visit, eye)
        if grade is not None:
            parts.append(_component("Estimated grade of retinopathy, 0 to 4", valueInteger=grade))
        return parts

    def _derived(self, eye):
        """The DICOM images of an eye, by their UIDs."""
        uids = (one.source.get("SOPInstanceUID") for one in self.visit.eye(eye))
        return [_by_uid("Media", uid) for uid in dict.fromkeys(uids) if uid]

    def _report(self):
        visit, decided = self.visit, self.visit.decision
        status = {None: "preliminary", "overruled": "amended"}.get(visit.verdict, "final")
        report = {"resourceType": "DiagnosticReport", "status": status, "category": [IMAGING_REPORT]}
        report |= {"code": {"text": self.words["title"]}} | self._effective()
        report |= {"issued": visit.changed, "result": [self._refer(name) for name in ("answer", *SIDES)]}
        report |= {"conclusion": plain(self._conclude())}
        if decided and decided.get("by") and plain(decided["by"]).strip():
            report["resultsInterpreter"] = [{"display": plain(decided["by"]).strip()}]
        studies = dict.fromkeys(one.source.get("StudyInstanceUID") for one in visit.photographs)
        linked = [_by_uid("ImagingStudy", uid) for uid in studies if uid]
        return report | self._subject() | ({"imagingStudy": linked} if linked else {})

    def _conclude(self):
        """State the answer, the decision of a person, what is not covered, and which network answered."""
        words, visit, model = self.words, self.visit, self.visit.model
        parts = [f"Answer of the software: {self.said}."]
        if visit.decision:
            verb = "decided on" if visit.verdict == "decided" else visit.verdict
            why = f" ({visit.decision['why']})" if visit.decision.get("why") else ""
            parts.insert(0, f"A person {verb} the answer{why}: {visit.advice}.")
        if visit.earlier:
            why = f" ({visit.earlier['why']})" if visit.earlier.get("why") else ""
            parts.insert(0, f"A person decided on an earlier answer of this visit{why}: refer.")
        network = words["network"].format(name=model["name"], seen=model["trained_on"])
        return " ".join([*parts, words["answered"].format(network=network), NOT_COVERED, self.notice])


# Of the answer to a question; the last two only with --unsure.
NUMBERS = {"probability": "probability", "threshold": "threshold", "low": "unsure from", "high": "unsure to"}
SNOMED, CATEGORY = "http://snomed.info/sct", "http://terminology.hl7.org/CodeSystem/observation-category"
ABSENCE = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
IMAGING = {"coding": [{"system": CATEGORY, "code": "imaging", "display": "Imaging"}]}
SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"
IMAGING_REPORT = {"coding": [{"system": SECTION, "code": "IMG", "display": "Diagnostic Imaging"}]}


def _component(text, **value):
    return {"code": {"text": text}} | value


def _number(value):
    return {"value": value, "unit": "1", "system": "http://unitsofmeasure.org", "code": "1"}


def _by_uid(kind, uid):
    return {"type": kind, "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}}
