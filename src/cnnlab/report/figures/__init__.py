"""Figures for reports. Only this package imports matplotlib, without global state or display."""

from cnnlab.report.figures.confusion import confusion_heatmap
from cnnlab.report.figures.curves import accuracy_curves, learning_curves
from cnnlab.report.figures.feature_maps import feature_map_grid
from cnnlab.report.figures.landscape import loss_surface
from cnnlab.report.figures.style import png_name

__all__ = [
    "accuracy_curves",
    "confusion_heatmap",
    "feature_map_grid",
    "learning_curves",
    "loss_surface",
    "png_name",
]
