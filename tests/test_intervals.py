"""Intervals in closed form: equal to formulas written out, no better for an error, and they hold the truth."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, t
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from benchmarks.simulated import draw_eyes, separation
from eyenet.score.calibration import recalibration
from eyenet.score.intervals import (
    auc_with_interval,
    count_pairs,
    mean_with_interval,
    perfect_limit,
    rates_with_intervals,
    share_with_interval,
)

NOTHING = {"value": None, "low": None, "high": None}


@st.composite
def eyes(draw):
    """Truth, scores with ties, and patients of one to three eyes each; both classes are there."""
    count = draw(st.integers(4, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    truth = random.random(count) < draw(st.sampled_from([0.2, 0.5, 0.8]))
    score = random.integers(0, draw(st.sampled_from([2, 5, 1000])), count) + draw(st.sampled_from([0, 5])) * truth
    assume(truth.any() and not truth.all())
    return truth, score.astype(float), random.integers(0, count, count)


def clustered_delong(truth, score, patients):
    """Write out the variance of Obuchowski (1997), pair by pair; NaN if a class has fewer than two patients."""
    x, y = score[truth], score[~truth]
    order = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    auc, everyone = order.mean(), np.unique(patients)
    sums = [
        (order.mean(axis=1)[patients[truth] == p] - auc).sum() + 0j + 1j * (order.mean(axis=0)[own] - auc).sum()
        for p in everyone
        for own in [patients[~truth] == p]
    ]
    a, b = np.real(sums) / len(x), np.imag(sums) / len(y)
    m, n, all_of = (len(np.unique(patients[rows])) for rows in (truth, ~truth, truth | True))
    if min(m, n) < 2:
        return auc, np.nan
    return auc, m / (m - 1) * a @ a + n / (n - 1) * b @ b + 2 * all_of / (all_of - 1) * a @ b


@settings(max_examples=60, deadline=None)
@given(eyes())
def test_the_interval_of_an_auc_is_that_of_clustered_delong_up_to_the_limit_of_a_perfect_one(drawn):
    truth, score, patients = drawn
    found, (auc, variance) = auc_with_interval(truth, score, patients), clustered_delong(*drawn)
    assert found["value"] == pytest.approx(roc_auc_score(truth, score)) == pytest.approx(auc)
    pairs = count_pairs(patients, truth, ~truth)
    if 0 < found["value"] < 1 and variance > 1e-12:
        spread = norm.ppf(0.975) * np.sqrt(variance) / (auc * (1 - auc))
        assert found["low"] == pytest.approx(min(expit(logit(auc) - spread), perfect_limit(pairs)))
        assert found["high"] == pytest.approx(max(expit(logit(auc) + spread), 1 - perfect_limit(pairs)))
    elif 0 < found["value"] < 1 and np.isnan(variance):
        assert found["low"] is None and found["high"] is None


@pytest.mark.parametrize("patients", [1, 6, 200])
@pytest.mark.parametrize("auc", [0, 1])
def test_an_auc_of_1_or_0_has_the_exact_binomial_limit_of_disjoint_pairs(patients, auc):
    truth = np.tile([False, True], 2 * patients)
    owner = np.arange(len(truth)) // 4 * 2 + truth  # two eyes of each patient: a healthy and a diseased patient a pair
    found = auc_with_interval(truth, np.where(truth == auc, 0.8, 0.1), owner)
    exact = binomtest(patients * auc, patients).proportion_ci(0.95, "exact")
    assert found == pytest.approx({"value": auc, "low": exact.low, "high": exact.high})


@settings(max_examples=60, deadline=None)
@given(eyes())
def test_no_lower_limit_is_above_that_of_a_perfect_network(drawn):
    truth, score, patients = drawn
    found, perfect = (auc_with_interval(truth, s, patients) for s in (score, truth.astype(float)))
    if found["low"] is not None and perfect["low"] is not None:
        assert found["low"] <= perfect["low"] and found["high"] <= perfect["high"]
    called = score >= np.median(score)
    for name, rate in rates_with_intervals(truth, called, patients).items():
        rows = {"accuracy": truth | True, "precision": called, "npv": ~called} | {
            "sensitivity": truth,
            "specificity": ~truth,
        }
        if rows[name].any():
            assert rate["low"] <= share_with_interval(truth | True, patients, rows[name])["low"]
            assert rate["high"] >= share_with_interval(truth & False, patients, rows[name])["high"]


def test_no_error_improves_the_limit_of_a_perfect_network():
    """By DeLong's variance alone, one misplaced pair of these 12 and 24 patients would lift it from 0.735 to 0.95."""
    truth, limits = np.arange(36) >= 24, {}
    for above, below in itertools.product(range(0, 13, 1), range(0, 25, 4)):
        score = np.arange(36.0)
        score[23] += above + 0.5 * (above > 0)  # a healthy patient above some of the diseased
        score[24] -= below + 0.5 * (below > 0)  # a diseased patient below some of the healthy
        limits[above, below] = auc_with_interval(truth, score, np.arange(36))["low"]
    assert limits[0, 0] == limits[1, 0] == pytest.approx(0.735, abs=0.001)
    assert max(limits.values()) == limits[0, 0] and limits[12, 24] < 0.65


def test_misplacing_one_more_pair_hardly_ever_improves_a_limit():
    """All orders of 4 diseased and 5 healthy patients, and their neighbours, in which one more pair is misplaced."""
    limits = {}
    for places in itertools.combinations(range(9), 4):
        truth = np.isin(np.arange(9), places)
        limits[places] = auc_with_interval(truth, np.arange(9.0), np.arange(9))["low"]
    rises = [
        limits[tuple(sorted({*places, place - 1} - {place}))] - limit
        for places, limit in limits.items()
        for place in places
        if place and place - 1 not in places
    ]
    assert len(rises) == 280 and (np.array(rises) > 1e-9).sum() <= 5 and max(rises) < 0.02


def test_without_a_variance_there_is_no_interval():
    truth = np.array([1, 0, 0, 1, 0], bool)
    assert auc_with_interval(truth, np.zeros(5), np.arange(5)) == {"value": 0.5, "low": None, "high": None}
    assert auc_with_interval(truth, [2, 3, 1, 1, 0], [0, 1, 2, 0, 4])["low"] is None  # one diseased patient
    assert auc_with_interval(truth | True, np.zeros(5), np.arange(5)) == NOTHING
    assert mean_with_interval(np.full(5, 0.3), np.arange(5)) == {"value": 0.3, "low": None, "high": None}
    assert mean_with_interval(np.zeros(0), []) == share_with_interval(np.zeros(0, bool), []) == NOTHING


@pytest.mark.parametrize("hits", [0, 1, 7, 19, 20])
def test_the_interval_of_a_share_is_wilsons_and_counts_patients_not_copies(hits):
    hit = np.arange(20) < hits
    exact = binomtest(hits, 20).proportion_ci(0.95, "wilson")
    expected = {"value": hits / 20, "low": exact.low, "high": exact.high}
    assert share_with_interval(hit, np.arange(20)) == pytest.approx(expected, abs=1e-12)
    copied = share_with_interval(np.repeat(hit, 3), np.repeat(np.arange(20), 3))
    assert copied == pytest.approx(expected, abs=0.006)
    assert copied["high"] - copied["low"] >= exact.high - exact.low - 1e-12
    mixed = share_with_interval(np.append(hit, ~hit), np.tile(np.arange(20), 2))  # patients are alike: no design effect
    assert mixed == pytest.approx(
        dict(zip(("low", "high"), binomtest(20, 40).proportion_ci(0.95, "wilson"))) | {"value": 0.5}
    )


def test_another_error_never_improves_a_share_of_one_row_per_patient():
    limits = [share_with_interval(np.arange(30) < hits, np.arange(30)) for hits in range(31)]
    for worse, better in itertools.pairwise(limits):
        assert worse["low"] <= better["low"] and worse["high"] <= better["high"]


def test_the_interval_of_a_mean_counts_patients():
    random = np.random.default_rng(0)
    truth, probability = random.random(40) < 0.4, random.random(40)
    squared = (truth - probability) ** 2
    found = mean_with_interval(squared, np.arange(40))
    assert found["value"] == pytest.approx(brier_score_loss(truth, probability))
    value = squared.mean()
    spread = t.ppf(0.975, 39) * squared.std(ddof=1) / np.sqrt(40) / (value * (1 - value))
    assert [found["low"], found["high"]] == pytest.approx(expit(logit(value) + np.array([-spread, spread])))
    assert mean_with_interval(np.repeat(squared, 2), np.repeat(np.arange(40), 2)) == pytest.approx(found)


def test_slope_and_intercept_are_those_of_logistic_regression():
    drawn = draw_eyes(np.random.default_rng(1), 200, [1.5])
    odds = 2 * drawn.scores[0] - 1
    found = recalibration(drawn.truth, odds, drawn.patients)
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[:, None], drawn.truth)
    assert found["slope"]["value"] == pytest.approx(fitted.coef_[0, 0], abs=1e-5)
    assert expit(odds + found["intercept"]["value"]).mean() == pytest.approx(drawn.truth.mean())
    twice = recalibration(*(np.repeat(values, 2) for values in (drawn.truth, odds, drawn.patients)))
    for name, one in found.items():
        assert one["low"] < one["value"] < one["high"]
        assert twice[name] == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize(("truth", "missing"), [([0, 0, 1, 1], ["slope"]), ([1] * 4, ["slope", "intercept"])])
def test_separated_classes_have_no_slope(truth, missing):
    found = recalibration(np.array(truth, bool), np.array([-2.0, -1, 1, 3]), np.arange(4))
    assert [name for name, figure in found.items() if figure == NOTHING] == missing


def coverage(patients, auc, sets, copies=1):
    """Compute how often the intervals of simulated eyes hold the true AUC, sensitivity, Brier score and slope."""
    distance, held = separation(auc), []
    true_brier = {0.8: 0.15812, 0.95: 0.07835}[auc]  # benchmarks/coverage.py integrates it
    for number in range(sets):
        drawn = draw_eyes(np.random.default_rng([number, 7]), patients, [distance])
        truth, score = np.repeat(drawn.truth, copies), np.repeat(drawn.scores[0], copies)
        owner = drawn.patients if copies == 1 else np.arange(len(truth))  # copies that are taken for patients
        odds = logit(0.3) + distance * score - distance**2 / 2
        figures = (
            (auc_with_interval(truth, score, owner), auc),
            (share_with_interval(score > distance / 2, owner, truth), norm.cdf(distance / 2)),
            (mean_with_interval((truth - expit(odds)) ** 2, owner), true_brier),
            (recalibration(truth, odds, owner)["slope"], 1),
        )
        held.append([np.nan if f["low"] is None else f["low"] <= true <= f["high"] for f, true in figures])
    return np.nanmean(held, axis=0)


@pytest.mark.parametrize(("patients", "auc"), [(30, 0.95), (100, 0.8)])
def test_95_percent_of_intervals_over_patients_hold_the_truth(patients, auc):
    found = coverage(patients, auc, sets=150)
    assert (found >= 0.9).all() and (found < 1).all()


def test_intervals_over_photographs_hold_it_too_rarely():
    """Two photographs of each eye that are treated as independent make intervals too narrow."""
    assert (coverage(100, 0.8, 100, copies=2) < 0.88).all()
