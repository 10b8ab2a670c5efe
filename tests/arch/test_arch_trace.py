"""Shapes, parameters, MACs and receptive fields against torch, the courses' numbers and what is published."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from arch_strategies import fitting_architectures
from cnnlab.arch import NAMED, Architecture, named, parse
from cnnlab.arch.layers import LAYERS, AvgPool, Conv
from cnnlab.arch.shapes import read_shape
from cnnlab.core.errors import ArchitectureError
from cnnlab.engines.torch.network import build

# Modules written by hand, so that the layers' own idea of a window is not its own judge.
BY_HAND = [
    ("conv 5x5 8", (3, 32, 32), lambda: nn.Conv2d(3, 8, 5)),
    (
        "conv 3x3 8 stride 2 pad 1 groups 4 nobias",
        (4, 15, 16),
        lambda: nn.Conv2d(4, 8, 3, 2, 1, groups=4, bias=False),
    ),
    ("conv 1x5 6 pad same", (2, 9, 9), lambda: nn.Conv2d(2, 6, (1, 5), padding="same")),
    ("conv 3x3 6 stride 2 pad same", (2, 9, 8), lambda: nn.Conv2d(2, 6, 3, 2, 1)),
    (
        "sepconv 3x3 8 stride 2 pad 1",
        (4, 9, 9),
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1, groups=4, bias=False), nn.Conv2d(4, 8, 1)),
    ),
    ("bn", (6, 5, 5), lambda: nn.BatchNorm2d(6)),
    ("flatten | bn", (6, 2, 2), lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(24))),
    ("relu", (2, 3, 3), nn.ReLU),
    ("leaky-relu slope 0.3", (2, 3, 3), lambda: nn.LeakyReLU(0.3)),
    ("swish", (2, 3, 3), nn.SiLU),
    ("relu6", (2, 3, 3), nn.ReLU6),
    ("elu alpha 0.5", (2, 3, 3), lambda: nn.ELU(0.5)),
    ("hardswish", (2, 3, 3), nn.Hardswish),
    ("mish", (2, 3, 3), nn.Mish),
    ("tanh", (2, 3, 3), nn.Tanh),
    ("sigmoid", (2, 3, 3), nn.Sigmoid),
    ("bn eps 0.001 momentum 0.2", (6, 5, 5), lambda: nn.BatchNorm2d(6, eps=1e-3, momentum=0.2)),
    ("gn 3 eps 0.001", (6, 5, 5), lambda: nn.GroupNorm(3, 6, eps=1e-3)),
    ("flatten | ln", (6, 2, 2), lambda: nn.Sequential(nn.Flatten(), nn.LayerNorm(24))),
    ("pool 3 stride 2 ceil", (2, 8, 7), lambda: nn.MaxPool2d(3, 2, ceil_mode=True)),
    ("avg-pool 3 stride 2 pad 1 ceil", (2, 8, 6), lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
    ("droppath 0.5", (2, 3, 3), nn.Identity),
    ("identity", (2, 3, 3), nn.Identity),
    ("shuffle 3", (6, 3, 3), lambda: nn.ChannelShuffle(3)),
    ("gelu", (2, 3, 3), nn.GELU),
    ("pool 2", (2, 7, 6), lambda: nn.MaxPool2d(2)),
    ("pool 3 stride 2 pad 1", (2, 8, 7), lambda: nn.MaxPool2d(3, 2, 1)),
    ("avg-pool 2x3 stride 1", (2, 8, 7), lambda: nn.AvgPool2d((2, 3), 1)),
    ("avg-pool 3 pad 1", (2, 8, 7), lambda: nn.AvgPool2d(3, padding=1)),
    ("gap", (5, 4, 3), lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())),
    ("dropout 0.5", (2, 3, 3), lambda: nn.Dropout(0.5)),
    ("flatten", (2, 3, 4), nn.Flatten),
    (
        "flatten | linear 7 nobias",
        (2, 3, 4),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(24, 7, bias=False)),
    ),
]


def macs_of(module, x):
    """MACs as torch counts them: half of its FLOPs."""
    with FlopCounterMode(display=False) as counter:
        module(x)
    return counter.get_total_flops() // 2


def test_every_layer_is_compared_by_hand():
    compared = {name for text, _, _ in BY_HAND for name in LAYERS if name in text.split()}
    in_networks = {"residual", "concat", "sum", "split", "se", "scale"}
    assert compared == set(LAYERS) - in_networks, "those are compared in test_arch_networks.py"


@pytest.mark.parametrize(("text", "shape", "make"), BY_HAND, ids=[text for text, _, _ in BY_HAND])
def test_layer_equals_a_module_written_by_hand(text, shape, make):
    module, architecture = make().eval(), parse(text)
    x = torch.randn(2, *shape)
    trace = architecture.trace(shape)
    assert trace.output_shape == module(x).shape[1:]
    assert trace.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert trace.macs == macs_of(module, x[:1])
    ours = build(architecture, shape).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), module.state_dict().values(), strict=True)))
    torch.testing.assert_close(ours(x), module(x))


def assert_equal_to_torch(architecture, shape):
    """Shape, parameters and MACs; on torch's meta device, which follows shapes without computing values."""
    trace = architecture.trace(shape)
    with torch.device("meta"):
        model, x = build(architecture, shape).eval(), torch.empty(1, *shape)
    assert trace.output_shape == model(x).shape[1:]
    assert trace.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert trace.macs == macs_of(model, x)


@given(fitting_architectures())
@settings(max_examples=40, deadline=None)
def test_random_architectures_equal_torch(case):
    assert_equal_to_torch(*case)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)], ids=str)
@pytest.mark.parametrize("name", NAMED)
def test_named_architectures_equal_torch(name, shape):
    architecture = named(name, shape, num_classes=7)
    assert architecture.trace(shape).output_shape == (7,)
    assert_equal_to_torch(architecture, shape)


# Of the authors' repositories, or counted from their code. efficientnet-b0 without 1,088 that its code never uses.
PUBLISHED = {
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "resnet50": 23_520_842,
    "preact-resnet18": 11_171_146,
    "senet18": 11_260_354,
    "wrn-16-4": 2_748_890,
    "wrn-28-10": 36_479_194,
    "regnety-400mf": 5_714_362,
    "densenet-bc-100-12": 769_162,
    "densenet121-12": 1_000_618,
    "googlenet": 6_166_250,
    "mobilenetv2": 2_296_922,
    "shufflenetv2": 1_263_854,
    "efficientnet-b0": 3_599_686 - 1_088,
    "vgg11": 9_231_114,
    "vgg16": 14_728_266,
    "allcnn": 1_369_738,
    "nin": 966_986,
    "resnet9": 6_573_120,
}
# Course document 002, of the printed code. Its table rounds: 7.29M for the first two (the first is 7.28M), 127.06M and
# 134.87M. The text has seven residual blocks in variant 3 where the code has eight, and 127 million for trial 2.
COURSE = {
    "mds5122-baseline": ((3, 32, 32), 7_281_802),
    "mds5122-v1": ((3, 32, 32), 7_286_922),
    "mds5122-v2": ((3, 32, 32), 127_055_370),
    "mds5122-v3": ((3, 32, 32), 134_870_282),
    "mds5122-trial1": ((1, 28, 28), 6_728_586),
    "mds5122-trial2": ((1, 28, 28), 65_175_562),
}


def test_course_document_002():
    counts = {name: (shape, named(name, shape).trace(shape).parameters) for name, (shape, _) in COURSE.items()}
    assert counts == COURSE
    mnist = named("mds5122-v2", (1, 28, 28)).trace((1, 28, 28))
    assert mnist.parameters == 112_370_698
    sides = [row.output_shape[1] for row in mnist.rows if row.layer.name == "pool"]
    assert sides == [14, 7, 3]


def totals(architecture, shape=(3, 32, 32)):
    trace = architecture.trace(shape)
    return trace.parameters, trace.macs


def test_published_totals():
    assert totals(named("simplenn")) == (82_030, 716_328)
    assert totals(named("resnet20")) == (269_722, 40_551_040)
    assert totals(named("resnet20", shortcut="B")) == (272_474, 40_813_184)
    assert PUBLISHED.keys() | COURSE.keys() <= NAMED.keys()
    assert {name: totals(named(name))[0] for name in PUBLISHED} == PUBLISHED
    assert [totals(named(f"resnet{depth}"))[0] for depth in (32, 44, 56, 110)] == [
        464_154,
        658_586,
        853_018,
        1_727_962,
    ]


def test_course_calculator():
    """ECE 661, homework 2 of 2025, problems 2.1 to 2.5."""
    assert totals(parse("flatten | linear 100"), (3, 100, 100))[0] == 3_000_100
    assert totals(parse("conv 3x3 100"), (3, 100, 100))[0] == 2_800
    assert totals(parse("conv 1x1 1"), (16, 100, 100))[0] == 17
    assert parse("conv 5x5 32").trace((16, 100, 100)).output_shape == (32, 96, 96)
    plain, separable = named("resnet20"), parse(str(named("resnet20")).replace("conv 3x3", "sepconv 3x3"))
    rows = zip(plain.trace((3, 32, 32)).rows, separable.trace((3, 32, 32)).rows, strict=True)
    speedups = [a.macs / b.macs for a, b in rows if isinstance(a.layer, Conv) and a.input_shape[0] >= 32]
    assert 7 < min(speedups) < max(speedups) < 9
    assert max(speedups) == pytest.approx(1 / (1 / 9 + 1 / 64))


def test_course_trace():
    """ECE 661, homework 2 of 2022: weights and map sizes of SimpleNN."""
    rows = named("simplenn").trace((3, 32, 32)).rows
    assert [row.weights for row in rows if row.weights] == [600, 1_152, 69_120, 10_080, 840]
    shapes = [(8, 28, 28), (8, 14, 14), (16, 12, 12), (16, 6, 6)]
    assert [row.output_shape for row in rows if row.layer.window] == shapes


def vgg_like(channels, pools, hidden, norm):
    """The report's order: conv, ReLU, pool, batch norm; after the flat layers ReLU, dropout, batch norm."""
    convs = [
        f"conv 3x3 {width} pad 1 | relu" + (" | pool 2" if place in pools else "") + (" | bn" if norm else "")
        for place, width in enumerate(channels, start=1)
    ]
    flats = [f"linear {width} | relu | dropout 0.3" + (" | bn" if norm else "") for width in hidden]
    return parse(" | ".join([*convs, "flatten", *flats, "linear 10"]))


def test_report_totals():
    """MDS 5122: the counts that the report rounds to 7.29M and 127.06M."""
    baseline = ((128, 256, 512, 512, 256), (1, 2, 5), (512, 256, 128))
    deeper = ((256, 512, 1024, 1024, 2048, 2048, 1024), (1, 2, 7), (2048, 1024, 512))
    assert totals(vgg_like(*baseline, norm=False))[0] == 7_281_802
    assert totals(vgg_like(*baseline, norm=True))[0] == 7_286_922
    assert totals(vgg_like(*deeper, norm=True))[0] == 127_055_370


def test_rows_of_a_residual():
    trace = parse("conv 3x3 8 pad 1 | residual(conv 3x3 16 stride 2 pad 1 | bn; shortcut B)").trace((3, 8, 8))
    assert [row.path for row in trace.rows] == [
        "0",
        "1.body.0",
        "1.body.1",
        "1.shortcut.conv",
        "1.shortcut.bn",
        "1",
    ]
    assert trace.rows[-1].parameters == 0
    assert trace.rows[-1].input_shape == (8, 8, 8)
    assert trace.rows[-1].output_shape == (16, 4, 4)
    assert trace.rows[3].receptive_field == (3, 3)
    assert trace.rows[-1].receptive_field == (5, 5)
    assert trace.rows[-1].jump == (2, 2)


def seen_by_the_middle(model, shape):
    """(height, width) of the part of the input that has a gradient from the middle value of the output."""
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
    y = model.double()(x)
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    rows, columns = torch.nonzero(x.grad[0].sum(dim=0), as_tuple=True)
    return (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1)


@given(
    st.lists(
        st.one_of(
            st.builds(Conv, st.sampled_from([1, 2, 3, (1, 5), (4, 2)]), st.just(2), stride=st.sampled_from([1, 2])),
            st.builds(AvgPool, st.sampled_from([1, 2, 3])),
        ),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=25, deadline=None)
def test_receptive_field_is_what_has_a_gradient(layers):
    architecture, shape = Architecture(tuple(layers)), (1, 60, 60)
    row = architecture.trace(shape).rows[-1]
    assert row.receptive_field == seen_by_the_middle(build(architecture, shape), shape)


def test_receptive_field_of_a_residual_has_a_gradient():
    architecture = parse("residual(conv 3x3 2 stride 2 pad 1 | conv 3x3 2 pad 1; shortcut A) | conv 3x3 2")
    row = architecture.trace((2, 40, 40)).rows[-1]
    assert row.receptive_field == seen_by_the_middle(build(architecture, (2, 40, 40)), (2, 40, 40)) == (11, 11)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("concat(conv 1x5 2 pad 0x2; conv 3x1 2 pad 1x0) | conv 1x1 1", (3, 5)),
        ("sum(conv 3x3 2 pad 1 | conv 3x3 2 pad 1; conv 1x1 2; identity)", (5, 5)),
        ("residual(conv 1x3 2 pad 0x1; shortcut(conv 5x1 2 pad 2x0))", (5, 3)),
        ("conv 3x3 2 | se 3 activation swish", (20, 14)),
    ],
)
def test_receptive_field_of_branches_and_gates_has_a_gradient(text, field):
    """Fields of branches are joined side by side: 1x5 beside 3x1 reaches over 3x5."""
    shape = (2, 20, 14)
    assert parse(text).trace(shape).rows[-1].receptive_field == field
    assert seen_by_the_middle(build(parse(text), shape), shape) == field


def test_flat_layers_see_the_whole_map():
    rows = named("simplenn").trace((3, 32, 32)).rows
    assert rows[6].receptive_field == (12, 12), "flattening alone mixes nothing"
    assert rows[7].receptive_field == (32, 32)
    twice = parse("conv 3x3 4 | flatten | residual(linear 256) | linear 10").trace((1, 10, 10))
    assert twice.rows[-1].receptive_field == (10, 10), "a map is collapsed once, also inside a residual"
    assert parse("conv 3x3 4 | gap").trace((1, 10, 8)).rows[-1].receptive_field == (10, 8)


MISFITS = [
    ("conv 5x5 8 | flatten | conv 3x3 4", "layer 2 (conv 3x3 4) receives 6272: it needs a map"),
    (
        "conv 3x3 8 | linear 10",
        "layer 1 (linear 10) receives 8x30x30: it needs flat data; put 'flatten' or 'gap'",
    ),
    (
        "pool 2 | pool 40",
        "layer 1 (pool 40) receives 3x16x16: a 40x40 window with padding 0x0 is larger than the input",
    ),
    (
        "conv 3x3 8 groups 2",
        "layer 0 (conv 3x3 8 groups 2) receives 3x32x32: 3 input channels cannot be divided",
    ),
    ("residual(relu | conv 50 1)", "layer 0.body.1 (conv 50x50 1) receives 3x32x32"),
    ("residual(conv 3x3 3)", "the body makes 3x30x30, shortcut identity makes 3x32x32"),
    ("residual(conv 3x3 8 pad 1)", "the body makes 8x32x32, shortcut identity makes 3x32x32"),
    (
        "residual(conv 3x3 2 pad 1; shortcut A)",
        "shortcut A can only add channels, but the body goes from 3 to 2",
    ),
    ("residual(conv 3x3 2 stride 2; shortcut B)", "the body makes 2x15x15, shortcut B makes 2x16x16"),
    ("residual(flatten | linear 5; shortcut B)", "the body makes 5, shortcut B makes 5x32x32"),
    ("flatten | residual(linear 5; shortcut A)", "receives 3072: it needs a map"),
]


@pytest.mark.parametrize(("text", "message"), MISFITS, ids=[text for text, _ in MISFITS])
def test_what_does_not_fit_is_named(text, message):
    with pytest.raises(ArchitectureError) as caught:
        parse(text).trace((3, 32, 32))
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", [(), (3, 32), (3, 0, 32), (3, 32.0, 32)], ids=str)
def test_bad_input_shape(shape):
    with pytest.raises(ArchitectureError, match=r"expected \(channels, height, width\)"):
        parse("relu").trace(shape)


def test_shapes_are_read():
    assert read_shape("3x100x100") == (3, 100, 100)
    assert read_shape("784") == (784,)
    for text in ("3x32", "3x0x3", "axbxc", ""):
        with pytest.raises(ArchitectureError, match="expected channels x height x width"):
            read_shape(text)


def test_table_shows_layers_and_totals():
    lines = named("simplenn").trace((3, 32, 32)).table().splitlines()
    assert lines[3].split() == ["0", "conv", "5x5", "8", "8x28x28", "600", "8", "470,400", "5x5"]
    assert lines[-1] == "82,030 parameters, 716,328 MACs for one image (1 MAC = 2 FLOPs)"
    assert len(lines) == 2 + 1 + 12 + 2


def test_totals_are_the_rows():
    trace = named("resnet20", shortcut="B").trace((3, 32, 32))
    assert trace.to_dict()["parameters"] == sum(row["weights"] + row["biases"] for row in trace.to_dict()["layers"])
    assert math.prod(trace.output_shape) == 10
