"""The workload as one picture: what becomes of 1,000 patients, as a stacked bar."""

from eyenet.report import charts
from eyenet.report.words import defined
from eyenet.report.workload import OF
from eyenet.score.charts import BLUE, GREY, ORANGE

STYLES = {  # from left to right: colour and opacity
    "referred, with disease": (ORANGE, 1),
    "referred, without disease": (ORANGE, 0.4),
    "photographed again": (GREY, 0.55),
    "missed: disease, not referred": (charts.INK, 1),
    "without disease, not referred": (BLUE, 0.8),
}


def parts_of_workload(found):
    """Divide 1,000 rows into what becomes of them.

    Parameters
    ----------
    found : dict
        As from `eyenet.report.workload.workload`.

    Returns
    -------
    dict of str to int
        In the order of `STYLES`, and without `photographed again` if that is not known. The numbers are those of the
        workload table, and their sum is 1,000. Empty if there are no rows.
    """
    keys = [key for key in ("referred", "false_positives", "again", "missed") if key in found]
    if not all(defined(found[key]["value"]) for key in keys):
        return {}
    number = {key: round(OF * found[key]["value"]) for key in keys}
    counts = [number["referred"] - number["false_positives"], number["false_positives"]]
    counts += [number.get("again", 0), number["missed"]]
    parts = dict(zip(STYLES, [*counts, OF - sum(counts)]))
    return {name: count for name, count in parts.items() if name != "photographed again" or "again" in number}


def workload_chart(name, unit, noun):
    """Draw what becomes of 1,000 patients or photographs as a stacked bar; None if there are none."""
    parts = parts_of_workload(unit["workload"])
    if not parts:
        return None

    def draw(axes):
        left = 0
        for part, count in parts.items():
            color, alpha = STYLES[part]
            axes.barh(0, count, 0.8, left, color=color, alpha=alpha, linewidth=0, label=f"{count:,} {part}")
            left += count
        axes.set(xlim=(0, OF), ylim=(-0.6, 0.6), xlabel=f"of {OF:,} {noun}s like these")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
        axes.grid(visible=False)

    said = ", ".join(f"{count:,} {part}" for part, count in parts.items())
    return charts.draw_chart(name, f"Of {OF:,} {noun}s like these: {said}.", draw, height=2.8)
