"""Read a visit from the register, with the pictures of its letter, and write its forms."""

import contextlib
import io
from pathlib import Path

from PIL import Image

from eyenet.forms.source import patient_of
from eyenet.forms.visit import Photograph, Visit, anonymise
from eyenet.photo.pages import split_page
from eyenet.photo.retina import crop_photograph
from eyenet.run.errors import PhotoError, StageError, log
from eyenet.run.files import TEMPORARY, plain, sha256, write_whole

KINDS = {"letter": "letter.html", "json": "answer.json", "fhir": "fhir.json", "dicom": "report.dcm"}
SOURCE = "source"  # key of a photograph's facts: values of its header
PICTURE_SIDE, QUALITY = 512, 88  # of the pictures in the letter: pixels, and JPEG quality
PICTURE = ".jpeg"


def read_visit(answer, photographs, key, told, pictures, earlier=None):
    """Compose a visit from the register.

    Parameters
    ----------
    answer : eyenet.station.reading.Answer
    photographs : list of eyenet.station.reading.Photograph
    key : str
        Random, of the visit.
    told : str or None
        The patient's ID.
    pictures : Path or None
        Folder that keeps the pictures of the photographs; None for a visit without pictures.
    earlier : dict, optional
        A decision to refer on an earlier answer of the visit.

    Returns
    -------
    eyenet.forms.visit.Visit
    """
    shown = [
        Photograph(one.eye, one.facts, one.name, pictures and _picture(one, pictures), one.facts.get(SOURCE) or {})
        for one in photographs
    ]
    decided = answer.decision
    return Visit(
        key=key,
        version=f"{answer.id}-{decided['id'] if decided else 0}",
        received=(photographs[0] if photographs else answer).recorded,
        answered=answer.recorded,
        answer=answer.answer,
        model=answer.model,
        photographs=shown,
        patient=patient_of(told, [one.source for one in shown]),
        decision=decided and {name: decided.get(name) for name in ("accepted", "refer", "recorded", "by", "why")},
        earlier=earlier,
    )


def _picture(one, folder):
    """Crop a photograph, or read the crop that is kept, since a photograph may leave the inbox.

    None for a photograph that is gone or was replaced, or that shows no retina.
    """
    kept = folder / f"{one.id}{PICTURE}"
    with contextlib.suppress(OSError):
        return kept.read_bytes()
    if not (one.name and one.facts.get("field") and one.facts.get("inbox")):
        return None
    path = Path(one.facts["inbox"]) / one.name
    try:
        crop, _ = crop_photograph(path, PICTURE_SIDE, one.facts["field"])
        if sha256(split_page(path)[0]) != one.sha256.partition("[")[0]:
            return None
    except (PhotoError, OSError):
        return None
    opened = io.BytesIO()
    Image.fromarray(crop).save(opened, "JPEG", quality=QUALITY)
    write_whole(kept, opened.getvalue())
    return opened.getvalue()


def write_forms(folder, kinds, visit, clinic, anonymous):
    """Write the forms of a visit, each whole or not at all; remove other forms and unfinished ones.

    Parameters
    ----------
    folder : Path
    kinds : collection of str
        Of KINDS.
    visit : eyenet.forms.visit.Visit
    clinic : eyenet.forms.clinic.Clinic
    anonymous : bool

    Raises
    ------
    StageError
        If a package is missing.
    OSError, MemoryError
        If a form cannot be written now.
    """
    visit = anonymise(visit) if anonymous else visit
    written = set()
    for kind in kinds:
        try:
            data = DRAW[kind](visit, clinic)
        except ImportError as error:
            todo = "pip install -r requirements-station.txt"
            raise StageError(f"the {kind} of the visit {visit.key} needs a package ({error}): {todo}") from error
        except (OSError, MemoryError):  # of the machine: tried again later
            raise
        except Exception as error:  # a library rejects a value; the other forms are written
            log(f"WARNING: no {kind} for the visit {visit.key}: {type(error).__name__}: {plain(error)[:300]}")
            continue
        if data is not None:
            write_whole(folder / KINDS[kind], data)
            written.add(KINDS[kind])
    for path in list(folder.iterdir()):
        unasked = path.name in KINDS.values() and path.name not in written
        picture = path.suffix == PICTURE and (anonymous or "letter" not in kinds)
        if unasked or picture or path.name.startswith(TEMPORARY):
            path.unlink(missing_ok=True)


# Each form imports its packages only when it is written.


def _draw_letter(visit, clinic):
    from eyenet.forms.letter import draw_letter

    return draw_letter(visit, clinic).encode()


def _draw_record(visit, _):
    from eyenet.forms.record import write_record

    return write_record(visit).encode()


def _draw_bundle(visit, _):
    from eyenet.forms.fhir import write_bundle

    return write_bundle(visit).encode()


def _draw_report(visit, _):
    from eyenet.forms.structured import can_report, write_report

    return write_report(visit) if can_report(visit) else None


DRAW = {"letter": _draw_letter, "json": _draw_record, "fhir": _draw_bundle, "dicom": _draw_report}
