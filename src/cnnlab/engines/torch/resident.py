"""A split that lives on the device as packed pixels; a training batch is one gather.

Three-channel pixels are packed with a fourth, unused byte into one 32-bit word. Moving whole words instead of
single bytes makes crop and flip about five times cheaper, and the unused channel is dropped when the batch is
normalised. The first word is black: every position outside the image points at it.

Shape legend: N images of the split, B images of the batch, H x W pixels, C channels, P bytes of a packed pixel.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from cnnlab.augment import PixelMap
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.pages import hold_in_huge_pages

_WORDS: dict[int, torch.dtype] = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


class Normaliser:
    """Turns packed uint8 batches into normalised channels-last tensors of one dtype on one device."""

    def __init__(
        self, values: Normalisation, height: int, width: int, dtype: torch.dtype, device: torch.device
    ):
        scale, shift = values.affine()
        self.num_channels = len(scale)
        padding = [0.0] * (packed_bytes(self.num_channels) - self.num_channels)
        # One value for every byte of an image: plain element-wise arithmetic is several times faster than
        # broadcasting over a last axis of three or four.
        repeat = height * width
        self.scale = torch.tensor((scale + padding) * repeat, dtype=dtype, device=device)
        self.shift = torch.tensor((shift + padding) * repeat, dtype=dtype, device=device)
        self.shape = (height, width, packed_bytes(self.num_channels))

    def __call__(self, packed_BX: torch.Tensor) -> torch.Tensor:
        """Packed bytes B x (H W P) -> normalised B x C x H x W, channels-last."""
        batch = torch.addcmul(self.shift, packed_BX.to(self.scale.dtype), self.scale)
        images_BHWP = batch.view(-1, *self.shape)
        images_BCHW = images_BHWP[..., : self.num_channels].permute(0, 3, 1, 2)
        return images_BCHW.contiguous(memory_format=torch.channels_last)


class ResidentSplit:
    """Images and labels of one split on the device."""

    def __init__(self, split: Split, device: torch.device) -> None:
        """`split` must be labelled."""
        assert split.labels is not None
        self.num_images, self.height, self.width, self.num_channels = map(int, split.images.shape)
        self.labels_N = np.array(split.labels, dtype=np.int64)
        self.labels = torch.from_numpy(self.labels_N).to(device)
        self.words = _pack(split.images, packed_bytes(self.num_channels)).to(device)
        self._rows: torch.Tensor | None = None
        self._columns: torch.Tensor | None = None

    def __len__(self) -> int:
        return self.num_images

    def arrange(self, order_N: NDArray[np.int64], drawn: PixelMap) -> None:
        """Fix order and pixel maps of one epoch; `gather` then serves places of this order."""
        area = self.height * self.width
        rows_NH, columns_NW = drawn.rows_NH[order_N], drawn.columns_NW[order_N]
        # Negative whatever row or column is added to it, so that one clamp finds every outside position.
        outside = -self.words.numel()
        first_N1 = 1 + order_N[:, None] * area
        starts_NH = np.where(rows_NH < 0, outside, first_N1 + rows_NH * self.width)
        steps_NW = np.where(columns_NW < 0, outside, columns_NW)
        index = np.int32 if self.words.numel() < 2**30 else np.int64  # half the memory traffic where it fits
        device = self.words.device
        self._rows = torch.from_numpy(starts_NH.astype(index)).to(device)
        self._columns = torch.from_numpy(steps_NW.astype(index)).to(device)
        self._ordered_labels = self.labels[torch.from_numpy(order_N).to(device)]

    def gather(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Packed bytes B x (H W P) and labels B of the places start..stop of the arranged epoch."""
        assert self._rows is not None, "arrange() comes before gather()"
        assert self._columns is not None
        index_BHW = self._rows[start:stop, :, None] + self._columns[start:stop, None, :]
        words = self.words.index_select(0, index_BHW.clamp_min_(0).view(-1))
        return words.view(torch.uint8).view(stop - start, -1), self._ordered_labels[start:stop]

    def stored(self, start: int, stop: int) -> torch.Tensor:
        """Packed bytes B x (H W P) of images start..stop as they are stored, without augmentation."""
        area = self.height * self.width
        words = self.words[1 + start * area : 1 + stop * area]
        return words.view(torch.uint8).view(stop - start, -1)


def packed_bytes(num_channels: int) -> int:
    """Bytes of one packed pixel: the next size that is a machine word."""
    return next(size for size in _WORDS if size >= num_channels)


def _pack(images_NHWC: NDArray[np.uint8], size: int) -> torch.Tensor:
    """One word per pixel, all images in one row, after one black word."""
    num_images, height, width, num_channels = images_NHWC.shape
    words = torch.zeros(1 + num_images * height * width, dtype=_WORDS[size])
    hold_in_huge_pages(words)
    pixels = words.view(torch.uint8).view(-1, size).numpy()
    pixels[1:, :num_channels] = images_NHWC.reshape(-1, num_channels)
    return words
