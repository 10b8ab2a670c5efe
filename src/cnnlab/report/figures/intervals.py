"""Arms as dots with whiskers: every seed, their mean and its interval, and the published figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from cnnlab.report.figures.style import (
    ARM_COLOURS,
    GREY,
    INK,
    PALE,
    legend_above,
    percent_axis,
    plain,
    shortened,
)

_LONGEST_NAME = 30
_SEED: dict[str, Any] = {"color": ARM_COLOURS[0], "alpha": 0.55, "markersize": 4, "markeredgewidth": 0}
_PUBLISHED: dict[str, Any] = {
    "markersize": 6,
    "markerfacecolor": "white",
    "markeredgewidth": 1.4,
    "zorder": 5,
}
# An arm is off the scale if the gap to the next one is this many times the range of the others, and this wide.
_FAR, _LEAST_GAP = 2.0, 0.2


@dataclass(frozen=True)
class Dots:
    """One arm: the values of its seeds (shares, 0..1), and the interval of their mean."""

    name: str
    values: tuple[float, ...]
    interval: tuple[float, float] | None = None
    published: float | None = None

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)


def far_below(rows: Sequence[Dots]) -> frozenset[str]:
    """The names of arms far below all others: at most half of the arms."""
    ranked = sorted((row for row in rows if row.values), key=lambda row: row.mean)
    if len(ranked) < 3:
        return frozenset()
    for number in range(len(ranked) // 2, 0, -1):
        gap = ranked[number].mean - ranked[number - 1].mean
        if gap > max(_FAR * (ranked[-1].mean - ranked[number].mean), _LEAST_GAP):
            return frozenset(row.name for row in ranked[:number])
    return frozenset()


def interval_plot(panels: Mapping[str, Sequence[Dots]]) -> Figure:
    """One panel per title, the first arm on top; an arm without values has an empty row.

    Arms far below all others (failed trainings) are not on the scale: an arrow at the left edge shows their mean.
    """
    names = [row.name for row in next(iter(panels.values()))]
    layout = ConstrainedLayoutEngine(w_pad=0.12)
    figure = Figure(figsize=(7.4, 0.34 * len(names) + 1.35), layout=layout)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, rows) in zip(grid, panels.items(), strict=True):
        _draw_panel(axes, rows)
        axes.set_xlabel(title)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
        percent_axis(axes.xaxis)
        plain(axes)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    grid[0].set_yticks(range(len(names)), [shortened(name, _LONGEST_NAME) for name in names])
    grid[0].set_ylim(len(names) - 0.4, -0.6)
    pairs = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in grid]
    handles = {label: handle for of_axes in pairs for handle, label in of_axes}
    legend_above(figure, [*handles.values()], [*handles], len(handles))
    return figure


def _draw_panel(axes: Axes, rows: Sequence[Dots]) -> None:
    off_scale = far_below(rows)
    for place, row in enumerate(rows):
        axes.axhline(place, color=PALE, linewidth=0.6, zorder=0)
        if row.name in off_scale:
            at_the_edge = blended_transform_factory(axes.transAxes, axes.transData)
            text = f"◂ {row.mean:.1%}"
            axes.text(0.01, place, text, transform=at_the_edge, va="center", fontsize=9, color=GREY)
        elif row.values:
            _draw_arm(axes, place, row)
        if row.published is not None and row.name not in off_scale:
            axes.plot(row.published, place, "D", mec=ARM_COLOURS[1], label="published", **_PUBLISHED)
    axes.margins(x=0.06)
    if off_scale:  # room for the text of the arrows
        low, high = axes.get_xlim()
        axes.set_xlim(low - 0.22 * (high - low), high)


def _draw_arm(axes: Axes, place: int, row: Dots) -> None:
    heights = [place + (0.16 if len(row.values) > 1 else 0.0)] * len(row.values)
    axes.plot(row.values, heights, "o", label="one seed", zorder=3, **_SEED)
    if len(row.values) > 1:
        axes.plot(row.mean, place, "o", color=INK, markersize=6, label="mean", zorder=4)
    if row.interval:
        axes.hlines(place, *row.interval, color=INK, linewidth=1.6, label="95% interval (t)", zorder=2)
