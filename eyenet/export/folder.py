"""The folder of exports: the verified files, export.json with the comparison, and README.md for app developers."""

import contextlib
import hashlib
import os
import shutil

from eyenet.data.tasks import QUESTIONS, TASKS, first_disease
from eyenet.export.coreml import IN_NUMPY
from eyenet.model import disclaimers
from eyenet.run.errors import StageError, log
from eyenet.run.files import TEMPORARY, read_json, write_json, write_whole
from eyenet.run.pages import environment

RECORD = "export.json"
RECORD_FORMAT = 1  # of export.json
BEFORE = ".before-"  # prefix of an earlier export while it is replaced


def files_of(path):
    """List the files of an export (one file, or a folder of files), sorted by name."""
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def hash_export(path):
    """Hash the file names and bytes of an export; str."""
    total = hashlib.sha256()
    for file in files_of(path):
        total.update(f"{file.relative_to(path)} {file.stat().st_size}\n".encode() + file.read_bytes())
    return total.hexdigest()


def size_of(path):
    """Return the size of an export in bytes."""
    return sum(file.stat().st_size for file in files_of(path))


@contextlib.contextmanager
def proved_export(target):
    """Yield a temporary path for an export, with the file name of `target`; move it there if the body succeeds.

    A folder cannot be renamed over another: the earlier one is renamed first, and `restore` can bring it back.
    """
    restore(target)
    work = target.parent / f"{TEMPORARY}{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work / target.name
        if target.is_dir():
            target.rename(aside(target))
        (work / target.name).replace(target)
    finally:
        restore(target)
        shutil.rmtree(work, ignore_errors=True)


def aside(target):
    """Return where the folder of an earlier export is kept until the new one is in place."""
    return target.with_name(BEFORE + target.name)


def restore(target):
    """Bring an earlier export back if the new one did not arrive, or remove it if it did."""
    if not aside(target).exists():
        return
    if target.exists():
        shutil.rmtree(aside(target))
    else:
        aside(target).rename(target)


def require_own(folder):
    """Refuse a folder with other files than exports, because its README.md would be overwritten.

    Raises
    ------
    StageError
    """
    if folder.exists() and not folder.is_dir():
        raise StageError(f"{folder} is a file, but export_model.py writes a folder; choose another --output")
    others = folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
    if others and not (folder / RECORD).is_file():
        raise StageError(f"{folder} holds something other than exports; choose another --output, or empty it")


def remove_unfinished(folder):
    """Remove incomplete files of a killed run, and bring back what it replaced; the folder must be locked."""
    for path in folder.glob(f"{BEFORE}*"):
        restore(path.with_name(path.name.removeprefix(BEFORE)))
    for path in folder.glob(f"{TEMPORARY}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def read_record(folder, model):
    """Read the records of a folder's exports, by name; empty if it is of another model or version, or damaged."""
    record = read_json(folder / RECORD) or {}
    ours = (record.get("format"), record.get("model")) == (RECORD_FORMAT, model)
    return {name: known for name, known in record.get("files", {}).items() if ours and (folder / name).exists()}


def remove_others(folder, names, files):
    """Remove exports of these names that are not in `files`: they belong to another model, and README.md omits them."""
    for path in (folder / name for name in names if name not in files and (folder / name).exists()):
        log(f"removing {path}, which belongs to another model")
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def require_export(folder, name, model):
    """Read the record of an export after verifying its checksum.

    Returns
    -------
    dict
        `format`, `precision`, `bytes`, `sha256`, `parity`.

    Raises
    ------
    StageError
        If it is missing, belongs to another model, or was changed.
    """
    known, path = read_record(folder, model).get(name), folder / name
    if known is None:
        raise StageError(f"{path} is missing or not of this model; export it without --check")
    if hash_export(path) != known["sha256"]:
        raise StageError(f"{path} has changed since its export: its checksum differs; copy it again, or export again")
    return known


def write_record(folder, model, files, description):
    """Write export.json, model.json and README.md.

    Parameters
    ----------
    folder : Path
    model : str
        Hash of the Keras network.
    files : dict
        By name, as from `require_export`.
    description : dict
        From `eyenet.export.description.describe`.
    """
    write_json(folder / RECORD, {"script": "export_model.py", "format": RECORD_FORMAT, "model": model, "files": files})
    write_json(folder / "model.json", description)
    env = environment(__file__, autoescape=False)
    task = TASKS[description["task"]]
    page = env.get_template("readme.md.jinja").render(
        d=description,
        disclaimers=disclaimers,
        files=files,
        questions=task.questions,
        words=QUESTIONS,
        first={question: first_disease(description["task"], question) for question in task.questions},
        in_numpy=any(known["by"] == IN_NUMPY for known in files.values()),
        cell=_cell,
    )
    write_whole(folder / "README.md", page.encode())


def _cell(asked):
    """Format the comparison for one question as a cell of the table."""
    before, after = asked["auc"]
    return f"{asked['decisions']}, " + ("not graded" if before is None else f"{before:.4f} -> {after:.4f}")
