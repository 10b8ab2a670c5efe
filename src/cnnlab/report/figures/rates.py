"""The learning rate over the training, a line for each arm."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cnnlab.report.figures.style import LEGEND_BOX, arm_styles, percent_axis, plain, shortened

Curves = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Arm -> parts of the training (0..1), and the rate at each."""

_LONGEST_NAME = 26
_DECADES_FOR_LOG = 1.5


def rate_curves(curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Figure:
    """Arms with the same curve share a line. The axis is logarithmic where rates span more than 1.5 decades."""
    same: dict[tuple[float, ...], list[str]] = {}
    for name, (_, rates) in curves.items():
        same.setdefault(tuple(rates), []).append(name)
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.subplots()
    styles = arm_styles([names[0] for names in same.values()])
    for names in same.values():
        parts, rates = curves[names[0]]
        label = "\n".join(shortened(name, _LONGEST_NAME) for name in names)
        # A rate of 0 at the very end has no place on a logarithmic axis: a gap.
        axes.plot(parts, np.where(rates > 0, rates, np.nan), linewidth=1.7, label=label, **styles[names[0]])
    positive = np.concatenate([rates[rates > 0] for _, rates in curves.values()])
    if np.log10(positive.max() / positive.min()) > _DECADES_FOR_LOG:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("part of the training")
    axes.set_ylabel("learning rate")
    axes.set_xlim(0, 1)
    percent_axis(axes.xaxis)
    plain(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title="arm", fontsize=9, **LEGEND_BOX)
    return figure
