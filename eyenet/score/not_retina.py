"""What is not retina: features that a classifier could use to guess the grade without seeing one.

A network that knows the grade from the rim, from a file's size or from how often a photograph was compressed has
learned how the photographs were made. A small classifier that sees nothing else tells how much there is to learn.
"""

import functools

import numpy as np
from scipy import fft
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold

RIM = 0.94  # of the radius: what lies between this circle and the retina's is border
SECTORS = 8
BLOCK = 8  # JPEG compresses blocks of 8 x 8 pixels
LEAST = 5  # photographs of each class that are needed to fit, and patients to hold out
FOLDS = 5
MOST = 20_000  # training rows that are fitted; more change nothing but the time


def border_features(images):
    """Measure the border of crops: the thin ring at the rim inside the circle, and the four corners outside it.

    Parameters
    ----------
    images : array of uint8, shape (n, size, size, 3)

    Returns
    -------
    ndarray of float32, shape (n, 90)
        Mean and standard deviation of each channel in eight sectors of the ring and in the four corners, and the
        smallest, mean and largest of these over the ring, which do not depend on a turn.
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
    """List the regions of a crop that are border, each as indices of its pixels: sectors of the ring, corners."""
    offset = (np.arange(size) + 0.5) / (size / 2) - 1
    radius, angle = np.hypot(offset[:, None], offset), np.arctan2(offset[:, None], offset + 0 * offset[:, None])
    sector = np.minimum((angle + np.pi) / (2 * np.pi) * SECTORS, SECTORS - 1).astype(int)
    ring, outside = (radius > RIM) & (radius <= 1), radius > 1.02
    corners = [outside & (np.sign(offset)[:, None] == y) & (np.sign(offset) == x) for y in (-1, 1) for x in (-1, 1)]
    return [np.nonzero(region) for region in [*(ring & (sector == s) for s in range(SECTORS)), *corners]]


def compression_features(images):
    """Measure traces of compression and of resampling, in the square inside the retina's circle.

    They say little about what is shown: the differences between neighbours by their place in JPEG's grid of 8 pixels
    (of both axes, each over the mean of its axis) [1]_, how many neighbours are equal, saturated or unlike a straight
    line, and of the blocks' cosine transform how often each frequency was rounded away, along one axis against the
    other, since JPEG's tables treat the axes differently and a turn by 90 degrees exchanges them.

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
    first = -(-int(size * (1 - 0.5**0.5) / 2) // BLOCK) * BLOCK  # the square begins and ends on the grid
    part = image[first : size - first - (size - 2 * first) % BLOCK, first : size - first - (size - 2 * first) % BLOCK]
    light = part.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    found = []
    for values in (light, light.T):
        step = np.abs(np.diff(values, axis=0)).mean(axis=1)
        phases = np.array([step[k::BLOCK].mean() for k in range(BLOCK)])
        bend = np.abs(np.diff(values, n=2, axis=0)).mean()
        found += [*(phases / max(phases.mean(), 1e-3)), bend / max(step.mean(), 1e-3)]
    for axis in (0, 1):
        found += [*(np.diff(part.view(np.int8), axis=axis) == 0).mean(axis=(0, 1))]
    found += [*(part == 0).mean(axis=(0, 1)), *(part == 255).mean(axis=(0, 1))]
    return [*found, *_rounded_away(light)]


def _rounded_away(light):
    """Give for each frequency of 8 x 8 blocks the share of zeros less that of the frequency with axes exchanged."""
    rows, columns = (n // BLOCK for n in light.shape)
    blocks = light.reshape(rows, BLOCK, columns, BLOCK).transpose(0, 2, 1, 3).reshape(-1, BLOCK, BLOCK)
    zeros = (np.abs(fft.dctn(blocks, axes=(1, 2), norm="ortho")) < 1).mean(axis=0)
    upper = np.triu_indices(BLOCK, 1)
    low = upper[0] + upper[1] < BLOCK
    return [*(zeros - zeros.T)[upper][low], *zeros[upper][low]]


def geometry_features(table):
    """Take from the table of photographs what says nothing about a retina.

    Parameters
    ----------
    table : DataFrame
        Columns bytes, width, height, center_x, center_y, radius, visible, as resize_images.py writes them; numbers
        may be text.

    Returns
    -------
    ndarray of float32, shape (n, 9)
        File size, width, height, aspect, bytes a pixel, radius over the short side, offset of the centre over the
        radius (2), share of the circle that is visible.
    """
    wanted = ["bytes", "width", "height", "center_x", "center_y", "radius", "visible"]
    size, width, height, x, y, radius, visible = table[wanted].astype(float).to_numpy().T
    short = np.minimum(width, height)
    offset = (x - width / 2) / radius, (y - height / 2) / radius
    columns = size, width, height, width / height, size / (width * height), radius / short, *offset, visible
    return np.stack(columns, axis=1).astype(np.float32)


def shortcut_probability(train_features, train_truth, features, seed=0):
    """Fit a small classifier and give its probability of disease.

    Parameters
    ----------
    train_features : ndarray, shape (n, k)
    train_truth : ndarray of bool, shape (n,)
    features : ndarray, shape (m, k)
    seed : int

    Returns
    -------
    ndarray of float64, shape (m,), or None
        None where there are no features, or the training rows hold fewer than five of a class: nothing can be learned.
    """
    truth, given = np.asarray(train_truth, bool), np.asarray(train_features)
    if given.shape[1] == 0 or min(truth.sum(), (~truth).sum()) < LEAST or not len(features):
        return None
    if len(truth) > MOST:
        chosen = np.random.default_rng(seed).choice(len(truth), MOST, replace=False)
        truth, given = truth[chosen], given[chosen]
    # Leaves of five photographs: no single photograph is learned by heart. Classes stay weighted as they are, since
    # the probability is also scored as a call.
    forest = RandomForestClassifier(200, min_samples_leaf=5, n_jobs=-1, random_state=seed)
    forest.fit(given, truth).set_params(n_jobs=1)  # threads would add up the trees in any order, and so round
    return forest.predict_proba(features)[:, 1]


def cross_validated(features, truth, patients, seed=0):
    """Give each photograph the probability of a small classifier that was fitted on other patients.

    Parameters
    ----------
    features : ndarray, shape (n, k)
    truth : ndarray of bool, shape (n,)
    patients : sequence, shape (n,)
    seed : int

    Returns
    -------
    ndarray of float64, shape (n,), or None
        None where the photographs are too few or of one class.
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
