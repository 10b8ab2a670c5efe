"""Repeated looks: the error stays below alpha where a repeated t test's does not, and true effects are found."""

import numpy as np
import pytest
from scipy import integrate, stats

from cnnlab.compare.sequential import PRIOR_VARIANCE, anytime_critical_t, anytime_p

FIRST, LAST = 3, 20


def t_statistics(values):
    """t of the first n values for n = FIRST..LAST, (trials, looks)."""
    n = np.arange(1, values.shape[1] + 1)
    mean = values.cumsum(axis=1) / n
    squares = (values**2).cumsum(axis=1) - n * mean**2
    looks = slice(FIRST - 1, LAST)
    return mean[:, looks] / np.sqrt(squares[:, looks] / (n[looks] - 1) / n[looks])


@pytest.fixture(scope="module")
def looks():
    return np.arange(FIRST, LAST + 1)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_error_under_the_null_with_a_look_after_every_seed(looks, alpha):
    t = t_statistics(np.random.default_rng(0).normal(0, 3.0, (40000, LAST)))
    naive = 2 * stats.t.sf(np.abs(t), looks - 1)
    assert (naive < alpha).any(axis=1).mean() > 1.8 * alpha
    assert (anytime_p(t, looks) <= alpha).any(axis=1).mean() <= alpha


def test_error_with_skewed_differences(looks):
    skewed = np.random.default_rng(1).gamma(4, size=(40000, LAST)) - 4
    assert (anytime_p(t_statistics(skewed), looks) <= 0.05).any(axis=1).mean() <= 0.05


@pytest.mark.parametrize(("effect", "power", "seeds"), [(5, 0.999, 4), (3, 0.999, 5.2), (2, 0.99, 7), (1.5, 0.98, 9.5)])
def test_true_effects_are_found_soon(looks, effect, power, seeds):
    """`effect` in standard deviations of the differences; `seeds`: how many it takes on average."""
    p = anytime_p(t_statistics(np.random.default_rng(2).normal(effect, 1, (5000, LAST))), looks)
    decided = p <= 0.05
    assert decided.any(axis=1).mean() >= power
    taken = np.where(decided.any(axis=1), decided.argmax(axis=1) + FIRST, LAST)
    assert taken.mean() <= seeds


def test_the_confidence_sequence_holds_the_mean_at_all_looks(looks):
    t = t_statistics(np.random.default_rng(3).normal(size=(20000, LAST)))
    critical = np.array([anytime_critical_t(int(n)) for n in looks])
    assert (np.abs(t) < critical).all(axis=1).mean() >= 0.95


@pytest.mark.parametrize("n", [3, 4, 8, 40])
def test_critical_t_is_where_p_is_alpha(n):
    for level in (0.9, 0.95, 0.99):
        critical = anytime_critical_t(n, level)
        if np.isfinite(critical):
            assert float(anytime_p(critical, n)) == pytest.approx(1 - level)
        else:
            assert float(anytime_p(1e9, n)) > 1 - level


def test_three_seeds_can_decide_and_two_cannot():
    assert anytime_critical_t(3) == pytest.approx(10.13, abs=0.01)
    assert anytime_critical_t(2) == np.inf
    assert float(anytime_p(1e9, 1)) == 1


@pytest.mark.parametrize(("t", "n"), [(0.5, 3), (4.0, 3), (2.5, 7), (6.0, 12)])
def test_against_the_integral_it_stands_for(t, n):
    """Oracle: densities of the noncentral t, mixed over effects N(0, g), against that of the central t."""

    def mixed(effect):
        return stats.nct.pdf(t, n - 1, effect * np.sqrt(n)) * stats.norm.pdf(effect, scale=PRIOR_VARIANCE**0.5)

    numerator, _ = integrate.quad(mixed, -25, 25, points=[0, t / np.sqrt(n)], limit=200)
    ratio = numerator / stats.t.pdf(t, n - 1)
    assert float(anytime_p(t, n)) == pytest.approx(min(1, 1 / ratio), rel=1e-4)
