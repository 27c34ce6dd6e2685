"""The patients on whom a model was trained."""

from pathlib import Path

from eyenet.data.names import FITTED, JOINT, canonical
from eyenet.run.files import sha256_text

OTHER_SOURCE = "other_source"  # column of patients.csv: 1 for patients of a recalibration whose IDs are a clinic's own


def split_hash(table):
    """Hash the assignment of patients to splits: models with the same hash were tested on the same patients."""
    pairs = sorted(set(zip(table["patient"], table["split"])))
    return sha256_text(repr(pairs))


def read_patients(folder):
    """Read the patients of each split of a model; DataFrame with patient, split, and patient_known if some are not."""
    from eyenet.data.tables import read_table  # imports pandas, which is slow and not needed by predict.py

    return read_table(Path(folder) / "patients.csv", ["patient", "split"], "cnn.py")


def known_patients(table, folder, splits=FITTED, one_set=False, other_sources=True):
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
    other_sources : bool
        Whether patients of a recalibration count whose IDs are not those of the network's source. They do not for a
        table of that source: there they are other people.

    Returns
    -------
    list of str
    """
    theirs = fitted_patients(folder, splits, other_sources)
    return shared_patients(table, ids_in_sets(theirs) if one_set else theirs)


def fitted_patients(folder, splits=FITTED, other_sources=True):
    """Read the patients of a model to whom `known_patients` compares."""
    theirs = read_patients(folder)
    if OTHER_SOURCE in theirs and not other_sources:
        theirs = theirs[theirs[OTHER_SOURCE].astype(str) != "1"]
    return theirs[theirs["split"].isin(splits)]


def list_patients(table, earlier=None):
    """List the patients of a training, with those of the model that it continues: the new network has seen them too.

    Parameters
    ----------
    table : DataFrame
        Of the array: patient, split, and patient_known if some are not.
    earlier : path-like, optional
        Folder of that model; none of its training patients may be for validation or test in the table.

    Returns
    -------
    DataFrame
        A row for each patient, sorted: patient, split, and patient_known if some are not.
    """
    import pandas as pd  # slow, and not needed by predict.py

    from eyenet.data.tables import patient_known

    tables = [table, fitted_patients(earlier, ("train",))] if earlier else [table]
    every = pd.concat([each.assign(patient_known=patient_known(each).astype(int)) for each in tables])
    every = every[["patient", "split", "patient_known"]].drop_duplicates().sort_values("patient")
    return every.drop(columns="patient_known") if every["patient_known"].all() else every


def alike_patients(table, theirs):
    """List the patients of a table who may be the same people under an ID without set prefix: `12` for `B~12`.

    Of several sets the first has no prefix, so it is not known which set an ID without prefix belongs to. It may be
    any set that the table itself does not name.

    Returns
    -------
    list of str
        Without those whose IDs are equal, see `shared_patients`.
    """
    ours, others = (each["patient"].map(lambda patient: patient.rpartition(JOINT)[0]) for each in (table, theirs))
    found = shared_patients(table[ours == ""], _alone(theirs[~others.isin(ours)]))
    named = table[~ours.isin(others)]
    bare = _alone(named)
    shared = bare["patient"].isin(shared_patients(bare, theirs[others == ""]))
    return sorted({*found, *named["patient"][shared]})


def _alone(patients):
    """Return patients with their IDs without set prefix; also for an empty table, where `str.rpartition` fails."""
    return patients.assign(patient=patients["patient"].map(lambda patient: patient.rpartition(JOINT)[2]))


def ids_in_sets(patients):
    """Add the patients of several sets with the IDs that they have in their set: `12` for `B~12`.

    In training, the patients of the second set and further ones have its name in front; in its own folder they do not.
    """
    import pandas as pd  # slow, and not needed by predict.py

    return pd.concat([patients, _alone(patients)])


def shared_patients(table, theirs):
    """List the patients of a table who are in another one; list of str. See `known_patients`."""
    from eyenet.data.tables import patient_known

    found = set()
    ours, others = patient_known(table), patient_known(theirs)
    for kind in (True, False):
        before = set(theirs.loc[others == kind, "patient"].map(canonical))
        found |= {patient for patient in table.loc[ours == kind, "patient"] if canonical(patient) in before}
    return sorted(found)
