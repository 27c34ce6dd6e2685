"""The number of patients for an acceptance test: its definition, a simulation, and the script."""

import sys

import numpy as np
import pytest
from conftest import REPO, one_sentence, run
from scipy.stats import binom

from eyenet.score.intervals import wilson
from eyenet.score.sample_size import Population, eyes_for_limit, eyes_for_width, patients_for

sys.path.append(str(REPO / "benchmarks"))
import sample_size


@pytest.mark.parametrize("share, width", [(0.9, 0.1), (0.8, 0.05), (0.99, 0.2)])
def test_the_interval_is_just_narrow_enough(share, width):
    number = eyes_for_width(share, width)
    low, high = wilson(share, number, 0.95)
    assert high - low <= width
    low, high = wilson(share, number - 1, 0.95)
    assert high - low > width


@pytest.mark.parametrize("share, least, power", [(0.9, 0.85, 0.9), (0.95, 0.85, 0.8), (0.7, 0.4, 0.9)])
def test_any_larger_number_shows_it_too(share, least, power):
    number = eyes_for_limit(share, least, power)
    reached = []
    for count in range(number - 1, number + 200):
        shown = [hits for hits in range(count + 1) if wilson(hits / count, count, 0.95)[0] >= least]
        reached.append(binom.pmf(shown, count, share).sum())
    assert reached[0] < power <= min(reached[1:])


def test_two_eyes_of_a_patient_tell_less_than_two_patients():
    alone, alike, whole = (Population(0.2, 1.0, rho, 1.0) for rho in (0.0, 1.0, 0.5))
    assert patients_for(100, 0, 0.2, alone) == 250  # both eyes of every fifth
    assert patients_for(100, 0, 0.2, alike) == 500
    assert patients_for(100, 0, 0.2, whole) == 375
    assert patients_for(100, 0, 0.2, whole._replace(gradable=0.5)) == 625  # 0.1 with one eye, 0.05 with two


@pytest.mark.parametrize("diseased", [True, False])
def test_simulated_studies_are_as_planned(diseased):
    """The intervals of evaluate.py, with 1,000 studies of patients in whom both eyes mostly agree."""
    population = Population(0.4, 0.8, 0.8, 0.7)
    eyes = eyes_for_width(0.9, 0.1)
    _, widths, _ = sample_size.measure(population, diseased, eyes, 0.9, 1000)
    assert widths.mean() == pytest.approx(0.1, rel=0.05)
    eyes = eyes_for_limit(0.9, 0.8, 0.9)
    _, _, lows = sample_size.measure(population, diseased, eyes, 0.9, 1000)
    assert np.mean(lows >= 0.8) == pytest.approx(0.9, abs=0.04)


def test_the_table_and_what_is_refused():
    done = run("plan_acceptance.py", "--prevalence", 0.2, "--show-sensitivity", 0.85)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("s")]
    assert [row[0] for row in rows] == ["sensitivity", "specificity", "sensitivity"]
    most = max(int(row[-2].replace(",", "")) for row in rows)
    assert f"Photograph {most:,} consecutive patients" in done.stdout
    assert "Formulas: Buderer 1996 (width), Flahault et al. 2005 (least value)" in done.stdout
    words = "the expected share, 0.9, is not above 0.9, so that cannot be demonstrated"
    one_sentence(run("plan_acceptance.py", "--prevalence", 0.2, "--show-sensitivity", 0.9, code=1), words)
    one_sentence(run("plan_acceptance.py", "--prevalence", 0.2, "--width", 1e-6, code=1), "more than 1,000,000 eyes")
    one_sentence(run("plan_acceptance.py", "--prevalence", 0, code=2), "0 is not between 0 and 1")
