"""The patients on whom a model was trained."""

import hashlib
from pathlib import Path

from eyenet.data.names import FITTED, JOINT, canonical


def split_hash(table):
    """Hash the assignment of patients to splits: models with the same hash were tested on the same patients."""
    pairs = sorted(set(zip(table["patient"], table["split"])))
    return hashlib.sha256(repr(pairs).encode()).hexdigest()


def read_patients(folder):
    """Read the patients of each split of a model; DataFrame with patient, split, and patient_known if some are not."""
    from eyenet.data.tables import read_table  # imports pandas, which is slow and not needed by predict.py

    return read_table(Path(folder) / "patients.csv", ["patient", "split"], "cnn.py")


def known_patients(table, folder, splits=FITTED, one_set=False):
    """List the patients of a table on whom a model was trained, or its epoch and thresholds chosen.

    Photographs whose patients are unknown are compared by name, and only with others of that kind.

    Parameters
    ----------
    table : DataFrame
    folder : path-like
        Of the model.
    splits : sequence of str
        Splits of the model whose patients count.
    one_set : bool
        Whether the table is of one set, which may be any that the model was trained on, see `ids_in_sets`.

    Returns
    -------
    list of str
    """
    theirs = read_patients(folder)
    theirs = theirs[theirs["split"].isin(splits)]
    return shared_patients(table, ids_in_sets(theirs) if one_set else theirs)


def ids_in_sets(patients):
    """Add the patients of several sets with the IDs that they have in their set: `12` for `B~12`.

    In training, the patients of the second set and further ones have its name in front; in its own folder they do not.
    """
    import pandas as pd  # slow, and not needed by predict.py

    alone = patients.assign(patient=patients["patient"].str.rpartition(JOINT)[2])
    return pd.concat([patients, alone])


def shared_patients(table, theirs):
    """List the patients of a table who are in another one; list of str. See `known_patients`."""
    from eyenet.data.tables import patient_known

    found = set()
    ours, others = patient_known(table), patient_known(theirs)
    for kind in (True, False):
        before = set(theirs.loc[others == kind, "patient"].map(canonical))
        found |= {patient for patient in table.loc[ours == kind, "patient"] if canonical(patient) in before}
    return sorted(found)
