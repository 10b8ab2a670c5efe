"""Curves of a study: each arm the mean of its seeds, in a band from the smallest to the largest seed.

The band spans the seeds that were run, no more: it is no interval for the mean (`intervals.py` draws those). One seed
has no band. Arms whose seeds ran for different numbers of epochs are drawn up to the shortest.

Shape legend: S seeds, E epochs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cnnlab.core.errors import RunError
from cnnlab.report.figures.style import (
    LEGEND_BOX,
    SPLIT_STYLES,
    arm_styles,
    percent_axis,
    plain,
    save_vector,
    shortened,
)

Quantity = Literal["accuracy", "loss"]
Arms = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]  # arm -> seeds -> rows of a run

_LONGEST_NAME = 26
_MOST_MEDIANS = 4  # of all losses: what lies higher is cut off
_MOST_COLUMNS = 4
_ONE_POINT = {"marker": "o", "markersize": 3.5}


def mean_curves(arms: Arms, path: Path, split: str = "val") -> Path:
    """Accuracy on `split` against the epoch, all arms in one plot; the legend is ordered by the last mean.

    `arms` maps a name to the metric rows of its runs; `path` is the SVG, a PDF goes beside it. Raises RunError
    where no run has such a curve, StorageError.
    """
    return save_vector(draw_means(arms, split), path)


def learning_panels(arms: Arms, path: Path, quantity: Quantity) -> Path:
    """A panel for each arm: `quantity` on train and on val against the epoch, all panels on one scale.

    A loss above four times the median of all losses is cut off, so that the others can be seen.
    `path` is the SVG, a PDF goes beside it. Raises RunError where no run has an epoch, StorageError.
    """
    return save_vector(_draw_panels(arms, quantity), path)


def seed_curves(runs: Sequence[Sequence[Mapping[str, Any]]], key: str) -> NDArray[np.float64]:
    """The values of `key` (S, E), up to the shortest run; NaN where one is missing, shape (0, 0) where all are."""
    length = min((len(rows) for rows in runs), default=0)
    values = [[float("nan") if row.get(key) is None else row[key] for row in rows[:length]] for rows in runs]
    curves = np.array(values, dtype=np.float64).reshape(len(runs), length)
    return curves if np.isfinite(curves).any() else np.empty((0, 0))


def draw_means(arms: Arms, split: str) -> Figure:
    """The figure of `mean_curves`."""
    drawn = {
        name: curves for name, runs in arms.items() if (curves := seed_curves(runs, f"{split}_accuracy")).size
    }
    if not drawn:
        raise RunError(f"no curve to draw: no run has an accuracy on {split} by epoch")
    styles = arm_styles([*arms])
    figure = Figure(figsize=(7.4, 3.1), layout="constrained")
    axes = figure.subplots()
    ranked = sorted(drawn, key=lambda name: -drawn[name][:, -1].mean())
    for rank, name in enumerate(ranked):
        label = f"{shortened(name, _LONGEST_NAME)}  {drawn[name][:, -1].mean():.1%}"
        _draw_band(axes, drawn[name], label=label, zorder=3 - rank / len(ranked), **styles[name])
    axes.set_ylabel(f"accuracy on {split}")
    axes.set_xlabel("epoch")
    _finish(axes, "accuracy")
    axes.legend(
        loc="center left", bbox_to_anchor=(1.01, 0.5), title="arm, last epoch", fontsize=9, **LEGEND_BOX
    )
    return figure


def _draw_panels(arms: Arms, quantity: Quantity) -> Figure:
    drawn = {name: runs for name, runs in arms.items() if min(map(len, runs), default=0)}
    if not drawn:
        raise RunError("no learning curve to draw: no run has finished an epoch yet")
    rows = -(-len(drawn) // _MOST_COLUMNS)
    columns = -(-len(drawn) // rows)
    figure = Figure(figsize=(7.4, 1.62 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (name, runs) in zip(grid.flat, drawn.items(), strict=False):
        for split in ("train", "val"):
            curves = seed_curves(runs, f"{split}_{quantity}")
            if curves.size:
                _draw_band(axes, curves, label=split, **SPLIT_STYLES[split])
        axes.set_title(shortened(name, _LONGEST_NAME if columns < _MOST_COLUMNS else 20), fontsize=10)
        _finish(axes, quantity)
    for axes in grid.flat[len(drawn) :]:
        axes.remove()
    if quantity == "loss" and (highest := _highest_shown(list(drawn.values()))):
        grid[0, 0].set_ylim(top=highest)
    for column in range(columns):
        lowest = grid[(len(drawn) - 1 - column) // columns, column]
        lowest.set_xlabel("epoch")
        lowest.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel(quantity)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=9, **LEGEND_BOX)
    return figure


def _highest_shown(arms: Sequence[Sequence[Sequence[Mapping[str, Any]]]]) -> float | None:
    """Where to cut off a loss axis, if anywhere: one training that blows up must not flatten all others."""
    losses = [seed_curves(runs, f"{split}_loss").ravel() for runs in arms for split in ("train", "val")]
    known = np.concatenate(losses)
    known = known[np.isfinite(known)]
    limit = _MOST_MEDIANS * float(np.median(known)) if known.size else 0.0
    return limit if known.size and known.max() > limit else None


def _draw_band(axes: Axes, curves: NDArray[np.float64], label: str, **style: Any) -> None:
    """Mean and range over the seeds of (S, E) curves; a mark where one epoch alone would be no line."""
    epochs = np.arange(1, curves.shape[1] + 1)
    marker: dict[str, Any] = _ONE_POINT if curves.shape[1] == 1 else {}
    axes.plot(epochs, curves.mean(axis=0), linewidth=1.7, label=label, **marker, **style)
    if len(curves) > 1:
        low, high = curves.min(axis=0), curves.max(axis=0)
        axes.fill_between(epochs, low, high, color=style["color"], alpha=0.18, linewidth=0)


def _finish(axes: Axes, quantity: Quantity) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=6))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    if quantity == "accuracy":
        percent_axis(axes.yaxis)
    plain(axes)
