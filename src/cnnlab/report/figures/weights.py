"""Distributions of weights, a panel per layer and a line per arm, and how many of them are near zero.

The vertical axis is logarithmic: a penalty that makes weights vanish (L1) leaves a needle at zero and thin shoulders,
and on a linear axis one sees either the one or the other.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from cnnlab.report.figures.style import GREY, LEGEND_BOX, arm_styles, plain, save_vector, shortened

Weights = Mapping[str, Mapping[str, NDArray[np.floating[Any]]]]  # layer -> arm -> weights

_BINS = (31, 81)  # of a small and of a large layer; odd, so that one bin is centred on zero
_LEAST_RATIO = (
    30  # of the highest density to the lowest that the axis shows: one decade at least has its label
)
_COVERED = 0.999  # the share of the weights, of the widest arm, that the axis shows


def weight_histograms(layers: Weights, near_zero: float, path: Path) -> Path:
    """Densities of all arms of a layer over each other; beside each the share of weights with |w| < `near_zero`.

    `layers` maps a layer to the weights of every arm (all seeds together). `path` is the SVG, a PDF goes beside it.
    Raises StorageError.
    """
    return save_vector(_draw(layers, near_zero), path)


def share_near_zero(weights: NDArray[np.floating[Any]], near_zero: float) -> float:
    """The share of weights with |w| < `near_zero`."""
    return float((np.abs(weights) < near_zero).mean())


def _draw(layers: Weights, near_zero: float) -> Figure:
    columns = min(len(layers), 2)
    rows = -(-len(layers) // columns)
    arms = list(next(iter(layers.values())))
    figure = Figure(figsize=(7.4, 2.25 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (layer, weights) in zip(grid.flat, layers.items(), strict=False):
        _draw_layer(axes, weights, near_zero)
        axes.set_title(shortened(layer, 34), fontsize=10)
    for axes in grid.flat[len(layers) :]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel("density (log)")
    for column in range(columns):
        grid[(len(layers) - 1 - column) // columns, column].set_xlabel("weight")
    handles, _ = grid[0, 0].get_legend_handles_labels()
    labels = [shortened(name, 26) for name in arms]
    figure.legend(
        handles, labels, loc="outside upper center", ncols=min(len(arms), 4), fontsize=9, **LEGEND_BOX
    )
    return figure


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
        # An empty bin is a gap: zero has no place on a logarithmic axis.
        axes.stairs(np.where(density > 0, density, np.nan), edges, linewidth=1.4, label=name, **styles[name])
        lines.append((f"{share_near_zero(values, near_zero):.1%}", styles[name]["color"]))
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    low = min(low, high / _LEAST_RATIO)
    axes.set_ylim(low, high * (high / low) ** (0.1 * (len(weights) + 1)))  # room for the shares
    axes.set_xlim(-reach, reach)
    _write_shares(axes, lines, near_zero)
    plain(axes)


def _write_shares(axes: Axes, lines: list[tuple[str, str]], near_zero: float) -> None:
    """At the upper left of a panel, in the colours of the arms."""
    style: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 8.5, "va": "top"}
    axes.text(0.02, 0.97, f"|w| < {near_zero:g}", color=GREY, **style)
    for place, (text, colour) in enumerate(lines, start=1):
        axes.text(0.02, 0.97 - 0.105 * place, text, color=colour, fontweight="bold", **style)
