"""Augmentation: random parameters for every image of an epoch; engines apply them. One file per method.

`draws.py` defines these parameters and their order; `reference.py` applies them to one image in plain NumPy.
"""

from cnnlab.augment.draws import OUTSIDE, EpochDraws, draw_epoch
from cnnlab.augment.reference import preview_batch

__all__ = ["OUTSIDE", "EpochDraws", "draw_epoch", "preview_batch"]
