"""What made a model and its figures: the rows of "What made it" in the report and in the model cards."""

from eyenet.data.tasks import TASKS
from eyenet.model.settings import has_older_weights, is_built
from eyenet.report.words import DASH

FOLDERS = ("input", "models", "logs")  # options that name folders of one machine


def made_by(metrics, config):
    """List the provenance of a model and its figures: commit, data, versions, settings.

    Returns
    -------
    list of (str, str)
        Name and value, both strings.
    """
    settings = config.get("settings") or {}
    bootstrap = metrics["bootstrap"]
    rows = {
        "run": metrics["model"],
        **recalibration_rows(config.get("recalibrated")),
        "task": f"{metrics['task']}: {', '.join(TASKS[metrics['task']].classes)}",
        "commit": config.get("commit"),
        "split (SHA-256)": settings.get("split"),
        name_of_array(config): settings.get("array"),
        **({"array that it was scored on (SHA-256)": metrics["array"]} if "array" in metrics else {}),
        "bootstrap": f"{bootstrap['draws']:,} draws of patients, seed {bootstrap['seed']}",
        **({"photographs of unknown patients": config["unknown_patients"]} if "unknown_patients" in config else {}),
        **{f"{name} version": version for name, version in (config.get("versions") or {}).items()},
        "machine": config.get("machine"),
        "size of the input": config.get("size"),
        **{name: value for name, value in nested_settings(settings) if name not in ("split", "array")},
        **_options(config, settings),
    }
    return [(name.replace("_", " "), plain(value)) for name, value in rows.items()]


def name_of_array(config):
    """Say what the array in the settings of a model is: usually the one that it was trained on."""
    if not is_built(config):
        return "array (SHA-256)"
    use = "" if config.get("recalibrated") else " that it was calibrated on"
    return f"array{use}{', made after the weights' if has_older_weights(config) else ''} (SHA-256)"


def recalibration_rows(made):
    """Tell the parent and the data of a recalibrated model; dict of str, empty if `made`, of config.json, is None."""
    if made is None:
        return {}
    parent = f"{made['parent']['name']}, network {made['parent']['network']}"
    return {"recalibrated from": parent, "recalibrated on": f"{made['set']}, {made['counted']}, data {made['data']}"}


def _options(config, settings):
    """List the options of a training that its settings do not have and that were given; they were stored as text."""
    given = {n: v for n, v in (config.get("options") or {}).items() if n not in FOLDERS and n not in settings}
    return {name: {"True": True, "False": False}.get(value, value) for name, value in given.items() if value != "None"}


def nested_settings(value, prefix=""):
    """List the leaves of nested settings as (``outer inner``, value).

    Each stage records the settings of the previous one under `input`; that key is left out of the names.
    """
    if not isinstance(value, dict):
        return [(prefix.strip(), value)]
    names = {key: prefix if key == "input" else f"{prefix} {key}" for key in value}
    return [leaf for key, part in value.items() for leaf in nested_settings(part, names[key])]


def plain(value):
    """Format a value of a JSON file as text."""
    if value is None:
        return f"{DASH} (unknown)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
