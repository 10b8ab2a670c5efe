"""Looking after every seed: a t test that stays valid however often one looks and whenever one stops.

A t test repeated after each new seed errs far more often than its alpha. Here the evidence against "the mean is
m" after n values is

    e_n = G^(-1/2) [(1 + t²/(n-1)) / (1 + t²/((n-1) G))]^(n/2),   G = 1 + g n,   t = (mean - m) / (s / sqrt(n)),

the likelihood ratio of the t statistic with its standardised effect drawn from N(0, g) against none. Under the
null hypothesis, with normal values of whatever variance, it is a martingale from e_1 = 1, so by Ville's inequality
P(e_n >= 1/alpha at any n) <= alpha, and 1/e_n is a p value at any time. Sources: Lai, "On confidence sequences"
(Annals of Statistics 4, 1976); Wang and Ramdas, "Anytime-valid t-tests and confidence sequences for Gaussian
means with unknown variance" (Sequential Analysis 44, 2025).

Why not alpha spending (Pocock, O'Brien-Fleming), which decides a little earlier: it must know the last look
beforehand, and its boundaries hold for large samples. Here seeds may be added today up to 6 and next week
up to 20; claims that stop at different times can go into one Holm correction, for each p is valid where it stopped.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

# g, the prior variance of effect / standard deviation over seeds. Effects worth a study are several deviations: with
# 25 (deviation 5) three seeds can decide, and for 3 to 20 of them the critical t is at most 18% above the least that
# any g would give at that number (at alpha = 0.05).
PRIOR_VARIANCE = 25.0


def anytime_p(t: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p values, valid under any stopping, of t statistics of n values each (arrays broadcast; n >= 1)."""
    n = np.asarray(n, dtype=np.float64)
    growth = 1 + PRIOR_VARIANCE * n
    u = np.square(np.asarray(t, dtype=np.float64)) / np.maximum(n - 1, 1)
    log_e = np.where(n > 1, n * (np.log1p(u) - np.log1p(u / growth)) / 2 - np.log(growth) / 2, 0.0)
    p: NDArray[np.float64] = np.minimum(1.0, np.exp(-log_e))
    return p


def anytime_critical_t(n: int, level: float = 0.95) -> float:
    """The |t| at which `anytime_p` is 1 - level; infinite while n values cannot decide.

    mean ± this times s / sqrt(n) is a confidence sequence: with probability `level` it holds the mean at all n.
    """
    growth = 1 + PRIOR_VARIANCE * n
    ratio = (math.sqrt(growth) / (1 - level)) ** (2 / n)
    return math.sqrt((n - 1) * (ratio - 1) / (1 - ratio / growth)) if ratio < growth else math.inf
