"""Ways of running one trained network, all from the same pixels to the same logits.

    eager     the torch module, layer by layer
    compiled  the same under `torch.compile`
    onnx      the exported ONNX file under onnxruntime, always on the CPU

Shape legend: N images (1 here), C channels, H x W pixels, K classes.
"""

import copy
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnlab.core.errors import CnnlabError
from cnnlab.deploy.predictor import Predictor


class NotRunnableError(CnnlabError):
    """A backend that is not installed, or failed to take the network; the message says which and why."""


class FromPixels(nn.Module):
    """Pixels 0..1, N x C x H x W, to logits N x K, by a copy of a predictor's network."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.model = copy.deepcopy(predictor.model)
        self.mean = nn.Buffer(torch.tensor(predictor.normalisation.mean).view(-1, 1, 1))
        self.std = nn.Buffer(torch.tensor(predictor.normalisation.std).view(-1, 1, 1))
        self.eval()

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        logits_NK: Tensor = self.model((pixels_NCHW - self.mean) / self.std)
        return logits_NK


@dataclass(frozen=True)
class Setting:
    """What every backend is given: the network, also as a module on `device`, the image, and how many threads."""

    predictor: Predictor
    network: FromPixels
    pixels_1CHW: NDArray[np.float32]
    device: torch.device
    threads: int


class Runner(NamedTuple):
    """One call computes the logits of the image, on `device`; it may return before the device has finished."""

    call: Callable[[], Tensor | NDArray[np.float32]]
    device: torch.device

    def logits(self) -> NDArray[np.float32]:
        """The logits, 1 x K, once they are there."""
        logits_1K = self.call()
        return logits_1K.cpu().numpy() if isinstance(logits_1K, Tensor) else logits_1K


def eager(setting: Setting) -> Runner:
    """The module as it is."""
    pixels_1CHW = torch.from_numpy(setting.pixels_1CHW).to(setting.device)
    return Runner(lambda: setting.network(pixels_1CHW), setting.device)


def compiled(setting: Setting) -> Runner:
    """The whole network in one graph, compiled here. Raises NotRunnableError."""
    # Forget other networks: beyond eight of one class, torch would run a network uncompiled without a word.
    torch.compiler.reset()
    network = torch.compile(setting.network, fullgraph=True, dynamic=False)
    pixels_1CHW = torch.from_numpy(setting.pixels_1CHW).to(setting.device)
    try:
        network(pixels_1CHW)
    except Exception as error:  # compilers fail in many ways, most often because there is no C++ compiler
        raise NotRunnableError(_failure("torch.compile", error)) from error
    return Runner(lambda: network(pixels_1CHW), setting.device)


def onnx(setting: Setting) -> Runner:
    """The exported file under onnxruntime. Raises NotRunnableError, also where a package is missing."""
    try:
        import onnxruntime
    except ImportError:
        raise NotRunnableError(
            'onnxruntime is not installed; install it with: pip install "cnnlab[export]"'
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setting.threads
    options.inter_op_num_threads = 1
    with TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        _write_onnx(path, setting)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: setting.pixels_1CHW}
    return Runner(lambda: session.run(None, inputs)[0], torch.device("cpu"))


def _write_onnx(path: Path, setting: Setting) -> None:
    """Export the network, normalisation included. Raises NotRunnableError."""
    network, pixels_1CHW = copy.deepcopy(setting.network).cpu(), torch.from_numpy(setting.pixels_1CHW)
    # The exporter warns of its own deprecations, and logs that torchvision, which we do not use, is missing.
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            torch.onnx.export(network, (pixels_1CHW,), path, dynamo=True, verbose=False, external_data=False)
    except Exception as error:  # a missing package, or a network that cannot be expressed
        raise NotRunnableError(_failure("ONNX export", error)) from error
    finally:
        log.setLevel(level)


def _failure(what: str, error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{what} failed: {type(error).__name__}: {lines[0]}"


BACKENDS: dict[str, Callable[[Setting], Runner]] = {"eager": eager, "compiled": compiled, "onnx": onnx}
"""Every way of running a network, by the name it is asked for."""
