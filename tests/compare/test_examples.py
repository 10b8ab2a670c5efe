"""McNemar's test and Tango's interval: published values, brute-force oracles, symmetry, coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from cnnlab.compare.examples import compare_correct, compare_predictions, mcnemar_p, tango_interval
from cnnlab.compare.interval import SampleError

counts = st.integers(0, 30)


def vectors(both, left_only, right_only, neither):
    left = [True] * (both + left_only) + [False] * (right_only + neither)
    right = [True] * both + [False] * left_only + [True] * right_only + [False] * neither
    return np.array(left), np.array(right)


def test_airway_data():
    """Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014): 21 children before and after transplantation."""
    result = compare_correct(*vectors(1, 1, 7, 12))
    assert result.n == 21
    assert (result.p_exact, result.p_mid) == pytest.approx((0.0703, 0.0391), abs=5e-5)
    assert result.difference == pytest.approx(-0.2857, abs=5e-5)
    assert (result.interval.low, result.interval.high) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_tuberculosis_data():
    """Armitage and Berry (1994), p. 127: two culture media, odds and interval after Liddell (1983)."""
    result = compare_correct(*vectors(20, 12, 2, 16))
    assert result.p_exact == pytest.approx(0.0129, abs=5e-5)
    assert result.odds == 6
    assert (result.odds_interval.low, result.odds_interval.high) == pytest.approx((1.335744, 55.197091), abs=1e-5)


def test_labels_are_compared_with_the_truth():
    result = compare_predictions([0, 1, 2, 3], [0, 1, 0, 0], [0, 2, 2, 3])
    assert (result.both, result.left_only, result.right_only, result.neither) == (1, 2, 0, 1)
    with pytest.raises(SampleError, match="expected three equal vectors"):
        compare_predictions([0, 1], [0], [0, 1])


def test_two_equal_networks():
    result = compare_correct(*vectors(70, 0, 0, 30))
    assert (result.p_exact, result.p_mid, result.difference) == (1, 1, 0)
    assert result.interval.low == pytest.approx(-result.interval.high)
    assert np.isnan(result.odds)


def score_by_brute_force(d, b, c, n):
    """z(d) with the probabilities that maximise the likelihood under the constraint, found numerically."""
    concordant = n - b - c

    def minus_log_likelihood(right_only):
        p = np.array([right_only + d, right_only, 1 - 2 * right_only - d])
        return -float(np.dot([b, c, concordant], np.log(np.maximum(p, 1e-300))))

    low, high = max(0, -d), (1 - d) / 2
    found = optimize.minimize_scalar(minus_log_likelihood, bounds=(low, high), options={"xatol": 1e-12})
    return (b - c - n * d) / np.sqrt(n * (2 * found.x + d - d * d))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 100))
def test_tango_limits_are_where_the_score_test_stops_rejecting(b, c, concordant):
    n = b + c + concordant
    interval = tango_interval(b, c, n)
    for limit, z in ((interval.low, 1.959964), (interval.high, -1.959964)):
        assert score_by_brute_force(limit, b, c, n) == pytest.approx(z, abs=1e-3)


@settings(deadline=None, max_examples=60)
@given(counts, counts, counts, counts.filter(bool))
def test_symmetry(both, left_only, right_only, neither):
    left, right = vectors(both, left_only, right_only, neither)
    forth, back = compare_correct(left, right), compare_correct(right, left)
    assert (forth.p_exact, forth.p_mid) == pytest.approx((back.p_exact, back.p_mid))
    assert (forth.interval.low, forth.interval.high) == pytest.approx((-back.interval.high, -back.interval.low))
    assert forth.p_mid <= forth.p_exact
    assert forth.difference in forth.interval


@settings(deadline=None, max_examples=60)
@given(counts, counts)
def test_mid_p_is_half_of_the_observed_table(b, c):
    tail = stats.binom.cdf(min(b, c) - 1, b + c, 0.5) + stats.binom.pmf(min(b, c), b + c, 0.5) / 2
    assert mcnemar_p(b, c)[1] == pytest.approx(2 * tail)


def test_coverage_of_tangos_interval():
    rng = np.random.default_rng(0)
    tables = rng.multinomial(200, [0.06, 0.03, 0.91], size=2000)
    covered = np.mean([0.03 in tango_interval(b, c, 200) for b, c, _ in tables])
    assert covered == pytest.approx(0.95, abs=0.015)
