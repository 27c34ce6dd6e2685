"""The shortcut baseline: features unrelated to the retina, and a classifier that predicts the grade from them.

A network that predicts the grade from the image border, the file size or the compression history has learned how the
photographs were made, not disease. A classifier that sees only such features measures how well these shortcuts work.
"""

import functools

import numpy as np
from scipy import fft
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold

RIM = 0.94  # fraction of the retina's radius; the ring outside it counts as border
SECTORS = 8
JPEG_BLOCK = 8  # JPEG compresses blocks of 8 x 8 pixels
LEAST = 5  # photographs per class needed to fit, and patients per class needed to cross-validate
FOLDS = 5
MOST = 20_000  # training rows used; more change only the time


def border_features(images):
    """Measure the border of crops: the thin ring inside the circle's edge and the four corners outside the circle.

    Parameters
    ----------
    images : array of uint8, shape (n, size, size, 3)

    Returns
    -------
    ndarray of float32, shape (n, 90)
        Mean and standard deviation of each channel in eight sectors of the ring and in the four corners, and the
        minimum, mean and maximum of these over the ring, which are invariant to rotation.
    """
    found = []
    for image in images:
        parts = [image[region] for region in _border(len(image))]  # each (pixels, 3)
        found.append([[p.mean(axis=0), p.std(axis=0)] for p in parts])
    values = np.array(found, np.float32).reshape(len(found), SECTORS + 4, 6)
    ring = values[:, :SECTORS]
    whole = np.stack([ring.min(axis=1), ring.mean(axis=1), ring.max(axis=1)], axis=1)
    return np.concatenate([values, whole], axis=1).reshape(len(values), -1)


@functools.lru_cache(maxsize=8)
def _border(size):
    """List the border regions of a crop as pixel indices: the sectors of the ring, then the corners."""
    offset = (np.arange(size) + 0.5) / (size / 2) - 1
    radius, angle = np.hypot(offset[:, None], offset), np.arctan2(offset[:, None], offset + 0 * offset[:, None])
    sector = np.minimum((angle + np.pi) / (2 * np.pi) * SECTORS, SECTORS - 1).astype(int)
    ring, outside = (radius > RIM) & (radius <= 1), radius > 1.02
    corners = [outside & (np.sign(offset)[:, None] == y) & (np.sign(offset) == x) for y in (-1, 1) for x in (-1, 1)]
    return [np.nonzero(region) for region in [*(ring & (sector == s) for s in range(SECTORS)), *corners]]


def compression_features(images):
    """Measure traces of compression and resampling in the square inside the retina's circle.

    These features depend little on image content: the mean absolute difference between neighbours at each position of
    JPEG's 8-pixel grid, per axis and relative to the axis mean [1]_; the second difference relative to the first; the
    fractions of equal neighbours and of saturated pixels; and, for the discrete cosine transform of the blocks, how
    often each frequency is quantised to zero on one axis compared with the other. JPEG's quantisation tables treat the
    axes differently, and a rotation by 90 degrees exchanges them.

    Parameters
    ----------
    images : array of uint8, shape (n, size, size, 3)
        At least 32 pixels wide.

    Returns
    -------
    ndarray of float32, shape (n, 79)

    References
    ----------
    .. [1] Z. Fan, R. L. de Queiroz, "Identification of bitmap compression history: JPEG detection and quantizer
       estimation", IEEE Transactions on Image Processing, 2003.
    """
    return np.array([_compression(image) for image in images], np.float32).reshape(len(images), -1)


def _compression(image):
    size = len(image)
    first = -(-int(size * (1 - 0.5**0.5) / 2) // JPEG_BLOCK) * JPEG_BLOCK  # the square starts and ends on the grid
    inside = slice(first, size - first - (size - 2 * first) % JPEG_BLOCK)
    part = image[inside, inside]
    light = part.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    found = []
    for values in (light, light.T):
        step = np.abs(np.diff(values, axis=0)).mean(axis=1)
        phases = np.array([step[k::JPEG_BLOCK].mean() for k in range(JPEG_BLOCK)])
        bend = np.abs(np.diff(values, n=2, axis=0)).mean()
        found += [*(phases / max(phases.mean(), 1e-3)), bend / max(step.mean(), 1e-3)]
    for axis in (0, 1):
        found += [*(np.diff(part.view(np.int8), axis=axis) == 0).mean(axis=(0, 1))]
    found += [*(part == 0).mean(axis=(0, 1)), *(part == 255).mean(axis=(0, 1))]
    return [*found, *_rounded_away(light)]


def _rounded_away(light):
    """Return, per frequency of the 8 x 8 blocks, the fraction of zeros minus that of the transposed frequency."""
    side = JPEG_BLOCK
    rows, columns = (n // side for n in light.shape)
    blocks = light.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(-1, side, side)
    zeros = (np.abs(fft.dctn(blocks, axes=(1, 2), norm="ortho")) < 1).mean(axis=0)
    upper = np.triu_indices(side, 1)
    low = upper[0] + upper[1] < side
    return [*(zeros - zeros.T)[upper][low], *zeros[upper][low]]


def geometry_features(table):
    """Compute features of a photograph's file and framing that do not depend on the retina's content.

    Parameters
    ----------
    table : DataFrame
        Columns bytes, width, height, center_x, center_y, radius, visible, as written by resize_images.py; numbers
        may be strings.

    Returns
    -------
    ndarray of float32, shape (n, 9)
        File size, width, height, aspect ratio, bytes per pixel, radius / short side, centre offset / radius (x, y),
        visible fraction of the circle.
    """
    wanted = ["bytes", "width", "height", "center_x", "center_y", "radius", "visible"]
    size, width, height, x, y, radius, visible = table[wanted].astype(float).to_numpy().T
    short = np.minimum(width, height)
    offset = (x - width / 2) / radius, (y - height / 2) / radius
    columns = size, width, height, width / height, size / (width * height), radius / short, *offset, visible
    return np.stack(columns, axis=1).astype(np.float32)


def photograph_sizes(features):
    """Return width and height, shape (n, 2), from the columns of `border_features` and `geometry_features` together.

    None if the geometry is not known, so that the features are those of the border alone.
    """
    border = (SECTORS + 4 + 3) * 6
    return features[:, border + 1 : border + 3] if features.shape[1] > border else None


def shortcut_probability(train_features, train_truth, features, seed=0):
    """Fit a random forest and return its probability of disease.

    Parameters
    ----------
    train_features : ndarray, shape (n, k)
    train_truth : ndarray of bool, shape (n,)
    features : ndarray, shape (m, k)
    seed : int

    Returns
    -------
    ndarray of float64, shape (m,), or None
        None if there are no features or fewer than five training rows of a class.
    """
    truth, given = np.asarray(train_truth, bool), np.asarray(train_features)
    if given.shape[1] == 0 or min(truth.sum(), (~truth).sum()) < LEAST or not len(features):
        return None
    if len(truth) > MOST:
        chosen = np.random.default_rng(seed).choice(len(truth), MOST, replace=False)
        truth, given = truth[chosen], given[chosen]
    # Leaves of at least five photographs prevent memorising single ones. Classes are not reweighted, because the
    # probability is also scored at a threshold of 0.5.
    forest = RandomForestClassifier(200, min_samples_leaf=5, n_jobs=-1, random_state=seed)
    forest.fit(given, truth).set_params(n_jobs=1)  # summing trees in thread order would round differently
    return forest.predict_proba(features)[:, 1]


def cross_validated(features, truth, patients, seed=0):
    """Predict each photograph with a classifier fitted on other patients (cross-validation grouped by patient).

    Parameters
    ----------
    features : ndarray, shape (n, k)
    truth : ndarray of bool, shape (n,)
    patients : sequence, shape (n,)
    seed : int

    Returns
    -------
    ndarray of float64, shape (n,), or None
        None if there are too few patients of a class.
    """
    truth, patients, features = np.asarray(truth, bool), np.asarray(patients), np.asarray(features)
    rarer = min(len(set(patients[truth])), len(set(patients[~truth])))
    if rarer < LEAST:
        return None
    probability = np.zeros(len(truth))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for known, held_out in folds.split(features, truth, patients):
        found = shortcut_probability(features[known], truth[known], features[held_out], seed)
        if found is None:
            return None
        probability[held_out] = found
    return probability
