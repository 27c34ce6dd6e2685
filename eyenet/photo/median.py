"""The median of a few hundred numbers."""

import numpy as np


def median(values):
    """Median of an array, bit for bit that of `np.median`.

    NumPy's first call imports its masked arrays, which takes 5 % of a cold start of predict.py.

    Parameters
    ----------
    values : ndarray
        Not empty, without NaN.

    Returns
    -------
    float
    """
    values = np.sort(values, axis=None)
    middle = len(values) // 2
    return float(values[[~middle, middle]].mean())
