"""Reading a run folder, also one still being written, stopped, copied or old: no writing, no torch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnlab.core.errors import RunError
from cnnlab.core.suggest import did_you_mean
from cnnlab.runs import checkpoints, layout, metrics, ownership
from cnnlab.runs.checkpoints import Checkpoint, Which
from cnnlab.runs.environment import Environment
from cnnlab.runs.result import RunResult
from cnnlab.runs.tensors import from_bytes
from cnnlab.runs.values import read_object

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnlab.recipe import Recipe


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """How a run stands: one of `writer.STATES`, the cause in words, and when it was written (UTC)."""

    state: str
    cause: str
    updated: str

    def __str__(self) -> str:
        return f"{self.state} ({self.cause})" if self.cause else self.state


class Predictions(NamedTuple):
    """Stored outputs: logits (N, K), labels (N,), and the images' places in the source (N,)."""

    logits: "NDArray[np.float32]"
    labels: "NDArray[np.int64]"
    indices: "NDArray[np.int64]"


class Predicted(NamedTuple):
    """The class that was predicted for each image (N,), the true one (N,), and the images' places (N,)."""

    classes: "NDArray[np.int64]"
    labels: "NDArray[np.int64]"
    indices: "NDArray[np.int64]"


@dataclass(frozen=True)
class RunFolder:
    """A run as it lies on disk. Recipe and environment never change; all the rest is read at every access."""

    path: Path

    def __post_init__(self) -> None:
        if not layout.is_run_folder(self.path):
            raise RunError(f"no run folder at {self.path}; `cnnlab runs ls` lists the runs")

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @cached_property
    def recipe(self) -> "Recipe":
        """The recipe, validated. Raises RecipeError."""
        from cnnlab.recipe import Recipe

        return Recipe.load(self.path / layout.RECIPE)

    @cached_property
    def environment(self) -> Environment:
        """Data, machine, versions and how it was run. Raises RunError where the file is damaged."""
        return Environment.read(self.path / layout.ENVIRONMENT)

    @property
    def is_assembled(self) -> bool:
        """False while a run in the background has chosen and checked nothing yet, and if it ended then.

        Any other run without its environment is damaged: only one in the background has a log.
        """
        began = (self.path / layout.COMPLETE).exists() or self.metrics
        early = (self.path / layout.LOG).exists() and not began
        return not early or (self.path / layout.ENVIRONMENT).exists()

    @property
    def recipe_hash(self) -> str:
        """The identity of the experiment. Raises RunError, RecipeError."""
        return self.environment.recipe_hash if self.is_assembled else self.recipe.hash

    @property
    def created(self) -> str:
        """When the run was begun, UTC; as text it sorts by time. Raises RunError."""
        return self.environment.created if self.is_assembled else self.status.updated

    @property
    def metrics(self) -> list[metrics.Row]:
        """One row an epoch; a line that is just being written is passed over."""
        return metrics.read_epochs(self.path / layout.METRICS)

    @property
    def status(self) -> Status:
        """The recorded status, corrected if the writer died: complete needs its marker, running an owner.

        Raises RunError.
        """
        status = self._recorded_status()
        if status.state == "running" and not ownership.is_owned(self.path):
            status = self._recorded_status()  # it may have ended between the two looks
            if status.state == "running":
                return Status("interrupted", "owner gone", status.updated)
        return status

    def _recorded_status(self) -> Status:
        """What the files say; `complete` without its marker is still `running`."""
        path = self.path / layout.STATUS
        recorded = read_object(path)
        status = Status(*(_text_in(recorded, key, path) for key in ("state", "cause", "updated")))
        if (self.path / layout.COMPLETE).exists():
            return Status("complete", "", status.updated)
        if status.state not in ("running", "complete"):
            return status
        return Status("running", "" if self.is_assembled else "starting", status.updated)

    @property
    def progress(self) -> dict[str, int] | None:
        """`epoch` (from 1), `step_in_epoch` and `steps_per_epoch` of a run that trains, about a second old."""
        path = self.path / layout.PROGRESS
        try:
            values = read_object(path) if path.exists() else {}
        except RunError:
            return None  # the run has ended since, and its progress with it
        counts = [values.get(key) for key in ("epoch", "step_in_epoch", "steps_per_epoch")]
        return values if all(isinstance(count, int) and count > 0 for count in counts) else None

    @property
    def result(self) -> RunResult | None:
        """The final figures; None until the run is complete. Raises RunError where the file is damaged."""
        return RunResult.read(self.path / layout.RESULT) if (self.path / layout.COMPLETE).exists() else None

    @property
    def complete_result(self) -> RunResult:
        """The final figures of a run that has them: it does not change any more. Raises RunError."""
        result = self.result
        if result is None:
            raise RunError(f"run {self.id} is {self.status}; `cnnlab resume` completes it")
        return result

    def checkpoint(self, which: Which = "last") -> Checkpoint:
        """The pointed checkpoint, or with a warning the newest intact one. Raises RunError without any."""
        return checkpoints.load(self.path / layout.CHECKPOINTS, which)

    @property
    def has_weights(self) -> bool:
        """Whether there is a checkpoint: runs that were packed for keeping (`bench/results.py`) have none."""
        return checkpoints.any_saved(self.path / layout.CHECKPOINTS)

    def logits(self, split: str) -> Predictions:
        """The stored predictions of `split`. Raises RunError when there are none or the file is damaged."""
        arrays = self._outputs(split)
        if "logits" not in arrays:
            raise RunError(
                f"run {self.id} was packed: of {split} it keeps the predicted classes, not the logits"
            )
        return Predictions(arrays["logits"], arrays["labels"], arrays["indices"])

    def predicted(self, split: str) -> Predicted:
        """The predicted classes of `split`, which a packed run has too. Raises as `logits` does."""
        arrays = self._outputs(split)
        classes = arrays["classes"] if "classes" in arrays else arrays["logits"].argmax(axis=1)
        return Predicted(classes, arrays["labels"], arrays["indices"])

    def _outputs(self, split: str) -> "dict[str, NDArray[Any]]":
        """The arrays of the file with the outputs on `split`: labels, indices, and logits or classes."""
        path = layout.predictions_path(self.path, split)
        if not path.exists():
            stored = [file.stem for file in sorted(path.parent.glob("*.safetensors"))]
            has = f"it has {', '.join(stored)}" if stored else "it has none"
            raise RunError(f"run {self.id} has no predictions of {split!r}; {has}")
        try:
            arrays = from_bytes(path.read_bytes())
        except ValueError as error:
            raise RunError(
                f"{path} is damaged: {error}; restore it from a copy, or train the run again"
            ) from error
        if not {"labels", "indices"} <= arrays.keys() or not {"logits", "classes"} & arrays.keys():
            raise RunError(f"{path} is damaged: it holds {', '.join(sorted(arrays))}; restore it from a copy")
        return arrays

    def places(self, split: str) -> "NDArray[np.int64]":
        """The places in the source's train split of the images of our `split`, train or val. Raises RunError."""
        import numpy as np

        path = self.path / layout.SPLITS
        stored = read_object(path)
        try:
            return np.array(stored[split], dtype=np.int64)
        except (KeyError, ValueError, TypeError) as error:
            raise RunError(
                f"{path} is damaged: expected places of {split!r}; restore it from a copy"
            ) from error

    def measurement(self, name: str) -> dict[str, Any] | None:
        """What `cnnlab inspect RUN <name>` stored; None where it was not asked yet. Raises RunError when damaged."""
        path = layout.measurement_path(self.path, name)
        return read_object(path) if path.exists() else None


def run_folders(root: Path) -> list[Path]:
    """Paths of all run folders directly under `root`, by name."""
    return sorted(path for path in root.iterdir() if layout.is_run_folder(path)) if root.is_dir() else []


def find_run(root: Path, text: str) -> RunFolder:
    """The run that `text` means: a path, an id under `root`, its unique beginning, or `last` (created last).

    `last` passes over damaged runs, with a warning each. Raises RunError with the nearest id, or with all that
    begin so.
    """
    if layout.is_run_folder(Path(text).absolute()):
        return RunFolder(Path(text))
    paths = run_folders(root)
    if not paths:
        raise RunError(
            f"no runs in {root}; `cnnlab train` makes one, --runs or {layout.ROOT_VARIABLE} names the folder"
        )
    if text == "last":
        return _last(paths)
    matches = [path for path in paths if path.name == text] or [
        path for path in paths if path.name.startswith(text)
    ]
    match matches:
        case [path]:
            return RunFolder(path)
        case []:
            raise RunError(f"no run {text!r} in {root}{did_you_mean(text, [path.name for path in paths])}")
        case _:
            names = ", ".join(path.name for path in matches)
            raise RunError(f"{text!r} begins {len(matches)} runs: {names}; write more of the one you mean")


def _last(paths: Sequence[Path]) -> RunFolder:
    found: list[tuple[str, RunFolder]] = []
    problems = []
    for run in map(RunFolder, paths):
        try:
            _ = run.status  # one that cannot say how it stands is of no use to whoever asks for the last
            found.append((run.created, run))
        except (OSError, ValueError) as error:
            problems.append(f"run {run.id} is passed over: {error}")
    if not found:
        raise RunError(f"all runs in {paths[0].parent} are damaged; restore one from a copy", *problems)
    for problem in problems:
        _log.warning("warning: %s", problem)
    return max(found, key=lambda pair: pair[0])[1]


def _text_in(values: dict[str, Any], key: str, path: Path) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise RunError(f"{path} is damaged: expected text under {key!r}; restore it from a copy")
    return value
