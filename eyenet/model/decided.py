"""What holds for a patient: the answer, and what a person decided on it. Used by the station and the forms."""

from eyenet.model.answers import CALLED, UNGRADABLE, UNSURE

REFERRING = frozenset({*CALLED.values(), UNGRADABLE})  # results that refer


def refers(answer):
    """Tell whether an answer, a row of predict.py, refers the patient."""
    return answer.get("result") in REFERRING


def is_unsure(answer):
    """Tell whether an answer, a row of predict.py, is left to a grader: neither a referral nor negative."""
    return answer.get("result") == UNSURE


def is_to_be_referred(answer, decision):
    """Tell whether a patient is to be referred, by an answer and what a person decided on it; None: not decided yet.

    What the person said counts. An unsure answer says nothing before that. Any other answer that is overruled without
    saying it says the opposite, since the person found what the network missed, or found nothing.

    Parameters
    ----------
    answer : dict
        A row of predict.py.
    decision : dict or None
        `accepted`, and `refer` if the person said it.
    """
    decision = decision or {}
    if is_unsure(answer) or decision.get("refer") is not None:
        return decision.get("refer")
    return refers(answer) != (decision.get("accepted") is False)
