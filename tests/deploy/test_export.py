"""ONNX answers as torch does, at any batch size, from pixels; one that does not is never written."""

import importlib.util
import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from cnnlab.arch import parse
from cnnlab.arch.layers import LAYERS
from cnnlab.core.errors import CnnlabError
from cnnlab.deploy import export as exporting
from cnnlab.deploy.export import ExportError, export
from cnnlab.deploy.model_file import open_model
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.network import initialised
from torch_networks import predictor_of_module

EVERY_LAYER = (
    "conv 3x3 6 | leaky-relu | pool 2 | sepconv 3x3 8 pad 1 | bn | swish | avg-pool 2 | "
    "residual(conv 3x3 8 pad 1 nobias | bn | relu | conv 3x3 8 pad 1 nobias | bn) | "
    "residual(conv 3x3 12 stride 2 pad 1 nobias | bn; shortcut A) | "
    "residual(conv 3x3 16 stride 2 pad 1 nobias | bn; shortcut B) | gelu | dropout 0.5 | gap | linear 3"
)
BRANCHES = (
    "conv 3x3 6 stride 2 | hardswish | concat(split 1 2 | mish; split 2 2 | relu6 | gn 3) | shuffle 2 | ln | "
    "residual(conv 3x3 6 pad 1 | tanh | droppath 0.5; shortcut(conv 1x1 6 | bn eps 0.01) "
    "activation leaky-relu slope 0.2) | se 4 gate hardsigmoid | "
    "sum(identity; conv 3x3 6 pad 1 | elu; sigmoid) | pool 3 stride 2 ceil | "
    "avg-pool 3 stride 2 pad 1 ceil | flatten | linear 3 | scale 0.5"
)
GRAY = "flatten | linear 12 | bn | relu | linear 3"


def test_every_layer_is_exported():
    words = set(re.findall(r"[a-z][a-z0-9-]*", EVERY_LAYER + BRANCHES + GRAY))
    assert set(LAYERS) <= words


def made(text, shape):
    architecture = parse(text)
    model = initialised(architecture, shape, 3)
    generator = torch.Generator().manual_seed(4)
    for name, value in model.named_buffers():
        if "running" in name:
            value += torch.rand(value.shape, generator=generator)
    for value in model.parameters():
        value.data += 0.3 * torch.rand(value.shape, generator=generator)
    statistics = Normalisation((0.3, 0.5, 0.2)[: shape[0]], (0.25, 0.2, 0.3)[: shape[0]])
    return predictor_of_module(model, architecture, ("cat", "dog", "é|u"), statistics, shape)


@pytest.mark.parametrize(("text", "shape"), [(EVERY_LAYER, (3, 24, 20)), (BRANCHES, (3, 24, 20)), (GRAY, (1, 7, 5))])
def test_a_program_with_the_file_alone_gets_the_same_answers(tmp_path, text, shape):
    predictor = made(text, shape)
    parity = export(predictor, tmp_path / "new" / "net.onnx", {})
    assert 0 <= parity.relative < 1e-5
    model = onnx.load(tmp_path / "new" / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import if not opset.domain] == [exporting.OPSET]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["classes"]) == ["cat", "dog", "é|u"]
    assert metadata["architecture"] == str(predictor.architecture)
    session = onnxruntime.InferenceSession(tmp_path / "new" / "net.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5):
        images_NHWC = np.random.default_rng(batch).integers(0, 256, (batch, *shape[1:], shape[0]), np.uint8)
        pixels_NCHW = (images_NHWC / np.float32(255)).transpose(0, 3, 1, 2)
        (logits_NK,) = session.run(["logits"], {"pixels": pixels_NCHW})
        expected_NK = predictor.logits(images_NHWC)
        np.testing.assert_allclose(logits_NK, expected_NK, rtol=0, atol=1e-5 * np.abs(expected_NK).max())
        assert expected_NK.std() > 0.01


@pytest.fixture(scope="module")
def exported():
    """The bytes of one export: making them takes seconds."""
    return exporting.onnx_bytes(made(GRAY, (1, 7, 5)))


@pytest.mark.parametrize("change", [lambda logits: logits * 1.001, lambda logits: logits * np.nan])
def test_an_export_that_answers_otherwise_is_not_written(tmp_path, monkeypatch, exported, change):
    predictor = made(GRAY, (1, 7, 5))
    logits = predictor.logits
    monkeypatch.setattr(exporting, "onnx_bytes", lambda predictor: exported)
    monkeypatch.setattr(predictor, "logits", lambda images: change(logits(images)))
    with pytest.raises(ExportError, match=r"was not written: its logits differ from torch's"):
        export(predictor, tmp_path / "net.onnx", {})
    assert not (tmp_path / "net.onnx").exists()


def test_exporting_leaves_the_network_as_it_was(tmp_path):
    predictor = made(GRAY, (1, 7, 5))
    before = {name: value.clone() for name, value in predictor.model.state_dict().items()}
    export(predictor, tmp_path / "net.onnx", {})
    after = predictor.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not predictor.model.training


def test_a_model_file_by_its_suffix(tmp_path):
    predictor = made(GRAY, (1, 7, 5))
    assert export(predictor, tmp_path / "net.safetensors", {"run": "r"}) is None
    assert open_model(tmp_path / "net.safetensors").origin == {"run": "r"}


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ExportError, match=r"expected a name that ends with .safetensors \(model file\) or .onnx"):
        export(made(GRAY, (1, 7, 5)), tmp_path / "net.pt", {})


def test_missing_packages_are_named_with_the_remedy(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name.startswith("onnxs") else find(name))
    with pytest.raises(CnnlabError, match=r'ONNX needs onnxscript: pip install "cnnlab\[export\]"'):
        export(made(GRAY, (1, 7, 5)), tmp_path / "net.onnx", {})
