"""The rows of graded photographs: on the terminal, and in a table that a later run continues."""

import contextlib
import json
import os
import sys
import zlib
from collections import Counter

from eyenet.data.tasks import QUESTIONS
from eyenet.grading.photographs import DOUBTS, read_middle
from eyenet.model.answers import AGAIN, RETAKE, UNDECIDED, UNSURE
from eyenet.photo.field import describe_fields
from eyenet.photo.pages import split_page
from eyenet.photo.retina import PREPROCESSING
from eyenet.run.errors import StageError, log, plural
from eyenet.run.files import plain
from eyenet.run.growing import GrowingTable

UNREAD, LEFT_OUT = "not read", "left out"
SAME = ("model", "operating_point", "unsure", "rules", "preprocessing", "asked_field")  # only so a table is continued


class Output:
    """The rows on stdout, as a table or as JSON lines, and their summary; a caution stands in every row.

    Parameters
    ----------
    paths : list of Path
    questions : tuple of str
    graded : bool
        Whether the model gives grades.
    as_json : bool
    shared : dict
        What all rows have.
    goes_on : bool
        If the reader of stdout exits, such as `| head`, continue without output: there is a table to write.
    """

    def __init__(self, paths, questions, graded, as_json, shared, goes_on):
        self.questions, self.graded, self.as_json, self.shared, self.unit = questions, graded, as_json, shared, None
        self.titles = [QUESTIONS[question].split(" (")[0] for question in questions] + ["grade"] * graded
        self.width = min(60, max([len("photograph"), *(len(plain(path)) for path in paths)]))
        self.counts, self.fields, self.goes_on, self.closed = Counter(), Counter(), goes_on, False

    def count(self, rows):
        """Count photographs that an earlier run graded."""
        self.counts.update(row["result"] for row in rows)
        self.fields.update(row["field"] for row in rows if row.get("field"))

    def write(self, row):
        """Print a row, and count the photographs; the table on the terminal has no files that are left out."""
        if row["unit"] == "photograph" and row["result"] != LEFT_OUT:
            self.count([row])
        if self.as_json:
            self._print(json.dumps(row | self.shared))
        elif row["result"] != LEFT_OUT:
            if row["unit"] != self.unit:
                self._print(("\n" if self.unit else "") + self._line(row["unit"], self.titles, "result"))
                self.unit = row["unit"]
            self._print(self._line(row["photograph"] or row["patient"], self._cells(row), self._result(row)))

    def _print(self, text, file=None):
        if self.closed:
            return
        try:
            print(text, flush=True, file=file)
        except BrokenPipeError:
            if not self.goes_on:
                raise
            self.closed = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _cells(self, row):
        answers = [row.get("questions", {}).get(question, {}).get("probability") for question in self.questions]
        cells = ["-" if answer is None else f"{answer:.3f}" for answer in answers]
        return cells + [str(row.get("grade", "-"))] * self.graded

    def _result(self, row):
        poor = row.get("gradable") is False and row["result"] not in (AGAIN, UNREAD, LEFT_OUT)
        said = f"{row['result']}, poor photograph, {RETAKE}" if poor else row["result"]
        if row["result"] == UNSURE:
            said += f" (by the threshold: {row['by_threshold']})"
        reasons = [reason.removesuffix(f": {row['result']}") for reason in row["reasons"]]  # such as of both eyes
        told = ": ".join([said, *([", ".join(reasons)] if reasons else [])])
        return f"{told} [{self.shared['caution']}]" if "caution" in self.shared else told

    def _line(self, first, cells, last):
        cells = (cell.rjust(len(title)) for cell, title in zip(cells, self.titles))
        return "  ".join([first.ljust(self.width), *cells, last])

    def end(self, patients):
        """Print the summary; return the number of files that could not be read."""
        total, unread = self.counts.total(), self.counts[UNREAD]
        results = "; ".join(f"{result} {count:,}" for result, count in sorted(self.counts.items()))
        joined = f" and {plural(patients, 'patient')}" if patients else ""
        text = f"{plural(total, 'photograph')}{joined}: {results}"
        if self.fields["frame"]:
            text += f" ({describe_fields(self.fields['circle'], self.fields['frame'])})"
        self._print(text, sys.stderr if self.as_json else None)
        if unread:
            log(f"error: {unread:,} of {plural(total, 'file')} could not be read; the reasons are in their rows")
        return unread


def left_out_row(path, reason):
    """Make the row of a file that is no photograph."""
    names = {"unit": "photograph", "photograph": plain(path), "patient": None, "eye": None}
    return names | {"result": LEFT_OUT, "reasons": [reason]}


def columns_of(questions, graded, unsure=False):
    """Name the columns of --csv; `unsure` adds those of predict.py --unsure."""
    first = ["unit", "photograph", "patient", "eye", "result", *["by_threshold"] * unsure]
    first += ["reasons", "decided_by", "gradable", "quality"]
    parts = ["probability", "threshold", "disease", *["unsure", "low", "high"] * unsure]
    each = [f"{question}_{part}" for question in questions for part in parts]
    last = ["heatmap", "operating_point", "rules", "model", "trained_on", "caution", "preprocessing", "asked_field"]
    return first + each + ["expected_grade", "grade"] * graded + ["unsure"] * unsure + [*last, "field", "file"]


def to_csv(row):
    """Flatten a row for --csv: one column per answer, booleans as 1 and 0, unknown values left empty."""
    parts = {f"{q}_{part}": value for q, answer in row.get("questions", {}).items() for part, value in answer.items()}
    row = row | {"reasons": "; ".join(row["reasons"])} | parts
    return {key: int(value) if isinstance(value, bool) else value for key, value in row.items() if value is not None}


def from_csv(row, questions):
    """Restore from a row of --csv what is needed to join the photographs of a patient."""
    kept = {"photograph": row["photograph"], "result": row["result"], "field": row["field"]}
    kept["reasons"] = row["reasons"].split("; ") if row["reasons"] else []
    if row["gradable"]:  # empty for a file that was not read
        kept["gradable"] = row["gradable"] == "1"
    told = {question: _answer_from(row, question) for question in questions}
    if kept.get("gradable") or any(answer["probability"] is not None for answer in told.values()):
        kept["questions"] = told
    if row.get("grade"):
        kept["grade"] = int(row["grade"])
    return kept


def _answer_from(row, question):
    """Restore the answer to a question from a row of --csv."""
    if not row[f"{question}_probability"]:
        return dict(UNDECIDED)
    answer = {part: float(row[f"{question}_{part}"]) for part in ("probability", "threshold")}
    answer["disease"] = row[f"{question}_disease"] == "1"
    if not row.get(f"{question}_high"):
        return answer
    limits = {part: float(row[f"{question}_{part}"]) for part in ("low", "high")}
    unsure = row[f"{question}_unsure"] == "1"
    return answer | limits | {"unsure": unsure, "disease": None if unsure else answer["disease"]}


def file_of(path):
    """Describe the file of a photograph by size, time and checksum of its middle; empty if it cannot be read.

    Files from one CD often have equal times, and without compression equal sizes, so exchanged names show in neither.
    """
    file = split_page(path)[0]
    try:
        found = file.stat()
        return f"{found.st_size} bytes, {found.st_mtime_ns / 1e9:.6f}, {zlib.crc32(read_middle(file)):08x}"
    except OSError:
        return ""


class Worklist:
    """The table of --csv: photographs that it holds are not graded again. Use it as a context manager.

    It grows row by row and has the patients last.

    Parameters
    ----------
    path : Path
    columns : list of str
    shared : dict
        What all rows have: model, operating point and `asked_field`, the option of predict.py.
    targets : dict of Path to Path or None
        The photographs, and their heat maps.
    doubts : dict of Path to list of str
        As from `eyenet.grading.photographs.find_doubts`.

    Attributes
    ----------
    known : dict of Path to dict
        The photographs that are in the table, with their rows.

    Raises
    ------
    StageError
        If the file is another table, of another model or of other photographs, or another run writes it.
    """

    def __init__(self, path, columns, shared, targets, doubts):
        self.known, self.shared = {}, shared | {"preprocessing": PREPROCESSING}
        self.table, self.lines, self.patients = GrowingTable(path, columns), [], []
        try:
            self._recall({plain(place): place for place in targets}, targets, doubts)
        except BaseException:
            self.table.file.close()
            raise

    def _recall(self, places, targets, doubts):
        for row in self.table.rows:
            here = {key: str(self.shared[key]) for key in SAME if key in row}
            if differing := [f"{key} {row[key]}, not {here[key]}" for key in here if row[key] != here[key]]:
                raise StageError(f"{self.table.path} was made with {', '.join(differing)}; choose another name")
            if row["unit"] == "photograph" and row["result"] != LEFT_OUT and row["photograph"] not in places:
                raise StageError(
                    f"{self.table.path} holds {row['photograph']}, which is not among these photographs; choose "
                    "another name"
                )
            place = places.get(row["photograph"])
            drawn = place is not None and self._is_drawn(row, targets[place])
            reasons = "; ".join(doubts.get(place, []))
            told = all((mark in row["reasons"]) == (mark in reasons) for mark in DOUBTS)
            if drawn and told and row["result"] not in (UNREAD, LEFT_OUT) and row["file"] == file_of(place):
                self.known[place] = row
        if self.known:
            log(f"note: {plural(len(self.known), 'photograph is', 'photographs are')} in {self.table.path} already")

    @staticmethod
    def _is_drawn(row, target):
        """Tell whether the heat map of a row is there, under its name in this run, or none is asked for."""
        if target is None or not row["heatmap"]:
            return target is None or not row["quality"] or row["result"] == AGAIN
        return plain(row["heatmap"]) == plain(target) and target.exists()

    def begin(self, left_out, more):
        """Write what needs no grading: rows of files that are left out, and the known photographs.

        `more` tells whether photographs are to be graded: then rows of patients are not final.
        """
        self.lines = [self._line(row) for row in left_out] + list(self.known.values())
        before, rest = self.table.rows[: len(self.lines)], self.table.rows[len(self.lines) :]
        final = before == self.lines and not more and all(row["unit"] == "patient" for row in rest)
        self.patients = rest if final else []
        if self.table.rows != self.lines + self.patients:
            self.table.replace(self.lines)

    def write(self, row, path):
        """Append the row of a photograph."""
        self.lines.append(self._line(row | {"file": file_of(path)}))
        self.table.append(self.lines[-1])

    def finish(self, patients):
        """Write the rows of the patients, unless they are there."""
        lines = [self._line(row) for row in patients]
        if self.patients == lines[: len(self.patients)]:
            for line in lines[len(self.patients) :]:
                self.table.append(line)
        else:
            self.table.replace(self.lines + lines)

    def _line(self, row):
        cells = to_csv(row | self.shared)
        return {column: str(cells.get(column, "")) for column in self.table.columns}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.table.file.close()


class NoTable(contextlib.nullcontext):
    """Stands in for the Worklist where no table is asked for."""

    def __init__(self):
        super().__init__(self)
        self.known = {}

    def begin(self, left_out, more):
        """Write nothing."""

    def write(self, row, path):
        """Write nothing."""

    def finish(self, patients):
        """Write nothing."""
