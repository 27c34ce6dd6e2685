"""The report's charts as inline SVG, whose text can be selected and whose colours follow the page's scheme."""

import io
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
from markupsafe import Markup

from eyenet.data.names import SPLIT_NAMES, SPLIT_WORDS
from eyenet.report.tables import UNITS
from eyenet.report.words import decimal, defined, main_unit, percent
from eyenet.report.workload import better_than_both
from eyenet.score.charts import BLUE, GREY, ORANGE, new_figure

INK, RULE = "#1d2430", "#d8d5ce"
# report.css defines these variables for light, dark and print.
THEME = {BLUE: "var(--blue)", ORANGE: "var(--orange)", GREY: "var(--grey)", INK: "var(--ink)", RULE: "var(--rule)"}
STYLE = {
    "svg.fonttype": "none",  # keep text as text: sharp, in the page's font, and searchable
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}
UNIT_STYLES = {"eye": (UNITS["eye"], GREY, "--"), "patient": (UNITS["patient"], BLUE, "-")}


def draw_chart(name, label, draw, height=3.4):
    """Draw a chart as SVG.

    Parameters
    ----------
    name : str
        Name of the chart, unique on the page: its ids start with it.
    label : str
        Text alternative for screen readers.
    draw : callable
        Function that draws into the given axes.
    height : float
        In inches; about the size at which a phone shows it.

    Returns
    -------
    Markup
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure, axes = new_figure(4.3, height, "")
        axes.tick_params(length=0)
        draw(axes)
        if labels := axes.get_legend_handles_labels()[1]:
            columns = 2 if max(map(len, labels)) <= 28 else 1  # the page's font may be wider than matplotlib's
            figure.legend(loc="outside upper left", ncols=columns, handlelength=1.6, columnspacing=1.2, borderpad=0)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _embed(buffer.getvalue(), name, label)


def _embed(svg, name, label):
    """Prepare an SVG for inlining in HTML: no namespaces, size or style sheet, and unique ids."""
    root = ElementTree.fromstring(svg)
    used = set(re.findall(rb'(?:url\(|href=")#([^")]+)', svg))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        kept = {}
        for key, value in element.attrib.items():
            key = key.partition("}")[2] or key
            if key == "id":
                if value.encode() not in used:
                    continue
                value = f"{name}-{value}"
            elif key == "href":
                value = f"#{name}-{value[1:]}"
            value = value.replace("url(#", f"url(#{name}-")
            for color, variable in THEME.items():
                value = value.replace(color, variable)
            kept[key] = value
        element.attrib.clear()
        element.attrib.update(kept)
    root.attrib = {"viewBox": root.get("viewBox"), "role": "img", "aria-label": label}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _shares(axes, x_label, y_label):
    """Set up axes that both range from 0 to 1."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x_label, ylabel=y_label)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))


def _number(value):
    return np.nan if value is None or value == "" else float(value)


def error_bars(axes, x, figures, across=False, **style):
    """Draw figures with their intervals, `across` from left to right; undefined ones are left out."""
    at = np.array([[_number(f and f[k]) for k in ("value", "low", "high")] for f in figures], float).reshape(-1, 3)
    value, low, high = at.T
    below, above = np.nan_to_num(np.maximum(value - low, 0)), np.nan_to_num(np.maximum(high - value, 0))
    places = {"x": value, "y": x, "xerr": [below, above]} if across else {"x": x, "y": value, "yerr": [below, above]}
    axes.errorbar(**places, fmt="o", markersize=5.5, elinewidth=1.4, **style)


def _styles(asked):
    """Return the units of which a question has figures, with their styles."""
    return {unit: style for unit, style in UNIT_STYLES.items() if asked[unit] is not None}


def roc_chart(name, asked):
    """Draw the ROC curves and mark the operating points of the model."""

    def draw(axes):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="chance")
        for unit, (words, color, line) in _styles(asked).items():
            curve = np.reshape(asked[unit]["curves"]["roc"], (-1, 2))
            axes.plot(*curve.T, color=color, linestyle=line, label=words)
        band = np.reshape(main_unit(asked)[0]["curves"]["roc_band"], (-1, 3))
        axes.fill_between(*band.T, color=BLUE, alpha=0.16, linewidth=0, label="95 % band" if len(band) else None)
        points, own = main_unit(asked)[0]["operating_points"], asked["operating_point"]
        others = [point for point in points if point != own]
        for point, figures in points.items():
            x, y = 1 - _number(figures["specificity"]["value"]), _number(figures["sensitivity"]["value"])
            style = {"facecolor": ORANGE if point == own else "none", "edgecolor": ORANGE, "zorder": 4}
            label = "the model's operating point" if point == own else "other points" if point == others[0] else None
            axes.scatter(x, y, 64 if point == own else 26, marker="D" if point == own else "o", label=label, **style)
        _shares(axes, "1 − specificity", "sensitivity")

    areas = _per_unit(asked, "auc")
    return draw_chart(name, f"ROC curves. ROC AUC: {areas}. Operating points are marked.", draw)


def _per_unit(asked, key):
    """Format a figure of each unit."""
    said = []
    for unit, (words, _, _) in reversed(_styles(asked).items()):
        value = asked[unit][key]["value"]
        said.append(f"{words} {decimal(value) if defined(value) else 'not defined'}")
    return ", ".join(said)


def precision_recall_chart(name, asked):
    """Draw precision against recall, with the prevalence, which is the precision of chance."""

    def draw(axes):
        for unit, (words, color, line) in _styles(asked).items():
            figures = asked[unit]
            curve = np.reshape(figures["curves"]["precision_recall"], (-1, 2))
            axes.plot(*curve.T, color=color, linestyle=line, label=words)
            if figures["count"]:
                share = figures["diseased"] / figures["count"]
                axes.axhline(share, color=color, linewidth=1, linestyle=":", label=f"prevalence {percent(share, 0)}")
        _shares(axes, "recall (sensitivity)", "precision")

    return draw_chart(
        name, f"Precision-recall curves. Average precision: {_per_unit(asked, 'average_precision')}.", draw
    )


def reliability_chart(name, unit):
    """Draw the observed frequency of disease against the predicted probability, with the count of each bin below."""
    bins = unit["calibration"]["bins"]

    def draw(axes):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="perfect")
        counts = np.array([b["count"] for b in bins], float)
        predicted = np.array([b["predicted"] for b in bins], float)
        middle = np.minimum(np.floor(predicted * 10), 9) / 10 + 0.05
        heights = 0.15 * counts / max(1, counts.max(initial=1))
        axes.bar(middle, heights, 0.092, -0.27, color=GREY, alpha=0.45, linewidth=0)
        for x, y, number in zip(middle, heights - 0.27, counts):
            axes.text(x, y + 0.012, f"{number:,.0f}", ha="center", va="bottom", fontsize=8)
        axes.axhline(0, color=GREY, linewidth=0.8)
        error_bars(axes, predicted, [b["observed"] for b in bins], color=BLUE, label="observed")
        _shares(axes, "predicted probability (grey bars: count)", "observed frequency")
        axes.set_ylim(-0.27, 1.02)

    after = unit["calibration"]["after"]["ece"]["value"]
    error = f" Expected calibration error {decimal(after)}." if defined(after) else ""
    return draw_chart(name, f"Reliability: observed frequency of disease by predicted probability.{error}", draw)


def by_grade_chart(name, asked, least):
    """Draw the fraction of each grade predicted as disease.

    Parameters
    ----------
    name : str
    asked : dict
        A question of metrics.json.
    least : int
        Lowest grade that counts as disease.
    """

    def draw(axes):
        for unit, shift, face in (("patient", -0.12, None), ("eye", 0.12, "none")):
            if asked[unit] is None:
                continue
            for diseased, color in ((False, BLUE), (True, ORANGE)):
                rows = [r for r in asked[unit]["by_grade"] if (r["grade"] >= least) == diseased]
                label = f"{UNIT_STYLES[unit][0]}, {'true positives' if diseased else 'false positives'}"
                x = [r["grade"] + shift for r in rows]
                error_bars(axes, x, [r["called"] for r in rows], color=color, markerfacecolor=face, label=label)
        axes.set(xlim=(-0.5, 4.5), ylim=(-0.02, 1.04), xlabel="grade", ylabel="positive predictions")
        axes.set_xticks(range(5))
        axes.grid(axis="x", visible=False)

    said = ", ".join(
        f"grade {r['grade']} {percent(r['called']['value'], 0)}"
        for r in main_unit(asked)[0]["by_grade"]
        if r["called"] and defined(r["called"]["value"])
    )
    return draw_chart(name, f"Positive predictions of {main_unit(asked)[1]}s by grade: {said or 'not defined'}.", draw)


def referral_chart(name, unit):
    """Draw the figures of the remainder when the least certain cases are graded by a person."""
    steps = unit["referral"]

    def draw(axes):
        x = [step["referred"] for step in steps]
        for key, color, shade in (("sensitivity", ORANGE, 0.16), ("specificity", BLUE, 0.16), ("accuracy", INK, 0.06)):
            value, low, high = ([_number(step[key][k]) for step in steps] for k in ("value", "low", "high"))
            axes.fill_between(x, low, high, color=color, alpha=shade, linewidth=0)
            axes.plot(x, value, color=color, marker=".", label=key)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        axes.set(xlabel="graded by a person, least certain first", ylabel="figures of the remainder")

    first, last = (steps[i]["accuracy"]["value"] if steps else None for i in (0, -1))
    said = f" Accuracy goes from {percent(first)} to {percent(last)}." if defined(first) and defined(last) else ""
    return draw_chart(name, f"Figures of the remainder by the fraction graded by a person.{said}", draw)


def decision_chart(name, unit, noun):
    """Draw the net benefit of referring by the network, everybody and nobody, against the clinic's threshold."""
    steps = unit["decision_curve"]

    def draw(axes):
        x = [step["threshold"] for step in steps]
        value, low, high = ([_number(step["network"][k]) for step in steps] for k in ("value", "low", "high"))
        axes.fill_between(x, low, high, color=BLUE, alpha=0.16, linewidth=0)
        axes.plot(x, value, color=BLUE, label="the network")
        everybody = [_number(step["everybody"]["value"]) for step in steps]
        axes.plot(x, everybody, color=ORANGE, linestyle="--", label="everybody")
        axes.axhline(0, color=GREY, linewidth=1.2, linestyle=":", label="nobody")
        most = max((v for v in (*high, *value) if np.isfinite(v)), default=0.1)
        axes.set(xlabel="probability from which the clinic wants a referral", ylabel="net benefit")
        axes.set_ylim(-0.25 * most - 1e-3, 1.1 * most + 1e-3)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")

    better = better_than_both(unit)
    said = f"above both from {percent(better[0], 0)} to {percent(better[1], 0)}" if better else "not above both"
    return draw_chart(name, f"Net benefit per {noun} of referring by the network: {said}.", draw)


def balance_chart(name, balance):
    """Draw the distribution of grades in each split."""

    def draw(axes):
        for y, counts in enumerate(balance.values()):
            shares = np.array(counts, float) / max(1, sum(counts))
            left = np.concatenate([[0], np.cumsum(shares)[:-1]])
            for grade, (x, share) in enumerate(zip(left, shares)):
                color, alpha = (BLUE, 1) if grade == 0 else (ORANGE, 0.25 + 0.25 * (grade - 1))
                label = f"grade {grade}" if y == 0 else None
                axes.barh(y, share, 0.6, x, color=color, alpha=alpha, linewidth=0, label=label)
        axes.set_yticks(range(len(balance)), [SPLIT_NAMES[split].removesuffix(" patients") for split in balance])
        axes.set(xlim=(0, 1), ylim=(len(balance) - 0.4, -0.6), xlabel="fraction of the photographs")
        axes.grid(axis="y", visible=False)

    said = "; ".join(f"{split} {', '.join(f'{n:,}' for n in counts)}" for split, counts in balance.items())
    return draw_chart(name, f"Photographs by grade 0 to 4 in each split: {said}.", draw)


def best_epoch(history):
    """Find the epoch that was kept, the first with the highest validation AUC; None if no epoch has one."""
    scored = [(_number(row.get("val_auc")), row["epoch"]) for row in history]
    scored = [pair for pair in scored if np.isfinite(pair[0])]
    return int(max(scored, key=lambda pair: pair[0])[1]) if scored else None


def training_chart(name, history, key, y_label):
    """Draw a metric of training and validation over the epochs.

    Parameters
    ----------
    name : str
    history : list of dict
        Rows of history.csv.
    key : str
        ``loss`` or ``auc``.
    y_label : str
    """
    best = best_epoch(history)

    def draw(axes):
        epochs = [row["epoch"] for row in history]
        for column, color, label in ((key, BLUE, SPLIT_WORDS["train"]), (f"val_{key}", ORANGE, SPLIT_WORDS["val"])):
            values = np.array([_number(row.get(column)) for row in history], float)
            if np.isfinite(values).any():
                axes.plot(epochs, values, color=color, marker=".", label=label)
        if best is not None:
            axes.axvline(best, color=INK, linewidth=1.2, linestyle=":", label=f"kept: epoch {best}")
        axes.set(xlabel="epoch", ylabel=y_label)
        axes.xaxis.get_major_locator().set_params(integer=True)

    kept = "" if best is None else f" Epoch {best} was kept."
    return draw_chart(name, f"{y_label} over {len(history)} epochs of training.{kept}", draw, height=3.2)
