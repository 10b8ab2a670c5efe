"""The optimizers over long vectors (see `flat.py`), and Lookahead and SAM around them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from cnnlab.recipe.sections import Adadelta, Adam, AdamW, Lookahead, Optimizer, RmsProp, Sgd


def build_optimizer(optim: Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The recipe's optimizer in torch's implementation: on two long vectors a step is a few kernels."""
    match optim:
        case Sgd():
            return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum, nesterov=optim.nesterov, fused=True)
        case Adam() | AdamW():
            kind = torch.optim.Adam if isinstance(optim, Adam) else torch.optim.AdamW
            return kind(groups, lr=optim.lr, betas=optim.betas, eps=optim.eps, fused=True)
        case RmsProp():
            return torch.optim.RMSprop(
                groups, optim.lr, optim.alpha, optim.eps, momentum=optim.momentum, centered=optim.centered
            )
        case Adadelta():
            return torch.optim.Adadelta(groups, optim.lr, optim.rho, optim.eps)


class SlowWeights:
    """Lookahead: weights that follow the trained ones, which start again from them (Zhang et al. 2019)."""

    def __init__(self, settings: Lookahead, vectors: Sequence[torch.Tensor]) -> None:
        self.settings = settings
        self.fast = [vector.detach() for vector in vectors]
        self.tensors = [vector.clone() for vector in self.fast]

    def after_step(self, updates: int) -> None:
        """`updates`: the steps done so far."""
        if updates % self.settings.steps == 0:
            torch._foreach_lerp_(self.tensors, self.fast, self.settings.alpha)
            torch._foreach_copy_(self.fast, self.tensors)


@contextmanager
def at_worst_point(vectors: Sequence[torch.nn.Parameter], rho: float) -> Iterator[None]:
    """SAM: inside, the weights are moved by `rho` along their gradient, which is cleared for another one.

    Foret et al. 2021, equation 2, with the Euclidean norm of all gradients together.
    """
    gradients = [vector.grad for vector in vectors if vector.grad is not None]
    with torch.no_grad():
        norm = torch.nn.utils.get_total_norm(gradients)
        kept = [vector.detach().clone() for vector in vectors]
        for vector, gradient in zip(vectors, gradients, strict=True):
            vector.addcmul_(gradient, rho / (norm + 1e-12))
            gradient.zero_()
    try:
        yield
    finally:
        with torch.no_grad():  # a copy: subtracting would round
            torch._foreach_copy_([vector.detach() for vector in vectors], kept)
