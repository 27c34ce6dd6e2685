"""Patient and eye in the path of a photograph, and where it does not tell clearly which part is the patient."""

from eyenet.data.identity import MOST, read_name
from eyenet.data.names import canonical

FEW = 5  # folders; fewer can be parts of a set, such as train, val and test
ONE_EYE = MOST["photographs of one eye in a visit"]


def read_path(path, graded=()):
    """Read patient and eye like `eyenet.data.identity.read_name`, from `16/left`; a folder of a grade tells neither."""
    folders, _, stem = path.rpartition("/")
    return read_name(stem, "" if folders in graded else folders.rpartition("/")[2])


def unclear_patients(paths, graded=()):
    """Find the photographs whose path only seems to tell the patient.

    * `16/OD/1` and `16/visit 1/left`: the folder that tells the patient or the eye lies in at least `FEW` folders, of
      which each may be a patient.
    * `16/central_left`: the text before the eye occurs in more than `ONE_EYE` folders and differs from their names.

    Parameters
    ----------
    paths : sequence of str
        Of the photographs of one set, without ending and with `/` between folders.
    graded : collection of str
        Folders that tell a grade, and so no patient.

    Returns
    -------
    set of int
        Indices into `paths`.
    """
    if not any("/" in path for path in paths):
        return set()
    by_folder, by_name = {}, {}
    for i, path in enumerate(paths):
        folders, _, stem = path.rpartition("/")
        patient, eye = read_path(path, graded)
        if patient is None:
            continue
        if read_name(stem)[0] is None:
            if (outer := folders.rpartition("/")[0]) not in graded:
                by_folder[i] = outer
        elif patient not in folders.split("/"):
            by_name.setdefault((canonical(patient), eye), {})[i] = folders
    unclear = set(by_folder) if len(set(by_folder.values())) >= FEW else set()
    for places in by_name.values():
        if len(set(places.values())) > ONE_EYE:
            unclear |= set(places)
    return unclear
