"""What config.json says about the network, its training and its decision, for the checklists.

Each function takes metrics.json and config.json, as dicts, and returns sentences; empty text if the files do not tell.
"""

from eyenet.data.tasks import TASKS
from eyenet.model import disclaimers
from eyenet.model.settings import VALIDATION, has_older_weights, is_built
from eyenet.report import words
from eyenet.report.chosen import chosen_on, places
from eyenet.report.facts_of_data import on_validation
from eyenet.report.words import plural, point_name


def _settings(config):
    return config.get("settings") or {}


def kind(metrics, config):
    """Say what kind of technology it is, and what it is to find."""
    if not (network := _settings(config).get("network")):
        return ""
    diseases = " and ".join(asked["disease"] for asked in metrics["questions"].values())
    return f"Deep learning: the convolutional network {network} predicts {diseases} from a photograph of the retina."


def objective(metrics, config):
    """Say what the evaluation estimates."""
    diseases = " and ".join(asked["disease"] for asked in metrics["questions"].values())
    return f"To estimate how well {metrics['model']}, a network that was trained before, detects {diseases}."


def network(metrics, config):
    """Describe the network: its name, input and output."""
    name, size = _settings(config).get("network"), config.get("size")
    if not name or not size:
        return ""
    classes = TASKS[metrics["task"]].classes
    return (
        f"{name}: input {size} x {size} x 3, uint8; output {len(classes)} probabilities ({', '.join(classes)}). "
        "eyenet/model/networks.py names the code of its layers."
    )


def start(metrics, config):
    """Say with which weights training started."""
    settings = _settings(config)
    if "start" in settings:
        return f"Training continued from another model, whose model.keras has the SHA-256 {settings['start']}."
    if "weights" not in settings:
        return ""
    if settings["weights"] == "none":
        return f"Random initial weights, seed {settings['seed']}."
    return f"Initial weights of the convolutions: {settings['weights']}; the others random, seed {settings['seed']}."


def training(metrics, config):
    """Say how the network was trained."""
    settings, how = _settings(config), (config.get("trained") or {}).get("how")
    keys = ("epochs", "batch", "learning_rate", "precision", "backend", "seed")
    if not all(key in settings for key in keys):
        return ""
    told = ", ".join(f"{key.replace('_', ' ')} {settings[key]}" for key in keys)
    where = " Augmentation, loss and optimizer are in cnn.py." if config.get("script") == "cnn.py" else ""
    return f"Settings: {told}.{f' {how}.' if how else ''}{where}"


def selection(metrics, config):
    """Say how the final weights were chosen; known for cnn.py only."""
    if config.get("script") != "cnn.py":
        return ""
    return "The weights of the epoch with the best AUC on validation were kept."


def imbalance(metrics, config):
    """Say how the imbalance of classes was handled; known for cnn.py only."""
    options = config.get("options") or {}
    if not {"balanced", "rows"} <= options.keys():
        return ""
    if options["rows"] == "all":
        rows = "Mirrored and rotated copies were added: 2 images of a photograph without DR, 6 of one with DR."
    else:
        rows = "Each photograph was used once per epoch, at the frequencies of the data."
    weights = " The classes weigh equally in the loss." if options["balanced"] == "True" else ""
    return f"{rows}{weights} The probabilities were then calibrated on {places(metrics)}."


def calibration_fit(metrics, config):
    """Say how probabilities are calibrated."""
    fitted = [
        f"temperature {asked['temperature']:.3g} and shift {asked['shift']:.3g} for {asked['disease']}, fitted on "
        f"{chosen_on(asked)}"
        for asked in metrics["questions"].values()
    ]
    return f"The log-odds are calibrated by {'; '.join(fitted)}."


def thresholds(metrics, config):
    """Say at which threshold the network answers, and how it was chosen."""
    points = []
    for asked in metrics["questions"].values():
        name = asked["operating_point"]
        threshold = asked["eye"]["operating_points"][name]["threshold"]
        if not words.defined(threshold):
            return ""
        points.append(f"{asked['disease']} from a calibrated probability of {threshold:.4g} ({point_name(name)})")
    where = places(metrics, "these same photographs" if on_validation(metrics) else VALIDATION)
    before = "" if where == "these same photographs" else ", before this evaluation"
    return (
        f"Positive: {'; '.join(points)}. The thresholds were chosen on {where}{before}: “balanced” by Youden's index, "
        "the others to reach their aim. Figures read from this set's own ROC curve are exploratory."
    )


def output(metrics, config):
    """Say what the network returns."""
    return (
        "It returns a calibrated probability of disease for each photograph, and an answer at the operating point; a "
        "patient has the highest probability of the photographs."
    )


def software(metrics, config):
    """List the versions of the software that trained the network."""
    versions = ", ".join(f"{name} {version}" for name, version in (config.get("versions") or {}).items())
    commit = f" at commit {config['commit']}" if config.get("commit") else ""
    return f"Trained with EyeNet{commit}; {versions}." if versions else ""


def machine(metrics, config):
    """Name the machine on which the network was trained."""
    return f"The machine of the training was {config['machine']}." if config.get("machine") else ""


def code(metrics, config):
    """Say which code makes training and evaluation reproducible."""
    if not config.get("commit"):
        return ""
    return (
        f"The network was trained with EyeNet, MIT licence, commit {config['commit']}; evaluate.py computes the "
        "figures."
    )


def fingerprint(metrics, config):
    """Name the file of the network by its hash."""
    hashed = (config.get("files") or {}).get("model.keras")
    return f"The network is model.keras, SHA-256 {hashed}." if hashed else ""


def predictions(metrics, config):
    """Say how a prediction is computed."""
    return (
        "evaluate.py applies model.keras and the calibration and thresholds of config.json; MODEL_CARD.md has the "
        "lines of Python that predict for a new photograph."
    )


def stored(metrics, config):
    """Say where the outputs are stored."""
    return (
        "predictions.csv has the probabilities of every photograph, metrics.json all figures, and config.json the "
        "hashes of data, split and network."
    )


def heat_maps(metrics, config):
    """Say how predictions are explained."""
    if not config.get("evidence"):
        return ""
    return (
        "Heat maps show where the network finds evidence (LayerCAM; Grad-CAM where only pooling follows), for the most "
        "confident right and wrong predictions."
    )


def intended_use(metrics, config):
    """Say what the network is for, and what it is not."""
    return f"{disclaimers.NOT_A_DEVICE} {disclaimers.INTENDED_USE} {disclaimers.NOT_COVERED}"


def users(metrics, config):
    """Say what a user does, and who decides."""
    return "A user takes photographs of both eyes, and a poor one again; a trained person decides about every patient."


def not_updated(metrics, config):
    """Say that the evaluation changes nothing."""
    return "Nothing is updated: this evaluation fits nothing and changes no file of the model."


def recorded(metrics, config):
    """Say which data are named by hashes."""
    settings = _settings(config)
    if not {"array", "split"} <= settings.keys():
        return ""
    photographs = (config.get("trained") or {}).get("photographs")
    count = f" ({plural(photographs, 'photograph')})" if photographs else ""
    if is_built(config):
        use = "its weights were first calibrated on" if config.get("recalibrated") else "the network was calibrated on"
        made = f"{settings['array']} is the SHA-256 of the array that {use}, {settings['split']} that of its split."
        if has_older_weights(config):
            return f"{made} The weights{count} were made before this array."
        return f"{made} config.json has the hashes of the data that the weights were trained on{count}."
    return f"The training data{count} have the SHA-256 {settings['array']}, their split {settings['split']}."


FACTS = (
    kind,
    objective,
    network,
    start,
    training,
    selection,
    imbalance,
    calibration_fit,
    thresholds,
    output,
    software,
    machine,
    code,
    fingerprint,
    predictions,
    stored,
    heat_maps,
    intended_use,
    users,
    not_updated,
    recorded,
)
