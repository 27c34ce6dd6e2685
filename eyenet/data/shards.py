"""An array in several files, its shards: each is written by itself, and all are read as one array is."""

import functools
import math

import numpy as np

IMAGES_PER_BLOCK = 64  # images that are read, checksummed and shuffled at a time: 12.6 MB at 256 px
OPEN = 64  # shards that are kept open: each takes a file descriptor, of which some systems give 256
CHUNK = 4 * 2**20  # bytes that are read ahead at a time


def shard_files(count, shard_size=None):
    """List the files of an array: name, first row and the row behind the last; X.npy alone if it is in one piece.

    Parameters
    ----------
    count : int
        Images.
    shard_size : int, optional
        Images of each shard but the last: a multiple of 64, so that no block of checksums lies in two files.
    """
    if shard_size is None:
        return [("X.npy", 0, count)]
    firsts = range(0, count, shard_size)
    return [(f"X-{n:05d}.npy", first, min(first + shard_size, count)) for n, first in enumerate(firsts)]


class Shards:
    """The images of several files, read as those of one memory map: by number, slice, or array of rows.

    A file is mapped when it is first read; at most 64 are kept so, whatever the number of shards.

    Parameters
    ----------
    paths : sequence of Path
        Each a .npy file of uint8, (images, size, size, 3).
    counts : sequence of int
        Images in each.
    shape : sequence of int
        Of one image.
    """

    ndim, dtype = 4, np.dtype(np.uint8)

    def __init__(self, paths, counts, shape):
        self.paths, self.ends = list(paths), np.cumsum(counts)
        self.firsts = self.ends - counts
        self.shape = (int(self.ends[-1]), *shape)
        self.map = functools.lru_cache(OPEN)(self._map)

    def __len__(self):
        return self.shape[0]

    def _map(self, number):
        """Map a shard by its size: `np.load` parses its header, which Python 3.11 cannot do in two threads at once."""
        path, shape = self.paths[number], (int(self.ends[number] - self.firsts[number]), *self.shape[1:])
        return np.memmap(path, np.uint8, "r", path.stat().st_size - math.prod(shape), shape)

    def pieces(self, rows):
        """Say where rows are: for each run of rows in one shard its slice of `rows`, memory map, and rows in that."""
        shard = np.searchsorted(self.ends, rows, side="right")
        ends = [*(np.flatnonzero(np.diff(shard)) + 1), len(rows)]
        for first, last in zip([0, *ends], ends):
            if last > first:
                number = int(shard[first])
                yield slice(first, last), self.map(number), rows[first:last] - self.firsts[number]

    def take(self, rows, axis=0, out=None, mode="raise"):
        """Gather rows, as `np.take` does, which calls this."""
        rows = np.asarray(rows)
        if axis != 0 or out is not None or rows.ndim != 1:
            raise IndexError("shards are read by a list of rows")
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"row {rows.min()} or {rows.max()} is not among {len(self)}")
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, file, own in self.pieces(rows):
            np.take(file, own, axis=0, out=images[place], mode="clip")  # "raise" would gather into a copy first
        return images

    def __getitem__(self, key):
        if isinstance(key, slice):
            rows = np.arange(len(self))[key]
            pieces = list(self.pieces(rows[[0, -1]])) if len(rows) and key.step in (None, 1) else []
            if len(pieces) == 1:  # in one shard: no copy
                _, file, (first, last) = pieces[0]
                return file[first : last + 1]
            return self.take(rows)
        if isinstance(key, int | np.integer):
            return self.take([range(len(self))[key]])[0]
        key = np.asarray(key)
        rows = np.flatnonzero(key) if key.dtype == bool else key
        return self.take(np.where(rows < 0, rows + len(self), rows) if len(rows) else np.zeros(0, int))


def read_ahead(images, rows):
    """Read rows into the system's cache of files, neighbours in one stretch: a disk far away is asked few times.

    Parameters
    ----------
    images : Shards, memmap or ndarray
        Of what is in memory, nothing is read.
    rows : ndarray of int
        Ascending.
    """
    buffer = memoryview(bytearray(CHUNK))
    for _, file, own in images.pieces(rows) if isinstance(images, Shards) else [(None, images, rows)]:
        if not isinstance(file, np.memmap):
            continue
        with open(file.filename, "rb", buffering=0) as source:
            for run in np.split(own, np.flatnonzero(np.diff(own) != 1) + 1):
                source.seek(file.offset + int(run[0]) * file[0].nbytes)
                left = len(run) * file[0].nbytes
                while left > 0 and (read := source.readinto(buffer[:left])):
                    left -= read
