"""Numbers that describe a learning curve: how it changes, how steady it is, when it settles.

A single epoch is noisy, so levels are means over a tenth of the epochs (at least one).
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from cnnlab.core.errors import CnnlabError


def change_after(values: Sequence[float], fraction: float) -> float:
    """The level of the last tenth minus that of the tenth that ends at `fraction` of the curve (0..1)."""
    if not 0 < fraction < 1:
        raise CnnlabError(f"received the fraction {fraction:g} of a curve, expected one between 0 and 1")
    width, end = _tenth(values), max(1, round(fraction * len(values)))
    return fmean(values[-width:]) - fmean(values[max(0, end - width) : end])


def unsteadiness(values: Sequence[float]) -> float:
    """The mean absolute change from one epoch to the next, in the second half of the curve; 0 for one epoch."""
    half = values[len(values) // 2 - (len(values) > 1) :]
    return fmean([abs(after - before) for before, after in pairwise(half)] or [0.0])


def settled_after(values: Sequence[float], distance: float) -> float:
    """The fraction of the curve after which every value is within `distance` of the level of the last tenth."""
    level = fmean(values[-_tenth(values) :])
    outside = [place for place, value in enumerate(values, start=1) if abs(value - level) > distance]
    return (outside[-1] if outside else 0) / len(values)


def _tenth(values: Sequence[float]) -> int:
    return max(1, round(len(values) / 10))
