"""Read the labels of a table: grades, yes and no, and codes for ungradable photographs."""

from eyenet.data.delimited import HEADLESS
from eyenet.data.tables import is_own
from eyenet.data.tasks import LEAST_GRADE
from eyenet.run.errors import StageError, log
from eyenet.sets.columns import CODE, REVERSED, VAGUE, plain
from eyenet.sets.grades import NOT_GRADABLE, WORDS, read_grade

YES, NO = ("1", "1.0", "true", "yes", "y"), ("0", "0.0", "false", "no", "n")
GOOD, POOR = ("gradable", "gradeable", "good", "usable", "adequate"), ("reject", "bad", "poor", "inadequate")
NOT_AVAILABLE = ("na", "n/a", "#n/a", "nan", "null")  # as R, spreadsheets, pandas and databases write an empty cell
DDR = "5"  # the code of DDR, whose own lists have no header


def read_levels(cells, found, form, named, path):
    """Read the labels of a table.

    Parameters
    ----------
    cells : DataFrame of str
        Its index is the line number less 2.
    found : dict of str to str
        Role to column, as from `eyenet.sets.columns.find_columns`. A binary label becomes 0 or the least grade of its
        disease.
    form : list of str
        How the table is written, as from `eyenet.data.delimited.read_cells`.
    named : dict of str to str
        The option --columns: the columns that it names, and the label that means "ungradable".
    path : path-like
        The table, for messages.

    Returns
    -------
    Series of float
        0-4, `NOT_GRADABLE`, or NaN where a cell is empty.

    Raises
    ------
    StageError
        If a label cannot be read or may mean two things, or there is none.
    """
    question = next((role for role in LEAST_GRADE if role in found), None)
    if question:
        texts, allowed = cells[found[question]], "0 or 1, or yes or no"
        read = dict.fromkeys(YES, LEAST_GRADE[question]) | dict.fromkeys(NO, 0)
        read |= {word: grade for word, grade in WORDS.items() if grade == NOT_GRADABLE}
    else:
        texts, allowed = _without_r(_grade_cells(cells, found, path), path), "0 to 4, or words such as moderate"
        read = {text.casefold(): read_grade(text) for text in texts.unique()}
    if code := named[CODE] if CODE in named else _code_of_ddr(texts, found.get("level"), form, path):
        read |= dict.fromkeys((code.casefold(), f"{code}.0"), NOT_GRADABLE)
    levels = texts.str.casefold().map(read).astype(float)
    if (wrong := levels.isna() & (texts != "")).any():
        text, name = texts[wrong].iloc[0], found.get(question or "level", "the grade")
        hint = f"if it means ungradable, give --columns {CODE}={text}"
        if text.casefold() in (*YES, *NO):
            hint = f"if it means any DR, or referable DR, give --columns any={name} or referable={name}"
        raise wrong_line(path, wrong, f"{name} is {text!r}, and must be {allowed}; {hint}")
    if "gradable" in found and not is_own(cells):  # there, our own quality gate says it
        levels = levels.mask(_told_ungradable(cells[found["gradable"]], path), NOT_GRADABLE)
    _require_clear(levels, "" if "level" in named else found.get("level", ""), path)
    return levels


def without_na(cells, found, named):
    """Empty the cells of labels and eyes that say "not available", unless --columns gives the word a meaning."""
    words = set(NOT_AVAILABLE) - {named.get(CODE, "").casefold()}
    columns = [column for role, column in found.items() if role not in ("image", "patient", "Usage")]
    return cells.assign(
        **{column: cells[column].mask(cells[column].str.casefold().isin(words), "") for column in columns}
    )


def _code_of_ddr(texts, column, form, path):
    """Return the code of DDR if the grades may be DDR's: 5 beside 0.

    Without 0 they may be grades 1-5. In a column `level`, as in our own tables and Kaggle's, a 5 is an error.
    """
    if HEADLESS in form:
        return DDR
    if column in (None, "level") or not {"0", DDR} <= {text.removesuffix(".0") for text in texts.unique()}:
        return None
    log(f"note: {path}: {DDR} in {column} is taken for ungradable, as in DDR; --columns {CODE}= refuses it")
    return DDR


def wrong_line(path, wrong, what):
    """Make a StageError that names the first of some wrong rows of a table, and their number."""
    more = f" ({wrong.sum():,} such rows)" if wrong.sum() > 1 else ""
    return StageError(f"{path}, line {wrong.idxmax() + 2}: {what}{more}")


def _grade_cells(cells, found, path):
    """Return the grade of each row: from its column, or from that of its eye."""
    if "level" in found:
        return cells[found["level"]]
    left, right = (cells[found[eye]] for eye in ("left", "right"))
    if (both := (left != "") & (right != "")).any():
        raise wrong_line(path, both, "both eyes have a grade, and a row must have that of its photograph only")
    return left.where(left != "", right)


def _without_r(texts, path):
    """Read R0-R4 as 0-4 if the table has R4. In England's scale, R2 is severe and R3 proliferative."""
    scaled = texts.str.fullmatch(r"[Rr][0-4]")
    used = set(texts[scaled].str.upper())
    if used and "R4" not in used and used != {"R0"}:
        doubtful = scaled & (texts.str.upper() != "R0")
        first = texts[doubtful].iloc[0]
        hint = f"{first!r} may be of R0-R4, or of England's R0-R3, where R3 is proliferative; write the grades as 0-4"
        raise wrong_line(path, doubtful, hint)
    return texts.mask(scaled, texts.str[1:])


def _told_ungradable(cells, path):
    """Tell which rows a column `gradable` calls ungradable; an empty cell says nothing."""
    words, (good, bad) = cells.str.casefold(), (NO, YES) if plain(cells.name) in REVERSED else (YES, NO)
    poor = words.isin([*bad, *POOR, *(word for word, grade in WORDS.items() if grade == NOT_GRADABLE)])
    if (wrong := ~(poor | words.isin([*good, *GOOD, ""]))).any():
        hint = f"{cells.name} is {cells[wrong].iloc[0]!r}, and must be 1 or 0, or a word such as yes, no, good, reject"
        raise wrong_line(path, wrong, f"{hint}; --columns gradable= ignores the column")
    return poor


def _require_clear(levels, column, path):
    """Raise a StageError if no row has a grade, or if 0 and 1 in this column may be grades or mean no and yes."""
    if not (levels >= 0).any():
        raise StageError(f"{path}, line {levels.index[0] + 2}: no row has a grade; all are empty or ungradable")
    if plain(column) in VAGUE and set(levels.dropna()) <= {0, 1, NOT_GRADABLE} and (levels == 1).any():
        raise StageError(
            f"{path}: {column} has only 0 and 1, which may be grades or mean no and yes; say which with --columns "
            f"grade={column}, any={column} (any DR) or referable={column}"
        )
