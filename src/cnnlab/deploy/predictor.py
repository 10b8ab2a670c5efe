"""A trained network, ready to answer: always float32, so that every machine gives the same answer.

Shape legend: N images, H x W pixels, C channels, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cnnlab.arch import Architecture
from cnnlab.core.errors import ImageError
from cnnlab.data import decode_image
from cnnlab.data.sources.folder import ENDINGS
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.engine import load_model_weights
from cnnlab.engines.torch.network import build
from cnnlab.runs import RunFolder

_BATCH = 500


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
    """A network in evaluation mode with the classes and the normalisation it was trained with."""

    def __init__(
        self,
        model: nn.Module,
        architecture: Architecture,
        classes: Sequence[str],
        normalisation: Normalisation,
        image_shape: tuple[int, int, int],
    ) -> None:
        self.model = model.eval()
        self.architecture = architecture
        self.classes = tuple(classes)
        self.normalisation = normalisation
        self.image_shape = image_shape
        self.mean = torch.tensor(normalisation.mean).view(-1, 1, 1) * 255
        self.std = torch.tensor(normalisation.std).view(-1, 1, 1) * 255

    @classmethod
    def from_run(cls, run: RunFolder) -> "Predictor":
        """The best checkpoint by val (the last one of a run without val). Raises RunError."""
        data = run.environment["data"]
        shape = tuple(data["image_shape"])
        architecture = run.recipe.arch.build(shape, len(data["classes"]))
        model = build(architecture, shape)
        arrays = run.checkpoint("best" if run.recipe.data.val else "last").arrays
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        averaged = any(name.startswith("averaged_model.") for name in tensors)
        load_model_weights(model, tensors, "averaged_model." if averaged else "model.")
        normalisation = Normalisation(tuple(data["mean"]), tuple(data["std"]))
        return cls(model, architecture, data["classes"], normalisation, shape)

    def logits(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits N x K of decoded images."""
        batches = []
        with torch.inference_mode():
            for start in range(0, len(images_NHWC), _BATCH):
                batches.append(self.model(self.normalised(images_NHWC[start : start + _BATCH])))
        return torch.cat(batches).numpy()

    def normalised(self, images_NHWC: NDArray[np.uint8]) -> torch.Tensor:
        """What the network sees of decoded images: float32, N x C x H x W."""
        pixels = torch.from_numpy(np.array(images_NHWC))
        return (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std

    def predict(self, images: Sequence[str | Path]) -> list[Prediction]:
        """Classes and probabilities of image files, or of all images in a folder, by name.

        Raises ImageError naming every file it cannot take.
        """
        channels, height, width = self.image_shape
        files = image_files(images)
        decoded = decode_files(files, (height, width), channels)
        return self.predict_decoded(np.stack(decoded), [str(file) for file in files])

    def predict_decoded(self, images_NHWC: NDArray[np.uint8], names: Sequence[str]) -> list[Prediction]:
        """Classes and probabilities of decoded images; `names` are what the predictions call them."""
        probabilities = softmax(self.logits(images_NHWC))
        return [Prediction(name, self._ranking(row)) for name, row in zip(names, probabilities, strict=True)]

    def _ranking(self, probabilities_K: NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
        order = np.argsort(-probabilities_K, kind="stable")
        return tuple((self.classes[k], float(probabilities_K[k])) for k in order)


def softmax(logits_NK: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities N x K, in float64."""
    z = logits_NK.astype(np.float64)
    exponentials = np.exp(z - z.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def decode_files(
    files: Sequence[str | Path], size: tuple[int, int], channels: int
) -> list[NDArray[np.uint8]]:
    """Every file through the one decoder. Raises ImageError with the problems of all that fail."""
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
    """Every file named, and for a folder the images in it, sorted by name. Raises ImageError if that is none."""
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
