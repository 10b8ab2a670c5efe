"""Every layer of the reference, forward and backward: against torch and finite differences, and what may not change."""

import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_strategies import fitting_architectures
from cnnlab.arch import layers as L
from cnnlab.arch import parse
from cnnlab.arch.architecture import Architecture
from cnnlab.core.errors import CnnlabError
from cnnlab.scratch import reference
from cnnlab.scratch.reference.activations import HardSigmoid
from cnnlab.scratch.reference.losses import cross_entropy
from cnnlab.scratch.reference.network import LAYERS, build
from reference_networks import close, compared, differences, draw, drawn_arrays, torch_network

# Every layer and its options, on an odd map of 6 channels x 7 x 5.
MAP_LAYERS = [
    "conv 3x3 4",
    "conv 3x2 6 stride 2x3 pad 1x0 groups 3",
    "conv 3x3 6 pad same groups 6 nobias",
    "conv 1x1 4 stride 2",
    "sepconv 3x3 4 stride 2 pad 1",
    "sepconv 2x3 4 nobias",
    "bn",
    "bn eps 0.1 momentum 0.3",
    "gn 3",
    "gn 1 eps 0.1",
    "ln",
    *L.ACTIVATIONS,
    "leaky-relu slope 0.3",
    "elu alpha 0.4",
    "pool 2",
    "pool 3 stride 2 pad 1",
    "pool 2 ceil",
    "pool 4 stride 3 pad 1 ceil",
    "pool 2x3 stride 3 ceil",
    "avg-pool 2",
    "avg-pool 2 ceil",
    "avg-pool 4 stride 3 pad 1 ceil",
    "avg-pool 2x3 stride 3x2",
    "gap",
    "flatten",
    "identity",
    "scale -0.5",
    "shuffle 3",
    "split 2 3",
    "se 3",
    "se 2 activation swish gate hardsigmoid",
    "dropout 0.4",
    "droppath 0.5",
    "residual(conv 3x3 6 pad 1)",
    "residual(conv 3x3 9 stride 2 pad 1; shortcut A activation tanh)",
    "residual(conv 3x3 4 stride 2 pad 1; shortcut B activation none)",
    "residual(pool 2 ceil; shortcut(avg-pool 2 ceil) activation leaky-relu slope 0.3)",
    "residual(conv 1x1 6 | dropout 0.3; activation swish)",
    "concat(identity; conv 3x3 2 pad 1; split 1 3 | bn)",
    "sum(identity; shuffle 2; conv 1x1 6)",
]
FLAT_LAYERS = ["linear 3", "linear 3 nobias", "bn", "ln", "dropout 0.4", "droppath 0.5", "flatten", "relu"]
CASES = [*((text, (6, 7, 5)) for text in MAP_LAYERS), *((text, (5,)) for text in FLAT_LAYERS)]


def test_the_cases_have_every_layer():
    assert set(LAYERS) == set(L.LAYERS.values())
    written = " ".join(text for text, _ in CASES)
    assert {name for name in L.LAYERS if name not in written.replace("(", " ").replace(";", " ").split()} == set()


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("text", "shape"), CASES)
def test_outputs_gradients_and_statistics_are_torchs(text, shape, training):
    # torch computes the slope 1/6 of its hard sigmoid in float32, which is 3e-8 off.
    compared(parse(text), shape, training, tolerance=1e-6 if "hardsigmoid" in text else 1e-10)


@pytest.mark.parametrize(("text", "shape"), CASES)
def test_gradients_are_those_of_differences(text, shape):
    for training in (True, False) if "bn" in text or "; shortcut B" in text else (True,):
        differences(parse(text), shape, training)


@given(fitting_architectures(), st.booleans(), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_networks_of_random_layers(fitting, training, seed):
    """Without normalisations: after one, a value that should be 0 is 1e-17 of any sign, on which a ReLU depends."""
    architecture, shape = fitting
    layers = tuple(layer for layer in architecture.layers if not normalises(layer))
    try:
        kept = Architecture((*layers, L.ReLU()))
        kept.trace(shape)
    except CnnlabError:  # a layer that is left out may have made the shape that the next one needs
        return
    compared(kept, shape, training, seed=seed, tolerance=1e-6 if "hardsigmoid" in str(kept) else 1e-10)


def normalises(layer):
    if isinstance(layer, L.Container):
        groups = (inner for part in layer.written.values() for inner in part)
        return any(map(normalises, groups)) or (isinstance(layer, L.Residual) and layer.shortcut == "B")
    return isinstance(layer, L.Normalisation)


def test_a_whole_network_of_many_steps():
    """Three steps in training and one in evaluation: statistics of the steps before are used as torch does."""
    block = "conv 3x3 {0} pad 1 nobias | bn | relu | conv 3x3 {0} pad 1 stride {1} nobias | bn"
    blocks = f"residual({block.format(4, 1)}) | residual({block.format(8, 2)}; shortcut B)"
    architecture, shape = parse(f"conv 3x3 4 pad same | bn | relu | {blocks} | gap | linear 10"), (3, 9, 8)
    arrays = drawn_arrays(architecture, shape)
    ours, theirs = build(architecture.layers, arrays), torch_network(architecture, shape, arrays).train()
    generator = np.random.default_rng(0)
    for step in range(4):
        images = generator.normal(size=(4, *shape))
        theirs.train(step < 3).zero_grad()
        leaf = torch.from_numpy(images).requires_grad_()
        expected = theirs(leaf)
        expected.square().sum().backward()
        output = ours.forward(images, training=step < 3)
        close(output, expected.detach().numpy())
        close(ours.backward(2 * output), leaf.grad.numpy())
        for name, parameter in theirs.named_parameters():
            close(ours.all_gradients()[name], parameter.grad.numpy())
        for name, value in theirs.state_dict().items():
            close(ours.all_weights()[name], value.double().numpy())
    assert ours.all_weights()["1.num_batches_tracked"] == 3


@pytest.mark.parametrize("text", ["pool 2", "pool 3 stride 1 pad 1", "pool 3 stride 2 ceil", "pool 2 stride 1"])
def test_of_equal_values_the_first_gets_the_gradient(text):
    """Small whole numbers: almost every window has its maximum more than once."""
    images = np.random.default_rng(0).integers(0, 2, size=(3, 2, 7, 6)).astype(float)
    compared(parse(text), (2, 7, 6), True, images=images)
    compared(parse(text), (2, 7, 6), True, images=np.full((1, 2, 7, 6), -3.0))


@pytest.mark.parametrize(
    "text", ["relu", "leaky-relu slope 0.3", "relu6", "elu alpha 0.4", "hardswish", "pool 2 | relu"]
)
def test_slopes_at_corners_are_torchs(text):
    corners = np.array([-3.0, 0.0, 3.0, 6.0, -6.0, 1.0]).reshape(1, 1, 2, 3)
    compared(parse(text), (1, 2, 3), True, images=corners)


def test_the_hard_sigmoid_at_its_corners():
    x = np.array([[-4.0, -3.0, 0.0, 3.0, 4.0]])
    layer = HardSigmoid(None)
    np.testing.assert_allclose(layer.forward(x, True), [[0, 0, 0.5, 1, 1]])
    np.testing.assert_allclose(layer.backward(np.ones((1, 5))), [[0, 0, 1 / 6, 0, 0]])


@pytest.mark.parametrize("name", ["sigmoid", "swish", "mish", "tanh", "elu", "gelu"])
def test_slopes_far_from_zero(name):
    images = np.array([-1e4, -800.0, -30.0, 30.0, 800.0, 1e4]).reshape(1, 6, 1, 1)
    with np.errstate(all="raise", under="ignore"):
        compared(parse(name), (6, 1, 1), True, images=images)


@pytest.mark.parametrize(("text", "shape"), CASES)
def test_neither_contiguous_nor_writable_arrays_are_needed(text, shape):
    architecture = parse(text)
    arrays = drawn_arrays(architecture, shape)
    images = np.random.default_rng(0).normal(size=(4, *shape))
    ours, other = (build(architecture.layers, arrays, draw) for _ in range(2))
    output = ours.forward(images, True)
    gradient = np.random.default_rng(1).normal(size=output.shape)
    close(other.forward(scattered(images), True), output)  # sums go in another order
    close(other.backward(scattered(gradient)), ours.backward(gradient))
    for name, value in ours.all_gradients().items():
        close(other.all_gradients()[name], value)


def scattered(values):
    """The same values in the opposite order of axes and every second place of memory, read-only."""
    spread = np.zeros((*values.T.shape[:-1], 2 * values.T.shape[-1]))
    view = spread[..., ::2].T
    view[...] = values
    view.flags.writeable = False
    assert not view.flags.c_contiguous
    return view


def test_the_arrays_that_are_given_stay_as_they_are():
    architecture = parse("conv 3x3 4 | bn | relu")
    arrays = drawn_arrays(architecture, (2, 5, 5))
    kept = {name: value.copy() for name, value in arrays.items()}
    ours = build(architecture.layers, arrays)
    ours.backward(ours.forward(np.ones((2, 2, 5, 5)), True))
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, kept[name])


def test_the_example_of_the_package_lowers_the_loss():
    """What a student reads first runs as it is written: one step against the gradient, of a size that is small here."""
    assert reference.__doc__ is not None
    lines = [line for line in reference.__doc__.splitlines() if line.startswith("    ")]
    assert len(lines) == 6
    architecture = parse("flatten | linear 10")
    images, labels = np.random.default_rng(0).normal(size=(8, 1, 3, 3)), np.arange(8)
    names = {"parse": parse, "build": build, "cross_entropy": cross_entropy, "images_NCHW": images, "labels_B": labels}
    names["arrays"] = drawn_arrays(architecture, (1, 3, 3))
    exec(textwrap.dedent("\n".join(lines)), names)
    after, _ = cross_entropy(build(architecture.layers, names["arrays"]).forward(images, True), labels)
    expected = names["loss"] - 0.1 * sum((gradient**2).sum() for gradient in names["gradients"].values())
    assert after < names["loss"]
    assert after == pytest.approx(expected, rel=0.05)  # to first order, a step of 0.1 lowers it by 0.1 |gradient|^2


def test_a_second_backward_replaces_gradients():
    ours = build(parse("linear 2").layers, drawn_arrays(parse("linear 2"), (3,)))
    ours.forward(np.ones((2, 3)), True)
    first = ours.backward(np.ones((2, 2))), ours.all_gradients()["0.weight"]
    again = ours.backward(np.ones((2, 2))), ours.all_gradients()["0.weight"]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_dropout_keeps_the_mean_and_knows_its_path():
    asked = []

    def record(path, shape, p):
        asked.append((path, shape, p))
        return np.ones(shape)

    ours = build(parse("residual(droppath 0.2) | dropout 0.5").layers, {}, record)
    np.testing.assert_allclose(ours.forward(np.ones((2, 1, 2, 2)), True), (1 / 0.8 + 1) / 0.5)
    assert asked == [("0.body.0", (2, 1, 1, 1), 0.2), ("1", (2, 1, 2, 2), 0.5)]


def test_training_without_draws_says_what_to_do():
    with pytest.raises(CnnlabError, match="give build"):
        build(parse("dropout 0.5").layers, {}).forward(np.ones((2, 3)), True)


def test_batch_normalisation_of_one_value_says_what_to_do():
    ours = build(parse("bn").layers, drawn_arrays(parse("bn"), (3,)))
    with pytest.raises(CnnlabError, match="expected at least two"):
        ours.forward(np.ones((1, 3)), True)
