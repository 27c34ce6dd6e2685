"""What is answered: a photograph by its probabilities, and a patient by all of its photographs.

A poor photograph is one that the quality gate rejects. The network grades it anyway, since severe disease itself can
blur or darken a photograph: it may refer, and it never counts as negative.

"Unsure" is answered only where limits are given (`eyenet.model.unsure`).
"""

from eyenet.model.unsure import band

AGAIN = "photograph again"
RETAKE = "photograph again if possible"  # a poor photograph that refers
UNSURE = "unsure: a grader must look"  # only where it is asked for
UNGRADABLE = "refer: not gradable"  # a patient with an eye of ATTEMPTS poor photographs and no gradable one
ATTEMPTS = 2  # poor photographs of an eye, after which it is not photographed again but referred
SPENT = "second poor photograph"
OWN_GRADE = "the network's own grade, or none"  # the rule of consistent_grade, a part of Screener.rules
CALLED = {"any": "DR", "referable": "referable DR"}
UNDECIDED = {"probability": None, "threshold": None, "disease": None}


def call(probability, threshold, limits=None):
    """Compare a probability with the threshold of a question and, where `limits` are given, with these too.

    Parameters
    ----------
    probability, threshold : float
    limits : tuple of two floats, optional
        As from `eyenet.model.unsure.limits_at`.

    Returns
    -------
    dict
        `probability`, `threshold` and `disease`. With limits also `unsure` and its range, `low` to `high`; `disease` is
        None if it is unsure.
    """
    answer = {"probability": round(probability, 6), "threshold": round(threshold, 6)}
    if limits is None:
        return answer | {"disease": probability >= threshold}
    low, high = band(limits, threshold)
    unsure = low <= probability < high
    disease = None if unsure else probability >= threshold
    return answer | {"disease": disease, "unsure": unsure, "low": round(low, 6), "high": round(high, 6)}


def only_disease(answers):
    """Keep the answers at or above the threshold, and leave the others undecided: what a poor photograph may say."""
    return {question: answer if is_above(answer) else dict(UNDECIDED) for question, answer in answers.items()}


def is_above(answer):
    """Tell whether an answer is disease by its threshold alone, whether or not it is sure."""
    return answer["disease"] or (is_unsure(answer) and answer["probability"] >= answer["threshold"])


def without_limits(answers):
    """Answer again by the thresholds alone."""
    return {
        question: answer | {"disease": is_above(answer), "unsure": False} if is_unsure(answer) else answer
        for question, answer in answers.items()
    }


def is_unsure(answer):
    """Tell whether an answer is unsure; undecided ones, of which nothing is known, are not."""
    return answer.get("unsure", False)


def summarise(answers):
    """Summarise the answers to all questions in a few words; `disease` is None where it is undecided or unsure.

    Where it is sure that a patient must be referred, the summary says so. Otherwise the patient is unsure if the answer
    to any question is.
    """
    called = {question: answer["disease"] for question, answer in answers.items()}
    worst = next((CALLED[question] for question in reversed(called) if called[question]), None)
    if any(map(is_unsure, answers.values())) and not called[[*called][-1]]:
        return UNSURE
    if worst == "DR" and called.get("referable") is False:
        return "DR, not referable"
    if worst is None and None in called.values():
        return AGAIN
    return worst or ("no DR" if "any" in called else "not referable")


def consistent_grade(grade, answers):
    """Return the network's own grade if the answers allow it; None where no grade is shown.

    No DR allows grade 0, DR that is not referable 1, and referable DR 2 to 4. Thresholds and the cuts between grades
    are chosen apart, so an answer and a grade may differ: then the answer stands, and no other grade is put in its
    place. Answers that are undecided or unsure allow none, unless referable DR is sure.
    """
    if answers.get("referable", {}).get("disease"):
        return grade if grade >= 2 else None
    if any(answer["disease"] is None for answer in answers.values()):
        return None
    return grade if grade == int(answers["any"]["disease"]) else None


def is_gradable(row):
    """Tell whether a photograph was graded and may count as negative."""
    return "questions" in row and row.get("gradable", True)


def join_eyes(eyes, thresholds, limits=None):
    """Combine the photographs of a patient into one row.

    A patient has the probability of the worst photograph, so is referred if either eye is, also by a poor photograph.
    If an eye has no gradable photograph, nothing rules out disease: a patient who is not referred must be photographed
    again, and is referred as not gradable after the second poor photograph of an eye. A gradable photograph with
    reasons to doubt whose it is must be taken again too. A patient whose answer is unsure is so also if an eye is
    missing, since the fellow eye may refer, but rule nothing out.

    Parameters
    ----------
    eyes : dict of str to list of dict
        'left' and 'right' to rows from `eyenet.model.screener.Screener.look`.
    thresholds : dict of str to float
        Of each question, the least severe first.
    limits : dict of str to tuple, optional
        Of each question, where the answer may be unsure: as from `eyenet.model.unsure.limits_at`.

    Returns
    -------
    dict
        `result`, `reasons` and `questions`. If the questions are answered, also `decided_by`, the name of the
        photograph that decided, and `grade`, the largest one, if every answered photograph has one and the answers
        allow it. With `limits` also `by_threshold`, the result without them.
    """
    joined = _join(eyes, thresholds, limits or {})
    return joined | ({"by_threshold": _join(eyes, thresholds, {})["result"]} if limits else {})


def _join(eyes, thresholds, limits):
    good = {eye: [row for row in rows if is_gradable(row)] for eye, rows in eyes.items()}
    rows = [row for own in eyes.values() for row in own if "questions" in row]
    doubts = dict.fromkeys(why for own in good.values() for row in own for why in row.get("reasons", ()))
    certain = not doubts and all(good.get(eye) for eye in ("left", "right"))
    answers = {}
    for question, threshold in thresholds.items():
        worst = max((probability_of(row, question) for row in rows), default=0.0)
        answers[question] = call(worst, threshold, limits.get(question))
        if not (answers[question]["disease"] or is_unsure(answers[question]) or certain):
            answers[question] = dict(UNDECIDED)
    missing = [f"{eye} eye: {_say_missing(eyes[eye])}" for eye in sorted(eyes) if not good[eye]]
    missing += [f"{eye} eye: no photograph" for eye in ("left", "right") if eye not in eyes]
    joined = {"result": summarise(answers), "reasons": [*missing, *doubts], "questions": answers}
    if joined["result"] in (AGAIN, UNSURE) and any(is_spent(own) for own in eyes.values()):
        joined["result"] = UNGRADABLE
    elif joined["result"] != AGAIN:
        told = is_unsure if joined["result"] == UNSURE else is_above
        called = [question for question in answers if told(answers[question])]
        decisive = [*answers, *called][-1]  # the most severe question that is answered so, if any
        joined["decided_by"] = max(rows, key=lambda row: probability_of(row, decisive)).get("photograph")
        grade = largest_grade(rows)
        grade = None if grade is None else consistent_grade(grade, answers)
        joined |= {} if grade is None else {"grade": grade}
    return joined


def largest_grade(rows):
    """Find the largest grade of photographs; None unless all that were answered have one."""
    grades = [row.get("grade") for row in rows if row.get("questions")]
    return None if not grades or None in grades else max(grades)


def is_spent(rows):
    """Tell whether an eye has no gradable photograph after the last attempt; unread files are no attempts."""
    poor = [row for row in rows if row.get("gradable") is False]
    return len(poor) >= ATTEMPTS and not any(is_gradable(row) for row in rows)


def _say_missing(rows):
    """Say what is to be done about an eye without a gradable photograph."""
    if any("questions" in row for row in rows):
        return RETAKE
    return SPENT if is_spent(rows) else rows[-1].get("result", AGAIN)


def probability_of(row, question):
    """Return the probability with which a photograph answers a question; 0 where it is undecided."""
    return row["questions"][question]["probability"] or 0.0
