"""Match the names in a label table to photographs."""

from collections import defaultdict

from eyenet.data.names import composed
from eyenet.photo.kinds import ENDINGS
from eyenet.run.errors import StageError, log, plural

LONGEST = 60  # characters of a name in a message


def without_ending(name):
    """Return the name of a photograph without its ending, and with `/` between folders: `a\\7.JPG` is `a/7`."""
    name = name.replace("\\", "/")
    for ending in (*ENDINGS, ".gif"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
            break
    return "/".join(part for part in name.split("/") if part not in ("", ".", ".."))


def match_images(names, photographs):
    """Find the photograph that each name means: the same path, one that ends with the other, or the same base name.

    `7`, `images/7` and `/home/ada/set/images/7` all mean the photograph `images/7`. A base name in another folder
    decides only if the table names one folder, so that folders tell nothing apart, and the base name occurs once among
    the names and once among the photographs.

    Parameters
    ----------
    names : sequence of str
        As `without_ending` returns, without repetition.
    photographs : sequence of str
        Relative paths without ending, with `/` between folders; without repetition.

    Returns
    -------
    list of (str or None)
        The photograph of each name; None if it has none.

    Raises
    ------
    StageError
        If a name may mean several photographs, or several names mean one.
    """
    written = {composed(photograph): photograph for photograph in photographs}  # macOS writes letters in two parts
    if len(written) < len(photographs):
        twice = next(photograph for photograph in photographs if written[composed(photograph)] != photograph)
        raise StageError(
            f"two photographs are called {_short(twice)}, with letters of one and of two parts; rename one"
        )
    matched = _match([composed(name) for name in names], list(written))
    return [None if photograph is None else written[photograph] for photograph in matched]


def _match(names, photographs):
    """Match names and photographs whose letters are composed; see `match_images`."""
    exact, by_base, names_of = set(photographs), defaultdict(list), defaultdict(list)
    for photograph in photographs:
        by_base[photograph.rpartition("/")[2]].append(photograph)
    for name in names:
        names_of[name.rpartition("/")[2]].append(name)
    one_folder, found = len({name.rpartition("/")[0] for name in names}) == 1, []
    for name in names:
        base = name.rpartition("/")[2]
        same = by_base[base]
        close = [name] if name in exact else [other for other in same if _ends(name, other)]
        if not close and one_folder and len(same) == len(names_of[base]) == 1:
            close = same
        if len(close) > 1:
            raise StageError(
                f"{_short(name)} in the table may be {_short(close[0])} or {_short(close[1])}; write the folder into "
                "the table's name, or give one of the folders"
            )
        found.append(close[0] if close else None)
    _require_apart(names, found)
    return found


def warn_of_folders(found, path):
    """Warn of names that mean a photograph of another folder: the same base name may be another photograph.

    Parameters
    ----------
    found : dict of str to (str or None)
        Name to photograph, as from `match_images`.
    path : path-like
        The table, for the message.
    """
    other = [name for name, photo in found.items() if photo not in (None, name) and not _ends(name, photo)]
    if other:
        log(
            f"warning: {path} has other folders than the photographs for {plural(len(other), 'name')}, such as "
            f"{_short(other[0])} for {_short(found[other[0]])}; the names of the files are the same, check it"
        )


def _ends(one, other):
    """Tell whether one of two paths ends with the other, in whole folders."""
    return one.endswith("/" + other) or other.endswith("/" + one)


def _require_apart(names, found):
    """Raise a StageError if two names mean the same photograph."""
    first = {}
    for name, photograph in zip(names, found):
        if photograph is not None and first.setdefault(photograph, name) != name:
            raise StageError(
                f"{_short(first[photograph])} and {_short(name)} in the table both fit the photograph "
                f"{_short(photograph)}; correct the table, or give the folder that holds both"
            )


def _short(name):
    return repr(name if len(name) <= LONGEST else "..." + name[-LONGEST:])
