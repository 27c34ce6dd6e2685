"""Build the offline page, run it in a browser with app/tests/browser.mjs, and compare it with predict.py.

Used by tests/test_app.py and benchmarks/app.py. Needs Node.js, npm, and Chromium or Chrome (or set EYENET_BROWSER);
what also runs in Firefox needs Firefox (or set EYENET_FIREFOX).
"""

import atexit
import base64
import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eyenet.model.screener import Screener
from eyenet.photo.retina import crop_photograph, in_colours
from eyenet.run.errors import NoRetina

APP = Path(__file__).resolve().parent.parent / "app"
NODE = 20, 19  # minimum version for Vite
PATIENCE = 600  # seconds for a scenario
NAMES = {"chromium": ("chromium", "chromium-browser", "google-chrome", "chrome"), "firefox": ("firefox-esr", "firefox")}
GIVEN = {"chromium": "EYENET_BROWSER", "firefox": "EYENET_FIREFOX"}  # environment variables
BROWSERS = {
    name: os.environ.get(GIVEN[name]) or next(filter(None, map(shutil.which, NAMES[name])), None) for name in NAMES
}


class BrowserError(Exception):
    """A command failed; the message ends with its output."""


def missing(browser="chromium"):
    """Return what is missing to run the page; None if nothing is."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "no Node.js and npm"
    version = subprocess.run(["node", "--version"], check=False, capture_output=True, text=True).stdout.strip()
    if tuple(map(int, version.removeprefix("v").split(".")[:2])) < NODE:
        return f"Node.js is {version}; it needs {'.'.join(map(str, NODE))}"
    name = {"chromium": "Chromium or Chrome", "firefox": "Firefox"}[browser]
    return f"no {name} (set {GIVEN[browser]})" if BROWSERS[browser] is None else None


def call(*command):
    """Run a command in app/ and return its output, or raise a BrowserError."""
    done = subprocess.run(command, cwd=APP, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise BrowserError(f"{' '.join(command[:2])} failed: {done.stdout[-1000:]}{done.stderr[-3000:]}".strip())
    return done.stdout


def run_node(script, *words):
    """Run a script of app/tests/ that needs no browser; return the JSON that it prints, or raise a BrowserError."""
    return json.loads(call("node", f"tests/{script}", *words))


def install():
    """Install the packages of package-lock.json, unless they are installed already."""
    installed = APP / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (APP / "package-lock.json").stat().st_mtime:
        call("npm", "ci")


def build():
    """Build app/dist-template/, the page without a network."""
    call("npm", "run", "build")


flags = {"chromium": [], "firefox": []}  # more options of Chromium, and preferences of Firefox: '["name", value]'


@functools.cache
def driver(browser):
    """Start a browser, for all scenarios of this process."""
    command = ["node", "tests/browser.mjs", BROWSERS[browser], sys.executable, *flags[browser]]
    process = subprocess.Popen(command, cwd=APP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(stop, process)
    return process


def stop(process):
    """Let the browser end itself."""
    process.stdin.close()
    process.wait(30)


def browse(scenario, dist, browser="chromium", **options):
    """Run a scenario of app/tests/browser.mjs on a finished page; return its observations as a dict."""
    options |= {"scenario": scenario, "dist": str(dist)}
    process = driver(browser)
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        print(json.dumps(options, default=str), file=process.stdin, flush=True)
        line = process.stdout.readline()
    finally:
        watch.cancel()
    if not line:
        driver.cache_clear()
        raise BrowserError(f"the browser ended, or did not answer within {PATIENCE} s, in the scenario {scenario}")
    said = json.loads(line)
    if "failed" in said:
        raise BrowserError(f"the scenario {scenario} failed: {said['failed']}")
    return said["found"]


def pairs(folder, patients):
    """Map the photographs of patients by patient and eye, as the scenario `grade` expects."""
    return {name: {eye: folder / f"{name}_{eye}.jpeg" for eye in ("right", "left")} for name in patients}


def paths_of(patients):
    """List the paths of `pairs`."""
    return [path for eyes in patients.values() for path in eyes.values()]


@dataclass
class Difference:
    """Differences between the page and predict.py on one photograph."""

    path: Path
    seconds: float  # from choosing the file to its result on the page
    megapixels: float
    verdict: bool  # whether the verdict of the quality gate is the same
    words: bool  # whether result and reasons are the same, if the photograph was not graded
    frame: bool = True  # whether width and height are the same
    circle: float = 0.0  # of centre and radius, as a share of the radius
    psnr: float = np.inf  # of the crop, dB
    score: float = 0.0  # of the quality gate
    probability: float = 0.0  # largest of all questions
    grade: float = 0.0  # of the expected grade
    input: bool = True  # whether equalising the page's crop gives the same bytes as in Python
    limits: bool = True  # whether the limits are the same
    decisions: dict = field(
        default_factory=dict
    )  # by question: distance from the threshold, whether the decision is the same


def differences(seen, model, paths):
    """Compare the page's results for photographs, with `crops`, with those of Python.

    Parameters
    ----------
    seen : dict
        Result of the scenario `grade`.
    model : Path
        Folder of the page's model.
    paths : list of Path

    Yields
    ------
    Difference
    """
    screener = Screener(model)
    for path in paths:
        page, expected = seen["photographs"][str(path)], screener.look(path)
        row, geometry = page["row"], page["geometry"]
        same = row["reasons"] == expected["reasons"] and ("questions" in row or row["result"] == expected["result"])
        verdict = row["gradable"] == expected["gradable"]
        found = Difference(path, page["seconds"], np.nan, verdict, same)
        try:
            crop, mine = crop_photograph(path, 256)
        except NoRetina:
            yield found
            continue
        found.megapixels = mine["width"] * mine["height"] / 1e6
        if geometry is None:  # the page found no retina
            found.verdict, found.circle, found.psnr = False, np.inf, 0.0
            yield found
            continue
        found.frame = all(geometry[side] == mine[side] for side in ("width", "height"))
        places = ("center_x", "center_y", "radius")
        found.circle = max(abs(geometry[place] - mine[place]) for place in places) / mine["radius"]
        pixels = _pixels_of(page["crop"])
        error = np.mean((pixels.astype(float) - crop) ** 2)
        found.psnr = 10 * np.log10(255**2 / error) if error else np.inf
        found.score = abs(row["quality"] - expected["quality"])
        if verdict and "questions" in row and "questions" in expected:
            found.input = np.array_equal(_pixels_of(page["input"]), in_colours(pixels, screener.colours))
            found.grade = abs(row.get("expected_grade", 0) - expected.get("expected_grade", 0))
            _compare_answers(found, row["questions"], expected["questions"])
        yield found


def _compare_answers(found, given, expected):
    for question, answer in expected.items():
        ours = given[question]
        if None in (ours["probability"], answer["probability"]):  # a poor photograph below the threshold
            continue
        found.probability = max(found.probability, abs(ours["probability"] - answer["probability"]))
        found.limits = found.limits and ours["threshold"] == answer["threshold"]
        margin = abs(answer["probability"] - answer["threshold"])
        found.decisions[question] = (margin, ours["disease"] == answer["disease"])


def _pixels_of(text, size=256):
    """Read pixels from the format of browser.mjs; uint8, shape (size, size, 3)."""
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(size, size, 3)
