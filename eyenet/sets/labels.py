"""Read a label table as it was published: whose photograph each is, and its grade."""

import re

import numpy as np
import pandas as pd

from eyenet.data.identity import EYES, is_placeholder, unify
from eyenet.data.names import canonical, composed
from eyenet.data.tables import is_own, patient_known, read_rows
from eyenet.data.tasks import LEAST_GRADE
from eyenet.run.errors import StageError, log, plural
from eyenet.sets.columns import describe, find_columns, plain
from eyenet.sets.grades import NOT_GRADABLE
from eyenet.sets.levels import read_levels, without_na, wrong_line
from eyenet.sets.matching import without_ending
from eyenet.sets.nested import read_path, unclear_patients

BY_GRADER = "ungradable by its grader"
NO_GRADE = "without a grade in the table"
BY_COLUMN = ("patient_told", "eye_told")
NUMBERED_EYES = {"1": "right", "1.0": "right", "2": "left", "2.0": "left"}  # of `exam_eye` in BRSET

DATE = re.compile(r"(?<!\d)(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)")


def read_labels(path, made_by="download_images.sh", columns=None, extra=(), left_out=None):
    """Read a label table: the grade of each photograph, its patient and its eye.

    The columns are found by their names (`eyenet.sets.columns`). Columns for patient and eye take precedence; where
    they tell nothing, both are read from the image name (`eyenet.data.identity`). Where neither tells the patient, the
    photograph is a patient of its own.

    Parameters
    ----------
    path : path-like
    made_by : str or None
    columns : dict of str to str, optional
        Columns that are named, as from `eyenet.sets.columns.parse_columns`.
    extra : sequence of str
        Further columns to keep if the table has them; `Usage` may be written in any case.
    left_out : list, optional
        Receives (image, reason) of each photograph without a grade.

    Returns
    -------
    DataFrame
        One row per image with a grade, in file order: image (without ending, perhaps with folders), patient, eye
        (empty if unknown), level (0-4), the columns of `extra`; `question` if the labels are binary: the question that
        they answer, with level 0 or the least grade of disease; `patient_known` if it is 0 for some.

    Raises
    ------
    StageError
        If the table is damaged, its columns are not clear, a grade cannot be read, or an image has two different rows.
    """
    return read_told_labels(path, made_by, columns, extra, left_out).drop(columns=list(BY_COLUMN))


def read_told_labels(path, made_by="download_images.sh", columns=None, extra=(), left_out=None):
    """Read a label table as `read_labels`, with the columns `BY_COLUMN`: whether the table's columns tell the value."""
    columns = columns or {}
    cells, form = read_rows(path, made_by)
    found = find_columns(list(cells.columns), columns, path)
    more = {name: found.get(name, name) for name in extra if name in found or name in cells}
    table = _read_roles(without_na(cells, found, columns), found, form, columns, path)
    table = table.assign(**{name: cells[column] for name, column in more.items()})
    used = {*found.values(), *more.values(), *(cells if is_own(cells) else ())}
    if told := describe(found, form, [column for column in cells if column not in used]):
        log(f"note: {path}: {told}")
    table = _graded(_one_row_each(table, path), path, left_out)
    _add_identity(table, path)
    needed = {"question": (table["question"] != "").any(), "patient_known": not patient_known(table).all()}
    left = [column for column, so in needed.items() if so]
    return table[["image", "patient", "eye", "level", *left, *more, *BY_COLUMN]]


def _read_roles(cells, found, form, columns, path):
    """Read image and label of each row, and patient and eye as far as columns tell them; "" for what they do not."""
    levels = read_levels(cells, found, form, columns, path)
    table = pd.DataFrame({"image": _images(cells[found["image"]], path), "level": levels})
    table["question"] = next((role for role in LEAST_GRADE if role in found), "")
    table["patient"] = cells[found["patient"]] if "patient" in found else ""
    table["eye"] = _eyes(cells, found, path)
    if is_own(cells):  # a table of preprocess_images.py tells which labels are binary, and whose patient is not known
        table["question"] = cells.get("question", "")
        table["patient"] = table["patient"].where(patient_known(cells), "")
    return table


def _images(cells, path):
    """Return the names of the photographs without their endings, with composed letters."""
    images = cells.map(without_ending).map(composed)
    if (wrong := images == "").any():
        raise wrong_line(path, wrong, f"{cells.name} is {cells[wrong].iloc[0]!r}, an image without a name")
    return images


def _eyes(cells, found, path):
    """Read the eye of each row as people write it, or as the column of its grade tells; "" where it is not known."""
    if "left" in found:
        graded = {eye: cells[found[eye]] != "" for eye in ("left", "right")}
        return np.where(graded["left"], "left", np.where(graded["right"], "right", ""))
    if "eye" not in found:
        return ""
    column = found["eye"]
    numbered = NUMBERED_EYES if plain(column) == "exam eye" else {}
    eyes = cells[column].str.casefold().map(EYES | numbered | {"": ""})
    if (wrong := eyes.isna()).any():
        written = cells[column][wrong].iloc[0]
        hint = f"{column} is {written!r}, and must be left, right, OS, OD, L or R, or empty if not known"
        raise wrong_line(path, wrong, f"{hint}; --columns eye= ignores the column")
    return eyes


def _one_row_each(table, path):
    """Keep one of equal rows of an image; StageError if two differ."""
    again = table[table["image"].duplicated(keep=False)]  # in most tables none
    for column in table.columns[1:]:
        values = again.groupby("image")[column].nunique(dropna=False)
        if (values > 1).any():
            what = {"level": "grades"}.get(column, f"values of {column}")
            count = plural((values > 1).sum(), "such image")
            raise StageError(f"{path} gives {values.idxmax()!r} two different {what} ({count}); correct it")
    return table.drop_duplicates("image")


def _graded(table, path, left_out):
    """Keep the rows with a grade; list the others."""
    for wrong, reason in ((table["level"] == NOT_GRADABLE, BY_GRADER), (table["level"].isna(), NO_GRADE)):
        if wrong.any():
            first, count = table["image"][wrong].iloc[0], plural(len(table), "image")
            log(f"note: left out {wrong.sum():,} of {count} in {path}, {reason}, such as {first!r}")
        if left_out is not None:
            left_out += [(image, reason) for image in table["image"][wrong]]
    return table[table["level"] >= 0].astype({"level": int}).reset_index(drop=True)


def _add_identity(table, path):
    """Fill in patient and eye: from the table, else from the name; else a photograph is its own patient."""
    named = [[part or "" for part in read_path(image)] for image in table["image"]]
    named = pd.DataFrame(named, columns=["patient", "eye"])
    named.loc[list(unclear_patients(table["image"])), "patient"] = ""
    placeholder = table["patient"].map(is_placeholder) & (table["patient"] != "")
    if placeholder.any():
        first, count = table["patient"][placeholder].iloc[0], plural(placeholder.sum(), "image")
        log(f"warning: {path} has a placeholder as the patient of {count}, such as {first!r}")
    _warn_of_eyes(path, table, named["eye"])
    told = [(table["patient"] != "") & ~placeholder, table["eye"] != ""]
    table[list(BY_COLUMN)] = pd.DataFrame(dict(zip(BY_COLUMN, told)))
    patients = fill_in(table["patient"], told[0], named["patient"])
    table["eye"] = table["eye"].where(told[1], named["eye"])
    known = patients != ""
    unified, doubtful = unify(patients[known], table["eye"][known])
    table["patient"] = table["image"].astype(object)
    table.loc[known, "patient"] = unified
    table["patient_known"] = known.astype(int)
    if doubtful:
        log(
            f"warning: {path} writes {plural(len(doubtful), 'patient')} in several ways, such as "
            f"{' and '.join(doubtful[0])}; they may be different people: they are counted apart, and are in one split"
        )


def fill_in(patients, told, others):
    """Fill in the patients that the column of a table does not give.

    Parameters
    ----------
    patients : Series of str
    told : Series of bool
        Whether the column gives the patient.
    others : Series of str
        Patient by header, folder or file name; "" if they give none. If this name belongs to one patient of the column
        in other rows, it is that patient; if to several, it is unknown. An ID that the column gives only to photographs
        of another name is not used either.

    Returns
    -------
    Series of str
        "" for what is still unknown.
    """
    same, found = {}, others.map(canonical)
    for other, patient in zip(found[told], patients[told]):
        same.setdefault(other, set()).add(patient)
    same = {other: min(own) if len(own) == 1 else "" for other, own in same.items()}
    renamed = {canonical(own) for other, own in zip(found[told], patients[told]) if other}
    same = dict.fromkeys(renamed, "") | same
    same.pop("", None)
    return patients.where(told, found.map(same).where(found.isin(list(same)), others))


def _warn_of_eyes(path, table, named):
    """Warn of images whose name gives another eye than the table; the table counts."""
    other = (named != "") & (table["eye"] != "") & (named != table["eye"])
    if other.any():
        first = table[other].iloc[0]
        log(
            f"warning: {path} calls {first['image']!r} the {first['eye']} eye, and contradicts the "
            f"names of {plural(other.sum(), 'image')}; the table's value is used, please check"
        )


def report_patients(table, path):
    """Say once of how many photographs the patient is not known.

    Parameters
    ----------
    table : DataFrame
        As from `read_labels`.
    path : path-like
        The label table.
    """
    unknown = ~patient_known(table)
    if not unknown.any():
        return
    if unknown.all():
        first = f"neither {path} nor the names identify the patients"
    else:
        example, count = table["image"][unknown].iloc[0], plural(len(table), "photograph")
        first = f"the patients of {unknown.sum():,} of {count} are not known, such as {example!r}"
    log(f"note: {first}: each photograph counts as a patient of its own, and there are no figures per patient")


def warn_of_visits(patients):
    """Warn of patients that are told apart by a date only, as `7_20240131` and `7_20250131`: perhaps visits of one.

    Parameters
    ----------
    patients : iterable of str
        As they were read from names.
    """
    people = {}
    for patient in dict.fromkeys(patients):
        whose = DATE.sub("", patient, count=1)
        if whose != patient and whose.strip("_-. "):
            people.setdefault(whose, []).append(patient)
    if several := [visits for visits in people.values() if len(visits) > 1]:
        log(
            f"warning: {' and '.join(several[0][:2])} may be visits of one patient, and are counted as two, so that "
            f"one patient may be in two splits ({plural(len(several), 'such name')}); if they are, give the column "
            "patient"
        )
