"""The answer for the patient and the finding of each eye, as keys of the words in eyenet/letter.

The offline page has the same in app/src/answers.ts, and tests/test_forms.py compares the two.
"""

from eyenet.forms.visit import SIDES
from eyenet.grading.rows import UNREAD
from eyenet.model.answers import (
    AGAIN,
    CALLED,
    UNGRADABLE,
    UNSURE,
    is_above,
    is_gradable,
    is_spent,
    is_unsure,
    largest_grade,
)

REFERABLE, DR, MILD = CALLED["referable"], CALLED["any"], "DR, not referable"
FOUND = (REFERABLE, DR, MILD)
FINDINGS = {REFERABLE: "referable", DR: "any", MILD: "mild", "no DR": "clear", "not referable": "notReferable"}
FINDINGS |= {UNSURE: "unsure", AGAIN: "again", UNGRADABLE: "ungradable", UNREAD: "unread"}
TONES = {"retake": "refer", "unsettled": "refer", "ungradable": "refer"}  # of answers; others are their own tone


def find_result(rows):
    """Find the result of an eye: that of its worst photograph, as for a patient; None without a photograph."""
    milder = any("referable" in row.get("questions", {}) for row in rows)  # then "DR" alone leaves the referral open
    order = (REFERABLE, UNSURE, DR, MILD) if milder else (*FOUND, UNSURE)
    results = [row["result"] for row in rows]
    if called := next((result for result in order if result in results), None):
        return called
    graded = next((row["result"] for row in rows if is_gradable(row)), None)
    return graded or (UNGRADABLE if is_spent(rows) else results[-1] if rows else None)


def find_decisive(photographs):
    """Find the photograph that decided the result of an eye: of those with this result, the most probable one.

    Without an answer it is the latest, if possible one with a picture; None without a photograph.
    """
    result = find_result([one.row for one in photographs])
    deciding = [one for one in photographs if one.row.get("questions") and one.row["result"] == result]
    if deciding:
        return max(deciding, key=lambda one: _probability(one.row, result))
    latest = [one for one in photographs if one.picture] or photographs
    return latest[-1] if latest else None


def _probability(row, result):
    answers = list(row["questions"].values())
    told = [answer for answer in answers if (is_unsure(answer) if result == UNSURE else is_above(answer))]
    return (told or answers)[-1]["probability"] or 0.0


def find_kind(visit):
    """Choose the patient's answer, a key of `answers` in the words; an unknown result never clears a patient.

    'doubtful' if it is unclear whose photographs these are, unless the answer refers.
    """
    result, rows = visit.answer.get("result"), [row for eye in SIDES for row in visit.rows(eye)]
    if visit.doubts and not visit.refers:
        return "doubtful"
    if result == UNGRADABLE:
        return "ungradable"
    if result == UNSURE:
        return "unsure"
    if result in ("no DR", "not referable"):
        return "clear"
    if result == MILD:
        return "mild"
    if result not in FOUND:
        return "again"
    spent = {eye: is_spent(visit.rows(eye)) for eye in SIDES}
    referable = visit.answer.get("questions", {}).get("referable")
    if result == DR and referable and referable["disease"] is None:
        return "ungradable" if any(spent.values()) else "unsettled"
    if any(is_gradable(row) and row["result"] in FOUND for row in rows):
        return "refer"
    retaking = any(row["result"] in FOUND and not spent[eye] for eye in SIDES for row in visit.rows(eye))
    return "retake" if retaking else "refer"


def find_finding(visit, eye):
    """Find what is known of an eye, and whether only a poor photograph shows it.

    Returns
    -------
    finding : str
        A key of `findings` in the words; 'doubtful' if it is unclear whose photographs these are.
    on_poor : bool
    """
    if visit.doubts:
        return "doubtful", False
    rows = visit.rows(eye)
    result = find_result(rows)
    if result is None:
        return ("unread" if f"{eye} eye: {UNREAD}" in visit.reasons else "absent"), False
    called = (*FOUND, UNSURE)
    sure = any(is_gradable(row) and row["result"] in called for row in rows)
    return FINDINGS.get(result, "again"), result in called and not sure


def say_answer(words, kind):
    """Say an answer of `find_kind` in the words of a language."""
    return words["doubtful"]["title"] if kind == "doubtful" else words["answers"][kind]


def say_finding(words, finding, on_poor):
    """Say a finding of `find_finding`, or that it is unclear whose photographs these are."""
    if finding == "doubtful":
        return words["doubtful"]["text"]
    said = words["findings"][finding]
    return words["onPoor"].format(finding=said) if on_poor else said


def find_worst(rows):
    """Map each question to the answer of the photograph with the highest probability; undecided ones are left out."""
    told = [(question, answer) for row in rows for question, answer in row.get("questions", {}).items()]
    worst = {}
    for question, answer in told:
        known = worst.get(question)
        if answer["probability"] is not None and (known is None or answer["probability"] > known["probability"]):
            worst[question] = answer
    return worst


def find_grade(visit, eye):
    """Find the worst grade of an eye; None unless all answered photographs have one and it is sure."""
    finding, on_poor = find_finding(visit, eye)
    return None if finding == "unsure" or on_poor else largest_grade(visit.rows(eye))


def find_urgency(visit, kind):
    """Choose how urgent a referral is, a key of `urgency` in the words, as far as the answer shows."""
    if kind in ("refer", "retake"):
        rows = [row for eye in SIDES for row in visit.rows(eye)] + [visit.answer]
        sure = any(row.get("questions", {}).get("referable", {}).get("disease") for row in rows)
        return "soon" if sure else "look"
    return "none" if kind in ("mild", "clear") else kind


def find_screening(visit, kind, clinic):
    """Choose when to screen again, a key of `screening` in the words: by the clinic's own rule, if it has one.

    The rule follows the answer of the software, so it does not apply where a person decided otherwise.
    """
    if visit.is_replaced:
        return "specialist" if visit.earlier or visit.advice == "refer" else "open"
    if kind == "unsure":
        return "grader"
    if kind in ("again", "unsettled"):
        return "first"
    if kind not in ("mild", "clear"):
        return "specialist"
    return "rule" if getattr(clinic, kind) else "open"
