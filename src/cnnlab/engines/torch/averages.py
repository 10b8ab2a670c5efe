"""Averaged weights, which are scored in place of the trained ones: an exponential mean, or the mean of epochs (SWA)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class Average:
    """A second set of values for `current`: the vectors of parameters and, last, of running statistics."""

    def __init__(self, current: Sequence[torch.Tensor]) -> None:
        self.current = list(current)
        self.tensors = [tensor.clone() for tensor in self.current]
        self.count = 0

    @property
    def is_kept(self) -> bool:
        """Whether there is an average yet."""
        return self.count > 0

    def follow(self, decay: float) -> None:
        """Exponential mean: keep the part `decay` of the average."""
        self.count += 1
        torch._foreach_lerp_(self.tensors, self.current, 1 - decay)

    def include(self) -> None:
        """Arithmetic mean of all values included so far."""
        self.count += 1
        torch._foreach_lerp_(self.tensors, self.current, 1 / self.count)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the network has the averaged values where there are any; afterwards its own again."""
        if not self.is_kept:
            yield
            return
        kept = [tensor.clone() for tensor in self.current]
        torch._foreach_copy_(self.current, self.tensors)
        try:
            yield
        finally:
            torch._foreach_copy_(self.current, kept)


class Statistics:
    """The running statistics of the batch normalisations of a network."""

    def __init__(self, network: torch.nn.Module) -> None:
        kind = torch.nn.modules.batchnorm._BatchNorm
        self.layers = [module for module in network.modules() if isinstance(module, kind)]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, training passes use the statistics of their batch and do not record them."""
        for layer in self.layers:
            layer.track_running_stats = False
        try:
            yield
        finally:
            for layer in self.layers:
                layer.track_running_stats = True

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Inside, batches are recorded with equal weights, from nothing; the other layers are in evaluation mode."""
        kept = [(layer.momentum, layer.num_batches_tracked) for layer in self.layers]
        for layer in self.layers:
            layer.num_batches_tracked = torch.tensor(0, device=layer.weight.device)
            layer.momentum = None
            layer.train()
        try:
            yield
        finally:
            for layer, (momentum, count) in zip(self.layers, kept, strict=True):
                layer.momentum, layer.num_batches_tracked = momentum, count
