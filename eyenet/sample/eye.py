"""Draw a synthetic eye: the retina of a 45-degree fundus photograph, with the lesions of its grade.

This is a test object, not a model of disease: it looks like a retina, and only the lesions depend on the grade.
make_sample.py adds the camera (frame, light, colour cast, noise), lesions.py draws the lesions, and shapes.py
defines coordinates and images. The eye is a right eye: the optic disc is on the nasal side, right of the fovea.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from eyenet.sample.lesions import BEADED, draw_lesions, find_place
from eyenet.sample.shapes import CANVAS, COARSE, blob, bump, cloud, compose, draw_shape, enlarge, grid, grow, ribbon

DISC_RADIUS = 0.155  # the disc's diameter is 1/6.5 of a 45-degree field's
DISC_TO_FOVEA = 0.78  # 2.5 disc diameters
AVASCULAR = 0.13  # radius round the fovea that vessels leave free


@dataclass(frozen=True)
class Look:
    """Properties that the two eyes of a patient share, from 0 to 1 unless stated otherwise."""

    pigment: float  # 0 blond fundus, 1 dark fundus
    choroid: float  # visibility of the choroidal vessels
    sheen: float  # reflex of the nerve fibre layer, strong in the young
    tortuosity: float  # of the vessels
    cup: float  # radius of the cup over radius of the disc
    crescent: float  # width of a pale crescent at the disc's temporal side
    drusen: int  # number of drusen: not a sign of DR, but they resemble exudates
    centre_x: float  # x of the fovea: 0 is a photograph centred on the macula


@dataclass(frozen=True)
class Anatomy:
    """Positions of the structures of one eye. Vessels are (paths (n, steps, 2), widths (n, steps)), trunks first."""

    fovea: np.ndarray
    disc: np.ndarray
    arteries: tuple
    veins: tuple


def draw_look(rng):
    """Draw the properties that the two eyes of a patient share.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    Look
    """
    macula_centred = rng.random() < 0.7
    return Look(
        pigment=rng.beta(2, 2),
        choroid=rng.beta(1.2, 2.2),
        sheen=rng.beta(1.2, 2),
        tortuosity=rng.uniform(0.4, 1.2),
        cup=rng.uniform(0.25, 0.65),
        crescent=max(0.0, rng.uniform(-0.4, 0.35)),
        drusen=int(rng.integers(3, 20)) if rng.random() < 0.25 else 0,
        centre_x=rng.normal(-0.05, 0.05) if macula_centred else rng.normal(-0.38, 0.05),
    )


def make_trunks(rng, disc, look, width):
    """Place the main vessels of one kind: the two arcades, the nasal branches and small branches to the macula.

    The arcades leave the disc vertically, pass the macula at two disc diameters and continue temporally.
    """
    s = np.linspace(0, 1, 60)
    arcades = []
    for side in (-1, 1):
        wave = np.array([2, 3, 5, 8, 13])[:, None]
        phase, size = rng.uniform(0, 2 * np.pi, (5, 1)), rng.normal(0, 0.09 * look.tortuosity, (5, 1)) / wave
        wind = (size * np.sin(wave * np.pi * s + phase)).sum(axis=0) * np.minimum(5 * s, 1)
        x = -rng.uniform(1.5, 1.85) * s ** rng.uniform(1.6, 2.1) + wind + 0.03
        y = side * (rng.uniform(0.52, 0.72) * np.sin(s * rng.uniform(1.6, 2.4)) + 0.7 * wind)
        arcades.append(np.column_stack([x, y]) + disc)
    up = rng.uniform(0.55, 1.25, 4) * (-1, 1, -1, 1)  # headings from the nasal direction, two above and two below
    temporal = np.pi + rng.uniform(0.25, 0.6, 2) * (1, -1)
    headings = np.concatenate([up, temporal])
    starts = disc + rng.normal(0, 0.015, (6, 2)) + (0.03, 0)
    targets = np.concatenate([np.tile(disc - (0.4, 0), (4, 1)), np.tile(disc - (DISC_TO_FOVEA, 0), (2, 1))])
    lengths = np.array([1.1, 1.1, 1.1, 1.1, 0.62, 0.62])
    pull = np.array([-0.02, -0.02, -0.02, -0.02, 0.02, 0.02])
    others = grow(rng, starts, headings, lengths, targets, pull, 0.035 * look.tortuosity, steps=60)
    paths = np.concatenate([arcades, others])
    thickness = width * rng.uniform(0.85, 1.15, 8) * (1, 1, 0.7, 0.7, 0.5, 0.5, 0.35, 0.35)
    return paths, thickness[:, None] * np.linspace(1, 0.38, 60)


def branch(rng, parents, count, fovea, disc, look):
    """Add `count` branches to each parent: outward ones follow the parent, inward ones grow towards the macula."""
    paths, widths = parents
    counts = np.where(widths[:, 0] > 0.012, count, 1)  # thin vessels fork once
    parent = np.repeat(np.arange(len(paths)), counts)
    rank = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
    along = (rank + rng.random(len(parent))) / counts[parent]  # spread out along the parent
    where = ((0.15 + 0.75 * along) * paths.shape[1]).astype(int)
    starts = paths[parent, where]
    ahead = starts - paths[parent, where - 1]
    side = 1 - 2 * (rank % 2)  # left and right in turn
    headings = np.arctan2(ahead[:, 1], ahead[:, 0]) + side * rng.uniform(0.4, 0.9, len(parent))
    to_fovea = fovea - starts
    inward = np.cos(headings) * to_fovea[:, 0] + np.sin(headings) * to_fovea[:, 1] > 0
    inward &= starts[:, 0] < disc[0] - 0.1  # the nasal side does not feed the macula
    thickness = np.maximum(widths[parent, where] * rng.uniform(0.5, 0.8, len(parent)), 0.0035)
    # thick branches are long; those that grow towards the macula end at its rim
    lengths = np.where(inward, np.hypot(*to_fovea.T) - 0.8 * AVASCULAR, 12 * np.sqrt(thickness) * 0.6)
    lengths = np.clip(lengths * rng.uniform(0.6, 1.0, len(parent)), 0.08, 1.0)
    targets = np.where(inward[:, None], fovea, disc)
    grown = grow(rng, starts, headings, lengths, targets, np.where(inward, 0.06, -0.035), 0.06 * look.tortuosity)
    tapered = thickness[:, None] * np.linspace(1, 0.4, grown.shape[1])
    return grown, tapered * np.clip((np.linalg.norm(grown - fovea, axis=2) - AVASCULAR) / 0.08, 0, 1)


def make_vessels(rng, fovea, disc, look, width):
    """Grow the vessel tree of one kind: generations of (paths, widths), trunks first."""
    trunks = make_trunks(rng, disc, look, width)
    first = branch(rng, trunks, 5, fovea, disc, look)
    second = branch(rng, first, 2, fovea, disc, look)
    return trunks, first, second


def make_anatomy(rng, look):
    """Lay out one right eye.

    Parameters
    ----------
    rng : numpy.random.Generator
    look : Look

    Returns
    -------
    Anatomy
    """
    fovea = np.array([look.centre_x + rng.normal(0, 0.02), rng.normal(0.02, 0.03)])
    disc = fovea + (DISC_TO_FOVEA + rng.normal(0, 0.02), rng.normal(-0.06, 0.03))
    arteries = make_vessels(rng, fovea, disc, look, 0.021)
    veins = make_vessels(rng, fovea, disc, look, 0.029)
    return Anatomy(fovea, disc, arteries, veins)


def draw_vessels(layers, anatomy, beads):
    """Draw both vessel trees, thin generations first, so that the trunks lie on top."""
    for name, tree in (("artery", anatomy.arteries), ("vein", anatomy.veins)):
        for paths, widths in reversed(tree):
            swell = beads * np.sin(np.arange(paths.shape[1]) * 1.3) if name == "vein" else 0
            for path, width in zip(paths, widths * (1 + swell), strict=True):
                strength = 0.3 + 0.7 * min(width[0] / 0.02, 1)  # a thin vessel holds less blood in depth
                draw_shape(layers, name, ribbon(path, np.maximum(width, 0)), strength)
        paths, widths = tree[0]
        for path, width in zip(paths[:4], widths[:4], strict=True):  # the light reflex along a thick vessel
            draw_shape(layers, name, ribbon(path, 0.3 * width), 0.5 if name == "artery" else 0.8)


def draw_disc(layers, rng, anatomy, look):
    """Draw the optic disc, its cup and, for some eyes, a temporal crescent."""
    tilt, narrow = rng.normal(np.pi / 2, 0.3), rng.uniform(1.02, 1.18)
    radius = DISC_RADIUS * rng.uniform(0.92, 1.05)
    if look.crescent:
        shift = anatomy.disc - (radius * look.crescent, 0)
        draw_shape(layers, "crescent", blob(rng, shift, radius * 1.05, 0.04, narrow, tilt), 0.75)
    draw_shape(layers, "disc", blob(rng, anatomy.disc, radius / narrow, 0.02, narrow, tilt), 0.93)
    pale = anatomy.disc - (0.15 * radius, 0)
    draw_shape(layers, "cup", blob(rng, pale, radius * look.cup, 0.08), 0.85)


def paint_background(rng, anatomy, look):
    """Paint the retina without vessels: pigment, choroid, macula, nerve fibre sheen; (3, CANVAS, CANVAS)."""
    x, y = grid(COARSE)
    blond, medium, dark = np.array([(0.82, 0.50, 0.33), (0.68, 0.38, 0.21), (0.46, 0.27, 0.17)])
    light = look.pigment * 2
    colour = blond + (medium - blond) * light if light < 1 else medium + (dark - medium) * (light - 1)
    to_fovea = np.hypot(x - anatomy.fovea[0], y - anatomy.fovea[1])
    to_disc = np.hypot(x - anatomy.disc[0], y - anatomy.disc[1])
    mottle = 0.06 * cloud(rng, 6, COARSE) + 0.025 * cloud(rng, 15, COARSE) + 0.012 * cloud(rng, 40, COARSE)
    depth = 0.32 * bump(to_fovea, 0.17) + 0.55 * bump(to_fovea, 0.055)
    shades = [tone * np.exp(mottle - depth * loss) for tone, loss in zip(colour, (0.75, 1.1, 0.9), strict=True)]
    fibres = paint_fibres(rng, anatomy) * look.sheen * 0.14 + 0.008 * cloud(rng, 260, CANVAS)
    tubes = paint_choroid(rng, to_fovea) * look.choroid
    glow = 0.10 * look.sheen * bump(to_disc, 0.3)
    image = np.stack([enlarge(shade + glow) for shade in shades])
    image += fibres
    image[0] *= 1 + 0.16 * tubes
    image[1:] *= 1 - 0.08 * tubes
    return image


def paint_fibres(rng, anatomy):
    """Paint the sheen of the nerve fibres: fine streaks from the disc, densest above and below it."""
    x, y = grid(CANVAS // 2)
    dx, dy = x - anatomy.disc[0], y - anatomy.disc[1]
    # fibres curve like the vessels, so the angle is corrected by the distance
    distance = np.hypot(dx, dy)
    angle = np.arctan2(np.abs(dy), -dx) + 0.35 * distance
    turns = np.linspace(-4, 4, 400)
    streaks = np.interp(np.copysign(angle, dy), turns, rng.normal(0, 0.3, 400) + 0.3 * np.sin(turns * 17))
    belt = bump(angle - 1.45, 0.45) * bump(distance - 0.45, 0.28)
    return enlarge(belt * (0.8 + streaks) * (1 + 0.3 * cloud(rng, 25, CANVAS // 2)))


def paint_choroid(rng, to_fovea):
    """Paint the choroid's vessels: tubes where smooth noise crosses zero; the macula's pigment hides them."""
    side = CANVAS // 3
    noise = cloud(rng, 17, side) + 0.5 * cloud(rng, 30, side)
    tubes = bump(noise, 0.4) - 0.35
    fade = Image.fromarray(np.float32(1 - bump(to_fovea, 0.38))).resize((side, side), Image.Resampling.BILINEAR)
    return enlarge(tubes * np.asarray(fade))


def draw_unrelated(layers, rng, anatomy, look):
    """Draw findings that are independent of the grade: drusen near the macula, a pigment spot."""
    for _ in range(look.drusen):
        place = anatomy.fovea + rng.normal(0, 0.16, 2)
        draw_shape(layers, "drusen", blob(rng, place, rng.uniform(0.006, 0.014), 0.1), rng.uniform(0.25, 0.5))
    if rng.random() < 0.06:
        place = find_place(rng, anatomy)
        draw_shape(layers, "pigment", blob(rng, place, rng.uniform(0.03, 0.07), 0.1), rng.uniform(0.15, 0.3))


def paint_eye(rng, look, level):
    """Paint a right eye in even, white light.

    Parameters
    ----------
    rng : numpy.random.Generator
    look : Look
    level : int
        Grade of diabetic retinopathy, 0 to 4.

    Returns
    -------
    ndarray of shape (3, CANVAS, CANVAS), float32
        Red, green and blue reflectance, about 0 to 1, over the square -EDGE..EDGE.
    """
    # separate random streams: the anatomy does not depend on the grade
    body, unrelated, disease = rng.spawn(3)
    anatomy = make_anatomy(body, look)
    layers = {}
    draw_disc(layers, body, anatomy, look)
    draw_vessels(layers, anatomy, BEADED.get(level, 0.0))
    draw_unrelated(layers, unrelated, anatomy, look)
    draw_lesions(layers, disease, anatomy, level)
    return compose(paint_background(body, anatomy, look), layers)
