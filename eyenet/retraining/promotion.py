"""Which model is in use: two are compared on the same patients, and what was decided stands in models/history.csv.

Everything is done in an order that can be stopped anywhere: the decision is written before anything is moved, and
`models/latest` moves last and in one step, so that it always names a whole model.
"""

import csv
import datetime
import os
from pathlib import Path

from eyenet.data.tasks import LEAST_GRADE, QUESTIONS, TASKS, disease_probability, first_disease
from eyenet.model.folder import link_latest, open_model
from eyenet.run.errors import StageError
from eyenet.run.files import write_rows
from eyenet.score.bootstrap import bootstrap
from eyenet.score.metrics import roc_auc

PROMOTED, REFUSED, ROLLED_BACK = "promoted", "refused", "rolled back"
CANDIDATES = "candidates"  # in the folder of the models: those that are not in use, or not yet
FIGURES = [f"{question}_{part}" for question in QUESTIONS for part in ("old", "new", "difference", "low", "high")]
COLUMNS = (
    *("date", "action", "old", "new", "batch", "accepted", "rejected", "test", "patients", "photographs", "margin"),
    *(*FIGURES, "why"),
)


def compare(old, new, table, task, draws=2000):
    """Compare two networks on the same photographs by the AUC of each question, with a paired bootstrap over patients.

    Parameters
    ----------
    old, new : ndarray of float, shape (n, classes)
        What the networks say of the photographs.
    table : DataFrame
        patient and level of the photographs.
    task : str
    draws : int

    Returns
    -------
    dict of str to dict
        By question: `old` and `new`, the AUCs; `difference`, new less old, and `low` and `high`, the ends of its 95 %
        interval; None where the patients are too few to tell.
    """
    compared = {}
    for question in TASKS[task].questions:
        truth, first = (table["level"] >= LEAST_GRADE[question]).to_numpy(), first_disease(task, question)
        scores = [disease_probability(p, first) for p in (old, new)]

        def statistics(weights, truth=truth, scores=scores):
            before, after = (roc_auc(truth, score, weights) for score in scores)
            return {"old": before, "new": after, "difference": after - before}

        found = bootstrap(statistics, table["patient"].to_numpy(), draws)
        ends = {end: found["difference"][end] for end in ("low", "high")}
        if found["difference"]["value"] == 0 and found["old"]["low"] is not None:  # then no draw may differ
            ends = {end: ends[end] or 0.0 for end in ends}
        compared[question] = {name: found[name]["value"] for name in found} | ends
    return compared


def decide(compared, margin):
    """Decide whether the new model is promoted: in no question may it be worse by more than the margin [1]_.

    Parameters
    ----------
    compared : dict
        As `compare` gives it.
    margin : float
        Of the AUC.

    Returns
    -------
    action : {"promoted", "refused"}
    why : str

    References
    ----------
    .. [1] G. Piaggio et al., "Reporting of noninferiority and equivalence randomized trials: extension of the CONSORT
       2010 statement", JAMA, 2012: the interval of the difference must lie above the margin as a whole.
    """
    reasons, action = [], PROMOTED
    for question, found in compared.items():
        name = QUESTIONS[question].split(" (")[0]
        if found["low"] is None:
            action = REFUSED
            reasons.append(f"{name}: the test patients are too few to tell")
            continue
        fine = found["low"] > -margin
        action = action if fine else REFUSED
        reasons.append(
            f"{name}: AUC {found['old']:.3f} -> {found['new']:.3f}, difference {found['difference']:+.3f} "
            f"({found['low']:+.3f} to {found['high']:+.3f}), {'above' if fine else 'not above'} -{margin:g}"
        )
    return action, "; ".join(reasons)


def read_history(models):
    """Read models/history.csv; a list of dicts, none where there is no such table yet."""
    path = Path(models) / "history.csv"
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if any(row.keys() != set(COLUMNS) for row in rows):
        raise StageError(f"{path} is damaged: its columns are not {', '.join(COLUMNS)}; correct it, or move it away")
    return rows


def add_history(models, **row):
    """Add a row to models/history.csv, whole or not at all."""
    rows = [*read_history(models), {"date": datetime.datetime.now().isoformat(timespec="seconds")} | row]
    write_rows(Path(models) / "history.csv", COLUMNS, [[r.get(column, "") for column in COLUMNS] for r in rows])


def flat(compared):
    """Flatten what `compare` gives to columns of the history."""
    figures = {f"{q}_{part}": value for q, found in compared.items() for part, value in found.items()}
    return {name: "" if value is None else f"{value:.4f}" for name, value in figures.items()}


def current_model(models):
    """Find the folder of the model that is in use.

    Raises
    ------
    StageError
        If `latest` names none.
    """
    latest = Path(models) / "latest"
    if not latest.is_symlink():
        raise StageError(f"{latest} is no link to a model; train one with cnn.py first")
    folder = Path(models) / os.readlink(latest)
    open_model(folder)
    return folder


def settle(models):
    """Put into effect what the last row of the history decided, if that is not done yet.

    `latest` is left alone if it names neither of the two models: somebody has trained another since.
    """
    models, history = Path(models), read_history(models)
    if not history or history[-1]["action"] == REFUSED:
        return
    old, new = history[-1]["old"], history[-1]["new"]
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
        If the model is not whole, or `latest` cannot be a link to it.
    """
    open_model(folder)
    try:
        link_latest(folder)
    except OSError as error:
        raise StageError(
            f"{folder.parent / 'latest'} could not be pointed to {folder.name} ({error.strerror})"
        ) from None


def roll_back(models):
    """Go back to the model that the one in use was promoted over; return the names of both, the new one first.

    Raises
    ------
    StageError
        If the model in use was not promoted over another, or that one is not whole any more.
    """
    now, history = current_model(models).name, read_history(models)
    over = [row["old"] for row in history if (row["action"], row["new"]) == (PROMOTED, now)]
    if not over:
        raise StageError(f"{now}, the model in use, was not promoted over another; there is nothing to go back to")
    open_model(Path(models) / over[-1])
    add_history(models, action=ROLLED_BACK, old=now, new=over[-1], why="--rollback")
    settle(models)
    return over[-1], now
