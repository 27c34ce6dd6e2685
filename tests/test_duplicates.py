"""Parts of the audit: the search for duplicates, and the features of file, geometry and rim."""

import numpy as np
import pandas as pd
import pytest
from conftest import REAL, needs_real
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from test_audit import RETINAS, inside_of, jpeg

from eyenet.data import duplicates
from eyenet.data.copies import transform
from eyenet.photo.retina import photograph_to_input
from eyenet.score import not_retina


def test_description_ignores_turns_and_blank_images_match_nothing():
    images = np.stack(
        [RETINAS[0], RETINAS[0][:, ::-1], np.rot90(RETINAS[0]), RETINAS[1], 0 * RETINAS[0], 0 * RETINAS[0] + 9]
    )
    described = duplicates.describe(images)
    similar = described @ described.T
    assert (similar[0, 1:3] > 0.999).all() and similar[0, 3] < 0.9
    assert duplicates.is_blank(described).tolist() == [False] * 4 + [True] * 2 and not similar[4:].any()
    pairs = duplicates.find_duplicates(images, images)
    assert {(i, j) for i, j, _ in pairs} == {(i, j) for i in range(3) for j in range(3)} | {(3, 3)}
    assert all(similarity > 0.99 for *_, similarity in pairs)
    assert duplicates.find_duplicates(images[:0], images) == []


def test_rows_and_sizes_of_the_search():
    smaller = np.stack([np.asarray(Image.fromarray(x).resize((96, 96))) for x in RETINAS[:10]])
    pairs = duplicates.find_duplicates(RETINAS, smaller, a_rows=[2, 40, 5], b_rows=[5, 7, 2])
    assert [pair[:2] for pair in pairs] == [(2, 2), (5, 5)]


def test_search_in_blocks_equals_all_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    b = rng.normal(0, 1, (5000, 20)).astype(np.float32)
    a = b[::4] + rng.normal(0, 0.1, (1250, 20)).astype(np.float32)
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    monkeypatch.setattr(duplicates, "CANDIDATE", 0.6)
    expected = []
    for i, row in enumerate(a @ b.T):
        best = np.argsort(-row)[:8]
        expected += [(i, int(j)) for j in best if row[j] >= 0.6]
    assert duplicates.match(a, b) == sorted(expected)


@needs_real("eyepacs-1024")
def test_real_photographs():
    """Copies of real photographs are found; left and right eyes, and eyes from one camera, are not confused."""
    paths = sorted((REAL / "eyepacs-1024" / "train").glob("*.jpeg"))[:24]
    crops = np.stack([photograph_to_input(path)[0] for path in paths])
    copies = np.stack([jpeg(transform(x[:, ::-1], "rot120"), 60) for x in crops])
    pairs = duplicates.find_duplicates(copies, crops)
    assert [pair[:2] for pair in pairs] == [(i, i) for i in range(24)]
    described = duplicates.describe(crops)
    others = [(i, j) for i, j in duplicates.match(described, described) if i != j]
    assert others and max(s for *_, s in duplicates.verify(crops, crops, others, 0)) < 0.75


def test_features_are_finite_and_ignore_what_they_must_not_see():
    inner = RETINAS[:4].copy()
    inner[:, inside_of(0.93)] = 200
    assert np.array_equal(not_retina.border_features(RETINAS[:4]), not_retina.border_features(inner))
    for features in (not_retina.border_features, not_retina.compression_features):
        for images in (RETINAS[:3], np.zeros((2, 33, 33, 3), np.uint8), np.full((2, 256, 256, 3), 255, np.uint8)):
            assert np.isfinite(features(images)).all() and len(features(images)) == len(images)


def test_geometry_features_from_text():
    row = {"image": "a", "bytes": "1000", "width": "200", "height": "100", "center_x": "110", "center_y": "50"}
    table = pd.DataFrame([row | {"radius": "40", "visible": "0.9", "found": "True"}])
    expected = [1000, 200, 100, 2, 0.05, 0.4, 0.25, 0, 0.9]
    assert not_retina.geometry_features(table)[0] == pytest.approx(expected)


def test_small_classifier(monkeypatch):
    def fewer(trees, **options):
        return RandomForestClassifier(trees // 5, **options)

    monkeypatch.setattr(not_retina, "RandomForestClassifier", fewer)
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(100), 4)
    truth = patients % 2 == 0
    identity = rng.normal(0, 1, (100, 6))[patients]  # depends on the patient only
    telling = np.column_stack([identity, truth + rng.normal(0, 0.5, 400)])
    assert roc_auc_score(truth, not_retina.cross_validated(telling, truth, patients)) > 0.85
    assert 0.3 < roc_auc_score(truth, not_retina.cross_validated(identity, truth, patients)) < 0.7
    first, again = (not_retina.shortcut_probability(telling, truth, telling[:9]) for _ in range(2))
    assert np.array_equal(first, again) and (0 <= first).all() and (first <= 1).all()
    assert not_retina.shortcut_probability(telling, np.ones(400), telling) is None
    assert not_retina.shortcut_probability(telling[:, :0], truth, telling[:, :0]) is None
    assert not_retina.cross_validated(telling[:8], truth[:8], patients[:8]) is None
