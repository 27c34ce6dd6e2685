"""How many patients a study of accuracy needs, where both eyes of a patient are graded.

The intervals are those of `share_with_interval`: Wilson's at the effective number of eyes.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import binom

from eyenet.score.intervals import LEVEL, wilson

MOST = 10**6  # independent eyes: no study has more


class Population(NamedTuple):
    """Who is photographed: all are shares from 0 to 1.

    prevalence
        Patients with disease in at least one eye.
    both
        Those of them with disease in both eyes.
    correlation
        Of correct answers between two eyes of a patient that both have the disease, or both do not.
    gradable
        Photographs that can be graded.
    """

    prevalence: float
    both: float
    correlation: float
    gradable: float


def eyes_for_width(share, width, level=LEVEL):
    """Compute the number of independent eyes at which the interval of a share is not wider than `width` [1]_.

    Parameters
    ----------
    share : float
        Expected sensitivity or specificity.
    width : float
        Of the whole interval, from its lower to its upper limit.
    level : float
        Confidence level.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If more than `MOST` eyes are needed.

    References
    ----------
    .. [1] N. M. F. Buderer, "Statistical methodology: I. Incorporating the prevalence of disease into the sample size
       calculation for sensitivity and specificity", Academic Emergency Medicine, 1996; with Wilson's interval.
    """

    def excess(number):
        low, high = wilson(share, number, level)
        return high - low - width

    if excess(1) <= 0:
        return 1
    if excess(MOST) > 0:
        raise ValueError(f"an interval {width:g} wide takes more than {MOST:,} eyes")
    return math.ceil(brentq(excess, 1, MOST))


def eyes_for_limit(share, least, power, level=LEVEL):
    """Compute the number of independent eyes at which the lower limit of a share is at least `least` [1]_.

    The probability of that, exact by the binomial distribution, is at least `power` with this number and any larger.

    Parameters
    ----------
    share : float
        Expected sensitivity or specificity, above `least`.
    least : float
        The minimum to demonstrate.
    power, level : float
        Probability of demonstrating it, and confidence level of the two-sided interval.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If `share` is not above `least`, or more than `MOST` eyes are needed.

    References
    ----------
    .. [1] A. Flahault, M. Cadilhac and G. Thomas, "Sample size calculation should be performed for design accuracy in
       diagnostic test studies", Journal of Clinical Epidemiology, 2005; with Wilson's interval.
    """
    if not least < share:
        raise ValueError(f"the expected share, {share:g}, is not above {least:g}, so that cannot be demonstrated")
    z, spread, wanted = ndtri((1 + level) / 2), math.sqrt(least * (1 - least)), math.sqrt(share * (1 - share))
    about = ((z * spread + ndtri(power) * wanted) / (share - least)) ** 2  # by the normal distribution
    if about > MOST:
        raise ValueError(f"to demonstrate {least:g} where {share:g} is expected takes more than {MOST:,} eyes")
    numbers = np.arange(1, int(2 * about) + 100)
    hits = np.ceil(numbers * least + z * spread * np.sqrt(numbers))  # from which Wilson's lower limit is `least`
    short = binom.sf(hits - 1, numbers, share) < power
    return int(numbers[short][-1]) + 1 if short.any() else 1


def patients_for(eyes, one, two, population):
    """Compute how many patients give as much information as a number of independent eyes [1]_.

    Parameters
    ----------
    eyes : int
        Independent eyes.
    one, two : float
        Shares of all patients with one and with two eyes that count.
    population : Population

    Returns
    -------
    int
        Patients to photograph: those who count and all others.

    References
    ----------
    .. [1] J. N. K. Rao and A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics, 1992:
       the design effect of clusters of m eyes is 1 + correlation x (sum of m squared / sum of m - 1).
    """
    share = population.gradable
    one, two = share * (one + 2 * (1 - share) * two), share**2 * two  # of which one or both photographs can be graded
    counted = one + 2 * two
    effect = 1 + population.correlation * ((one + 4 * two) / counted - 1)
    return math.ceil(eyes * effect / counted)


def with_disease(population):
    """Return the shares of patients with disease in one eye and in two."""
    return population.prevalence * (1 - population.both), population.prevalence * population.both


def without_disease(population):
    """Return the shares of patients with one eye and with two eyes without disease."""
    return population.prevalence * (1 - population.both), 1 - population.prevalence
