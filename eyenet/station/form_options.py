"""The options of screen.py for the forms that clinics read."""

import importlib

from eyenet.forms.clinic import Clinic, read_clinic
from eyenet.run.errors import StageError, log
from eyenet.run.options import local_path
from eyenet.station.form_files import KINDS
from eyenet.station.forms import Forms

# By form, the module that it needs and the package that has it.
NEEDS = {
    "letter": ("jinja2", "Jinja2"),
    "fhir": ("fhir.resources.R4B.bundle", "fhir.resources"),
    "dicom": ("highdicom.sr", "highdicom"),
}


def add_options(group):
    """Add the options of the forms to a group of the parser of screen.py."""
    text = f"write each visit's result beside the register, as {', '.join(KINDS)}; default: all of them"
    group.add_argument("--forms", nargs="*", choices=[*KINDS], metavar="FORM", help=text)
    text = "with --forms: TOML file with name, address, phone, language and rules of the clinic (docs/station.md)"
    group.add_argument("--clinic", type=local_path, metavar="FILE", help=text)
    text = "with --forms: write nothing that identifies the patient, and no DICOM report"
    group.add_argument("--anonymous", action="store_true", help=text)


def start_forms(register, names, clinic, anonymous):
    """Begin to write forms; an `eyenet.station.forms.Forms`, without kinds if there are none.

    Parameters
    ----------
    register : Register
    names : list of str or None
        Those of --forms; None without it.
    clinic : Path or None
        The file of --clinic.
    anonymous : bool

    Raises
    ------
    StageError
        If the options do not fit together, a package is missing, or the folder cannot be written.
    """
    if names is None and (clinic or anonymous):
        raise StageError("--clinic and --anonymous need forms; give --forms too")
    kinds = choose_kinds(names, anonymous)
    require_packages(kinds)
    forms = Forms(register, kinds, read_clinic(clinic) if clinic else Clinic(), anonymous)
    forms.begin()
    if kinds:
        log(f"forms: {', '.join(kinds)} in {forms.folder}")
    return forms


def choose_kinds(given, anonymous):
    """Choose the forms of --forms, all of them where none is named; an anonymous DICOM report is refused."""
    if given is None:
        return ()
    if anonymous and "dicom" in given:
        raise StageError("a DICOM report refers to the source images, so it cannot be anonymous; leave out dicom")
    possible = [kind for kind in KINDS if not (anonymous and kind == "dicom")]
    return tuple(kind for kind in possible if kind in given) or tuple(possible)


def require_packages(kinds):
    """Import the packages of the forms, which takes some seconds that no patient should wait for.

    Raises
    ------
    StageError
        If a package is missing; the message says what to install.
    """
    missing = []
    for module, package in (NEEDS[kind] for kind in kinds if kind in NEEDS):
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(package)
    if missing:
        todo = "pip install -r requirements-station.txt, or name other forms"
        raise StageError(f"--forms needs {' and '.join(missing)}: {todo}")
