"""Drawing tools for a synthetic eye: canvas, smooth noise, outlines, random curves and colour layers.

Coordinates are (x, y), x to the right and y down; the field of view is the unit circle.
Images are float32 of shape (3, CANVAS, CANVAS), channels first, because numpy scales a whole channel several
times faster than interleaved pixels.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

CANVAS = 960  # side in pixels, about the diameter of the retina in a medium-sized photograph
EDGE = 1.1  # the canvas spans -EDGE..EDGE; the margin is for a camera's notch and for off-centre frames
COARSE = CANVAS // 8  # side of slowly varying fields (light, pigment), which are enlarged afterwards


@dataclass(frozen=True)
class Layer:
    """Optical properties of one kind of shape: it absorbs light, as blood does, or is opaque."""

    blur: float  # softness of the edges, pixels of the canvas
    colour: tuple  # RGB colour if opaque; optical density in R, G, B if absorbing
    absorbs: bool = False


# From back to front. Blood absorbs green and blue more than red.
LAYERS = {
    "crescent": Layer(5.0, (0.92, 0.72, 0.46)),
    "disc": Layer(3.5, (0.96, 0.66, 0.42)),
    "cup": Layer(7.0, (1.00, 0.90, 0.68)),
    "scar": Layer(1.5, (0.93, 0.82, 0.60)),
    "pigment": Layer(1.5, (1.3, 1.3, 1.1), absorbs=True),
    "drusen": Layer(2.2, (0.96, 0.78, 0.46)),
    "exudate": Layer(1.1, (1.00, 0.93, 0.58)),
    "vein": Layer(1.1, (0.42, 0.88, 0.62), absorbs=True),
    "artery": Layer(1.1, (0.14, 0.60, 0.52), absorbs=True),
    "blood": Layer(2.1, (0.75, 1.75, 1.50), absorbs=True),
    "cotton wool": Layer(7.0, (0.98, 0.92, 0.76)),
    "fibrous": Layer(4.0, (0.86, 0.84, 0.74)),
    "preretinal": Layer(2.0, (0.80, 2.60, 2.40), absorbs=True),
}


def enlarge(field):
    """Enlarge a small float field of shape (h, w) to the canvas, by bicubic interpolation."""
    return np.asarray(Image.fromarray(np.float32(field)).resize((CANVAS, CANVAS), Image.Resampling.BICUBIC))


def grid(side):
    """Return the x and y coordinates of a side x side grid over the canvas."""
    line = np.linspace(-EDGE, EDGE, side, dtype=np.float32)
    return np.meshgrid(line, line)


def cloud(rng, cells, side):
    """Make smooth noise of shape (side, side), standard deviation about 1, features 2 * EDGE / cells wide."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)) * 1.4


def bump(distance, radius):
    """Return a bell curve that falls to 0.6 at `radius`."""
    return np.exp(-0.5 * (distance / radius) ** 2)


def draw_shape(layers, name, outline, value):
    """Fill a closed outline, shape (n, 2), in a layer with a strength between 0 and 1.

    Layers are drawn at twice the size of the canvas and reduced later, which smooths their edges.
    """
    if name not in layers:
        layers[name] = Image.new("L", (2 * CANVAS, 2 * CANVAS))
    pixels = (np.asarray(outline) + EDGE) * (CANVAS / EDGE)
    ImageDraw.Draw(layers[name]).polygon(pixels.ravel().tolist(), fill=int(255 * min(value, 1)))


def blob(rng, centre, radius, roughness=0.15, stretch=1.0, angle=0.0):
    """Make the outline of an irregular spot, shape (28, 2), longer by `stretch` in direction `angle`."""
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    waves = np.arange(2, 6)[:, None]
    sizes = roughness * rng.standard_normal((4, 1)) / np.sqrt(waves)
    ripple = (sizes * np.cos(waves * turn + rng.uniform(0, 2 * np.pi, (4, 1)))).sum(axis=0)
    reach = radius * np.clip(1 + ripple, 0.3, 2)
    along, across = reach * np.cos(turn) * stretch, reach * np.sin(turn)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.column_stack([along * cos - across * sin, along * sin + across * cos]) + centre


def ribbon(path, widths):
    """Make the outline, shape (2 n, 2), of a line along `path` (n, 2) that is `widths` (n,) wide."""
    ahead = np.gradient(path, axis=0)
    normal = np.column_stack([-ahead[:, 1], ahead[:, 0]])
    normal *= (widths / 2 / np.maximum(np.hypot(*ahead.T), 1e-9))[:, None]
    return np.concatenate([path + normal, (path - normal)[::-1]])


def grow(rng, starts, headings, lengths, targets, pull, wander, steps=40):
    """Grow curves in parallel: each step turns the heading at random and towards a target.

    Parameters
    ----------
    rng : numpy.random.Generator
    starts, targets : ndarray of shape (n, 2)
    headings, lengths, pull : ndarray of shape (n,)
        Radians; radii of the field; radians a step (negative: away from the target).
    wander : float
        Deviation of the random bend, radians a step.
    steps : int

    Returns
    -------
    ndarray of shape (n, steps, 2)
    """
    paths = np.empty((len(starts), steps, 2))
    place, heading, bend = np.array(starts, float), np.array(headings, float), np.zeros(len(starts))
    for step in range(steps):
        paths[:, step] = place
        away = targets - place
        bend = 0.75 * bend + wander * rng.standard_normal(len(starts))
        heading = heading + bend + pull * np.sin(np.arctan2(away[:, 1], away[:, 0]) - heading)
        place = place + np.column_stack([np.cos(heading), np.sin(heading)]) * (lengths / steps)[:, None]
    return paths


def compose(image, layers):
    """Compose the layers over the background, from back to front; modifies and returns `image`."""
    for name, layer in LAYERS.items():
        if name not in layers:
            continue
        mask = layers[name].reduce(2)
        if (box := mask.getbbox()) is None:
            continue
        margin = math.ceil(4 * layer.blur) + 4  # the blur reaches no further
        left, top = (max(0, edge - margin) for edge in box[:2])
        right, bottom = (min(CANVAS, edge + margin) for edge in box[2:])
        mask = mask.crop((left, top, right, bottom)).filter(ImageFilter.GaussianBlur(layer.blur))
        mask = np.asarray(mask, dtype=np.float32) / 255
        for channel, value in zip(image[:, top:bottom, left:right], layer.colour, strict=True):
            if layer.absorbs:
                channel *= np.exp(mask * np.float32(-value))
            else:
                channel += mask * (np.float32(value) - channel)
    return image
