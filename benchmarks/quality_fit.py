"""Fit the quality gate's logistic regressions, and judge each photograph by those of other patients.

Used by benchmarks/quality.py, which describes the data.
"""

import functools

import degraded
import numpy as np
from sklearn.linear_model import LogisticRegression

from eyenet.photo import quality

MEASURES = {
    "natural": ["visible", "light", "glare", "contrast", "vessels", "dark_lines"],
    "equalized": ["visible", "coarse", "lines", "clipped"],
}
# Other choices, to show what those of the gate cost: arguments of `Data`.
ALTERNATIVES = {
    "natural": {"natural, threshold chosen after the rules": {"rules": True}},
    "equalized": {
        "asymmetry and sharpness": {"names": ["visible", "vessels", "clipped", "dark_lines"]},
        "visible vessels only": {"names": ["visible", "lines", "clipped"]},
    },
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
        "upper two fifths cut off",
    ],
}
PASS = 0.95  # share of EyeQ's accepted photographs that must pass: a new photograph costs the patient's time
NEVER = {kind: {"intercept": 0.0, "threshold": 0.9, "measures": {}} for kind in COPIES}  # fits that reject nothing
PENALTY = 0.1  # scikit-learn's C; 0.03 to 1 give the same AUC to 0.002
# Total weights of the other rows, where the photographs that EyeQ accepts have 1. Lesions are drawn on these again.
DEGRADED, CAMERA, LESIONS = 0.5, 1.0, 0.1
FOLDS = 10


class Data:
    """Training data for one kind of colours.

    Parameters
    ----------
    kind : {'natural', 'equalized'}
    labelled : DataFrame
        Photographs with a label of EyeQ: image, patient, eyeq and `kind`, their measures or None.
    copies, camera, lesions : DataFrame
        More rows: degraded copies, which are poor; the photographs of another camera and healthy retinas with drawn
        lesions, which are not.
    names : list of str, optional
        The measures; default: those of the gate.
    rules : bool
        Whether what a rule rejects, such as where detail is lost, counts in the choice of the threshold.

    Attributes
    ----------
    values, rejected, labelled, patient, weight, by_rule : ndarray
        Of all rows that the gate judges by these weights, shape (n, k) and (n,); `labelled` are those of EyeQ; the
        weight of the rejected is scaled in `fit`; `by_rule` are rejected whatever the fit says, if `rules`.
    """

    def __init__(self, kind, labelled, copies, camera, lesions, names=None, rules=False):
        self.kind, self.names = kind, names or MEASURES[kind]
        copies = copies[copies["kind"].isin(COPIES[kind])]
        parts = [(labelled, labelled["eyeq"] == "reject", None), (copies, True, DEGRADED)]
        parts += [(camera, False, CAMERA), (lesions, False, LESIONS)]
        values, rejected, weight, patient, by_rule = [], [], [], [], []
        for table, truth, total in parts:
            seen = table[kind].map(functools.partial(is_judged, kind))
            rows, truth = table[seen], np.broadcast_to(truth, len(table))[seen]
            values += [[quality.counted(name, found) for name in self.names] for found in rows[kind]]
            rejected.append(truth)
            accepted = (~rejected[0]).sum()
            weight.append(np.full(len(rows), total * accepted / max(1, len(rows)) if total else 1.0))
            patient.append(rows["patient"].to_numpy())
            by_rule += [rules and not quality.judge_measures(found, NEVER).gradable for found in rows[kind]]
        self.values, self.rejected = np.array(values), np.concatenate(rejected)
        self.weight, self.patient, self.by_rule = np.concatenate(weight), np.concatenate(patient), np.array(by_rule)
        self.labelled = np.arange(len(self.values)) < len(rejected[0])


def is_judged(kind, found):
    """Tell whether the gate judges measures by the weights of one kind of colours: not a black frame.

    Equalising an overexposed photograph does not make it flat, and the gate judges it by the weights of natural ones.
    """
    return found is not None and "contrast" in found and found["equalized"] == (kind == "equalized")


def folds_of(patients, seed):
    """Assign the patients to ten folds; ndarray of int, shape (n,)."""
    names, index = np.unique(patients, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[index]


def fit(data, rows):
    """Fit log odds to some rows; rejected photographs of EyeQ have the same total weight as accepted ones.

    Returns
    -------
    weight, typical : ndarray of float, shape (k,)
        Up to a constant, the log odds are the sum of weight * (value - typical).
    """
    of_eyeq, truth, weight = data.labelled & rows, data.rejected, data.weight.copy()
    weight[of_eyeq & truth] *= (of_eyeq & ~truth).sum() / (of_eyeq & truth).sum()
    scale = np.maximum(data.values[rows].std(axis=0), 1e-3)
    typical = np.median(data.values[of_eyeq & ~truth], axis=0)
    model = LogisticRegression(C=PENALTY, max_iter=2000)
    model.fit((data.values[rows] - typical) / scale, truth[rows], weight[rows] / 2)
    return model.coef_[0] / scale, typical


def held_out(data, rows, seed=0):
    """Return log odds for some rows from fits to the other patients among them; NaN for all other rows."""
    folds, odds = folds_of(data.patient, seed), np.full(len(data.patient), np.nan)
    for fold in range(FOLDS):
        mine = rows & (folds == fold)
        weight, typical = fit(data, rows & (folds != fold))
        odds[mine] = (data.values[mine] - typical) @ weight
    return odds


def calibrate(odds, truth):
    """Fit a slope and an intercept that map log odds to those of being rejected by EyeQ."""
    model = LogisticRegression(C=1e6).fit(odds[:, None], truth)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def finish_fit(data, rows=None, seed=0):
    """Fit, calibrate and choose the threshold, on some rows only.

    The threshold passes `PASS` of the photographs that EyeQ accepts; a rule may reject some of them.

    Returns
    -------
    dict
        Entry of eyenet/photo/quality.json for one kind of colours; a photograph is rejected at or above `threshold`.
    """
    rows = np.full(len(data.patient), True) if rows is None else rows
    weight, typical = fit(data, rows)
    odds, rows = held_out(data, rows, seed), rows & data.labelled
    slope, intercept = calibrate(odds[rows], data.rejected[rows])
    passing = np.quantile(np.where(data.by_rule, np.inf, odds)[rows & ~data.rejected], PASS)
    measures = {
        name: {"weight": round(float(w), 4), "typical": round(float(t), 4)}
        for name, w, t in zip(data.names, slope * weight, typical)
    }
    threshold = 1 / (1 + np.exp(-(slope * passing + intercept)))
    return {"intercept": round(intercept, 4), "threshold": round(float(threshold), 3), "measures": measures}


@functools.cache
def fold_fits(data, seed=0):
    """Map each patient to weights that have not seen this patient, beside those in use for the other colours."""
    folds, fits = folds_of(data.patient, seed), {}
    for fold in range(FOLDS):
        found = finish_fit(data, folds != fold, seed + 1)
        fits |= {name: quality.weights() | {data.kind: found} for name in np.unique(data.patient[folds == fold])}
    return fits


def nested(data, table, seed=0):
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
    fits = fold_fits(data, seed)
    anyone = fits[data.patient[0]]  # for patients that no fit has seen
    rows = zip(table["patient"], table[data.kind])
    return [found and quality.judge_measures(found, fits.get(patient, anyone)) for patient, found in rows]
