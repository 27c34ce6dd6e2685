"""The answer of a visit as JSON, for programs of the clinic; docs/station.md describes the keys."""

import json

from eyenet.forms.findings import find_finding, find_kind
from eyenet.forms.visit import SIDES
from eyenet.model.disclaimers import INTENDED_USE, NOT_A_DEVICE, NOT_COVERED, SYNTHETIC_MODEL
from eyenet.run.files import plain

FORMAT, VERSION = "EyeNet answer", 1


def write_record(visit):
    """Write the answer of a visit.

    Parameters
    ----------
    visit : eyenet.forms.visit.Visit

    Returns
    -------
    str
        JSON.
    """
    record = {
        "format": FORMAT,
        "version": VERSION,
        "notice": f"{NOT_A_DEVICE} {INTENDED_USE}",
        "not_covered": NOT_COVERED,
        **({"demonstration": SYNTHETIC_MODEL} if visit.synthetic else {}),
        "visit": visit.key,
        "anonymous": visit.anonymous,
        "patient": {name: value for name, value in visit.patient._asdict().items() if value is not None},
        **({"taken": visit.taken} if visit.taken else {}),
        "received": visit.received,
        "answered": visit.answered,
        "answer": _answer(visit),
        "eyes": {eye: _eye(visit, eye) for eye in SIDES},
        "decision": visit.decision and visit.decision | {"advice": visit.advice},
        **({"earlier_decision": visit.earlier | {"advice": "refer"}} if visit.earlier else {}),
        "network": visit.model,
    }
    return json.dumps(_plain(record), indent=1, ensure_ascii=False) + "\n"


def _answer(visit):
    told = {name: visit.answer[name] for name in ("questions", "grade", "decided_by") if name in visit.answer}
    known = {"kind": find_kind(visit), "result": visit.answer["result"], "refers": visit.refers}
    return known | {"reasons": visit.reasons + visit.doubts} | told


def _eye(visit, eye):
    finding, on_poor = find_finding(visit, eye)
    photographs = [one.row | {"file": one.name} | {"dicom": one.source} for one in visit.eye(eye)]
    shown = (
        "file",
        "dicom",
        "result",
        "gradable",
        "reasons",
        "quality",
        "field",
        "questions",
        "expected_grade",
        "grade",
    )
    rows = [{name: row[name] for name in shown if row.get(name) not in (None, {})} for row in photographs]
    return {"finding": finding, "only_on_poor_photographs": on_poor, "photographs": rows}


def _plain(value):
    """Replace the unprintable characters of all texts."""
    if isinstance(value, dict):
        return {plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return plain(value) if isinstance(value, str) else value
