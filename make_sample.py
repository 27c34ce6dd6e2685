"""Make synthetic fundus photographs, the default data of the pipeline and of its tests.

They resemble a Kaggle download: two eyes per patient whose grades mostly agree, the competition's class imbalance,
fifteen cameras, and the defects of a real collection (lens cap on, truncated file). Only the lesions depend on the
grade; camera and light are independent of it. Figures on these photographs say nothing about patients.

Writes   <output>/train/<patient>_<left|right>.jpeg   patients s0001, s0002 ... (Kaggle's are plain numbers)
         <labels-out>                                 image,level: grade 0 to 4
Command  python make_sample.py
Expect   400 photographs, 50 MB, in about a minute on two cores. The first n photographs of a seed do not depend
         on the count; the first 40 include every grade, every camera and both defects.
"""

import argparse
import csv
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from eyenet.run.errors import StageError, plural
from eyenet.run.files import write_rows, write_whole
from eyenet.run.folder import output_folder
from eyenet.run.options import parser
from eyenet.run.script import run_main
from eyenet.run.workers import for_each
from eyenet.sample.eye import draw_look, paint_eye
from eyenet.sample.shapes import CANVAS, COARSE, EDGE, bump, enlarge, grid

DOWNLOADS = Path("data/download")
VERSION = 2  # of the drawing: increase it when the bytes change, so that no folder mixes two versions
EYES = ("left", "right")
SAMPLE_NAME = re.compile(r"s\d{4,}_(left|right)")
KAGGLE_COUNTS = (25810, 2443, 5292, 873, 708)  # photographs of grade 0 to 4 in the competition's training set
PREVALENCE = np.array(KAGGLE_COUNTS) / sum(KAGGLE_COUNTS)
# In Kaggle's data the two eyes agree in 87 % of patients; two independent eyes agree in sum(PREVALENCE**2) = 57 %.
REDRAWN = 0.13 / (1 - np.sum(PREVALENCE**2))
ACCIDENT_RATE = 0.01  # of each kind, all-black and truncated

# The first twenty patients are fixed, so that even a small sample includes every case.
FIRST_GRADES = (0, 2, 0, 4, 0, 1, 0, 3, 0, 0, 2, 0, 0, 1, 0, 0, 2, 0, 0, 0)
FIRST_ACCIDENTS = {(3, "right"): "all-black", (5, "left"): "truncated"}


@dataclass(frozen=True)
class Camera:
    """A camera and how it is used. Lengths are fractions of the height of the frame."""

    width: int
    height: int
    diameter: float = 0.94  # of the retina; above 1 it is cropped at top and bottom
    shift: tuple = (0.0, 0.0)  # of the retina's centre from the frame's
    notch: float | None = None  # degrees from the right, counter-clockwise, of a tab on the rim
    gain: float = 1.0
    tint: tuple = (1.0, 1.0, 1.0)
    haze: float = 0.0  # share of stray light
    flare: float = 0.0  # strength of a bright crescent at the rim
    rim: float = 0.012  # softness of the edge of the field, in radii
    black: float = 2.0  # level of the frame outside the field
    noise: float = 1.5  # standard deviation, in grey levels
    blur: float = 0.8  # pixels of the canvas
    quality: int = 90
    subsampling: str = "4:2:0"
    saturation: float = 1.0  # of the colours; 0 is grey
    inverted: bool = False  # rotated by 180 degrees, as through an indirect lens
    orientation: int = 1  # EXIF: how a viewer must turn the stored pixels


CAMERAS = (
    Camera(1440, 960, notch=40, gain=0.95),
    Camera(1300, 1000, diameter=1.14, rim=0.03, flare=0.25, tint=(1.0, 1.08, 1.15), gain=0.92),
    Camera(1800, 1200, diameter=0.97, notch=38, tint=(0.95, 0.95, 0.80), gain=0.85),
    Camera(1024, 680, diameter=1.23, rim=0.03, shift=(0.03, 0.02), quality=93, tint=(0.84, 1.0, 1.12)),
    Camera(1280, 960, diameter=0.90, gain=0.55, black=4, noise=2.5, blur=1.0),
    Camera(1100, 800, diameter=0.96, saturation=0.5, noise=2.0, black=6),
    Camera(960, 640, diameter=0.98, orientation=6, quality=94, noise=2.0),
    Camera(2000, 1333, diameter=0.92, notch=42, quality=84, tint=(0.92, 1.10, 0.90)),
    Camera(1152, 768, diameter=1.05, shift=(-0.07, 0.0), rim=0.02, flare=0.4, gain=1.15, haze=0.12, black=0),
    Camera(1500, 1000, diameter=0.66, shift=(0.05, -0.03), tint=(1.0, 0.94, 0.78), quality=88),
    Camera(720, 576, diameter=0.95, blur=1.8, quality=95, noise=2.5, subsampling="4:4:4", black=12),
    Camera(1400, 1050, diameter=0.93, gain=1.22, haze=0.25, blur=2.0, notch=45, black=8),
    Camera(1200, 900, diameter=1.10, orientation=8, inverted=True, tint=(0.92, 1.04, 1.14), rim=0.02),
    Camera(1056, 704, diameter=0.97, orientation=3, gain=0.8, tint=(1.0, 0.90, 0.85), black=3),
    Camera(1600, 1067, diameter=1.17, inverted=True, rim=0.025, flare=0.3, quality=82, blur=1.2),
)


# ---- patients --------------------------------------------------------------------------------


def photograph_name(patient, eye):
    """Name a photograph as Kaggle does, with an s before the number of the patient."""
    return f"s{patient:04d}_{eye}"


def draw_grades(seed, patient):
    """Draw the grades of a patient's eyes, with Kaggle's prevalence; 87 % of the pairs are equal."""
    rng = np.random.default_rng([seed, patient, 10])
    first, anew, second = rng.random(3)
    limits = np.cumsum(PREVALENCE)[:-1]
    left = FIRST_GRADES[patient - 1] if patient <= len(FIRST_GRADES) else int(np.searchsorted(limits, first))
    right = int(np.searchsorted(limits, second)) if anew < REDRAWN else left
    return {"left": left, "right": right}


def draw_camera(seed, patient):
    """Draw the camera of a patient, independently of the grade; the first patients get each camera in turn."""
    if patient <= len(FIRST_GRADES):
        return CAMERAS[(patient - 1) % len(CAMERAS)]
    return CAMERAS[np.random.default_rng([seed, patient, 11]).integers(len(CAMERAS))]


def draw_accident(seed, patient, eye):
    """Draw the defect of a photograph: "all-black", "truncated" or, nearly always, None."""
    if patient <= len(FIRST_GRADES):
        return FIRST_ACCIDENTS.get((patient, eye))
    chance = np.random.default_rng([seed, patient, EYES.index(eye), 12]).random()
    return "all-black" if chance < ACCIDENT_RATE else "truncated" if chance < 2 * ACCIDENT_RATE else None


# ---- the photograph -------------------------------------------------------------------------------------


def light_eye(image, rng, camera):
    """Add uneven light and the camera's colour cast; modifies and returns `image`, (3, CANVAS, CANVAS)."""
    x, y = grid(COARSE)
    far = np.hypot(x, y)
    fall = rng.uniform(0.10, 0.40) * far**2
    lean = rng.normal(0, 0.10) * x + rng.normal(0, 0.10) * y
    light = camera.gain * rng.uniform(0.85, 1.12) * (1 - fall) * (1 + lean)
    if rng.random() < 0.2:  # shadow of an eyelid or a small pupil
        turn = rng.uniform(0, 2 * np.pi)
        light *= 1 - rng.uniform(0.3, 0.7) * bump(np.hypot(x - np.cos(turn), y - np.sin(turn)), 0.3)
    toward = rng.uniform(0, 2 * np.pi)
    crescent = camera.flare * bump(far - 0.99, 0.07) * bump(np.cos(np.arctan2(y, x) - toward) - 1, 0.5)
    light, stray = enlarge(light), enlarge(camera.haze * (1 - 0.4 * far**2) + crescent)
    for channel, tint, white in zip(image, camera.tint, (0.80, 0.72, 0.70), strict=True):
        channel *= light * np.float32(tint)
        channel += stray * (np.float32(white * tint) - channel)
    return image


def dirty_lens(image, rng):
    """Add dust specks and pale reflexes of the lens; modifies and returns `image`."""
    scale = CANVAS / (2 * EDGE)
    specks = rng.integers(0, 5) if rng.random() < 0.5 else 0
    reflexes = rng.integers(1, 3) if rng.random() < 0.2 else 0
    for change in [-0.25] * specks + [0.22] * reflexes:
        radius = rng.uniform(0.008, 0.03) if change < 0 else rng.uniform(0.02, 0.05)
        centre = rng.uniform(-0.8, 0.8, 2)
        corner = ((centre + EDGE - 3 * radius) * scale).astype(int)
        side = int(6 * radius * scale)
        line = (np.arange(side) - side / 2) / (radius * scale)
        spot = np.float32(change * rng.uniform(0.5, 1)) * bump(np.hypot(*np.meshgrid(line, line)), 1).astype(np.float32)
        patch = image[:, corner[1] : corner[1] + side, corner[0] : corner[0] + side]
        patch += spot if change > 0 else spot * patch
    return image


def field_of_view(camera):
    """Make the mask of the field of view, (CANVAS, CANVAS): a disc, for some cameras with a notch."""
    x, y = grid(CANVAS)
    mask = np.clip((1 - np.hypot(x, y)) / camera.rim + 0.5, 0, 1)
    if camera.notch is not None:
        turn = np.deg2rad(camera.notch)
        out, across = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
        mask[(out > 0.9) & (out < 1.055) & (np.abs(across) < 0.05)] = 1
    return mask


def frame_eye(image, rng, camera):
    """Project the retina onto the sensor; returns a uint8 array of shape (height, width, 3)."""
    image = (image * field_of_view(camera) * 255).clip(0, 255).astype(np.uint8)
    retina = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    retina = retina.filter(ImageFilter.GaussianBlur(camera.blur * rng.uniform(0.7, 1.4)))
    side = round(camera.height * camera.diameter * EDGE)
    retina = retina.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    frame = Image.new("RGB", (camera.width, camera.height))
    shift = np.array(camera.shift) + rng.normal(0, 0.008, 2)
    left = round(camera.width / 2 + shift[0] * camera.height - side / 2)
    frame.paste(retina, (left, round(camera.height * (0.5 + shift[1]) - side / 2)))
    return add_noise(np.asarray(frame), rng, camera)


def add_noise(frame, rng, camera):
    """Add the black level and the noise of the sensor to a uint8 frame."""
    noise = rng.standard_normal(frame.shape[:2], dtype=np.float32)
    noise *= np.float32(camera.noise)
    noise += np.float32(camera.black + 0.5)
    noise = np.floor(noise).astype(np.int16)
    return (frame + noise[..., None]).clip(0, 255).astype(np.uint8)


def encode_jpeg(frame, camera, note):
    """Compress a frame with the JPEG settings of its camera.

    Returns
    -------
    bytes
    """
    picture = Image.fromarray(np.rot90(frame, {1: 0, 3: 2, 6: 1, 8: 3}[camera.orientation]))
    if camera.saturation != 1:
        picture = ImageEnhance.Color(picture).enhance(camera.saturation)
    exif = Image.Exif()
    if camera.orientation != 1:
        exif[0x0112] = camera.orientation
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=camera.quality, exif=exif, comment=note, subsampling=camera.subsampling)
    return data.getvalue()


def take_photograph(seed, patient, eye, level):
    """Make one photograph; its bytes depend only on the arguments.

    Parameters
    ----------
    seed, patient : int
    eye : {"left", "right"}
    level : int
        Grade of diabetic retinopathy, 0 to 4.

    Returns
    -------
    bytes
        A JPEG file, truncated if that is the defect drawn for it.
    """
    look = draw_look(np.random.default_rng([seed, patient, 13]))
    camera, accident = draw_camera(seed, patient), draw_accident(seed, patient, eye)
    rng = np.random.default_rng([seed, patient, EYES.index(eye), 14])
    if accident == "all-black":
        lens_cap = replace(camera, black=1, noise=1)
        frame = add_noise(np.zeros((camera.height, camera.width, 3), np.uint8), rng, lens_cap)
    else:
        image = paint_eye(rng, look, level)
        if (eye == "left") != camera.inverted:
            image = image[:, :, ::-1]
        if camera.inverted:
            image = image[:, ::-1]
        frame = frame_eye(dirty_lens(light_eye(image, rng, camera), rng), rng, camera)
    data = encode_jpeg(frame, camera, f"EyeNet synthetic sample, seed {seed}")
    return data[: int(len(data) * rng.uniform(0.4, 0.7))] if accident == "truncated" else data


# ---- the folder -----------------------------------------------------------------------------------------


def list_sample(seed, photographs):
    """List (number of the patient, eye, grade) of every photograph, in the order of the patients."""
    sample = []
    for patient in range(1, photographs // 2 + 1):
        grades = draw_grades(seed, patient)
        sample += [(patient, eye, grades[eye]) for eye in EYES]
    return sample


def check_labels(path):
    """Refuse to overwrite a label table that is not a sample's.

    Raises
    ------
    StageError
        If the table names photographs that this script does not make, as Kaggle's own does.
    """
    if not path.exists():
        return
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        names = [row[0] for row in csv.reader(file) if row][1:]
    foreign = [name for name in names if not SAMPLE_NAME.fullmatch(name)]
    if foreign:
        raise StageError(f"{path} labels other photographs ({foreign[0]}); move it away or choose another --labels-out")


def at_least_two(text):
    """Parse the number of photographs: a patient has two eyes."""
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(f"{text} photographs are too few; a sample has at least the 2 of one patient")
    return number


def natural(text):
    """Parse a whole number from 0 up; numpy's generators take no negative seed."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative; give a whole number from 0 up")
    return number


def parse_options():
    """Parse the command line."""
    options = parser(__doc__, output=DOWNLOADS, labels_out=Path("labels/trainLabels.csv"), workers=True)
    options.add_argument("--photographs", type=at_least_two, default=400, help="how many; odd ones are rounded up")
    options.add_argument("--seed", type=natural, default=0, help="seed of the drawings")
    return options.parse_args()


def main():
    """Make the missing photographs of the sample, then the label table."""
    options = parse_options()
    check_labels(options.labels_out)
    sample = list_sample(options.seed, options.photographs + options.photographs % 2)
    folder = options.output / "train"

    def make_missing(item):
        patient, eye, level = item
        path = folder / f"{photograph_name(patient, eye)}.jpeg"
        if path.exists():  # complete, because files are written under a temporary name
            return False
        write_whole(path, take_photograph(options.seed, patient, eye, level))
        return True

    options.labels_out.parent.mkdir(parents=True, exist_ok=True)
    with output_folder(folder, "make_sample.py", {"seed": options.seed, "version": VERSION}):
        new = sum(made for _, made in for_each(make_missing, sample, options.workers, "drawing eyes"))
        rows = sorted((photograph_name(patient, eye), level) for patient, eye, level in sample)
        write_rows(options.labels_out, ["image", "level"], rows)
    diseased = sum(level > 0 for _, level in rows)
    print(
        f"{plural(len(rows), 'synthetic photograph')} in {folder} ({new} new), "
        f"{diseased} of them with retinopathy; labels in {options.labels_out}"
    )
    print("next: python resize_images.py" + ("" if folder == DOWNLOADS / "train" else f" --input {folder}"))


if __name__ == "__main__":
    run_main(main)
