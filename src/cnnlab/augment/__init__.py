"""Augmentation: what is drawn for every image of an epoch, apart from how an engine applies it. One file per method.

`draws.py` holds the value between the two and its one order; `reference.py` applies it to one image, plainly.
"""

from cnnlab.augment.draws import OUTSIDE, EpochDraws, draw_epoch
from cnnlab.augment.reference import preview_batch

__all__ = ["OUTSIDE", "EpochDraws", "draw_epoch", "preview_batch"]
