"""TensorBoard: the curves of training and validation, charts of each epoch, and a comparison of runs.

TensorBoard shows a chart for each tag, sorted by name, with a curve for each folder. So training and validation have
one tag and two folders, logs/<run>/train and validation, and the first group begins with an A. The charts and
HParams are in logs/<run>/summary: HParams treats a folder as a run and every scalar in and below it as a column, and
the curves would add a dozen columns.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont
from sklearn.metrics import roc_curve
from tensorboard.plugins.hparams import api_pb2, summary_v2
from tensorboard.plugins.hparams import summary as hparams_summary
from tensorboard.plugins.pr_curve import summary as pr_summary

from eyenet.model.evidence import heat_maps
from eyenet.model.overlay import overlay
from eyenet.run.errors import log
from eyenet.score.charts import BLUE, GREY, confusion_chart, new_figure, to_pixels

WATCHED = 4  # photographs of each class on the sheet of heat maps
IN_BATCH = 32  # photographs on the sheet of a training batch
COMPARED = (
    "network",
    "task",
    "batch",
    "learning_rate",
    "seed",
)  # options by which HParams compares runs: it shows five
FIRST = "AUC and loss"  # the group of charts on which TensorBoard opens
GROUPS = {"auc": FIRST, "loss": FIRST} | dict.fromkeys(("learning_rate", "images_per_second"), "speed")
KEPT = "kept epoch"  # figures of the network that is kept: the columns of HParams


def build_boards(validation, checkpoint, layers, logs, options, distribution):
    """Build the callbacks that write TensorBoard's files; none in any process but the first.

    Parameters
    ----------
    validation : eyenet.training.validation.Validation
    checkpoint : eyenet.training.checkpoint.Checkpoint
        After `restore`.
    layers : list of keras.layers.Layer
        Turn what the training batches hold into augmented photographs.
    logs : Path
        logs/<run>.
    options : dict
        The options of the training.
    distribution : eyenet.training.distribution.Distribution
    """
    if distribution.process:
        return []
    if not checkpoint.state["epoch"]:  # a new training: remove what an earlier run of this name left
        for part in ("train", "validation"):
            shutil.rmtree(logs / part, ignore_errors=True)
    logs.mkdir(parents=True, exist_ok=True)
    with distribution.alone():
        see = keras.Sequential(layers)
    card = options_card(options, validation.network)
    hparams = {name: options[name] for name in COMPARED}
    python = shlex.quote(sys.executable)
    log(f"watch: {python} -m tensorboard.main --logdir {shlex.quote(str(logs.parent))} --samples_per_plugin images=0")
    return [Dashboard(validation, checkpoint, see, logs, card, hparams, distribution), Curves(logs, distribution)]


class Board(keras.callbacks.Callback):
    """Write an epoch when the next one begins, or training ends.

    By then all other callbacks have seen the end of the epoch, and `logs` has what they added. Boards stand before
    Checkpoint, which saves the epoch at the same time: what a kill prevents is then written again.
    """

    ended = None  # epoch and logs that are to be written

    def on_epoch_end(self, epoch, logs=None):
        self.ended = epoch, logs

    def on_epoch_begin(self, epoch, logs=None):
        self.write_ended(last=False)

    def on_train_end(self, logs=None):
        self.write_ended(last=True)

    def write_ended(self, last):
        """Write the epoch that has ended, if there is one."""
        if self.ended:
            with self.distribution.alone():
                self.write(*self.ended, last)
            self.ended = None


class Curves(Board):
    """Write the metrics of each epoch, of training and validation; epochs count from 1.

    Keras's own TensorBoard counts from 0, names the charts so that accuracy comes first, and works at each step, for
    which JAX and PyTorch would wait for the device.

    Parameters
    ----------
    folder : path-like
        logs/<run>.
    distribution : eyenet.training.distribution.Distribution
    """

    def __init__(self, folder, distribution):
        super().__init__()
        self.folder, self.distribution = Path(folder), distribution

    def on_train_begin(self, logs=None):
        parts = ("train", "validation")
        self.writers = {part: tf.summary.create_file_writer(str(self.folder / part)) for part in parts}

    def write(self, epoch, logs, last):
        for key, value in logs.items():
            name, part = key.removeprefix("val_"), "validation" if key.startswith("val_") else "train"
            with self.writers[part].as_default(epoch + 1):
                group = GROUPS.get(name, FIRST if name.startswith("auc") else "more")
                tf.summary.scalar(f"{group}/{name.replace('_', ' ')}", value)
        for writer in self.writers.values():
            writer.close() if last else writer.flush()


def options_card(options, network):
    """Format the options as a Markdown table, which TensorBoard shows."""
    rows = {key.replace("_", "-"): value for key, value in options.items()}
    rows |= {"parameters": f"{network.count_params():,}", "backend": os.environ["KERAS_BACKEND"]}
    return "\n".join(["| option | value |", "|---|---|", *(f"| {key} | `{value}` |" for key, value in rows.items())])


class Dashboard(Board):
    """Write to TensorBoard what Keras's own callback does not.

    Once: the network's graph, a training batch as the network sees it, the table of the options, and the options by
    which HParams compares runs. After each epoch, on validation: precision-recall curve, ROC curve, confusion matrix,
    and heat maps of the same few photographs. At the end: the figures of the kept epoch, the columns of HParams.

    A training that continues after a stop writes to the same folder, so it stays one row of HParams.

    Parameters
    ----------
    validation : eyenet.training.validation.Validation
    checkpoint : eyenet.training.checkpoint.Checkpoint
    see : keras.Model
        Turns what the training batches hold into augmented photographs.
    folder : path-like
        logs/<run>.
    card : str
        The options, in Markdown.
    hparams : dict
        Options by which runs are compared.
    distribution : eyenet.training.distribution.Distribution
    """

    def __init__(self, validation, checkpoint, see, folder, card, hparams, distribution):
        super().__init__()
        self.validation, self.checkpoint, self.see, self.distribution = validation, checkpoint, see, distribution
        self.folder, self.card = Path(folder) / "summary", card
        self.hparams = {name: plain_value(value) for name, value in hparams.items()}
        self.first = next(iter(validation.first.values()))  # first class that counts as disease in the first question
        batches = validation.batches
        self.watched = choose_watched(validation.labels >= self.first)
        self.photographs = np.take(batches.images, batches.rows[self.watched], axis=0)

    def on_train_begin(self, logs=None):
        if self.checkpoint.state["epoch"] == 0:
            shutil.rmtree(self.folder, ignore_errors=True)  # left by an earlier run of this name
        begun = any(self.folder.glob("events.out.tfevents.*"))
        self.writer = tf.summary.create_file_writer(str(self.folder))
        if not begun:
            with self.distribution.alone(), self.writer.as_default(1):
                # Without a unique group, runs with the same options would share a row.
                start = summary_v2.hparams_pb(self.hparams, trial_id="")
                tf.summary.experimental.write_raw_pb(start.SerializeToString(), step=0)
                tf.summary.text("options", self.card, step=0)
                self.write_once()
            self.writer.flush()

    def write(self, epoch, logs, last):
        with self.writer.as_default(epoch + 1):
            if len(self.validation.truth):
                self.write_validation(epoch)
            if last:
                self.write_figures()
                end = hparams_summary.session_end_pb(api_pb2.STATUS_SUCCESS)
                tf.summary.experimental.write_raw_pb(end.SerializeToString())
        self.writer.close() if last else self.writer.flush()

    def write_once(self):
        """Write the graph (only TensorFlow has one) and the sheet of a training batch."""
        network = self.validation.network
        if keras.backend.backend() == "tensorflow":
            traced = tf.function(lambda photograph: network(photograph, training=False))
            shape = tf.TensorSpec(network.input_shape, tf.uint8)
            tf.summary.graph(traced.get_concrete_function(shape).graph)
        batches = self.checkpoint.batches
        batches.set_epoch(self.checkpoint.state["epoch"])  # Checkpoint shuffles them later, when the epoch begins
        images, labels = batches[0]
        seen = keras.ops.convert_to_numpy(self.see(images[:IN_BATCH], training=True))
        sheet = contact_sheet(np.asarray(seen), labels[:IN_BATCH] >= self.first)
        write_image("training batch, as the network sees it", sheet)

    def write_figures(self):
        """Write the validation figures of the network that is kept: once, so that they make no curve."""
        best, history = self.checkpoint.state["best_epoch"], self.checkpoint.state["history"]
        tf.summary.scalar(f"{KEPT}/epoch", best)
        for name in dict.fromkeys(name for row in history for name in row if name.startswith("val_")):
            # An undefined figure, such as precision where nothing is called disease, must not show an earlier epoch's.
            shown = name.removeprefix("val_").replace("_", " ")
            tf.summary.scalar(f"{KEPT}/validation {shown}", history[best - 1].get(name, np.nan))

    def write_validation(self, epoch):
        """Write the curves, the confusion matrix and the heat maps of an epoch."""
        truth, probability = self.validation.truth, self.validation.probability.clip(0, 1)  # sums may be 1 + 1e-7
        title = f"validation, epoch {epoch + 1}"
        chart = confusion_chart(self.validation.figures["confusion"], title, self.validation.names)
        write_image("confusion matrix, validation", to_pixels(chart))
        if truth.any() and not truth.all():  # else neither curve is defined
            curve = pr_summary.pb("precision-recall, validation", truth, probability)
            tf.summary.experimental.write_raw_pb(curve.SerializeToString())
            write_image(
                "ROC curve, validation", to_pixels(roc_chart(truth, probability, self.validation.figures["auc"], title))
            )
        heats = heat_maps(self.validation.network, self.photographs, self.first)
        sheet = heat_sheet(self.photographs, heats, truth[self.watched], probability[self.watched])
        write_image("heat maps, validation", sheet)


def plain_value(value):
    """Convert an option's value to one that HParams can store: a boolean, a number or a string."""
    return value if isinstance(value, bool | int | float | str) else str(value)


def choose_watched(diseased, each=WATCHED):
    """Choose photographs to watch, some without and some with disease, spread over the table.

    Neighbours in the table are often the two eyes of a patient.

    Parameters
    ----------
    diseased : ndarray of bool, shape (n,)
    each : int
        Maximum number of each.

    Returns
    -------
    ndarray of int
        Positions in `diseased`: those without disease first.
    """
    classes = [np.flatnonzero(~diseased), np.flatnonzero(diseased)]
    return np.concatenate([c[np.linspace(0, len(c) - 1, min(each, len(c))).astype(int)] for c in classes])


def write_image(tag, image):
    """Write a uint8 image (h, w, 3) to the writer in use."""
    tf.summary.image(tag, image[None])


def contact_sheet(images, diseased, columns=8):
    """Lay images (n, size, size, 3) out in rows, each with a border: orange with disease, blue without."""
    size = images.shape[1] + 8
    sheet = np.zeros((-(-len(images) // columns) * size, columns * size, 3), np.uint8)
    for i, image in enumerate(images):
        y, x = divmod(i, columns)
        cell = sheet[y * size : (y + 1) * size, x * size : (x + 1) * size]
        cell[:] = (217, 130, 43) if diseased[i] else (59, 110, 165)
        cell[4:-4, 4:-4] = image.clip(0, 255)
    return sheet


def heat_sheet(photographs, heats, diseased, probability):
    """Lay photographs out, each beside its heat map and with its probability of disease in the corner.

    Parameters
    ----------
    photographs : ndarray of uint8, shape (n, size, size, 3)
    heats : ndarray of float, shape (n, size, size)
    diseased : ndarray of bool, shape (n,)
        Gives the border: orange with disease, blue without.
    probability : ndarray of float, shape (n,)

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        Two photographs a row.
    """
    pairs = [pair for image, heat in zip(photographs, heats) for pair in (image, overlay(image, heat))]
    sheet = Image.fromarray(contact_sheet(np.stack(pairs), np.repeat(diseased, 2), columns=4))
    cell = photographs.shape[1] + 8
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(max(9, cell // 9))
    for i, value in enumerate(probability):
        y, x = divmod(2 * i, 4)
        draw.text((x * cell + 8, y * cell + 6), f"{value:.2f}", "white", font, stroke_width=1, stroke_fill="black")
    return np.asarray(sheet)


def roc_chart(truth, probability, auc, title):
    """Draw the ROC curve; both classes must be there.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(4, 3.6, title)
    false_positive, true_positive, _ = roc_curve(truth, probability)
    axes.plot(false_positive, true_positive, color=BLUE, label=f"AUC {auc:.3f}")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="chance")
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity")
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="lower right")
    return figure
