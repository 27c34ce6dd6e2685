"""Grade photographs and patients with a trained model: quality first, then probability and decision.

To start fast, this path must not import Keras, pandas, SciPy or matplotlib.
"""

import json

import numpy as np

from eyenet.data.tasks import QUESTIONS, TASKS, disease_probability, first_disease
from eyenet.model.answers import (
    AGAIN,
    OWN_GRADE,
    call,
    consistent_grade,
    is_above,
    is_unsure,
    join_eyes,
    only_disease,
    summarise,
    without_limits,
)
from eyenet.model.decision import BALANCED, expected_grade, own_point, predict_grade, thresholds_at
from eyenet.model.disclaimers import SYNTHETIC_MODEL
from eyenet.model.folder import LITE_NETWORK, open_model, read_measured
from eyenet.model.lite import LiteNetwork
from eyenet.model.overlay import draw_heat, draw_page
from eyenet.model.probabilities import calibrate, log_odds, uncalibrate
from eyenet.model.settings import colours_of, field_of, patients_of_choice, setting, what_it_has_seen
from eyenet.model.unsure import band, limits_at
from eyenet.photo.measures import measure
from eyenet.photo.quality import OTHER, SIDE, SMALLEST, judge, weights
from eyenet.photo.retina import crop_photograph, in_colours
from eyenet.run.errors import NoRetina, StageError, log
from eyenet.run.files import follow, sha256_text


def choose_point(config, sensitivity, specificity):
    """Name the operating point for a sensitivity or a specificity; with neither, the model's own.

    Raises
    ------
    StageError
        If the model has no such operating point.
    """
    kind, level = ("sensitivity", sensitivity) if sensitivity is not None else ("specificity", specificity)
    if level is None:
        return own_point(config)
    questions = TASKS[config["task"]].questions
    each = [config["decision"][question]["eye"]["operating_points"] for question in questions]
    stored = [point for point in each[0] if all(point in points for points in each)]
    if (point := f"{kind}_{level:g}") in stored:
        return point
    patients = " and ".join(dict.fromkeys(patients_of_choice(config, question) for question in questions))
    known = ", ".join(name.replace("_", " ") for name in stored if name != BALANCED)
    raise StageError(
        f"the model has no operating point of {kind} {level:g}: the {patients} were too few to support it, or "
        f"it is not one of the known aims; it has {known or 'only its own'}"
    )


def crop_with_quality(path, size, field):
    """Crop a photograph and judge it, on a larger crop if this one is too small to be judged.

    Returns
    -------
    crop, geometry
        As from `eyenet.photo.retina.crop_photograph`.
    quality : eyenet.photo.quality.Quality
    """
    crop, geometry = crop_photograph(path, size, field)
    return crop, geometry, judge(crop, geometry) if size >= SMALLEST else judge(*crop_photograph(path, SIDE, field))


class Screener:
    """Grade photographs with a trained model, without Keras or TensorFlow.

    Parameters
    ----------
    folder : str or Path
        Folder of the model, as cnn.py writes it.
    sensitivity, specificity : float, optional
        Use the operating point with this aim: where it was chosen (validation, or the set of recalibrate.py), the 95 %
        interval starts at it or above. Give one at most. Default: the model's own operating point.
    field : {'auto', 'circle', 'frame'}, optional
        What the crops show, see `eyenet.photo.field`. Default: as the model was trained.
    unsure : str, optional
        Answer "unsure" where disease is neither reported nor ruled out with at most this error rate, one of
        `eyenet.model.unsure.RATES`. Default: answer by the operating point alone.
    measuring : bool
        Tell in each row how the photograph looks (`measures`), which the station watches for a shift.

    Attributes
    ----------
    config : dict
        The model's config.json.
    point : str
        Name of the operating point.
    limits : dict of str to tuple of two floats
        By question, between which the answer is unsure; empty without `unsure`.
    synthetic : bool
        Whether the network was trained on drawings.
    trained_on : str
        What the network has seen.

    Raises
    ------
    StageError
        If the model folder is incomplete, or has no such operating point or limits.

    Examples
    --------
    >>> from eyenet.model.screener import Screener
    >>> screener = Screener("models/cnn")
    >>> row = screener.look("data/download/train/s0001_left.jpeg")
    >>> row["reasons"]  # why it is poor; empty for a gradable photograph
    []
    >>> answer = row["questions"]["any"]
    >>> answer["disease"] == (answer["probability"] >= answer["threshold"])
    True
    """

    def __init__(self, folder, sensitivity=None, specificity=None, field=None, unsure=None, measuring=False):
        folder = follow(folder)
        folder = folder.resolve() if folder.is_dir() else folder  # `latest` may be relinked during a run
        self.made_of = folder, sensitivity, specificity, field, unsure, measuring
        self.config = open_model(folder, LITE_NETWORK)
        self.network = LiteNetwork(folder, self.config)
        self.task, self.decision = TASKS[self.config["task"]], self.config["decision"]
        self.point = choose_point(self.config, sensitivity, specificity)
        self.measuring = measuring
        self.unsure, self.limits = unsure, limits_at(self.config, unsure, folder) if unsure else {}
        images = self.config["settings"]["images"]
        self.size, self.colours = self.config["size"], colours_of(images)
        self.field = field or field_of(images)
        if self.field != field_of(images):
            log(f"note: the model was trained with --field {field_of(images)}; its figures do not hold for {field}")
        self.name = f"{folder.name} {self.config['files'][LITE_NETWORK][:12]}"
        self.synthetic = bool(setting(images, "synthetic"))
        self.trained_on = what_it_has_seen(self.config)
        if self.synthetic:
            log(f"WARNING: {SYNTHETIC_MODEL}")

    def rules(self):
        """Identify calibration, thresholds, limits, grades and quality gate, which change while the network stays."""
        used = {name: {key: part[key] for key in part if key != "unsure"} for name, part in self.decision.items()}
        rules = json.dumps([used, weights(), OWN_GRADE, *([self.limits] if self.limits else [])], sort_keys=True)
        return sha256_text(rules)[:12]

    def __reduce__(self):
        """Pickle as the model's folder and name: another process opens the folder itself."""
        return reopen, (*self.made_of, self.name)

    def look(self, path, target=None):
        """Grade a photograph.

        Parameters
        ----------
        path : path-like
        target : Path, optional
            Where to write the heat map, unless the photograph must be taken again.

        Returns
        -------
        dict
            `result` in words; `gradable`; `reasons`, why the photograph is poor; `quality`, the probability that a
            grader would reject it; `field`, 'circle' or 'frame'. For a gradable photograph, and for a poor one that is
            above a threshold, also `questions`, which maps each question to `probability`, `threshold` and `disease`
            (all None where a poor photograph is below the threshold), and `heatmap`, the path written. For a gradable
            photograph and a model of grades also `expected_grade` and, if the answers allow it, `grade`. With limits
            also `by_threshold`, the result without them. If `measuring`, also `measures`: the `network`, the
            `size`, and the result of `eyenet.photo.measures.measure` for the `photograph` in its own colours; if it
            shows a retina, also for the network's `input`, and the calibrated `probabilities` by question.

        Raises
        ------
        PhotoError
            If the photograph cannot be read.
        """
        try:
            crop, geometry, quality = crop_with_quality(path, self.size, self.field)
        except NoRetina as error:
            return {"result": AGAIN, "gradable": False, "reasons": [OTHER, str(error)]}
        row = {"result": AGAIN, "gradable": quality.gradable, "reasons": list(quality.reasons)}
        row |= {"quality": round(float(quality.score), 4), "field": geometry["field"]}
        if self.measuring:
            size = f"{geometry['width']}x{geometry['height']}"
            row["measures"] = {"network": self.name, "size": size, "photograph": quality.measures}
        if not quality.retina:
            return row
        seen = in_colours(crop, self.colours, geometry)
        probabilities, evidence = self.network(seen, explain=target is not None)
        if not np.isfinite(probabilities).all():
            raise StageError(f"the network predicts NaN or infinity for {path}; train it again")
        answers, own = self.answer(probabilities)
        if self.measuring:
            asked = {question: round(answer["probability"], 4) for question, answer in answers.items()}
            row["measures"] |= {"input": measure(seen, {}), "probabilities": asked}
        if not quality.gradable:
            answers = only_disease(answers)
            if not any(map(is_above, answers.values())):
                return row
        row |= {"result": summarise(answers), "questions": answers}
        if self.limits:
            row["by_threshold"] = summarise(without_limits(answers))
        if quality.gradable and "grade" in self.decision:
            row["expected_grade"] = round(float(expected_grade(probabilities)), 2)
            predicted = int(predict_grade(probabilities[None], self.decision["grade"]["cuts"])[0])
            grade = consistent_grade(predicted, answers)
            row |= {} if grade is None else {"grade": grade}
        if target is not None:
            draw_page(path, target, self.panels(answers, own, evidence, seen), self.field)
            row["heatmap"] = str(target)
        return row

    def answer(self, probabilities):
        """Answer all questions from the network's output; dicts of answers and of uncalibrated probabilities."""
        answers, own = {}, {}
        for question, threshold in self.thresholds().items():
            chosen = self.decision[question]
            own[question] = disease_probability(probabilities[None], first_disease(self.config["task"], question))[0]
            probability = float(calibrate(own[question], chosen["temperature"], chosen["shift"]))
            answers[question] = call(probability, threshold, self.limits.get(question))
        return answers, own

    def thresholds(self):
        """Map each question to the threshold of the operating point."""
        return thresholds_at(self.config, self.point)

    def describe(self):
        """Say which network answers and what it has seen, and what its operating point reached on the test patients.

        The figures are those of eyes, for each question. An aim is what the patients reached on whom the threshold was
        chosen, not what unseen patients get.
        """
        measured = read_measured(self.made_of[0]) or {"set": None, "questions": {}}
        parts = []
        for question in self.task.questions:
            found = measured["questions"].get(question, {}).get(self.point, {})
            said = [
                f"{name} {figure['value']:.0%} ({figure['low']:.0%}-{figure['high']:.0%})"
                for name, figure in found.items()
            ]
            parts.append(f"{QUESTIONS[question].split(' (')[0]}: {', '.join(said) or 'not measured'}")
        where = f" on {measured['set']}" if measured["set"] else ""
        network = f"network {self.name}, trained on {self.trained_on}"
        return f"{network}; operating point {self.point}{where}: {'; '.join(parts)}{self.describe_limits()}"

    def describe_limits(self):
        """Say which probabilities are unsure; nothing without limits."""
        thresholds, parts = self.thresholds(), []
        for question, limits in self.limits.items():
            low, high = band(limits, thresholds[question])
            parts.append(f"{QUESTIONS[question].split(' (')[0]} from {low:.3f} to {high:.3f}")
        return f"; unsure at an error rate of {self.unsure}: {', '.join(parts)}" if parts else ""

    def panels(self, answers, own, evidence, seen):
        """Draw the heat map of each question that is answered, with its caption; `own` is uncalibrated.

        Below the threshold the map is empty, and the caption says that nothing stood out.
        """
        decided = {question: answer for question, answer in answers.items() if answer["probability"] is not None}
        chosen = [(self.decision[question], answer["threshold"]) for question, answer in decided.items()]
        thresholds = np.array([uncalibrate(least, fit["temperature"], fit["shift"]) for fit, least in chosen])
        odds = log_odds([own[question] for question in decided])
        evidence = evidence[[question in decided for question in answers]]
        heats = draw_heat(evidence, odds, thresholds, np.stack([seen] * len(odds)), self.network.grid)
        said = [
            f"{QUESTIONS[question].split(' (')[0]} {answer['probability']:.2f}, called from {answer['threshold']:.2f}"
            + (", unsure" if is_unsure(answer) else "")
            + ("" if is_above(answer) else ": nothing stood out")
            for question, answer in decided.items()
        ]
        return [(line, heat * bool(is_above(answer))) for line, heat, answer in zip(said, heats, decided.values())]

    def join(self, eyes):
        """Combine the photographs of a patient, {'left': rows, 'right': rows} from `look`, into one such row."""
        return join_eyes(eyes, self.thresholds(), self.limits)


def reopen(folder, sensitivity, specificity, field, unsure, measuring, name):
    """Open a model on another host.

    Raises
    ------
    StageError
        If the folder holds another model on this host.
    """
    screener = Screener(folder, sensitivity, specificity, field, unsure, measuring)
    if screener.name != name:
        raise StageError(f"a worker sees another model in {folder} ({screener.name}, not {name})")
    return screener
