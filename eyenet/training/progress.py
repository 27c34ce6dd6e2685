"""The progress of an epoch: a bar on a terminal, otherwise a line every 30 seconds; and its rate."""

import sys
import time

import keras
from tqdm import tqdm

from eyenet.run.errors import log


class Progress(keras.callbacks.Callback):
    """Show the progress of each epoch, and add its learning rate and images per second to the logs.

    Parameters
    ----------
    count : int
        Images of an epoch.
    batch : int
        Images per step.
    shown : bool
        Of several processes only one shows progress.
    """

    def __init__(self, count, batch, shown=True):
        super().__init__()
        self.count, self.batch, self.shown = count, batch, shown

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1
        hidden = not self.shown or not sys.stderr.isatty()
        self.bar = tqdm(total=self.count, desc=f"epoch {epoch + 1}", unit="img", leave=False, disable=hidden)

    def on_train_batch_begin(self, batch, logs=None):  # at its end Keras would wait for the device's metrics
        done, now = batch * self.batch, time.perf_counter()
        if not batch:  # from here: other callbacks may save a checkpoint when the epoch begins
            self.begun = self.reported = now
        self.bar.update(done - self.bar.n)
        if done and self.shown and self.bar.disable and now - self.reported >= 30:
            self.reported, speed = now, done / (now - self.begun)
            left = (self.count - done) / speed
            log(f"epoch {self.epoch}: {done:,} of {self.count:,} images, {left:.0f} s left")

    def on_epoch_end(self, epoch, logs):
        self.bar.close()
        seconds = time.perf_counter() - self.begun
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        logs["images_per_second"] = self.count / seconds
