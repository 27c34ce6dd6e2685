"""Visits for the tests of the forms: usual ones, and ones whose texts an attacker chose."""

from eyenet.forms.visit import Patient, Photograph, Visit
from eyenet.model.answers import call, consistent_grade, join_eyes, only_disease, summarise

THRESHOLDS = {"any": 0.3, "referable": 0.2}
LIMITS = {"any": (0.2, 0.6), "referable": (0.1, 0.4)}
MODEL = {"name": "eyenet-lite 0123456789ab", "trained_on": "4,516 photographs", "operating_point": "sensitivity_0.9"}
MODEL |= {"sha256": "00" * 32, "rules": "ab" * 6}
LONG = "Bartholomew-Maximilian Christopherson-Featherstonehaugh of Llanfairpwllgwyngyllgogerychwyrndrobwll " * 3
HOSTILE = {
    "markup": "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}&amp;",
    "controls": "1042\x00\x07\x1b[2J\r\n\u202e\u2028\udcff\ufeff",
    "paths": "../../etc/passwd\\..\\x^=|~",
    "huge": "9" * 10_000_000,
    "empty": " \t ",
}


def row(any_dr, referable, grade, limits=None):
    """A gradable photograph; with `limits` the answer may be unsure."""
    values, limits = {"any": any_dr, "referable": referable}, limits or {}
    answers = {question: call(value, THRESHOLDS[question], limits.get(question)) for question, value in values.items()}
    told = {"result": summarise(answers), "gradable": True, "reasons": [], "quality": 0.1, "field": "circle"}
    shown = consistent_grade(grade, answers)
    return told | {"questions": answers} | ({} if shown is None else {"grade": shown})


GOOD, MILD, SICK = row(0.01, 0.02, 0), row(0.5, 0.1, 1), row(0.95, 0.9, 3)
PAIR = [row(0.4, 0.3, 2, LIMITS), row(0.01, 0.02, 0, LIMITS)]  # an unsure eye, and a sure one
POOR = {"result": "photograph again", "gradable": False, "reasons": ["out of focus"], "quality": 0.9, "field": "circle"}
POOR_SICK = POOR | {"result": "referable DR", "questions": only_disease(SICK["questions"])}


def source(number, **told):
    """What a DICOM header tells."""
    uids = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.5.1", "SOPInstanceUID": f"1.2.3.{number}"}
    uids |= {"SeriesInstanceUID": f"1.2.4.{number}", "StudyInstanceUID": "1.2.5", "StudyDate": "20260330"}
    uids |= {"StudyTime": "101500", "StudyID": "8", "PatientID": "MRN 77", "PatientName": "Doé^Jane"}
    return uids | {"PatientBirthDate": "19560401", "PatientSex": "F"} | told


def photograph(eye, told=GOOD, number=1, **changes):
    """A DICOM photograph of an eye."""
    made = Photograph(eye, told, f"{eye}{number}.dcm", None, source(f"{number}{len(eye)}"))
    return made._replace(**changes)


def make_visit(photographs, answer=None, model=MODEL, **changes):
    """A visit with these photographs; its answer is that of predict.py."""
    eyes = {eye: [one.row for one in photographs if one.eye == eye] for eye in ("left", "right")}
    joined = answer or join_eyes({eye: rows for eye, rows in eyes.items() if rows}, THRESHOLDS)
    patient = Patient("MRN 77", "Doé, Jane", "1956-04-01", "F")
    when = "2026-03-31T10:15:00+02:00"
    visit = Visit("ab" * 8, "7-0", when, "2026-03-31T10:15:04+02:00", joined, model, photographs, patient)
    return visit._replace(**changes)


def decided(accepted, **changes):
    """A person's decision; on an unsure answer, `accepted` is None and `refer` told."""
    told = {"accepted": accepted, "recorded": "2026-03-31T17:00:00+02:00", "by": "Dr Roe", "why": "drusen, no DR"}
    return told | changes


# By name, a visit of each kind.
VISITS = {
    "clear": make_visit([photograph("right"), photograph("left")]),
    "mild": make_visit([photograph("right", MILD), photograph("left")]),
    "refer": make_visit([photograph("right", SICK), photograph("left"), photograph("left", POOR, 2)]),
    "one eye": make_visit([photograph("right", SICK)]),
    "again": make_visit([photograph("right", POOR), photograph("left")]),
    "ungradable": make_visit([photograph("right", POOR), photograph("right", POOR, 2), photograph("left")]),
    "retake": make_visit([photograph("right", POOR_SICK), photograph("left")]),
    "unsure": make_visit(
        [photograph("right", PAIR[0]), photograph("left", PAIR[1])],
        join_eyes({"right": PAIR[:1], "left": PAIR[1:]}, THRESHOLDS, LIMITS),
    ),
    "nothing": make_visit([], {"result": "photograph again", "reasons": ["left eye: not read"], "questions": {}}),
    "doubtful": make_visit(
        [photograph("right"), photograph("left")],
        {"result": "photograph again", "reasons": ["the same file as 6_right.jpeg"], "questions": {}},
    ),
    "doubtful, refer": make_visit(
        [photograph("right", SICK), photograph("left")],
        {"result": "referable DR", "reasons": ["the same file as 6_right.jpeg"], "questions": SICK["questions"]},
    ),
}
EARLIER = {"recorded": "2026-03-31T09:00:00+02:00", "by": "Dr Roe", "why": "drusen, no DR"}
VISITS |= {
    "refer before": VISITS["clear"]._replace(earlier=EARLIER),
    "accepted": VISITS["refer"]._replace(decision=decided(True), version="7-8"),
    "overruled": VISITS["refer"]._replace(decision=decided(False), version="7-8"),
    "missed": VISITS["clear"]._replace(decision=decided(False), version="7-8"),
    "sent on": VISITS["unsure"]._replace(decision=decided(None, refer=True), version="7-8"),
    "sent home": VISITS["unsure"]._replace(decision=decided(None, refer=False), version="7-8"),
    "accepted, again": VISITS["again"]._replace(decision=decided(True)),
    "files": VISITS["refer"]._replace(
        photographs=[one._replace(name=f"7_{one.eye}.jpeg", source={}) for one in VISITS["refer"].photographs],
        patient=Patient("7"),
    ),
    "no grade": make_visit([photograph("right", row(0.95, 0.9, 1)), photograph("left")]),
    "synthetic": VISITS["clear"]._replace(model=MODEL | {"trained_on": "400 synthetic drawings"}),
}
