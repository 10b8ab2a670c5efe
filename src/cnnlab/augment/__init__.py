"""Augmentation of whole batches, every image with its own derived draws. One file per method.

A method that only moves pixels (crop, flip) is written as a map from output rows and columns to input rows and
columns. Such maps compose, so a chain of them costs one gather, whatever its length.
"""

from cnnlab.augment.lattice import PixelMap, draw_epoch, moved
from cnnlab.augment.preview import preview_batch

__all__ = ["PixelMap", "draw_epoch", "moved", "preview_batch"]
