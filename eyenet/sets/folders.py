"""One or several sets of photographs as published: the name of each photograph, its grade by folder, the label table.

A set is a folder with subfolders of any kind: of grades, of patients, of eyes.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from eyenet.data.identity import read_name
from eyenet.data.names import JOINT
from eyenet.photo.kinds import list_photographs
from eyenet.photo.pages import PAGE
from eyenet.run.errors import StageError
from eyenet.sets.grades import read_grade
from eyenet.sets.matching import without_ending
from eyenet.sets.nested import read_path

LONGEST = 200  # bytes of a name; with the suffix of a copy and the ending, a disk takes 255
TABLES = (".csv", ".tsv")
KAGGLE = "trainLabels.csv"
INNER = ("train", "images", "train_images")  # folders in which many sets have their photographs
PHOTOGRAPHS = "photographs.csv"  # of resize_images.py: one row for each crop
ORIGIN = ("file", "patient", "eye")  # its columns for photographs whose names do not tell all
SPLIT_FOLDERS = {"train", "training", "val", "valid", "validation", "test", "testing"}


class Photograph(NamedTuple):
    """A photograph: its path, its name in tables and among crops, its file in the set, the set's name or None."""

    path: Path
    image: str
    file: str
    source: str | None
    dicom: bool

    def __str__(self):
        return str(self.path)

    @property
    def name(self):
        """How it is listed where it is rejected."""
        return self.file if self.source is None else f"{self.source}/{self.file}"


class Photographs(Sequence):
    """The photographs of one or several sets; a `Photograph` is made on access, since a million would take 1 GB."""

    def __init__(self, sources, listed, dicom, rows, images):
        self.sources, self.listed, self.dicom, self.rows, self.images = sources, listed, dicom, rows, images

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number, row = self.rows[index]
        paths, file = self.listed[number], self.listed[number].names[row]
        return Photograph(paths[row], self.images[index], file, self.sources[number], file in self.dicom[number])


def list_sets(folders, made_by=None):
    """List the photographs of one or several sets, each with a unique name.

    The name is that of the file without its ending where no other file of the set has it, and else the path in the
    set: `16~left` (`name_photographs`). Photographs of the second set and further ones have the set's name in front,
    so that another set changes nothing in the first one: neither names, nor patients, nor their split.

    Parameters
    ----------
    folders : list of Path
    made_by : str, optional
        As for `list_photographs`.

    Returns
    -------
    photographs : Photographs
    refused : list of (str, str)
        File and reason of each photograph without a usable name: one that is not UTF-8, is too long, or is that of
        another photograph, whose crop it would overwrite.
    left_out : list of (str, str)
        As from `list_photographs`.

    Raises
    ------
    StageError
        If a set has no photographs, or two sets have one name or share photographs.
    """
    sources = name_sets(folders)
    listed, dicom, left_out, rows, images, refused, first = [], [], [], [], [], [], {}
    for number, (source, folder) in enumerate(zip(sources, folders)):
        paths, others, headers = list_photographs(folder, made_by)
        listed.append(paths)
        dicom.append(headers)
        shown = "" if source is None else f"{source}/"
        left_out += [(f"{shown}{file}", reason) for file, reason in others]
        for row, (file, name) in enumerate(zip(paths.names, name_photographs(paths.names))):
            image = name if number == 0 else f"{source}{JOINT}{name}"
            if any("\ud800" <= letter <= "\udfff" for letter in file):
                refused.append((f"{shown}{file}", "its name is not UTF-8; rename it"))
            elif len(image.encode()) > LONGEST:
                refused.append(
                    (f"{shown}{file}", f"its name {image[:20]}... is too long; shorten those of its folders")
                )
            elif image in first:
                refused.append((f"{shown}{file}", f"has the same name as {first[image]}; rename one of them"))
            else:
                first[image] = f"{shown}{file}"
                rows.append((number, row))
                images.append(image)
    return Photographs(sources, listed, dicom, rows, images), refused, left_out


def name_sets(folders):
    """Name each set by its folder, DIR for DIR/train, DIR/images and DIR/train_images; None for a single set.

    Raises
    ------
    StageError
        If two have one name, or one contains another.
    """
    if len(folders) == 1:
        return [None]
    whole = [Path(folder).absolute() for folder in folders]
    names = [(folder.parent if folder.name.casefold() in INNER else folder).name for folder in whole]
    if twice := [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]:
        raise StageError(
            f"two sets are called {twice[0]}, and their names tell their patients apart; rename one folder"
        )
    real = [folder.resolve() for folder in whole]
    for one, folder in enumerate(real):
        for other in (other for i, other in enumerate(real) if i != one):
            if other == folder or other in folder.parents:
                raise StageError(f"{whole[one]} is in {other}, so its photographs would count twice; give one of them")
    return names


def path_in_set(file):
    """Return the file of a photograph without its ending, and with the number of its page: `16/scan[2]`."""
    page = PAGE.fullmatch(file)
    return f"{without_ending(page[1])}[{page[2]}]" if page else without_ending(file)


def name_photographs(files):
    """Name each photograph of a set by its file, or by its path if other files have the same name.

    Also by its path if its folder, and not its name, tells the patient or the eye: the next patient's photographs have
    the same names.
    """
    paths = [path_in_set(file) for file in files]
    stems = [path.rpartition("/")[2] for path in paths]
    count = Counter(stem.casefold() for stem in stems)  # some disks do not distinguish case
    names = []
    for path, stem in zip(paths, stems):
        alone = count[stem.casefold()] == 1 and (path == stem or read_path(path) == read_name(stem))
        names.append(stem if alone else path.replace("/", JOINT))
    return names


def class_folders(files):
    """Find the folders that give a grade: all sibling folders with photographs are named by grades.

    A folder with a photograph called `left` or `right` is that of a patient. Within a folder that words call a grade,
    as in `Mild/3/a`, others that do not all name grades need not be clear.

    Parameters
    ----------
    files : iterable of str
        The photographs of a set.

    Returns
    -------
    grades : dict of str to int
        Folder, relative to the set, to the grade, or NOT_GRADABLE.
    strange : list of str
        Folders beside two or more with the name of a grade, and without one.
    unsure : list of str
        Neighbours that are all called by one digit, none of them 0: they may be grades, or patients 1, 2, 3. Beside
        `train/0`, those in `test` are grades.
    """
    folders = {}
    for file in files:
        folder, _, stem = path_in_set(file).rpartition("/")
        if folders.setdefault(folder, True) and folder:  # so far not of a patient
            folders[folder] = read_name(stem, "folder")[0] != "folder"
    children = {}
    for folder, may in folders.items():
        while folder:
            parent, _, name = folder.rpartition("/")
            children.setdefault(parent, {}).setdefault(folder, read_grade(name) if may else None)
            folder, may = parent, True
    grades, strange, unsure = {}, [], []
    for named in children.values():
        unknown = sorted(folder for folder, grade in named.items() if grade is None)
        if not unknown and {folder.rpartition("/")[2] for folder in named} <= {"1", "2", "3", "4"}:
            unsure += named
        elif not unknown:
            grades |= named
        elif len(named) - len(unknown) > 1:
            strange += unknown
    known = {_split_of(folder) for folder in grades} - {None}
    grades |= {folder: read_grade(folder.rpartition("/")[2]) for folder in unsure if _split_of(folder) in known}
    unsure = [folder for folder in unsure if folder not in grades]
    worded = tuple(f"{folder}/" for folder in grades if not folder.rpartition("/")[2].isdigit())
    return grades, *(sorted(one for one in doubtful if not one.startswith(worded)) for doubtful in (strange, unsure))


def _split_of(folder):
    """Return where the split of a folder lies: "set" for `set/train/1` and `set/test/2`; None outside a split."""
    above, _, split = folder.rpartition("/")[0].rpartition("/")
    return above if split.lower() in SPLIT_FOLDERS else None


def grades_of(file, grades):
    """Return the set of grades that the folders of a photograph tell: of one, of none, or of several."""
    parts = file.split("/")[:-1]
    folders = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return {grades[folder] for folder in folders if folder in grades}


def find_table(folder):
    """Find the label table of a set: trainLabels.csv, or the only table in its folder; None if there is none.

    Raises
    ------
    StageError
        If there are several.
    """
    folder = Path(folder)
    if (folder / KAGGLE).is_file():
        return folder / KAGGLE
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in TABLES and not p.name.startswith("."))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise StageError(f"{folder} holds several tables ({names}); name the one with the grades: --labels FILE")
    return found[0] if found else None
