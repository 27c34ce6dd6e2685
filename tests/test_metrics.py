"""The figures equal scikit-learn's to the last digits, and their intervals have the stated coverage."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn import metrics as sk

from eyenet.model.probabilities import calibrate, fit_calibration
from eyenet.report.units import SHARES, evaluate_unit, keep_certain, referral, sort_rows
from eyenet.run.errors import StageError
from eyenet.score import bootstrap as module
from eyenet.score.bootstrap import bootstrap, draw_patients
from eyenet.score.calibration import calibration_error, reliability_bins
from eyenet.score.intervals import count_pairs
from eyenet.score.metrics import (
    at_threshold,
    average_precision,
    choose_threshold,
    quadratic_kappa,
    reached,
    roc_auc,
    roc_corners,
)

POINTS = {"balanced": 0.4, "sensitivity_0.95": 0.2, "specificity_0.95": 0.7}
NOTHING = {"value": None, "low": None, "high": None}


@st.composite
def tables(draw):
    """Truth, grades, scores with many ties, and three draws of weights; the first weights are all 1."""
    n = draw(st.integers(1, 40))
    steps = draw(st.sampled_from([1, 3, 10, 1000]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    grade, predicted = random.integers(0, 5, (2, n))
    truth = random.random(n) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    score = random.integers(0, steps + 1, n) / steps
    weights = np.concatenate([np.ones((1, n)), random.integers(0, 4, (2, n))])
    return truth, grade, predicted, score, weights


def nan_where(defined, function, *args, **options):
    return function(*args, **options) if defined else np.nan


def agree(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(tables())
def test_metrics_are_those_of_scikit_learn(table):
    truth, grade, predicted, score, weights = table
    called = score >= 0.5
    rates = at_threshold(truth, called, weights)
    ours = {
        "auc": roc_auc(truth, score, weights),
        "average precision": average_precision(truth, score, weights),
        "kappa": quadratic_kappa(grade, predicted, weights),
    }
    for i, w in enumerate(weights):
        assume(w.any())
        kept = w > 0  # scikit-learn warns if only rows of weight 0 have a class
        t, s, c, g, p, w = truth[kept], score[kept], called[kept], grade[kept], predicted[kept], w[kept]
        both = t.any() and not t.all()
        agree(ours["auc"][i], nan_where(both, sk.roc_auc_score, t, s, sample_weight=w))
        theirs = nan_where(both, sk.average_precision_score, t, s, sample_weight=w)
        agree(ours["average precision"][i], theirs)
        some = len(set(g) | set(p)) > 1
        options = {"labels": range(5), "weights": "quadratic", "sample_weight": w}
        agree(ours["kappa"][i], nan_where(some, sk.cohen_kappa_score, g, p, **options))
        agree(rates["accuracy"][i], sk.accuracy_score(t, c, sample_weight=w))
        agree(rates["precision"][i], nan_where(c.any(), sk.precision_score, t, c, sample_weight=w))
        agree(rates["sensitivity"][i], nan_where(t.any(), sk.recall_score, t, c, sample_weight=w))
        agree(rates["specificity"][i], nan_where(not t.all(), sk.recall_score, ~t, ~c, sample_weight=w))
        agree(rates["npv"][i], nan_where(not c.all(), sk.precision_score, ~t, ~c, sample_weight=w))


@settings(max_examples=30, deadline=None)
@given(tables())
def test_operating_points_are_read_off_the_roc_curve(table):
    truth, _, _, score, weights = table
    corners = roc_corners(truth, score, weights)
    for level in (0.0, 0.5, 0.85, 0.9, 0.95, 1.0):
        sensitivity = reached(*corners, specificity=level)
        specificity = reached(*corners, sensitivity=level)
        for i, w in enumerate(weights):
            t, s = np.repeat(truth, w.astype(int)), np.repeat(score, w.astype(int))
            if t.any() and not t.all():
                false_alarm, found, _ = sk.roc_curve(t, s, drop_intermediate=False)
                agree(sensitivity[i], found[1 - false_alarm >= level - 1e-12].max())
                agree(specificity[i], (1 - false_alarm)[found >= level - 1e-12].max())
            else:
                assert np.isnan(sensitivity[i]) and np.isnan(specificity[i])


@settings(max_examples=60, deadline=None)
@given(tables())
def test_the_calibration_error_is_the_mean_over_ten_bins(table):
    truth, _, _, score, _ = table
    bins, error = np.minimum(np.floor(score * 10), 9), 0
    for b, rows in enumerate(reliability_bins(score)):
        inside = bins == b
        assert (rows == inside).all()
        if inside.any():
            error += inside.mean() * abs(score[inside].mean() - truth[inside].mean())
    agree(calibration_error(truth, score), error)


def predictions(patients=60, seed=0, photographs=2, correlation=0.8):
    """Grades, probabilities and patients of synthetic eyes; all photographs of a patient are equal."""
    random = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), photographs)
    level = random.choice(5, patients, p=[0.5, 0.1, 0.2, 0.1, 0.1])[patient]
    effect = np.sqrt(correlation) * random.normal(size=patients)[patient]
    z = 0.8 * level - 1 + effect + np.sqrt(1 - correlation) * random.normal(size=len(patient))
    return level, expit(z), np.array([f"p{i}" for i in patient])


def test_referral_takes_the_least_certain_rows():
    level, probability, patients = predictions()
    truth, certainty = level > 0, abs(logit(probability) - logit(0.4))
    for step in referral(truth, probability, 0.4, patients, SHARES):
        rows = np.argsort(certainty)[round(step["referred"] * 120) :]  # every share of 120 rows is a whole number
        t, c = truth[rows], probability[rows] >= 0.4
        agree(step["accuracy"]["value"], (t == c).mean())
        agree(step["sensitivity"]["value"], c[t].mean())
        agree(step["specificity"]["value"], (~c[~t]).mean())
        agree(step["auc"]["value"], sk.roc_auc_score(t, probability[rows]))


def test_referral_of_equally_certain_rows_does_not_depend_on_their_order():
    truth, patients = np.array([True, False] * 10), np.arange(20)
    probability = np.where(np.arange(20) < 10, 0.7, 0.95)
    (kept,) = keep_certain(probability, 0.5, [0.3])
    agree(kept, np.where(np.arange(20) < 10, 0.4, 1))
    order = np.random.default_rng(0).permutation(20)
    one, other = (referral(truth[o], probability[o], 0.5, patients[o], SHARES) for o in (np.arange(20), order))
    agree(*(np.array(numbers(steps), float) for steps in (one, other)))  # None becomes NaN


def test_referral_keeps_a_perfect_order_perfect():
    """Fractions of rows add up inexactly; an AUC of 1.0000000000000002 would be wrong."""
    probability = np.round(np.random.default_rng(0).random(333), 2)
    for step in referral(probability > 0.6, probability, 0.41, np.arange(333), np.linspace(0, 0.5, 40)):
        assert step["auc"]["value"] == step["auc"]["high"] == 1


def test_the_share_that_is_referred_is_exact():
    probability = np.repeat(np.linspace(0.02, 0.97, 7), [2, 1, 1, 4, 0, 3, 1])
    for share, kept in zip(SHARES, keep_certain(probability, 0.4, SHARES)):
        agree(kept.sum(), 12 * (1 - share))


def test_calibration_is_found_and_undone():
    """An overconfident network, trained with too much disease; the fit is at least as good as a grid search."""
    random = np.random.default_rng(0)
    honest = expit(random.normal(-1, 2, 20_000))
    truth = random.random(20_000) < honest
    distorted = calibrate(calibrate(honest, 1, 1.2), 1 / 2.5)
    temperature, shift = fit_calibration(truth, distorted)
    assert temperature == pytest.approx(2.5, rel=0.05)
    assert shift == pytest.approx(-1.2, abs=0.05)
    fitted = sk.log_loss(truth, calibrate(distorted, temperature, shift))
    for other in ((temperature + 0.05, shift), (temperature - 0.05, shift), (temperature, shift - 0.02)):
        assert sk.log_loss(truth, calibrate(distorted, *other)) > fitted
    before, after = (calibration_error(truth, p) for p in (distorted, calibrate(distorted, temperature, shift)))
    assert after < 0.02
    assert before > 0.1
    np.testing.assert_allclose(calibrate(distorted, 2.5, -1.2), honest, atol=5e-3)  # log-odds are clipped at 17


@pytest.mark.parametrize("truth", [[], [1, 1], [0, 0, 0]])
def test_one_class_leaves_probabilities_as_they_are(truth):
    truth = np.array(truth, bool)
    assert fit_calibration(truth, np.where(truth, 0.8, 0.1)) == (1, 0)


def test_calibration_of_separate_and_of_useless_probabilities():
    """Four separable rows do not give certain probabilities, and a wrong order is not reversed."""
    truth = np.array([0, 1, 0, 1], bool)
    temperature, shift = fit_calibration(truth, np.where(truth, 0.8, 0.1))
    found = calibrate(np.array([0.1, 0.8]), temperature, shift)
    assert found == pytest.approx([0.25, 0.75], abs=0.01)  # Platt's targets: (0 + 1) / (2 + 2) and (2 + 1) / (2 + 2)
    temperature, shift = fit_calibration(truth, np.where(truth, 0.1, 0.8))
    assert temperature == pytest.approx(10)


def test_certain_probabilities_stay_numbers():
    truth, probability = np.array([1, 0, 1, 0], bool), np.array([0.0, 1.0, 1.0, 0.0])
    assert 1 < fit_calibration(truth, probability)[0] <= 10.001
    assert np.isfinite(calibrate(probability, 0.5)).all()
    assert (np.diff(calibrate(np.array([0.0, 0.3, 0.9, 1.0]), 2.0)) > 0).all()
    for step in referral(truth, probability, 1.0, np.arange(4), SHARES):
        assert np.isfinite(step["accuracy"]["value"])


def test_a_draw_holds_whole_patients():
    patients = np.array(["b", "a", "b", "c", "a", "b"])
    weights = draw_patients(patients, range(500), 7)
    assert (weights[:, patients == "b"] == weights[:, [0]]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert (weights[:, 3] == 0).mean() == pytest.approx((2 / 3) ** 3, abs=0.06)
    assert (draw_patients(patients, range(100, 103), 7) == weights[100:103]).all()
    assert (draw_patients(patients, range(500), 8) != weights).any()


@pytest.mark.parametrize("chunk, threads", [(1, 1), (10_000, 3), (10**8, 8)])
def test_the_interval_depends_on_nothing_but_data_and_seed(monkeypatch, chunk, threads):
    level, probability, patients = predictions()

    def evaluate(seed):
        rows = sort_rows(level > 0, probability, probability, patients, level)
        return evaluate_unit(rows, POINTS, "balanced", draws=150, seed=seed)

    usual = evaluate(0)
    assert evaluate(1)["average_precision"] != usual["average_precision"]
    monkeypatch.setattr(module, "cores", lambda: threads)
    assert evaluate(0) == usual
    monkeypatch.setattr(module, "CHUNK", chunk)
    for ours, theirs in zip(numbers(evaluate(0)), numbers(usual), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-12)


def numbers(tree):
    """List the leaves of a tree of dicts and lists."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [n for branch in tree for n in numbers(branch)] if isinstance(tree, list) else [tree]


def test_a_figure_that_most_draws_define_has_an_interval_and_others_have_none():
    """Of 60 patients, two are both absent from 13 % of draws, and six from 0.2 %."""
    patients = np.arange(60)
    for diseased, interval in ((2, False), (6, True)):
        truth, called = patients < diseased, patients % 2 == 0
        figure = bootstrap(lambda w, t=truth, c=called: at_threshold(t, c, w), patients)["sensitivity"]
        assert figure["value"] == 0.5
        assert [figure["low"] is not None, figure["high"] is not None] == [interval, interval]


@pytest.mark.parametrize("value", [-0.5, 0, 0.7, 1])
def test_what_is_no_share_has_the_interval_of_its_draws_or_none(value):
    """A kappa of 1 or a difference of 0 is no proportion of patients, and no binomial interval fits it."""
    patients = np.arange(50)
    spread = bootstrap(lambda w: {"kappa": value + w.std(axis=1)}, patients, 100)["kappa"]
    assert spread["value"] == value and spread["low"] == value < spread["high"]
    constant = bootstrap(lambda w: {"kappa": np.full(len(w), float(value))}, patients, 100)["kappa"]
    assert constant == {"value": value, "low": None, "high": None}


def test_pairs_of_patients_are_disjoint():
    patients = np.array([0, 0, 1, 1, 2, 2])
    truth = np.array([1, 0, 1, 0, 1, 0], bool)  # three patients with both classes: one pair, one patient left
    assert count_pairs(patients, truth, ~truth) == 1
    assert count_pairs(np.arange(6), truth, ~truth) == 3
    assert count_pairs(np.arange(3), np.ones(3, bool), np.zeros(3, bool)) == 0


def evaluate(truth, level, probability, patients, draws=200, points=POINTS, own="balanced"):
    rows = sort_rows(truth, probability, calibrate(probability, 1.5), patients, level)
    unit = evaluate_unit(rows, points, own, draws=draws)
    json.dumps(unit, allow_nan=False)  # raises on NaN and on numpy's numbers
    return unit


def test_a_unit_holds_the_figures_of_its_rows():
    level, raw, patients = predictions()
    truth, probability = level > 0, calibrate(raw, 1.5)
    unit = evaluate(truth, level, raw, patients)
    called = probability >= POINTS["balanced"]
    assert (unit["count"], unit["diseased"]) == (120, truth.sum())
    assert unit["confusion"] == sk.confusion_matrix(truth, called).tolist()
    agree(unit["auc"]["value"], sk.roc_auc_score(truth, probability))
    agree(unit["average_precision"]["value"], sk.average_precision_score(truth, probability))
    agree(unit["sensitivity"]["value"], sk.recall_score(truth, called))
    assert unit["npv"] == unit["operating_points"]["balanced"]["npv"]
    for name, threshold in POINTS.items():
        point = unit["operating_points"][name]
        assert point["threshold"] == threshold
        agree(point["precision"]["value"], sk.precision_score(truth, probability >= threshold))
    for way in (unit["roc"]["sensitivity_at_specificity"], unit["roc"]["specificity_at_sensitivity"]):
        assert list(way) == ["0.85", "0.9", "0.95"]
        assert way["0.85"]["value"] >= way["0.95"]["value"]
    for row in unit["by_grade"]:
        assert row["count"] == (level == row["grade"]).sum()
        agree(row["called"]["value"], called[level == row["grade"]].mean())
    calibration = unit["calibration"]
    agree(calibration["before"]["brier"]["value"], sk.brier_score_loss(truth, raw))
    agree(calibration["after"]["brier"]["value"], sk.brier_score_loss(truth, probability))
    assert sum(row["count"] for row in calibration["bins"]) == 120
    observed = sum(row["count"] * row["observed"]["value"] for row in calibration["bins"])
    assert observed == pytest.approx(truth.sum())
    assert [row["referred"] for row in unit["referral"]] == list(SHARES)
    assert unit["referral"][0]["accuracy"] == unit["accuracy"]
    assert unit["referral"][5]["accuracy"]["value"] > unit["accuracy"]["value"]
    for figure in (unit["auc"], unit["accuracy"], unit["calibration"]["after"]["brier"]):
        assert figure["low"] < figure["value"] < figure["high"]


def test_the_order_of_rows_does_not_count():
    level, probability, patients = predictions()
    order = np.random.default_rng(1).permutation(len(level))
    one = evaluate(level > 0, level, probability, patients)
    other = evaluate(level[order] > 0, level[order], probability[order], patients[order])
    for a, b in zip(numbers(one), numbers(other), strict=True):
        assert a == pytest.approx(b, abs=1e-12)


def test_a_perfect_network_on_few_patients_is_not_taken_at_its_word():
    level = np.array([0] * 20 + [2] * 6)
    patients = np.repeat(np.arange(13), 2)  # ten healthy, three diseased
    unit = evaluate(level > 0, level, np.where(level > 0, 0.9, 0.1), patients)
    wilson = {name: binomtest(n, n).proportion_ci(0.95, "wilson").low for name, n in (("ill", 3), ("well", 10))}
    assert unit["sensitivity"] == pytest.approx({"value": 1, "low": wilson["ill"], "high": 1})
    assert unit["specificity"]["low"] == pytest.approx(wilson["well"])
    assert unit["auc"]["low"] == pytest.approx(0.025 ** (1 / 3))
    assert unit["roc"]["specificity_at_sensitivity"]["0.9"]["low"] == pytest.approx(0.025 ** (1 / 3))
    assert unit["average_precision"] == {"value": 1, "low": None, "high": None}
    assert unit["by_grade"][2]["called"]["low"] == pytest.approx(wilson["ill"])
    assert unit["by_grade"][1] == {"grade": 1, "count": 0, "called": NOTHING}


@pytest.mark.parametrize("diseased", [False, True])
def test_one_class_only(diseased):
    level, probability, patients = predictions()
    level = np.full(len(level), 2 * diseased)
    unit = evaluate(level > 0, level, probability, patients)
    missing = "specificity" if diseased else "sensitivity"
    for figure in (unit["auc"], unit["average_precision"], unit[missing], unit["referral"][2]["auc"]):
        assert figure == NOTHING
    assert unit["curves"] == {"roc": [], "roc_band": [], "precision_recall": []}
    assert unit["accuracy"]["low"] < unit["accuracy"]["value"] < unit["accuracy"]["high"]


def test_no_rows():
    unit = evaluate(np.zeros(0, bool), np.zeros(0, int), np.zeros(0), np.zeros(0, str))
    assert unit["count"] == 0 and unit["confusion"] == [[0, 0], [0, 0]]
    assert unit["auc"] == unit["accuracy"] == unit["calibration"]["after"]["ece"] == NOTHING
    assert unit["calibration"]["bins"] == []


def test_a_single_patient():
    unit = evaluate(np.array([False, True]), np.array([0, 3]), np.array([0.3, 0.35]), ["p", "p"])
    one = binomtest(1, 1).proportion_ci(0.95, "wilson")
    assert unit["specificity"] == pytest.approx({"value": 1, "low": one.low, "high": 1})
    assert unit["accuracy"]["low"] < one.low  # half of one patient: nearly nothing is known
    assert unit["auc"] == {"value": 1, "low": None, "high": None}  # there are no pairs of patients


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1.5])
def test_what_is_no_probability_is_refused_in_one_sentence(wrong):
    level, probability, patients = predictions()
    probability[3] = wrong
    with pytest.raises(StageError, match="1 of 120 predicted probabilities .*train it again"):
        sort_rows(level > 0, probability, probability, patients, level)


@pytest.mark.parametrize("patients", [3, 5000])
def test_curves_are_short_and_keep_their_shape(patients):
    level, probability, owner = predictions(patients, seed=3)
    truth = level > 0
    unit = evaluate(truth, level, probability, owner, draws=2)
    roc, recall_precision = (np.array(unit["curves"][name]) for name in ("roc", "precision_recall"))
    assert len(roc) <= 200 and len(recall_precision) <= 200
    assert roc[0].tolist() == [0, 0] and roc[-1].tolist() == [1, 1]
    assert recall_precision[0].tolist() == [0, 1]
    assert recall_precision[-1] == pytest.approx([1, truth.mean()], abs=1e-6)
    assert np.trapezoid(roc[:, 1], roc[:, 0]) == pytest.approx(sk.roc_auc_score(truth, probability), abs=2e-3)
    area = np.trapezoid(recall_precision[:, 1], recall_precision[:, 0])
    assert area == pytest.approx(sk.average_precision_score(truth, probability), abs=5e-3 if patients > 3 else 0.3)


def test_the_threshold_chosen_balances():
    assert choose_threshold([False, False, True, True], [0.1, 0.2, 0.6, 0.9]) == pytest.approx(0.4)
