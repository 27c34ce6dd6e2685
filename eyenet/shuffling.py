"""The order of an epoch that a disk can follow, and which rows of each batch a host reads.

Block-shuffled order. The rows are cut into eight parts of equal length; each batch takes an eighth of its images from
each part. Within a part the blocks of 64 rows come up in an order that is new each epoch, and each row is drawn at
random within the next eight blocks. So at any time 64 to 72 blocks, from all over the array, are being drawn from; each
block is read once an epoch, in one stretch; and over the epochs any row can meet any row of another part, and any of
its own. The order is the same for one file and for shards of any size.

Hosts. The parts are the same for any number of hosts: each of 1, 2, 4 or 8 hosts has some of them for its own, reads
nothing else, and the shares of all hosts together are the batch of one host alone.
"""

import numpy as np

from eyenet.shards import BLOCK
from eyenet.stage import StageError

PARTS = 8  # of the rows: the number of hosts that share them must divide it
WINDOW = 8  # blocks of each part that are drawn from at a time: 64 in all are 805 MB at 256 px, in the system's cache


def require_hosts(hosts):
    """Raise a StageError unless so many hosts can share the parts."""
    if PARTS % hosts:
        raise StageError(f"{hosts} hosts cannot share the {PARTS} parts of an array; use 1, 2, 4 or 8")


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
        Every row once; element i is of part i % 8.
    """
    order = np.empty_like(rows)
    for number, own in enumerate(np.array_split(rows, PARTS)):
        random = np.random.default_rng([*seed, number])
        blocks, block = np.unique(own // BLOCK, return_inverse=True)
        begin = random.permutation(len(blocks))[block]
        order[number::PARTS] = own[np.argsort(begin + WINDOW * random.random(len(own)))]
    return order


def own_rows(rows, part):
    """Give the rows of a host's own parts: neighbours in the array; parts differ by one row at most.

    Parameters
    ----------
    rows : ndarray of int
        Ascending.
    part : (int, int)
        Number of the host, from 0, and number of hosts.
    """
    host, hosts = part
    require_hosts(hosts)
    each = PARTS // hosts
    return np.concatenate(np.array_split(rows, PARTS)[host * each : (host + 1) * each])


def own_share(places, part):
    """Choose from places in the order of an epoch those that a host reads: for blocks, they are of its `own_rows`."""
    host, hosts = part
    return places[places % PARTS * hosts // PARTS == host]
