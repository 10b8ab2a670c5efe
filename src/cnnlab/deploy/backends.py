"""Backends that run one trained network, all from the same pixels to the same logits.

    eager     the torch module, layer by layer
    compiled  the same under `torch.compile`
    onnx      the exported ONNX graph under onnxruntime, always on the CPU

Shape legend: N images (1 here), C channels, H x W pixels, K classes.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnlab.core.errors import CnnlabError
from cnnlab.deploy.export import INPUT, OUTPUT, ExportError, FromPixels, onnx_bytes, open_session
from cnnlab.deploy.predictor import Predictor


class NotRunnableError(CnnlabError):
    """A backend that is not installed or cannot run the network; the message names it and the cause."""


@dataclass(frozen=True)
class Setting:
    """The input of every backend: the network, also as a module on `device`, the image, the number of threads."""

    predictor: Predictor
    network: FromPixels
    pixels_1CHW: NDArray[np.float32]
    device: torch.device
    threads: int


class Runner(NamedTuple):
    """A call computes the logits of the image on `device`; it may return before the device has finished."""

    call: Callable[[], Tensor | NDArray[np.float32]]
    device: torch.device

    def logits(self) -> NDArray[np.float32]:
        """The logits, 1 x K, when the device has finished."""
        logits_1K = self.call()
        return logits_1K.cpu().numpy() if isinstance(logits_1K, Tensor) else logits_1K


def eager(setting: Setting) -> Runner:
    """The module as it is."""
    pixels_1CHW = torch.from_numpy(setting.pixels_1CHW).to(setting.device)
    return Runner(lambda: setting.network(pixels_1CHW), setting.device)


def compiled(setting: Setting) -> Runner:
    """The whole network in one graph, compiled here. Raises NotRunnableError."""
    # Forget other networks: after eight of one class, torch runs a network uncompiled without a warning.
    torch.compiler.reset()
    network = torch.compile(setting.network, fullgraph=True, dynamic=False)
    pixels_1CHW = torch.from_numpy(setting.pixels_1CHW).to(setting.device)
    try:
        with warnings.catch_warnings():
            # The compiler warns of deprecated parts of torch that it uses itself (torch 2.13).
            warnings.simplefilter("ignore", DeprecationWarning)
            network(pixels_1CHW)
    except Exception as error:  # compilers fail in many ways, most often because there is no C++ compiler
        cause = getattr(error, "inner_exception", error)  # torch wraps the compiler's error
        raise NotRunnableError(_failure("torch.compile", cause)) from error
    return Runner(lambda: network(pixels_1CHW), setting.device)


def onnx(setting: Setting) -> Runner:
    """The exported graph under onnxruntime. Raises NotRunnableError, also where a package is missing."""
    try:
        session = open_session(onnx_bytes(setting.predictor), setting.threads)
    except ExportError as error:
        raise NotRunnableError(str(error)) from None
    except Exception as error:  # exporter and runtime fail in many ways
        raise NotRunnableError(_failure("ONNX export", error)) from error
    inputs = {INPUT: setting.pixels_1CHW}
    return Runner(lambda: session.run([OUTPUT], inputs)[0], torch.device("cpu"))


def _failure(what: str, error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{what} failed: {type(error).__name__}: {lines[0]}"


BACKENDS: dict[str, Callable[[Setting], Runner]] = {"eager": eager, "compiled": compiled, "onnx": onnx}
