"""The checks of the leak audit: each looks at a table of images and their splits, some also at the pixels."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from eyenet.bootstrap import bootstrap, count_pairs
from eyenet.duplicates import describe, is_blank, match, verify
from eyenet.metrics import roc_auc
from eyenet.names import SUFFIX, parse_name
from eyenet.shortcuts import MOST, border_features, compression_features, shortcut_probability
from eyenet.stage import cores, for_each

OK, LEAK, UNSURE, UNCHECKED = "ok", "LEAK", "unsure", "not checked"
NO_PIXELS = "no pixels"
BLOCK = 64
NAMES = {"train": "training", "val": "validation", "test": "test"}


@dataclass
class Evidence:
    """What is audited.

    `table` has the columns image, split, transform, photograph, and patient and level where they are known (else all
    None); `rows` are the rows of each split that are used; `images` is the array, or None.
    """

    table: pd.DataFrame
    rows: dict
    images: np.ndarray | None = None

    def of(self, column, split):
        """Give the values of a column in the rows of a split that are used."""
        return self.table[column].to_numpy()[self.rows[split]]

    def knows(self, column):
        """Tell whether a column is known."""
        return self.table[column].notna().all()


@dataclass
class Finding:
    """The outcome of a check: its name, what was found in words, a verdict, and the figures and cases behind it."""

    check: str
    found: str
    verdict: str
    figures: dict = field(default_factory=dict)
    cases: list = field(default_factory=list)


def complete(table):
    """Add to a table the columns that the checks need, from the names of the images where it lacks them.

    Parameters
    ----------
    table : DataFrame
        Columns image and split, and any of patient, level and transform.

    Returns
    -------
    DataFrame
        See `Evidence`. `photograph` is the image's name without the suffix of a copy.
    """
    parsed = [_parse(image) for image in table["image"]]
    table = table.copy()
    if "patient" not in table.columns:
        known = all(name is not None for name in parsed)
        table["patient"] = [name.patient for name in parsed] if known else None
    if "level" not in table.columns:
        table["level"] = None
    if "transform" not in table.columns:
        table["transform"] = ["original" if name is None else name.transform for name in parsed]
    suffixes = table["transform"].map(SUFFIX)
    table["photograph"] = [image.removesuffix(suffix) for image, suffix in zip(table["image"], suffixes)]
    return table


def _parse(image):
    try:
        return parse_name(image)
    except ValueError:
        return None


def shared(evidence, column, ours, theirs):
    """Check that no photograph or patient of one split is in another."""
    what = f"{NAMES[ours]} rows whose {column} is in {NAMES[theirs]}"
    if missing := _missing(evidence, ours, theirs):
        return Finding(what, missing, UNCHECKED)
    if not evidence.knows(column):
        odd = next(image for image in evidence.table["image"] if _parse(image) is None)
        return Finding(what, f"names such as {odd!r} do not say the {column}", UNCHECKED)
    bad = np.isin(evidence.of(column, ours), evidence.of(column, theirs))
    cases = list(evidence.of("image", ours)[bad])
    text = _share(bad) + (f", such as {cases[0]}" if cases else "")
    return Finding(what, text, LEAK if cases else OK, {"rows": len(cases), "of": len(bad)}, cases)


def _missing(evidence, *splits):
    """Say which of some splits has no rows, if one has none."""
    return next((f"no {NAMES[split]} rows" for split in splits if not len(evidence.rows[split])), None)


def _share(bad):
    return f"{bad.sum():,} of {len(bad):,} ({bad.mean():.1%})"


def same_pixels(evidence):
    """Check that no test image is the same photograph as a training image, whatever the two are called."""
    what = "test rows whose pixels are in training"
    images, rows = evidence.images, evidence.rows
    missing = NO_PIXELS if images is None else _missing(evidence, "test", "train")
    if missing:
        return Finding(what, missing, UNCHECKED)
    ours, theirs = describe(images, rows["test"]), describe(images, rows["train"])
    pairs = verify(images, images, [(rows["test"][i], rows["train"][j]) for i, j in match(ours, theirs)])
    names, photographs = (evidence.table[column].to_numpy() for column in ("image", "photograph"))
    cases = [(names[i], names[j], round(similarity, 3)) for i, j, similarity in pairs]
    renamed = [(i, j) for i, j, _ in pairs if photographs[i] != photographs[j]]
    bad = np.isin(rows["test"], [i for i, _, _ in pairs])
    blank = int(is_blank(ours).sum() + is_blank(theirs).sum())
    figures = {"rows": int(bad.sum()), "of": len(bad), "pairs": len(pairs), "show_nothing": blank}
    figures["under_another_name"] = len({i for i, _ in renamed})
    text = f"{_share(bad)}, {figures['under_another_name']:,} under another name"
    if renamed:
        text += f", such as {names[renamed[0][0]]} = {names[renamed[0][1]]}"
    if blank:
        text += f"; {blank:,} images show nothing and are not compared"
    return Finding(what, text, LEAK if cases else OK, figures, cases)


def copy_rule(evidence):
    """Check that the rule "a rotated copy is DR" does not beat the majority class where copies are tested on."""
    what = 'accuracy of the rule "a rotated copy is DR"'
    if not evidence.knows("level"):
        return Finding(what, "no grades", UNCHECKED)
    figures, texts, verdict = {}, [], OK
    for split in ("test", "val"):
        turned = np.char.startswith(evidence.of("transform", split).astype(str), "rot")
        sick = evidence.of("level", split).astype(int) > 0
        if not len(sick):
            continue
        rule, majority = (turned == sick).mean(), max(sick.mean(), 1 - sick.mean())
        figures[split] = {"rule": float(rule), "majority": float(majority), "rotated": int(turned.sum())}
        texts.append(f"{NAMES[split]} {rule:.1%}, majority class {majority:.1%}")
        if turned.any() and rule > majority:
            verdict = LEAK
    if not figures:
        return Finding(what, "no test rows", UNCHECKED)
    rotated = sum(of_split["rotated"] for of_split in figures.values())
    return Finding(what, "; ".join(texts) + f" ({rotated:,} rotated copies)", verdict, figures)


def not_retina(evidence, features, what, limit, seed):
    """Check that a small classifier that sees only what is not retina cannot tell the grade of test images."""
    what = f"AUC of a classifier that sees only {what}"
    if evidence.images is None:
        return Finding(what, NO_PIXELS, UNCHECKED)
    if not evidence.knows("level"):
        return Finding(what, "no grades", UNCHECKED)
    truth = {split: evidence.of("level", split).astype(int) > 0 for split in ("train", "test")}
    patients = evidence.of("patient" if evidence.knows("patient") else "photograph", "test")
    if not len(truth["test"]) or truth["test"].all() or not truth["test"].any():
        return Finding(what, "the test rows are not of both classes", UNCHECKED)
    trained = np.arange(len(truth["train"]))
    if len(trained) > MOST:
        trained = np.sort(np.random.default_rng(seed).choice(trained, MOST, replace=False))
    known, seen = _features(evidence, "train", features, trained), _features(evidence, "test", features)
    probability = shortcut_probability(known, truth["train"][trained], seen, seed)
    if probability is None:
        return Finding(what, "training has too few rows of a class", UNCHECKED)
    sick = truth["test"]
    trials = {"auc": count_pairs(patients, sick, ~sick)}
    figure = bootstrap(lambda w: {"auc": roc_auc(sick, probability, w)}, patients, seed=seed, trials=trials)["auc"]
    if figure["low"] is None:
        return Finding(what, f"{figure['value']:.3f}, of too few test patients for an interval", UNSURE, figure)
    text = f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}], a leak if surely above {limit:g}"
    verdict = LEAK if figure["low"] > limit else UNSURE if figure["value"] > limit else OK
    return Finding(what, text + (", of too few test patients to tell" if verdict == UNSURE else ""), verdict, figure)


def _features(evidence, split, features, chosen=slice(None)):
    """Compute features of the images of a split, or of some of them, block by block."""
    rows = evidence.rows[split][chosen]
    blocks = [rows[first : first + BLOCK] for first in range(0, len(rows), BLOCK)]
    work = for_each(lambda block: features(evidence.images[block]), blocks, cores(), "measure", f"x{BLOCK} img")
    return np.concatenate([found for _, found in work])


def audit(evidence, limit, seed):
    """Run all checks.

    Parameters
    ----------
    evidence : Evidence
    limit : float
        AUC that a classifier without a retina may reach: a leak if the lower end of its interval is above.
    seed : int

    Returns
    -------
    list of Finding
    """
    return [
        shared(evidence, "photograph", "test", "train"),
        shared(evidence, "patient", "test", "train"),
        shared(evidence, "patient", "val", "train"),
        shared(evidence, "patient", "test", "val"),
        same_pixels(evidence),
        copy_rule(evidence),
        not_retina(evidence, border_features, "the border ring and the corners", limit, seed),
        not_retina(evidence, compression_features, "traces of compression", limit, seed),
    ]
