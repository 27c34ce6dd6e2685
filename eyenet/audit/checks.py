"""The checks of the leak audit: each reads a table of images and their splits; some also read the pixels."""

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from eyenet.data.array import map_blocks, rows_by_split
from eyenet.data.duplicates import describe, is_blank, match, verify
from eyenet.data.identity import read_name
from eyenet.data.names import SPLIT_WORDS, SPLITS, Name, canonical, original_name, parse_name
from eyenet.data.tables import patient_known
from eyenet.run.errors import EXIT_FINDING, EXIT_REJECTED, plural
from eyenet.score.intervals import auc_with_interval
from eyenet.score.not_retina import MOST, border_features, compression_features, shortcut_probability

OK, LEAK, UNSURE, UNCHECKED = "ok", "LEAK", "unsure", "not checked"
NO_PIXELS = "no pixels"
ENDING = re.compile(r"(\.(jpe?g|png|tiff?|bmp|gif|ppm|webp|dcm|npy))+$", re.IGNORECASE)


@dataclass
class Audited:
    """What is audited.

    `table` is from `complete`; `rows` are the rows of each split that are used; `images` is the array, or None.
    `assumed` is set if nothing says which rows are used, so that all count.
    """

    table: pd.DataFrame
    rows: dict
    images: np.ndarray | None = None
    assumed: bool = False

    def values(self, column, split):
        """Return a column in the rows of a split that are used."""
        return self.table[column].to_numpy()[self.rows[split]]

    def knows(self, column):
        """Return whether a column is known for all rows."""
        return self.table[column].notna().all()


@dataclass
class Finding:
    """The outcome of a check: its name, a description, a verdict, and the figures and cases behind it.

    The audit can only find "no leak" if every `required` check was done.
    """

    check: str
    found: str
    verdict: str
    figures: dict = field(default_factory=dict)
    cases: list = field(default_factory=list)
    required: bool = False


def complete(table):
    """Add the columns that the checks need, derived from the names of the images where the table lacks them.

    Parameters
    ----------
    table : DataFrame
        Columns image and split, and any of patient, patient_known, level and transform.

    Returns
    -------
    DataFrame
        With transform; level, all None if unknown; `photograph`, the image's name without folder (unless only folders
        distinguish images), ending and suffix of a copy; `patient`, None if unknown, with numbers in their shortest
        form (11 for 011 and 11.0); and `written`, the patient as written in the table.
    """
    names = [ENDING.sub("", re.split(r"[/\\]", image)[-1]) for image in table["image"]]
    shown = table[["split", "image"]].assign(name=names).drop_duplicates()
    if shown.duplicated(
        ["split", "name"]
    ).any():  # such as p1/left.png and p2/left.png: only the folder distinguishes them
        names = [ENDING.sub("", image) for image in table["image"]]
    parsed = [_parse(name) for name in names]
    table = table.copy()
    own = table["patient"].astype(str) if "patient" in table.columns else [p and p.patient for p in parsed]
    known = patient_known(table)  # otherwise `patient` is the name of the photograph
    own = [patient if told else None for patient, told in zip(own, known)]
    table["written"] = pd.Series(own, table.index, dtype=object)
    table["patient"] = table["written"].map(canonical, na_action="ignore")
    if "level" not in table.columns:
        table["level"] = None
    if "transform" not in table.columns:
        table["transform"] = [p.transform if p else "original" for p in parsed]
    table["photograph"] = [
        f"{p.patient}_{p.eye}" if p else original_name(name, transform)
        for p, name, transform in zip(parsed, names, table["transform"])
    ]
    return table


def used_rows(table, settings=None):
    """Select the rows of each split that are used, as cnn.py does for an array with these settings; None: all rows."""
    if settings is not None:
        return rows_by_split(table, settings)
    return {split: np.flatnonzero(table["split"] == split) for split in SPLITS}


def _parse(name):
    try:
        return parse_name(name)
    except ValueError:
        *folders, stem = re.split(r"[/\\]", name)
        patient, eye = read_name(stem, *folders[-1:])
        return Name(patient, eye) if patient and eye else None


def shared(audited, column, ours, theirs):
    """Check that no photograph or patient of one split is in another; count the rows for which it is unknown."""
    what = f"{SPLIT_WORDS[ours]} rows whose {column} is in {SPLIT_WORDS[theirs]}"
    if missing := _missing(audited, ours, theirs):
        return Finding(what, missing, UNCHECKED)
    values, others = (audited.values(column, split) for split in (ours, theirs))
    known, others_known = pd.notna(values), pd.notna(others)
    odd = [*audited.values("image", ours)[~known], *audited.values("image", theirs)[~others_known]]
    if not known.any() or not others_known.any():
        return Finding(what, f"names such as {odd[0]!r} do not say the {column}", UNCHECKED, required=True)
    bad = known & np.isin(values.astype(str), others[others_known].astype(str))
    cases = list(audited.values("image", ours)[bad])
    text = _share(bad[known]) + (f", such as {cases[0]}" if cases else "")
    if column == "patient":
        text += _by_number(audited, bad, ours, theirs)
    if odd:
        text += f"; rows not compared: {len(odd):,}, whose names do not say the {column}, such as {odd[0]!r}"
    figures = {"rows": len(cases), "of": int(known.sum()), "not_compared": len(odd)}
    return Finding(what, text, LEAK if cases else UNSURE if odd else OK, figures, cases, required=True)


def _by_number(audited, bad, ours, theirs):
    """Report how many rows match only because a patient number is written in two ways, such as 011 and 11."""
    written = audited.values("written", ours)
    only = np.flatnonzero(bad & ~np.isin(written.astype(str), audited.values("written", theirs).astype(str)))
    if not len(only):
        return ""
    first = only[0]
    return f"; {len(only):,} by number, such as {written[first]!r} taken for {audited.values('patient', ours)[first]}"


def _missing(audited, *splits):
    """Return a text that names the first of some splits without rows; None if all have rows."""
    return next((f"no {SPLIT_WORDS[split]} rows" for split in splits if not len(audited.rows[split])), None)


def _share(bad):
    return f"{bad.sum():,} of {len(bad):,} ({bad.mean():.1%})"


def same_pixels(audited, split, trained):
    """Check that no image of a split is the same photograph as a training image, whatever their names.

    `trained` are the descriptors of the training images; None without pixels.
    """
    what = f"{SPLIT_WORDS[split]} rows whose pixels are in training"
    images, rows = audited.images, audited.rows
    missing = NO_PIXELS if images is None else _missing(audited, split)
    if missing:
        return Finding(what, missing, UNCHECKED)
    ours = describe(images, rows[split])
    pairs = verify(images, images, [(rows[split][i], rows["train"][j]) for i, j in match(ours, trained)])
    names, photographs = (audited.table[column].to_numpy() for column in ("image", "photograph"))
    cases = [(names[i], names[j], round(similarity, 3)) for i, j, similarity in pairs]
    renamed = [(i, j) for i, j, _ in pairs if photographs[i] != photographs[j]]
    bad = np.isin(rows[split], [i for i, _, _ in pairs])
    blank = int(is_blank(ours).sum() + is_blank(trained).sum())
    figures = {"rows": int(bad.sum()), "of": len(bad), "pairs": len(pairs), "show_nothing": blank}
    figures["under_another_name"] = len({i for i, _ in renamed})
    text = f"{_share(bad)}, {figures['under_another_name']:,} under another name"
    if renamed:
        text += f", such as {names[renamed[0][0]]} = {names[renamed[0][1]]}"
    if blank:
        text += f"; {plural(blank, 'blank image is', 'blank images are')} not compared"
    return Finding(what, text, LEAK if cases else OK, figures, cases)


def copy_rule(audited):
    """Check that the rule "a rotated copy has DR" is no more accurate than always choosing the majority class."""
    what = 'accuracy of the rule "a rotated copy has DR"'
    if not audited.knows("level"):
        return Finding(what, "no grades", UNCHECKED)
    figures, texts, verdict = {}, [], OK
    for split in ("test", "val"):
        rotated = np.char.startswith(audited.values("transform", split).astype(str), "rot")
        diseased = audited.values("level", split).astype(int) > 0
        if not len(diseased):
            continue
        rule, majority = (rotated == diseased).mean(), max(diseased.mean(), 1 - diseased.mean())
        figures[split] = {"rule": float(rule), "majority": float(majority), "rotated": int(rotated.sum())}
        texts.append(f"{SPLIT_WORDS[split]} {rule:.1%}, majority class {majority:.1%}")
        if rotated.any() and rule > majority:
            verdict = LEAK
    if not figures:
        return Finding(what, "no test rows", UNCHECKED)
    copies = sum(found["rotated"] for found in figures.values())
    text = "; ".join(texts) + f" ({plural(copies, 'rotated copy', 'rotated copies')})"
    if copies and audited.assumed:
        text += "; all rows count; give --originals if validation and test use originals only"
    return Finding(what, text, verdict, figures)


def not_retina(audited, features, what, limit, seed):
    """Check that a small classifier cannot tell the grade of test images without seeing the retina."""
    what = f"AUC of a classifier that sees only {what}"
    if audited.images is None:
        return Finding(what, NO_PIXELS, UNCHECKED)
    if not audited.knows("level"):
        return Finding(what, "no grades", UNCHECKED)
    truth = {split: audited.values("level", split).astype(int) > 0 for split in ("train", "test")}
    patients, photographs = (audited.values(column, "test") for column in ("patient", "photograph"))
    patients = np.where(pd.isna(patients), photographs, patients)
    if not len(truth["test"]) or truth["test"].all() or not truth["test"].any():
        return Finding(what, "the test rows do not have both classes", UNCHECKED)
    trained = np.arange(len(truth["train"]))
    if len(trained) > MOST:
        trained = np.sort(np.random.default_rng(seed).choice(trained, MOST, replace=False))
    known, seen = _features(audited, "train", features, trained), _features(audited, "test", features)
    probability = shortcut_probability(known, truth["train"][trained], seen, seed)
    if probability is None:
        return Finding(what, "a class has too few training rows", UNCHECKED)
    diseased = truth["test"]
    figure = auc_with_interval(diseased, probability, patients)
    if figure["low"] is None:
        return Finding(what, f"{figure['value']:.3f}, with too few test patients for an interval", UNSURE, figure)
    interval = f"[{figure['low']:.3f}, {figure['high']:.3f}]"
    text = f"{figure['value']:.3f} {interval}, a leak if the interval lies above {limit:g}"
    verdict = LEAK if figure["low"] > limit else UNSURE if figure["value"] > limit else OK
    return Finding(what, text + (", with too few test patients to tell" if verdict == UNSURE else ""), verdict, figure)


def _features(audited, split, features, chosen=slice(None)):
    """Compute the features of the images of a split, or of the chosen ones, block by block."""
    return map_blocks(features, audited.images, audited.rows[split][chosen], "measure")


def audit(audited, limit, seed):
    """Run all checks.

    Parameters
    ----------
    audited : Audited
    limit : float
        Largest AUC without the retina that is not a leak; it is a leak if the lower end of the interval is above.
    seed : int

    Returns
    -------
    list of Finding
    """
    splits = (("test", "train"), ("val", "train"), ("test", "val"))
    trained = None if audited.images is None else describe(audited.images, audited.rows["train"])
    return [
        *(shared(audited, "photograph", *two) for two in splits),
        *(shared(audited, "patient", *two) for two in splits),
        same_pixels(audited, "test", trained),
        same_pixels(audited, "val", trained),
        copy_rule(audited),
        not_retina(audited, border_features, "the border ring and the corners", limit, seed),
        not_retina(audited, compression_features, "traces of compression", limit, seed),
    ]


def results_table(findings):
    """Format the findings as text, one line per check."""
    width = max(len(finding.check) for finding in findings) + 2
    return "\n".join(f"{f.verdict:<13}{f.check:<{width}}{f.found}" for f in findings)


def conclude(findings):
    """Combine all findings into one verdict.

    Returns
    -------
    verdict : str
        LEAK, could not tell, no leak found in what could be checked, or no leak found.
    why : str
        The number of checks, or what is missing; may be empty.
    code : int
        0 if no leak was found and the photograph and patient of every used row were compared; 4 if a leak was found; 3
        if none was found, but not every row was compared.
    """
    leaks = sum(finding.verdict == LEAK for finding in findings)
    unknown = [finding for finding in findings if finding.verdict != OK]
    if leaks:
        return LEAK, f" in {leaks} of {len(findings)} checks", EXIT_FINDING
    if any(finding.required for finding in unknown):
        why = "rows of unknown patients; name the images <patient>_<left|right>, or give the table a column patient"
        return "could not tell", f": {why}", EXIT_REJECTED
    if unknown:
        why = f": {len(unknown)} of {len(findings)} checks could not tell"
        return "no leak found in what could be checked", why, 0
    return "no leak found", "", 0
