"""Tasks and questions: how grades map to a network's classes, and from which grade on they count as disease."""

from typing import NamedTuple

import numpy as np

from eyenet.run.errors import StageError, log

GRADES = {0: "No DR", 1: "Mild", 2: "Moderate", 3: "Severe", 4: "Proliferative DR"}
QUESTIONS = {"any": "any DR (grade 1 or more)", "referable": "referable DR (grade 2 or more)"}
LEAST_GRADE = {"any": 1, "referable": 2}  # lowest grade that counts as disease


class Task(NamedTuple):
    """A task of `cnn.py --task`.

    `classes` names the network's outputs in order, `starts` gives the lowest grade of each, and `questions` lists what
    they can answer.
    """

    classes: tuple
    starts: tuple
    questions: tuple


TASKS = {
    "any": Task(("no DR", "DR"), (0, 1), ("any",)),
    "referable": Task(("not referable", "referable DR"), (0, 2), ("referable",)),
    "grade": Task(tuple(GRADES.values()), tuple(GRADES), ("any", "referable")),
}


def answerable(table, task):
    """List the questions of a task that all labels of a table can answer; a binary label answers one only.

    Parameters
    ----------
    table : DataFrame
        With the column `question` if it has binary labels.
    task : str

    Returns
    -------
    list of str
    """
    binary = sorted(set(table["question"]) - {""}) if "question" in table else []
    return [question for question in TASKS[task].questions if not binary or binary == [question]]


def require_answers(table, task, what, training=False):
    """Raise a StageError if the labels of a table answer no question of a task, or too few to train it.

    Parameters
    ----------
    table : DataFrame
    task : str
    what : object
        The table or folder, for the message.
    training : bool
    """
    answered = answerable(table, task)
    if answered == list(TASKS[task].questions) or (answered and not training):
        return
    told = sorted(set(table["question"]) - {""})
    fitting = [name for name in TASKS if list(TASKS[name].questions) == told]
    todo = f"use --task {fitting[0]}" if training else f"use a model for {QUESTIONS[told[0]]}"
    only = " or ".join(QUESTIONS[question] for question in told)
    todo = todo if fitting else "use one kind of label"
    raise StageError(f"{what} says only whether there is {only}, which is too little for the task {task}; {todo}")


def classes_of(levels, task):
    """Convert grades 0-4 to class indices of a task; int64, shape (n,)."""
    return np.searchsorted(TASKS[task].starts, np.asarray(levels), side="right").astype(np.int64) - 1


def first_disease(task, question):
    """Find the index of the first class of a task that counts as disease; all later ones do too."""
    return TASKS[task].starts.index(LEAST_GRADE[question])


def disease_probability(probabilities, first):
    """Sum the probabilities (n, classes) over the classes from `first` on; float64, shape (n,)."""
    return 1 - np.asarray(probabilities, np.float64)[:, :first].sum(axis=1)


def class_weights(labels):
    """Compute class weights with which every class contributes equally to the loss.

    Raises
    ------
    StageError
        If there is no training image, or only one class.
    """
    if not len(labels):
        raise StageError("the table has no training photograph; run preprocess_images.py with more patients")
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise StageError(
            f"the training images ({len(labels):,}) are all of one class; nothing can be learned from them"
        )
    return {int(c): len(labels) / (len(classes) * int(n)) for c, n in zip(classes, counts)}


def require_classes(labels, rows):
    """Check that a training can learn from its labels; log a note if validation does not have two classes.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    rows : dict of str to ndarray of int
        As `eyenet.data.array.rows_by_split` gives them.

    Raises
    ------
    StageError
        As `class_weights`, for the training images.
    """
    class_weights(labels[rows["train"]])
    if len(set(labels[rows["val"]])) < 2:
        log("note: the validation patients do not include both classes; their AUC is not defined")
