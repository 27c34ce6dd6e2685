"""Describe in one sentence what has changed in the photographs of a camera."""

from eyenet.run.files import plain
from eyenet.station.shift import OTHERS, VALIDATION
from eyenet.station.shift_data import STRICTEST as PROBABILITIES

SAID = 3  # changes in the sentence
# How a higher and a lower value of a measure look. Measures with the same words are reported once.
ARE = {
    "light": ("brighter", "darker"),
    "shade": ("more evenly lit", "less evenly lit"),
    "glare": ("more overexposed", "less overexposed"),
    "red_green": ("redder", "less red"),
    "green_blue": ("less blue", "bluer"),
    "clipped": ("poorer in detail", "richer in detail"),
    "contrast": ("richer in contrast", "poorer in contrast"),
    "vessels": ("sharper", "less sharp"),
    "coarse": ("sharper", "less sharp"),
    "dark_lines": ("sharper", "less sharp"),
    "lines": ("sharper", "less sharp"),
    "colour": ("more colourful", "less colourful"),
    "visible": ("less cut off", "more cut off"),
}
DIFFER = {"light": "brightness", "shade": "evenness of light", "glare": "overexposure", "contrast": "contrast"}
DIFFER |= {
    "red_green": "colour",
    "green_blue": "colour",
    "colour": "colour",
    "clipped": "detail",
    "visible": "how much is cut off",
}
SHARES = {
    "gradable": "can be graded",
    "retina": "are recognised as photographs of a retina",
    "referred": "are referred",
}
# If the kind of colours has changed, or no retina is recognised, all other measures differ too and are not reported.
EQUALIZED = ("in natural colours instead of equalised", "histogram-equalised instead of in natural colours")
COMPARED = {
    VALIDATION: ", compared with the validation photographs of the network",
    OTHERS: ", compared with those of the other cameras",
}
OTHER_PROBABILITIES = "called diseased with other probabilities"
PROBABILITY = ("called diseased with a higher probability", "called diseased with a lower probability")


def say_alarm(alarm):
    """Say an alarm in one sentence.

    Parameters
    ----------
    alarm : eyenet.station.shift.Alarm

    Returns
    -------
    str
    """
    looks, shares = _looks(alarm.found), _shares(alarm.found)
    if looks:
        told = f"photographs of {plain(alarm.camera)} {looks}" + (f", and {_join(shares)}" if shares else "")
    else:
        told = f"of the photographs of {plain(alarm.camera)} {_join(shares)}"
    return f"{_when(alarm)} {told}{COMPARED.get(alarm.against, '')}."


def _when(alarm):
    if alarm.week:
        return f"Since {alarm.since}, over all days though not on any single one,"
    days = (alarm.day - alarm.since).days
    if not days:
        return "Today"
    return f"Since {alarm.since:%A}" if days < 7 else f"Since {alarm.since}"


def _looks(found):
    """Describe the photographs by a verb phrase; empty if the shares say all."""
    if "retina" in found:
        return ""
    if "equalized" in found:
        return f"are {EQUALIZED[found['equalized'].direction > 0]}"
    are, differ = {}, {}
    for name, one in found.items():
        measure = name.partition(" ")[2]
        if measure in ARE and one.direction:
            are[ARE[measure][one.direction < 0]] = None
        elif measure in ARE:
            differ[DIFFER.get(measure, "sharpness")] = None
    asked = next((found[name] for name in PROBABILITIES if name in found), None)
    if asked and not are and not differ and "referred" not in found:
        are[PROBABILITY[asked.direction < 0] if asked.direction else OTHER_PROBABILITIES] = None
    if are:
        return f"are {_join([*are][:SAID])}"
    return f"differ in {_join([*differ][:SAID])}" if differ else ""


def _shares(found):
    """Say which shares changed: `2.1 times as many are referred`."""
    return [f"{_times(found[name])} {what}" for name, what in SHARES.items() if name in found]


def _times(one):
    if not one.here:
        return "none"
    if not one.others:
        return f"{one.here:.0%} instead of none"
    return f"{one.here / one.others:.1f} times as many"


def _join(parts):
    """Join phrases: `a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)
