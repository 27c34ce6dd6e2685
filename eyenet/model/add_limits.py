"""Add the limits of predict.py --unsure to a model that an older version trained.

Reads   predictions.csv in the model's folder      the validation rows, which evaluate.py writes
Writes  config.json                                the limits; nothing else changes

    python evaluate.py --model models/cnn          writes predictions.csv, if it is not there
    python -m eyenet.model.add_limits models/cnn
"""

import shlex

from eyenet.data.tables import patient_known, read_table
from eyenet.data.tasks import TASKS
from eyenet.model.decision import choose_decision
from eyenet.model.folder import open_model
from eyenet.model.settings import VALIDATION, chosen_on
from eyenet.model.unsure import add_to_parent
from eyenet.run.errors import StageError
from eyenet.run.files import read_json, write_json
from eyenet.run.options import model_path, parser
from eyenet.run.script import run_main

CLOSE = 0.01  # in temperature and shift: predictions differ by rounding between machines, other photographs by more


def read_validation(path, classes):
    """Read the validation rows of predictions.csv; the table, and the probabilities (n, classes).

    Raises
    ------
    StageError
        If there are none, or some of their patients are unknown.
    """
    columns = [f"p{k}" for k in range(classes)]
    table = read_table(path, ["patient", "level", "split", *columns], "evaluate.py")
    table = table[table["split"] == "val"]
    if table.empty or not patient_known(table).all():
        raise StageError(
            f"{path} has no validation rows of known patients; run evaluate.py with the array of the model's training "
            "as --input"
        )
    return table, table[columns].to_numpy(float)


def add_limits(folder):
    """Add the limits to config.json of a model, from the validation rows of its predictions.csv.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict
        By question, as from `eyenet.model.unsure.choose_limits`.

    Raises
    ------
    StageError
        If there are no validation rows, their patients are unknown, or the thresholds were chosen on others, such
        as those of recalibrate.py.
    """
    config, path = open_model(folder), folder / "predictions.csv"
    for question in TASKS[config["task"]].questions:
        if (place := chosen_on(config, question)) != VALIDATION:
            raise StageError(
                f"the thresholds of {folder} were chosen on {place}, where limits must be chosen too: "
                f"{add_to_parent(config['recalibrated'])}"
            )
    table, probabilities = read_validation(path, len(config["classes"]))
    chosen = choose_decision(table["patient"].to_numpy(), table["level"].to_numpy(), probabilities, config["task"])
    stored = read_json(folder / "config.json")  # as it is in the file: `open_model` leaves out old rules
    for question in TASKS[config["task"]].questions:
        ours, theirs = chosen[question], stored["decision"][question]
        if any(abs(ours[name] - theirs[name]) > CLOSE for name in ("temperature", "shift")):
            raise StageError(
                f"the thresholds of {folder} were not chosen on the validation rows of {path}; run evaluate.py with "
                "the array of the model's training as --input"
            )
        theirs["unsure"] = ours["unsure"]
    write_json(folder / "config.json", stored)
    return {question: chosen[question]["unsure"] for question in TASKS[config["task"]].questions}


def main():
    options = parser(__doc__)
    options.add_argument("model", type=model_path, help="folder of the model")
    folder = options.parse_args().model
    for question, found in add_limits(folder).items():
        least = next(iter(found["limits"]), None)
        rates = f"error rates from {least}" if least else "too few for any error rate"
        print(f"{question} DR: {found['diseased']} validation patients with it, {found['healthy']} without: {rates}")
    print(f"next: python predict.py PHOTO --model {shlex.quote(str(folder))} --unsure 0.05")


if __name__ == "__main__":
    run_main(main)
