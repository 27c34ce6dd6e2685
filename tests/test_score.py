"""The figures of an epoch, compared with scikit-learn, and the default threshold, compared with all others."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score

from eyenet.score.metrics import choose_threshold, score


@pytest.mark.parametrize("seed", range(5))
def test_scores_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth, probability = rng.random(200) < 0.3, rng.random(200).round(2)
    mine, called = score(truth, probability), probability >= 0.5
    assert abs(mine["accuracy"] - accuracy_score(truth, called)) < 1e-12
    assert abs(mine["precision"] - precision_score(truth, called)) < 1e-12
    assert abs(mine["recall"] - recall_score(truth, called)) < 1e-12
    assert abs(mine["auc"] - roc_auc_score(truth, probability)) < 1e-12
    assert sum(map(sum, mine["confusion"])) == 200


@pytest.mark.parametrize("seed", range(5))
def test_threshold_has_the_best_balance(seed):
    """No other threshold has a larger sensitivity + specificity; both classes are needed to choose one."""
    rng = np.random.default_rng(seed)
    truth = rng.random(60) < 0.4
    probability = (rng.random(60) + 0.4 * truth).round(2)

    def balance(threshold):
        called = probability >= threshold
        return called[truth].mean() + (~called[~truth]).mean()

    best = max(balance(t) for t in np.linspace(0, 1.5, 1501))
    assert abs(balance(choose_threshold(truth, probability)) - best) < 1e-12
    assert choose_threshold(np.ones(3, bool), np.ones(3)) == 0.5


def test_undefined_scores_are_none():
    assert score([True, True], [0.2, 0.3])["auc"] is None
    assert score([True, False], [0.2, 0.3])["precision"] is None
    assert score([], [])["accuracy"] is None
