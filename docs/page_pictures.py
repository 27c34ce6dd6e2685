"""Make the pictures of the offline page in the documentation, with the network that ships.

    python docs/page_pictures.py

Builds the page, chooses its drawn eyes in Chromium, and writes docs/pictures/app_phone.jpeg and app_desktop.jpeg.
Needs Node.js, Chromium and requirements-export.txt.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

from benchmarks import browser  # noqa: E402

PICTURES = REPO / "docs" / "pictures"
WIDTHS = {"phone": 390, "desktop": 900}  # pixels


def make_page(folder):
    """Build the page with the network that ships."""
    browser.install()
    browser.build()
    options = ["--format", "app", "--model", REPO / "pretrained" / "eyenet-lite", "--output", folder]
    subprocess.run([sys.executable, REPO / "export_model.py", *options], check=True)
    return folder


def main():
    if why := browser.missing():
        sys.exit(f"the page cannot be shown: {why}")
    with tempfile.TemporaryDirectory() as folder:
        browser.browse("pictures", make_page(Path(folder) / "page"), folder=folder)
        for name, width in WIDTHS.items():
            with Image.open(Path(folder) / f"{name}.png") as shown:
                size = width, round(shown.height * width / shown.width)
                picture = shown.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            picture.save(PICTURES / f"app_{name}.jpeg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
