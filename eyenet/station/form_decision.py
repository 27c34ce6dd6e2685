"""A person's decision to refer that a further photograph of the visit does not cancel."""

from eyenet.station.opening import one_sentence
from eyenet.station.reading import list_decided
from eyenet.station.referrals import is_to_be_referred

SEEN = (
    "SELECT 1 FROM entries WHERE kind = 'referral' AND patient = ? AND id > ? "
    "AND json_extract(body, '$.state') = 'seen'"
)


def find_earlier(register, answer):
    """Find the newest decision on the answers of a visit, if the patient must still be referred by it.

    Parameters
    ----------
    register : eyenet.station.register.Register
    answer : eyenet.station.reading.Answer
        The newest one of the visit, without a decision.

    Returns
    -------
    dict or None
        `recorded`, `by` and `why`.
    """
    hashed = register.visit_key(answer.patient, answer.visit)
    with one_sentence(register.path):
        decided = [one for visit, one in list_decided(register.connection, answer.patient) if visit == hashed]
        last = decided[-1] if decided else None
        if last is None or register.connection.execute(SEEN, (answer.patient, last.decision["id"])).fetchone():
            return None
    told = {name: last.decision.get(name) for name in ("recorded", "by", "why")}
    return told if is_to_be_referred(last) else None
