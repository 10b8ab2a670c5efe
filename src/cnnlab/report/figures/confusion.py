"""The confusion matrix as a picture: rows are true classes, columns predicted ones, colours the shares of a row.

Colours: one hue from white to dark blue, ordered by lightness, for any colour vision and for grey print. They follow
the square root of the share, to show cells of a few percent. Text is dark or white, whichever has the higher contrast
(WCAG 2.2, relative luminance).

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

from cnnlab.report.figures.style import CENTRED, GREY, INK, save_both

_COLOUR_MAP = "Blues"
_MOST_WITH_NUMBERS = 20
_MOST_WITH_NAMES = 120
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
