"""Measure the photographs, degraded copies and drawn lesions that benchmarks/quality.py fits and judges.

Measures are kept in a folder (--cache), by the content of the modules that make them: fitting again takes a minute.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import degraded
import drawn_lesions
import pandas as pd
from PIL import Image

from eyenet.photo import measures, quality
from eyenet.photo.colours import equalize
from eyenet.photo.retina import inside_circle, photograph_to_input
from eyenet.run.errors import PhotoError
from eyenet.run.workers import cores, for_each

COLUMNS = ["image", "patient", "level", "eyeq", "jama16"]
STEP = 3  # every third accepted photograph is degraded; lesions are drawn on every second healthy one


def read_labels(folder):
    """Read the labels of a folder of photographs; a table of COLUMNS. Without labels all are empty, and level -1."""
    if not (folder / "quality.csv").exists():
        images = sorted(path.stem for path in (folder / "photographs").iterdir())
        return pd.DataFrame({"image": images, "patient": images, "level": -1, "eyeq": "", "jama16": -1})
    table = pd.read_csv(folder / "quality.csv", dtype={"eyeq": str}).fillna({"eyeq": ""})
    table = table.rename(columns={"jama16_gradable": "jama16"})
    table["level"] = table["image"].map(pd.read_csv(folder / "trainLabels.csv").set_index("image")["level"])
    return table.assign(patient=table["image"].str.split("_").str[0])[COLUMNS]


def path_of(folder, image):
    """Return the file of a photograph."""
    place = folder / "train" / f"{image}.jpeg"
    return place if place.exists() else folder / "photographs" / f"{image}.jpeg"


def is_half(images):
    """Tell for each name whether it belongs to the half that is fitted to, by a hash of the name."""
    return [hashlib.sha256(image.encode()).digest()[0] % 2 == 0 for image in images]


def crop_file(path, size=quality.SIDE):
    """Crop a photograph; None if no retina is found in it."""
    try:
        return photograph_to_input(path, size)
    except PhotoError:
        return None


def measure_both(found):
    """Measure a crop in natural and equalised colours; `found` is the result of `crop_file`."""
    if found is None:
        return [None, None]
    crop, geometry = found
    natural = quality.measure(crop, geometry)
    if natural["equalized"]:  # as published
        return [natural, natural]
    return [natural, quality.measure(equalize(crop, inside_circle(len(crop))), geometry)]


def measure_image(image):
    """Measure a picture in natural and equalised colours; None, None if no retina is found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photograph.png"
        image.save(path, compress_level=1)
        return measure_both(crop_file(path))


def cached(cache, name, work, items):
    """Apply `work` to every item, or read what an earlier run with the same code wrote."""
    modules = [path for path in sorted(Path(measures.__file__).parent.glob("*.py")) if path.stem != "quality"]
    modules += [Path(module.__file__) for module in (degraded, drawn_lesions)]
    code = b"".join(path.read_bytes() for path in modules)
    made = hashlib.sha256(code + "\n".join(map(str, items)).encode()).hexdigest()[:12]
    place = cache and cache / f"{name}-{made}.json"
    if place and place.exists():
        return json.loads(place.read_text())
    found = [result for _, result in for_each(work, list(items), cores(), name)]
    if place:
        cache.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(found))
    return found


def measure_folder(folder, table, cache=None):
    """Add the columns natural and equalized: the measures, None where no retina is found."""
    found = cached(
        cache, folder.name, lambda image: measure_both(crop_file(path_of(folder, image))), table["image"].tolist()
    )
    return table.assign(natural=[both[0] for both in found], equalized=[both[1] for both in found])


def measure_copies(folder, table, cache=None):
    """Measure degraded copies of every third accepted photograph; a table with `kind`, else as `measure_folder`."""
    chosen = table[table["eyeq"].isin(["good", "usable"])].iloc[::STEP]
    kinds = {**degraded.FITTED, **degraded.OTHERS}

    def work(image):
        photograph = Image.open(path_of(folder, image)).convert("RGB")
        return [measure_image(make(photograph)) for make, _ in kinds.values()]

    return _spread(chosen, cached(cache, "degraded", work, chosen["image"].tolist()), kinds)


def measure_lesions(folder, table, cache=None):
    """Measure every second accepted photograph without DR with the lesions of grades 2 to 4 drawn on it."""
    chosen = table[table["eyeq"].isin(["good", "usable"]) & (table["level"] == 0)].iloc[::2]
    seeds = {image: seed for seed, image in enumerate(chosen["image"])}

    def work(image):
        crop, geometry = photograph_to_input(path_of(folder, image), 2 * quality.SIDE)
        drawn = (drawn_lesions.draw_on(crop, level, seeds[image]) for level in drawn_lesions.LEVELS)
        return [measure_both((lesions, geometry)) for lesions in drawn]

    kinds = [f"lesions of grade {level}" for level in drawn_lesions.LEVELS]
    return _spread(chosen, cached(cache, "lesions", work, chosen["image"].tolist()), kinds)


def _spread(chosen, found, kinds):
    """Make a row for each photograph and kind of copy."""
    rows = [
        [*labels, kind, *both]
        for labels, each in zip(chosen[COLUMNS].itertuples(index=False), found)
        for kind, both in zip(kinds, each)
    ]
    return pd.DataFrame(rows, columns=[*COLUMNS, "kind", "natural", "equalized"])
