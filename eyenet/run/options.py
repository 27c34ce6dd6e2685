"""The command line that all stages share."""

import argparse
import os
import re
import shlex
from pathlib import Path

from eyenet.run.files import LATEST, follow
from eyenet.run.workers import cores

PIPELINE = "EYENET_PIPELINE"  # environment variable: run_pipeline.sh runs the next step itself


def between(least, most):
    """Make a command-line type for whole numbers from `least` to `most`."""

    def whole_number(text):
        number = int(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
        return number

    return whole_number


positive = between(1, 10**9)
seed = between(0, 2**32 - 1)
side = between(32, 2048)


def rate(text):
    """Parse a learning rate: finite and not negative."""
    number = float(text)
    if not 0 <= number < 100:
        raise argparse.ArgumentTypeError(f"{text} is not a learning rate: it must be 0 or more, and below 100")
    return number


def local_path(text):
    """Parse a local path; a URL is refused, because it would become a folder named `s3:`."""
    if "://" in text:
        raise argparse.ArgumentTypeError(
            f"{text} is a URL; mount the bucket or copy it to a folder first (docs/cluster.md)"
        )
    return Path(text)


def model_path(text):
    """Parse the path of a model's folder, which `latest` may name (see `eyenet.run.files.follow`)."""
    return follow(local_path(text))


def plain_name(text):
    """Parse a name that can be used for a folder: letters, digits, dot, dash, underscore."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", text) or text in (LATEST, "candidates"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of letters, digits, '.', '-' and '_', or is taken")
    return text


def fraction(text):
    """Parse a number between 0 and 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def parser(description, several=(), **defaults):
    """Make a stage's argument parser: its docstring as help, and the common options.

    Parameters
    ----------
    description : str
        The script's docstring.
    several : collection of str
        The common options that take several paths; their values are lists.
    **defaults : str or int
        Defaults of the common options that the script has: `input`, `output`, `labels`, `labels_out`,
        `workers` (the value is ignored: the default is all cores), `scheduler`.

    Returns
    -------
    argparse.ArgumentParser
    """

    class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
        def _get_help_string(self, action):
            if isinstance(action.default, list) and action.default:
                return f"{action.help} (default: {' '.join(map(str, action.default))})"
            shown = action.default not in (None, []) and action.nargs != 0  # a flag has no value to show
            return super()._get_help_string(action) if shown else action.help

    class Parser(argparse.ArgumentParser):
        def parse_args(self, *words):
            args = super().parse_args(*words)
            for name in helps if vars(args).get("scheduler") else ():  # the workers run in other folders
                if value := vars(args).get(name):
                    several_paths = isinstance(value, list)
                    setattr(args, name, [p.absolute() for p in value] if several_paths else value.absolute())
            return args

    made = Parser(description=description, formatter_class=Formatter, allow_abbrev=False)
    helps = {
        "input": "folder to read",
        "output": "folder to write",
        "labels": "label table to read",
        "labels_out": "label table to write",
    }
    for name, text in helps.items():
        if name in defaults:
            default = [Path(defaults[name])] if name in several else defaults[name]
            more = {"nargs": "+", "help": f"{text}, or several"} if name in several else {"help": text}
            made.add_argument("--" + name.replace("_", "-"), type=local_path, default=default, **more)
    if "workers" in defaults:
        made.add_argument("--workers", type=positive, default=cores(), help="number of threads")
    if "scheduler" in defaults:
        text = "Dask scheduler, such as tcp://host:8786, whose workers do the work instead (docs/cluster.md)"
        made.add_argument("--scheduler", metavar="URL", default=defaults["scheduler"], help=text)
    return made


def print_next(command, *more):
    """Print the command of the next step and further lines, unless run_pipeline.sh runs it itself."""
    if not os.environ.get(PIPELINE):
        print("\n".join([f"next: {command}", *more]))


def fitting_next(options, args, **passed):
    """Return the options to pass to the next script where this one was not run with its defaults.

    Parameters
    ----------
    options : argparse.ArgumentParser
    args : argparse.Namespace
    **passed : str
        For an option of this script, the option of the next script that takes the same value.

    Returns
    -------
    str
        Such as ``" --input data/mine"``; empty if there are none.
    """
    pairs = [(theirs, getattr(args, ours), options.get_default(ours)) for ours, theirs in passed.items()]
    return "".join(
        f" --{theirs.replace('_', '-')} {shlex.join(map(str, value if isinstance(value, list) else [value]))}"
        for theirs, value, default in pairs
        if str(value) != str(default)
    )
