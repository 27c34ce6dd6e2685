"""Draw the lesions of diabetic retinopathy in a synthetic eye; the grade determines their kinds and numbers."""

import numpy as np

from eyenet.sample.shapes import blob, draw_shape, grow, ribbon

# Minimum and maximum number of each lesion by grade, after the international clinical scale: grade 1 has only
# microaneurysms, 2 has more, 3 has haemorrhages in all quadrants, beaded veins or IRMA, 4 has new vessels.
LESIONS = {
    0: {},
    1: {"microaneurysm": (4, 10)},
    2: {"microaneurysm": (8, 18), "blot": (6, 16), "exudates": (1, 4), "cotton wool": (0, 2)},
    3: {
        "microaneurysm": (15, 30),
        "blot": (20, 36),
        "flame": (8, 16),
        "exudates": (0, 3),
        "cotton wool": (1, 5),
        "irma": (2, 5),
    },
    4: {
        "microaneurysm": (8, 20),
        "blot": (8, 22),
        "flame": (0, 8),
        "exudates": (0, 3),
        "cotton wool": (0, 3),
        "new vessels": (2, 4),
        "preretinal": (0, 1),
        "fibrous": (0, 1),
        "laser": (0, 1),
    },
}
BEADED = {3: 0.3, 4: 0.2}  # relative amplitude of the width of the veins


def find_place(rng, anatomy, reach=0.82):
    """Draw a random position within `reach` of the centre, outside the disc and the fovea."""
    while True:
        turn, far = rng.uniform(0, 2 * np.pi), reach * np.sqrt(rng.random())
        place = far * np.array([np.cos(turn), np.sin(turn)])
        if np.hypot(*(place - anatomy.disc)) > 0.22 and np.hypot(*(place - anatomy.fovea)) > 0.07:
            return place


def draw_microaneurysm(layers, rng, anatomy):
    """Draw a red dot, just wide enough to remain visible at 256 pixels."""
    radius = rng.uniform(0.009, 0.014)
    draw_shape(layers, "blood", blob(rng, find_place(rng, anatomy, 0.75), radius, 0.08), rng.uniform(0.65, 0.95))


def draw_blot(layers, rng, anatomy):
    """Draw a dot or blot haemorrhage: deep in the retina, irregular, without direction."""
    radius = rng.uniform(0.016, 0.032) * (1.6 if rng.random() < 0.2 else 1)
    outline = blob(rng, find_place(rng, anatomy), radius, 0.17, rng.uniform(1, 1.6), rng.uniform(0, np.pi))
    draw_shape(layers, "blood", outline, rng.uniform(0.45, 1.0))


def draw_flame(layers, rng, anatomy):
    """Draw a flame haemorrhage: strands along the nerve fibres, radial from the disc."""
    place = find_place(rng, anatomy)
    away = place - anatomy.disc
    along = np.arctan2(away[1], away[0]) + rng.normal(0, 0.15)
    size = rng.uniform(0.04, 0.075)
    for _ in range(7):
        shift = rng.normal(0, 0.16 * size, 2) + rng.normal(0, 0.4 * size) * np.array([np.cos(along), np.sin(along)])
        strand = blob(rng, place + shift, 0.13 * size, 0.1, rng.uniform(3, 6), along)
        draw_shape(layers, "blood", strand, rng.uniform(0.6, 0.9))


def draw_exudates(layers, rng, anatomy):
    """Draw hard exudates: sharp yellow grains in a cluster or in a ring around a leak (circinate)."""
    place, spread = find_place(rng, anatomy, 0.7), rng.uniform(0.04, 0.085)
    ring = rng.random() < 0.35
    for _ in range(int(rng.integers(14, 40))):
        if ring:
            turn = rng.uniform(0, 5)
            offset = 1.7 * spread * np.array([np.cos(turn), np.sin(turn)]) + rng.normal(0, 0.012, 2)
        else:
            offset = rng.normal(0, spread, 2)
        grain = blob(rng, place + offset, rng.gamma(5, 0.0013) + 0.003, 0.3, rng.uniform(1, 1.5))
        draw_shape(layers, "exudate", grain, rng.uniform(0.65, 1.0))


def draw_cotton_wool(layers, rng, anatomy):
    """Draw a cotton-wool spot: a white, fluffy infarct of the nerve fibre layer."""
    place = find_place(rng, anatomy, 0.75)
    for _ in range(3):
        outline = blob(rng, place + rng.normal(0, 0.016, 2), rng.uniform(0.022, 0.036), 0.3, 1.4, rng.uniform(0, 3))
        draw_shape(layers, "cotton wool", outline, rng.uniform(0.7, 0.95))


def draw_tangle(layers, rng, place, size, strands, strength):
    """Draw thin, curling vessels that start at one position."""
    headings = rng.uniform(0, 2 * np.pi) + np.linspace(0, 4.5, strands)
    starts = place + rng.normal(0, 0.1 * size, (strands, 2))
    lengths = size * rng.uniform(1.2, 2.6, strands)
    targets = np.tile(place, (strands, 1))
    for path in grow(rng, starts, headings, lengths, targets, np.full(strands, 0.07), 0.2):
        draw_shape(layers, "blood", ribbon(path, np.linspace(0.008, 0.005, len(path))), strength)


def draw_irma(layers, rng, anatomy):
    """Draw an intraretinal microvascular abnormality: a small, faint knot of vessels."""
    draw_tangle(layers, rng, find_place(rng, anatomy), rng.uniform(0.05, 0.08), 4, 0.4)


def draw_new_vessels(layers, rng, anatomy):
    """Draw new vessels at the disc or elsewhere: a dense, large fan, often with a small haemorrhage."""
    at_disc = rng.random() < 0.4
    place = anatomy.disc + rng.normal(0, 0.07, 2) if at_disc else find_place(rng, anatomy, 0.75)
    size = rng.uniform(0.11, 0.18)
    draw_tangle(layers, rng, place, size, int(rng.integers(11, 18)), 0.62)
    if rng.random() < 0.6:
        draw_shape(layers, "blood", blob(rng, place + rng.normal(0, size / 2, 2), 0.04, 0.35), 0.85)


def draw_preretinal(layers, rng, anatomy):
    """Draw a preretinal haemorrhage: boat-shaped, because the blood settles to a horizontal level."""
    place, width = find_place(rng, anatomy, 0.7), rng.uniform(0.12, 0.22)
    turn = np.linspace(0, np.pi, 30)
    hull = np.column_stack([np.cos(turn) * width, np.sin(turn) * width * rng.uniform(0.6, 0.9)])
    draw_shape(layers, "preretinal", hull + place + rng.normal(0, 0.004, hull.shape), 0.85)


def draw_fibrous(layers, rng, anatomy):
    """Draw fibrous tissue: a grey-white sheet with bands along an arcade."""
    path = anatomy.veins[0][0][rng.integers(0, 2)][8:42]
    for _ in range(5):
        start = int(rng.integers(0, 12))
        band = path[start : start + int(rng.integers(10, 22))] + rng.normal(0, 0.025, 2)
        widths = rng.uniform(0.03, 0.10) * np.sin(np.linspace(0.05, 3.1, len(band)))
        draw_shape(layers, "fibrous", ribbon(band, widths), rng.uniform(0.4, 0.75))


def draw_laser(layers, rng, anatomy):
    """Draw the scars of panretinal laser treatment: pale spots, some with a pigmented centre."""
    for _ in range(int(rng.integers(30, 70))):
        place = find_place(rng, anatomy, 1.0)
        if np.hypot(*(place - anatomy.fovea)) < 0.55:
            continue  # the treatment spares the macula
        radius = rng.uniform(0.018, 0.03)
        draw_shape(layers, "scar", blob(rng, place, radius, 0.12), rng.uniform(0.45, 0.75))
        if rng.random() < 0.6:
            draw_shape(layers, "pigment", blob(rng, place, radius * 0.45, 0.3), rng.uniform(0.5, 0.9))


PAINTERS = {
    "microaneurysm": draw_microaneurysm,
    "blot": draw_blot,
    "flame": draw_flame,
    "exudates": draw_exudates,
    "cotton wool": draw_cotton_wool,
    "irma": draw_irma,
    "new vessels": draw_new_vessels,
    "preretinal": draw_preretinal,
    "fibrous": draw_fibrous,
    "laser": draw_laser,
}


def draw_lesions(layers, rng, anatomy, level):
    """Draw the lesions of a grade."""
    for name, (fewest, most) in LESIONS[level].items():
        for _ in range(int(rng.integers(fewest, most + 1))):
            PAINTERS[name](layers, rng, anatomy)
