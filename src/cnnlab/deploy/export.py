"""Networks for other programs: a model file, or ONNX, which is written only if its logits agree with torch's.

The input of the ONNX graph is `pixels`, float32 N x C x H x W from 0 to 1, for any N; its output is `logits`, N x K. It
includes the normalisation. Its metadata contain the classes as JSON, the architecture and this contract in words.

Shape legend: N images, C channels, H x W pixels, K classes.
"""

import copy
import json
import logging
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic
from cnnlab.core.seeding import derive_generator
from cnnlab.deploy.model_file import SUFFIX, write_model
from cnnlab.deploy.predictor import Predictor
from cnnlab.engines.torch.network import Normalise

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ONNX_SUFFIX = ".onnx"
OPSET = 18  # of December 2022: onnxruntime reads it since 1.14, and the exporter needs no conversion
INPUT, OUTPUT = "pixels", "logits"
TOLERANCE = 1e-4  # largest difference / largest logit; float32 sums in another order differ by about 1e-6

_CONTRACT = (
    "pixels: float32 0..1, batch x channels x height x width, channels in RGB order or one gray; "
    "logits: float32, batch x classes; the normalisation is inside"
)
_TORCHVISION_LOGGER = "torch.onnx._internal.exporter._registration"  # warns that torchvision is missing
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


class ExportError(CnnlabError):
    """A network that cannot be exported here, or whose export gives other logits."""


class FromPixels(nn.Module):
    """From pixels 0..1, N x C x H x W, to logits N x K, by a copy of a predictor's network and its normalisation."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.model = copy.deepcopy(predictor.model).cpu()
        self.normalise = Normalise(predictor.normalisation, levels=1)
        self.eval()

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        logits_NK: Tensor = self.model(self.normalise(pixels_NCHW))
        return logits_NK


class Parity(NamedTuple):
    """The difference in logits between an exported network and the original on the same images."""

    max_difference: float
    scale: float

    @property
    def relative(self) -> float:
        """The largest difference divided by the largest logit."""
        return self.max_difference / self.scale if self.scale else self.max_difference


def export(predictor: Predictor, path: Path, origin: Mapping[str, Any]) -> Parity | None:
    """Write a model file or ONNX, by the suffix of `path`; returns the parity of ONNX.

    `origin` goes into a model file. Raises ExportError, StorageError.
    """
    if path.suffix == SUFFIX:
        write_model(path, predictor, origin)
        return None
    if path.suffix == ONNX_SUFFIX:
        return _write_onnx(predictor, path)
    raise ExportError(f"{path}: expected a name that ends with {SUFFIX} (model file) or {ONNX_SUFFIX}")


def onnx_bytes(predictor: Predictor) -> bytes:
    """The network as an ONNX model that includes the weights. Raises ExportError if a package is missing."""
    require_packages()
    # Two images: torch.export would treat a batch of one as a constant.
    example_NCHW = torch.zeros(2, *predictor.image_shape)
    logger = logging.getLogger(_TORCHVISION_LOGGER)
    with warnings.catch_warnings(), ExitStack() as undo:
        undo.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.ERROR)
        # torch's exporter uses a function that torch itself deprecates (torch 2.13).
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
        program = torch.onnx.export(
            FromPixels(predictor),
            (example_NCHW,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("N")},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # without a file to write to, it is returned
    model = program.model_proto
    model.doc_string = _CONTRACT
    metadata = {
        "classes": json.dumps(predictor.classes),
        "architecture": str(predictor.architecture),
        "contract": _CONTRACT,
        "normalisation": json.dumps({"mean": predictor.normalisation.mean, "std": predictor.normalisation.std}),
    }
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString())


def open_session(content: bytes, threads: int = 0) -> "InferenceSession":
    """An ONNX model in onnxruntime on the CPU; 0 threads means all cores. Raises ExportError."""
    require_packages()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def parity(predictor: Predictor, session: "InferenceSession") -> Parity:
    """Compare a session with the network on eight images of noise together, and on one of them."""
    channels, height, width = predictor.image_shape
    noise = derive_generator(0, "export-parity")
    images_NHWC = noise.integers(0, 256, (8, height, width, channels), dtype=np.uint8)
    pixels_NCHW = np.ascontiguousarray(images_NHWC.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)
    expected_NK = predictor.logits(images_NHWC)
    received_NK = session.run([OUTPUT], {INPUT: pixels_NCHW})[0]
    alone_1K = session.run([OUTPUT], {INPUT: pixels_NCHW[:1]})[0]
    difference = max(np.abs(received_NK - expected_NK).max(), np.abs(alone_1K - expected_NK[:1]).max())
    return Parity(float(difference), float(np.abs(expected_NK).max()))


def require_packages() -> None:
    """Raise ExportError with the missing packages of the extra `export`, and the remedy."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ExportError(f'ONNX needs {", ".join(missing)}: pip install "cnnlab[export]"')


def _write_onnx(predictor: Predictor, path: Path) -> Parity:
    content = onnx_bytes(predictor)
    found = parity(predictor, open_session(content))
    if not found.relative <= TOLERANCE:  # also true for NaN
        raise ExportError(
            f"{path} was not written: its logits differ from torch's by {found.max_difference:.2g}, "
            f"{found.relative:.2g} of the largest; expected at most {TOLERANCE:g}. "
            "Please report it with the architecture: " + str(predictor.architecture)
        )
    write_atomic(path, content)
    return found
