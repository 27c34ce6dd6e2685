#!/usr/bin/env python3
"""Step 6: train a network that tells photographs with diabetic retinopathy (DR) from those without.

Reads   data/array/X.npy or its shards, labels.csv, X.json
Writes  models/<run>/model.keras          the network of the epoch with the best validation AUC
        models/<run>/model.tflite         its LiteRT version with heat maps, for predict.py and phones: needs no Keras
        models/<run>/config.json          options, versions, commit, split, preprocessing, checksums, and the decision:
                                          calibration, thresholds, and how two eyes become one patient
        models/<run>/patients.csv         the split of each patient
        models/<run>/history.csv          one row per epoch; training_curves.png shows loss and AUC
        models/<run>/checkpoint-<epoch>/  where a stopped training continues
        models/latest                     link to the run that finished last, or a text file with its name
        logs/<run>/                       TensorBoard: tensorboard --logdir logs

    python cnn.py                                 the three-layer network
    python cnn.py --task referable                grade 2 or more; --task grade: grades 0-4
    python cnn.py --network efficientnet_lite0    a larger network, after port_weights.py; see the table below
    python cnn.py --start models/cnn --run more   continue from a trained model; retrain.py also compares the two
    KERAS_BACKEND=jax python cnn.py               or torch; the default is TensorFlow

One training step is in this file, from top to bottom; only eyenet/model/batches.py, which reads the images, is apart.
The larger networks are in eyenet/model/networks.py, the metrics in eyenet/training/validation.py.
Epoch and decision are chosen on the originals of the validation patients; test photographs are left to evaluate.py. A
stopped training continues from its last complete epoch to the same result. The sample takes 3-10 minutes on two cores.
"""

import math
import shlex

from eyenet.data.array import open_array, rows_by_split
from eyenet.data.tasks import TASKS, class_weights, classes_of, require_answers, require_classes
from eyenet.model import backend
from eyenet.model.networks import NETWORKS, build_features, describe_networks, require_memory, scaled
from eyenet.model.weights import load_features
from eyenet.run.options import (
    fitting_next,
    local_path,
    model_path,
    parser,
    plain_name,
    positive,
    print_next,
    rate,
    seed,
)
from eyenet.run.script import run_main
from eyenet.training.distribution import Distribution
from eyenet.training.finish import finish, name_run
from eyenet.training.run_folder import run_folder
from eyenet.training.start import start_weights

# Keras is imported inside the functions: it takes seconds, and --help or a wrong option need not wait for it.

PATIENCE = 8  # epochs without a better validation AUC until training stops; it fluctuates, so fewer could be too few
WEIGHT_DECAY = 0.02  # times the rate: the share that a weight loses in a step, against overfitting
# The learning rate rises from 1/20 of its maximum in 5 % of the steps, until AdamW's averages are reliable, then falls
# along a cosine to 1 % of it, so that the last steps only refine.
INITIAL, WARMUP, FINAL = 1 / 20, 0.05, 0.01
SURROUNDINGS = 16  # side in pixels of the squares whose average is subtracted: above small lesions, below uneven light

# Augmentation: ends of uniform draws, small enough to leave lesions visible. Zoom and stretch are logarithms, shift is
# a share of the side; light is drawn once for the photograph and once more for each channel, as cameras differ in both.
ZOOM, STRETCH, SHIFT = 0.15, 0.08, 0.04
CURVE, CONTRAST, BRIGHTNESS = 0.25, 0.15, 0.08


def build_network(name, size, classes, weights):
    """Build a network: uint8 photographs (n, size, size, 3) in, probabilities (n, classes) out.

    `weights` is 'none', 'imagenet' or a file; StageError if they do not fit, or if the photographs are too small.
    """
    import keras
    from keras import layers

    photograph = keras.Input((size, size, 3), dtype="uint8", name="photograph")
    x = scaled(name, photograph)  # three_layers: 0-255 becomes 0-8
    features = three_layers(size) if name == "three_layers" else build_features(name, size)
    if weights != "none":
        load_features(features, name, weights)
    x = features(x)
    if name == "three_layers_2017":
        x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    else:
        if name == "three_layers":  # (n, 32, 32, 32) -> (n, 32, 32, 128): one decision per place, then pooling
            x = layers.Dense(128, activation="relu", kernel_initializer="he_normal")(x)
        # (n, 2 x channels): the mean measures how much there is, the maximum whether there is anything
        x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    x = layers.Dropout(NETWORKS[name].dropout)(x)  # three_layers: 0.2; larger networks overfit more: 0.3, 0.5
    # Zero-initialised head: a saturated softmax has no gradient. float32, whatever the precision of the rest.
    last = {"kernel_initializer": "zeros", "dtype": "float32", "name": "probability"}
    return keras.Model(photograph, layers.Dense(classes, activation="softmax", **last)(x), name=name)


def three_layers(size):
    """Build the three convolutions of 32 filters: scaled photographs (n, size, size, 3) to (n, size/8, size/8, 32).

    They see the local contrast, as in B. Graham's winning entry of the 2015 competition: lesions are small spots on a
    background whose colour varies far more than they differ from it.
    """
    import keras
    from keras import layers

    exact = {"dtype": "float32"}  # bfloat16 would round a photograph to a grey level before the subtraction
    photograph = keras.Input((size, size, 3))
    padding = -size % SURROUNDINGS  # to whole squares: backends would pad differently
    border = ((padding // 2, padding - padding // 2),) * 2
    average = layers.AveragePooling2D(SURROUNDINGS, **exact)(layers.ZeroPadding2D(border, **exact)(photograph))
    average = layers.UpSampling2D(SURROUNDINGS, interpolation="bilinear", **exact)(average)
    average = layers.Cropping2D(border, **exact)(average)
    x = layers.Subtract(name="local_contrast", **exact)([photograph, average])
    for _ in range(3):  # 256 px: (256, 256, 3) -> (128, 128, 32) -> (64, 64, 32) -> (32, 32, 32)
        x = layers.Conv2D(32, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)  # He's suits ReLU
        x = layers.MaxPooling2D(2)(x)  # before normalisation and ReLU, which then see a quarter of the pixels
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))  # 0.99 would lag behind in a short training
    return keras.Model(photograph, x, name="features")


def turn(images, draw):
    """Rotate, mirror, zoom, stretch and shift photographs: float32 (n, size, size, 3).

    All of it is one affine map: further interpolations would blur small lesions. `draw` gives uniform numbers in -1..1.
    """
    from keras import ops

    angle, zoom, stretch, right, down, mirror = ops.unstack(draw(6, ops.shape(images)[0]), 6)
    middle = (images.shape[1] - 1) / 2
    angle, zoom, stretch = math.pi * angle, ops.exp(ZOOM * zoom), ops.exp(STRETCH * stretch)
    right, down, mirror = 2 * middle * SHIFT * right, 2 * middle * SHIFT * down, ops.where(mirror < 0, -1.0, 1.0)
    # From a place in the result to the place in the photograph that it shows.
    xx, xy = ops.cos(angle) * zoom * stretch * mirror, -ops.sin(angle) * zoom
    yx, yy = ops.sin(angle) * zoom * stretch * mirror, ops.cos(angle) * zoom
    x0, y0 = middle * (1 - xx - xy) + right, middle * (1 - yx - yy) + down
    zero = ops.zeros_like(angle)
    transform = ops.stack([xx, xy, x0, yx, yy, y0, zero, zero], axis=1)
    return ops.image.affine_transform(images, transform, interpolation="bilinear", fill_mode="constant")


def light(images, draw):
    """Change brightness, contrast and gamma of photographs, float32 (n, size, size, 3) in 0-255; black stays black.

    The gamma is a parabola through black and white, three times as fast as a power.
    """
    from keras import ops

    n = ops.shape(images)[0]
    channels = draw(3, n, 1, 1, 3)
    curve, contrast, brightness = ops.unstack(channels + draw(3, n, 1, 1, 1), axis=0)
    curve, contrast = CURVE * curve, ops.exp(CONTRAST * contrast)
    # 255 (c (x + b x (1 - x) - 1/2) + 1/2 + l) for x in 0-1, as a polynomial of 255 x
    square, linear = -contrast * curve / 255, contrast * (1 + curve)
    constant = 255 * (0.5 - 0.5 * contrast + BRIGHTNESS * brightness)
    retina = ops.cast(ops.max(images, axis=-1, keepdims=True) > 0, "float32")
    lit = ops.clip((square * images + linear) * images + constant, 0, 255)
    return ops.round(lit) * retina  # Keras casts them to the uint8 of the network, which would truncate fractions


def random_change(change):
    """Make a layer that applies `turn` or `light` in training, with new draws for each photograph."""
    import keras

    class RandomChange(keras.layers.Layer):
        def __init__(self):
            super().__init__(dtype="float32", name=change.__name__)
            self.seed_generator = keras.random.SeedGenerator()  # Checkpoint sets its state for each epoch

        def call(self, images, training=None):
            images = keras.ops.cast(images, "float32")
            return change(images, self.draw) if training else images

        def draw(self, *shape):
            return keras.random.uniform(shape, -1, 1, dtype="float32", seed=self.seed_generator)

    return RandomChange()


def build_augmentation(size, augmented=True):
    """Build the augmentation (none for 2017): uint8 photographs (n, size, size, 3) to float32 of the same range."""
    import keras

    if not augmented:
        return keras.layers.Identity()
    photograph = keras.Input((size, size, 3), dtype="uint8")
    return keras.Sequential([photograph, random_change(turn), random_change(light)], name="augmentation")


def ordinal_crossentropy(y_true, y_pred):
    """Compute the cross-entropy of "this class or a later one", averaged over all classes but the first.

    Grades are ordered: calling grade 4 grade 0 must cost more than calling it grade 3. The questions are those of
    E. Frank and M. Hall, "A simple approach to ordinal classification", ECML, 2001; here the answers are sums of one
    softmax, so they cannot contradict each other. With two classes this is the ordinary cross-entropy.

    `y_true` are classes (n,) or (n, 1), `y_pred` probabilities (n, classes); returns float32 (n,).
    """
    from keras import ops

    later = ops.flip(ops.cumsum(ops.flip(ops.cast(y_pred, "float32")[:, 1:], axis=1), axis=1), axis=1)
    later = ops.clip(later, 1e-7, 1 - 1e-7)  # the logarithm of 0 is infinite
    true = ops.cast(ops.reshape(y_true, (-1, 1)), "int32") > ops.arange(later.shape[1], dtype="int32")
    return -ops.mean(ops.log(ops.where(true, later, 1 - later)), axis=1)


def build_trainer(network, first_layers, distribution, learning_rate, steps):
    """Put input and augmentation before a network and compile them for a training of some steps."""
    import keras

    from eyenet.training.validation import disease_metrics

    warmup = max(1, int(WARMUP * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        INITIAL * learning_rate, max(1, steps - warmup), FINAL, warmup_target=learning_rate, warmup_steps=warmup
    )
    # AdamW scales each weight's steps, so one recipe suits every network; clipping bounds the step of an odd batch.
    # `adapted` returns the class itself; for several devices, a subclass that computes the same on them.
    trainer = distribution.adapted(keras.Sequential)([*first_layers, network])
    trainer.compile(
        optimizer=distribution.adapted(keras.optimizers.AdamW)(schedule, weight_decay=WEIGHT_DECAY, clipnorm=1.0),
        loss=ordinal_crossentropy,
        metrics=disease_metrics(),
        jit_compile=keras.backend.backend() == "jax",  # XLA is slower for the others on a CPU
    )
    trainer.optimizer.build(trainer.trainable_variables)  # a checkpoint restores its variables
    return trainer


def train(network, args, images, labels, rows, sidecar, distribution, folder):
    """Train a network, or continue a stopped training; return the state of its `Checkpoint`."""
    from eyenet.model.batches import Batches, untuned
    from eyenet.training.cache import cache, first_layers
    from eyenet.training.checkpoint import Checkpoint
    from eyenet.training.dashboard import build_boards
    from eyenet.training.progress import Progress
    from eyenet.training.validation import Validation

    count, logs = len(rows["train"]), args.logs / args.run
    distribution.require_images(count, args.batch)
    # Usually both are `images` itself, and on_device is None. If not, on_device is the layer that holds the images.
    train_images, val_images, on_device = cache(args.cache, distribution, images, rows)
    order = distribution.open_order(sidecar, args.batch)
    batches = Batches(train_images, labels, rows["train"], args.batch, args.seed, order, distribution.share)
    copy, inputs = distribution.copy(network), first_layers(network, on_device)  # usually the network and a keras.Input
    with distribution.scope():
        augmentation = build_augmentation(images.shape[1], sidecar["settings"].get("protocol") != "2017")
        first, steps = [*inputs, augmentation], args.epochs * len(batches)
        trainer = build_trainer(copy, first, distribution, args.learning_rate, steps)
    validated = Batches(val_images, labels, rows["val"], args.batch)
    validation = Validation(network, args.task, validated, ordinal_crossentropy, distribution)
    checkpoint = Checkpoint(network, batches, PATIENCE, args.seed, distribution, folder)
    with distribution.training(logs):
        done = checkpoint.restore(trainer)
        if done == args.epochs or checkpoint.stopped:
            return checkpoint.state
        progress = Progress(count, args.batch, shown=not distribution.process)
        boards = build_boards(validation, checkpoint, first, logs, vars(args), distribution)
        trainer.fit(
            untuned(batches),
            initial_epoch=done,
            epochs=args.epochs,
            shuffle=False,  # Checkpoint shuffles and seeds each epoch, so that a resumed run draws the same
            # n / (2 n_class). Not for grades: a photograph of grade 4 would count as much as thirty of grade 0.
            class_weight=class_weights(labels[rows["train"]]) if args.balanced else None,
            # Checkpoint logs the rate of Progress and stops by the AUC of Validation. Boards come before it, see Board.
            callbacks=[*boards, progress, validation, checkpoint],
            verbose=0,
        )
    return checkpoint.state


def parse():
    """Parse the options; what is not given follows from the network. Return the parser too."""
    own, places = "default: that of the network, see the table", ("auto", "device", "host", "none")
    options = parser(f"{__doc__}\n{describe_networks()}", input="data/array")
    options.add_argument("--models", type=local_path, default="models", help="folder of the trained models")
    options.add_argument("--logs", type=local_path, default="logs", help="folder for TensorBoard")
    options.add_argument("--run", type=plain_name, default="cnn", help="name of this training")
    options.add_argument("--task", choices=list(TASKS), default="any", help="any DR, referable DR, or the grade")
    options.add_argument("--network", choices=list(NETWORKS), default="three_layers", help="see above", metavar="NAME")
    options.add_argument("--weights", help=f"initial weights: none, imagenet or a FILE of the convolutions; {own}")
    options.add_argument("--start", type=model_path, metavar="FOLDER", help="continue from a model, not from --weights")
    options.add_argument("--epochs", type=positive, help=f"epochs of the whole training; {own}")
    options.add_argument("--batch", type=positive, help=f"images per step; {own}")
    options.add_argument("--learning-rate", type=rate, help=f"maximum of the schedule; {own}")
    options.add_argument("--cache", choices=places, default="auto", help="memory for the images (docs/performance.md)")
    options.add_argument("--precision", choices=list(backend.POLICIES), default="float32", help="of the computation")
    kinds, what = ("none", "devices", "hosts"), "train on all devices of this host, or of several (docs/distributed.md)"
    options.add_argument("--distribute", choices=kinds, default="none", help=what)
    options.add_argument("--seed", type=seed, default=0, help="seed of weights, order and augmentation")
    args = options.parse_args()
    # three_layers: random weights, 30 epochs of batches of 32, maximum rate 3e-3, with copies, both classes balanced
    recipe = NETWORKS[args.network].recipe_for("none" if args.start else args.weights, continued=args.start is not None)
    args.weights, args.epochs, args.batch = recipe.weights, args.epochs or recipe.epochs, args.batch or recipe.batch
    args.rows, args.balanced = recipe.rows, recipe.balanced and len(TASKS[args.task].classes) == 2
    args.learning_rate = recipe.learning_rate if args.learning_rate is None else args.learning_rate
    return options, args


def main():
    options, args = parse()
    distribution = Distribution(args.distribute)
    images, table, sidecar = open_array(args.input, distribution.needed_rows)
    require_answers(table, args.task, args.input, training=True)
    rows = rows_by_split(table, sidecar["settings"], args.rows)
    labels = classes_of(table["level"], args.task)
    require_classes(labels, rows)
    distribution.start(args.precision, args.seed, args.batch)
    network = build_network(args.network, images.shape[1], len(TASKS[args.task].classes), args.weights)
    started = start_weights(network, args.start, args.task, table, sidecar["settings"]) if args.start else {}
    require_memory(network, args.batch, args.precision)
    with run_folder(vars(args), table, sidecar, started, distribution) as folder:
        state = train(network, args, images, labels, rows, sidecar, distribution, folder)
        lines = finish(folder, state, images, rows["val"], table, vars(args))
    print("\n".join(lines))
    name_run(folder)
    shown = f" --model {shlex.quote(str(folder))}"
    following = f"python evaluate.py{shown}{fitting_next(options, args, input='input')}"
    print_next(following, f"or, on new photographs: python predict.py PHOTO{shown}")


if __name__ == "__main__":
    run_main(main)
