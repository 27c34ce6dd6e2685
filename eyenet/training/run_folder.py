"""The folder of a training: what it records, and what a training that continues in it must share."""

import os

from eyenet.data.array import content_hash
from eyenet.data.tasks import TASKS
from eyenet.model.folder import FORMAT, NETWORK
from eyenet.model.patients import split_hash
from eyenet.model.provenance import provenance
from eyenet.model.weights import hash_weights
from eyenet.run.files import sha256
from eyenet.run.folder import output_folder


def settings_of(options, table, sidecar):
    """Return what a run's folder may not mix: options, array, split, and the content of the initial weights.

    The parameters are those of `run_folder`.
    """
    compared = ("network", "task", "epochs", "batch", "learning_rate", "precision", "seed")
    settings = {key: options[key] for key in compared} | {
        "weights": hash_weights(options["network"], options["weights"]),
        "backend": os.environ["KERAS_BACKEND"],
        "array": content_hash(sidecar),
        "split": split_hash(table),
        "images": sidecar["settings"],
    }
    settings |= {"shuffle": "blocks"} if "shard_size" in sidecar else {}  # an order of its own
    settings |= {"rows": options["rows"]} if options["rows"] != "all" else {}
    return settings | ({"start": sha256(options["start"] / NETWORK)} if options["start"] else {})


def as_text(options):
    """Convert the values of options to text, as config.json holds them."""
    return {key: str(value) for key, value in options.items()}


def run_folder(options, table, sidecar, started, distribution):
    """Lock and record the folder of a training, in the first process only.

    Parameters
    ----------
    options : dict
        The options of cnn.py.
    table : DataFrame
        Table of the array.
    sidecar : dict
        X.json of the array.
    started : dict
        What `eyenet.training.start.start_weights` takes over from another model; empty without one.
    distribution : eyenet.training.distribution.Distribution

    Returns
    -------
    context manager
        Of the folder, a Path, as `eyenet.run.folder.output_folder` makes it; of None in the other processes.

    Raises
    ------
    StageError
        If the processes were started with different settings, or the folder cannot be used.
    """
    settings, task = settings_of(options, table, sidecar), options["task"]
    distribution.require_same(settings)
    made = {"format": FORMAT, "task": task, "classes": TASKS[task].classes, "size": sidecar["shape"][1]}
    made |= started | provenance() | {"options": as_text(options), "record": "config.json", "keep_notes": True}
    return distribution.first(output_folder(options["models"] / options["run"], "cnn.py", settings, **made))
