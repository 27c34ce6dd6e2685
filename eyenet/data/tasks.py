"""Tasks and questions: how grades map to a network's classes, and from which grade on they count as disease."""

from typing import NamedTuple

import numpy as np

from eyenet.run.errors import StageError

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
        raise StageError(f"all {len(labels)} training images are of one class; nothing can be learned from them")
    return {int(c): len(labels) / (len(classes) * int(n)) for c, n in zip(classes, counts)}
