"""The loss around trained weights, in the plane of two random directions.

Li, Xu, Taylor, Studer and Goldstein, "Visualizing the loss landscape of neural nets" (NeurIPS 2018, arXiv 1712.09913,
section 4): a direction is Gaussian, and each of its filters is scaled to the norm of the network's filter. Without it,
a network with large weights looks flat, because batch norm makes its outputs independent of their size. A filter
belongs to one output channel; of a linear layer it is the row of one output. Biases and all values of batch norm,
including running statistics, do not change.

The loss is the mean cross-entropy in nats, without penalties and label smoothing.

Shape legend: P points on either axis, N images, C channels, H x W pixels.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic
from cnnlab.core.seeding import derive_seed
from cnnlab.core.tables import csv_text
from cnnlab.data import Split
from cnnlab.deploy.predictor import Predictor
from cnnlab.inspect import surface
from cnnlab.inspect.settings import LandscapeSettings, OnStep
from cnnlab.inspect.surface import Smoothness

_BATCH = 250  # small enough for the processor's caches


@dataclass(frozen=True, eq=False)
class Landscape:
    """Losses P x P: both axes at `offsets`, the first along the first direction; the weights are in the middle."""

    settings: LandscapeSettings
    seed: int
    losses_PP: NDArray[np.float64]

    @property
    def offsets(self) -> NDArray[np.float64]:
        """Positions of the points (P,) on each axis, in units of the weights' norm."""
        return np.linspace(-self.settings.span, self.settings.span, self.settings.points)

    @cached_property
    def smoothness(self) -> Smoothness:
        """Convexity of the surface."""
        return surface.smoothness(self.losses_PP, self._step)

    @property
    def nonconvexity(self) -> NDArray[np.float64]:
        """The fraction of negative curvature at every inner point (P - 2, P - 2)."""
        return surface.nonconvexity(self.losses_PP, self._step)

    @property
    def _step(self) -> float:
        return 2 * self.settings.span / (self.settings.points - 1)

    @property
    def centre(self) -> float:
        """The loss of the unchanged network."""
        middle = self.settings.points // 2
        return float(self.losses_PP[middle, middle])

    def to_dict(self) -> dict[str, Any]:
        """Everything, for storage in a run."""
        numbers = {**asdict(self.smoothness), "centre": self.centre}
        return {
            "settings": asdict(self.settings),
            "numbers": numbers,
            "directions_seed": self.seed,
            "losses": self.losses_PP.tolist(),
        }

    def write_csv(self, path: Path) -> None:
        """One line for each point: its two offsets and the loss. Raises StorageError."""
        rows = (
            (f"{self.offsets[row]:g}", f"{self.offsets[column]:g}", f"{loss:.9g}")
            for (row, column), loss in np.ndenumerate(self.losses_PP)
        )
        write_atomic(path, csv_text(("first", "second", "loss"), rows))


def landscape(
    predictor: Predictor,
    images: Split,
    settings: LandscapeSettings,
    seed: int,
    on_step: OnStep = lambda done, total: None,
) -> Landscape:
    """The surface on labelled images; `seed` of the directions unless the settings have one.

    The predictor does not change. Raises CnnlabError if a loss is not finite.
    """
    assert images.labels is not None
    seed = seed if settings.directions is None else settings.directions
    weights = perturbed_weights(predictor.model)
    first, second = (filter_normalised(weights, seed, number) for number in (0, 1))
    found = Landscape(settings, seed, np.full((settings.points, settings.points), np.nan))
    seen_NCHW = predictor.torch.normalised(images.images)
    labels_N = torch.from_numpy(np.array(images.labels)).to(seen_NCHW.device)
    with torch.inference_mode():
        for place, (row, column) in enumerate(np.ndindex(*found.losses_PP.shape), start=1):
            x, y = float(found.offsets[row]), float(found.offsets[column])
            moved = {name: weight + x * first[name] + y * second[name] for name, weight in weights.items()}
            found.losses_PP[row, column] = _loss(predictor.model, moved, seen_NCHW, labels_N)
            on_step(place, found.losses_PP.size)
    if not np.isfinite(found.losses_PP).all():
        raise CnnlabError(
            f"the loss is not finite in places up to {settings.span:g} from the weights; choose a smaller --span"
        )
    return found


def perturbed_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of convolutions and linear layers, by name, in the order of the layers."""
    return {name: weight.detach() for name, weight in model.named_parameters() if weight.ndim >= 2}


def filter_normalised(weights: Mapping[str, Tensor], seed: int, number: int) -> dict[str, Tensor]:
    """Random direction `number`: Gaussian, every filter with the norm of the same filter of `weights`.

    Draws depend on the position of a layer, not on its name: networks with equal layers get equal draws.
    """
    direction = {}
    for place, (name, weight) in enumerate(weights.items()):
        generator = torch.Generator().manual_seed(derive_seed(seed, "landscape", number, place))
        drawn = torch.randn(weight.shape, generator=generator).to(weight.device)
        direction[name] = drawn * (_lengths(weight) / _lengths(drawn))
    return direction


def _lengths(weight: Tensor) -> Tensor:
    """Norm of each filter (first axis), shaped to multiply the weight."""
    lengths: Tensor = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    return lengths.view(-1, *[1] * (weight.ndim - 1))


def _loss(model: nn.Module, weights: dict[str, Tensor], images_NCHW: Tensor, labels_N: Tensor) -> float:
    """Mean cross-entropy of the model with these weights."""
    total = 0.0
    batches = zip(torch.split(images_NCHW, _BATCH), torch.split(labels_N, _BATCH), strict=True)
    for images_BCHW, labels_B in batches:
        logits_BK = functional_call(model, weights, (images_BCHW,))
        total += float(F.cross_entropy(logits_BK.double(), labels_B, reduction="sum"))
    return total / len(labels_N)
