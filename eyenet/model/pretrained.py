"""Find the network that ships with EyeNet; pretrained/build.py makes it."""

from pathlib import Path

NAME = "eyenet-lite"
PACKAGE = Path(__file__).resolve().parents[1]


def folder():
    """Return the model folder of the network that ships: that of the checkout, or of the installed package; Path."""
    places = (PACKAGE.parent / "pretrained", PACKAGE / "pretrained")
    return next((place / NAME for place in places if (place / NAME / "config.json").is_file()), places[-1] / NAME)
