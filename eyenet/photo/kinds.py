"""Which files are photographs? Decided by their first bytes; the ending of the name only makes a damaged file count."""

import os
from pathlib import Path

from eyenet.photo.decode import HEIC, list_pages, open_image
from eyenet.photo.dicom import ENDINGS as DICOM_ENDINGS
from eyenet.photo.dicom import photograph_frames, starts_dicom
from eyenet.photo.pages import name_pages, photograph_pages
from eyenet.run.errors import NotAPhotograph, PhotoError, StageError, log, plural, what_to_do
from eyenet.run.files import Paths, read_json
from eyenet.run.workers import run_threads

# A file with one of these endings that is no photograph is a damaged one, and is reported.
ENDINGS = (".jpeg", ".jpg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif", ".avif")
ENDINGS += (".jp2", *DICOM_ENDINGS)
KNOWN = "JPEG, PNG, TIFF, BMP, WebP, GIF, JPEG 2000, AVIF, HEIC or DICOM"
CROPS = ("resize_images.py", "preprocess_images.py", "rotate_images.py")  # folders that these make hold crops
HEAD = 132  # bytes
OPENED = 8  # files at a time, since a network disk answers slowly
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"\0\0\0\x0cjP  ")


def examine(path):
    """List the photographs in a file of a folder, or say why it holds none. A DICOM header is read once.

    Parameters
    ----------
    path : Path

    Returns
    -------
    photographs : list of Path
        The file itself, also if it is damaged or cannot be opened: reading it says so. Pages, if it has several.
    reason : str or None
        Why it is no photograph.
    dicom : bool
        Whether the file is DICOM.
    """
    named = path.suffix.lower() in ENDINGS
    if path.exists() and not path.is_file():
        return [], "is not a regular file", False  # a pipe would never end
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        return ([path], None, False) if named else ([], f"cannot be read: {error.strerror}", False)
    dicom = starts_dicom(head)
    try:
        if dicom:
            pages = photograph_frames(path)
        elif named or _starts_photograph(head):
            pages = list_pages(path)
        elif not head:
            return [], "is empty", dicom
        else:  # of the other formats, the first bytes are too short to be sure
            with open_image(path) as image:
                pages = photograph_pages(image)
    except NotAPhotograph as error:
        return [], str(error), dicom
    except PhotoError:
        pages = [1]
    except Exception:  # as in `open_photograph`
        return [], f"is no photograph: not {KNOWN}", dicom
    return name_pages(path, pages), None, dicom


def _starts_photograph(head):
    """Tell by the first bytes whether a file is a photograph."""
    if head.startswith(STARTS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    return head[4:8] == b"ftyp" and head[8:12] in (*HEIC, b"avif", b"avis")


def find_photographs(places, skipped):
    """List the photographs among files and folders, each once, those of a folder sorted by name.

    Linked folders are followed, and a folder with several names is searched once.

    Parameters
    ----------
    places : list of Path
        Files are included whatever their names, even if they do not exist: they get a row that says so.
    skipped : collection of Path
        What to skip: the folder of the heat maps, the table of results.

    Returns
    -------
    photographs : list of Path
        A page of a file with several has a name such as scan.tiff[2].
    left_out : dict of Path to str
        The reason of each other file in the folders.

    Raises
    ------
    StageError
        If there are no photographs, a folder cannot be read, or a place is a pipe.
    """
    found, left_out, seen = [], {}, set()
    for place in places:
        if not place.is_dir():
            if place.exists() and not place.is_file():
                raise StageError(f"{place} is a pipe or a device, which can be read only once; give a file")
            found += examine(place)[0] or [place]
            continue
        for here, _, names in _walk(place, seen, lambda folder: folder.resolve() in skipped):
            for path in (here / name for name in _of_others(names)):
                photographs, reason, _ = examine(path) if path.resolve() not in skipped else ([], None, False)
                found += photographs
                if reason is not None:
                    left_out[path] = reason
    if not found:
        where = ", ".join(map(str, places))
        others = f", but {plural(len(left_out), 'other file')}" if left_out else ""
        raise StageError(f"no photograph ({KNOWN}) in {where}{others}")
    if left_out:
        log(f"note: left out {plural(len(left_out), 'other file')} in the folders; --csv and --json give the reasons")
    return list(dict.fromkeys(found)), left_out


def _walk(place, seen, skip):
    """Yield a folder and those below it, each with the names of its folders and files, sorted.

    Links are followed, and each folder is searched once. Hidden files are left out.

    Parameters
    ----------
    place : Path
    seen : set of (int, int)
        Device and inode of the folders that were searched before.
    skip : callable
        Tells of the path of a folder whether to leave it out.

    Raises
    ------
    OSError
        If a folder cannot be read, which `os.walk` would skip silently.
    """

    def refuse(error):
        raise error

    for folder, inner, names in os.walk(place, onerror=refuse, followlinks=True):
        here = Path(folder)
        if (itself := (here.stat().st_dev, here.stat().st_ino)) in seen:
            inner.clear()
            continue
        seen.add(itself)
        inner[:] = (name for name in inner if not name.startswith(".") and not skip(here / name))
        inner.sort(key=lambda name: ((here / name).is_symlink(), name))  # a folder's own name is the first
        yield here, inner, sorted(name for name in names if not name.startswith("."))


def _of_others(names):
    """Leave out the records and tables of a step of EyeNet, whose folders hold a stage.json."""
    return [name for name in names if not name.endswith((".json", ".csv"))] if "stage.json" in names else names


def list_photographs(folder, made_by=None):
    """List the photographs of a folder and of the folders below it, each folder sorted by name.

    Every file is opened, since its content decides whether it is a photograph and how many it holds: 0.2 ms each.

    Parameters
    ----------
    folder : path-like
    made_by : str, optional
        The script that fills the folder, for the error message.

    Returns
    -------
    photographs : Paths
        Their names are relative to the folder, such as `16/left.jpeg`; a page of a file is `16/scan.tiff[2]`.
    left_out : list of (str, str)
        Name and reason of each other file, and of folders that are empty or hold crops of EyeNet.
    dicom : set of str
        The names of those photographs that are DICOM.

    Raises
    ------
    StageError
        If there is no such folder or no photograph in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StageError(f"there is no folder {folder}; {what_to_do(made_by)}")
    files, left_out = [], []

    def holds_crops(inner):  # such as the output of an earlier run, in the folder of its photographs
        made = (read_json(inner / "stage.json") or {}).get("script")
        if made in CROPS:
            left_out.append((inner.relative_to(folder).as_posix(), f"crops that {made} made"))
        return made in CROPS

    for here, inner, names in _walk(folder, set(), holds_crops):
        inside = here.relative_to(folder)
        # text, since a million paths would take 800 MB
        files += [(inside / name).as_posix() for name in _of_others(names)]
        if not inner and not names and here != folder:
            left_out.append((inside.as_posix(), "an empty folder"))
    names, dicom = [], set()
    for file, (photographs, reason, is_dicom) in run_threads(lambda file: examine(folder / file), files, OPENED):
        found = [photograph.relative_to(folder).as_posix() for photograph in photographs]
        names += found
        dicom.update(found if is_dicom else ())
        if reason is not None:
            left_out.append((file, reason))
    if not names:
        raise StageError(f"{folder} and its subfolders hold no photograph ({KNOWN}); {what_to_do(made_by)}")
    return Paths(folder, names), sorted(left_out), dicom
