"""The folders of a stage: list the input files, lock and record the output folder, list the rejected images."""

import contextlib
import os
import shutil
from pathlib import Path

from eyenet.run.errors import EXIT_REJECTED, StageError, log, plural, what_to_do
from eyenet.run.files import TEMPORARY, Paths, has_ending, read_json, write_json, write_rows

LOCK = ".lock"  # empty, or when the last complete run began (eyenet/run/stage.py)


def list_files(folder, endings, made_by=None):
    """List the files of a folder that have one of the endings, sorted by name.

    Parameters
    ----------
    folder : path-like
    endings : collection of str
        Lower case, with the dot.
    made_by : str, optional
        The script that makes the folder, for the error message.

    Returns
    -------
    Paths

    Raises
    ------
    StageError
        If there is no such folder or no such file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StageError(f"there is no folder {folder}; {what_to_do(made_by)}")
    names = sorted(name for name in os.listdir(folder) if has_ending(name, endings))
    if not names:
        inside = " (subfolders are not searched)" if any(p.is_dir() for p in folder.iterdir()) else ""
        raise StageError(f"{folder} holds no {'/'.join(endings)} file{inside}; {what_to_do(made_by)}")
    return Paths(folder, names)


@contextlib.contextmanager
def output_folder(folder, script, settings, source=None, record="stage.json", keep_notes=False, found=None, **notes):
    """Lock and record an output folder during a run.

    Makes the folder, locks it against a second run, removes incomplete files of an interrupted run, and writes the
    record: what made the folder, and, after a complete run, that it is `finished`.

    Parameters
    ----------
    folder : path-like
    script : str
        File name of the stage.
    settings : dict
        What the bytes in the folder depend on. A folder made with other settings is refused: its files would be
        mixed with those of this run.
    source : path-like, optional
        The folder that the stage reads; its settings become part of these, as `input`.
    record : str
        File name of the record.
    keep_notes : bool
        Keep the notes of the first run.
    found : dict, optional
        Settings that only the run itself finds out, by name: what the body puts there is added to the settings at the
        end, unless it is None. They are not compared.
    **notes
        Further entries of the record, which are not compared.

    Yields
    ------
    Path
        The folder.

    Raises
    ------
    StageError
        If the folder holds other files, was made with other settings or is in use, or if the source is not finished.
    """
    folder = Path(folder)
    if source is not None:
        settings = {**settings, "input": _finished_settings(source)}
    known = _read_record(folder, script, settings, record, found or {})
    with locked(folder):
        for name in os.listdir(folder):  # glob would hold one object per file
            if name.startswith(TEMPORARY):
                (folder / name).unlink(missing_ok=True)
        before = {k: v for k, v in (known or {}).items() if k != "finished"}
        made = {"script": script, "settings": settings, **(before if keep_notes and known else notes)}
        write_json(folder / record, made)
        yield folder
        known = read_json(folder / record) or made
        if found:
            known["settings"] |= {name: value for name, value in found.items() if value is not None}
        write_json(folder / record, {**known, "finished": True})


@contextlib.contextmanager
def locked(folder):
    """Make a folder and lock it against a second run; raise a StageError if it is locked already."""
    import fcntl  # imported here because Windows has no fcntl, and predict.py runs there too

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(f"another run is writing to {folder}; wait for it, or stop it") from None
        except OSError:  # some network file systems have no locks
            log(f"note: {folder} cannot be locked; do not run this stage twice at once")
        yield


def require_new(target):
    """Raise a StageError if a folder that is to be written exists."""
    if os.path.lexists(target):
        raise StageError(f"{target} exists, and nothing is replaced; choose another --output")


@contextlib.contextmanager
def whole_folder(target):
    """Yield a temporary folder beside `target`; rename it to `target` on success, remove it on failure.

    What a killed run left is removed first.

    Raises
    ------
    StageError
        If `target` exists, or another run is writing it.
    """
    target = Path(target)
    require_new(target)
    work = target.with_name(TEMPORARY + target.name)
    with locked(work):
        try:
            for path in work.iterdir():
                if path.name != LOCK:
                    path.unlink()
            yield work
            require_new(target)  # another run may have been faster
            (work / LOCK).unlink()
            work.rename(target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise


def _finished_settings(source):
    """Return the settings that made an input folder, None if no stage made it; raise a StageError if unfinished."""
    made = read_json(Path(source) / "stage.json")
    if made and not made.get("finished"):
        raise StageError(f"{source} is not finished; run {made.get('script')} again first")
    return (made or {}).get("settings")


def _read_record(folder, script, settings, record, found):
    """Read the record of an output folder, None for a new one; raise a StageError if this run must not write to it."""
    if folder.exists() and not folder.is_dir():
        raise StageError(f"{folder} is a file, but {script} writes a folder; choose another --output")
    known = read_json(folder / record)
    if known is None and (folder / record).exists():
        raise StageError(f"{folder / record} is damaged; write to another folder, or move {folder} away")
    if known is None and folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir()):
        raise StageError(f"{folder} holds files that {script} did not make; write to another folder, or empty it")
    if known is not None and isinstance(known.get("settings"), dict):
        known["settings"] = {key: value for key, value in known["settings"].items() if key not in found}
    if known is not None and (known.get("script"), known.get("settings")) != (script, settings):
        raise StageError(
            f"{folder} was made with other settings or from other images ({_differences(known, script, settings)}); "
            f"write to another folder, or move {folder} away"
        )
    return known


def _differences(known, script, settings):
    """List the settings in which a folder's record and this run differ, as `recorded -> requested`."""
    recorded = {"script": known.get("script"), **_flatten(known.get("settings"))}
    requested = {"script": script, **_flatten(settings)}
    differing = [key for key in {**recorded, **requested} if recorded.get(key) != requested.get(key)]
    return ", ".join(f"{key}: {str(recorded.get(key))[:12]} -> {str(requested.get(key))[:12]}" for key in differing)


def _flatten(settings, prefix=""):
    """Flatten nested settings to one level: {'input': {'size': 64}} becomes {'input size': 64}."""
    if not isinstance(settings, dict):
        return {prefix.strip(): settings}
    return {k: v for key, part in settings.items() for k, v in _flatten(part, f"{prefix} {key}").items()}


def report_unlisted(files, table, path):
    """Report how many images are not in a table, with the names of the first ones."""
    listed = set(table["image"])
    names = sorted(file.stem for file in files if file.stem not in listed)
    if names:
        more = " ..." if len(names) > 8 else ""
        log(f"left out {plural(len(names), 'image')} that {path} does not list: {', '.join(names[:8])}{more}")


def remove_stale(folder, expected):
    """Remove the images that are not `expected` (names without .png): those of photographs no longer in the input."""
    stale = [name for name in os.listdir(folder) if name.endswith(".png") and name.removesuffix(".png") not in expected]
    for name in stale:
        (Path(folder) / name).unlink()
    if stale:
        log(f"removed {plural(len(stale), 'image')} of photographs that are no longer in the input from {folder}")


def finish(rejected, total, max_rejected, folder):
    """Write `rejected.csv` and turn the number of rejected images into an exit code.

    Parameters
    ----------
    rejected : list of (str, str)
        Name and reason.
    total : int
        Number of input images.
    max_rejected : float
        Fraction that may be rejected.
    folder : path-like

    Returns
    -------
    int
        0, or 3 if too many were rejected.
    """
    path = Path(folder) / "rejected.csv"
    write_rows(path, ["image", "reason"], sorted(rejected))
    for name, reason in sorted(rejected)[:10]:
        log(f"rejected {name}: {reason}")
    if len(rejected) > 10:
        log(f"... and {len(rejected) - 10} more, in {path}")
    if len(rejected) > max_rejected * total:
        log(
            f"error: rejected {len(rejected):,} of {plural(total, 'image')}, more than --max-rejected "
            f"{max_rejected:.0%}; the reasons are in {path}"
        )
        return EXIT_REJECTED
    return 0
