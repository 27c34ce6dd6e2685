"""The clinic named in the letter, and its rule of when to screen again: a TOML file that the clinic writes."""

import tomllib
from importlib.resources import files
from typing import NamedTuple

from eyenet.run.errors import StageError

LENGTHS = {"name": 80, "address": 120, "phone": 40, "clear": 100, "mild": 100}  # so that the letter is one page


class Clinic(NamedTuple):
    """The settings of a clinic; an empty string where none was entered.

    `clear` and `mild` say when to screen again after "no referral suggested" and after retinopathy that is not
    referable.
    """

    name: str = ""
    address: str = ""
    phone: str = ""
    clear: str = ""
    mild: str = ""
    language: str = "en"


def languages():
    """List the languages that the letter has."""
    return sorted(
        path.name.partition(".")[0] for path in files("eyenet.letter").iterdir() if path.name.endswith(".json")
    )


def read_clinic(path):
    """Read the settings of a clinic.

    Raises
    ------
    StageError
        If the file cannot be read, or has a setting that is not known, is no text or is too long.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StageError(f"--clinic {path} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # also of the encoding
        raise StageError(f"--clinic {path} is no TOML file: {error}") from error
    for name, value in told.items():
        if name not in Clinic._fields:
            raise StageError(f"--clinic {path}: {name} is no setting; there are {', '.join(Clinic._fields)}")
        if not isinstance(value, str) or len(value) > LENGTHS.get(name, len(value)):
            raise StageError(f"--clinic {path}: {name} is a text of at most {LENGTHS.get(name, 9)} characters")
    clinic = Clinic(**{name: value.strip() for name, value in told.items()})
    if clinic.language not in languages():
        raise StageError(f"--clinic {path}: language is one of {', '.join(languages())}, not {clinic.language}")
    return clinic
