"""What the settings of a model say about the images that trained it."""


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


def what_it_has_seen(config):
    """Say in a few words which photographs a model was trained on, and recalibrated on; `config` as in config.json."""
    trained = config.get("trained", {})
    images = "synthetic drawings" if setting(config["settings"]["images"], "synthetic") else "photographs"
    count = f"{trained['photographs']:,} " if "photographs" in trained else ""
    again = f"; recalibrated on {chosen_on(config)}" if "recalibrated" in config else ""
    return f"{count}{images}{' of ' + trained['source'] if 'source' in trained else ''}{again}"


def chosen_on(config):
    """Say on which photographs calibration and thresholds were chosen; `config` as in config.json."""
    made = config.get("recalibrated")
    return f"{made['photographs']:,} {made['set']}" if made else "validation"
