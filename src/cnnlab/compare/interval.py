"""Checks of a sample, intervals for its mean, and its summary."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cnnlab.core.errors import CnnlabError
from cnnlab.core.seeding import derive_generator

_RESAMPLES = 9999


class SampleError(CnnlabError):
    """Numbers that do not allow a statistic."""


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`: contains the true value in a fraction `level` of repetitions, by `method`."""

    low: float
    high: float
    level: float
    method: str

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def sample(values: Iterable[float], what: str = "values") -> NDArray[np.float64]:
    """The values as an array (n,). Raises SampleError if it is empty or a value is not finite."""
    array = np.asarray(list(values), dtype=np.float64)
    if not array.size:
        raise SampleError(f"{what}: received no values, expected at least one")
    if not np.isfinite(array).all():
        bad = ", ".join(f"{value:g}" for value in array[~np.isfinite(array)])
        raise SampleError(f"{what}: received {bad}, expected finite numbers; leave out the runs that diverged")
    return array


def spread(values_n: NDArray[np.float64], scale: float | None = None) -> float:
    """Sample standard deviation (ddof = 1), exactly 0 if the values differ only by rounding.

    `scale` is the size of the numbers that the values were computed from (default: of the values): 0.3 - 0.2 and
    0.2 - 0.1 differ in binary, which would give a t statistic of 1e15.
    """
    deviation = float(values_n.std(ddof=1))
    size = float(np.abs(values_n).max()) if scale is None else scale
    return 0.0 if deviation <= 1e-12 * size else deviation


def t_interval(values: Iterable[float], level: float = 0.95) -> Interval | None:
    """Student's interval for the mean: mean ± t(n-1) s / sqrt(n); exact for normal values.

    None if s is unknown: for n = 1, and if all values are equal. Raises SampleError.
    """
    values_n = sample(values)
    n = len(values_n)
    if n < 2 or not spread(values_n):
        return None
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * spread(values_n) / math.sqrt(n)
    mean = float(values_n.mean())
    return Interval(mean - half, mean + half, level, "t")


def bootstrap_interval(values: Iterable[float], level: float = 0.95, seed: int = 0) -> Interval | None:
    """Percentile bootstrap of the mean, 9999 resamples drawn from `seed`. None where `t_interval` is.

    It is too narrow for few seeds: for normal samples a nominal 95% covers the mean in 75% (n = 3), 80% (n = 4), 84%
    (n = 5) and 92% (n = 10); for n = 3 it is the range of the values. So report the t interval; from ten seeds on
    this one can show a skew. BCa (Efron 1987) is not better here (73, 80, 84, 91%). Source: Hesterberg, "What
    teachers should know about the bootstrap" (The American Statistician 69, 2015); the tests simulate the coverage.
    Raises SampleError.
    """
    values_n = sample(values)
    if len(values_n) < 2 or not spread(values_n):
        return None
    found = stats.bootstrap(
        (values_n,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=level,
        method="percentile",
        rng=derive_generator(seed, "bootstrap"),
    ).confidence_interval
    return Interval(float(found.low), float(found.high), level, "percentile bootstrap")


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion: all p0 that a z test with deviation sqrt(p0 (1 - p0) / n) accepts.

    In 0..1, and valid for few trials and proportions near 0 or 1, unlike mean ± z s (Brown, Cai and DasGupta,
    "Interval estimation for a binomial proportion", Statistical Science 16, 2001). It is about this network on other
    images, not about other seeds. Raises SampleError without trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise SampleError(f"received {successes} of {trials}, expected at least one trial and no more successes")
    found = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return Interval(float(found.low), float(found.high), level, "Wilson")


@dataclass(frozen=True)
class Summary:
    """Replicates of one arm. Spread and intervals are None if unknown, and `note` explains why.

    `std` is the sample standard deviation (ddof = 1), `population_std` is `numpy.std` (ddof = 0).
    """

    n: int
    mean: float
    std: float | None
    population_std: float
    t: Interval | None
    bootstrap: Interval | None
    note: str = ""


def summarise(values: Iterable[float], level: float = 0.95, seed: int = 0) -> Summary:
    """The summary of one value per replicate; `seed` is the bootstrap's. Raises SampleError."""
    values_n = sample(values)
    n = len(values_n)
    std = spread(values_n) if n > 1 else None
    note = ""
    if std is None:
        note = "one seed: its spread over seeds is unknown, so there is no interval"
    elif std == 0:
        note = f"all {n} seeds gave the same value: the spread is below what the metric resolves, not zero"
    return Summary(
        n=n,
        mean=float(values_n.mean()),
        std=std,
        population_std=float(values_n.std()),
        t=t_interval(values_n, level),
        bootstrap=bootstrap_interval(values_n, level, seed),
        note=note,
    )
