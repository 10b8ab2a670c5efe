"""Figures of runs. The only place that draws with matplotlib."""
