"""Input of report and model card with plausible values (metrics.json, config.json ...), and a reader of pages."""

import copy
import re
from html.parser import HTMLParser
from math import sqrt, tanh
from pathlib import Path

import numpy as np
from conftest import draw_photograph
from sklearn.metrics import precision_recall_curve, roc_curve

from eyenet.data.tasks import LEAST_GRADE, QUESTIONS, TASKS
from eyenet.report.coverage import coverage
from eyenet.report.words import METHODS
from eyenet.report.workload import workload
from eyenet.score.net_benefit import decision_curve

EVIL = "<script>alert(1)</script> & \"co\" 'n' `x` | _y_ *z*"
POINTS = ("balanced", *(f"{what}_{share}" for what in ("sensitivity", "specificity") for share in (0.85, 0.9, 0.95)))
LABELS = ("Grade 0 (No DR)", "Grade 3 (Severe)")
NULL = {"value": None, "low": None, "high": None}


def figure(value, count):
    """Make a figure with a plausible interval; all None if `count` is 0."""
    if not count:
        return dict(NULL)
    half = 1.96 * sqrt(max(value * (1 - value), 0.02) / count)
    return {"value": float(value), "low": float(max(0, value - half)), "high": float(min(1, value + half))}


def rate(hit, chosen):
    return figure(hit[chosen].mean() if chosen.any() else 0, chosen.sum())


def has_both(truth):
    return truth.any() and not truth.all()


def make_bins(truth, probability):
    """Make the calibration bins that are not empty."""
    bins = []
    for lower in np.arange(10) / 10:
        inside = (probability >= lower) & (probability < lower + 0.1)
        if inside.any():
            mean = float(probability[inside].mean())
            bins.append({"count": int(inside.sum()), "predicted": mean, "observed": rate(truth, inside)})
    return bins


def make_referral(truth, probability):
    """Make the figures of the remaining rows when the least certain tenths are referred."""
    sure, referral = np.argsort(-np.abs(probability - 0.5)), []
    for tenth in range(6):
        rest = sure[: max(1, len(sure) * (10 - tenth) // 10)]
        called = probability[rest] >= 0.5
        referral.append(
            {
                "referred": tenth / 10,
                "accuracy": rate(called == truth[rest], np.ones(len(rest), bool)),
                "sensitivity": rate(called, truth[rest]),
                "specificity": rate(~called, ~truth[rest]),
                "auc": figure(0.9 + tenth / 100, len(rest)) if has_both(truth) else dict(NULL),
            }
        )
    return referral


def make_calibration(ece, brier, slope, intercept, count):
    """Make the figures of the calibration; slope and intercept, which may exceed 1 or be below 0, need both classes."""
    both = {"slope": slope, "intercept": intercept} if count else {}
    wide = {name: {"value": value, "low": value - 0.2, "high": value + 0.2} for name, value in both.items()}
    none = {name: dict(NULL) for name in ("slope", "intercept")}
    return {"ece": {"value": ece, "low": None, "high": None}, "brier": figure(brier, 100)} | none | wide


def make_curves(truth, probability):
    if not has_both(truth):
        return {"roc": [], "roc_band": [], "precision_recall": []}
    return {
        "roc_band": [[0.0, 0.1, 0.8], [0.3, 0.6, 1.0], [1.0, 1.0, 1.0]],
        "roc": np.stack(roc_curve(truth, probability)[:2], 1).tolist(),
        "precision_recall": np.stack(precision_recall_curve(truth, probability)[1::-1], 1).tolist(),
    }


def make_unit(rng, level, least, skill):
    """Make a unit's figures from scores drawn for these grades."""
    truth = level >= least
    probability = 1 / (1 + np.exp(-(skill * (level - least + 0.5) + rng.normal(0, 1.3, len(level)))))

    def at(threshold):
        called = probability >= threshold
        return {
            "sensitivity": rate(called, truth),
            "specificity": rate(~called, ~truth),
            "precision": rate(truth, called),
            "npv": rate(~truth, ~called),
            "accuracy": rate(called == truth, np.ones(len(truth), bool)),
        }

    called = probability >= 0.5
    count = len(truth) if has_both(truth) else 0
    read_off = {share: figure(value, count) for share, value in (("0.85", 0.93), ("0.9", 0.88), ("0.95", 0.71))}
    return {
        "count": len(truth),
        "diseased": int(truth.sum()),
        "auc": figure(0.5 + 0.45 * tanh(skill), count),
        "average_precision": figure(0.4 + 0.45 * tanh(skill), count),
        **at(0.5),
        "confusion": [[int((called[truth == t] == c).sum()) for c in (False, True)] for t in (False, True)],
        "operating_points": {
            name: {"threshold": 0.5 + 0.06 * i, **at(0.5 + 0.06 * i)} for i, name in enumerate(POINTS)
        },
        "roc": {"sensitivity_at_specificity": read_off, "specificity_at_sensitivity": copy.deepcopy(read_off)},
        "by_grade": [
            {"grade": g, "count": int((level == g).sum()), "called": rate(called, level == g)} for g in range(5)
        ],
        "calibration": {
            "before": make_calibration(0.081, 0.142, 0.71, -0.4, count),
            "after": make_calibration(0.043, 0.121, 0.97, 0.03, count),
            "bins": make_bins(truth, probability),
        },
        "referral": make_referral(truth, probability),
        "workload": workload(truth, called, np.arange(len(truth)), rng.random(len(truth)) < 0.1, level),
        "decision_curve": decision_curve(truth, probability, np.arange(len(truth))),
        "curves": make_curves(truth, probability),
    }


def make_baselines(diseased, count):
    """Make the figures of the baselines for a number of diseased photographs."""
    healthy = 1 - diseased / count
    both = count if 0 < diseased < count else 0
    return {
        "majority": {
            "what": "gives every photograph the answer that is commoner in training",
            "accuracy": figure(max(healthy, 1 - healthy), count),
            "auc": figure(0.5, both),
        },
        "not_retina": {
            "what": "file size, photograph size, border ring",
            "accuracy": figure(0.71, count),
            "auc": figure(0.61, both),
            "average_precision": figure(0.37, both),
        },
    }


def make_grade(rng, level):
    """Make the figures of predicted grades that are near the true ones."""
    predicted = np.clip(np.round(level + rng.normal(0, 0.7, len(level))), 0, 4).astype(int)
    accuracy = figure((level == predicted).mean(), len(level))
    shown = {
        "kappa": figure(0.571, len(level)),
        "accuracy": accuracy,
        "share": figure(0.64, len(level)),
        "confusion": [[int(((level == g) & (predicted == p)).sum()) for p in range(5)] for g in range(5)],
    }
    return {"kappa": figure(0.617, len(level)), "accuracy": accuracy, "shown": shown}


def make_metrics(task="any", patients=36, skill=1.2, seed=0, shares=(0.73, 0.07, 0.15, 0.03, 0.02), synthetic=True):
    """Make metrics.json for a number of patients with two eyes."""
    rng = np.random.default_rng(seed)
    eyes = rng.choice(5, 2 * patients, p=shares)
    worse = eyes.reshape(-1, 2).max(axis=1)
    questions, splits = {}, {}
    for question in TASKS[task].questions:
        least = LEAST_GRADE[question]
        eye = make_unit(rng, eyes, least, skill)
        questions[question] = {
            "disease": QUESTIONS[question],
            "temperature": 1.37,
            "shift": -0.52,
            "operating_point": "balanced",
            "eye": eye,
            "patient": make_unit(rng, worse, least, skill),
            "unsure": {"0.05": coverage(worse >= least, np.linspace(0, 1, patients), (0.1, 0.8))},
            "baselines": make_baselines(eye["diseased"], len(eyes)),
        }
        if not splits:
            for split, times in (("train", 5), ("val", 1), ("test", 1)):
                counts = {"photographs": times * len(eyes), "diseased": times * eye["diseased"]}
                splits[split] = counts | {k: eye[k] for k in ("accuracy", "precision", "auc")}
                splits[split]["recall"] = eye["sensitivity"]
    grade = make_grade(rng, eyes) if task == "grade" else None
    return {
        "format": 1,
        "model": "cnn",
        "task": task,
        "set": "unseen test patients",
        "known_patients": 0,
        "unknown_patients": 0,
        "synthetic": synthetic,
        "source": "array",
        "photographs": len(eyes),
        "patients": patients,
        "by_grade": np.bincount(eyes, minlength=5).tolist(),
        "bootstrap": {"draws": 2000, "seed": 7, "level": 0.95},
        "intervals": METHODS,
        "splits": splits,
        "questions": questions,
        "grade": grade,
        "ungradable": figure(0.03, len(eyes)),
        "flow": {
            "found": 400,
            "left_out": [{"reason": "the file is truncated", "count": 5}, {"reason": "all black", "count": 3}],
            "kept": 392,
            "splits": {"train": 322 - len(eyes), "val": 70, "test": len(eyes)},
            "evaluated": len(eyes),
            "labels_without_photograph": 1,
        },
    }


def make_config(task="any"):
    """Make config.json as from cnn.py."""
    thresholds = {name: 0.5 + 0.06 * i for i, name in enumerate(POINTS)}
    decision = {
        question: {
            "temperature": 1.37,
            "shift": -0.52,
            "eye": {"operating_points": thresholds},
        }
        for question in TASKS[task].questions
    }
    return {
        "script": "cnn.py",
        "settings": {
            "batch": 32,
            "learning_rate": 0.0003,
            "patience": 8,
            "precision": "float32",
            "xla": False,
            "seed": 0,
            "network": "three_layers",
            "backend": "tensorflow",
            "array": "baa01dc8cd4dbea09ac44b8b798b66d4afa878d6a30c124ee34723ca15f19d75",
            "split": "9738085d4727c201058b452b444a3ff0569bf306ee18d43c619286129b2d6a96",
            "images": {"input": {"input": {"black": 24, "input": {"size": 256, "preprocessing": 1}}}},
        },
        "commit": "575f698c0ffee5e2b7f1f0b1f0d1c3a5b7e9f001",
        "versions": {"python": "3.11.7", "keras": "3.15.1", "numpy": "2.4.6", "tensorflow": "2.21.0"},
        "machine": "Linux-6.1-x86_64-with-glibc2.36",
        "options": {"input": "data/array", "models": "models", "logs": "logs", "run": "cnn", "epochs": "30"},
        "classes": list(TASKS[task].classes),
        "size": 256,
        "decision": decision,
        "finished": True,
    }


def make_history(epochs=21):
    epoch = np.arange(1, epochs + 1)
    return [
        {
            "epoch": float(e),
            "loss": 0.7 * 0.93**e,
            "auc": 1 - 0.5 * 0.9**e,
            "val_loss": 0.7 * 0.95**e + 0.004 * max(0, e - 12),
            "val_auc": 0.93 - 0.4 * 0.85**e - 0.006 * max(0, e - 14),
        }
        for e in map(float, epoch)
    ]


def make_examples(task="any", size=64):
    """Make four photographs per question: true and false positives and negatives."""
    examples = {}
    for question in TASKS[task].questions:
        examples[question] = []
        for i in range(8):
            called = i % 2 == 0
            photograph = draw_photograph(size, size, radius=0.47 * size, seed=i, dots=4 * called)
            overlay = photograph.copy()
            overlay[size // 4 : size // 2, size // 3 : size // 2, 0] = 255
            examples[question].append(
                {
                    "image": f"{i}_left",
                    "label": LABELS[called == (i < 4)],
                    "probability": 0.97 if called else 0.02,
                }
                | {"called": called, "right": i < 4, "photograph": photograph, "overlay": overlay}
            )
    return examples


BALANCE = {"train": [207, 9, 30, 8, 7], "val": [42, 4, 10, 3, 2], "test": [53, 3, 10, 2, 2]}


def without_figures(value):
    """Make every figure null."""
    if isinstance(value, dict):
        return dict(NULL) if value.keys() == NULL.keys() else {k: without_figures(v) for k, v in value.items()}
    return [without_figures(part) for part in value] if isinstance(value, list) else value


DECIMALS = {
    "auc",
    "average_precision",
    "ece",
    "brier",
    "slope",
    "intercept",
    "kappa",
}  # figures that are not shown in percent
VOID = {"meta", "img", "br", "circle", "path", "use", "rect", "line", "link", "input", "hr"}


class Page(HTMLParser):
    """Read a page: its tags with their attributes, its text, and whether every tag is closed in order."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.open, self.pieces = [], [], []
        self.source = Path(path).read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        self.text = re.sub(r"\s+", " ", " ".join(self.pieces).replace("\xa0", " "))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}, {self.getpos()}"
            self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.pieces.append(data)

    def every(self, name):
        """List the values of an attribute on the whole page."""
        return [attributes[name] for _, attributes in self.tags if name in attributes]
