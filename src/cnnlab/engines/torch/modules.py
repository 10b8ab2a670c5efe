"""Torch modules of layers that torch itself does not have.

Shapes: N images, C channels, H height, W width; `x` without letters is a map or flat data.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GlobalAveragePool(nn.Module):
    """x_NCHW to the mean of each channel, N C."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW.mean(dim=(2, 3))


class LayerNorm(nn.Module):
    """Normalise each position over its channels, scale and shift."""

    def __init__(self, num_channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        x_last = x.movedim(1, -1)  # in channels-last memory this copies nothing
        return F.layer_norm(x_last, self.weight.shape, self.weight, self.bias, self.eps).movedim(-1, 1)


class Scale(nn.Module):
    """Multiply by a fixed number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class DropPath(nn.Module):
    """In training each image's values become 0 with probability p; those of others are divided by 1 - p."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return x * F.dropout(x.new_ones(len(x), *(1 for _ in x.shape[1:])), self.p)


class Shuffle(nn.Module):
    """Channel g * (C / groups) + i becomes channel i * groups + g."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x_NCHW: Tensor) -> Tensor:
        num_images, channels, *sides = x_NCHW.shape
        dealt = x_NCHW.reshape(num_images, self.groups, channels // self.groups, *sides)
        return dealt.transpose(1, 2).reshape(x_NCHW.shape)


class Split(nn.Module):
    """Channels `start` to before `stop`."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW[:, self.start : self.stop]


class SqueezeExcite(nn.Module):
    """x_NCHW times a factor for each image and channel, computed from the means of its channels."""

    def __init__(self, num_channels: int, hidden: int, activation: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.squeeze = nn.Linear(num_channels, hidden)
        self.activation = activation
        self.excite = nn.Linear(hidden, num_channels)
        self.gate = gate

    def forward(self, x_NCHW: Tensor) -> Tensor:
        means_NC = x_NCHW.mean(dim=(2, 3))
        factors_NC: Tensor = self.gate(self.excite(self.activation(self.squeeze(means_NC))))
        return x_NCHW * factors_NC[:, :, None, None]


class PadSubsample(nn.Module):
    """Shortcut A: every s-th row and column, and new channels of zeros, half of them before and half after."""

    def __init__(self, stride: tuple[int, int], new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.before, self.after = new_channels // 2, new_channels - new_channels // 2

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = x_NCHW[:, :, :: self.stride[0], :: self.stride[1]]
        return F.pad(x_NCHW, (0, 0, 0, 0, self.before, self.after))


class ContainerModule(nn.Module):
    """A container: each of its parts receives the input. The children have the names of the parts."""

    def with_parts(self, parts: Mapping[str, nn.Module]) -> Self:
        """The same container with some parts replaced."""
        raise NotImplementedError


class ResidualBlock(ContainerModule):
    """activation(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.activation = activation

    def with_parts(self, parts: Mapping[str, nn.Module]) -> Self:
        return type(self)(parts.get("body", self.body), parts.get("shortcut", self.shortcut), self.activation)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return out


class Branches(ContainerModule):
    """Common part of `Concat` and `Sum`: branches "0", "1", ..."""

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def with_parts(self, parts: Mapping[str, nn.Module]) -> Self:
        return type(self)({**dict(self.named_children()), **parts})


class Concat(Branches):
    """The channels of all branches, one branch after the other."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], dim=1)


class Sum(Branches):
    """The sum of all branches."""

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = [branch(x) for branch in self.children()]
        return reduce(torch.add, outputs)
