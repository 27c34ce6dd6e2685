"""Read a label table as it was published: whose photograph each is, and its grade."""

import re

import numpy as np
import pandas as pd

from eyenet.data.identity import EYES, is_placeholder, unify
from eyenet.data.names import composed
from eyenet.data.tables import is_own, patient_known, read_rows
from eyenet.data.tasks import LEAST_GRADE
from eyenet.run.errors import StageError, log
from eyenet.sets.columns import describe, find_columns, plain
from eyenet.sets.grades import UNGRADABLE
from eyenet.sets.levels import read_levels, wrong_line
from eyenet.sets.matching import without_ending
from eyenet.sets.nested import read_path, unclear_patients

BY_GRADER = "ungradable by its grader"
NO_GRADE = "without a grade in the table"
NUMBERED_EYES = {"1": "right", "1.0": "right", "2": "left", "2.0": "left"}  # of `exam_eye` in BRSET

DATE = re.compile(r"(?<!\d)(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)")


def read_labels(path, made_by="download_images.sh", columns=None, extra=(), left_out=None):
    """Read a label table: the grade of each photograph, its patient and its eye.

    The columns are found by their names (`eyenet.sets.columns`). Columns for patient and eye take precedence; without
    them, both are read from the image name (`eyenet.data.identity`). Where neither tells the patient, the photograph
    is a patient of its own.

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
        `attrs["told"]` lists which of patient and eye a column of the table gave.

    Raises
    ------
    StageError
        If the table is damaged, its columns are not clear, a grade cannot be read, or an image has two different rows.
    """
    columns = columns or {}
    cells, form = read_rows(path, made_by)
    found = find_columns(list(cells.columns), columns, path)
    levels = read_levels(cells, found, form, columns, path)
    table = pd.DataFrame({"image": _images(cells[found["image"]], path), "level": levels})
    more = {name: found.get(name, name) for name in extra if name in found or name in cells}
    for role, column in ({"patient": found.get("patient")} | more).items():
        if column:
            table[role] = cells[column]
    _keep_own(table, cells)
    eyes = _eyes(cells, found, path)
    if eyes is not None:
        table["eye"] = eyes
    used = {*found.values(), *more.values()}
    others = [] if is_own(cells) else [column for column in cells if column not in used]
    if told := describe(found, form, others):
        log(f"note: {path}: {told}")
    table = _graded(_one_row_each(table, path), path, left_out)
    _add_identity(table, path)
    if "question" not in table:
        table["question"] = next((role for role in LEAST_GRADE if role in found), "")
    needed = {"question": (table["question"] != "").any(), "patient_known": not patient_known(table).all()}
    left = [column for column, so in needed.items() if so]
    table = table[["image", "patient", "eye", "level", *left, *more]]
    table.attrs["told"] = ("patient",) * ("patient" in found) + ("eye",) * (eyes is not None)
    return table


def _keep_own(table, cells):
    """Keep what a table of preprocess_images.py says of itself: binary labels, and photographs of unknown patients."""
    if not is_own(cells):
        return
    if "question" in cells:
        table["question"] = cells["question"]
    if "patient" in table:
        table["patient"] = table["patient"].where(patient_known(cells), "")


def _images(cells, path):
    """Return the names of the photographs without their endings, with composed letters."""
    images = cells.map(without_ending).map(composed)
    if (wrong := images == "").any():
        raise wrong_line(path, wrong, f"{cells.name} is {cells[wrong].iloc[0]!r}, an image without a name")
    return images


def _eyes(cells, found, path):
    """Read the eye of each row as people write it, or as the column of its grade tells; None if the table has none."""
    if "left" in found:
        graded = {eye: cells[found[eye]] != "" for eye in ("left", "right")}
        return np.where(graded["left"], "left", np.where(graded["right"], "right", ""))
    if "eye" not in found:
        return None
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
            count = (values > 1).sum()
            raise StageError(f"{path} gives {values.idxmax()!r} two different {what} ({count} such images); correct it")
    return table.drop_duplicates("image")


def _graded(table, path, left_out):
    """Keep the rows with a grade; list the others."""
    for wrong, reason in ((table["level"] == UNGRADABLE, BY_GRADER), (table["level"].isna(), NO_GRADE)):
        if wrong.any():
            first = table["image"][wrong].iloc[0]
            log(f"note: left out {wrong.sum():,} of {len(table):,} images in {path}, {reason}, such as {first!r}")
        if left_out is not None:
            left_out += [(image, reason) for image in table["image"][wrong]]
    return table[table["level"] >= 0].astype({"level": int}).reset_index(drop=True)


def _add_identity(table, path):
    """Fill in patient and eye: from the table, else from the name; else a photograph is its own patient."""
    named = [[part or "" for part in read_path(image)] for image in table["image"]]
    named = pd.DataFrame(named, columns=["patient", "eye"])
    named.loc[list(unclear_patients(table["image"])), "patient"] = ""
    if "eye" in table:
        _warn_of_eyes(path, table, named["eye"])
    else:
        table["eye"] = named["eye"]
    patients = table["patient"] if "patient" in table else named["patient"]
    placeholder = patients.map(is_placeholder) & (patients != "")
    if placeholder.any():
        first = patients[placeholder].iloc[0]
        log(f"warning: {path} has a placeholder as the patient of {placeholder.sum():,} images, such as {first!r}")
    known = ~placeholder & (patients != "")
    unified, doubtful = unify(patients[known], table["eye"][known])
    table["patient"] = table["image"].astype(object)
    table.loc[known, "patient"] = unified
    table["patient_known"] = known.astype(int)
    if doubtful:
        log(
            f"warning: {path} writes {len(doubtful):,} patients in several ways, such as {' and '.join(doubtful[0])}; "
            "they may be different people: they are counted apart, and are in one split"
        )


def _warn_of_eyes(path, table, named):
    """Warn of images whose name tells another eye than the table; the table counts."""
    other = (named != "") & (table["eye"] != "") & (named != table["eye"])
    if other.any():
        first = table[other].iloc[0]
        log(
            f"warning: {path} calls {first['image']!r} the {first['eye']} eye, and contradicts the names of "
            f"{other.sum():,} images; the table counts, check it"
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
        first = f"neither {path} nor the names tell the patients"
    else:
        example = table["image"][unknown].iloc[0]
        first = f"the patients of {unknown.sum():,} of {len(table):,} photographs are not known, such as {example!r}"
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
            f"one patient may be in two splits ({len(several):,} such names); if they are, give the column patient"
        )
