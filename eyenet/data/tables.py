"""Read and check the CSV tables that the scripts exchange."""

import re
from pathlib import Path

import pandas as pd

from eyenet.data.identity import is_placeholder, read_name, unify
from eyenet.data.names import SPLITS, SUFFIX, UNSEEN
from eyenet.data.tasks import GRADES
from eyenet.run.errors import StageError, log
from eyenet.run.files import from_cell, write_rows

ALLOWED = {
    "level": {str(g) for g in GRADES},
    "split": {*SPLITS, UNSEEN},
    "eye": {"left", "right"},
    "transform": set(SUFFIX),
}

UNCLOSED = "a quotation mark opens a cell and is never closed; remove it"
SPANS = (
    "goes on in the next line, so a quotation mark is not closed where it should be, and rows may be swallowed; close "
    "or remove it, and write notes in one line"
)


def read_table(path, columns, made_by):
    """Read a table and check that the named columns exist, have no empty value and hold allowed values only.

    A byte order mark, CRLF line ends, spaces around values and grades such as 2.0 are accepted.

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
    table = _parse(path, made_by)
    if not isinstance(table.index, pd.RangeIndex):
        raise StageError(f"{path}, line 2: the row has more fields than the header")
    table.columns = table.columns.str.strip()
    written = table.columns.str.replace(r"\.[0-9]+$", "", regex=True)  # pandas calls a second `level` level.1
    twice = table.columns.duplicated() | ((written != table.columns) & written.isin(table.columns))
    if twice.any():
        raise StageError(f"{path} has the column {written[twice][0]!r} twice")
    table = table[(table != "").any(axis=1)]  # drop blank lines; the index keeps the line numbers
    _require_single_lines(table, path)
    _require_columns(table, columns, path)
    if table.empty:
        raise StageError(f"{path} has a header and no rows")
    table = table.apply(_clean)
    for column in table.columns:
        if column in columns:
            _require_allowed(table[column], path)
    if "level" in columns:
        table = table.astype({"level": int})
    return table.reset_index(drop=True)


def _parse(path, made_by):
    """Read all cells of a table as strings, with the blank lines; see `read_table`."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skip_blank_lines=False)
    except FileNotFoundError:
        todo = f"{made_by} makes it" if made_by else "check the path"
        raise StageError(f"there is no table {path}; {todo}") from None
    except IsADirectoryError:
        raise StageError(f"{path} is a folder; a CSV table is needed") from None
    except pd.errors.EmptyDataError:
        raise StageError(f"{path} is empty; a CSV table with a header is needed") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        if opened := re.search(r"EOF inside string starting at row (\d+)", str(error)):
            raise StageError(f"{path}, line {int(opened[1]) + 1}: {UNCLOSED}") from None
        raise StageError(f"{path} is not a CSV table in UTF-8 ({str(error).strip()}); save it as one") from None


def _require_columns(table, columns, path):
    """Raise a StageError if a column is missing."""
    missing = [c for c in columns if c not in table.columns]
    if missing:
        wrong = next((mark for mark in (";", "\t") if len(table.columns) == 1 and mark in table.columns[0]), None)
        if wrong:
            raise StageError(f"{path} separates its columns by {wrong!r}; save it as CSV with commas")
        raise StageError(f"{path} has no column {' or '.join(missing)}; its columns are {', '.join(table.columns)}")


def _clean(values):
    """Read the cells of a column as they were meant; `values` is a Series of str."""
    column, values = values.name, values.str.strip()
    if values.str.startswith("'").any():
        values = values.map(from_cell)
    if column == "level":  # a spreadsheet or pandas may have made grades floats
        values = values.str.replace(r"^([0-9]+)\.0*$", r"\1", regex=True)
    return values


def _require_allowed(values, path):
    """Raise a StageError that names the first cell of a column with no value, or one that is not allowed."""
    allowed = ALLOWED.get(values.name)
    wrong = ~values.isin(allowed) if allowed else values == ""
    if wrong.any():
        row = wrong.idxmax()
        wanted = f"one of {', '.join(sorted(allowed))}" if allowed else "a value"
        raise StageError(
            f"{path}, line {row + 2}: {values.name} is {values[row]!r}, and must be {wanted}"
            f" ({wrong.sum()} such row{'s' if wrong.sum() > 1 else ''})"
        )


def _require_single_lines(table, path):
    """Raise a StageError if a cell spans lines: a stray quotation mark would swallow the rows up to the next one."""
    for column in table.columns:
        broken = table[column].str.contains(r"[\r\n]", regex=True)
        if broken.any():
            row = broken.idxmax()
            raise StageError(f"{path}, line {row + 2}: the cell of column {column} {SPANS}")


def read_labels(path, made_by="download_images.sh", eyes=True, extra=()):
    """Read a label table: image, level, and the patient and eye of each photograph.

    Columns `patient` and `eye` take precedence; without them, both are read from the image name
    (`eyenet.data.identity`).

    Parameters
    ----------
    path : path-like
    made_by : str or None
    eyes : bool
        Whether every eye must be known; otherwise it may be empty.
    extra : sequence of str
        Further columns to keep if the table has them.

    Returns
    -------
    pandas.DataFrame
        Columns image, patient, eye, level and those of `extra`; one row per image, in file order.

    Raises
    ------
    StageError
        If the table is damaged, has two different rows for one image, or does not identify a patient.
    """
    table = read_table(path, ["image", "level"], made_by)
    own = [part for part in ("patient", "eye") if part in table.columns]
    if own:
        table = read_table(path, ["image", "level", *own], made_by)  # now also checked for empty and wrong values
    # Some published tables give the file name with its extension.
    table["image"] = table["image"].str.replace(r"\.(jpe?g|png|tiff?)$", "", regex=True, case=False)
    if (table["image"] == "").any():
        raise StageError(f"{path} has an image without a name")
    more = [column for column in extra if column in table.columns]
    for column in ("level", *own, *more):
        values = table.groupby("image")[column].nunique()
        if (values > 1).any():
            what = {"level": "grades"}.get(column, f"values of {column}")
            count = (values > 1).sum()
            raise StageError(f"{path} gives {values.idxmax()!r} two different {what} ({count} such images); correct it")
    table = table.drop_duplicates("image").reset_index(drop=True)
    for i, part in enumerate(("patient", "eye")):
        if part not in own:
            needed = eyes or part == "patient"
            table[part] = [_from_name(path, image, i, needed) for image in table["image"]]
    if "eye" in own:
        _warn_of_eyes(path, table)
    table["patient"] = _unify(path, table)
    return table[["image", "patient", "eye", "level", *more]]


def _from_name(path, image, part, needed):
    found = read_name(image)[part]
    if found is None and needed:
        raise StageError(
            f"{path}: the image {image!r} does not say its patient and eye; name it <patient>_<left|right>, or give "
            "the table the columns patient and eye"
        )
    return found or ""


def _warn_of_eyes(path, table):
    """Warn of images whose name tells another eye than the table; the table counts."""
    named = table["image"].map(lambda image: read_name(image)[1])
    other = named.notna() & (table["eye"] != "") & (named != table["eye"])
    if other.any():
        first = table[other].iloc[0]
        log(
            f"warning: {path} calls {first['image']!r} the {first['eye']} eye, and contradicts the names of "
            f"{other.sum():,} images; the table counts, check it"
        )


def _unify(path, table):
    """Give each person one ID; each photograph with a placeholder is a patient of its own, named like the image."""
    unknown = table["patient"].map(is_placeholder)
    if unknown.any():
        log(
            f"warning: {path} has a placeholder as the patient of {unknown.sum():,} images, such as "
            f"{table['patient'][unknown].iloc[0]!r}; each is taken as a patient of its own, and the split cannot keep "
            "the eyes of one person together"
        )
    patients = table["patient"].mask(unknown, table["image"])
    unified, doubtful = unify(patients, table["eye"])
    if doubtful:
        log(
            f"warning: {path} writes {len(doubtful):,} patients in several ways, such as {' and '.join(doubtful[0])}; "
            "they may be different people: they are counted apart, and are in one split"
        )
    return unified


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


def count_by_grade(levels):
    """Count the photographs of each grade 0-4; a list of five ints."""
    return [int((levels == grade).sum()) for grade in GRADES]


def write_table(path, table):
    """Write a table as CSV (UTF-8, LF), whole or not at all."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, list(table.columns), table.itertuples(index=False))
