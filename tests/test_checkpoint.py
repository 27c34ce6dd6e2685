"""Early stopping: patience is counted over interruptions."""

import keras
import numpy as np

from eyenet.model.batches import Batches
from eyenet.training.checkpoint import Checkpoint
from eyenet.training.distribution import Distribution
from eyenet.training.progress import Progress
from eyenet.training.validation import Validation, of_disease


def train(folder, last):
    """Train at a rate of zero with a patience of 2, for at most 9 epochs in all; end early after the epoch `last`."""
    keras.utils.set_random_seed(0)
    labels = np.arange(12) % 2
    images = np.random.default_rng(0).integers(0, 255, (12, 4, 4, 3)).astype(np.uint8)
    layers = [keras.Input((4, 4, 3), dtype="uint8"), keras.layers.Flatten(dtype="float32")]
    network = keras.Sequential([*layers, keras.layers.Dense(2, "softmax")])
    auc = of_disease(keras.metrics.AUC, name="auc")
    network.compile(keras.optimizers.Adam(0.0), "sparse_categorical_crossentropy", metrics=[auc], run_eagerly=True)
    network.optimizer.build(network.trainable_variables)
    feed, held = Batches(images, labels, np.arange(8), 4, seed=0), Batches(images, labels, np.arange(8, 12), 4)
    loss = keras.losses.sparse_categorical_crossentropy
    validation = Validation(network, "any", held, loss, Distribution())
    checkpoint = Checkpoint(network, feed, 2, 0, Distribution(), folder)
    done = checkpoint.restore(network)
    callbacks = [Progress(8, 4), validation, checkpoint]
    network.fit(feed, initial_epoch=done, epochs=last, shuffle=False, callbacks=callbacks, verbose=0)
    return done, checkpoint


def test_early_stopping_counts_over_a_stop(tmp_path, capsys):
    """An AUC that never improves ends a training after 1 + 2 epochs, even if it was interrupted."""
    _, checkpoint = train(tmp_path, 2)
    assert checkpoint.state["wait"] == 1 and not checkpoint.stopped
    done, checkpoint = train(tmp_path, 9)
    assert done == 2 and checkpoint.stopped
    assert [row["epoch"] for row in checkpoint.state["history"]] == [1, 2, 3]
    told = capsys.readouterr().err
    assert "stopped: no better validation AUC for 2 epochs; the best is epoch 1" in told
