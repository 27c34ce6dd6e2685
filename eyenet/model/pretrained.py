"""Find the network that ships with EyeNet, and choose the model that answers where none is named."""

from pathlib import Path

from eyenet.model.settings import setting
from eyenet.run.errors import log
from eyenet.run.files import LATEST, follow, read_json

NAME = "eyenet-lite"
IN_USE = Path("models") / LATEST
PACKAGE = Path(__file__).resolve().parents[1]
DEFAULT = f"default: {IN_USE} if it was trained on real photographs, otherwise the network that ships"


def is_shipped(model):
    """Return whether a model folder is that of the network that ships, where no script writes."""
    return Path(model).resolve() == folder().resolve()


def folder():
    """Return the model folder of the network that ships: that of the checkout, or of the installed package; Path."""
    places = (PACKAGE.parent / "pretrained", PACKAGE / "pretrained")
    return next((place / NAME for place in places if (place / NAME / "config.json").is_file()), places[-1] / NAME)


def results_of(model):
    """Return the folder for what is made of a model: its own; models/eyenet-lite for the network that ships."""
    return IN_USE.parent / NAME if is_shipped(model) else Path(model)


def default_model():
    """Choose the model that answers where none is named; Path of its folder.

    It is the model in use if that was trained on real photographs, otherwise the network that ships: a network of
    drawings knows nothing about patients, so it answers only where it is named.
    """
    used, shipped = follow(IN_USE), folder()
    if not used.exists():
        return shipped
    config = read_json(used / "config.json") or {}
    if not setting((config.get("settings") or {}).get("images"), "synthetic"):
        return used  # also if it is damaged: opening it says why
    log(f"note: {used} was trained on synthetic photographs, so {shipped.name} answers; to use it, give --model {used}")
    return shipped
