"""Run an image stage: lock and record the output folder, apply a function to every image, list the rejected ones."""

import contextlib
import json
import os
import tempfile
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from eyenet.run.errors import PhotoError
from eyenet.run.files import read_json
from eyenet.run.folder import LOCK, finish, output_folder, remove_stale
from eyenet.run.workers import crew, for_each


class ImageStage(NamedTuple):
    """One run of an image stage, from `image_stage`."""

    folder: Path  # the output folder
    workers: object  # for `for_each`: a number of threads, or a cluster
    rejected: list  # (name, reason) of every input that cannot be used
    since: int | None  # for `is_unchanged`: when the last complete run on the same input began, in ns, or None

    def each(self, function, items, what, name=attrgetter("name")):
        """Apply a function to every item; yield (item, result) of the successful ones and list the others.

        Parameters
        ----------
        function, items, what
            As in `eyenet.run.workers.for_each`.
        name : callable
            Returns an item's name for rejected.csv; by default that of a path.
        """
        for item, result in for_each(function, items, self.workers, what):
            if isinstance(result, PhotoError):
                self.rejected.append((name(item), str(result)))
            else:
                yield item, result

    def finish(self, total, max_rejected, expected=None):
        """Remove images that are not `expected` (names without .png), write rejected.csv, return the exit code.

        See `eyenet.run.folder.finish`.
        """
        if expected is not None:
            remove_stale(self.folder, expected)
        return finish(self.rejected, total, max_rejected, self.folder)


@contextlib.contextmanager
def image_stage(script, output, settings, source=None, *, reads, threads, scheduler, found=None, **notes):
    """Run an image stage in its output folder.

    Parameters
    ----------
    script, output, settings, source, found, **notes
        As in `eyenet.run.folder.output_folder`.
    reads : sequence of Path
        Files that every worker of a cluster must be able to read, at least one from each input folder.
    threads : int
    scheduler : str or None
        Address of a Dask scheduler whose workers do the work instead of threads.

    Yields
    ------
    ImageStage
    """
    folder = output_folder(output, script, settings, source, found=found, **notes)
    with folder as path, crew(threads, scheduler, reads, path) as workers:
        lock, began = path / LOCK, now(path)
        places = [os.stat(folder) for folder in dict.fromkeys(path.parent for path in reads)]
        place = " ".join(f"{one.st_dev} {one.st_ino}" for one in places)  # a folder moved to this path is another one
        known = read_json(lock) or {}
        yield ImageStage(path, workers, [], known.get("began") if known.get("input") == place else None)
        lock.write_text(json.dumps({"began": began, "input": place}))


def now(folder):
    """Return the time by the clock of a folder's disk, which may be another machine's, in ns."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime_ns
