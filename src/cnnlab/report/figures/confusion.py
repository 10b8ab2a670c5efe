"""The confusion matrix as a picture, and the difference of two: rows are true classes, columns predicted ones.

Colours of a matrix: one hue from white to dark blue, ordered by lightness, for any colour vision and for grey print.
They follow the square root of the share of the row, to show cells of a few percent. Text is dark or white, whichever
has the higher contrast (WCAG 2.2, relative luminance). Colours of a difference: orange and purple, distinct for any
colour vision; white is no change; both sides have the same scale.

Shape legend: K classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from cnnlab.core.numbers import signed
from cnnlab.report.figures.style import CENTRED, GREY, INK, literal, save_both, shortened

_COLOUR_MAP = "Blues"
_MOST_WITH_NUMBERS = 20
_MOST_WITH_NAMES = 120
_LEAST_WRITTEN = 0.05  # points of difference: a cell that would be 0.0 stays empty
_TICKS = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 1)


def confusion_heatmap(
    counts_KK: NDArray[np.int64], classes: Sequence[str], path: Path, title: str
) -> tuple[Path, Path]:
    """Counts and row percentages, recall and precision of each class; for more than 20 classes only colours.

    `path` is the PNG, an SVG is written next to it; returns both. Raises StorageError.
    """
    return save_both(_draw(counts_KK, classes, title), path)


def _draw(counts_KK: NDArray[np.int64], classes: Sequence[str], title: str) -> Figure:
    number = len(classes)
    side = 2.6 + (0.62 * number if number <= _MOST_WITH_NUMBERS else 10)
    layout = ConstrainedLayoutEngine(compress=True, h_pad=0.12, w_pad=0.12)
    figure = Figure(figsize=(max(side + 1.2, 6.5), max(side, 5)), layout=layout)
    axes = figure.subplots()
    shares_KK = counts_KK / np.maximum(counts_KK.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares_KK, cmap=_COLOUR_MAP, norm=PowerNorm(0.5, vmin=0, vmax=1))
    figure.suptitle(title, fontsize=12, fontweight="bold", wrap=True)
    _label_axes(axes, classes)
    if number <= _MOST_WITH_NUMBERS:
        _write_cells(axes, image, counts_KK, shares_KK)
        _write_margins(axes, counts_KK)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, pad=0.02, ticks=_TICKS, format=PercentFormatter(1, 0))
    bar.set_label("share of the true class (colour by its square root)")
    bar.outline.set_visible(False)
    return figure


def _label_axes(axes: Axes, classes: Sequence[str]) -> None:
    number = len(classes)
    axes.set_xlabel("predicted class", fontsize=11)
    axes.set_ylabel("true class", fontsize=11)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if number > _MOST_WITH_NAMES:
        return
    few = number <= _MOST_WITH_NUMBERS
    size = 10 if few else max(4.5, min(9, 520 / number))
    axes.set_yticks(range(number), classes, fontsize=size)
    axes.set_xticks(range(number), classes, fontsize=size)
    axes.tick_params(axis="x", rotation=40 if few else 90)
    if few:
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
        axes.set_xticks(np.arange(number + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(number + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="minor", length=0)


def _write_cells(axes: Axes, image: AxesImage, counts_KK: NDArray[np.int64], shares_KK: NDArray[np.float64]) -> None:
    """The count of every cell and its percentage of the row; a cell without images stays empty."""
    for (row, column), count in np.ndenumerate(counts_KK):
        if not count:
            continue
        colour = _ink_on([float(part) for part in image.to_rgba(shares_KK[row, column])[:3]])
        weight = "bold" if row == column else "normal"
        style = {"color": colour, **CENTRED}
        axes.text(column, row - 0.14, f"{count:,}", fontsize=9.5, weight=weight, **style)
        axes.text(column, row + 0.24, f"{shares_KK[row, column]:.1%}", fontsize=7, **style)


def _write_margins(axes: Axes, counts_KK: NDArray[np.int64]) -> None:
    """Recall at the right of each row, precision above each column; a dash if it is undefined."""
    points: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "va": "center"}
    end = len(counts_KK) - 0.5
    axes.annotate("recall", (end, -0.5), (7, 12), color=INK, **points)
    axes.annotate("precision", (-0.5, -0.5), (-4, 12), ha="right", color=INK, **points)
    correct_K = np.diag(counts_KK)
    for k, (correct, labelled, predicted) in enumerate(
        zip(correct_K, counts_KK.sum(axis=1), counts_KK.sum(axis=0), strict=True)
    ):
        recall = f"{correct / labelled:.1%}" if labelled else "–"
        precision = f"{correct / predicted:.1%}" if predicted else "–"
        axes.annotate(recall, (end, k), (7, 0), color=GREY, **points)
        axes.annotate(precision, (k, -0.5), (0, 12), ha="center", color=GREY, **points)


def _ink_on(colour: Sequence[float]) -> str:
    """Dark or white, whichever has the higher contrast on `colour` (red, green, blue of 0..1)."""
    lighter, darker = _luminance(to_rgb("white")) + 0.05, _luminance(to_rgb(INK)) + 0.05
    here = _luminance(colour) + 0.05
    return INK if here / darker > lighter / here else "white"


def _luminance(colour: Sequence[float]) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def confusion_difference(difference_KK: NDArray[np.float64], classes: Sequence[str], title: str) -> Figure:
    """Draw the difference of two matrices of row shares, -1..1: on the diagonal more is better, elsewhere less."""
    points_KK = 100 * difference_KK
    reach = max(float(np.abs(points_KK).max()), 1.0)
    few = len(classes) <= _MOST_WITH_NUMBERS
    figure = Figure(figsize=(7.4, 5.0 if few else 7.0), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(points_KK, cmap="PuOr_r", vmin=-reach, vmax=reach, aspect="auto" if few else "equal")
    axes.set_title(literal(title), fontsize=11, fontweight="bold", wrap=True)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if few:
        labels = [shortened(name, 20) for name in classes]
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(labels)), labels)
        _write_points(axes, points_KK, reach)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, aspect=30, pad=0.02)
    bar.set_label("change of the share of the true class (points)")
    bar.outline.set_visible(False)
    return figure


def _write_points(axes: Axes, points_KK: NDArray[np.float64], reach: float) -> None:
    for i, j in np.ndindex(points_KK.shape):
        value = float(points_KK[i, j])
        if abs(value) < _LEAST_WRITTEN:
            continue
        colour = "white" if abs(value) > 0.62 * reach else INK
        weight = "bold" if i == j else "normal"
        axes.text(j, i, signed(value, 1), fontsize=8.5, weight=weight, color=colour, **CENTRED)
