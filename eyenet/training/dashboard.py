"""What TensorBoard shows of a training besides Keras's own curves: how it goes on, and how it compares with others.

All of it goes into one folder, logs/<run>/summary: HParams takes a folder for a run and every figure in and below it
for a column, and those that Keras writes beside it, of the last epoch and of training, would be two dozen columns more.
"""

import shutil
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
from eyenet.score.charts import BLUE, GREY, confusion_chart, new_figure, to_pixels

WATCHED = 4  # photographs of either class on the sheet of heat maps
IN_BATCH = 32  # photographs on the sheet of a training batch


class Dashboard(keras.callbacks.Callback):
    """Write to TensorBoard what Keras's own callback does not.

    Once: the network's graph, a training batch as the network sees it, the card of the options, and the options by
    which HParams compares runs. Each epoch, on validation: precision-recall curve, ROC curve, confusion matrix, heat
    maps of the same few photographs, and the figures of the best epoch so far, which are HParams's columns.

    A training that goes on after a stop goes on in the same folder, and so in the same row of HParams.

    Parameters
    ----------
    keeper : eyenet.training.keeper.Keeper
        Called before this one; gives the network, the batches and each epoch's validation.
    see : keras.Model
        Turns what the training's batches hold into augmented photographs.
    folder : path-like
        logs/<run>.
    first : int
        First class that counts as disease in the question that `keeper` scores.
    card : str
        The options, in Markdown.
    hparams : dict
        Name of each option that runs are compared by, and its value.
    """

    def __init__(self, keeper, see, folder, first, card, hparams):
        super().__init__()
        self.keeper, self.see, self.folder, self.first = keeper, see, Path(folder) / "summary", first
        self.card, self.hparams = card, {name: plain_value(value) for name, value in hparams.items()}
        val = keeper.val
        self.watched = choose_watched(val.labels[val.rows] >= first)
        self.photographs = np.take(val.images, val.rows[self.watched], axis=0)
        self.begun = False

    def on_train_begin(self, logs=None):
        if self.keeper.state["epoch"] == 0:
            shutil.rmtree(self.folder, ignore_errors=True)  # of a run of this name whose model was deleted
        self.begun = any(self.folder.glob("events.out.tfevents.*"))
        self.writer = tf.summary.create_file_writer(str(self.folder))
        if not self.begun:
            with self.writer.as_default():
                # Without a name of its own a run would share a row with all that have the same options.
                start = summary_v2.hparams_pb(self.hparams, trial_id="")
                tf.summary.experimental.write_raw_pb(start.SerializeToString(), step=0)
                tf.summary.text("options", self.card, step=0)
            self.writer.flush()

    def on_epoch_end(self, epoch, logs=None):
        with self.writer.as_default(epoch):
            if not self.begun:
                self.write_once()
                self.begun = True
            self.write_figures()
            if len(self.keeper.truth):
                self.write_validation(epoch)
            # Now and not in on_train_end: a training that is killed after its last epoch does not come back here.
            if self.model.stop_training or epoch + 1 == self.params["epochs"]:
                end = hparams_summary.session_end_pb(api_pb2.STATUS_SUCCESS)
                tf.summary.experimental.write_raw_pb(end.SerializeToString())
        self.writer.flush()

    def on_train_end(self, logs=None):
        self.writer.close()

    def write_once(self):
        """Write the graph (only TensorFlow has one) and the sheet of a training batch."""
        network = self.keeper.network
        if keras.backend.backend() == "tensorflow":
            traced = tf.function(lambda photograph: network(photograph, training=False))
            shape = tf.TensorSpec(network.input_shape, tf.uint8)
            tf.summary.graph(traced.get_concrete_function(shape).graph)
        images, labels = self.keeper.train[0]
        seen = keras.ops.convert_to_numpy(self.see(images[:IN_BATCH], training=True))
        sheet = contact_sheet(np.asarray(seen), labels[:IN_BATCH] >= self.first)
        write_image("training batch, as the network sees it", sheet)

    def write_figures(self):
        """Write the validation figures of the best epoch so far: at the end they are those of the network kept."""
        best, history = self.keeper.state["best_epoch"], self.keeper.state["history"]
        tf.summary.scalar("best/epoch", best)
        for name in dict.fromkeys(name for row in history for name in row if name.startswith("val_")):
            # A figure that this epoch lacks, as precision where nothing is called disease, must not show another's.
            tf.summary.scalar(f"best/validation_{name.removeprefix('val_')}", history[best - 1].get(name, np.nan))

    def write_validation(self, epoch):
        """Write the curves, the confusion matrix and the heat maps of an epoch."""
        truth, probability = self.keeper.truth, self.keeper.probability.clip(0, 1)  # sums may be 1 + 1e-7
        title = f"validation, epoch {epoch + 1}"
        chart = confusion_chart(self.keeper.score["confusion"], title, self.keeper.names)
        write_image("confusion matrix, validation", to_pixels(chart))
        if truth.any() and not truth.all():  # else neither curve is defined
            curve = pr_summary.pb("precision-recall, validation", truth, probability)
            tf.summary.experimental.write_raw_pb(curve.SerializeToString())
            write_image(
                "ROC curve, validation", to_pixels(roc_chart(truth, probability, self.keeper.score["auc"], title))
            )
        heats = heat_maps(self.keeper.network, self.photographs, self.first)
        sheet = heat_sheet(self.photographs, heats, truth[self.watched], probability[self.watched])
        write_image("heat maps, validation", sheet)


def plain_value(value):
    """Turn an option's value into one that HParams can hold: a truth value, a number or a text."""
    return value if isinstance(value, bool | int | float | str) else str(value)


def choose_watched(diseased, each=WATCHED):
    """Choose photographs to watch, some without and some with disease, as far apart in the table as can be.

    Neighbours in the table are often the two eyes of a patient.

    Parameters
    ----------
    diseased : ndarray of bool, shape (n,)
    each : int
        At most so many of either.

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
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(max(9, cell // 16))
    for i, value in enumerate(probability):
        y, x = divmod(2 * i, 4)
        draw.text((x * cell + 8, y * cell + 6), f"{value:.2f}", "white", font)
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
