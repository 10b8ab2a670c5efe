"""All weights of a network in a few long vectors, and the optimizer over them: a step is a few vector operations.

For small networks, starting an operation costs more than its computation: 65 updates of one tensor each cost more than
one update of the 270,000 numbers in them. Every parameter becomes a view into one vector per weight-decay group, and
its gradient a view into a second one. Buffers of floating type (running statistics) share a third.
"""

from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch import nn

from cnnlab.recipe.sections import Adam, AdamW, Optimizer, Sgd


def build_optimizer(optim: Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The recipe's optimizer in torch's fused implementation: on two long vectors a step is two kernels."""
    match optim:
        case Sgd():
            return torch.optim.SGD(
                groups, lr=optim.lr, momentum=optim.momentum, nesterov=optim.nesterov, fused=True
            )
        case Adam():
            return torch.optim.Adam(groups, lr=optim.lr, betas=optim.betas, eps=optim.eps, fused=True)
        case AdamW():
            return torch.optim.AdamW(groups, lr=optim.lr, betas=optim.betas, eps=optim.eps, fused=True)


class FlatModel:
    """A module's parameters and float buffers as long vectors. The module itself works as before.

    `weights` are the names of the parameters that multiply inputs (`Parameter.is_weight`).
    """

    def __init__(self, model: nn.Module, weights: Collection[str], decay_norm_and_bias: bool) -> None:
        parameters = dict(model.named_parameters())
        self.weights = _flatten(p for name, p in parameters.items() if name in weights)
        self.others = _flatten(p for name, p in parameters.items() if name not in weights)
        self.decay_norm_and_bias = decay_norm_and_bias
        self.buffers = _flatten_buffers(model)

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

    def averaged_tensors(self) -> list[torch.Tensor]:
        """The tensors of an exponential moving average: parameters and running statistics."""
        return [vector.detach() for vector in self.vectors] + ([self.buffers] if self.buffers.numel() else [])


def _flatten(parameters: Iterable[nn.Parameter]) -> nn.Parameter:
    parameters = list(parameters)
    size = sum(p.numel() for p in parameters)
    device = parameters[0].device if parameters else torch.device("cpu")
    flat = nn.Parameter(torch.zeros(size, device=device))
    flat.grad = torch.zeros(size, device=device)
    position = 0
    for parameter in parameters:
        value = parameter.detach().clone()
        parameter.data = _view(flat.data, position, value)
        parameter.data.copy_(value)
        parameter.grad = _view(flat.grad, position, value)
        position += value.numel()
    return flat


def _view(flat: torch.Tensor, position: int, like: torch.Tensor) -> torch.Tensor:
    """A view with the shape of `like`; convolution weights are channels-last, as the kernels read them."""
    piece = flat[position : position + like.numel()]
    if like.ndim != 4:
        return piece.view(like.shape)
    out_channels, in_channels, height, width = like.shape
    return piece.view(out_channels, height, width, in_channels).permute(0, 3, 1, 2)


def _flatten_buffers(model: nn.Module) -> torch.Tensor:
    owners = [
        (module, name, buffer)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if buffer.is_floating_point()
    ]
    device = owners[0][2].device if owners else torch.device("cpu")
    flat = torch.zeros(sum(buffer.numel() for _, _, buffer in owners), device=device)
    position = 0
    for module, name, buffer in owners:
        view = flat[position : position + buffer.numel()].view(buffer.shape)
        view.copy_(buffer)
        setattr(module, name, view)
        position += buffer.numel()
    return flat
