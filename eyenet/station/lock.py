"""One station for an inbox, without a file in it: the inbox may be read-only."""

import contextlib
import hashlib
import os

from eyenet.run.errors import StageError, log


@contextlib.contextmanager
def only_station(inbox, register):
    """Keep a second station from watching an inbox, or from using a register for it.

    The folder itself is locked, which writes nothing. Where a folder cannot be locked, as on some network shares, only
    a file beside the register is: it keeps out stations of the same register.

    Parameters
    ----------
    inbox : Path
        Absolute.
    register : Path

    Raises
    ------
    StageError
        If another station watches the inbox.
    """
    register.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f".{register.name}.{hashlib.sha256(os.fsencode(inbox)).hexdigest()[:12]}.lock"
    beside = os.open(register.with_name(name), os.O_CREAT | os.O_RDWR, 0o600)
    folder = os.open(inbox, os.O_RDONLY)
    try:
        for place in (beside, folder):
            _lock(place, inbox)
        yield
    finally:
        os.close(folder)
        os.close(beside)


def _lock(place, inbox):
    import fcntl  # Windows has none, and predict.py runs there too

    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StageError(f"another station watches {inbox}; stop it first") from None
    except OSError:  # some network file systems have no locks
        log(f"note: {inbox} cannot be locked; do not let two computers watch it")
