"""Names of photographs and of their copies, and the split of patients into train, val and test."""

import re
import unicodedata
from typing import NamedTuple

from eyenet.run.files import sha256_text

SUFFIX = {
    "original": "",
    "mirror": "_mir",
    "rot90": "_90",
    "rot120": "_120",
    "rot180": "_180",
    "rot270": "_270",
}
TRANSFORM = {suffix: transform for transform, suffix in SUFFIX.items()}
SPLITS = ("train", "val", "test")
FITTED = SPLITS[:2]  # the network is trained on the first; its epoch and its decision are chosen on the second
UNSEEN = "unseen"  # a fourth split of an array of the 2017 protocol: patients who are in none of the other three
SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}
SPLIT_NAMES = {
    **{split: f"{SPLIT_WORDS[split]} patients" for split in FITTED},
    "test": "unseen test patients",
    UNSEEN: "unseen patients",
}
JOINT = "~"  # joins folders in a name, and a set with what is in it: rare in names, allowed on every disk
NUMBER = re.compile(rf"(.*{JOINT})?0*([0-9]+)(\.0)?", re.ASCII | re.DOTALL)
_PATTERN = re.compile(r"(?P<patient>.+)_(?P<eye>left|right)(?P<suffix>_mir|_90|_120|_180|_270)?", re.DOTALL)


class Name(NamedTuple):
    """The parts of a photograph's name: `10_left_mir` is patient 10, left eye, mirrored."""

    patient: str
    eye: str
    transform: str = "original"

    def __str__(self):
        return f"{self.patient}_{self.eye}{SUFFIX[self.transform]}"


def parse_name(text):
    """Parse `<patient>_<left|right>` with the suffix of a copy, if any.

    Returns
    -------
    Name

    Raises
    ------
    ValueError
        If the text has another form.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not of the form <patient>_<left|right>")
    return Name(match["patient"], match["eye"], TRANSFORM[match["suffix"] or ""])


def copy_name(image, transform):
    """Name a copy of `image`, whose name may have any form, as in other data sets."""
    return image + SUFFIX[transform]


def original_name(image, transform):
    """Name the photograph of which an image is a copy: the inverse of `copy_name`."""
    return image.removesuffix(SUFFIX[transform])


def composed(patient):
    """Write a patient ID with composed letters (NFC), as macOS does not, and without spaces around it."""
    return unicodedata.normalize("NFC", patient.strip())


def canonical(patient):
    """Return the form in which patient IDs are compared: `12` for 12, 0012 and 12.0, as spreadsheets write them.

    Letters are composed. An exponent, as in 1e5, is part of a name. A set before it stays: `B~12` for B~0012.
    """
    number = NUMBER.fullmatch(composed(patient))
    return (number[1] or "") + number[2] if number else composed(patient)


def split_of(patient, seed=0, val=0.15, test=0.15):
    """Assign a patient to train, val or test by a hash of the patient and the seed.

    The split does not depend on other patients, so adding or removing patients never moves another one, and
    enlarging `test` only moves patients into it. IDs with the same canonical form have the same split.

    Parameters
    ----------
    patient : str
    seed : int
    val, test : float
        Fractions of the patients.

    Returns
    -------
    str
    """
    position = int(sha256_text(f"{seed}:{canonical(patient)}")[:16], 16) / 2**64
    return "test" if position < test else "val" if position < test + val else "train"
