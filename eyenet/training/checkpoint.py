"""What a training keeps: the best network, its history, and a checkpoint from which a stopped training continues."""

import shutil
from pathlib import Path

import keras
import numpy as np

from eyenet.model.loading import load_whole
from eyenet.run.errors import StageError, log
from eyenet.run.files import read_json, write_json, write_rows


class Checkpoint(keras.callbacks.Callback):
    """Keep the best network and a checkpoint of each epoch, and stop when validation no longer improves.

    Keras's EarlyStopping and BackupAndRestore store neither the best value nor the patience used up, so a training
    that was killed would not end like an undisturbed one. An epoch's checkpoint is written when the next epoch begins
    or training ends: all that the other callbacks do after the epoch is done by then, in whatever order they are.

    Parameters
    ----------
    network : keras.Model
        The network to keep: the trained model without augmentation.
    batches : eyenet.model.batches.Batches
        The training images; shuffled anew for each epoch.
    patience : int
        Epochs without a better `val_auc` after which training stops. Without `val_auc` the last epoch is kept.
    seed : int
    distribution : eyenet.training.distribution.Distribution
        Of several processes the first one writes, and tells the others.
    folder : path-like
        Gets model.keras, history.csv and checkpoint-<epoch>/.
    """

    def __init__(self, network, batches, patience, seed, distribution, folder):
        super().__init__()
        self.network, self.batches, self.patience = network, batches, patience
        self.seed, self.distribution = seed, distribution
        self.folder = Path(folder) if distribution.process == 0 else None
        self.state = {"epoch": 0, "best": None, "best_epoch": None, "wait": 0, "history": []}
        self.saved = 0  # epochs of the newest checkpoint

    @property
    def stopped(self):
        """Whether the patience is used up."""
        return self.state["wait"] >= self.patience

    def restore(self, trainer):
        """Load the newest complete checkpoint into a compiled model; return the number of epochs done."""
        path = None
        for folder in sorted(self.folder.glob("checkpoint-*"), reverse=True) if self.folder else []:
            state = read_json(folder / "state.json")  # written last: without it a checkpoint is incomplete
            if state is not None and state.keys() == self.state.keys():
                self.state, path = state, folder / "trainer.weights.h5"
                break
        self.state = self.distribution.tell(self.state)
        self.saved = self.state["epoch"]
        if self.saved:
            config = (self.folder and read_json(self.folder / "config.json")) or {}
            # The optimizer's variables too.
            load_whole(lambda path: self.distribution.load(trainer, path), path, config)
        return self.saved

    def on_train_begin(self, logs=None):
        if self.saved and self.folder:
            log(f"continuing after epoch {self.saved} of {self.params['epochs']}")

    def on_epoch_begin(self, epoch, logs=None):
        self.save()
        self.batches.set_epoch(epoch)
        # Dropout and augmentation draw by seed and epoch, so a resumed training draws what an undisturbed one does.
        generators = [v for v in self.model.non_trainable_variables if "seed_generator_state" in v.path]
        for number, variable in enumerate(generators):
            variable.assign(np.array([self.seed * 1000 + number, epoch]).astype(variable.dtype))

    def on_epoch_end(self, epoch, logs):
        if self.folder:
            self.state["epoch"] = epoch + 1
            self.state["history"].append({"epoch": epoch + 1, **{k: float(v) for k, v in logs.items()}})
            with self.distribution.alone():  # Keras creates variables while it saves
                self.require_space()
                self.keep_best(epoch + 1, logs.get("val_auc"))
            log(self.epoch_line(logs))
            if self.stopped:
                best = self.state["best_epoch"]
                log(f"stopped: no better validation AUC for {self.patience} epochs; the best is epoch {best}")
        self.state = self.distribution.tell(self.state)
        self.model.stop_training = self.stopped

    def on_train_end(self, logs=None):
        self.save()

    def epoch_line(self, logs):
        """Describe an epoch in one line."""
        text = f"epoch {self.state['epoch']} of {self.params['epochs']}: "
        text += f"loss {logs['loss']:.3f}, AUC {logs['auc']:.3f} in training"
        if "val_auc" in logs:
            text += f", {logs['val_auc']:.3f} in validation (best {self.state['best']:.3f})"
        return f"{text}; {logs['images_per_second']:.0f} images/s"

    def require_space(self):
        """Raise a StageError if the disk has no room for a checkpoint: HDF5 would abort the process."""
        need = 4 * 4 * self.network.count_params() + 2**20  # the network, and once more with Adam's two moments
        free = shutil.disk_usage(self.folder).free
        if free < need:
            raise StageError(
                f"a checkpoint needs {need / 1e6:.0f} MB of disk space, and {self.folder} has {free / 1e6:.0f} MB; "
                "make room and run the same command again"
            )

    def keep_best(self, epoch, auc):
        """Save the network if its validation AUC is the best so far, or undefined."""
        if auc is not None and self.state["best"] is not None and auc <= self.state["best"]:
            self.state["wait"] += 1
            return
        self.state |= {"best": auc, "best_epoch": epoch, "wait": 0}
        temporary = self.folder / ".tmp-model.keras"  # Keras requires the ending
        self.network.save(temporary)
        temporary.replace(self.folder / "model.keras")

    def save(self):
        """Write history.csv and the checkpoint of the last epoch, then remove the one before it."""
        if self.folder is None or self.saved == self.state["epoch"]:
            return
        history = self.state["history"]
        columns = list(dict.fromkeys(key for row in history for key in row))
        write_rows(self.folder / "history.csv", columns, [[row.get(c, "") for c in columns] for row in history])
        folder = self.folder / f"checkpoint-{self.state['epoch']:05d}"
        folder.mkdir(exist_ok=True)
        with self.distribution.alone():
            self.model.save_weights(folder / "trainer.weights.h5")
        write_json(folder / "state.json", self.state)
        for old in self.folder.glob("checkpoint-*"):
            if old != folder:
                shutil.rmtree(old)
        self.saved = self.state["epoch"]
