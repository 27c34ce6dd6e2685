"""Whose the photographs to grade are, and how their heat maps are named."""

import contextlib
import os
from pathlib import Path

from eyenet.data.identity import Identity, is_placeholder, read_name
from eyenet.photo.dicom import is_dicom, read_names
from eyenet.run.errors import PhotoError, StageError


def identify(path, places, one_clinic):
    """Find which patient and eye a photograph shows, from the DICOM header or the names of file and folder.

    A patient ID holds within an input folder, and a name within the photograph's folder; in one clinic, everywhere.

    Returns
    -------
    Identity
    """
    header, path = None, Path(os.path.abspath(path))
    with contextlib.suppress(PhotoError):  # grading reports it
        header = read_names(path) if is_dicom(path) else None
    patient, eye = read_name(path.stem, path.parent.name)
    folder = path.parent.parent if patient == path.stem else path.parent  # `left/16` belongs to `right/16`
    place = "" if one_clinic else f"name {folder}"
    if header is None:
        return Identity(patient, eye, place=place)
    eye = header.eye or eye
    if header.patient is None or is_placeholder(header.patient):
        return Identity(patient, eye, header.study, header.date, place=place, placeholder=header.patient)
    scope = next((folder for folder in places if folder in path.parents), path.parent)
    place = "" if one_clinic else f"header {scope}"
    return Identity(header.patient, eye, header.study, header.date, named=patient, place=place)


def plain(text):
    """Replace the unprintable characters of a name."""
    text = os.fsencode(str(text)).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def name_heat_maps(paths, folder):
    """Choose a unique heat-map file for each photograph; None for all without a folder.

    Raises
    ------
    StageError
        If the folder contains one of the photographs: a heat map could overwrite it, or be graded in the next run.
    """
    if folder is None:
        return dict.fromkeys(paths)
    if folder.resolve() in {path.resolve().parent for path in paths}:
        raise StageError(f"--heatmap {folder} contains the photographs; choose another folder")
    targets, taken = {}, set()
    for path in paths:
        stem, whole = plain(path.stem), plain(path.name)  # also a name that is not UTF-8
        names = [stem, whole, *(f"{stem}-{number}" for number in range(2, len(paths) + 2))]
        name = next(name for name in names if name.lower() not in taken)
        taken.add(name.lower())
        targets[path] = folder / f"{name}.png"
    return targets
