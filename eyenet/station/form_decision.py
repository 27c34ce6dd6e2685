"""A person's decision to refer that a further photograph of the visit does not cancel."""

import json

from eyenet.model.decided import is_to_be_referred
from eyenet.station.opening import one_sentence

NEWEST = (
    "SELECT d.recorded, d.body, i.body, a.body, d.id FROM entries d "
    "JOIN entries a ON a.id = json_extract(d.body, '$.answer') "
    "LEFT JOIN identities i ON i.entry = d.id WHERE d.kind = 'decision' AND d.patient = ? AND a.visit IS ? "
    "ORDER BY d.id DESC LIMIT 1"
)
SEEN = (
    "SELECT 1 FROM entries WHERE kind = 'referral' AND patient = ? AND id > ? "
    "AND json_extract(body, '$.state') = 'seen'"
)


def find_earlier(register, answer):
    """Find the newest decision on the answers of a visit, if by it the patient is still to be referred.

    Parameters
    ----------
    register : eyenet.station.register.Register
    answer : eyenet.station.reading.Answer
        The newest one of the visit, on which nobody has decided.

    Returns
    -------
    dict or None
        `recorded`, `by` and `why`.
    """
    hashed = register.visit_key(answer.patient, answer.visit)
    with one_sentence(register.path):
        found = register.connection.execute(NEWEST, (answer.patient, hashed)).fetchone()
        if found is None or register.connection.execute(SEEN, (answer.patient, found[4])).fetchone():
            return None
    recorded, decision, private, body = found[0], *(json.loads(text or "{}") for text in found[1:4])
    holds = is_to_be_referred(body["answer"], decision)
    return {"recorded": recorded, "by": decision.get("by"), "why": private.get("why")} if holds else None
