"""What a DICOM header tells for the forms: who the patient is, and what a report repeats to belong to the images."""

import datetime
import re

from eyenet.data.identity import is_placeholder
from eyenet.forms.visit import Patient
from eyenet.photo.dicom import is_dicom, read_header
from eyenet.photo.pages import split_page
from eyenet.run.errors import PhotoError

# By keyword, the pattern of a value that DICOM allows (PS3.5, 6.2). Any other value is left out, never cut: half an ID
# would be another one.
UID, LONG, SHORT, NAME = r"(?=.{1,64}$)[0-2](\.(0|[1-9]\d*))+", r"[^\\]{1,64}", r"[^\\]{1,16}", r"[^\\]{1,64}"
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
UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")  # without which nothing refers to it
FRAME = "frame"


def read_source(path):
    """Read what the forms need of a DICOM header.

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
    """Tell what the headers of a visit tell of the patient; what they contradict each other about is left out.

    Parameters
    ----------
    patient_id : str or None
        As the register has it.
    sources : iterable of dict
        As from `read_source`.
    """
    sources = [one for one in sources if one.get("PatientIdentityRemoved") != "YES"]
    name = _only(one.get("PatientName") for one in sources)
    born = _only(one.get("PatientBirthDate") for one in sources)
    name = name and say_name(name)
    sex = _only(one.get("PatientSex") for one in sources)
    return Patient(patient_id, None if name and is_placeholder(name) else name, born and _to_day(born), sex)


def _only(values):
    """Return the value that all tell who tell one; None if they tell several."""
    told = {value for value in values if value}
    return told.pop() if len(told) == 1 else None


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
