"""The forest plots of the report: a figure of each group with its interval, and of the whole set."""

from eyenet.report import charts
from eyenet.report.subgroup_tables import FIGURES, NAMES, is_shown
from eyenet.report.tables import UNITS
from eyenet.report.words import defined, format_of, main_unit
from eyenet.score.charts import BLUE, GREY, ORANGE

LONGEST = 24  # letters of a group's name
KEY = (
    "With 95 % intervals. Dotted: the whole set. Orange: a difference from the rest is shown. Grey: too small to tell."
)
COLOUR_OF_RESULT = {"too small to tell": GREY, "no difference shown": BLUE, "differs": ORANGE}
MARKS = {"patient": (-0.16, None), "eye": (0.16, "none")}  # shift of the row, and the colour inside the marker


def forest_charts(metrics, question):
    """Draw a forest plot for each figure of a question; a list of (title, subtitle, SVG)."""
    return [
        (
            f"{NAMES[figure][0].upper()}{NAMES[figure][1:]} of each group",
            KEY,
            _forest_chart(f"forest-{figure}-{question}", metrics, question, figure),
        )
        for figure in FIGURES
    ]


def _forest_chart(name, metrics, question, figure):
    lines = [line for column, groups in metrics["subgroups"]["columns"].items() for line in _lines(column, groups)]
    whole, noun = main_unit(metrics["questions"][question])

    def draw(axes):
        for unit, (shift, face) in MARKS.items():
            for kind, color in COLOUR_OF_RESULT.items():
                rows = [
                    (y + shift, found[figure])
                    for y, (_, part) in enumerate(lines)
                    if part and (found := part["questions"][question][unit]) and _kind(found[figure]) == kind
                ]
                if rows:
                    charts.error_bars(axes, *zip(*rows), across=True, color=color, markerfacecolor=face)
            if metrics["questions"][question][unit]:
                axes.plot([], [], "o", markersize=5.5, color=BLUE, markerfacecolor=face, label=UNITS[unit])
        if defined(whole[figure]["value"]):
            axes.axvline(whole[figure]["value"], color=GREY, linewidth=1.2, linestyle=":")
        axes.set_yticks(range(len(lines)), [_short(text) for text, _ in lines])
        for label, (_, part) in zip(axes.get_yticklabels(), lines):
            label.set_fontweight("normal" if part else "bold")
        axes.set(ylim=(len(lines) - 0.4, -0.6), xlabel=NAMES[figure])
        axes.set_xlim(right=1.02)
        axes.grid(axis="y", visible=False)

    said = ", ".join(_said(text, part["questions"][question], figure) for text, part in lines if part)
    return charts.draw_chart(name, f"{NAMES[figure]} of each group, per {noun}: {said}.", draw, 1.2 + 0.3 * len(lines))


def _lines(column, groups):
    """List the lines of a column: its name, without figures, and its groups."""
    return [(column, None), *groups.items()]


def _kind(figure):
    if figure["difference"] is None:
        return "too small to tell"
    return "differs" if is_shown(figure) else "no difference shown"


def _short(text):
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _said(text, units, figure):
    value = (units["patient"] or units["eye"])[figure]["value"]
    return f"{text} {format_of(figure)(value) if defined(value) else 'not defined'}"
