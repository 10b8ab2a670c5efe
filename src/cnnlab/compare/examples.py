"""Two networks on the same test examples: McNemar's test, and the difference of their accuracies.

This compares two networks, not two recipes: for recipes `noise` uses several seeds. Shape legend: N test examples, S
seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from cnnlab.compare.interval import Interval, SampleError
from cnnlab.core.errors import RunError
from cnnlab.runs import RunFolder


@dataclass(frozen=True)
class McNemar:
    """The 2 x 2 table of two networks, right or wrong on each example, with its statistics.

    `p_exact` is guaranteed but conservative; `p_mid` has more power and keeps its level in practice (Fagerland,
    Lydersen and Laake, BMC Medical Research Methodology 13, 2013): report `p_mid`, and `p_exact` for a guarantee.
    `difference` is accuracy(left) - accuracy(right) with Tango's interval. `odds` = left_only / right_only (infinite
    if only the left one is right, NaN if both are 0).
    """

    both: int
    left_only: int
    right_only: int
    neither: int
    p_exact: float
    p_mid: float
    difference: float
    interval: Interval
    odds: float
    odds_interval: Interval

    @property
    def n(self) -> int:
        """Test examples."""
        return self.both + self.left_only + self.right_only + self.neither


def compare_predictions(left_N: ArrayLike, right_N: ArrayLike, truth_N: ArrayLike, level: float = 0.95) -> McNemar:
    """McNemar's test from the labels of two networks and the true ones. Raises SampleError for unequal lengths."""
    left, right, truth = map(np.asarray, (left_N, right_N, truth_N))
    if left.shape != truth.shape or right.shape != truth.shape or truth.ndim != 1 or not truth.size:
        raise SampleError(
            f"received labels of shapes {left.shape}, {right.shape} and true ones {truth.shape}, "
            "expected three equal vectors: predictions for the same examples in the same order"
        )
    return compare_correct(left == truth, right == truth, level)


def compare_correct(left_N: NDArray[np.bool_], right_N: NDArray[np.bool_], level: float = 0.95) -> McNemar:
    """McNemar's test from the correctness of each network on each example."""
    b, c = int((left_N & ~right_N).sum()), int((~left_N & right_N).sum())
    both = int((left_N & right_N).sum())
    n = len(left_N)
    p_exact, p_mid = mcnemar_p(b, c)
    return McNemar(
        both=both,
        left_only=b,
        right_only=c,
        neither=n - both - b - c,
        p_exact=p_exact,
        p_mid=p_mid,
        difference=(b - c) / n,
        interval=tango_interval(b, c, n, level),
        odds=b / c if c else (math.inf if b else math.nan),
        odds_interval=_odds_interval(b, c, level),
    )


def mcnemar_p(b: int, c: int) -> tuple[float, float]:
    """Exact and mid two-sided p of b against c discordant examples, Binomial(b + c, 1/2) under the null hypothesis.

    mid-p counts half of the observed table's probability on each side: p_exact - P(b), and 1 for b = c.
    """
    p_exact = float(stats.binomtest(b, b + c).pvalue) if b + c else 1.0
    return p_exact, 1.0 if b == c else p_exact - float(stats.binom.pmf(b, b + c, 0.5))


def tango_interval(b: int, c: int, n: int, level: float = 0.95) -> Interval:
    """Score interval of a paired difference of proportions: all d that this test does not reject.

    z(d) = (b - c - n d) / sqrt(n (2 q + d (1 - d))), with q the maximum-likelihood P(right only) given d. At d = 0
    it is McNemar's asymptotic test. Source: Tango, Statistics in Medicine 17 (1998), 891-908.
    """
    critical = float(stats.norm.ppf((1 + level) / 2))

    def z(d: float) -> float:
        first = (2 * n - b + c) * d - b - c
        q = (math.sqrt(max(0.0, first**2 + 8 * n * c * d * (1 - d))) - first) / (4 * n)
        variance = n * (2 * q + d * (1 - d))
        distance = b - c - n * d
        if variance > 0:
            return distance / math.sqrt(variance)
        return math.copysign(1e9, distance) if abs(distance) > 1e-9 * n else 0.0

    found, edge = (b - c) / n, 1 - 1e-12
    low = optimize.brentq(lambda d: z(d) - critical, -edge, found) if found > -1 else -1.0
    high = optimize.brentq(lambda d: z(d) + critical, found, edge) if found < 1 else 1.0
    return Interval(float(low), float(high), level, "Tango score")


def _odds_interval(b: int, c: int, level: float) -> Interval:
    """Clopper-Pearson for b of b + c, turned into odds (Liddell, Journal of Epidemiology 37, 1983)."""
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, b, c + 1)) if b else 0.0
    high = float(stats.beta.ppf(1 - tail, b + 1, c)) if c else 1.0
    return Interval(low / (1 - low), high / (1 - high) if high < 1 else math.inf, level, "Clopper-Pearson")


def correct_matrix(runs: Sequence[RunFolder], split: str = "test") -> NDArray[np.bool_]:
    """Correctness of each run on each example, (S, N), from the stored predictions.

    Raises RunError with the runs without predictions, or scored on other examples than the first run.
    """
    problems: list[str] = []
    rows: list[NDArray[np.bool_]] = []
    first = None
    for run in runs:
        try:
            stored = run.predicted(split)
        except RunError as error:
            problems += error.problems
            continue
        first = first or stored
        if not (np.array_equal(stored.indices, first.indices) and np.array_equal(stored.labels, first.labels)):
            problems.append(f"run {run.id} was scored on other {split} examples than run {runs[0].id}")
        rows.append(stored.classes == stored.labels)
    if problems:
        raise RunError(*problems)
    return np.stack(rows)
