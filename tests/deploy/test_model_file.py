"""A model file holds a whole network; one that is not, or no longer, is refused with all that is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, safe_open, save_file

import cnnlab
from cnnlab.arch import parse
from cnnlab.core.errors import RunError, WeightsError
from cnnlab.deploy.load import load_predictor
from cnnlab.deploy.model_file import open_model, read_model, write_model
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.network import initialised
from torch_networks import predictor_of_module

TEXTS = (
    "flatten | linear 3",
    "conv 3x3 4 | relu | pool 2 | flatten | linear 3",
    "conv 3x3 4 pad 1 nobias | bn | relu | residual(conv 3x3 8 stride 2 pad 1 | bn; shortcut B) | gap | linear 3",
    "sepconv 3x3 6 | swish | gap | linear 3",
)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


def made(text=TEXTS[2], classes=("cat", "dog", "emu")):
    architecture = parse(text)
    model = initialised(architecture, (3, 8, 8), 1)
    for name, value in model.named_buffers():
        if "running" in name:
            value += torch.rand(value.shape, generator=torch.Generator().manual_seed(2))
    statistics = Normalisation((0.4914, 0.4822, 1 / 3), (0.247, 0.2435, 0.1 + 0.2))
    return predictor_of_module(model, architecture, classes, statistics, (3, 8, 8))


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(TEXTS), st.lists(st.text(max_size=8), min_size=3, max_size=3))
def test_written_and_read_is_the_same_network(tmp_path_factory, text, classes):
    path = tmp_path_factory.mktemp("model") / "new folder" / "net.safetensors"
    predictor = made(text, classes)
    write_model(path, predictor, {"run": "demo-s1", "epochs": 3})
    read, origin = open_model(path)
    assert (read.architecture, read.classes, read.image_shape, read.normalisation) == (
        predictor.architecture,
        tuple(classes),
        (3, 8, 8),
        predictor.normalisation,
    )
    assert origin == {"run": "demo-s1", "epochs": 3}
    np.testing.assert_array_equal(read.logits(IMAGES), predictor.logits(IMAGES))


def test_the_file_is_plain_safetensors_with_our_names(tmp_path):
    path = tmp_path / "net.safetensors"
    write_model(path, made(), {})
    with safe_open(path, framework="numpy") as file:
        card = json.loads(file.metadata()["cnnlab"])
    assert card == {
        "format": 1,
        "architecture": TEXTS[2],
        "input_shape": [3, 8, 8],
        "classes": ["cat", "dog", "emu"],
        "mean": [0.4914, 0.4822, 1 / 3],
        "std": [0.247, 0.2435, 0.1 + 0.2],
        "origin": {},
    }
    assert {"0.weight", "1.running_var", "3.body.0.bias", "3.shortcut.conv.weight"} <= set(load_file(path))


def test_it_is_read_in_another_process_and_folder(tmp_path, monkeypatch):
    predictor = made()
    write_model(tmp_path / "net.safetensors", predictor, {})
    code = (
        "import sys, numpy as np; from cnnlab.deploy.load import load_predictor;"
        "images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8);"
        "print(load_predictor(sys.argv[1]).logits(images).tolist())"
    )
    (tmp_path / "elsewhere").mkdir()
    command = [sys.executable, "-c", code, str(tmp_path / "net.safetensors")]
    package = {**os.environ, "PYTHONPATH": str(Path(cnnlab.__file__).parents[1])}
    options = {"cwd": tmp_path / "elsewhere", "env": package, "capture_output": True, "text": True}
    done = subprocess.run(command, check=True, **options)
    np.testing.assert_array_equal(np.array(json.loads(done.stdout), np.float32), predictor.logits(IMAGES))


def rewritten(path, change):
    """The file with its card and tensors changed by `change(card, tensors)`."""
    write_model(path, made(), {})
    with safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()["cnnlab"])
    tensors = load_file(path)
    change(card, tensors)
    save_file(tensors, path, {"cnnlab": json.dumps(card)})


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            lambda card, _: card.update(format=2),
            ["cnnlab.format: Input should be 1", "reads model files of format 1"],
        ),
        (lambda card, _: card.pop("classes"), ["cnnlab.classes: Field required"]),
        (lambda card, _: card.update(std=[1, 0, 1], colour=1), ["cnnlab.std.1: ", "cnnlab.colour: Extra"]),
        (
            lambda card, _: card.update(architecture="conv 3x3 | reul"),
            ["cnnlab.architecture: ", "unknown layer"],
        ),
        (lambda card, _: card.update(mean=[0.5]), ["1 numbers in mean, 3 channels"]),
        (lambda card, _: card["classes"].append("fox"), ["4 classes, but the architecture's output is (3,)"]),
        (lambda card, _: card.update(input_shape=[3, 0, 8]), ["cnnlab.input_shape.1: "]),
        (lambda card, _: card.update(architecture="conv 9x9 3"), ["a 9x9 window"]),
        (
            lambda _, tensors: (
                tensors.update({"0.weight": torch.zeros(4, 3, 1, 1), "7.bias": torch.zeros(2)}) or tensors.pop("5.bias")
            ),
            [
                "layer 0 (conv 3x3 4 pad 1 nobias) needs weight 4x3x3x3 of float32; in the file 0.weight has 4x3x1x1",
                "layer 5 (linear 3) needs bias 3 of float32; in the file 5.bias is missing",
                "no layer takes 7.bias, 2 in the file",
            ],
        ),
        (
            lambda _, tensors: tensors.update({"5.bias": torch.zeros(3, dtype=torch.int8)}),
            ["5.bias is int8"],
        ),
        (
            lambda _, tensors: tensors["5.bias"].__setitem__(1, torch.nan),
            ["needs bias 3 of float32; in the file 5.bias contains NaN or infinity"],
        ),
    ],
)
def test_a_changed_file_is_refused_with_all_that_is_wrong(tmp_path, change, messages):
    path = tmp_path / "net.safetensors"
    rewritten(path, change)
    with pytest.raises(WeightsError) as caught:
        read_model(path)
    for message in messages:
        assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_numbers_of_half_precision_are_widened(tmp_path):
    path = tmp_path / "net.safetensors"
    rewritten(path, lambda _, tensors: tensors.update({"5.bias": torch.full((3,), 0.5, dtype=torch.bfloat16)}))
    bias = read_model(path).model.get_parameter("5.bias")
    assert bias.dtype == torch.float32
    assert bias.tolist() == [0.5, 0.5, 0.5]


def test_other_files_are_told_apart(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    write_model(tmp_path / "net.safetensors", made(), {})
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "net.safetensors").read_bytes()[:-100])
    (tmp_path / "weights.th").write_bytes(b"")
    for name, message in {
        "foreign.safetensors": "metadata lack the key 'cnnlab'",
        "text.safetensors": "not a safetensors file",
        "cut.safetensors": "not a safetensors file, or a damaged one",
        "none.safetensors": "no such file",
        "weights.th": "cnnlab import-weights",
    }.items():
        with pytest.raises(WeightsError, match=message):
            load_predictor(tmp_path / name)


def test_an_architecture_far_too_large_costs_no_memory(tmp_path):
    def change(card, tensors):
        card["architecture"] = "flatten | linear 1000000000000 | linear 3"

    rewritten(tmp_path / "net.safetensors", change)
    with pytest.raises(WeightsError, match="1000000000000x192"):
        read_model(tmp_path / "net.safetensors")


def test_anything_else_is_a_run(tmp_path):
    with pytest.raises(RunError, match="no runs in"):
        load_predictor("last", tmp_path)
    with pytest.raises(RunError):
        load_predictor(Path("resnet20"), tmp_path)
