"""Read the cells of a table as others write it: any usual encoding and delimiter, also inside a zip, with no header."""

import io
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from eyenet.photo.kinds import ENDINGS
from eyenet.run.errors import StageError, what_to_do

UNCLOSED = "a quotation mark opens a cell and is never closed; remove it"
MARKS = {",": "commas", ";": "semicolons", "\t": "tabs"}
HEADLESS = "no header"
WORKBOOK = "is an Excel workbook; save it as CSV (UTF-8) and give that file"
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"  # .xls
UTF16 = (b"\xff\xfe", b"\xfe\xff")
NAMED = rf"\S[^,;\t]*(?:{'|'.join(map(re.escape, ENDINGS))})"
LISTED = re.compile(rf"{NAMED}(?P<mark>[ ,;\t])[^\s,;]+", re.IGNORECASE)  # `name.jpg 5`: a first line that is no header


class Cells(NamedTuple):
    """The cells of a table, all str, indexed by line number less 2, and how they were written, in words."""

    table: pd.DataFrame
    form: list


def read_cells(path, made_by):
    """Read all cells of a table as strings, with the blank lines.

    UTF-8, UTF-16 and, if a file is neither, the Windows code page 1252; commas, semicolons or tabs, whichever the
    first line has most of. A table of two columns whose first line is a file name and a grade, as DDR's, has no header.

    Parameters
    ----------
    path : path-like
        The table, or a zip that holds one.
    made_by : str or None
        The script that makes the table, for the error message if it is missing.

    Returns
    -------
    Cells

    Raises
    ------
    StageError
    """
    text, form = _decode(path, _read_bytes(Path(path), made_by))
    first = re.split(r"\r\n?|\n", text, maxsplit=1)[0].strip(" ")
    if listed := LISTED.fullmatch(first):
        table = _parse(path, text, listed["mark"], header=None, names=["image", "level"])
        table.index -= 1  # line 1 is a row
        return Cells(table, [*form, HEADLESS])
    outside = re.sub(r'"[^"]*"', "", first)
    mark = max(MARKS, key=outside.count)
    return Cells(_parse(path, text, mark), form if mark == "," else [*form, f"columns separated by {MARKS[mark]}"])


def _read_bytes(path, made_by):
    """Read a table, or the one table inside a zip."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StageError(f"there is no table {path}; {what_to_do(made_by)}") from None
    except IsADirectoryError:
        raise StageError(f"{path} is a folder; a CSV table is needed") from None
    if data.startswith(OLD_WORKBOOK):
        raise StageError(f"{path} {WORKBOOK}")
    return _unzip(path, data) if data.startswith(b"PK\x03\x04") else data


def _unzip(path, data):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if "xl/workbook.xml" in names:
                raise StageError(f"{path} {WORKBOOK}")
            tables = [name for name in names if name.lower().endswith((".csv", ".tsv", ".txt"))]
            tables = [name for name in tables if not name.startswith("__MACOSX/")]
            if len(tables) != 1:
                raise StageError(f"{path} holds {len(tables)} tables, not one; unzip it and give the table")
            return archive.read(tables[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError):  # encrypted: RuntimeError
        raise StageError(f"{path} is a zip that is damaged or cannot be opened; unzip it and give the table") from None


def _decode(path, data):
    """Decode a table; return its text and what is not usual about its encoding."""
    if data.startswith(UTF16):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        if not text.strip():
            raise StageError(f"{path} is empty; a CSV table with a header is needed")
        words = {"utf-8-sig": [], "utf-16": ["UTF-16"]}
        return text, words.get(encoding, [f"not UTF-8, so read as {encoding}"])
    raise StageError(f"{path} is not a CSV table in UTF-8; save it as one")


def _parse(path, text, mark, **options):
    """Parse the text; StageError if its rows do not fit the header or each other."""
    try:
        table = pd.read_csv(
            io.StringIO(text), sep=mark, dtype=str, keep_default_na=False, skip_blank_lines=False, **options
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        if opened := re.search(r"EOF inside string starting at row (\d+)", str(error)):
            raise StageError(f"{path}, line {int(opened[1]) + 1}: {UNCLOSED}") from None
        raise StageError(f"{path} is not a CSV table ({str(error).strip()}); save it as one") from None
    if not isinstance(table.index, pd.RangeIndex):
        raise StageError(f"{path}, line 2: the row has more fields than the header")
    return table.fillna("")  # of rows with fewer fields
