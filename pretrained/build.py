#!/usr/bin/env python3
"""Build the network that ships with EyeNet from its trained weights.

Reads   WEIGHTS.npz, WEIGHTS.json         the weights by variable, and how they were trained
        WORK/data, WORK/labels            the work folder of a finished pipeline on the photographs of the training
        DATA/train, DATA/trainLabels.csv  other graded photographs that the network is scored on
Writes  pretrained/eyenet-lite/           a model folder, as cnn.py writes it, with the kernels in float16
        benchmarks/results/pretrained.csv

    python pretrained/build.py WEIGHTS.npz --work WORK --data ../shared/data/eyepacs-1024
    python pretrained/build.py pretrained/eyenet-lite --work WORK --data ...    from the weights of the last build
    python pretrained/build.py pretrained/eyenet-lite --work WORK --data ... --score    its figures and card alone

Calibration and thresholds are chosen on the validation photographs. Nothing is written unless model.tflite agrees with
Keras on them. Then the test photographs and those of DATA are scored, for the card. Takes five minutes of processor
time. With --score weights, calibration, thresholds and summary stay as they are; processors differ in the last digits
of a new calibration.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPO), str(REPO / "benchmarks")]
os.environ["KERAS_BACKEND"] = "tensorflow"  # which converts to LiteRT

# ruff: noqa: E402
from eyenet.data.array import content_hash, open_array, rows_by_split
from eyenet.data.tables import write_table
from eyenet.data.tasks import GRADES, LEAST_GRADE, TASKS, first_disease
from eyenet.export.folder import proved_export
from eyenet.export.halved import save_halved
from eyenet.export.litert import halve_weights
from eyenet.export.proof import RETINA, Exam, compare, line, require_parity
from eyenet.model import backend
from eyenet.model.decision import choose_decision, raw_and_calibrated, thresholds_at
from eyenet.model.folder import FORMAT, LITE_NETWORK, NETWORK, open_model
from eyenet.model.lite import LiteNetwork
from eyenet.model.loading import load_network
from eyenet.model.patients import split_hash
from eyenet.model.provenance import provenance
from eyenet.model.reference import REFERENCE, summarise
from eyenet.model.screener import Screener
from eyenet.model.settings import is_built
from eyenet.photo.measures import measure
from eyenet.photo.retina import photograph_to_input
from eyenet.run.errors import StageError, log
from eyenet.run.files import read_json, sha256, write_json, write_whole
from eyenet.run.options import local_path, parser
from eyenet.run.script import run_main
from eyenet.run.workers import cores, for_each
from eyenet.score.intervals import rates_with_intervals
from make_sample import take_photograph

NOTE = (  # in config.json of weights without a script, with the hash of the array beside the settings of the training
    "The weights were made before the array of these settings, on which calibration and thresholds were chosen. The "
    "script that trained them was not kept with them."
)
POINT = "sensitivity_0.9"  # the default operating point: validation promises this sensitivity
SETTINGS = ("network", "task", "weights", "epochs", "batch", "learning_rate", "precision", "seed", "backend", "rows")
BATCH = 32
EXPLAINED, ALIKE = 16, 0.99  # photographs whose evidence is compared, and the least correlation of a photograph's


def read_weights(source):
    """Read trained weights and how they were trained, from a .npz and the .json beside it or from a model folder.

    Returns
    -------
    values : mapping of str to ndarray
        By path of the variable.
    recipe : dict

    Raises
    ------
    StageError
        If a file is missing or incomplete.
    """
    if source.is_dir():
        import keras

        config = open_built(source)
        values = {variable.path: variable.numpy() for variable in load_network(source, config).weights}
        keras.utils.clear_session()  # so that layers get the same names, and the file the same bytes
        return values, config["trained"]
    recipe = read_json(source.with_suffix(".json"))
    if recipe is None or not recipe.keys() >= {*SETTINGS, "split", "photographs", "source", "how", "trial"}:
        raise StageError(
            f"{source.with_suffix('.json')}, which says how {source} was trained, is missing or incomplete"
        )
    if not source.is_file():
        raise StageError(f"there is no file of weights {source}")
    return np.load(source), recipe


def open_built(source):
    """Read config.json of a model folder, which must be one of this script, or raise a StageError."""
    config = open_model(source)
    if not is_built(config) or config.get("recalibrated"):
        raise StageError(f"{source} is not a folder of this script")
    return config


def require_split(recipe, work):
    """Raise a StageError unless the patients in WORK are split as in the training of the network."""
    made = (read_json(work / "data" / "preprocessed" / "stage.json") or {}).get("split")
    if made != recipe["split"]:
        raise StageError(
            f"{work} splits the patients by {made}, and the network was trained with {recipe['split']}, so it may have "
            "seen its validation patients; run preprocess_images.py with that split"
        )


def build_network(values, recipe, size):
    """Build the network with its weights; the batch normalisation is frozen, as in cnn.py."""
    import keras

    import cnn
    from eyenet.model.networks import leaves

    network = cnn.build_network(recipe["network"], size, len(TASKS[recipe["task"]].classes), "none")
    if differing := {variable.path for variable in network.weights} ^ set(values):
        raise StageError(f"these are not the weights of {recipe['network']}: {min(differing)} is in one of them only")
    for variable in network.weights:
        variable.assign(values[variable.path].astype(np.float32))
    for layer in leaves(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return network


def note_of(recipe):
    """Return the note of config.json; weights of pretrained/train.py name their script and data, and need none."""
    return {} if recipe.get("script") else {"note": NOTE}


def describe(recipe, table, sidecar, size):
    """Describe the network as cnn.py's config.json does, apart from its decision and files."""
    made = provenance()
    settings = {name: recipe[name] for name in SETTINGS}
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
        "trained": recipe,
        "operating_point": POINT,
    } | note_of(recipe)


def predict_with_features(network, images, rows):
    """Predict probabilities (n, classes), and what the last layer sees (n, k)."""
    import keras

    from eyenet.model.batches import Batches, predict

    last = network.layers[-1]
    features = predict(keras.Model(network.input, last.input), Batches(images, None, rows, BATCH))
    return keras.ops.convert_to_numpy(last(features.astype(np.float32))).astype(np.float64), features


def ask(probabilities, config):
    """Answer each question: calibrated probabilities (n,), and the threshold of the default operating point."""
    for question, threshold in thresholds_at(config).items():
        yield question, raw_and_calibrated(config["decision"], probabilities, config["task"], question)[1], threshold


def reached(levels, patients, probabilities, config):
    """Compute sensitivity and specificity of the default operating point on validation, by question."""
    found = {}
    for question, probability, threshold in ask(probabilities, config):
        rates = rates_with_intervals(levels >= LEAST_GRADE[question], probability >= threshold, patients)
        found[question] = {name: rates[name] for name in ("sensitivity", "specificity")}
    return found


def summarise_validation(images, rows, probabilities, features, config):
    """Summarise how the validation photographs look to the network, at the default operating point."""
    answers = list(ask(probabilities, config))
    asked = {question: probability for question, probability, _ in answers}
    thresholds = {question: threshold for question, _, threshold in answers}
    measures = [found for _, found in for_each(lambda row: measure(images[row], {}), rows, cores(), "measure")]
    return {"set": "validation photographs", "operating_point": POINT} | summarise(
        measures, asked, thresholds, features
    )


def write_lite_halved(network, config, folder, exam):
    """Write model.tflite with its kernels in float16; return config.json with its entries.

    Raises
    ------
    StageError
        If its probabilities differ from those of Keras by more than float16 allows, or its evidence.
    """
    from eyenet.model.evidence import evidence_of
    from eyenet.model.lite import write_lite

    path = folder / LITE_NETWORK
    config = config | {"evidence": write_lite(network, config["task"], folder)}
    write_whole(path, halve_weights(path.read_bytes()))
    lite = LiteNetwork(folder, config)
    figures = compare(exam, np.stack([lite(photograph)[0] for photograph in exam.photographs]), config)
    require_parity(figures, "float16", path.name)
    few = exam.take(EXPLAINED).photographs
    maps = np.stack([lite(photograph, explain=True)[1] for photograph in few])
    firsts = [first_disease(config["task"], question) for question in lite.questions]
    pairs = [pair for k, first in enumerate(firsts) for pair in zip(maps[:, k], evidence_of(network, few, first)[0])]
    figures["evidence"] = min(float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]) for ours, theirs in pairs)
    if not figures["evidence"] > ALIKE:
        raise StageError(f"the evidence of {path.name} correlates with that of Keras by {figures['evidence']:.3f} only")
    log(f"{path.name}, {line(figures)}; correlation of the evidence {figures['evidence']:.4f}")
    return config | {"files": {name: sha256(folder / name) for name in (NETWORK, LITE_NETWORK)}, "parity": figures}


def answer_examples(folder):
    """Answer drawings and scikit-image's retina with model.tflite: by name and question, what a test compares with."""
    screener, found = Screener(folder), {}
    with tempfile.TemporaryDirectory() as drawn:
        paths = [RETINA]
        for number, level in enumerate(GRADES, start=10):  # drawings without a defect
            paths.append(Path(drawn) / f"{number}_left_{level}.jpeg")  # patient, eye and grade of the drawing
            paths[-1].write_bytes(take_photograph(0, number, "left", level))
        for path in paths:
            crop, _ = photograph_to_input(path, screener.size, screener.colours, screener.field)
            answers, _ = screener.answer(screener.network(crop)[0])
            found[path.stem] = {question: round(answer["probability"], 4) for question, answer in answers.items()}
    return found


def build(source, work, folder):
    """Build the model folder, apart from its card."""
    values, recipe = read_weights(source)
    require_split(recipe, work)
    images, table, sidecar = open_array(work / "data" / "array")
    size, rows = images.shape[1], rows_by_split(table, sidecar["settings"])["val"]
    network, config = build_network(values, recipe, size), describe(recipe, table, sidecar, size)
    levels, patients = table["level"].to_numpy()[rows], table["patient"].to_numpy()[rows]
    log(f"predicting {len(rows):,} validation photographs")
    probabilities, features = predict_with_features(network, images, rows)
    config["decision"] = choose_decision(patients, levels, probabilities, recipe["task"])
    config["validation"] = reached(levels, patients, probabilities, config)
    write_json(folder / REFERENCE, summarise_validation(images, rows, probabilities, features, config))
    save_halved(network, folder / NETWORK)
    exam = Exam("validation photographs", images[rows], levels, probabilities, None)
    config = write_lite_halved(network, config, folder, exam)
    write_table(folder / "patients.csv", table[["patient", "split"]].drop_duplicates().sort_values("patient"))
    config["finished"] = True
    write_json(folder / "config.json", config)  # which the screener reads
    write_json(folder / "config.json", config | {"examples": answer_examples(folder)})


def copy_network(source, work, folder):
    """Copy a model folder of this script, to score it again; its config.json gets the present note."""
    if not source.is_dir():
        raise StageError(f"--score takes a folder of this script, and {source} is not one")
    trained = open_built(source)["trained"]
    require_split(trained, work)
    shutil.copytree(source, folder)
    kept = {name: value for name, value in read_json(source / "config.json").items() if name != "note"}
    write_json(folder / "config.json", kept | note_of(trained))


def main():
    options = parser(__doc__, output=REPO / "pretrained" / "eyenet-lite")
    options.add_argument("weights", type=local_path, metavar="WEIGHTS", help="a .npz file, or a folder of this script")
    options.add_argument("--work", type=local_path, default=".", help="work folder of the pipeline")
    options.add_argument("--data", type=local_path, nargs="*", default=[], help="other photographs to score it on")
    options.add_argument("--score", action="store_true", help="write only the figures and the card of a folder again")
    args = options.parse_args()
    backend.start("float32", 0)
    from card import finish

    with proved_export(args.output) as folder:
        if args.score:
            copy_network(args.weights, args.work, folder)
        else:
            folder.mkdir()
            build(args.weights, args.work, folder)
        finish(folder, args.work, args.data)
    total = sum(path.stat().st_size for path in args.output.iterdir())
    print(f"{args.output}: {total / 1e6:.1f} MB; next: python predict.py PHOTO --model {args.output}")


if __name__ == "__main__":
    run_main(main)
