"""A trained network that predicts, always in float32: machines differ in the last digits at most.

Shape legend: N images, H x W pixels, C channels, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from cnnlab.arch import Architecture
from cnnlab.core.errors import ImageError, RunError, WeightsError
from cnnlab.data import decode_image
from cnnlab.data.sources.folder import ENDINGS
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import engine_module
from cnnlab.engines.weights import fitted
from cnnlab.runs import RunFolder

if TYPE_CHECKING:
    from torch import nn

    from cnnlab.engines.torch.network import TorchNetwork


@dataclass(frozen=True)
class Prediction:
    """The classes of one image with their probabilities, the most probable first."""

    image: str
    ranking: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.ranking[0][0]


class Predictor:
    """A network with the classes and normalisation of its training, run by the engine `engine` on `device`."""

    def __init__(
        self,
        architecture: Architecture,
        classes: Sequence[str],
        normalisation: Normalisation,
        image_shape: tuple[int, int, int],
        weights: Mapping[str, NDArray[Any]],
        *,
        engine: str = "torch",
        device: str = "cpu",
    ) -> None:
        self.architecture = architecture
        self.classes = tuple(classes)
        self.normalisation = normalisation
        self.image_shape = image_shape
        self.network = engine_module(engine).network(architecture, image_shape, normalisation, weights, device)

    @classmethod
    def from_run(cls, run: RunFolder, device: str | None = None) -> "Predictor":
        """The run's network (`RunFolder.scored_weights`). Raises RunError.

        `device` None: the kind of device that the run began on, else the CPU where this machine has none of that kind.
        """
        environment, data = run.environment, run.environment.data
        shape = data.image_shape
        architecture = run.recipe.arch.build(shape, len(data.classes))
        try:
            weights = fitted(architecture, shape, run.scored_weights())
        except WeightsError as error:
            raise RunError(f"run {run.id}: recipe and checkpoint do not belong together", *error.problems) from None
        normalisation = Normalisation(data.mean, data.std)
        chosen = device or environment.device.kind
        engine = environment.engine
        return cls(architecture, data.classes, normalisation, shape, weights, engine=engine, device=chosen)

    @cached_property
    def torch(self) -> "TorchNetwork":
        """The network in torch, for a network of any engine."""
        from cnnlab.engines.torch.network import TorchNetwork, network

        if isinstance(self.network, TorchNetwork):
            return self.network
        return network(self.architecture, self.image_shape, self.normalisation, self.network.weights())

    @property
    def model(self) -> "nn.Sequential":
        """The torch module, in evaluation mode: normalised images N x C x H x W to logits N x K."""
        return self.torch.module

    def logits(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits N x K of decoded images."""
        return self.network.logits(images_NHWC)

    def predict(self, images: Sequence[str | Path]) -> list[Prediction]:
        """Classes and probabilities of image files, or of all images in a folder, by name.

        Raises ImageError with every file that cannot be read.
        """
        channels, height, width = self.image_shape
        files = image_files(images)
        decoded = decode_files(files, (height, width), channels)
        return self.predict_decoded(np.stack(decoded), [str(file) for file in files])

    def predict_decoded(self, images_NHWC: NDArray[np.uint8], names: Sequence[str]) -> list[Prediction]:
        """Classes and probabilities of decoded images; `names` are their names in the predictions."""
        probabilities = softmax(self.logits(images_NHWC).astype(np.float64), axis=1)
        return [Prediction(name, self._ranking(row)) for name, row in zip(names, probabilities, strict=True)]

    def _ranking(self, probabilities_K: NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
        order = np.argsort(-probabilities_K, kind="stable")
        return tuple((self.classes[k], float(probabilities_K[k])) for k in order)


def decode_files(files: Sequence[str | Path], size: tuple[int, int], channels: int) -> list[NDArray[np.uint8]]:
    """Decode every file. Raises ImageError with the problems of all files that fail."""
    decoded: list[NDArray[np.uint8]] = []
    problems: list[str] = []
    for file in files:
        try:
            decoded.append(decode_image(Path(file), size, channels))
        except ImageError as error:
            problems += error.problems
    if problems:
        raise ImageError(*problems)
    return decoded


def image_files(places: Sequence[str | Path]) -> list[Path]:
    """The given files, and for a folder the images in it, sorted by name. Raises ImageError if there are none."""
    files: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            files += sorted(path for path in place.iterdir() if path.suffix.lower() in ENDINGS)
        else:
            files.append(place)
    if not files:
        named = ", ".join(map(str, places)) or "nothing"
        raise ImageError(f"no images to predict: received {named}, expected image files or a folder of them")
    return files
