"""Convexity of a surface on a square grid: curvatures by finite differences, and the fraction that is negative.

After figure 7 of Li, Xu, Taylor, Studer and Goldstein, "Visualizing the loss landscape of neural nets" (NeurIPS 2018,
arXiv 1712.09913), which maps |smallest / largest eigenvalue| of the Hessian over the plane. They use the Hessian in
all weights; ours is that of the plane, 2 x 2. If it has a negative eigenvalue, the whole Hessian has one too, but not
vice versa.

Shape legend: P points on each axis, of which I = P - 2 are inner ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Losses are means of float32 outputs. A curvature that rounding of this relative size can cause counts as 0.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Smoothness:
    """`nonconvexity` is the mean over the inner points of negative over largest curvature: 0 if all is convex.

    At a point with curvatures a <= b this is max(-a, 0) / max(|a|, |b|): |a| / b, as in the paper, if b is larger
    than |a|, else 1 (a dome, where |a| / b has no meaning).
    """

    nonconvexity: float
    nonconvex_points: int
    inner_points: int
    lowest: float
    highest: float


def smoothness(losses_PP: NDArray[np.float64], step: float) -> Smoothness:
    """Of a surface on a grid of at least 3 x 3 points with distance `step` on both axes."""
    ratios_II = nonconvexity(losses_PP, step)
    return Smoothness(
        nonconvexity=float(ratios_II.mean()),
        nonconvex_points=int((ratios_II > 0).sum()),
        inner_points=ratios_II.size,
        lowest=float(losses_PP.min()),
        highest=float(losses_PP.max()),
    )


def nonconvexity(losses_PP: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """The fraction of negative curvature at every inner point (I, I), 0 to 1. See `Smoothness`."""
    low_II, high_II = curvatures(losses_PP, step)
    windows_II33 = np.lib.stride_tricks.sliding_window_view(np.abs(losses_PP), (3, 3))
    resolution_II = 4 * _ROUNDING * windows_II33.max(axis=(2, 3)) / step**2
    largest_II = np.maximum(np.abs(low_II), np.abs(high_II))
    ratios_II = np.zeros_like(low_II)
    np.divide(-low_II, largest_II, out=ratios_II, where=low_II < -resolution_II)
    return ratios_II


def curvatures(losses_PP: NDArray[np.float64], step: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smaller and larger eigenvalue of the 2 x 2 Hessian at the inner points (I, I), by central differences."""
    f = losses_PP
    centre = f[1:-1, 1:-1]
    xx = (f[2:, 1:-1] - 2 * centre + f[:-2, 1:-1]) / step**2
    yy = (f[1:-1, 2:] - 2 * centre + f[1:-1, :-2]) / step**2
    xy = (f[2:, 2:] - f[2:, :-2] - f[:-2, 2:] + f[:-2, :-2]) / (4 * step**2)
    middle, radius = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    return middle - radius, middle + radius
