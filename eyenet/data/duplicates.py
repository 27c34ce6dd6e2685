"""Find photographs that are the same under another name: turned, mirrored, compressed again, scaled, brightened.

Each crop is resampled to polar coordinates, where a turn is a shift along the angle. The magnitudes of the Fourier
transform along the angle know neither a shift nor a reflection [1]_: they describe the photograph, and similar
descriptions are found by matrix products. The most similar ones are then laid over each other at the best turn,
mirrored or not, and of a few sizes, which the correlation of the phases finds [2]_.

References
----------
.. [1] Q. Wang, O. Ronneberger, H. Burkhardt, "Rotational invariance based on Fourier analysis in polar and spherical
   coordinates", IEEE Transactions on Pattern Analysis and Machine Intelligence, 2009.
.. [2] B. S. Reddy, B. N. Chatterji, "An FFT-based technique for translation, rotation, and scale-invariant image
   registration", IEEE Transactions on Image Processing, 1996.
"""

import functools

import numpy as np
from PIL import Image
from scipy import fft, ndimage, sparse

from eyenet.data.array import IMAGES_PER_BLOCK, map_blocks
from eyenet.run.workers import cores, for_each

# Largest similarity of two different photographs among 18.9 million pairs of real ones: 0.82 (the same retina
# photographed again, or the same dirt on the lens), next 0.74. Copies of 1,084 of them that were turned by 120 degrees,
# compressed at quality 50 or scaled by 3 % have 0.86 and more, but for one that is nearly black; of those with a fifth
# more light, which saturates the brightest, 2 are missed.
SAME_PHOTOGRAPH = 0.85
CANDIDATE = 0.9  # similarity of descriptions from which it is worth to look closer; copies have 0.91 and more
NEAREST = 8  # candidates of a photograph at most: it has five copies in the pipeline
GRID = 128  # crops are averaged to so many pixels, each side
RADII, ANGLES = 40, 256
INNER, OUTER = 0.1, 0.9  # of the retina's radius: the rim is left out, it is the same circle on all
ORDERS = 16  # of the Fourier transform that describe; higher ones do not survive compression
SCALES = (0.98, 1.0, 1.02)
BLUR, NEIGHBOURHOOD = 1.0, 4.0  # pixels of the grid
CONTRAST = 4.0  # grey levels; what differs less from its neighbourhood is noise
BLANK = 0.05  # root mean square of the normalised image below which it shows nothing; photographs have 0.08 and more


def describe(images, rows=None):
    """Describe images such that turns and reflections make no difference.

    Parameters
    ----------
    images : array of uint8, shape (n, size, size, 3)
        Crops in which the retina fills the square; may be a memory map, it is read 64 images at a time.
    rows : ndarray of int, optional
        The images to describe; default all.

    Returns
    -------
    ndarray of float32, shape (n, 320)
        Of length one each, or zero where an image shows nothing (black, blank): that is like nothing else.
    """
    rows = np.arange(len(images)) if rows is None else np.asarray(rows)
    if not len(rows):
        return np.zeros((0, RADII // 2 * ORDERS), np.float32)
    return map_blocks(_describe, images, rows, "describe")


def find_duplicates(a_images, b_images, a_rows=None, b_rows=None, threshold=SAME_PHOTOGRAPH):
    """Find pairs of images that are the same photograph, over any turn and reflection.

    A million pairs take 0.03 s on two cores after the description, which takes 2 ms an image; a pair that is worth a
    closer look, of which there are at most 8 a row, takes 1.3 ms. Memory: 1.3 kB an image and some 200 MB.

    Parameters
    ----------
    a_images, b_images : array of uint8, shape (n, size, size, 3)
        May be memory maps, and the same one; the sizes may differ.
    a_rows, b_rows : ndarray of int, optional
        Those to compare; default all.
    threshold : float
        Least similarity of a pair, 1 for equal images.

    Returns
    -------
    list of (int, int, float)
        Row of `a_images`, row of `b_images` and similarity, ascending by rows; at most 8 pairs for a row of
        `a_images`. An image that shows nothing is in no pair: see `is_blank`.
    """
    a_rows, b_rows = (
        np.arange(len(x)) if r is None else np.asarray(r) for x, r in ((a_images, a_rows), (b_images, b_rows))
    )
    if not len(a_rows) or not len(b_rows):
        return []
    pairs = match(describe(a_images, a_rows), describe(b_images, b_rows))
    return verify(a_images, b_images, [(a_rows[i], b_rows[j]) for i, j in pairs], threshold)


def is_blank(descriptions):
    """Mark the images that show nothing, from what `describe` gave; bool, shape (n,)."""
    return ~descriptions.any(axis=1)


def match(a, b):
    """List the pairs of similar descriptions, for each row of `a` the 8 most similar rows of `b`.

    Parameters
    ----------
    a, b : ndarray of float32
        From `describe`.

    Returns
    -------
    list of (int, int)
        Ascending.
    """
    pairs = []
    for first in range(0, len(a), 1024):
        part, best = a[first : first + 1024], np.zeros((0, 3))
        for start in range(0, len(b), 4096):
            similar = part @ b[start : start + 4096].T
            i, j = np.nonzero(similar >= CANDIDATE)
            found = np.stack([i, similar[i, j], j + start], axis=1)
            best = _nearest(np.concatenate([best, found]))
        pairs += [(first + int(i), int(j)) for i, _, j in best]
    return sorted(pairs)


def _nearest(found):
    """Keep for each first column the rows with the largest second column."""
    found = found[np.lexsort([-found[:, 1], found[:, 0]])]
    place = np.arange(len(found)) - np.searchsorted(found[:, 0], found[:, 0])
    return found[place < NEAREST]


def verify(a_images, b_images, pairs, threshold=SAME_PHOTOGRAPH):
    """Lay the images of each pair over each other, and keep the pairs that are the same photograph.

    Parameters
    ----------
    a_images, b_images : array of uint8, shape (n, size, size, 3)
    pairs : list of (int, int)
        Rows.
    threshold : float

    Returns
    -------
    list of (int, int, float)
        The pairs that are kept, in their order, and their similarity.
    """
    blocks = [np.array(pairs[first : first + IMAGES_PER_BLOCK]) for first in range(0, len(pairs), IMAGES_PER_BLOCK)]

    def work(block):
        (a, a_of), (b, b_of) = (np.unique(block[:, side], return_inverse=True) for side in (0, 1))
        turned = np.conj(fft.rfft(_polar(_normalise(b_images[b])), axis=2))[b_of]
        normal, best = _normalise(a_images[a]), np.zeros(len(block))
        for scale in SCALES:
            best = np.maximum(best, _best_turn(fft.rfft(_polar(normal, scale), axis=2)[a_of], turned))
        return best

    results = for_each(work, blocks, cores(), "compare", f"x{IMAGES_PER_BLOCK} pairs")
    similar = np.concatenate([best for _, best in results]) if blocks else np.zeros(0)
    return [(int(i), int(j), float(s)) for (i, j), s in zip(pairs, similar) if s >= threshold]


def _best_turn(a, b):
    """Correlate two polar images (m, radii, orders), `b` conjugate, at the best turn, mirrored or not; shape (m,)."""
    lengths = [np.sqrt(_energy(x)) for x in (a, b)]
    plain = fft.irfft((a * b).sum(axis=1), ANGLES, axis=1).max(axis=1)
    mirrored = fft.irfft((a * np.conj(b)).sum(axis=1), ANGLES, axis=1).max(axis=1)
    return np.maximum(plain, mirrored) / np.maximum(lengths[0] * lengths[1], 1e-6)


def _energy(spectrum):
    """Sum the squares of the image that has this spectrum (Parseval); shape (m,)."""
    squares = np.abs(spectrum) ** 2
    return (2 * squares.sum(axis=(1, 2)) - squares[:, :, 0].sum(axis=1) - squares[:, :, -1].sum(axis=1)) / ANGLES


def _describe(images):
    """Describe a few images, of shape (n, size, size, 3)."""
    polar = _polar(_normalise(images))
    blank = np.sqrt((polar**2).mean(axis=(1, 2))) < BLANK
    strength = np.abs(fft.rfft(polar, axis=2))[:, :, 1 : ORDERS + 1]
    paired = np.sqrt((strength.reshape(len(images), RADII // 2, 2, ORDERS) ** 2).mean(axis=2))  # a size has some play
    flat = paired.reshape(len(images), -1)
    flat[blank] = 0
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def _normalise(images):
    """Average the green channel, where vessels are darkest, to the grid; take off local brightness and contrast."""
    green = [Image.fromarray(np.ascontiguousarray(x[..., 1])) for x in images]
    small = np.stack([np.asarray(x.resize((GRID, GRID), Image.Resampling.BILINEAR), np.float32) for x in green])
    disc, weight = _disc()
    small = ndimage.gaussian_filter(small, (0, BLUR, BLUR))

    def around(values):
        return ndimage.gaussian_filter(values * disc, (0, NEIGHBOURHOOD, NEIGHBOURHOOD), truncate=3) / weight

    detail = (small - around(small)) * disc
    return detail / (np.sqrt(around(detail**2)) + CONTRAST)


@functools.cache
def _disc():
    """Give the disc in which pixels count, and the share of each pixel's neighbourhood that is in it."""
    offset = np.arange(GRID) + 0.5 - GRID / 2
    disc = (offset[:, None] ** 2 + offset**2 <= (0.97 * GRID / 2) ** 2).astype(np.float32)
    return disc, ndimage.gaussian_filter(disc, NEIGHBOURHOOD, truncate=3) + 1e-6


def _polar(images, scale=1.0):
    """Resample images (n, grid, grid) to (n, radii, angles), linearly."""
    return (_polar_map(scale) @ images.reshape(len(images), -1).T).T.reshape(len(images), RADII, ANGLES)


@functools.cache
def _polar_map(scale):
    """Make the sparse matrix that interpolates the polar image from the pixels of the grid."""
    radius = np.linspace(INNER, OUTER, RADII)[:, None] * scale * GRID / 2
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    y, x = ((GRID - 1) / 2 + radius * wave(angle) for wave in (np.sin, np.cos))
    y, x = y.ravel(), x.ravel()
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    below, right = y - top, x - left
    weights = np.concatenate([(1 - below) * (1 - right), (1 - below) * right, below * (1 - right), below * right])
    corner = top * GRID + left
    pixels = np.concatenate([corner, corner + 1, corner + GRID, corner + GRID + 1])
    points = np.tile(np.arange(len(y)), 4)
    return sparse.csr_matrix((weights.astype(np.float32), (points, pixels)), shape=(len(y), GRID * GRID))
