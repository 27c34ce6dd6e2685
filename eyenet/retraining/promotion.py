"""Compare two models on the same patients, record the decision in models/history.csv, and promote or roll back.

Safe to interrupt: the decision is written before anything is moved, and the link `models/latest` changes last and
atomically, so it always points to a complete model.
"""

import csv
import datetime
import os
from pathlib import Path

import numpy as np

from eyenet.data.tasks import LEAST_GRADE, QUESTIONS, TASKS, disease_probability, first_disease
from eyenet.model.folder import name_latest, open_model
from eyenet.run.errors import StageError
from eyenet.run.files import LATEST, follow, from_cell, write_rows
from eyenet.score.bootstrap import bootstrap, count_pairs
from eyenet.score.metrics import roc_auc

PROMOTED, REFUSED, ROLLED_BACK = "promoted", "refused", "rolled back"
CANDIDATES = "candidates"  # subfolder of models/ for new models until they are promoted
FIGURES = [f"{question}_{part}" for question in QUESTIONS for part in ("old", "new", "difference", "low", "high")]
COLUMNS = (
    *("date", "action", "old", "new", "batch", "accepted", "rejected", "test", "patients", "photographs", "margin"),
    *(*FIGURES, "why"),
)


def compare(old, new, table, task, draws=2000):
    """Compare the AUCs of two networks on the same photographs by a paired bootstrap over patients.

    Parameters
    ----------
    old, new : ndarray of float, shape (n, classes)
        Predicted probabilities.
    table : DataFrame
        patient and level of each photograph.
    task : str
    draws : int
        Bootstrap samples.

    Returns
    -------
    dict of str to dict
        For each question: `old` and `new`, the AUCs; `difference`, new minus old; `low` and `high`, its 95 % interval,
        None where there are too few patients.
    """
    compared = {}
    for question in TASKS[task].questions:
        truth, first = (table["level"] >= LEAST_GRADE[question]).to_numpy(), first_disease(task, question)
        scores = [disease_probability(p, first) for p in (old, new)]

        def statistics(weights, truth=truth, scores=scores):
            before, after = (roc_auc(truth, score, weights) for score in scores)
            return {"old": before, "new": after, "difference": after - before}

        patients = table["patient"].to_numpy()
        pairs = count_pairs(patients, truth, ~truth)
        found = bootstrap(statistics, patients, draws, trials={"old": pairs, "new": pairs})
        ends = {end: found["difference"][end] for end in ("low", "high")}
        if ends["low"] is None and found["old"]["low"] is not None:  # every draw has the same difference
            same = np.array_equal(*scores)
            ends = {end: 0.0 if same else found["new"][end] - found["old"]["value"] for end in ends}
        compared[question] = {name: found[name]["value"] for name in found} | ends
    return compared


def decide(compared, margin):
    """Promote the new model if it is non-inferior in every question [1]_.

    Parameters
    ----------
    compared : dict
        Result of `compare`.
    margin : float
        Non-inferiority margin of the AUC.

    Returns
    -------
    action : {"promoted", "refused"}
    why : str

    References
    ----------
    .. [1] G. Piaggio et al., "Reporting of noninferiority and equivalence randomized trials: extension of the CONSORT
       2010 statement", JAMA, 2012: the whole interval of the difference must lie above -margin.
    """
    reasons, action = [], PROMOTED
    for question, found in compared.items():
        name = QUESTIONS[question].split(" (")[0]
        if found["low"] is None:
            action = REFUSED
            reasons.append(f"{name}: too few test patients to tell")
            continue
        passed = found["low"] > -margin
        action = action if passed else REFUSED
        reasons.append(
            f"{name}: AUC {found['old']:.3f} -> {found['new']:.3f}, difference {found['difference']:+.3f} "
            f"({found['low']:+.3f} to {found['high']:+.3f}), {'above' if passed else 'not above'} -{margin:g}"
        )
    return action, "; ".join(reasons)


def read_decisions(models):
    """Read models/history.csv; a list of dicts, empty if the table does not exist yet."""
    path = Path(models) / "history.csv"
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if any(row.keys() != set(COLUMNS) for row in rows):
        raise StageError(f"{path} is damaged: its columns are not {', '.join(COLUMNS)}; repair it, or move it away")
    return [{column: from_cell(row[column] or "") for column in row} for row in rows]


def add_decision(models, **row):
    """Append a row to models/history.csv, atomically."""
    rows = [*read_decisions(models), {"date": datetime.datetime.now().isoformat(timespec="seconds")} | row]
    write_rows(Path(models) / "history.csv", COLUMNS, [[r.get(column, "") for column in COLUMNS] for r in rows])


def figure_columns(compared):
    """Convert the result of `compare` to columns of models/history.csv."""
    figures = {f"{q}_{part}": value for q, found in compared.items() for part, value in found.items()}
    return {name: "" if value is None else f"{value:.4f}" for name, value in figures.items()}


def current_model(models):
    """Find the folder of the model in use.

    Raises
    ------
    StageError
        If `latest` names no model, or one that is incomplete.
    """
    latest = Path(models) / LATEST
    folder = Path(models) / os.readlink(latest) if latest.is_symlink() else follow(latest)
    if folder == latest:
        raise StageError(f"{latest} does not name a model; train one with cnn.py first")
    open_model(folder)
    return folder


def settle(models):
    """Carry out the last promotion or rollback in models/history.csv, if that is not done yet.

    `latest` stays as it is unless it points to the old model: another model may have been trained since.
    """
    models, decisions = Path(models), read_decisions(models)
    if not decisions or decisions[-1]["action"] == REFUSED:
        return
    old, new = decisions[-1]["old"], decisions[-1]["new"]
    candidate = models / CANDIDATES / new
    if candidate.exists() and not (models / new).exists():
        os.replace(candidate, models / new)
    if current_model(models).name == old:
        use(models / new)


def use(folder):
    """Point `latest` to a model.

    Raises
    ------
    StageError
        If the model is incomplete, or the link cannot be made.
    """
    open_model(folder)
    try:
        name_latest(folder)
    except OSError as error:
        raise StageError(f"cannot make {folder.parent / LATEST} name {folder.name} ({error.strerror})") from None


def roll_back(models):
    """Return to the model that the one in use replaced; return the names of the restored and the replaced model.

    Raises
    ------
    StageError
        If the model in use replaced none, or that one is incomplete.
    """
    current, decisions = current_model(models).name, read_decisions(models)
    previous = [row["old"] for row in decisions if (row["action"], row["new"]) == (PROMOTED, current)]
    if not previous:
        raise StageError(f"{current}, the model in use, was not promoted over another; there is nothing to go back to")
    open_model(Path(models) / previous[-1])
    add_decision(models, action=ROLLED_BACK, old=current, new=previous[-1], why="--rollback")
    settle(models)
    return previous[-1], current
