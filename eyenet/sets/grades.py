"""Read a grade as people write it: a number, or words from a list. predict.py imports this, so no pandas."""

import re

NOT_GRADABLE = -1  # a grader could not grade the photograph; this is no grade
WORDS = {
    "no dr": 0,
    "no apparent dr": 0,
    "no retinopathy": 0,
    "no apparent retinopathy": 0,
    "normal": 0,
    "healthy": 0,
    "mild": 1,
    "moderate": 2,
    "severe": 3,
    "pdr": 4,
    "proliferative": 4,
    "ungradable": NOT_GRADABLE,
    "ungradeable": NOT_GRADABLE,
    "not gradable": NOT_GRADABLE,
    "not gradeable": NOT_GRADABLE,
}
SAME = (  # other ways to write a word of the list; "no dr" must stay
    (r"[\s_-]+", " "),
    (r"\bdiabetic retinopathy\b", "dr"),
    (r"^((?:[0-4] )?no)dr$", r"\1 dr"),
    (r"\bnon ?proliferative( dr)?\b", "npdr"),
    (r"\bproliferat(iv)?e( dr)?\b", "pdr"),
    (r"\b(mild|moderate|severe) (np)?dr$", r"\1"),
)
NUMBER = re.compile(r"(?:(?:grade|level|class) )?([0-4])(?:[.,]0*)?(?: (?P<words>\D+))?")


def read_grade(text):
    """Read one grade: `2`, `2.0`, `2,0`, `grade 2`, `2 moderate`, `Moderate_NPDR`, `proliferative DR`, `ungradable`.

    Parameters
    ----------
    text : str

    Returns
    -------
    int or None
        0 to 4, `NOT_GRADABLE`, or None if it is neither a number 0-4 nor one of the words, or both and they disagree.
    """
    words = text.strip().casefold()
    for pattern, same in SAME:
        words = re.sub(pattern, same, words)
    number = NUMBER.fullmatch(words)
    if number is None:
        return WORDS.get(words)
    grade = int(number[1])
    return grade if number["words"] is None or WORDS.get(number["words"]) == grade else None
