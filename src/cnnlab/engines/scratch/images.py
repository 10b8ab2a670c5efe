"""The images of one split in memory, augmented batch by batch in NumPy, laid out for the from-scratch engine.

Shape legend: N images of the split, B images of a batch, H x W pixels, C channels, Q boxes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment import EpochDraws
from cnnlab.augment.apply import changed_batch
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.scratch.losses import Targets

Array = NDArray[Any]


class ResidentImages:
    """Images and labels of one split; batches are normalised, H x W x B x C. May be read by several threads."""

    def __init__(self, split: Split, normalisation: Normalisation, dtype: np.dtype[Any]) -> None:
        """`split` must be labelled."""
        assert split.labels is not None
        self.images_NHWC = split.images
        self.labels_N = np.array(split.labels, dtype=np.int64)
        scale, shift = normalisation.affine()
        self.scale_C, self.shift_C = np.array(scale, dtype), np.array(shift, dtype)

    def __len__(self) -> int:
        return len(self.images_NHWC)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        height, width, channels = self.images_NHWC.shape[1:]
        return channels, height, width

    def arrange(self, order_N: NDArray[np.int64], draws: EpochDraws) -> None:
        """Set order and draws of one epoch; `gather` and `targets` count in this order."""
        self._order_N, self._draws = order_N, draws
        self._targets = Targets(self.labels_N[order_N])
        if draws.partner_N is not None and draws.weight_N is not None:
            partners_N = draws.partner_N[order_N]
            self._targets = Targets(self.labels_N[order_N], self.labels_N[partners_N], draws.weight_N[order_N])

    def targets(self, start: int, stop: int) -> Targets:
        """The labels of the positions start..stop of the epoch."""
        return self._targets.part(start, stop)

    def gather(self, start: int, stop: int) -> Array:
        """The augmented images of the positions start..stop of the epoch."""
        positions_B = self._order_N[start:stop]
        images_HWBC = self._augmented(positions_B)
        draws = self._draws
        if draws.partner_N is None or draws.weight_N is None or draws.swaps_N4 is None:
            return images_HWBC
        partners_HWBC = self._augmented(draws.partner_N[positions_B])
        height, width = images_HWBC.shape[:2]
        inside_HWB = _inside(draws.swaps_N4[positions_B], height, width)
        blended_B = ~inside_HWB.any(axis=(0, 1))
        share_HWB = np.where(blended_B, draws.weight_N[positions_B], ~inside_HWB).astype(images_HWBC.dtype)
        partners_HWBC += share_HWB[..., None] * (images_HWBC - partners_HWBC)
        return partners_HWBC

    def stored(self, start: int, stop: int) -> Array:
        """The stored images start..stop, without augmentation."""
        return self.normalised(self.images_NHWC[start:stop])

    def normalised(self, images_BHWC: Array) -> Array:
        """Pixels as the network's input."""
        images_HWBC = images_BHWC.transpose(1, 2, 0, 3).astype(self.scale_C.dtype, order="C")
        images_HWBC *= self.scale_C
        images_HWBC += self.shift_C
        return images_HWBC

    def _augmented(self, positions_B: NDArray[np.int64]) -> Array:
        draws = self._draws.at(positions_B)
        images_HWBC = self.normalised(changed_batch(self.images_NHWC[positions_B], draws))
        if draws.boxes_NQ4 is not None:
            height, width = images_HWBC.shape[:2]
            for boxes_B4 in draws.boxes_NQ4.swapaxes(0, 1):
                images_HWBC[_inside(boxes_B4, height, width)] = 0
        return images_HWBC


def _inside(boxes_B4: NDArray[np.int32], height: int, width: int) -> NDArray[np.bool_]:
    """H x W x B: whether a position lies in the box (top, left, bottom, right) of its image."""
    top, left, bottom, right = boxes_B4.T
    rows_H1, columns_W1 = np.arange(height)[:, None], np.arange(width)[:, None]
    in_rows_HB = (rows_H1 >= top) & (rows_H1 < bottom)
    in_columns_WB = (columns_W1 >= left) & (columns_W1 < right)
    inside_HWB: NDArray[np.bool_] = in_rows_HB[:, None] & in_columns_WB[None]
    return inside_HWB
