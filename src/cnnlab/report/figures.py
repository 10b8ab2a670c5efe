"""Figures for reports, as PNG and SVG. The one door to matplotlib; no global state, no display.

Colours: Okabe and Ito, "Color Universal Design" (2008), told apart by people with any colour vision; test is
also dashed, for print without colour.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.core.errors import RunError
from cnnlab.core.files import write_atomic
from cnnlab.runs.metrics import best_row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SPLIT_STYLES = {
    "train": {"color": "#0072B2", "linestyle": "-"},
    "val": {"color": "#D55E00", "linestyle": "-"},
    "test": {"color": "#009E73", "linestyle": "--"},
}
_GREY = "#666666"
_ARM_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MOST_MARKED_EPOCHS = 40


def learning_curves(metrics: Sequence[Mapping[str, Any]], title: str, path: Path) -> tuple[Path, Path]:
    """Loss, accuracy and learning rate against the epoch, the best epoch by validation accuracy marked.

    `metrics` are the rows of a run; `path` names the PNG, the SVG goes beside it, and both are returned.
    Missing values leave gaps. Raises RunError without any row, StorageError.
    """
    if not metrics:
        raise RunError("no learning curve to draw: the run has not finished an epoch yet")
    return _save_both(_draw(metrics, title), path)


def accuracy_by_arm(
    arms: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], path: Path
) -> tuple[Path, Path]:
    """Validation accuracy against the epoch: one colour per arm, one thin line per seed, a thick one for their mean.

    `arms` maps a name to the metric rows of its runs; `path` names the PNG, the SVG goes beside it.
    Raises StorageError.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, runs), colour in zip(arms.items(), cycle(_ARM_COLOURS)):
        length = min(len(rows) for rows in runs)
        epochs = [row["epoch"] for row in runs[0][:length]]
        curves = [[row["val_accuracy"] for row in rows[:length]] for rows in runs]
        for curve in curves:
            axes.plot(epochs, curve, color=colour, linewidth=0.8, alpha=0.6)
        mean = [sum(values) / len(values) for values in zip(*curves, strict=True)]
        axes.plot(epochs, mean, color=colour, linewidth=2.2, label=f"{name}: {mean[-1]:.1%} at the end")
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.set_xlim(left=1)
    _plain(axes)
    axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")
    return _save_both(figure, path)


def _save_both(figure: "Figure", path: Path) -> tuple[Path, Path]:
    vector = path.with_suffix(".svg")
    _save(figure, path, format="png", dpi=160)
    _save(figure, vector, format="svg", metadata={"Date": None})
    return path, vector


def _plain(axes: "Axes") -> None:
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: "Figure", path: Path, **options: Any) -> None:
    content = io.BytesIO()
    figure.savefig(content, **options)
    write_atomic(path, content.getvalue())


def _draw(metrics: Sequence[Mapping[str, Any]], title: str) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(7, 7), layout="constrained")
    loss, accuracy, rate = figure.subplots(3, 1, sharex=True, height_ratios=(4, 4, 1.3))
    figure.suptitle(title, fontsize=11, fontweight="bold", wrap=True)
    _draw_splits(loss, metrics, "loss")
    _draw_splits(accuracy, metrics, "accuracy")
    _draw_line(rate, metrics, "lr", color=_GREY, linestyle="-")
    loss.set_ylabel("loss")
    accuracy.set_ylabel("accuracy")
    accuracy.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    rate.set_ylabel("learning rate")
    rate.set_ylim(bottom=0)
    rate.set_xlabel("epoch")
    rate.set_xlim(metrics[0]["epoch"] - 0.5, metrics[-1]["epoch"] + 0.5)
    rate.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _mark_best((loss, accuracy, rate), metrics)
    for axes, corner in ((loss, "upper right"), (accuracy, "lower right")):
        axes.legend(loc=corner, frameon=True, framealpha=0.9, edgecolor="none")
    for axes in (loss, accuracy, rate):
        _plain(axes)
    figure.align_ylabels()
    return figure


def _draw_splits(axes: "Axes", metrics: Sequence[Mapping[str, Any]], quantity: str) -> None:
    for split, style in _SPLIT_STYLES.items():
        name = f"{split}_{quantity}"
        if any(row.get(name) is not None for row in metrics):
            _draw_line(axes, metrics, name, label=split, **style)


def _draw_line(axes: "Axes", metrics: Sequence[Mapping[str, Any]], name: str, **style: Any) -> None:
    """Markers where epochs are few: a single point would be no line at all."""
    epochs = [row["epoch"] for row in metrics]
    values = [float("nan") if row.get(name) is None else row[name] for row in metrics]
    marker = "o" if len(metrics) <= _MOST_MARKED_EPOCHS else None
    axes.plot(epochs, values, marker=marker, markersize=3, linewidth=1.6, **style)


def _mark_best(panels: Sequence["Axes"], metrics: Sequence[Mapping[str, Any]]) -> None:
    best = best_row([dict(row) for row in metrics])
    if best is None:
        return
    for axes in panels:
        axes.axvline(best["epoch"], color=_GREY, linewidth=0.9, linestyle=":")
    label = f"best val {best['val_accuracy']:.1%}, epoch {best['epoch']}"
    colour = _SPLIT_STYLES["val"]["color"]
    panels[1].plot(
        best["epoch"],
        best["val_accuracy"],
        "*",
        color=colour,
        markersize=13,
        markeredgecolor="white",
        label=label,
    )
