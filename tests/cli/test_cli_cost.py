"""`cnnlab cost`: names with options, layer texts, other inputs, runs, counters, JSON, and what it refuses."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from cnnlab.cli.execution import takes
from cnnlab.cli.networks import cost
from cnnlab.core.errors import ArchitectureError
from cnnlab.deploy.load import load_predictor
from cnnlab.deploy.model_file import write_model


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(takes()(cost))
    return lambda *words: CliRunner().invoke(app, list(map(str, words)))


def test_name(invoke):
    done = invoke("resnet20")
    assert done.exit_code == 0
    assert "269,722 parameters, 40,551,040 MACs for one image (1 MAC = 2 FLOPs)" in done.stdout


def test_name_with_options(invoke):
    assert "272,474 parameters, 40,813,184 MACs" in invoke("resnet20", "shortcut=B").stdout
    assert "272,474 parameters, 40,813,184 MACs" in invoke("resnet20 shortcut=B").stdout


def test_text_and_input(invoke):
    assert "3,000,100 parameters, 3,000,000 MACs" in invoke("--input", "3x100x100", "flatten | linear 100").stdout


def test_classes_and_json(invoke):
    answer = json.loads(invoke("mlp", "--classes", "100", "--input", "1x28x28", "--json").stdout)
    assert answer["architecture"] == "flatten | linear 512 | relu | linear 100"
    assert (answer["input_shape"], answer["output_shape"]) == ([1, 28, 28], [100])
    assert answer["parameters"] == 784 * 512 + 512 + 512 * 100 + 100
    assert [layer["layer"] for layer in answer["layers"]] == ["flatten", "linear 512", "relu", "linear 100"]


def test_counters(invoke):
    shown = invoke("resnet20", "shortcut=B", "--counters").stdout
    assert "272,474      272,474  40,813,184  40,813,184  41,616,000" in shown
    assert "802,816 operations more in 21 bn layers" in shown
    answer = json.loads(invoke("conv 3x3 4 | bn", "--counters", "--json").stdout)
    assert [layer["explanation"] for layer in answer["layers"]] == ["", "THOP 4 x 3,600"]
    assert (answer["thop_macs"] - answer["macs"], answer["torch_macs"]) == (14_400, 97_200)


@pytest.mark.parametrize("counters", [(), ("--counters",)])
def test_a_run_by_id_by_its_beginning_and_as_the_last(invoke, trained, counters):
    runs = trained.parent
    shown = [invoke(name, *counters, "--runs", runs) for name in (trained.name, trained.name[:6], "last", trained)]
    assert all(done.exit_code == 0 for done in shown)
    assert len({done.stdout for done in shown}) == 1
    assert "82,030" in shown[0].stdout


def test_a_model_file(invoke, trained, tmp_path):
    path = tmp_path / "model.safetensors"
    write_model(path, load_predictor(trained), {})
    assert "82,030 parameters, 716,328 MACs" in invoke(path).stdout


def test_an_architecture_is_traced_without_torch():
    program = (
        "import sys; sys.argv = ['cnnlab', 'cost', 'simplenn']\n"
        "from cnnlab.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'thop', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("(1 MAC = 2 FLOPs)\n[]\n")


def test_a_lone_word_that_means_nothing_is_no_run_either(invoke):
    done = invoke("resnt20")
    assert done.exception.problems == (
        "unknown architecture or layer 'resnt20'; did you mean 'resnet20'?",
        "nor is 'resnt20' a run or a model file",
    )


def test_a_run_has_its_own_input(invoke, trained):
    done = invoke(trained, "--classes", "3")
    assert isinstance(done.exception, ArchitectureError)
    assert "--input and --classes are for architectures" in str(done.exception)


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
