"""Check on photographs with known lesions whether the maximum of the heat map lies on a lesion.

    python benchmarks/heatmaps.py            (after bash run_pipeline.sh)

Draws the sample's validation and test photographs with DR again, with and without their lesions; pixels that differ are
lesions. Measures how often the hottest pixel lies within --reach pixels of a lesion, and what share of all heat does,
for EyeNet's heat maps, for the same method at the last feature map, and for Grad-CAM and HiResCAM stretched to the
photograph's size.
"""

import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import record
from PIL import Image
from scipy.ndimage import binary_dilation

from eyenet.data.array import open_array, rows_by_split
from eyenet.model import backend
from eyenet.photo.circle import find_retina
from eyenet.photo.decode import open_photograph
from eyenet.photo.retina import DETAIL, crop_retina, inside_circle
from make_sample import take_photograph

DIFFERS = 12  # of 255; compression changes pixels without a lesion by less
LEAST = 20  # minimum number of lesion pixels for a photograph to count


def crop(data, size, circle=None):
    """Crop a photograph as resize_images.py does, at a given or detected circle."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photograph.jpeg"
        path.write_bytes(data)
        image, _, _ = open_photograph(path, int(DETAIL * size))
    circle = circle or find_retina(image)
    return crop_retina(image, circle, size).astype(int), circle


def lesions_of(row, size):
    """Mark the pixels of a crop that the lesions change; bool (size, size)."""
    patient = int(row["patient"][1:])
    taken = take_photograph(0, patient, row["eye"], row["level"])
    with patch("eyenet.sample.eye.draw_lesions", lambda *_: None):
        healthy = take_photograph(0, patient, row["eye"], row["level"])
    with_lesions, circle = crop(taken, size)
    return np.abs(with_lesions - crop(healthy, size, circle)[0]).max(axis=2) > DIFFERS


def stretched(network, images, averaged):
    """Compute Grad-CAM (gradient averaged over the cells) or HiResCAM, stretched; float, shape (n, size, size)."""
    from eyenet.model.evidence import differentiate, explained

    parts = explained(network)
    cells = np.asarray(parts.front(images))
    gradient, _ = differentiate(parts.back, cells, 1)
    if averaged:
        gradient = gradient.mean(axis=(1, 2), keepdims=True)
    maps = (cells * gradient).sum(axis=-1).clip(0)
    size = (images.shape[1],) * 2
    return np.stack([np.asarray(Image.fromarray(m).resize(size, Image.Resampling.BILINEAR)) for m in maps])


def hits(heats, lesions, reach):
    """Count maps whose hottest pixel lies on a lesion; average the shares of heat and of retina on lesions."""
    inside = inside_circle(heats.shape[1])
    hottest, share, area = [], [], []
    for heat, lesion in zip(heats * inside, lesions):
        near = binary_dilation(lesion, iterations=reach) & inside
        hottest.append(near.ravel()[heat.argmax()])
        share.append(heat[near].sum() / max(heat.sum(), 1e-9))
        area.append(near.sum() / inside.sum())
    return np.mean(hottest), np.mean(share), np.mean(area)


def main():
    options = record.parse(__doc__)
    options.add_argument("--array", type=Path, default=record.REPO / "data" / "array", help="array of the sample")
    options.add_argument("--model", type=Path, default=record.REPO / "models" / "latest", help="model trained on it")
    options.add_argument("--reach", type=int, default=3, help="tolerance around a lesion in pixels")
    args = options.parse_args()
    keras = backend.start("float32", 0)
    from eyenet.model.evidence import heat_maps

    network = keras.models.load_model(args.model / "model.keras", compile=False)
    images, table, sidecar = open_array(args.array)
    rows = rows_by_split(table, sidecar["settings"])
    chosen = np.concatenate([rows["val"], rows["test"]])
    chosen = chosen[table["level"].to_numpy()[chosen] > 0]
    lesions = np.stack([lesions_of(table.iloc[row], images.shape[1]) for row in chosen])
    seen = lesions.sum(axis=(1, 2)) >= LEAST
    photographs, lesions = images[chosen[seen]], lesions[seen]
    results = []
    with patch("eyenet.model.evidence.COARSEST", 0), patch("eyenet.model.evidence._halves", {}):
        coarse = heat_maps(network, photographs, 1)
    for name, heats in (
        ("as shown", heat_maps(network, photographs, 1)),
        ("the same at the last feature map of all", coarse),
        ("Grad-CAM, stretched", stretched(network, photographs, averaged=True)),
        ("HiResCAM, stretched", stretched(network, photographs, averaged=False)),
    ):
        hottest, share, area = hits(heats, lesions, args.reach)
        results.append((f"hottest pixel on a lesion: {name}", round(float(hottest), 3), "", ""))
        results.append((f"share of the heat on lesions: {name}", round(float(share), 3), "", ""))
    results.append(("both by chance: share of the retina that is lesion", round(float(area), 3), "", ""))
    record.write(f"heatmaps-{network.name}", [*results, ("photographs", len(photographs), "", "")])


if __name__ == "__main__":
    main()
