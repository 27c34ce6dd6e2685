"""Fit the quality gate's logistic regressions, and judge each photograph by those of other patients.

Used by benchmarks/quality.py, which describes the data.
"""

import functools

import degraded
import numpy as np
from sklearn.linear_model import LogisticRegression

from eyenet.photo import quality

MEASURES = {
    "natural": ["visible", "light", "shade", "glare", "contrast", "vessels", "dark_lines"],
    "equalized": ["visible", "vessels", "clipped", "dark_lines"],
}
# Degraded copies for fitting. Equalising removes exposure and haze, unless detail is lost.
COPIES = {
    "natural": list(degraded.FITTED),
    "equalized": [
        "blur 1 %",
        "blur 2 %",
        "three times the light",
        "dark, a seventh of the light",
        "upper half cut off",
    ],
}
PASS = 0.95  # share of EyeQ's accepted photographs that must pass: a new photograph costs the patient's time
PENALTY = 0.1  # scikit-learn's C; 0.03 to 1 give the same AUC to 0.002
FOLDS = 10


class Data:
    """Training data for one kind of colours: values (n, k) of the measures, rejected (n,), patient (n,); copies."""

    def __init__(self, kind, table, copies):
        names = MEASURES[kind]
        seen = table[kind].map(lambda found: found is not None and "contrast" in found)  # not black frames
        table = table[seen]
        self.kind = kind
        self.values = np.array([[found[name] for name in names] for found in table[kind]])
        self.rejected = (table["eyeq"] == "reject").to_numpy()
        self.labelled = (table["eyeq"] != "").to_numpy()
        self.weak = (table["jama16_gradable"] == 0).to_numpy()
        self.patient = table["patient"].to_numpy()
        usable = copies[kind].map(lambda found: found is not None and "contrast" in found)
        copies = copies[usable & copies["kind"].isin(COPIES[kind])]
        self.copies = np.array([[found[name] for name in names] for found in copies[kind]])
        self.copies_patient = copies["patient"].to_numpy()


def folds_of(patients, seed):
    """Assign the patients to ten folds; ndarray of int, shape (n,)."""
    names, index = np.unique(patients, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[index]


def fit(data, patients, weak=0.0):
    """Fit log odds to the photographs of some patients and their degraded copies.

    Rejected photographs have the same total weight as accepted ones, and the copies half of it. `weak` is the weight of
    jama16's labels for photographs without an EyeQ label.

    Returns
    -------
    weight, typical : ndarray of float, shape (k,)
        Up to a constant, the log odds are the sum of weight * (value - typical).
    """
    rows = np.isin(data.patient, patients)
    weight = np.where(data.labelled, 1.0, weak) * rows
    truth = np.where(data.labelled, data.rejected, data.weak)
    accepted, rejected = (weight * ~truth).sum(), (weight * truth).sum()
    weight = weight * np.where(truth, accepted / rejected, 1)
    copies = data.copies[np.isin(data.copies_patient, patients)]
    values = np.concatenate([data.values, copies])
    truth = np.concatenate([truth, np.ones(len(copies), bool)])
    weight = np.concatenate([weight, np.full(len(copies), accepted / max(1, len(copies)) / 2)])
    chosen = rows & data.labelled
    scale = data.values[chosen].std(axis=0) + 1e-9
    typical = np.median(data.values[chosen & ~data.rejected], axis=0)
    model = LogisticRegression(C=PENALTY, max_iter=2000)
    model.fit((values - typical) / scale, truth, weight / 2)
    return model.coef_[0] / scale, typical


def held_out(data, patients, seed=0, weak=0.0):
    """Return log odds for the photographs of some patients, from fits to other patients; NaN for other photographs."""
    folds, odds = folds_of(data.patient, seed), np.full(len(data.patient), np.nan)
    mine = np.isin(data.patient, patients)
    for fold in range(FOLDS):
        rows = mine & (folds == fold)
        weight, typical = fit(data, np.unique(data.patient[mine & (folds != fold)]), weak)
        odds[rows] = (data.values[rows] - typical) @ weight
    return odds


def calibrate(odds, truth):
    """Fit a slope and an intercept that map log odds to those of being rejected by EyeQ."""
    model = LogisticRegression(C=1e6).fit(odds[:, None], truth)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def finish_fit(data, patients, seed=0, weak=0.0):
    """Fit, calibrate and choose the threshold, on some patients only.

    `weak` is the weight of jama16's labels, as in `fit`.

    Returns
    -------
    dict
        Entry of eyenet/photo/quality.json for one kind of colours; a photograph is rejected at or above `threshold`.
    """
    weight, typical = fit(data, patients, weak)
    odds = held_out(data, patients, seed, weak)
    rows = np.isfinite(odds) & data.labelled
    slope, intercept = calibrate(odds[rows], data.rejected[rows])
    passing = np.quantile(odds[rows & ~data.rejected], PASS)
    measures = {
        name: {"weight": round(float(w), 4), "typical": round(float(t), 4)}
        for name, w, t in zip(MEASURES[data.kind], slope * weight, typical)
    }
    threshold = 1 / (1 + np.exp(-(slope * passing + intercept)))
    return {"intercept": round(intercept, 4), "threshold": round(float(threshold), 3), "measures": measures}


@functools.cache
def fold_fits(data, seed=0, weak=0.0):
    """Map each patient to a fit that has not seen this patient: its weights, calibration and threshold."""
    names = np.unique(data.patient)
    folds, fits = folds_of(names, seed), {}
    for fold in range(FOLDS):
        found = finish_fit(data, names[folds != fold], seed + 1, weak)
        fits |= {name: {"natural": found, "equalized": found} for name in names[folds == fold]}
    return fits


def nested(data, table, seed=0, weak=0.0):
    """Judge every row with weights, calibration and threshold from other patients' photographs.

    Parameters
    ----------
    data : Data
        Training data.
    table : DataFrame
        Columns patient and the kind of colours, None if no retina is found; photographs or copies of them.

    Returns
    -------
    list of Quality, None where no retina is found
    """
    fits = fold_fits(data, seed, weak)
    rows = zip(table["patient"], table[data.kind])
    return [
        found and quality.judge_measures(found, fits.get(patient, fits[data.patient[0]])) for patient, found in rows
    ]
