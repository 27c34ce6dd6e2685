"""Start a training from the weights of a trained model."""

from eyenet.model.decision import own_point
from eyenet.model.folder import open_model
from eyenet.model.loading import copy_weights, load_network
from eyenet.model.patients import alike_patients, fitted_patients, known_patients
from eyenet.model.settings import colours_of
from eyenet.run.errors import StageError, log, plural


def start_weights(network, folder, task, table, images):
    """Give a network the weights of a trained model, and freeze the same layers.

    Parameters
    ----------
    network : keras.Model
    folder : Path
        Of the trained model.
    task : str
    table : DataFrame
        Table of the array: patient, split.
    images : dict
        Settings of the stages that made the array.

    Returns
    -------
    dict
        What config.json of the new model takes over: the `operating_point`.

    Raises
    ------
    StageError
        If the model is of another kind, or was trained on patients who are for validation or test here.
    """
    config = open_model(folder)
    there = {"network": config["settings"]["network"], "task": config["task"], "size": config["size"]}
    here = {"network": network.name, "task": task, "size": network.input_shape[1]}
    there["colours"], here["colours"] = colours_of(config["settings"]["images"]), colours_of(images)
    if differing := [f"{key} {there[key]}, not {here[key]}" for key in there if there[key] != here[key]]:
        other = there["colours"] != here["colours"]
        remedy = f" (resize_images.py --colours {there['colours']} makes the photographs so)" if other else ""
        raise StageError(f"training cannot continue from {folder}: it has {', '.join(differing)}{remedy}")
    kept = table[table["split"] != "train"]
    if again := known_patients(kept, folder, ("train",)):
        raise StageError(
            f"{folder} was trained on {plural(len(again), 'patient')} for validation or test in this array, such as "
            f"{again[0]}; continue from a model of the same split"
        )
    if alike := alike_patients(kept, fitted_patients(folder, ("train",))):
        log(
            f"WARNING: {plural(len(alike), 'patient')} for validation or test in this array, such as {alike[0]}, "
            f"may also be among the patients on whom {folder} was trained, where another set uses the same ID; if so, "
            "the figures will be too high"
        )
    try:
        copy_weights(network, load_network(folder, config))
    except ValueError:
        raise StageError(f"{folder} holds another network of the name {network.name}; train it again") from None
    return {"operating_point": own_point(config)}
