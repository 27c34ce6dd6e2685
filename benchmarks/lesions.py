"""Measure how often the hottest spot of a heat map lies on a lesion that experts have marked.

    python benchmarks/lesions.py pretrained/eyenet-lite --photos ../shared/data/diaretdb1 --healthy \
../shared/data/eyepacs-1024

MODEL is a model folder. --photos is DIARETDB1 with lesions.csv, the marks of four experts; benchmarks/marks.py says
where two of them agree. A spot is a hit within 1 % of the diameter of the retina from such a place. It is compared with
a place drawn uniformly from the visible retina, and with other methods on the same network. The 95 % intervals are
Wilson's, over photographs. Among the misses, those are counted whose spots lie in the same place: dirt on the lens.

--healthy is a folder with trainLabels.csv: the methods are also compared on photographs of grade 0 on which lesions are
drawn. The method was chosen on such drawings. The halves of --photos are made by a hash of the names.
--sheet FILE.png draws all photographs with marks and spots. Takes four minutes of processor time.
"""

import hashlib
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from unittest.mock import patch

import drawn_lesions
import marks
import numpy as np
import record
from PIL import Image

from eyenet.data.tasks import TASKS, first_disease
from eyenet.model import backend
from eyenet.model.decision import raw_and_calibrated, thresholds_at
from eyenet.model.folder import open_model
from eyenet.model.loading import load_network
from eyenet.model.overlay import enlarge, retina_of
from eyenet.model.settings import colours_of, field_of
from eyenet.photo.quality import judge
from eyenet.photo.retina import crop_photograph, in_colours
from eyenet.score.intervals import share_with_interval
from eyenet.sets.labels import read_labels

REACH = 0.01  # of the diameter of the retina
GOAL = 0.85
OURS, HIRES, GRAD, LAST = "ours", "HiResCAM", "Grad-CAM", "Grad-CAM of the last layer"
DRAWN, LEVELS, BATCH = 90, (2, 3, 4), 16
DIRT = 3  # photographs in whose same place a spot is taken for dirt


def last_layer(network):
    """Split a network at the feature map that its head pools, as `eyenet.model.evidence.explained`."""
    from eyenet.model.evidence import explained
    from eyenet.model.networks import NETWORKS, Evidence

    with patch.dict(NETWORKS, {network.name: NETWORKS[network.name]._replace(evidence=Evidence())}):
        parts = explained(network)
    step = network.input_shape[1] / parts.front.output_shape[1]
    return parts._replace(start=(step - 1) / 2, step=step)


def maps_of(parts, cells, gradient):
    """Compute the evidence by each method; yields pairs of a name and an array (n, cells, cells)."""
    from eyenet.model.evidence import sum_evidence

    yield OURS, np.asarray(sum_evidence(cells, gradient, parts.pooled))
    yield HIRES, (cells * gradient).sum(axis=-1).clip(0)
    yield GRAD, (cells * gradient.mean(axis=(1, 2), keepdims=True)).sum(axis=-1).clip(0)


def find_spots(network, images, task):
    """Find the hottest pixel of each photograph.

    Parameters
    ----------
    network : keras.Model
    images : ndarray of uint8, shape (n, size, size, 3)
    task : str

    Returns
    -------
    dict
        By question and method: rows and columns, int (n, 2).
    """
    from eyenet.model.evidence import differentiate, explained, run_front

    own, last = explained(network), last_layer(network)
    found = {(question, way): [] for question in TASKS[task].questions for way in (OURS, HIRES, GRAD, LAST)}
    for i in range(0, len(images), BATCH):
        batch = images[i : i + BATCH]
        inside = np.stack([retina_of(crop) for crop in batch])
        for parts in (own, last):
            cells = np.float32(run_front(parts.front, batch))
            for question in TASKS[task].questions:
                gradient, _ = differentiate(parts.back, cells, first_disease(task, question))
                for way, evidence in maps_of(parts, cells, gradient):
                    name = LAST if parts is last else way
                    if parts is own or way == GRAD:
                        heat = enlarge(evidence, images.shape[1], parts) * inside
                        found[question, name].append(hottest(heat))
    return {key: np.concatenate(places) for key, places in found.items()}


def hottest(heats):
    """Return row and column of the maximum of each map; int (n, 2)."""
    return np.stack(np.unravel_index(heats.reshape(len(heats), -1).argmax(axis=1), heats.shape[1:]), axis=1)


def hit_at(near, spots, size):
    """Tell whether each spot, a pixel of a crop of `size`, lies in its mask (n, SQUARE, SQUARE); bool (n,)."""
    rows, columns = ((spots + 0.5) * near.shape[1] / size).astype(int).T
    return near[np.arange(len(near)), rows, columns]


def same_place(spots, size):
    """Tell which spots of crops of `size` lie within reach of those of `DIRT` photographs, its own among them.

    Eyes differ, so what a camera shows in the same place again and again is dirt on its lens; bool (n,).
    """
    apart = np.hypot(*(spots[:, None] - spots[None]).T)
    return (apart <= REACH * size).sum(axis=0) >= DIRT


def share_row(name, hits, asked=""):
    """Make a row of a share of photographs, with Wilson's interval."""
    found = share_with_interval(hits, np.arange(len(hits)))
    interval = f"95 %: {found['low']:.3f}-{found['high']:.3f}" if found["value"] is not None else ""
    return name, "" if found["value"] is None else round(found["value"], 3), interval, asked


def first_half(names):
    """Split photographs in two halves by a hash of the name; bool (n,)."""
    return np.array([hashlib.sha256(name.encode()).digest()[-1] % 2 == 0 for name in names])


def read_photographs(folder, config):
    """Crop the photographs of a folder; yields name, crop in the network's colours, and the experts' drawn marks."""
    table, images = marks.read_marks(folder), config["settings"]["images"]
    for path in sorted((folder / "photographs").iterdir()):
        crop, geometry = crop_photograph(path, config["size"], field_of(images))
        drawn = marks.draw_marks(table[table["image"] == path.stem], geometry)
        yield path.stem, in_colours(crop, colours_of(images), geometry), drawn


def near_lesions(drawn):
    """Mark the places within reach of what two experts agree on; bool (groups, SQUARE, SQUARE)."""
    return np.stack([marks.widened(marks.agreed(drawn, group), REACH) for group in marks.GROUPS])


def called(network, crops, config, question):
    """Tell which photographs the network calls diseased at its operating point; bool (n,)."""
    probabilities = network.predict(crops, batch_size=BATCH, verbose=0)
    return (
        raw_and_calibrated(config["decision"], probabilities, config["task"], question)[1]
        >= thresholds_at(config)[question]
    )


def on_photographs(network, config, folder, sheet):
    """Compare the spots with the marks on photographs; list of rows."""
    found = [(name, crop, near_lesions(drawn)) for name, crop, drawn in read_photographs(folder, config)]
    names, crops, near = zip(*found)
    crops, half = np.stack(crops), first_half(names)
    spots = find_spots(network, crops, config["task"])
    yes = {question: called(network, crops, config, question) for question, _ in spots}
    retina, rows = np.stack([enlarged(retina_of(crop)) for crop in crops]), []
    for group, masks in zip(marks.GROUPS, map(np.stack, zip(*near))):
        masks &= retina
        there = masks.any(axis=(1, 2))
        areas = (masks.sum(axis=(1, 2)) / retina.sum(axis=(1, 2)))[there]
        chance = round(float(areas.mean()), 3) if len(areas) else ""
        rows.append((f"{group}: photographs with marks of two experts", int(there.sum()), f"of {len(names)}", ""))
        rows.append((f"{group}: chance", chance, "mean share of the retina", ""))
        for (question, way), places in spots.items():
            hits, name = hit_at(masks, places, config["size"]), f"{group}, {question}: {way}"
            larger = group == marks.LARGER
            rows.append(share_row(name, hits[there], f">= {GOAL}" if larger and way == OURS else ""))
            if larger:
                parts = {
                    "called": yes[question],
                    "not called": ~yes[question],
                    "first half": half,
                    "second half": ~half,
                }
                rows += parts_of_hits(name, hits, there, parts)
                missed = places[there & ~hits]
                shared = int(same_place(missed, config["size"]).sum())
                rows.append((f"{name}, missed, in the same place as others", shared, f"of {len(missed)}", ""))
        if group == marks.LARGER and sheet:
            draw_sheet(sheet, read_photographs(folder, config), masks, spots[[*yes][-1], OURS])
    return rows


def parts_of_hits(name, hits, there, parts):
    """List the shares in parts of the photographs, and how many those are."""
    for part, these in parts.items():
        chosen = these & there
        yield share_row(f"{name}, {part}", hits[chosen])
        yield f"{name}, {part}: photographs", int(chosen.sum()), f"of {there.sum()}", ""


def enlarged(mask):
    """Enlarge a mask of a crop to the square of the marks."""
    return np.asarray(Image.fromarray(mask).resize((marks.SQUARE, marks.SQUARE), Image.Resampling.NEAREST))


def draw_sheet(target, photographs, near, spots):
    """Draw the photographs on which two experts agree, with the spots of the last question."""
    tiles = [
        marks.draw_tile(crop, drawn, mask, spot, name)
        for (name, crop, drawn), mask, spot in zip(photographs, near, spots)
        if mask.any()
    ]
    sheet = Image.new("RGB", (6 * marks.TILE, -(-len(tiles) // 6) * marks.TILE))
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % 6 * marks.TILE, number // 6 * marks.TILE))
    sheet.save(target)


def healthy_crops(folder, config):
    """Yield natural crops of gradable photographs of grade 0, one of each patient."""
    table, field = read_labels(folder / "trainLabels.csv"), field_of(config["settings"]["images"])
    table = table[table["level"] == 0].sort_values("image").drop_duplicates("patient")
    for image in table["image"]:
        crop, geometry = crop_photograph(folder / "train" / f"{image}.jpeg", config["size"], field)
        if judge(crop, geometry).gradable:
            yield crop


def on_drawings(network, config, folder):
    """Compare the spots with lesions drawn on healthy retinas; list of rows."""
    crops, lesions = [], []
    for seed, crop in zip(range(DRAWN), healthy_crops(folder, config)):
        drawn, lesion = drawn_lesions.lesions_on(crop, LEVELS[seed % len(LEVELS)], seed)
        crops.append(in_colours(drawn, colours_of(config["settings"]["images"])))
        lesions.append(marks.widened(enlarged(lesion), REACH))
    near, retina = np.stack(lesions), np.stack([enlarged(retina_of(crop)) for crop in crops])
    chance = float((near & retina).sum() / retina.sum())
    rows = [("drawn lesions: photographs", len(crops), "", ""), ("drawn lesions: chance", round(chance, 3), "", "")]
    for (question, way), places in find_spots(network, np.stack(crops), config["task"]).items():
        rows.append(share_row(f"drawn lesions, {question}: {way}", hit_at(near, places, config["size"])))
    return rows


def main():
    options = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    options.add_argument("model", type=Path, help="model folder")
    options.add_argument("--photos", type=Path, required=True, help="DIARETDB1: photographs/*.jpeg and lesions.csv")
    options.add_argument("--healthy", type=Path, help="folder with train/*.jpeg and trainLabels.csv")
    options.add_argument("--sheet", type=Path, help="PNG of all photographs with marks and spots")
    args = options.parse_args()
    backend.start("float32", 0)
    config = open_model(args.model)
    network = load_network(args.model, config)
    rows = on_photographs(network, config, args.photos, args.sheet)
    if args.healthy:
        rows += on_drawings(network, config, args.healthy)
    else:
        record.left_out("drawn lesions", "no --healthy")
    record.write("lesions", rows)


if __name__ == "__main__":
    main()
