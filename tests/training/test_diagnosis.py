"""Warnings before the first step: networks that cannot start to learn are told from those that can."""

import math

import numpy as np
import pytest
import torch

from cnnlab.arch import named, parse
from cnnlab.data import load
from cnnlab.engines.protocol import Start
from cnnlab.engines.torch.network import initialised
from cnnlab.engines.torch.trial import start_of
from cnnlab.training.diagnosis import start_warnings

SHAPE = (3, 32, 32)


def block(kernel: int, channels: int, stride: int = 1, pad: int | None = None) -> str:
    return f"conv {kernel}x{kernel} {channels} stride {stride} pad {kernel // 2 if pad is None else pad} | relu"


# Springenberg et al. 2015, table 1, and Lin et al. 2014, both with a quarter of the channels.
ALL_CNN_C = [
    *[block(3, 24)] * 2,
    block(3, 24, 2),
    *[block(3, 48)] * 2,
    block(3, 48, 2),
    block(3, 48, pad=0),
    block(1, 48),
]
NIN = [block(5, 48), block(1, 40), block(1, 24), "pool 3 stride 2 pad 1 | dropout 0.5"]
NIN += [
    block(5, 48),
    block(1, 48),
    block(1, 48),
    "avg-pool 3 stride 2 pad 1 | dropout 0.5",
    block(3, 48),
    block(1, 48),
]
DEEP = {
    "plain-9": [
        *[block(3, 16)] * 3,
        "pool 2",
        *[block(3, 32)] * 3,
        "pool 2",
        *[block(3, 64)] * 3,
        "gap | linear 10",
    ],
    "all-cnn-c": [*ALL_CNN_C, block(1, 10) + " | gap"],
    "nin": [*NIN, block(1, 10) + " | gap"],
}


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """64 normalised images of the embedded data set, and their labels."""
    split = load("shapes").train
    pixels = torch.from_numpy(np.array(split.images[:64])).permute(0, 3, 1, 2).float()
    normalised = (pixels - pixels.mean((0, 2, 3), keepdim=True)) / pixels.std((0, 2, 3), keepdim=True)
    return normalised, torch.from_numpy(np.array(split.labels[:64], dtype=np.int64))


@pytest.mark.parametrize("name", ["simplenn", "resnet20", "mlp", "softmax-regression", "cnnclassify"])
def test_shipped_networks_start_without_a_warning(name: str, batch) -> None:
    for seed in (1, 2):
        assert start_warnings(start_of(initialised(named(name), SHAPE, seed), *batch), 10) == []


@pytest.mark.parametrize("name", DEEP)
def test_deep_plain_networks_are_dead_with_torchs_weights_and_alive_with_ours(name: str, batch) -> None:
    architecture = parse(" | ".join(DEEP[name]))
    dead = start_of(initialised(architecture, SHAPE, 1, "torch"), *batch)
    assert dead.loss == pytest.approx(math.log(10), abs=0.1)  # the loss alone would not tell
    (warning,) = start_warnings(dead, 10)
    assert "nearly the same logits for all images" in warning
    assert "arch.init=he" in warning
    assert start_warnings(start_of(initialised(architecture, SHAPE, 1), *batch), 10) == []


def test_each_sign_is_told_by_itself() -> None:
    assert start_warnings(Start(2.3, 0.1, (0.01, 0.1)), 10) == []
    (loss,) = start_warnings(Start(4.0, 0.1, (0.01, 0.1)), 10)
    assert "initial loss is 4.000, expected about ln(10) = 2.303" in loss
    (gradient,) = start_warnings(Start(2.3, 0.1, (1e-5, 0.1)), 10)
    assert "the first layer gets a gradient of 1e-05, the last one of 0.1" in gradient


def test_a_start_is_measured_as_the_formulas_say(batch) -> None:
    images, labels = batch
    model = initialised(parse("flatten | linear 8 | relu | linear 10"), SHAPE, 1)
    found = start_of(model, images, labels)
    x, (w1, b1, w2, b2) = images.double().flatten(1), [p.detach().double() for p in model.parameters()]
    hidden = (x @ w1.T + b1).clamp_min(0)
    logits = hidden @ w2.T + b2
    error = (torch.softmax(logits, 1) - torch.eye(10)[labels]) / len(x)
    first = ((error @ w2) * (hidden > 0)).T @ x
    assert found.loss == pytest.approx(-torch.log_softmax(logits, 1)[range(64), labels].mean().item(), rel=1e-5)
    assert found.spread == pytest.approx(logits.std(0, correction=0).mean().item(), rel=1e-5)
    sizes = [gradient.square().mean().sqrt().item() for gradient in (first, error.T @ hidden)]
    assert found.gradients == pytest.approx(sizes, rel=1e-4)
    assert all(p.grad is None for p in model.parameters())
