#!/usr/bin/env python3
"""Step 6: train the network to tell photographs with diabetic retinopathy from those without.

Reads   data/array/X.npy or its shards, labels.csv, X.json
Writes  models/<run>/model.keras          the network at its best validation AUC
        models/<run>/model.tflite         the same for predict.py and phones, with heat maps: needs no Keras
        models/<run>/config.json          options, versions, commit, hash of the split, preprocessing, and the
                                          decision: calibration, thresholds, how two eyes become one patient;
                                          checksums of both networks
        models/<run>/patients.csv         which patients were for training, validation and test
        models/<run>/history.csv          one row an epoch
        models/<run>/training_curves.png
        models/<run>/checkpoint-<epoch>/  what a stopped training goes on from
        models/latest                     link to the run that finished last
        logs/<run>/                       TensorBoard: tensorboard --logdir logs

    python cnn.py                                 three layers; --precision bfloat16 is faster
    python cnn.py --task referable                grade 2 or more; --task grade: grades 0-4
    python cnn.py --network efficientnet_lite0    after port_weights.py; below is what networks cost and reach
    python cnn.py --start models/cnn --run more   from a trained model; retrain.py does so, and compares
    KERAS_BACKEND=jax python cnn.py               or torch; TensorFlow is the default
    python cnn.py --cache device                  training images in the memory of a GPU; docs/performance.md
    python cnn.py --distribute devices            all GPUs of this host; hosts: docs/distributed.md

By default three convolutions of 32 filters on the local contrast, each followed by 2 x 2 max pooling, then a dense
layer of 128 at each place, pooling over the retina, dropout and a softmax over no DR / DR. Every training image,
whatever its class, is turned, mirrored, zoomed and lit at random. Validation photographs are used as originals only;
on them the epoch and the decision are chosen. Test photographs are not looked at: that is for evaluate.py. Run again
after a stop, it goes on from the last whole epoch to the same end.
"""

import argparse
import os
import shlex

import numpy as np

from eyenet.data.array import content_hash, open_array, rows_by_split
from eyenet.data.shuffling import require_hosts
from eyenet.data.tables import write_table
from eyenet.data.tasks import QUESTIONS, TASKS, class_weights, classes_of
from eyenet.model import backend
from eyenet.model.decision import BALANCED, choose_decision
from eyenet.model.folder import (
    FORMAT,
    NETWORK,
    colours_of,
    copy_weights,
    link_latest,
    load_network,
    open_model,
    provenance,
    read_patients,
    split_hash,
)
from eyenet.model.lite import add_lite
from eyenet.model.networks import (
    NETWORKS,
    RECIPE,
    SCRATCH,
    build_network,
    describe_networks,
    hash_weights,
    require_memory,
)
from eyenet.run.errors import StageError, log
from eyenet.run.files import read_json, sha256, write_json
from eyenet.run.folder import output_folder
from eyenet.run.options import fitting_next, local_path, parser, plain_name, positive, rate, seed
from eyenet.run.processes import supervise
from eyenet.run.script import run_main
from eyenet.score.charts import draw_training_curves
from eyenet.training import distribution


def choose_on_validation(network, args, images, table, rows):
    """Choose the decision on the validation photographs.

    Returns
    -------
    decision : dict
        As `eyenet.model.decision.choose_decision` gives it.
    lines : list of str
        What to tell the user.
    """
    from eyenet.model.batches import Batches, predict

    probabilities = predict(network, Batches(images, None, rows["val"], args.batch))
    if not np.isfinite(probabilities).all():
        raise StageError("the network predicts values that are no numbers on validation; train it again")
    val = table.iloc[rows["val"]]
    decision = choose_decision(val["patient"].to_numpy(), val["level"].to_numpy(), probabilities, args.task)
    lines = []
    for question in TASKS[args.task].questions:
        threshold = decision[question]["eye"]["operating_points"][BALANCED]
        both = len(decision[question]["eye"]["operating_points"]) > 1
        why = "there validation has the best balance (Youden's index)" if both else "validation lacks a class"
        lines.append(f"called {QUESTIONS[question]} from a calibrated probability of {threshold:.3f}: {why}")
    return decision, lines


def settings_of(args, table, sidecar):
    """Name what a run's folder may not mix: options, array, split, and the weights by their content."""
    compared = ("network", "task", "epochs", "batch", "learning_rate", "patience", "augmentation", "precision", "xla")
    settings = {key: getattr(args, key) for key in compared} | {
        "seed": args.seed,
        "weights": hash_weights(args.network, args.weights),
        "backend": os.environ["KERAS_BACKEND"],
        "array": content_hash(sidecar),
        "split": split_hash(table),
        "images": sidecar["settings"],
    }
    settings |= {"shuffle": args.shuffle} if args.shuffle != "full" else {}  # older runs know no other
    return settings | ({"start": sha256(args.start / NETWORK)} if args.start else {})


def start_network(network, args, table, sidecar):
    """Give a network the weights of the model --start, and freeze what is frozen there.

    Raises
    ------
    StageError
        If that model is of another kind, or has been trained on patients who are not for training here.
    """
    config = open_model(args.start)
    there = {"network": config["settings"]["network"], "task": config["task"], "size": config["size"]}
    here = {"network": args.network, "task": args.task, "size": network.input_shape[1]}
    there["colours"], here["colours"] = colours_of(config["settings"]["images"]), colours_of(sidecar["settings"])
    if differing := [f"{key} {there[key]}, not {here[key]}" for key in there if there[key] != here[key]]:
        raise StageError(f"{args.start} cannot be gone on from: it has {', '.join(differing)}")
    known = read_patients(args.start)
    held_out = set(table.loc[table["split"] != "train", "patient"])
    if again := sorted(held_out & set(known.loc[known["split"] == "train", "patient"])):
        raise StageError(
            f"{args.start} was trained on {len(again):,} patients, such as {again[0]}, who are for validation or test "
            f"in {args.input}; go on from a model of the same split"
        )
    try:
        copy_weights(network, load_network(args.start, config))
    except ValueError:
        raise StageError(f"{args.start} holds another network of the name {args.network}; train it anew") from None


def parse():
    """Parse the options; give the parser too. What a network does in its own way is taken from its recipe."""
    own = "default: the network's own, see above"
    options = parser(f"{__doc__}\n{describe_networks()}", input="data/array")
    options.add_argument("--models", type=local_path, default="models", help="folder of the trained models")
    options.add_argument("--logs", type=local_path, default="logs", help="folder for TensorBoard")
    options.add_argument("--run", type=plain_name, default="cnn", help="name of this training")
    options.add_argument("--task", choices=list(TASKS), default="any", help="any DR, referable DR, or the grade")
    options.add_argument("--network", choices=list(NETWORKS), default="three_layers", help="see above", metavar="NAME")
    options.add_argument(
        "--weights",
        default=argparse.SUPPRESS,
        help=f"to begin with: none, imagenet or a FILE of the convolutions; {own}",
    )
    options.add_argument("--start", type=local_path, metavar="FOLDER", help="model to go on from, instead of --weights")
    options.add_argument("--epochs", type=positive, default=argparse.SUPPRESS, help=f"of the whole training; {own}")
    options.add_argument("--patience", type=positive, default=8, help="epochs without a better validation AUC")
    options.add_argument("--batch", type=positive, default=32, help="images a step")
    options.add_argument("--learning-rate", type=rate, default=argparse.SUPPRESS, help=f"of Adam at its highest; {own}")
    options.add_argument(
        "--shuffle",
        choices=("full", "blocks"),
        default=argparse.SUPPRESS,
        help="all images, or blocks of 64 of them, which spare a network disk; default: blocks for shards",
    )
    options.add_argument(
        "--cache",
        choices=("auto", "device", "host", "none"),
        default="auto",
        help="memory that keeps the training images; default: that of a GPU that has room, or its host's",
    )
    options.add_argument("--augmentation", choices=("turn", "none"), default="turn", help="'none' as in 2017")
    options.add_argument("--precision", choices=list(backend.POLICIES), default="float32", help="of the arithmetic")
    options.add_argument("--xla", action="store_true", help="compile with XLA: faster on GPUs, slower on CPUs")
    options.add_argument(
        "--distribute",
        choices=("none", "devices", "hosts"),
        default="none",
        help="train on all devices of this host, or of all hosts",
    )
    options.add_argument("--seed", type=seed, default=0, help="of weights, order, augmentation")
    args = options.parse_args()
    recipe = NETWORKS[args.network].recipe
    if args.start:
        args.weights = "none"
    elif getattr(args, "weights", recipe.weights) == "none" != recipe.weights:
        recipe = SCRATCH
    for name in RECIPE:
        setattr(args, name, getattr(args, name, getattr(recipe, name)))
    return options, args


def main():
    options, args = parse()
    host, hosts = 0, 1
    if args.distribute == "hosts":
        supervise()
        _, hosts, host = distribution.read_place()
    whole = getattr(args, "shuffle", None) == "full"  # every host then reads any image
    images, table, sidecar = open_array(args.input, (0, 1) if whole else (host, hosts))
    args.shuffle = getattr(args, "shuffle", "blocks" if "shard_size" in sidecar else "full")
    if args.shuffle == "blocks":
        require_hosts(hosts, args.batch)
    rows = rows_by_split(table, sidecar["settings"])
    labels = classes_of(table["level"], args.task)
    class_weights(labels[rows["train"]])  # raises before the slow import
    if len(set(labels[rows["val"]])) < 2:
        log("note: the validation patients are too few to hold both classes; their AUC is not defined")
    if args.distribute == "hosts":
        distribution.connect()
    keras = backend.start(args.precision, args.seed)
    from eyenet.training.training import train

    spread = distribution.Distribution(keras, args.distribute, args.batch)
    network = build_network(keras, args.network, images.shape[1], len(TASKS[args.task].classes), args.weights)
    if args.start:
        start_network(network, args, table, sidecar)
    require_memory(network, args.batch, args.precision)
    settings = settings_of(args, table, sidecar)
    spread.require_same(settings)
    if spread.process:
        train(spread, network, args, images, labels, rows, None)
        print(f"process {spread.process} is done; process 0 writes what was learned")
        return
    notes = provenance() | {"format": FORMAT, "task": args.task, "classes": TASKS[args.task].classes}
    notes["size"] = images.shape[1]
    notes["options"] = {key: str(value) for key, value in vars(args).items()}
    model = output_folder(args.models / args.run, "cnn.py", settings, record="config.json", keep_notes=True, **notes)
    with model as folder:
        write_table(folder / "patients.csv", table[["patient", "split"]].drop_duplicates().sort_values("patient"))
        state = train(spread, network, args, images, labels, rows, folder)
        config = read_json(folder / "config.json")
        network = load_network(folder, config)
        decision, lines = choose_on_validation(network, args, images, table, rows)
        config = add_lite(folder, config, network) | {"decision": decision, "options": notes["options"]}
        write_json(folder / "config.json", config)
        draw_training_curves(state["history"], state["best_epoch"], folder / "training_curves.png")
    try:
        link_latest(folder)
    except OSError as error:  # a folder of that name, or a file system without links
        log(f"note: {folder.parent / 'latest'} could not be made a link to {folder.name} ({error.strerror})")
    best = f", validation AUC {state['best']:.3f}" if state["best"] is not None else ""
    print(f"trained {state['epoch']} epochs, kept epoch {state['best_epoch']}{best}, in {folder / 'model.keras'}")
    print("\n".join(lines))
    shown = f" --model {shlex.quote(str(folder))}" + fitting_next(options, args, input="input")
    print(f"next: python evaluate.py{shown}")
    print(f"or, on new photographs: python predict.py PHOTO --model {shlex.quote(str(folder))}")
    print(f"watch: python -m tensorboard.main --logdir {shlex.quote(str(args.logs))}")


if __name__ == "__main__":
    run_main(main)
