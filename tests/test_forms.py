"""The forms of a visit: what they hold is valid, only what the source says, and harmless whatever that was."""

import io
import json
import shutil
import subprocess

import jsonschema
import pytest
from conftest import REPO
from form_visits import (
    GOOD,
    HOSTILE,
    LIMITS,
    MILD,
    PAIR,
    POOR,
    POOR_SICK,
    SICK,
    THRESHOLDS,
    VISITS,
    make_visit,
    photograph,
    row,
    source,
)

from eyenet.data.tasks import QUESTIONS
from eyenet.forms.clinic import Clinic
from eyenet.forms.findings import find_kind
from eyenet.forms.letter import draw_letter
from eyenet.forms.record import FORMAT, write_record
from eyenet.forms.source import WANTED, patient_of, read_source
from eyenet.forms.visit import SIDES, Patient, anonymise
from eyenet.model.answers import join_eyes

IDENTITY = ("MRN 77", "Doé", "Jane", "1956", "1.2.3.", "1.2.4.", "1.2.5", ".dcm", "Dr Roe", "drusen", "6_right")
UNSURE = ("unsure", "sent on", "sent home")  # a grader must look
UNCERTAIN = ("again", "accepted, again", "doubtful", "nothing", *UNSURE)  # visits without a result
named = pytest.mark.parametrize("name", VISITS)


def bundle_of(visit):
    """The bundle of a visit, read by the library that validates it, by role."""
    pytest.importorskip("fhir")
    from fhir.resources.R4B.bundle import Bundle

    from eyenet.forms.fhir import write_bundle

    bundle = Bundle.model_validate_json(write_bundle(visit))
    resources = {entry.fullUrl: entry.resource for entry in bundle.entry}
    (report,) = [one for one in resources.values() if one.get_resource_type() == "DiagnosticReport"]
    return report, resources, [resources[one.reference] for one in report.result]


def report_of(visit):
    """The DICOM report of a visit, and the file's bytes."""
    pytest.importorskip("highdicom")
    import pydicom

    from eyenet.forms.structured import write_report

    data = write_report(visit)
    return pydicom.dcmread(io.BytesIO(data)), data


@named
def test_the_bundle_is_valid_and_its_references_are_in_it(name):
    report, resources, results = bundle_of(VISITS[name])
    assert len(results) == 3 and report.subject.reference in resources
    assert all(one.device.reference in resources and one.subject.reference in resources for one in results)
    assert [one.reference in resources for one in results[0].hasMember] == [True, True]
    codes = [one.bodySite.coding[0].code for one in results[1:]]
    assert codes == ["18944008", "8966001"]  # SNOMED CT: right and left eye structure
    said = report.conclusion
    assert "Not a medical device." in said and "macular oedema" in said and VISITS[name].model["trained_on"] in said
    assert all("Not a medical device." in one.note[0].text for one in results)
    days = {str(one.effectiveDateTime) for one in (report, *results)}
    assert days == ({"None"} if name in ("files", "nothing") else {"2026-03-30"})


@named
def test_a_report_is_preliminary_until_a_person_decided(name):
    report, _, results = bundle_of(VISITS[name])
    told = {"accepted": "final", "accepted, again": "final", "overruled": "amended", "missed": "amended"}
    told |= {"sent on": "final", "sent home": "final"}
    assert report.status == told.get(name, "preliminary")
    assert {one.status for one in results} == {"final" if name.startswith("accepted") else "preliminary"}
    if name in told:
        advice = {"accepted, again": "photograph again", "overruled": "do not refer", "sent home": "do not refer"}
        advice = advice.get(name, "refer")
        assert f"(drusen, no DR): {advice}." in report.conclusion and report.resultsInterpreter[0].display == "Dr Roe"


@named
def test_what_is_uncertain_has_no_value(name):
    """In no form: a program that reads values must find none where there is no result."""
    _, _, (answer, *eyes) = bundle_of(VISITS[name])
    assert (answer.valueCodeableConcept is None) == (name in UNCERTAIN) == (answer.dataAbsentReason is not None)
    record = json.loads(write_record(VISITS[name]))
    assert (record["answer"]["kind"] in ("again", "doubtful", "unsure")) == (name in UNCERTAIN)
    for eye, told in zip(SIDES, eyes):
        finding = record["eyes"][eye]["finding"]
        absent = finding in ("again", "absent", "unread", "doubtful", "unsure")
        assert (told.valueCodeableConcept is None) == bool(absent) == (told.dataAbsentReason is not None)
        about = [part.code.text for part in told.component or ()]
        assert not about or not absent or finding == "unsure"
        sure = not absent and not record["eyes"][eye]["only_on_poor_photographs"] and finding != "ungradable"
        graded = sure and (name, eye) != ("no grade", "right")  # which is referred, and of grade 1 by the network
        assert any("Estimated grade" in text for text in about) == graded, (finding, about)


def test_a_grade_that_the_answer_does_not_allow_is_in_no_form():
    visit = VISITS["no grade"]
    assert visit.answer["result"] == "referable DR" and "grade" not in visit.answer
    record = json.loads(write_record(visit))
    assert "grade" not in record["answer"] and "grade" not in record["eyes"]["right"]["photographs"][0]
    assert record["eyes"]["left"]["photographs"][0]["grade"] == 0
    assert draw_letter(visit, Clinic()).count("Estimated grade") == 1
    empty = [one._replace(row=one.row | {"grade": None}) for one in visit.photographs if one.eye == "right"]
    assert "Estimated grade" not in draw_letter(
        visit._replace(photographs=empty), Clinic()
    )  # as older versions stored it


def test_an_earlier_decision_to_refer_is_in_each_form():
    visit = VISITS["refer before"]
    report, _, _ = bundle_of(visit)
    assert report.status == "preliminary"
    assert report.conclusion.startswith("A person decided on an earlier answer of this visit (drusen, no DR): refer.")
    assert json.loads(write_record(visit))["earlier_decision"]["advice"] == "refer"
    assert "Of this visit: refer" in report_of(visit)[0].to_json()
    letter = draw_letter(visit, Clinic(clear="in 12 months"))
    said = ("a person decided before", "in this visit: Refer<", "Dr Roe", "2026-03-31 09:00", "The specialist decides")
    assert all(text in letter for text in said)
    assert not [text for text in ("12 months", "all-clear", "I agree") if text in letter]


def test_an_unsure_answer_is_beside_its_numbers():
    """Its probability may be below the threshold, and a program that compares the two must not take it for negative."""
    low = row(0.25, 0.15, 1, LIMITS)
    visit = make_visit([photograph("right", low), photograph("left")], join_eyes({"right": [low]}, THRESHOLDS, LIMITS))
    _, _, (_, right, left) = bundle_of(visit)
    told = {part.code.text: part for part in right.component}
    for question in QUESTIONS.values():
        assert told[f"{question}: answer"].valueCodeableConcept.text == "unsure: a grader must look"
    numbers = {name.partition(": ")[2]: float(part.valueQuantity.value) for name, part in told.items() if "any" in name
               and part.valueQuantity}  # fmt: skip
    assert numbers == {"probability": 0.25, "threshold": 0.3, "unsure from": 0.2, "unsure to": 0.6}
    assert not any("unsure" in part.code.text or "answer" in part.code.text for part in left.component)
    text = report_of(visit)[0].to_json()
    for said in ("Answer on any DR", "unsure: a grader must look", "Unsure from, for any DR", "Unsure to, for any DR"):
        assert said in text and said not in report_of(VISITS["clear"])[0].to_json()


def test_a_grade_is_told_only_where_all_photographs_of_an_eye_have_one():
    def grades(*rows):
        shots = [photograph("right", one, number) for number, one in enumerate(rows, 1)]
        _, _, (_, right, _) = bundle_of(make_visit([*shots, photograph("left")]))
        return [part.valueInteger for part in right.component or () if "Estimated grade" in part.code.text]

    assert grades(SICK) == [3] and grades(GOOD, SICK) == [3] and grades(SICK, POOR) == [3]
    assert grades(SICK, PAIR[0]) == grades(MILD, PAIR[0]) == grades(PAIR[0]) == grades(POOR_SICK) == grades(POOR) == []
    assert grades(SICK, POOR_SICK) == []


@named
def test_the_record_follows_its_schema(name):
    schema = json.loads((REPO / "docs" / "answer.schema.json").read_text(encoding="utf-8"))
    check = jsonschema.Draft202012Validator(schema)
    check.check_schema(schema)
    for visit in (VISITS[name], anonymise(VISITS[name])):
        check.validate(json.loads(write_record(visit)))
    wrong = json.loads(write_record(VISITS[name]))
    wrong["eyes"]["right"]["finding"] = "fine"
    with pytest.raises(jsonschema.ValidationError):
        check.validate(wrong)


@named
def test_the_record_is_what_the_documentation_says(name):
    visit = VISITS[name]
    record = json.loads(write_record(visit))
    assert (record["format"], record["version"]) == (FORMAT, 1) and "Not a medical device." in record["notice"]
    assert record["answer"]["kind"] == find_kind(visit) and record["answer"]["result"] == visit.answer["result"]
    assert record["network"]["trained_on"] == visit.model["trained_on"]
    assert ("demonstration" in record) == (name == "synthetic")
    assert record["patient"] == {key: value for key, value in visit.patient._asdict().items() if value is not None}
    assert [len(record["eyes"][eye]["photographs"]) for eye in SIDES] == [len(visit.rows(eye)) for eye in SIDES]
    assert (record["decision"] or {}).get("advice") == visit.advice


@pytest.mark.parametrize("name", [name for name in VISITS if name not in ("files", "nothing")])
def test_the_dicom_report_refers_to_the_images(name, tmp_path):
    visit = VISITS[name]
    report, data = report_of(visit)
    assert report_of(visit)[1] == data  # also after a kill
    from highdicom.sr import srread

    srread(io.BytesIO(data))
    told = {element.keyword: element.value for element in report if element.keyword in WANTED and element.value}
    assert told["PatientID"] == "MRN 77" and told["PatientName"] == "Doé^Jane" and told["StudyInstanceUID"] == "1.2.5"
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    images = [one for series in study.ReferencedSeriesSequence for one in series.ReferencedSOPSequence]
    listed = {one.ReferencedSOPInstanceUID for one in images}
    assert listed == {one.source["SOPInstanceUID"] for one in visit.photographs}
    text = report.to_json()
    assert all(uid in text for uid in listed) and "Not a medical device" in report.SeriesDescription
    assert visit.model["trained_on"] in text and visit.model["name"] in text
    assert report.PreliminaryFlag == ("FINAL" if name.startswith(("accepted", "sent")) else "PRELIMINARY")
    assert report.VerificationFlag == "UNVERIFIED"
    if name in ("accepted", "overruled"):
        assert f"Answer {name}: {visit.advice}" in text
        assert report.SOPInstanceUID != report_of(VISITS["refer"])[0].SOPInstanceUID
    if shutil.which("dciodvfy"):  # of dicom3tools, which validates by the standard
        (tmp_path / "report.dcm").write_bytes(data)
        done = subprocess.run(["dciodvfy", tmp_path / "report.dcm"], check=False, capture_output=True, text=True)
        assert "Error" not in done.stdout + done.stderr


def test_the_dicom_report_leaves_out_what_the_images_contradict_each_other_about():
    def header(*told):
        shots = [photograph(eye, source=source(n, **more)) for n, (eye, more) in enumerate(zip(SIDES, told), 1)]
        return report_of(make_visit(shots))[0]

    names = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber")
    told = header({"PatientName": "Doe^Joan", "PatientSex": "M", "AccessionNumber": "1"}, {"AccessionNumber": "2"})
    assert [str(told[name].value or "") for name in names] == ["MRN 77", "", "19560401", "", ""]
    told = header({"PatientName": "Nobody^X", "PatientIdentityRemoved": "YES"}, {"PatientBirthDate": "19560402"})
    assert [str(told[name].value or "") for name in names] == ["MRN 77", "Doé^Jane", "19560402", "F", ""]
    told = header(*[{"PatientIdentityRemoved": "YES"}] * 2)
    assert [str(told[name].value or "") for name in names] == ["MRN 77", "", "", "", ""]
    assert str(header({"PatientID": "8"}, {}).PatientID or "") == ""
    told = header({"StudyInstanceUID": "1.2.6", "StudyID": "9"}, {"StudyInstanceUID": "1.2.7"})
    assert (told.StudyInstanceUID, told.StudyID) == ("1.2.6", "9")  # another study's ID is no contradiction


def test_photographs_that_are_no_dicom_have_no_dicom_report():
    from eyenet.forms.structured import can_report

    assert not can_report(VISITS["files"]) and can_report(VISITS["refer"])
    damaged = [one._replace(source={"PatientID": "7"}) for one in VISITS["refer"].photographs]
    assert not can_report(VISITS["refer"]._replace(photographs=damaged))


@named
def test_an_anonymous_form_names_nobody(name):
    from eyenet.forms.structured import can_report

    visit = anonymise(VISITS[name])
    forms = [write_record(visit), draw_letter(visit, Clinic()), json.dumps([str(one) for one in bundle_of(visit)])]
    forms += [pytest.importorskip("eyenet.forms.fhir").write_bundle(visit)]
    for form in forms:
        assert not [text for text in IDENTITY if text in form]
        assert "ot a medical device" in form
    assert not can_report(visit) and find_kind(visit) == find_kind(VISITS[name])
    assert [(bundle_of(visit)[0].status, visit.advice)] == [(bundle_of(VISITS[name])[0].status, VISITS[name].advice)]


def test_nothing_is_invented():
    visit = make_visit([photograph("right", source={}), photograph("left", source={})], patient=Patient("7"))
    _, resources, _ = bundle_of(visit)
    (patient,) = [one for one in resources.values() if one.get_resource_type() == "Patient"]
    assert set(patient.model_dump()) == {"resourceType", "id", "identifier"}
    assert json.loads(write_record(visit))["patient"] == {"id": "7"}
    few = {name: source(1)[name] for name in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")}
    report, _ = report_of(make_visit([photograph("right", source=few)]))
    names = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber")
    assert not any(str(report[name].value or "") for name in names)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_are_harmless(kind, dicom, tmp_path):
    """As the header has them, as the register cuts them, and as the answer has them."""
    text = HOSTILE[kind]
    texts = ("PatientID", "PatientName", "PatientSex", "PatientBirthDate", "StudyID", "StudyDate", "StudyInstanceUID")
    path = dicom(tmp_path / "hostile.dcm", **dict.fromkeys(texts, text))
    told = read_source(path)
    shots = [photograph(eye, source=source(1) | told, name=text[:500]) for eye in SIDES]
    answer = VISITS["refer"].answer | {"reasons": [f"left eye: {text[:500]}"], "decided_by": text[:500]}
    decision = {"accepted": True, "recorded": "2026-03-31T17:00:00+02:00", "by": text[:500], "why": text[:500]}
    visit = make_visit(shots, answer, patient=patient_of(text[:500], [told]), decision=decision)
    report, data = report_of(visit)
    bundle_of(visit)
    written = write_record(visit)
    assert json.loads(written)["format"] == FORMAT and len(written) < 20_000 and len(data) < 20_000
    assert all(letter.isprintable() or letter in "\n\u00a0" for letter in written + draw_letter(visit, Clinic()))
    values = [group for element in report if element.keyword in WANTED for group in str(element.value).split("=")]
    assert all(len(group) <= 64 for group in values)


@pytest.fixture(scope="session")
def dicom():
    """Write a DICOM header, also with values that DICOM does not allow."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.uid import ExplicitVRLittleEndian

    def write(path, **values):
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.3"
        with pydicom.config.disable_value_validation():
            for name, value in values.items():
                tag, data = pydicom.datadict.tag_for_keyword(name), value.encode("latin-1", "replace")
                dataset.add(pydicom.DataElement(tag, "UN", data))
            dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def test_the_header_tells_what_dicom_allows(dicom, tmp_path):
    told = dicom(
        tmp_path / "a.dcm", PatientID="MRN 77", PatientName="Roe^Jane^Q", PatientBirthDate="19560401", PatientSex="F",
        StudyInstanceUID="1.2.5", StudyID="x" * 17, StudyDate="99999999", StudyTime="995959",
    )  # fmt: skip
    found = read_source(told)
    assert (
        found["PatientID"] == "MRN 77"
        and found["StudyInstanceUID"] == "1.2.5"
        and not {"StudyID", "StudyDate", "StudyTime"} & set(found)
    )
    assert patient_of("MRN 77", [found, {}]) == Patient("MRN 77", "Roe, Jane Q", "1956-04-01", "F")
    other = found | {"PatientName": "Doe^Jane", "PatientBirthDate": "19560231"}
    assert patient_of("7", [found, other]) == Patient("7", None, None, "F")  # they contradict each other
    assert patient_of("7", [other]).born is None  # no such day
    groups = "=".join(("Hong^Gildong " + "x" * 40, "洪^吉洞", "홍^길동 " + "길" * 40))  # longer than 64 in all
    dicom(tmp_path / "k.dcm", PatientName=groups, PatientID="7")
    assert patient_of("7", [{"PatientName": groups}]).name.startswith("Hong, Gildong")
    assert read_source(dicom(tmp_path / "l.dcm", PatientName="a" * 60 + "=" + "b" * 60))["PatientName"]
    for wrong in ("a" * 65, "a=b=c=d", "a=" + "b" * 65):
        assert "PatientName" not in read_source(dicom(tmp_path / "m.dcm", PatientName=wrong))
    removed = found | {"PatientIdentityRemoved": "YES"}
    assert patient_of(None, [removed]) == Patient()
    (tmp_path / "b.jpeg").write_bytes(b"\xff\xd8\xff")
    assert read_source(tmp_path / "b.jpeg") == {}
