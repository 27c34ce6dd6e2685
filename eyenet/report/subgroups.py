"""Compute the figures of groups of photographs, and how each group differs from the rest of the set."""

import numpy as np
import pandas as pd

from eyenet.data.tables import patient_known
from eyenet.data.tasks import answerable
from eyenet.model.decision import predict_grade, thresholds_at
from eyenet.report.assessment import answer, is_binary, kappa_with_interval, shows_grade, worst
from eyenet.run.errors import log
from eyenet.score.not_retina import photograph_sizes
from eyenet.score.subgroups import LEAST, POWER, compare_group, compare_shares, holm
from eyenet.sets.groups import DEFAULT, group_photographs

BY_GATE = ("gradable", "quality")  # columns whose groups are made by the quality gate
FIGURES = ("sensitivity", "specificity", "auc")


def assess_subgroups(scored, config, columns, draws, seed):
    """Compute the figures of each group of some columns, and compare it with the rest of the set.

    Parameters
    ----------
    scored : eyenet.model.predictions.Scored
    config : dict
        config.json of the model.
    columns : sequence of str
        See `eyenet.sets.groups.group_photographs`. One whose photographs are all in one group is left out.
    draws, seed : int
        Of the bootstrap for kappa.

    Returns
    -------
    dict or None
        `subgroups` of metrics.json: `columns`, by column and group; the number of `comparisons`, for which their p
        values are corrected; `least_patients` and `power`, see `eyenet.score.subgroups`. None without any group.
    """
    sizes, found = photograph_sizes(scored.features), {}
    graded = config["task"] == "grade" and not is_binary(scored.table)
    answers = _answers(scored, config)
    predicted = predict_grade(scored.probabilities, config["decision"]["grade"]["cuts"]) if graded else None
    shown = shows_grade(scored, config, predicted) if graded else None
    levels, patients = scored.table["level"].to_numpy(), scored.table["patient"].to_numpy()
    for column in columns:
        groups = group_photographs(scored.table, column, sizes)
        if len(groups.categories) < 2:
            if column not in DEFAULT:
                log(f"note: --by {column}: all photographs are in one group, {groups.categories[0]!r}")
            continue
        found[column] = {}
        for name in groups.categories:
            inside = np.asarray(groups == name)
            part = _assess_group(scored.table, answers, inside, column in BY_GATE)
            if graded:
                rows = inside & shown
                part["kappa"] = kappa_with_interval(levels[rows], predicted[rows], patients[rows], draws, seed)
            found[column][name] = part
    if not found:
        return None
    return {"comparisons": _correct(found), "least_patients": LEAST, "power": POWER, "columns": found}


def _answers(scored, config):
    """Make a table of truth, probability and answer of the photographs for each question."""
    thresholds, made = thresholds_at(config), {}
    for question in answerable(scored.table, config["task"]):
        truth, _, probability = answer(scored, config, question)
        called = probability >= thresholds[question]
        made[question] = pd.DataFrame({"truth": truth, "probability": probability, "called": called})
    return made


def _assess_group(table, answers, inside, by_gate):
    """Compare one group with the rest, per photograph and, if patients are known, per patient."""
    known, poor = patient_known(table).all(), None
    if "gradable" in table:
        poor = table["gradable"].astype(int) == 0
    part = {
        "photographs": int(inside.sum()),
        "patients": int(table["patient"][inside].nunique()) if known else None,
        "ungradable": None,
        "questions": {},
    }
    for question, eyes in answers.items():
        units = _units(eyes, table, poor, inside, known)
        part["questions"][question] = {
            unit: rows
            and compare_group(*(rows[0][c].to_numpy() for c in ("truth", "called", "probability")), *rows[1:3])
            for unit, rows in units.items()
        }
    if poor is not None and not by_gate:
        units = _units(table[["level"]], table, poor, inside, known)
        part["ungradable"] = {
            unit: rows and compare_shares(np.asarray(rows[3], bool), rows[1], rows[2]) for unit, rows in units.items()
        }
    return part


def _units(eyes, table, poor, inside, known):
    """List rows, patients, group and `poor` of the photographs and, if they are `known`, of the patients."""
    return {
        "eye": (eyes, table["patient"], inside, poor),
        "patient": _worst_of_sides(eyes, table, poor, inside) if known else None,
    }


def _worst_of_sides(eyes, table, poor, inside):
    """Join the photographs of each patient in the group, and apart from them those in the rest, as `worst`."""
    sides = [worst(eyes[rows], table[rows], None if poor is None else poor[rows]) for rows in (inside, ~inside)]
    joined, patients, poor = zip(*sides)
    side = np.repeat([True, False], [len(one) for one in joined])
    return pd.concat(joined), np.concatenate(patients), side, None if poor[0] is None else np.concatenate(poor)


def differences(part):
    """List the places of the differences of a group; yield question (None for ungradable), unit, figure and figures."""
    for question, asked in part["questions"].items():
        for unit, found in asked.items():
            for name in FIGURES if found else ():
                yield question, unit, name, found[name]
    for unit, found in (part["ungradable"] or {}).items():
        if found:
            yield None, unit, "ungradable", found


def _correct(columns):
    """Add `p_corrected` to all differences; return their number. Two groups of a column are one comparison."""
    made, mirrored = [], []
    for groups in columns.values():
        found = [[figure["difference"] for *_, figure in differences(part)] for part in groups.values()]
        if len(found) == 2:
            mirrored += [pair for pair in zip(*found) if None not in pair]
            found = found[:1]
        made += [one for part in found for one in part if one]
    for one, corrected in zip(made, holm([one["p"] for one in made])):
        one["p_corrected"] = float(corrected)
    for one, other in mirrored:
        other["p_corrected"] = one["p_corrected"]
    return len(made)
