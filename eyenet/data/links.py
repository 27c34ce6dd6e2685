"""Copies of photographs under other names: what contradicts them, and the patients who share a split because of them.

Published sets hold photographs twice, some with two grades. Patients whose photographs are copies of each other are
linked. They are not taken for one person, since it is unknown which of the names is right, but linked patients are in
one split, which is that of one of them, the decider.

A split computed from the members would change when one joins, so the table of the run before fixes who decides.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from eyenet.data.duplicates import find_pairs
from eyenet.data.names import JOINT, canonical, split_of
from eyenet.data.tables import patient_known, read_table, write_table
from eyenet.photo.png import Crops
from eyenet.run.errors import StageError, log, plural

DECIDER = "split_as"  # column of the table of photographs: the patient whose hash gives the split
PARTS = ("patient", "eye", "level")
COLUMNS = ["image", "copy", "similarity", *PARTS, *(f"copy_{part}" for part in PARTS), "contradiction"]
GRADES, EYES, PATIENTS = "two grades", "both eyes of a patient", "two patients"
WRONG = (GRADES, EYES)  # one of the labels is wrong; copies under two patients can have the same, right one


def group(members, links):
    """Number the groups of members that are linked directly or through others.

    Parameters
    ----------
    members : sequence of str
        Without repetition.
    links : iterable of (str, str)

    Returns
    -------
    ndarray of int, shape (members,)
    """
    place = {member: i for i, member in enumerate(members)}
    pairs = np.array([(place[a], place[b]) for a, b in links], int).reshape(-1, 2)
    graph = sparse.coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(members),) * 2)
    return sparse.csgraph.connected_components(graph, directed=False)[1]


def list_copies(table, pairs):
    """Make the table of copies.csv.

    Parameters
    ----------
    table : DataFrame
        Columns image, patient, eye, level, and perhaps patient_known.
    pairs : list of (int, int, float)
        Rows that are the same photograph, and their similarity.

    Returns
    -------
    DataFrame
        Columns as in `COLUMNS`, one row per pair; `contradiction` joins what the names of the pair contradict.
    """
    records, known, rows = table.to_dict("records"), patient_known(table), []
    for i, j, similarity in pairs:
        one, other = records[i], records[j]
        patients = canonical(one["patient"]) != canonical(other["patient"])
        eyes = not patients and "" not in (one["eye"], other["eye"]) and one["eye"] != other["eye"]
        grades = one["level"] != other["level"] and one.get("question") == other.get("question")  # of the same kind
        found = {GRADES: grades, EYES: eyes, PATIENTS: patients and known[i] and known[j]}
        told = "; ".join(what for what, true in found.items() if true)
        parts = [record[part] for record in (one, other) for part in PARTS]
        rows.append([one["image"], other["image"], f"{similarity:.2f}", *parts, told])
    return pd.DataFrame(rows, columns=COLUMNS)


def contradictory(copies):
    """List the images whose copies, or copies of copies, show that a grade or an eye is wrong; dict to the reason."""
    images = sorted({*copies["image"], *copies["copy"]})
    groups = dict(zip(images, group(images, zip(copies["image"], copies["copy"]))))
    why = {}
    for row in copies.itertuples():
        for what in WRONG:
            if what in row.contradiction.split("; "):
                why.setdefault(groups[row.image], f"{what}: {row.image} and {row.copy} are one photograph")
    return {image: why[groups[image]] for image in images if groups[image] in why}


def decide(patients, links, known):
    """Choose for each patient the one whose hash gives the split.

    Parameters
    ----------
    patients : iterable of str
    links : iterable of (str, str)
        Pairs of patients who share a photograph.
    known : dict of str to str
        Deciders of patients in an earlier run, as from `read_deciders`. They decide in a group, so that newcomers join
        them; of several, and in a group of newcomers only, the first in the order of text. Newcomers of the first of
        several sets come before those of others.

    Returns
    -------
    dict of str to str
        Canonical patients to canonical deciders.
    """
    patients = sorted({canonical(patient) for patient in patients}, key=lambda patient: (JOINT in patient, patient))
    numbers = group(patients, ((canonical(a), canonical(b)) for a, b in links))
    old, new = {}, {}
    for patient, number in zip(patients, numbers):
        new.setdefault(number, patient)
        if patient in known:
            old[number] = min(known[patient], old.get(number, known[patient]))
    first = new | old
    return {patient: first[number] for patient, number in zip(patients, numbers)}


def read_deciders(path):
    """Read who decided the split of each patient in an earlier run; an empty dict if there is no such table."""
    if not Path(path).is_file():
        return {}
    try:
        table = read_table(path, ["patient", "split"], None)
    except StageError:  # not of this script
        return {}
    deciders = table[DECIDER if DECIDER in table else "patient"]
    return dict(zip(table["patient"].map(canonical), deciders.map(canonical)))


def find_copies(table, folder, search=True):
    """Find the photographs that are there twice, write copies.csv and report their number; return them."""
    if not search:
        (folder / "copies.csv").unlink(missing_ok=True)
        return list_copies(table, [])
    copies = list_copies(table, find_pairs(Crops(folder, table["image"])))
    write_table(folder / "copies.csv", copies)
    if len(copies):
        found = {what: copies["contradiction"].str.contains(what).sum() for what in (GRADES, EYES, PATIENTS)}
        told = ", ".join(f"{count:,} with {what}" for what, count in found.items() if count)
        count = len({*copies["image"], *copies["copy"]})
        log(
            f"note: {count:,} of {len(table):,} photographs are copies of each other: {plural(len(copies), 'pair')}"
            f"{told and f', {told}'} ({folder}/copies.csv)"
        )
    return copies


def drop_contradictory(copies, folder):
    """Remove the photographs with a wrong grade or eye from the output; list of (name, reason)."""
    why = contradictory(copies)
    for image in why:
        (folder / f"{image}.png").unlink(missing_ok=True)
    return [(image, f"copies contradict each other: {reason}") for image, reason in why.items()]


def split_patients(table, copies, known, split):
    """Add the split of each photograph's patient to the table, and the patient who decides it if that is another one.

    Parameters
    ----------
    table, copies : DataFrame
    known : dict of str to str
        As from `read_deciders`.
    split : dict
        Options of `split_of`.
    """
    linked = copies[copies["patient"].map(canonical) != copies["copy_patient"].map(canonical)]
    everyone = {*table["patient"], *linked["patient"], *linked["copy_patient"]}
    decider = decide(everyone, zip(linked["patient"], linked["copy_patient"]), known)
    by = [decider[canonical(patient)] for patient in table["patient"]]
    table["split"] = [split_of(patient, **split) for patient in by]
    moved = sorted(p for p in known.keys() & decider if split_of(known[p], **split) != split_of(decider[p], **split))
    if moved:
        log(
            f"warning: shared photographs moved {plural(len(moved), 'patient')} of the old table to another split: "
            f"{', '.join(moved[:8])}{' ...' if len(moved) > 8 else ''}"
        )
    joined = table["patient"][[p != canonical(own) for p, own in zip(by, table["patient"])]].nunique()
    if joined:
        table[DECIDER] = by
        follow = plural(joined, "patient follows", "patients follow")
        log(f"note: {follow} the split of a patient with the same photograph (column {DECIDER})")
