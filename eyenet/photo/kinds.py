"""Which files are photographs? Decided by their first bytes; the ending of the name only makes a damaged file count."""

import os
from pathlib import Path

from eyenet.photo.decode import HEIC, list_pages, open_image
from eyenet.photo.dicom import ENDINGS as DICOM_ENDINGS
from eyenet.photo.dicom import photograph_frames, starts_dicom
from eyenet.photo.pages import name_pages, photograph_pages
from eyenet.run.errors import NotAPhotograph, PhotoError, StageError, log
from eyenet.run.files import Paths

# A file with one of these endings that is no photograph is a damaged one, and is reported.
ENDINGS = (".jpeg", ".jpg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif", ".avif")
ENDINGS += (".jp2", *DICOM_ENDINGS)
SUBFOLDER = "a subfolder, which is not searched"
KNOWN = "JPEG, PNG, TIFF, BMP, WebP, GIF, JPEG 2000, AVIF, HEIC or DICOM"
HEAD = 132  # bytes
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
    """
    named = path.suffix.lower() in ENDINGS
    if path.exists() and not path.is_file():
        return [], "is not a regular file"  # a pipe would never end
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        return ([path], None) if named else ([], f"cannot be read: {error.strerror}")
    try:
        if starts_dicom(head):
            pages = photograph_frames(path)
        elif named or _starts_photograph(head):
            pages = list_pages(path)
        elif not head:
            return [], "is empty"
        else:  # of the other formats, the first bytes are too short to be sure
            with open_image(path) as image:
                pages = photograph_pages(image)
    except NotAPhotograph as error:
        return [], str(error)
    except PhotoError:
        pages = [1]
    except Exception:  # as in `open_photograph`
        return [], f"is no photograph: not {KNOWN}"
    return name_pages(path, pages), None


def why_left_out(path):
    """Say why a file in a folder is no photograph; None for a photograph. It opens no file with a usual ending."""
    ending = path.suffix.lower()
    if ending in ENDINGS and ending not in DICOM_ENDINGS and path.is_file():
        return None
    return examine(path)[1]


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
        for folder, inner, names in os.walk(place, onerror=_reraise, followlinks=True):
            here = Path(folder)
            if (itself := (here.stat().st_dev, here.stat().st_ino)) in seen:
                inner.clear()
                continue
            seen.add(itself)
            inner[:] = (d for d in inner if not d.startswith(".") and (here / d).resolve() not in skipped)
            inner.sort(key=lambda name: ((here / name).is_symlink(), name))  # a folder's own name is the first
            for path in (here / name for name in sorted(names) if not _is_own(name, names)):
                photographs, reason = examine(path) if path.resolve() not in skipped else ([], None)
                found += photographs
                if reason is not None:
                    left_out[path] = reason
    if not found:
        where = ", ".join(map(str, places))
        raise StageError(f"no photograph ({KNOWN}) in {where}" + f", but {len(left_out)} other files" * bool(left_out))
    if left_out:
        log(f"note: left out {len(left_out):,} other files in the folders; --csv and --json list them with the reason")
    return list(dict.fromkeys(found)), left_out


def _is_own(name, names):
    """Tell whether a file is hidden, or a record or table of a step of EyeNet, whose folders hold a stage.json."""
    return name.startswith(".") or ("stage.json" in names and name.endswith((".json", ".csv")))


def _reraise(error):
    """Raise the error of an unreadable folder, which `os.walk` would skip silently."""
    raise error


def list_photographs(folder, made_by=None):
    """List the photographs of a folder, sorted by name, without those of sub-folders and hidden files.

    Parameters
    ----------
    folder : path-like
    made_by : str, optional
        The script that fills the folder, for the error message.

    Returns
    -------
    photographs : Paths
    left_out : list of (str, str)
        Name and reason of each other file and of each sub-folder.

    Raises
    ------
    StageError
        If there is no such folder or no photograph in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StageError(f"there is no folder {folder}; {f'{made_by} makes it' if made_by else 'check the path'}")
    names, left_out = [], []
    for name in sorted(os.listdir(folder)):
        if name.startswith("."):
            continue
        path = folder / name
        if path.is_dir() and path.suffix.lower() not in ENDINGS:
            left_out.append((name, SUBFOLDER))
        elif path.is_dir() or (reason := why_left_out(path)) is None:
            names.append(name)
        else:
            left_out.append((name, reason))
    if not names:
        inside = " (subfolders are not searched)" if any(reason == SUBFOLDER for _, reason in left_out) else ""
        todo = f"{made_by} fills it" if made_by else "check the path"
        raise StageError(f"{folder} holds no photograph ({KNOWN}){inside}; {todo}")
    return Paths(folder, names), left_out
