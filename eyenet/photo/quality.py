"""The quality gate: can this photograph be graded, and if not, why not?

A logistic regression over the few measures of eyenet/photo/measures.py; its weights are in eyenet/quality.json, and
benchmarks/quality.py fits and scores it. Each measure adds its weight times its distance from a typical good
photograph to the log odds of being rejected, so the sum says which of them was to blame.
"""

import functools
import json
import math
from pathlib import Path
from typing import NamedTuple

from eyenet.photo.measures import SIDE, measure

__all__ = ["REASONS", "SIDE", "SMALLEST", "Quality", "judge", "measure"]

WEIGHTS = Path(__file__).with_name("quality.json")
# What a nurse is told. Measures with the same words are added up.
REASONS = {
    "light": "too dark",
    "glare": "overexposed",
    "clipped": "under- or overexposed",
    "shade": "uneven light",
    "visible": "retina cut off",
    "contrast": "low contrast",
    "vessels": "out of focus",
    "dark_lines": "out of focus",
}
SMALLEST = 160  # pixels of a crop that can be judged: 112 of 120 verdicts are those at 256 px; at 128 px 107
OTHER = "not a fundus photograph"
TOO_DARK = "too dark"
CUT_OFF = 0.8  # share of the circle below which it is more than the camera's format: of EyePACS's 6,980, 3 show less
TO_BLAME = 0.2  # share of all that speaks against a photograph from which something is named


class Quality(NamedTuple):
    """What the gate says of a photograph.

    `score` is the probability (0-1) that a grader rejects it; `reasons` are words for a nurse, the weightiest first,
    and none if it is gradable; `measures` are those of `measure`.
    """

    gradable: bool
    score: float
    reasons: tuple
    measures: dict


@functools.cache
def weights():
    """Read eyenet/quality.json."""
    return json.loads(WEIGHTS.read_text(encoding="utf-8"))


def judge(crop, geometry):
    """Judge whether a photograph can be graded.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
        In the photograph's own colours, as `eyenet.photo.retina.crop_retina` gives it; size at least `SMALLEST`. A
        photograph that somebody has equalised is known by its flat histograms, and judged by weights of its own.
    geometry : dict
        As `eyenet.photo.retina.photograph_to_input` gives it; of it `visible` counts, and may be missing.

    Returns
    -------
    Quality
    """
    return judge_measures(measure(crop, geometry))


def judge_measures(measures, fits=None):
    """Judge what `measure` found, by the weights of eyenet/quality.json or others: the part that looks at no pixels."""
    if "contrast" not in measures:
        return Quality(False, 1.0, (TOO_DARK,), measures)
    if is_other(measures):
        return Quality(False, 1.0, (OTHER,), measures)
    fit = (fits or weights())["equalized" if measures["equalized"] else "natural"]
    against = {m: w["weight"] * (measures[m] - w["typical"]) for m, w in fit["measures"].items()}
    odds = fit["intercept"] + sum(against.values())
    score = 1 / (1 + math.exp(-max(-30, min(30, odds))))
    gradable = score < fit["threshold"]
    return Quality(gradable, round(score, 4), () if gradable else _blame(against, measures["visible"]), measures)


def is_other(measures):
    """Tell whether the picture is no colour photograph of a retina, by limits that no retina of EyePACS reaches.

    More fine structure than vessels make, as print, grass and the grain of an empty wall have; and where the colours
    are the camera's own, contrast without dark lines, as fur has, blue or green light, or no colour and no dark lines.
    """
    if measures["vessels"] > -0.1:  # 6,980 photographs: -0.32 at most
        return True
    if measures["equalized"]:
        return False
    contrast, lines = measures["contrast"], measures["dark_lines"]
    red_green, green_blue = measures["red_green"], measures["green_blue"]
    rough = contrast > (-0.75 if lines < 0 else -0.3)  # 484 photographs: -0.60 at most
    grey = max(abs(red_green), abs(green_blue)) < 0.003 and lines < 0.03  # a retina in one colour has dark vessels
    foreign = red_green < -0.1 or green_blue < -0.35  # 484 photographs: -0.03 and -0.23 at least
    return rough or foreign or (grey and measures["glare"] < 0.5)


def _blame(against, visible):
    """Name what speaks against a photograph, the weightiest first; `against` maps measures to log odds."""
    total = {}
    for name, odds in against.items():
        total[REASONS[name]] = total.get(REASONS[name], 0) + max(0, odds)
    if visible > CUT_OFF and sum(total.values()) > total[REASONS["visible"]]:
        del total[REASONS["visible"]]
    named = sorted(total, key=lambda reason: -total[reason])
    most = [reason for reason in named if total[reason] >= max(1e-9, TO_BLAME * sum(total.values()))]
    return tuple(most or named[:1])
