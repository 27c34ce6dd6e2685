"""Divide the photographs of a set into groups by a column: of its table, or of what EyeNet itself knows of them."""

import numpy as np
import pandas as pd

from eyenet.data.tables import read_rows
from eyenet.run.errors import StageError, log
from eyenet.sets.columns import named_like, plain
from eyenet.sets.folders import find_table
from eyenet.sets.levels import NOT_AVAILABLE

DEFAULT = ("Usage", "source", "gradable")  # groups that are always shown, where the photographs are in several
OWN = ("eye", "quality", "gradable", "size")  # what EyeNet knows, whether or not the table has such a column
HIDDEN = ("image", "level", "patient", "split", "question", "patient known", "transform", "split as", "path", "file")
UNKNOWN = "unknown"
UNKNOWNS = ("", UNKNOWN, *NOT_AVAILABLE)
BY_HELP = (
    "also compare groups of photographs, by columns of the table, such as sex or camera, and by eye, quality, gradable "
    "and size, which EyeNet knows (docs/results.md); Usage, source and gradable are always compared"
)
MOST = 12  # groups of a column; of more, the largest are kept, and numbers are cut into thirds
AGES = ("age", "age years", "age in years", "patient age", "age at examination", "age at exam")
DECADES = ("under 40", "40 to 49", "50 to 59", "60 to 69", "70 or older")
OLDEST = 120  # years; more is a code for "not known"
QUALITIES = ("gradable, better half", "gradable, worse half", "not gradable")


class NoColumn(StageError):
    """A column to group by is not in the table."""


def choose_columns(names, path, made_by=None):
    """Find the columns of a table that --by names, in any case, with `_`, `-` or spaces.

    Parameters
    ----------
    names : sequence of str
    path : Path
        The table, or a folder that holds one or none.
    made_by : str, optional
        The script that makes the table, if its columns `quality` and `size` are EyeNet's.

    Returns
    -------
    list of str
        Names of `OWN`, and columns as they are written in the table.

    Raises
    ------
    NoColumn
        If there is no such column, or there are several.
    """
    path = find_table(path) if path.is_dir() else path
    columns = [] if path is None else [c for c in read_rows(path, made_by).table if plain(c) not in HIDDEN]
    own, chosen = {plain(name): name for name in OWN}, []
    for name in names:
        fitting = [own[plain(name)]] if plain(name) in own else named_like(name, columns)
        if len(fitting) != 1:
            what = "several columns" if fitting else "no column"
            others = ", ".join(dict.fromkeys([*OWN, *columns]))
            raise NoColumn(f"there is {what} {name!r} to group by; there are {others}")
        if made_by is None and fitting[0] in ("quality", "size") and named_like(name, columns):
            log(f"note: --by {fitting[0]} is what EyeNet measures, not the column of {path}; rename that one to use it")
        chosen += ["Usage"] if plain(fitting[0]) == "usage" else fitting
    return list(dict.fromkeys(chosen))


def group_photographs(table, column, sizes=None):
    """Divide photographs into groups.

    Parameters
    ----------
    table : DataFrame
    column : str
        Of the table, or one of `OWN`.
    sizes : ndarray, shape (n, 2), optional
        Width and height of the photographs in pixels.

    Returns
    -------
    pandas.Categorical
        The group of each row; `UNKNOWN` where the cell is empty or says so. The categories are in the order in which
        they are shown, and none is empty.

    Notes
    -----
    Values are compared without spaces around them, and in any case but for the names of sets. A column with up to
    `MOST` values has a group for each. Of more, numbers are cut into thirds of the photographs
    whose number is known, and of other values the most frequent are kept and the rest is one group. Ages are cut into
    decades, in any case.
    """
    if column == "size":
        return _by_size(sizes, len(table))
    if column not in table:
        return _ordered([UNKNOWN] * len(table), [])
    if column in ("gradable", "quality"):
        gradable = pd.to_numeric(table.get("gradable"), errors="coerce")
        if column == "gradable":
            return _ordered(
                np.select([gradable == 1, gradable == 0], ["gradable", "not gradable"], UNKNOWN), ["gradable"]
            )
        return _by_quality(pd.to_numeric(table["quality"], errors="coerce"), gradable == 0)
    cells = table[column].fillna("").astype(str).str.strip()
    cells = cells.mask(cells.str.casefold().isin(UNKNOWNS), "")
    cells = cells if column == "source" else _join_spellings(cells, column)
    numbers = pd.to_numeric(cells.replace("", np.nan), errors="coerce")
    if (numbers.isna() & (cells != "")).any() or numbers.isna().all():
        return _by_text(cells, column)
    if plain(column) in AGES:
        return _by_age(numbers)
    return _by_number(numbers)


def _join_spellings(cells, column):
    """Write values that differ only in case, such as M and m, as the most frequent of them."""
    counts = cells[cells != ""].value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    chosen, joined = {}, {}
    for value in counts.index:
        first = chosen.setdefault(value.casefold(), value)
        joined.setdefault(first, []).append(value)
    if several := [" and ".join(map(repr, values)) for values in joined.values() if len(values) > 1]:
        log(f"note: {column}: upper and lower case are not told apart: {'; '.join(several)}")
    return cells.map(lambda value: chosen.get(value.casefold(), value))


def _ordered(groups, order):
    """Make the Categorical of groups: those of `order`, then others by name, and `UNKNOWN` last."""
    groups = pd.Series(groups, dtype=object)
    found = set(groups)
    order = [group for group in order if group in found]
    others = sorted(found - {*order, UNKNOWN})
    return pd.Categorical(groups, [*order, *others, *([UNKNOWN] if UNKNOWN in found else [])])


def _by_text(cells, column):
    counts = cells[cells != ""].value_counts()
    if len(counts) > MOST:
        kept = counts.index[: MOST - 1]
        rest = f"other ({len(counts) - len(kept)} values)"
        log(f"note: {column} has {len(counts):,} values; the {len(kept)} most frequent are groups, and {rest} is one")
        cells = cells.where(cells.isin(kept) | (cells == ""), rest)
        return _ordered(cells.replace("", UNKNOWN), sorted(kept))
    return _ordered(cells.replace("", UNKNOWN), [])


def _by_age(years):
    years = years.where((years >= 0) & (years <= OLDEST))
    band = np.searchsorted([40, 50, 60, 70], years.fillna(0), side="right")
    return _ordered(np.where(years.isna(), UNKNOWN, np.array(DECADES, object)[band]), DECADES)


def _by_number(numbers, show="{:.6g}".format):
    known = numbers.dropna()
    if known.nunique() <= MOST:
        order = [show(number) for number in sorted(known.unique())]
        return _ordered([UNKNOWN if np.isnan(number) else show(number) for number in numbers], order)
    low, high = known.quantile([1 / 3, 2 / 3], interpolation="lower")
    order = [f"up to {show(low)}", f"above {show(low)}, up to {show(high)}", f"above {show(high)}"]
    band = np.searchsorted([low, high], numbers.fillna(low))
    return _ordered(np.where(numbers.isna(), UNKNOWN, np.array(order, object)[band]), order)


def _by_quality(score, poor):
    """Divide the gradable photographs at the median of the gate's score, the probability that a grader rejects them."""
    worse = score > score[~poor].median()
    return _ordered(np.select([score.isna(), poor, worse], [UNKNOWN, *QUALITIES[:0:-1]], QUALITIES[0]), QUALITIES)


def _by_size(sizes, count):
    """Divide by width and height, which tell cameras apart; where there are too many sizes, by the number of pixels."""
    if sizes is None:
        return _ordered([UNKNOWN] * count, [])
    sizes = np.asarray(sizes).astype(int)
    found, of_row = np.unique(sizes, axis=0, return_inverse=True)
    if len(found) > MOST:
        return _by_number(pd.Series(sizes.prod(axis=1) / 1e6), "{:.2g} megapixels".format)
    names = [f"{width} x {height}" for width, height in found]
    return _ordered([names[row] for row in of_row.ravel()], names)
