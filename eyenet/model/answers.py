"""What is answered: a photograph by its probabilities, and a patient by all of its photographs.

A poor photograph is one that the quality gate rejects. The network is asked about it all the same, since severe disease
itself can blur or darken a photograph: it may refer, and it never counts as negative.
"""

AGAIN = "photograph again"
RETAKE = "photograph again if possible"  # a poor photograph that refers
UNGRADABLE = "refer: not gradable"  # a patient with an eye of ATTEMPTS poor photographs and no gradable one
ATTEMPTS = 2  # poor photographs of an eye, after which it is not photographed again but referred
SPENT = "second poor photograph"
CALLED = {"any": "DR", "referable": "referable DR"}
UNDECIDED = {"probability": None, "threshold": None, "disease": None}


def call(probability, threshold):
    """Compare a probability with the threshold of a question."""
    disease = probability >= threshold
    return {"probability": round(probability, 6), "threshold": round(threshold, 6), "disease": disease}


def only_disease(answers):
    """Keep the answers that tell disease, and leave the others undecided: what a poor photograph may say."""
    return {question: answer if answer["disease"] else dict(UNDECIDED) for question, answer in answers.items()}


def any_disease(answers):
    """Tell whether a question is answered with disease."""
    return any(answer["disease"] for answer in answers.values())


def summarise(answers):
    """Summarise the answers to all questions in a few words; `disease` is None where it is undecided."""
    called = {question: answer["disease"] for question, answer in answers.items()}
    worst = next((CALLED[question] for question in reversed(called) if called[question]), None)
    if worst == "DR" and called.get("referable") is False:
        return "DR, not referable"
    if worst is None and None in called.values():
        return AGAIN
    return worst or ("no DR" if "any" in called else "not referable")


def consistent_grade(grade, answers):
    """Limit a grade to what the answers say: 0 for no DR, 1 for DR that is not referable, otherwise 2 to 4."""
    if answers.get("referable", {}).get("disease"):
        return max(grade, 2)
    return int(answers["any"]["disease"])


def is_gradable(row):
    """Tell whether a photograph was graded and may count as negative."""
    return "questions" in row and row.get("gradable", True)


def join_eyes(eyes, thresholds):
    """Combine the photographs of a patient into one row.

    A patient has the probability of the worst photograph, so is referred if either eye is, also by a poor photograph.
    If an eye has no gradable photograph, nothing rules out disease: a patient who is not referred must be photographed
    again, and is referred as not gradable after the second poor photograph of an eye. A gradable photograph with
    reasons to doubt whose it is must be taken again too.

    Parameters
    ----------
    eyes : dict of str to list of dict
        'left' and 'right' to rows from `eyenet.model.screener.Screener.look`.
    thresholds : dict of str to float
        Of each question, the least severe first.

    Returns
    -------
    dict
        `result`, `reasons` and `questions`. If the questions are answered, also `decided_by`, the name of the
        photograph that decided, and `grade` if all photographs that count have one.
    """
    good = {eye: [row for row in rows if is_gradable(row)] for eye, rows in eyes.items()}
    rows = [row for own in eyes.values() for row in own if "questions" in row]
    doubts = dict.fromkeys(why for own in good.values() for row in own for why in row.get("reasons", ()))
    certain = not doubts and all(good.get(eye) for eye in ("left", "right"))
    answers = {}
    for question, threshold in thresholds.items():
        answers[question] = call(max((probability_of(row, question) for row in rows), default=0.0), threshold)
        if not (answers[question]["disease"] or certain):
            answers[question] = dict(UNDECIDED)
    missing = [f"{eye} eye: {_say_missing(eyes[eye])}" for eye in sorted(eyes) if not good[eye]]
    missing += [f"{eye} eye: no photograph" for eye in ("left", "right") if eye not in eyes]
    joined = {"result": summarise(answers), "reasons": [*missing, *doubts], "questions": answers}
    if joined["result"] != AGAIN:
        called = [question for question in answers if answers[question]["disease"]]
        decisive = [*answers, *called][-1]  # the most severe question that is answered with disease, if any
        joined["decided_by"] = max(rows, key=lambda row: probability_of(row, decisive)).get("photograph")
        if all("grade" in row for row in rows):
            joined["grade"] = consistent_grade(max(row["grade"] for row in rows), answers)
    elif any(is_spent(own) for own in eyes.values()):
        joined["result"] = UNGRADABLE
    return joined


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
