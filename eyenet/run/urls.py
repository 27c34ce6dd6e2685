"""Paths that are URLs, such as s3://bucket/folder, beside those of the file system.

fsspec and universal_pathlib do the work, and are imported only where there is a URL. An object store differs from a
file system: a file appears whole or not at all, its time is that of its upload, and there are no folders and no locks.
"""

import contextlib
import functools
import os
import tempfile
from pathlib import Path

from eyenet.run.errors import StageError


def path_of(place):
    """Make a path: pathlib's, or for a URL one that behaves like it.

    Parameters
    ----------
    place : str or path

    Raises
    ------
    StageError
        If it is a URL of a kind that is not known or not installed, or that cannot be reached.
    """
    if is_url(place):
        return place
    if not isinstance(place, str) or "://" not in place:
        return Path(place)
    try:
        from upath import UPath

        # Listings are not remembered: other machines write there too.
        path = UPath(place, use_listings_cache=False)
        path.exists()
    except ImportError as error:
        raise StageError(f"{place} needs a package ({error}): pip install -r requirements-cluster.txt") from None
    except Exception as error:  # each store has its own: no credentials, no such host, forbidden
        raise StageError(f"{place} cannot be opened: {error or type(error).__name__}") from None
    return path


def is_url(path):
    """Tell whether a path of `path_of` is a URL."""
    return not isinstance(path, (str, os.PathLike))


def make_folder(folder):
    """Make a folder and those above it where there are folders: an object store has none."""
    if is_url(folder):
        from upath.implementations.cloud import CloudPath

        if isinstance(folder, CloudPath):
            return
    folder.mkdir(parents=True, exist_ok=True)


def names_in(folder):
    """Give the names of what a folder holds, in any order."""
    if not is_url(folder):
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)
    elif folder.exists():  # an object store has no empty folders
        here = folder.path.rstrip("/")  # some stores list a folder as one of its files
        found = (name.rstrip("/") for name in folder.fs.ls(folder.path, detail=False))
        yield from (name.rsplit("/", 1)[-1] for name in found if name != here)


@contextlib.contextmanager
def nearby(path):
    """Give the path of a file of the same name and content on this machine: itself unless it is a URL."""
    if not is_url(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        near = Path(folder) / path.name
        with contextlib.suppress(FileNotFoundError):  # whoever opens it will say so
            near.write_bytes(path.fs.cat_file(path.path))
        yield near


def reads_nearby(function):
    """Make a function that reads a file by its path, the first argument, read it from a URL too."""

    @functools.wraps(function)
    def wrapped(path, *args, **options):
        with nearby(path) as near:
            return function(near, *args, **options)

    return wrapped


@contextlib.contextmanager
def uploaded(path):
    """Give a temporary path on this machine; on success its file becomes that of the URL, whole."""
    with tempfile.TemporaryDirectory() as folder:
        near = Path(folder) / path.name
        yield near
        path.fs.put_file(str(near), path.path)


def copy(source, target):
    """Copy a file of which source, target or both are URLs; within one store it does not pass through here."""
    if is_url(source) and is_url(target) and source.fs == target.fs:
        target.fs.cp_file(source.path, target.path)
    else:
        with nearby(source) as near, uploaded(target) as temporary:
            temporary.write_bytes(near.read_bytes())


def modified(path):
    """Give the time at which a file was changed, of a URL at which it was uploaded, in nanoseconds.

    Raises
    ------
    FileNotFoundError
    """
    return path.stat().st_mtime_ns if is_url(path) else os.stat(path).st_mtime_ns


def stamp(path):
    """Give size and time of a file as text, `missing` where there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def stamps(paths):
    """Give the `stamp` of each of the paths; of URLs, which lie in one folder, by asking once for all."""
    if not paths or not is_url(paths[0]):
        yield from map(stamp, paths)
        return
    folder = paths[0].parent
    listed = {info["name"].rsplit("/", 1)[-1]: info for info in folder.fs.ls(folder.path, detail=True)}
    for path in paths:
        info = listed.get(path.name)
        yield f"{info['size']} {info.get('LastModified', info.get('mtime'))}" if info else "missing"
