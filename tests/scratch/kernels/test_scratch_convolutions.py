"""Kernels of convolutions against torch: values and gradients, in float64 and float32."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.scratch.kernels.base import Geometry
from cnnlab.scratch.kernels.choose import convolution
from cnnlab.scratch.memory import Memory


@st.composite
def geometries(draw):
    """Any convolution that fits its map, with its number of images."""
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    sides = [draw(st.integers(max(1, k - 2 * p), 9)) for k, p in zip(kernel, padding, strict=True)]
    groups, each, out = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return Geometry(*sides, groups * each, groups * out, kernel, stride, padding, groups), draw(st.integers(1, 4))


def arrays_of(geometry, images, dtype, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(geometry.height, geometry.width, images, geometry.channels))
    weight = generator.normal(size=(geometry.filters, *geometry.kernel, geometry.channels // geometry.groups))
    bias = generator.normal(size=geometry.filters)
    gradient = generator.normal(size=(geometry.out_height, geometry.out_width, images, geometry.filters))
    return [array.astype(dtype) for array in (x, weight, bias, gradient)]


def by_torch(geometry, x, weight, bias, gradient):
    """Output and gradients of input, weight and bias, float64."""
    leaves = [
        torch.from_numpy(np.array(array, np.float64, order="C")).requires_grad_()
        for array in (x.transpose(2, 3, 0, 1), weight.transpose(0, 3, 1, 2), bias)
    ]
    out = F.conv2d(*leaves, geometry.stride, geometry.padding, 1, geometry.groups)
    out.backward(torch.from_numpy(np.array(gradient.transpose(2, 3, 0, 1), np.float64, order="C")))
    of_x, of_weight, of_bias = (leaf.grad.numpy() for leaf in leaves)
    return (
        out.detach().numpy().transpose(2, 3, 0, 1),
        of_x.transpose(2, 3, 0, 1),
        of_weight.transpose(0, 2, 3, 1),
        of_bias,
    )


def by_kernel(geometry, x, weight, bias, gradient, memory=None):
    kernel = convolution(geometry, memory or Memory(), x.dtype)
    found = [np.full_like(array, np.nan) for array in (gradient, x, weight, bias)]
    for array in (x, weight, bias, gradient):
        array.flags.writeable = False
    kernel.forward(x, weight, bias, found[0])
    kernel.backward_weight(x, gradient, found[2], found[3])
    kernel.backward_input(gradient, weight, found[1])
    return found


@given(geometries(), st.sampled_from([(np.float64, 1e-12), (np.float32, 1e-5)]))
@settings(deadline=None, max_examples=150)
def test_every_geometry_agrees_with_torch(made, precision):
    (geometry, images), (dtype, tolerance) = made, precision
    arrays = arrays_of(geometry, images, dtype)
    for ours, theirs in zip(by_kernel(geometry, *arrays), by_torch(geometry, *arrays), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * (1 + np.abs(theirs).max()))


@pytest.mark.parametrize("channels", [3, 32, 64])
def test_maps_larger_than_a_block(channels):
    geometry = Geometry(32, 32, channels, 8, (3, 3), (1, 1), (1, 1))
    arrays = arrays_of(geometry, 8, np.float64)
    for ours, theirs in zip(by_kernel(geometry, *arrays), by_torch(geometry, *arrays), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_input_in_another_order_of_memory():
    geometry = Geometry(6, 5, 4, 3, (3, 3), (1, 1), (1, 1))
    x, *others = arrays_of(geometry, 2, np.float64)
    turned = np.ascontiguousarray(x.transpose(2, 3, 0, 1)).transpose(2, 3, 0, 1)
    assert not turned.flags.c_contiguous
    for ours, expected in zip(by_kernel(geometry, turned, *others), by_torch(geometry, x, *others), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


def test_memory_is_allocated_once():
    geometry, memory = Geometry(8, 8, 4, 6, (3, 3), (1, 1), (1, 1)), Memory()
    by_kernel(geometry, *arrays_of(geometry, 5, np.float32), memory)
    used = memory.bytes
    assert used > 0
    for images in (5, 2):
        by_kernel(geometry, *arrays_of(geometry, images, np.float32), memory)
    assert memory.bytes == used


def test_memory_of_one_name_is_the_same_and_grows():
    memory = Memory()
    first = memory.array("a", (2, 3), np.float32)
    assert np.shares_memory(first, memory.array("a", (3,), np.float32))
    assert not np.shares_memory(first, memory.array("b", (2, 3), np.float32))
    assert not np.shares_memory(first, memory.array("a", (2, 3), np.float64))
    assert memory.array("a", (7,), np.float32).shape == (7,)
    assert memory.bytes == 4 * 7 + 4 * 6 + 8 * 6
