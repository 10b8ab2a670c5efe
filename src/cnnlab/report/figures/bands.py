"""Curves of a study: the mean over the seeds of each arm, and a band from the smallest to the largest seed.

The band is the range of the seeds that were run, not an interval for the mean (`intervals.py` draws those). One seed
has no band. If the seeds of an arm ran for different numbers of epochs, the curve ends at the shortest.

Shape legend: S seeds, E epochs.
"""

from collections.abc import Mapping, Sequence
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
    legend_above,
    panel_grid,
    percent_axis,
    plain,
    shortened,
)

Quantity = Literal["accuracy", "loss"]
Arms = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]  # arm -> seeds -> metric rows of a run

_LONGEST_NAME = 26
_MOST_MEDIANS = 4  # of all losses: higher ones are cut off
_MOST_COLUMNS = 4
_ONE_POINT = {"marker": "o", "markersize": 3.5}


def learning_panels(arms: Arms, quantity: Quantity) -> Figure:
    """A panel for each arm: `quantity` on train, val and test by epoch where it was scored, all on one scale.

    A loss above four times the median of all losses is cut off, to keep the others visible.
    Raises RunError if no run has an epoch.
    """
    drawn = {name: runs for name, runs in arms.items() if min(map(len, runs), default=0)}
    if not drawn:
        raise RunError("no learning curve to draw: no run has finished an epoch yet")
    figure, grid = panel_grid(len(drawn), _MOST_COLUMNS, 1.62, "epoch", quantity, shared=True)
    longest_name = _LONGEST_NAME if grid.shape[1] < _MOST_COLUMNS else 20
    for axes, (name, runs) in zip(grid.flat, drawn.items(), strict=False):
        for split in SPLIT_STYLES:
            curves = seed_curves(runs, f"{split}_{quantity}")
            if curves.size:
                _draw_band(axes, curves, label=split, **SPLIT_STYLES[split])
        axes.set_title(shortened(name, longest_name), fontsize=10)
        _finish(axes, quantity)
    if quantity == "loss" and (highest := _highest_shown(drawn)):
        grid[0, 0].set_ylim(top=highest)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    legend_above(figure, handles, labels, len(labels))
    return figure


def seed_curves(runs: Sequence[Sequence[Mapping[str, Any]]], key: str) -> NDArray[np.float64]:
    """The values of `key` (S, E), up to the shortest run; NaN for a missing one, shape (0, 0) if all are missing."""
    length = min((len(rows) for rows in runs), default=0)
    values = [[float("nan") if row.get(key) is None else row[key] for row in rows[:length]] for rows in runs]
    curves = np.array(values, dtype=np.float64).reshape(len(runs), length)
    return curves if np.isfinite(curves).any() else np.empty((0, 0))


def mean_curves(arms: Arms, split: str = "val") -> Figure:
    """Accuracy on `split` against the epoch, all arms in one plot; the legend is ordered by the last mean.

    Raises RunError if no run has such a curve.
    """
    drawn = {name: curves for name, runs in arms.items() if (curves := seed_curves(runs, f"{split}_accuracy")).size}
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
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title="arm, last epoch", fontsize=9, **LEGEND_BOX)
    return figure


def _highest_shown(arms: Arms) -> float | None:
    """The upper end of the loss axis if some losses are far above the others, else None."""
    losses = [seed_curves(runs, f"{split}_loss").ravel() for runs in arms.values() for split in SPLIT_STYLES]
    known = np.concatenate(losses)
    known = known[np.isfinite(known)]
    limit = _MOST_MEDIANS * float(np.median(known)) if known.size else 0.0
    return limit if known.size and known.max() > limit else None


def _draw_band(axes: Axes, curves: NDArray[np.float64], label: str, **style: Any) -> None:
    """Mean and range over the seeds of (S, E) curves; a marker if there is only one epoch."""
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
