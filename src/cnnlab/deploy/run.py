"""A run in Python: its metrics and results, and its network.

run = cnnlab.load_run("last")
run.metrics, run.accuracy("val"), run.predict("photo.png"), run.model()
"""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.core.errors import RunError
from cnnlab.runs import RunFolder, RunResult, Status, find_run, request_stop, runs_root
from cnnlab.runs.watch import Update, watch

if TYPE_CHECKING:
    from torch import nn

    from cnnlab.deploy.predictor import Prediction, Predictor
    from cnnlab.recipe import Recipe


class Run:
    """Wraps a run folder. Reading it needs no torch; predicting and `model()` do."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.folder.status})"

    @property
    def id(self) -> str:
        """The name of the folder, for `load_run`."""
        return self.folder.id

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def status(self) -> Status:
        """The current status; `status.state` is one of `cnnlab.runs.STATES`. Raises RunError."""
        return self.folder.status

    def watch(self, every: float = 0.5, since: int = 0) -> Iterator[Update]:
        """New rows of metrics and progress until the run ends: see `cnnlab.runs.watch`. Raises RunError."""
        return watch(self.folder, every, since)

    def stop(self) -> None:
        """Ask the process that trains it to save and stop. Raises RunError if it is not running."""
        request_stop(self.folder)

    def wait(self) -> Status:
        """Wait until the training ends; returns the last status. Raises RunError."""
        return deque(self.watch(), maxlen=1)[0].status

    @property
    def recipe(self) -> "Recipe":
        return self.folder.recipe

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return self.folder.metrics

    @property
    def result(self) -> RunResult:
        """The final figures: `result.accuracy["val"]`. Raises RunError while the run is not complete."""
        return self.folder.complete_result

    def accuracy(self, split: str) -> float:
        """Accuracy 0..1 of the best network by val on `split` ("train" as seen in training). Raises RunError."""
        accuracies = self.result.accuracy
        if split not in accuracies:
            raise RunError(f"run {self.id} has no accuracy on {split!r}; it has {', '.join(accuracies)}")
        return accuracies[split]

    @cached_property
    def predictor(self) -> "Predictor":
        """The best network, for predictions."""
        from cnnlab.deploy.predictor import Predictor

        return Predictor.from_run(self.folder)

    def predict(self, images: str | Path | Sequence[str | Path]) -> "list[Prediction]":
        """Classes with probabilities, one prediction per image file. Raises ImageError."""
        files = [images] if isinstance(images, str | Path) else list(images)
        return self.predictor.predict(files)

    def model(self) -> "nn.Module":
        """The best network as a torch module: normalised images N x C x H x W to logits N x K."""
        return self.predictor.model

    def export(self, path: str | Path) -> Path:
        """Write the best network as a model file (`.safetensors`) or as ONNX. Raises ExportError, StorageError."""
        from cnnlab.deploy.export import export
        from cnnlab.deploy.load import origin_of

        export(self.predictor, Path(path), origin_of(self.folder))
        return Path(path)


def load_run(run: str | Path, runs: Path | None = None) -> Run:
    """A run by folder, id, unique beginning of its id, or "last". Raises RunError."""
    return Run(find_run(runs_root(runs), str(run)))
