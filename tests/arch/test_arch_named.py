"""Named architectures: their structure, their options and what they refuse."""

import pytest

from cnnlab.arch import NAMED, named, parse, resolve
from cnnlab.arch.layers import Residual
from cnnlab.core.errors import ArchitectureError

SIMPLENN = (
    "conv 5x5 8 | relu | pool 2 | conv 3x3 16 | relu | pool 2 | flatten "
    "| linear 120 | relu | linear 84 | relu | linear 10"
)


def test_simplenn():
    assert str(named("simplenn")) == SIMPLENN


def test_simplenn_options():
    everything = named("simplenn", num_classes=100, activation="swish", batchnorm=True, dropout=0.5)
    assert str(everything) == (
        "conv 5x5 8 | bn | swish | pool 2 | conv 3x3 16 | bn | swish | pool 2 | flatten "
        "| linear 120 | swish | dropout 0.5 | linear 84 | swish | dropout 0.5 | linear 100"
    )


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_resnet_depth_counts_layers_with_weights_outside_shortcuts(depth):
    rows = named(f"resnet{depth}", shortcut="B").trace((3, 32, 32)).rows
    assert sum(bool(row.macs) and "shortcut" not in row.path for row in rows) == depth


def test_resnet_stages():
    blocks = [row for row in named("resnet20").trace((3, 32, 32)).rows if isinstance(row.layer, Residual)]
    assert [row.output_shape for row in blocks] == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3
    shortcuts = [row.layer.shortcut for row in blocks]
    assert [place for place, shortcut in enumerate(shortcuts) if shortcut == "A"] == [3, 6]
    assert set(shortcuts) == {"A", "identity"}


def test_resnet_activation_is_everywhere():
    assert "relu" not in str(named("resnet20", activation="swish")).replace("activation swish", "")


def test_bad_options_are_reported_together():
    with pytest.raises(ArchitectureError) as caught:
        named("simplenn", activaton="relu", dropout=2, batchnorm="yes")
    assert caught.value.problems == (
        "simplenn: unknown option 'activaton'; did you mean 'activation'?",
        "simplenn: dropout: received 2, expected a number from 0 to below 1",
        "simplenn: batchnorm: received 'yes', expected true or false",
    )


def test_unknown_name_and_option():
    with pytest.raises(ArchitectureError, match="unknown architecture 'simplen'; did you mean 'simplenn'"):
        named("simplen")
    with pytest.raises(ArchitectureError, match="unknown option 'depth'"):
        named("resnet20", depth=32)
    with pytest.raises(ArchitectureError, match="unknown option 'dropout'; it has none"):
        named("mlp", dropout=0.5)


def test_input_too_small():
    with pytest.raises(ArchitectureError, match=r"layer 3 \(conv 3x3 16\) receives 8x2x2"):
        named("simplenn", (3, 8, 8))


@pytest.mark.parametrize("num_classes", [0, -1, True, 2.5])
def test_bad_number_of_classes(num_classes):
    with pytest.raises(ArchitectureError, match="num_classes: received"):
        named("mlp", num_classes=num_classes)


def test_resolve_reads_names_options_and_layers():
    assert resolve("resnet20 shortcut=B activation=swish") == named("resnet20", shortcut="B", activation="swish")
    assert resolve("simplenn batchnorm=true dropout=0.5") == named("simplenn", batchnorm=True, dropout=0.5)
    assert resolve("flatten | linear 100") == parse("flatten | linear 100")
    assert resolve("relu") == parse("relu")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet-20", "unknown architecture or layer 'resnet-20'; did you mean 'resnet20'"),
        ("simplenn dropout=much", "simplenn: dropout: received 'much', expected a number from 0 to below 1"),
        ("simplenn dropout", "simplenn: dropout: received '', expected a number"),
        ("conv 3x3 8 | linear 10", "put 'flatten' or 'gap' before it"),
        ("", "expected the name of a layer"),
    ],
)
def test_resolve_refuses(text, message):
    with pytest.raises(ArchitectureError) as caught:
        resolve(text)
    assert message in str(caught.value)


def test_texts_have_a_purpose():
    assert {"softmax-regression", "mlp"} < set(NAMED)
    assert str(named("softmax-regression", num_classes=4)) == "flatten | linear 4"
