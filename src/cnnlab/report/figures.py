"""Figures for reports, as PNG and SVG. The one door to matplotlib; no global state, no display.

Colours: Okabe and Ito, "Color Universal Design" (2008), told apart by people with any colour vision; test is
also dashed, for print without colour.
"""

import io
from collections.abc import Mapping, Sequence
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
_MOST_MARKED_EPOCHS = 40


def learning_curves(metrics: Sequence[Mapping[str, Any]], title: str, path: Path) -> tuple[Path, Path]:
    """Loss, accuracy and learning rate against the epoch, the best epoch by validation accuracy marked.

    `metrics` are the rows of a run; `path` names the PNG, the SVG goes beside it, and both are returned.
    Missing values leave gaps. Raises RunError without any row, StorageError.
    """
    if not metrics:
        raise RunError("no learning curve to draw: the run has not finished an epoch yet")
    figure = _draw(metrics, title)
    vector = path.with_suffix(".svg")
    _save(figure, path, format="png", dpi=160)
    _save(figure, vector, format="svg", metadata={"Date": None})
    return path, vector


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
        axes.grid(color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
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
