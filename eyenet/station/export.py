"""The CSV of a quality report: shares with their intervals, by network, day and camera. It names no patient."""

from itertools import product

import numpy as np

from eyenet.model.answers import AGAIN
from eyenet.model.decided import needs_grader, refers
from eyenet.run.files import plain, write_rows
from eyenet.score.intervals import share_with_interval
from eyenet.station.referrals import day_of

ALL, SEVERAL, UNKNOWN, NEVER = "all", "several", "unknown", "never"
GRADABLE, REFERRED, REPEATED = "photographs gradable", "visits referred", "visits to photograph again"
UNSURE, ALARM = "visits unsure", "shift alarm"
AGREED, CALLED = "decided answers accepted", "decided unsure answers to be referred"
NETWORK = ("name", "operating_point", "trained_on", "unsure", "version")  # of the network that graded
HEADER = ["figure", "network", "operating_point", "trained_on", "unsure", "version", "day", "camera"]
HEADER += ["count", "of", "patients", "value", "low", "high", "head"]


def write_report(path, photographs, answers, head, alarms=()):
    """Write the report.

    Each figure is given for all days and cameras, for each day, each camera, and each camera's days; networks are never
    mixed. Days are local. The intervals are those of `eyenet.score.intervals.share_with_interval`, over patients.

    Parameters
    ----------
    path : path-like
    photographs : list of eyenet.station.reading.Photograph
    answers : list of eyenet.station.reading.Answer
        The newest one of each visit.
    head : str
        Of the register; it is in every row.
    alarms : list of dict
        Shift alarms, a row each: the figure is the sentence, without a share.

    Returns
    -------
    int
        Number of rows.
    """
    groups, numbers = {}, {}
    for figure, key, hit, patient in [*_of_photographs(photographs), *_of_answers(photographs, answers)]:
        network, day, camera = key
        for shown in set(product((ALL, day), (ALL, camera))):
            hits, patients = groups.setdefault((figure, *network, *shown), ([], []))
            hits.append(hit)
            patients.append(numbers.setdefault(patient, len(numbers)))
    rows = [_row(key, np.array(hits), patients, head) for key, (hits, patients) in sorted(groups.items())]
    rows += [_row_of_alarm(alarm, head) for alarm in alarms]
    write_rows(path, HEADER, rows)
    return len(rows)


def _row(key, hits, patients, head):
    share = share_with_interval(hits, patients)
    figures = (f"{share[name]:.6f}" for name in ("value", "low", "high"))
    return [*map(plain, key), int(hits.sum()), len(hits), len(set(patients)), *figures, head]


def _row_of_alarm(alarm, head):
    network = _network({"name": alarm.get("network"), "operating_point": alarm.get("operating_point")})
    told = [f"{ALARM}: {alarm['sentence']}", *network, alarm["day"], alarm["camera"]]
    return [*map(plain, told), "", alarm["photographs"], alarm["patients"], "", "", "", head]


def _of_photographs(photographs):
    """Yield the figure, network, day and camera, whether it is a hit, and the patient of each photograph."""
    for one in photographs:
        if one.facts.get("gradable") is not None:
            key = _network(one.facts.get("graded_by") or {}), str(day_of(one.recorded)), _camera([one])
            yield GRADABLE, key, bool(one.facts["gradable"]), one.patient


def _of_answers(photographs, answers):
    """Yield the same for each visit: referred, to photograph again, unsure, and accepted where a person decided.

    An unsure answer can be neither accepted nor overruled; the share of those to be referred is given instead.
    """
    known = {one.id: one for one in photographs}
    for one in answers:
        key = _network(one.model), str(day_of(one.recorded)), _camera([known[i] for i in one.photographs])
        refer = refers(one.answer)
        yield REFERRED, key, refer, one.patient
        yield REPEATED, key, one.answer.get("result") == AGAIN, one.patient
        yield UNSURE, key, needs_grader(one.answer), one.patient
        if one.decision and needs_grader(one.answer):
            yield CALLED, key, one.decision["refer"], one.patient
        elif one.decision:
            yield AGREED, key, one.decision["accepted"], one.patient
            yield f"{AGREED}, {'referred' if refer else 'not referred'}", key, one.decision["accepted"], one.patient


def _network(model):
    told = tuple(str(model.get(name) or UNKNOWN) for name in NETWORK)
    return tuple(NEVER if name == "unsure" and not model.get(name) else text for name, text in zip(NETWORK, told))


def _camera(photographs):
    """Name the camera of some photographs; an unknown one by the size of its pictures."""
    cameras = {str(one.facts.get("camera") or _size(one.facts)) for one in photographs}
    if not cameras:  # no photograph could be read
        return UNKNOWN
    return cameras.pop() if len(cameras) == 1 else SEVERAL


def _size(facts):
    known = facts.get("width") and facts.get("height")
    return f"{UNKNOWN}, {facts['width']} x {facts['height']}" if known else UNKNOWN
