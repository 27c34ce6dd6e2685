"""The options of the scripts that grade photographs: which network answers, at which operating point, how surely."""

from argparse import ArgumentTypeError

from eyenet.model.pretrained import DEFAULT
from eyenet.model.unsure import RATES
from eyenet.run.options import fraction, model_path

AIM = (
    "use the threshold whose sensitivity on validation, or on the photographs of recalibrate.py, reaches this with its "
    "whole 95 %% interval: 0.85, 0.9 or 0.95"
)

RATE = "answer 'unsure' where this error rate cannot be kept: 0.01, 0.02 ... 0.2; default: never"


def error_rate(text):
    """Parse an error rate for which limits are chosen."""
    rate = f"{float(text):g}"
    if rate not in RATES:
        raise ArgumentTypeError(f"{text} is not one of the error rates {RATES[0]}, {RATES[1]} ... {RATES[-1]}")
    return rate


def add_model_options(options):
    """Add --model, --sensitivity or --specificity, and --unsure to a parser or a group of one."""
    options.add_argument("--model", type=model_path, help=f"folder of the model; {DEFAULT}")
    point = options.add_mutually_exclusive_group()
    point.add_argument("--sensitivity", type=fraction, help=AIM + "; default: the model's own operating point")
    point.add_argument("--specificity", type=fraction, help="the same for the specificity")
    options.add_argument("--unsure", type=error_rate, metavar="RATE", help=RATE)
