"""Distributions of weights, a panel per layer and a line per arm, and the share of weights near zero.

The vertical axis is logarithmic: with an L1 penalty the density at zero is far higher than elsewhere, and a linear axis
would show only one of both.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from cnnlab.report.figures.style import (
    GREY,
    arm_styles,
    legend_above,
    panel_grid,
    plain,
    shortened,
)

Weights = Mapping[str, Mapping[str, NDArray[np.floating[Any]]]]  # layer -> arm -> weights

_BINS = (31, 81)  # of a small and of a large layer; odd: one bin is centred on zero
_LEAST_RATIO = 30  # of the highest density to the lowest on the axis: at least one decade has a label
_COVERED = 0.999  # the share of weights on the axis, for the arm with the widest distribution


def weight_histograms(layers: Weights, near_zero: float) -> Figure:
    """The densities of all arms in one panel per layer, with the shares of weights with |w| < `near_zero`."""
    figure, grid = panel_grid(len(layers), 2, 2.25, "weight", "density (log)")
    for axes, (layer, weights) in zip(grid.flat, layers.items(), strict=False):
        _draw_layer(axes, weights, near_zero)
        axes.set_title(shortened(layer, 34), fontsize=10)
    handles, names = grid[0, 0].get_legend_handles_labels()
    legend_above(figure, handles, [shortened(name, 26) for name in names], min(len(names), 4))
    return figure


def share_near_zero(weights: NDArray[np.floating[Any]], near_zero: float) -> float:
    """The share of weights with |w| < `near_zero`."""
    return float((np.abs(weights) < near_zero).mean())


def _draw_layer(axes: Axes, weights: Mapping[str, NDArray[np.floating[Any]]], near_zero: float) -> None:
    reach = max(float(np.quantile(np.abs(values), _COVERED)) for values in weights.values()) or near_zero
    few, many = _BINS
    largest = max(values.size for values in weights.values())
    edges = np.linspace(-reach, reach, (few if largest < 5000 else many) + 1)
    lines = []
    styles = arm_styles([*weights])
    for name, values in weights.items():
        counts, _ = np.histogram(values, edges)
        density = counts / (values.size * (edges[1] - edges[0]))
        # An empty bin is a gap: a logarithmic axis has no zero.
        axes.stairs(np.where(density > 0, density, np.nan), edges, linewidth=1.4, label=name, **styles[name])
        lines.append((f"{share_near_zero(values, near_zero):.1%}", styles[name]["color"]))
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    low = min(low, high / _LEAST_RATIO)
    axes.set_ylim(low, high * (high / low) ** (0.1 * (len(weights) + 1)))  # room for the shares
    axes.set_xlim(-reach, reach)
    # The shares: at the upper left of the panel, in the colours of the arms.
    style: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 8.5, "va": "top"}
    axes.text(0.02, 0.97, f"|w| < {near_zero:g}", color=GREY, **style)
    for place, (text, colour) in enumerate(lines, start=1):
        axes.text(0.02, 0.97 - 0.105 * place, text, color=colour, fontweight="bold", **style)
    plain(axes)
