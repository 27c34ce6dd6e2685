"""The description in an export: the parts of config.json that an app needs to prepare photographs and to decide."""

from eyenet.model.folder import NETWORK, colours_of, setting
from eyenet.photo.quality import weights
from eyenet.photo.retina import PREPROCESSING
from eyenet.run.files import read_json

FORMAT = 1  # of model.json


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
        For JSON: `name`, `task`, `classes`, `size`, `colours` and `preprocessing` version of the photographs, whether
        the model was trained on `synthetic` ones, the `decision` by question (temperature, shift, operating points),
        what the operating points reached where they were `measured`, the `evidence` of the heat map, the weights of
        the `quality` gate, the hash of the `split`, and the `commit` that trained the model.
    """
    images = config["settings"]["images"]
    return {
        "format": FORMAT,
        "name": f"{folder.resolve().name} {config.get('files', {}).get(NETWORK, 'unknown')[:12]}",
        "task": config["task"],
        "classes": list(config["classes"]),
        "size": config["size"],
        "preprocessing": PREPROCESSING,
        "colours": colours_of(images),
        "synthetic": bool(setting(images, "synthetic")),
        "decision": config["decision"],
        "measured": measured(folder),
        "evidence": config.get("evidence"),
        "quality": {name: fit for name, fit in weights().items() if name in ("natural", "equalized")},
        "split": config["settings"]["split"],
        "commit": config.get("commit"),
    }


def measured(folder):
    """Read what the operating points of an eye reached on the test patients.

    Parameters
    ----------
    folder : Path
        Of the model.

    Returns
    -------
    dict or None
        For JSON: the `set` of patients, and `questions`, which maps question and operating point to `sensitivity` and
        `specificity` (`value`, and the interval from `low` to `high`). None if evaluate.py has not measured them.
    """
    metrics = read_json(folder / "metrics.json") or {}
    questions = {}
    for question, figures in metrics.get("questions", {}).items():
        points = figures.get("eye", {}).get("operating_points", {})
        questions[question] = {point: _complete(found) for point, found in points.items()}
    return {"set": metrics.get("set"), "questions": questions} if questions else None


def _complete(found):
    """Keep sensitivity and specificity where they and their interval are defined."""
    figures = {name: found.get(name) for name in ("sensitivity", "specificity")}
    return {name: figure for name, figure in figures.items() if figure and None not in figure.values()}


def operating_points(description):
    """Return the thresholds by question and operating point."""
    decision = description["decision"]
    return {question: chosen["eye"]["operating_points"] for question, chosen in decision.items() if "eye" in chosen}
