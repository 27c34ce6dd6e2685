"""Draw the examples of the page's guide and its sample patients, with the drawn eyes of make_sample.py.

    python app/make_examples.py

Writes app/public/examples/*.webp   a good photograph, and what goes wrong; 7 kB in all
       app/public/samples/*.webp    three patients to try the page with; 70 kB in all
"""

import io
import sys
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

from make_sample import take_photograph  # noqa: E402

EXAMPLES = REPO / "app" / "public" / "examples"
SAMPLES = REPO / "app" / "public" / "samples"
PIXELS = 192  # pixels; shown at half of this
WIDTH = 720  # pixels, of a sample
PATIENTS = {
    "negative": (16, 0),
    "referable": (2, 3),
}  # number of the sample, and grade; as the network that ships answers


def draw(patient, eye, level):
    """Draw a photograph as make_sample.py does, upright."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(take_photograph(0, patient, eye, level)))).convert("RGB")


def cut_off(eye):
    """Move an eye so that a third of it lies outside the frame."""
    return eye.transform(eye.size, Image.Transform.AFFINE, (1, 0, -eye.width * 0.38, 0, 1, eye.height * 0.12))


def draw_examples():
    """Draw a healthy right eye in a square frame, and photographs of it that are not good enough."""
    eye = ImageOps.fit(draw(1, "right", 0), (4 * PIXELS, 4 * PIXELS))
    pictures = {
        "good": eye,
        "dark": ImageEnhance.Brightness(eye).enhance(0.22),
        "bright": ImageEnhance.Brightness(eye).enhance(2.6),
        "blurred": eye.filter(ImageFilter.GaussianBlur(eye.width / 35)),
        "cut": cut_off(eye),
    }
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        picture.resize((PIXELS, PIXELS), Image.Resampling.LANCZOS).save(EXAMPLES / f"{name}.webp", quality=60, method=6)


def draw_samples():
    """Draw both eyes of the sample patients, and a poor photograph, which is too dark."""
    SAMPLES.mkdir(parents=True, exist_ok=True)
    for name, (patient, level) in PATIENTS.items():
        for eye in ("right", "left"):
            picture = draw(patient, eye, level)
            picture = picture.resize((WIDTH, round(WIDTH * picture.height / picture.width)), Image.Resampling.LANCZOS)
            picture.save(SAMPLES / f"{name}_{eye}.webp", quality=80, method=6)
            if (name, eye) == ("negative", "right"):
                poor = ImageEnhance.Brightness(picture).enhance(0.06)  # so dark that no network is asked
                poor.save(SAMPLES / "poor_right.webp", quality=80, method=6)


def main():
    draw_examples()
    draw_samples()


if __name__ == "__main__":
    main()
