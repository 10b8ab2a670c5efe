"""All weights of a network in a few long vectors: a step of an optimizer is a few vector operations.

For small networks, starting an operation costs more than its computation: 65 updates of one tensor each cost more than
one update of the 270,000 numbers in them. Every parameter becomes a view into one vector per weight-decay group, and
its gradient a view into a second one. Buffers of floating type (running statistics) share a third.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from torch import nn


class FlatModel:
    """A module's parameters and float buffers as long vectors. The module itself works as before.

    `weights` are the names of the parameters that multiply inputs (`Parameter.is_weight`).
    """

    def __init__(self, model: nn.Module, weights: Collection[str], decay_norm_and_bias: bool) -> None:
        parameters = dict(model.named_parameters())
        self.parameters = list(parameters.values())
        self.weights = _flat_parameter([p for name, p in parameters.items() if name in weights])
        self.others = _flat_parameter([p for name, p in parameters.items() if name not in weights])
        self.decay_norm_and_bias = decay_norm_and_bias
        self.buffers = _flattened([buffer for buffer in model.buffers() if buffer.is_floating_point()])

    @property
    def vectors(self) -> list[nn.Parameter]:
        """The parameter vectors: weights (convolution and linear), then biases and normalisation."""
        return [vector for vector in (self.weights, self.others) if vector.numel()]

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Optimizer groups: weights have decay; biases and normalisation only where the recipe asks for it."""
        other_decay = weight_decay if self.decay_norm_and_bias else 0.0
        groups: list[dict[str, Any]] = [
            {"params": [self.weights], "weight_decay": weight_decay},
            {"params": [self.others], "weight_decay": other_decay},
        ]
        return [group for group in groups if group["params"][0].numel()]

    def clear_gradients(self) -> None:
        """Set every gradient to zero in place: the views of the parameters must stay valid."""
        for vector in self.vectors:
            assert vector.grad is not None
            vector.grad.zero_()

    def drop_gradients(self) -> None:
        """Free the gradients; no step is possible any more."""
        for vector in self.vectors:
            vector.grad = None
        for parameter in self.parameters:
            parameter.grad = None

    def averaged_tensors(self) -> list[torch.Tensor]:
        """The tensors of an exponential moving average: parameters and running statistics."""
        return [vector.detach() for vector in self.vectors] + ([self.buffers] if self.buffers.numel() else [])


def _flat_parameter(parameters: Sequence[nn.Parameter]) -> nn.Parameter:
    """One vector for all parameters, and one for their gradients; the parameters become views of it."""
    flat = nn.Parameter(_flattened(parameters))
    flat.grad = torch.zeros_like(flat)
    for parameter, view in zip(parameters, _views(flat.grad, parameters), strict=True):
        parameter.grad = view
    return flat


def _flattened(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """One vector with the values of all tensors, which become views of it."""
    device = tensors[0].device if tensors else torch.device("cpu")
    flat = torch.zeros(sum(tensor.numel() for tensor in tensors), device=device)
    for tensor, view in zip(tensors, _views(flat, tensors), strict=True):
        view.copy_(tensor.detach())
        tensor.data = view
    return flat


def _views(flat: torch.Tensor, like: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Consecutive views with the shapes of `like`; convolution weights are channels-last, as the kernels read them."""
    position = 0
    for tensor in like:
        piece = flat[position : position + tensor.numel()]
        position += tensor.numel()
        if tensor.ndim == 4:
            out_channels, in_channels, height, width = tensor.shape
            yield piece.view(out_channels, height, width, in_channels).permute(0, 3, 1, 2)
        else:
            yield piece.view(tensor.shape)
