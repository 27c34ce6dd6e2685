"""Show the groups of photographs: tables and sentences of the report, and lines on the terminal."""

from eyenet.report.subgroups import BY_GATE, FIGURES, differences
from eyenet.report.tables import UNITS, Table, count, figure_cell
from eyenet.report.words import DASH, SPACE, Cell, cell, decimal, format_of, is_own_grade, percent, plural, why_no_kappa
from eyenet.score.metrics import METRIC_NAMES

SHOWN = 0.05  # corrected p value below which a difference is shown
SIGN = "\N{MINUS SIGN}"
LEAST_P = 0.001  # smaller p values are shown as below this one
NAMES = {figure: METRIC_NAMES[figure][1] for figure in FIGURES} | {"ungradable": "ungradable share"}
NEEDED = {"sensitivity": ("with_disease",), "specificity": ("without",), "auc": ("with_disease", "without")}


def is_shown(figure):
    """Tell whether a figure of a group differs from that of the rest after the correction."""
    return bool(figure["difference"]) and figure["difference"]["p_corrected"] < SHOWN


def unit_of(part, question):
    """Return the unit whose figures count most: patients, or photographs if patients are unknown."""
    return "patient" if part["questions"][question]["patient"] else "eye"


def group_tables(metrics, question, unit):
    """Tabulate the groups of each column for one unit, `patient` or `eye`; list of Table."""
    noun, tables = {"patient": "patients", "eye": "photographs"}[unit], []
    for column, groups in metrics["subgroups"]["columns"].items():
        if unit_of(next(iter(groups.values())), question) == "eye" and unit == "patient":
            continue
        rows, kappa = [], all("kappa" in part for part in groups.values())
        agreement = "kappa of the shown grade" if kappa and is_own_grade(metrics["grade"]) else "kappa"
        for name, part in groups.items():
            found = part["questions"][question][unit]
            cells = [count(found["count"]), count(found["diseased"])]
            for figure in FIGURES:
                cells += [figure_cell(found, figure), _difference_cell(found[figure], figure)]
            cells += [cell(part["kappa"], decimal, why_no_kappa(metrics["grade"]))] if kappa else []
            rows.append((name, cells))
        headings = [heading for figure in FIGURES for heading in (NAMES[figure], "less the rest, p")]
        headings = [column, noun, "with disease", *headings] + [f"{agreement}, per photograph"] * kappa
        tables.append(Table(f"By {column}, {UNITS[unit]}", headings, rows))
    return tables


def ungradable_table(metrics):
    """Tabulate the ungradable share of each group; None if that is not known."""
    rows, units = [], []
    for column, groups in metrics["subgroups"]["columns"].items():
        for name, part in groups.items():
            if part["ungradable"]:
                units = [unit for unit in UNITS if part["ungradable"][unit]]
                cells = [count(part["photographs"])]
                for unit in units:
                    figure = part["ungradable"][unit]
                    cells += [cell(figure), _difference_cell(figure, "ungradable")]
                rows.append((_group(column, name), cells))
    headings = [heading for unit in units for heading in (UNITS[unit], "less the rest, p")]
    return Table("Ungradable", ["group", "photographs", *headings], rows) if rows else None


def _points(value, figure):
    """Format a difference: of shares in percentage points, of AUCs as a decimal."""
    text = decimal(abs(value)) if figure == "auc" else f"{100 * abs(value):.1f}"
    return text if not float(text) else f"{'+' if value > 0 else SIGN}{text}"


def _p_text(p):
    return f"p < {LEAST_P}" if p < LEAST_P else f"p {p:.3f}" if p < 0.1 else f"p {p:.2f}"


def _difference_cell(found, figure):
    one = found["difference"]
    if one is None:
        return Cell(DASH, why="too few patients")
    interval = f"{_points(one['low'], figure)} to {_points(one['high'], figure)}"
    could = f"could show {_points(one['detectable'], figure).removeprefix('+')}"
    return Cell(f"{_points(one['value'], figure)}, {_p_text(one['p_corrected'])}", interval, could)


def _group(column, name):
    """Name a group in a sentence; those that the quality gate makes are called by their own name alone."""
    return name if column in BY_GATE else f"{column} {name}"


def _few(found, figure, least):
    """Say which patients of a group are too few to tell; empty if they are not."""
    words = {"with_disease": "with disease", "without": "without"}
    few = [key for key in NEEDED.get(figure, ()) if found["patients"][key] < least]
    return " and ".join(f"{plural(found['patients'][key], 'patient')} {words[key]}" for key in few)


def shown_differences(metrics, question):
    """Say which differences are shown, in a sentence each; `question` None for the ungradable share.

    With two groups in a column only the lower one is reported, since the other mirrors it.
    """
    said = []
    for column, groups in metrics["subgroups"]["columns"].items():
        for name, part in groups.items():
            for asked, unit, figure, found in differences(part):
                one = found["difference"]
                mirrored = len(groups) == 2 and one and (one["value"] > 0) == (figure != "ungradable")
                if asked == question and is_shown(found) and not mirrored:
                    said.append(_sentence(_group(column, name), unit, figure, found))
    return said


def _sentence(group, unit, figure, found):
    one = found["difference"]
    ends = sorted((abs(one["low"]), abs(one["high"])))
    show = decimal if figure == "auc" else lambda share: f"{100 * share:.1f}"
    interval, points = " to ".join(map(show, ends)), "" if figure == "auc" else f"{SPACE}points"
    way = "below" if one["value"] < 0 else "above"
    told = (
        f"{group}: {NAMES[figure]} {UNITS[unit]} {format_of(figure)(found['value'])}, {show(abs(one['value']))}{points}"
    )
    return f"{told} {way} the rest (interval {interval}; corrected {_p_text(one['p_corrected'])})."


def too_small(metrics, question):
    """Say which groups have too few patients to be compared, a sentence; empty if there are none."""
    least, said = metrics["subgroups"]["least_patients"], []
    for column, groups in metrics["subgroups"]["columns"].items():
        for name, part in groups.items():
            found = part["questions"][question][unit_of(part, question)]
            missing = [NAMES[figure] for figure in FIGURES if found[figure]["difference"] is None]
            if missing:
                few = " and ".join(dict.fromkeys(filter(None, (_few(found, f, least) for f in FIGURES[:2]))))
                said.append(f"{_group(column, name)} ({', '.join(missing)}: {few or 'the rest has too few'})")
    return f"Too small to tell, with fewer than {least} patients: {'; '.join(said)}." if said else ""


def group_sentences(metrics, question):
    """Say what the comparison of the groups shows for a question, and what it cannot show."""
    said, power = shown_differences(metrics, question), percent(metrics["subgroups"]["power"], 0)
    if metrics["subgroups"]["comparisons"] and not said:
        said.append(
            "No difference between groups is shown. That does not prove that there is none: the report says for each "
            f"comparison which difference such a set would show with a probability of {power}, before the correction."
        )
    return said + list(filter(None, [too_small(metrics, question)]))


def all_sentences(metrics):
    """Say what the comparison of the groups shows for all questions, for the terminal."""
    said = []
    for question, asked in metrics["questions"].items():
        said += [f"{asked['disease']}: {one}" for one in group_sentences(metrics, question)]
    total = metrics["subgroups"]["comparisons"]
    return said + shown_differences(metrics, None) + [f"p values are corrected for {total:,} comparisons (Holm)"]


def worse_groups(metrics, question):
    """Name the groups whose figures are shown to be worse than those of the rest, for the cautions; list of str."""
    worse = {}
    for column, groups in (metrics.get("subgroups") or {"columns": {}})["columns"].items():
        for name, part in groups.items():
            for asked, _, figure, found in differences(part):
                if asked == question and is_shown(found) and found["difference"]["value"] < 0:
                    worse.setdefault(_group(column, name), {})[NAMES[figure]] = None
    told = "; ".join(f"{group} ({', '.join(figures)})" for group, figures in worse.items())
    return [f"Worse than in the rest of the set: {told}. The report's section on groups has the differences."] * bool(
        told
    )


def group_rows(metrics, question, show):
    """List rows of text for the terminal: the figures of each group, by patient or, if unknown, by photograph.

    Yields a list of rows for each column; `show` formats a figure.
    """
    for column, groups in metrics["subgroups"]["columns"].items():
        unit = unit_of(next(iter(groups.values())), question)
        disease = metrics["questions"][question]["disease"]
        headings = {"patient": "patients", "eye": "photographs"}[unit], "diseased"
        rows = [[f"{disease} by {column}", *headings, *(NAMES[figure] for figure in FIGURES)]]
        for name, part in groups.items():
            found = part["questions"][question][unit]
            cells = [f"{found['count']:,}", f"{found['diseased']:,}", *(show(found[figure]) for figure in FIGURES)]
            rows.append([f"  {name}", *cells])
        yield rows
