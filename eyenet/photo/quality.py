"""The quality gate: is a photograph gradable, and if not, why?

A logistic regression over the measures of eyenet/photo/measures.py, fitted and evaluated by benchmarks/quality.py; the
weights are in eyenet/photo/quality.json. Each measure adds its weight times its deviation from a typical good
photograph to the log odds of rejection. The terms are the reasons, the largest first; those below 0.5 log odds are not
given, except the largest one.
"""

import functools
import json
import math
from pathlib import Path
from typing import NamedTuple

from eyenet.photo.measures import SIDE, measure

__all__ = ["REASONS", "SIDE", "SMALLEST", "Quality", "judge", "measure"]

WEIGHTS = Path(__file__).with_name("quality.json")
# Reasons shown to the photographer. Terms of measures with the same reason are added.
REASONS = {
    "light": "too dark",
    "glare": "overexposed",
    "clipped": "under- or overexposed",
    "visible": "retina cut off",
    "contrast": "low contrast",
    "vessels": "out of focus",
    "coarse": "out of focus",
    "lines": "out of focus",
    "dark_lines": "out of focus",
}
SMALLEST = 160  # px; smallest crop to judge: 112 of 120 verdicts agree with those at 256 px, 107 at 128 px
OTHER = "not a fundus photograph"
TOO_DARK = "too dark"
GREY = "not a colour photograph"
COLOUR = 0.01  # `colour` of a photograph; at least 0.021 in all 7,078 of EyePACS and DIARETDB1, 0 in grey ones
# Logarithm of the ratio of two channels beyond which there is light in one of them only, such as green in red-free
# photographs; EyePACS and DIARETDB1: red/green -0.21 to 1.18, green/blue at least -0.33.
ALONE = 1
CUT_OFF = 0.8  # visible share of the circle; above it, only the camera's format hides the rest (all but 3 of 6,980)
MOST_GLARE = 0.1  # share of saturated pixels; a photograph with more is poor however much more it is
# `clipped` of a natural photograph from which detail is lost, by strong compression or overexposure: 0.7 % of EyeQ's
# accepted photographs, 1.1 % of DIARETDB1 and 84 % of JPEGs of quality 10, on which a network's AUC falls by 0.173.
FLATTENED = 0.08
LOST = "detail lost"
LEAST_LOG_ODDS = 0.5  # log odds from which a reason is given: it multiplies the odds of rejection by 1.6


class Quality(NamedTuple):
    """Verdict on a photograph.

    `retina` says whether it is a colour photograph of a retina: of any other picture no network must be asked. `score`
    is the probability (0-1) that a grader rejects it; `reasons` are for the photographer, the strongest first, without
    those below `LEAST_LOG_ODDS`, and empty if it is gradable; `measures` are the result of `measure`.
    """

    gradable: bool
    retina: bool
    score: float
    reasons: tuple
    measures: dict


@functools.cache
def weights():
    """Read the fits of eyenet/photo/quality.json; dict of 'natural' and 'equalized'."""
    read = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return {kind: read[kind] for kind in ("natural", "equalized")}


def judge(crop, geometry):
    """Judge whether a photograph is gradable.

    Parameters
    ----------
    crop : ndarray of uint8, shape (size, size, 3)
        In the photograph's own colours, as returned by `eyenet.photo.retina.crop_photograph`; size at least `SMALLEST`.
        Histogram-equalised photographs are recognised by their flat histograms and judged with separate weights.
    geometry : dict
        As returned by `eyenet.photo.retina.crop_photograph`; only `visible`, 1 if missing, and `field` are used.

    Returns
    -------
    Quality
    """
    return judge_measures(measure(crop, geometry))


def judge_measures(measures, fits=None):
    """Judge the result of `measure`, by the weights of eyenet/photo/quality.json or others."""
    if "contrast" not in measures:
        return Quality(False, False, 1.0, (TOO_DARK,), measures)
    if is_one_channel(measures) or (measures["colour"] < COLOUR and not is_rough(measures)):
        return Quality(False, False, 1.0, (GREY,), measures)
    if is_other(measures):
        return Quality(False, False, 1.0, (OTHER,), measures)
    fit = (fits or weights())["equalized" if measures["equalized"] else "natural"]
    against = {m: w["weight"] * (counted(m, measures) - w["typical"]) for m, w in fit["measures"].items()}
    odds = fit["intercept"] + sum(against.values())
    score = 1 / (1 + math.exp(-max(-30, min(30, odds))))
    total, poor = _join(against), score >= fit["threshold"]
    if measures["clipped"] >= FLATTENED and not measures["equalized"]:
        score, poor = max(score, fit["threshold"]), True
        total[LOST] = math.log(fit["threshold"] / (1 - fit["threshold"])) - fit["intercept"]  # rejects a typical one
    reasons = _reasons(total) if poor else ()
    return Quality(not poor, True, round(score, 4), reasons, measures)


def counted(name, measures):
    """Return a measure as it is weighted: `visible` only where the camera's format does not explain it."""
    return min(measures[name], {"visible": CUT_OFF, "glare": MOST_GLARE}.get(name, math.inf))


def is_other(measures):
    """Tell whether the image is not a colour photograph of a retina, by limits that no EyePACS retina reaches.

    True for a rough picture, and in natural colours for blue or green light, and for neither colour nor dark lines.
    """
    if measures["equalized"] or is_rough(measures):
        return is_rough(measures)
    lines, red_green, green_blue = measures["dark_lines"], measures["red_green"], measures["green_blue"]
    grey = max(abs(red_green), abs(green_blue)) < 0.003 and lines < 0.03  # even a grey retina has dark vessels
    foreign = red_green < -0.1 or green_blue < -0.35  # at least -0.03 and -0.23 in 484 photographs
    return foreign or (grey and measures["glare"] < 0.5)


def is_rough(measures):
    """Tell whether an image has more fine structure than vessels cause: print, grass, the grain of a wall.

    In natural colours also contrast without dark lines (fur).
    """
    if measures["vessels"] > -0.1:  # at most -0.32 in 6,980 photographs
        return True
    contrast, lines = measures["contrast"], measures["dark_lines"]
    return not measures["equalized"] and contrast > (-0.75 if lines < 0 else -0.3)  # at most -0.60 in 484 photographs


def is_one_channel(measures):
    """Tell whether a photograph has light in one channel only: red-free, infrared, or one channel of a colour one."""
    dark = measures["light"] - measures["red_green"] < math.log(8)  # the median green is below 4 levels
    red = measures["red_green"] > ALONE and dark
    return red or measures["red_green"] < -ALONE or measures["green_blue"] < -ALONE


def _join(against):
    """Add the log odds of the measures with the same reason; dict of reason to log odds, none negative."""
    total = {}
    for name, odds in against.items():
        total[REASONS[name]] = total.get(REASONS[name], 0) + max(0, odds)
    return total


def _reasons(total):
    """List the reasons of at least `LEAST_LOG_ODDS`, the strongest first; if there are none, the strongest alone."""
    named = sorted(total, key=lambda reason: -total[reason])
    return tuple([reason for reason in named if total[reason] >= LEAST_LOG_ODDS] or named[:1])
