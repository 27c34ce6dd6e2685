"""One station for an inbox and the folders in it, without a file there: the inbox may be read-only."""

import contextlib
import os

from eyenet.run.errors import StageError, log
from eyenet.run.files import sha256_bytes


@contextlib.contextmanager
def only_station(inbox, register):
    """Keep a second station from watching an inbox, or from using a register for it.

    The folder itself is locked, which writes nothing. Where a folder cannot be locked, as on some network shares, only
    a file beside the register is: it keeps out stations of the same register. The folders above are locked so that
    several stations may share them, but none may watch them.

    Parameters
    ----------
    inbox : Path
        Absolute.
    register : Path

    Raises
    ------
    StageError
        If another station watches the inbox, a folder in it or one above it, or the register is in the inbox.
    """
    if register.resolve().is_relative_to(inbox):
        raise StageError(f"the register {register} is in the inbox {inbox}, into which only photographs belong")
    register.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f".{register.name}.{sha256_bytes(os.fsencode(inbox))[:12]}.lock"
    beside = os.open(register.with_name(name), os.O_CREAT | os.O_RDWR, 0o600)
    folder = os.open(inbox, os.O_RDONLY)
    above = list(_open_above(inbox))
    try:
        for place in (beside, folder):
            if not _lock(place, f"{inbox} or a folder in it"):
                log(f"note: {inbox} cannot be locked; do not let two computers watch it")
        for path, place in above:
            _lock(place, path, shared=True)
        yield
    finally:
        for place in (*(place for _, place in above), folder, beside):
            os.close(place)


def _open_above(inbox):
    """Open the folders above an inbox that this user may read."""
    for path in inbox.parents:
        with contextlib.suppress(OSError):
            yield path, os.open(path, os.O_RDONLY)


def _lock(place, watched, shared=False):
    """Lock an open file; return whether its file system has locks."""
    import fcntl  # Windows has none, and predict.py runs there too

    try:
        fcntl.flock(place, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StageError(f"another station watches {watched}; stop it first") from None
    except OSError:  # some network file systems have none
        return False
    return True
