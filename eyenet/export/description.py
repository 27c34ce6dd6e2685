"""The description in an export: the parts of config.json that an app needs to prepare photographs and to decide."""

from eyenet.model.decision import own_point
from eyenet.model.folder import NETWORK, read_measured
from eyenet.model.settings import colours_of, field_of, setting, what_it_has_seen
from eyenet.model.unsure import limits_of
from eyenet.photo.quality import weights
from eyenet.photo.retina import PREPROCESSING

DESCRIPTION_FORMAT = 1  # of model.json


def describe(folder, config):
    """Describe a model for an app.

    Parameters
    ----------
    folder : Path
        Of the model.
    config : dict
        Its config.json.

    Returns
    -------
    dict
        For JSON: `name`, `task`, `classes`, `size`, `colours`, `field` and `preprocessing` version of the photographs,
        whether the model was trained on `synthetic` ones, what it was `trained_on` in words, its own `operating_point`,
        the `decision` by question (temperature, shift, operating points), the limits of the answer `unsure` by question
        (None if there are none for patients), what the operating points reached where they were `measured`, the
        `evidence` of the heat map, the weights of the `quality` gate, the hash of the `split`, and
        the `commit` that trained the model.
    """
    images = config["settings"]["images"]
    return {
        "format": DESCRIPTION_FORMAT,
        "name": f"{folder.resolve().name} {config.get('files', {}).get(NETWORK, 'unknown')[:12]}",
        "task": config["task"],
        "classes": list(config["classes"]),
        "size": config["size"],
        "preprocessing": PREPROCESSING,
        "colours": colours_of(images),
        "field": field_of(images),
        "synthetic": bool(setting(images, "synthetic")),
        "trained_on": what_it_has_seen(config),
        "operating_point": own_point(config),
        "decision": {name: _without_limits(chosen) for name, chosen in config["decision"].items()},
        "unsure": limits_of(config),
        "measured": read_measured(folder),
        "evidence": config.get("evidence"),
        "quality": weights(),
        "split": config["settings"]["split"],
        "commit": config.get("commit"),
    }


def _without_limits(chosen):
    """Leave the limits out of a decision, by which an app tells whether a network answers as before."""
    return {name: part for name, part in chosen.items() if name != "unsure"}


def operating_points(description):
    """Return the thresholds by question and operating point."""
    decision = description["decision"]
    return {question: chosen["eye"]["operating_points"] for question, chosen in decision.items() if "eye" in chosen}
