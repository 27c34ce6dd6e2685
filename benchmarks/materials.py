"""Input of the benchmarks: photographs of camera size, many names for a few files, and a network."""

import io
import json
import os

import numpy as np
from PIL import Image, ImageOps

from eyenet.photo.png import encode_png
from eyenet.run.files import write_rows
from make_sample import draw_accident, list_sample, photograph_name, take_photograph

# Ten of Kaggle's originals are 3,000-4,900 pixels wide: JPEG of quality 95, 0.8-1.5 MB.
WIDTHS = (4752, 3888, 3504, 4288, 3072)


def draw_photographs(folder, count):
    """Draw the sample's first photographs and enlarge them to camera sizes.

    Returns
    -------
    list of Path
        JPEG files of 6 to 15 megapixels.
    """
    folder.mkdir()
    paths = []
    for patient, eye, level in list_sample(0, 2 * count):
        if len(paths) == count or draw_accident(0, patient, eye):
            continue
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(take_photograph(0, patient, eye, level))))
        width = WIDTHS[len(paths) % len(WIDTHS)]
        height = round(width * picture.height / picture.width)
        paths.append(folder / f"{photograph_name(patient, eye)}.jpeg")
        picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC).save(paths[-1], quality=95)
    return paths


def give_names(paths, count, folder, broken=None):
    """Link photographs under `count` names in a folder; every tenth is the file `broken`, if given."""
    folder.mkdir()
    for i in range(count):
        path = broken if broken and i % 10 == 9 else paths[i % len(paths)]
        os.link(path, folder / f"{i // 2}_{('left', 'right')[i % 2]}{path.suffix}")
    return folder


def drawing(seed):
    """Draw smooth blobs with a little noise, which compress like a retina, to about 75 kB."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :256] / 256
    waves = sum(
        np.sin(rng.uniform(5, 40) * x + rng.uniform(5, 40) * y)[..., None] * rng.uniform(0, 30, 3) for _ in "123"
    )
    return (120 + waves + rng.normal(0, 1.5, (256, 256, 3))).clip(0, 255).astype(np.uint8)


def make_images(folder, count):
    """Write `count` images, 64 of them different, and their table (every fourth has DR); return the table's path."""
    folder.mkdir()
    rows = []
    for i in range(count):
        name = f"{i}_left"
        if i < 64:
            (folder / f"{name}.png").write_bytes(encode_png(drawing(i)))
        else:
            os.link(folder / f"{i % 64}_left.png", folder / f"{name}.png")
        rows.append([name, i, "left", 2 * (i % 4 == 3), "train", "original"])
    table = folder.with_suffix(".csv")
    write_rows(table, ["image", "patient", "eye", "level", "split", "transform"], rows)
    return table


def make_model(folder, name, photographs):
    """Make a model folder with an untrained network whose answers differ between photographs."""
    import cnn
    from eyenet.data.tasks import TASKS
    from eyenet.model import backend
    from eyenet.model.decision import choose_decision
    from eyenet.model.lite import add_lite
    from eyenet.photo.retina import photograph_to_input

    keras = backend.start("float32", 0)
    made = cnn.build_network(name, 256, len(TASKS["grade"].classes), "none")
    rng = np.random.default_rng(0)
    crops = np.stack([photograph_to_input(path, 256, "equalized")[0] for path in photographs])
    kernel = rng.normal(size=made.layers[-1].get_weights()[0].shape)
    said = keras.Model(made.input, made.layers[-1].input).predict(crops, verbose=0) @ kernel
    spread = 3 * said.std(axis=0)  # so large that half a grey level of a crop changes the answer
    made.layers[-1].set_weights([kernel / spread, -said.mean(axis=0) / spread])
    levels = np.repeat(np.arange(5), 8)
    said = rng.dirichlet(np.ones(5), len(levels)) + 0.3 * np.eye(5)[levels]
    decision = choose_decision(np.arange(len(levels)) // 2, levels, said / said.sum(axis=1, keepdims=True), "grade")
    for question in ("any", "referable"):  # which so few photographs do not support
        decision[question]["eye"]["operating_points"] |= {"sensitivity_0.9": 0.2, "specificity_0.9": 0.8}
    folder.mkdir()
    made.save(folder / "model.keras")
    images = {"size": 256, "preprocessing": 1, "colours": "equalized"}
    config = {
        "format": 2,
        "finished": True,
        "task": "grade",
        "classes": list(TASKS["grade"].classes),
        "size": 256,
        "commit": "test",
        "settings": {"images": images, "split": "test"},
        "options": {"network": name},
        "decision": decision,
    }
    (folder / "config.json").write_text(json.dumps(add_lite(folder, config, made)))
    return folder
