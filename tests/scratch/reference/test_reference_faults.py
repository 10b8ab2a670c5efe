"""Faults put into the layers of the reference, and that the comparisons of `tests/reference_networks.py` show each."""

import importlib

import numpy as np
import pytest

from cnnlab.arch import parse
from cnnlab.scratch.reference.network import LAYERS
from gradient_checks import with_fault
from reference_networks import compared, differences

# module, its text, another text, a network that must show it
FAULTS = [
    ("windows", "+= values_NCYXIJ", "= values_NCYXIJ", "conv 3x3 4"),
    ("weighted", '_product("noyx,ncyxij->ocij", *', '-_product("noyx,ncyxij->ocij", *', "conv 1x1 2"),
    ("weighted", "gradient_NO.sum(axis=0)", "gradient_NO.mean(axis=0)", "linear 3"),
    ("weighted", "gradient_NOYX.sum(axis=(0, 2, 3))", "gradient_NOYX.sum(axis=(2, 3))[0]", "conv 1x1 2"),
    ("weighted", '"noyx,ocij->ncyxij"', '"noyx,ocji->ncyxij"', "conv 3x3 4"),
    ("normalisations", "(gradient - mean - self", "(gradient - self", "bn"),
    ("normalisations", " - self.normal * mean_product)", ")", "gn 3"),
    ("normalisations", "return gradient * per_channel(", "return gradient + 0 * per_channel(", "ln"),
    ("normalisations", "if not self.training", "if self.training", "bn"),
    ("pooling", "flat.argmax(axis=4)", "flat.argmin(axis=4)", "pool 2"),
    ("pooling", "gradient_NCYX / self.counts_YX", "gradient_NCYX / 4", "avg-pool 2 ceil"),
    ("pooling", "(height * width)", "height", "gap"),
    ("activations", "1 - np.tanh(x) ** 2", "1 - x**2", "tanh"),
    ("activations", "sigmoid(x) + x * sigmoid(x) * sigmoid(-x)", "sigmoid(x)", "swish"),
    ("channels", "[:, self.sources] = gradient_NCHW", "[:] = gradient_NCHW[:, self.sources]", "shuffle 2"),
    ("channels", " + self.factor.backward(gradient_factor_NC)", "", "se 3"),
    ("dropping", "return gradient * self.factor", "return gradient", "dropout 0.4"),
    ("branches", " + self.shortcut.backward(gradient_sum)", "", "residual(conv 1x1 6)"),
    ("branches", "[branch.backward(gradient) for", "[branch.backward(gradient / 2) for", "sum(identity; conv 1x1 6)"),
]


@pytest.mark.parametrize(("module", "old", "new", "text"), FAULTS)
def test_differences_show_a_fault_of_a_layer(module, old, new, text, monkeypatch):
    put_in(monkeypatch, module, old, new)
    with pytest.raises(AssertionError, match="numerically"):
        differences(parse(text), (5,) if text.startswith("linear") else (6, 7, 5), True)


# What only another implementation shows: values that are consistent, but other than torch's.
DEVIATIONS = [
    ("pooling", "(np.arange(flat.shape[4]) == first[..., None])", "(flat == flat.max(axis=4)[..., None])", "pool 2"),
    ("pooling", "padding=1, beyond=0", "padding=0, beyond=0", "avg-pool 3 stride 2 pad 1"),
    ("pooling", "padding=1, beyond=0", "padding=1, beyond=1", "avg-pool 3 stride 2 ceil"),
    ("normalisations", "variance * count / (count - 1)", "variance", "bn"),
    ("normalisations", "(1 - momentum) * old + momentum * new", "momentum * old + (1 - momentum) * new", "bn"),
    ("normalisations", '["num_batches_tracked"] + 1', '["num_batches_tracked"] + 0', "bn"),
]


@pytest.mark.parametrize(("module", "old", "new", "text"), DEVIATIONS)
def test_torch_shows_a_deviation(module, old, new, text, monkeypatch):
    images = np.random.default_rng(0).integers(0, 2, size=(3, 2, 6, 6)).astype(float)
    compared(parse(text), (2, 6, 6), True, images=images)
    put_in(monkeypatch, module, old, new)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compared(parse(text), (2, 6, 6), True, images=images)


def put_in(monkeypatch, module, old, new):
    """Use everything that a module with this fault defines, wherever the reference uses the original."""
    original = importlib.import_module(f"cnnlab.scratch.reference.{module}")
    faulty = with_fault(original, old, new)
    wrong = {
        id(vars(original)[name]): value
        for name, value in vars(faulty).items()
        if getattr(value, "__module__", None) == faulty.__name__
    }
    for name in ("windows", "weighted", "pooling", "channels", "branches", "network"):
        place = importlib.import_module(f"cnnlab.scratch.reference.{name}")
        for key, value in list(vars(place).items()):
            if id(value) in wrong:
                monkeypatch.setattr(place, key, wrong[id(value)])
    for kind, value in list(LAYERS.items()):
        if id(value) in wrong:
            monkeypatch.setitem(LAYERS, kind, wrong[id(value)])
