"""Time a newcomer's first try: a fresh clone, an environment without TensorFlow, and answers to photographs.

    python benchmarks/newcomer.py --data FOLDER      FOLDER/train/*.jpeg, whole camera photographs

Runs the commands of the README in an empty folder, as they stand there, with packages from the network. The times are
what a person waits; those of the installation depend on the network.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import record

RETINA = (
    "from importlib.util import find_spec as f; print(f('skimage').submodule_search_locations[0] + '/data/retina.jpg')"
)
MEGABYTE = 1e6


def output(*command):
    """Return what a command prints."""
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout


def try_out(clone, photographs):
    """Set up an environment in a clone and grade photographs; yields rows."""
    python = clone / ".venv" / "bin" / "python"
    set_up = record.spend("git", "clone", "--quiet", record.REPO, clone).wall
    set_up += record.spend(sys.executable, "-m", "venv", clone / ".venv").wall
    packages = ("-r", clone / "requirements-predict.txt", "scikit-image")
    set_up += record.spend(python, "-m", "pip", "install", "--no-cache-dir", *packages).wall
    yield "fresh clone, environment, packages", f"{set_up:.0f}", "s", ""
    size = sum(path.stat().st_size for path in (clone / ".venv").rglob("*") if path.is_file())
    yield "size of the environment", f"{size / MEGABYTE:.0f}", "MB", ""

    retina = output(python, "-c", RETINA).strip()
    first, again = (record.spend(python, clone / "predict.py", retina).wall for _ in range(2))
    yield "retina.jpg, first start", f"{first:.2f}", "s", ""
    yield "retina.jpg, second start", f"{again:.2f}", "s", ""
    row = json.loads(output(python, clone / "predict.py", retina, "--json").splitlines()[0])
    yield "retina.jpg, result", row["result"], "", ""
    seconds = record.spend(python, clone / "predict.py", *photographs).wall
    yield f"{len(photographs)} photographs", f"{seconds:.2f}", "s", ""
    rows = [json.loads(line) for line in output(python, clone / "predict.py", *photographs, "--json").splitlines()]
    answered = sum(row["unit"] == "photograph" and row["result"] != "not read" for row in rows)
    yield f"{len(photographs)} photographs, answered", answered, "", len(photographs)
    yield "to the first answer, together", f"{set_up + first:.0f}", "s", ""


def main():
    args = record.parse(__doc__).parse_args()
    photographs = sorted((args.data / "train").glob("*.jpeg"))
    with tempfile.TemporaryDirectory() as work:
        record.write("newcomer", list(try_out(Path(work) / "EyeNet", photographs)))


if __name__ == "__main__":
    main()
