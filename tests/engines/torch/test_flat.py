"""Flat parameter vectors: the module computes as before, and optimizers move it as they move separate tensors."""

import copy

import pytest
import torch
import torch.nn.functional as F

from cnnlab.arch import parse
from cnnlab.engines.torch.flat import FlatModel
from cnnlab.engines.torch.network import build
from cnnlab.engines.torch.optimizers import build_optimizer
from cnnlab.recipe.sections import Adam, AdamW, Sgd

TEXT = "conv 3x3 4 nobias | bn | relu | pool 2 | flatten | linear 10"
WEIGHTS = {"0.weight", "5.weight"}


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(16, 3, 8, 8, generator=generator), torch.randint(0, 10, (16,), generator=generator)


def reference_optimizer(optim: Sgd | Adam | AdamW, model: torch.nn.Module) -> torch.optim.Optimizer:
    """torch's plain optimizer on the separate parameters, one group for each weight decay."""
    decayed = [p for p in model.parameters() if p.ndim > 1 or optim.decay_norm_and_bias]
    spared = [p for p in model.parameters() if not (p.ndim > 1 or optim.decay_norm_and_bias)]
    groups = [{"params": decayed, "weight_decay": optim.weight_decay}]
    groups += [{"params": spared, "weight_decay": 0.0}] if spared else []
    if isinstance(optim, Sgd):
        return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum, nesterov=optim.nesterov)
    kind = torch.optim.Adam if isinstance(optim, Adam) else torch.optim.AdamW
    return kind(groups, lr=optim.lr, betas=optim.betas, eps=optim.eps)


@pytest.mark.parametrize(
    "optim",
    [
        Sgd(lr=0.1, momentum=0.0),
        Sgd(lr=0.1, momentum=0.9, weight_decay=0.01),
        Sgd(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, decay_norm_and_bias=False),
        Adam(lr=0.01, weight_decay=0.01),
        AdamW(lr=0.01, weight_decay=0.1, decay_norm_and_bias=False),
    ],
    ids=lambda optim: f"{optim.name}-{optim.decay_norm_and_bias}",
)
def test_five_steps_equal_torchs_own_optimizer(optim: Sgd | Adam | AdamW) -> None:
    images, labels = batch()
    torch.manual_seed(0)
    plain = build(parse(TEXT), (3, 8, 8))
    ours = copy.deepcopy(plain)
    flat = FlatModel(ours, WEIGHTS, optim.decay_norm_and_bias)
    optimizer = build_optimizer(optim, flat.groups(optim.weight_decay))
    reference = reference_optimizer(optim, plain)
    for _ in range(5):
        reference.zero_grad()
        F.cross_entropy(plain(images), labels).backward()
        reference.step()
        F.cross_entropy(ours(images), labels).backward()
        optimizer.step()
        flat.clear_gradients()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=2e-5, atol=2e-6, msg=name)


def test_the_vectors_are_the_parameters() -> None:
    model = build(parse(TEXT), (3, 8, 8))
    flat = FlatModel(model, WEIGHTS, True)
    assert sum(vector.numel() for vector in flat.vectors) == sum(p.numel() for p in model.parameters())
    with torch.no_grad():
        for vector in flat.vectors:
            vector.fill_(0.25)
        flat.buffers.fill_(0.5)
    assert all(bool((p == 0.25).all()) for p in model.parameters())
    assert all(bool((b == 0.5).all()) for b in model.buffers() if b.is_floating_point())
