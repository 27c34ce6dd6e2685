"""Find photographs whose patient or eye is doubtful, and name heat maps."""

import contextlib
import itertools
from collections import Counter

from eyenet.data.identity import NOT_ONE_PERSON, differ, not_one_person, read_name
from eyenet.model.overlay import is_page
from eyenet.photo.pages import split_page
from eyenet.run.errors import StageError
from eyenet.run.files import plain, sha256

MIDDLE = 2**16  # bytes compared before whole files: uncompressed photographs often have equal sizes
COPY = "the same file as "
LONGEST = 240  # bytes of a name, without its ending
DOUBTS = (COPY, NOT_ONE_PERSON)  # what marks the reasons that depend on the other photographs


def find_doubts(paths, who):
    """Find the photographs whose patient or eye the other photographs make doubtful; by path, the reasons in words.

    Parameters
    ----------
    paths : list of Path
    who : callable
        Returns the Identity of a photograph.
    """
    found = {path: [why] for path, why in _find_mixed_up(paths, who).items()}
    for i, why in not_one_person([who(path) for path in paths]).items():
        found.setdefault(paths[i], []).append(plain(why))
    return found


def _find_mixed_up(paths, who):
    """Find the photographs whose file is also that of another eye or patient; by path, the reason in words."""
    groups, found = [paths], {}
    for content in (_size, read_middle, sha256):  # only what is equal so far is read further
        groups = [same for group in groups for same in _equal(group, content)]
    for group in groups:
        identities = {path: who(path) for path in group}
        for path in group:
            others = [other for other in group if differ(identities[path], identities[other])]
            if others:
                found[path] = f"{COPY}{plain(others[0])}"
    return found


def _equal(paths, content):
    """List the groups of several photographs with equal content; files that cannot be read are in none."""
    groups = {}
    for path in paths:
        file, page = split_page(path)
        with contextlib.suppress(OSError):  # grading reports it
            if file.is_file():
                groups.setdefault((page, content(file)), []).append(path)
    return [group for group in groups.values() if len(group) > 1]


def _size(file):
    return file.stat().st_size


def read_middle(file):
    """Read the middle of a file, in which photographs differ; bytes."""
    with open(file, "rb") as opened:
        opened.seek(max(0, file.stat().st_size - MIDDLE) // 2)
        return opened.read(MIDDLE)


def name_heat_maps(paths, folder):
    """Choose a unique heat-map file for each photograph; None for all without a folder.

    It has the name of the photograph, with that of the folder if the folder tells the patient, as in 7/left.jpeg, or if
    photographs have equal names: both heat maps get it, so that a name does not depend on the order.

    Raises
    ------
    StageError
        If the folder contains one of the photographs: a heat map could overwrite it, or be graded in the next run. Also
        if it holds another file under the name of a heat map.
    """
    if folder is None:
        return dict.fromkeys(paths)
    if folder.resolve() in {path.resolve().parent for path in paths}:
        raise StageError(f"--heatmap {folder} contains the photographs; choose another folder")
    ways = {path: _heat_map_names(path) for path in paths}
    counts = Counter(name.lower() for names in ways.values() for name in set(names))
    targets, taken = {}, set()
    for path, names in ways.items():
        unique = [name for name in names if counts[name.lower()] == 1 and len(name.encode()) <= LONGEST]
        numbered = (f"{names[0][: LONGEST // 8]}-{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain(unique, numbered) if name.lower() not in taken)
        taken.add(name.lower())
        targets[path] = folder / f"{name}.png"
    if other := next((target for target in targets.values() if target.exists() and not is_page(target)), None):
        raise StageError(f"{plain(other)} is no heat map, and one would overwrite it; choose another --heatmap")
    return targets


def _heat_map_names(path):
    """List the names that a photograph's heat map may have, the shortest that tells the patient first."""
    stem, whole, above = (plain(part) for part in (path.stem, path.name, path.absolute().parent.name))
    alone = [stem, whole] if read_name(path.stem) == read_name(path.stem, path.absolute().parent.name) else []
    return [*alone, f"{above}_{stem}", f"{above}_{whole}"]
