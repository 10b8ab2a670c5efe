"""`cnnlab cost`: names with options, layer texts, other inputs, JSON, and what it refuses."""

import json

import pytest
import typer
from typer.testing import CliRunner

from cnnlab.cli.cost import cost
from cnnlab.core.errors import ArchitectureError


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(cost)
    return lambda *words: CliRunner().invoke(app, list(words))


def test_name(invoke):
    done = invoke("resnet20")
    assert done.exit_code == 0
    assert "269,722 parameters, 40,551,040 MACs for one image (1 MAC = 2 FLOPs)" in done.stdout


def test_name_with_options(invoke):
    assert "272,474 parameters, 40,813,184 MACs" in invoke("resnet20", "shortcut=B").stdout
    assert "272,474 parameters, 40,813,184 MACs" in invoke("resnet20 shortcut=B").stdout


def test_text_and_input(invoke):
    assert (
        "3,000,100 parameters, 3,000,000 MACs"
        in invoke("--input", "3x100x100", "flatten | linear 100").stdout
    )


def test_classes_and_json(invoke):
    answer = json.loads(invoke("mlp", "--classes", "100", "--input", "1x28x28", "--json").stdout)
    assert answer["architecture"] == "flatten | linear 512 | relu | linear 100"
    assert (answer["input_shape"], answer["output_shape"]) == ([1, 28, 28], [100])
    assert answer["parameters"] == 784 * 512 + 512 + 512 * 100 + 100
    assert [layer["layer"] for layer in answer["layers"]] == ["flatten", "linear 512", "relu", "linear 100"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rellu | bn"], "did you mean 'relu'"),
        (["resnet20", "shortcut=C"], "shortcut: received 'C'"),
        (["relu", "--input", "3x32"], "expected channels x height x width"),
        (["simplenn", "--input", "3x8x8"], "layer 3 (conv 3x3 16) receives 8x2x2"),
    ],
)
def test_mistakes(invoke, words, message):
    done = invoke(*words)
    assert isinstance(done.exception, ArchitectureError)
    assert message in str(done.exception)
