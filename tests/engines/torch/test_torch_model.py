"""The torch lowering: every layer has one, and arrays are those that the architecture promises."""

import pytest
import torch
from hypothesis import given, settings

from arch_strategies import fitting_architectures
from cnnlab.arch import parse
from cnnlab.arch.layers import LAYERS
from cnnlab.core.errors import ArchitectureError
from cnnlab.engines.torch.modules import PadSubsample
from cnnlab.engines.torch.network import MODULES, build


def test_every_layer_has_a_module():
    assert set(MODULES) == set(LAYERS.values())


def test_keys_follow_the_paths():
    architecture = parse("conv 3x3 8 | residual(conv 3x3 16 stride 2 pad 1 | bn; shortcut B) | gap | linear 10")
    trained = dict(build(architecture, (3, 32, 32)).named_parameters())
    assert list(trained) == [
        *("0.weight", "0.bias", "1.body.0.weight", "1.body.0.bias", "1.body.1.weight", "1.body.1.bias"),
        *("1.shortcut.conv.weight", "1.shortcut.bn.weight", "1.shortcut.bn.bias", "3.weight", "3.bias"),
    ]


@given(fitting_architectures())
@settings(deadline=None, max_examples=60)
def test_the_arrays_are_those_that_the_architecture_promises(fitting):
    architecture, shape = fitting
    state = build(architecture, shape).state_dict()
    promised = architecture.trace(shape).arrays
    assert [(each.name, each.shape, each.dtype) for each in promised] == [
        (name, tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in state.items()
    ]
    trained = dict(build(architecture, shape).named_parameters())
    assert {each.name for each in promised if each.is_trained} == set(trained)
    assert {each.name for each in promised if each.is_weight} == {n for n, p in trained.items() if p.ndim > 1}


@pytest.mark.parametrize(
    ("text", "fan_in"),
    [
        ("conv 3x5 8 groups 2", {"0.weight": 2 * 15, "0.bias": 2 * 15}),
        ("sepconv 3x3 6", {"0.depthwise.weight": 9, "0.pointwise.weight": 4, "0.pointwise.bias": 4}),
        ("flatten | linear 7", {"1.weight": 4 * 64, "1.bias": 4 * 64}),
    ],
)
def test_fan_in_is_what_torch_computes(text, fan_in):
    arrays = {each.name: each.fan_in for each in parse(text).trace((4, 8, 8)).arrays}
    assert arrays == fan_in
    for name, value in build(parse(text), (4, 8, 8)).named_parameters():
        if name.endswith("weight"):
            assert torch.nn.init._calculate_fan_in_and_fan_out(value)[0] == fan_in[name]


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
