"""Summarise how a set of photographs looks to a network: a station compares its own photographs with this.

No photograph can be found again in the summary. Everything is measured on the network's input, in the colours that it
was trained on, so that the numbers of another set are comparable.
"""

import numpy as np

REFERENCE = "reference.json"  # in the folder of the model
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def quantiles(values):
    """Return the quantiles of numbers at `LEVELS`, by level as text; finite numbers only, empty if there are none."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return {}
    return {str(level): float(f"{value:.4g}") for level, value in zip(LEVELS, np.quantile(values, LEVELS))}


def distances(features, mean, deviation):
    """Compute how far photographs are from others: root mean square of the standardised features, shape (n,).

    Features that never vary are left out.
    """
    varying = np.asarray(deviation) > 0
    apart = (features[:, varying] - np.asarray(mean)[varying]) / np.asarray(deviation)[varying]
    return np.sqrt((apart**2).mean(axis=1))


def summarise(measures, probabilities, thresholds, features):
    """Summarise a set of photographs.

    Parameters
    ----------
    measures : list of dict
        From `eyenet.photo.measures.measure`, of the network's inputs; a black one lacks most measures.
    probabilities : dict of str to ndarray of float, shape (n,)
        Calibrated, by question.
    thresholds : dict of str to float
        By question, of the operating point.
    features : ndarray of float, shape (n, k)
        What the last layer sees.

    Returns
    -------
    dict
        For JSON: `photographs`; quantiles of the `measures` and the `probabilities`; the share `called` diseased, by
        question; and `features`: mean and standard deviation of each, and quantiles of the photographs' distance.
    """
    mean, deviation = rounded(features.mean(axis=0)), rounded(features.std(axis=0))
    names = dict.fromkeys(name for found in measures for name in found)
    return {
        "photographs": len(features),
        "measures": {name: quantiles([found.get(name, np.nan) for found in measures]) for name in names},
        "probabilities": {question: quantiles(values) for question, values in probabilities.items()},
        "called": {
            question: round(float((values >= thresholds[question]).mean()), 4)
            for question, values in probabilities.items()
        },
        "features": {
            "mean": mean,
            "deviation": deviation,
            "distance": quantiles(distances(features, mean, deviation)),
        },
    }


def rounded(values):
    """Round numbers to four digits; list of float."""
    return [float(f"{value:.4g}") for value in values]
