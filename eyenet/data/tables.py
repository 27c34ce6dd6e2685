"""Read and check the CSV tables that the scripts exchange."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from eyenet.data.delimited import Cells, read_cells
from eyenet.data.names import SPLITS, SUFFIX, UNSEEN
from eyenet.data.tasks import GRADES, QUESTIONS, TASKS
from eyenet.run.errors import StageError, plural
from eyenet.run.files import from_cell, write_rows

ALLOWED = {
    "level": {str(g) for g in GRADES},
    "split": {*SPLITS, UNSEEN},
    "eye": {"left", "right", ""},  # empty: not known
    "question": {*QUESTIONS, ""},  # empty: the row has a grade
    "patient_known": {"0", "1"},
    "transform": set(SUFFIX),
}

OWN = ["image", "patient", "eye", "level"]  # the first columns of preprocessed.csv
UNNAMED = re.compile(r"Unnamed: [0-9]+")  # as pandas calls a column without a name
SPANS = (
    "continues on the next line, so a quotation mark is not closed where it should be, and rows may be swallowed; "
    "close or remove it, and write notes on one line"
)


def read_table(path, columns, made_by):
    """Read a table and check that the named columns exist, have no empty value and hold allowed values only.

    Any usual encoding and delimiter (`eyenet.data.delimited`), spaces around values and grades like 2.0 are accepted.

    Parameters
    ----------
    path : path-like
    columns : sequence of str
    made_by : str or None
        The script that makes the table, for the error message if it is missing.

    Returns
    -------
    pandas.DataFrame
        All columns of the file as strings, except `level`, which is int.

    Raises
    ------
    StageError
    """
    table = read_rows(path, made_by).table
    _require_columns(table, columns, path)
    if "level" in table:  # a spreadsheet or pandas may have made grades floats
        table["level"] = table["level"].str.replace(r"^([0-9]+)\.0*$", r"\1", regex=True)
    for column in table.columns:
        if column in columns:
            _require_allowed(table[column], path)
    if "level" in columns:
        table = table.astype({"level": int})
    return table.reset_index(drop=True)


def read_rows(path, made_by):
    """Read a table as strings, without the marks that spreadsheets add, and check what every table needs.

    Returns
    -------
    eyenet.data.delimited.Cells
        The table without blank lines and empty columns; its index is the line number less 2.

    Raises
    ------
    StageError
        If it is missing or damaged, or has no rows or a column twice.
    """
    table, form = read_cells(path, made_by)
    table.columns = table.columns.str.strip()
    written = table.columns.str.replace(r"\.[0-9]+$", "", regex=True)  # pandas calls a second `level` level.1
    twice = table.columns.duplicated() | ((written != table.columns) & written.isin(table.columns))
    if twice.any():
        raise StageError(f"{path} has the column {written[twice][0]!r} twice")
    table = table[(table != "").any(axis=1)]
    _require_single_lines(table, path)
    if table.empty:
        raise StageError(f"{path} has a header and no rows")
    table = table.apply(_clean)
    unnamed = [column for column in table if UNNAMED.fullmatch(column) and (table[column] == "").all()]
    return Cells(table.drop(columns=unnamed), form)


def _require_columns(table, columns, path):
    """Raise a StageError if a column is missing."""
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise StageError(f"{path} has no column {' or '.join(missing)}; its columns are {', '.join(table.columns)}")


def _clean(values):
    """Remove outer spaces and the apostrophes that protect text in spreadsheets; `values` is a Series of str."""
    values = values.str.strip()
    return values.map(from_cell) if values.str.startswith("'").any() else values


def _require_allowed(values, path):
    """Raise a StageError that names the first cell of a column with no value, or one that is not allowed."""
    allowed = ALLOWED.get(values.name)
    wrong = ~values.isin(allowed) if allowed else values == ""
    if wrong.any():
        row = wrong.idxmax()
        wanted = f"one of {', '.join(sorted(allowed - {''}))}" if allowed else "a value"
        raise StageError(
            f"{path}, line {row + 2}: {values.name} is {values[row]!r}, and must be {wanted}"
            f" ({plural(wrong.sum(), 'such row')})"
        )


def _require_single_lines(table, path):
    """Raise a StageError if a cell spans lines: a stray quotation mark would swallow the rows up to the next one."""
    if table.columns.str.contains(r"[\r\n]", regex=True).any():
        raise StageError(f"{path}, line 1: the header {SPANS}")
    for column in table.columns:
        broken = table[column].str.contains(r"[\r\n]", regex=True)
        if broken.any():
            row = broken.idxmax()
            raise StageError(f"{path}, line {row + 2}: the cell of column {column} {SPANS}")


def is_own(table):
    """Tell whether a table is preprocessed.csv or one made from it: others may have a column `split` too."""
    return list(table.columns[:4]) == OWN and "split" in table


def patient_known(table):
    """Tell for each row of a table whether its patient is known; otherwise `patient` names the photograph itself.

    Returns
    -------
    ndarray of bool, shape (n,)
        All true for a table without the column `patient_known`.
    """
    if "patient_known" not in table:
        return np.ones(len(table), bool)
    return (table["patient_known"].astype(str) == "1").to_numpy()


def require_match(names, labels, photographs, path):
    """Raise a StageError unless at least one photograph has a label.

    Parameters
    ----------
    names : iterable of str
        Names of the photographs, without extension.
    labels : DataFrame
        As returned by `read_labels`.
    photographs, path : path-like
        The folder and the table, for the error message.
    """
    if not labels["image"].isin(list(names)).any():
        raise StageError(
            f"no photograph in {photographs} has a label in {path}: photographs are named like {min(names)!r}, "
            f"labels like {labels['image'].iloc[0]!r}"
        )


def count_labels(table):
    """Count photographs by label; dict of name to int.

    Parameters
    ----------
    table : DataFrame
        With a column `level`, and `question` if some labels are binary: their two classes are counted by themselves.
    """
    asked = table["question"] if "question" in table else pd.Series("", table.index)
    binary, counts = sorted(set(asked) - {""}), {}
    if (asked == "").any() or not binary:
        by_grade = count_by_grade(table.loc[asked == "", "level"])
        counts = {f"{grade} {name}": count for (grade, name), count in zip(GRADES.items(), by_grade)}
    for question in binary:
        levels = table.loc[asked == question, "level"]
        counts |= {name: int((levels == start).sum()) for name, start in zip(*TASKS[question][:2])}
    return counts


def count_by_grade(levels):
    """Count the photographs of each grade 0-4; a list of five ints."""
    return [int((levels == grade).sum()) for grade in GRADES]


def write_table(path, table):
    """Write a table as CSV (UTF-8, LF), whole or not at all."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, list(table.columns), table.itertuples(index=False))
