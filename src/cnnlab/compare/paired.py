"""Two arms, paired by seed; unpaired if they share no seeds.

Replicates of two arms with one seed have the same order of images, the same random draws and, for equal
architectures, the same initial weights; their common effect cancels in the difference.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from cnnlab.compare.interval import Interval, sample, spread

# With fewer pairs even the most extreme ranking has a two-sided p of 2 / 2^5 = 0.0625.
MIN_WILCOXON = 6


@dataclass(frozen=True)
class Comparison:
    """`left` minus `right`. Unknown values are None, and `note` explains why.

    `n` is the number of pairs, or the size of the smaller arm. `p` is two-sided, of the paired t test or Welch's.
    `seeds`: of the pairs; `left_over`: seeds of each arm without a pair. `dz`: mean / standard deviation of the paired
    differences with Hedges' correction for small samples, which compares the effect with seed noise.
    """

    paired: bool
    n: int
    effect: float
    std_error: float | None
    df: float | None
    interval: Interval | None
    p: float | None
    note: str
    wilcoxon_p: float | None = None
    dz: float | None = None
    differences: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    left_over: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


def compare_arms(left: Mapping[int, float], right: Mapping[int, float], level: float = 0.95) -> Comparison:
    """Compare two arms, seed -> value: paired if they share two seeds or more, otherwise by Welch's test.

    Raises SampleError for an empty arm or a number that is not finite.
    """
    lefts, rights = sample(left.values(), "left arm"), sample(right.values(), "right arm")
    shared = sorted(left.keys() & right.keys())
    if len(shared) < 2 and not shared == sorted(left) == sorted(right):
        return _unpaired(lefts, rights, level, shared)
    left_over = tuple(sorted(left.keys() - right.keys())), tuple(sorted(right.keys() - left.keys()))
    differences_n = np.array([left[seed] - right[seed] for seed in shared])
    scale = float(max(np.abs(lefts).max(), np.abs(rights).max()))
    n, std = len(shared), spread(differences_n, scale) if len(shared) > 1 else None
    std_error = None if std is None else std / math.sqrt(n)
    effect = float(differences_n.mean())
    return Comparison(
        paired=True,
        n=n,
        effect=effect,
        std_error=std_error,
        df=n - 1 if n > 1 else None,
        interval=_interval(effect, std_error, n - 1, level, "paired t"),
        p=t_test_p(effect, std_error, n - 1),
        wilcoxon_p=wilcoxon_p(differences_n),
        dz=_hedges(effect / std, n - 1) if std and n > 2 else None,
        differences=tuple(differences_n.tolist()),
        seeds=tuple(shared),
        left_over=left_over,
        note=_paired_note(n, std, left_over),
    )


def t_test_p(distance: float, std_error: float | None, df: float) -> float | None:
    """Two-sided p of a mean at `distance` from the null hypothesis. None without a standard error."""
    return 2 * float(stats.t.sf(abs(distance) / std_error, df)) if std_error else None


def wilcoxon_p(differences_n: NDArray[np.float64]) -> float | None:
    """Exact two-sided p of Wilcoxon's signed-rank test, also with ties, which get their mean rank.

    Without zero differences (Wilcoxon, Biometrics Bulletin 1, 1945). None with fewer than six others, where p cannot
    reach 0.05. scipy's exact distribution does not support ties; this one is the product of (1 + x^rank) / 2.
    """
    nonzero = differences_n[differences_n != 0]
    if len(nonzero) < MIN_WILCOXON:
        return None
    # Rounded, because 0.3 - 0.2 and 0.2 - 0.1 differ in binary.
    sizes_n = np.round(np.abs(nonzero) / np.abs(nonzero).max(), 9)
    doubled_ranks = np.rint(2 * stats.rankdata(sizes_n)).astype(int)  # whole numbers, also for mean ranks
    probabilities = np.ones(1)
    for rank in doubled_ranks:
        heads = np.concatenate([np.zeros(rank), probabilities])
        probabilities = (heads + np.concatenate([probabilities, np.zeros(rank)])) / 2
    positive = int(doubled_ranks[nonzero > 0].sum())
    tails = probabilities[positive:].sum(), probabilities[: positive + 1].sum()
    return min(1.0, 2 * float(min(tails)))


def sign_test_p(successes: int, trials: int) -> float | None:
    """Two-sided p of the sign test: `successes` of `trials` on one side. None without trials."""
    return float(stats.binomtest(successes, trials).pvalue) if trials else None


def _unpaired(lefts: NDArray[np.float64], rights: NDArray[np.float64], level: float, shared: list[int]) -> Comparison:
    """Welch's unequal-variances test (Biometrika 34, 1947); degrees of freedom by Satterthwaite."""
    effect = float(lefts.mean() - rights.mean())
    sizes = len(lefts), len(rights)
    std_error = df = None
    if min(sizes) > 1:
        parts = [spread(values) ** 2 / len(values) for values in (lefts, rights)]
        std_error = math.sqrt(sum(parts))
        squares = sum(part**2 / (n - 1) for part, n in zip(parts, sizes, strict=True))
        df = sum(parts) ** 2 / squares if std_error else 1
    reason = "the arms share one seed only" if shared else "the arms share no seeds"
    known = "" if std_error else "; too few values, or none that differ, to know the spread"
    return Comparison(
        paired=False,
        n=min(sizes),
        effect=effect,
        std_error=std_error,
        df=df,
        interval=_interval(effect, std_error, df or 1, level, "Welch t"),
        p=t_test_p(effect, std_error, df or 1),
        note=f"unpaired (Welch, {sizes[0]} against {sizes[1]} seeds): {reason}{known}",
    )


def _interval(effect: float, std_error: float | None, df: float, level: float, method: str) -> Interval | None:
    if not std_error:
        return None
    half = float(stats.t.ppf((1 + level) / 2, df)) * std_error
    return Interval(effect - half, effect + half, level, method)


def _hedges(d: float, df: int) -> float:
    """`d` without its small-sample bias (Hedges 1981), a factor of 1.77 for three pairs."""
    log_correction = special.gammaln(df / 2) - special.gammaln((df - 1) / 2) - math.log(df / 2) / 2
    return d * math.exp(log_correction)


def _paired_note(n: int, std: float | None, left_over: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    notes = []
    if std is None:
        notes.append("one pair: the spread of the difference is unknown")
    elif std == 0:
        notes.append(f"all {n} differences are equal: no spread to compare the effect with")
    for arm, seeds in zip(("left", "right"), left_over, strict=True):
        if seeds:
            notes.append(f"seeds of the {arm} arm without a partner: {', '.join(map(str, seeds))}")
    return "; ".join(notes)
