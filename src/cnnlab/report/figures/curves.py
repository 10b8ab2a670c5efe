"""Curves over the epochs of one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnnlab.core.errors import RunError
from cnnlab.report.figures.style import GREY, LEGEND_BOX, SPLIT_STYLES, percent_axis, plain, save_both
from cnnlab.runs.metrics import best_row

_MOST_MARKED_EPOCHS = 40


def learning_curves(metrics: Sequence[Mapping[str, Any]], title: str, path: Path) -> tuple[Path, Path]:
    """Loss, accuracy and learning rate against the epoch, the best epoch by validation accuracy marked.

    `path` is the PNG, an SVG is written next to it; returns both. Missing values are gaps. Raises RunError without
    rows, StorageError.
    """
    if not metrics:
        raise RunError("no learning curve to draw: the run has not finished an epoch yet")
    return save_both(_draw(metrics, title), path)


def accuracy_curves(
    metrics: Sequence[Mapping[str, Any]], path: Path, title: str, splits: Sequence[str] = ("train", "test")
) -> tuple[Path, Path]:
    """One plot: accuracy against the epoch, a line for each of `splits`, the last values in the legend.

    No epoch is marked as best, because test accuracy chooses nothing. `path` is the PNG, an SVG is written next to it;
    returns both. Raises RunError for a split that was not scored in any epoch, StorageError.
    """
    missing = [split for split in splits if not any(_is_scored(row, split) for row in metrics)]
    if missing:
        raise RunError(
            f"no accuracy by epoch on {' and '.join(missing)}; test is scored in each epoch where the recipe "
            "has train.test_curve = true"
        )
    return save_both(_draw_accuracy(metrics, title, splits), path)


def _is_scored(row: Mapping[str, Any], split: str) -> bool:
    return row.get(f"{split}_accuracy") is not None


def _draw_accuracy(metrics: Sequence[Mapping[str, Any]], title: str, splits: Sequence[str]) -> Figure:
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11, fontweight="bold", wrap=True)
    for split in splits:
        last = [row for row in metrics if _is_scored(row, split)][-1]
        label = f"{split}: {last[f'{split}_accuracy']:.1%} in epoch {last['epoch']}"
        _draw_line(axes, metrics, f"{split}_accuracy", label=label, **SPLIT_STYLES[split])
    axes.set_ylabel("accuracy")
    percent_axis(axes.yaxis)
    _epoch_axis(axes, metrics)
    plain(axes)
    axes.legend(loc="lower right", **LEGEND_BOX)
    return figure


def _draw(metrics: Sequence[Mapping[str, Any]], title: str) -> Figure:
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
    _epoch_axis(rate, metrics)
    _mark_best((loss, accuracy, rate), metrics)
    # A loss is high at the left and, if the network overfits, at the right.
    for axes, place in ((loss, "upper center"), (accuracy, "lower right")):
        axes.legend(loc=place, **LEGEND_BOX)
    for axes in (loss, accuracy, rate):
        plain(axes)
    figure.align_ylabels()
    return figure


def _epoch_axis(axes: Axes, metrics: Sequence[Mapping[str, Any]]) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(metrics[0]["epoch"] - 0.5, metrics[-1]["epoch"] + 0.5)


def _draw_splits(axes: Axes, metrics: Sequence[Mapping[str, Any]], quantity: str) -> None:
    for split, style in SPLIT_STYLES.items():
        name = f"{split}_{quantity}"
        if any(row.get(name) is not None for row in metrics):
            _draw_line(axes, metrics, name, label=split, **style)


def _draw_line(axes: Axes, metrics: Sequence[Mapping[str, Any]], name: str, **style: Any) -> None:
    """With markers if there are few epochs: one point alone is not a line."""
    epochs = [row["epoch"] for row in metrics]
    values = [float("nan") if row.get(name) is None else row[name] for row in metrics]
    marker = "o" if len(metrics) <= _MOST_MARKED_EPOCHS else None
    axes.plot(epochs, values, marker=marker, markersize=3, linewidth=1.6, **style)


def _mark_best(panels: Sequence[Axes], metrics: Sequence[Mapping[str, Any]]) -> None:
    best = best_row([dict(row) for row in metrics])
    if best is None:
        return
    for axes in panels:
        axes.axvline(best["epoch"], color=GREY, linewidth=0.9, linestyle=":")
    label = f"best val {best['val_accuracy']:.1%}, epoch {best['epoch']}"
    style: dict[str, Any] = {"color": SPLIT_STYLES["val"]["color"], "markersize": 13, "mec": "white"}
    panels[1].plot(best["epoch"], best["val_accuracy"], "*", label=label, **style)
