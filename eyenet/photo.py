"""From a photograph to the network's input: decode, find the circle of the retina, crop, average to 256 px.

One way for training, prediction and retraining. `PREPROCESSING` is its version: a model stores it and
refuses photographs prepared in another way.
"""

import functools
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from eyenet.stage import PhotoError

PREPROCESSING = 1
PHOTOGRAPHS = (".jpeg", ".jpg", ".png", ".tif", ".tiff")
MAX_PIXELS = 100_000_000  # about twice the largest fundus camera; a decoded photograph stays under 300 MB
MIN_DIAMETER = 128  # pixels of retina in the original; less than half the default output is not worth grading
BLACK = 24  # a frame whose brightest hundredth is darker than this shows nothing
Image.MAX_IMAGE_PIXELS = None  # `open_photograph` has its own limit and its own sentence


@dataclass(frozen=True)
class Circle:
    """Circle of the retina in pixels of the upright photograph; pixel centres are at half-integers.

    `found` is False for a black frame, where the circle is merely the largest one that fits.
    """

    x: float
    y: float
    radius: float
    found: bool = True

    def scaled(self, factor):
        """Give the same circle in an image `factor` times as large."""
        return Circle(self.x * factor, self.y * factor, self.radius * factor, self.found)


def open_photograph(path, least=None):
    """Decode a photograph into upright RGB, a JPEG at the smallest of 1/1, 1/2, 1/4, 1/8 that is large enough.

    A JPEG's cosine transform can be inverted at a fraction of its size, which averages the pixels and costs
    little more than reading the file.

    Parameters
    ----------
    path : path-like
    least : int, optional
        The decoded short side keeps at least as many pixels. Default: full size.

    Returns
    -------
    image : PIL.Image.Image
        Mode RGB, EXIF orientation applied.
    factor : int
        Pixels of the photograph per pixel of `image`: 1, 2, 4 or 8.
    frame : (int, int)
        Width and height of the upright photograph.

    Raises
    ------
    PhotoError
        If the file cannot be read, is not an image, is damaged or is larger than `MAX_PIXELS`.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise PhotoError(
                    f"{width} x {height} pixels are more than the {MAX_PIXELS // 10**6} million that are accepted"
                )
            factor = 1
            if least is not None and image.format == "JPEG":
                factor = next((k for k in (8, 4, 2) if min(width, height) // k >= least), 1)
                image.draft(None, (width // factor, height // factor))
            image.load()
            upright = _to_rgb(ImageOps.exif_transpose(image))
            turned = (upright.width > upright.height) != (width > height)
            return upright, factor, ((height, width) if turned else (width, height))
    except PhotoError:
        raise
    except IsADirectoryError:
        raise PhotoError("is a folder, not a photograph") from None
    except Exception as error:  # on garbage Pillow's decoders raise nearly anything: OSError, SyntaxError, struct.error
        raise PhotoError(_reason(path, error)) from None


def _reason(path, error):
    """Say in plain words why Pillow could not read a file."""
    try:
        if Path(path).stat().st_size == 0:
            return "the file is empty"
    except OSError as gone:
        return f"cannot be read: {gone.strerror}"
    if isinstance(error, Image.UnidentifiedImageError):
        return "is not an image in a format that can be read (JPEG, PNG, TIFF)"
    if "truncated" in str(error) or "Truncated" in str(error):
        return "the file is truncated: its end is missing"
    return f"the image data is damaged ({type(error).__name__}: {error})"


def _to_rgb(image):
    """Convert any Pillow mode to 8-bit RGB: 16-bit by its high byte, transparency over black."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image).astype(np.float64)
        top = 65535 if image.mode.startswith("I;16") or values.max() > 255 else 255
        if image.mode == "F" and values.max() <= 1:
            top = 1
        image = Image.fromarray((values * (255 / top)).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def find_retina(image):
    """Find the circle of the retina, also when it is cut off, off-centre, small or dark.

    The outermost lit pixels of every row and column that are not on the frame's border lie on the rim, however
    much of the disc is cut off; a circle is fitted to them by linear least squares [1]_, leaving out the worst
    in a few rounds (notch, flare, dust).

    Parameters
    ----------
    image : PIL.Image.Image
        RGB, any size; about 500 px are enough.

    Returns
    -------
    Circle
        In pixels of `image`. `found` is False for a black frame.

    Raises
    ------
    PhotoError
        If there is no round, lit field against a dark surround.

    References
    ----------
    .. [1] I. Kasa, "A circle fitting procedure and its error analysis", IEEE Transactions on
       Instrumentation and Measurement, 1976.
    """
    step = max(1, min(image.size) // 200)
    light = np.asarray(image)[step // 2 :: step, step // 2 :: step].max(axis=2)
    low, high, top = np.percentile(light, (1, 95, 99))
    # The first threshold withstands glow and noise, the second finds a retina that is half in shade, the third
    # one that fills less than a twentieth of the frame.
    for threshold in (max(6, 0.12 * (high - low)), max(4, 0.04 * (high - low)), max(6, 0.12 * (top - low))):
        lit = light > low + threshold
        points = _rim_points(lit)
        circle = _fit_circle(points) if len(points) >= 20 else None
        if circle is not None and _plausible(circle, lit, points):
            x, y, radius = circle
            # The sample at index i covers a block of `step` pixels of which it is the centre.
            return Circle((x + 0.5) * step, (y + 0.5) * step, radius * step)
    if top <= BLACK:
        return Circle(image.width / 2, image.height / 2, min(image.size) / 2, found=False)
    raise PhotoError("no retina found: there is no round, lit field against a dark surround")


def _rim_points(lit):
    """List (x, y) of the first and last lit pixel of each row and column, without those on the border."""
    height, width = lit.shape
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    first, last = lit[rows].argmax(axis=1), width - 1 - lit[rows, ::-1].argmax(axis=1)
    top, bottom = lit[:, columns].argmax(axis=0), height - 1 - lit[::-1, columns].argmax(axis=0)
    # The rim runs between the last dark and the first lit pixel, hence the half pixel outwards.
    x = np.concatenate([first - 0.5, last + 0.5, columns, columns])
    y = np.concatenate([rows, rows, top - 0.5, bottom + 0.5])
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    return np.stack([x[inside], y[inside]], axis=1)


def _fit_circle(points):
    """Fit (x, y, radius) to points (n, 2), six times over, each time to those nearest the last circle."""
    kept = points
    for _ in range(6):
        design = np.column_stack([kept, np.ones(len(kept))])
        (a, b, c), *_ = np.linalg.lstsq(design, (kept**2).sum(axis=1), rcond=None)
        square = c + (a * a + b * b) / 4
        if square <= 0:
            return None
        x, y, radius = a / 2, b / 2, square**0.5
        distance = np.abs(np.hypot(points[:, 0] - x, points[:, 1] - y) - radius)
        # At least the better half stays; a good fit keeps all that lie within 1.5 % of the radius.
        kept = points[distance <= max(np.median(distance), 0.015 * radius)]
    return x, y, radius


def _plausible(circle, lit, points):
    """Tell whether the circle explains what is lit: most rim points on it, most of it lit, little lit outside."""
    x, y, radius = circle
    height, width = lit.shape
    if not (0.15 * min(lit.shape) < radius < max(lit.shape) and 0 < x < width and 0 < y < height):
        return False
    on_rim = np.abs(np.hypot(points[:, 0] - x, points[:, 1] - y) - radius) < 0.03 * radius
    rows, columns = np.ogrid[:height, :width]
    inside = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
    outside_lit = (lit & ~inside).sum() / max(1, lit.sum())
    return on_rim.mean() >= 0.5 and outside_lit < 0.05 and lit[inside].mean() > 0.5


@functools.lru_cache(maxsize=8)
def inside_circle(size):
    """Mark the pixels of a size x size crop whose centres lie in the retina's circle; (size, size, 1) bool."""
    offset = np.arange(size) + 0.5 - size / 2
    mask = (offset[:, None] ** 2 + offset**2 <= (size / 2) ** 2)[..., None]
    mask.flags.writeable = False
    return mask


def crop_retina(image, circle, size):
    """Crop the square around the circle, average it to size x size, black outside the circle.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    circle : Circle
        In pixels of `image`; it may reach beyond the frame.
    size : int

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
    """
    left, upper = circle.x - circle.radius, circle.y - circle.radius
    x0, y0 = int(np.floor(left)), int(np.floor(upper))
    x1, y1 = int(np.ceil(left + 2 * circle.radius)), int(np.ceil(upper + 2 * circle.radius))
    square = image.crop((x0, y0, x1, y1))  # beyond the frame it is black
    box = (left - x0, upper - y0, left - x0 + 2 * circle.radius, upper - y0 + 2 * circle.radius)
    # Pillow's BOX is no exact area average at ratios near 2; HAMMING comes 14 dB closer to one (benchmarks/).
    small = square.resize((size, size), Image.Resampling.HAMMING, box=box)
    return np.where(inside_circle(size), np.asarray(small), np.uint8(0))


def photograph_to_input(path, size=256):
    """Turn a photograph into the network's input.

    Parameters
    ----------
    path : path-like
    size : int
        Side of the result in pixels, which is the retina's diameter.

    Returns
    -------
    crop : ndarray of uint8, shape (size, size, 3)
    geometry : dict
        `bytes`, `width`, `height` of the photograph, `center_x`, `center_y`, `radius` of the circle in its
        pixels, `visible` (share of the circle that is inside the frame) and `found`.

    Raises
    ------
    PhotoError
        If the photograph cannot be read, shows no retina, or shows it too small.
    """
    image, factor, frame = open_photograph(path, 2 * size)
    circle = find_retina(image)
    while factor > 1 and 2 * circle.radius < 2 * size:  # a small disc in a large frame: decode it larger
        image, smaller, frame = open_photograph(path, min(image.size) + 1)
        circle, factor = circle.scaled(factor / smaller), smaller
    whole = circle.scaled(factor)
    if 2 * whole.radius < MIN_DIAMETER:
        raise PhotoError(f"the retina is {2 * whole.radius:.0f} pixels across; at least {MIN_DIAMETER} are needed")
    geometry = {
        "bytes": Path(path).stat().st_size,
        "width": frame[0],
        "height": frame[1],
        "center_x": round(whole.x, 1),
        "center_y": round(whole.y, 1),
        "radius": round(whole.radius, 1),
        "visible": round(_visible(circle, image.size), 3),
        "found": circle.found,
    }
    return crop_retina(image, circle, size), geometry


def _visible(circle, frame):
    """Estimate the share of the circle's area that is inside the frame, on a grid of 200 x 200."""
    grid = (np.arange(200) + 0.5) / 100 - 1
    disc = grid[:, None] ** 2 + grid**2 <= 1
    x, y = circle.x + circle.radius * grid, circle.y + circle.radius * grid
    shown = ((y >= 0) & (y <= frame[1]))[:, None] & ((x >= 0) & (x <= frame[0]))
    return float((disc & shown).sum() / disc.sum())


def encode_png(pixels, geometry=None):
    """Compress an image without loss; level 1 and run lengths take a fifteenth of the time of Pillow's default.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
    geometry : dict, optional
        Stored in the file's text chunk `eyenet`.

    Returns
    -------
    bytes
    """
    info = PngImagePlugin.PngInfo()
    if geometry is not None:
        info.add_text("eyenet", json.dumps(geometry))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1, compress_type=3, pnginfo=info)
    return file.getvalue()


def read_crop(path):
    """Read an image that a stage wrote.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)

    Raises
    ------
    PhotoError
        If the file is damaged.
    """
    return np.asarray(open_photograph(path)[0])


def read_geometry(path):
    """Read the geometry that `encode_png` stored; an empty dict where there is none."""
    with Image.open(path) as image:
        return json.loads(image.info.get("eyenet", "{}"))
