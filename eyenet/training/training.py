"""A training from its first epoch to its last: what it minimises and measures, what it is fed, what it writes."""

import os
import shutil

import keras

from eyenet.data.tasks import TASKS, class_weights
from eyenet.model import backend
from eyenet.model.batches import Batches, untuned
from eyenet.run.errors import StageError, log
from eyenet.training.augmentation import build_augmentation
from eyenet.training.cache import cache
from eyenet.training.keeper import Keeper
from eyenet.training.losses import of_disease, ordinal_crossentropy

WEIGHT_DECAY = 0.02
WARMUP = 0.05  # of the training, in which the learning rate rises; then it falls along a cosine


def build_trainer(spread, network, augment, args, steps, resident=None):
    """Put the augmentation before the network and compile the two.

    Parameters
    ----------
    spread : eyenet.training.distribution.Distribution
    network : keras.Model
    augment : keras.Model or keras.layers.Layer
    args : argparse.Namespace
        Options of cnn.py: `learning_rate` and `xla`.
    steps : int
        Of the whole training.
    resident : eyenet.training.cache.Resident, optional
        Takes the places of photographs and gives these; without it the model takes photographs.
    """
    trainer = spread.model([*first_layers(network, resident), augment, network])
    metrics = [
        of_disease(keras.metrics.BinaryAccuracy, name="accuracy"),
        of_disease(keras.metrics.AUC, name="auc"),
        of_disease(keras.metrics.Precision, name="precision"),
        of_disease(keras.metrics.Recall, name="recall"),
    ]
    rise = max(1, int(WARMUP * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        args.learning_rate / 20, max(1, steps - rise), 0.01, warmup_target=args.learning_rate, warmup_steps=rise
    )
    optimizer = spread.optimizer(schedule, weight_decay=WEIGHT_DECAY, clipnorm=1.0)
    trainer.compile(
        optimizer=optimizer, loss=ordinal_crossentropy, metrics=metrics, jit_compile=backend.jit_compile(args.xla)
    )
    trainer.optimizer.build(trainer.trainable_variables)  # so that a checkpoint finds its variables
    return trainer


def first_layers(network, resident):
    """List the layers that turn what is fed into photographs: an input alone, unless they lie on the device."""
    if resident is None:
        return [keras.Input(network.input_shape[1:], dtype="uint8")]
    return [keras.Input((1,), dtype="int32"), resident]


def train(spread, network, args, images, labels, rows, folder):
    """Train a network, or go on with a training that was stopped; return the training's state."""
    count = len(rows["train"])
    if spread.replicas > 1 and args.batch > count:
        raise StageError(f"there are only {count} training images; several devices need a smaller --batch")
    with spread.scope():
        fed, held, resident = cache(args.cache, spread, images, rows)
    feed = Batches(fed, labels, rows["train"], args.batch, args.seed, args.shuffle, spread.share)
    copy = spread.copy(network)
    with spread.scope():
        augment = make_augmentation(args, network)
        trainer = build_trainer(spread, copy, augment, args, args.epochs * len(feed), resident)
    val = Batches(held, labels, rows["val"], args.batch)
    keeper = Keeper(network, spread, args.task, folder, feed, val, args.patience, args.seed)
    last = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: keeper.save())
    with spread.training(), backend.one_sentence(args.logs / args.run):
        done = keeper.restore(trainer)
        if done >= args.epochs or keeper.stopped:
            return keeper.state
        trainer.fit(
            untuned(feed),
            initial_epoch=done,
            epochs=args.epochs,
            shuffle=False,  # Batches shuffles
            # Grades are weighed by nothing but their copies: a grade 4 would count as thirty of grade 0.
            class_weight=class_weights(labels[rows["train"]]) if len(TASKS[args.task].classes) == 2 else None,
            callbacks=[keeper, *(writers(spread, keeper, args, resident) if spread.process == 0 else []), last],
            verbose=0,
        )
    return keeper.state


def make_augmentation(args, network):
    """Build what is done to a training photograph before the network sees it."""
    return build_augmentation(network.input_shape[1]) if args.augmentation == "turn" else keras.layers.Identity()


def writers(spread, keeper, args, resident):
    """Build the callbacks that write TensorBoard's files."""
    from eyenet.training.dashboard import Dashboard

    logs = args.logs / args.run
    if done := keeper.state["epoch"]:
        log(f"going on after epoch {done} of {args.epochs}")
    else:  # what a run of this name left whose model was deleted; Dashboard removes its own
        for part in ("train", "validation"):
            shutil.rmtree(logs / part, ignore_errors=True)
    logs.mkdir(parents=True, exist_ok=True)
    first = next(iter(keeper.first.values()))
    card = options_card(args, keeper.network)
    with spread.alone():
        augment = make_augmentation(args, keeper.network)
        see = keras.Sequential([*first_layers(keeper.network, resident), augment])
    dashboard = Dashboard(keeper, see, logs, first, card, hparams(args))
    return [dashboard, EpochBoard(logs)]


class EpochBoard(keras.callbacks.TensorBoard):
    """Keras's TensorBoard without what it does at each step: on JAX and PyTorch the device would wait for it."""

    on_train_batch_begin = keras.callbacks.Callback.on_train_batch_begin
    on_train_batch_end = keras.callbacks.Callback.on_train_batch_end


def hparams(args):
    """Choose the options by which TensorBoard compares runs."""
    names = ("network", "task", "batch", "learning_rate", "seed")  # it shows five at first
    return {name: getattr(args, name) for name in names}


def options_card(args, network):
    """Write the options, as TensorBoard shows them: a table in Markdown."""
    rows = {key.replace("_", "-"): value for key, value in vars(args).items()}
    rows |= {"parameters": f"{network.count_params():,}", "backend": os.environ["KERAS_BACKEND"]}
    return "\n".join(["| option | value |", "|---|---|", *(f"| {key} | `{value}` |" for key, value in rows.items())])
