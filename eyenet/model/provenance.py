"""What trained a model: versions, machine and commit."""

import importlib
import os
from pathlib import Path


def provenance():
    """Record the versions, machine and commit that train the model."""
    import platform  # slow, and not needed by predict.py
    import subprocess

    here = Path(__file__).parent
    git = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        commit = subprocess.run(git, check=False, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git on this machine
        commit = ""
    packages = [importlib.import_module(name) for name in ("keras", "numpy", os.environ["KERAS_BACKEND"])]
    return {
        "commit": commit or None,
        "versions": {"python": platform.python_version(), **{p.__name__: p.__version__ for p in packages}},
        "machine": platform.platform(),
    }
