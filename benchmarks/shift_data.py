"""Measure the photographs of the benchmark of the shift alarm: once each, in a cache that a later run continues.

benchmarks/shift.py uses it. A photograph of a set is altered in memory: haze, dirt on the lens, or a channel that is
lost. The alterations are made by hand, and are not photographs of a real fault.
"""

import contextlib
import csv
import io
import json
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from eyenet.data.names import parse_name
from eyenet.grading.answering import look_at

ALTERED = 160  # photographs for each alteration
BLOBS = 12  # pieces of dirt on the lens


def haze(image, rng):
    """Add stray light: contrast falls by 30 %, and the picture is brighter towards its middle."""
    down, right = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    veil = np.exp(-(down**2 + right**2))[..., None] * rng.uniform(60, 100)
    return 0.7 * image + 0.3 * veil + 20 * (image.max(axis=2, keepdims=True) > 8)


def dirt(image, _):
    """Put grey blobs on the lens, out of focus, and the same ones on each photograph."""
    lens, side = np.random.default_rng(0), min(image.shape[:2])
    down, right = np.mgrid[: image.shape[0], : image.shape[1]]
    shadow = np.zeros(image.shape[:2])
    for _ in range(BLOBS):
        at = lens.uniform(0.2, 0.8, 2) * image.shape[:2]
        radius = side * lens.uniform(0.02, 0.06)
        shadow = np.maximum(shadow, np.exp(-((((down - at[0]) ** 2 + (right - at[1]) ** 2) / radius**2) ** 2)))
    return image * (1 - 0.6 * shadow[..., None])


def smear(image, _):
    """Smear the lens: the picture is blurred by 1/100 of its height."""
    soft = Image.fromarray(image.astype(np.uint8)).filter(ImageFilter.GaussianBlur(image.shape[0] / 100))
    return np.asarray(soft, float)


def lose(channel):
    """Return an alteration that sets a channel to zero."""
    return lambda image, _: image * (np.arange(3) != channel)


ALTERATIONS = {"haze": haze, "dirt": dirt, "smear": smear}
ALTERATIONS |= {f"{name} lost": lose(k) for k, name in enumerate(("red", "green", "blue"))}


def altered(path, alteration, folder):
    """Write an altered photograph to a folder; return its path."""
    if alteration is None:
        return path
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    changed = ALTERATIONS[alteration](np.asarray(Image.open(path).convert("RGB"), float), rng)
    held = io.BytesIO()
    Image.fromarray(changed.clip(0, 255).astype(np.uint8)).save(held, "JPEG", quality=95)
    target = Path(folder) / path.name
    target.write_bytes(held.getvalue())
    return target


def unseen_patients(model):
    """Return the patients of a model by their split; dict of str to set of str."""
    with open(Path(model) / "patients.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {split: {row["patient"] for row in rows if row["split"] == split} for split in ("train", "val", "test")}


def load_all(screener, model, data, cache, photographs=2400):
    """Measure all sets of the benchmark.

    Parameters
    ----------
    screener : eyenet.model.screener.Screener
        It measures.
    model : path-like
        Folder of the model; `patients.csv` in it has the patients of its training and validation.
    data : Path
        The folder of eyepacs-256eq, eyepacs-1024 and diaretdb1.
    cache : Path
    photographs : int
        How many of the training patients of the network are measured; all of the test patients are.

    Returns
    -------
    dict of str to list of dict
        `test`, `train`, `natural colours`, `another camera`, and the alterations of photographs of test patients.
    """
    split, folder = unseen_patients(model), data / "eyepacs-256eq" / "train"
    paths = sorted(folder.glob("*.jpeg"))
    paths_of = {
        name: [path for path in paths if parse_name(path.stem).patient in split[name]] for name in ("test", "train")
    }
    natural = sorted((data / "eyepacs-1024" / "train").glob("*.jpeg"))
    other = sorted((data / "diaretdb1" / "photographs").glob("*.jpeg"))
    found = {"test": measure_set(screener, "test", paths_of["test"], cache)}
    found["another camera"] = measure_set(screener, "another camera", other, cache)
    for name in ALTERATIONS:
        found[name] = measure_set(screener, name, paths_of["test"][-ALTERED:], cache, name)
    found["natural colours"] = measure_set(screener, "natural colours", natural[:ALTERED], cache)
    return found | {"train": measure_set(screener, "train", paths_of["train"][:photographs], cache)}


def measure_set(screener, name, paths, cache, alteration=None):
    """Measure photographs that are not in the cache; return all, one dict each.

    Parameters
    ----------
    screener : eyenet.model.screener.Screener
        It measures.
    name : str
        Of the set and its alteration; names the cache's file.
    paths : list of Path
    cache : Path
        A folder.
    alteration : str, optional

    Returns
    -------
    list of dict
        `patient`, `eye`, `size` and the row of the screener, in the order of `paths`.
    """
    file = cache / f"{name.replace(' ', '_')}.jsonl"
    cache.mkdir(parents=True, exist_ok=True)
    known = {}
    with contextlib.suppress(FileNotFoundError):
        for line in file.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the last line, when it was killed
                one = json.loads(line)
                known[one["name"]] = one
    with open(file, "a", encoding="utf-8") as out, tempfile.TemporaryDirectory() as folder:
        for path in paths:
            if path.name not in known:
                known[path.name] = one = measure_one(screener, path, alteration, folder)
                print(json.dumps(one), file=out, flush=True)
    return [known[path.name] for path in paths]


def measure_one(screener, path, alteration, folder):
    """Measure a photograph; a dict as in `measure_set`."""
    row = look_at(screener, altered(path, alteration, folder))
    patient, eye = path.stem, None  # the patients of DIARETDB1 are not known
    with contextlib.suppress(ValueError):
        patient, eye, _ = parse_name(path.stem)
    size = "x".join(map(str, Image.open(path).size))
    kept = {key: row.get(key) for key in ("result", "gradable", "questions", "measures")}
    return {"name": path.name, "patient": patient, "eye": eye, "size": size} | kept
