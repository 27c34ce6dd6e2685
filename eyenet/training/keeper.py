"""What happens after each epoch of a training: validation, the best network, checkpoints."""

import contextlib
import shutil
import sys
import time
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from eyenet.data.tasks import TASKS, disease_probability, first_disease
from eyenet.model.batches import predict
from eyenet.model.folder import load_whole
from eyenet.run.errors import StageError, log
from eyenet.run.files import read_json, write_json, write_rows
from eyenet.score.metrics import score
from eyenet.training.losses import ordinal_crossentropy

ONE_CLASS = (
    "note: every validation photograph is called '{called}'. In the first epochs this is usual; if it stays so, the "
    "network has found nothing yet: train longer, lower --learning-rate, or give it more photographs"
)


class Keeper(keras.callbacks.Callback):
    """Validate after each epoch, keep the best network, stop when it gets no better, remember all of it.

    Keras's EarlyStopping and BackupAndRestore would do, but neither stores the best value and the patience
    that is used up, so a training that was killed would not end as an undisturbed one.

    Parameters
    ----------
    network : keras.Model
        What is kept: the part of the trained model without augmentation.
    spread : eyenet.training.distribution.Distribution
        Of several processes the first validates and writes, and tells the others.
    task : str
        The validation AUC that decides is that of its question, or the mean over its questions.
    folder : path-like
        Gets model.keras, history.csv and checkpoint-<epoch>/.
    train, val : Batches
        `val` may be empty; then the last epoch is kept.
    patience : int
        Epochs without a better validation AUC after which training stops.
    seed : int
    """

    def __init__(self, network, spread, task, folder, train, val, patience, seed):
        super().__init__()
        self.network, self.spread, self.patience, self.seed = network, spread, patience, seed
        self.folder = Path(folder) if spread.process == 0 else None
        self.train, self.val = train, val
        self.first = {question: first_disease(task, question) for question in TASKS[task].questions}
        self.names = TASKS[task].classes if len(self.first) == 1 else TASKS["any"].classes  # of the first question
        self.truth, self.probability, self.score = val.labels[val.rows] > 0, np.zeros(0), None
        self.apart = contextlib.ExitStack()
        self.state = {"epoch": 0, "best": None, "best_epoch": None, "wait": 0, "history": []}

    @property
    def stopped(self):
        """Tell whether the patience is used up."""
        return self.state["wait"] >= self.patience

    def restore(self, trainer):
        """Load the newest whole checkpoint into a compiled model; return the number of epochs done."""
        path = None
        for folder in sorted(self.folder.glob("checkpoint-*"), reverse=True) if self.folder else []:
            state = read_json(folder / "state.json")  # written last: a checkpoint without it is not whole
            if state is not None and state.keys() == self.state.keys():
                self.state, path = state, folder / "trainer.weights.h5"
                break
        self.state = self.spread.tell(self.state)
        if self.state["epoch"]:
            load_whole(lambda path: self.spread.load(trainer, path), path)  # the optimizer's variables too
        return self.state["epoch"]

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = self.said = time.perf_counter()
        silent = self.folder is None or not sys.stderr.isatty()
        bar = {"desc": f"epoch {epoch + 1}", "unit": "img", "leave": False, "disable": silent}
        self.bar = tqdm(total=len(self.train.rows), **bar)
        self.train.set_epoch(epoch)
        # Dropout and augmentation draw by the epoch too: what a resumed training draws is what it would have.
        generators = [v for v in self.model.non_trainable_variables if "seed_generator_state" in v.path]
        for number, variable in enumerate(generators):
            variable.assign(np.array([self.seed * 1000 + number, epoch]).astype(variable.dtype))

    def on_train_batch_begin(self, batch, logs=None):  # at its end Keras would wait for the device's figures
        done = batch * self.train.batch
        self.bar.update(done - self.bar.n)
        now = time.perf_counter()
        if done and self.folder and self.bar.disable and now - self.said >= 30:
            self.said, rate = now, done / (now - self.begun)
            left = (len(self.train.rows) - done) / rate
            log(f"epoch {self.state['epoch'] + 1}: {done:,} of {len(self.train.rows):,} images, {left:.0f} s left")

    def on_epoch_end(self, epoch, logs):
        self.bar.close()
        seconds = time.perf_counter() - self.begun  # of training alone, without the validation that follows
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)  # of all processes, so computed by all
        self.apart.enter_context(self.spread.alone())  # until `save`: what other callbacks compute is theirs alone
        if self.folder:
            self.spread.collect()
            self.judge(epoch, logs, seconds)
        self.state = self.spread.tell(self.state)
        self.model.stop_training = self.stopped

    def judge(self, epoch, logs, seconds):
        """Validate, and keep the network if it is the best; `seconds` are those that training took."""
        probabilities = predict(self.network, self.val)
        if not (np.isfinite(logs["loss"]) and np.isfinite(probabilities).all()):
            raise StageError(
                f"the loss or the predictions are no numbers in epoch {epoch + 1}: train under another --run with a "
                "lower --learning-rate, or with --precision float32"
            )
        logs["images_per_second"] = len(self.train.rows) / seconds
        logs |= self.validate(probabilities)
        self.state["epoch"] = epoch + 1
        self.state["history"].append({"epoch": epoch + 1, **{k: float(v) for k, v in logs.items()}})
        if len(self.truth) and (called := self.probability >= 0.5).all() == called.any():
            log(ONE_CLASS.format(called="diseased" if called[0] else "healthy"))
        self.require_space()
        self.keep_best(epoch + 1, logs.get("val_auc"))
        log(self.epoch_line(logs))
        if self.stopped:
            best = self.state["best_epoch"]
            log(f"stopped: no better validation AUC for {self.patience} epochs; the best is epoch {best}")

    def validate(self, probabilities):
        """Score the validation photographs; return the figures that are defined, as Keras names them.

        `val_auc`, by which the best epoch is known, is the mean over the questions of the task.
        """
        if not len(self.truth):
            return {}
        labels = self.val.labels[self.val.rows]
        figures = {"val_loss": float(keras.ops.mean(ordinal_crossentropy(labels, probabilities)))}
        aucs = []
        for question, first in reversed(self.first.items()):  # the first question last: its figures are shown
            self.truth, self.probability = labels >= first, disease_probability(probabilities, first)
            self.score = score(self.truth, self.probability)
            aucs.append(self.score["auc"])
            if len(self.first) > 1:
                figures[f"val_auc_{question}"] = self.score["auc"]
        figures |= {f"val_{k}": self.score[k] for k in ("accuracy", "precision", "recall")}
        defined = [auc for auc in aucs if auc is not None]
        figures["val_auc"] = float(np.mean(defined)) if defined else None
        return {name: value for name, value in figures.items() if value is not None}

    def epoch_line(self, logs):
        """Say in one line how the epoch went."""
        of = self.params["epochs"]
        text = f"epoch {self.state['epoch']} of {of}: loss {logs['loss']:.3f}, AUC {logs['auc']:.3f} in training"
        if "val_auc" in logs:
            text += f", {logs['val_auc']:.3f} in validation (best {self.state['best']:.3f})"
        return f"{text}; {logs['images_per_second']:.0f} images/s"

    def require_space(self):
        """Raise before a full disk can: HDF5 ends the whole process when it cannot finish a file."""
        need = 4 * 4 * self.network.count_params() + 2**20  # the network, and once more with Adam's two moments
        free = shutil.disk_usage(self.folder).free
        if free < need:
            raise StageError(
                f"a checkpoint needs {need / 1e6:.0f} MB of disk space, and {self.folder} has {free / 1e6:.0f} MB; "
                "make room and run the same command again"
            )

    def keep_best(self, epoch, auc):
        """Save the network if its validation AUC is the best so far, or if there is none to go by."""
        if auc is not None and self.state["best"] is not None and auc <= self.state["best"]:
            self.state["wait"] += 1
            return
        self.state |= {"best": auc, "best_epoch": epoch, "wait": 0}
        temporary = self.folder / ".tmp-model.keras"  # Keras wants the ending
        self.network.save(temporary)
        temporary.replace(self.folder / "model.keras")

    def save(self):
        """Write history.csv and a checkpoint, then remove the checkpoint before it.

        To be called last in an epoch: what is done after it is not done again after a stop.
        """
        with self.apart:  # Keras makes variables of its own while it saves
            if self.folder:
                self.write()

    def write(self):
        """Write what `save` promises."""
        history = self.state["history"]
        columns = list(dict.fromkeys(key for row in history for key in row))
        write_rows(self.folder / "history.csv", columns, [[row.get(c, "") for c in columns] for row in history])
        folder = self.folder / f"checkpoint-{self.state['epoch']:05d}"
        folder.mkdir(exist_ok=True)
        self.model.save_weights(folder / "trainer.weights.h5")
        write_json(folder / "state.json", self.state)
        for old in self.folder.glob("checkpoint-*"):
            if old != folder:
                shutil.rmtree(old)
