"""Charts for the documentation, the report and TensorBoard, in one style."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eyenet.data.names import SPLIT_WORDS
from eyenet.data.tables import count_labels
from eyenet.run.errors import plural
from eyenet.run.files import whole_file

BLUE, ORANGE, GREY = "#3b6ea5", "#d9822b", "#9aa3ad"


def new_figure(width, height, *titles):
    """Make a figure (inches) with axes side by side, one for each title; it needs no display and no pyplot state."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(1, len(titles), squeeze=False)[0]
    for axes, title in zip(all_axes, titles):
        axes.set_title(title, loc="left", fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
    return figure, *all_axes


def to_pixels(figure):
    """Render a figure as an array of uint8, shape (h, w, 3), with enough pixels for a screen of high resolution."""
    figure.set_dpi(240)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def save(figure, path):
    """Save a figure as PNG, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the software version in the metadata, two runs write the same bytes.
    with whole_file(path, alone=True) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def draw_class_balance(table, labels, folder):
    """Draw the two charts of class balance: photographs by grade, and DR against no DR before and after copying.

    Parameters
    ----------
    table : DataFrame
        Photographs kept, with a column `level`, and `question` if labels are binary.
    labels : DataFrame
        The photographs before any was dropped.
    folder : path-like
        Where class_balance_grades.png and class_balance_copies.png are written.
    """
    before = count_labels(labels)
    kept, healthy = [count_labels(table).get(name, 0) for name in before], (table["level"] == 0).sum()
    graded = any(name[0].isdigit() for name in before)
    figure, axes = new_figure(7, 4, f"{plural(sum(kept), 'photograph')} by {'grade' if graded else 'label'}")
    names = [name.replace(" ", "\n", 1) for name in before]
    before = list(before.values())
    axes.bar(names, before, color=GREY, label=f"dropped ({sum(before) - sum(kept):,})")
    bars = axes.bar(names, kept, color=[BLUE] + [ORANGE] * (4 if graded else 1) + [BLUE, ORANGE] * graded)
    axes.bar_label(bars, [f"{n:,}\n{n / sum(kept):.0%}" for n in kept], padding=2)
    axes.set_ylabel("photographs")
    axes.margins(y=0.18)
    if sum(before) > sum(kept):
        axes.legend(frameon=False)
    save(figure, Path(folder) / "class_balance_grades.png")

    without, with_dr = int(healthy), len(table) - int(healthy)
    no_dr, any_dr = ("no DR", "any DR") if graded or len(names) > 2 else (name.replace("\n", " ") for name in names)
    figure, axes = new_figure(7, 4, f"{no_dr[0].upper()}{no_dr[1:]} against {any_dr}, before and after copying")
    for shift, color, label, counts in (
        (-0.2, BLUE, f"{no_dr}: original and mirror image", (without, 2 * without)),
        (0.2, ORANGE, f"{any_dr}: original, mirror image, four rotations", (with_dr, 6 * with_dr)),
    ):
        bars = axes.bar([0 + shift, 1 + shift], counts, 0.38, color=color, label=label)
        axes.bar_label(bars, [f"{n:,}" for n in counts], padding=2)
    axes.set_xticks([0, 1], ["photographs", "images after copying"])
    axes.set_ylabel("images")
    axes.margins(y=0.3)
    axes.legend(frameon=False, loc="upper left")
    save(figure, Path(folder) / "class_balance_copies.png")


def confusion_chart(confusion, title, names):
    """Draw a 2 x 2 confusion matrix: true classes in rows, predictions in columns, shaded by fraction of the row.

    Parameters
    ----------
    confusion : list of two lists of two ints
        As returned by `eyenet.score.metrics.score`.
    title : str
    names : sequence of str
        Names of the class without and the class with disease.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = np.asarray(confusion)
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    figure, axes = new_figure(4, 3.6, title)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.3)
    for (y, x), count in np.ndenumerate(counts):
        axes.text(x, y, f"{count:,}\n{share[y, x]:.0%}", ha="center", va="center", fontsize=13)
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("graded")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def draw_training_curves(history, best_epoch, path):
    """Draw loss and AUC over the epochs.

    Parameters
    ----------
    history : list of dict
        One per epoch: epoch, loss, auc, and with validation val_loss and val_auc.
    best_epoch : int
        Marked by a vertical line.
    path : path-like
        PNG to write.
    """
    epochs = [row["epoch"] for row in history]
    figure, *both = new_figure(9, 3.6, "Loss", "ROC AUC")
    for axes, keys in zip(both, (("loss", "val_loss"), ("auc", "val_auc"))):
        for key, color, label in zip(keys, (BLUE, ORANGE), (SPLIT_WORDS["train"], SPLIT_WORDS["val"])):
            axes.plot(epochs, [row.get(key, np.nan) for row in history], color=color, marker=".", label=label)
        axes.axvline(best_epoch, color=GREY, linewidth=1, linestyle=":", label="kept")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False)
    save(figure, path)
