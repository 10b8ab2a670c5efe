"""The loss around trained weights as a map: filled contours, colours and lines by the logarithm of the loss.

Shape legend: P points on either axis, I = P - 2 of them inner.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

from cnnlab.report.figures.style import INK, LEGEND_BOX, save_both

_COLOUR_MAP = "viridis_r"  # dark is high; even steps of lightness for any colour vision
_SHADES, _LINES = 60, 9
_LEAST_RATIO = 1.01  # of the highest to the lowest loss: below it, there are no lines to draw
_DOT, _LARGEST_DOT = 4.0, 30.0  # areas, for the least and the most negative curvature


def loss_surface(
    offsets_P: NDArray[np.float64],
    losses_PP: NDArray[np.float64],
    nonconvexity_II: NDArray[np.float64],
    path: Path,
    title: str,
) -> tuple[Path, Path]:
    """Losses on a grid (first axis to the right), the weights and the lowest point marked, a dot where not convex.

    `nonconvexity_II` are the shares of negative curvature at the inner points; a larger share is a larger dot. `path`
    is the PNG, an SVG is written next to it; returns both. Raises StorageError.
    """
    figure = Figure(figsize=(7.2, 6.6), layout="constrained")
    axes = figure.subplots()
    losses_YX = losses_PP.T  # the first direction runs to the right
    low = max(float(losses_YX.min()), 1e-9)
    high = max(float(losses_YX.max()), low * _LEAST_RATIO)
    shades = np.geomspace(low, high, _SHADES)
    filled = axes.contourf(
        offsets_P, offsets_P, np.clip(losses_YX, low, high), shades, norm=LogNorm(low, high), cmap=_COLOUR_MAP
    )
    filled.set_edgecolor("face")  # no seams between the shades in vector viewers
    lines = axes.contour(
        offsets_P,
        offsets_P,
        losses_YX,
        np.geomspace(low, high, _LINES + 2)[1:-1],
        colors="white",
        linewidths=0.9,
    )
    for text in axes.clabel(lines, fmt="%.3g", fontsize=8, inline_spacing=3):
        text.set(color=INK, zorder=4)  # above the dots
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6})
    _mark(axes, offsets_P, losses_YX, nonconvexity_II.T)
    bar = figure.colorbar(filled, ax=axes, shrink=0.9, pad=0.02, ticks=LogLocator(subs=(1, 2, 5)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.set_label("cross-entropy in nats (logarithmic)")
    bar.outline.set_visible(False)
    axes.set_aspect("equal")
    axes.set_xlabel("along the first direction, in lengths of the weights")
    axes.set_ylabel("along the second")
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=11, fontweight="bold", wrap=True, pad=10)
    return save_both(figure, path)


def _mark(
    axes: Axes,
    offsets_P: NDArray[np.float64],
    losses_YX: NDArray[np.float64],
    nonconvexity_YX: NDArray[np.float64],
) -> None:
    """The trained weights, the lowest point of the grid, and the points where the surface is not convex."""
    rows, columns = np.nonzero(nonconvexity_YX)
    if len(rows):
        sizes = _DOT + (_LARGEST_DOT - _DOT) * nonconvexity_YX[rows, columns]
        inner_I = offsets_P[1:-1]
        label = f"not convex ({len(rows)} of {nonconvexity_YX.size} points)"
        axes.scatter(inner_I[columns], inner_I[rows], s=sizes, c="white", edgecolors=INK, linewidths=0.5, label=label)
    row, column = np.unravel_index(losses_YX.argmin(), losses_YX.shape)
    weights = f"trained weights: {losses_YX[len(offsets_P) // 2, len(offsets_P) // 2]:.3g}"
    axes.plot(0, 0, "+", color=INK, markersize=11, markeredgewidth=2, label=weights)
    lowest = f"lowest point: {losses_YX.min():.3g}"
    axes.plot(
        offsets_P[column], offsets_P[row], "o", color="none", markeredgecolor="#D55E00", markersize=11,
        markeredgewidth=2, label=lowest,
    )  # fmt: skip
    axes.figure.legend(loc="outside lower center", ncols=3, fontsize=9, **LEGEND_BOX)
