"""Separate the noise of seeds from the noise of the finite test set.

A score depends on the seed, which gives another network, and on the examples of the test set.
Shape legend: S seeds, N test examples.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from cnnlab.compare.interval import Interval, SampleError


@dataclass(frozen=True)
class Noise:
    """The mean of a seeds x examples matrix, and the sources of its uncertainty.

    Variance components of one entry: `seed_variance` (quality of a seed), `example_variance` (difficulty of an
    example for all seeds), `residual_variance` (the rest). Standard errors of the mean: `seed_error` for new seeds on
    these examples (as in a t test over seeds), `example_error` for new examples and these networks (as in McNemar's
    test), `total_error` for both new. `interval` and `p` (of mean 0, two-sided) belong to `total_error`. With one
    seed the fields with a default are None.
    """

    seeds: int
    examples: int
    mean: float
    example_error: float
    seed_variance: float | None = None
    example_variance: float | None = None
    residual_variance: float | None = None
    seed_error: float | None = None
    total_error: float | None = None
    df: float | None = None
    interval: Interval | None = None
    p: float | None = None

    @property
    def example_floor(self) -> float | None:
        """The standard error with infinitely many seeds: sqrt(example_variance / N)."""
        return None if self.example_variance is None else math.sqrt(self.example_variance / self.examples)


def decompose(values_SN: ArrayLike, level: float = 0.95) -> Noise:
    """Two-way random effects without replication: y_sj = mean + a_s + b_j + e_sj, all terms independent.

    For the accuracy of an arm, `values_SN` is 1 where seed s has example j right, else 0. For the difference of two
    arms, it is the difference of their matrices with seeds and examples in equal order. With mean squares MS_S (N
    times the variance of the seeds' means), MS_N (S times that of the examples' means) and MS_E (the rest), each
    divided by its degrees of freedom:

        seed_variance = (MS_S - MS_E) / N          seed_error² = MS_S / (S N)
        example_variance = (MS_N - MS_E) / S       example_error² = MS_N / (S N)
        residual_variance = MS_E                   total_error² = (MS_S + max(MS_N - MS_E, 0)) / (S N)

    Negative estimates are set to 0. Degrees of freedom of the total: (S - 1) (1 + max(MS_N - MS_E, 0) / MS_S)²,
    at least S - 1 (Hillis, Statistics in Medicine 26, 2007, for readers and cases; the components: Searle, Casella
    and McCulloch, "Variance components", 1992, chapter 4). Raises SampleError.
    """
    values = np.asarray(values_SN, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2:
        raise SampleError(f"received shape {values.shape}, expected seeds x examples, two examples or more")
    num_seeds, num_examples = values.shape
    mean = float(values.mean())
    example_means_N = values.mean(axis=0)
    ms_examples = num_seeds * float(example_means_N.var(ddof=1))
    example_error = math.sqrt(ms_examples / values.size)
    if num_seeds == 1:
        return Noise(1, num_examples, mean, example_error)
    seed_means_S = values.mean(axis=1)
    ms_seeds = num_examples * float(seed_means_S.var(ddof=1))
    rest_SN = values - seed_means_S[:, None] - example_means_N + mean
    ms_rest = float(np.square(rest_SN).sum()) / ((num_seeds - 1) * (num_examples - 1))
    beyond_rest = max(ms_examples - ms_rest, 0.0)
    total_error = math.sqrt((ms_seeds + beyond_rest) / values.size)
    df = (1 + beyond_rest / ms_seeds) ** 2 * (num_seeds - 1) if ms_seeds else None
    half = float(stats.t.ppf((1 + level) / 2, df)) * total_error if df else None
    return Noise(
        seeds=num_seeds,
        examples=num_examples,
        mean=mean,
        seed_variance=max(ms_seeds - ms_rest, 0.0) / num_examples,
        example_variance=beyond_rest / num_seeds,
        residual_variance=ms_rest,
        seed_error=math.sqrt(ms_seeds / values.size),
        example_error=example_error,
        total_error=total_error,
        df=df,
        interval=Interval(mean - half, mean + half, level, "two-way t") if half is not None else None,
        p=2 * float(stats.t.sf(abs(mean) / total_error, df)) if df else None,
    )
