"""The folders of the forms: a folder for each day, in it a folder for each visit, named by ID and random key."""

import contextlib
import re
import shutil

from eyenet.run.errors import StageError

UNSAFE = re.compile(r"[^\w-]+")  # in the name of a folder


class FormFolders:
    """The folders in a folder of forms. The methods raise OSError.

    Parameters
    ----------
    root : Path
    anonymous : bool
        Whether new folders have the key alone.
    """

    def __init__(self, root, anonymous):
        self.root, self.anonymous = root, anonymous

    def place(self, key, told, day):
        """Name the folder of a visit by the day of its first photograph, the patient's ID and the random key."""
        named = "" if self.anonymous else UNSAFE.sub("-", str(told or ""))[:40].strip("-")
        return self.root / day / (f"{named}_{key}" if named else key)

    def find(self, key):
        """List the folders of a visit, under any day and ID: its first photograph or the settings may have changed."""
        return [one for one in self.root.glob(f"*/*{key}") if one.name == key or one.name.endswith(f"_{key}")]

    def with_names(self):
        """List the keys of the patients with a folder whose name holds more than the key."""
        return sorted({_patient_of(folder) for folder in self.root.glob("*/*_*")})

    def make(self, folder):
        """Make a folder that only its owner can read, as the register."""
        for one in (self.root, folder):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # a disk that keeps no permissions; the register warns of it
                one.chmod(0o700)

    def move(self, key, folder):
        """Move the folder of a visit, with the pictures, to a new place; anonymous forms are written from scratch."""
        for other in self.find(key):
            if other != folder and (self.anonymous or folder.exists()):
                remove(other)
            elif other != folder:
                self.make(folder.parent)
                other.rename(folder)
                _remove_empty(other.parent)

    def keep(self, patient, keys):
        """Remove the folders of a patient's visits without an answer; `keys` are the visits with one."""
        for folder in list(self.root.glob("*/*")):
            if _patient_of(folder) == patient and folder.name.rpartition("_")[2] not in keys:
                remove(folder)

    def erase(self, patients):
        """Remove the folders of some patients."""
        for folder in list(self.root.glob("*/*")):
            if _patient_of(folder) in patients:
                remove(folder)


def remove(folder):
    """Remove the folder of a visit, and that of its day if it was the last one."""
    shutil.rmtree(folder)
    _remove_empty(folder.parent)


def _remove_empty(day):
    with contextlib.suppress(OSError):  # the day has other visits
        day.rmdir()


def _patient_of(folder):
    """Return the random key of the patient of a folder, which follows the last `_` of its name."""
    return folder.name.rpartition("_")[2].partition("-")[0]


@contextlib.contextmanager
def one_sentence(folder):
    """Make the StageError for forms that cannot be written or removed."""
    try:
        yield
    except (OSError, MemoryError) as error:
        why = (getattr(error, "strerror", None) or str(error)) if isinstance(error, OSError) else "not enough memory"
        told = f"{why}; check disk, permissions and memory"
        raise StageError(f"the forms in {folder} cannot be written or removed: {told}") from error
