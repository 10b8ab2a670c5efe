"""Layers of the from-scratch engine against torch in float64: outputs, gradients, running statistics."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_strategies import fitting_architectures
from cnnlab.arch import layers as L
from cnnlab.arch import named, parse
from cnnlab.arch.layers.base import numbered
from cnnlab.engines.torch.network import with_weights
from cnnlab.scratch.layers.base import Shared, Weights, channels_last
from cnnlab.scratch.layers.branches import LAYERS, Chain

IMAGES = 3


def inside(values):
    """A convolution's weights as the engine stores them: K x kh x kw x C / groups."""
    return np.ascontiguousarray(np.moveaxis(values, 1, -1)) if values.ndim == 4 else np.array(values)


def outside(values):
    return np.moveaxis(values, -1, 1) if values.ndim == 4 else values


class Net:
    """A chain with weights and gradients, and torch's network with the same weights."""

    def __init__(self, architecture, shape, dtype=np.float64, seed=0, kept=None, values=None):
        self.architecture, self.shape, self.dtype = architecture, shape, dtype
        generator = np.random.default_rng(seed)
        arrays = architecture.trace(shape).arrays
        drawn = {
            each.name: np.array(0)
            if each.role == "count"
            else generator.uniform(0.5, 1.5, each.shape)
            if each.role == "variance"
            else generator.normal(size=each.shape)
            for each in arrays
        }
        self.module = with_weights(architecture, shape, drawn).double()
        exact = {name: inside(value.numpy()) for name, value in self.module.state_dict().items()}
        self.values = {n: v.astype(dtype) if v.dtype.kind == "f" else v for n, v in exact.items()}
        trained = {name for name, _ in self.module.named_parameters()}
        self.gradients = {name: np.full_like(self.values[name], np.nan) for name in trained}
        shared = Shared(np.dtype(dtype), kept=kept)
        self.chain = Chain(numbered(architecture.layers), shape, Weights(self.values, self.gradients), shared)

    def forward(self, images, training=True):
        """`images` n x C x H x W, or n x F."""
        x = channels_last(images.reshape(len(images), -1), self.shape).astype(self.dtype)
        x.flags.writeable = False
        out = self.chain.forward(x, training)
        return np.array(out.transpose(2, 3, 0, 1) if out.ndim == 4 else out)

    def backward(self, gradient):
        laid = channels_last(gradient.reshape(len(gradient), -1), self.chain.output).astype(self.dtype)
        laid.flags.writeable = False
        back = self.chain.backward(laid)
        return np.array(back.transpose(2, 3, 0, 1) if back.ndim == 4 else back)


def without_drops(layers):
    """The layers with p = 0: torch's own draws of dropout are not ours."""
    return "dropout" not in str(layers) and "DropPath" not in repr(layers) and "Dropout" not in repr(layers)


def close(ours, theirs, tolerance):
    scale = 1 + np.abs(theirs).max(initial=0)
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)


def agree(architecture, shape, seed=0, training=True, dtype=np.float64, tolerance=2e-7, images=IMAGES):
    net = Net(architecture, shape, dtype, seed)
    generator = np.random.default_rng(seed + 1)
    x = generator.normal(size=(images, *shape)) * 2
    module = net.module.train(training)
    theirs_x = torch.from_numpy(x).requires_grad_()
    theirs = module(theirs_x)
    gradient = generator.normal(size=theirs.shape)
    theirs.backward(torch.from_numpy(gradient))
    ours = net.forward(x, training)
    assert ours.dtype == dtype
    close(ours, theirs.detach().numpy(), tolerance)
    back = net.backward(gradient)
    assert back.dtype == dtype
    close(back, theirs_x.grad.numpy(), tolerance)
    for name, parameter in module.named_parameters():
        close(outside(net.gradients[name]), parameter.grad.numpy(), tolerance)
    for name, buffer in module.named_buffers():
        close(net.values[name], buffer.numpy(), tolerance)


def test_every_layer_of_the_language_is_here():
    assert set(LAYERS) == set(L.LAYERS.values())


@given(fitting_architectures(), st.integers(0, 1000), st.booleans())
@settings(deadline=None, max_examples=60)
def test_networks_of_random_layers(fitting, seed, training):
    architecture, shape = fitting
    if not without_drops(architecture.layers):
        training = False
    agree(architecture, shape, seed, training)


CASES = [
    "conv 3x3 4 | relu | pool 2 | bn | flatten | linear 5",
    "conv 5x3 4 stride 2x1 pad 2x0 nobias | bn momentum 0.3 eps 0.01 | leaky-relu slope 0.2",
    "sepconv 3x3 5 pad 1 | relu6 | elu alpha 0.5 | swish | hardswish | gelu | mish | tanh | sigmoid",
    "pool 3 stride 2 ceil | avg-pool 3 stride 2 pad 1 ceil",
    "pool 3 stride 1 pad 1 | avg-pool 4 stride 3 ceil | conv 1x1 4 | se 2 activation swish gate hardsigmoid",
    "conv 3x3 6 pad same groups 3 | shuffle 3 | split 2 3 | ln | gn 2 | scale 0.5 | se 3",
    "residual(conv 3x3 6 stride 2 pad 1 | gn 3; shortcut(avg-pool 2 ceil | conv 1x1 6) activation elu)",
    "residual(conv 3x3 5 stride 2 pad 1 | bn; shortcut A)",
    "residual(conv 3x3 5 stride 2 pad 1 | bn; shortcut B activation none) | identity",
    "residual(conv 3x3 3 pad 1; activation leaky-relu slope 0.3)",
    "concat(identity; sum(conv 1x1 2; conv 3x3 2 pad 1; split 1 3 | conv 1x1 2)) | mish | hardswish | gap | ln",
    "flatten | linear 4 nobias | bn | concat(linear 2; linear 3) | sum(identity; relu)",
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("text", CASES)
def test_layers_in_both_modes(text, training):
    agree(parse(text), (3, 11, 9), training=training)


@pytest.mark.parametrize("text", CASES)
def test_float32_stays_float32(text):
    agree(parse(text), (3, 11, 9), dtype=np.float32, tolerance=2e-3)


@pytest.mark.parametrize("name", ["resnet20", "shufflenetv2", "densenet-bc-100-12"])
def test_named_networks(name):
    agree(named(name), (3, 32, 32), images=2, tolerance=1e-6)


def test_ties_in_max_pooling_go_to_the_first():
    net = Net(parse("pool 3 stride 2 pad 1"), (2, 5, 5))
    x = np.zeros((1, 2, 5, 5))
    theirs = torch.zeros(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    out = net.module(theirs)
    gradient = np.arange(1.0, out.numel() + 1).reshape(out.shape)
    out.backward(torch.from_numpy(gradient))
    net.forward(x)
    np.testing.assert_array_equal(net.backward(gradient), theirs.grad.numpy())


@pytest.mark.parametrize(("text", "value"), [("hardswish", 3.0), ("hardswish", -3.0), ("relu6", 6.0), ("relu", 0.0)])
def test_corners_of_activations(text, value):
    net = Net(parse(text), (1,))
    theirs = torch.full((1, 1), value, dtype=torch.float64, requires_grad=True)
    net.module(theirs).sum().backward()
    net.forward(np.full((1, 1), value))
    np.testing.assert_allclose(net.backward(np.ones((1, 1))), theirs.grad.numpy(), atol=1e-12)


def test_dropout_drops_where_the_mask_says():
    """Masks are in torch's order of units: C, H, W; what stays is divided by 1 - p."""
    generator = np.random.default_rng(0)
    masks = {"0": generator.random((2, 3 * 4 * 5)) < 0.5, "1": np.array([[True], [False]])}
    net = Net(parse("dropout 0.25 | droppath 0.5"), (3, 4, 5), kept=lambda path, units, p: masks[path])
    x = generator.normal(size=(2, 3, 4, 5))
    factor = masks["0"].reshape(2, 3, 4, 5) / 0.75 * masks["1"].reshape(2, 1, 1, 1) / 0.5
    np.testing.assert_allclose(net.forward(x), x * factor)
    np.testing.assert_allclose(net.backward(x), x * factor)
    np.testing.assert_array_equal(net.forward(x, training=False), x)


def test_batch_norm_refuses_one_value_per_channel():
    with pytest.raises(ValueError, match="more than one value"):
        Net(parse("bn"), (3,)).forward(np.ones((1, 3)))


def test_a_second_batch_of_another_size_has_its_own_result():
    """Memory is used again, and nothing of the larger batch before remains."""
    architecture = parse("conv 3x3 4 pad 1 | bn | relu | pool 2 | flatten | linear 3")
    used, fresh = (Net(architecture, (3, 8, 8)) for _ in range(2))
    generator = np.random.default_rng(0)
    used.forward(generator.normal(size=(7, 3, 8, 8)), training=False)
    used.backward(generator.normal(size=(7, 3)))
    x, gradient = generator.normal(size=(2, 3, 8, 8)), generator.normal(size=(2, 3))
    np.testing.assert_array_equal(used.forward(x, False), fresh.forward(x, False))
    np.testing.assert_array_equal(used.backward(gradient), fresh.backward(gradient))
    for name, expected in fresh.gradients.items():
        np.testing.assert_array_equal(used.gradients[name], expected)


def test_weights_are_not_changed_by_passes():
    net = Net(parse("conv 3x3 4 | gn 2 | relu | gap | linear 3"), (3, 8, 8))
    before = copy.deepcopy(net.values)
    net.forward(np.ones((2, 3, 8, 8)))
    net.backward(np.ones((2, 3)))
    for name, value in before.items():
        np.testing.assert_array_equal(net.values[name], value)
