"""A split on the device as packed pixels; a training batch is one gather and one normalisation, and its targets.

Three-channel pixels are packed with a fourth, unused byte into one 32-bit word. Copying whole words instead of
single bytes makes crop and flip about five times cheaper; normalisation drops the unused channel. The first word is
black: every position outside the image points at it.

Shape legend: N images of the split, B images of the batch, H x W pixels, C channels, P bytes of a packed pixel,
X = H W P bytes of a packed image; G and Q as in `cnnlab.augment.draws`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from cnnlab.augment import OUTSIDE, EpochDraws
from cnnlab.augment.matrices import fixed_point
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.operations import Chain
from cnnlab.engines.torch.pages import hold_in_huge_pages
from cnnlab.engines.torch.sampling import bilinear_words, nearest_words
from cnnlab.engines.torch.targets import Targets

AHEAD = 512
"""Images whose operations are computed together: with fewer, much of the time is spent on starting small steps."""

_WORDS: dict[int, torch.dtype] = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


class Normaliser:
    """Turns packed uint8 batches into normalised channels-last tensors of one dtype on one device."""

    def __init__(self, values: Normalisation, height: int, width: int, dtype: torch.dtype, device: torch.device):
        scale, shift = values.affine()
        self.num_channels = len(scale)
        self.shape = (height, width, packed_bytes(self.num_channels))
        padding = [0.0] * (self.shape[2] - self.num_channels)
        # One value for every byte of an image: that is several times faster than broadcasting over a last axis of
        # three or four.
        repeat = height * width
        self.scale = torch.tensor((scale + padding) * repeat, dtype=dtype, device=device)
        self.shift = torch.tensor((shift + padding) * repeat, dtype=dtype, device=device)

    def __call__(self, packed_BX: torch.Tensor, boxes_BQ4: torch.Tensor | None = None) -> torch.Tensor:
        """Packed bytes B x (H W P) -> normalised B x C x H x W, channels-last, with boxes 0."""
        batch = torch.addcmul(self.shift, packed_BX.to(self.scale.dtype), self.scale)
        if boxes_BQ4 is not None:
            kept_BHY = self._outside_of(boxes_BQ4, self.shape[2])
            batch = batch.view_as(kept_BHY).mul_(kept_BHY)
        images_BHWP = batch.view(-1, *self.shape)
        images_BCHW = images_BHWP[..., : self.num_channels].permute(0, 3, 1, 2)
        return images_BCHW.contiguous(memory_format=torch.channels_last)

    def planes(self, planes_BCHW: torch.Tensor, boxes_BQ4: torch.Tensor | None = None) -> torch.Tensor:
        """The same for float32 planes of pixel values, which may be overwritten."""
        scale_C11, shift_C11 = (table[: self.num_channels, None, None].float() for table in (self.scale, self.shift))
        batch = torch.addcmul(shift_C11, planes_BCHW, scale_C11)
        if boxes_BQ4 is not None:
            batch.mul_(self._outside_of(boxes_BQ4, 1)[:, None])
        return batch.to(self.scale.dtype, memory_format=torch.channels_last)

    def _outside_of(self, boxes_BQ4: torch.Tensor, num_bytes: int) -> torch.Tensor:
        """0 for every byte of a box, else 1: B x H x Y, where Y = W times `num_bytes` of a pixel."""
        height, width, _ = self.shape
        rows_H = torch.arange(height, device=boxes_BQ4.device)
        columns_Y = torch.arange(width, device=boxes_BQ4.device).repeat_interleave(num_bytes)
        kept_BHY = None
        for boxes_B4 in boxes_BQ4.unbind(1):
            top, left, bottom, right = boxes_B4[..., None].unbind(1)
            other_rows = ((rows_H < top) | (rows_H >= bottom)).to(self.scale.dtype)
            other_columns = ((columns_Y < left) | (columns_Y >= right)).to(self.scale.dtype)
            kept = torch.maximum(other_rows[:, :, None], other_columns[:, None, :])
            kept_BHY = kept if kept_BHY is None else kept_BHY.mul_(kept)
        assert kept_BHY is not None
        return kept_BHY


@dataclass(frozen=True)
class _Arranged:
    """Draws on the device, in the order of an epoch; see `EpochDraws`.

    `starts_NH`: the word where the input row of each output row begins; `steps_NW`: words from there. Both are very
    negative for positions outside the image. `matrices_NG23` in fixed point.
    """

    starts_NH: torch.Tensor
    steps_NW: torch.Tensor
    matrices_NG23: torch.Tensor | None
    boxes_NQ4: torch.Tensor | None
    chain: Chain | None

    def part(self, start: int, stop: int) -> "_Arranged":
        matrices, boxes = self.matrices_NG23, self.boxes_NQ4
        return _Arranged(
            self.starts_NH[start:stop],
            self.steps_NW[start:stop],
            None if matrices is None else matrices[start:stop],
            None if boxes is None else boxes[start:stop],
            None if self.chain is None else self.chain.part(start, stop),
        )


class _Ahead(NamedTuple):
    """Augmented images of the positions start..stop of the epoch."""

    start: int
    stop: int
    normalise: Normaliser
    images: torch.Tensor


class ResidentSplit:
    """Images and labels of one split on the device."""

    def __init__(self, split: Split, device: torch.device) -> None:
        """`split` must be labelled."""
        assert split.labels is not None
        self.num_images, self.height, self.width, self.num_channels = map(int, split.images.shape)
        self.labels_N = np.array(split.labels, dtype=np.int64)
        self.labels = torch.from_numpy(self.labels_N).to(device)
        self.words = _pack(split.images, packed_bytes(self.num_channels)).to(device)
        self._own: _Arranged | None = None
        self._partners: _Arranged | None = None
        self._swaps: torch.Tensor | None = None
        self._ahead: _Ahead | None = None

    def __len__(self) -> int:
        return self.num_images

    def arrange(self, order_N: NDArray[np.int64], draws: EpochDraws) -> None:
        """Set order and draws of one epoch; `gather` returns images by their position in this order."""
        self._own, self._partners, self._ahead = self._on_device(order_N, draws), None, None
        self._bilinear = draws.bilinear
        self._targets = Targets(self._labels_of(order_N))
        if draws.partner_N is not None and draws.weight_N is not None and draws.swaps_N4 is not None:
            partners_N = draws.partner_N[order_N]
            self._swaps = torch.from_numpy(draws.swaps_N4[order_N]).to(self.labels.device)
            weights = torch.from_numpy(draws.weight_N[order_N]).to(self.labels.device)
            self._partners = self._on_device(partners_N, draws)
            self._targets = Targets(self._targets.labels, self._labels_of(partners_N), weights)

    def gather(self, start: int, stop: int, normalise: Normaliser) -> tuple[torch.Tensor, Targets]:
        """The positions start..stop of the arranged epoch: augmented images B x C x H x W, and their targets."""
        assert self._own is not None, "arrange() comes before gather()"
        targets = self._targets.part(start, stop)
        if self._own.chain is None:
            return self._made(start, stop, normalise), targets
        ahead = self._ahead
        if ahead is None or ahead.normalise is not normalise or not ahead.start <= start <= stop <= ahead.stop:
            last = min(max(stop, start + AHEAD), self.num_images)
            ahead = self._ahead = _Ahead(start, last, normalise, self._made(start, last, normalise))
        return ahead.images[start - ahead.start : stop - ahead.start], targets

    def _made(self, start: int, stop: int, normalise: Normaliser) -> torch.Tensor:
        assert self._own is not None
        images = self._augmented(self._own.part(start, stop), normalise)
        weights = self._targets.part(start, stop).weights
        if self._partners is not None and weights is not None:
            partners = self._augmented(self._partners.part(start, stop), normalise)
            images = torch.lerp(partners, images, self._shares(start, stop, weights).to(images.dtype))
        return images

    def _shares(self, start: int, stop: int, weights_B: torch.Tensor) -> torch.Tensor:
        """The share of the image itself in each pixel, B x 1 x H x W: 0 or 1 where a rectangle is swapped."""
        assert self._swaps is not None
        top, left, bottom, right = self._swaps[start:stop, :, None].unbind(1)
        rows_H, columns_W = (torch.arange(side, device=weights_B.device) for side in (self.height, self.width))
        in_rows, in_columns = (rows_H >= top) & (rows_H < bottom), (columns_W >= left) & (columns_W < right)
        swapped_BHW = in_rows[:, :, None] & in_columns[:, None, :]
        blended_B11 = ((bottom <= top) | (right <= left))[..., None]
        return torch.where(blended_B11, weights_B[:, None, None], (~swapped_BHW).to(weights_B.dtype))[:, None]

    def stored(self, start: int, stop: int) -> torch.Tensor:
        """Packed bytes B x (H W P) of the stored images start..stop, without augmentation."""
        area = self.height * self.width
        return self._bytes(self.words[1 + start * area : 1 + stop * area], stop - start)

    def _labels_of(self, positions_N: NDArray[np.int64]) -> torch.Tensor:
        return self.labels[torch.from_numpy(positions_N).to(self.labels.device)]

    def _on_device(self, positions_N: NDArray[np.int64], draws: EpochDraws) -> _Arranged:
        """The draws of the images at these positions of the split."""
        here = draws.at(positions_N)
        rows_NH = np.arange(self.height)[None] if here.rows_NH is None else here.rows_NH
        columns_NW = np.arange(self.width)[None] if here.columns_NW is None else here.columns_NW
        # Negative also after any row or column is added, so that one clamp finds every outside position.
        outside = -self.words.numel()
        first_N1 = 1 + positions_N[:, None] * (self.height * self.width)
        starts_NH = np.where(rows_NH == OUTSIDE, outside, first_N1 + rows_NH * self.width)
        steps_NW = np.where(columns_NW == OUTSIDE, outside, columns_NW)
        index = np.int32 if self.words.numel() < 2**30 else np.int64  # half the memory traffic where int32 is enough

        def placed(array: NDArray[np.generic]) -> torch.Tensor:
            return torch.from_numpy(array).to(self.words.device)

        return _Arranged(
            placed(starts_NH.astype(index)),
            placed(np.broadcast_to(steps_NW, (len(positions_N), self.width)).astype(index, order="C")),
            None if here.matrices_NG23 is None else placed(fixed_point(here.matrices_NG23)),
            None if here.boxes_NQ4 is None else placed(here.boxes_NQ4),
            _chain(here, self.words.device),
        )

    def _augmented(self, draws: _Arranged, normalise: Normaliser) -> torch.Tensor:
        if draws.matrices_NG23 is None:
            index_BHW = draws.starts_NH[:, :, None] + draws.steps_NW[:, None, :]
            words = self.words.index_select(0, index_BHW.clamp_min_(0).view(-1))
        elif self._bilinear:
            words = bilinear_words(self.words, draws.starts_NH, draws.steps_NW, draws.matrices_NG23[:, 0])
        else:
            words = nearest_words(self.words, draws.starts_NH, draws.steps_NW, draws.matrices_NG23)
        if draws.chain is None:
            return normalise(self._bytes(words, len(draws.starts_NH)), draws.boxes_NQ4)
        return normalise.planes(draws.chain.applied(self._planes(words)), draws.boxes_NQ4)

    def _planes(self, words: torch.Tensor) -> torch.Tensor:
        """The pixels of packed words as float32 planes B x C x H x W."""
        words_BHW = words.view(-1, self.height, self.width)
        if self.num_channels == 1:
            return words_BHW[:, None].float()
        planes = torch.empty(len(words_BHW), self.num_channels, *words_BHW.shape[1:], device=words.device)
        for channel in range(self.num_channels):
            planes[:, channel] = (words_BHW >> (8 * channel)).bitwise_and_(255)
        return planes

    def _bytes(self, words: torch.Tensor, num_images: int) -> torch.Tensor:
        return words.view(torch.uint8).view(num_images, self.height * self.width * words.itemsize)


def _chain(draws: EpochDraws, device: torch.device) -> Chain | None:
    if draws.codes_NK is None or draws.values_NK is None:
        return None
    units = None if draws.noise_J is None else torch.from_numpy(draws.noise_J).to(device)
    return Chain(draws.codes_NK, draws.values_NK, draws.blur_radius, draws.noise_N, units)


def packed_bytes(num_channels: int) -> int:
    """Bytes of one packed pixel: the next size of a machine word."""
    return next(size for size in _WORDS if size >= num_channels)


def _pack(images_NHWC: NDArray[np.uint8], size: int) -> torch.Tensor:
    """One word per pixel, all images in one row, after one black word."""
    num_images, height, width, num_channels = images_NHWC.shape
    words = torch.zeros(1 + num_images * height * width, dtype=_WORDS[size])
    hold_in_huge_pages(words)
    pixels = words.view(torch.uint8).view(-1, size).numpy()
    flat = images_NHWC.reshape(-1, num_channels)
    for channel in range(num_channels):  # three times as fast as all channels at once
        pixels[1:, channel] = flat[:, channel]
    return words
