"""The recipe's optimizer as a torch optimizer over the flat parameter vectors."""

from typing import Any

import torch

from cnnlab.recipe.sections import Adam, AdamW, Optimizer, Sgd


def build_optimizer(optim: Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """torch's own fused implementations: on two long vectors a step is two kernels."""
    match optim:
        case Sgd():
            return torch.optim.SGD(
                groups, lr=optim.lr, momentum=optim.momentum, nesterov=optim.nesterov, fused=True
            )
        case Adam():
            return torch.optim.Adam(groups, lr=optim.lr, betas=optim.betas, eps=optim.eps, fused=True)
        case AdamW():
            return torch.optim.AdamW(groups, lr=optim.lr, betas=optim.betas, eps=optim.eps, fused=True)
