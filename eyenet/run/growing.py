"""A CSV table that grows row by row, is valid after any kill, and has one writer at a time."""

import contextlib
import csv
import fcntl
import io
import os
from pathlib import Path

from eyenet.run.errors import StageError
from eyenet.run.files import TEMPORARY, from_cell, to_cell


class GrowingTable:
    """An open table. Use it as a context manager.

    Parameters
    ----------
    path : path-like
        Created with its header if it does not exist.
    columns : list of str

    Attributes
    ----------
    rows : list of dict
        The rows that the file had, all values str. A last line that a killed run wrote in part is not among them.

    Raises
    ------
    StageError
        If the file is another table, or another run writes it.
    """

    def __init__(self, path, columns):
        self.path, self.columns = Path(path), columns
        if self.path.exists() and not self.path.is_file():
            raise StageError(f"{path} exists and is not a regular file; choose another name")
        self.file = self._open(self.path)
        content = self.file.read()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            header, *cells = (
                csv.reader(io.StringIO(whole.decode("utf-8"), newline=""), strict=True) if whole else (None,)
            )
        except (UnicodeDecodeError, csv.Error):
            header, cells = ["?"], []
        if header not in (None, columns) or any(len(row) != len(columns) for row in cells) or (content and not whole):
            self.file.close()
            raise StageError(f"{path} is another table, or of another version; choose another name")
        self.rows = [dict(zip(columns, map(from_cell, row))) for row in cells]
        if len(whole) < len(content):
            self.file.truncate(len(whole))
        if header is None:
            self.append(dict(zip(columns, columns)))

    def _open(self, path):
        """Open a file that only this process writes."""
        file = open(path, "a+b", buffering=0)  # noqa: SIM115 (closed by __exit__)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise StageError(f"another run writes {self.path}; wait for it, or choose another name") from None
        file.seek(0)
        return file

    def append(self, row):
        """Write a row, a dict; other keys than the columns are ignored."""
        self.file.write(self._line(row))

    def _line(self, row):
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, extrasaction="ignore", lineterminator="\n")
        writer.writerow({key: to_cell(value) for key, value in row.items()})
        return text.getvalue().encode("utf-8", "replace")

    def replace(self, rows):
        """Write all rows anew, whole or not at all."""
        temporary = self.path.with_name(TEMPORARY + self.path.name)
        temporary.unlink(missing_ok=True)
        file = self._open(temporary)
        try:
            file.write(b"".join(map(self._line, [dict(zip(self.columns, self.columns)), *rows])))
            os.replace(temporary, self.path)
        except BaseException:
            file.close()
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        self.file.close()
        self.file, self.rows = file, rows

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
