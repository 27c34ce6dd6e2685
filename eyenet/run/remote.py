"""What a Dask worker does for a stage: it gets this code, checks that it can give the same bytes, works on batches.

`Code` and `entry` travel to the cluster as they are written here, so that neither the scheduler nor a new worker needs
EyeNet beforehand; all the rest they import from the code that `Code` brought.
"""

import functools
import hashlib
import importlib
import importlib.metadata
import io
import pickle
import platform
import sys
import zipfile
import zlib
from pathlib import Path

from distributed import WorkerPlugin

# What decodes, scales, compresses and grades: another version of one of these may give other bytes.
DEPENDENCIES = ("numpy", "Pillow", "pydicom", "python-gdcm", "ai-edge-litert")


class Code(WorkerPlugin):
    """The code of this package, brought to every worker: those that are there, new ones and restarted ones."""

    name = "eyenet"  # of all versions: the last one counts

    def __init__(self):
        here, packed = Path(__file__).parents[1], io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path in sorted(p for p in here.rglob("*") if p.suffix in (".py", ".json")):
                info = zipfile.ZipInfo(
                    path.relative_to(here.parent).as_posix()
                )  # without its time: the version is that of the text
                archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)
        self.archive = packed.getvalue()
        self.version = hashlib.sha256(self.archive).hexdigest()[:16]

    def setup(self, worker):
        """Unpack the code, and forget any other version of it."""
        folder = Path(worker.local_directory) / f"eyenet-{self.version}"
        if not folder.exists():  # it is this process's own
            with zipfile.ZipFile(io.BytesIO(self.archive)) as archive:
                archive.extractall(folder)
        sys.path[:] = [str(folder), *(place for place in sys.path if "/eyenet-" not in place)]
        if self.version not in str(getattr(sys.modules.get("eyenet"), "__file__", "")):
            for name in [name for name in sys.modules if name.split(".")[0] == "eyenet"]:
                del sys.modules[name]


def entry(version):
    """Make the function that Dask calls; nested, since only such a one travels whole and not by its name."""

    def run(job, batch):
        """Work on a batch; its results, or a sentence that says why this worker cannot."""
        shipped = importlib.import_module("eyenet.run.remote")
        if version not in shipped.__file__:
            return "another run has brought another version of EyeNet to the workers; when it has ended, run this again"
        return shipped.work(job, batch)

    return run


def versions():
    """List what the bytes of an image depend on, beside the code, as {name: version}."""
    found = {"zlib": zlib.ZLIB_RUNTIME_VERSION, "processor": platform.machine()}
    for name in DEPENDENCIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


@functools.lru_cache(maxsize=4)
def open_job(job):
    """Unpickle a stage's function, once a process, if this worker can do its work; else raise a StageError."""
    from distributed import get_worker

    from eyenet.run.errors import StageError

    here, where = versions(), get_worker().address
    wanted, rest = pickle.loads(job)
    for name, version in wanted.items():
        if here[name] != version:
            raise StageError(
                f"{name} is {here[name]} on the worker {where} and {version} here, so the bytes could differ; install "
                "the same version on all machines"
            )
    try:
        witnesses, function = pickle.loads(rest)
    except ImportError as error:
        raise StageError(f"the worker {where} lacks a package ({error}); install the same ones on all") from None
    for path in witnesses:
        if not path.exists():
            raise StageError(
                f"the worker {where} does not see {path.parent} as this machine does; mount the same file system "
                "there under the same name"
            )
    return function


def work(job, batch):
    """Apply a stage's function to each item of a batch; as `entry`."""
    from eyenet.run.errors import PhotoError, StageError

    def guarded(item):
        try:
            return function(item)
        except PhotoError as error:
            return error

    try:
        function = open_job(job)
        return [guarded(item) for item in pickle.loads(batch)]
    except StageError as error:
        return str(error)
