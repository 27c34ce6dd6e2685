"""What the settings of a model say about the images that trained it, and on which its decision was chosen."""

from eyenet.data.names import FITTED, SPLIT_NAMES, SPLIT_WORDS

VALIDATION = SPLIT_WORDS["val"]  # where cnn.py chooses the decision of a model


def setting(settings, name):
    """Find a setting of the stages that made the images; None if no stage has it."""
    while isinstance(settings, dict):
        if name in settings:
            return settings[name]
        settings = settings.get("input")
    return None


def colours_of(settings):
    """Find the colours of images in the settings of the stages that made them; natural by default."""
    return setting(settings, "colours") or "natural"


def field_of(settings):
    """Find what the images show by the settings of the stages that made them; the circle by default."""
    return setting(settings, "field") or "circle"


def is_built(config):
    """Tell whether a model was built from trained weights (pretrained/build.py).

    Calibration and thresholds are of the array in its settings, and the weights need not be.
    """
    return config.get("script") == "pretrained/build.py"


def has_older_weights(config):
    """Tell whether a model was built from weights without their script, which are older than the array."""
    return is_built(config) and not (config.get("trained") or {}).get("script")


def what_it_has_seen(config):
    """Say in a few words which photographs a model was trained on, and recalibrated on; `config` as in config.json."""
    trained = config.get("trained", {})
    images = "synthetic drawings" if setting(config["settings"]["images"], "synthetic") else "photographs"
    count = f"{trained['photographs']:,} " if "photographs" in trained else ""
    made = config.get("recalibrated")
    again = f"; recalibrated on {made['photographs']:,} {made['set']}" if made else ""
    return f"{count}{images}{' of ' + trained['source'] if 'source' in trained else ''}{again}"


def chosen_on(config, part):
    """Say on which photographs a part of the decision was chosen.

    A recalibration whose labels do not answer a question leaves its calibration and thresholds as the parent has them.

    Parameters
    ----------
    config : dict
        As in config.json.
    part : str
        A question, for its calibration, thresholds and limits; or ``grade``, for the cuts between the grades.

    Returns
    -------
    str
        `VALIDATION`, or such as ``240 graded photographs in clinic/photos``.
    """
    while made := config.get("recalibrated"):
        if part in made.get("chosen", [part]):
            return f"{made['photographs']:,} graded {made['set']}"
        config = made["parent"]
    return VALIDATION


def patients_of_choice(config, part):
    """Name the patients on whom a part of the decision was chosen, as in `chosen_on`."""
    place = chosen_on(config, part)
    return SPLIT_NAMES["val"] if place == VALIDATION else f"patients of the {place}"


def uses_of_patients(recalibrated, joint="or"):
    """Name in what a network has seen the patients who were not kept for testing; `recalibrated` or not."""
    named = [*(SPLIT_WORDS[split] for split in FITTED), *(["recalibration"] if recalibrated else [])]
    return f"{', '.join(named[:-1])} {joint} {named[-1]}"
