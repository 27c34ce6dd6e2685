"""The order of an epoch that a disk can follow, and which rows of each batch a host reads.

Block-shuffled order. The rows are cut into eight parts of equal length; each batch takes an eighth of its images from
each part. Within a part the blocks of 64 rows come up in an order that is new each epoch, and each row is drawn at
random within the next eight blocks. So at any time 64 to 72 blocks, from all over the array, are being drawn from; each
block is read once an epoch, in one stretch; and over the epochs any row can meet any row of another part, and any of
its own. The order is the same for one file and for shards of any size.

Hosts. The parts are the same for any number of hosts: each of 1, 2, 4 or 8 hosts has some of them for its own, reads
nothing else, and the shares of all hosts together are the batch of one host alone. (In the last batch of an epoch, a
host of several devices may need a few images of its neighbour.)
"""

import numpy as np

from eyenet.data.shards import IMAGES_PER_BLOCK
from eyenet.run.errors import StageError

PARTS = 8  # of the rows: the number of hosts that share them must divide it
WINDOW = 8  # blocks of each part that are drawn from at a time: 64 in all are 805 MB at 256 px, in the system's cache


def require_hosts(hosts, batch):
    """Raise a StageError unless so many hosts can share the parts, and each batch, evenly."""
    if PARTS % hosts:
        raise StageError(f"{hosts} hosts cannot share the {PARTS} parts of an array; use 1, 2, 4 or 8")
    if hosts > 1 and batch % PARTS:
        raise StageError(
            f"--batch {batch} takes no even share of the {PARTS} parts of an array; use a multiple of {PARTS}"
        )


def shuffle_blocks(rows, seed):
    """Order the rows of an epoch.

    Parameters
    ----------
    rows : ndarray of int
        Ascending.
    seed : sequence of int
        Seed and epoch.

    Returns
    -------
    ndarray of int
        Every row at most once; element i is of part i % 8. At most seven rows are left out, other ones each epoch, so
        that all parts have equally many: else the last batch would have no even shares.
    """
    each = len(rows) // PARTS
    if not each:
        return np.random.default_rng(seed).permutation(rows)
    order = np.empty(PARTS * each, rows.dtype)
    for number, own in enumerate(np.array_split(rows, PARTS)):
        random = np.random.default_rng([*seed, number])
        blocks, block = np.unique(own // IMAGES_PER_BLOCK, return_inverse=True)
        begin = random.permutation(len(blocks))[block]
        order[number::PARTS] = own[np.argsort(begin + WINDOW * random.random(len(own)))][:each]
    return order


def own_rows(rows, part):
    """Give the rows of a host's own parts: neighbours in the array; parts differ by one row at most.

    A batch, sorted and cut into as many equal pieces as there are hosts, is for each host of its own rows.

    Parameters
    ----------
    rows : ndarray of int
        Ascending.
    part : (int, int)
        Number of the host, from 0, and number of hosts.
    """
    host, hosts = part
    each = PARTS // hosts
    return np.concatenate(np.array_split(rows, PARTS)[host * each : (host + 1) * each])
