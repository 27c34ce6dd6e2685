"""The decision chosen on validation: calibration, thresholds, cuts between grades."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from eyenet.data.tasks import TASKS, classes_of, disease_probability, first_disease
from eyenet.model.decision import BALANCED, choose_cuts, choose_decision, least_share, operating_points, threshold_for
from eyenet.model.probabilities import calibrate


def test_tasks():
    levels = np.array([0, 1, 2, 3, 4])
    assert classes_of(levels, "any").tolist() == [0, 1, 1, 1, 1]
    assert classes_of(levels, "referable").tolist() == [0, 0, 1, 1, 1]
    assert classes_of(levels, "grade").tolist() == [0, 1, 2, 3, 4]
    for task, question, first in (("any", "any", 1), ("referable", "referable", 1), ("grade", "referable", 2)):
        assert first_disease(task, question) == first
        classes = len(TASKS[task].classes)
        p = np.full((1, classes), 1 / classes)
        assert abs(disease_probability(p, first)[0] - (classes - first) / classes) < 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_thresholds_reach_their_level_and_lose_the_least(seed):
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(50) < rng.integers(1, 49))
    probability = rng.random(50).clip(0.06, 0.94).round(1 + seed % 3)
    for level in (0.85, 0.95, 1.0):
        t = threshold_for(truth, probability, sensitivity=level)
        assert (probability[truth] >= t).mean() >= level
        higher = probability[probability >= t].min() + 1e-9  # fewer positives
        assert (probability[truth] >= higher).mean() < level or not (probability < higher).any()
        t = threshold_for(truth, probability, specificity=level)
        assert (probability[~truth] < t).mean() >= level
        lower = probability[probability < t].max()  # more positives
        assert (probability[~truth] < lower).mean() < level


def test_a_network_with_everything_the_wrong_way_round():
    """Its thresholds are finite numbers that call nobody diseased."""
    healthy = np.array([[0.1, 0.9], [0.2, 0.8]])
    decision = choose_decision(np.arange(4), np.array([0, 0, 1, 1]), np.concatenate([healthy, 1 - healthy]), "any")
    assert all(0 < t < 1 for t in decision["any"]["eye"]["operating_points"].values())
    raw = np.array([0.9, 0.8, 0.1, 0.2])
    probability = calibrate(raw, decision["any"]["temperature"], decision["any"]["shift"])
    assert (probability < decision["any"]["eye"]["operating_points"][BALANCED]).all()


def test_a_decision_without_both_classes():
    decision = choose_decision(np.array(["a", "b"]), np.array([0, 0]), np.array([[0.9, 0.1], [0.2, 0.8]]), "any")
    any_dr = decision["any"]
    assert (any_dr["temperature"], any_dr["shift"], any_dr["eye"]["operating_points"]) == (1, 0, {BALANCED: 0.5})
    empty = choose_decision(np.zeros(0, str), np.zeros(0, int), np.zeros((0, 5)), "grade")
    assert len(empty["grade"]["cuts"]) == 4 and empty["referable"]["eye"]["operating_points"] == {BALANCED: 0.5}


def test_the_interval_on_validation_starts_at_the_aim():
    for trials in (36, 40, 200, 1000):
        hits = round(least_share(0.9, trials) * trials)
        assert binomtest(hits, trials).proportion_ci().low >= 0.9 > binomtest(hits - 1, trials).proportion_ci().low
    assert least_share(0.9, 35) is None and least_share(0.9, 0) is None


def test_an_aim_is_reached_on_new_patients():
    """39 of 40 validation sets give a threshold that does."""
    rng, short = np.random.default_rng(0), 0
    for _ in range(200):
        truth = np.arange(300) < 100
        points = operating_points(np.arange(300), truth, norm.cdf(rng.normal(size=300) + truth))
        short += norm.sf(norm.ppf(points["sensitivity_0.9"]), loc=1) < 0.9
    assert short <= 12  # 5 of 200 are expected; 13 or more have a probability of 0.002


def test_points_that_validation_does_not_support_are_not_offered():
    truth = np.repeat([True, False], 40)
    apart = np.where(truth, 0.9, 0.1)
    assert operating_points(np.arange(80), truth, apart).keys() == {
        BALANCED,
        *(f"{kind}_{aim}" for kind in ("sensitivity", "specificity") for aim in (0.85, 0.9)),
    }
    assert operating_points(np.arange(80) // 2, truth, apart).keys() == {BALANCED}  # both eyes of 20 patients
    assert operating_points(np.arange(80), truth, 1 - apart).keys() == {BALANCED}  # would call everybody or nobody


def test_cuts_give_each_grade_its_share():
    rng = np.random.default_rng(0)
    levels, expected = rng.choice(5, 1000, p=[0.73, 0.07, 0.15, 0.03, 0.02]), rng.random(1000) * 4
    predicted = np.searchsorted(choose_cuts(levels, expected), expected, side="right")
    assert np.allclose(np.bincount(predicted, minlength=5), np.bincount(levels, minlength=5), atol=2)
