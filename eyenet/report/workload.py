"""What a set means for a clinic: of 1,000 patients, how many are referred, missed and photographed again."""

from eyenet.report.tables import UNITS, Table, units_of
from eyenet.report.words import BOUND, DASH, SPACE, Cell, cell, cell_text, defined, is_bound, main_unit, percent
from eyenet.score.intervals import share_with_interval
from eyenet.score.net_benefit import THRESHOLDS

OF = 1000
TENTH = 0.1  # of the patients, those of whom the network is least certain
NOT_JUDGED = "it was not judged which photographs are poor"
ROWS = {
    "diseased": "with disease, as in this set",
    "referred": "referred",
    "false_positives": "of these without disease (false positives)",
    "again": "photographed again: poor, or an eye missing, and not referred",
    "again_diseased": "of these with disease",
    "missed": "disease missed",
}


def workload(truth, called, patients, poor=None, levels=None):
    """Compute the share of all rows that is referred, missed and photographed again.

    Parameters
    ----------
    truth, called : ndarray of bool, shape (n,)
    patients : sequence, shape (n,)
    poor : ndarray of bool, shape (n,), optional
        Whether a photograph is ungradable, or an eye of a patient has no gradable one. Such a row, if it is not
        referred, is photographed again and not missed. So where one eye of each patient was photographed, nobody is
        missed, and `again_diseased` tells how many would wait for the second photograph.
    levels : ndarray of int, shape (n,), optional
        Grades; without them, the missed rows are not counted by grade.

    Returns
    -------
    dict
        Figures by the keys of `ROWS`, those of `again` only if `poor` is known, and `missed_by_grade`, which maps a
        grade, as text, to a figure.
    """
    missed = truth & ~called if poor is None else truth & ~called & ~poor
    shares = {"diseased": truth, "referred": called, "false_positives": called & ~truth, "missed": missed}
    shares |= {} if poor is None else {"again": ~called & poor, "again_diseased": truth & ~called & poor}
    found = {name: share_with_interval(rows, patients) for name, rows in shares.items()}
    grades = [] if levels is None else sorted(set(levels[truth].tolist()))
    by_grade = {str(grade): share_with_interval(missed & (levels == grade), patients) for grade in grades}
    return found | {"missed_by_grade": by_grade}


def workload_table(asked):
    """Tabulate the workload of a question, per patient and per photograph, of 1,000 each."""
    units, rows = units_of(asked), []
    for key, name in ROWS.items():
        found = [asked[unit]["workload"].get(key) for unit in units]
        if any(found):
            rows.append((name, [_of_thousand(figure, NOT_JUDGED) for figure in found]))
    grades = [asked[unit]["workload"]["missed_by_grade"] for unit in units]
    for grade in sorted(set().union(*grades)):
        rows.append((f"missed of grade {grade}", [_of_thousand(found.get(grade)) for found in grades]))
    return Table("Of 1,000 like these, at the model's operating point", ["", *(UNITS[unit] for unit in units)], rows)


def workload_sentences(asked):
    """Say in words what the workload is, and at which thresholds the network has a net benefit."""
    unit, noun = main_unit(asked)
    found = unit["workload"]
    if not all(defined(found[name]["value"]) for name in ("referred", "false_positives", "missed")):
        return []
    number = {name: cell_text(_of_thousand(found[name])) for name in ROWS if name in found}
    again = f"; {number['again']} would be photographed again" if "again" in number else ""
    if "again_diseased" in number:  # older files do not tell
        again += f", {number['again_diseased']} of them with disease"
    grades = [f"{cell_text(_of_thousand(one))} of grade {grade}" for grade, one in found["missed_by_grade"].items()]
    missed = f": {', '.join(grades)}" if grades else ""
    said = (
        f"Of {OF:,} {noun}s like these, {number['referred']} would be referred, {number['false_positives']} of them "
        f"without disease{again}; {number['missed']} with disease would be missed{missed}."
    )
    better = better_than_both(unit)
    if better:
        low, high = (percent(threshold, 0) for threshold in better)
        worth = (
            f"At thresholds of its calibrated probability from {low} to {high}, not only at the operating point, its "
            "net benefit is above those of referring everybody and nobody, beyond chance."
        )
    else:
        low, high = percent(THRESHOLDS[0], 0), percent(THRESHOLDS[-1], 0)
        worth = (
            f"At no threshold from {low} to {high} is its net benefit shown to exceed referring everybody and nobody."
        )
    return [said, *gain_of_graders(unit, noun), worth]


def gain_of_graders(unit, noun):
    """Say what the network's figures are if graders look at the least certain tenth; list of one sentence or none."""
    steps = {step["referred"]: step for step in unit.get("referral", ())}
    if not {0.0, TENTH} <= steps.keys():
        return []
    before, after = steps[0.0], steps[TENTH]
    changes = [
        f"{name} {cell_text(cell(after[name]))} instead of {percent(before[name]['value'])}"
        for name in ("sensitivity", "specificity")
        if defined(before[name]["value"]) and defined(after[name]["value"])
    ]
    if not changes:
        return []
    whom = f"the least certain {percent(TENTH, 0)} of the {noun}s"
    return [f"If graders look at {whom}, the network's answers to the others have {', '.join(changes)}."]


def better_than_both(unit):
    """Find the longest range of thresholds where the intervals show a net benefit over both; None if there is none."""
    longest, run = [], []
    for step in unit["decision_curve"]:
        least, most = step["referred"]["low"], step["not_referred"]["high"]  # shares with disease
        is_better = defined(least) and defined(most) and most < step["threshold"] < least
        run = [*run, step["threshold"]] if is_better else []
        longest = max(longest, run, key=len)
    return (longest[0], longest[-1]) if longest else None


def _of_thousand(figure, why="none here"):
    """Format a share as a number out of 1,000, with its interval; `why` if it is not known."""
    if figure is None:
        return Cell(DASH, why=why)
    if not defined(figure["value"]):
        return Cell(DASH, why="none here")
    low, high = (round(OF * figure[end]) for end in ("low", "high"))
    mark = SPACE + BOUND if is_bound(figure) else ""
    return Cell(f"{round(OF * figure['value']):,}", f"{low:,} to {high:,}{mark}")
