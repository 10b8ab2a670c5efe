"""The torch lowering: every layer has one, keys follow paths, initial weights are derived and sensible."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnlab.arch import named, parse
from cnnlab.arch.layers import LAYERS
from cnnlab.core.errors import ArchitectureError
from cnnlab.engines.torch.network import MODULES, PadSubsample, build, initialise


def test_every_layer_has_a_module():
    assert set(MODULES) == set(LAYERS.values())


def test_keys_follow_the_paths():
    architecture = parse(
        "conv 3x3 8 | residual(conv 3x3 16 stride 2 pad 1 | bn; shortcut B) | gap | linear 10"
    )
    trained = dict(build(architecture, (3, 32, 32)).named_parameters())
    assert list(trained) == [
        *("0.weight", "0.bias", "1.body.0.weight", "1.body.0.bias", "1.body.1.weight", "1.body.1.bias"),
        *("1.shortcut.conv.weight", "1.shortcut.bn.weight", "1.shortcut.bn.bias", "3.weight", "3.bias"),
    ]
    rows = {row.path: row for row in architecture.trace((3, 32, 32)).rows}
    for name, parameter in trained.items():
        path, _, kind = name.rpartition(".")
        assert parameter.numel() == (rows[path].weights if kind == "weight" else rows[path].biases)


def test_shortcut_a_subsamples_and_pads():
    x = torch.arange(2 * 3 * 5 * 4.0).reshape(2, 3, 5, 4)
    y = PadSubsample((2, 2), new_channels=3)(x)
    assert y.shape == (2, 6, 3, 2)
    for channel in range(6):
        for row in range(3):
            for column in range(2):
                expected = x[:, channel - 1, 2 * row, 2 * column] if 1 <= channel < 4 else torch.zeros(2)
                assert torch.equal(y[:, channel, row, column], expected)


def test_residual_adds_then_activates():
    model = build(parse("residual(conv 1x1 2; activation relu)"), (2, 4, 4))
    x = torch.randn(3, 2, 4, 4)
    assert torch.equal(model(x), torch.relu(model[0].body(x) + x))
    bare = build(parse("residual(conv 1x1 2; activation none)"), (2, 4, 4))
    assert torch.equal(bare(x), bare[0].body(x) + x)


def test_pad_counts_in_average():
    out = build(parse("avg-pool 3 stride 1 pad 1"), (1, 3, 3))(torch.ones(1, 1, 3, 3))
    assert out[0, 0, 0, 0].item() == pytest.approx(4 / 9)


def test_misfit_is_the_architectures_error():
    with pytest.raises(ArchitectureError, match="put 'flatten' or 'gap'"):
        build(parse("linear 10"), (3, 32, 32))


def weights(name, seed, **options):
    model = build(named(name, **options), (3, 32, 32))
    initialise(model, seed)
    return model.state_dict()


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = weights("resnet20", 5, shortcut="B")
    torch.manual_seed(2)
    again, other = weights("resnet20", 5, shortcut="B"), weights("resnet20", 6, shortcut="B")
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(
        torch.equal(first[key], other[key]) for key in first if key.endswith(("conv.weight", "13.weight"))
    )


def test_initialise_leaves_the_global_generator_alone():
    model = build(named("simplenn"), (3, 32, 32))
    before = torch.get_rng_state()
    initialise(model, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_initial_distributions():
    normalised = weights("resnet20", 0)
    assert normalised["0.weight"].std().item() == pytest.approx(math.sqrt(2 / 27), rel=0.1)
    assert normalised["3.body.0.weight"].std().item() == pytest.approx(math.sqrt(2 / 144), rel=0.1)
    state = weights("simplenn", 0)
    assert state["0.weight"].abs().max() <= 1 / math.sqrt(75)
    assert state["3.weight"].std().item() == pytest.approx(1 / math.sqrt(3 * 72), rel=0.1)
    assert 0 < state["0.bias"].abs().max() <= 1 / math.sqrt(75)
    assert state["7.weight"].abs().max() <= 1 / math.sqrt(576)
    assert state["7.weight"].std().item() == pytest.approx(1 / math.sqrt(3 * 576), rel=0.02)
    assert 0 < state["7.bias"].abs().max() <= 1 / math.sqrt(576)


def test_networks_with_residuals_start_with_small_logits_and_whole_bodies():
    state = weights("resnet20", 0)
    assert state["13.weight"].std().item() == pytest.approx(0.01, rel=0.1)
    assert not state["13.bias"].any()
    assert all((state[f"{index}.body.4.weight"] == 1).all() for index in range(3, 12))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("name", "options"),
    [("simplenn", {}), ("simplenn", {"batchnorm": True}), ("resnet20", {}), ("resnet56", {"shortcut": "B"})],
)
def test_initial_loss_is_near_ln_of_classes(name, options, seed):
    model = build(named(name, **options), (3, 32, 32))
    initialise(model, seed)
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(64, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (64,), generator=generator)
    loss = F.cross_entropy(model(images), labels).item()
    assert loss == pytest.approx(math.log(10), abs=0.1)


@pytest.mark.parametrize("activation", ["relu", "leaky-relu slope 0.1"])
@pytest.mark.parametrize("pool", ["pool 2", "pool 3 stride 2 pad 1"])
def test_pooling_before_a_rising_activation_changes_no_value_and_no_gradient(activation, pool):
    model = build(parse(f"conv 3x3 4 | {activation} | {pool} | flatten | linear 10"), (3, 13, 13))
    assert [name for name, _ in model.named_children()] == ["0", "2", "1", "3", "4"]
    initialise(model, 0)
    images = torch.randn(8, 3, 13, 13, generator=torch.Generator().manual_seed(0))
    written = nn.Sequential(*[model.get_submodule(str(index)) for index in range(5)])
    results = []
    for network in (model, written):
        model.zero_grad()
        logits = network(images)
        logits.square().sum().backward()
        results.append([logits.detach(), *[p.grad.clone() for p in model.parameters()]])
    (our_logits, *our_gradients), (their_logits, *their_gradients) = results
    assert torch.equal(our_logits, their_logits)
    # Where windows overlap, the slope is applied before the gradients are added up, or after: rounding differs.
    torch.testing.assert_close(our_gradients, their_gradients, rtol=1e-6, atol=1e-6)
