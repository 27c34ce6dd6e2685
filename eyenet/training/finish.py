"""Finish a training: choose the decision on validation, and write what predict.py and evaluate.py need."""

import numpy as np

from eyenet.data.tables import patient_known, write_table
from eyenet.data.tasks import QUESTIONS, TASKS
from eyenet.model.decision import BALANCED, choose_decision, own_point
from eyenet.model.folder import name_latest
from eyenet.model.lite import add_lite
from eyenet.model.loading import load_network
from eyenet.model.patients import list_patients
from eyenet.model.unsure import drop_limits
from eyenet.run.errors import StageError, log, plural
from eyenet.run.files import LATEST, read_json, write_json
from eyenet.score.charts import draw_training_curves
from eyenet.training.run_folder import as_text


def choose_on_validation(network, batches, table, config):
    """Choose the decision on the validation photographs.

    Parameters
    ----------
    network : keras.Model
    batches : eyenet.model.batches.Batches
    table : DataFrame
        Their rows: patient, level.
    config : dict
        config.json of the model, with its task and the operating point of the model that it continues, if any.

    Returns
    -------
    chosen : dict
        `decision`, from `eyenet.model.decision.choose_decision`, and `operating_point`: balanced, unless the model
        continues one with another point, which this validation can promise too.
    lines : list of str
        A description for the user.
    """
    from eyenet.model.batches import predict

    probabilities = predict(network, batches)
    if not np.isfinite(probabilities).all():
        raise StageError("the network predicts values that are not finite on validation; train it again")
    decision = choose_decision(table["patient"].to_numpy(), table["level"].to_numpy(), probabilities, config["task"])
    if not patient_known(table).all():
        drop_limits(decision)
    offered = {q: decision[q]["eye"]["operating_points"] for q in TASKS[config["task"]].questions}
    own, lines = own_point(config), []
    if not all(own in points for points in offered.values()):
        log(
            f"WARNING: validation has too few patients to support {own.replace('_', ' ')}, the operating point of the "
            f"model that this one continues; it answers at the {BALANCED} point, which may find fewer diseased eyes"
        )
        own = BALANCED
    for question, points in offered.items():
        lines.append(f"called {QUESTIONS[question]} from a calibrated probability of {points[own]:.3f}")
        others = ", ".join(name.replace("_", " ") for name in points if name != own)
        lines.append(f"its other operating points: {others or 'none, since validation has too few patients'}")
    return {"decision": decision, "operating_point": own}, lines


def finish(folder, state, images, rows, table, options):
    """Write patients.csv, model.tflite, the decision and the curves of a trained model; return lines for the user.

    Parameters
    ----------
    folder : Path
        The model's folder, with model.keras and config.json.
    state : dict
        Of `eyenet.training.checkpoint.Checkpoint`.
    images : array of uint8, shape (n, size, size, 3)
    rows : ndarray of int
        Those of the validation photographs.
    table : DataFrame
        Table of the array.
    options : dict
        The options of cnn.py.
    """
    from eyenet.model.batches import Batches

    write_table(folder / "patients.csv", list_patients(table, options["start"]))
    config = read_json(folder / "config.json")
    if not (known := patient_known(table)).all():
        config["unknown_patients"] = table["patient"][~known].nunique()  # photographs that were split on their own
    network = load_network(folder, config)
    batches = Batches(images, None, rows, options["batch"])
    chosen, lines = choose_on_validation(network, batches, table.iloc[rows], config)
    config = add_lite(folder, config, network) | chosen | {"options": as_text(options)}
    write_json(folder / "config.json", config)
    draw_training_curves(state["history"], state["best_epoch"], folder / "training_curves.png")
    best = f", validation AUC {state['best']:.3f}" if state["best"] is not None else ""
    epochs = plural(state["epoch"], "epoch")
    return [f"trained {epochs}, kept epoch {state['best_epoch']}{best}, in {folder / 'model.keras'}", *lines]


def name_run(folder):
    """Let `latest` name this run, or warn that it still names an older one."""
    try:
        name_latest(folder)
    except OSError as error:
        log(f"WARNING: {folder.parent / LATEST} still names an older model ({error.strerror}); give --model {folder}")
