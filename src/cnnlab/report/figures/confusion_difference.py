"""The difference between two confusion matrices: of their row shares, in percentage points.

Colours: orange and purple, distinct for any colour vision; white is no change; both sides have the same scale.

Shape legend: K classes; rows are true classes, columns predicted ones.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cnnlab.core.numbers import signed
from cnnlab.report.figures.style import CENTRED, INK, literal, shortened

_MOST_WITH_NUMBERS = 20
_LEAST_WRITTEN = 0.05  # points: a cell that would be 0.0 stays empty


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
