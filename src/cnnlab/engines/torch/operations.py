"""The operations of `cnnlab.augment.operations` on batches: images with the same operation are changed together.

Shape legend: B images, C channels (1 or 3), H x W pixels, K slots, M = B C histograms. Pixels are float32 planes
B x C x H x W of whole numbers 0..255: exact, and vectorised where bytes are not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cnnlab.augment.matrices import fixed_point
from cnnlab.augment.noise import UNIFORM_BITS
from cnnlab.augment.operate import LUMINANCE
from cnnlab.augment.operations import MOVES, Operation, move_matrices
from cnnlab.engines.torch.counter import hashed_
from cnnlab.engines.torch.sampling import positions


@dataclass(frozen=True)
class Chain:
    """The slots of a batch, on the host: `codes_BK` and `values_BK`; and the words of its noise, if there is any."""

    codes_BK: NDArray[np.int8]
    values_BK: NDArray[np.float32]
    blur_radius: int
    noise_B: NDArray[np.int32] | None
    noise_J: Tensor | None

    def part(self, start: int, stop: int) -> "Chain":
        noise = None if self.noise_B is None else self.noise_B[start:stop]
        return Chain(self.codes_BK[start:stop], self.values_BK[start:stop], self.blur_radius, noise, self.noise_J)

    def applied(self, planes_BCHW: Tensor) -> Tensor:
        """The images after all slots. The input may be overwritten."""
        for slot in range(self.codes_BK.shape[1]):
            codes_B = self.codes_BK[:, slot]
            for code in np.unique(codes_B):
                if code == Operation.NONE:
                    continue
                chosen = np.flatnonzero(codes_B == code)
                if len(chosen) == len(codes_B):
                    planes_BCHW = self._operate(planes_BCHW, Operation(code), chosen, slot)
                    continue
                index = torch.from_numpy(chosen).to(planes_BCHW.device)
                part = self._operate(planes_BCHW.index_select(0, index), Operation(code), chosen, slot)
                planes_BCHW.index_copy_(0, index, part)
        return planes_BCHW

    def _operate(self, x: Tensor, code: Operation, chosen: NDArray[np.int64], slot: int) -> Tensor:
        values = self.values_BK[chosen, slot]
        if code in MOVES:
            matrices = fixed_point(move_matrices(code, values, *x.shape[2:]))
            return _moved(x, torch.from_numpy(matrices).to(x.device))
        numbers = torch.from_numpy(values).to(x.device).view(-1, 1, 1, 1)
        if code is Operation.BLUR:
            return _blurred(x, numbers, self.blur_radius)
        if code is Operation.NOISE:
            assert self.noise_B is not None
            assert self.noise_J is not None
            return _noisy(x, numbers, torch.from_numpy(self.noise_B[chosen]).to(x.device), self.noise_J)
        return OPERATIONS[code](x, numbers)


def _luminance(x: Tensor) -> Tensor:
    """B x 1 x H x W. All sums are whole numbers below 2^24, which float32 holds exactly."""
    if x.shape[1] == 1:
        return x
    red, green, blue = LUMINANCE
    total = (x[:, :1] * red).add_(x[:, 1:2], alpha=green).add_(x[:, 2:], alpha=blue)
    return total.add_(32768).mul_(1 / 65536).floor_()


def _blended(base: Tensor | float, x: Tensor, factor: Tensor) -> Tensor:
    return (x - base).mul_(factor).add_(base).clamp_(0, 255).floor_()


def _contrast(x: Tensor, factor: Tensor) -> Tensor:
    mean = _luminance(x).mean(dim=(1, 2, 3), keepdim=True, dtype=torch.float64 if x.device.type != "mps" else None)
    return _blended(mean.add_(0.5).floor_().float(), x, factor)


def _sharpness(x: Tensor, factor: Tensor) -> Tensor:
    smooth = x.clone()
    if min(x.shape[2:]) > 2:
        rows = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
        total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
        total.add_(x[:, :, 1:-1, 1:-1], alpha=4)
        smooth[:, :, 1:-1, 1:-1] = total.mul_(2).add_(13).div_(26).floor_()
    return _blended(smooth, x, factor)


def _turned_hue(x: Tensor, turn: Tensor) -> Tensor:
    if x.shape[1] == 1:
        return x
    red, green, blue = x.unbind(1)
    value, least = torch.maximum(red, green), torch.minimum(red, green)
    value, least = torch.maximum(value, blue), torch.minimum(least, blue)
    chroma = value - least
    inverse = chroma.clamp_min(1).reciprocal_()  # where it is 0, so are the differences below
    # 1 where the channel is the largest, else 0, of whole numbers: comparing and choosing takes five times as long.
    is_red, is_green = ((channel - value).add_(1).clamp_min_(0) for channel in (red, green))
    sixth = (red - green).mul_(inverse).add_(4)
    sixth.add_((blue - red).mul_(inverse).add_(2).sub_(sixth).mul_(is_green))
    sixth.add_((green - blue).mul_(inverse).sub_(sixth).mul_(is_red)).add_(6 * turn[:, 0])
    turned = torch.empty_like(x)
    for channel, offset in enumerate((5, 3, 1)):
        k = sixth + offset
        k.sub_((k * (1 / 6)).floor_().mul_(6))
        weight = torch.minimum(k, 4 - k).clamp_(0, 1)
        torch.sub(value, weight.mul_(chroma), out=turned[:, channel])
    return turned.add_(0.5).floor_().clamp_(0, 255)


def _posterized(x: Tensor, bits: Tensor) -> Tensor:
    step = torch.exp2(8 - bits)
    return (x / step).floor_().mul_(step)


def _histograms(x: Tensor) -> tuple[Tensor, Tensor]:
    """The place of each pixel in M tables of 256 entries, and how many pixels have each value, M x 256."""
    first = torch.arange(x.shape[0] * x.shape[1], device=x.device).mul_(256).view(*x.shape[:2], 1, 1)
    places = x.long().add_(first).view(-1)
    return places, torch.bincount(places, minlength=256 * first.numel()).view(-1, 256)


def _equalized(x: Tensor, _: Tensor) -> Tensor:
    places, counts_MV = _histograms(x)
    values_V = torch.arange(256, device=x.device)
    present_MV = counts_MV > 0
    largest_M1 = (present_MV * values_V).amax(1, keepdim=True)
    step_M1 = (counts_MV.sum(1, keepdim=True) - counts_MV.gather(1, largest_M1)) // 255
    before_MV = counts_MV.cumsum(1) - counts_MV
    spread_MV = ((step_M1 // 2 + before_MV) // step_M1.clamp_min(1)).clamp_max_(255)
    unchanged_M1 = (present_MV.sum(1, keepdim=True) <= 1) | (step_M1 == 0)
    return torch.where(unchanged_M1, values_V, spread_MV).float().view(-1)[places].view_as(x)


def _autocontrasted(x: Tensor, _: Tensor) -> Tensor:
    # From the least and largest value, without a histogram; in float64, as Pillow has it.
    exact = torch.float32 if x.device.type == "mps" else torch.float64
    low, high = x.amin(dim=(2, 3), keepdim=True).to(exact), x.amax(dim=(2, 3), keepdim=True).to(exact)
    scale = 255.0 / (high - low).clamp_min(1)
    stretched = (x * scale - low * scale).clamp_(0, 255).floor_().float()
    return torch.where(high > low, stretched, x)


def _blurred(x: Tensor, deviation: Tensor, radius: int) -> Tensor:
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    weights = torch.exp(-0.5 * (offsets / deviation.view(-1, 1)) ** 2)
    weights = (weights / weights.sum(1, keepdim=True)).T.reshape(-1, len(x), 1, 1, 1)
    height, width = x.shape[2:]
    padded = F.pad(x, (radius,) * 4, mode="reflect")
    rows = sum(weight * padded[:, :, i : i + height] for i, weight in enumerate(weights))
    assert isinstance(rows, Tensor)
    both = sum(weight * rows[..., j : j + width] for j, weight in enumerate(weights))
    assert isinstance(both, Tensor)
    return both.add_(0.5).floor_().clamp_(0, 255)


def _noisy(x: Tensor, deviation: Tensor, words_B: Tensor, units_J: Tensor) -> Tensor:
    bits = hashed_(words_B[:, None] ^ units_J)
    uniform = (bits >> (32 - UNIFORM_BITS)).bitwise_and_((1 << UNIFORM_BITS) - 1).float().mul_(2.0**-UNIFORM_BITS)
    radius, angle = uniform.chunk(2, dim=1)
    normal = radius.add(2.0**-UNIFORM_BITS).log_().mul_(-2).sqrt_().mul_(angle.mul(2 * np.pi).cos_())
    return normal.view_as(x).mul_(deviation).add_(x).clamp_(0, 255).add_(0.5).floor_()


def _moved(x: Tensor, matrices_B23: Tensor) -> Tensor:
    size, channels, height, width = x.shape
    column_BHW, row_BHW = (place >> 16 for place in positions(matrices_B23, height, width))
    # Negative where any of the four distances from the border is.
    outside = column_BHW | (width - 1 - column_BHW) | row_BHW | (height - 1 - row_BHW)
    place_BP = (row_BHW.clamp_(0, height - 1) * width).add_(column_BHW.clamp_(0, width - 1)).view(size, 1, -1)
    seen = x.view(size, channels, -1).gather(2, place_BP.expand(-1, channels, -1).long())
    return seen.view_as(x).masked_fill_((outside < 0)[:, None], 0)


OPERATIONS: dict[Operation, Callable[[Tensor, Tensor], Tensor]] = {
    Operation.BRIGHTNESS: lambda x, factor: (x * factor).clamp_(0, 255).floor_(),
    Operation.CONTRAST: _contrast,
    Operation.SATURATION: lambda x, factor: _blended(_luminance(x), x, factor),
    Operation.HUE: _turned_hue,
    Operation.SHARPNESS: _sharpness,
    Operation.POSTERIZE: _posterized,
    Operation.SOLARIZE: lambda x, threshold: torch.where(x >= threshold, 255 - x, x),
    Operation.INVERT: lambda x, _: 255 - x,
    Operation.GRAYSCALE: lambda x, _: _luminance(x).expand_as(x).contiguous(),  # later operations write into it
    Operation.EQUALIZE: _equalized,
    Operation.AUTOCONTRAST: _autocontrasted,
}
"""Those of a batch B x C x H x W and a number for each image, B x 1 x 1 x 1."""
