"""Curves over the epochs of one run or of several arms."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.core.errors import RunError
from cnnlab.report.figures.style import (
    ARM_COLOURS,
    GREY,
    LEGEND_BOX,
    SPLIT_STYLES,
    percent_axis,
    plain,
    save_both,
)
from cnnlab.runs.metrics import best_row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_MARKED_EPOCHS = 40


def learning_curves(metrics: Sequence[Mapping[str, Any]], title: str, path: Path) -> tuple[Path, Path]:
    """Loss, accuracy and learning rate against the epoch, the best epoch by validation accuracy marked.

    `metrics` are the rows of a run; `path` names the PNG, the SVG goes beside it, and both are returned.
    Missing values leave gaps. Raises RunError without any row, StorageError.
    """
    if not metrics:
        raise RunError("no learning curve to draw: the run has not finished an epoch yet")
    return save_both(_draw(metrics, title), path)


def accuracy_curves(
    metrics: Sequence[Mapping[str, Any]],
    path: Path,
    title: str,
    splits: Sequence[str] = ("train", "test"),
) -> tuple[Path, Path]:
    """One plot: accuracy against the epoch, a line for each of `splits`, the last values in the legend.

    `metrics` are the rows of a run; `path` names the PNG, the SVG goes beside it, and both are returned.
    Nothing is marked as best: test accuracy is shown, it chooses nothing. Raises RunError where a split was not
    scored in any epoch, StorageError.
    """
    missing = [split for split in splits if not any(_is_scored(row, split) for row in metrics)]
    if missing:
        raise RunError(
            f"no accuracy by epoch on {' and '.join(missing)}; test is scored in each epoch where the recipe "
            "has train.test_curve = true"
        )
    return save_both(_draw_accuracy(metrics, title, splits), path)


def accuracy_by_arm(
    arms: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], path: Path
) -> tuple[Path, Path]:
    """Validation accuracy against the epoch: one colour per arm, one thin line per seed, a thick one for their mean.

    `arms` maps a name to the metric rows of its runs; `path` names the PNG, the SVG goes beside it.
    Raises StorageError.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, runs), colour in zip(arms.items(), cycle(ARM_COLOURS)):
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
    percent_axis(axes.yaxis)
    axes.set_xlim(left=1)
    plain(axes)
    axes.legend(loc="lower right", **LEGEND_BOX)
    return save_both(figure, path)


def _is_scored(row: Mapping[str, Any], split: str) -> bool:
    return row.get(f"{split}_accuracy") is not None


def _draw_accuracy(metrics: Sequence[Mapping[str, Any]], title: str, splits: Sequence[str]) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11, fontweight="bold", wrap=True)
    for split in splits:
        last = [row for row in metrics if _is_scored(row, split)][-1]
        label = f"{split}: {last[f'{split}_accuracy']:.1%} in epoch {last['epoch']}"
        _draw_line(axes, metrics, f"{split}_accuracy", label=label, **SPLIT_STYLES[split])
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    percent_axis(axes.yaxis)
    axes.set_xlim(metrics[0]["epoch"] - 0.5, metrics[-1]["epoch"] + 0.5)
    plain(axes)
    axes.legend(loc="lower right", **LEGEND_BOX)
    return figure


def _draw(metrics: Sequence[Mapping[str, Any]], title: str) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 7), layout="constrained")
    loss, accuracy, rate = figure.subplots(3, 1, sharex=True, height_ratios=(4, 4, 1.3))
    figure.suptitle(title, fontsize=11, fontweight="bold", wrap=True)
    _draw_splits(loss, metrics, "loss")
    _draw_splits(accuracy, metrics, "accuracy")
    _draw_line(rate, metrics, "lr", color=GREY, linestyle="-")
    loss.set_ylabel("loss")
    accuracy.set_ylabel("accuracy")
    percent_axis(accuracy.yaxis)
    rate.set_ylabel("learning rate")
    rate.set_ylim(bottom=0)
    rate.set_xlabel("epoch")
    rate.set_xlim(metrics[0]["epoch"] - 0.5, metrics[-1]["epoch"] + 0.5)
    rate.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _mark_best((loss, accuracy, rate), metrics)
    # A loss begins high on the left and, where the network overfits, ends high on the right.
    for axes, place in ((loss, "upper center"), (accuracy, "lower right")):
        axes.legend(loc=place, **LEGEND_BOX)
    for axes in (loss, accuracy, rate):
        plain(axes)
    figure.align_ylabels()
    return figure


def _draw_splits(axes: "Axes", metrics: Sequence[Mapping[str, Any]], quantity: str) -> None:
    for split, style in SPLIT_STYLES.items():
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
        axes.axvline(best["epoch"], color=GREY, linewidth=0.9, linestyle=":")
    label = f"best val {best['val_accuracy']:.1%}, epoch {best['epoch']}"
    colour = SPLIT_STYLES["val"]["color"]
    panels[1].plot(
        best["epoch"],
        best["val_accuracy"],
        "*",
        color=colour,
        markersize=13,
        markeredgecolor="white",
        label=label,
    )
