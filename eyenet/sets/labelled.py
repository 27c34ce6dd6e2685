"""Join photographs with their labels: from a table, or from folders that are named by grades."""

from pathlib import Path

import pandas as pd

from eyenet.data.names import JOINT
from eyenet.data.tables import patient_known, require_match
from eyenet.run.errors import StageError, log, plural, silent
from eyenet.run.files import from_cell, read_json
from eyenet.sets.folders import PHOTOGRAPHS, class_folders, find_table, grades_of, path_in_set
from eyenet.sets.grades import NOT_GRADABLE
from eyenet.sets.identify import identify_all
from eyenet.sets.labels import BY_COLUMN, BY_GRADER, fill_in, read_told_labels, report_patients, warn_of_visits
from eyenet.sets.matching import match_images, warn_of_folders

TOLD = ["image", "file", "patient", "eye", "source"]  # "" where it is not known, and for the source of a single set
NO_LABEL, NO_PHOTOGRAPH = "photograph without a label", "label without a photograph"


def read_crops(folder, images):
    """Read what resize_images.py recorded of crops, and of photographs that have none.

    Parameters
    ----------
    folder : path-like
    images : sequence of str
        The names of the crops.

    Returns
    -------
    crops : DataFrame
        Columns `TOLD`, one row per crop. The file is the name where nothing is recorded.
    refused : DataFrame
        Columns file and source of the photographs that were rejected: they have no crop, but a name in a label table
        may mean one of them.
    sources : list of str
        The sets; [""] for a single one.
    """
    folder = Path(folder)
    sources = (read_json(folder / "stage.json") or {}).get("sources") or [""]
    crops = pd.DataFrame({"image": list(images)}, dtype=object)
    known = _read(folder / PHOTOGRAPHS, TOLD)
    if "file" in known:
        crops = crops.merge(known, "left", "image")
    for column in TOLD:
        crops[column] = crops[column].fillna("") if column in crops else ""
    crops["file"] = crops["file"].where(crops["file"] != "", crops["image"])
    return crops, _by_source(_read(folder / "rejected.csv", ["image"])["image"], sources), sources


def _by_source(files, sources):
    """Make the table of the files that were rejected, which of several sets are written `source/file`."""
    parts = [file.split("/", 1) if len(sources) > 1 else ["", file] for file in files]
    return pd.DataFrame(parts, columns=["source", "file"], dtype=object)


def _read(path, columns):
    """Read some columns of a table of resize_images.py; no rows if it is missing."""
    if not path.is_file():
        return pd.DataFrame(columns=["image"], dtype=object)
    table = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=lambda name: name in columns)
    return table.map(from_cell)


def describe_photographs(photographs, refused, told=None):
    """Make the tables and the list of sets of `read_crops` for what `eyenet.sets.folders.list_sets` returns.

    `told` is what `identify_all` finds, which is done here by default.
    """
    told = told or identify_all(photographs) or [("", "")] * len(photographs)
    rows = [(p.image, p.file, *known, p.source or "") for p, known in zip(photographs, told)]
    sources = [source or "" for source in photographs.sources]
    return pd.DataFrame(rows, columns=TOLD), _by_source([file for file, _ in refused], sources), sources


def check_labels(photographs, refused, tables, columns, where, told=None):
    """Find the labels of photographs before any work is done, or raise the StageError of `label_photographs`.

    The notes are left to preprocess_images.py, which reads the tables again. `told` as in `describe_photographs`.
    """
    with silent():
        return label_photographs(*describe_photographs(photographs, refused, told), tables, where, columns)[0]


def label_photographs(photographs, refused, sources, tables, where, columns=(), **options):
    """Find the grade, the patient and the eye of each photograph.

    What a table says of patient and eye counts first, then the photograph's header, folder and name.

    Parameters
    ----------
    photographs, refused, sources
        As from `read_crops`. The patients of the second set and further ones get the set's name in front, as their
        photographs have.
    tables : list of Path
        The label table of each set, or a folder, whose only table is taken, or else the folders of the photographs,
        which are then named by grades.
    where : path-like
        Where the photographs are, for messages.
    columns : sequence of dict
        For each table, the columns that are named, as from `eyenet.sets.columns.parse_columns`; or none.
    **options
        For `eyenet.sets.labels.read_labels`.

    Returns
    -------
    labels : DataFrame
        As from `read_labels`, for the photographs with a grade; of several sets also `source`.
    dropped : list of (str, str)
        Name and reason of each photograph without a grade and each label without a photograph.

    Raises
    ------
    StageError
        If the tables are not as many as the sets, or a set has no grades or none that belongs to a photograph.
    """
    if len(tables) != len(sources) or len(columns) not in (0, len(sources)):
        names = f" ({', '.join(sources)})" if len(sources) > 1 else ""
        raise StageError(
            f"the number of sets is {len(sources)}{names}, that of --labels {len(tables)}, and that of --columns "
            f"{len(columns)}; give one for each set, in their order"
        )
    found, dropped = [], []
    for number, (source, table) in enumerate(zip(sources, tables)):
        own, others = (one[one["source"] == source] for one in (photographs, refused))
        chosen = columns[number] if columns else None
        labels, without = _label_set(own, others, Path(table), where, chosen, **options)
        if number:
            known = patient_known(labels)
            labels["patient"] = labels["patient"].where(~known, source + JOINT + labels["patient"])
        if len(sources) > 1:
            labels["source"] = source
        found.append(labels)
        dropped += without
    labels = pd.concat(found, ignore_index=True)
    for column, value in (("patient_known", 1), ("question", "")):  # columns that not every set has
        if column in labels:
            labels[column] = labels[column].fillna(value).astype(type(value))
    return labels, dropped


def _label_set(photographs, refused, table, where, columns, **options):
    """Find the grades of one set, as `label_photographs`."""
    grades, *doubtful = class_folders([*photographs["file"], *refused["file"]])
    told = [grades_of(file, grades) for file in photographs["file"]]
    by_folder = [min(one) if len(one) == 1 else None for one in told]
    path = find_table(table) if table.is_dir() else table
    if path is None:
        if two := [file for file, one in zip(photographs["file"], told) if len(one) > 1]:
            raise StageError(f"the folders of {two[0]} in {table} name two grades; give a table: --labels FILE")
        _require_grades(grades, *doubtful, table)
        labels, dropped = _label_by_folder(photographs, by_folder, table)
    else:
        labels, dropped = _label_by_table(photographs, refused, path, where, columns, **options)
    labels, read = _identify(labels, photographs, path)
    report_patients(labels, path or table)
    warn_of_visits(labels["patient"][read])
    if path is not None and "question" not in labels:
        _compare(labels, dict(zip(photographs["image"], by_folder)), path)
    return labels, dropped


def _require_grades(grades, strange, unsure, folder):
    """Raise a StageError if a folder beside those of grades names none, or digits may mean something else."""
    if strange:
        raise StageError(
            f"{folder} has no label table, and of the folders beside those of grades, {strange[0]!r} names none: call "
            "it 0 to 4 or by the words of labels/README.md, take it away, or give a table: --labels FILE"
        )
    if unsure:
        raise StageError(
            f"{folder} has no label table, and its folders {', '.join(unsure[:8])}{' ...' * (len(unsure) > 8)} may be "
            "grades or patients, since no 0 is beside them: call them Mild, Moderate, Severe and PDR if they are "
            "grades, or give a table: --labels FILE"
        )
    names = {path.rpartition("/")[2] for path, grade in grades.items() if grade != NOT_GRADABLE}
    if names == {"0", "1"}:
        raise StageError(
            f"{folder} has no label table, and its folders 0 and 1 may be grades or mean no and yes: call them No_DR "
            "and Mild if they are grades, or give a table: --labels FILE"
        )


def _label_by_folder(photographs, by_folder, folder):
    """Take the grades from the names of the folders."""
    level = pd.Series(by_folder, index=photographs.index, dtype=object)
    graded = level.notna() & (level != NOT_GRADABLE)
    if not graded.any():
        raise StageError(
            f"{folder} has no label table, and no folder of its photographs is named by a grade (0 to 4, or the words "
            "of labels/README.md); give the table: --labels FILE"
        )
    reasons = level.map({NOT_GRADABLE: BY_GRADER}).fillna(NO_LABEL)
    labels = pd.DataFrame({"image": photographs["image"], "patient": photographs["image"], "eye": "", "level": level})
    labels = labels.assign(patient_known=0, **dict.fromkeys(BY_COLUMN, False))
    labels = labels[graded].astype({"level": int}).reset_index(drop=True)
    return labels, list(zip(photographs["image"][~graded], reasons[~graded]))


def _label_by_table(photographs, refused, path, where, columns, **options):
    """Take the grades from a table, with the names of the crops."""
    ungraded = []
    labels = read_told_labels(path, columns=columns, left_out=ungraded, **options)
    names = [*labels["image"], *(name for name, _ in ungraded)]
    image_of = dict(zip(map(path_in_set, photographs["file"]), photographs["image"]))
    image_of = dict.fromkeys(map(path_in_set, refused["file"])) | image_of  # they have no crop
    paths = [path_in_set(name) for name in names]
    matched = match_images(paths, sorted(image_of))
    warn_of_folders(dict(zip(paths, matched)), path)
    found = dict(zip(names, matched))
    crops = {name: image_of[path] for name, path in found.items() if path is not None and image_of[path] is not None}
    if not crops:
        require_match(photographs["image"], labels, where, path)
    dropped = [(image, NO_LABEL) for image in sorted(set(photographs["image"]) - set(crops.values()))]
    without = sorted(found[name] or name for name in names if name not in crops)  # as a rejected one is listed
    dropped += [(name, NO_PHOTOGRAPH) for name in without]
    dropped += [(crops[name], reason) for name, reason in ungraded if name in crops]
    labels["image"] = labels["image"].map(crops)
    return labels[labels["image"].notna()].reset_index(drop=True), dropped


def _identify(labels, photographs, path):
    """Fill in what header, folder and name of a photograph tell of patient and eye, unless the table's columns do.

    Returns
    -------
    labels : DataFrame
    read : Series of bool
        Whether the patient was read from header, folder or name.
    """
    found = photographs.set_index("image").loc[labels["image"], ["patient", "eye"]].reset_index(drop=True)
    told, eye_told = (labels[column].astype(bool) for column in BY_COLUMN)
    named = labels["patient"].where(patient_known(labels) & ~told, "")
    patients = fill_in(labels["patient"].where(told, ""), told, found["patient"])
    patients = patients.where((patients != "") | (found["patient"] != ""), named)
    known = patients != ""
    read = known & ~told
    if told.any() and read.any():
        first = f"{labels['image'][read].iloc[0]!r} of patient {patients[read].iloc[0]!r}"
        log(
            f"note: {path} has no patient for {plural(read.sum(), 'photograph')}; taken from header, folder or name, "
            f"such as {first}"
        )
    labels = labels.drop(columns=["patient_known", *BY_COLUMN], errors="ignore")
    labels["patient"] = patients.where(known, labels["image"])
    labels["eye"] = labels["eye"].where(eye_told | (found["eye"] == ""), found["eye"])
    return labels if known.all() else labels.assign(patient_known=known.astype(int)), read


def _compare(labels, by_folder, path):
    """Warn of photographs whose table and folder give different grades."""
    folder = labels["image"].map(by_folder)
    other = folder.notna() & (folder != labels["level"])
    if other.any():
        level, said, count = labels["level"][other].iloc[0], int(folder[other].iloc[0]), int(other.sum())
        what = "for ungradable ones" if said == NOT_GRADABLE else f"of grade {said}"
        names = ", ".join(labels["image"][other].iloc[:8]) + " ..." * (count > 8)
        log(
            f"warning: {path} and the folders contradict each other about {plural(count, 'photograph')}: {names}; the "
            f"table counts (the first: grade {level}, in a folder {what})"
        )
