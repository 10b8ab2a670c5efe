"""A grade against counting by hand; Wilson's interval against its formula and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from cnnlab.compare.grade import grade
from cnnlab.compare.interval import SampleError, wilson_interval


def test_counts_by_class():
    labels = np.array([0, 0, 0, 1, 1, 3])
    predicted = np.array([0, 1, 0, 1, 1, 0])
    graded = grade(predicted, labels, ("a", "b", "c", "d"))
    rows = [(each.name, each.images, each.predicted, each.correct, each.accuracy) for each in graded.classes]
    assert rows == [("a", 3, 3, 2, 2 / 3), ("b", 2, 3, 2, 1.0), ("c", 0, 0, 0, None), ("d", 1, 0, 0, 0.0)]
    assert (graded.overall.images, graded.overall.correct) == (6, 4)
    assert graded.classes[2].interval is None
    assert graded.overall.interval == wilson_interval(4, 6)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (6481, 10000), (3, 7)])
def test_wilson_is_its_formula(successes, trials):
    z, p = stats.norm.ppf(0.975), successes / trials
    centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    found = wilson_interval(successes, trials)
    assert (found.low, found.high) == pytest.approx((max(centre - half, 0), min(centre + half, 1)), abs=1e-12)


def test_wilson_covers_a_share_near_one_where_the_plain_interval_does_not():
    p, n = 0.985, 100
    successes = np.arange(n + 1)
    weights = stats.binom.pmf(successes, n, p)
    wilson = sum(w for k, w in zip(successes, weights, strict=True) if p in wilson_interval(int(k), n))
    half = 1.96 * np.sqrt(successes / n * (1 - successes / n) / n)
    plain = weights[np.abs(successes / n - p) <= half].sum()
    assert plain < 0.8
    assert 0.92 < wilson < 0.99


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_shares_that_are_none(successes, trials):
    with pytest.raises(SampleError):
        wilson_interval(successes, trials)


def test_as_many_predictions_as_labels():
    with pytest.raises(SampleError, match="received 2 predictions for 3 labels"):
        grade(np.array([0, 1]), np.array([0, 1, 1]), ("a", "b"))
