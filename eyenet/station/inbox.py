"""The inbox: which files have stopped growing, and which are new or have changed.

Waits are measured with the monotonic clock, since that of the computer may jump.
"""

import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

from eyenet.run.errors import log

SETTLED = 0.4  # s for which size and time of a file must stay the same
POLL = 0.8  # s between looks at the whole folder; network shares send no events


class State(NamedTuple):
    """The state of a file, by which a change is found."""

    size: int
    modified: int
    inode: int


class Inbox:
    """A folder, with its subfolders, that a camera writes to.

    Parameters
    ----------
    folder : Path
    now : callable
        Returns seconds that never go back.

    Attributes
    ----------
    present : dict of Path to State
        The files as of the last look.
    closed : dict of Path to str
        The subfolders that this user may not read, and why. `present` keeps the files that they held before.
    """

    def __init__(self, folder, now=time.monotonic):
        self.folder, self.now = folder, now
        self.present, self.done, self.seen, self.closed = {}, {}, {}, {}
        self.event, self.observer = threading.Event(), None

    def look(self):
        """List the files that have stopped growing and were not taken in this state, the oldest first.

        Raises
        ------
        OSError
            If a folder cannot be read, such as on a network drive that is gone; nothing is forgotten then.
        """
        (present, self.closed), now = _list_files(self.folder), self.now()
        for path in self.present.keys() - present.keys() if self.closed else ():
            if not self.closed.keys().isdisjoint(path.parents):
                present[path] = self.present[path]
        self.present = present
        self.done = {path: state for path, state in self.done.items() if present.get(path) == state}
        waiting = {path: state for path, state in present.items() if path not in self.done}
        before, self.seen = self.seen, {}
        for path, state in waiting.items():
            known = before.get(path)
            self.seen[path] = known if known and known[0] == state else (state, now)
        ready = [path for path in waiting if now - self.seen[path][1] >= SETTLED]
        return sorted(ready, key=lambda path: (present[path].modified, path))

    def take(self, path, state):
        """Note that a file was answered in this state; it is offered again if it changes."""
        self.done[path] = state

    def waiting(self):
        """List the files that are not answered yet."""
        return sorted(self.seen.keys() - self.done.keys())

    def start(self):
        """Ask the system to report new files; the folder is also scanned regularly, in case it cannot."""
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer

        handler = FileSystemEventHandler()
        handler.on_any_event = lambda event: event.event_type not in READS and self.event.set()
        try:
            self.observer = Observer()
            self.observer.schedule(handler, str(self.folder), recursive=True)
            self.observer.start()
        except OSError as error:
            self.observer = None
            log(f"note: the system does not report new files in {self.folder} ({error}); it is scanned regularly")

    def stop(self):
        """Stop the reports that `start` asked for."""
        if self.observer is not None:
            self.observer.stop()
            self.observer.join()

    def wait(self):
        """Wait until a look may find something new."""
        if self.seen.keys() - self.done.keys():
            time.sleep(SETTLED / 2)
        else:
            self.event.wait(POLL)
        self.event.clear()


READS = ("opened", "closed_no_write")  # events of watchdog without a change, such as our own reading


def state_of(path):
    """Read the State of a file."""
    found = os.stat(path)
    return State(found.st_size, found.st_mtime_ns, found.st_ino)


def _list_files(folder):
    """List the files of a folder and of those below it, without hidden ones and links to folders.

    Returns
    -------
    found : dict of Path to State
    closed : dict of Path to str
        Subfolders that this user may not read, and why.
    """
    found, closed, folders = {}, {}, [folder]
    while folders:
        inner = Path(folders.pop())
        try:
            _list_folder(inner, found, folders)
        except PermissionError as error:
            if inner == folder:
                raise
            closed[inner] = error.strerror
        except (FileNotFoundError, NotADirectoryError):  # removed or renamed meanwhile
            if inner == folder:
                raise
    return found, closed


def _list_folder(folder, found, folders):
    """Add the files of a folder to `found`, and its subfolders to `folders`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file():
                    found[Path(entry.path)] = state_of(entry.path)
            except FileNotFoundError:  # removed or renamed meanwhile
                continue
