"""The answer of a visit as a DICOM structured report (Comprehensive SR, TID 1500) that refers to the source images.

DICOM has no codes for these measurements, so they come from a private scheme, 99EYENET, with their meaning. The report
is FINAL if a person accepted the answer or decided on an unsure one, otherwise PRELIMINARY, and always UNVERIFIED: who
decided is in the register.

References
----------
.. [1] DICOM PS3.16, TID 1500 "Measurement Report",
   https://dicom.nema.org/medical/dicom/current/output/chtml/part16/chapter_A.html
"""

import io
import uuid
from datetime import datetime

from eyenet.data.tasks import QUESTIONS
from eyenet.forms.findings import find_finding, find_kind, find_worst, say_answer, say_finding
from eyenet.forms.letter import read_words
from eyenet.forms.source import FRAME, PERSON, STUDY, UIDS, agreed, person_of
from eyenet.forms.visit import SIDES
from eyenet.model.answers import UNSURE, is_unsure
from eyenet.model.disclaimers import NOT_A_DEVICE
from eyenet.run.files import plain

# Of the answer to a question, the codes; the last two only with --unsure.
NUMBERS = {"probability": ("P", "Probability of"), "threshold": ("T", "Threshold of")}
NUMBERS |= {"low": ("L", "Unsure from, for"), "high": ("H", "Unsure to, for")}
SCHEME = "99EYENET"
NAMESPACE = uuid.UUID("0c9f1b5c-2b0e-4b44-9a53-2f4f9f7f3a2d")  # of the UIDs of reports
LONGEST = 64  # characters of a code's meaning
TITLE = "EyeNet, research software. " + NOT_A_DEVICE  # of the series
NOTICE = NOT_A_DEVICE + " A trained person decides."


def can_report(visit):
    """Tell whether there is a source image that a report can refer to; nothing anonymous refers to one."""
    return not visit.anonymous and any(_images(visit))


def write_report(visit):
    """Write the report of a visit.

    Parameters
    ----------
    visit : eyenet.forms.visit.Visit
        One for which `can_report` holds.

    Returns
    -------
    bytes
        A DICOM file.
    """
    from highdicom.sr import ComprehensiveSR

    report = ComprehensiveSR(
        evidence=_evidence(_images(visit)),
        content=_content(visit),
        series_instance_uid=_uid(visit.key, "series"),
        series_number=1,
        sop_instance_uid=_uid(visit.key, visit.version),
        instance_number=1,
        manufacturer="EyeNet",
        is_complete=True,
        is_final=visit.verdict in ("accepted", "decided"),
        series_description=TITLE[:LONGEST],
    )
    _set_times(report, visit.changed)
    report.CodingSchemeIdentificationSequence = [_scheme()]
    opened = io.BytesIO()
    report.save_as(opened, enforce_file_format=True)
    return opened.getvalue()


def _images(visit):
    """List the headers of the visit's DICOM photographs that have all UIDs, each image once."""
    sources = {one.source.get("SOPInstanceUID"): one.source for one in visit.photographs}
    return [source for source in sources.values() if all(name in source for name in UIDS)]


def _scheme():
    """Name the owner of the private codes."""
    from pydicom import Dataset

    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeName = SCHEME, "EyeNet"
    return scheme


def _uid(*names):
    """Derive a UID from what it names: the same report always has the same UID, and a changed one another."""
    return f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(names)).int}"


def _evidence(images):
    """Make the datasets from which the report takes patient and study, and to which it refers.

    Unknown values are empty, and so are those about which the images, or those of one study, contradict each other.
    """
    from pydicom import Dataset

    patient = agreed(("PatientID",), images) | person_of(images)
    made = []
    for source in images:
        study = agreed(STUDY, [one for one in images if one["StudyInstanceUID"] == source["StudyInstanceUID"]])
        evidence = Dataset()
        evidence.SpecificCharacterSet = "ISO_IR 192"
        for name in ("PatientID", *PERSON, *STUDY):
            setattr(evidence, name, (patient | study).get(name, ""))
        for name in UIDS:
            setattr(evidence, name, source[name])
        evidence.Modality = "OP"
        made.append(evidence)
    return made


def _set_times(report, recorded):
    """Date the report by the entry in the register, so that the same report has the same bytes."""
    when = datetime.fromisoformat(recorded)
    report.ContentDate = report.InstanceCreationDate = when.strftime("%Y%m%d")
    report.ContentTime = report.InstanceCreationTime = when.strftime("%H%M%S")
    for equipment in report.ContributingEquipmentSequence:  # highdicom names itself
        equipment.ContributionDateTime = when.strftime("%Y%m%d%H%M%S")


def _content(visit):
    from highdicom import sr
    from pydicom.sr.codedict import codes

    device = sr.DeviceObserverIdentifyingAttributes(
        uid=_uid("network", str(visit.model.get("sha256") or visit.model["name"])),
        name="EyeNet",
        manufacturer_name="EyeNet",
        model_name=_cut(visit.model["name"]),
    )
    context = sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )
    groups = [_patient_group(visit), *(_eye_group(visit, eye) for eye in SIDES if visit.eye(eye) and not visit.doubts)]
    return sr.MeasurementReport(
        observation_context=context,
        procedure_reported=_code("SCREENING", "Screening for diabetic retinopathy"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )


def _patient_group(visit):
    """The answer for the patient, the decision of a person, and the intended use."""
    words, kind = read_words("en"), find_kind(visit)
    told = [("ANSWER", "Answer of the software", kind, say_answer(words, kind))]
    if visit.decision:
        said = "Decided" if visit.verdict == "decided" else f"Answer {visit.verdict}"
        told.append(("DECISION", "Decision of a person on the answer", visit.verdict, f"{said}: {visit.advice}"))
    if visit.earlier:
        told.append(("EARLIER", "Decision of a person on an earlier answer", "refer", "Of this visit: refer"))
    told.append(("NOTICE", "Intended use", "not-a-device", NOTICE))
    if visit.synthetic:
        told.append(("DEMONSTRATION", "Demonstration", "synthetic", "Network of synthetic photographs: says nothing"))
    return _group(visit, "patient", told, [], None)


def _eye_group(visit, eye):
    """The finding of an eye and, of each of its photographs, the probabilities with their thresholds."""
    finding, on_poor = find_finding(visit, eye)
    said = say_finding(read_words("en"), finding, on_poor)
    told = [("FINDING", "Finding of the eye by the software", finding, said)]
    numbers = []
    for question, answer in find_worst(visit.rows(eye)).items():
        code, named = question.upper(), QUESTIONS[question].split(" (")[0]
        if is_unsure(answer):
            told.append((f"A-{code}", f"Answer on {named}", "unsure", UNSURE))
        for name, (letter, said) in NUMBERS.items():
            if name in answer:
                numbers.append((f"{letter}-{code}", f"{said} {named}", answer[name]))
    return _group(visit, eye, told, numbers, eye)


def _group(visit, name, told, numbers, eye):
    from highdicom import sr
    from pydicom.sr.codedict import codes

    sides = {"left": codes.SCT.Left, "right": codes.SCT.Right}
    site = [sr.FindingSite(codes.SCT.Retina, laterality=sides[eye])] if eye else None
    images = [one.source for one in visit.eye(eye) if all(uid in one.source for uid in UIDS)] if eye else []
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=_uid(visit.key, name), identifier=name),
        algorithm_id=_algorithm(visit),
        finding_sites=site,
        measurements=[sr.Measurement(_code(*what), value, codes.UCUM.NoUnits) for *what, value in numbers] or None,
        qualitative_evaluations=[
            sr.QualitativeEvaluation(_code(code, meaning), _code(value.upper(), said))
            for code, meaning, value, said in told
        ],
        source_images=[_refer(source) for source in images] or None,
    )


def _refer(source):
    from highdicom.sr import SourceImageForMeasurementGroup

    frames = [source[FRAME]] if FRAME in source else None
    return SourceImageForMeasurementGroup(source["SOPClassUID"], source["SOPInstanceUID"], frames)


def _algorithm(visit):
    from highdicom.sr import AlgorithmIdentification

    model = visit.model
    told = (f"trained on {model['trained_on']}", f"operating point {model['operating_point']}", NOTICE)
    told += (f"unsure at an error rate of {model['unsure']}",) if model.get("unsure") else ()
    return AlgorithmIdentification("EyeNet", _cut(model["name"]), parameters=[plain(text) for text in told])


def _code(value, meaning):
    from pydicom.sr.coding import Code

    return Code(value[:16], SCHEME, _cut(meaning))


def _cut(text):
    """Cut a text to the length of a code's meaning; a backslash would separate two values."""
    text = plain(text).replace("\\", "/")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
