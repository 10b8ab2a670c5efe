"""The NumPy formulas of every layer against torch's own operators, in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_strategies import fitting_architectures
from cnnlab.arch import named, parse
from cnnlab.arch.layers import LAYERS
from cnnlab.engines.torch.network import build
from cnnlab.scratch.reference.network import LAYERS as OURS
from cnnlab.scratch.reference.network import forward
from reference_networks import drawn_arrays


def by_torch(architecture, shape, images, weights):
    model = build(architecture, shape).double().eval()
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    with torch.no_grad():
        return model(torch.from_numpy(images)).numpy()


def agree(architecture, shape, seed):
    images = np.random.default_rng(seed).normal(size=(3, *shape)) * 3
    weights = drawn_arrays(architecture, shape, seed)
    ours, theirs = forward(architecture.layers, images, weights), by_torch(architecture, shape, images, weights)
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * (1 + np.abs(theirs).max()))


def test_every_layer_has_a_formula():
    assert set(OURS) == set(LAYERS.values())


@given(fitting_architectures(), st.integers(0, 1000))
@settings(deadline=None, max_examples=80)
def test_networks_of_random_layers(fitting, seed):
    agree(*fitting, seed)


@pytest.mark.parametrize(
    "text",
    [
        "pool 3 stride 2 ceil | avg-pool 3 stride 2 pad 1 ceil",
        "avg-pool 4 stride 3 ceil | conv 1x1 4 | se 2 activation swish gate hardsigmoid",
        "conv 3x3 6 pad same groups 3 | shuffle 3 | split 2 3 | ln | gn 2",
        "residual(conv 3x3 6 stride 2 pad 1 | gn 3; shortcut(avg-pool 2 ceil | conv 1x1 6) activation elu)",
        "residual(conv 3x3 3 pad 1; activation leaky-relu slope 0.3)",
        "concat(identity; sum(conv 1x1 2; conv 3x3 2 pad 1; split 1 3 | conv 1x1 2)) | mish | hardswish | gap | ln",
    ],
)
def test_layers_with_uncommon_options(text):
    agree(parse(text), (3, 11, 9), 0)


@pytest.mark.parametrize("name", ["mds5122-v3", "shufflenetv2", "efficientnet-b0", "senet18"])
def test_named_networks(name):
    options = {"width": 1 / 64} if name.startswith("mds") else {}
    agree(named(name, **options), (3, 32, 32), 1)


def test_overflow_and_ties():
    """Large values overflow neither sigmoid nor mish; a window with equal values has that maximum."""
    x = np.array([[-1e4, -1.0, 0.0, 1.0, 1e4]]).reshape(1, 5, 1, 1)
    with np.errstate(all="raise", under="ignore"):
        for name in ("sigmoid", "swish", "mish", "tanh", "elu", "gelu"):
            layers = parse(name)
            np.testing.assert_allclose(forward(layers.layers, x, {}), by_torch(layers, (5, 1, 1), x, {}), atol=1e-12)
    assert forward(parse("pool 2").layers, np.full((1, 1, 2, 2), -7.0), {}).item() == -7
