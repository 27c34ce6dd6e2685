"""What holds for a patient: the answer, and what a person decided on it. Used by the station and the forms."""

from eyenet.model.answers import CALLED, UNGRADABLE, UNSURE

REFERRING = frozenset({*CALLED.values(), UNGRADABLE})  # results that refer


def refers(answer):
    """Tell whether an answer, a row of predict.py, refers the patient."""
    return answer.get("result") in REFERRING


def needs_grader(answer):
    """Tell whether an answer, a row of predict.py, is left to a grader: neither a referral nor negative."""
    return answer.get("result") == UNSURE


def is_to_be_referred(answer, decision):
    """Return whether a patient must be referred, by an answer and the decision on it; None while this is open.

    The call of the person counts. Without one, an unsure answer leaves it open, and an overruled answer counts as its
    opposite: the person found what the network missed, or found nothing.

    Parameters
    ----------
    answer : dict
        A row of predict.py.
    decision : dict or None
        `accepted`, and `refer` if the person said it.
    """
    decision = decision or {}
    if needs_grader(answer) or decision.get("refer") is not None:
        return decision.get("refer")
    return refers(answer) != (decision.get("accepted") is False)
