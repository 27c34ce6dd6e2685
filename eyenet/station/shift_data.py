"""The data of the shift alarm, read from the register: one number for each photograph and measure."""

import datetime
from typing import NamedTuple

import numpy as np

# Names as of `eyenet.photo.measures.measure`; `shade` and `equalized` included, since both change with the camera.
LOOKS = ("visible", "light", "shade", "glare", "red_green", "green_blue", "clipped", "contrast", "vessels")
LOOKS += ("dark_lines", "colour", "coarse", "lines")
OWN = tuple(f"photograph {name}" for name in LOOKS)  # in the photograph's own colours
SEEN = tuple(f"input {name}" for name in LOOKS)  # in those of the network
SHARES = ("equalized", "gradable", "retina", "referred")
PROBABILITIES = ("any", "referable")
COLUMNS = {name: k for k, name in enumerate((*OWN, *SEEN, *SHARES, *PROBABILITIES))}
UNKNOWN = "unknown size"
STRICTEST = ("referable", "any")  # the question that decides on a referral: the first that the network answers


class Photo(NamedTuple):
    """A photograph as the alarm sees it; `values` has NaN where something was not measured.

    Attributes
    ----------
    id : int
        Of the entry.
    day : datetime.date
        Local.
    camera : str
    patient : str
        Random key.
    values : ndarray of float32, shape (columns,)
        By `COLUMNS`.
    """

    id: int
    day: datetime.date
    camera: str
    patient: str
    values: np.ndarray


def camera_of(facts):
    """Name the camera of a photograph: its name if known, otherwise the size of its photographs."""
    size = facts.get("measures", {}).get("size")
    return str(facts.get("camera") or size or UNKNOWN)


def values_of(facts, network, thresholds):
    """Compute the values of a photograph.

    Parameters
    ----------
    facts : dict
        Of the register: `gradable`, and `measures` as from `eyenet.model.screener.Screener.look`.
    network : str
        Probabilities of other networks, and measures of their inputs, are not compared.
    thresholds : dict of str to float
        By question.

    Returns
    -------
    ndarray of float32, shape (columns,)
    """
    values, measures = np.full(len(COLUMNS), np.nan, np.float32), facts.get("measures", {})
    own, probabilities = measures.get("photograph", {}), measures.get("probabilities", {})
    found = {f"photograph {name}": own.get(name) for name in LOOKS}
    found |= {"equalized": own.get("equalized"), "gradable": facts.get("gradable"), "retina": "input" in measures}
    if measures.get("network") == network:
        found |= {f"input {name}": measures.get("input", {}).get(name) for name in LOOKS}
        found |= {question: probabilities.get(question) for question in PROBABILITIES}
        asked = next((question for question in STRICTEST if question in thresholds), None)
        if asked in probabilities:
            found["referred"] = probabilities[asked] >= thresholds[asked]
    for name, value in found.items():
        if value is not None:
            values[COLUMNS[name]] = value
    return values


def read_photos(register, after, since, network, thresholds):
    """Read the photographs of the register after an entry and since a day; list of Photo."""
    return [
        Photo(number, day, camera_of(facts), patient, values_of(facts, network, thresholds))
        for number, day, patient, facts in register.looks(after, since)
    ]
