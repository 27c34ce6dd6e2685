"""The benchmark of heat maps on marks of experts: where they agree, what is a hit, the figures of two photographs."""

import sys

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import REPO, draw_photograph
from PIL import Image

import cnn
from eyenet.model.evidence import heat_maps

sys.path.append(str(REPO / "benchmarks"))
import drawn_lesions
import lesions
import marks

GEOMETRY = {"center_x": 100.0, "center_y": 100.0, "radius": 100.0}
SCALE = marks.SQUARE / 200


def mark(expert, kind, shape="circle", x=0, y=0, radius_x=0, radius_y=0, polygon="", image="a"):
    return locals()


def drawn(*rows):
    return marks.draw_marks(pd.DataFrame(rows), GEOMETRY)


def area(mask):
    """Area in pixels of the photograph."""
    return mask.sum() / SCALE**2


def test_shapes_are_drawn_where_they_are():
    found = drawn(
        mark(1, "Haemorrhages", x=60, y=140, radius_x=20, radius_y=20),
        mark(2, "Hard_exudates", "ellipse", x=100, y=100, radius_x=30, radius_y=10),
        mark(4, "IRMA", "polygon", polygon="10:10 30:10 30:50 10:50"),
    )
    assert area(found[0, 1]) == pytest.approx(np.pi * 400, rel=0.04)
    assert area(found[1, 2]) == pytest.approx(np.pi * 300, rel=0.04)
    assert area(found[3, 4]) == pytest.approx(800, rel=0.05)
    assert np.argwhere(found[0, 1]).mean(axis=0) / SCALE == pytest.approx([140, 60], abs=0.5)
    assert found.any(axis=(2, 3)).sum() == 3


def test_two_experts_must_mark_the_same_place():
    found = drawn(
        mark(1, "Haemorrhages", x=60, y=60, radius_x=20, radius_y=20),
        mark(1, "Hard_exudates", x=60, y=60, radius_x=20, radius_y=20),
        mark(1, "Haemorrhages", x=160, y=60, radius_x=10, radius_y=10),
        mark(2, "Hard_exudates", x=80, y=60, radius_x=20, radius_y=20),
        mark(3, "Red_small_dots", x=160, y=60, radius_x=10, radius_y=10),
    )
    lens = 2 * 400 * np.arccos(0.5) - 10 * np.sqrt(1200)  # two circles of radius 20, 20 apart
    assert area(marks.agreed(found, marks.LARGER)) == pytest.approx(lens, rel=0.05)
    assert area(marks.agreed(found, "hard exudates")) == pytest.approx(lens, rel=0.05)
    assert not marks.agreed(found, "haemorrhages").any()  # one expert only, marking twice
    assert not marks.agreed(found, "red small dots").any()


def test_a_mark_is_widened_by_a_share_of_the_diameter():
    found = drawn(*(mark(expert, "Haemorrhages", x=100, y=100, radius_x=20, radius_y=20) for expert in (1, 2)))
    near = marks.widened(marks.agreed(found, "haemorrhages"), 0.05)
    assert area(near) == pytest.approx(np.pi * 30**2, rel=0.04)
    assert not marks.widened(np.zeros((8, 8), bool), 0.5).any()
    spots = np.array([[12, 15], [12, 17]])  # crop of 25 pixels: 20 and 36 pixels of the photograph from the centre
    assert lesions.hit_at(np.stack([near] * 2), spots, 25).tolist() == [True, False]


def test_lesions_are_drawn_where_it_is_said():
    crop = draw_photograph(64, 64, radius=32)
    with_lesions, where = drawn_lesions.lesions_on(crop, 4, 0)
    assert 0.005 < where.mean() < 0.5
    again, same = drawn_lesions.lesions_on(crop, 4, 0)
    assert np.array_equal(with_lesions, again) and np.array_equal(where, same)


def test_the_spots_are_those_of_the_heat_maps_that_are_shown():
    keras.utils.set_random_seed(1)
    network = cnn.build_network("three_layers", 64, 5, "none")
    kernel = network.layers[-1].kernel
    kernel.assign(np.random.default_rng(1).normal(0, 0.3, kernel.shape))
    images = np.stack([draw_photograph(64, 64, radius=32, seed=i, dots=6) for i in range(3)])
    spots = lesions.find_spots(network, images, "grade")
    assert len(spots) == 8 and all(places.shape == (3, 2) for places in spots.values())
    for question, first in (("any", 1), ("referable", 2)):
        heats = heat_maps(network, images, first)
        assert heats.max(axis=(1, 2)).min() > 0
        assert [heat[tuple(place)] for heat, place in zip(heats, spots[question, lesions.OURS])] == pytest.approx(
            heats.max(axis=(1, 2)), rel=1e-5
        )


def test_three_spots_in_the_same_place_are_dirt():
    spots = np.array([[10, 10], [60, 60], [11, 10], [10, 12], [62, 60], [10, 30]])
    assert lesions.same_place(spots, 256).tolist() == [True, False, True, True, False, False]
    assert lesions.same_place(spots[:0], 256).tolist() == []


def test_figures_of_two_photographs(tmp_path, monkeypatch):
    """Two experts mark the same place on both; the spot of the first is on it."""
    (tmp_path / "photographs").mkdir()
    rows = []
    for name in "ab":
        image = draw_photograph(200, 200, radius=98, texture=3)
        Image.fromarray(image).save(tmp_path / "photographs" / f"{name}.png")
        rows += [mark(e, "Haemorrhages", x=60, y=100, radius_x=16, radius_y=16, image=name) for e in (1, 4)]
    pd.DataFrame(rows).to_csv(tmp_path / "lesions.csv", index=False)
    spots = {("any", "ours"): np.array([[32, 19], [32, 45]])}
    monkeypatch.setattr(lesions, "find_spots", lambda *_: spots)
    monkeypatch.setattr(lesions, "called", lambda *_: np.array([True, False]))
    config = {"size": 64, "task": "any", "settings": {"images": {}}}
    found = lesions.on_photographs(None, config, tmp_path, tmp_path / "sheet.png")
    found = {row[0]: row[1:] for row in found}
    assert found["haemorrhages: photographs with marks of two experts"][:2] == (2, "of 2")
    assert found["haemorrhages: chance"][0] == pytest.approx((18 / 98) ** 2, rel=0.1)
    assert found["haemorrhages, any: ours"][0] == 0.5
    assert found["all but red small dots, any: ours"][2] == ">= 0.85"
    assert found["all but red small dots, any: ours, missed, in the same place as others"][:2] == (0, "of 1")
    assert found["all but red small dots, any: ours, called"][0] == 1
    assert found["all but red small dots, any: ours, not called"][0] == 0
    assert found["all but red small dots, any: ours, called: photographs"][:2] == (1, "of 2")
    assert found["red small dots: photographs with marks of two experts"][0] == 0
    assert found["red small dots, any: ours"][0] == ""
    assert Image.open(tmp_path / "sheet.png").size == (6 * marks.TILE, marks.TILE)
