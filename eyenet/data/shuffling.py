"""Block-shuffled epochs, which read a disk sequentially.

The rows are divided into eight parts of equal length, and each batch takes an eighth of its images from each part.
Within a part, the blocks of 64 rows are visited in an order that is new each epoch, and each row is drawn at random
within a window of eight blocks. At any time images are drawn from 64 to 72 blocks across the array; each block is read
once per epoch, sequentially; and over the epochs any two rows can occur in the same batch.
The order is the same for one file and for shards of any size, and for any number of hosts (eyenet/training/hosts.py).
"""

import numpy as np

from eyenet.data.shards import IMAGES_PER_BLOCK

PARTS = 8  # the number of hosts must divide it
WINDOW = 8  # blocks of each part that are drawn from at a time: 64 in all, 805 MB at 256 px in the page cache


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
        Every row at most once; element i is from part i % 8. At most seven rows are left out, different ones each
        epoch, so that all parts have the same length and the last batch can be shared evenly.
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
