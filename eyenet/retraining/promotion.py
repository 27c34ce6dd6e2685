"""Compare two models on the same patients, record the decision in models/history.csv, and promote or roll back.

Safe to interrupt: the decision is written before anything is moved, and the link `models/latest` changes last and
atomically, so it always points to a complete model.
"""

import csv
import datetime
import math
import os
from pathlib import Path

from eyenet.data.tasks import LEAST_GRADE, QUESTIONS, TASKS, disease_probability, first_disease
from eyenet.model.folder import name_latest, open_model
from eyenet.run.errors import StageError, plural
from eyenet.run.files import LATEST, follow, from_cell, write_rows
from eyenet.score.difference import auc_difference, power

PROMOTED, REFUSED, ROLLED_BACK = "promoted", "refused", "rolled back"
CANDIDATES = "candidates"  # subfolder of models/ for new models until they are promoted
LEVEL = 0.96  # of the interval: 2 % of networks that are worse by the margin pass it, and in simulations at most 2.5 %
LEAST_PATIENTS = 100  # test patients; with fewer, more pass it (benchmarks/promotion.py)
PARTS = ("old", "new", "difference", "low", "high")
ADDED = ("least_patients", "first", *(f"{q}_{part}" for q in QUESTIONS for part in ("power", "first_low")))
COLUMNS = (
    *("date", "action", "old", "new", "batch", "accepted", "rejected", "test", "patients", "photographs", "margin"),
    *(f"{question}_{part}" for question in QUESTIONS for part in PARTS),
    "why",
    *ADDED,  # tables of older versions lack these
)


def require_patients(count, least):
    """Raise a StageError if the test patients are too few to compare two networks on them."""
    if count < least:
        raise StageError(
            f"{plural(count, 'test patient is', 'test patients are')} too few: with fewer than {least:,}, a worse "
            "network passes too often; collect more, or lower --least-patients, which history.csv records"
        )


def compare(old, new, table, task):
    """Compare the AUCs of two networks on the same photographs.

    Parameters
    ----------
    old, new : ndarray of float, shape (n, classes)
        Predicted probabilities.
    table : DataFrame
        patient and level of each photograph.
    task : str

    Returns
    -------
    dict of str to dict
        For each question, the result of `eyenet.score.difference.auc_difference`.
    """
    compared = {}
    for question in TASKS[task].questions:
        truth, first = (table["level"] >= LEAST_GRADE[question]).to_numpy(), first_disease(task, question)
        scores = [disease_probability(p, first) for p in (old, new)]
        compared[question] = auc_difference(truth, *scores, table["patient"].to_numpy(), LEVEL)
    return compared


def decide(compared, margin, first=None):
    """Promote the new model if it is non-inferior in every question [1]_, also to the first model of the chain.

    Each promotion may lose up to the margin. Compared with the first model too, all of them together lose no more.

    Parameters
    ----------
    compared : dict
        Result of `compare` with the model in use.
    margin : float
        Non-inferiority margin of the AUC.
    first : dict, optional
        Result of `compare` with the first model, if that is another one.

    Returns
    -------
    action : {"promoted", "refused"}
    why : str

    References
    ----------
    .. [1] G. Piaggio et al., "Reporting of noninferiority and equivalence randomized trials: extension of the CONSORT
       2010 statement", JAMA, 2012: the whole interval of the difference must lie above -margin.
    """
    reasons, passed = [], []
    for question, found in compared.items():
        name = QUESTIONS[question].split(" (")[0]
        passed.append(found["low"] > -margin)  # never for NaN
        reasons.append(f"{name}: {_in_words(found, margin)}")
        if not math.isnan(found["low"]):
            reasons[-1] += f"; an equal network would be promoted in {100 * power(found, margin):.0f} of 100 cases"
        if first:
            passed.append(first[question]["low"] > -margin)
            reasons[-1] += f"; compared with the first model: {_in_words(first[question], margin)}"
    return PROMOTED if all(passed) else REFUSED, "; ".join(reasons)


def _in_words(found, margin):
    if math.isnan(found["low"]):
        return "too few test patients to tell"
    above = "above" if found["low"] > -margin else "not above"
    return (
        f"AUC {found['old']:.3f} -> {found['new']:.3f}, difference {found['difference']:+.3f} "
        f"({found['low']:+.3f} to {found['high']:+.3f}), {above} -{margin:g}"
    )


def read_decisions(models):
    """Read models/history.csv; a list of dicts, empty if the table does not exist yet."""
    path = Path(models) / "history.csv"
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if any(row.keys() | set(ADDED) != set(COLUMNS) for row in rows):
        raise StageError(f"{path} is damaged: its columns are not {', '.join(COLUMNS)}; repair it, or move it away")
    return [{column: from_cell(row.get(column) or "") for column in COLUMNS} for row in rows]


def add_decision(models, **row):
    """Append a row to models/history.csv, atomically."""
    rows = [*read_decisions(models), {"date": datetime.datetime.now().isoformat(timespec="seconds")} | row]
    write_rows(Path(models) / "history.csv", COLUMNS, [[r.get(column, "") for column in COLUMNS] for r in rows])


def figure_columns(compared, margin, first=None):
    """Convert the results of `compare`, as `decide` takes them, to columns of models/history.csv."""
    figures = {f"{question}_{part}": found[part] for question, found in compared.items() for part in PARTS}
    figures |= {f"{question}_power": power(found, margin) for question, found in compared.items()}
    figures |= {f"{question}_first_low": found["low"] for question, found in (first or {}).items()}
    return {name: "" if math.isnan(value) else f"{value:.4f}" for name, value in figures.items()}


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


def first_model(models, current):
    """Find the folder of the model that the chain of promotions to the one in use began with.

    Raises
    ------
    StageError
        If it is missing.
    """
    name = current.name
    replaced = {row["new"]: row["old"] for row in read_decisions(models) if row["action"] == PROMOTED}
    while name in replaced:
        name = replaced.pop(name)
    folder = current.parent / name
    if not folder.is_dir():
        raise StageError(
            f"{folder} is missing; new models are compared with it too, the first of its chain; restore it"
        )
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
