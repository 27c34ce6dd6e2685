"""The folder of a recalibrated model: the parent's network, its new decision, and a record of the set."""

import pandas as pd

from eyenet.data.names import canonical
from eyenet.data.tables import patient_known, write_table
from eyenet.model import disclaimers
from eyenet.model.folder import LITE_NETWORK, NETWORK, RECALIBRATION, open_model
from eyenet.model.patients import OTHER_SOURCE, read_patients
from eyenet.photo.pages import split_page
from eyenet.run.errors import plural
from eyenet.run.files import place, sha256, sha256_text, write_json, write_whole
from eyenet.run.pages import environment, markdown_text

KEPT = (NETWORK, LITE_NETWORK, "NOTICE", "history.csv")  # of the parent: the network, its licence, and its training
STALE = ("validation", "examples", "note")  # of config.json: figures, answers and a note of the parent's decision
AGAIN = "recalibrated"  # column of patients.csv: 1 for those on whom only a decision was chosen, not the network


def hash_data(table):
    """Hash photographs and labels, independently of their order.

    Parameters
    ----------
    table : DataFrame
        path, level, and question if labels are binary.

    Returns
    -------
    str
        SHA-256 of the sorted hashes of the photographs (with the number of the page) and their labels.
    """
    questions = table["question"] if "question" in table else [""] * len(table)
    files = [split_page(path) for path in table["path"]]
    rows = [
        (sha256(file), page or 0, int(level), q) for (file, page), level, q in zip(files, table["level"], questions)
    ]
    return sha256_text(repr(sorted(rows)))


def seen_by_network(folder):
    """Read the patients on whom a model's network was trained, or its epoch and first thresholds chosen.

    Patients of earlier recalibrations are not among them: the new decision does not depend on theirs.

    Returns
    -------
    DataFrame
        patient, split, and patient_known if some are not.
    """
    patients = read_patients(folder)
    again = patients[AGAIN].astype(str) == "1" if AGAIN in patients else pd.Series(False, index=patients.index)
    return patients[~again & patients["split"].isin(["train", "val"])]


def source_of(config):
    """Name the set that the network was trained on; None for one that was trained here, perhaps on the clinic's own."""
    return config.get("trained", {}).get("source")


def join_patients(folder, table, same_source=True):
    """Add the patients of a recalibration to the parent's patients.csv, as patients of validation.

    evaluate.py then knows that the decision was chosen on them, also on those whom the parent kept for testing.

    Parameters
    ----------
    folder : path-like
        Of the parent.
    table : DataFrame
        patient, and patient_known if some are not.
    same_source : bool
        Whether equal IDs are one person; if not, the network's patients stay beside those of the recalibration.

    Returns
    -------
    DataFrame
        patient, split, `AGAIN`, `OTHER_SOURCE`, and patient_known if some are not. The patients of the recalibration
        come before others of the same ID.
    """
    before = read_patients(folder)
    before = before.assign(patient_known=patient_known(before).astype(int))
    for column in (AGAIN, OTHER_SOURCE):
        before[column] = before[column].astype(int) if column in before else 0
    told = {"split": "val", "patient_known": patient_known(table).astype(int), AGAIN: 1}
    added = pd.DataFrame({"patient": table["patient"], **told, OTHER_SOURCE: int(not same_source)})
    added = added.drop_duplicates("patient")

    def keys(rows):
        """Identify people: the same ID from another source is another person."""
        return zip(rows["patient"].map(canonical), rows["patient_known"], rows[OTHER_SOURCE])

    replaced = set(keys(added))
    stays = [key not in replaced for key in keys(before)]
    joined = pd.concat([added, before[stays][added.columns]])
    joined = joined.sort_values("patient", key=lambda column: column.map(canonical), kind="stable")
    return joined.drop(columns="patient_known") if joined["patient_known"].all() else joined


def describe_parent(folder, config):
    """Describe a parent for the model made from it; dict for JSON, with the parent's own `recalibrated`, if any."""
    return {
        "name": folder.resolve().name,
        "network": sha256(folder / NETWORK),
        "config": sha256(folder / "config.json"),
        "operating_point": config.get("operating_point"),
        "recalibrated": config.get("recalibrated"),
    }


def new_config(config, decision, point, recalibrated):
    """Make config.json of the new model from the parent's."""
    kept = {name: value for name, value in config.items() if name not in STALE}
    return kept | {"decision": decision, "operating_point": point, "recalibrated": recalibrated}


def write_model(work, parent, config, patients, figures, rows, explained):
    """Write a recalibrated model into an empty folder, config.json last, and open it.

    Parameters
    ----------
    work : Path
        The folder.
    parent : Path
        The parent's folder.
    config : dict
        From `new_config`.
    patients : DataFrame
        From `join_patients`.
    figures : dict
        Contents of recalibration.json.
    rows : dict of str to list of list of str
        For the card, by heading: the rows of a table, the first of which is its header.
    explained : list of str
        Explanations of the marks in these tables.

    Raises
    ------
    StageError
        If the copy of a network is not whole.
    """
    for name in KEPT:
        if (parent / name).is_file():
            place(parent / name, work / name)
    write_table(work / "patients.csv", patients)
    write_json(work / RECALIBRATION, figures)
    env = environment(__file__, autoescape=False)
    env.filters["md"] = markdown_text
    page = env.get_template("model_card.md.jinja").render(
        name=figures["model"],
        made=config["recalibrated"],
        point=config["operating_point"].replace("_", " "),
        figures=figures,
        tables=rows,
        explained=explained,
        plural=plural,
        chain=chain_of(config),
        licence=(work / "NOTICE").is_file(),
        disclaimers=disclaimers,
    )
    write_whole(work / "MODEL_CARD.md", page.encode("utf-8", "replace"))
    write_json(work / "config.json", config)
    for network in (NETWORK, LITE_NETWORK):
        open_model(work, network)


def chain_of(config):
    """List the ancestors of a recalibrated model, the nearest first, each as from `describe_parent`."""
    chain = []
    while made := config.get("recalibrated"):
        chain.append(made["parent"])
        config = made["parent"]
    return chain
