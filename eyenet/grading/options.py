"""The options of the scripts that grade photographs: which network answers, and at which operating point."""

from eyenet.model.pretrained import DEFAULT
from eyenet.run.options import fraction, model_path

AIM = (
    "use the threshold whose sensitivity on validation, or on the photographs of recalibrate.py, reaches this with its "
    "whole 95 %% interval: 0.85, 0.9 or 0.95"
)


def add_model_options(options):
    """Add --model, and --sensitivity or --specificity, to a parser or a group of one."""
    options.add_argument("--model", type=model_path, help=f"folder of the model; {DEFAULT}")
    point = options.add_mutually_exclusive_group()
    point.add_argument("--sensitivity", type=fraction, help=AIM + "; default: the model's own operating point")
    point.add_argument("--specificity", type=fraction, help="the same for the specificity")
