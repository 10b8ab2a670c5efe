"""Seed noise and test-set noise: known components are found again, known limits hold."""

import numpy as np
import pytest
from scipy import stats

from cnnlab.compare.interval import SampleError
from cnnlab.compare.noise import decompose


def simulated(rng, num_seeds, num_examples, seed_std, example_std, residual_std, mean=0.0):
    return (
        mean
        + rng.normal(0, seed_std, (num_seeds, 1))
        + rng.normal(0, example_std, (1, num_examples))
        + rng.normal(0, residual_std, (num_seeds, num_examples))
    )


def test_known_components_are_found():
    rng = np.random.default_rng(0)
    found = [decompose(simulated(rng, 6, 300, 0.03, 0.4, 0.3)) for _ in range(400)]
    assert np.mean([noise.seed_variance for noise in found]) == pytest.approx(0.0009, rel=0.1)
    assert np.mean([noise.example_variance for noise in found]) == pytest.approx(0.16, rel=0.03)
    assert np.mean([noise.residual_variance for noise in found]) == pytest.approx(0.09, rel=0.03)


@pytest.mark.parametrize(("what", "seed_std", "example_std"), [("seed_error", 0.05, 0.0), ("example_error", 0.0, 0.5)])
def test_each_error_is_the_deviation_of_the_mean_over_repetitions(what, seed_std, example_std):
    rng = np.random.default_rng(1)
    found = [decompose(simulated(rng, 5, 200, seed_std, example_std, 0.3)) for _ in range(2000)]
    actual = np.std([noise.mean for noise in found])
    assert np.sqrt(np.mean([getattr(noise, what) ** 2 for noise in found])) == pytest.approx(actual, rel=0.06)


@pytest.mark.parametrize(("seed_std", "example_std"), [(0.05, 0.0), (0.0, 0.5), (0.03, 0.5)])
def test_the_interval_covers_whatever_the_noise_is(seed_std, example_std):
    rng = np.random.default_rng(2)
    found = [decompose(simulated(rng, 4, 200, seed_std, example_std, 0.3, mean=1.0)) for _ in range(1500)]
    covered = np.mean([1.0 in noise.interval for noise in found])
    assert 0.93 < covered <= 0.99  # wider than needed where one of the components is zero


def test_forgetting_one_source_covers_too_little():
    rng = np.random.default_rng(3)
    found = [decompose(simulated(rng, 4, 200, 0.06, 0.7, 0.3)) for _ in range(1000)]
    for error, critical in (("seed_error", stats.t.ppf(0.975, 3)), ("example_error", 1.96)):
        covered = np.mean([abs(noise.mean) <= critical * getattr(noise, error) for noise in found])
        assert covered < 0.92, error


def test_errors_agree_with_the_one_way_formulas():
    correct = np.random.default_rng(4).random((3, 50)) < 0.7
    noise = decompose(correct)
    assert noise.mean == pytest.approx(correct.mean())
    assert noise.seed_error == pytest.approx(stats.sem(correct.mean(axis=1)))
    assert noise.example_error == pytest.approx(stats.sem(correct.mean(axis=0)))
    assert noise.example_floor <= noise.example_error


def test_one_seed_says_nothing_of_seeds():
    correct = np.arange(100) < 70
    noise = decompose(correct[None])
    assert noise.example_error == pytest.approx(np.sqrt(0.7 * 0.3 / 99))
    assert noise.seed_error is noise.total_error is noise.interval is noise.p is noise.example_floor is None


def test_a_vector_is_refused():
    with pytest.raises(SampleError, match="expected seeds x examples"):
        decompose([1, 0, 1])
