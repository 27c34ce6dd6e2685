"""Make the pictures of the documentation from the sample, after `bash run_pipeline.sh`.

    python docs/make_pictures.py
    python docs/make_pictures.py --work DIR      the work folder of another sample run

Writes docs/pictures/*.jpeg and *.png: a sheet of photographs, the circle and the crop, one photograph's copies,
predict.py's heat map, copies of the charts that the pipeline drew, and TensorBoard and the report in Chromium.
"""

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

from eyenet.data.copies import ANY_DR  # noqa: E402
from eyenet.data.names import copy_name  # noqa: E402
from eyenet.photo.png import read_geometry  # noqa: E402
from eyenet.run.files import follow  # noqa: E402
from eyenet.sets.labels import read_labels  # noqa: E402

PICTURES = REPO / "docs" / "pictures"

STORY = "s0150_left"  # a test photograph of the sample with moderate DR
CARD, INK, FAINT = (16, 24, 26), (236, 240, 239), (150, 164, 163)


def sheet(cells, columns, width, height, captions=None):
    """Arrange images on black, each fitted into width x height, with a caption below."""
    foot = 22 if captions else 0
    rows = -(-len(cells) // columns)
    page = Image.new("RGB", (columns * (width + 6) - 6, rows * (height + foot + 6) - 6), "white")
    draw = ImageDraw.Draw(page)
    for i, cell in enumerate(cells):
        cell = cell.convert("RGB")
        cell.thumbnail((width, height))
        x, y = i % columns * (width + 6), i // columns * (height + foot + 6)
        page.paste("black", (x, y, x + width, y + height))
        page.paste(cell, (x + (width - cell.width) // 2, y + (height - cell.height) // 2))
        if captions:
            draw.text((x + width // 2, y + height + 4), captions[i], fill="black", anchor="ma", font_size=15)
    return page


def photographs(grades, data):
    """Choose photographs of the sample: for each grade the first three of different sizes."""
    chosen = []
    for grade in range(5):
        sizes = set()
        for name in grades.index[grades == grade]:
            path = data / "download" / "train" / f"{name}.jpeg"
            crop = data / "resized" / f"{name}.png"
            if crop.exists() and read_geometry(crop)["found"]:
                with Image.open(path) as image:
                    if image.size not in sizes and len(sizes) < 3:
                        sizes.add(image.size)
                        chosen.append((path, f"{name}, grade {grade}"))
    return chosen


def circle_and_crop(names, data):
    """Put a photograph with its circle beside its crop, for each name."""
    cells = []
    for name in names:
        geometry = read_geometry(data / "resized" / f"{name}.png")
        with Image.open(data / "download" / "train" / f"{name}.jpeg") as image:
            image = image.convert("RGB")
        x, y, r = (geometry[key] for key in ("center_x", "center_y", "radius"))
        ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), outline=(80, 220, 120), width=image.width // 200)
        cells += [image, Image.open(data / "resized" / f"{name}.png")]
    return sheet(cells, 4, 256, 256)


def story(photograph, heat_map):
    """Put a photograph, its crop and its evidence side by side on a dark card, labelled as a drawing."""
    crop, evidence = (heat_map.crop((left, heat_map.height - 512, left + 512, heat_map.height)) for left in (0, 512))
    side, gap, head, foot = 400, 28, 64, 52
    wide = round(side * photograph.width / photograph.height)
    panels = [(photograph, wide, "1  Photograph"), (crop, side, "2  Retina, cropped"), (evidence, side, "3  Evidence")]
    page = Image.new("RGB", (sum(width for _, width, _ in panels) + 4 * gap, side + head + foot), CARD)
    draw, x = ImageDraw.Draw(page), gap
    for panel, width, title in panels:
        shape = Image.new("L", (2 * width, 2 * side))
        ImageDraw.Draw(shape).rounded_rectangle((0, 0, 2 * width - 1, 2 * side - 1), radius=28, fill=255)
        page.paste(panel.convert("RGB").resize((width, side)), (x, head), shape.resize((width, side)))
        draw.text((x, head - 16), title, fill=INK, anchor="ls", font_size=24)
        x += width + gap
    note = "A synthetic drawing from the project's sample, not a patient. Green: where the network's evidence lies."
    draw.text((gap, head + side + 34), note, fill=FAINT, anchor="ls", font_size=19)
    return page


def graded(work, name):
    """Grade photographs with predict.py: the story's panels, and the heat map of the photograph `name`."""
    train = work / "data" / "download" / "train"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, REPO / "predict.py", "--model", work / "models" / "latest", "--heatmap", folder]
        subprocess.run([*command, train / f"{name}.jpeg", train / f"{STORY}.jpeg"], check=True)
        with Image.open(train / f"{STORY}.jpeg") as image, Image.open(Path(folder) / f"{STORY}.png") as heat:
            story(ImageOps.exif_transpose(image), heat).save(PICTURES / "story.jpeg", quality=90, optimize=True)
        Image.open(Path(folder) / f"{name}.png").save(PICTURES / "heatmap.jpeg", quality=90)


@contextlib.contextmanager
def tensorboard(logs):
    """Run TensorBoard on a folder of logs; yields its address."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logs.name, "--port", "0"]
    with subprocess.Popen(command, cwd=logs.parent, stderr=subprocess.PIPE, text=True) as server:
        try:
            found = (re.search(r"http://\S+", line) for line in server.stderr)
            yield next(address[0] for address in found if address)
        finally:
            server.terminate()


def screenshot(page, target, size):
    """Photograph a page in Chromium, as PNG of 256 colours, a third of the size."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("the pictures of pages need Chromium or Chrome")
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        options += [f"--window-size={size}", "--virtual-time-budget=20000", f"--screenshot={target}"]
        subprocess.run([browser, *options, page], check=True, capture_output=True)
    with Image.open(target) as shown:
        reduced = shown.convert("RGB").quantize(256)
    reduced.save(target, optimize=True)


def draw_tensorboard(work):
    """Photograph TensorBoard's page with the heat maps of validation photographs."""
    with tensorboard(work / "logs") as address:
        screenshot(f"{address}#images&tagFilter=heat%20maps", PICTURES / "tensorboard.png", "1100,640")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--work", type=Path, default=REPO, help="work folder of the finished sample run")
    work = options.parse_args().work
    data, latest = work / "data", follow(work / "models" / "latest")
    if not (latest / "metrics.json").exists():
        sys.exit(f"{latest} has no metrics.json; run first: bash run_pipeline.sh")
    PICTURES.mkdir(exist_ok=True)
    grades = read_labels(work / "labels" / "trainLabels.csv").set_index("image")["level"]
    paths, captions = zip(*photographs(grades, data))
    sheet([Image.open(p) for p in paths], 3, 300, 230, captions).save(PICTURES / "sample.jpeg", quality=88)
    geometry = {p.stem: read_geometry(p) for p in sorted((data / "resized").glob("*.png"))}
    upright = {n: g for n, g in geometry.items() if g["found"] and g["width"] > g["height"]}
    cut, small = (
        min(upright, key=lambda n: upright[n]["visible"]),
        min(upright, key=lambda n: upright[n]["radius"] / upright[n]["width"]),
    )
    circle_and_crop([cut, small], data).save(PICTURES / "crop.jpeg", quality=90)
    name = grades.index[grades >= 3][0]
    copies = [Image.open(data / "rotated" / f"{copy_name(name, t)}.png") for t in ANY_DR]
    sheet(copies, 6, 160, 160, ANY_DR).save(PICTURES / "copies.jpeg", quality=90)
    for chart in ("class_balance_grades.png", "class_balance_copies.png"):
        shutil.copy(work / "figures" / chart, PICTURES / chart)
    shutil.copy(latest / "training_curves.png", PICTURES / "training_curves.png")
    graded(work, name)
    draw_tensorboard(work)
    screenshot((latest / "report.html").resolve().as_uri(), PICTURES / "report.png", "1165,1840")


if __name__ == "__main__":
    main()
