"""Outputs of batch normalisation: means and deviations of each channel, in training and at inference.

    normalised = (x - m) / sqrt(v + eps)        output = scale * normalised + shift

In training m and v are those of the batch: the normalised values have mean 0, and the mean of the output is the
learned shift. At inference m and v are running averages: the mean of the normalised values can differ from 0, and the
mean of the output is shift + scale * that. The measurements separate these two causes.

Ioffe and Szegedy, "Batch normalization" (ICML 2015, arXiv 1502.03167), algorithms 1 and 2.

Shape legend: N images, B of them in a batch, C channels; each position of a map counts as an example.
"""

import copy
import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlab.core.errors import ArchitectureError
from cnnlab.core.files import write_atomic
from cnnlab.core.tables import csv_text, table_lines
from cnnlab.data.dataset import Images
from cnnlab.deploy.predictor import Predictor
from cnnlab.inspect.settings import BatchNormSettings, OnStep

_Normalisation = nn.BatchNorm1d | nn.BatchNorm2d
_BATCH = 500  # at inference


@dataclass(frozen=True, eq=False)
class Channels:
    """Mean and deviation of every channel (C,), before scale and shift (normalised) and after (output)."""

    normalised_mean: NDArray[np.float64]
    normalised_std: NDArray[np.float64]
    output_mean: NDArray[np.float64]
    output_std: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """One layer: its learned scale and shift (C,), and its channels under three conditions.

    `training`: training images, statistics of their batch. `inference_train`: the same images, running statistics.
    `inference`: test images, running statistics.
    """

    path: str
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    training: Channels
    inference_train: Channels
    inference: Channels

    def numbers(self) -> dict[str, float]:
        """Means over the channels of |mean|; `output_mean_unshifted`: of the output at inference with a shift of 0."""
        means = {
            "train_normalised_mean": self.training.normalised_mean,
            "train_output_mean": self.training.output_mean,
            "train_images_normalised_mean": self.inference_train.normalised_mean,
            "normalised_mean": self.inference.normalised_mean,
            "output_mean_unshifted": self.inference.output_mean - self.shift,
            "output_mean": self.inference.output_mean,
        }
        return {name: float(np.abs(mean_C).mean()) for name, mean_C in means.items()}


@dataclass(frozen=True, eq=False)
class BatchNormStatistics:
    """All batch-norm layers, in the order of computation; batches of `batch_size` in training."""

    settings: BatchNormSettings
    batch_size: int
    layers: tuple[LayerStatistics, ...]

    def numbers(self) -> dict[str, float]:
        """The numbers of the layers, averaged."""
        rows = [layer.numbers() for layer in self.layers]
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    def to_dict(self) -> dict[str, Any]:
        """Everything, for storage in a run."""
        return {
            "settings": asdict(self.settings),
            "numbers": self.numbers(),
            "batch_size": self.batch_size,
            "layers": [asdict(layer, dict_factory=_json_types) for layer in self.layers],
        }

    def table(self) -> str:
        """One line for each layer, and their average."""
        columns = ("layer", "channels", *(heading for heading, _ in _COLUMNS))
        lines = [(layer.path, str(len(layer.shift)), layer.numbers()) for layer in self.layers]
        rows = [
            (path, number, *(f"{values[name]:.2g}" for _, name in _COLUMNS))
            for path, number, values in [*lines, ("all", "", self.numbers())]
        ]
        return "\n".join(table_lines(columns, rows, words=1))

    def write_csv(self, path: Path) -> None:
        """One line for each channel, with all means and deviations. Raises StorageError."""
        conditions = ("training", "inference_train", "inference")
        kinds = [(condition, field.name) for condition in conditions for field in fields(Channels)]
        rows = []
        for layer in self.layers:
            measured = [getattr(getattr(layer, condition), kind) for condition, kind in kinds]
            for channel, values in enumerate(zip(layer.scale, layer.shift, *measured, strict=True)):
                rows.append((layer.path, channel, *(f"{value:.6g}" for value in values)))
        write_atomic(path, csv_text(("layer", "channel", "scale", "shift", *map("_".join, kinds)), rows))


_COLUMNS = (
    ("training: normalised", "train_normalised_mean"),
    ("output", "train_output_mean"),
    ("inference: on train", "train_images_normalised_mean"),
    ("normalised", "normalised_mean"),
    ("output", "output_mean"),
    ("without shift", "output_mean_unshifted"),
)


def batchnorm_statistics(
    predictor: Predictor,
    train_images: Images,
    test_images: Images,
    batch_size: int,
    settings: BatchNormSettings,
    on_step: OnStep = lambda done, total: None,
) -> BatchNormStatistics:
    """Statistics of a network, in training mode on whole batches of the training images, and at inference.

    Only normalisations are in training mode: dropout is off, weights and running statistics do not change, nor does
    the predictor. Raises ArchitectureError for a network without batch norm.
    """
    normalisations = _normalisations(predictor.model)
    if not normalisations:
        raise ArchitectureError(
            f"the network has no batch norm to measure: {predictor.architecture}; add `bn` layers to an architecture, "
            "or arch.options.batchnorm=true to a recipe of SimpleNN, and train it"
        )
    batch_size = min(batch_size, len(train_images))
    batches = len(train_images) // batch_size
    # Batch k has the images k, k + batches, ...: its classes are mixed even if the images are sorted by class.
    mixed = [train_images[start : batches * batch_size : batches] for start in range(batches)]
    of_train, of_test = (np.split(images, range(_BATCH, len(images), _BATCH)) for images in (train_images, test_images))
    total = len(mixed) + len(of_train) + len(of_test)
    done = itertools.count(1)

    def on_batch() -> None:
        on_step(next(done), total)

    in_training = copy.deepcopy(predictor.model)
    for module in _normalisations(in_training).values():
        module.train()
    training = _measured(in_training, predictor, mixed, on_batch)
    inference_train = _measured(predictor.model, predictor, of_train, on_batch)
    inference = _measured(predictor.model, predictor, of_test, on_batch)
    layers = []
    for path, module in normalisations.items():
        learned = _array(module.weight), _array(module.bias)
        measured = training[path], inference_train[path], inference[path]
        layers.append(LayerStatistics(path, *learned, *measured))
    return BatchNormStatistics(settings, batch_size, tuple(layers))


class _Moments:
    """Mean and deviation of every channel over many batches, summed in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.sum_C: NDArray[np.float64] | float = 0.0
        self.squares_C: NDArray[np.float64] | float = 0.0

    def add(self, x: Tensor) -> None:
        variance, mean = torch.var_mean(x.double(), [0, *range(2, x.ndim)], correction=0)
        number, mean_C = x.numel() // x.shape[1], _array(mean)
        self.count += number
        self.sum_C += number * mean_C
        self.squares_C += number * (_array(variance) + mean_C**2)

    def mean_and_std(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean_C = np.asarray(self.sum_C / self.count)
        return mean_C, np.sqrt(np.maximum(self.squares_C / self.count - mean_C**2, 0))


def _normalisations(model: nn.Module) -> dict[str, _Normalisation]:
    return {name: module for name, module in model.named_modules() if isinstance(module, _Normalisation)}


def _measured(
    model: nn.Module, predictor: Predictor, batches: list[Images], on_batch: Callable[[], None]
) -> dict[str, Channels]:
    """The channels of every batch-norm layer of `model`, over all batches together."""
    moments = {path: (_Moments(), _Moments()) for path in _normalisations(model)}
    with torch.inference_mode(), ExitStack() as hooks:
        for path, module in _normalisations(model).items():
            hooks.enter_context(module.register_forward_hook(partial(_record, *moments[path])))
        for images_BHWC in batches:
            model(predictor.torch.normalised(images_BHWC))
            on_batch()
    return {
        path: Channels(*normalised.mean_and_std(), *output.mean_and_std())
        for path, (normalised, output) in moments.items()
    }


def _record(
    normalised: _Moments, after: _Moments, module: _Normalisation, inputs: tuple[Tensor, ...], output: Tensor
) -> None:
    """Called after each forward pass of a layer: adds to the moments of its normalised values and of its output."""
    running = (None, None) if module.training else (module.running_mean, module.running_var)
    normalised.add(F.batch_norm(inputs[0], *running, training=module.training, eps=module.eps))
    after.add(output)


def _array(values: Tensor) -> NDArray[np.float64]:
    return values.detach().double().cpu().numpy()


def _json_types(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in items}
