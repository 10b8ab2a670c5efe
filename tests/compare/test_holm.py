"""Holm's correction: a textbook example, a brute-force oracle, its laws."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cnnlab.compare.holm import holm

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=7)


def test_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def test_a_test_that_could_not_be_made_counts():
    assert holm([0.02, None]) == (0.04, None)
    assert holm([]) == ()


@settings(deadline=None, max_examples=60)
@given(p_lists)
def test_against_the_closure_principle(p_values):
    """Oracle: reject a hypothesis when Bonferroni rejects every set of hypotheses that contains it."""
    indices = range(len(p_values))
    sets = [chosen for size in indices for chosen in combinations(indices, size + 1)]
    bonferroni = {chosen: min(1.0, len(chosen) * min(p_values[i] for i in chosen)) for chosen in sets}
    expected = [max(bonferroni[chosen] for chosen in sets if i in chosen) for i in indices]
    assert holm(p_values) == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(p_lists)
def test_monotone_and_never_below_raw(p_values):
    adjusted = holm(p_values)
    assert all(raw <= p <= 1 for raw, p in zip(p_values, adjusted, strict=True))
    by_raw = [adjusted[i] for i in np.argsort(p_values, kind="stable")]
    assert by_raw == sorted(by_raw)


def test_family_wise_error_with_dependent_tests():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(4000, 1))
    z = 0.6 * common + 0.8 * rng.normal(size=(4000, 5))
    smallest = [min(holm(row)) for row in 2 * stats.norm.sf(np.abs(z))]
    assert np.mean(np.array(smallest) <= 0.05) <= 0.055
