"""Find out what the columns of a label table mean: by their names, or as the option --columns says."""

import argparse
import re

from eyenet.run.errors import StageError

REVERSED = ("ungradable", "ungradeable", "not gradable", "is ungradable")  # columns whose 1 means ungradable
# Names in lower case, with spaces for - and _. What the option names counts first, then a column named exactly as a
# key of this table, then a column with one of these names.
ROLES = {
    "image": (
        *("image id", "image name", "image file", "image filename", "img", "img id", "img name", "imageid", "id code"),
        *("filename", "file name", "file", "name", "photo", "photograph"),
    ),
    "level": (
        *("grade", "dr grade", "dr level", "dr severity", "retinopathy grade", "retinopathy level", "icdr", "dr icdr"),
        *("final icdr", "icdr grade", "icdr level", "adjudicated dr grade", "diagnosis", "dr", "label", "class"),
    ),
    "referable": ("rdr", "referable dr", "referrable", "referable retinopathy"),
    "any": ("any dr", "has dr", "dr present", "diabetic retinopathy"),
    "patient": ("patient id", "patientid", "subject", "subject id", "participant", "participant id"),
    "eye": ("laterality", "side", "eye side", "exam eye"),
    "Usage": ("usage",),
    "gradable": ("gradeable", "adjudicated gradable", "is gradable", *REVERSED),
    "left": ("left eye dr level", "left eye dr grade", "left dr grade"),
    "right": ("right eye dr level", "right eye dr grade", "right dr grade"),
}
PATHS = ("image path", "img path", "file path", "filepath", "path")  # name photographs if no other column does
EXAMINATIONS = ("examid", "exam id", "examination", "examination id", "visit", "visit id", "study id")
VAGUE = ("dr", "label", "class", "diagnosis")  # a grade 0-4, or whether there is disease
MESSIDOR = "ophthalmologic department"  # a column of the first Messidor, whose grades 0-3 count lesions
UNNAMED = ("left", "right", "any")  # keys that are no name of a column
SAID = {"level": "grade", "Usage": "usage"}  # roles that the option and the messages call otherwise
MANY = 8  # columns that a message lists
CODE = "ungradable"  # key of the option for the grades that say "ungradable"; no column
KEYS = [*(SAID.get(role, role) for role in ROLES), CODE]
COLUMNS_HELP = (
    "columns of --labels that are not found by their names, such as image=photo,grade=stage; keys: "
    f"{', '.join(KEYS)} (the grade that means it); `eye=` ignores that column"
)


class Columns(dict):
    """Role to column, as --columns named them; `str` gives the text of the option again."""

    def __str__(self):
        return ",".join(f"{SAID.get(role, role)}={column}" for role, column in self.items())


def parse_columns(text):
    """Parse the option --columns, such as ``image=id_code,grade=diagnosis``."""
    roles, found = {SAID.get(role, role): role for role in ROLES} | {CODE: CODE}, Columns()
    for part in text.split(","):
        key, equals, column = (word.strip() for word in part.partition("="))
        if not equals or key not in roles:
            raise argparse.ArgumentTypeError(f"{part!r} is not KEY=COLUMN with one of the keys {', '.join(KEYS)}")
        if roles[key] in found:
            raise argparse.ArgumentTypeError(f"{key} is given twice")
        found[roles[key]] = column
    return found


def plain(column):
    """Return a column's name as it is compared: in lower case, with one space for each of `_`, `-` and spaces."""
    return re.sub(r"[\s_-]+", " ", column).strip().casefold()


def named_like(name, columns):
    """List the columns of a name: the one that is written so, else all with the same name as `plain` returns it."""
    return [c for c in columns if c == name] or [c for c in columns if plain(c) == plain(name)]


def find_columns(columns, named, path):
    """Find the column of each role.

    Parameters
    ----------
    columns : list of str
    named : dict of str to str
        As from `parse_columns`; an empty name means no column.
    path : path-like
        The table, for messages.

    Returns
    -------
    dict of str to str
        Role to column; `image`, and `level`, `left` and `right`, `any` or `referable` are among them.

    Raises
    ------
    StageError
        If a column that was named is missing, several columns may have one role, or a needed one has none.
    """
    found = {}
    for role, names in ROLES.items():
        if role in named:
            found[role] = named[role] and _named(columns, role, named[role], path)
        elif role in columns and role not in UNNAMED:
            found[role] = role
        else:
            found[role] = _only(columns, role, names, path)
    found["image"] = found["image"] or _only(columns, "image", PATHS, path)
    _require_image(columns, found, path)
    return _with_one_label(columns, {role: column for role, column in found.items() if column}, named, path)


def _named(columns, role, name, path):
    """Find the column that the option names."""
    fitting = named_like(name, columns)
    if len(fitting) != 1:
        what = "no column" if not fitting else "several columns like"
        raise StageError(
            f"{path} has {what} {name!r} (--columns {SAID.get(role, role)}); its columns are {', '.join(columns)}"
        )
    return fitting[0]


def _only(columns, role, names, path):
    """Find the one column with the role's own name in another case, or else one of its other names."""
    own = [c for c in columns if plain(c) == role and role not in UNNAMED]
    fitting = own or [c for c in columns if plain(c) in names]
    if len(fitting) > 1:
        key = SAID.get(role, role)
        raise StageError(
            f"{path} has several columns that may be the {key}: {', '.join(fitting)}; choose one with "
            f"--columns {key}=COLUMN"
        )
    return fitting[0] if fitting else None


def _require_image(columns, found, path):
    if found["image"]:
        return
    exams = [column for column in columns if plain(column) in EXAMINATIONS]
    if exams:
        raise StageError(
            f"{path} lists examinations (column {exams[0]}), and a grade for each photograph is needed; use a table "
            "that names photographs, or name the column that does with --columns image=COLUMN"
        )
    raise StageError(
        f"{path} has no column image; its columns are {', '.join(columns)}; name the one with the names of the "
        "photographs with --columns image=COLUMN"
    )


def _with_one_label(columns, found, named, path):
    """Keep one label: the grade, else the grades of both eyes, else the one binary label there is."""
    if "level" not in found and ("left" in found) != ("right" in found):
        raise StageError(f"{path} has a grade for one eye only (column {found.get('left', found.get('right'))})")
    binary = [role for role in ("referable", "any") if role in found]
    chosen = [role for role in binary if role in named]  # said to be the label
    if chosen and "level" not in named:
        kept = chosen
    elif "level" in found:
        kept = ["level"]
    elif "left" in found:
        kept = ["left", "right"]
    else:
        kept = binary
    if not kept:
        raise StageError(
            f"{path} has no column level; its columns are {', '.join(columns)}; name the one with the grades with "
            "--columns grade=COLUMN"
        )
    if len(kept) > 1 and "left" not in kept:
        both = " and ".join(found[role] for role in kept)
        raise StageError(f"{path} has two labels, {both}; choose one with --columns {kept[0]}={found[kept[0]]}")
    if kept == ["level"] and "level" not in named and MESSIDOR in map(plain, columns):
        raise StageError(
            f"{path} is a table of Messidor-1, whose grades 0-3 count lesions and are not the grades 0-4; use "
            "Messidor-2 with its adjudicated grades, or convert the grades and name them with --columns grade=COLUMN"
        )
    return {role: column for role, column in found.items() if role not in {"level", "left", "right", *binary} - {*kept}}


def describe(found, form, others=()):
    """Say in one line which column is what, how the table is written, and which columns were not used.

    Empty for a CSV table in UTF-8 that has the standard columns and no others.
    """
    told = [f"{SAID.get(role, role)} from {column!r}" for role, column in found.items()]
    told *= any(column != role for role, column in found.items())
    unused = ", ".join([*map(repr, others[:MANY]), *["..."] * (len(others) > MANY)])
    return "; ".join([*([", ".join(told)] if told else []), *form, *([f"not used: {unused}"] if unused else [])])
