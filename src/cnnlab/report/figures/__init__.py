"""Figures for reports. The one door to matplotlib: imported when something is drawn, no global state, no display."""

from cnnlab.report.figures.confusion import confusion_heatmap
from cnnlab.report.figures.curves import accuracy_by_arm, accuracy_curves, learning_curves
from cnnlab.report.figures.feature_maps import feature_map_grid

__all__ = ["accuracy_by_arm", "accuracy_curves", "confusion_heatmap", "feature_map_grid", "learning_curves"]
