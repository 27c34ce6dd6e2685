"""Time a newcomer's first try: a fresh clone, an environment without TensorFlow, and answers to photographs.

    python benchmarks/newcomer.py --data FOLDER      FOLDER/train/*.jpeg, whole camera photographs

Runs the commands of the README in an empty folder, in a clone of this repository on the same disk, with packages from
the network. The times are what a person waits; those of the installation depend on the network.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import record

RETINA = "import skimage; print(skimage.__path__[0] + '/data/retina.jpg')"
MEGABYTE = 1e6
BYTECODE = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")  # without these it is kept in the environment
USER = {key: value for key, value in os.environ.items() if key not in BYTECODE}


def output(*command):
    """Return what a command prints."""
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, env=USER).stdout


def wait(*command):
    """Return the seconds that a command takes."""
    return record.spend(*command, environment=USER).wall


def try_out(clone, photographs):
    """Set up an environment in a clone and grade photographs; yields rows."""
    python = clone / ".venv" / "bin" / "python"
    set_up = wait("git", "clone", "--quiet", record.REPO, clone)
    set_up += wait(sys.executable, "-m", "venv", clone / ".venv")
    packages = ("-r", clone / "requirements-predict.txt", "scikit-image")
    set_up += wait(python, "-m", "pip", "install", "--no-cache-dir", *packages)
    yield "fresh clone, environment, packages", f"{set_up:.0f}", "s", ""
    size = sum(path.stat().st_size for path in (clone / ".venv").rglob("*") if path.is_file())
    yield "size of the environment", f"{size / MEGABYTE:.0f}", "MB", ""

    retina = output(python, "-c", RETINA).strip()
    first, again = (wait(python, clone / "predict.py", retina) for _ in range(2))
    yield "retina.jpg, first start", f"{first:.2f}", "s", ""
    yield "retina.jpg, second start", f"{again:.2f}", "s", ""
    row = json.loads(output(python, clone / "predict.py", retina, "--json").splitlines()[0])
    yield "retina.jpg, result", row["result"], "", ""
    seconds = wait(python, clone / "predict.py", *photographs)
    yield f"{len(photographs)} photographs", f"{seconds:.2f}", "s", ""
    rows = [json.loads(line) for line in output(python, clone / "predict.py", *photographs, "--json").splitlines()]
    answered = sum(row["unit"] == "photograph" and row["result"] not in ("not read", "left out") for row in rows)
    yield f"{len(photographs)} photographs, answered", answered, "", len(photographs)
    yield "to the first answer, together", f"{set_up + first:.0f}", "s", ""


def main():
    args = record.parse(__doc__).parse_args()
    photographs = sorted((args.data / "train").glob("*.jpeg"))
    with tempfile.TemporaryDirectory() as work:
        record.write("newcomer", list(try_out(Path(work) / "EyeNet", photographs)))


if __name__ == "__main__":
    main()
