#!/usr/bin/env python3
"""Build the network that ships with EyeNet from its trained weights.

Reads   WEIGHTS.npz, WEIGHTS.json         the weights by variable, and how they were trained
        WORK/data, WORK/labels            the work folder of a finished pipeline on the photographs of the training
Writes  pretrained/eyenet-lite/           a model folder, as cnn.py writes it, with the weights in float16

    python pretrained/build.py pretrained/lite0-384-distilled.npz --work WORK

Calibration and thresholds are chosen on the validation photographs. Nothing is written unless the smaller files agree
with the network in float32 on them. Takes ten minutes on two cores.
"""

import io
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))
os.environ["KERAS_BACKEND"] = "tensorflow"  # which converts to LiteRT

# ruff: noqa: E402
from eyenet.data.array import content_hash, open_array, rows_by_split
from eyenet.data.tables import write_table
from eyenet.data.tasks import LEAST_GRADE, QUESTIONS, TASKS, disease_probability, first_disease
from eyenet.export.folder import proved_export
from eyenet.export.litert import halve_weights
from eyenet.export.proof import Exam, compare, line, require_parity
from eyenet.model import backend
from eyenet.model.decision import choose_decision
from eyenet.model.folder import FORMAT, LITE_NETWORK, NETWORK, provenance, split_hash
from eyenet.model.lite import LiteNetwork
from eyenet.model.probabilities import calibrate
from eyenet.run.errors import StageError, log
from eyenet.run.files import read_json, sha256, write_json, write_whole
from eyenet.run.options import local_path, parser
from eyenet.run.script import run_main

POINT = "sensitivity_0.9"  # of the default operating point: its lower limit on validation
RECIPE = ("network", "task", "weights", "epochs", "batch", "learning_rate", "precision", "seed", "backend", "rows")
BATCH = 32


def read_recipe(weights, work):
    """Read how the weights were trained, from the JSON file beside them.

    Raises
    ------
    StageError
        If the file is missing or incomplete, or if the patients of WORK are split in another way.
    """
    path = weights.with_suffix(".json")
    recipe = read_json(path)
    if recipe is None or not recipe.keys() >= {*RECIPE, "split", "photographs", "how"}:
        raise StageError(f"{path}, which says how {weights.name} was trained, is missing or incomplete")
    made = (read_json(work / "data" / "preprocessed" / "stage.json") or {}).get("split")
    if made != recipe["split"]:
        raise StageError(
            f"{work} has another split of the patients ({made}) than the training of {weights} ({recipe['split']}), "
            "so the network may have seen its validation patients; run preprocess_images.py with that split"
        )
    return recipe


def load_weights(weights, recipe, size):
    """Build the network and load its weights; the batch normalisation is frozen, as in cnn.py."""
    import keras

    from cnn import build_network
    from eyenet.model.networks import leaves

    network = build_network(recipe["network"], size, len(TASKS[recipe["task"]].classes), "none")
    values = np.load(weights)
    if differing := {variable.path for variable in network.weights} ^ set(values.files):
        raise StageError(f"{weights} does not hold the weights of {recipe['network']}: {min(differing)} differs")
    for variable in network.weights:
        variable.assign(values[variable.path].astype(np.float32))
    for layer in leaves(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return network


def save_halved(network, path):
    """Save a network as a .keras file whose kernels are stored in float16; Keras reads it like any other.

    The bytes depend on the network alone: the date is left out.
    """
    import h5py

    whole = path.with_name(f"whole-{path.name}")
    network.save(whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith(".h5"):
                file = io.BytesIO(data)
                with h5py.File(file, "r") as read, h5py.File(made := io.BytesIO(), "w") as written:
                    copy_halved(read, written)
                data = made.getvalue()
            if name == "metadata.json":
                data = json.dumps({"keras_version": json.loads(data)["keras_version"]}).encode()
            target.writestr(zipfile.ZipInfo(name), data)
    whole.unlink()


def copy_halved(source, target):
    """Copy an HDF5 group; arrays of more than one dimension, which are kernels and matrices, in float16."""
    target.attrs.update(source.attrs)
    for name, item in source.items():
        if hasattr(item, "items"):
            copy_halved(item, target.create_group(name))
            continue
        values = item[()]
        target[name] = values.astype(np.float16) if values.dtype == np.float32 and values.ndim > 1 else values
        target[name].attrs.update(item.attrs)


def describe(recipe, table, sidecar, size):
    """Describe the network as cnn.py's config.json does, apart from its decision and files."""
    made = provenance()
    settings = {name: recipe[name] for name in RECIPE}
    settings |= {"array": content_hash(sidecar), "split": split_hash(table), "images": sidecar["settings"]}
    return {
        "script": "pretrained/build.py",
        "settings": settings,
        "format": FORMAT,
        "task": recipe["task"],
        "classes": TASKS[recipe["task"]].classes,
        "size": size,
        "commit": made["commit"],
        "versions": made["versions"],
        "trained": {name: recipe[name] for name in ("how", "trial", "photographs", "split")},
        "operating_point": POINT,
    }


def write_lite_halved(network, config, folder, exam):
    """Write model.tflite with its kernels in float16; return the entries of config.json, and a line with the parity.

    Raises
    ------
    StageError
        If its probabilities differ from those of Keras by more than float16 allows.
    """
    from eyenet.model.lite import write_lite

    path = folder / LITE_NETWORK
    config = config | {"evidence": write_lite(network, config["task"], folder)}
    write_whole(path, halve_weights(path.read_bytes()))
    lite = LiteNetwork(folder, config)
    figures = compare(exam, np.stack([lite(photograph)[0] for photograph in exam.photographs]), config)
    require_parity(figures, "float16", path.name)
    files = {name: sha256(folder / name) for name in (NETWORK, LITE_NETWORK)}
    return config | {"files": files}, f"{path.name}, {line(figures)}"


def reached(levels, patients, probabilities, config):
    """Compute what the default operating point reaches on validation: by question, sensitivity and specificity."""
    from eyenet.score.intervals import rates_with_intervals

    found = {}
    for question in TASKS[config["task"]].questions:
        chosen = config["decision"][question]
        raw = disease_probability(probabilities, first_disease(config["task"], question))
        probability = calibrate(raw, chosen["temperature"], chosen["shift"])
        called = probability >= chosen["eye"]["operating_points"][POINT]
        rates = rates_with_intervals(levels >= LEAST_GRADE[question], called, patients)
        found[question] = {name: rates[name] for name in ("sensitivity", "specificity")}
    return found


def build(weights, work, folder):
    """Build the model folder; return lines for the user."""
    from eyenet.model.batches import Batches, predict

    recipe = read_recipe(weights, work)
    images, table, sidecar = open_array(work / "data" / "array")
    network, size = load_weights(weights, recipe, images.shape[1]), images.shape[1]
    config = describe(recipe, table, sidecar, size)
    rows = rows_by_split(table, sidecar["settings"])["val"]
    levels, patients = table["level"].to_numpy()[rows], table["patient"].to_numpy()[rows]
    log(f"predicting {len(rows):,} validation photographs")
    probabilities = predict(network, Batches(images, None, rows, BATCH))
    config["decision"] = choose_decision(patients, levels, probabilities, recipe["task"])
    config["validation"] = reached(levels, patients, probabilities, config)
    save_halved(network, folder / NETWORK)
    exam = Exam("validation photographs", images[rows], levels, probabilities, None)
    config, parity = write_lite_halved(network, config, folder, exam)
    write_table(folder / "patients.csv", table[["patient", "split"]].drop_duplicates().sort_values("patient"))
    write_json(folder / "config.json", config | {"finished": True})
    return [parity, *lines_of(config)]


def lines_of(config):
    """Describe the default operating point on validation in lines."""
    for question, found in config["validation"].items():
        said = [f"{name} {x['value']:.3f} ({x['low']:.3f}-{x['high']:.3f})" for name, x in found.items()]
        yield f"{POINT} on validation, {QUESTIONS[question]}: {', '.join(said)}"


def main():
    options = parser(__doc__, output=REPO / "pretrained" / "eyenet-lite")
    options.add_argument("weights", type=local_path, metavar="WEIGHTS.npz", help="trained weights")
    options.add_argument("--work", type=local_path, default=".", help="work folder of the pipeline")
    args = options.parse_args()
    backend.start("float32", 0)
    with proved_export(args.output) as folder:
        folder.mkdir()
        lines = build(args.weights, args.work, folder)
    print("\n".join(lines))
    total = sum(path.stat().st_size for path in args.output.iterdir())
    print(f"{args.output}: {total / 1e6:.1f} MB")


if __name__ == "__main__":
    run_main(main)
