"""Validation after each epoch of a training, on the original photographs of the validation patients."""

import keras
import numpy as np

from eyenet.data.tasks import TASKS, disease_probability, first_disease
from eyenet.model.batches import predict
from eyenet.run.errors import StageError, log
from eyenet.score.metrics import score

ONE_CLASS = (
    "note: every validation photograph is called '{called}'. This is usual in the first epochs; if the validation AUC "
    "stays near 0.5, the network learns nothing: train longer, lower --learning-rate, or add photographs"
)


def of_disease(metric, **options):
    """Create a Keras metric of the probability of disease, one minus that of the first class."""

    class OfDisease(metric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            disease = keras.ops.cast(keras.ops.reshape(y_true, (-1, 1)) > 0, "float32")
            return super().update_state(disease, 1 - y_pred[:, :1])

    return OfDisease(**options)


def disease_metrics():
    """Create the metrics of training: accuracy, AUC, precision and recall of disease."""
    return [
        of_disease(keras.metrics.BinaryAccuracy, name="accuracy"),
        of_disease(keras.metrics.AUC, name="auc"),
        of_disease(keras.metrics.Precision, name="precision"),
        of_disease(keras.metrics.Recall, name="recall"),
    ]


class Validation(keras.callbacks.Callback):
    """Predict the validation photographs after each epoch and add their metrics to the logs, as `val_<name>`.

    Parameters
    ----------
    network : keras.Model
        The trained network without augmentation.
    task : str
    batches : eyenet.model.batches.Batches
        Validation photographs and labels; may be empty, then nothing is added.
    loss : callable
    distribution : eyenet.training.distribution.Distribution
        Of several processes the first one validates.

    Attributes
    ----------
    first : dict
        First class that counts as disease, by question of the task.
    truth, probability : ndarray, shape (n,)
        Labels and predictions for the first question, after the last epoch.
    figures : dict
        Their metrics, from `eyenet.score.metrics.score`.
    names : list of str
        Names of the two classes of the first question.
    """

    def __init__(self, network, task, batches, loss, distribution):
        super().__init__()
        self.network, self.batches, self.loss, self.distribution = network, batches, loss, distribution
        self.labels = batches.labels[batches.rows]
        self.first = {question: first_disease(task, question) for question in TASKS[task].questions}
        self.names = TASKS[task].classes if len(self.first) == 1 else TASKS["any"].classes
        self.truth, self.probability, self.figures = self.labels > 0, np.zeros(0), None
        self.noted = False  # that it calls all photographs alike: said once, not after each epoch

    def on_epoch_end(self, epoch, logs):
        if self.distribution.process:
            return
        with self.distribution.alone():
            self.distribution.collect()
            probabilities = predict(self.network, self.batches)
            if not (np.isfinite(logs["loss"]) and np.isfinite(probabilities).all()):
                raise StageError(
                    f"the loss or the predictions are not finite numbers in epoch {epoch + 1}: train under another "
                    "--run with a lower --learning-rate, or with --precision float32"
                )
            if len(self.labels):
                logs |= self.score(probabilities)
                if not self.noted and (called := self.probability >= 0.5).all() == called.any():
                    self.noted = True
                    log(ONE_CLASS.format(called="diseased" if called[0] else "healthy"))

    def score(self, probabilities):
        """Score the validation photographs; return the metrics that are defined, named as Keras does.

        `val_auc`, which decides which epoch is best, is the mean over the questions of the task.
        """
        figures = {"val_loss": float(keras.ops.mean(self.loss(self.labels, probabilities)))}
        aucs = []
        for question, first in reversed(self.first.items()):  # the first question last: its figures are kept
            self.truth, self.probability = self.labels >= first, disease_probability(probabilities, first)
            self.figures = score(self.truth, self.probability)
            aucs.append(self.figures["auc"])
            if len(self.first) > 1:
                figures[f"val_auc_{question}"] = self.figures["auc"]
        figures |= {f"val_{name}": self.figures[name] for name in ("accuracy", "precision", "recall")}
        defined = [auc for auc in aucs if auc is not None]
        figures["val_auc"] = float(np.mean(defined)) if defined else None
        return {name: value for name, value in figures.items() if value is not None}
