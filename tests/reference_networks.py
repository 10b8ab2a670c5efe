"""The NumPy networks of `scratch/reference/` beside torch's and beside finite differences."""

import numpy as np
import torch

from cnnlab.engines.torch import modules
from cnnlab.engines.torch.network import with_weights
from cnnlab.scratch.reference.network import build
from gradient_checks import check_gradient


def drawn_arrays(architecture, shape, seed=0):
    """Arrays in which none is trivial: no scale of 1, no mean of 0."""
    generator = np.random.default_rng(seed)
    return {
        each.name: np.array(0)
        if each.role == "count"
        else generator.uniform(0.5, 1.5, each.shape)
        if each.role == "variance"
        else generator.normal(size=each.shape)
        for each in architecture.trace(shape).arrays
    }


def draw(path, shape, p):
    """The same for every call, so that finite differences compare equal draws; never all of one value."""
    return np.random.default_rng([len(path), 5]).permutation(np.arange(np.prod(shape)) % 3 > 0).reshape(shape)


class FixedDropping(torch.nn.Module):
    """Torch's dropout with the draws of `draw`."""

    def __init__(self, path, p, whole):
        super().__init__()
        self.path, self.p, self.whole = path, p, whole

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        shape = (len(x), *(1 for _ in x.shape[1:])) if self.whole else tuple(x.shape)
        return x * torch.from_numpy(draw(self.path, shape, self.p)) / (1 - self.p)


def torch_network(architecture, shape, arrays):
    module = with_weights(architecture, shape, arrays).double()
    for path, child in list(module.named_modules()):
        if isinstance(child, torch.nn.Dropout | modules.DropPath):
            owner, _, name = path.rpartition(".")
            fixed = FixedDropping(path, child.p, isinstance(child, modules.DropPath))
            module.get_submodule(owner).add_module(name, fixed)
    return module


def compared(architecture, shape, training, count=4, images=None, seed=1, tolerance=1e-10):
    """One step of our network and of torch's, with everything that they compute compared. Returns ours."""
    generator = np.random.default_rng(seed)
    arrays = drawn_arrays(architecture, shape)
    if images is None:
        images = generator.normal(size=(count, *shape)) * 2
    ours, theirs = build(architecture.layers, arrays, draw), torch_network(architecture, shape, arrays).train(training)
    leaf = torch.from_numpy(images.copy()).requires_grad_()
    expected = theirs(leaf)
    gradient = generator.normal(size=tuple(expected.shape))
    expected.backward(torch.from_numpy(gradient))
    kept = images.copy(), gradient.copy()
    output = ours.forward(images, training)
    gradient_images = ours.backward(gradient)
    for changed, before in zip((images, gradient), kept, strict=True):
        np.testing.assert_array_equal(changed, before)
    close(output, expected.detach().numpy(), tolerance)
    close(gradient_images, leaf.grad.numpy(), tolerance)
    assert gradient_images.shape == images.shape
    gradients = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}
    assert ours.all_gradients().keys() == gradients.keys()
    for name, value in ours.all_gradients().items():
        close(value, gradients[name], tolerance)
    state = theirs.state_dict()
    assert ours.all_weights().keys() == state.keys()
    for name, value in ours.all_weights().items():
        close(value, state[name].numpy(), tolerance)
    return ours


def close(ours, theirs, tolerance=1e-10):
    assert ours.dtype == np.float64
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * (1 + np.abs(theirs).max(initial=0)))


def differences(architecture, shape, training, seed=1):
    """The gradients of our network for images and each weight are those of finite differences."""
    generator = np.random.default_rng(seed)
    arrays, images = drawn_arrays(architecture, shape), generator.normal(size=(3, *shape))
    ours = build(architecture.layers, arrays, draw)
    gradient = generator.normal(size=ours.forward(images, training).shape)

    def loss(x, changed):
        net = build(architecture.layers, {**arrays, **changed}, draw)
        return float((net.forward(x, training) * gradient).sum())

    check_gradient(lambda x: loss(x, {}), images, ours.backward(gradient))
    for name, value in ours.all_gradients().items():
        check_gradient(lambda x, name=name: loss(images, {name: x}), arrays[name], value)
