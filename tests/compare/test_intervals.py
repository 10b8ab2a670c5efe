"""Intervals and summaries: known values, coverage by simulation, honesty about few seeds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cnnlab.compare.interval import SampleError, bootstrap_interval, summarise, t_interval

values = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=12)


def test_t_interval_of_a_textbook_sample():
    # Student (1908), ten patients' additional hours of sleep: mean 1.58, s 1.23.
    sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    interval = t_interval(sleep)
    assert interval.low == pytest.approx(0.7001142, abs=1e-6)
    assert interval.high == pytest.approx(2.4598858, abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_coverage_of_the_t_interval(n):
    rng = np.random.default_rng(n)
    intervals = [t_interval(row) for row in rng.normal(0.7, 0.01, (4000, n))]
    covered = np.mean([0.7 in interval for interval in intervals])
    assert covered == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("n", "share"), [(3, 0.75), (4, 0.80), (5, 0.84), (10, 0.92)])
def test_the_bootstrap_covers_less_than_it_says(n, share):
    """The shares of the docstring. For n = 3 it is min and max, so 1 - 2/2^3 exactly."""
    rng = np.random.default_rng(n)
    covered = np.mean([0 in bootstrap_interval(row) for row in rng.normal(size=(400, n))])
    assert covered == pytest.approx(share, abs=0.04)


def test_bootstrap_of_three_is_their_range_and_its_draws_are_seeded():
    interval = bootstrap_interval([0.70, 0.73, 0.71])
    assert (interval.low, interval.high) == pytest.approx((0.70, 0.73))
    many = np.random.default_rng(0).normal(size=8)
    assert bootstrap_interval(many, seed=1) == bootstrap_interval(many, seed=1)
    assert bootstrap_interval(many, seed=1) != bootstrap_interval(many, seed=2)


def test_one_seed_has_no_interval():
    summary = summarise([0.7])
    assert (summary.n, summary.mean, summary.population_std) == (1, 0.7, 0.0)
    assert summary.std is summary.t is summary.bootstrap is None
    assert "one seed" in summary.note


def test_equal_values_have_no_interval_either():
    summary = summarise([0.1 + 0.2, 0.3, 0.3])  # equal but for rounding
    assert summary.std == 0
    assert summary.t is summary.bootstrap is None
    assert "same value" in summary.note


@pytest.mark.parametrize("bad", [[], [0.7, math.nan], [math.inf]])
def test_no_statistics_of_nothing_or_of_nan(bad):
    with pytest.raises(SampleError, match="received"):
        summarise(bad)


@settings(deadline=None, max_examples=60)
@given(values)
def test_both_standard_deviations_by_their_names(sample):
    summary = summarise(sample)
    assert summary.population_std == np.std(sample)
    assert summary.std == pytest.approx(np.std(sample, ddof=1), abs=1e-9)
    assert summary.std >= summary.population_std or summary.std == 0


@settings(deadline=None, max_examples=60)
@given(values, st.floats(0.5, 0.98))
def test_t_interval_agrees_with_scipy_and_grows_with_its_level(sample, level):
    interval = t_interval(sample, level)
    if interval is None:
        assert len(set(sample)) == 1
        return
    expected = stats.ttest_1samp(sample, 0).confidence_interval(level)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)
    wider = t_interval(sample, 0.99)
    assert wider.low < interval.low < interval.high < wider.high
