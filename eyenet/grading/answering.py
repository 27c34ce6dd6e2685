"""The row of a photograph and that of a patient, as predict.py and the station give them."""

from eyenet.grading.rows import LEFT_OUT, UNREAD
from eyenet.run.errors import NotAPhotograph, PhotoError
from eyenet.run.files import plain


def look_at(screener, path, doubts=(), target=None):
    """Grade a photograph; one that cannot be read, or is none, gets a row that says why.

    Parameters
    ----------
    screener : eyenet.model.screener.Screener
    path : Path
    doubts : iterable of str
        Why patient or eye are doubtful.
    target : Path, optional
        Where to write the heat map.

    Returns
    -------
    dict
    """
    try:
        row = screener.look(path, target)
    except NotAPhotograph as error:
        return {"result": LEFT_OUT, "reasons": [str(error)]}
    except PhotoError as error:
        return {"result": UNREAD, "reasons": [str(error)]}
    row["reasons"] += doubts
    return row


def patient_row(screener, patient, eyes):
    """Join the photographs of a visit to the row of a patient; `eyes` as in `eyenet.model.answers.join_eyes`."""
    eye = "both" if len(eyes) == 2 else next(iter(eyes))
    return {"unit": "patient", "photograph": None, "patient": plain(patient), "eye": eye} | screener.join(eyes)
