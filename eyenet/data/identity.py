"""Whose photograph is this? Patient, eye and visit, decided here for training, audit, retraining and prediction.

Identity is never guessed: what cannot be read, or cannot be one person, is not used to join photographs.
"""

import re
from collections import Counter
from typing import NamedTuple

from eyenet.data.names import canonical, composed, parse_name
from eyenet.run.errors import plural

WORDS = {"left": "left", "os": "left", "right": "right", "od": "right"}
LETTERS = {"l": "left", "le": "left", "r": "right", "re": "right"}  # only after the patient: `le` is also a name
EYES = WORDS | LETTERS
MARK = re.compile(r"\(?[0-9]{1,2}\)?|copy", re.IGNORECASE)  # what may follow one of LETTERS
SEPARATORS = re.compile(r"[\s._-]+")
PLACEHOLDER = re.compile(
    r"(no ?|un)?(id|name)|0*|x+|none|null|nan?|#?n/a|-1|-9+|unknown|removed|deleted|empty|test|patient|person|subject"
    r"|anon[a-z]*|de-?identified|dsc|dcim|fundus|im|image|img|colou?r|photo|pic|picture|retina|scan|eye|export|\W+"
    r"|\d(\.\d+)?E\+\d\d",  # a long number that a spreadsheet has rounded
    re.IGNORECASE,
)
MOST = {"photographs of one eye in a visit": 10, "visits": 20}  # more are not one person
NOT_ONE_PERSON = "is not one person"


class Identity(NamedTuple):
    """Whose photograph it is, as far as a file tells; None for what is unknown.

    Attributes
    ----------
    patient, eye, visit : str or None
        `visit` separates the visits of a patient.
    date : str or None
    named : str or None
        The patient in the file's name, if `patient` is from a header.
    place : str
        Within it, equal patients are one person.
    placeholder : str or None
        The header's patient ID, if it is a placeholder.
    doubt : str or None
        Why the eye is doubtful, in words.
    """

    patient: str | None
    eye: str | None
    visit: str | None = None
    date: str | None = None
    named: str | None = None
    place: str = ""
    placeholder: str | None = None
    doubt: str | None = None


def is_placeholder(patient):
    """Tell whether a patient ID is a word that stands for any patient, such as ANONYMOUS or 0."""
    return PLACEHOLDER.fullmatch(patient.strip()) is not None


def read_name(stem, folder=""):
    """Read patient and eye from the name of a photograph, as cameras and people write them.

    The eye is left, right, OS, OD, L, R, LE or RE in any case, set off by `_`, `-`, a dot or a space. The patient
    comes before it, and marks of copies and fields may follow: `7_LEFT`, `8-od`, `11 L`, `12_left (1)`. Where a name
    has only one of the two, the folder may be the other: `16/left`, `left/16`.

    Parameters
    ----------
    stem : str
        Name without extension.
    folder : str
        Name of its folder.

    Returns
    -------
    patient : str or None
        None also for a placeholder.
    eye : {'left', 'right', None}
    """
    patient, eye = _parse(stem)
    outer = EYES.get(folder.casefold())
    if eye is None and outer:
        patient, eye = stem, outer
    elif eye is not None and not patient:
        patient = folder
    if eye is None or not patient or is_placeholder(patient):
        return None, eye
    return patient, eye


def _parse(stem):
    """Split a name into patient, perhaps empty, and eye; (None, None) if it does not tell exactly one eye."""
    try:
        name = parse_name(stem)  # the form of our own files comes first; a copy of a photograph is no photograph
        return (name.patient, name.eye) if name.transform == "original" else (None, None)
    except ValueError:
        pass
    gaps = [*SEPARATORS.finditer(stem)]
    starts, ends = [0, *(gap.end() for gap in gaps)], [*(gap.start() for gap in gaps), len(stem)]
    words = [stem[start:end].casefold() for start, end in zip(starts, ends)]
    found = [i for i, word in enumerate(words) if word in WORDS]
    if not found:
        found = [i for i, word in enumerate(words) if word in LETTERS and all(map(MARK.fullmatch, words[i + 1 :]))]
        found = [i for i in found if i or len(words) == 1][:1]
    if not found or len({EYES[words[i]] for i in found}) > 1:
        return None, None
    first = found[0]
    patient = stem[: ends[first - 1]] if first else stem[starts[1] :] if len(words) > 1 else ""
    if not first and all(map(MARK.fullmatch, words[1:])) and len(words) > 1 and not words[1].isdigit():
        patient = ""  # `left (1)`: a copy of `left`
    return patient, EYES[words[first]]


def disagreement(header, stem, folder):
    """Say which of the header's eye, the name and the folder's name contradict each other about the eye, if they do."""
    told = {"the header": header, "the name": _parse(stem)[1], "the folder": EYES.get(folder.casefold())}
    told = {who: eye for who, eye in told.items() if eye}
    return ", ".join(f"{who} says {eye}" for who, eye in told.items()) if len(set(told.values())) > 1 else None


def differ(one, other):
    """Tell whether two photographs cannot be the same: of different eyes, or of different patients."""
    pairs = ((one.eye, other.eye), (one.patient and canonical(one.patient), other.patient and canonical(other.patient)))
    return any(a and b and a != b for a, b in pairs)


def unify(patients, eyes):
    """Give each patient one ID: `0012` and `12` are one person only if they are together one left and one right eye.

    Parameters
    ----------
    patients, eyes : sequence of str

    Returns
    -------
    unified : list of str
        IDs, in their shortest form where two forms are one person.
    doubtful : list of tuple of str
        The forms that may be one person and are not joined.
    """
    patients, forms = [composed(patient) for patient in patients], {}
    for patient, eye in zip(patients, eyes):
        forms.setdefault(canonical(patient), {}).setdefault(patient, []).append(eye)
    joined, doubtful = set(), []
    for short, written in forms.items():
        if len(written) > 1:
            one = sorted(eye for own in written.values() for eye in own) == ["left", "right"]
            joined.add(short) if one else doubtful.append(tuple(sorted(written)))
    return [canonical(p) if canonical(p) in joined else p for p in patients], doubtful


def group_photographs(identities):
    """Group photographs by patient and visit.

    Parameters
    ----------
    identities : sequence of Identity

    Returns
    -------
    groups : list of (str, dict)
        The patient, and the indices of the photographs of each eye; in order of appearance.
    warnings : list of str
        Why patients are not joined.
    """
    warnings = []
    if placeholders := sorted({one.placeholder for one in identities if one.placeholder}):
        count = sum(one.placeholder is not None for one in identities)
        files = plural(count, "file has", "files have")
        warnings.append(f"{files} a placeholder as patient ID, such as {placeholders[0]}; it is not used")
    people, doubtful = _people(identities)
    warnings += [f"{' and '.join(forms)} may be one patient or several; they are not joined" for forms in doubtful]
    groups = []
    for patient, visits, why in people:
        if why:
            warnings.append(f"{why}; its photographs are not joined")
        else:
            groups += [(patient, _by_eye(visit, identities)) for visit in visits]
    groups.sort(key=lambda group: min(min(own) for own in group[1].values()))
    return groups, warnings


def not_one_person(identities):
    """Find the photographs whose patient ID cannot be one person; dict of their indices to the reason in words."""
    return {i: why for _, visits, why in _people(identities)[0] if why for visit in visits for i in visit}


def _people(identities):
    """Group photographs by patient ID.

    Returns
    -------
    people : list of (str, list, str or None)
        The ID, the indices of the photographs of each visit, and why the ID cannot be one person, if so.
    doubtful : list of tuple of str
        As from `unify`.
    """
    places, found, all_doubtful = {}, [], []
    for i, one in enumerate(identities):
        if one.patient and one.eye:
            places.setdefault(one.place, []).append(i)
    for members in places.values():
        unified, doubtful = unify(*([getattr(identities[i], part) for i in members] for part in ("patient", "eye")))
        all_doubtful += doubtful
        people = {}
        for i, patient in zip(members, unified):
            people.setdefault(patient, []).append(i)
        for patient, own in people.items():
            visits = _visits(own, identities)
            why = _not_one_person(own, visits, identities)
            found.append((patient, visits, why and f"the ID {patient} {NOT_ONE_PERSON} ({why})"))
    return found, all_doubtful


def _visits(members, identities):
    """Split a patient's photographs into visits.

    Cameras may write a study for each photograph: studies of one date are one visit if none holds both eyes.
    """
    studies, dates = {}, {}
    for i in members:
        studies.setdefault(identities[i].visit, []).append(i)
    for own in studies.values():
        dates.setdefault(identities[own[0]].date, []).append(own)
    visits = []
    for day in dates.values():
        single = all(len(_by_eye(own, identities)) == 1 for own in day)
        visits += [[i for own in day for i in own]] if single else day
    return visits


def _not_one_person(members, visits, identities):
    """Say in a few words why an ID cannot be one person; None if it can."""
    named = {canonical(identities[i].named) for i in members if identities[i].named}
    if len(named) > 1:
        return f"file names such as {' and '.join(sorted(named)[:2])} say otherwise"
    most = max(Counter(identities[i].eye for i in visit).most_common(1)[0][1] for visit in visits)
    for what, count in (("photographs of one eye in a visit", most), ("visits", len(visits))):
        if count > MOST[what]:
            return f"{count} {what}"
    return None


def _by_eye(members, identities):
    """Map eyes to the indices of their photographs."""
    eyes = {}
    for i in members:
        eyes.setdefault(identities[i].eye, []).append(i)
    return eyes
