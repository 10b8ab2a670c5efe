"""Numbers that describe a learning curve: how it changes, how steady it is, when it settles.

A single epoch is noisy, so a level is a mean over a tenth of the epochs. Curves have ten epochs or more.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.errors import CnnlabError

FEWEST_EPOCHS = 10


def change_after(values: Sequence[float], fraction: float) -> float:
    """The last level minus the level that ends at `fraction` of the curve (0..1). Raises CnnlabError."""
    levels = _levels(values)
    return float(levels[-1] - levels[_place(values, fraction)])


def fall_after(values: Sequence[float], fraction: float) -> float:
    """The highest level from the one that ends at `fraction` on, minus the last level. Raises CnnlabError."""
    levels = _levels(values)
    return float(levels[_place(values, fraction) :].max() - levels[-1])


def unsteadiness(values: Sequence[float]) -> float:
    """The mean distance of an epoch from the middle between its neighbours, in the second half of the curve.

    A straight line has none, however steep. Raises CnnlabError.
    """
    _levels(values)
    half = np.array(values[len(values) // 2 - 1 :], dtype=np.float64)
    return float(np.abs(half[1:-1] - (half[:-2] + half[2:]) / 2).mean())


def settled_after(values: Sequence[float], distance: float) -> float:
    """The fraction of the curve after which every level is within `distance` of the last one. Raises CnnlabError."""
    levels = _levels(values)
    outside = np.flatnonzero(np.abs(levels - levels[-1]) > distance)
    ends = np.arange(len(values) - len(levels) + 1, len(values) + 1)
    return float(ends[outside[-1]] / len(values)) if len(outside) else 0.0


def _levels(values: Sequence[float]) -> NDArray[np.float64]:
    """The mean of every tenth of the curve, by its last epoch. Raises CnnlabError for a curve too short for that."""
    if len(values) < FEWEST_EPOCHS:
        raise CnnlabError(f"received {len(values)} epochs, expected {FEWEST_EPOCHS} or more for a number of a curve")
    width = round(len(values) / 10)
    return np.convolve(values, np.full(width, 1 / width), mode="valid")


def _place(values: Sequence[float], fraction: float) -> int:
    """The place in the levels of the one that ends at `fraction` of the curve."""
    if not 0 < fraction < 1:
        raise CnnlabError(f"received the fraction {fraction:g} of a curve, expected one between 0 and 1")
    return max(0, round(fraction * len(values)) - round(len(values) / 10))
