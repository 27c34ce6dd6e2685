"""Which patient and eye a photograph shows: the one place where training and prediction look at a file for it."""

import contextlib
import os
from pathlib import Path

from eyenet.data.identity import Identity, disagreement, is_placeholder, not_one_person, read_name
from eyenet.photo.dicom import is_dicom, read_names
from eyenet.photo.kinds import OPENED
from eyenet.photo.pages import PAGE
from eyenet.run.errors import PhotoError, log, plural
from eyenet.run.workers import run_threads
from eyenet.sets.folders import class_folders, path_in_set
from eyenet.sets.nested import FEW, unclear_patients


def identify(path, places=(), one_clinic=True, folder=None, dicom=None):
    """Find which patient and eye a photograph shows, from the DICOM header or the names of file and folder.

    A patient ID holds within an input folder, and a name within the photograph's folder; in one clinic, everywhere.

    Parameters
    ----------
    path : Path
    places : collection of Path
        The input folders.
    one_clinic : bool
    folder : str, optional
        Name of the photograph's folder as far as it may be a patient or an eye; "" for one that is neither. Default:
        as on disk.
    dicom : bool, optional
        Whether the file is DICOM. Default: as its first bytes say.

    Returns
    -------
    Identity
    """
    header, path = None, Path(os.path.abspath(path))
    folder_name = path.parent.name if folder is None else folder
    with contextlib.suppress(PhotoError):  # reported when the photograph is decoded
        header = read_names(path) if (is_dicom(path) if dicom is None else dicom) else None
    patient, eye = read_name(path.stem, folder_name)
    folder = path.parent.parent if patient == path.stem else path.parent  # `left/16` belongs to `right/16`
    place = "" if one_clinic else f"name {folder}"
    doubt = disagreement(header and header.eye, path.stem, folder_name)
    if header is None:
        return Identity(patient, eye, place=place, doubt=doubt)
    eye, visit = header.eye or eye, (header.study, header.date)
    if header.patient is None or is_placeholder(header.patient):
        return Identity(patient, eye, *visit, place=place, placeholder=header.patient, doubt=doubt)
    scope = next((folder for folder in places if folder in path.parents), path.parent)
    place = "" if one_clinic else f"header {scope}"
    return Identity(header.patient, eye, *visit, named=patient, place=place, doubt=doubt)


def identify_all(photographs):
    """Find patient and eye of each photograph from headers, folders and names.

    An ID that cannot be one person, such as one that a camera gives to everybody, joins no photographs, nor do
    folders of which it is not clear which one is the patient (`eyenet.sets.nested`).

    Returns
    -------
    list of (str, str) or None
        Patient and eye, "" for what is unknown; None for photographs in one folder without pages and headers: their
        names, which are in every table, tell all.
    """
    files = [photograph.file for photograph in photographs]
    one_folder = len(photographs.listed) == 1 and not any("/" in file or PAGE.fullmatch(file) for file in files)
    if one_folder and not any(photographs.dicom):
        return None
    folders = {source: paths.folder.absolute() for source, paths in zip(photographs.sources, photographs.listed)}
    graded = {source: class_folders(paths.names)[0] for source, paths in zip(photographs.sources, photographs.listed)}

    def identity(photograph):
        folder, source = photograph.file.rpartition("/")[0], photograph.source
        name = "" if folder in graded[source] else folder.rpartition("/")[2]
        return identify(photograph.path, [folders[source]], False, name, photograph.dicom)

    found = [one for _, one in run_threads(identity, photographs, OPENED)]
    unclear = _unclear(photographs, graded)
    for i, (where, one) in enumerate(zip(photographs.rows, found)):
        if where in unclear and not one.place.startswith("header"):
            found[i] = one._replace(patient=None)
    headers = [i for i, one in enumerate(found) if one.place.startswith("header")]
    shared = {headers[i]: why for i, why in not_one_person([found[i] for i in headers]).items()}
    _warn(photographs, found, set(shared.values()), graded)
    return [("" if i in shared else one.patient or "", one.eye or "") for i, one in enumerate(found)]


def _unclear(photographs, graded):
    """Find the photographs whose paths do not identify the patient clearly; set of elements of `photographs.rows`."""
    sets = enumerate(zip(photographs.sources, photographs.listed))
    return {
        (number, row)
        for number, (source, paths) in sets
        for row in unclear_patients([path_in_set(file) for file in paths.names], graded[source])
    }


def _warn(photographs, found, shared, graded):
    """Tell what is not known or not sure of the identities that were found."""
    for why in sorted(shared):
        log(f"warning: {why}; its photographs are not joined")
    if placeholders := [one.placeholder for one in found if one.placeholder]:
        what = f"a placeholder as patient ID, such as {placeholders[0]!r}"
        log(f"warning: {plural(len(placeholders), 'header has', 'headers have')} {what}; it is not used")
    if doubts := [(photograph.file, one.doubt) for photograph, one in zip(photographs, found) if one.doubt]:
        count = plural(len(doubts), "photograph")
        log(f"warning: sources disagree about the eye of {count}, such as {': '.join(doubts[0])}")
    unknown = [(p.source, p.file.rpartition("/")[0]) for p, one in zip(photographs, found) if not one.patient]
    folders = {folder for source, folder in unknown if folder and folder not in graded[source]}
    if len(folders) >= FEW:
        where = f"in {len(folders):,} folders, such as {min(folders)}"
        log(f"note: names do not identify the patients {where}; if folders are patients, the table must say so")
