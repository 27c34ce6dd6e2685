"""Draw the examples of the page's guide: a good photograph, and what goes wrong, from a drawn eye of make_sample.py.

    python app/make_examples.py

Writes app/public/examples/*.webp, about 20 kB in all.
"""

import io
import sys
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

from make_sample import take_photograph  # noqa: E402

EXAMPLES = REPO / "app" / "public" / "examples"
SIDE = 192  # pixels; shown at half of this


def draw_eye():
    """Draw a healthy right eye in a square frame."""
    photograph = Image.open(io.BytesIO(take_photograph(seed=0, patient=1, eye="right", level=0))).convert("RGB")
    return ImageOps.fit(photograph, (4 * SIDE, 4 * SIDE))


def cut_off(eye):
    """Move the eye so that a third of it lies outside the frame."""
    return eye.transform(eye.size, Image.Transform.AFFINE, (1, 0, -eye.width * 0.38, 0, 1, eye.height * 0.12))


def main():
    eye = draw_eye()
    pictures = {
        "good": eye,
        "dark": ImageEnhance.Brightness(eye).enhance(0.22),
        "bright": ImageEnhance.Brightness(eye).enhance(2.6),
        "blurred": eye.filter(ImageFilter.GaussianBlur(eye.width / 35)),
        "cut": cut_off(eye),
    }
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(EXAMPLES / f"{name}.webp", quality=60, method=6)


if __name__ == "__main__":
    main()
