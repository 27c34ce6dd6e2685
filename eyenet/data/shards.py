"""Arrays in several files (shards): each file is written separately, and all are read as one array."""

import functools
import math

import numpy as np

IMAGES_PER_BLOCK = 64  # unit of reading, checksums and shuffling: 12.6 MB at 256 px
OPEN = 64  # shards that stay mapped; each needs a file descriptor, and some systems allow 256
CHUNK = 4 * 2**20  # bytes per read in `read_ahead`


def shard_files(count, shard_size=None):
    """List the files of an array as (name, first row, last row + 1); X.npy alone if it is not in shards.

    Parameters
    ----------
    count : int
        Number of images.
    shard_size : int, optional
        Number of images in each shard but the last: a multiple of 64, so that no block lies in two files.
    """
    if shard_size is None:
        return [("X.npy", 0, count)]
    firsts = range(0, count, shard_size)
    return [(f"X-{n:05d}.npy", first, min(first + shard_size, count)) for n, first in enumerate(firsts)]


class Shards:
    """Images in several files, indexed like one memory map: by number, slice, or array of rows.

    A file is mapped when it is first read; at most 64 stay mapped.

    Parameters
    ----------
    paths : sequence of Path
        .npy files of uint8, shape (images, size, size, 3).
    counts : sequence of int
        Number of images in each file.
    shape : sequence of int
        Shape of one image.
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
        """Map a shard without `np.load`, whose parsing of the header is not thread-safe in Python 3.11."""
        path, shape = self.paths[number], (int(self.ends[number] - self.firsts[number]), *self.shape[1:])
        return np.memmap(path, np.uint8, "r", path.stat().st_size - math.prod(shape), shape)

    def pieces(self, rows):
        """Yield (slice of `rows`, memory map, rows in that map) for each run of rows that lie in one shard."""
        shard = np.searchsorted(self.ends, rows, side="right")
        ends = [*(np.flatnonzero(np.diff(shard)) + 1), len(rows)]
        for first, last in zip([0, *ends], ends):
            if last > first:
                number = int(shard[first])
                yield slice(first, last), self.map(number), rows[first:last] - self.firsts[number]

    def take(self, rows, axis=0, out=None, mode="raise"):
        """Gather rows; `np.take` calls this method."""
        rows = np.asarray(rows)
        if axis != 0 or out is not None or rows.ndim != 1:
            raise IndexError("shards can only be indexed along the first axis, by a list of rows")
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} are out of bounds for {len(self)} images")
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, file, own in self.pieces(rows):
            np.take(file, own, axis=0, out=images[place], mode="clip")  # "raise" would make a copy first
        return images

    def __getitem__(self, key):
        if isinstance(key, slice):
            rows = np.arange(len(self))[key]
            pieces = list(self.pieces(rows[[0, -1]])) if len(rows) and key.step in (None, 1) else []
            if len(pieces) == 1:  # all in one shard: no copy
                _, file, (first, last) = pieces[0]
                return file[first : last + 1]
            return self.take(rows)
        if isinstance(key, int | np.integer):
            return self.take([range(len(self))[key]])[0]
        key = np.asarray(key)
        rows = np.flatnonzero(key) if key.dtype == bool else key
        return self.take(np.where(rows < 0, rows + len(self), rows) if len(rows) else np.zeros(0, int))


def read_ahead(images, rows):
    """Read rows into the operating system's page cache, adjacent rows in one read: few requests to a network disk.

    Parameters
    ----------
    images : Shards, memmap or ndarray
        For an ndarray, which is in memory already, this does nothing.
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
