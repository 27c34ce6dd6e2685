"""Find the same photograph under another name: rotated, mirrored, compressed again, scaled, brightened.

Each crop is resampled to polar coordinates, where a rotation is a shift along the angle. The magnitudes of the Fourier
transform along the angle are invariant to shifts and reflections [1]_: they are the photograph's descriptor, and
similar descriptors are found by matrix products. The most similar pairs are then aligned by circular
cross-correlation [2]_ at the best rotation, mirrored or not, at a few scales.

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

# Among 24 million pairs of different real photographs, the largest similarity is 0.82 (the same retina photographed
# again), the next 0.81 (the same dirt on the lens); one pair, an eye photographed twice in a moment and filed as both
# eyes, has 0.87. Copies of 1,084 of them that were rotated by 120 degrees, compressed at quality 50 or scaled by 3 %
# have at least 0.86, except one that is nearly black; of copies brightened by 20 %, which saturates the brightest
# pixels, 2 are missed. benchmarks/copies.py measures this again.
SAME_PHOTOGRAPH = 0.85
CANDIDATE = 0.9  # smallest similarity of descriptors for which the images are aligned; copies have at least 0.91
NEAREST = 8  # largest number of candidates of a photograph; the pipeline makes five copies
GRID = 128  # crops are reduced to this width and height in pixels
RADII, ANGLES = 40, 256
INNER, OUTER = 0.1, 0.9  # fractions of the retina's radius; the rim is the same circle in all crops
ORDERS = 16  # Fourier orders in the descriptor; higher ones do not survive compression
SCALES = (0.98, 1.0, 1.02)
ROWS, COLUMNS = 1024, 4096  # of the block of descriptors' similarities that is in memory
BLUR, NEIGHBOURHOOD = 1.0, 4.0  # pixels of the grid
CONTRAST = 4.0  # grey levels; smaller differences from the neighbourhood are noise
BLANK = 0.05  # an image is blank if the RMS of its normalised pixels is lower; photographs have at least 0.08


def describe(images, rows=None):
    """Compute descriptors that are invariant to rotation and reflection.

    Parameters
    ----------
    images : array of uint8, shape (n, size, size, 3)
        Crops in which the retina fills the square; may be a memory map, which is read 64 images at a time.
    rows : ndarray of int, optional
        The images to describe; by default all.

    Returns
    -------
    ndarray of float32, shape (n, 320)
        Unit vectors; zero for a blank image, which is similar to nothing.
    """
    rows = np.arange(len(images)) if rows is None else np.asarray(rows)
    if not len(rows):
        return np.zeros((0, RADII // 2 * ORDERS), np.float32)
    return map_blocks(_describe, images, rows, "describe")


def find_duplicates(a_images, b_images, a_rows=None, b_rows=None, threshold=SAME_PHOTOGRAPH):
    """Find pairs of images that are the same photograph, in any rotation and reflection.

    On two cores, descriptors take 2 ms per image, comparing a million pairs of them 0.03 s, and aligning a candidate
    pair, of which there are at most 8 per row, 1.3 ms. Memory: 1.3 kB per image and about 200 MB.

    Parameters
    ----------
    a_images, b_images : array of uint8, shape (n, size, size, 3)
        May be memory maps, also the same one; the sizes may differ.
    a_rows, b_rows : ndarray of int, optional
        The images to compare; by default all.
    threshold : float
        Smallest similarity of a pair; equal images have 1.

    Returns
    -------
    list of (int, int, float)
        Row of `a_images`, row of `b_images` and similarity, sorted by rows; at most 8 pairs for each row of
        `a_images`. Blank images are in no pair; see `is_blank`.
    """
    a_rows, b_rows = (
        np.arange(len(x)) if r is None else np.asarray(r) for x, r in ((a_images, a_rows), (b_images, b_rows))
    )
    if not len(a_rows) or not len(b_rows):
        return []
    pairs = match(describe(a_images, a_rows), describe(b_images, b_rows))
    return verify(a_images, b_images, [(a_rows[i], b_rows[j]) for i, j in pairs], threshold)


def find_pairs(images):
    """Find the pairs of photographs in one set that are the same, as `find_duplicates` does between two sets.

    Returns
    -------
    list of (int, int, float)
        Two rows, the smaller first, and their similarity; sorted. Each row is the first of at most 8 pairs.
    """
    return verify(images, images, match(describe(images)))


def is_blank(descriptions):
    """Return which images are blank, given the descriptors of `describe`; bool, shape (n,)."""
    return ~descriptions.any(axis=1)


def match(a, b=None):
    """List the pairs of similar descriptors: for each row of `a`, at most the 8 most similar rows of `b`.

    Parameters
    ----------
    a, b : ndarray of float32
        Descriptors from `describe`. Without `b`, the rows of `a` are compared with the later ones.

    Returns
    -------
    list of (int, int)
        Ascending.
    """
    pairs, within = [], b is None
    b = a if within else b
    for first in range(0, len(a), ROWS):
        part, best = a[first : first + ROWS], np.zeros((0, 3))
        for start in range(first if within else 0, len(b), COLUMNS):
            similar = part @ b[start : start + COLUMNS].T
            i, j = np.nonzero(similar >= CANDIDATE)
            found = np.stack([i, similar[i, j], j + start], axis=1)
            best = _nearest(np.concatenate([best, found[j + start > i + first] if within else found]))
        pairs += [(first + int(i), int(j)) for i, _, j in best]
    return sorted(pairs)


def _nearest(found):
    """Keep, for each value of the first column, the rows with the largest values of the second."""
    found = found[np.lexsort([-found[:, 1], found[:, 0]])]
    place = np.arange(len(found)) - np.searchsorted(found[:, 0], found[:, 0])
    return found[place < NEAREST]


def verify(a_images, b_images, pairs, threshold=SAME_PHOTOGRAPH):
    """Align the images of each pair, and keep the pairs that are the same photograph.

    Parameters
    ----------
    a_images, b_images : array of uint8, shape (n, size, size, 3)
    pairs : list of (int, int)
        Rows.
    threshold : float

    Returns
    -------
    list of (int, int, float)
        The remaining pairs, in the same order, with their similarity.
    """
    blocks = [np.array(pairs[first : first + IMAGES_PER_BLOCK]) for first in range(0, len(pairs), IMAGES_PER_BLOCK)]

    def work(block):
        (a, a_index), (b, b_index) = (np.unique(block[:, side], return_inverse=True) for side in (0, 1))
        rotated = np.conj(fft.rfft(_polar(_normalise(b_images[b])), axis=2))[b_index]
        normal, best = _normalise(a_images[a]), np.zeros(len(block))
        for scale in SCALES:
            best = np.maximum(best, _best_rotation(fft.rfft(_polar(normal, scale), axis=2)[a_index], rotated))
        return best

    results = for_each(work, blocks, cores(), "compare", f"x{IMAGES_PER_BLOCK} pairs")
    similar = np.concatenate([best for _, best in results]) if blocks else np.zeros(0)
    return [(int(i), int(j), float(s)) for (i, j), s in zip(pairs, similar) if s >= threshold]


def _best_rotation(a, b):
    """Correlate the spectra of polar images, `b` conjugate, at the best rotation, mirrored or not; shape (m,)."""
    lengths = [np.sqrt(_energy(x)) for x in (a, b)]
    plain = fft.irfft((a * b).sum(axis=1), ANGLES, axis=1).max(axis=1)
    mirrored = fft.irfft((a * np.conj(b)).sum(axis=1), ANGLES, axis=1).max(axis=1)
    return np.maximum(plain, mirrored) / np.maximum(lengths[0] * lengths[1], 1e-6)


def _energy(spectrum):
    """Return the sum of squares of the images with these spectra (Parseval); shape (m,)."""
    squares = np.abs(spectrum) ** 2
    return (2 * squares.sum(axis=(1, 2)) - squares[:, :, 0].sum(axis=1) - squares[:, :, -1].sum(axis=1)) / ANGLES


def _describe(images):
    """Compute the descriptors of a block of images, shape (n, size, size, 3)."""
    polar = _polar(_normalise(images))
    blank = np.sqrt((polar**2).mean(axis=(1, 2))) < BLANK
    strength = np.abs(fft.rfft(polar, axis=2))[:, :, 1 : ORDERS + 1]
    paired = np.sqrt(
        (strength.reshape(len(images), RADII // 2, 2, ORDERS) ** 2).mean(axis=2)
    )  # in pairs, to tolerate scaling
    vectors = paired.reshape(len(images), -1)
    vectors[blank] = 0
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _normalise(images):
    """Reduce the green channel, where vessels are darkest, to the grid; normalise local brightness and contrast."""
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
    """Return the disc of valid pixels, and the fraction of each pixel's neighbourhood that lies in it."""
    offset = np.arange(GRID) + 0.5 - GRID / 2
    disc = (offset[:, None] ** 2 + offset**2 <= (0.97 * GRID / 2) ** 2).astype(np.float32)
    return disc, ndimage.gaussian_filter(disc, NEIGHBOURHOOD, truncate=3) + 1e-6


def _polar(images, scale=1.0):
    """Resample images (n, grid, grid) to (n, radii, angles) by bilinear interpolation."""
    return (_polar_map(scale) @ images.reshape(len(images), -1).T).T.reshape(len(images), RADII, ANGLES)


@functools.cache
def _polar_map(scale):
    """Return the sparse matrix that interpolates the polar image from the pixels of the grid."""
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
