"""The values of a DICOM header for the forms: the patient, and what links a report to its images."""

import datetime
import re

from eyenet.data.identity import is_placeholder
from eyenet.forms.visit import Patient
from eyenet.photo.dicom import is_dicom, read_header
from eyenet.photo.pages import split_page
from eyenet.run.errors import PhotoError

# By keyword, the pattern of a value that DICOM allows (PS3.5, 6.2). Any other value is left out, never cut: half an ID
# would be another one.
UID, LONG, SHORT = r"(?=.{1,64}$)[0-2](\.(0|[1-9]\d*))+", r"[^\\]{1,64}", r"[^\\]{1,16}"
NAME = r"(?=.)[^\\=]{0,64}(=[^\\=]{0,64}){0,2}"  # alphabetic, ideographic and phonetic, as in Korea and Japan
DATE, TIME = "[0-9]{8}", r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"
WANTED = {
    "SOPClassUID": UID,
    "SOPInstanceUID": UID,
    "SeriesInstanceUID": UID,
    "StudyInstanceUID": UID,
    "StudyID": SHORT,
    "StudyDate": DATE,
    "StudyTime": TIME,
    "AccessionNumber": SHORT,
    "ReferringPhysicianName": NAME,
    "PatientID": LONG,
    "IssuerOfPatientID": LONG,
    "PatientName": NAME,
    "PatientBirthDate": DATE,
    "PatientSex": "[FMO]",
    "PatientIdentityRemoved": "YES|NO",
}
PERSON = ("PatientName", "PatientBirthDate", "PatientSex")
STUDY = ("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName")
UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")  # without which nothing refers to it
FRAME = "frame"


def read_source(path):
    """Read the values of a DICOM header that the forms need.

    Parameters
    ----------
    path : Path
        As from `eyenet.photo.kinds.examine`, perhaps with the number of a frame.

    Returns
    -------
    dict of str to str or int
        By DICOM keyword, the values that are there and that DICOM allows, and the number of the frame. Empty for a file
        that is no DICOM or cannot be read.
    """
    file, page = split_page(path)
    if not is_dicom(file):
        return {}
    try:
        header = read_header(file, stop_before_pixels=True, specific_tags=list(WANTED))
    except PhotoError:  # reported when the photograph is decoded
        return {}
    told = {}
    for keyword, pattern in WANTED.items():
        text = _text(header, keyword)
        if text.isprintable() and re.fullmatch(pattern, text, re.ASCII) and (pattern != DATE or _to_day(text)):
            told[keyword] = text
    return told | ({FRAME: page} if told and page is not None else {})


def _text(header, keyword):
    try:
        return str(header.get(keyword, "")).strip()
    except Exception:  # pydicom converts values on access; damaged ones raise many kinds of errors
        return ""


def patient_of(patient_id, sources):
    """Read the patient from the headers of a visit; values that contradict each other are left out.

    Parameters
    ----------
    patient_id : str or None
        As the register has it.
    sources : iterable of dict
        As from `read_source`.
    """
    told = person_of(sources)
    name, born = told.get("PatientName"), told.get("PatientBirthDate")
    return Patient(patient_id, name and say_name(name), born and _to_day(born), told.get("PatientSex"))


def person_of(sources):
    """Read name, birth date and sex from the headers of a visit; as `agreed`.

    A header without identity gives none of them, and a placeholder is no name.
    """
    told = agreed(PERSON, [one for one in sources if one.get("PatientIdentityRemoved") != "YES"])
    name = say_name(told.get("PatientName", ""))
    return {key: value for key, value in told.items() if key != "PatientName" or (name and not is_placeholder(name))}


def agreed(keywords, sources):
    """Map keywords to the value in all headers that have one; keywords with contradictory values are left out."""
    told = {keyword: {one[keyword] for one in sources if one.get(keyword)} for keyword in keywords}
    return {keyword: values.pop() for keyword, values in told.items() if len(values) == 1}


def say_name(name):
    """Write a DICOM name, such as Roe^Jane, as `Roe, Jane`; None if it is empty."""
    alphabetic = name.partition("=")[0] or name.replace("=", "")
    parts = [part.strip() for part in alphabetic.split("^")]
    family, given = parts[0], " ".join(part for part in parts[1:3] if part)
    return ", ".join(part for part in (family, given) if part) or None


def _to_day(date):
    """Write a DICOM date as YYYY-MM-DD; None if there is no such day."""
    try:
        return datetime.datetime.strptime(date, "%Y%m%d").date().isoformat()
    except ValueError:
        return None
