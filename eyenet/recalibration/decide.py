"""The decision of a recalibrated model: chosen on the set as far as its labels allow, otherwise the parent's."""

from eyenet.data.tables import patient_known
from eyenet.data.tasks import QUESTIONS
from eyenet.model.decision import choose_decision
from eyenet.model.unsure import drop_limits
from eyenet.recalibration.crossfit import why_unsupported
from eyenet.recalibration.enough import EACH, has_all_grades
from eyenet.run.errors import StageError


def decide(table, probabilities, config, questions, point):
    """Choose the decision on the whole set.

    Parameters
    ----------
    table : DataFrame
        patient and level of the photographs.
    probabilities : ndarray of float, shape (n, classes)
    config : dict
        config.json of the parent.
    questions : sequence of str
        Those that the labels answer.
    point : str
        The operating point of the new model.

    Returns
    -------
    decision : dict
        As in config.json.
    chosen : list of str
        The parts of it that were chosen on this set: questions, and ``grade`` for the cuts between the grades.
    decided : list of str
        Where each part was chosen, in words.

    Raises
    ------
    StageError
        If the new model would not have its operating point for every question.
    """
    patients, levels = table["patient"].to_numpy(), table["level"].to_numpy()
    here, parent = choose_decision(patients, levels, probabilities, config["task"]), config["decision"]
    if not patient_known(table).all():
        drop_limits(here)
    chosen, graded, decided = list(questions), len(questions) == 2, []
    if "grade" in parent and graded and has_all_grades(patients, levels):
        chosen.append("grade")
    decision = {part: (here if part in chosen else parent)[part] for part in parent}
    for question in (part for part in parent if part in QUESTIONS):
        is_here = question in chosen
        if point not in decision[question]["eye"]["operating_points"]:
            raise StageError(why_unsupported(question, point) if is_here else why_lacking(question, point))
        decided.append(
            f"{QUESTIONS[question]}: calibration and thresholds "
            + ("chosen on this set" if is_here else "of the parent, since the labels do not include this disease")
        )
    if "grade" in parent:
        why = f"there are not {EACH} patients of each grade" if graded else "the labels are not grades"
        where = "chosen on this set" if "grade" in chosen else f"of the parent, since {why}"
        decided.append(f"cuts between the grades: {where}")
    return decision, chosen, decided


def why_lacking(question, point):
    """Say why the parent's decision, which a set with binary labels leaves, does not have the operating point."""
    return (
        f"the labels do not include {QUESTIONS[question]}, and for it the parent has no operating point "
        f"{point.replace('_', ' ')}; choose another --sensitivity, or give grades"
    )


def notes_of(questions, point):
    """Say for which questions the parent's decision is better; list of str, for recalibration.json and the card."""
    kind, _, aim = point.rpartition("_")
    notes = []
    for asked in questions.values():
        before, after = asked["before"]["photograph"], asked["after"]["photograph"]
        if kind != "sensitivity" or before["sensitivity"]["low"] < float(aim):
            continue
        if before["specificity"]["value"] > after["specificity"]["value"]:
            notes.append(
                f"{asked['disease']}: on this set the parent reaches a sensitivity of {aim} already (lower limit "
                f"{before['sensitivity']['low']:.3f}), and its specificity is higher; consider keeping the parent"
            )
    return notes
